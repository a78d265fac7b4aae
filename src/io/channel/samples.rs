//! A listener for tests, which takes what there is.

use super::ChannelReader;
use crate::media::ring::Read;

/// Reads so many bytes, or fewer if there are no more now.
pub(crate) fn take(reader: &mut ChannelReader, max_bytes: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while taken.len() < max_bytes {
        let Read::Bytes(pieces) = reader.read(max_bytes - taken.len()) else {
            break;
        };
        let bytes = pieces.concat();
        reader.advance(bytes.len() as u64);
        taken.extend(bytes);
    }
    taken
}

/// Reads all that there is now.
pub(crate) fn take_all(reader: &mut ChannelReader) -> Vec<u8> {
    take(reader, usize::MAX)
}
