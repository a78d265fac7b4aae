//! The frames of links between nodes.

use antiphon::wire::frame::{HEADER_BYTES, body_bytes, decode, encode};

/// A frame that can be read can be written, and is then read as the same.
pub fn frame(data: &[u8]) {
    if let Some((header, _)) = data.split_first_chunk::<HEADER_BYTES>() {
        // A header that is refused is no fault.
        let _length = body_bytes(*header);
    }
    let Ok(frame) = decode(data) else { return };
    let Ok(bytes) = encode(&frame) else { return };
    let again = decode(&bytes[HEADER_BYTES..]).expect("we read what we write");
    assert_eq!(again.kind(), frame.kind());
    assert_eq!(encode(&again).expect("it was written before"), bytes);
}
