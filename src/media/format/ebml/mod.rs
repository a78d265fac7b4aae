//! Matroska, and WebM, which is a part of it: clusters of blocks behind headers.
//!
//! A decoder needs the EBML header, the info and the tracks: they are the prologue of every cluster. A cluster whose first
//! picture is no keyframe cannot be decoded from its beginning, so it is not marked; a keyframe within a cluster is, and its
//! prologue ends with the head of that cluster. Where no headers are known, a stream is joined where pieces of it arrive.

mod cluster;
mod element;
mod heads;
mod ids;
mod stream;
mod tracks;
mod walk;

use std::time::Duration;

use self::cluster::MOST_HELD_BACK;
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

/// By how much the blocks' clock may be behind that of arrival, as long as a source may be silent. If it stood still all
/// clusters would be of one time, and a late listener would begin at the oldest.
const MOST_BEHIND: Duration = Duration::from_secs(10);

/// Finds where a stream of Matroska may be joined, and its prologues.
#[derive(Clone, Debug)]
pub struct EbmlScanner {
    elements: Elements,
    stream: EbmlStream,
    /// How much of the stream was before the first byte.
    since: Duration,
    /// The marks where no headers are known.
    pieces: Pieces,
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
        })
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
    }

    fn next(&self) -> u64 {
        self.elements.next()
    }

    fn edge(&self) -> u64 {
        let whole = self.stream.edge();
        let searched = self.elements.searched_to().unwrap_or_default();
        let least = self.next().saturating_sub(MOST_HELD_BACK);
        whole.max(searched).max(least)
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
        self.pieces.clone()
    }
}

#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
mod tests;
