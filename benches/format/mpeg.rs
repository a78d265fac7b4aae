//! MP3 of 128 kbit/s, and the filter that takes tags out of it.

use std::hint::black_box;

use antiphon::media::format::detect::Format;
use antiphon::media::format::tags::TagFilter;
use bytes::BytesMut;
use criterion::{Criterion, Throughput};

/// A frame at 44.1 kHz. No byte of it looks like a header.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x55; 417];
    frame[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0x64]);
    frame
}

/// Measures.
pub fn bench(criterion: &mut Criterion) {
    let stream = super::stream(&frame());
    super::scan(criterion, "audio/mpeg", &stream);
    let mut group = criterion.benchmark_group("filter of tags");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    group.bench_function("pieces of 1400 bytes", |bench| {
        bench.iter(|| {
            let mut filter = TagFilter::new();
            filter.walks(Format::Mpeg);
            for piece in black_box(&stream).chunks(1_400) {
                input.extend_from_slice(piece);
                filter.take(&mut input, &mut out);
                out.clear();
            }
            input.clear();
        });
    });
    group.bench_function("floor: copy", |bench| {
        bench.iter(|| {
            for piece in black_box(&stream).chunks(1_400) {
                out.extend_from_slice(black_box(piece));
                out.clear();
            }
        });
    });
    group.finish();
}
