//! The serial numbers of a loop in Ogg: each round is a link of its own.
//!
//! A decoder would take a link with the serial number of the one before for late pages of that one.

use bytes::{Bytes, BytesMut};

use super::Looped;
use crate::media::format::detect::Format;
use crate::media::format::ogg::PageSieve;

/// By how much the serial numbers of a round differ from those of the round before. An odd number, so that it takes four
/// billion rounds until one comes again, and a great one, because encoders number the links of a file upwards.
const STEP: u32 = 0x9E37_79B1;

impl Looped {
    /// Whole pages of a round with the serial numbers of that round; other formats have none.
    pub(super) fn numbered(&self, part: Bytes, round: u64) -> Bytes {
        if self.container != Format::Ogg || part.is_empty() {
            return part;
        }
        let by = self
            .serial_base
            .wrapping_add((round as u32).wrapping_mul(STEP));
        let (mut input, mut out) = (BytesMut::from(&part[..]), BytesMut::new());
        PageSieve::new(by).take(&mut input, &mut out);
        out.freeze()
    }
}
