//! Streams of FLAC in usual and unusual orders, and cut at any byte.

use proptest::prelude::*;

use super::samples::{SAMPLES, beginning, block, frame, frame_with, frames, head, headers};
use super::*;
use crate::media::format::joining::MAX_PROLOGUE_BYTES;
use crate::media::format::ogg::page::samples::comments;
use crate::media::format::samples::pieces;

/// The beginning of a stream.
fn at_first() -> StreamStart {
    StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    }
}

/// A byte in the middle of a stream, 7 s after its beginning.
fn in_the_middle() -> StreamStart {
    StreamStart {
        offset: 50_000,
        media_time: Duration::from_secs(7),
        prologue: Bytes::from(beginning()),
    }
}

/// Everything that is found in a stream, and the scanner afterwards. Its edge never falls, and what it holds is bounded.
fn scan<'a>(
    start: &StreamStart,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (FlacScanner, Vec<Scanned>) {
    let mut scanner = FlacScanner::in_the_middle(start).expect("a start");
    let (mut found, mut edge) = (Vec::new(), 0);
    for piece in pieces {
        scanner.feed(piece, Duration::ZERO, &mut |scanned| found.push(scanned));
        assert!(scanner.held.len() < MAX_HEAD_BYTES);
        assert!((edge..=scanner.next()).contains(&scanner.edge()));
        edge = scanner.edge();
    }
    (scanner, found)
}

/// The marks among findings: offsets, and times in milliseconds.
fn marks(found: &[Scanned]) -> Vec<(u64, u128)> {
    let mark = |scanned: &Scanned| match scanned {
        Scanned::Mark(mark) => Some((mark.offset, mark.media_time.as_millis())),
        _ => None,
    };
    found.iter().filter_map(mark).collect()
}

/// The titles among findings.
fn titles(found: &[Scanned]) -> Vec<(u64, String)> {
    let title = |scanned: &Scanned| match scanned {
        Scanned::Comment(comment) => Some((comment.offset, comment.title.text.clone())),
        _ => None,
    };
    found.iter().filter_map(title).collect()
}

#[test]
fn comments_are_the_title_from_the_first_byte_on() {
    let said = comments(b"", &[b"ARTIST=A", b"title=T"]);
    let titled = [headers(&[block(4, &said), block(1, &[0; 9])]), frames(0..3)].concat();
    let plain = [beginning(), frames(0..3)].concat();
    let stream = [&titled[..], &plain, &plain].concat();
    let (_, found) = scan(&at_first(), [&stream[..]]);
    let begins = [0, titled.len() as u64];
    let expected = [(begins[0], "A - T".to_owned()), (begins[1], String::new())];
    assert_eq!(titles(&found), expected);
    assert_eq!(titles(&scan(&at_first(), [&plain[..]]).1), []);
}

/// The prologues among findings.
fn prologues(found: &[Scanned]) -> Vec<(u64, Bytes)> {
    let prologue = |scanned: &Scanned| match scanned {
        Scanned::Prologue(prologue) => Some((prologue.offset, prologue.bytes.clone())),
        _ => None,
    };
    found.iter().filter_map(prologue).collect()
}

/// The marks of a stream: the numbers of the parts at which they stand, and times in milliseconds.
fn marked_parts(start: &StreamStart, parts: &[Vec<u8>]) -> Vec<(usize, u128)> {
    let mut offsets = vec![start.offset];
    for part in parts {
        offsets.push(offsets.last().unwrap() + part.len() as u64);
    }
    let found = scan(start, [&parts.concat()[..]]).1;
    let part = |offset: u64| offsets.iter().position(|it| *it == offset);
    let parts = marks(&found).into_iter();
    let parts = parts.map(|(offset, ms)| (part(offset).expect("a part's beginning"), ms));
    parts.collect()
}

#[test]
fn every_frame_is_a_mark_behind_the_headers() {
    let stream = [beginning(), frames(0..3)].concat();
    let (scanner, found) = scan(&at_first(), [&stream[..]]);
    let first = beginning().len() as u64;
    let [second, third] = [1, 2].map(|n| first + frames(0..n).len() as u64);
    assert_eq!(
        marks(&found),
        [(0, 0), (first, 0), (second, 100), (third, 200)]
    );
    let expected = [(0, Bytes::new()), (first, beginning().into())];
    assert_eq!(prologues(&found), expected);
    assert_eq!(scanner.edge(), third);
    assert_eq!(scanner.media_time(), Some(Duration::from_millis(300)));
    let format = scanner.format().unwrap();
    assert_eq!(
        (format.container, format.codec),
        (Container::Flac, CodecName::Flac)
    );
    assert_eq!((format.sample_rate_hz, format.channels), (44_100, 2));
    assert_eq!(scanner.trouble(), None);
    assert!(scanner.has_short_frames() && !scanner.is_lost());
}

#[test]
fn padding_is_left_out_and_the_last_block_is_said_to_be() {
    let padded = headers(&[
        block(1, &[0; 500]),
        block(4, b"comments"),
        block(3, &[0; 18]),
        block(1, &[0; 8_192]),
    ]);
    let (_, found) = scan(&at_first(), [&padded[..]]);
    let expected = (padded.len() as u64, Bytes::from(beginning()));
    assert_eq!(prologues(&found)[1], expected);
}

#[test]
fn the_length_of_a_file_is_not_that_of_its_stream() {
    let mut file = beginning();
    file[21] |= 0x0F;
    file[22..42].fill(0x77);
    let (_, found) = scan(&at_first(), [&file[..]]);
    assert_eq!(prologues(&found)[1].1, beginning());
}

#[test]
fn a_picture_is_kept_if_it_fits() {
    let with_picture =
        |bytes: usize| headers(&[block(4, b"comments"), block(6, &vec![0xFF; bytes])]);
    let with_kept = with_picture(100 << 10);
    for (headers, kept) in [
        (with_kept.clone(), with_kept),
        (with_picture(3 << 20), with_picture(3 << 20)),
        (with_picture(MAX_PROLOGUE_BYTES), beginning()),
        (with_picture((1 << 24) - 1), beginning()),
    ] {
        let kept = if kept.len() > MAX_PROLOGUE_BYTES {
            beginning()
        } else {
            kept
        };
        let stream = [headers.clone(), frames(0..2)].concat();
        let (scanner, found) = scan(&at_first(), stream.chunks(70_001));
        let left_out = (kept != headers).then_some(Trouble::LeftOut);
        assert_eq!(scanner.trouble(), left_out, "listeners do without it");
        assert_eq!(prologues(&found)[1], (headers.len() as u64, kept.into()));
        assert_eq!(marks(&found).len(), 3);
        assert!(!scanner.is_lost());
    }
}

#[test]
fn frames_of_different_lengths_are_numbered_by_samples() {
    let (mut number, mut stream) = (0, vec![beginning()]);
    for samples in [4_410, 441, 882, SAMPLES, 4_410] {
        stream.push(frame_with(head(true, number, samples), 7));
        number += u64::from(samples);
    }
    let expected = [(0, 0), (1, 0), (2, 100), (3, 110), (4, 130), (5, 230)];
    assert_eq!(marked_parts(&at_first(), &stream), expected);
    stream.remove(3); // A lost frame costs a second look, and no time.
    let expected = [(0, 0), (1, 0), (2, 100), (3, 130), (4, 230)];
    assert_eq!(marked_parts(&at_first(), &stream), expected);
}

#[test]
fn after_a_loss_two_frames_in_a_row_are_wanted() {
    let stream = |numbers: &[u64]| {
        let frames = numbers.iter().map(|number| frame(*number));
        [beginning()].into_iter().chain(frames).collect::<Vec<_>>()
    };
    let lost = marked_parts(&at_first(), &stream(&[0, 1, 5, 6]));
    assert_eq!(lost, [(0, 0), (1, 0), (2, 100), (3, 500), (4, 600)]);
    let torn = marked_parts(&at_first(), &stream(&[0, 1, 5, 9, 10]));
    assert_eq!(torn, [(0, 0), (1, 0), (2, 100), (4, 900), (5, 1_000)]);
    let counts_anew = marked_parts(&at_first(), &stream(&[800, 801, 0, 1]));
    assert_eq!(counts_anew, [(0, 0), (1, 0), (2, 100), (3, 200), (4, 300)]);
    let twice = marked_parts(&at_first(), &stream(&[0, 1, 1, 2]));
    assert_eq!(twice, [(0, 0), (1, 0), (2, 100), (4, 200)]);
}

#[test]
fn false_heads_are_no_marks() {
    let mut bad_sum = frame(1);
    bad_sum[7] ^= 1;
    let holding = |head: Vec<u8>| [frame(2), head].concat();
    let mut mono = head(false, 3, SAMPLES);
    mono[3] = 0x08;
    mono.pop();
    mono.push(super::frame::crc8(&mono));
    let stream = [
        beginning(),
        frame(0),
        bad_sum,
        holding(head(false, 77, SAMPLES)),
        holding(head(true, 3, SAMPLES)),
        holding(head(false, 3, SAMPLES + 1)),
        holding(mono),
        holding(b"fLaC\0\0\0\x21fLaC".to_vec()),
        frame(3),
        frame(4),
    ];
    let marks = marked_parts(&at_first(), &stream);
    assert_eq!(marks, [(0, 0), (1, 0), (7, 200), (8, 300), (9, 400)]);
}

#[test]
fn new_headers_in_mid_stream_are_for_all_that_follows() {
    let second = headers(&[block(4, b"others")]);
    let stream = [
        beginning(),
        frame(0),
        frame(1),
        second.clone(),
        frame(0),
        frame(1),
    ];
    let marks = marked_parts(&at_first(), &stream);
    let expected = [(0, 0), (1, 0), (2, 100), (3, 200), (4, 200), (5, 300)];
    assert_eq!(marks, expected);
    let found = scan(&at_first(), [&stream.concat()[..]]).1;
    let last = prologues(&found).pop().unwrap();
    assert_eq!(last.1, second);
}

#[test]
fn a_scanner_goes_on_in_the_middle() {
    let whole = marked_parts(&in_the_middle(), &[frame(50), frame(51)]);
    assert_eq!(whole, [(0, 7_000), (1, 7_100)]);
    let cut = [frame(49)[200..].to_vec(), frame(50), frame(51)];
    let marks = marked_parts(&in_the_middle(), &cut);
    assert_eq!(marks, [(1, 7_000), (2, 7_100)]);
    let all = beginning();
    for prologue in [
        &b"fLaC"[..],
        &b"OggS"[..],
        &all[..40],
        &[&all[..], b"x"].concat(),
    ] {
        let start = StreamStart {
            prologue: Bytes::copy_from_slice(prologue),
            ..in_the_middle()
        };
        assert!(FlacScanner::in_the_middle(&start).is_none());
    }
}

#[test]
fn a_stream_without_headers_is_given_up() {
    let stream = frames(0..20);
    let (scanner, found) = scan(&at_first(), [&stream[..]]);
    assert_eq!(found, []);
    assert_eq!(scanner.trouble(), Some(Trouble::NoHeaders));
    assert!(!scanner.is_lost());
    assert_eq!(scanner.edge(), scanner.next());
    assert!(scan(&at_first(), [&frames(0..1_000)[..]]).0.is_lost());
    let silent = [beginning(), frames(0..2), vec![0; 270_000]].concat();
    let (scanner, _) = scan(&at_first(), [&silent[..]]);
    assert!(scanner.is_lost());
    assert_eq!(scanner.to_pieces().time(), Duration::from_millis(200));
}

#[test]
fn damaged_headers_are_said_until_others_come() {
    let mut rateless = beginning();
    rateless[18..20].fill(0);
    rateless[20] &= 0x0F; // The rate has 20 bits.
    let endless = headers(&[block(127, b"none")]);
    let twice = headers(&[samples::info()]);
    for damaged in [rateless, endless, twice] {
        let (scanner, found) = scan(&at_first(), [&damaged[..]]);
        assert_eq!(scanner.trouble(), Some(Trouble::Damaged));
        assert_eq!(prologues(&found), [(0, Bytes::new())]);
        let healed = [damaged, beginning(), frames(0..1)].concat();
        let (scanner, found) = scan(&at_first(), [&healed[..]]);
        assert_eq!(scanner.trouble(), None);
        assert_eq!(marks(&found).len(), 3);
    }
}

#[test]
fn the_edge_is_before_headers_that_may_have_begun() {
    let stream = [b"junk, f", &beginning()[..]].concat();
    for cut in 8..12 {
        let (scanner, _) = scan(&at_first(), [&stream[..cut]]);
        assert_eq!(scanner.edge(), 7, "cut at {cut}");
    }
    let (scanner, _) = scan(&at_first(), stream.chunks(1));
    assert_eq!(scanner.edge(), scan(&at_first(), [&stream[..]]).0.edge());
}

/// A part of a stream: usual, damaged, or anything.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..6_u64, 0..4_u64).prop_map(|(first, count)| frames(first..first + count)),
        Just(beginning()),
        Just(headers(&[block(6, &[0xFF; 700]), block(1, &[0; 20])])),
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(prop::sample::select(&b"\xFF\xF8fLaC\0\x22"[..]), 0..60),
        (0..20_u64, 0..40_usize).prop_map(|(number, cut)| frame(number)[cut..].to_vec()),
    ]
}

proptest! {
    #[test]
    fn any_split_finds_the_same(
        parts in prop::collection::vec(part(), 0..12),
        cuts in prop::collection::vec(1usize..900, 1..40),
        is_first in any::<bool>(),
    ) {
        let start = if is_first { at_first() } else { in_the_middle() };
        let stream = parts.concat();
        let (scanner, found) = scan(&start, [&stream[..]]);
        for cut in [pieces(&stream, &cuts), stream.chunks(1).collect()] {
            let (other, others) = scan(&start, cut);
            prop_assert_eq!(&others, &found);
            prop_assert_eq!(other.media_time(), scanner.media_time());
            prop_assert_eq!(other.edge(), scanner.edge());
        }
        let offsets = marks(&found).into_iter().map(|(offset, _)| offset);
        prop_assert!(offsets.is_sorted());
    }
}

#[test]
fn a_last_frame_that_is_whole_is_known_by_its_checksum() {
    let begun = [beginning(), frames(0..3)].concat();
    let last = frame(3);
    for behind in [&b""[..], b"\xFF", b"\xFF\xF8\x79"] {
        let stream = [&begun[..], &last, behind].concat();
        let (scanner, _) = scan(&at_first(), [&stream[..]]);
        let beyond = &stream[begun.len()..];
        assert_eq!(scanner.edge(), begun.len() as u64);
        assert_eq!(scanner.whole_at_end(beyond), last.len());
        for cut in 0..last.len() {
            assert_eq!(scanner.whole_at_end(&beyond[..cut]), 0, "{cut}");
        }
    }
    let (scanner, _) = scan(&at_first(), [&b"fLaC"[..]]);
    assert_eq!(scanner.whole_at_end(b""), 0);
}
