//! The place up to which listeners have heard a stream already, in the bytes of a server that begins to send it anew.
//!
//! A server sends a newcomer the last seconds again. Whoever loses the connection to it, or takes over from another node,
//! finds in them the end of what was heard, and goes on behind it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::format::detect::Format;
use super::format::joining::Scanned;
use super::format::ogg::page::last_body;
use super::format::scanner::Scanner;

/// How much of what was heard last is looked for: two frames of 256 kbit/s, one of 320. Other sound does not agree with so much.
const SOUGHT_BYTES: usize = 1_024;
/// The least: less is found in other sound, too.
const LEAST_SOUGHT_BYTES: usize = 64;

/// The end of what listeners have heard of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardEnd {
    format: Format,
    sought: Bytes,
}

impl HeardEnd {
    /// How much of the end of a stream has to be known: with Ogg a whole page.
    pub const BYTES: usize = 65_307;

    /// The end of a stream of this format whose last bytes are these; the last of them ends a unit. `None` if too little is
    /// known, or if a stream of this format cannot be entered anywhere.
    pub fn new(format: Format, last: &[u8]) -> Option<Self> {
        let unit = match format {
            Format::Mpeg | Format::Adts | Format::Loas | Format::Flac => last,
            // The heads of its pages may have got another serial number here.
            Format::Ogg => last_body(last)?,
            Format::Ebml | Format::Ts => return None,
        };
        let sought = &unit[unit.len().saturating_sub(SOUGHT_BYTES)..];
        (sought.len() >= LEAST_SOUGHT_BYTES).then(|| Self {
            format,
            sought: Bytes::copy_from_slice(sought),
        })
    }

    /// The place in `begun` behind what was heard, if it is there. The first `seen` bytes were looked at before.
    ///
    /// Of several places it is the first: silence that is heard twice is better than sound that is missed.
    pub fn find(&self, begun: &[u8], seen: usize) -> Option<usize> {
        let from = seen.saturating_sub(self.sought.len());
        let found = memmem::find(begun.get(from..)?, &self.sought)?;
        Some(from + found + self.sought.len())
    }

    /// The stream that begins with `begun`, without what was heard: what a decoder needs first, and all from that place on.
    pub fn unheard(&self, begun: &[u8], place: usize) -> BytesMut {
        let (heard, rest) = begun.split_at(place.min(begun.len()));
        let mut prologue = Bytes::new();
        if self.format.has_prologues() {
            let mut scanner = Scanner::for_content_type(self.format.media_type(), 0);
            scanner.feed(heard, Duration::ZERO, |scanned| {
                if let Scanned::Prologue(found) = scanned {
                    prologue = found.bytes;
                }
            });
        }
        let mut unheard = BytesMut::from(&prologue[..]);
        unheard.extend_from_slice(rest);
        unheard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::format::mpeg::samples::{frame, frames};
    use crate::media::format::ogg::page::samples::{opus, opus_heads};
    use crate::media::format::ogg::page::{consecutive, renumber};

    #[test]
    fn a_burst_is_entered_behind_what_was_heard() {
        let all = frames(60);
        let frame_bytes = all.len() / 60;
        let end = HeardEnd::new(Format::Mpeg, &all[..40 * frame_bytes]).unwrap();
        let burst = &all[25 * frame_bytes + 17..];
        for piece_bytes in [1, 700, burst.len()] {
            let mut seen = 0;
            let place = (1..=burst.len().div_ceil(piece_bytes)).find_map(|pieces| {
                let begun = &burst[..burst.len().min(pieces * piece_bytes)];
                let found = end.find(begun, seen);
                seen = begun.len();
                found
            });
            let place = place.unwrap();
            assert_eq!(end.unheard(burst, place), &all[40 * frame_bytes..]);
        }
    }

    #[test]
    fn other_sound_is_not_taken_for_it() {
        let all = frames(60);
        let frame_bytes = all.len() / 60;
        let end = HeardEnd::new(Format::Mpeg, &all[..40 * frame_bytes]).unwrap();
        assert_eq!(end.find(&all[40 * frame_bytes..], 0), None, "a gap");
        assert_eq!(end.find(&all[..39 * frame_bytes], 0), None, "not so far");
        assert_eq!(HeardEnd::new(Format::Mpeg, &all[..63]), None);
        assert_eq!(HeardEnd::new(Format::Ebml, &all), None);
    }

    #[test]
    fn silence_is_rather_heard_twice_than_sound_missed() {
        let silence = frame(0).repeat(20);
        let frame_bytes = silence.len() / 20;
        let end = HeardEnd::new(Format::Mpeg, &silence).unwrap();
        let place = end.find(&[&silence[..], &frames(5)].concat(), 0).unwrap();
        assert!(place <= 4 * frame_bytes, "{place}");
    }

    #[test]
    fn pages_of_ogg_are_known_again_by_their_bodies() {
        let (all, heads) = (opus(1, &[1, 2, 3, 4]), opus_heads(1));
        let heard = opus(1, &[1, 2, 3]);
        let mut here = Vec::new();
        for (_, page) in consecutive(&heard) {
            let mut page = page.to_vec();
            renumber(&mut page, 7);
            here.extend(page);
        }
        let end = HeardEnd::new(Format::Ogg, &here).unwrap();
        let place = end.find(&all, 0).unwrap();
        assert_eq!(place, heard.len());
        let rest = [&heads[..], &all[heard.len()..]].concat();
        assert_eq!(end.unheard(&all, place), &rest[..]);
    }
}
