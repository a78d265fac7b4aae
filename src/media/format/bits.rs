//! Bytes read bit by bit, as headers of LOAS, of pictures and of frames want it.

/// Bytes read bit by bit, the highest of each first.
#[derive(Debug)]
pub(in crate::media) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// The bits of these bytes.
    pub(in crate::media) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next so many bits, at most 32, as a number.
    pub(in crate::media) fn take(&mut self, bits: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..bits {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// Passes so many bits.
    pub(in crate::media) fn skip(&mut self, bits: usize) {
        self.at = self.at.saturating_add(bits);
    }

    /// How many bits have been passed.
    pub(in crate::media) fn position(&self) -> usize {
        self.at
    }

    /// Passes what is left of a byte that has been begun.
    pub(in crate::media) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// A number in the code of Exp-Golomb: as many bits behind the first 1 as there were zeros before it, at most 31.
    pub(in crate::media) fn take_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.take(zeros)?;
        Some((1_u32 << zeros) - 1 + rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_golomb_numbers_are_read_in_turn() {
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let golomb: Vec<_> = (0..4).map(|_| bits.take_golomb()).collect();
        assert_eq!(golomb, [Some(0), Some(1), Some(2), Some(3)]);
        bits.skip(1);
        assert_eq!(bits.take(2), Some(1));
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0, 0, 0]).take_golomb(), None, "cut");
        assert_eq!(Bits::new(&[0; 9]).take_golomb(), None, "endless");
    }
}
