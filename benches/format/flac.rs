//! The speed at which the frames of FLAC are found.

use criterion::Criterion;

use super::STREAM_BYTES;

/// A frame of CD quality.
const FRAME_BYTES: usize = 10_000;

/// Measures.
pub fn bench(criterion: &mut Criterion) {
    super::scan(criterion, "audio/flac", &stream());
}

/// Headers, and frames of noise: all bytes are as frequent in compressed sound.
fn stream() -> Vec<u8> {
    let mut stream = b"fLaC\x80\0\0\x22\x12\0\x12\0\0\0\0\0\0\0\x0A\xC4\x42\xF0".to_vec();
    stream.resize(42, 0);
    let mut noise = 1_u32;
    for number in 0.. {
        if stream.len() > STREAM_BYTES {
            break;
        }
        let end = stream.len() + FRAME_BYTES;
        stream.extend(head(number));
        while stream.len() < end {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            stream.extend((noise >> 8).to_be_bytes().split_at(1).1);
        }
    }
    stream
}

/// The head of the frame with this number: 4,608 samples of 44.1 kHz, stereo, 16 bits.
fn head(number: u16) -> Vec<u8> {
    let mut head = vec![0xFF, 0xF8, 0x59, 0x18];
    let [first, rest] = [0xC0 | number >> 6, 0x80 | number & 0x3F].map(|it| it as u8);
    match number {
        0..0x80 => head.push(number as u8),
        _ => head.extend([first, rest]),
    }
    let sum = head.iter().fold(0, |sum: u8, byte| {
        (0..8).fold(sum ^ byte, |sum, _| (sum << 1) ^ ((sum >> 7) * 0x07))
    });
    head.push(sum);
    head
}
