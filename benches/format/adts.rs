//! AAC-LC of 128 kbit/s with ADTS headers.

use criterion::Criterion;

/// A frame at 44.1 kHz, stereo, 371 bytes. No byte of it looks like a header.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x21; 371];
    frame[..7].copy_from_slice(&[0xFF, 0xF1, 0x50, 0x80, 0x2E, 0x7F, 0xFC]);
    frame
}

/// Measures.
pub fn bench(criterion: &mut Criterion) {
    let stream = super::stream(&frame());
    super::scan(criterion, "audio/aac", &stream);
}
