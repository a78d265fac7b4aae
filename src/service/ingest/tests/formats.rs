//! The bytes of a source that get offsets, and the format that they are found to be of.

use super::*;
use crate::media::format::detect::Format;
use crate::media::format::joining::MAX_PROLOGUE_BYTES;
use crate::media::format::ogg::first_serials;
use crate::media::format::ogg::page::samples::{page, vorbis_first};
use crate::media::format::{adts, ebml, flac, loas, ts};
use crate::model::fitness::SourceFitness;
use crate::wire::gossip::StreamAbout;

/// An ID3v2 tag with a picture of so many bytes.
fn cover(bytes: usize) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (bytes >> shift) as u8 & 0x7F);
    [&b"ID3\x04\0\0"[..], &size, &vec![0; bytes]].concat()
}

/// The first frame of a file: a table of contents.
fn contents() -> Vec<u8> {
    let mut frame = frames(1);
    frame[36..40].copy_from_slice(b"Xing");
    frame
}

/// The tag at the end of a file.
fn id3v1() -> Vec<u8> {
    let mut tag = b"TAGsong".to_vec();
    tag.resize(128, 0);
    tag
}

#[tokio::test(start_paused = true)]
async fn tags_get_no_offsets() {
    let bench = Bench::start(&[]).await;
    let mut offered = bench.offer();
    let begun = [cover(300_000), contents(), frames(20)].concat();
    offered.sender.write_all(&begun).await.unwrap();
    let feed = bench.on_air(None).await;
    let next_file = [id3v1(), cover(50_000), contents(), frames(20), id3v1()].concat();
    offered.sender.write_all(&next_file).await.unwrap();
    bench.holds(&feed, &frames(20).repeat(2)).await;
    offered.sender.shutdown().await.unwrap();
    assert_eq!(offered.over().await, Ok(()));
    assert_eq!(feed.next(), 2 * frames(20).len() as u64);
}

#[tokio::test(start_paused = true)]
async fn files_of_flac_follow_each_other_without_their_tags() {
    let bench = Bench::start(&[]).await;
    let mut cover = cover(300_000);
    cover[10..14].copy_from_slice(b"APIC");
    let file = [flac::samples::beginning(), flac::samples::frames(0..9)].concat();
    let tagged = [&cover[..], &file, &id3v1()].concat();
    let (mut offered, feed) = bench.fill("audio/flac", &tagged, None).await;
    offered.sender.write_all(&tagged).await.unwrap();
    offered.sender.shutdown().await.unwrap();
    assert_eq!(offered.over().await, Ok(()));
    bench.holds(&feed, &file.repeat(2)).await;
    let at = feed.next() - 1;
    assert_eq!(feed.prologue_at(at), flac::samples::beginning());
    assert_eq!(feed.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_cover_over_a_slow_line_is_no_silence() {
    let bench = Bench::start(&[]).await;
    let mut offered = bench.offer();
    let mut on_air = None;
    for turn in 0..2 {
        for piece in cover(3_000).chunks(300) {
            tokio::time::sleep(Duration::from_secs(9)).await;
            offered.sender.write_all(piece).await.unwrap();
        }
        offered.sender.write_all(&frames(100)).await.unwrap();
        let feed = bench.on_air(None).await;
        assert!(
            on_air
                .replace(feed.clone())
                .is_none_or(|it| it.is_same(&feed))
        );
        bench.holds(&feed, &frames(100).repeat(turn + 1)).await;
    }
    offered
        .sender
        .write_all(&cover(3_000)[..200])
        .await
        .unwrap();
    assert_eq!(offered.over().await, Ok(()));
    let finished = on_air.and_then(|feed| feed.finished());
    assert_eq!(finished, Some(EndReason::SourceSilent), "a tag that stops");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_short_to_tell_goes_on_air_as_it_is() {
    for begun in [&b"ID3"[..], b"O", b"IT", &frames(1)] {
        let bench = Bench::start(&[]).await;
        let mut offered = bench.offer();
        offered.sender.write_all(begun).await.unwrap();
        offered.sender.shutdown().await.unwrap();
        assert_eq!(offered.over().await, Ok(()));
        let held = bench.ingest.streams.get(&mount()).unwrap();
        assert_eq!(held.feed.next(), begun.len() as u64, "{begun:x?}");
        assert_eq!(held.feed.head().content_type, "audio/mpeg");
    }
}

/// Some audio of each format, from its beginning on.
fn all_formats() -> [(Format, Vec<u8>); 7] {
    let heads = ebml::samples::heads(&[ebml::samples::audio_track(1)]);
    let cluster = ebml::samples::cluster(0, &[ebml::samples::block(1, 0, true)]);
    let sounds = (0..9).flat_map(|at| ts::samples::sound(at * 2_000));
    let tables = ts::samples::tables(&[(0x0F, 0x101)]);
    [
        (Format::Mpeg, frames(9)),
        (Format::Adts, adts::samples::frames(9)),
        (Format::Loas, loas::samples::frames(9)),
        (Format::Ogg, opus(1, &[1, 2])),
        (Format::Ebml, [heads, cluster].concat()),
        (
            Format::Flac,
            [flac::samples::beginning(), flac::samples::frames(0..9)].concat(),
        ),
        (Format::Ts, tables.into_iter().chain(sounds).collect()),
    ]
}

impl Bench {
    /// The words on the stream on air that other nodes hear.
    fn about(&self) -> StreamAbout {
        let held = self.ingest.streams.get(&mount()).unwrap();
        let stream_id = held.feed.stream_id();
        held.about(self.ingest.sources.findings(&mount(), stream_id))
    }

    /// Puts a source on air, and returns what it fills.
    async fn fill(&self, stated: &str, begun: &[u8], before: Option<StreamId>) -> (Offered, Feed) {
        let mut offered = self.offer_as(stated);
        offered.sender.write_all(begun).await.unwrap();
        (offered, self.on_air(before).await)
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_that_contradicts_the_bytes_is_corrected() {
    for (format, begun) in all_formats() {
        let (bench, mut before) = (Bench::start(&[]).await, None);
        let stated = all_formats().map(|(it, _)| it.media_type());
        for stated in stated.into_iter().chain(["text/html", "video/nsv"]) {
            let (mut offered, feed) = bench.fill(stated, &begun, before).await;
            before = Some(feed.stream_id());
            let is_true = stated == format.media_type();
            assert_eq!(feed.head().content_type, format.media_type(), "{stated}");
            let false_type = (!is_true).then(|| stated.to_owned());
            assert_eq!(bench.about().false_type, false_type, "{format:?}");
            offered.sender.shutdown().await.unwrap();
            assert_eq!(offered.over().await, Ok(()));
            assert_eq!(bench.about().false_type, None, "its source has gone");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_film_that_is_called_mp3_is_a_film() {
    let film = [ebml::samples::video_track(1), ebml::samples::audio_track(2)];
    let cluster = ebml::samples::cluster(0, &[ebml::samples::block(1, 0, true)]);
    let begun = [ebml::samples::heads(&film), cluster].concat();
    for (stated, told) in [("audio/mpeg", "video/webm"), ("audio/webm", "audio/webm")] {
        let bench = Bench::start(&[]).await;
        let (_offered, feed) = bench.fill(stated, &begun, None).await;
        assert_eq!(feed.head().content_type, told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waited_is_looked_at_too() {
    let bench = Bench::start(&[("standby", "true")]).await;
    let (mut first, old) = bench.put_on_air(20).await;
    let mut second = bench.offer();
    second.sender.write_all(&opus(7, &[1, 2])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    first.sender.shutdown().await.unwrap();
    assert_eq!(first.over().await, Ok(()));
    while !bench.ingest.sources.standby().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    second
        .sender
        .write_all(&page(7, 0, 144_000, &[3; 300]))
        .await
        .unwrap();
    let new = bench.on_air(Some(old.stream_id())).await;
    assert_eq!(new.head().content_type, "application/ogg");
    assert_eq!(new.prologue_at(0), opus_heads(7));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_changes_its_format_is_closed() {
    let others = all_formats().into_iter().filter(|(format, _)| {
        // All that begin with a word of their own are seen at once.
        matches!(format, Format::Ogg | Format::Ebml | Format::Flac)
    });
    for (format, begun) in others {
        let bench = Bench::start(&[]).await;
        let (mut offered, feed) = bench.put_on_air(20).await;
        let sent = [frames(5), begun].concat();
        offered.sender.write_all(&sent).await.unwrap();
        assert_eq!(offered.over().await, Ok(()), "{format:?}");
        assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
        assert_eq!(feed.next(), frames(25).len() as u64, "{format:?}");
    }
    // The others once so much came that it is no MP3 any more.
    let bench = Bench::start(&[]).await;
    let (mut offered, feed) = bench.put_on_air(20).await;
    for _ in 0..60 {
        let sent = offered.sender.write_all(&adts::samples::frames(10)).await;
        if sent.is_err() {
            break;
        }
    }
    assert_eq!(offered.over().await, Ok(()));
    assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
    assert!(feed.next() < 100_000, "{}", feed.next());
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_headers_do_not_end_is_closed() {
    let bench = Bench::start(&[]).await;
    let (mut offered, feed) = bench
        .fill("application/ogg", &vorbis_first(1, 44_100), None)
        .await;
    let body = [7; 255 * 250];
    for _ in 0..=2 * MAX_PROLOGUE_BYTES / body.len() {
        let sent = offered.sender.write_all(&page(1, 1, u64::MAX, &body)).await;
        if sent.is_err() {
            break;
        }
    }
    assert_eq!(offered.over().await, Ok(()));
    assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
    assert!(feed.next() < MAX_PROLOGUE_BYTES as u64 + (256 << 10));
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_while_it_lasts() {
    let bench = Bench::start(&[]).await;
    let unknown = page(1, 2, 0, b"\x7Fstrange");
    let sound = page(1, 0, 9, &[1; 200]);
    let begun = [unknown, sound.repeat(2)].concat();
    let (mut offered, feed) = bench.fill("application/ogg", &begun, None).await;
    bench.holds(&feed, &begun).await;
    let trouble = bench.about().trouble;
    assert_eq!(
        trouble.as_deref(),
        Some("the codec of the stream is not known")
    );
    offered.sender.write_all(&opus(2, &[1])).await.unwrap();
    bench.holds(&feed, &[begun, opus(2, &[1])].concat()).await;
    assert_eq!(bench.about().trouble, None);
}

#[tokio::test(start_paused = true)]
async fn a_serial_number_does_not_come_twice() {
    let bench = Bench::start(&[]).await;
    let (mut first, old) = bench.fill("application/ogg", &opus(4, &[1, 2]), None).await;
    bench.holds(&old, &opus(4, &[1, 2])).await;
    first.sender.shutdown().await.unwrap();
    assert_eq!(first.over().await, Ok(()));
    let stream = opus(4, &[1, 2, 3]);
    let (begun, rest) = stream.split_at(stream.len() - 100);
    let (mut second, new) = bench
        .fill("application/ogg", begun, Some(old.stream_id()))
        .await;
    second.sender.write_all(rest).await.unwrap();
    while new.next() < stream.len() as u64 {
        new.wait_beyond(new.next()).await;
    }
    let serials = new.serials();
    assert!(matches!(serials[..], [other] if other != 4), "{serials:?}");
    bench.holds(&new, &opus(serials[0], &[1, 2, 3])).await;
    assert_eq!(bench.about().serials, serials);
    second.sender.shutdown().await.unwrap();
    assert_eq!(second.over().await, Ok(()));
    // Another serial number stays.
    let (_third, last) = bench
        .fill("application/ogg", &opus(5, &[1]), Some(new.stream_id()))
        .await;
    bench.holds(&last, &opus(5, &[1])).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waited_gets_other_serial_numbers_too() {
    let bench = Bench::start(&[("standby", "true")]).await;
    let (mut first, old) = bench.fill("application/ogg", &opus(4, &[1, 2]), None).await;
    bench.holds(&old, &opus(4, &[1, 2])).await;
    let mut second = bench.offer();
    let waited = opus(4, &[1, 2, 3, 4]);
    second
        .sender
        .write_all(&waited[..waited.len() - 50])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    first.sender.shutdown().await.unwrap();
    assert_eq!(first.over().await, Ok(()));
    while !bench.ingest.sources.standby().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let more = opus(4, &[5, 6]).split_off(opus_heads(4).len());
    let more = [&waited[waited.len() - 50..], &more].concat();
    second.sender.write_all(&more).await.unwrap();
    let new = bench.on_air(Some(old.stream_id())).await;
    let prologue = new.prologue_at(0);
    let serials = first_serials(&prologue);
    assert!(matches!(serials[..], [other] if other != 4), "{serials:?}");
    assert_eq!(prologue, opus_heads(serials[0]));
    let rest = opus(serials[0], &[2, 3, 4, 5, 6]).split_off(prologue.len());
    bench.holds(&new, &rest).await;
}

#[tokio::test(start_paused = true)]
async fn what_stands_between_pages_is_not_heard() {
    let bench = Bench::start(&[]).await;
    let sent = opus(4, &[1, 2]);
    let (begin, end) = sent.split_at(opus_heads(4).len());
    let junk = [begin, b"Ogg is OggS", end].concat();
    let (_offered, feed) = bench.fill("application/ogg", &junk, None).await;
    bench.holds(&feed, &sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_in_which_no_sound_is_found_any_more_is_told_so() {
    for (format, begun) in all_formats() {
        if !matches!(
            format,
            Format::Mpeg | Format::Adts | Format::Ogg | Format::Flac
        ) {
            continue; // of the others silence is seen by their bytes
        }
        let bench = Bench::start(&[]).await;
        let (mut offered, _feed) = bench.fill(format.media_type(), &begun, None).await;
        for _ in 0..30 {
            // The node may close it before all is sent.
            let _closed = offered.sender.write_all(&[9; 500]).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert_eq!(offered.over().await, Ok(()));
        let closed = bench.ingest.sources.closed();
        let why = closed.get(&mount()).map(|card| card.why.clone());
        let expected = format!("no {} was found in the last", format.name());
        assert!(
            why.as_ref().is_some_and(|why| why.contains(&expected)),
            "{format:?}: {why:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_could_be_heard_once_its_audio_is_found() {
    let bench = Bench::start(&[("standby", "true")]).await;
    let (mut first, _old) = bench.put_on_air(20).await;
    bench.gossip();
    let fitness = || {
        let waiting = bench.ingest.sources.standby();
        let card = waiting.get(&mount()).map(|card| card.best);
        card.map(|card| (card.sends, card.fitness))
    };
    let mut second = bench.offer();
    let page = b"<p>one moment</p>".repeat(4_000);
    second.sender.write_all(&page).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(fitness(), Some((false, SourceFitness::Unknown)));
    second.sender.write_all(&frames(20)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fitness(), Some((true, SourceFitness::Fit)));
    // Another format is audio, too, but not for those who listen.
    first.sender.write_all(&frames(20)).await.unwrap();
    let mut third = bench.offer();
    drop(second);
    third
        .sender
        .write_all(&adts::samples::frames(20))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fitness(), Some((false, SourceFitness::OtherFormat)));
}
