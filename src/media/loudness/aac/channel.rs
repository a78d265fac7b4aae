//! One channel of an AAC block, up to its spectrum.

use super::factors;
use crate::media::format::bits::Bits;

/// The scale factor by which numbers are multiplied with 1.
const UNIT_FACTOR: i32 = 100;
/// By how much the first energy of noise is below the global gain.
const NOISE_OFFSET: i32 = 90;
/// The bits of the first energy of noise, and the value that stands for no difference.
const NOISE_BITS: usize = 9;
const NOISE_MIDDLE: i32 = 256;

/// The greatest number that each codebook codes. The last one escapes to as many as 8,191: a steady tone, which has all the bits
/// for itself, is coded with some hundreds, music with some tens. To be too loud by far does no harm, and to be too soft does.
const GREATEST: [u32; 12] = [0, 1, 1, 2, 2, 4, 4, 7, 7, 12, 12, 128];
/// The codebook of bands that are noise, of which only the energy is coded.
const NOISE: u32 = 13;
/// The codebooks of bands that are the other channel's.
const INTENSITY: [u32; 2] = [14, 15];

/// The most groups of short windows.
const MAX_GROUPS: usize = 8;

/// The finding in a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measured {
    /// The channel has no spectrum: what follows has been reached.
    Nothing,
    /// The energy of the spectrum. What follows is not found.
    Energy(f64),
}

/// The window of a channel: how many bands it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    is_short: bool,
    bands_of_group: usize,
    groups: usize,
}

impl Window {
    /// Reads a window; `None` if it is cut, or refers to blocks before it.
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        bits.skip(1);
        let is_short = bits.take(2)? == 2;
        bits.skip(1);
        if is_short {
            let bands_of_group = bits.take(4)? as usize;
            let joined = bits.take(7)?.count_ones() as usize;
            return Some(Self {
                is_short,
                bands_of_group,
                groups: MAX_GROUPS - joined,
            });
        }
        let bands_of_group = bits.take(6)? as usize;
        let is_predicted = bits.take(1)? == 1;
        (!is_predicted).then_some(Self {
            is_short,
            bands_of_group,
            groups: 1,
        })
    }

    /// All bands.
    pub(super) fn bands(&self) -> usize {
        self.bands_of_group * self.groups
    }
}

/// Measures a channel, whose window may stand before it; `None` if it is cut or has in it what is not known.
pub(super) fn measure(bits: &mut Bits<'_>, window: Option<Window>) -> Option<Measured> {
    let gain = bits.take(8)? as i32;
    let window = match window {
        Some(window) => window,
        None => Window::read(bits)?,
    };
    let sections = sections(bits, &window)?;
    let (mut factor, mut noise, mut energy) = (gain, gain - NOISE_OFFSET, 0.0);
    let mut is_first_noise = true;
    for section in &sections {
        for _ in 0..section.bands {
            match section.codebook {
                0 => {}
                NOISE => {
                    noise += match std::mem::take(&mut is_first_noise) {
                        true => bits.take(NOISE_BITS)? as i32 - NOISE_MIDDLE,
                        false => factors::step(bits)?,
                    };
                    energy += multiplied(1, noise);
                }
                other if INTENSITY.contains(&other) => _ = factors::step(bits)?,
                codebook => {
                    factor += factors::step(bits)?;
                    energy += multiplied(*GREATEST.get(codebook as usize)?, factor);
                }
            }
        }
    }
    if energy > 0.0 {
        return Some(Measured::Energy(energy));
    }
    // Pulses, the shape of noise, gains: no encoder has them where there is no spectrum.
    (bits.take(3)? == 0).then_some(Measured::Nothing)
}

/// The energy of a line with this number at this scale factor.
fn multiplied(number: u32, factor: i32) -> f64 {
    f64::from(number).powf(8.0 / 3.0) * (f64::from(factor - UNIT_FACTOR) / 2.0).exp2()
}

/// Bands next to each other that are coded by one codebook.
struct Section {
    codebook: u32,
    bands: usize,
}

fn sections(bits: &mut Bits<'_>, window: &Window) -> Option<Vec<Section>> {
    let length_bits = if window.is_short { 3 } else { 5 };
    let goes_on = (1 << length_bits) - 1;
    let mut sections = Vec::new();
    for _ in 0..window.groups {
        let mut bands = 0;
        while bands < window.bands_of_group {
            let codebook = bits.take(4)?;
            let mut section = 0;
            loop {
                let more = bits.take(length_bits)?;
                section += more as usize;
                if more != goes_on {
                    break;
                }
            }
            bands += section;
            if bands > window.bands_of_group {
                return None;
            }
            sections.push(Section {
                codebook,
                bands: section,
            });
        }
    }
    Some(sections)
}
