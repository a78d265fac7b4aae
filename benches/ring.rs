//! The cost of a ring per piece of audio, beside the least that any ring could cost.
//!
//! The floors run in the same process: copying the bytes for a push, cloning the handle of a block for a
//! read. A ring that stays within a few of its floors is not worth making cleverer.

use std::hint::black_box;
use std::time::{Duration, Instant};

use antiphon::io::channel::Channel;
use antiphon::io::feed::Feed;
use antiphon::media::format::joining::StreamStart;
use antiphon::media::icy::Interleaver;
use antiphon::media::loudness::LoudnessMeter;
use antiphon::media::ring::{Read, Ring};
use antiphon::model::stream::{StreamHead, StreamId};
use bytes::Bytes;
use criterion::{Criterion, Throughput};

/// One write of an Icecast source.
const PIECE_BYTES: usize = 1_400;
/// Half a second of 128 kbit/s: what a listener gets per visit when there are many.
const VISIT_BYTES: usize = 8_000;
/// The time that these bytes take.
const VISIT_TIME: Duration = Duration::from_millis(500);

fn ring(content_type: &str) -> Ring {
    let head = StreamHead {
        content_type: content_type.to_owned(),
        icy: Vec::new(),
        user_agent: String::new(),
        started_unix_ms: 0,
        accept_epoch: antiphon::model::seat::Epoch(0),
    };
    Ring::new(StreamId(1), head, 0, Instant::now())
}

/// MPEG frames of 128 kbit/s, 44.1 kHz.
fn frames(count: usize) -> Vec<u8> {
    let mut frame = vec![0x55; 417];
    frame[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0x64]);
    frame.repeat(count)
}

/// A ring that is full: every push drops something.
fn full(content_type: &str) -> Ring {
    let (mut ring, mut now) = (ring(content_type), Instant::now());
    for piece in frames(1_500).chunks(PIECE_BYTES) {
        now += Duration::from_millis(87);
        ring.append(ring.next(), piece, now);
    }
    ring
}

fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("push");
    group.throughput(Throughput::Bytes(PIECE_BYTES as u64));
    let stream = frames(1_400); // a whole number of pieces
    let pieces: Vec<&[u8]> = stream.chunks_exact(PIECE_BYTES).collect();
    for content_type in ["audio/mpeg", "application/ogg"] {
        let (mut ring, mut now) = (full(content_type), Instant::now());
        let mut next = pieces.iter().cycle();
        group.bench_function(content_type, |b| {
            b.iter(|| {
                let piece = next.next().expect("the pieces go round");
                now += Duration::from_millis(87);
                ring.append(ring.next(), piece, now)
            });
        });
    }
    let mut next = pieces.iter().cycle();
    group.bench_function("floor: copy", |b| {
        b.iter(|| Bytes::copy_from_slice(next.next().expect("the pieces go round")));
    });
    group.finish();
}

/// The cost, besides, for a mount if its silence is to be noticed: the ring is filled as ever, and a meter reads it.
fn loudness(c: &mut Criterion) {
    let mut group = c.benchmark_group("loudness");
    group.throughput(Throughput::Bytes(PIECE_BYTES as u64));
    let stream = frames(1_400); // a whole number of pieces
    let mut pieces = stream.chunks_exact(PIECE_BYTES).cycle();
    let start = StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    };
    let mut meter = LoudnessMeter::new("audio/mpeg", &start).expect("MP3 is measured");
    group.bench_function("audio/mpeg", |b| {
        b.iter(|| {
            let piece = pieces.next().expect("the pieces go round");
            meter.feed(piece, |heard| {
                black_box(heard);
            });
        });
    });
    group.finish();
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Bytes(VISIT_BYTES as u64));
    let ring = full("audio/mpeg");
    let from = ring.next() - VISIT_BYTES as u64;
    group.bench_function("ring", |b| {
        b.iter(|| ring.read(black_box(from), VISIT_BYTES));
    });
    // The same for a listener, who gets nothing beyond the last whole frame.
    group.bench_function("ring, to the edge", |b| {
        b.iter(|| ring.read_whole(0, black_box(from), VISIT_BYTES));
    });
    let pieces = match ring.read(from, VISIT_BYTES) {
        Read::Bytes(pieces) => pieces,
        _ => Vec::new(),
    };
    let feed = Feed::new(ring);
    group.bench_function("feed", |b| {
        b.iter(|| feed.read(black_box(from), VISIT_BYTES));
    });
    let mut reader = Channel::new(feed.clone()).join(VISIT_TIME);
    group.bench_function("channel", |b| {
        b.iter(|| reader.read(black_box(VISIT_BYTES)));
    });
    let icy = Interleaver::default();
    group.bench_function("feed with titles", |b| {
        b.iter(|| match feed.read(black_box(from), VISIT_BYTES) {
            Read::Bytes(audio) => Some(icy.weave(from, audio, |offset| feed.title_at(offset))),
            _ => None,
        });
    });
    group.bench_function("floor: clone the blocks", |b| {
        b.iter(|| black_box(&pieces).clone());
    });
    group.bench_function("floor: copy", |b| {
        b.iter(|| black_box(&pieces).concat());
    });
    group.finish();
}

fn join(c: &mut Criterion) {
    let ring = full("audio/mpeg");
    c.bench_function("join point", |b| {
        b.iter(|| ring.join_point(black_box(Duration::from_secs(5))));
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    push(&mut criterion);
    loudness(&mut criterion);
    read(&mut criterion);
    join(&mut criterion);
    criterion.final_summary();
}
