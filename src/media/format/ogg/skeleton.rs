//! Skeleton: a stream in a link that describes the others, by their serial numbers.

use std::ops::Range;

/// The bytes that the first packet begins with.
pub(super) const FIRST: &[u8] = b"fishead\0";

/// The packets that describe a stream, by their first bytes, with the place of the serial number in each.
const ABOUT_STREAMS: [(&[u8], usize); 2] = [(b"fisbone\0", 12), (b"index\0", 6)];

/// The place in a packet of the serial number of the stream that it describes; `None` if it describes none.
pub(super) fn serial_field(packet: &[u8]) -> Option<Range<usize>> {
    let mut kinds = ABOUT_STREAMS.iter();
    let (_, at) = kinds.find(|(magic, _)| packet.starts_with(magic))?;
    let field = *at..*at + 4;
    packet.get(field.clone()).map(|_| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_descriptions_of_streams_name_a_serial() {
        let bone = [&b"fisbone\0"[..], &[44, 0, 0, 0], &[7; 4], b"rest"].concat();
        assert_eq!(serial_field(&bone), Some(12..16));
        assert_eq!(serial_field(&bone[..16]), Some(12..16));
        assert_eq!(serial_field(&bone[..15]), None);
        assert_eq!(serial_field(b"index\0\x07\x07\x07\x07"), Some(6..10));
        for other in [&b"fishead\0\x04\0\0\0\0\0\0\0"[..], b"\x80theora", b""] {
            assert_eq!(serial_field(other), None);
        }
    }
}
