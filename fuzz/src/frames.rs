//! The frames of links between nodes.

use antiphon::wire::frame::{HEADER_BYTES, body_bytes, decode, encode};

use crate::memory;

/// How many bytes a frame takes in memory for each of its own: an empty text is one byte there and 24 here, and lists are
/// moved as they grow. A length that a stranger only states takes nothing.
const MEMORY_PER_BYTE: usize = 128;

/// A frame that can be read can be written, and is then read as the same.
pub fn frame(data: &[u8]) {
    if let Some((header, _)) = data.split_first_chunk::<HEADER_BYTES>() {
        // A header that is refused is no fault.
        let _length = body_bytes(*header);
    }
    let most = memory::most_held(|| drop(decode(data)));
    assert!(
        most <= (1 + data.len()) * MEMORY_PER_BYTE,
        "{most} bytes were held"
    );
    let Ok(frame) = decode(data) else { return };
    let Ok(bytes) = encode(&frame) else { return };
    let again = decode(&bytes[HEADER_BYTES..]).expect("we read what we write");
    assert_eq!(again.kind(), frame.kind());
    assert_eq!(encode(&again).expect("it was written before"), bytes);
}
