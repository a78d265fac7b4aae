//! MPEG audio, MP1 to MP3: the header of a frame, 32 bits that tell how long it is and plays.

use std::time::Duration;

use super::frames::{FrameHead, playing_time};
use super::layout::Layout;
use crate::model::format::{CodecName, Container, StreamFormat};

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

/// A valid header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpegHead {
    /// The standard.
    pub version: MpegVersion,
    /// The coding.
    pub layer: Layer,
    /// Bits per second of this frame; `None` in the free format, where all frames have one bitrate that no header tells.
    pub bitrate_bps: Option<u32>,
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

impl MpegHead {
    /// Samples per channel in this frame.
    pub fn samples(&self) -> u32 {
        match (self.layer, self.version) {
            (Layer::I, _) => 384,
            (Layer::III, MpegVersion::V2 | MpegVersion::V25) => 576,
            _ => 1_152,
        }
    }

    /// The unit of padding.
    fn slot_bytes(&self) -> u32 {
        match self.layer {
            Layer::I => 4,
            Layer::II | Layer::III => 1,
        }
    }
}

impl FrameHead for MpegHead {
    const SYNC: u8 = 0xFF;
    const BYTES: usize = 4;
    /// The longest frame of the free format that decoders take. Those with a bitrate have at most 2,881: Layer II of
    /// MPEG-2.5 at 160 kbit/s, 8 kHz, padded.
    const MAX_FRAME_BYTES: usize = 4_608;
    /// Up to the end of the farthest word of a table of contents.
    const OPENING_BYTES: usize = 40;

    fn parse(bytes: &[u8]) -> Option<Self> {
        let [sync, kind, rates, channels] = *bytes.first_chunk()?;
        if sync != Self::SYNC || kind & 0xE0 != 0xE0 || channels & 0b11 == 0b10 {
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
        let bitrate_bps = match usize::from(rates >> 4).checked_sub(1) {
            None => None,
            Some(index) => Some(table.get(index)? * 1_000),
        };
        let base_hz: u32 = *[44_100, 48_000, 32_000].get(usize::from((rates >> 2) & 0b11))?;
        Some(Self {
            version,
            layer,
            bitrate_bps,
            sample_rate_hz: base_hz / divisor,
            padded: rates & 0b10 != 0,
            mono: channels >> 6 == 0b11,
        })
    }

    /// The length of the frame, header included: at least 24.
    fn frame_bytes(&self) -> Option<usize> {
        let slots_per_s = self.bitrate_bps? / 8 / self.slot_bytes();
        let slots = self.samples() * slots_per_s / self.sample_rate_hz + u32::from(self.padded);
        Some((slots * self.slot_bytes()) as usize)
    }

    fn padding_bytes(&self) -> usize {
        if self.padded {
            self.slot_bytes() as usize
        } else {
            0
        }
    }

    /// Bitrate and channels may change from frame to frame.
    fn is_kin_of(&self, other: &Self) -> bool {
        let same = |head: &Self| {
            let is_free = head.bitrate_bps.is_none();
            (head.version, head.layer, head.sample_rate_hz, is_free)
        };
        same(self) == same(other)
    }

    /// Encoders put one, "Xing" or "Info" (of LAME) or "VBRI" (of Fraunhofer), before the first frame of a file.
    fn is_info(&self, opening: &[u8]) -> bool {
        let side_bytes = match (self.version, self.mono) {
            (MpegVersion::V1, false) => 32,
            (MpegVersion::V1, true) | (_, false) => 17,
            (_, true) => 9,
        };
        let at = |start: usize| opening.get(start..start + 4);
        let word = at(Self::BYTES + side_bytes);
        self.layer == Layer::III
            && (word == Some(b"Xing") || word == Some(b"Info") || at(36) == Some(b"VBRI"))
    }

    fn duration(&self) -> Option<Duration> {
        playing_time(self.samples(), self.sample_rate_hz)
    }

    fn layout(&self) -> Layout {
        Layout::Mpeg(self.facts(CodecName::Mp3).codec)
    }

    fn facts(&self, _named: CodecName) -> StreamFormat {
        StreamFormat {
            container: Container::Mpeg,
            codec: match self.layer {
                Layer::I => CodecName::Mp1,
                Layer::II => CodecName::Mp2,
                Layer::III => CodecName::Mp3,
            },
            bitrate_bps: 0,
            sample_rate_hz: self.sample_rate_hz,
            channels: if self.mono { 1 } else { 2 },
            video: None,
        }
    }
}

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

    /// A header of the free format: MPEG-1, Layer III, 44.1 kHz, stereo, not padded.
    pub(in crate::media::format) const FREE_HEADER: [u8; 4] = [0xFF, 0xFB, 0x00, 0x00];

    /// So many frames of the free format, each so long.
    pub(in crate::media::format) fn free_frames(frame_bytes: usize, count: usize) -> Vec<u8> {
        let mut frame = FREE_HEADER.to_vec();
        frame.resize(frame_bytes, 0x2A);
        frame.repeat(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: [u8; 4]) -> MpegHead {
        MpegHead::parse(&bytes).unwrap()
    }

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
            let head = head(bytes);
            assert_eq!(head.frame_bytes(), Some(frame_bytes), "{head:?}");
            let duration = Duration::from_nanos(nanos);
            assert_eq!(head.duration(), Some(duration), "{head:?}");
        }
    }

    #[test]
    fn headers_tell_codec_rate_and_channels() {
        let known = [
            ([0xFF, 0xFB, 0x90, 0x64], CodecName::Mp3, 44_100, 2),
            ([0xFF, 0xF3, 0x80, 0xC0], CodecName::Mp3, 22_050, 1),
            ([0xFF, 0xE3, 0x18, 0xC0], CodecName::Mp3, 8_000, 1),
            ([0xFF, 0xFB, 0x08, 0x00], CodecName::Mp3, 32_000, 2), // free format
            ([0xFF, 0xFD, 0xA4, 0x80], CodecName::Mp2, 48_000, 2), // two languages
            ([0xFF, 0xFF, 0xC6, 0x00], CodecName::Mp1, 48_000, 2),
        ];
        for (bytes, codec, sample_rate_hz, channels) in known {
            let facts = head(bytes).facts(CodecName::Unknown);
            let told = (facts.codec, facts.sample_rate_hz, facts.channels);
            assert_eq!(told, (codec, sample_rate_hz, channels));
            assert_eq!(facts.container, Container::Mpeg);
        }
    }

    #[test]
    fn the_free_format_tells_all_but_its_length() {
        let free = head(samples::FREE_HEADER);
        assert_eq!((free.frame_bytes(), free.padding_bytes()), (None, 0));
        assert_eq!(free.duration(), Some(Duration::from_nanos(26_122_449)));
        assert!(!free.is_kin_of(&head([0xFF, 0xFB, 0x90, 0x00])));
        assert_eq!(head([0xFF, 0xFB, 0x02, 0x00]).padding_bytes(), 1);
        assert_eq!(head([0xFF, 0xFF, 0x02, 0x00]).padding_bytes(), 4);
    }

    #[test]
    fn no_header_announces_a_length_out_of_bounds() {
        let all = (0..=u16::MAX).map(|middle| {
            let [kind, rates] = middle.to_be_bytes();
            [0xFF, kind, rates, 0]
        });
        for head in all.filter_map(|bytes| MpegHead::parse(&bytes)) {
            let is_within = |it: usize| (24..=2_881).contains(&it);
            assert!(head.frame_bytes().is_none_or(is_within), "{head:?}");
        }
    }

    #[test]
    fn a_reserved_value_is_no_header() {
        for bad in [
            [0xFE, 0xFB, 0x90, 0x64], // no sync
            [0xFF, 0xDB, 0x90, 0x64], // no sync
            [0xFF, 0xEB, 0x90, 0x64], // reserved version
            [0xFF, 0xF9, 0x90, 0x64], // reserved layer: this is how ADTS begins
            [0xFF, 0xFB, 0xF0, 0x64], // forbidden bitrate
            [0xFF, 0xFB, 0x9C, 0x64], // reserved sample rate
            [0xFF, 0xFB, 0x90, 0x66], // reserved emphasis
        ] {
            assert_eq!(MpegHead::parse(&bad), None, "{bad:x?}");
        }
        assert_eq!(MpegHead::parse(&[0xFF, 0xFB, 0x90]), None);
    }

    #[test]
    fn a_table_of_contents_is_recognised_where_its_version_puts_it() {
        for (bytes, word, at) in [
            ([0xFF, 0xFB, 0x90, 0x64], b"Info", 36),
            ([0xFF, 0xFB, 0x90, 0xC4], b"Xing", 21), // mono
            ([0xFF, 0xF3, 0x80, 0x00], b"Xing", 21), // MPEG-2
            ([0xFF, 0xF3, 0x80, 0xC0], b"Info", 13), // MPEG-2, mono
            ([0xFF, 0xF3, 0x80, 0xC0], b"VBRI", 36),
        ] {
            let mut opening = [0; MpegHead::OPENING_BYTES];
            opening[at..at + 4].copy_from_slice(word);
            assert!(head(bytes).is_info(&opening), "{bytes:x?}");
            assert!(!head(bytes).is_info(&opening[..at + 3]));
            opening.rotate_left(1);
            assert!(!head(bytes).is_info(&opening), "{bytes:x?}");
        }
    }
}
