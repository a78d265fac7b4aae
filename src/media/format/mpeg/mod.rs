//! MPEG audio frames: where they begin and how long they last.
//!
//! A frame header is 32 bits without a checksum, so audio data holds false ones; the [`FrameScanner`]
//! tells them from the real ones.
//!
//! Frames of the free format (no bitrate in the header) are not recognised: no encoder of radios makes them.

mod scanner;
mod walker;

use std::time::Duration;

pub use self::scanner::{FrameScanner, FrameStart};
pub use self::walker::MpegScanner;

/// The standard that a frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MpegVersion {
    /// MPEG-1: 32, 44.1 and 48 kHz.
    V1,
    /// MPEG-2: half the sample rates of MPEG-1.
    V2,
    /// MPEG-2.5: a quarter of them.
    V25,
}

/// The way a frame is coded; III is "MP3".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Layer I.
    I,
    /// Layer II, "MP2".
    II,
    /// Layer III, "MP3".
    III,
}

/// A valid frame header. Only [`FrameHeader::parse`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The standard.
    pub version: MpegVersion,
    /// The coding.
    pub layer: Layer,
    /// Bits per second of this frame.
    pub bitrate_bps: u32,
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// Whether the frame is one slot longer than its bitrate says.
    pub padded: bool,
    /// Whether the frame has only one channel.
    pub mono: bool,
}

/// Bitrates in kbit/s by index 1 to 14; 0 is the free format and 15 is forbidden.
const V1_LAYER_I: [u32; 14] = [
    32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
];
const V1_LAYER_II: [u32; 14] = [
    32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
];
const V1_LAYER_III: [u32; 14] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];
const V2_LAYER_I: [u32; 14] = [
    32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
];
const V2_LAYER_II_III: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

impl FrameHeader {
    /// The length of a header.
    pub const BYTES: usize = 4;
    /// The longest frame of all: Layer II of MPEG-2.5 at 160 kbit/s, 8 kHz, padded.
    pub const MAX_FRAME_BYTES: usize = 2_881;

    /// Reads a header; `None` if these bytes are not one.
    pub fn parse(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [sync, kind, rates, channels] = bytes;
        if sync != 0xFF || kind & 0xE0 != 0xE0 || channels & 0b11 == 0b10 {
            return None;
        }
        let (version, divisor) = match (kind >> 3) & 0b11 {
            0b11 => (MpegVersion::V1, 1),
            0b10 => (MpegVersion::V2, 2),
            0b00 => (MpegVersion::V25, 4),
            _ => return None,
        };
        let layer = match (kind >> 1) & 0b11 {
            0b11 => Layer::I,
            0b10 => Layer::II,
            0b01 => Layer::III,
            _ => return None,
        };
        let table = match (version, layer) {
            (MpegVersion::V1, Layer::I) => &V1_LAYER_I,
            (MpegVersion::V1, Layer::II) => &V1_LAYER_II,
            (MpegVersion::V1, Layer::III) => &V1_LAYER_III,
            (_, Layer::I) => &V2_LAYER_I,
            _ => &V2_LAYER_II_III,
        };
        let bitrate_kbps = table.get(usize::from(rates >> 4).checked_sub(1)?)?;
        let base_hz: u32 = *[44_100, 48_000, 32_000].get(usize::from((rates >> 2) & 0b11))?;
        Some(Self {
            version,
            layer,
            bitrate_bps: bitrate_kbps * 1_000,
            sample_rate_hz: base_hz / divisor,
            padded: rates & 0b10 != 0,
            mono: channels >> 6 == 0b11,
        })
    }

    /// Samples per channel in this frame.
    pub fn samples(&self) -> u32 {
        match (self.layer, self.version) {
            (Layer::I, _) => 384,
            (Layer::III, MpegVersion::V2 | MpegVersion::V25) => 576,
            _ => 1_152,
        }
    }

    /// The length of the frame, header included. At least 24, at most [`Self::MAX_FRAME_BYTES`].
    pub fn frame_bytes(&self) -> usize {
        // A slot, the unit of padding, is four bytes in Layer I and one in the others.
        let slot_bytes = if self.layer == Layer::I { 4 } else { 1 };
        let slots_per_s = self.bitrate_bps / 8 / slot_bytes;
        let slots = self.samples() * slots_per_s / self.sample_rate_hz + u32::from(self.padded);
        (slots * slot_bytes) as usize
    }

    /// How long the frame plays. Rounded to a nanosecond, so that a sum of them is wrong by less than
    /// 0.1 millionth: less than any sound card's clock.
    pub fn duration(&self) -> Duration {
        let nanos = u64::from(self.samples()) * 1_000_000_000;
        let rate_hz = u64::from(self.sample_rate_hz);
        Duration::from_nanos((nanos + rate_hz / 2) / rate_hz)
    }

    /// Whether both can belong to one stream. Bitrate and channels may change from frame to frame.
    pub fn is_kin_of(&self, other: &Self) -> bool {
        (self.version, self.layer, self.sample_rate_hz)
            == (other.version, other.layer, other.sample_rate_hz)
    }

    /// Whether `frame` (its first [`INFO_BYTES`], or all of it) is a table of contents instead of audio:
    /// encoders put one, "Xing" or "Info", before the first frame of a file.
    #[inline]
    fn is_info(&self, frame: &[u8]) -> bool {
        let side_bytes = match (self.version, self.mono) {
            (MpegVersion::V1, false) => 32,
            (MpegVersion::V1, true) | (_, false) => 17,
            (_, true) => 9,
        };
        let at = |start: usize| frame.get(start..start + 4);
        let tag = at(Self::BYTES + side_bytes);
        self.layer == Layer::III
            && (tag == Some(b"Xing") || tag == Some(b"Info") || at(36) == Some(b"VBRI"))
    }
}

/// How many bytes of a frame tell whether it is a table of contents: up to the end of the farthest tag.
const INFO_BYTES: usize = 40;

/// Generated streams for the tests of all code that carries one.
#[cfg(test)]
pub(crate) mod samples {
    /// A frame of 128 kbit/s at 44.1 kHz, 417 bytes, filled with a number.
    pub(crate) fn frame(number: u32) -> Vec<u8> {
        let mut frame = vec![0xFF, 0xFB, 0x90, 0x64];
        while frame.len() < 417 {
            frame.extend_from_slice(&(number & 0x7FFF_FFFF).to_be_bytes());
        }
        frame.truncate(417);
        frame
    }

    /// So many frames, numbered from 0.
    pub(crate) fn frames(count: u32) -> Vec<u8> {
        (0..count).flat_map(frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_length_and_duration() {
        let known = [
            ([0xFF, 0xFB, 0x90, 0x64], 417, 26_122_449), // MPEG-1 III, 128 kbit/s, 44.1 kHz
            ([0xFF, 0xFB, 0x92, 0x64], 418, 26_122_449), // the same, padded
            ([0xFF, 0xFB, 0xE4, 0x00], 960, 24_000_000), // 320 kbit/s, 48 kHz
            ([0xFF, 0xF3, 0x80, 0xC0], 208, 26_122_449), // MPEG-2 III, 64 kbit/s, 22.05 kHz, mono
            ([0xFF, 0xE3, 0x18, 0xC0], 72, 72_000_000),  // MPEG-2.5 III, 8 kbit/s, 8 kHz
            ([0xFF, 0xFD, 0xA4, 0x00], 576, 24_000_000), // MPEG-1 II, 192 kbit/s, 48 kHz
            ([0xFF, 0xFF, 0xC6, 0x00], 388, 8_000_000),  // MPEG-1 I, 384 kbit/s, 48 kHz, padded
            ([0xFF, 0xE5, 0xEA, 0x00], 2_881, 144_000_000), // the longest
        ];
        for (bytes, frame_bytes, nanos) in known {
            let header = FrameHeader::parse(bytes).unwrap();
            assert_eq!(header.frame_bytes(), frame_bytes, "{header:?}");
            assert_eq!(header.duration(), Duration::from_nanos(nanos), "{header:?}");
        }
    }

    #[test]
    fn no_header_announces_a_length_out_of_bounds() {
        let all = (0..=u16::MAX).map(|middle| {
            let [kind, rates] = middle.to_be_bytes();
            [0xFF, kind, rates, 0]
        });
        for header in all.filter_map(FrameHeader::parse) {
            let range = 24..=FrameHeader::MAX_FRAME_BYTES;
            assert!(range.contains(&header.frame_bytes()), "{header:?}");
        }
    }

    #[test]
    fn a_reserved_value_is_no_header() {
        for bad in [
            [0xFE, 0xFB, 0x90, 0x64], // no sync
            [0xFF, 0xDB, 0x90, 0x64], // no sync
            [0xFF, 0xEB, 0x90, 0x64], // reserved version
            [0xFF, 0xF9, 0x90, 0x64], // reserved layer: this is how ADTS begins
            [0xFF, 0xFB, 0x00, 0x64], // free format
            [0xFF, 0xFB, 0xF0, 0x64], // forbidden bitrate
            [0xFF, 0xFB, 0x9C, 0x64], // reserved sample rate
            [0xFF, 0xFB, 0x90, 0x66], // reserved emphasis
        ] {
            assert_eq!(FrameHeader::parse(bad), None, "{bad:x?}");
        }
    }
}
