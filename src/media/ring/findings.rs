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

    /// Why listeners that come late may not decode the stream as it is now; see [`Scanner::trouble`].
    pub fn trouble(&self) -> Option<Trouble> {
        self.scanner.trouble()
    }

    /// Whether the stream may be of another format by now; see [`Scanner::has_lost_format`].
    pub fn has_lost_format(&self) -> bool {
        self.scanner.has_lost_format()
    }
}
