//! The cost of scanning WebM: sound in short blocks, and pictures in long ones.

use std::time::Duration;

use antiphon::media::format::scanner::Scanner;
use criterion::{Criterion, Throughput};

/// The length of a stream that is scanned.
const STREAM_BYTES: usize = 8 << 20;

/// One write of a source.
const PIECE_BYTES: usize = 1_400;

/// An EBML header, a segment of unknown length, an empty info, and one track of this type.
fn heads(track_type: u8) -> Vec<u8> {
    let mut heads = b"\x1A\x45\xDF\xA3\x87\x42\x82\x84webm\x18\x53\x80\x67\xFF".to_vec();
    heads.extend(b"\x15\x49\xA9\x66\x80\x16\x54\xAE\x6B\x88\xAE\x86\xD7\x81\x01\x83\x81");
    heads.push(track_type);
    heads
}

/// A cluster of unknown length at this second, with so many blocks of so many bytes; the first is a keyframe.
fn cluster(second: u32, blocks: u16, block_bytes: u32) -> Vec<u8> {
    let [b0, b1, b2, b3] = (second * 1_000).to_be_bytes();
    let mut cluster = vec![0x1F, 0x43, 0xB6, 0x75, 0xFF, 0xE7, 0x84, b0, b1, b2, b3];
    for block in 0..blocks {
        let [high, low] = (1_000 / blocks * block).to_be_bytes();
        let flags = if block == 0 { 0x80 } else { 0 };
        let [l0, l1, l2, l3] = (0x1000_0000 | block_bytes).to_be_bytes();
        cluster.extend([0xA3, l0, l1, l2, l3, 0x81, high, low, flags]);
        cluster.extend(vec![0x55; block_bytes as usize - 4]);
    }
    cluster
}

/// A stream of clusters of a second.
fn stream(track_type: u8, blocks: u16, block_bytes: u32) -> Vec<u8> {
    let (mut stream, mut second) = (heads(track_type), 0);
    while stream.len() < STREAM_BYTES {
        stream.extend(cluster(second, blocks, block_bytes));
        second += 1;
    }
    stream
}

fn scan(stream: &[u8]) -> usize {
    let mut scanner = Scanner::for_content_type("video/webm", 0);
    let mut found = 0;
    for piece in stream.chunks(PIECE_BYTES) {
        scanner.feed(piece, Duration::ZERO, |_| found += 1);
    }
    found
}

/// Scans sound of 64 kbit/s, pictures of 2.4 Mbit/s, and a stream that is damaged in its first cluster.
pub fn bench(c: &mut Criterion) {
    let junk = (0..STREAM_BYTES).map(|at| (at * 31) as u8).collect();
    let damaged = [heads(2), cluster(0, 1, 160), junk].concat();
    let streams = [
        ("sound", stream(2, 50, 160)),
        ("pictures", stream(1, 25, 12_000)),
        ("damaged", damaged),
    ];
    for (name, stream) in streams {
        let mut group = c.benchmark_group("ebml");
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(name, |b| b.iter(|| scan(&stream)));
        group.finish();
    }
}
