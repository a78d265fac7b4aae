//! MP3: the loudness of a frame by its side information and scale factors, which stand before the coded spectrum.
//!
//! The spectrum is not decoded. For each band of it is known by which step its numbers are multiplied (global gain and scale
//! factor), and from which table they are coded, which says how great they can be. An encoder takes the smallest table, so
//! the product is near the greatest line of the band.
//!
//! Scale factors stand in the main data, of which a frame may have a part in the frames before. Where these have not come,
//! all scale factors count as 0: the frame may then be taken for a louder one.

mod side;

use std::ops::Range;

use self::side::{Part, SideInfo};
use super::level::Level;
use crate::media::format::bits::Bits;
use crate::media::format::frames::FrameHead;
use crate::media::format::mpeg::{Layer, MpegHead, MpegVersion};

/// How far back the main data of a frame may begin: the pointer has nine bits.
const MAX_BACK_BYTES: usize = 511;

/// The energy of a frame of full scale, as it is estimated here, decibels. Measured with LAME: see docs/decisions/027-silence.md.
const FULL_SCALE_DB: f64 = 8.0;

/// The global gain at which a line of 1 is as loud as full scale. Encoders write it where there is no spectrum.
const LOUDEST_GAIN: u8 = 210;

/// The most scale factors of one part: three for each of 13 bands.
const MAX_FACTORS: usize = 39;

/// The scale factors of one part, in the order of the bands.
type Factors = [u8; MAX_FACTORS];

/// The first line of each band of long blocks, and their end; those of 44.1 kHz serve for all rates of MPEG-1, and those of
/// 22.05 kHz for the lower ones: they are off by a few lines.
const LONG_BANDS_V1: [u16; 23] = [
    0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 52, 62, 74, 90, 110, 134, 162, 196, 238, 288, 342, 418,
    576,
];
const LONG_BANDS_V2: [u16; 23] = [
    0, 6, 12, 18, 24, 30, 36, 44, 54, 66, 80, 96, 116, 140, 168, 200, 238, 284, 336, 396, 464, 522,
    576,
];
/// The same of short blocks, for each of the three windows.
const SHORT_BANDS: [u16; 14] = [0, 4, 8, 12, 16, 22, 30, 40, 52, 66, 84, 106, 136, 192];

/// The bits of a scale factor of the lower and the upper bands, by `scalefac_compress` of MPEG-1.
const LOWER_BITS: [u8; 16] = [0, 0, 0, 0, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4];
const UPPER_BITS: [u8; 16] = [0, 1, 2, 3, 0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3];

/// The fixed addition to the scale factors of long blocks, where the side information asks for it.
const PRE: [u8; 22] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 2, 0,
];

/// The bands of long blocks that share the bit which says that a second granule has the scale factors of the first.
const SHARED_BANDS: [Range<usize>; 4] = [0..6, 6..11, 11..16, 16..21];

/// How many bytes before a frame its main data begins; `None` if it is no whole frame of MP3.
pub(in crate::media) fn back_bytes(frame: &[u8]) -> Option<usize> {
    let head = MpegHead::parse(frame).filter(|head| head.layer == Layer::III)?;
    Some(SideInfo::read(frame, &head)?.back_bytes)
}

/// Measures the frames of a stream, one after another.
#[derive(Clone, Debug, Default)]
pub(super) struct Mp3Levels {
    /// The end of the main data so far.
    main: Vec<u8>,
}

impl Mp3Levels {
    /// The loudness of a frame, which may have other bytes behind it.
    pub(super) fn measure(&mut self, frame: &[u8], head: &MpegHead) -> Level {
        if head.layer != Layer::III {
            return Level::Unknown;
        }
        let frame = &frame[..frame.len().min(head.frame_bytes().unwrap_or(frame.len()))];
        let Some(side) = SideInfo::read(frame, head) else {
            return Level::Unknown;
        };
        let begin = self.main.len().checked_sub(side.back_bytes);
        let behind = frame.get(side.end_bytes..).unwrap_or_default();
        self.main.extend_from_slice(behind);
        let main = begin.and_then(|begin| self.main.get(begin..));
        let energy = loudest(&side.parts, main, head.version);
        let old = self.main.len().saturating_sub(MAX_BACK_BYTES);
        self.main.drain(..old);
        Level::of_energy(energy, FULL_SCALE_DB)
    }
}

/// The energy of the loudest part of a frame, given its main data if all of that has come.
fn loudest(parts: &[Part], main: Option<&[u8]>, version: MpegVersion) -> f64 {
    let (mut loudest, mut begin) = (0_f64, 0);
    let mut first: [Option<Factors>; 2] = [None; 2];
    for part in parts {
        let factors = main.and_then(|main| {
            let mut bits = Bits::new(main);
            bits.skip(begin);
            let before = first[part.channel].filter(|_| part.is_second);
            let factors = read_factors(&mut bits, part, before.as_ref(), version)?;
            Some((factors, bits.position() - begin))
        });
        begin += usize::from(part.bits);
        let (factors, factor_bits) = factors.unwrap_or(([0; MAX_FACTORS], 0));
        first[part.channel].get_or_insert(factors);
        if usize::from(part.bits) > factor_bits {
            loudest = loudest.max(energy(part, &factors, version));
        }
    }
    loudest
}

/// The energy of a part that has a spectrum.
fn energy(part: &Part, factors: &Factors, version: MpegVersion) -> f64 {
    let gain = f64::from(part.gain) - f64::from(LOUDEST_GAIN);
    let line = |greatest: u32, quarters: f64| {
        f64::from(greatest).powf(8.0 / 3.0) * ((gain - quarters) / 2.0).exp2()
    };
    if part.big_values == 0 {
        // Nothing is greater than 1. What is that and as loud as full scale is none: it is stuffed, as shine does.
        return if part.gain < LOUDEST_GAIN {
            line(1, 0.0)
        } else {
            0.0
        };
    }
    let quarters_of_factor = if part.is_coarse { 4 } else { 2 };
    let lines = 2 * part.big_values;
    if part.is_short {
        let bands = SHORT_BANDS.iter().take(13).enumerate();
        let coded = bands.take_while(|(_, first)| **first * 3 < lines);
        let windows = coded.flat_map(|(band, _)| [0, 1, 2].map(|window| (band, window)));
        return windows
            .map(|(band, window)| {
                let factor = quarters_of_factor * u32::from(factors[3 * band + window]);
                let quarters = factor + 8 * u32::from(part.window_gains[window]);
                line(part.greatest_of_short(band), quarters.into())
            })
            .sum();
    }
    let bands = match version {
        MpegVersion::V1 => &LONG_BANDS_V1,
        MpegVersion::V2 | MpegVersion::V25 => &LONG_BANDS_V2,
    };
    let coded = bands.iter().take(22).enumerate();
    let coded = coded.take_while(|(_, first)| **first < lines);
    coded
        .map(|(band, _)| {
            let pre = if part.has_pre { PRE[band] } else { 0 };
            let quarters = quarters_of_factor * u32::from(factors[band] + pre);
            line(part.greatest_of_long(band), quarters.into())
        })
        .sum()
}

/// Reads the scale factors of a part; a second granule may have those of the one `before`.
fn read_factors(
    bits: &mut Bits<'_>,
    part: &Part,
    before: Option<&Factors>,
    version: MpegVersion,
) -> Option<Factors> {
    let mut factors = [0; MAX_FACTORS];
    if part.is_mixed {
        return Some(factors); // rare: no encoder in use makes them
    }
    if version != MpegVersion::V1 {
        let mut band = 0;
        for (count, each) in part.factor_bits_v2() {
            for factor in factors.iter_mut().skip(band).take(count) {
                *factor = bits.take(each)? as u8;
            }
            band += count;
        }
        return Some(factors);
    }
    let compress = usize::from(part.compress & 0b1111);
    let (lower, upper) = (LOWER_BITS[compress].into(), UPPER_BITS[compress].into());
    if part.is_short {
        for (band, factor) in factors.iter_mut().take(36).enumerate() {
            *factor = bits.take(if band < 18 { lower } else { upper })? as u8;
        }
        return Some(factors);
    }
    for (bands, is_shared) in SHARED_BANDS.into_iter().zip(part.shared) {
        for band in bands {
            factors[band] = match before.filter(|_| is_shared) {
                Some(before) => before[band],
                None => bits.take(if band < 11 { lower } else { upper })? as u8,
            };
        }
    }
    Some(factors)
}
