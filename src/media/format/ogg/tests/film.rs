//! Links with pictures, and with a skeleton.

use super::samples::{
    CHANGE, KEYFRAME, PICTURES, SOUND, film, film_heads, packed, pictures, sound, theora_first,
    theora_heads,
};
use super::*;
use crate::model::format::VideoFormat;

/// The offsets at which pages lie that hold pictures and begin with a keyframe.
fn keyframes(stream: &[u8]) -> Vec<u64> {
    let (mut offset, mut found) = (0, Vec::new());
    for (head, page) in page::consecutive(stream) {
        let first = head.begins_at.map(|at| &page[at..]);
        if first.is_some_and(|packet| packet.starts_with(KEYFRAME)) {
            found.push(offset);
        }
        offset += page.len() as u64;
    }
    found
}

#[test]
fn a_film_is_joined_at_keyframes_only() {
    let stream = film(9, &[]);
    let found = scan(&stream);
    let keyframes = keyframes(&stream);
    assert_eq!(keyframes.len(), 5);
    let times_ms = [0, 2_000, 4_000, 6_000, 8_000];
    let marks: Vec<(u64, u64)> = keyframes.iter().copied().zip(times_ms).collect();
    assert_eq!(found.marks[0], (0, 0));
    assert_eq!(found.marks[1..], marks);
    let heads = film_heads(&[]);
    assert_eq!(found.prologues[1], (heads.len() as u64, heads));
}

#[test]
fn a_film_tells_both_its_formats() {
    let mut scanner = OggScanner::new(0);
    feed(&mut scanner, [&film(3, &[])[..]]);
    let format = scanner.format().unwrap();
    assert_eq!(format.codec, CodecName::Vorbis);
    let (codec, width, height) = (CodecName::Theora, 320, 240);
    let video = VideoFormat {
        codec,
        width,
        height,
    };
    assert_eq!(format.video, Some(video));
    assert_eq!(scanner.trouble(), None);
}

#[test]
fn pictures_without_sound_tell_the_time_themselves() {
    let heads = [theora_first(PICTURES), theora_heads(PICTURES)].concat();
    let content: Vec<u8> = (0..6).flat_map(pictures).collect();
    let stream = [&heads[..], &content, &pictures(6)].concat();
    let times_ms: Vec<u64> = scan(&stream).marks.iter().map(|mark| mark.1).collect();
    assert_eq!(times_ms, [0, 0, 2_000, 4_000]);
}

#[test]
fn a_keyframe_counts_where_it_is_the_first_packet_that_begins() {
    let begin = film_heads(&[]).len();
    let cases = [
        (packed(PICTURES, 0, 26 << 6, &[CHANGE, KEYFRAME]), false),
        (packed(PICTURES, 1, 26 << 6, &[CHANGE, KEYFRAME]), true),
        (packed(PICTURES, 0, 26 << 6, &[b"", KEYFRAME]), false),
        (packed(SOUND, 0, 44_100, &[KEYFRAME]), false),
        (page(PICTURES, 0, NO_POSITION, &[0x20; 255 * 200]), true),
        (page(PICTURES, 1, 26 << 6, &[0x20; 40]), false),
        (packed(PICTURES, 4, 26 << 6, &[]), false),
    ];
    for (content, is_mark) in cases {
        let stream = [&film_heads(&[])[..], &content, &sound(0)].concat();
        let offsets: Vec<u64> = scan(&stream).marks.iter().map(|mark| mark.0).collect();
        assert_eq!(offsets.contains(&(begin as u64)), is_mark);
    }
}

#[test]
fn a_vp8_film_is_joined_at_its_keyframes() {
    let mut first = b"OVP80\x01\x01\0\x01\x40\0\xF0\0\0\x01\0\0\x01".to_vec();
    first.extend([0, 0, 0, 25, 0, 0, 0, 1]);
    let frame = |frames: u64, first: u8| {
        let key = packed(PICTURES, 0, frames << 32, &[&[first, 0x42, 9]]);
        [key, packed(SOUND, 0, frames * 48_000 / 25, &[b"sound"])].concat()
    };
    let content = [
        frame(25, 0x10),
        frame(50, 0x11),
        frame(75, 0x30),
        frame(99, 1),
    ];
    for has_comments in [true, false] {
        let mut heads = [page(PICTURES, 2, 0, &first), opus_heads(SOUND)].concat();
        if has_comments {
            // Long enough for two pages.
            let said = [&b"OVP80\x02\x20"[..], &[0; 800]].concat();
            heads.extend(page(PICTURES, 0, NO_POSITION, &said[..510]));
            heads.extend(page(PICTURES, 1, 0, &said[510..]));
        }
        let begin = heads.len() as u64;
        let third = begin + content[..2].concat().len() as u64;
        let found = scan(&[&heads[..], &content.concat()].concat());
        assert_eq!(found.prologues[1], (begin, heads));
        assert_eq!(found.marks[1..], [(begin, 0), (third, 2_000)]);
    }
}

#[test]
fn a_cover_without_keyframes_leaves_the_sound_joinable() {
    let content = (1..40).flat_map(sound);
    let heads = [film_heads(&[]), pictures(0), sound(0)].concat();
    let stream: Vec<u8> = heads.into_iter().chain(content).collect();
    let found = scan(&stream);
    let times_ms: Vec<u64> = found.marks.iter().map(|mark| mark.1).collect();
    let late: Vec<u64> = (30..39).map(|second| second * 1_000).collect();
    assert_eq!(times_ms[..2], [0, 0]);
    assert_eq!(times_ms[2..], late);
}

#[test]
fn a_skeleton_is_kept_up_to_its_end() {
    let bone = [&b"fisbone\0\x2C\0\0\0"[..], &[7; 40]].concat();
    let heads = [
        page(9, 2, 0, b"fishead\0\x04\0"),
        opus_heads(7)[..38].to_vec(),
        page(9, 0, 0, &bone),
        opus_heads(7)[38..].to_vec(),
        // A position does not make it content.
        page(9, 0, 5, b"index\0\x07\0\0\0"),
        page(9, 4, 0, b""),
    ]
    .concat();
    let sound: Vec<u8> = opus(7, &[1, 2, 3])[opus_heads(7).len()..].to_vec();
    let found = scan(&[&heads[..], &sound].concat());
    let begin = heads.len() as u64;
    assert_eq!(found.prologues[1], (begin, heads));
    assert_eq!(found.marks[1..], [(begin, 0), (begin + 329, 1_000)]);
}

#[test]
fn a_node_in_the_middle_of_a_film_finds_the_same_marks() {
    let stream = film(9, &[]);
    let whole = scan(&stream);
    let (offset, ms) = whole.marks[2];
    let start = StreamStart {
        offset,
        media_time: Duration::from_millis(ms),
        prologue: film_heads(&[]).into(),
    };
    let mut late = OggScanner::in_the_middle(&start).unwrap();
    let found = feed(&mut late, [&stream[offset as usize..]]);
    let offsets = |marks: &[(u64, u64)]| marks.iter().map(|mark| mark.0).collect::<Vec<_>>();
    assert_eq!(offsets(&found.marks), offsets(&whole.marks[2..]));
    assert_eq!(found.prologues, []);
}
