//! FLAC: the loudness of a frame by the samples that stand in it as they are.
//!
//! The samples of a channel are predicted from those before, and only the first few of a frame stand there themselves: at
//! most 32, and all where the prediction would not pay. The error of the prediction is coded for its usual size, which is said
//! too: a tone has small errors and noise has great ones, so the greater one of both counts. A second channel is found only
//! behind a first one of which all samples are the same.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::level::{Heard, Level};
use crate::media::format::bits::Bits;
use crate::media::format::flac::{FlacHead, FlacHeadRead};
use crate::media::format::frames::playing_time;

/// STREAMINFO is so long, behind the four bytes that say so.
const INFO_BYTES: usize = 34;

/// The most samples of a channel that are looked at.
const MAX_SAMPLES: usize = 64;

/// The layout in which the first channel is the difference of both, which says nothing of how loud these are.
const DIFFERENCE_FIRST: u8 = 9;
/// The layout in which the second channel is the difference: it has one bit more, as the first one has in the other.
const DIFFERENCE_SECOND: [u8; 2] = [8, 10];

/// A subframe's kind: all samples are the same, or stand as they are, or are predicted.
const CONSTANT: u32 = 0;
const VERBATIM: u32 = 1;
const FIXED: RangeInclusive<u32> = 8..=12;
const LINEAR: RangeInclusive<u32> = 32..=63;

/// Measures the frames of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlacLevels {
    rate_hz: u32,
    bits: u8,
}

impl FlacLevels {
    /// Reads STREAMINFO, with the four bytes before it; `None` if these bytes are none.
    pub(super) fn new(block: &[u8]) -> Option<Self> {
        let info = block.get(4..4 + INFO_BYTES)?;
        let mut bits = Bits::new(info);
        bits.skip(80);
        let rate_hz = bits.take(20)?;
        bits.skip(3);
        let sample_bits = bits.take(5)? as u8 + 1;
        (block[0] & 0x7F == 0 && rate_hz > 0).then_some(Self {
            rate_hz,
            bits: sample_bits,
        })
    }

    /// The loudness of a frame, which may be cut behind its beginning; `None` if the bytes are none.
    pub(super) fn measure(&self, frame: &[u8]) -> Option<Heard> {
        let FlacHeadRead::Is(head) = FlacHead::read(frame) else {
            return None;
        };
        let or_stated = |own: u32, stated: u32| if own == 0 { stated } else { own };
        let rate_hz = or_stated(head.rate_hz, self.rate_hz);
        let sample_bits = or_stated(head.bits.into(), self.bits.into()) as usize;
        let layout = frame[3] >> 4;
        let body = Bits::new(frame.get(head.head_bytes..)?);
        let channels = Channels {
            layout,
            samples: head.samples as usize,
            bits: sample_bits,
        };
        Some(Heard {
            level: channels.measure(body).unwrap_or(Level::Unknown),
            lasts: playing_time(head.samples, rate_hz).unwrap_or(Duration::ZERO),
        })
    }
}

/// The channels of a frame.
struct Channels {
    layout: u8,
    samples: usize,
    bits: usize,
}

impl Channels {
    /// The level of the first channel whose samples are not all the same; `None` if the bytes are cut or malformed.
    fn measure(&self, mut bits: Bits<'_>) -> Option<Level> {
        let count = match self.layout {
            0..8 => self.layout + 1,
            _ => 2,
        };
        let mut level = Level::Nothing;
        for channel in 0..count {
            let is_difference = match channel {
                0 => self.layout == DIFFERENCE_FIRST,
                _ => DIFFERENCE_SECOND.contains(&self.layout),
            };
            let found = self.subframe(&mut bits, self.bits + usize::from(is_difference))?;
            level = level.or_louder(match found.level {
                Level::About(_) if self.layout == DIFFERENCE_FIRST && channel == 0 => {
                    Level::Unknown
                }
                found => found,
            });
            if !found.is_constant {
                break;
            }
        }
        Some(level)
    }

    fn subframe(&self, bits: &mut Bits<'_>, sample_bits: usize) -> Option<Subframe> {
        if bits.take(1)? == 1 {
            return None;
        }
        let kind = bits.take(6)?;
        let mut wasted = 0;
        if bits.take(1)? == 1 {
            wasted = 1;
            while bits.take(1)? == 0 {
                wasted += 1;
            }
        }
        let own_bits = sample_bits
            .checked_sub(wasted)
            .filter(|bits| (1..=32).contains(bits))?;
        let (samples, is_predicted) = match kind {
            CONSTANT => (1, false),
            VERBATIM => (self.samples.min(MAX_SAMPLES), false),
            kind if FIXED.contains(&kind) => ((kind - FIXED.start()) as usize, true),
            kind if LINEAR.contains(&kind) => ((kind - LINEAR.start()) as usize + 1, true),
            _ => return None,
        };
        let mut mean_square = 0.0;
        for _ in 0..samples {
            mean_square += f64::from(sample(bits, own_bits)?).powi(2) / samples as f64;
        }
        if is_predicted {
            if LINEAR.contains(&kind) {
                skip_predictor(bits, samples)?;
            }
            mean_square = mean_square.max(error(bits)?.powi(2));
        }
        let full_scale = (own_bits as f64 - 1.0).exp2();
        Some(Subframe {
            level: Level::of_energy(mean_square / full_scale.powi(2), 0.0),
            is_constant: kind == CONSTANT,
        })
    }
}

/// A channel of a frame.
struct Subframe {
    level: Level,
    is_constant: bool,
}

/// A sample of so many bits, with its sign.
fn sample(bits: &mut Bits<'_>, sample_bits: usize) -> Option<i32> {
    let unused = 32 - sample_bits;
    Some((bits.take(sample_bits)? << unused) as i32 >> unused)
}

/// Passes the weights of a prediction from so many samples.
fn skip_predictor(bits: &mut Bits<'_>, samples: usize) -> Option<()> {
    let weight_bits = bits.take(4)? as usize + 1;
    bits.skip(5 + samples * weight_bits);
    Some(())
}

/// The usual error of the prediction: the code is chosen for it.
fn error(bits: &mut Bits<'_>) -> Option<f64> {
    let parameter_bits = match bits.take(2)? {
        0 => 4,
        1 => 5,
        _ => return None,
    };
    bits.skip(4);
    let parameter = bits.take(parameter_bits)?;
    let escaped = (1 << parameter_bits) - 1;
    match parameter {
        parameter if parameter == escaped => Some((f64::from(bits.take(5)?) - 1.0).exp2()),
        0 => Some(0.5), // fewer than one of two differ from 0
        parameter => Some(f64::from(parameter).exp2()),
    }
}
