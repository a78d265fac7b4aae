//! Clusters: which of them, and which blocks in them, a late listener may begin with; and the time that blocks tell.

use std::time::Duration;

use super::element::{Vint, number};
use super::tracks::Tracks;

/// The first bytes of a block that are read: the number of its track, its time, its flags.
pub(super) const BLOCK_HEAD_BYTES: usize = 11;

/// The flag of a block that can be decoded without the ones before.
const FLAG_KEY: u8 = 0x80;

/// The least time from a place where a stream may be joined to one within a cluster: finer than any listener's burst
/// needs, and it bounds how many prologues there are.
const ENTRY_SPACING: Duration = Duration::from_secs(1);

/// After so long without a keyframe a stream is joined without one, as long as a ring keeps the places before: its sound
/// can be heard then, and there may be no picture for minutes.
const MAX_UNMARKED: Duration = Duration::from_secs(30);

/// A larger step of the blocks' time is a jump of the encoder's clock, not sound: no encoder leaves so long a hole.
const MAX_STEP: Duration = Duration::from_secs(30);

/// The longest part of a block or of a cluster that is held back until it is whole: half of the smallest ring. The rest of a
/// longer one is read while it comes.
pub(super) const MOST_HELD_BACK: u64 = 512 << 10;

/// The most sound or pictures that are held back until their cluster is whole: longer than the clusters of live encoders,
/// which know the length of one only when it is whole, and as much as any player has in its buffer.
const MOST_HELD_TIME: Duration = Duration::from_secs(2);

/// The beginning of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHead {
    /// The number of its track.
    pub track: u64,
    /// The time, counted from that of its cluster.
    pub ticks: i16,
    /// Whether it says that it is a keyframe; a block in a group does not.
    pub is_key: bool,
}

impl BlockHead {
    /// Reads the first bytes of a block.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let track = Vint::read(body)?;
        let [high, low, flags] = *body.get(track.bytes..)?.first_chunk()?;
        Some(Self {
            track: track.value,
            ticks: i16::from_be_bytes([high, low]),
            is_key: flags & FLAG_KEY != 0,
        })
    }
}

/// A cluster that comes now.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenCluster {
    /// The offset at which it begins.
    pub offset: u64,
    /// The offset behind it; `None` if its length is unknown.
    pub end: Option<u64>,
    /// The time that its blocks are counted from; `None` until it comes.
    pub timestamp: Option<u64>,
    /// Whether the prologue of its blocks has been found.
    pub has_entry: bool,
    /// The time of its first block.
    began: Option<Duration>,
    /// Whether the block has come that says if the cluster may be joined.
    is_judged: bool,
}

impl OpenCluster {
    /// A cluster that begins.
    pub(super) fn at(offset: u64, end: Option<u64>) -> Self {
        Self {
            offset,
            end,
            timestamp: None,
            has_entry: false,
            began: None,
            is_judged: false,
        }
    }

    /// The rest of a cluster with this timestamp, whose entry prologue is known.
    pub(super) fn rest(offset: u64, timestamp: u64) -> Self {
        Self {
            timestamp: Some(timestamp),
            has_entry: true,
            is_judged: true,
            ..Self::at(offset, None)
        }
    }

    /// Takes the body of the timestamp.
    pub(super) fn set_timestamp(&mut self, body: &[u8]) {
        self.timestamp = number(body);
    }

    /// Whether its blocks are held back at this time of the stream. A decoder that gets a part of a cluster whose length it
    /// was told takes that for a failure.
    pub(super) fn is_held_back(&self, now: Duration) -> bool {
        let bytes = self.end.map(|end| end.saturating_sub(self.offset));
        let time = now.saturating_sub(self.began.unwrap_or(now));
        bytes.is_some_and(|bytes| bytes <= MOST_HELD_BACK) && time <= MOST_HELD_TIME
    }

    /// The time of a block, in ticks; `None` if the cluster has not said its own.
    pub(super) fn ticks(&self, block: &BlockHead) -> Option<u64> {
        let timestamp = self.timestamp?;
        Some(timestamp.saturating_add_signed(i64::from(block.ticks)))
    }
}

/// The place where a stream may be joined, now that a block has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinAt {
    /// At the beginning of the cluster, which has this time.
    Cluster(Duration),
    /// At the block.
    Block,
    /// At neither.
    Neither,
}

/// The rule by which places are found where a stream may be joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct JoinRule {
    /// The track that decides.
    lead: u64,
    /// Whether only a keyframe of that track may be joined.
    needs_key: bool,
    /// Whether blocks within a cluster may be joined.
    may_enter: bool,
    /// The time at the last place that was found, or where the rule began.
    marked: Option<Duration>,
    since: Duration,
}

impl JoinRule {
    /// The rule for a stream with these tracks, from this time on.
    pub(super) fn new(tracks: &Tracks, may_enter: bool, since: Duration) -> Self {
        Self {
            lead: tracks.lead,
            needs_key: tracks.has_pictures(),
            may_enter,
            marked: None,
            since,
        }
    }

    /// Judges a block that comes at this time of the stream.
    pub(super) fn judge(
        &mut self,
        cluster: &mut OpenCluster,
        block: &BlockHead,
        now: Duration,
    ) -> JoinAt {
        let began = *cluster.began.get_or_insert(now);
        let unmarked = now.saturating_sub(self.marked.unwrap_or(self.since));
        let is_overdue = unmarked >= MAX_UNMARKED;
        if block.track != self.lead && !is_overdue {
            return JoinAt::Neither;
        }
        let is_first = !std::mem::replace(&mut cluster.is_judged, true);
        let may_decode = block.is_key || !self.needs_key || is_overdue;
        let is_far = self.marked.is_none() || unmarked >= ENTRY_SPACING;
        if is_first && may_decode {
            self.marked = Some(began);
            JoinAt::Cluster(began)
        } else if may_decode && is_far && self.may_enter {
            self.marked = Some(now);
            JoinAt::Block
        } else {
            JoinAt::Neither
        }
    }
}

/// The time of a stream by its blocks.
///
/// Blocks of several tracks are not quite in order, so the time is that of the latest. A jump counts as no time.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockClock {
    time: Duration,
    tick_nanos: u64,
    latest: Option<u64>,
}

impl BlockClock {
    /// A clock that stands at this time.
    pub(super) fn at(time: Duration) -> Self {
        Self {
            time,
            tick_nanos: 0,
            latest: None,
        }
    }

    /// The time of the latest block.
    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// Begins to count ticks of so many nanoseconds; the first one counts as no time.
    pub(super) fn restart(&mut self, tick_nanos: u64) {
        self.tick_nanos = tick_nanos;
        self.latest = None;
    }

    /// Moves the time on to this one, if it is not so late yet.
    pub(super) fn catch_up(&mut self, earliest: Duration) {
        self.time = self.time.max(earliest);
    }

    /// Takes the time of a block.
    pub(super) fn advance(&mut self, ticks: u64) {
        let latest = *self.latest.get_or_insert(ticks);
        let nanos = ticks.abs_diff(latest).saturating_mul(self.tick_nanos);
        let step = Duration::from_nanos(nanos);
        if step > MAX_STEP {
            self.latest = Some(ticks);
        } else if ticks > latest {
            self.latest = Some(ticks);
            self.time = self.time.saturating_add(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{audio_track, video_track};
    use super::*;
    use crate::model::format::Container;

    const SECOND: Duration = Duration::from_secs(1);

    fn block(track: u64, is_key: bool) -> BlockHead {
        BlockHead {
            track,
            ticks: 0,
            is_key,
        }
    }

    /// A rule in which track 1 leads.
    fn rule(has_pictures: bool, since: Duration) -> JoinRule {
        let track = if has_pictures {
            video_track(1)
        } else {
            audio_track(1)
        };
        let tracks = Tracks::read(&track, Container::Webm).unwrap();
        JoinRule::new(&tracks, true, since)
    }

    /// Judges blocks of one cluster: track, whether it is a keyframe, tenths of a second. A place is 0 for the cluster, or
    /// else the number of the block, from 1.
    fn places(rule: &mut JoinRule, blocks: &[(u64, bool, u32)]) -> Vec<usize> {
        let (mut cluster, mut places) = (OpenCluster::at(0, None), Vec::new());
        for (at, (track, is_key, tenths)) in blocks.iter().enumerate() {
            let now = SECOND * *tenths / 10;
            match rule.judge(&mut cluster, &block(*track, *is_key), now) {
                JoinAt::Cluster(time) => {
                    assert_eq!(Some(time), cluster.began);
                    places.push(0);
                }
                JoinAt::Block => places.push(at + 1),
                JoinAt::Neither => {}
            }
        }
        places
    }

    #[test]
    fn the_head_of_a_block_is_short() {
        let key = BlockHead::read(&[0x81, 0xFF, 0xFE, 0x80, 9, 9]);
        let expected = BlockHead {
            ticks: -2,
            ..block(1, true)
        };
        assert_eq!(key, Some(expected));
        let wide = BlockHead::read(&[0x40, 0x81, 0, 7, 0x06]).unwrap();
        assert_eq!((wide.track, wide.ticks, wide.is_key), (0x81, 7, false));
        for short in [&[][..], &[0x81, 0, 0], &[0x40, 0x81, 0, 0], &[0; 11]] {
            assert_eq!(BlockHead::read(short), None, "{short:x?}");
        }
        assert!(BlockHead::read(&[1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0x80]).is_some());
    }

    #[test]
    fn a_cluster_is_joined_if_its_first_picture_is_a_keyframe() {
        let mut rule = rule(true, Duration::ZERO);
        let key_first = [(2, true, 3), (1, true, 4), (1, true, 5)];
        assert_eq!(places(&mut rule, &key_first), [0]);
        assert_eq!(rule.marked, Some(SECOND * 3 / 10));
        let key_later = [
            (1, false, 10),
            (1, true, 12),
            (1, true, 13),
            (1, true, 22),
            (1, true, 23),
        ];
        assert_eq!(places(&mut rule, &key_later), [3, 5]);
    }

    #[test]
    fn sound_alone_is_joined_at_each_cluster_and_each_second() {
        let mut rule = rule(false, Duration::ZERO);
        let blocks = [0, 9, 10, 19, 20].map(|tenths| (1, false, tenths));
        assert_eq!(places(&mut rule, &blocks), [0, 3, 5]);
        assert_eq!(places(&mut rule, &[(2, true, 20), (1, false, 21)]), [0]);
    }

    #[test]
    fn long_headers_are_not_sent_within_clusters() {
        let mut rule = rule(false, Duration::ZERO);
        rule.may_enter = false;
        let blocks = [0, 10, 20, 400].map(|tenths| (1, false, tenths));
        assert_eq!(places(&mut rule, &blocks), [0]);
        assert_eq!(places(&mut rule, &[(2, false, 400)]), [0], "overdue");
    }

    #[test]
    fn without_keyframes_a_stream_is_joined_now_and_then() {
        let mut rule = rule(true, SECOND);
        let blocks = [
            (1, false, 20),
            (2, true, 309),
            (2, true, 310),
            (2, true, 320),
        ];
        assert_eq!(places(&mut rule, &blocks), [3]);
        assert_eq!(places(&mut rule, &[(2, true, 610), (1, false, 611)]), [0]);
    }

    #[test]
    fn a_joined_rest_of_a_cluster_begins_with_its_first_block() {
        let mut rule = rule(true, SECOND);
        let mut cluster = OpenCluster::rest(50, 9);
        let found = rule.judge(&mut cluster, &block(1, true), SECOND);
        assert_eq!(found, JoinAt::Block);
        let early = BlockHead {
            ticks: -10,
            ..block(1, true)
        };
        assert_eq!(cluster.ticks(&early), Some(0));
        assert_eq!(OpenCluster::at(0, None).ticks(&early), None);
    }

    #[test]
    fn a_cluster_is_held_back_if_it_is_short() {
        for (end, tenths, is_held_back) in [
            (Some(50), 20, true),
            (Some(50), 21, false),
            (Some(10 + MOST_HELD_BACK), 0, true),
            (Some(11 + MOST_HELD_BACK), 0, false),
            (None, 0, false),
        ] {
            let mut cluster = OpenCluster::at(10, end);
            assert_eq!(cluster.is_held_back(SECOND), is_held_back || tenths > 20);
            cluster.began = Some(SECOND);
            let now = SECOND + SECOND * tenths / 10;
            assert_eq!(cluster.is_held_back(now), is_held_back, "{end:?}");
        }
    }

    #[test]
    fn the_clock_follows_the_latest_block_and_no_jump() {
        let mut clock = BlockClock::at(SECOND);
        clock.restart(1_000_000);
        for (ticks, time_ms) in [
            (5_000, 1_000),
            (5_040, 1_040),
            (5_020, 1_040),
            (5_060, 1_060),
            (90_000, 1_060),
            (90_010, 1_070),
            (0, 1_070),
            (10, 1_080),
            (u64::MAX, 1_080),
        ] {
            clock.advance(ticks);
            assert_eq!(clock.time(), Duration::from_millis(time_ms), "{ticks}");
        }
        clock.catch_up(SECOND);
        assert_eq!(clock.time().as_millis(), 1_080);
        clock.catch_up(SECOND * 2);
        assert_eq!(clock.time(), SECOND * 2);
    }
}
