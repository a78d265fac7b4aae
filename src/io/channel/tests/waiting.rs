//! Listeners of a film that come between two keyframes.

use super::*;
use crate::media::ring::film_samples::{Film, films};

/// A feed that holds no keyframe any more, and its film.
fn between_keyframes(film: &Film) -> Feed {
    let ring = film.ring_after(9);
    assert_eq!(ring.join_point(BURST), None);
    Feed::new(ring)
}

#[test]
fn a_listener_waits_for_the_next_keyframe() {
    for film in films() {
        let feed = between_keyframes(&film);
        let mut reader = Channel::new(feed.clone()).join(BURST);
        assert_eq!(reader.read(1_000), Read::Wait);
        append(&feed, &film.second(9));
        assert_eq!(reader.read(1_000), Read::Wait);
        assert!(reader.rejoin(), "as during an intro");
        assert_eq!(reader.take_prologue(), "");
        let keyframe = feed.next();
        append(&feed, &film.second(10));
        append(&feed, &film.second(11));
        let heard = take_all(&mut reader);
        assert!(heard.starts_with(&film.second(10)), "{}", film.content_type);
        assert_eq!(reader.take_prologue(), feed.prologue_at(keyframe));
        assert_eq!(reader.position(), feed.edge());
    }
}

#[test]
fn a_listener_that_waits_leaves_with_the_stream() {
    for film in films() {
        let feed = between_keyframes(&film);
        let mut reader = Channel::new(feed.clone()).join(BURST);
        assert_eq!(reader.read(1_000), Read::Wait);
        feed.finish(EndReason::SourceLeft);
        assert_eq!(reader.read(1_000), Read::Wait, "the mount lingers");
        feed.end(EndReason::SourceLeft);
        assert_eq!(reader.read(1_000), Read::Ended);
    }
}

#[test]
fn a_listener_that_waits_goes_on_with_the_next_stream() {
    let [_, film] = films();
    let feed = between_keyframes(&film);
    let channel = Channel::new(feed.clone());
    let mut reader = channel.join(BURST);
    let next = Feed::new(film.ring());
    channel.switch_to(&next);
    append(&feed, &film.second(10));
    assert_eq!(reader.read(1_000), Read::Wait);
    append(&next, &film.heads);
    (20..23).for_each(|at| append(&next, &film.second(at)));
    let heard = take_all(&mut reader);
    assert!(heard.starts_with(&film.second(20)));
    assert_eq!(reader.take_prologue(), film.heads);
}
