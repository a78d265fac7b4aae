//! The promises of loops, with generated files.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::media::format::mpeg::samples as mpeg;
use crate::media::format::ogg::page::samples as ogg;
use crate::media::format::ogg::{Keep, PageScanner, page};
use crate::media::format::tags::samples as tags;
use crate::model::format::CodecName;

const FRAME_BYTES: u64 = 417;

fn mp3(frames: u32) -> Looped {
    Looped::read(&mpeg::frames(frames), 0).unwrap()
}

fn played(looped: &Looped, from: Duration, to: Duration) -> Vec<u8> {
    let range = looped.offset_at(from)..looped.offset_at(to);
    looped.bytes(range).concat()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The serial numbers and flags of the pages.
fn pages(bytes: &[u8]) -> Vec<(u32, bool)> {
    let (mut scanner, mut found) = (PageScanner::new(0, Keep::All), Vec::new());
    let mut take = |page: crate::media::format::ogg::FoundPage<'_>| {
        assert!(page::is_whole(page.bytes), "a checksum is wrong");
        found.push((page.head.serial, page.head.is_first));
        Keep::All
    };
    scanner.feed(bytes, &mut take);
    scanner.finish().map(&mut take);
    found
}

#[test]
fn tags_and_tables_are_not_repeated() {
    let mut info = mpeg::frame(7);
    info[36..40].copy_from_slice(b"Xing");
    let frames = mpeg::frames(50);
    let file = [
        tags::id3v2(&[0; 30_000]),
        info,
        frames.clone(),
        tags::id3v1(),
    ]
    .concat();
    let looped = Looped::read(&file, 0).unwrap();
    assert_eq!(looped.format().codec, CodecName::Mp3);
    assert_eq!(looped.length(), Duration::from_nanos(50 * 26_122_449));
    assert_eq!(
        looped.bytes(0..3 * 50 * FRAME_BYTES).concat(),
        frames.repeat(3)
    );
}

#[test]
fn two_nodes_name_the_same_bytes_by_the_same_numbers() {
    let looped = mp3(100);
    let now = Duration::from_secs(1_800_000_000);
    let offset = looped.offset_at(now);
    assert_eq!(offset % FRAME_BYTES, 0);
    let time = looped.time_at(offset);
    assert!(time <= now && now - time < ms(160), "{time:?}");
    // One piece is at least 100 ms long, which are four frames.
    let next = looped.offset_at(now + ms(130));
    assert!((4..=8).contains(&((next - offset) / FRAME_BYTES)));
    assert_eq!(
        looped.time_at(looped.offset_at(Duration::ZERO)),
        Duration::ZERO
    );
}

#[test]
fn each_round_of_ogg_is_a_link_of_its_own() {
    let looped = Looped::read(&ogg::opus(7, &[1, 2, 3]), 1_000).unwrap();
    assert_eq!(looped.length(), Duration::from_secs(3));
    let rounds = played(&looped, Duration::from_secs(3), Duration::from_secs(9));
    let found = pages(&rounds);
    assert_eq!(found.len(), 10);
    let (first, second) = (found[0].0, found[5].0);
    assert_ne!(first, second);
    let expected = |serial| (0..5).map(move |number| (serial, number == 0));
    assert!(
        found
            .iter()
            .copied()
            .eq(expected(first).chain(expected(second)))
    );
    // The last page of each round says that it is.
    let flags = |page: usize| rounds[page * rounds.len() / 10 + 5];
    assert_eq!(flags(0) & 2, 2);
    let again = Looped::read(&ogg::opus(7, &[1, 2, 3]), 1_000).unwrap();
    assert_eq!(
        played(&again, Duration::from_secs(3), Duration::from_secs(9)),
        rounds
    );
}

#[test]
fn a_ring_that_begins_within_a_round_gets_its_headers() {
    let looped = Looped::read(&ogg::opus(7, &[1, 2, 3]), 5).unwrap();
    let from = looped.offset_at(Duration::from_secs(301));
    let start = looped.start_at(from);
    let serial = pages(&looped.bytes(from..from + 330).concat())[0].0;
    assert_eq!(pages(&start.prologue), [(serial, true), (serial, false)]);
    let round = looped.offset_at(Duration::from_secs(300));
    assert!(looped.start_at(round).prologue.is_empty());
    assert!(mp3(100).start_at(FRAME_BYTES).prologue.is_empty());
}

#[test]
fn bad_files_are_told_what_is_wrong() {
    let frames = mpeg::frames(100);
    let id3 = tags::id3v2(b"only a title");
    let holed = [&frames[..], &[0x55; 900], &frames].concat();
    let webm = b"\x1A\x45\xDF\xA3\x9fwebm".to_vec();
    let cut = ogg::opus(7, &[1, 2, 3])[ogg::opus_heads(7).len()..].to_vec();
    for (file, words) in [
        (Vec::new(), "is empty"),
        (id3, "is empty"),
        (b"a text, which is no audio at all".repeat(900), "not MP3"),
        (vec![0; 70_000], "not MP3"),
        (holed, "damaged at byte 41700"),
        (webm, "WebM cannot be played again"),
        (cut, "does not begin with the headers"),
        (mpeg::frames(20), "plays for 522 ms"),
        (ogg::opus_heads(7), "codec"),
    ] {
        let told = Looped::read(&file, 0).unwrap_err().to_string();
        assert!(told.contains(words), "{words}: {told}");
    }
}

proptest! {
    /// Whatever the times of the cuts are, the pieces together are the frames of the file in order, again and again.
    #[test]
    fn an_endless_loop_is_its_frames_in_order(
        frames in 40_u32..200,
        begin_ms in 0_u64..1_000_000,
        steps_ms in prop::collection::vec(0_u64..3_000, 1..30),
    ) {
        let looped = mp3(frames);
        let mut at = ms(begin_ms);
        let first = looped.offset_at(at);
        let mut heard = Vec::new();
        for step in steps_ms {
            let piece = played(&looped, at, at + ms(step));
            prop_assert_eq!(piece.len() as u64 % FRAME_BYTES, 0);
            heard.extend(piece);
            at += ms(step);
        }
        let behind = (first / FRAME_BYTES) as usize;
        for (number, frame) in heard.chunks(FRAME_BYTES as usize).enumerate() {
            let expected = mpeg::frame(((behind + number) % frames as usize) as u32);
            prop_assert_eq!(frame, &expected[..]);
        }
        // The bytes are as much as the time: no piece is longer than what may be kept back.
        let late = at.saturating_sub(looped.time_at(looped.offset_at(at)));
        prop_assert!(late < ms(160), "{:?}", late);
    }
}
