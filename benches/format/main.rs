//! The cost of looking for frames and pages in a stream, beside the floor of looking for one byte in it.
//!
//! A node scans what each of its streams receives, so a scanner has to be far faster than any number of them: 300 MB/s
//! and more on one core.

pub mod adts;
pub mod ebml;
pub mod flac;
pub mod mpeg;
pub mod ogg;
pub mod ts;

use std::hint::black_box;
use std::time::Duration;

use antiphon::media::format::scanner::Scanner;
use criterion::{Criterion, Throughput};

/// The length of a stream.
const STREAM_BYTES: usize = 8 << 20;
/// One read of a source's connection, and one write of an Icecast source.
const PIECES_BYTES: [usize; 2] = [16 << 10, 1_400];

/// A stream in which these bytes are repeated: 8 MiB, and up to one repetition more.
fn stream(unit: &[u8]) -> Vec<u8> {
    unit.repeat(STREAM_BYTES.div_ceil(unit.len()))
}

/// Measures the scanner of a media type, and that it finds the places where the stream may be joined.
fn scan(criterion: &mut Criterion, content_type: &str, stream: &[u8]) {
    let mut group = criterion.benchmark_group(content_type);
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for piece_bytes in PIECES_BYTES {
        group.bench_function(format!("pieces of {piece_bytes} bytes"), |bench| {
            bench.iter(|| {
                let mut scanner = Scanner::for_content_type(content_type, 0);
                let mut found = 0_u64;
                for piece in black_box(stream).chunks(piece_bytes) {
                    scanner.feed(piece, Duration::ZERO, |_| found += 1);
                }
                assert!(found > 100, "{found} places");
                found
            });
        });
    }
    group.bench_function("floor: memchr", |bench| {
        bench.iter(|| memchr::memchr_iter(0xFF, black_box(stream)).count());
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    mpeg::bench(&mut criterion);
    adts::bench(&mut criterion);
    ogg::bench(&mut criterion);
    ebml::bench(&mut criterion);
    flac::bench(&mut criterion);
    ts::bench(&mut criterion);
    criterion.final_summary();
}
