//! The findings in a stream's bytes that its node tells of.

use super::Ring;
use crate::media::format::joining::Trouble;
use crate::media::format::ogg::first_serials;
#[cfg(doc)]
use crate::media::format::scanner::Scanner;

impl Ring {
    /// The serial numbers in the last link of Ogg, as far as its headers are known; none in any other format.
    pub fn serials(&self) -> Vec<u32> {
        first_serials(&self.prologues.at(self.next()))
    }

    /// Why listeners that come late may not decode the stream as it is now, see [`Scanner::trouble`], or have to wait.
    pub fn trouble(&self) -> Option<Trouble> {
        let rare = || self.has_lacked_marks().then_some(Trouble::RareKeyframes);
        self.scanner.trouble().or_else(rare)
    }

    /// Whether the stream may be of another format by now; see [`Scanner::has_lost_format`].
    pub fn has_lost_format(&self) -> bool {
        self.scanner.has_lost_format()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::RingLimits;
    use super::super::samples::ring;
    use crate::media::format::ogg::page::samples::{opus, opus_heads};

    #[test]
    fn the_beginning_of_a_link_that_is_gone_cannot_be_joined() {
        let limits = RingLimits {
            max_bytes: 100_000,
            burst_bytes: 0,
            ..RingLimits::default()
        };
        let (mut ring, now) = (ring("audio/ogg").with_limits(limits), Instant::now());
        let link = opus(2, &[1, 2, 3]);
        let gap = vec![9; 300_000];
        for bytes in [&opus(1, &[1, 2])[..], &link[..38], &gap, &link[38..]] {
            ring.append(ring.next(), bytes, now);
        }
        let join = ring.join_point(Duration::MAX).unwrap();
        assert!(join > 300_000 && join >= ring.oldest(), "{join}");
        assert_eq!(ring.prologue_at(join), opus_heads(2));
    }
}
