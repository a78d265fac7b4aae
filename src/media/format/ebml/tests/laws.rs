//! The laws of the scanner of Matroska, with drawn streams.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::samples::*;
use super::super::{EbmlScanner, ids};
use super::{beginning, check_late_starts, feed, start};
use crate::media::format::samples::pieces;
use crate::media::format::walker::Walker;

/// A block of a generated stream.
#[derive(Clone, Copy, Debug)]
struct SampleBlock {
    track: u8,
    ticks: i16,
    is_key: bool,
    is_in_group: bool,
}

impl SampleBlock {
    fn any(ticks: impl Strategy<Value = i16>) -> impl Strategy<Value = Self> {
        (1_u8..4, ticks, any::<[bool; 2]>()).prop_map(|drawn| Self {
            track: drawn.0,
            ticks: drawn.1,
            is_key: drawn.2[0],
            is_in_group: drawn.2[1],
        })
    }

    fn bytes(self) -> Vec<u8> {
        match self.is_in_group {
            true => block_group(self.track, self.ticks, self.is_key),
            false => block(self.track, self.ticks, self.is_key),
        }
    }
}

/// A part of a stream behind its headers, in any order of times.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let blocks = prop::collection::vec(SampleBlock::any(any::<i16>()), 0..6);
    let junk = prop::collection::vec(any::<u8>(), 0..200);
    (0_u8..9, 0_u32..100_000, blocks, junk).prop_map(|drawn| {
        let (kind, number, blocks, junk) = drawn;
        let blocks: Vec<Vec<u8>> = blocks.into_iter().map(SampleBlock::bytes).collect();
        let mut whole = cluster(number, &blocks);
        match kind {
            0 => junk,
            1 => heads(&[audio_track(1), video_track(2)]),
            2 => [&open(ids::CLUSTER)[..], &junk].concat(),
            3 => {
                whole.truncate(number as usize % whole.len());
                whole
            }
            4 => [open_cluster(number), blocks.concat()].concat(),
            5 => blocks.concat(),
            _ => whole,
        }
    })
}

/// A stream whose times rise: before some blocks a cluster begins, and before some clusters there is junk, or there are
/// new headers.
fn rising() -> impl Strategy<Value = Vec<u8>> {
    let step = (0_u8..16, SampleBlock::any(0_i16..700));
    let steps = prop::collection::vec(step, 0..40);
    (steps, any::<bool>()).prop_map(|drawn| {
        let (steps, has_pictures) = drawn;
        let tracks = [audio_track(1), video_track(2)];
        let heads = heads(&tracks[..if has_pictures { 2 } else { 1 }]);
        let mut stream = [&heads[..], &open_cluster(0)].concat();
        let (mut now_ms, mut base_ms) = (0, 0);
        for (kind, block) in steps {
            now_ms += block.ticks;
            if kind < 4 {
                base_ms = now_ms;
                let before = [&b""[..], b"", b"\0junk", &heads][usize::from(kind)];
                stream.extend([before, &open_cluster(base_ms as u32)].concat());
            }
            let ticks = now_ms - base_ms;
            stream.extend(SampleBlock { ticks, ..block }.bytes());
        }
        stream
    })
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_findings(
        parts in prop::collection::vec(part(), 0..12),
        cuts in prop::collection::vec(1usize..900, 1..40),
        has_pictures: bool,
    ) {
        let tracks = if has_pictures { vec![audio_track(1), video_track(2)] } else { vec![audio_track(1)] };
        let stream = [heads(&tracks), parts.concat()].concat();
        let mut scanner = beginning();
        let whole = feed(&mut scanner, [&stream[..]]);
        for pieces in [pieces(&stream, &cuts), stream.chunks(1).collect()] {
            let mut cut = beginning();
            prop_assert_eq!(&feed(&mut cut, pieces), &whole);
            let ends = [&cut, &scanner].map(|it| (it.edge(), it.format(), it.trouble(), it.is_lost()));
            prop_assert_eq!(ends[0], ends[1]);
        }
        for offset in whole.offsets() {
            let begins = stream[offset as usize..].first().copied();
            let ids = [ids::HEADER >> 24, ids::CLUSTER >> 24, ids::SIMPLE_BLOCK, ids::BLOCK_GROUP];
            prop_assert!(ids.iter().any(|id| Some(*id as u8) == begins));
        }
    }

    #[test]
    fn nodes_that_begin_at_a_mark_find_the_same(stream in rising()) {
        check_late_starts(&stream);
    }

    #[test]
    fn no_bytes_make_it_panic(
        parts in prop::collection::vec((0usize..9, part(), prop::collection::vec(any::<u8>(), 0..40)), 0..20),
        length in 1usize..500,
        offset: u64,
    ) {
        let ids = [
            ids::HEADER, ids::SEGMENT, ids::INFO, ids::TRACKS, ids::CLUSTER, ids::TIMESTAMP, ids::BLOCK_GROUP, ids::BLOCK,
        ];
        let mut stream = Vec::new();
        for (kind, part, junk) in parts {
            stream.extend(ids.get(kind).map(|id| element(*id, &junk)).unwrap_or_default());
            stream.extend(part);
        }
        feed(&mut beginning(), stream.chunks(length));
        let far = start(offset / 2, offset, Bytes::new());
        let mut far = EbmlScanner::in_the_middle(&far).unwrap();
        feed(&mut far, stream.chunks(length));
        let start = start(offset / 2, 0, stream.clone());
        if let Some(mut late) = EbmlScanner::in_the_middle(&start) {
            feed(&mut late, stream.chunks(length));
        }
    }
}
