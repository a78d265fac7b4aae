//! The promises of a channel, in usual and unusual orders.

mod edge;
mod splice;
mod stand_in;
mod waiting;

use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use super::samples::{take, take_all};
use super::*;
use crate::media::format::joining::StreamStart;
use crate::media::format::mpeg::samples::{frame, frames};
use crate::media::format::ogg::page::samples::{opus, opus_heads};
use crate::media::ring::Ring;
use crate::media::ring::samples::ring;
use crate::model::stream::{EndReason, StreamHead};

const BURST: Duration = Duration::from_secs(5);
const FRAME: u64 = 417;

/// A stream of its own, of this format.
fn feed(stream_id: u128, content_type: &str) -> Feed {
    let head = StreamHead::clone(ring(content_type).head());
    Feed::new(Ring::new(StreamId(stream_id), head, 0, Instant::now()))
}

fn mpeg(stream_id: u128) -> Feed {
    feed(stream_id, "audio/mpeg")
}

fn append(feed: &Feed, bytes: &[u8]) {
    feed.append(feed.next(), bytes, Instant::now());
}

/// Frames with these numbers.
fn numbered(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(frame).collect()
}

#[test]
fn listeners_return_to_a_feed_where_they_left_it() {
    let (a, b) = (mpeg(1), mpeg(2));
    let channel = Channel::new(a.clone());
    append(&a, &numbered(0..10));
    let [mut fast, mut slow] = [(); 2].map(|()| channel.join(BURST));
    assert_eq!(take_all(&mut fast), numbered(0..10));
    assert_eq!(take(&mut slow, 2 * FRAME as usize), numbered(0..2));

    channel.switch_to(&b);
    append(&a, &numbered(10..15));
    assert_eq!(fast.read(1_000), Read::Wait, "no frame of the other yet");
    append(&b, &numbered(100..105));
    let mut between = channel.join(BURST);
    assert_eq!(take_all(&mut fast), numbered(100..105));
    assert_eq!(take(&mut slow, FRAME as usize), numbered(2..3));

    channel.switch_to(&a);
    append(&b, &numbered(105..109));
    append(&a, &numbered(15..18));
    let mut after = channel.join(Duration::ZERO);
    assert_eq!(take_all(&mut fast), numbered(10..18));
    let of_slow = numbered((3..10).chain(100..105).chain(10..18));
    assert_eq!(take_all(&mut slow), of_slow);
    let of_between = numbered((100..105).chain(10..18));
    assert_eq!(take_all(&mut between), of_between);
    assert_eq!(take_all(&mut after), numbered(17..18));
    assert_eq!(
        channel.left(),
        BTreeMap::from([(StreamId(1), 10 * FRAME), (StreamId(2), 5 * FRAME)])
    );

    // The second return to the other feed goes on behind what was heard of it.
    channel.switch_to(&b);
    append(&b, &numbered(109..111));
    assert_eq!(take_all(&mut slow), numbered(105..111));
}

#[test]
fn a_leg_is_cut_and_joined_at_whole_frames() {
    let (a, b) = (mpeg(1), mpeg(2));
    let channel = Channel::new(a.clone());
    append(&a, &numbered(0..4)[..3 * FRAME as usize + 100]);
    let mut reader = channel.join(BURST);
    append(&b, b"not a frame");
    append(&b, &numbered(100..103));
    channel.switch_to(&b);
    append(&a, &numbered(3..8)[100..]);
    let heard = take_all(&mut reader);
    assert_eq!(heard, numbered((0..3).chain(100..103)));
    channel.switch_to(&a);
    assert_eq!(take_all(&mut reader), numbered(3..8));
}

#[test]
fn a_feed_that_was_never_playable_is_skipped() {
    let (a, b, c) = (mpeg(1), mpeg(2), mpeg(3));
    let channel = Channel::new(a.clone());
    append(&a, &frames(5));
    let [mut waiting, mut slow] = [(); 2].map(|()| channel.join(BURST));
    take_all(&mut waiting);
    channel.switch_to(&b);
    append(&b, b"not a frame");
    assert_eq!(waiting.read(1_000), Read::Wait);
    channel.switch_to(&c);
    assert_eq!(
        waiting.read(1_000),
        Read::Wait,
        "the third has no frame yet"
    );
    append(&c, &numbered(7..10));
    assert_eq!(take_all(&mut waiting), numbered(7..10));
    assert_eq!(take_all(&mut slow), numbered((0..5).chain(7..10)));
}

#[test]
fn a_feed_may_end_while_it_is_left() {
    let (a, b) = (mpeg(1), mpeg(2));
    let channel = Channel::new(a.clone());
    append(&a, &numbered(0..4));
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.switch_to(&b);
    append(&b, &numbered(50..53));
    take_all(&mut reader);
    append(&a, &numbered(4..7));
    a.end(EndReason::SourceLeft);
    channel.switch_to(&a);
    assert_eq!(take_all(&mut reader), numbered(4..7));
    assert_eq!(reader.read(1_000), Read::Ended);
    // As long as it has not left, it goes on with what comes next.
    channel.switch_to(&b);
    append(&b, &numbered(53..55));
    assert_eq!(take_all(&mut reader), numbered(53..55));
}

#[test]
fn a_reader_hears_the_whole_ended_feed_before_the_switch() {
    let (a, b) = (mpeg(1), mpeg(2));
    let channel = Channel::new(a.clone());
    append(&a, &numbered(0..4));
    let mut reader = channel.join(BURST);
    a.end(EndReason::Lost);
    channel.switch_to(&b);
    append(&b, &numbered(4..7));
    b.end(EndReason::SourceLeft);
    assert_eq!(take_all(&mut reader), numbered(0..7));
    assert_eq!(reader.read(1_000), Read::Ended);
}

#[test]
fn another_format_ends_listeners_after_their_last_byte() {
    let (a, ogg) = (mpeg(1), feed(2, "application/ogg"));
    let channel = Channel::new(a.clone());
    append(&a, &numbered(0..4));
    let mut reader = channel.join(BURST);
    channel.switch_to(&ogg);
    append(&ogg, &opus(1, &[1]));
    assert_eq!(take_all(&mut channel.join(BURST)), opus(1, &[1]));
    assert!(channel.left().is_empty(), "nobody has heard the one before");
    assert_eq!(take_all(&mut reader), numbered(0..4));
    assert_eq!(reader.read(1_000), Read::Ended);
    // Its player was told that the stream is over: it is not revived.
    channel.switch_to(&a);
    assert_eq!(reader.read(1_000), Read::Ended);
}

#[test]
fn a_lost_byte_is_replaced_by_the_live_edge() {
    let (a, b) = (mpeg(1), mpeg(2));
    let channel = Channel::new(a.clone());
    append(&a, &frames(10));
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.switch_to(&b);
    let mut now = Instant::now();
    for piece in frames(4_000).chunks(10 * FRAME as usize) {
        now += Duration::from_millis(261);
        a.append(a.next(), piece, now);
    }
    channel.switch_to(&a);
    assert!(matches!(reader.read(1_000), Read::Bytes(_)));
    assert_eq!(Some(reader.position()), a.join_point(BURST));
}

#[test]
fn the_feed_that_is_heard_already_is_no_switch() {
    let a = mpeg(1);
    let channel = Channel::new(a.clone());
    append(&a, &frames(3));
    let mut reader = channel.join(BURST);
    channel.switch_to(&a);
    append(&a, &numbered(3..5));
    assert_eq!(take_all(&mut reader), frames(5));
    assert!(channel.left().is_empty());
}

/// The open leg, which is looked at later without keeping it.
fn open_leg(channel: &Channel) -> Weak<Leg> {
    Arc::downgrade(&channel.shared.log.lock().open)
}

#[test]
fn a_leg_is_forgotten_with_its_last_reader() {
    let (a, b) = (mpeg(1), mpeg(2));
    let channel = Channel::new(a.clone());
    append(&a, &frames(3));
    let [mut fast, mut slow] = [(); 2].map(|()| channel.join(BURST));
    let leg = open_leg(&channel);
    append(&b, &frames(3));
    channel.switch_to(&b);
    take_all(&mut fast);
    assert!(leg.upgrade().is_some(), "one listener is still there");
    take_all(&mut slow);
    assert!(leg.upgrade().is_none());
    let legs: Vec<_> = (3..100)
        .map(|stream_id| {
            channel.switch_to(&mpeg(stream_id));
            open_leg(&channel)
        })
        .collect();
    assert_eq!(
        fast.read(1_000),
        Read::Overrun { oldest: 0 },
        "too far behind"
    );
    drop((fast, slow));
    let kept = legs.iter().filter(|leg| leg.upgrade().is_some());
    assert_eq!(kept.count(), 1);
    assert_eq!(channel.left().len(), MAX_LEGS);
    assert_eq!(channel.left().last_key_value(), Some((&StreamId(98), &0)));
}

/// A channel with a reader at its beginning, and so many feeds of two frames that were switched to since.
fn behind(legs: u32) -> ChannelReader {
    let channel = Channel::new(mpeg(0));
    let reader = channel.join(BURST);
    for number in 0..legs {
        let next = mpeg(u128::from(number) + 1);
        append(&next, &numbered(2 * number..2 * number + 2));
        channel.switch_to(&next);
    }
    reader
}

#[test]
fn a_listener_hears_all_until_it_is_too_far_behind() {
    let most = MAX_LEGS as u32;
    assert_eq!(take_all(&mut behind(most)), numbered(0..2 * most));
    let too_slow = Read::Overrun { oldest: 0 };
    assert_eq!(behind(most + 1).read(1_000), too_slow);
}

/// Both feeds grow while one thread switches and another one reads. The switching thread waits for the reader, which
/// may otherwise be too far behind on a busy machine.
#[test]
fn switches_under_a_reader_lose_and_double_nothing() {
    let feeds = [1, 2].map(|stream_id| feed(stream_id, "video/nsv"));
    let channel = Channel::new(feeds[0].clone());
    let mut reader = channel.join(BURST);
    let (over, reached) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut heard = [0; 2];
    thread::scope(|threads| {
        for feed in &feeds {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    append(feed, b"abc");
                    thread::yield_now();
                }
            });
        }
        threads.spawn(|| {
            for turn in 1..400 {
                channel.switch_to(&feeds[turn % 2]);
                thread::sleep(Duration::from_micros(100));
                while reached.load(Ordering::Relaxed) + 4 < turn as u64 {
                    thread::yield_now();
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) {
            let read = reader.read(64 << 10);
            reached.store(reader.leg.number, Ordering::Relaxed);
            match read {
                Read::Bytes(pieces) => {
                    let number = usize::from(reader.feed().is_same(&feeds[1]));
                    assert_eq!(reader.position(), heard[number]);
                    let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
                    heard[number] += bytes;
                    reader.advance(bytes);
                }
                Read::Wait => thread::yield_now(),
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(heard.iter().all(|heard| *heard > 0), "{heard:?}");
}

#[test]
fn a_late_ogg_listener_gets_each_feeds_headers_once() {
    let (a, b) = (feed(1, "audio/ogg"), feed(2, "audio/ogg"));
    let channel = Channel::new(a.clone());
    append(&a, &opus(1, &(1..=20).collect::<Vec<u64>>()));
    let mut reader = channel.join(BURST);
    assert!(reader.position() > 0);
    assert!(matches!(reader.read(1), Read::Bytes(_)));
    assert_eq!(reader.take_prologue(), opus_heads(1));
    assert_eq!(reader.take_prologue(), "");
    take_all(&mut reader);

    append(&b, &opus(2, &[1, 2, 3]));
    channel.switch_to(&b);
    assert_eq!(take_all(&mut reader), opus(2, &[1, 2, 3]));
    assert_eq!(
        reader.take_prologue(),
        "",
        "it hears that one from its beginning"
    );

    append(&a, &opus(1, &[21, 22])[opus_heads(1).len()..]);
    channel.switch_to(&a);
    assert!(take_all(&mut reader).starts_with(b"OggS"));
    assert_eq!(
        reader.take_prologue(),
        opus_heads(1),
        "its decoder has another's by now"
    );
}

#[test]
fn a_decoder_that_went_nowhere_gets_no_headers_again() {
    let (a, b) = (feed(1, "audio/ogg"), feed(2, "audio/ogg"));
    let channel = Channel::new(a.clone());
    append(&a, &opus(1, &[1, 2, 3]));
    let mut reader = channel.join(BURST);
    assert!(take_all(&mut reader).starts_with(b"OggS"));
    assert_eq!(reader.take_prologue(), opus_heads(1));

    // Another stream comes and goes before it has begun, and the first one is fetched into another ring.
    channel.switch_to(&b);
    assert_eq!(reader.read(1), Read::Wait);
    let head = StreamHead::clone(a.head());
    let again = Feed::new(Ring::new(StreamId(1), head, a.next(), Instant::now()));
    again.start(&StreamStart {
        offset: a.next(),
        media_time: Duration::ZERO,
        prologue: opus_heads(1).into(),
    });
    channel.switch_to(&again);
    let rest = &opus(1, &[4, 5])[opus_heads(1).len()..];
    append(&again, rest);
    assert!(take_all(&mut reader) == rest);
    assert_eq!(reader.take_prologue(), "", "it has them");
}

#[test]
fn header_pages_that_come_after_the_listener_are_given() {
    let stream = opus(1, &[1, 2, 3]);
    let from = opus_heads(1).len() as u64;
    let head = StreamHead::clone(ring("audio/ogg").head());
    let relay = Feed::new(Ring::new(StreamId(1), head, from, Instant::now()));
    let mut reader = Channel::new(relay.clone()).join(BURST);
    assert_eq!(reader.read(1), Read::Wait);
    assert_eq!(reader.take_prologue(), "");
    relay.start(&StreamStart {
        offset: from,
        media_time: Duration::ZERO,
        prologue: opus_heads(1).into(),
    });
    append(&relay, &stream[from as usize..]);
    assert!(matches!(reader.read(1), Read::Bytes(_)));
    assert_eq!(reader.take_prologue(), opus_heads(1));
}
