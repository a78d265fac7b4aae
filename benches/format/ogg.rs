//! How fast Ogg is scanned, by the lengths of its pages.

use std::hint::black_box;
use std::time::Duration;

use antiphon::media::format::ogg::page;
use antiphon::media::format::scanner::Scanner;
use criterion::{Criterion, Throughput};

/// As much as each stream has at least.
const STREAM_BYTES: usize = 8 << 20;
/// One write of an Icecast source.
const PIECE_BYTES: usize = 1_400;

/// A page with one packet, or with the part of one.
fn page(serial: u32, flags: u8, position: u64, packet: &[u8]) -> Vec<u8> {
    let mut table = vec![255; packet.len() / 255];
    table.push((packet.len() % 255) as u8);
    let mut page = [&b"OggS\0"[..], &[flags], &position.to_le_bytes()].concat();
    page.extend(serial.to_le_bytes());
    page.extend([0; 8]);
    page.push(u8::try_from(table.len()).expect("a page holds no more"));
    page.extend([&table[..], packet].concat());
    page::renumber(&mut page, 0);
    page
}

/// An Opus stream in pages of this length, 50 in a second.
fn opus(packet_bytes: usize) -> Vec<u8> {
    let tags = [&b"OpusTags\x04\0\0\0test"[..], &[0; 4]].concat();
    let first = page(1, 2, 0, b"OpusHead\x01\x02\0\0\x80\xBB\0\0\0\0\0");
    let mut stream = [first, page(1, 0, 0, &tags)].concat();
    let (packet, mut position) = (vec![0x5A; packet_bytes], 0);
    while stream.len() < STREAM_BYTES {
        position += 960;
        stream.extend(page(1, 0, position, &packet));
    }
    stream
}

/// Pictures of Theora, each on a page, one in ten a keyframe; and Vorbis.
fn film() -> Vec<u8> {
    let mut theora = b"\x80theora\x03\x02\x01".to_vec();
    theora.resize(42, 0);
    theora[22..30].copy_from_slice(&[0, 0, 0, 25, 0, 0, 0, 1]);
    theora[41] = 6 << 5;
    let mut stream = [
        page(1, 2, 0, &theora),
        page(2, 2, 0, b"\x01vorbis\0\0\0\0\x02\x44\xAC\0\0"),
        page(1, 0, 0, b"\x81theora"),
        page(1, 0, 0, b"\x82theora"),
        page(2, 0, 0, b"\x03vorbis"),
        page(2, 0, 0, b"\x05vorbis"),
    ]
    .concat();
    let mut pictures = 0;
    while stream.len() < STREAM_BYTES {
        let since = pictures % 10;
        let first = if since == 0 { 0x30 } else { 0x50 };
        let position = (pictures - since + 1) << 6 | since;
        stream.extend(page(1, 0, position, &[first; 4_000]));
        pictures += 1;
        stream.extend(page(2, 0, pictures * 1_764, &[0x5A; 640]));
    }
    stream
}

/// Measures the scanner with streams of short pages, of long ones, and with pictures.
pub fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan/ogg");
    for (name, stream) in [
        ("pages of 320 bytes", opus(320)),
        ("pages of 16 kB", opus(16_000)),
        ("film", film()),
    ] {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut scanner = Scanner::for_content_type("audio/ogg", 0);
                let mut found = 0_u64;
                for piece in stream.chunks(PIECE_BYTES) {
                    scanner.feed(piece, Duration::ZERO, |scanned| {
                        black_box(scanned);
                        found += 1;
                    });
                }
                assert!(scanner.knows_media_time(), "all of it is known");
                found
            });
        });
    }
    group.finish();
}
