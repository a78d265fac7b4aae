//! Matroska, and WebM, which is a part of it: clusters of blocks behind headers.
//!
//! A decoder needs the EBML header, the info and the tracks: they are the prologue of every cluster. A cluster whose first
//! picture is no keyframe cannot be decoded from its beginning, so it is not marked; a keyframe within a cluster is, and its
//! prologue ends with the head of that cluster. Where no headers are known, a stream is joined where pieces of it arrive.

mod cluster;
mod element;
mod heads;
mod hidden;
mod ids;
mod said;
mod stream;
mod tracks;
mod walk;

use std::time::Duration;

use self::cluster::MOST_HELD_BACK;
pub(super) use self::element::{MAX_PRIVATE_HEAD_BYTES, ends_with_private_head};
pub(super) use self::said::media_type;
use self::stream::EbmlStream;
use self::walk::Elements;
use super::joining::{Scanned, StreamStart, Trouble};
use super::layout::Layout;
use super::opaque::Pieces;
use super::walker::Walker;
use crate::model::format::StreamFormat;

/// After so many bytes without a header or a cluster, a stream without headers is no longer taken for Matroska: more than
/// a relay meets that begins in the middle of a picture.
const UNFOUND_BYTES: u64 = 256 << 10;

/// After so many bytes without a header or a cluster it is looked at whether a stream goes on in another format.
const STRANGE_BYTES: u64 = 64 << 10;

/// By how much the blocks' clock may be behind that of arrival, as long as a source may be silent. If it stood still all
/// clusters would be of one time, and a late listener would begin at the oldest.
const MOST_BEHIND: Duration = Duration::from_secs(10);

/// A block that takes longer to come is not waited for: its length may be damaged. More than the time of blocks that are
/// held back until their cluster is whole.
const MOST_AWAITED: Duration = Duration::from_secs(3);

/// The part of a pause between two pieces that counts as waiting: a source may be silent in the middle of a block.
const MOST_PAUSE: Duration = Duration::from_millis(500);

/// Finds where a stream of Matroska may be joined, and its prologues.
#[derive(Clone, Debug)]
pub struct EbmlScanner {
    elements: Elements,
    stream: EbmlStream,
    /// How much of the stream was before the first byte.
    since: Duration,
    /// The marks where no headers are known.
    pieces: Pieces,
    awaited: AwaitedEdge,
}

/// How long the edge has stood.
#[derive(Clone, Copy, Debug, Default)]
struct AwaitedEdge {
    stands_at: u64,
    /// When a piece arrived last.
    arrived: Duration,
    waited: Duration,
    /// The offset up to which nothing is waited for.
    passed: u64,
}

impl AwaitedEdge {
    /// Takes the edge after a piece, and the offset behind that piece.
    fn note(&mut self, edge: u64, next: u64, arrived: Duration) {
        let pause = arrived.saturating_sub(self.arrived).min(MOST_PAUSE);
        self.arrived = self.arrived.max(arrived);
        if edge > self.stands_at || edge == next {
            (self.stands_at, self.waited) = (edge, Duration::ZERO);
        } else {
            self.waited = self.waited.saturating_add(pause);
        }
        if self.waited > MOST_AWAITED {
            self.passed = next;
        }
    }
}

impl EbmlScanner {
    /// A scanner that begins in the middle of a stream, or at its beginning; `None` if its prologue is not one.
    pub(super) fn in_the_middle(start: &StreamStart) -> Option<Self> {
        let stream = match start.prologue.is_empty() {
            true => EbmlStream::new(start.offset, start.media_time),
            false => EbmlStream::behind(start)?,
        };
        let elements = match stream.is_in_cluster() {
            true => Elements::from(start.offset),
            false => Elements::searched_from(start.offset),
        };
        Some(Self {
            elements,
            stream,
            since: start.media_time,
            pieces: Pieces::new(start.offset, start.media_time),
            awaited: AwaitedEdge::default(),
        })
    }

    /// Whether so much came that is no Matroska that the stream may be of another format by now.
    pub(super) fn is_strange(&self) -> bool {
        self.elements.junk_bytes() > STRANGE_BYTES
    }

    /// The end of what is whole, as far as it is waited for.
    fn whole_edge(&self) -> u64 {
        let searched = self.elements.searched_to().unwrap_or_default();
        let least = self.next().saturating_sub(MOST_HELD_BACK);
        self.stream.edge().max(searched).max(least)
    }
}

impl Walker for EbmlScanner {
    fn feed(&mut self, bytes: &[u8], arrived: Duration, found: &mut dyn FnMut(Scanned)) {
        let was_known = self.stream.is_known();
        if !was_known {
            self.stream.catch_up(self.pieces.time());
        }
        self.stream
            .catch_up(self.since + arrived.saturating_sub(MOST_BEHIND));
        let mut has_found = false;
        let mut note = |scanned| {
            has_found = true;
            found(scanned);
        };
        self.elements
            .feed(bytes, &mut self.stream.telling(&mut note));
        let is_known = was_known || self.stream.is_known() || has_found;
        if is_known || self.elements.may_begin() {
            self.pieces.pass(bytes, arrived, self.stream.media_time());
        } else if let Some(mark) = self.pieces.take(bytes, arrived) {
            found(Scanned::Mark(mark));
        }
        self.awaited.note(self.whole_edge(), self.next(), arrived);
    }

    fn next(&self) -> u64 {
        self.elements.next()
    }

    fn edge(&self) -> u64 {
        self.whole_edge().max(self.awaited.passed)
    }

    fn media_time(&self) -> Option<Duration> {
        let time = self.stream.media_time();
        self.stream.is_known().then_some(time)
    }

    fn format(&self) -> Option<StreamFormat> {
        self.stream.format()
    }

    fn layout(&self) -> Option<Layout> {
        self.format().map(|_| Layout::Ebml)
    }

    fn trouble(&self) -> Option<Trouble> {
        self.stream.trouble()
    }

    fn is_lost(&self) -> bool {
        self.format().is_none() && self.elements.junk_bytes() > UNFOUND_BYTES
    }

    fn to_pieces(&self) -> Pieces {
        let trouble = self.trouble().or(Some(Trouble::NoHeaders));
        self.pieces.clone().with_trouble(trouble)
    }
}

#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
mod tests;
