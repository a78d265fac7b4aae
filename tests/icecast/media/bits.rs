//! Numbers of so many bits, and the checksums of formats.

/// Bits in the order of Vorbis: the lowest first.
#[derive(Debug, Default)]
pub(crate) struct LowFirst {
    bytes: Vec<u8>,
    used: u32,
}

impl LowFirst {
    /// Appends a number of so many bits.
    pub(crate) fn put(mut self, bits: u32, value: u32) -> Self {
        for bit in 0..bits {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("a byte was pushed");
            *last |= u8::from(value >> bit & 1 == 1) << (self.used % 8);
            self.used += 1;
        }
        self
    }

    /// The bytes, the last filled up with zeros.
    pub(crate) fn done(self) -> Vec<u8> {
        self.bytes
    }
}

/// A checksum of bytes, highest bit first and begun with zero, by its polynomial and its width.
pub(crate) fn checksum(bytes: &[u8], polynomial: u32, width: u32) -> u32 {
    let top = 1_u32 << (width - 1);
    let mask = u32::MAX >> (32 - width);
    bytes.iter().fold(0, |sum, &byte| {
        let begun = sum ^ (u32::from(byte) << (width - 8));
        (0..8).fold(begun, |sum, _| {
            let shifted = sum << 1 & mask;
            if sum & top == 0 {
                shifted
            } else {
                shifted ^ polynomial
            }
        })
    })
}
