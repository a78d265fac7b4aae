//! Pages of other streams between those of one, and junk: header pages that are known hold.

use super::samples::{film, numbered, theora_first};
use super::*;
use crate::media::format::joining::MAX_PROLOGUE_BYTES;
use crate::media::format::scanner::Scanner;

/// The bytes before the page with this number.
fn bytes_before(stream: &[u8], number: usize) -> usize {
    let pages = page::consecutive(stream).take(number);
    pages.map(|(_, page)| page.len()).sum()
}

/// The stream with these bytes at this place.
fn with(stream: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&stream[..at], bytes, &stream[at..]].concat()
}

/// The same findings if so many bytes more are at this place.
fn moved(found: &Findings, at: usize, by: usize) -> Findings {
    let to = |offset: u64| match offset < at as u64 {
        true => offset,
        false => offset + by as u64,
    };
    let marks = found.marks.iter().map(|mark| (to(mark.0), mark.1));
    let prologues = found.prologues.iter();
    Findings {
        marks: marks.collect(),
        prologues: prologues.map(|it| (to(it.0), it.1.clone())).collect(),
        titles: found.titles.clone(),
        anew: Vec::new(),
    }
}

fn sound(serial: u32, second: u64) -> Vec<u8> {
    page(serial, 0, second * 48_000, &[second as u8; 300])
}

/// Bytes in which pages seem to begin.
fn noise(bytes: usize) -> Vec<u8> {
    b"Ogg, O, OggS junk "
        .iter()
        .copied()
        .cycle()
        .take(bytes)
        .collect()
}

#[test]
fn a_first_page_in_the_middle_of_a_link_begins_none() {
    let seconds: Vec<u64> = (1..40).collect();
    for stream in [opus(1, &seconds), film(30, &[b"TITLE=Film"])] {
        let plain = scan(&stream);
        let own = stream[..bytes_before(&stream, 1)].to_vec();
        for stray in [
            opus_heads(777)[..38].to_vec(),
            vorbis_first(777, 44_100),
            theora_first(777),
            page(777, 2, 0, b"fishead\0\x04\0"),
            own.repeat(2),
            own,
        ] {
            for number in [6, 9] {
                let at = bytes_before(&stream, number);
                let mut scanner = OggScanner::new(0);
                let found = feed(&mut scanner, [&with(&stream, at, &stray)[..]]);
                assert_eq!(found, moved(&plain, at, stray.len()));
                assert_eq!(scanner.trouble(), None);
            }
        }
    }
}

#[test]
fn another_stream_without_headers_between_pages_is_passed_over() {
    let mut stream = [opus(1, &[1, 2]), opus_heads(777)[..38].to_vec()].concat();
    for second in 3..60 {
        stream.extend([sound(777, second), sound(1, second)].concat());
    }
    let mut scanner = OggScanner::new(0);
    let found = feed(&mut scanner, [&stream[..]]);
    assert_eq!(found.prologues.len(), 2);
    assert_eq!(found.marks.len(), 1 + 58);
    assert_eq!(scanner.trouble(), None);
    assert!(scanner.pages.held_bytes() < 1_000, "given up");
}

#[test]
fn the_last_pages_of_a_link_may_be_late() {
    let (heads, next) = (opus_heads(2), opus(2, &[1, 2, 3]));
    let stream = [
        &opus(1, &[1, 2])[..],
        &heads[..38],
        &sound(1, 3),
        &page(1, 4, 3 * 48_000, b""),
        &next[38..],
    ]
    .concat();
    let found = scan(&stream);
    let begin = stream.len() as u64 - 3 * 329;
    assert_eq!(found.prologues.last(), Some(&(begin, heads)));
    assert_eq!(found.prologues.len(), 3, "none at a page that is no mark");
    let late: Vec<u64> = found.marks[3..].iter().map(|mark| mark.1).collect();
    assert_eq!(late, [2_000, 3_000, 4_000]);
}

#[test]
fn a_stream_that_nobody_can_join_is_in_trouble_while_it_lasts() {
    let mut scanner = OggScanner::new(0);
    feed(&mut scanner, [&opus(1, &[1, 2])[..]]);
    let foreign = sound(9, 3);
    feed(&mut scanner, [&foreign.repeat(8)[..]]);
    assert_eq!(scanner.trouble(), None);
    let found = feed(&mut scanner, [&foreign.repeat(2)[..]]);
    assert_eq!(scanner.trouble(), Some(Trouble::NoHeaders));
    assert_eq!(found, Findings::default(), "the headers hold");
    let found = feed(&mut scanner, [&[sound(1, 4), sound(1, 5)].concat()[..]]);
    assert_eq!((scanner.trouble(), found.marks.len()), (None, 1));
    // Of a link that has begun its headers may still come.
    feed(&mut scanner, [&opus_heads(2)[..38], &foreign.repeat(10)]);
    assert_eq!(scanner.trouble(), Some(Trouble::NoHeaders));
    let found = feed(&mut scanner, [&opus(2, &[1, 2])[38..]]);
    assert_eq!(scanner.trouble(), None);
    assert_eq!(found.prologues.last().unwrap().1, opus_heads(2));
}

#[test]
fn a_link_whose_headers_are_of_no_use_is_trouble_until_another_one() {
    let mut tags = page(9, 0, 0, b"OpusTags");
    tags[30] ^= 1;
    let picture = page(9, 1, NO_POSITION, &[1; 59_925]);
    let long = picture.repeat(MAX_PROLOGUE_BYTES / picture.len() + 1);
    for (begun, why) in [
        ([&opus_heads(9)[..38], &tags].concat(), Trouble::Damaged),
        (opus_heads(9)[..38].to_vec(), Trouble::NoHeaders),
        (page(9, 2, 0, b"BBCD"), Trouble::UnknownCodec),
        (
            [
                vorbis_first(9, 8_000),
                page(9, 0, NO_POSITION, &[1; 255]),
                long,
            ]
            .concat(),
            Trouble::HeadersTooLong,
        ),
    ] {
        let mut scanner = OggScanner::new(0);
        let sounds: Vec<u8> = (3..14).flat_map(|second| sound(9, second)).collect();
        let stream = [&opus(1, &[1, 2])[..], &begun, &sounds].concat();
        let found = feed(&mut scanner, [&stream[..]]);
        assert_eq!(scanner.trouble(), Some(why));
        assert_eq!(found.prologues.len(), 2, "the headers before hold");
        assert!(scanner.pages.held_bytes() < 200_000);
        let found = feed(&mut scanner, [&opus(5, &[1, 2, 3])[..]]);
        assert_eq!(scanner.trouble(), None);
        assert_eq!(found.prologues.last().unwrap().1, opus_heads(5));
    }
}

#[test]
fn junk_behind_each_page_costs_nothing() {
    let seconds: Vec<u64> = (1..2_000).collect();
    for stream in [opus(1, &seconds), film(500, &[])] {
        let pages = page::consecutive(&stream);
        let stream: Vec<u8> = pages
            .flat_map(|(_, page)| [page, &noise(150)[..]].concat())
            .collect();
        let mut scanner = OggScanner::new(0);
        let found = feed(&mut scanner, stream.chunks(5_000));
        let plain: Vec<&[u8]> = found.prologues.iter().map(|it| &it.1[..]).collect();
        assert!(opus_heads(1) == plain[1] || super::samples::film_heads(&[]) == plain[1]);
        assert!(found.marks.len() > 250, "{}", found.marks.len());
        assert_eq!((scanner.trouble(), scanner.is_lost()), (None, false));
    }
}

#[test]
fn known_headers_hold_over_any_amount_of_noise() {
    let (whole, heads) = (opus(1, &[1, 2, 3, 4, 5, 6]), opus_heads(1));
    let at = heads.len() + 2 * 329;
    let mut scanner = OggScanner::new(0);
    feed(&mut scanner, [&whole[..at], &noise(300_000)]);
    assert_eq!(scanner.trouble(), Some(Trouble::NoHeaders));
    assert!(scanner.has_lost_pages() && !scanner.is_lost());
    let found = feed(&mut scanner, [&whole[at..]]);
    assert_eq!(found.prologues, []);
    assert_eq!(found.marks.len(), 3);
    assert_eq!((scanner.trouble(), scanner.has_lost_pages()), (None, false));
}

#[test]
fn what_never_was_ogg_is_given_up() {
    let mut scanner = Scanner::for_content_type("audio/ogg", 0);
    scanner.feed(&noise(100_000), Duration::ZERO, |_| {});
    assert!(!scanner.has_lost_format());
    scanner.feed(&noise(100_000), Duration::ZERO, |_| {});
    assert!(matches!(scanner, Scanner::Opaque(_)));
    assert!(scanner.has_lost_format());
    assert_eq!(scanner.trouble(), Some(Trouble::NoHeaders));
}

/// A part of a stream that does not belong there: its kind, a serial number, bytes to damage, and a length.
type Part = (u8, u32, u16, u16);

/// Bytes that damage a stream, and hold no headers but first pages.
fn damage(parts: &[Part]) -> Vec<u8> {
    let part = |part: &Part| {
        let (kind, serial, hurt, length) = *part;
        let second = u64::from(length) + 1;
        let mut sound = numbered(sound(serial, second), u32::from(hurt));
        let length = usize::from(length);
        match kind {
            0 => noise(length),
            1 => opus_heads(serial)[..38].to_vec(),
            2 => vorbis_first(serial, 44_100),
            3 => sound,
            4 => sound[..length.min(sound.len())].to_vec(),
            _ => {
                let at = usize::from(hurt) % sound.len();
                sound[at] ^= 1 << (length % 8);
                sound
            }
        }
    };
    parts.iter().flat_map(part).collect()
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec((0u8..6, 1u32..4, any::<u16>(), 0u16..600), 0..40)
}

proptest! {
    #[test]
    fn known_headers_hold_whatever_comes(
        parts in parts(),
        cuts in prop::collection::vec(1usize..900, 1..40),
    ) {
        let rest = [sound(1, 700), sound(1, 701), sound(1, 702)].concat();
        // The longest page that may seem to begin ends in the gap.
        let gap = vec![9; 70_000];
        let stream = [&opus(1, &[1, 2])[..], &damage(&parts), &gap, &rest].concat();
        let begin = (stream.len() - rest.len()) as u64;
        let mut scanner = OggScanner::new(0);
        let found = feed_each(&mut scanner, pieces(&stream, &cuts), Duration::ZERO);
        prop_assert_eq!(found.prologues.len(), 2);
        let late = found.marks.iter().filter(|mark| mark.0 >= begin);
        prop_assert_eq!(late.count(), 2);
        prop_assert_eq!(scanner.trouble(), None);
        let ordered = found.marks.is_sorted();
        prop_assert!(ordered);
        prop_assert_eq!(found, scan(&stream));
    }

    #[test]
    fn a_whole_link_begins_whatever_came(
        parts in parts(),
        cuts in prop::collection::vec(1usize..900, 1..40),
    ) {
        // A first page just before others would be one of theirs.
        let before = [vec![9; 70_000], sound(1, 700), sound(1, 701)].concat();
        let stream = [&opus(1, &[1, 2])[..], &damage(&parts), &before, &opus(5, &[1, 2, 3])].concat();
        let found = feed_each(&mut OggScanner::new(0), pieces(&stream, &cuts), Duration::ZERO);
        prop_assert_eq!(&found.prologues.last().unwrap().1, &opus_heads(5));
        prop_assert_eq!(found, scan(&stream));
    }
}
