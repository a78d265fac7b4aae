//! Feeds that have been going on for others before the channel goes over to them.

use super::*;

#[test]
fn listeners_begin_behind_the_edge_of_a_feed_of_others() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    append(&other, &numbered(100..1_000));
    let [mut fast, mut slow] = [(); 2].map(|()| channel.join(BURST));
    assert_eq!(take_all(&mut fast), numbered(0..4));
    channel.switch_behind_edge(&other, Duration::ZERO);
    let first = take_all(&mut fast);
    let behind = first.len() as u64 / FRAME;
    assert!(behind <= 2, "{behind} frames behind the edge");
    assert_eq!(first, numbered(1_000 - behind as u32..1_000));

    append(&other, &numbered(1_000..1_003));
    assert_eq!(take_all(&mut fast), numbered(1_000..1_003));
    let late = [numbered(0..4), first, numbered(1_000..1_003)].concat();
    assert_eq!(take_all(&mut slow), late, "all begin at the same byte");
}

#[test]
fn listeners_may_begin_further_behind() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    append(&other, &numbered(100..1_000));
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.switch_behind_edge(&other, Duration::from_secs(2));
    let frames = take_all(&mut reader).len() as u64 / FRAME;
    assert!((76..=79).contains(&frames), "{frames} frames of 26 ms");
}

#[test]
fn nothing_is_heard_twice_when_a_feed_of_others_comes_again() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    append(&other, &numbered(100..200));
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.switch_behind_edge(&other, Duration::ZERO);
    take_all(&mut reader);
    channel.switch_to(&live);
    append(&live, &numbered(4..6));
    assert_eq!(take_all(&mut reader), numbered(4..6));

    channel.switch_behind_edge(&other, BURST);
    assert!(take_all(&mut reader).is_empty(), "all of it was heard");
    append(&other, &numbered(200..202));
    assert_eq!(take_all(&mut reader), numbered(200..202));
}

#[test]
fn a_feed_of_others_may_be_empty_yet() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.switch_behind_edge(&other, BURST);
    assert_eq!(reader.read(9), Read::Wait);
    append(&other, &numbered(7..10));
    assert_eq!(take_all(&mut reader), numbered(7..10));
}

#[test]
fn listeners_outlast_the_end_of_a_feed() {
    let (first, second) = (mpeg(1), mpeg(2));
    let channel = Channel::new(first.clone());
    append(&first, &numbered(0..4));
    let mut reader = channel.join(BURST);
    channel.set_outlasts(true);
    first.end(EndReason::SourceLeft);
    assert_eq!(take_all(&mut reader), numbered(0..4));
    assert_eq!(reader.read(9), Read::Wait);

    append(&second, &numbered(4..6));
    channel.switch_to(&second);
    assert_eq!(take_all(&mut reader), numbered(4..6));
    second.end(EndReason::SourceLeft);
    channel.set_outlasts(false);
    assert_eq!(reader.read(9), Read::Ended);
}

#[test]
fn a_channel_ends_although_its_feed_goes_on() {
    let feed = mpeg(1);
    let channel = Channel::new(feed.clone());
    append(&feed, &numbered(0..4));
    let [mut fast, mut slow] = [(); 2].map(|()| channel.join(BURST));
    take_all(&mut fast);
    channel.set_outlasts(true);
    channel.end();
    append(&feed, &numbered(4..9));
    assert_eq!(fast.read(9), Read::Ended);
    assert_eq!(take_all(&mut slow), numbered(0..4));
    assert_eq!(slow.read(9), Read::Ended);
}

#[test]
fn what_listeners_can_go_on_with_is_known_from_the_bytes() {
    let live = mpeg(1);
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    let (ogg, empty, good) = (feed(2, "application/ogg"), mpeg(3), mpeg(4));
    append(&good, &numbered(0..4));
    assert_eq!(channel.goes_on_with(&live), Some(true));
    assert_eq!(channel.goes_on_with(&ogg), Some(false));
    assert_eq!(channel.goes_on_with(&empty), None);
    assert_eq!(channel.goes_on_with(&good), Some(true));
}
