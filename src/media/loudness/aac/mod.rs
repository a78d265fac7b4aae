//! AAC: the loudness of a block by its sections and scale factors, which stand before the coded spectrum.
//!
//! The spectrum is not decoded. For each band of it is known by which scale factor its numbers are multiplied, and from which
//! codebook they are coded, which says how great they can be; an encoder takes the smallest. Of high-efficiency AAC this is
//! the core, the lower half of what is heard.
//!
//! The spectrum of a channel says nowhere how long it is. So a second channel is found only behind a first one that has no
//! spectrum: of a stream with hiss on the left and a programme on the right, only the hiss is measured.

mod channel;
mod factors;

use self::channel::{Measured, Window};
use super::level::Level;
use crate::media::format::bits::Bits;

/// The energy of a block of full scale, as it is estimated here, decibels. Measured with FFmpeg: see
/// docs/decisions/027-silence.md.
const FULL_SCALE_DB: f64 = 154.0;

/// The bits of the word that says what comes next in a block.
const KIND_BITS: usize = 3;
const SINGLE: u32 = 0;
const PAIR: u32 = 1;
const LOW_FREQUENCY: u32 = 3;
const DATA: u32 = 4;
const FILL: u32 = 6;
const END: u32 = 7;

/// The bytes of a header that are the same in each frame, without checksums.
const HEAD_BYTES: usize = 7;

/// The loudness of a frame with its ADTS header: that of its first block.
pub(super) fn measure(frame: &[u8]) -> Level {
    let Some([_, kind, rates, channels, _, _, last]) = frame.first_chunk() else {
        return Level::Unknown;
    };
    // A checksum, and the places of all blocks but the first.
    let checked_bytes = match kind & 1 {
        0 => 2 * (usize::from(last & 0b11) + 1),
        _ => 0,
    };
    let block = frame.get(HEAD_BYTES + checked_bytes..).unwrap_or_default();
    let level = of_block(&mut Bits::new(block)).unwrap_or(Level::Unknown);
    let is_one_element = matches!((rates & 1) << 2 | channels >> 6, 1 | 2);
    match level {
        // The others are behind it, and are not found.
        Level::About(_) if !is_one_element => level.or_louder(Level::Unknown),
        level => level,
    }
}

/// The loudness of a block; `None` if it is cut or has in it what is not known.
fn of_block(bits: &mut Bits<'_>) -> Option<Level> {
    loop {
        match bits.take(KIND_BITS)? {
            END => return Some(Level::Nothing),
            FILL => skip_fill(bits)?,
            DATA => skip_data(bits)?,
            kind @ (SINGLE | LOW_FREQUENCY | PAIR) => {
                bits.skip(4);
                let measured = match kind {
                    PAIR => of_pair(bits)?,
                    _ => channel::measure(bits, None)?,
                };
                if let Measured::Energy(energy) = measured {
                    return Some(Level::of_energy(energy, FULL_SCALE_DB));
                }
            }
            _ => return None,
        }
    }
}

/// A pair of channels: the first one that has a spectrum.
fn of_pair(bits: &mut Bits<'_>) -> Option<Measured> {
    let window = match bits.take(1)? {
        1 => {
            let window = Window::read(bits)?;
            if bits.take(2)? == 1 {
                bits.skip(window.bands());
            }
            Some(window)
        }
        _ => None,
    };
    match channel::measure(bits, window)? {
        Measured::Nothing => channel::measure(bits, window),
        measured => Some(measured),
    }
}

fn skip_fill(bits: &mut Bits<'_>) -> Option<()> {
    let mut bytes = bits.take(4)?;
    if bytes == 15 {
        bytes += bits.take(8)?.saturating_sub(1);
    }
    bits.skip(8 * bytes as usize);
    Some(())
}

fn skip_data(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(4);
    let is_aligned = bits.take(1)? == 1;
    let mut bytes = bits.take(8)?;
    if bytes == 255 {
        bytes += bits.take(8)?;
    }
    if is_aligned {
        bits.align();
    }
    bits.skip(8 * bytes as usize);
    Some(())
}
