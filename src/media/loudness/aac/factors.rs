//! The code of AAC's scale factors.

use crate::media::format::bits::Bits;

/// The code words of the steps -60 to 60 from one scale factor to the next: table 4.A.1 of ISO/IEC 14496-3. All but that of
/// step 0, which is a single 0, begin with a 1: so the number alone tells how long a word is.
const WORDS: [u32; 121] = [
    0x3FFE8, 0x3FFE6, 0x3FFE7, 0x3FFE5, 0x7FFF5, 0x7FFF1, 0x7FFED, 0x7FFF6, 0x7FFEE, 0x7FFEF,
    0x7FFF0, 0x7FFFC, 0x7FFFD, 0x7FFFF, 0x7FFFE, 0x7FFF7, 0x7FFF8, 0x7FFFB, 0x7FFF9, 0x3FFE4,
    0x7FFFA, 0x3FFE3, 0x1FFEF, 0x1FFF0, 0xFFF5, 0x1FFEE, 0xFFF2, 0xFFF3, 0xFFF4, 0xFFF1, 0x7FF6,
    0x7FF7, 0x3FF9, 0x3FF5, 0x3FF7, 0x3FF3, 0x3FF6, 0x3FF2, 0x1FF7, 0x1FF5, 0xFF9, 0xFF7, 0xFF6,
    0x7F9, 0xFF4, 0x7F8, 0x3F9, 0x3F7, 0x3F5, 0x1F8, 0x1F7, 0xFA, 0xF8, 0xF6, 0x79, 0x3A, 0x38,
    0x1A, 0xB, 0x4, 0x0, 0xA, 0xC, 0x1B, 0x39, 0x3B, 0x78, 0x7A, 0xF7, 0xF9, 0x1F6, 0x1F9, 0x3F4,
    0x3F6, 0x3F8, 0x7F5, 0x7F4, 0x7F6, 0x7F7, 0xFF5, 0xFF8, 0x1FF4, 0x1FF6, 0x1FF8, 0x3FF8, 0x3FF4,
    0xFFF0, 0x7FF4, 0xFFF6, 0x7FF5, 0x3FFE2, 0x7FFD9, 0x7FFDA, 0x7FFDB, 0x7FFDC, 0x7FFDD, 0x7FFDE,
    0x7FFD8, 0x7FFD2, 0x7FFD3, 0x7FFD4, 0x7FFD5, 0x7FFD6, 0x7FFF2, 0x7FFDF, 0x7FFE7, 0x7FFE8,
    0x7FFE9, 0x7FFEA, 0x7FFEB, 0x7FFE6, 0x7FFE0, 0x7FFE1, 0x7FFE2, 0x7FFE3, 0x7FFE4, 0x7FFE5,
    0x7FFD7, 0x7FFEC, 0x7FFF4, 0x7FFF3,
];

/// The step that is coded by 0.
const MIDDLE: i32 = 60;

/// The longest word.
const MAX_WORD_BITS: u32 = 19;

/// Reads the step to the next scale factor; `None` if the bytes end before, or are no word.
pub(super) fn step(bits: &mut Bits<'_>) -> Option<i32> {
    let mut word = bits.take(1)?;
    if word == 0 {
        return Some(0);
    }
    for _ in 1..MAX_WORD_BITS {
        word = word << 1 | bits.take(1)?;
        if let Some(at) = WORDS.iter().position(|it| *it == word) {
            return Some(at as i32 - MIDDLE);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_a_whole_code() {
        let length = |word: &u32| (32 - word.leading_zeros()).max(1);
        let shares = WORDS.iter().map(|word| 0.5_f64.powi(length(word) as i32));
        assert_eq!(shares.sum::<f64>(), 1.0);
        for (at, word) in WORDS.iter().enumerate() {
            let bytes = (word << (32 - length(word))).to_be_bytes();
            let mut bits = Bits::new(&bytes);
            assert_eq!(step(&mut bits), Some(at as i32 - MIDDLE));
            assert_eq!(
                bits.position(),
                length(word) as usize,
                "no other one begins so"
            );
        }
    }

    #[test]
    fn a_word_that_is_cut_is_none() {
        assert_eq!(step(&mut Bits::new(&[0xFF])), None);
        assert_eq!(step(&mut Bits::new(&[])), None);
    }
}
