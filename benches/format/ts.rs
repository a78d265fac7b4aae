//! The speed at which the pictures of MPEG-TS are found.

use criterion::Criterion;

use super::STREAM_BYTES;

/// The packets of a picture of some 3 Mbit/s.
const PICTURE_PACKETS: usize = 80;
/// The length of a packet.
const PACKET_BYTES: usize = 188;

/// Measures.
pub fn bench(criterion: &mut Criterion) {
    super::scan(criterion, "video/mp2t", &stream());
}

/// Tables, and pictures of H.264 that need no other, in packets that end with noise.
fn stream() -> Vec<u8> {
    let pat = b"\x47\x40\0\x10\0\0\xB0\x0D\0\x01\xC1\0\0\0\x01\xF0\0\x2A\xB1\x04\xB2";
    let pmt: &[u8] = b"\x47\x50\0\x10\0\x02\xB0\x12\0\x01\xC1\0\0\xE1\0\xF0\0\x1B\xE1\0\xF0\0";
    let pmt = [pmt, &checksum(&pmt[5..]).to_be_bytes()].concat();
    let mut stream = [packet(pat), packet(&pmt)].concat();
    let picture = b"\x47\x41\0\x10\0\0\x01\xE0\0\0\x80\x80\x05\x21\0\x01\0\x01\0\0\x01\x67";
    while stream.len() < STREAM_BYTES {
        stream.extend(packet(picture));
        for count in 1..PICTURE_PACKETS {
            stream.extend(packet(&[0x47, 0x01, 0, 0x10 | (count & 0x0F) as u8]));
        }
    }
    stream
}

/// A packet that begins so.
fn packet(begun: &[u8]) -> Vec<u8> {
    let mut packet = begun.to_vec();
    packet.resize(PACKET_BYTES, 0xFF);
    packet
}

/// The checksum of a section.
fn checksum(section: &[u8]) -> u32 {
    section.iter().fold(u32::MAX, |sum, byte| {
        let sum = sum ^ u32::from(*byte) << 24;
        (0..8).fold(sum, |sum, _| (sum << 1) ^ ((sum >> 31) * 0x04c1_1db7))
    })
}
