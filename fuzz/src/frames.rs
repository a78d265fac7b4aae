//! The frames of links between nodes.

use antiphon::wire::frame::{HEADER_BYTES, body_bytes, decode, encode};

use crate::memory;

/// How many bytes a frame takes in memory for each of its own: an empty text is one byte there and 24 here, and lists are
/// moved as they grow.
const MEMORY_PER_BYTE: usize = 128;

/// The bytes that are taken for lengths of which nothing has come: of a text at most a frame's, of a list at most 1 MiB, and
/// lists stand in lists.
const MAX_STATED_BYTES: usize = 4 << 20;

/// A frame that can be read can be written, and is then read as the same.
pub fn frame(data: &[u8]) {
    if let Some((header, _)) = data.split_first_chunk::<HEADER_BYTES>() {
        // A header that is refused is no fault.
        let _length = body_bytes(*header);
    }
    let most = memory::most_held(|| drop(decode(data)));
    let allowed = MAX_STATED_BYTES + data.len() * MEMORY_PER_BYTE;
    assert!(most <= allowed, "{most} bytes were held, {allowed} may be");
    let Ok(frame) = decode(data) else { return };
    let Ok(bytes) = encode(&frame) else { return };
    let again = decode(&bytes[HEADER_BYTES..]).expect("we read what we write");
    assert_eq!(again.kind(), frame.kind());
    assert_eq!(encode(&again).expect("it was written before"), bytes);
}
