//! AAC in LOAS, the Low Overhead Audio Stream of MPEG-4: 24 bits before each frame, which tell no more than its length.
//!
//! Rate and channels stand in a configuration (`StreamMuxConfig`) that encoders repeat every few frames. A frame without
//! one is coded as those before.

use std::time::Duration;

use super::adts::{SAMPLE_RATES_HZ, channels};
use super::bits::Bits;
use super::frames::{FrameHead, playing_time};
use super::layout::Layout;
use crate::model::format::{CodecName, Container, StreamFormat};

/// The header of a frame, and the configuration that holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoasHead {
    /// The length of the frame, header included.
    frame_bytes: usize,
    /// `None` if none has come, or one of an unusual form.
    config: Option<LoasConfig>,
}

/// The configuration of a stream with one programme of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LoasConfig {
    codec: CodecName,
    /// Samples per channel in a frame, of the core.
    samples: u32,
    core_rate_hz: u32,
    /// Samples per second that are heard.
    sample_rate_hz: u32,
    channels: u8,
}

/// The types of audio of MPEG-4 that are read.
const AAC_MAIN: u32 = 1;
const AAC_LC: u32 = 2;
const AAC_LTP: u32 = 4;
/// High-efficiency AAC: a core, and how to double its rate.
const SPECTRAL_REPLICATION: u32 = 5;
/// The same with one channel of which a decoder makes two.
const PARAMETRIC_STEREO: u32 = 29;

/// The number in place of a rate's index if the rate itself follows, in 24 bits.
const RATE_FOLLOWS: u32 = 15;

impl FrameHead for LoasHead {
    const SYNC: u8 = 0x56;
    const BYTES: usize = 3;
    /// As much as its field holds, and the header.
    const MAX_FRAME_BYTES: usize = 8_191 + Self::BYTES;
    /// The longest configuration that is read has 100 bits.
    const OPENING_BYTES: usize = Self::BYTES + 13;
    /// Only eleven bits of a header are always the same.
    const FOLLOWERS: usize = 2;
    const TELLS_TIME: bool = false;

    fn parse(bytes: &[u8]) -> Option<Self> {
        let [sync, high, low] = *bytes.first_chunk()?;
        let body_bytes = usize::from(high & 0x1F) << 8 | usize::from(low);
        let is_header = sync == Self::SYNC && high & 0xE0 == 0xE0 && body_bytes > 0;
        is_header.then_some(Self {
            frame_bytes: Self::BYTES + body_bytes,
            config: None,
        })
    }

    fn frame_bytes(&self) -> Option<usize> {
        Some(self.frame_bytes)
    }

    fn is_kin_of(&self, _other: &Self) -> bool {
        true
    }

    fn opened(self, opening: &[u8], before: Option<&Self>) -> Self {
        let mut bits = Bits::new(opening.get(Self::BYTES..).unwrap_or_default());
        let config = match bits.take(1) {
            Some(0) => LoasConfig::read(&mut bits),
            _ => before.and_then(|before| before.config),
        };
        Self { config, ..self }
    }

    fn duration(&self) -> Option<Duration> {
        let config = self.config?;
        playing_time(config.samples, config.core_rate_hz)
    }

    fn layout(&self) -> Layout {
        Layout::Loas
    }

    fn facts(&self, _named: CodecName) -> StreamFormat {
        StreamFormat {
            container: Container::Loas,
            codec: self.config.map_or(CodecName::Aac, |it| it.codec),
            bitrate_bps: 0,
            sample_rate_hz: self.config.map_or(0, |it| it.sample_rate_hz),
            channels: self.config.map_or(0, |it| it.channels),
            video: None,
        }
    }
}

impl LoasConfig {
    /// Reads a configuration; `None` if it is of a form that encoders of radios do not use.
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let [version, _same_timing] = [bits.take(1)?, bits.take(1)?];
        let sub_frames = bits.take(6)? + 1;
        let [programmes, layers] = [bits.take(4)? + 1, bits.take(3)? + 1];
        if (version, programmes, layers) != (0, 1, 1) {
            return None;
        }
        let mut kind = bits.take(5)?;
        let core_rate_hz = take_rate(bits)?;
        let configuration = bits.take(4)?;
        let (mut codec, mut sample_rate_hz) = (CodecName::Aac, core_rate_hz);
        let mut channels = channels(configuration as u8);
        if [SPECTRAL_REPLICATION, PARAMETRIC_STEREO].contains(&kind) {
            codec = CodecName::HeAac;
            sample_rate_hz = take_rate(bits)?;
            if kind == PARAMETRIC_STEREO {
                channels = 2;
            }
            kind = bits.take(5)?;
        }
        if ![AAC_MAIN, AAC_LC, AAC_LTP].contains(&kind) {
            return None;
        }
        let frame_samples = if bits.take(1)? == 0 { 1_024 } else { 960 };
        Some(Self {
            codec,
            samples: sub_frames * frame_samples,
            core_rate_hz,
            sample_rate_hz,
            channels,
        })
    }
}

/// A number of samples per second; `None` if it is reserved.
fn take_rate(bits: &mut Bits<'_>) -> Option<u32> {
    let rate_hz = match bits.take(4)? {
        RATE_FOLLOWS => bits.take(24)?,
        index => *SAMPLE_RATES_HZ.get(index as usize)?,
    };
    (rate_hz > 0).then_some(rate_hz)
}

/// Generated streams.
#[cfg(test)]
pub(crate) mod samples {
    /// The first bytes of a frame's body in a stream of AAC-LC, 44.1 kHz, stereo, as ffmpeg writes them.
    pub(in crate::media) const CONFIG: [u8; 6] = [0x20, 0x00, 0x12, 0x10, 0x1F, 0xE7];

    /// A frame with this body, lengthened to so many bytes.
    pub(in crate::media) fn frame(begun: &[u8], body_bytes: usize) -> Vec<u8> {
        let [high, low] = (body_bytes as u16).to_be_bytes();
        let mut frame = vec![0x56, 0xE0 | high, low];
        frame.extend(begun);
        frame.resize(3 + body_bytes, 0x11);
        frame
    }

    /// So many frames, every fourth with a configuration.
    pub(crate) fn frames(count: usize) -> Vec<u8> {
        let begun = |at: usize| {
            if at.is_multiple_of(4) {
                &CONFIG[..]
            } else {
                &[0x80][..]
            }
        };
        (0..count)
            .flat_map(|at| frame(begun(at), 200 + at % 50))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(body: &[u8], before: Option<&LoasHead>) -> LoasHead {
        let frame = samples::frame(body, 100);
        let head = LoasHead::parse(&frame).unwrap();
        head.opened(&frame[..LoasHead::OPENING_BYTES], before)
    }

    /// Bits written as text, with spaces where fields end.
    fn bits(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text.bytes().filter(|it| *it != b' ').collect();
        let byte = |bits: &[u8]| {
            let byte = bits.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
            byte << (8 - bits.len())
        };
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn a_header_tells_the_length() {
        for (bytes, frame_bytes) in [
            ([0x56, 0xE0, 0x01], Some(4)),
            ([0x56, 0xE1, 0x2C], Some(303)),
            ([0x56, 0xFF, 0xFF], Some(8_194)),
            ([0x56, 0xE0, 0x00], None),
            ([0x56, 0xC1, 0x2C], None),
            ([0x57, 0xE1, 0x2C], None),
        ] {
            let head = LoasHead::parse(&bytes);
            assert_eq!(head.and_then(|it| it.frame_bytes()), frame_bytes);
        }
        assert_eq!(LoasHead::parse(&[0x56, 0xE0]), None);
    }

    #[test]
    fn a_configuration_holds_until_the_next() {
        let first = opened(&samples::CONFIG, None);
        assert_eq!(first.duration(), Some(Duration::from_nanos(23_219_955)));
        let facts = first.facts(CodecName::Unknown);
        assert_eq!(
            (facts.codec, facts.sample_rate_hz, facts.channels),
            (CodecName::Aac, 44_100, 2)
        );
        let second = opened(&[0x80], Some(&first));
        assert_eq!(second.duration(), first.duration());
        let unusual = opened(&bits("0 1 00000000"), Some(&second));
        assert_eq!((unusual.duration(), unusual.config), (None, None));
    }

    #[test]
    fn without_a_configuration_time_is_not_known() {
        let head = opened(&[0x80], None);
        assert_eq!(head.duration(), None);
        assert_eq!(head.facts(CodecName::Unknown).sample_rate_hz, 0);
    }

    #[test]
    fn high_efficiency_plays_at_the_rate_of_its_core() {
        // One frame of one programme and layer; type, rate, channels; rate that is heard, type of the core.
        let head = opened(
            &bits("0 0 1 000000 0000 000 00101 0110 0010 0011 00010 0 00"),
            None,
        );
        let facts = head.facts(CodecName::Unknown);
        assert_eq!(
            (facts.codec, facts.sample_rate_hz, facts.channels),
            (CodecName::HeAac, 48_000, 2)
        );
        assert_eq!(head.duration(), Some(Duration::from_nanos(42_666_667)));
        let head = opened(
            &bits("0 0 1 000001 0000 000 11101 0110 0001 0011 00010 1 00"),
            None,
        );
        assert_eq!(head.facts(CodecName::Unknown).channels, 2);
        assert_eq!(
            head.duration(),
            Some(Duration::from_millis(80)),
            "twice 960 samples"
        );
    }

    #[test]
    fn a_rate_may_be_written_out() {
        let rate = format!("{:024b}", 44_056);
        let text = format!("0 0 1 000000 0000 000 00010 1111 {rate} 0001 0 00");
        assert_eq!(
            opened(&bits(&text), None)
                .facts(CodecName::Unknown)
                .sample_rate_hz,
            44_056
        );
        let text = format!("0 0 1 000000 0000 000 00010 1111 {:024b} 0001 0 00", 0);
        assert_eq!(opened(&bits(&text), None).config, None);
    }
}
