//! Titles in the comments of links.

use super::samples::{film, film_heads};
use super::*;
use crate::media::format::ogg::page::samples::comments;

/// An Opus link with these comments and a page of sound at each of the given seconds.
fn link(serial: u32, said: &[&[u8]], ends_s: &[u64]) -> Vec<u8> {
    let plain = opus(serial, ends_s);
    let sound = &plain[opus_heads(serial).len()..];
    let said = page(serial, 0, 0, &comments(b"OpusTags", said));
    [&opus_heads(serial)[..38], &said, sound].concat()
}

#[test]
fn each_link_says_its_title() {
    let links = [
        link(1, &[b"ARTIST=Ana", b"TITLE=First"], &[1, 2]),
        link(2, &[b"TITLE=Second"], &[1, 2]),
        link(3, &[b"GENRE=none"], &[1, 2]),
        link(4, &[], &[1, 2]),
        link(5, &[b"TITLE=Last"], &[1, 2]),
    ];
    let at = |links: &[Vec<u8>]| links.concat().len() as u64;
    let titles = [
        (0, "Ana - First".to_owned()),
        (at(&links[..1]), "Second".to_owned()),
        (at(&links[..2]), String::new()),
        (at(&links[..4]), "Last".to_owned()),
    ];
    assert_eq!(scan(&links.concat()).titles, titles);
}

#[test]
fn a_link_without_a_title_ends_none_from_elsewhere() {
    let links = [link(1, &[], &[1, 2]), link(2, &[b"ALBUM=A"], &[1, 2])].concat();
    assert_eq!(scan(&links).titles, []);
}

#[test]
fn the_sound_is_asked_before_the_pictures() {
    let titles = scan(&film(2, &[b"TITLE=Sound"])).titles;
    assert_eq!(titles, [(0, "Sound".to_owned())]);
    let titles = scan(&film(2, &[])).titles;
    assert_eq!(titles, [(0, "Pictures".to_owned())]);
}

#[test]
fn a_title_is_said_again_where_a_node_begins() {
    let heads = film_heads(&[b"TITLE=Film"]);
    let start = StreamStart {
        offset: 5_000,
        media_time: Duration::ZERO,
        prologue: heads.into(),
    };
    let mut late = OggScanner::in_the_middle(&start).unwrap();
    let stream = [film(2, &[]), link(9, &[], &[1, 2])].concat();
    let content = &stream[film_heads(&[]).len()..];
    let found = feed(&mut late, content.chunks(1_000));
    assert_eq!(found.titles[0], (5_000, "Film".to_owned()));
    let second = 5_000 + (content.len() - link(9, &[], &[1, 2]).len()) as u64;
    assert_eq!(found.titles[1..], [(second, String::new())]);
}
