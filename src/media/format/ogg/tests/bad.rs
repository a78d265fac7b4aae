//! Streams as no encoder should send them, and as some do.

use super::samples::{film, numbered, packed, theora_first, vorbis_heads};
use super::*;
use crate::media::format::joining::MAX_PROLOGUE_BYTES;

/// Checks that the stream is opaque behind these bytes for this reason, and known again with the next link.
fn is_opaque_until_a_link(begun: &[u8], why: Trouble) {
    let mut scanner = OggScanner::new(0);
    let sound = page(1, 0, 9_600, &[0; 99]);
    let found = feed(&mut scanner, [begun, &sound, &sound, &sound]);
    assert_eq!(scanner.trouble(), Some(why));
    assert_eq!(scanner.media_time(), None);
    assert!(found.prologues.iter().all(|(_, bytes)| bytes.is_empty()));
    let last = *found.marks.last().unwrap();
    assert!(last.0 > begun.len() as u64, "joined where pieces arrive");
    let good = opus(5, &[1, 2, 3]);
    let found = feed(&mut scanner, [&good[..]]);
    assert_eq!(found.prologues.len(), 2);
    assert_eq!(found.prologues[1].1, opus_heads(5));
    assert!(
        found.marks[0].1 >= last.1,
        "no mark is earlier than one before it"
    );
    assert_eq!(scanner.trouble(), None);
}

/// The header pages of a Vorbis link, numbered.
fn vorbis_pages() -> [Vec<u8>; 4] {
    [
        vorbis_first(1, 44_100),
        numbered(page(1, 0, NO_POSITION, &[1; 510]), 1),
        numbered(page(1, 1, 0, &[1; 40]), 2),
        numbered(page(1, 0, 0, b"\x05vorbis"), 3),
    ]
}

#[test]
fn a_damaged_header_page_leaves_the_link_opaque() {
    for hurt in 0..4 {
        let mut pages = vorbis_pages();
        assert_eq!(scan(&pages.concat()).prologues.len(), 1);
        let last = pages[hurt].len() - 1;
        pages[hurt][last] ^= 1;
        is_opaque_until_a_link(&pages.concat(), Trouble::Damaged);
    }
}

#[test]
fn a_lost_header_page_leaves_the_link_opaque() {
    for lost in 1..3 {
        let mut pages = vorbis_pages().to_vec();
        pages.remove(lost);
        is_opaque_until_a_link(&pages.concat(), Trouble::Damaged);
    }
}

#[test]
fn headers_that_are_too_long_or_unknown_leave_the_link_opaque() {
    let picture = page(1, 1, NO_POSITION, &[1; 59_925]);
    let begun = packed(1, 0, NO_POSITION, &[&[1; 300]]);
    let pages = MAX_PROLOGUE_BYTES / picture.len() + 1;
    let long = [vorbis_first(1, 8_000), begun, picture.repeat(pages)].concat();
    is_opaque_until_a_link(&long, Trouble::HeadersTooLong);
    for magic in [&b"BBCD"[..], b"\x01video\0\0\0", b"CMML\0\0\0\0"] {
        let unknown = [page(1, 2, 0, magic), page(1, 0, 960, &[0; 9])].concat();
        is_opaque_until_a_link(&unknown, Trouble::UnknownCodec);
    }
}

#[test]
fn a_stream_without_its_beginning_lacks_headers() {
    let sound = page(1, 0, 48_000, b"sound");
    is_opaque_until_a_link(&sound.repeat(2), Trouble::NoHeaders);
    let early = [
        theora_first(2),
        opus_heads(1),
        page(1, 0, 48_000, b"before the headers of pictures"),
    ];
    is_opaque_until_a_link(&early.concat(), Trouble::NoHeaders);
}

#[test]
fn pages_of_other_streams_between_headers_are_ignored_for_a_while() {
    let stray = page(2, 0, 7, b"whose?");
    let (heads, whole) = (opus_heads(1), opus(1, &[1, 2, 3]));
    let (first, rest) = whole.split_at(38);
    let found = scan(&[first, &stray, rest].concat());
    let begin = (heads.len() + stray.len()) as u64;
    assert_eq!(found.prologues[1], (begin, heads));
    let long = page(2, 0, 7, &[0; 60_000]);
    let endless = [first, &long.repeat(2 * MAX_PROLOGUE_BYTES / 60_000 + 1)].concat();
    is_opaque_until_a_link(&endless, Trouble::NoHeaders);
}

#[test]
fn a_picture_of_3_mib_in_flac_is_kept_if_there_is_room() {
    let mut first = b"\x7FFLAC\x01\0\0\x02fLaC\0\0\0\x22\x12\0\x12\0\0\0\0\0\0\0".to_vec();
    first.extend([0x0A, 0xC4, 0x42, 0xF0, 0, 0, 0, 0]);
    first.extend([0; 16]);
    let said = [
        &b"\x04\0\0\x20"[..],
        &super::page::samples::comments(b"", &[b"TITLE=T"]),
    ]
    .concat();
    let mut heads = [page(1, 2, 0, &first), page(1, 0, 0, &said)].concat();
    let mut picture = [&b"\x86\x30\0\0"[..], &vec![3; 3 << 20]].concat();
    if picture.len().is_multiple_of(255) {
        picture.push(0);
    }
    let parts: Vec<&[u8]> = picture.chunks(255 * 255).collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let position = if is_last { 0 } else { NO_POSITION };
        heads.extend(page(1, u8::from(number > 0), position, part));
    }
    let sound = [1, 2, 3].map(|second| page(1, 0, second * 44_100, b"\xFF\xF8"));
    let mut scanner = OggScanner::new(0);
    let stream = [&heads[..], &sound.concat()].concat();
    let found = feed(&mut scanner, stream.chunks(1_400));
    let format = scanner.format().unwrap();
    let facts = (format.codec, format.channels, format.sample_rate_hz);
    assert_eq!(facts, (CodecName::Flac, 2, 44_100));
    if heads.len() <= MAX_PROLOGUE_BYTES {
        assert_eq!(found.prologues[1].1, heads);
        assert_eq!(found.titles, [(0, "T".to_owned())]);
    } else {
        assert_eq!(scanner.trouble(), Some(Trouble::HeadersTooLong));
        assert!(found.prologues.iter().all(|(_, bytes)| bytes.is_empty()));
    }
}

#[test]
fn wrong_checksums_and_lost_pages_of_sound_are_passed_on() {
    let whole = opus(1, &[1, 2, 3, 4, 5]);
    let mut hurt = whole.clone();
    let heads = opus_heads(1).len();
    hurt[heads + 2 * 329 - 1] ^= 1;
    assert_eq!(scan(&hurt), scan(&whole));
    let lost = [&whole[..heads + 329], &whole[heads + 3 * 329..]].concat();
    let times_ms: Vec<u64> = scan(&lost).marks.iter().map(|mark| mark.1).collect();
    assert_eq!(times_ms, [0, 0, 1_000]);
    let sound = |sequence, second: u64| numbered(page(1, 0, second * 48_000, b"sound"), sequence);
    let jumps = [sound(3, 1), sound(900, 2), sound(4, 3), sound(u32::MAX, 4)];
    let found = scan(&[&opus_heads(1)[..], &jumps.concat()].concat());
    let times_ms: Vec<u64> = found.marks.iter().map(|mark| mark.1).collect();
    assert_eq!(times_ms, [0, 0, 1_000, 2_000]);
}

#[test]
fn a_packet_that_never_ends_is_not_joined_and_not_held() {
    let mut scanner = OggScanner::new(0);
    feed(&mut scanner, [&opus(1, &[1])[..]]);
    let endless = page(1, 1, NO_POSITION, &[7; 255 * 255]);
    let found = feed(&mut scanner, endless.repeat(60).chunks(endless.len()));
    assert_eq!(found.marks.len(), 1, "of the page before");
    assert_eq!(scanner.edge(), scanner.next());
    assert!(scanner.pages.held_bytes() < 1_000);
    let time = scanner.media_time().unwrap();
    assert!(time >= Duration::from_secs(49), "{time:?}");
}

#[test]
fn a_page_of_no_segments_is_no_place_and_no_time() {
    let empty = packed(1, 0, 900 * 48_000, &[]);
    let (heads, whole) = (opus_heads(1).len(), opus(1, &[1, 2, 3]));
    let stream = [&whole[..heads], &empty, &whole[heads..]].concat();
    let (found, plain) = (scan(&stream), scan(&whole));
    let moved: Vec<(u64, u64)> = plain.marks[1..]
        .iter()
        .map(|mark| (mark.0 + empty.len() as u64, mark.1))
        .collect();
    assert_eq!(found.marks[1..], moved);
}

#[test]
fn a_first_page_begins_a_link_wherever_it_comes() {
    let again = opus(1, &[1, 2]);
    let begins = again.len() as u64;
    let found = scan(&again.repeat(2));
    assert_eq!(found.prologues[2], (begins, Vec::new()), "the same serial");
    assert_eq!(found.prologues[3].1, opus_heads(1));
    let twice = [&opus_heads(1)[..38], &opus(1, &[1, 2])].concat();
    let found = scan(&twice);
    assert_eq!(found.marks[..2], [(0, 0), (38, 0)]);
    assert_eq!(found.prologues.last().unwrap().1, opus_heads(1));
    let among_headers = [&vorbis_pages()[..2].concat()[..], &opus(2, &[1, 2])].concat();
    assert_eq!(
        scan(&among_headers).prologues.last().unwrap().1,
        opus_heads(2)
    );
}

#[test]
fn streams_beyond_the_most_are_not_in_the_prologue() {
    let firsts: Vec<Vec<u8>> = (10..20)
        .map(|serial| vorbis_first(serial, 44_100))
        .collect();
    let rest = |serial: &u32| vorbis_heads(*serial, &[]);
    let kept: Vec<u32> = (10..18).collect();
    let rests: Vec<u8> = kept.iter().flat_map(rest).collect();
    let sound = [1, 2].map(|second| page(10, 0, second * 44_100, b"sound"));
    let beyond = [rest(&18), rest(&19)].concat();
    let stream = [firsts.concat(), rests.clone(), beyond, sound.concat()].concat();
    let found = scan(&stream);
    let heads = [&firsts[..8].concat()[..], &rests].concat();
    assert_eq!(found.prologues[1].1, heads);
}

#[test]
fn a_film_survives_junk_between_its_pages() {
    let film = film(9, &[]);
    let half = film.len() / 2;
    let (begin, end) = film.split_at(half);
    let found = scan(&[begin, b"OggS junk", end].concat());
    assert_eq!(found.prologues[1].1, scan(&film).prologues[1].1);
    assert!(found.marks.len() >= 4, "{:?}", found.marks);
}
