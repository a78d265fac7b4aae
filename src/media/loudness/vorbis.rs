//! Vorbis: whether a packet has anything in it.
//!
//! A packet of audio begins with a 0, the number of its mode, perhaps two bits about its neighbours, and one bit for each
//! channel: whether that has a spectrum. If none has, nothing follows but the padding of a constant bitrate, which is zeros.
//! How loud a packet is cannot be told without decoding.

use super::level::Level;

/// The loudness of a packet; `None` if it is a header.
pub(super) fn measure(packet: &[u8]) -> Option<Level> {
    let (first, rest) = packet.split_first()?;
    if first & 1 == 1 {
        return None;
    }
    // The first byte holds all flags of a pair of channels. A spectrum needs more than what is left of it.
    match rest.iter().all(|byte| *byte == 0) {
        true => Some(Level::Nothing),
        false => Some(Level::Something),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_without_a_spectrum_is_silent() {
        // As libvorbis makes them: `ffmpeg -f lavfi -i anullsrc -c:a libvorbis`, and with `-minrate`.
        assert_eq!(measure(&[0x0E]), Some(Level::Nothing));
        let mut padded = vec![0x0E];
        padded.resize(279, 0);
        assert_eq!(measure(&padded), Some(Level::Nothing));
        // White noise of -90 dBFS.
        let noise = [0x1E, 0x96, 0xBC, 0x5D, 0xEB];
        assert_eq!(measure(&noise), Some(Level::Something));
        assert_eq!(measure(b"\x03vorbis"), None, "comments");
        assert_eq!(measure(b""), None);
    }
}
