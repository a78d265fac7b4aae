//! The promises of the ring, with generated streams.

use proptest::prelude::*;

use super::samples::ring;
use super::*;
use crate::media::format::flac::samples as flac;
use crate::media::format::joining::StreamStart;
use crate::media::format::mpeg;
use crate::media::format::ogg::page::samples::opus_titled;

const FRAME: u64 = 417;
const FRAME_MS: f64 = 26.122_449;

/// A ring of MPEG audio that has taken this many frames.
fn mpeg_ring(frames: u32) -> Ring {
    let mut ring = ring("audio/mpeg");
    let now = Instant::now();
    ring.append(0, &mpeg::samples::frames(frames), now);
    ring
}

/// A moment at which all that has come at `now` has been there for long enough.
fn settled(now: Instant) -> Instant {
    now + RingLimits::default().settle + Duration::from_secs(1)
}

fn read_all(ring: &Ring, max_bytes: usize) -> Vec<u8> {
    let (mut all, mut from) = (Vec::new(), ring.oldest());
    while let Read::Bytes(pieces) = ring.read(from, max_bytes) {
        let part = pieces.concat();
        assert!((1..=max_bytes).contains(&part.len()));
        from += part.len() as u64;
        all.extend(part);
    }
    all
}

#[test]
fn only_the_next_bytes_go_in() {
    let (mut ring, now) = (ring("application/ogg"), Instant::now());
    assert_eq!(ring.append(1, b"b", now), Append::Gap { next: 0 });
    assert_eq!(ring.append(0, b"", now), Append::Duplicate);
    assert_eq!(ring.append(0, b"abc", now), Append::Appended);
    assert_eq!(ring.append(0, b"abc", now), Append::Duplicate);
    assert_eq!(ring.append(1, b"bcde", now), Append::Trimmed);
    assert_eq!(ring.append(6, b"g", now), Append::Gap { next: 5 });
    assert_eq!(read_all(&ring, 2), b"abcde");
}

#[test]
fn a_reader_waits_at_the_edge_until_the_end() {
    let (mut ring, now) = (ring("application/ogg"), Instant::now());
    assert_eq!(ring.read(0, 9), Read::Wait);
    ring.append(0, b"abc", now);
    assert_eq!(ring.read(1, 0), Read::Bytes(vec!["b".into()]));
    assert_eq!(ring.read(3, 9), Read::Wait);
    assert_eq!(ring.read(900, 9), Read::Wait);
    ring.end(EndReason::SourceLeft);
    ring.end(EndReason::MountDeleted);
    assert_eq!(ring.ended(), Some(EndReason::SourceLeft));
    assert_eq!(ring.read(1, 9), Read::Bytes(vec!["bc".into()]));
    assert_eq!(ring.read(3, 9), Read::Ended);
    assert_eq!(ring.append(3, b"d", now), Append::Ended);
    assert_eq!(ring.next(), 3);
}

#[test]
fn the_end_proves_that_the_last_frame_is_whole() {
    let stream = [flac::beginning(), flac::frames(0..4)].concat();
    let last = flac::frames(3..4).len();
    for cut in [0, 1, last - 1] {
        let mut ring = ring("audio/flac");
        ring.append(0, &stream[..stream.len() - cut], Instant::now());
        let edge = (stream.len() - last) as u64;
        assert_eq!(ring.read_whole(0, edge, 9_999), Read::Wait);
        ring.end(EndReason::SourceLeft);
        let whole = if cut == 0 { stream.len() as u64 } else { edge };
        assert_eq!(ring.edge(), whole, "{cut} bytes are missing");
        assert_eq!(ring.read_whole(0, whole, 9), Read::Ended);
    }
}

#[test]
fn offsets_cannot_overflow() {
    let (head, now) = (Arc::clone(ring("audio/mpeg").head()), Instant::now());
    let mut ring = Ring::new(StreamId(1), head, u64::MAX - 2, now);
    assert_eq!(ring.append(u64::MAX - 2, b"ab", now), Append::Appended);
    assert_eq!(ring.append(u64::MAX, b"c", now), Append::Ended);
    assert_eq!(ring.next(), u64::MAX);
}

#[test]
fn a_slow_reader_is_told_where_the_ring_begins() {
    let limits = RingLimits {
        max_bytes: 32 << 10,
        burst_bytes: 0,
        ..RingLimits::default()
    };
    let (mut ring, now) = (ring("application/ogg").with_limits(limits), Instant::now());
    for n in 0..100 {
        ring.append(n * 1_000, &[n as u8; 1_000], now);
    }
    let oldest = ring.oldest();
    assert_eq!(ring.read(0, 10), Read::Overrun { oldest });
    assert!((60_000..=70_000).contains(&oldest), "{oldest}");
    let Read::Bytes(pieces) = ring.read(oldest, 1) else {
        panic!("the oldest byte is there");
    };
    assert_eq!(pieces.concat(), [(oldest / 1_000) as u8]);
}

#[test]
fn mpeg_is_kept_by_its_own_time() {
    let mut ring = mpeg_ring(4_000); // 104 s, all at once
    assert_eq!(ring.oldest(), 0, "readers get round to it");
    let later = settled(ring.began());
    ring.append(ring.next(), &mpeg::samples::frames(2), later);
    let kept_s = (ring.next() - ring.oldest()) as f64 / FRAME as f64 * FRAME_MS / 1_000.0;
    assert!((30.0..32.0).contains(&kept_s), "{kept_s}");
}

#[test]
fn the_unknown_is_kept_by_its_arrival() {
    let (mut ring, now) = (ring("audio/wav"), Instant::now());
    for n in 0..6_000 {
        let at = now + Duration::from_millis(n * 20);
        ring.append(n * 100, &[0; 100], at);
    }
    let kept_s = (ring.next() - ring.oldest()) as f64 / 5_000.0;
    assert!((30.0..32.0).contains(&kept_s), "{kept_s}");
}

#[test]
fn listeners_join_five_seconds_back_on_a_frame() {
    let burst = Duration::from_secs(5);
    let mut ring = mpeg_ring(1_000);
    ring.append(ring.next(), &mpeg::samples::frame(0)[..100], Instant::now());
    let join = ring.join_point(burst).unwrap();
    assert_eq!(join % FRAME, 0);
    let burst_ms = (1_000 - join / FRAME) as f64 * FRAME_MS;
    assert!((burst_ms - 5_000.0).abs() <= FRAME_MS, "{burst_ms}");
}

#[test]
fn a_young_stream_is_joined_at_its_first_frame() {
    let burst = Duration::from_secs(5);
    let mut ring = ring("audio/mpeg");
    assert_eq!(ring.join_point(burst), Some(0));
    ring.append(0, b"no frame yet", Instant::now());
    assert_eq!(ring.join_point(burst), Some(0));
    ring.append(12, &mpeg::samples::frames(5), Instant::now());
    assert_eq!(ring.join_point(burst), Some(12));
    assert_eq!(ring.join_point(Duration::ZERO), Some(12 + 4 * FRAME));
}

#[test]
fn another_stream_is_joined_at_its_first_whole_frame() {
    let head = Arc::clone(ring("audio/mpeg").head());
    let now = Instant::now();
    let mut resumed = Ring::new(StreamId(1), head, 100, now);
    assert_eq!(resumed.splice_point(), None);
    let frames = mpeg::samples::frames(4);
    resumed.append(100, &frames[100..500], now);
    assert_eq!(
        resumed.splice_point(),
        None,
        "a frame is known by the next one"
    );
    resumed.append(500, &frames[500..], now);
    assert_eq!(resumed.splice_point(), Some(FRAME));

    let mut unframed = ring("audio/mpeg");
    unframed.append(0, b"no frame at all", now);
    unframed.end(EndReason::SourceLeft);
    assert_eq!(unframed.splice_point(), Some(unframed.next()));
    assert_eq!(ring("application/ogg").splice_point(), Some(0));
}

#[test]
fn listeners_get_whole_frames_and_links_all_bytes() {
    let (mut ring, now) = (ring("audio/mpeg"), Instant::now());
    let frames = mpeg::samples::frames(4);
    ring.append(0, &frames[..FRAME as usize + 9], now);
    assert_eq!(ring.edge(), FRAME);
    assert_eq!(
        ring.read_whole(0, 0, usize::MAX),
        Read::Bytes(vec![frames[..FRAME as usize].to_vec().into()])
    );
    assert_eq!(ring.read_whole(0, FRAME, 1), Read::Wait);
    assert_eq!(
        ring.read(FRAME, 1),
        Read::Bytes(vec![vec![frames[FRAME as usize]].into()])
    );
    ring.append(ring.next(), &frames[ring.next() as usize..], now);
    assert_eq!(ring.edge(), 4 * FRAME);
    ring.append(ring.next(), &frames[..40], now);
    ring.end(EndReason::SourceLeft);
    assert_eq!(ring.read_whole(0, 4 * FRAME, 9), Read::Ended);

    let mut unknown = super::samples::ring("video/nsv");
    unknown.append(0, b"abc", now);
    assert_eq!(unknown.edge(), 3);
}

#[test]
fn a_stream_is_resumed_at_the_next_whole_frame() {
    let (burst, now) = (Duration::from_secs(5), Instant::now());
    let mut left = ring("audio/mpeg");
    left.append(0, &mpeg::samples::frames(4), now);
    assert_eq!(left.resume_point(2 * FRAME, burst), Some(2 * FRAME));
    assert_eq!(left.resume_point(2 * FRAME + 1, burst), Some(3 * FRAME));
    let heard_to = left.next();
    assert_eq!(left.resume_point(heard_to, burst), None, "no frame yet");
    left.end(EndReason::SourceLeft);
    assert_eq!(left.resume_point(heard_to, burst), Some(heard_to));

    let mut opaque = ring("application/ogg");
    opaque.append(0, b"abc", now);
    assert_eq!(opaque.resume_point(2, burst), Some(2));
}

#[test]
fn a_stream_without_its_next_byte_resumes_near_the_edge() {
    let (mut long, mut now) = (ring("audio/mpeg"), Instant::now());
    let burst = Duration::from_secs(5);
    for piece in mpeg::samples::frames(4_000).chunks(FRAME as usize * 10) {
        now += Duration::from_millis(261);
        long.append(long.next(), piece, now);
    }
    assert!(long.oldest() > FRAME);
    assert_eq!(long.resume_point(FRAME, burst), long.join_point(burst));

    // A ring that began later lost nothing: all of it is heard.
    let head = Arc::clone(long.head());
    let mut begun_later = Ring::new(StreamId(1), head, 40 * FRAME, now);
    begun_later.append(40 * FRAME, &mpeg::samples::frames(400), now);
    assert_eq!(begun_later.resume_point(FRAME, burst), Some(40 * FRAME));
}

#[test]
fn without_marks_and_beginning_one_joins_live() {
    let limits = RingLimits {
        max_bytes: 16 << 10,
        burst_bytes: 0,
        ..RingLimits::default()
    };
    let mut ring = ring("audio/mpeg").with_limits(limits);
    ring.append(0, &[0; 60_000], Instant::now());
    assert_eq!(ring.join_point(Duration::from_secs(5)), Some(60_000));
}

#[test]
fn the_bitrate_is_measured_or_claimed() {
    let mpeg = mpeg_ring(500).bitrate_bps();
    assert!((127_000..129_000).contains(&mpeg), "{mpeg}");
    let (mut other, now) = (ring("audio/wav"), Instant::now());
    other.append(0, &[0; 200_000], now);
    assert_eq!(other.bitrate_bps(), 96_000);
    for n in 1..=100 {
        let at = now + Duration::from_millis(n * 100);
        other.append(other.next(), &[0; 800], at);
    }
    assert_eq!(other.bitrate_bps(), 64_000);
}

#[test]
fn titles_leave_with_their_bytes() {
    let mut ring = mpeg_ring(1);
    ring.set_title(0, &TitleInfo::plain("first"));
    ring.set_title(417, &TitleInfo::plain("second"));
    ring.append(417, &mpeg::samples::frames(3_000), ring.began());
    ring.append(
        ring.next(),
        &mpeg::samples::frames(2),
        settled(ring.began()),
    );
    assert_eq!(ring.title_changes_between(0, u64::MAX).len(), 1);
    assert_eq!(ring.title_at(ring.oldest()).unwrap().text, "second");
}

#[test]
fn only_the_ring_of_a_source_hears_titles_in_the_stream() {
    let stream = opus_titled(1, &[b"ARTIST=A", b"TITLE=T"]);
    let title = TitleInfo::joined("A", "T");
    for (mut ring, heard) in [
        (ring("application/ogg").hears_titles(), Some(title)),
        (ring("application/ogg"), None),
    ] {
        ring.append(0, &stream, ring.began());
        assert_eq!(ring.title_at(0).as_deref(), heard.as_ref());
        assert_eq!(ring.title_changes(), u64::from(heard.is_some()));
    }
}

/// Cuts a stream into pieces of these lengths, again and again.
fn pieces<'a>(mut stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let (mut pieces, mut lengths) = (Vec::new(), lengths.iter().cycle());
    while let Some(length) = lengths.next().filter(|_| !stream.is_empty()) {
        let (piece, rest) = stream.split_at(stream.len().min(*length));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

proptest! {
    #[test]
    fn any_split_gives_the_same_content_and_join_points(
        frames in 0u32..300,
        junk in prop::collection::vec(any::<u8>(), 0..200),
        lengths in prop::collection::vec(1usize..6_000, 1..20),
        max_bytes in 1usize..9_000,
    ) {
        let stream = [junk, mpeg::samples::frames(frames)].concat();
        let (mut whole, mut split, now) = (ring("audio/mpeg"), ring("audio/mpeg"), Instant::now());
        whole.append(0, &stream, now);
        for piece in pieces(&stream, &lengths) {
            prop_assert_eq!(split.append(split.next(), piece, now), Append::Appended);
        }
        prop_assert_eq!(read_all(&split, max_bytes), stream);
        prop_assert_eq!(split.bitrate_bps(), whole.bitrate_bps());
        for burst_ms in (0..9_000).step_by(13) {
            let burst = Duration::from_millis(burst_ms);
            prop_assert_eq!(split.join_point(burst), whole.join_point(burst));
        }
    }

    #[test]
    fn memory_is_bounded_and_offsets_never_change_meaning(
        offers in prop::collection::vec((0u64..400_000, 1usize..40_000, 0u64..500), 1..80),
        max_bytes in 32_768u64..200_000,
    ) {
        let byte = |offset: u64| (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
        let limits = RingLimits { max_bytes, burst_bytes: 0, ..RingLimits::default() };
        let (mut ring, mut now) = (ring("audio/wav").with_limits(limits), Instant::now());
        for (offset, length, pause_ms) in offers {
            now += Duration::from_millis(pause_ms);
            let offset = offset.min(ring.next() + 10); // old, next or a gap
            let bytes: Vec<u8> = (offset..offset + length as u64).map(byte).collect();
            let (before, end) = (ring.next(), offset + length as u64);
            let expected = if offset > before {
                Append::Gap { next: before }
            } else if end <= before {
                Append::Duplicate
            } else if offset == before {
                Append::Appended
            } else {
                Append::Trimmed
            };
            prop_assert_eq!(ring.append(offset, &bytes, now), expected);
            prop_assert!(ring.next() - ring.oldest() <= max_bytes);
            let held: Vec<u8> = (ring.oldest()..ring.next()).map(byte).collect();
            prop_assert_eq!(read_all(&ring, 10_000), held);
        }
    }
}

#[test]
fn a_source_that_sends_faster_than_it_sounds_is_ahead() {
    let mut ring = ring("audio/mpeg");
    let began = ring.began();
    assert_eq!(ring.ahead(began), Duration::ZERO);
    let frames = crate::media::format::mpeg::samples::frames(400);
    ring.append(0, &frames, began);
    let ahead = ring.ahead(began);
    assert!(ahead > Duration::from_secs(9), "{ahead:?}");
    assert_eq!(
        ring.ahead(began + ahead),
        Duration::ZERO,
        "the clock has caught up"
    );
}

#[test]
fn a_film_is_joined_at_the_keyframe_before_the_burst() {
    use crate::media::format::ebml::samples as webm;
    let (mut ring, now) = (ring("video/webm"), Instant::now());
    let heads = webm::heads(&[webm::video_track(1)]);
    ring.append(0, &heads, now);
    let mut keyframes = Vec::new();
    for second in 0..39 {
        let is_key = second % 10 == 0;
        if is_key {
            keyframes.push(ring.next());
        }
        let cluster = webm::cluster(second * 1_000, &[webm::block(1, 0, is_key)]);
        let at = now + Duration::from_secs(second.into());
        ring.append(ring.next(), &cluster, at);
    }
    let join = |burst_s| ring.join_point(Duration::from_secs(burst_s)).unwrap();
    assert_eq!(join(5), keyframes[3]);
    assert_eq!(join(9), keyframes[2]);
    assert_eq!(ring.prologue_at(join(9)), ring.prologue_at(join(5)));
    assert!(!ring.prologue_at(join(5)).is_empty());
    assert_eq!(ring.ahead(ring.began()), Duration::from_secs(38));
    let cluster_bits = (ring.next() - keyframes[3]) * 8 / 9;
    assert!(ring.bitrate_bps().abs_diff(cluster_bits) < 20);

    // Another node that begins between two keyframes knows the time there.
    let from = keyframes[3] + 1;
    let start = ring.start_at(from).unwrap();
    assert_eq!(start.media_time, Duration::from_secs(31));
}

#[test]
fn a_late_ogg_listener_is_given_its_links_header_pages() {
    use crate::media::format::ogg::page::samples::{opus, opus_heads};
    let (mut ring, now) = (ring("audio/ogg"), Instant::now());
    let seconds: Vec<u64> = (1..=20).collect();
    let first = opus(1, &seconds);
    ring.append(0, &first, now);
    assert_eq!(ring.splice_point(), Some(0));
    assert_eq!(ring.prologue_at(0), "", "its bytes bring them");
    let join = ring.join_point(Duration::from_secs(5)).unwrap();
    let page = (first.len() - opus_heads(1).len()) / 20;
    assert_eq!(
        join as usize,
        first.len() - page * 6,
        "the last page is not certain yet"
    );
    assert_eq!(ring.prologue_at(join), opus_heads(1));

    let second = opus(2, &(1..=100).collect::<Vec<u64>>());
    for piece in second.chunks(1_000) {
        ring.append(ring.next(), piece, now);
    }
    ring.append(ring.next(), &second[..9], settled(now));
    let oldest = ring.oldest();
    assert!(oldest > first.len() as u64);
    assert_eq!(ring.prologue_at(oldest), opus_heads(2));
    assert_eq!(ring.prologues.at(join), "", "forgotten with its bytes");
}

#[test]
fn too_many_tracks_for_their_prologues_cannot_be_joined() {
    use crate::media::format::ogg::page::samples::opus;
    let mut ring = ring("audio/ogg");
    for serial in 0..200 {
        ring.append(ring.next(), &opus(serial, &[1]), Instant::now());
    }
    let join = ring.join_point(Duration::MAX).unwrap();
    let link = opus(0, &[1]).len() as u64;
    assert!(join > 70 * link, "{join}");
    assert!(!ring.prologue_at(join).is_empty() || join.is_multiple_of(link));
}

#[test]
fn a_ring_from_the_middle_passes_on_the_streams_time() {
    use crate::media::format::ogg::page::samples::{opus, opus_heads};
    let seconds: Vec<u64> = (1..=20).collect();
    let cases = [
        ("audio/mpeg", mpeg::samples::frames(900)),
        ("audio/ogg", opus(1, &seconds)),
    ];
    for (content_type, stream) in cases {
        let (mut origin, now) = (ring(content_type), Instant::now());
        origin.append(0, &stream, now);
        let from = origin.join_point(Duration::from_secs(8)).unwrap();
        let start = origin.start_at(from).unwrap();
        assert!(start.media_time > Duration::from_secs(8), "{start:?}");
        let head = Arc::clone(origin.head());
        let mut relay = Ring::new(StreamId(1), head, from, now);
        relay.start(&start);
        relay.append(from, &stream[from as usize..], now);
        assert_eq!(relay.start_at(from), Some(start.clone()));
        assert_eq!(relay.splice_point(), Some(from));
        let burst = Duration::from_secs(3);
        let join = relay.join_point(burst).unwrap();
        assert_eq!(relay.prologue_at(join), origin.prologue_at(join));
        let received = relay.ahead(now);
        assert!(received < Duration::from_secs(9), "{received:?}");
        relay.start(&StreamStart {
            media_time: Duration::ZERO,
            ..start.clone()
        });
        assert_eq!(
            relay.start_at(from),
            Some(start),
            "said once, at the beginning"
        );
    }
    let mut nonsense = ring("audio/ogg");
    nonsense.start(&StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: opus_heads(1)[..60].to_vec().into(),
    });
    assert_eq!(nonsense.prologue_at(0), "");
}
