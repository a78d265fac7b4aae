//! AAC with ADTS headers: 56 bits before each frame, and a checksum of two bytes if the encoder likes.

use std::time::Duration;

use super::frames::{FrameHead, playing_time};
use super::layout::Layout;
use crate::model::format::{CodecName, Container, StreamFormat};

/// Samples per second by index; the others are reserved. The same as in all of MPEG-4.
pub(super) const SAMPLE_RATES_HZ: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// Samples per channel in a block, of which a frame has one to four.
const BLOCK_SAMPLES: u32 = 1_024;
/// The highest rate at which the core of high-efficiency AAC is coded: half of what is heard.
const MAX_CORE_RATE_HZ: u32 = 24_000;

/// A valid header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHead {
    /// Whether it says MPEG-2, which makes no difference.
    is_mpeg2: bool,
    /// The profile: 1 is AAC-LC, and also high-efficiency AAC, whose rest no header tells of.
    profile: u8,
    /// Samples per second and channel of the core.
    sample_rate_hz: u32,
    /// The number that stands for the channels; 0 if the first block tells them.
    channels: u8,
    /// The length of the frame, header included.
    frame_bytes: usize,
    /// The number of blocks.
    blocks: u8,
}

impl FrameHead for AdtsHead {
    const SYNC: u8 = 0xFF;
    const BYTES: usize = 7;
    /// As much as its field holds.
    const MAX_FRAME_BYTES: usize = 8_191;
    const OPENING_BYTES: usize = Self::BYTES;

    fn parse(bytes: &[u8]) -> Option<Self> {
        let [sync, kind, rates, channels, length, end, last] = *bytes.first_chunk()?;
        if sync != Self::SYNC || kind & 0xF6 != 0xF0 {
            return None;
        }
        let has_checksum = kind & 0b1 == 0;
        let frame_bytes =
            usize::from(channels & 0b11) << 11 | usize::from(length) << 3 | usize::from(end >> 5);
        let head_bytes = if has_checksum { 9 } else { Self::BYTES };
        let rate_index = usize::from((rates >> 2) & 0b1111);
        let head = Self {
            is_mpeg2: kind & 0b1000 != 0,
            profile: rates >> 6,
            sample_rate_hz: *SAMPLE_RATES_HZ.get(rate_index)?,
            channels: (rates & 0b1) << 2 | channels >> 6,
            frame_bytes,
            blocks: (last & 0b11) + 1,
        };
        (frame_bytes > head_bytes).then_some(head)
    }

    fn frame_bytes(&self) -> Option<usize> {
        Some(self.frame_bytes)
    }

    fn is_kin_of(&self, other: &Self) -> bool {
        let same = |it: &Self| (it.is_mpeg2, it.profile, it.sample_rate_hz, it.channels);
        same(self) == same(other)
    }

    /// Right for high-efficiency AAC too: twice the samples at twice the rate.
    fn duration(&self) -> Option<Duration> {
        playing_time(BLOCK_SAMPLES * u32::from(self.blocks), self.sample_rate_hz)
    }

    fn layout(&self) -> Layout {
        Layout::Adts
    }

    fn facts(&self, named: CodecName) -> StreamFormat {
        let is_core = named == CodecName::HeAac && self.sample_rate_hz <= MAX_CORE_RATE_HZ;
        let (codec, times) = match is_core {
            true => (CodecName::HeAac, 2),
            false => (CodecName::Aac, 1),
        };
        StreamFormat {
            container: Container::Adts,
            codec,
            bitrate_bps: 0,
            sample_rate_hz: times * self.sample_rate_hz,
            channels: channels(self.channels),
            video: None,
        }
    }
}

/// How many channels a configuration of MPEG-4 has; 0 if it does not say.
pub(super) fn channels(configuration: u8) -> u8 {
    match configuration {
        7 => 8,
        1..=6 => configuration,
        _ => 0,
    }
}

/// The codec that a media type names: `audio/aacp` was made for high-efficiency AAC.
pub(super) fn named_codec(media_type: &str) -> CodecName {
    let name = media_type.split(';').next().unwrap_or_default().trim();
    match name.eq_ignore_ascii_case("audio/aacp") {
        true => CodecName::HeAac,
        false => CodecName::Aac,
    }
}

/// Generated streams.
#[cfg(test)]
pub(crate) mod samples {
    /// A frame of AAC-LC, 44.1 kHz, stereo, so long.
    pub(crate) fn frame(frame_bytes: usize) -> Vec<u8> {
        let [high, middle, low] = [
            frame_bytes >> 11,
            frame_bytes >> 3,
            (frame_bytes & 0b111) << 5,
        ];
        let header = [
            0xFF,
            0xF1,
            0x50,
            0x80 | high as u8,
            middle as u8,
            low as u8 | 0x1F,
            0xFC,
        ];
        let mut frame = header.to_vec();
        frame.resize(frame_bytes, 0x21);
        frame
    }

    /// So many frames, of 300 bytes and more.
    pub(crate) fn frames(count: usize) -> Vec<u8> {
        (0..count).flat_map(|at| frame(300 + at % 100)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(bytes: [u8; 7], named: CodecName) -> (CodecName, u32, u8) {
        let facts = AdtsHead::parse(&bytes).unwrap().facts(named);
        (facts.codec, facts.sample_rate_hz, facts.channels)
    }

    #[test]
    fn headers_tell_length_and_duration() {
        for (bytes, frame_bytes, nanos) in [
            ([0xFF, 0xF1, 0x50, 0x80, 0x2E, 0x7F, 0xFC], 371, 23_219_955), // LC, 44.1 kHz, stereo
            ([0xFF, 0xF9, 0x58, 0x40, 0x20, 0x1F, 0xFC], 256, 42_666_667), // MPEG-2, 24 kHz, mono
            ([0xFF, 0xF0, 0x4C, 0x80, 0x01, 0x5F, 0xFC], 10, 21_333_333),  // with a checksum
            (
                [0xFF, 0xF1, 0x4C, 0x83, 0xFF, 0xFF, 0xFF],
                8_191,
                85_333_333,
            ), // four blocks
        ] {
            let head = AdtsHead::parse(&bytes).unwrap();
            assert_eq!(head.frame_bytes(), Some(frame_bytes), "{head:?}");
            assert_eq!(
                head.duration(),
                Some(Duration::from_nanos(nanos)),
                "{head:?}"
            );
        }
    }

    #[test]
    fn a_reserved_value_is_no_header() {
        for bad in [
            [0xFE, 0xF1, 0x50, 0x80, 0x2E, 0x7F, 0xFC], // no sync
            [0xFF, 0xE1, 0x50, 0x80, 0x2E, 0x7F, 0xFC], // no sync
            [0xFF, 0xFB, 0x50, 0x80, 0x2E, 0x7F, 0xFC], // a layer: MPEG audio
            [0xFF, 0xF1, 0x74, 0x80, 0x2E, 0x7F, 0xFC], // reserved sample rate
            [0xFF, 0xF1, 0x50, 0x80, 0x00, 0xFF, 0xFC], // a header and nothing else
            [0xFF, 0xF0, 0x50, 0x80, 0x01, 0x3F, 0xFC], // a header and its checksum
        ] {
            assert_eq!(AdtsHead::parse(&bad), None, "{bad:x?}");
        }
        assert_eq!(AdtsHead::parse(&[0xFF, 0xF1, 0x50, 0x80, 0x2E, 0x7F]), None);
    }

    #[test]
    fn headers_tell_rate_and_channels() {
        let stereo = [0xFF, 0xF1, 0x50, 0x80, 0x2E, 0x7F, 0xFC];
        assert_eq!(facts(stereo, CodecName::Aac), (CodecName::Aac, 44_100, 2));
        let surround = [0xFF, 0xF1, 0x4D, 0xC0, 0x2E, 0x7F, 0xFC];
        assert_eq!(facts(surround, CodecName::Aac), (CodecName::Aac, 48_000, 8));
        let untold = [0xFF, 0xF1, 0x4C, 0x00, 0x2E, 0x7F, 0xFC];
        assert_eq!(facts(untold, CodecName::Aac), (CodecName::Aac, 48_000, 0));
    }

    #[test]
    fn high_efficiency_is_believed_of_a_slow_core_only() {
        let slow = [0xFF, 0xF1, 0x5C, 0x80, 0x2E, 0x7F, 0xFC];
        let fast = [0xFF, 0xF1, 0x50, 0x80, 0x2E, 0x7F, 0xFC];
        let named = named_codec("audio/AACP; codecs=mp4a.40.5");
        assert_eq!(facts(slow, named), (CodecName::HeAac, 44_100, 2));
        assert_eq!(facts(fast, named), (CodecName::Aac, 44_100, 2));
        let plain = named_codec("audio/aac");
        assert_eq!(facts(slow, plain), (CodecName::Aac, 22_050, 2));
    }

    #[test]
    fn another_rate_or_channel_is_another_stream() {
        let head = |rates, channels| {
            AdtsHead::parse(&[0xFF, 0xF1, rates, channels, 0x2E, 0x7F, 0xFC]).unwrap()
        };
        let stereo = head(0x50, 0x80);
        assert!(stereo.is_kin_of(&head(0x50, 0x81)), "another length");
        for other in [head(0x50, 0x40), head(0x4C, 0x80), head(0x10, 0x80)] {
            assert!(!stereo.is_kin_of(&other), "{other:?}");
        }
    }
}
