//! The places where listeners and other nodes may begin with the bytes that a ring holds.

use std::time::Duration;

use bytes::Bytes;

use super::Ring;
use crate::media::format::joining::{Prologue, StreamStart};
use crate::media::format::scanner::Scanner;

/// How long a ring has been without a mark, by the arrival of its bytes.
#[derive(Debug, Default)]
pub(super) struct JoinWatch {
    /// When the latest bytes came.
    latest: Duration,
    /// When the last mark came.
    marked: Duration,
    /// When the ring last held no mark any more.
    lacked: Option<Duration>,
    /// Whether the ring begins where no decoder can.
    begins_midway: bool,
}

/// How long listeners wait for the next mark: twice the 30 s after which Matroska and Ogg are joined without a keyframe.
/// MPEG-TS without keyframes then begins anywhere, as players may find their way in it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long it is told that the ring held no mark: it lacks one before each keyframe, and that is no news each time.
const LACK_TOLD: Duration = Duration::from_secs(120);

impl JoinWatch {
    pub(super) fn note_bytes(&mut self, arrived: Duration) {
        self.latest = arrived;
    }

    /// Notes a mark in the latest bytes.
    pub(super) fn note_mark(&mut self) {
        self.marked = self.latest;
    }

    pub(super) fn note_lack(&mut self) {
        self.lacked = Some(self.latest);
    }

    fn may_wait(&self) -> bool {
        self.latest.saturating_sub(self.marked) < LONGEST_WAIT
    }

    fn has_lacked(&self) -> bool {
        let is_recent = |at| self.latest.saturating_sub(at) < LACK_TOLD;
        self.lacked.is_some_and(is_recent)
    }
}

impl Ring {
    /// The offset at which a new listener begins: the last mark that is `burst` behind the live edge, or the first one
    /// of a younger stream. Where marks are rare, such as the keyframes of a film, it may be up to three times as far
    /// behind.
    ///
    /// Without any mark (nothing is recognised yet) it is the beginning of the stream if that is still held. Otherwise it is
    /// [`Self::edge`], or `None` where decoders can begin at marks only: the listener has to wait for the next one.
    ///
    /// Never before a new stream that has begun in this one.
    pub fn join_point(&self, burst: Duration) -> Option<u64> {
        let found = match self.marks.behind(self.time(), burst) {
            Some(mark) => mark.offset,
            None if self.is_untold() => return None,
            None if self.oldest() == self.start && !self.joining.begins_midway => self.start,
            None if self.is_mark_awaited() => return None,
            None => self.edge,
        };
        Some(found.max(self.anew.first_joined()))
    }

    /// The same for a node that begins to hold the stream: of one that is younger than `burst` it gets all, because its listeners
    /// may come from another stream, and go on with the first byte of this one. Of some pages it is not known how long they sound.
    pub fn relay_point(&self, burst: Duration) -> Option<u64> {
        let wanted = self.time().saturating_sub(burst);
        let first = self.marks.first().filter(|mark| mark.media_time >= wanted);
        match first {
            Some(mark) => Some(mark.offset.max(self.anew.first_joined())),
            None => self.join_point(burst),
        }
    }

    /// Whether it is not told yet whether the ring begins where no decoder can: a node that fetches a stream from the middle
    /// is told so just before the first bytes.
    fn is_untold(&self) -> bool {
        self.start > 0 && self.next() == self.start && self.is_mark_awaited()
    }

    /// Whether decoders cannot begin at the edge, and a mark may soon come.
    fn is_mark_awaited(&self) -> bool {
        self.scanner.needs_mark()
            && self.scanner.trouble().is_none()
            && self.ended.is_none()
            && self.joining.may_wait()
    }

    /// Whether the ring has forgotten all places at which a film may be joined.
    pub(super) fn lacks_mark(&self) -> bool {
        let is_film = || self.scanner.format().is_some_and(|it| it.video.is_some());
        self.marks.first().is_none()
            && self.oldest() > self.start
            && self.scanner.needs_mark()
            && is_film()
    }

    /// Whether late listeners have had to wait of late, because the ring is too short for the keyframes of the film.
    pub(super) fn has_lacked_marks(&self) -> bool {
        self.joining.has_lacked()
    }

    /// Notes that the first byte to come is one at which no decoder can begin.
    pub fn begin_midway(&mut self) {
        if self.next() == self.start {
            self.joining.begins_midway = self.scanner.needs_mark();
        }
    }

    /// The bytes that a listener has to be sent before the byte at `offset`, a join point; empty if it needs nothing.
    pub fn prologue_at(&self, offset: u64) -> Bytes {
        self.prologues.at(offset)
    }

    /// How the stream stands at `offset`, for another node that begins to hold it there; `None` if that is not known.
    pub fn start_at(&self, offset: u64) -> Option<StreamStart> {
        let now = self.scanner.media_time()?;
        let mark = self.marks.first_from(offset);
        // Where marks are rare there may be much of the stream before the next one.
        let media_time = mark.map_or(now, |mark| mark.media_time);
        let sample = self.tempo.time_from(offset);
        Some(StreamStart {
            offset,
            media_time: sample.map_or(media_time, |sample| sample.min(media_time)),
            prologue: self.prologues.at(offset),
        })
    }

    /// Takes in how the stream stands at the first byte to come, if this ring has none yet. What makes no sense is
    /// ignored: the ring then begins as if nothing were known.
    pub fn start(&mut self, start: &StreamStart) {
        let is_new = self.next() == self.start && start.offset == self.start;
        let scanner = Scanner::in_the_middle(&self.head.content_type, start);
        let Some(scanner) = scanner.filter(|_| is_new) else {
            return;
        };
        self.scanner = scanner;
        self.since = start.media_time;
        self.prologues.push(Prologue {
            offset: start.offset,
            bytes: start.prologue.clone(),
        });
    }

    /// The offset at which the listeners of another stream continue with this one: its first mark, and the end if it
    /// ends without one, because a piece of a frame after another stream is noise. `None` as long as that is not known.
    pub fn splice_point(&self) -> Option<u64> {
        match self.marks.first() {
            Some(mark) => Some(mark.offset),
            None if !self.scanner.knows_media_time() => Some(self.oldest()),
            None => self.ended.map(|_| self.edge),
        }
    }

    /// The same for listeners whose decoders must not get another prologue, neither in front of the stream nor in it.
    pub fn bare_splice_point(&self) -> Option<u64> {
        let mut next = self.splice_point();
        while let Some(at) = next.filter(|at| self.prologue_at(*at).is_empty()) {
            next = self.marks.first_from(at + 1).map(|mark| mark.offset);
        }
        next.or_else(|| self.ended.map(|_| self.edge))
    }

    /// The offset at which listeners continue that have heard this stream up to `heard_to`, and another one since: the
    /// first mark from there on. If those bytes are gone it is the join point, `burst` behind the live edge.
    /// `None` as long as that is not known.
    pub fn resume_point(&self, heard_to: u64, burst: Duration) -> Option<u64> {
        let (oldest, knows_marks) = (self.oldest(), self.scanner.knows_media_time());
        if heard_to < oldest && oldest > self.start {
            return self.join_point(burst);
        }
        match self.marks.first_from(heard_to) {
            Some(mark) if knows_marks => Some(mark.offset),
            None if knows_marks => self.ended.map(|_| self.edge),
            _ => Some(heard_to.max(oldest)),
        }
    }
}

/// Films with a keyframe each ten seconds, of which a ring holds six.
#[cfg(test)]
pub(crate) mod samples {
    use std::time::Instant;

    use super::super::{RingLimits, samples::ring};
    use super::*;
    use crate::media::format::{ebml::samples as webm, ts::samples as ts};

    /// A film that is sent second by second.
    pub(crate) struct Film {
        pub(crate) content_type: &'static str,
        pub(crate) heads: Vec<u8>,
        second: fn(u32, bool) -> Vec<u8>,
    }

    /// The same film in two formats.
    pub(crate) fn films() -> [Film; 2] {
        let webm = Film {
            content_type: "video/webm",
            heads: webm::heads(&[webm::video_track(1)]),
            second: |at, is_key| {
                let block = |n: i16| webm::block(1, n, is_key && n == 0);
                webm::cluster(at * 1_000, &(0..100).map(block).collect::<Vec<_>>())
            },
        };
        let ts = Film {
            content_type: "video/mp2t",
            heads: ts::tables(&[ts::H264]),
            second: |at, is_key| {
                let body = if is_key { ts::KEY } else { ts::NO_KEY };
                let begun = ts::picture(u64::from(at) * 90_000, body);
                [begun, ts::rest(ts::VIDEO).repeat(60)].concat()
            },
        };
        [webm, ts]
    }

    impl Film {
        /// A second of it; one in ten begins with a keyframe.
        pub(crate) fn second(&self, at: u32) -> Vec<u8> {
            (self.second)(at, at.is_multiple_of(10))
        }

        /// A second without a keyframe.
        pub(crate) fn dull_second(&self, at: u32) -> Vec<u8> {
            (self.second)(at, false)
        }

        /// An empty ring for it.
        pub(crate) fn ring(&self) -> Ring {
            ring(self.content_type).with_limits(Self::limits())
        }

        /// The limits of such a ring.
        pub(crate) fn limits() -> RingLimits {
            RingLimits {
                max_bytes: 64 << 10,
                burst_bytes: 0,
                ..RingLimits::default()
            }
        }

        /// A ring that has taken these seconds, from the first on.
        pub(crate) fn ring_after(&self, seconds: u32) -> Ring {
            let mut ring = self.ring();
            ring.append(0, &self.heads, ring.began());
            for at in 0..seconds {
                take(&mut ring, &self.second(at), at);
            }
            ring
        }
    }

    /// Appends what comes in this second.
    pub(crate) fn take(ring: &mut Ring, bytes: &[u8], second: u32) {
        let at: Instant = ring.began() + Duration::from_secs(second.into());
        ring.append(ring.next(), bytes, at);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use std::time::Instant;

    use super::super::samples::ring;
    use super::samples::{Film, films, take};
    use super::*;
    use crate::media::format::joining::Trouble;
    use crate::media::format::ogg::page::samples::{opus_heads, page};
    use crate::model::stream::{EndReason, StreamId};

    const BURST: Duration = Duration::from_secs(5);

    #[test]
    fn another_node_gets_all_of_a_young_stream() {
        let mut ring = ring("application/ogg");
        // A server gives the headers first, and then what is on air: nothing tells how long the first page sounds.
        let page = |second: u64| page(1, 0, second * 48_000, &[1; 300]);
        let stream = [opus_heads(1), (60..70).flat_map(page).collect()].concat();
        let now = Instant::now();
        ring.append(0, &stream[..900], now);
        assert!(ring.join_point(BURST) > Some(0));
        assert_eq!(ring.relay_point(BURST), Some(0));
        ring.append(900, &stream[900..], now);
        assert!(ring.relay_point(BURST) > Some(900));
    }

    #[test]
    fn a_film_without_a_keyframe_in_the_ring_is_joined_at_the_next() {
        for film in films() {
            let mut ring = film.ring_after(5);
            assert!(ring.join_point(BURST).is_some_and(|at| at < 100_000));
            assert_eq!(ring.trouble(), None);
            (5..10).for_each(|at| take(&mut ring, &film.second(at), at));
            assert_eq!(ring.join_point(BURST), None, "{}", film.content_type);
            assert_eq!(ring.trouble(), Some(Trouble::RareKeyframes));
            let keyframe = ring.next();
            (10..12).for_each(|at| take(&mut ring, &film.second(at), at));
            assert_eq!(ring.join_point(BURST), Some(keyframe));
            assert!(!ring.prologue_at(keyframe).is_empty());
            assert_eq!(ring.trouble(), Some(Trouble::RareKeyframes), "for a while");
            // The encoder is set up anew.
            for at in (20..200).step_by(10) {
                take(&mut ring, &film.second(at), at);
            }
            assert_eq!(ring.trouble(), None);
        }
    }

    #[test]
    fn nobody_waits_for_keyframes_without_end() {
        for film in films() {
            let mut ring = film.ring_after(10);
            assert_eq!(ring.join_point(BURST), None);
            for at in 10..62 {
                take(&mut ring, &film.dull_second(at), at);
            }
            let joined = ring.join_point(BURST);
            assert!(joined.is_some_and(|at| at <= ring.edge()), "{joined:?}");
            let mut ended = film.ring_after(10);
            ended.end(EndReason::SourceLeft);
            assert_eq!(ended.join_point(BURST), Some(ended.edge()));
        }
    }

    #[test]
    fn a_ring_that_begins_midway_is_joined_at_its_first_keyframe() {
        for film in films() {
            let origin = film.ring_after(8);
            assert_eq!(origin.join_point(BURST), None);
            let from = origin.edge();
            let begin = || {
                let head = Arc::clone(origin.head());
                let ring = Ring::new(StreamId(1), head, from, origin.began());
                ring.with_limits(Film::limits())
            };
            let mut relay = begin();
            relay.begin_midway();
            relay.start(&origin.start_at(from).unwrap());
            assert_eq!(relay.join_point(BURST), None);
            let mut rest = film.ring_after(12);
            let Some(keyframe) = rest.join_point(BURST) else {
                panic!("it has come");
            };
            let super::super::Read::Bytes(pieces) = rest.read(from, usize::MAX) else {
                panic!("they are there");
            };
            let bytes = pieces.concat();
            take(&mut relay, &bytes[..(keyframe - from) as usize], 0);
            assert_eq!(relay.join_point(BURST), None, "{}", film.content_type);
            relay.begin_midway();
            take(&mut relay, &bytes[(keyframe - from) as usize..], 1);
            assert_eq!(relay.join_point(BURST), Some(keyframe));
            assert_eq!(relay.prologue_at(keyframe), rest.prologue_at(keyframe));
            rest.end(EndReason::SourceLeft);

            // An older node does not say it, and nor does one that has a mark there.
            let mut older = begin();
            older.start(&origin.start_at(from).unwrap());
            assert_eq!(older.join_point(BURST), None, "it may be told yet");
            take(&mut older, &bytes[..100], 0);
            assert_eq!(older.join_point(BURST), Some(from));
        }
    }
}
