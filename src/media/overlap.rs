//! The place up to which listeners have heard a stream already, in the bytes of a server that begins to send it anew.
//!
//! A server sends a newcomer the last seconds again. Whoever loses the connection to it, or takes over from another node,
//! finds in them the end of what was heard, and goes on behind it.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::iter;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::format::detect::Format;
use super::format::joining::Scanned;
use super::format::ogg::page::bodies;
use super::format::scanner::Scanner;

/// The least that has to agree, where nothing tells where units end: a frame of 160 kbit/s. Sound that is filled up with the same
/// bytes agrees with less.
const LEAST_BYTES: usize = 512;
/// The least at the end of a page.
const LEAST_PAGED_BYTES: usize = 64;
/// So much agrees in one place only, but for sound that is repeated to the byte: a second of 128 kbit/s.
const SURE_BYTES: usize = 16 << 10;

/// The end of what listeners have heard of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardEnd {
    format: Format,
    sound: Vec<u8>,
}

/// A place in a stream up to which it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The first byte that was not heard.
    pub place: usize,
    /// How many bytes before it agree with the end of what was heard.
    agrees_bytes: usize,
}

impl Overlap {
    /// Whether no other place can be meant.
    pub fn is_sure(self) -> bool {
        self.agrees_bytes >= SURE_BYTES
    }
}

/// The sound in some bytes.
struct SoundBytes<'a> {
    bytes: Cow<'a, [u8]>,
    /// The ends of units, in the sound and in the bytes around it; `None`: they may end anywhere.
    ends: Option<Vec<(usize, usize)>>,
}

impl<'a> SoundBytes<'a> {
    /// With Ogg that is the bodies of its pages: their heads may have got another serial number.
    fn of(format: Format, bytes: &'a [u8]) -> Self {
        if format != Format::Ogg {
            return Self {
                bytes: bytes.into(),
                ends: None,
            };
        }
        let (mut sound, mut ends) = (Vec::new(), Vec::new());
        for (body, end) in bodies(bytes) {
            sound.extend_from_slice(body);
            ends.push((sound.len(), end));
        }
        Self {
            bytes: sound.into(),
            ends: Some(ends),
        }
    }
}

impl HeardEnd {
    /// How much of the end of a stream has to be known: as much as a server sends at once.
    pub const BYTES: usize = 1 << 20;

    /// The end of a stream of this format whose last bytes are these; the last of them ends a unit. `None` if too little is
    /// known, or if a stream of this format cannot be entered anywhere.
    pub fn new(format: Format, last: &[u8]) -> Option<Self> {
        if matches!(format, Format::Ebml | Format::Ts) {
            return None;
        }
        let sound = SoundBytes::of(format, last).bytes.into_owned();
        let heard = Self { format, sound };
        (heard.sound.len() >= heard.least_bytes()).then_some(heard)
    }

    fn least_bytes(&self) -> usize {
        match self.format {
            Format::Ogg => LEAST_PAGED_BYTES,
            _ => LEAST_BYTES,
        }
    }

    /// The place in `begun` behind what was heard: of several the one before which most agrees, and of those the first.
    pub fn find(&self, begun: &[u8]) -> Option<Overlap> {
        let sound = SoundBytes::of(self.format, begun);
        let last = &self.sound[self.sound.len() - self.least_bytes()..];
        memmem::find(&sound.bytes, last)?;
        let agreeing = agreeing(&self.sound, &sound.bytes);
        let at = |(end, place): (usize, usize)| Overlap {
            place,
            agrees_bytes: agreeing[end] as usize,
        };
        let disagrees = |it: &Overlap| Reverse(it.agrees_bytes);
        let found = match &sound.ends {
            Some(ends) => ends.iter().copied().map(at).min_by_key(disagrees),
            None => (0..=sound.bytes.len())
                .map(|end| at((end, end)))
                .min_by_key(disagrees),
        };
        found.filter(|it| it.agrees_bytes >= self.least_bytes())
    }

    /// How much of what was heard is still to come, if `begun` ends with a part of it: its server is behind.
    pub fn to_come_bytes(&self, begun: &[u8]) -> Option<usize> {
        let sound = SoundBytes::of(self.format, begun);
        let newest = &sound.bytes[sound.bytes.len().checked_sub(self.least_bytes())?..];
        let found = memmem::rfind(&self.sound, newest)?;
        Some(self.sound.len() - found - newest.len())
    }
}

/// For each length of `begun` how many bytes at its end agree with those at the end of `heard`.
fn agreeing(heard: &[u8], begun: &[u8]) -> Vec<u32> {
    let backwards = |at: usize| match at < heard.len() {
        true => heard[heard.len() - 1 - at],
        false => begun[begun.len() - 1 - (at - heard.len())],
    };
    let all = heard.len() + begun.len();
    // The longest common beginnings of a text with its own ends, by Gusfield's Z algorithm; no byte is compared twice.
    let mut same = vec![0_u32; all]; // a few megabytes
    let (mut from, mut to) = (0, 0);
    for at in 1..all {
        let mut length = match at < to {
            true => (same[at - from] as usize).min(to - at),
            false => 0,
        };
        while at + length < all && backwards(length) == backwards(at + length) {
            length += 1;
        }
        if at + length > to {
            (from, to) = (at, at + length);
        }
        same[at] = u32::try_from(length).unwrap_or(u32::MAX);
    }
    let most = |end: usize| u32::try_from(heard.len().min(end)).unwrap_or(u32::MAX);
    let ends = (1..=begun.len()).map(|end| same[all - end].min(most(end)));
    iter::once(0).chain(ends).collect()
}

/// The stream that begins with `begun` from this place on, with what a decoder needs first.
pub fn from_place(format: Format, begun: &[u8], place: usize) -> BytesMut {
    let (before, rest) = begun.split_at(place.min(begun.len()));
    let mut prologue = Bytes::new();
    if format.has_prologues() {
        let mut scanner = Scanner::for_content_type(format.media_type(), 0);
        scanner.feed(before, Duration::ZERO, |scanned| {
            if let Scanned::Prologue(found) = scanned {
                prologue = found.bytes;
            }
        });
    }
    let mut stream = BytesMut::from(&prologue[..]);
    stream.extend_from_slice(rest);
    stream
}

/// The place from which `begun` lasts about so long, if the format tells its time: as with a listener that joins.
pub fn place_of_last(format: Format, begun: &[u8], lasts: Duration) -> Option<usize> {
    let mut scanner = Scanner::for_content_type(format.media_type(), 0);
    let mut marks = Vec::new();
    scanner.feed(begun, Duration::ZERO, |scanned| {
        if let Scanned::Mark(mark) = scanned {
            marks.push(mark);
        }
    });
    let from = scanner.media_time()?.saturating_sub(lasts);
    let mark = marks.iter().rev().find(|mark| mark.media_time <= from)?;
    usize::try_from(mark.offset).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::format::mpeg::samples::{frame, frames};
    use crate::media::format::ogg::page::samples::{opus_heads, page};
    use crate::media::format::ogg::page::{consecutive, renumber};

    const FRAME: usize = 417;

    fn unheard(end: &HeardEnd, begun: &[u8]) -> Option<BytesMut> {
        let place = end.find(begun)?.place;
        Some(from_place(end.format, begun, place))
    }

    #[test]
    fn a_burst_is_entered_behind_what_was_heard() {
        let all = frames(100);
        let end = HeardEnd::new(Format::Mpeg, &all[..80 * FRAME]).unwrap();
        let burst = &all[25 * FRAME + 17..];
        assert_eq!(unheard(&end, burst).unwrap(), &all[80 * FRAME..]);
        assert!(end.find(burst).unwrap().is_sure());
        assert_eq!(
            end.to_come_bytes(&burst[..40 * FRAME]),
            Some(15 * FRAME - 17)
        );
    }

    #[test]
    fn other_sound_is_not_taken_for_it() {
        let all = frames(60);
        let end = HeardEnd::new(Format::Mpeg, &all[..40 * FRAME]).unwrap();
        let gap = &all[40 * FRAME..];
        assert_eq!((end.find(gap), end.to_come_bytes(gap)), (None, None));
        assert_eq!(end.find(&all[..39 * FRAME]), None, "not so far");
        assert_eq!(HeardEnd::new(Format::Mpeg, &all[..LEAST_BYTES - 1]), None);
        assert_eq!(HeardEnd::new(Format::Ebml, &all), None);
    }

    #[test]
    fn pauses_that_are_alike_are_told_apart_by_the_sound_before_them() {
        let pause = frame(0).repeat(10);
        let sound = |from: u32| (from..from + 50).flat_map(frame).collect::<Vec<u8>>();
        let all = [
            sound(100),
            pause.clone(),
            sound(200),
            pause.clone(),
            sound(300),
            pause,
            sound(400),
        ]
        .concat();
        let pause_at = |number: usize| (number * 60 + 50) * FRAME;
        for heard_to in [
            pause_at(1) + 5 * FRAME,
            pause_at(2) + 9 * FRAME,
            pause_at(2) + 3 * FRAME,
        ] {
            let end = HeardEnd::new(Format::Mpeg, &all[..heard_to]).unwrap();
            for from in [0, 20 * FRAME, pause_at(0) + FRAME, pause_at(1) - 7] {
                let unheard = unheard(&end, &all[from..]).unwrap();
                assert_eq!(
                    unheard.len(),
                    all.len() - heard_to,
                    "from {from} behind {heard_to}"
                );
            }
        }
    }

    /// Pages of Opus with bodies of this size, numbered.
    fn paged(seconds: std::ops::Range<u64>, body_bytes: usize) -> Vec<u8> {
        let body = |second: u64| [&second.to_be_bytes()[..], &vec![7; body_bytes - 8]].concat();
        seconds
            .flat_map(|second| page(1, 0, second * 48_000, &body(second)))
            .collect()
    }

    #[test]
    fn pages_of_ogg_are_known_again_by_their_bodies() {
        for body_bytes in [300, 20] {
            let begun = [opus_heads(1), paged(10..30, body_bytes)].concat();
            let mut here = Vec::new();
            for (_, page) in consecutive(&paged(1..20, body_bytes)) {
                let mut page = page.to_vec();
                renumber(&mut page, 7);
                here.extend(page);
            }
            let end = HeardEnd::new(Format::Ogg, &here[11..]).unwrap();
            let rest = [opus_heads(1), paged(20..30, body_bytes)].concat();
            assert_eq!(unheard(&end, &begun).unwrap(), &rest[..], "{body_bytes}");
        }
    }

    #[test]
    fn the_last_seconds_are_found_by_the_streams_own_time() {
        let all = frames(100);
        let place = place_of_last(Format::Mpeg, &all, Duration::from_secs(1)).unwrap();
        let left = (all.len() - place) / FRAME;
        assert!(
            (38..=41).contains(&left) && place.is_multiple_of(FRAME),
            "{left}"
        );
        assert_eq!(
            place_of_last(Format::Mpeg, &all, Duration::from_secs(9)),
            Some(0)
        );
    }

    proptest! {
        #[test]
        fn what_agrees_is_counted_as_byte_by_byte(
            heard in proptest::collection::vec(0_u8..2, 0..30),
            begun in proptest::collection::vec(0_u8..2, 0..30),
        ) {
            let counted = agreeing(&heard, &begun);
            prop_assert_eq!(counted.len(), begun.len() + 1);
            for (end, counted) in counted.into_iter().enumerate() {
                let pairs = begun[..end].iter().rev().zip(heard.iter().rev());
                prop_assert_eq!(counted, pairs.take_while(|(one, other)| one == other).count() as u32);
            }
        }
    }
}
