//! The promises of the scanner of frames, with generated streams.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::media::format::adts::{self, AdtsHead};
use crate::media::format::loas::{self, LoasHead};
use crate::media::format::mpeg::{self, MpegHead};
use crate::media::format::samples::pieces;
use crate::media::format::tags::samples as tags;

/// Nothing more is kept, whatever comes.
fn held_bound<H: FrameHead>() -> usize {
    2 * H::MAX_FRAME_BYTES + H::BYTES + HELD_MORE_BYTES
}

/// The places of frames, and the edge behind all pieces.
type Scan = (Vec<(u64, Duration, usize)>, u64);

fn scan<'a, H: FrameHead>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Scan {
    let (mut frames, mut found) = (Frames::<H>::new(0), Vec::new());
    let mut edge = 0;
    for piece in pieces {
        frames.scan(piece, Duration::ZERO, |start| {
            found.push((start.offset, start.media_time, start.frame_bytes));
        });
        assert!(frames.held.len() <= held_bound::<H>());
        assert!((edge..=frames.next()).contains(&frames.edge()));
        edge = frames.edge();
    }
    (found, edge)
}

fn offsets<H: FrameHead>(stream: &[u8]) -> Vec<u64> {
    let (found, _) = scan::<H>([stream]);
    found.iter().map(|(offset, ..)| *offset).collect()
}

/// A frame that begins with a header and is as long as that says.
fn frame_of(header: [u8; 4]) -> Vec<u8> {
    let frame_bytes = MpegHead::parse(&header).and_then(|it| it.frame_bytes());
    let mut frame = header.to_vec();
    frame.resize(frame_bytes.unwrap(), 0x2A);
    frame
}

#[test]
fn a_frame_is_believed_when_the_next_one_follows() {
    let (found, _) = scan::<MpegHead>([&mpeg::samples::frames(3)[..417 * 2 + 40]]);
    let time = |n| Duration::from_nanos(n * 26_122_449);
    assert_eq!(found, [0, 1, 2].map(|n| (n * 417, time(n), 417)));
    assert_eq!(offsets::<MpegHead>(&mpeg::samples::frames(1)), [0u64; 0]);
    // A false header, whose frame ends nowhere.
    let mut lone = vec![0xFF, 0xFB, 0x90, 0x64, 1, 2, 3];
    lone.extend(mpeg::samples::frames(2));
    assert_eq!(offsets::<MpegHead>(&lone), [7, 424]);
}

#[test]
fn frames_of_every_kind_are_found() {
    let kinds = [
        [0xFF, 0xFB, 0x90, 0xC0], // mono
        [0xFF, 0xF3, 0x80, 0x00], // MPEG-2
        [0xFF, 0xE3, 0x18, 0xC0], // MPEG-2.5, mono
        [0xFF, 0xFD, 0xA4, 0x00], // MP2
        [0xFF, 0xFF, 0xC6, 0x00], // MP1
    ];
    for header in kinds {
        let frame = frame_of(header);
        let found = offsets::<MpegHead>(&frame.repeat(5));
        let expected = [0, 1, 2, 3, 4].map(|n| n * frame.len() as u64);
        assert_eq!(found, expected, "{header:x?}");
    }
    assert_eq!(
        offsets::<AdtsHead>(&adts::samples::frames(4)),
        [0, 300, 601, 903]
    );
    assert_eq!(
        offsets::<LoasHead>(&loas::samples::frames(4)),
        [0, 203, 407, 612]
    );
}

#[test]
fn the_free_format_is_walked_with_its_padding() {
    let mut stream = mpeg::samples::free_frames(1_001, 3);
    let mut padded = mpeg::samples::free_frames(1_002, 1);
    padded[2] |= 0b10;
    stream.extend(&padded);
    stream.extend(mpeg::samples::free_frames(1_001, 2));
    assert_eq!(
        offsets::<MpegHead>(&stream),
        [0, 1_001, 2_002, 3_003, 4_005, 5_006]
    );
    // Another length after a gap is found anew.
    stream.extend(b"gap");
    let gap = stream.len() as u64;
    stream.extend(mpeg::samples::free_frames(700, 3));
    assert_eq!(
        offsets::<MpegHead>(&stream)[6..],
        [gap, gap + 700, gap + 1_400]
    );
}

#[test]
fn a_change_of_rate_is_found_anew() {
    let slower = frame_of([0xFF, 0xFB, 0x94, 0x64]);
    let stream = [mpeg::samples::frames(2), slower.clone(), slower].concat();
    assert_eq!(offsets::<MpegHead>(&stream), [0, 417, 834, 1_218]);
    let mut frames = Frames::<MpegHead>::new(0);
    frames.scan(&stream, Duration::ZERO, |_| {});
    assert_eq!(frames.format().map(|it| it.sample_rate_hz), Some(48_000));
}

#[test]
fn garbage_between_frames_costs_only_the_garbage() {
    let mut stream = vec![0xFF; 5_000];
    stream.extend(mpeg::samples::frames(3));
    stream.extend(b"TAG plain text that is 20 bytes or more");
    let second = stream.len() as u64;
    stream.extend(mpeg::samples::frames(2));
    let found = offsets::<MpegHead>(&stream);
    assert_eq!(found, [5_000, 5_417, 5_834, second, second + 417]);
}

#[test]
fn a_cut_frame_costs_itself_and_the_next() {
    for (cut, later) in [(100, 517), (400, 817)] {
        let stream = [
            &mpeg::samples::frames(2)[..417 + cut],
            &mpeg::samples::frames(4),
        ]
        .concat();
        let later = later + 417;
        assert_eq!(
            offsets::<MpegHead>(&stream),
            [0, 417, later, later + 417, later + 834]
        );
    }
}

#[test]
fn tags_are_passed_over_even_when_frames_are_in_them() {
    let tag = tags::id3v2(&mpeg::samples::frames(4));
    let mut stream = tag.clone();
    let first = stream.len() as u64;
    stream.extend(mpeg::samples::frames(2));
    stream.extend(b"ID3\x04\x00\x10\x00\x00\x00\x05hello3DI.footer");
    let third = stream.len() as u64;
    stream.extend(mpeg::samples::frames(1));
    assert_eq!(offsets::<MpegHead>(&stream), [first, first + 417, third]);
    // The short tags are passed in step too: one frame behind them is enough.
    for short in [tags::id3v1(), tags::ape(b"Title song")] {
        let stream = [
            mpeg::samples::frames(2),
            short.clone(),
            mpeg::samples::frames(1),
        ]
        .concat();
        assert_eq!(
            offsets::<MpegHead>(&stream),
            [0, 417, 834 + short.len() as u64]
        );
    }
}

#[test]
fn a_table_of_contents_is_no_audio() {
    let mut info = mpeg::samples::frame(7);
    info[36..40].copy_from_slice(b"Info");
    let stream = [info, mpeg::samples::frames(2)].concat();
    let (found, edge) = scan::<MpegHead>([&stream[..]]);
    assert_eq!(found[0], (417, Duration::ZERO, 417));
    assert_eq!((found.len(), edge), (2, 417 * 3));
}

#[test]
fn the_edge_is_behind_the_last_whole_frame() {
    let stream = mpeg::samples::frames(4);
    let mut edges = BTreeSet::new();
    let mut frames = Frames::<MpegHead>::new(1_000);
    for byte in stream.chunks(1) {
        frames.scan(byte, Duration::ZERO, |_| {});
        edges.insert(frames.edge());
    }
    assert_eq!(
        Vec::from_iter(edges),
        [0, 1, 2, 3, 4].map(|n| 1_000 + n * 417)
    );
    assert_eq!(
        frames.edge(),
        frames.next(),
        "no frame has to follow the last"
    );
    // Text is of no format, and waits for nothing.
    let mut frames = Frames::<MpegHead>::new(0);
    frames.scan(b"some text", Duration::ZERO, |_| {});
    assert_eq!(frames.edge(), 9);
}

#[test]
fn time_goes_on_from_the_start() {
    let start = StreamStart {
        offset: 500,
        media_time: Duration::from_secs(7),
        prologue: bytes::Bytes::new(),
    };
    let mut frames = Frames::<AdtsHead>::in_the_middle(&start, CodecName::HeAac);
    let mut marks = Vec::new();
    let stream = adts::samples::frames(3);
    let arrived = Duration::from_secs(1);
    frames.feed(&stream, arrived, &mut |scanned| marks.push(scanned));
    let mark = |offset, nanos| {
        let media_time = Duration::from_secs(7) + Duration::from_nanos(nanos);
        Scanned::Mark(Mark { offset, media_time })
    };
    let frame_nanos = 23_219_955;
    let expected = [
        mark(500, 0),
        mark(800, frame_nanos),
        mark(1_101, 2 * frame_nanos),
    ];
    assert_eq!(marks, expected);
    let facts = frames.format().unwrap();
    assert_eq!(
        (facts.codec, facts.sample_rate_hz),
        (CodecName::Aac, 44_100)
    );
}

#[test]
fn the_time_of_loas_is_that_of_arrival_until_it_is_told() {
    let mut frames = Frames::<LoasHead>::new(0);
    let mut times_ms = Vec::new();
    let mut feed = |frames: &mut Frames<LoasHead>, stream: &[u8], arrived_ms| {
        times_ms.clear();
        frames.scan(stream, Duration::from_millis(arrived_ms), |start| {
            times_ms.push(start.media_time.as_millis());
        });
        times_ms.clone()
    };
    let untold = loas::samples::frame(&[0x80], 100);
    assert_eq!(feed(&mut frames, &untold.repeat(3), 40), [40, 40, 40]);
    assert_eq!(frames.media_time(), None);
    assert_eq!(
        feed(&mut frames, &loas::samples::frames(3), 90),
        [90, 113, 136]
    );
    assert_eq!(frames.media_time().map(|it| it.as_millis()), Some(159));
    assert_eq!(feed(&mut frames, &untold, 10_000), [159]);
    assert_eq!(frames.format().map(|it| it.sample_rate_hz), Some(44_100));
}

#[test]
fn long_junk_is_told_and_then_given_up() {
    let noise = |bytes: u64| vec![0xA5; bytes as usize];
    let mut frames = Frames::<MpegHead>::new(0);
    frames.scan(&noise(UNFRAMED_BYTES), Duration::ZERO, |_| {});
    assert_eq!((frames.trouble(), frames.is_lost()), (None, false));
    frames.scan(&noise(1), Duration::ZERO, |_| {});
    assert_eq!(
        (frames.trouble(), frames.is_lost()),
        (Some(Trouble::NoHeaders), true)
    );

    let mut frames = Frames::<MpegHead>::new(0);
    frames.scan(&mpeg::samples::frames(100), Duration::from_secs(1), |_| {});
    let time = frames.media_time().unwrap();
    frames.scan(&noise(LOST_BYTES), Duration::from_secs(20), |_| {});
    assert_eq!(
        (frames.trouble(), frames.is_lost()),
        (Some(Trouble::NoHeaders), false)
    );
    assert!(frames.clone().to_pieces().trouble().is_some());
    let mark = frames
        .to_pieces()
        .take(b"more", Duration::from_secs(21))
        .unwrap();
    assert_eq!(mark.media_time, time + Duration::from_secs(1));
    frames.scan(&mpeg::samples::frames(2), Duration::from_secs(21), |_| {});
    assert_eq!((frames.trouble(), frames.is_lost()), (None, false));
}

#[test]
fn false_headers_of_the_free_format_do_not_hide_the_real_ones() {
    // No three of them are at equal distances: the numbers whose digits to the base 3 are 0 and 1.
    let mut stream = vec![0; 4 * 9_000];
    for at in 0..9_000 {
        let mut digits = std::iter::successors(Some(at), |it| (*it > 0).then_some(it / 3));
        if digits.all(|it| it % 3 < 2) {
            stream[4 * at..4 * at + 4].copy_from_slice(&mpeg::samples::FREE_HEADER);
        }
    }
    let first = stream.len() as u64;
    stream.extend(mpeg::samples::frames(40));
    let (found, _) = scan::<MpegHead>(stream.chunks(1_400));
    assert_eq!(found.len(), 40);
    assert_eq!(found[0].0, first);
}

/// A part of a stream: audio, a tag or garbage, by a number, and as long as the garbage.
fn part(kind: u8, junk: &[u8], frames: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    match kind % 6 {
        0 => junk.to_vec(),
        1 => tags::id3v2(junk),
        2 => tags::id3v1(),
        3 => {
            let cut = frames(2);
            cut[..junk.len().min(cut.len())].to_vec()
        }
        _ => frames(junk.len() % 7),
    }
}

fn parts() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let byte = prop_oneof![Just(0xFF), Just(0xFB), Just(0x56), any::<u8>()];
    prop::collection::vec((any::<u8>(), prop::collection::vec(byte, 0..600)), 0..12)
}

fn check_cuts<H: FrameHead>(
    parts: &[(u8, Vec<u8>)],
    cuts: &[usize],
    frames: impl Fn(usize) -> Vec<u8>,
) -> Result<(), TestCaseError> {
    let parts = parts.iter().map(|(kind, junk)| part(*kind, junk, &frames));
    let stream = parts.collect::<Vec<_>>().concat();
    let whole = scan::<H>([&stream[..]]);
    prop_assert_eq!(&scan::<H>(pieces(&stream, cuts)), &whole);
    prop_assert_eq!(&scan::<H>(stream.chunks(1)), &whole);
    Ok(())
}

proptest! {
    #[test]
    fn any_split_finds_the_same_frames(
        parts in parts(),
        cuts in prop::collection::vec(1usize..900, 1..40),
        free_bytes in 100usize..1_500,
    ) {
        check_cuts::<MpegHead>(&parts, &cuts, |count| mpeg::samples::frames(count as u32))?;
        check_cuts::<MpegHead>(&parts, &cuts, |count| mpeg::samples::free_frames(free_bytes, count))?;
        check_cuts::<MpegHead>(&parts, &cuts, |count| frame_of([0xFF, 0xFD, 0xA4, 0x00]).repeat(count))?;
        check_cuts::<AdtsHead>(&parts, &cuts, adts::samples::frames)?;
        check_cuts::<LoasHead>(&parts, &cuts, loas::samples::frames)?;
    }
}
