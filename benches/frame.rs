//! Frames to bytes and back, beside the floor of copying the same bytes.

use std::hint::black_box;

use antiphon::model::stream::StreamId;
use antiphon::wire::frame::{Frame, HEADER_BYTES, MAX_DATA_BYTES, decode, encode};
use bytes::Bytes;
use criterion::{Criterion, Throughput};

fn data(bytes: usize) -> Frame {
    Frame::Data {
        offset: u64::from(u32::MAX),
        bytes: Bytes::from(vec![0x55; bytes]),
    }
}

fn subscribe() -> Frame {
    Frame::Subscribe {
        mount: "/radio.mp3".try_into().expect("a mount"),
        resume: Some((StreamId(7), 1 << 40)),
    }
}

fn stream_bytes(criterion: &mut Criterion) {
    for bytes in [1_400, MAX_DATA_BYTES] {
        let frame = data(bytes);
        let encoded = encode(&frame).expect("it is short enough");
        let mut group = criterion.benchmark_group(format!("data of {bytes} bytes"));
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function("encode", |bench| bench.iter(|| encode(black_box(&frame))));
        let body = &encoded[HEADER_BYTES..];
        group.bench_function("decode", |bench| bench.iter(|| decode(black_box(body))));
        group.bench_function("floor: copy", |bench| {
            bench.iter(|| black_box(body).to_vec())
        });
        group.finish();
    }
}

fn questions(criterion: &mut Criterion) {
    let frame = subscribe();
    let encoded = encode(&frame).expect("it is short enough");
    let mut group = criterion.benchmark_group("subscribe");
    group.bench_function("encode", |bench| bench.iter(|| encode(black_box(&frame))));
    let body = &encoded[HEADER_BYTES..];
    group.bench_function("decode", |bench| bench.iter(|| decode(black_box(body))));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    stream_bytes(&mut criterion);
    questions(&mut criterion);
    criterion.final_summary();
}
