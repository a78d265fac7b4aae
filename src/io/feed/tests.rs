//! Tests of feeds: who wakes when, and what is news.

use super::*;
use crate::media::ring::samples::ring;

fn feed() -> Feed {
    Feed::new(ring("application/ogg"))
}

#[tokio::test]
async fn a_reader_wakes_when_its_byte_comes() {
    let (feed, now) = (feed(), Instant::now());
    let reader = feed.clone();
    let reading = tokio::spawn(async move { reader.wait_beyond(3).await.next });
    feed.append(0, b"ab", now);
    feed.append(2, b"cd", now);
    assert_eq!(reading.await.unwrap(), 4);
    assert_eq!(feed.read(3, 10), Read::Bytes(vec!["d".into()]));
}

#[tokio::test]
async fn a_reader_wakes_at_the_end() {
    let feed = feed();
    let reader = feed.clone();
    let reading = tokio::spawn(async move { reader.wait_beyond(3).await.ended });
    feed.end(EndReason::Lost);
    feed.end(EndReason::MountDeleted);
    assert_eq!(reading.await.unwrap(), Some(EndReason::Lost));
    assert_eq!(feed.ended(), Some(EndReason::Lost));
}

#[test]
fn a_stream_that_is_replaced_has_not_finished() {
    let feed = feed();
    feed.end(EndReason::Replaced);
    assert_eq!(feed.ended(), Some(EndReason::Replaced));
    assert_eq!(feed.finished(), None);
}

#[tokio::test]
async fn titles_are_news_only_when_they_change() {
    let feed = feed();
    let mut news = feed.subscribe();
    feed.set_title(0, &TitleInfo::plain("a"));
    news.changed().await.unwrap();
    assert_eq!(news.borrow_and_update().title_changes, 1);
    feed.set_title(0, &TitleInfo::plain("a"));
    assert!(!news.has_changed().unwrap());
    assert_eq!(feed.title().unwrap().info.text, "a");
}

#[test]
fn bytes_that_are_refused_are_no_news() {
    let (feed, now) = (feed(), Instant::now());
    let news = feed.subscribe();
    assert_eq!(feed.append(5, b"x", now), Append::Gap { next: 0 });
    assert!(!news.has_changed().unwrap());
}

#[test]
fn a_stream_that_was_sent_ahead_sounds_on_after_its_end() {
    let feed = Feed::new(ring("audio/mpeg"));
    let began = feed.began();
    let after = |ms: u64| began + Duration::from_millis(ms);
    let frame = [&[0xff, 0xfb, 0x90, 0xc0][..], &[0; 413]].concat(); // 128 kbit/s, 44.1 kHz: 26.1 ms
    feed.append(feed.next(), &frame.repeat(100), after(100));
    assert_eq!((feed.sounds_until(), feed.look()), (None, RingLook::Open));
    feed.note_beat(feed.own_beat_ms(after(500)), after(500));
    feed.finish(EndReason::SourceLeft);
    let until = feed.sounds_until().unwrap();
    assert!(
        until > after(2_500) && until < after(2_700),
        "{:?}",
        until - began
    );
    assert_eq!(feed.unheard(after(1_000)), until - after(1_000));
    assert_eq!(feed.unheard(after(9_000)), Duration::ZERO);
    assert_eq!(feed.beat_after_end_ms(after(700)), 700);
    let sounds_until = Some(until);
    assert_eq!(feed.look(), RingLook::Finished { sounds_until });
}

#[test]
fn a_stream_whose_age_is_not_known_sounds_no_longer_than_it_lasts() {
    let feed = Feed::new(ring("audio/mpeg"));
    feed.note_beat(5, feed.began());
    feed.append(feed.next(), b"bytes", feed.began());
    feed.finish(EndReason::SourceLeft);
    assert_eq!(feed.sounds_until(), None);
    assert_eq!(feed.beat_after_end_ms(feed.began()), 0);
}

#[test]
fn a_stream_that_came_at_once_sounds_for_all_its_time() {
    let feed = Feed::new(ring("audio/mpeg"));
    let began = feed.began();
    feed.append(
        feed.next(),
        &crate::media::format::mpeg::samples::frames(100),
        began,
    );
    feed.note_beat(feed.own_beat_ms(began), began);
    feed.finish(EndReason::SourceLeft);
    assert!(feed.unheard(began) > Duration::from_secs(1));
}

#[test]
fn only_a_later_sign_of_life_counts() {
    let feed = Feed::new(ring("audio/mpeg"));
    let began = feed.last_fed();
    let after = |ms: u64| began + Duration::from_millis(ms);
    feed.note_beat(100, after(1));
    feed.note_beat(100, after(2));
    feed.note_beat(50, after(3));
    assert_eq!((feed.beat_ms(), feed.last_fed()), (100, after(1)));
    feed.append(feed.next() + 1, b"not its next byte", after(4));
    assert_eq!(feed.last_fed(), after(1));
    feed.append(feed.next(), b"its next bytes", after(5));
    assert_eq!((feed.beat_ms(), feed.last_fed()), (100, after(5)));
}
