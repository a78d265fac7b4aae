//! A file that is played again and again, without a beginning or an end: which of its bytes belong to which time.
//!
//! The endless loop is as old as the Unix epoch. Its bytes are numbered from there, and where it is at a time follows from
//! that time alone: so all nodes play the same second of it, and name the same bytes by the same numbers.

mod read;
mod rounds;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

pub use self::read::NoLoop;
use super::format::detect::Format;
use super::format::joining::StreamStart;
use crate::model::format::StreamFormat;

/// A place in one round where a piece may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The first byte.
    at: u32,
    /// How much is played before it.
    time: Duration,
}

/// A file in memory that is played in rounds.
#[derive(Debug)]
pub struct Looped {
    container: Format,
    format: StreamFormat,
    /// The frames or pages of one round; of Ogg with its headers, as they are numbered in the file.
    round: Bytes,
    /// How long a round plays.
    length: Duration,
    /// The places in it, the first one at its beginning.
    places: Vec<Place>,
    /// The prologues of Ogg, and from which byte on each holds.
    prologues: Vec<(u32, Bytes)>,
    /// The number that tells the serial numbers of this file from those of others.
    serial_base: u32,
}

impl Looped {
    /// How long one round plays.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// The format of the audio.
    pub fn format(&self) -> StreamFormat {
        self.format
    }

    /// The media type with which the loop is served.
    pub fn media_type(&self) -> &'static str {
        self.container.media_type()
    }

    /// How many bytes it keeps in memory.
    pub fn held_bytes(&self) -> usize {
        self.round.len() + self.places.len() * size_of::<Place>()
    }

    /// The first byte of the piece that plays so long after the Unix epoch.
    pub fn offset_at(&self, time: Duration) -> u64 {
        let (round, within) = self.split_time(time);
        let behind = self.places.partition_point(|place| place.time <= within);
        let place = self.places.get(behind.saturating_sub(1));
        round * self.round_bytes() + place.map_or(0, |place| place.at.into())
    }

    /// When the piece with this byte begins to play, after the Unix epoch.
    pub fn time_at(&self, offset: u64) -> Duration {
        let (round, within) = self.split_offset(offset);
        let behind = self.places.partition_point(|place| place.at <= within);
        let place = self.places.get(behind.saturating_sub(1));
        let nanos = u128::from(round) * self.length.as_nanos();
        from_nanos(nanos) + place.map_or(Duration::ZERO, |place| place.time)
    }

    /// The bytes of the loop from one place to another, in order. A place is what [`Self::offset_at`] returns.
    pub fn bytes(&self, range: Range<u64>) -> Vec<Bytes> {
        let (mut at, mut pieces) = (range.start, Vec::new());
        while at < range.end {
            let (round, within) = self.split_offset(at);
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let begin = within as usize;
            let end = begin.saturating_add(left).min(self.round.len());
            pieces.push(self.numbered(self.round.slice(begin..end), round));
            at += (end - begin) as u64;
        }
        pieces
    }

    /// How the loop stands at a place, for a ring that begins there.
    pub fn start_at(&self, offset: u64) -> StreamStart {
        let (round, within) = self.split_offset(offset);
        let behind = self.prologues.partition_point(|(from, _)| *from <= within);
        let prologue = self.prologues.get(behind.saturating_sub(1));
        let is_needed = within > 0;
        let prologue = prologue.filter(|_| is_needed).map(|(_, it)| it.clone());
        StreamStart {
            offset,
            media_time: Duration::ZERO,
            prologue: self.numbered(prologue.unwrap_or_default(), round),
        }
    }

    fn round_bytes(&self) -> u64 {
        self.round.len() as u64
    }

    /// The round at a time, and how much of it was played before.
    fn split_time(&self, time: Duration) -> (u64, Duration) {
        let (time, length) = (time.as_nanos(), self.length.as_nanos().max(1));
        let round = u64::try_from(time / length).unwrap_or(u64::MAX);
        (round, from_nanos(time % length))
    }

    /// The round of a byte, and its place in it.
    fn split_offset(&self, offset: u64) -> (u64, u32) {
        let bytes = self.round_bytes().max(1);
        let within = u32::try_from(offset % bytes).unwrap_or(u32::MAX);
        (offset / bytes, within)
    }
}

/// A time of so many nanoseconds.
fn from_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).unwrap_or(u64::MAX);
    Duration::new(seconds, (nanos % SECOND) as u32)
}

#[cfg(test)]
mod tests;
