//! One listener: the bytes of each visit, and when it is given up.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;

use socket2::SockRef;

use super::super::connection::samples::visit_until_refused;
use super::super::connection::{CHECK_EVERY, STUCK_LIMIT};
use super::*;
use crate::io::channel::Channel;
use crate::io::feed::Feed;
use crate::media::format::detect::Format;
use crate::media::format::flac::samples as flac;
use crate::media::format::joining::StreamStart;
use crate::media::format::mpeg::samples as mpeg;
use crate::media::icy::METAINT;
use crate::media::intro::Intro;
use crate::media::ring::samples::ring;
use crate::media::ring::{Ring, RingLimits};
use crate::model::stream::{EndReason, StreamId};
use crate::model::title::TitleInfo;

/// A listener with this head, on the loopback, and its player, which has read nothing yet.
fn member(feed: &Feed, head: Bytes, now: Instant) -> (Member, TcpStream) {
    let (connection, player) = ListenerConnection::sample(head, now);
    let sound = RingSound {
        intro: None,
        reader: Channel::new(feed.clone()).join(Duration::ZERO),
        icy: None,
    };
    let member = Member::new(connection, sound, now);
    member.prepare().unwrap();
    (member, player)
}

/// Visits at this time until the kernel takes no more.
fn fill(member: &mut Member, now: Instant) {
    visit_until_refused(|| {
        assert!(stays(member, now));
        (member.connection.control.sent_bytes(), true)
    });
}

fn stays(member: &mut Member, now: Instant) -> bool {
    match member.visit(now) {
        VisitResult::Stay => true,
        VisitResult::Leave(why) => {
            assert_eq!(why, Left::TooSlow);
            false
        }
    }
}

/// More than the kernel buffers between two ends of a loopback.
fn endless() -> Vec<u8> {
    vec![7; 7 << 20]
}

#[test]
fn a_visit_takes_a_second_of_the_stream_within_bounds() {
    for (bitrate_bps, bytes) in [
        (0, LEAST_VISIT_BYTES),
        (128_000, LEAST_VISIT_BYTES),
        (4_000_000, 500_000),
        (u64::MAX, MOST_VISIT_BYTES),
    ] {
        assert_eq!(visit_bytes(bitrate_bps), bytes);
    }
}

#[test]
fn a_stream_of_pictures_is_taken_in_larger_pieces_once_its_bitrate_is_known() {
    let (feed, mut now) = (Feed::new(ring("video/nsv")), Instant::now());
    let (mut member, mut player) = member(&feed, Bytes::new(), now);
    assert_eq!(member.visit_bytes, LEAST_VISIT_BYTES);
    let mut taken = vec![0; 4 << 20];
    for _ in 0..120 {
        now += Duration::from_millis(50);
        feed.append(feed.next(), &[1; 25_000], now); // 4 Mbit/s
    }
    for _ in 0..20 {
        assert!(stays(&mut member, now));
        player.set_nonblocking(true).unwrap();
        let _none_yet = player.read(&mut taken);
    }
    assert!((400_000..600_000).contains(&member.visit_bytes));
}

/// The headers of FLAC with a picture of 300 KiB, as a relay is told them; and a feed that holds frames behind them.
fn with_long_prologue(now: Instant) -> (Bytes, Feed) {
    let picture = flac::block(6, &vec![0x55; 300 << 10]);
    let prologue = Bytes::from(flac::headers(&[picture]));
    let limits = RingLimits {
        window: Duration::from_secs(2),
        settle: Duration::ZERO,
        ..RingLimits::default()
    };
    let head = ring("audio/flac").head().clone();
    let start = prologue.len() as u64;
    let relay = Ring::new(StreamId(1), head, start, now).with_limits(limits);
    let feed = Feed::new(relay);
    feed.start(&StreamStart {
        offset: start,
        media_time: Duration::ZERO,
        prologue: prologue.clone(),
    });
    (prologue, feed)
}

/// A listener between which and its player there is little room, so that a long prologue does not fit.
fn narrow_member(feed: &Feed, now: Instant) -> (Member, TcpStream) {
    let (member, player) = member(feed, Bytes::new(), now);
    member.connection.set_send_buffer(4_096).unwrap();
    SockRef::from(&player).set_recv_buffer_size(4_096).unwrap();
    (member, player)
}

#[test]
fn a_listener_that_takes_a_long_prologue_slowly_joins_anew() {
    let mut now = Instant::now();
    let (prologue, feed) = with_long_prologue(now);
    let (mut member, mut player) = narrow_member(&feed, now);
    player
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let (mut heard, mut piece, mut number) = (Vec::new(), vec![0; 2 << 10], 0);
    let mut is_late = false;
    while heard.len() < prologue.len() + 20_000 {
        // The clock and the source stand still while the kernel is late with what it has.
        if !is_late || member.reader.position() >= feed.edge() {
            now += Duration::from_millis(100);
            feed.append(feed.next(), &flac::frame(number), now);
            number += 1;
        }
        assert!(stays(&mut member, now));
        let read = player.read(&mut piece);
        is_late = read.is_err();
        heard.extend(&piece[..read.unwrap_or_default()]);
    }
    assert!(
        feed.oldest() > prologue.len() as u64,
        "it began with lost bytes"
    );
    let pairs = heard.iter().zip(&prologue);
    let same = pairs.take_while(|(heard, told)| heard == told).count();
    assert_eq!(same, prologue.len());
    let audio = &heard[prologue.len()..];
    let all = flac::frames(0..number);
    let begun = &audio[..300];
    let from = all.windows(300).position(|it| it == begun).unwrap();
    assert!(all[from..].starts_with(&audio[..20_000]));
}

#[test]
fn a_listener_that_takes_nothing_of_a_long_prologue_leaves() {
    let now = Instant::now();
    let (prologue, feed) = with_long_prologue(now);
    let (mut member, _player) = narrow_member(&feed, now);
    let mut frames = 0..;
    let mut grow = |count, now| {
        let numbers = frames.by_ref().take(count);
        feed.append(feed.next(), &flac::frames(numbers), now);
    };
    grow(5, now);
    for _ in 0..50 {
        assert!(stays(&mut member, now));
    }
    let sent_bytes = member.connection.control.sent_bytes();
    assert!((1..prologue.len() as u64).contains(&sent_bytes));
    grow(100, now + STUCK_LIMIT / 2);
    assert!(stays(&mut member, now + STUCK_LIMIT / 2));
    grow(100, now + STUCK_LIMIT);
    assert!(!stays(&mut member, now + STUCK_LIMIT));
}

#[test]
fn an_unread_listener_leaves_a_finished_stream_in_time() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    let (mut member, _player) = member(&feed, Bytes::new(), now);
    feed.append(0, &endless(), now);
    fill(&mut member, now);
    let late = now + 2 * STUCK_LIMIT;
    assert!(stays(&mut member, late), "the ring may still push it off");
    feed.finish(EndReason::SourceLeft);
    assert!(!stays(&mut member, late + CHECK_EVERY));
}

#[test]
fn what_a_listener_has_never_taken_is_forgotten_with_it() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    let (mut member, mut player) = member(&feed, Bytes::new(), now);
    feed.append(0, &endless(), now);
    feed.end(EndReason::SourceLeft);
    fill(&mut member, now);
    assert!(!stays(&mut member, now + STUCK_LIMIT));
    member.leave(Left::TooSlow);
    let ended = player
        .read_to_end(&mut Vec::new())
        .map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_listener_that_reads_again_gets_its_time_anew() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    let (mut member, mut player) = member(&feed, Bytes::new(), now);
    feed.append(0, &endless(), now);
    feed.end(EndReason::SourceLeft);
    fill(&mut member, now);
    let mut taken = vec![0; 4 << 20];
    player.read_exact(&mut taken[..64 << 10]).unwrap();
    let late = now + STUCK_LIMIT - Duration::from_millis(1);
    assert!(stays(&mut member, late));
    let sent_bytes = member.connection.control.sent_bytes();
    while member.connection.control.sent_bytes() == sent_bytes {
        let some = player.read(&mut taken).unwrap();
        assert!(some > 0 && stays(&mut member, late));
    }
    fill(&mut member, late);
    assert!(stays(&mut member, late + STUCK_LIMIT / 2));
    assert!(!stays(&mut member, late + 2 * STUCK_LIMIT));
}

#[test]
fn a_head_that_nobody_reads_keeps_no_listener() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    feed.end(EndReason::SourceLeft);
    let (mut member, _player) = member(&feed, endless().into(), now);
    fill(&mut member, now);
    assert!(stays(&mut member, now + STUCK_LIMIT / 2));
    assert!(!stays(&mut member, now + STUCK_LIMIT));
}

#[test]
fn a_listener_leaves_at_its_time_behind_what_there_is() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    let (mut member, mut player) = member(&feed, Bytes::new(), now);
    member.connection.until = Some(now + Duration::from_secs(60));
    feed.append(0, b"before", now);
    assert!(stays(&mut member, now + Duration::from_secs(59)));
    feed.append(6, b" and last", now);
    let left = member.visit(now + Duration::from_secs(60));
    assert!(matches!(left, VisitResult::Leave(Left::TimeIsUp)));
    member.leave(Left::TimeIsUp);
    let mut heard = Vec::new();
    player.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"before and last");
}

/// An intro of so many frames of MP3; it plays 26 ms for each.
fn intro(frames: u32) -> Intro {
    Intro::read(&mpeg::frames(frames), Format::Mpeg, 0).unwrap()
}

/// All that a player was sent until now, when it leaves.
fn heard(member: Member, mut player: TcpStream) -> Vec<u8> {
    member.leave(Left::Stopped);
    let mut heard = Vec::new();
    player.read_to_end(&mut heard).unwrap();
    heard
}

#[test]
fn a_stream_is_joined_when_its_intro_was_taken() {
    let (feed, now) = (Feed::new(ring("audio/mpeg")), Instant::now());
    feed.append(0, &mpeg::frames(4), now);
    let (mut member, player) = member(&feed, Bytes::from_static(b"head. "), now);
    let intro = intro(5);
    member.intro = IntroRest::new(Some(&intro), now);
    let meanwhile: Vec<u8> = (4..8).flat_map(mpeg::frame).collect();
    feed.append(feed.next(), &meanwhile, now);
    assert!(stays(&mut member, now));
    assert_eq!(
        member.connection.control.sent_bytes(),
        6 + intro.bytes().len() as u64
    );
    fill(&mut member, now);
    let heard = heard(member, player);
    assert_eq!(&heard[..6], b"head. ");
    let (first, stream) = heard[6..].split_at(intro.bytes().len());
    assert_eq!(first, intro.bytes());
    assert!(meanwhile.ends_with(stream) && !stream.is_empty());
}

#[test]
fn a_stream_that_was_replaced_during_the_intro_is_not_heard() {
    let (feed, now) = (Feed::new(ring("audio/mpeg")), Instant::now());
    feed.append(0, &mpeg::frames(4), now);
    let channel = Channel::new(feed.clone());
    let (mut member, player) = member(&feed, Bytes::new(), now);
    member.reader = channel.join(Duration::from_secs(60));
    let intro = intro(5);
    member.intro = IntroRest::new(Some(&intro), now);
    let next = Feed::new(ring("audio/mpeg"));
    channel.switch_to(&next);
    let stream: Vec<u8> = (10..14).flat_map(mpeg::frame).collect();
    next.append(0, &stream, now);
    fill(&mut member, now);
    assert_eq!(
        heard(member, player),
        [&intro.bytes()[..], &stream].concat()
    );
}

#[test]
fn titles_go_on_across_an_intro() {
    let (feed, now) = (Feed::new(ring("audio/mpeg")), Instant::now());
    feed.append(0, &mpeg::frames(4), now);
    feed.set_title(0, &TitleInfo::plain("First"));
    let (mut member, player) = member(&feed, Bytes::new(), now);
    let intro = intro(50);
    member.intro = IntroRest::new(Some(&intro), now);
    member.icy = Some(Interleaver::default());
    assert!(stays(&mut member, now));
    assert!(member.intro.is_over());
    feed.set_title(feed.next(), &TitleInfo::plain("Second"));
    let stream: Vec<u8> = (4..40).flat_map(mpeg::frame).collect();
    feed.append(feed.next(), &stream, now);
    fill(&mut member, now);
    let heard = heard(member, player);
    let mut rest = &heard[..];
    let (mut audio, mut titles) = (Vec::new(), Vec::new());
    while rest.len() > METAINT {
        let (part, block) = rest.split_at(METAINT);
        audio.extend(part);
        let (text, after) = block[1..].split_at(16 * usize::from(block[0]));
        titles.push(String::from_utf8_lossy(text).into_owned());
        rest = after;
    }
    audio.extend(rest);
    assert!(audio.starts_with(intro.bytes()));
    let stream = [mpeg::frames(4), stream].concat();
    assert!(stream.ends_with(&audio[intro.bytes().len()..]));
    assert!(titles[0].contains("First"), "{titles:?}");
    assert!(titles[1].contains("Second"), "{titles:?}");
}

#[test]
fn an_intro_that_nobody_takes_keeps_no_listener() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    let (mut member, _player) = narrow_member(&feed, now);
    member.intro = IntroRest::new(Some(&intro(4_000)), now);
    fill(&mut member, now);
    assert!(!member.intro.is_over());
    assert!(stays(&mut member, now + STUCK_LIMIT / 2));
    assert!(!stays(&mut member, now + STUCK_LIMIT));
}

#[test]
fn a_slow_listener_leaves_soon_after_its_time() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    let (mut member, _player) = member(&feed, Bytes::new(), now);
    member.connection.until = Some(now);
    feed.append(0, &endless(), now);
    fill(&mut member, now);
    assert!(stays(&mut member, now + LAST_WORDS / 2), "it may catch up");
    let left = member.visit(now + LAST_WORDS);
    assert!(matches!(left, VisitResult::Leave(Left::TimeIsUp)));
}

#[test]
fn a_listener_that_waits_for_the_next_stream_stays() {
    let (feed, now) = (Feed::new(ring("application/ogg")), Instant::now());
    let (mut member, _player) = member(&feed, Bytes::new(), now);
    feed.append(0, b"all of it", now);
    feed.finish(EndReason::SourceLeft);
    fill(&mut member, now);
    assert!(stays(&mut member, now + 10 * STUCK_LIMIT));
}

#[test]
fn one_visit_ends_a_stream_and_begins_the_next() {
    let (feed, now) = (Feed::new(ring("audio/mpeg")), Instant::now());
    feed.append(0, &mpeg::frames(4), now);
    let channel = Channel::new(feed.clone());
    let (mut member, player) = member(&feed, Bytes::new(), now);
    member.reader = channel.join(Duration::from_secs(60));
    assert!(stays(&mut member, now));
    feed.append(feed.next(), &mpeg::frames(2), now);
    let next = Feed::new(ring("audio/mpeg"));
    next.append(0, &mpeg::frames(3), now);
    channel.switch_to(&next);
    assert!(stays(&mut member, now));
    let frames = [4, 2, 3].map(mpeg::frames).concat();
    assert!(heard(member, player) == frames);
}
