//! The size of pictures of H.264 and H.265, by the parameters that stand before a picture that needs no other.

use crate::media::format::bits::Bits;
use crate::model::format::CodecName;

/// The most bytes of parameters that are read: the size stands near their beginning.
const MAX_BYTES: usize = 256;

/// The profiles of H.264 that say how colours are stored.
const HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// The most pictures in a cycle of H.264.
const MAX_CYCLE: u32 = 255;

/// Width and height, in pixels.
type Size = (u32, u32);

/// The size of pictures that begin with these bytes; `None` if no parameters are among them.
pub(super) fn picture_size(codec: CodecName, body: &[u8]) -> Option<Size> {
    let after_start = |at: usize| {
        body.get(at + 3..)
            .filter(|_| body[at..].starts_with(&[0, 0, 1]))
    };
    let mut units = (0..body.len()).filter_map(after_start);
    let (width, height) = match codec {
        CodecName::H264 => {
            let unit = units.find(|unit| unit.first().is_some_and(|kind| kind & 0x1F == 7))?;
            size_of_h264(&mut Bits::new(&unescaped(unit.get(1..)?)))
        }
        CodecName::H265 => {
            let unit =
                units.find(|unit| unit.first().is_some_and(|kind| kind >> 1 & 0x3F == 33))?;
            size_of_h265(&mut Bits::new(&unescaped(unit.get(2..)?)))
        }
        _ => None,
    }?;
    (width > 0 && height > 0).then_some((width, height))
}

/// The bytes of a unit: a 3 behind two zeros was added so that nothing in it looks like the beginning of another.
fn unescaped(unit: &[u8]) -> Vec<u8> {
    let (mut bytes, mut zeros) = (Vec::with_capacity(MAX_BYTES), 0);
    for &byte in unit.iter().take(MAX_BYTES) {
        match (zeros, byte) {
            (2.., 3) => zeros = 0,
            (2.., 0 | 1) => break, // the next unit
            _ => {
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                bytes.push(byte);
            }
        }
    }
    bytes
}

/// The size by a sequence parameter set of H.264.
fn size_of_h264(bits: &mut Bits<'_>) -> Option<Size> {
    let profile = bits.take(8)?;
    bits.skip(16);
    bits.take_golomb()?;
    let chroma = if HIGH_PROFILES.contains(&profile) {
        colours_of_h264(bits)?
    } else {
        1
    };
    bits.take_golomb()?;
    match bits.take_golomb()? {
        0 => _ = bits.take_golomb()?,
        1 => {
            bits.skip(1);
            bits.take_golomb()?;
            bits.take_golomb()?;
            for _ in 0..bits.take_golomb()?.min(MAX_CYCLE) {
                bits.take_golomb()?;
            }
        }
        _ => {}
    }
    bits.take_golomb()?;
    bits.skip(1);
    let [columns, rows] = [bits.take_golomb()?, bits.take_golomb()?];
    let fields = 2 - bits.take(1)?;
    bits.skip(if fields == 2 { 2 } else { 1 });
    let sides = [blocks(columns, 16)?, blocks(rows, 16 * fields)?];
    let [across, down] = steps(chroma);
    cropped(bits, sides, [across, down * fields])
}

/// How colours are stored, by what a high profile says; goes behind its matrices.
fn colours_of_h264(bits: &mut Bits<'_>) -> Option<u32> {
    let chroma = bits.take_golomb()?;
    let matrices = if chroma == 3 { 12 } else { 8 };
    bits.skip(usize::from(chroma == 3));
    bits.take_golomb()?;
    bits.take_golomb()?;
    bits.skip(1);
    if bits.take(1)? == 0 {
        return Some(chroma);
    }
    for matrix in 0..matrices {
        if bits.take(1)? == 1 {
            skip_matrix(bits, if matrix < 6 { 16 } else { 64 })?;
        }
    }
    Some(chroma)
}

/// Passes a matrix: each value is told by its difference from the one before, until it is 0.
fn skip_matrix(bits: &mut Bits<'_>, values: u32) -> Option<()> {
    let mut last = 8_i64;
    for _ in 0..values {
        let code = i64::from(bits.take_golomb()?);
        let step = if code % 2 == 0 {
            -(code / 2)
        } else {
            code / 2 + 1
        };
        last = (last + step).rem_euclid(256);
        if last == 0 {
            break;
        }
    }
    Some(())
}

/// The size by a sequence parameter set of H.265.
fn size_of_h265(bits: &mut Bits<'_>) -> Option<Size> {
    /// Profile and level of all layers.
    const GENERAL_BITS: usize = 96;
    const PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    bits.skip(4);
    let layers = bits.take(3)?;
    bits.skip(1 + GENERAL_BITS);
    let mut skipped = if layers == 0 {
        0
    } else {
        2 * (8 - layers as usize)
    };
    for _ in 0..layers {
        skipped += if bits.take(1)? == 1 { PROFILE_BITS } else { 0 };
        skipped += if bits.take(1)? == 1 { LEVEL_BITS } else { 0 };
    }
    bits.skip(skipped);
    bits.take_golomb()?;
    let chroma = bits.take_golomb()?;
    bits.skip(usize::from(chroma == 3));
    let sides = [bits.take_golomb()?, bits.take_golomb()?];
    cropped(bits, sides, steps(chroma))
}

/// So many blocks and one more, in pixels.
fn blocks(count: u32, pixels: u32) -> Option<u32> {
    count.checked_add(1)?.checked_mul(pixels)
}

/// How many pixels share a colour, across and down.
fn steps(chroma: u32) -> [u32; 2] {
    match chroma {
        1 => [2, 2],
        2 => [2, 1],
        _ => [1, 1],
    }
}

/// The sides without what is cut off at each edge, in these steps.
fn cropped(bits: &mut Bits<'_>, [width, height]: [u32; 2], steps: [u32; 2]) -> Option<Size> {
    if bits.take(1)? == 0 {
        return Some((width, height));
    }
    let mut side = |whole: u32, step: u32| {
        let cut = bits.take_golomb()?.checked_add(bits.take_golomb()?)?;
        whole.checked_sub(cut.checked_mul(step)?)
    };
    Some((side(width, steps[0])?, side(height, steps[1])?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes that ffmpeg makes of `testsrc2`: `-c:v libx264 -preset ultrafast -s 320x180`, `-c:v libx264 -s 1920x1080`, and
    /// `-c:v libx265 -s 322x182`.
    const BASE: &[u8] = b"\0\0\x01\x67\x42\xc0\x0c\xda\x05\x06\x7e\x7f\xfc\0\x0c\0\x10\x40\0\0\x03\0\x40\0\0\x0c\x83\xc5\x0a\xa8\0";
    const HIGH: &[u8] = b"\0\0\0\x01\x67\x64\0\x28\xac\xd9\x40\x78\x02\x27\xe5\xff\xc0\0\xc0\x01\x04\0\0\x03\0\x04\0\0\x03\0\xc8\x3c\x60\xc6\x58\0";
    const H265: &[u8] = b"\0\0\x01\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\xa0\x0a\x48\x0b\x9c\x95\x96\x56\x69\x24\xca\xff\xf0\0\x34\0\x45\x68\0";

    #[test]
    fn sizes_are_those_that_encoders_state() {
        for (codec, body, size) in [
            (CodecName::H264, BASE, (320, 180)),
            (CodecName::H264, HIGH, (1_920, 1_080)),
            (CodecName::H265, H265, (322, 182)),
        ] {
            let before = [b"\0\0\0\x01\x09\xF0", body].concat();
            assert_eq!(picture_size(codec, &before), Some(size));
            assert_eq!(picture_size(codec, &before[..16]), None, "cut");
        }
        assert_eq!(picture_size(CodecName::H264, H265), None);
        assert_eq!(picture_size(CodecName::H264, b""), None);
        assert_eq!(picture_size(CodecName::Mpeg2, BASE), None);
    }

    #[test]
    fn matrices_are_passed() {
        // Each 1 is a difference of 0. 8 and -8, which is coded as 16, are 0, the last value.
        assert_eq!(skip_matrix(&mut Bits::new(&[0xFF; 8]), 64), Some(()));
        assert_eq!(skip_matrix(&mut Bits::new(&[0xFF; 7]), 64), None);
        let mut ended = Bits::new(&[0b0000_1000, 0b1010_0000]);
        assert_eq!(skip_matrix(&mut ended, 64), Some(()));
        assert_eq!(ended.take(3), Some(0b010));
    }

    proptest! {
        #[test]
        fn nothing_upsets_the_reader(body in prop::collection::vec(any::<u8>(), 0..80)) {
            for (codec, kind) in [(CodecName::H264, 0x67), (CodecName::H265, 0x42)] {
                let _any = picture_size(codec, &[&[0, 0, 1, kind][..], &body].concat());
            }
        }
    }
}
