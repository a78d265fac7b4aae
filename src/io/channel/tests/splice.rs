//! How listeners go on with another stream: by what its bytes are, and as soon as they have come.

use super::*;
use crate::media::format::flac::samples as flac;
use crate::media::format::layout::Layout;
use crate::media::format::ogg::page::samples::{page, vorbis_first};
use crate::media::format::{adts, ebml};

/// A stream of Vorbis with so many pages of sound.
fn vorbis(serial: u32, pages: u64) -> Vec<u8> {
    let heads = [&b"\x03vorbis"[..], b"\x05vorbis"].map(|packet| page(serial, 0, 0, packet));
    let sound = (1..=pages).map(|at| page(serial, 0, at * 44_100, b"sound"));
    let rest = heads.into_iter().chain(sound).flatten();
    vorbis_first(serial, 44_100)
        .into_iter()
        .chain(rest)
        .collect()
}

/// A channel on which this stream is heard, and a listener that has heard all of it.
fn heard(content_type: &str, stream: &[u8]) -> (Channel, ChannelReader) {
    let first = feed(1, content_type);
    append(&first, stream);
    let channel = Channel::new(first);
    let mut reader = channel.join(Duration::MAX);
    assert!(!take_all(&mut reader).is_empty());
    reader.take_prologue();
    (channel, reader)
}

/// Switches to a stream whose bytes come only after that, as they do at a relay; what the listener then gets, from the end of
/// the first stream on.
fn go_on(channel: &Channel, reader: &mut ChannelReader, next: &Feed, stream: &[u8]) -> Vec<u8> {
    channel.switch_to(next);
    let end = take_all(reader);
    assert_eq!(reader.read(1_000), Read::Wait, "nothing has come yet");
    append(next, stream);
    [end, take_all(reader)].concat()
}

#[test]
fn one_format_by_two_names_is_one_format() {
    let seconds: Vec<u64> = (1..=10).collect();
    let (channel, mut reader) = heard("audio/ogg; codecs=opus", &opus(1, &seconds));
    let next = feed(2, "application/ogg");
    let taken = go_on(&channel, &mut reader, &next, &opus(2, &seconds));
    assert_eq!(taken, opus(2, &seconds));

    let aac = adts::samples::frames(5);
    let (channel, mut reader) = heard("audio/aac", &aac);
    let taken = go_on(&channel, &mut reader, &feed(2, "audio/aacp"), &aac);
    assert_eq!(taken, aac);
}

#[test]
fn other_codecs_by_one_name_end_listeners_when_they_are_seen() {
    let (channel, mut reader) = heard("audio/ogg", &opus(1, &[1, 2, 3]));
    let next = feed(2, "audio/ogg");
    assert_eq!(go_on(&channel, &mut reader, &next, &vorbis(2, 5)), b"");
    assert_eq!(reader.read(1_000), Read::Ended);
    let mut late = channel.join(BURST);
    let taken = take_all(&mut late);
    assert_eq!([&late.take_prologue()[..], &taken].concat(), vorbis(2, 5));
    // What is known stays: who was told the end is not revived when the next stream's codecs change.
    append(&next, &opus(3, &[1, 2, 3]));
    assert_eq!(reader.read(1_000), Read::Ended);
}

#[test]
fn a_decoder_of_flac_gets_no_second_header() {
    let (begun, stream) = (flac::beginning(), flac::frames(0..10));
    let whole = [&begun[..], &stream].concat();
    let (channel, mut reader) = heard("audio/flac", &whole);
    let frames_but_last = flac::frames(0..9);
    let taken = go_on(&channel, &mut reader, &feed(2, "audio/flac"), &whole);
    let last = flac::frames(9..10);
    assert_eq!(taken, [&last[..], &frames_but_last].concat());
    assert_eq!(reader.take_prologue(), "");
    let mut late = channel.join(Duration::MAX);
    assert_eq!(take_all(&mut late), frames_but_last);
    assert_eq!(late.take_prologue(), begun);

    // A relay holds the next stream from its middle.
    let head = StreamHead::clone(ring("audio/flac").head());
    let from = (begun.len() + flac::frames(0..4).len()) as u64;
    let relay = Feed::new(Ring::new(StreamId(3), head, from, Instant::now()));
    channel.switch_to(&relay);
    assert_eq!(take_all(&mut reader), last);
    assert_eq!(reader.read(1_000), Read::Wait);
    relay.start(&StreamStart {
        offset: from,
        media_time: Duration::from_secs(1),
        prologue: begun.into(),
    });
    append(&relay, &whole[from as usize..]);
    assert_eq!(take_all(&mut reader), flac::frames(4..9));
    assert_eq!(reader.take_prologue(), "");
}

#[test]
fn flac_of_another_rate_ends_listeners() {
    let stream = flac::frames(0..10);
    let begun = flac::beginning();
    let (channel, mut reader) = heard("audio/flac", &[&begun[..], &stream].concat());
    let mut other = begun;
    other[19] ^= 0x10; // the last bits of the rate
    let other = [other, stream].concat();
    let next = feed(2, "audio/flac");
    let end = go_on(&channel, &mut reader, &next, &other);
    assert_eq!(end, flac::frames(9..10));
    assert!(matches!(next.layout(), Some(Layout::Flac(_))));
    assert_eq!(reader.read(1_000), Read::Ended);
}

#[test]
fn nothing_follows_on_webm() {
    let sound = ebml::samples::cluster(0, &[ebml::samples::block(1, 0, true)]);
    let stream = [
        ebml::samples::heads(&[ebml::samples::audio_track(1)]),
        sound,
    ]
    .concat();
    let (channel, mut reader) = heard("audio/webm", &stream);
    channel.switch_to(&feed(2, "audio/webm"));
    assert_eq!(reader.read(1_000), Read::Ended, "known without a byte");
}

#[test]
fn a_second_segment_of_webm_ends_listeners_of_the_first() {
    let track = |has_pictures| match has_pictures {
        true => ebml::samples::video_track(1),
        false => ebml::samples::audio_track(1),
    };
    let heads = |has_pictures| ebml::samples::heads(&[track(has_pictures)]);
    let sound = |time_ms| ebml::samples::cluster(time_ms, &[ebml::samples::block(1, 0, true)]);
    let first = [heads(false), sound(0), sound(1_000)].concat();
    for has_pictures in [false, true] {
        let second = [heads(has_pictures), sound(0), sound(1_000)].concat();
        let torn = &sound(2_000)[..50];
        let (source, at) = (feed(1, "video/webm"), heads(false).len());
        let relay = Feed::new(Ring::new(
            StreamId(1),
            StreamHead::clone(source.head()),
            at as u64,
            Instant::now(),
        ));
        relay.start(&StreamStart {
            offset: at as u64,
            media_time: Duration::ZERO,
            prologue: ebml::samples::prologue(&[track(false)]).into(),
        });
        for (fed, from) in [(source, 0), (relay, at)] {
            append(&fed, &first[from..]);
            let channel = Channel::new(fed.clone());
            let [mut fast, mut slow] = [(); 2].map(|()| channel.join(Duration::MAX));
            assert_eq!(take_all(&mut fast), first[at..]);
            append(&fed, &[torn, &second].concat());
            assert_eq!(fast.read(1_000), Read::Ended);
            assert_eq!(take_all(&mut slow), first[at..]);
            assert_eq!(slow.read(1_000), Read::Ended);
            let mut late = channel.join(Duration::MAX);
            assert_eq!(take_all(&mut late), second);
            assert_eq!(late.take_prologue(), "");
            append(&fed, &sound(2_000));
            assert_eq!(take_all(&mut late), sound(2_000));
            assert_eq!(fast.read(1_000), Read::Ended, "nobody is revived");
            // Left for another stream, it still ends where the new one began.
            channel.switch_to(&feed(2, "video/webm"));
            assert_eq!(slow.read(1_000), Read::Ended);
        }
    }
}

#[test]
fn a_stream_of_which_nothing_was_heard_decides_nothing() {
    let (channel, mut reader) = heard("audio/ogg", &opus(1, &[1, 2, 3]));
    channel.switch_to(&feed(2, "audio/ogg"));
    assert_eq!(reader.read(1_000), Read::Wait);
    let third = feed(3, "audio/ogg");
    assert_eq!(go_on(&channel, &mut reader, &third, &vorbis(3, 5)), b"");
    assert_eq!(
        reader.read(1_000),
        Read::Ended,
        "it still plays the first one"
    );
}
