//! The promises of the scanner of Ogg, with generated streams.

use proptest::prelude::*;

use super::page::renumber;
use super::page::samples::{NO_POSITION, opus, opus_heads, page, vorbis_first};
use super::*;
use crate::media::format::joining::{Anew, Mark, Prologue};
use crate::media::format::samples::pieces;
use crate::model::format::{CodecName, Container};

mod bad;
mod film;
mod samples;
mod strays;
mod title;

/// The findings in a stream: marks as offsets with milliseconds, prologues as offsets with bytes, titles as offsets
/// with the line, new streams as the ends of the old ones with the beginnings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    marks: Vec<(u64, u64)>,
    prologues: Vec<(u64, Vec<u8>)>,
    titles: Vec<(u64, String)>,
    anew: Vec<(u64, u64)>,
}

impl Findings {
    fn add(&mut self, scanned: Scanned) {
        match scanned {
            Scanned::Mark(Mark { offset, media_time }) => {
                self.marks.push((offset, media_time.as_millis() as u64));
            }
            Scanned::Prologue(Prologue { offset, bytes }) => {
                self.prologues.push((offset, bytes.to_vec()));
            }
            Scanned::Comment(Comment { offset, title }) => {
                self.titles.push((offset, title.text));
            }
            Scanned::Anew(Anew { ends, begins }) => self.anew.push((ends, begins)),
        }
    }
}

/// Feeds pieces, a second apart.
fn feed<'a>(scanner: &mut OggScanner, pieces: impl IntoIterator<Item = &'a [u8]>) -> Findings {
    feed_each(scanner, pieces, Duration::from_secs(1))
}

/// Feeds pieces, so far apart.
fn feed_each<'a>(
    scanner: &mut OggScanner,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    apart: Duration,
) -> Findings {
    let (mut found, mut arrived) = (Findings::default(), Duration::ZERO);
    for piece in pieces {
        scanner.feed(piece, arrived, &mut |scanned| found.add(scanned));
        arrived += apart;
    }
    found
}

fn scan(stream: &[u8]) -> Findings {
    feed(&mut OggScanner::new(0), [stream])
}

#[test]
fn sound_is_marked_by_its_clock_behind_the_headers() {
    let heads = opus_heads(7);
    let found = scan(&opus(7, &[1, 3, 4, 5]));
    let (first, sound) = (heads.len() as u64, 300 + 29);
    assert_eq!(
        found.marks,
        [
            (0, 0),
            (first, 0),
            (first + sound, 1_000),
            (first + 2 * sound, 3_000)
        ]
    );
    assert_eq!(found.prologues, [(0, Vec::new()), (first, heads)]);
}

#[test]
fn each_link_has_its_prologue_and_continues_the_time() {
    let links = [opus(1, &[1, 2]), opus(2, &[1, 2]), opus(3, &[])];
    let begins = links[0].len() as u64;
    let found = scan(&links.concat());
    let second = begins + opus_heads(2).len() as u64;
    let of_second: Vec<_> = found.marks.iter().filter(|mark| mark.0 >= begins).collect();
    assert_eq!(
        of_second[..3],
        [&(begins, 2_000), &(second, 2_000), &(second + 329, 3_000)]
    );
    assert_eq!(
        found.prologues[2..4],
        [(begins, Vec::new()), (second, opus_heads(2))]
    );
    assert_eq!(found.anew, []);
}

#[test]
fn a_link_in_another_codec_is_a_new_stream() {
    let vorbis = |serial| {
        [
            vorbis_first(serial, 44_100),
            page(serial, 0, 0, b"\x03vorbis"),
            page(serial, 0, 0, b"\x05vorbis"),
            page(serial, 0, 44_100, b"sound"),
        ]
        .concat()
    };
    let links = [opus(1, &[1, 2]), vorbis(2), vorbis(3), opus(4, &[1, 2])];
    let begins = |link: usize| links[..link].concat().len() as u64;
    let expected = [1, 3].map(|link| (begins(link), begins(link)));
    assert_eq!(scan(&links.concat()).anew, expected);
}

#[test]
fn continued_packets_and_other_streams_are_not_marked() {
    let vorbis = [
        vorbis_first(1, 44_100),
        page(9, 2, 0, b"fishead\0"),
        page(1, 0, NO_POSITION, &[1; 510]),
        page(1, 1, 0, &[1; 40]),
        page(1, 0, 0, b"\x05vorbis"),
        page(9, 4, 0, b""),
    ];
    let heads = vorbis.concat();
    let sound = [
        page(1, 0, NO_POSITION, &[2; 255]),
        page(1, 1, 22_050, &[2; 9]),
        page(9, 0, 22_050, b"words"),
        page(1, 0, 44_100, &[2; 9]),
        page(1, 4, 44_100, b""),
    ];
    let begin = heads.len() as u64;
    let last = begin + sound[..3].concat().len() as u64;
    let found = scan(&[&heads[..], &sound.concat()].concat());
    assert_eq!(found.marks, [(0, 0), (begin, 0), (last, 500)]);
    assert_eq!(found.prologues[1], (begin, heads));
}

#[test]
fn a_clock_that_stands_still_is_overtaken_by_arrival() {
    for clock in [0, 5, NO_POSITION - 7] {
        let mut scanner = OggScanner::new(0);
        let sound = page(7, 0, clock, &[1; 300]);
        let stream = [&opus_heads(7)[..], &sound.repeat(30)].concat();
        let seconds = stream.chunks(sound.len());
        let found = feed(&mut scanner, seconds);
        let times_ms: Vec<u64> = found.marks.iter().map(|mark| mark.1).collect();
        assert!(times_ms.is_sorted(), "{times_ms:?}");
        let last = times_ms[times_ms.len() - 1];
        assert!((18_000..=21_000).contains(&last), "{last} ms of 30 s");
        assert!(found.prologues[1].0 > 0, "late listeners get the headers");
    }
}

#[test]
fn a_stream_joined_in_the_middle_uses_its_prologue() {
    let (heads, stream) = (opus_heads(7), opus(7, &[1, 2, 3, 4, 5]));
    let whole = scan(&stream);
    let (offset, ms) = whole.marks[3];
    let start = StreamStart {
        offset,
        media_time: Duration::from_millis(ms),
        prologue: heads.into(),
    };
    let mut late = OggScanner::in_the_middle(&start).unwrap();
    let found = feed(&mut late, [&stream[offset as usize..]]);
    // The length of the first page is not known, and counts as no time.
    assert_eq!(found.marks[0], (offset, ms));
    let offsets = |marks: &[(u64, u64)]| marks.iter().map(|mark| mark.0).collect::<Vec<_>>();
    assert_eq!(offsets(&found.marks), offsets(&whole.marks[3..]));
    assert_eq!(found.prologues, []);
    let nonsense = StreamStart {
        prologue: b"OggS".as_slice().into(),
        ..start
    };
    assert!(OggScanner::in_the_middle(&nonsense).is_none());
}

#[test]
fn a_server_that_gives_the_headers_first_is_heard_from_what_is_on_air() {
    let numbered = |number: u32, mut page: Vec<u8>| {
        page[18..22].copy_from_slice(&number.to_le_bytes());
        renumber(&mut page, 0); // for its checksum
        page
    };
    let heads = opus_heads(1);
    let (first, tags) = heads.split_at(38);
    let sound = |number: u32, second: u64| numbered(number, page(1, 0, second * 48_000, &[1; 300]));
    let begun = [numbered(0, first.to_vec()), numbered(1, tags.to_vec())].concat();
    for (from, begins_ms) in [(2, 1_000), (30, 0)] {
        let seconds = u64::from(from) - 1..u64::from(from) + 2;
        let sounds = (from..)
            .zip(seconds)
            .map(|(number, second)| sound(number, second));
        let stream = [begun.clone(), sounds.collect::<Vec<_>>().concat()].concat();
        let times: Vec<u64> = scan(&stream).marks.iter().map(|mark| mark.1).collect();
        assert_eq!(times, [0, 0, begins_ms], "from page {from}");
    }
}

#[test]
fn without_a_prologue_pieces_are_joined_until_a_link() {
    let stream = [opus(7, &[1, 2, 3, 4]), opus(8, &[1, 2, 3])].concat();
    let from = opus_heads(7).len() + 100;
    let mut late = OggScanner::new(from as u64);
    let found = feed(&mut late, stream[from..].chunks(200));
    assert_eq!(
        found.marks[..2],
        [(from as u64, 0), (from as u64 + 200, 1_000)]
    );
    assert_eq!(found.prologues.last().unwrap().1, opus_heads(8));
    assert!(late.media_time().is_some());
}

#[test]
fn the_edge_is_the_end_of_the_last_whole_page() {
    let stream = opus(7, &[1, 2]);
    let mut ends = vec![0];
    for (_, page) in page::consecutive(&stream) {
        ends.push(ends[ends.len() - 1] + page.len() as u64);
    }
    let mut scanner = OggScanner::new(1_000);
    for byte in stream.chunks(1) {
        feed(&mut scanner, [byte]);
        let fed = scanner.next() - 1_000;
        let whole = ends.iter().rfind(|end| **end <= fed).unwrap();
        assert_eq!(scanner.edge(), 1_000 + whole);
    }
    feed(&mut scanner, [&b"junk without a page"[..]]);
    assert_eq!(scanner.edge(), scanner.next());
}

#[test]
fn the_format_is_that_of_the_link() {
    let mut scanner = OggScanner::new(0);
    assert_eq!(scanner.format(), None);
    feed(&mut scanner, [&opus(1, &[1, 2])[..]]);
    let format = scanner.format().unwrap();
    assert_eq!((format.codec, format.channels), (CodecName::Opus, 2));
    assert_eq!(format.container, Container::Ogg);
    let begun = [vorbis_first(2, 44_100), samples::vorbis_heads(2, &[])].concat();
    feed(&mut scanner, [&begun[..]]);
    let format = scanner.format().unwrap();
    assert_eq!(format.codec, CodecName::Opus, "the other one may go on");
    let sound = page(2, 0, 9_600, &[1; 300]);
    feed(&mut scanner, [&sound.repeat(2)[..]]);
    let format = scanner.format().unwrap();
    let facts = (format.codec, format.channels, format.sample_rate_hz);
    assert_eq!(facts, (CodecName::Vorbis, 2, 44_100));
    assert_eq!((format.bitrate_bps, format.video), (0, None));
}

/// A link with a title or without, and pages of any lengths.
fn link() -> impl Strategy<Value = Vec<u8>> {
    let sound = prop::collection::vec((1u64..6_000, 1usize..700, any::<bool>()), 0..8);
    (any::<u32>(), sound).prop_map(|(serial, pages)| {
        let (mut stream, mut position) = (opus_heads(serial), 0);
        if serial.is_multiple_of(3) {
            stream = samples::film(u64::from(serial % 7), &[b"TITLE=Film"]);
            position = 8 * 44_100;
        }
        for (step, length, is_whole) in pages {
            position += step;
            let position = if is_whole { position } else { NO_POSITION };
            stream.extend(page(serial, 0, position, &vec![7; length]));
        }
        stream
    })
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_marks_at_pages(
        links in prop::collection::vec(link(), 1..4),
        cuts in prop::collection::vec(1usize..900, 1..40),
    ) {
        let stream = links.concat();
        let pieces = pieces(&stream, &cuts);
        let whole = scan(&stream);
        for pieces in [pieces, stream.chunks(1).collect()] {
            let found = feed_each(&mut OggScanner::new(0), pieces, Duration::ZERO);
            prop_assert_eq!(&found, &whole);
        }
        let ordered = whole.marks.is_sorted();
        prop_assert!(ordered);
        for (offset, _) in &whole.marks {
            prop_assert!(stream[*offset as usize..].starts_with(b"OggS"));
        }
    }

    #[test]
    fn the_edge_never_falls(
        parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..9),
        cuts in prop::collection::vec(1usize..900, 1..40),
    ) {
        let part = |part: &(bool, Vec<u8>)| match part.0 {
            true => opus(1, &[1, 2]),
            false => [b"OggS\0\0", &part.1[..]].concat(),
        };
        let stream: Vec<u8> = parts.iter().flat_map(part).collect();
        let (mut scanner, mut before) = (OggScanner::new(0), 0);
        for piece in pieces(&stream, &cuts) {
            feed(&mut scanner, [piece]);
            prop_assert!((before..=scanner.next()).contains(&scanner.edge()));
            before = scanner.edge();
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        parts in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..300), any::<[u8; 4]>()), 0..20),
        length in 1usize..500,
    ) {
        let part = |part: &(u8, Vec<u8>, [u8; 4])| {
            let (kind, body, seed) = part;
            match kind {
                0 => body.clone(),
                1 => [b"OggS\0", &seed[..], body].concat(),
                2 => page(u32::from(seed[0] % 3), seed[1] % 8, u64::from_le_bytes([seed[2] % 3 / 2 * 255; 8]), body),
                _ => opus(u32::from(seed[0] % 3), &[1, u64::from(seed[1])]),
            }
        };
        let stream: Vec<u8> = parts.iter().flat_map(part).collect();
        let mut scanner = OggScanner::new(0);
        let found = feed(&mut scanner, stream.chunks(length));
        let ordered = found.marks.is_sorted();
        prop_assert!(ordered, "{:?}", found.marks);
        let start = StreamStart { offset: 0, media_time: Duration::ZERO, prologue: stream.into() };
        OggScanner::in_the_middle(&start);
    }
}
