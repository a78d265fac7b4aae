//! FLAC in Ogg: silence, one frame on each page, padded with a tag that no decoder minds.

use std::time::Duration;

use super::Tune;
use super::bits::checksum;
use super::ogg::{Page, header_pages};

/// How the first header begins.
pub(crate) const MAGIC: &[u8] = b"\x7FFLAC";
/// How many header packets there are.
pub(crate) const HEADERS: usize = 2;
/// The samples of a frame: 8 ms of 8 kHz.
const SAMPLES: u16 = 64;
const RATE_HZ: u32 = 8_000;

/// A stream of this serial.
pub(crate) fn flac(serial: u32) -> Tune {
    let unit = Duration::from_micros(u64::from(SAMPLES) * 1_000_000 / u64::from(RATE_HZ));
    Tune::new("application/ogg", headers(serial), unit, move |number| {
        page(serial, number)
    })
}

fn headers(serial: u32) -> Vec<u8> {
    // The mapping's version 1.0, one header to come.
    let mut first = [MAGIC, &[1, 0, 0, 1], b"fLaC", &[0, 0, 0, 34]].concat();
    first.extend(SAMPLES.to_be_bytes());
    first.extend(SAMPLES.to_be_bytes());
    first.extend([0; 6]);
    // 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of samples in all.
    let packed = u64::from(RATE_HZ) << 44 | 15 << 36;
    first.extend(packed.to_be_bytes());
    first.extend([0; 16]);
    let comments = b"\x84\0\0\x0d\x05\0\0\0known\0\0\0\0".to_vec();
    header_pages(serial, first, vec![comments])
}

/// A frame whose samples are stored as they are.
fn frame(number: u64) -> Vec<u8> {
    // Sync and blocks of one size; the size in 8 bits behind the head, 8 kHz; one channel of 16 bits.
    let mut frame = vec![0xFF, 0xF8, 0x64, 0x08];
    frame.extend(coded(number));
    frame.push(u8::try_from(SAMPLES - 1).expect("a small block"));
    frame.push(low_byte(checksum(&frame, 0x07, 8)));
    frame.push(0x02);
    frame.resize(frame.len() + usize::from(SAMPLES) * 2, 0);
    let sum = checksum(&frame, 0x8005, 16);
    frame.extend([low_byte(sum >> 8), low_byte(sum)]);
    frame
}

fn low_byte(sum: u32) -> u8 {
    sum.to_le_bytes()[0]
}

/// A number in the manner of UTF-8.
fn coded(number: u64) -> Vec<u8> {
    let code = u32::try_from(number).expect("a short stream");
    let low = |shift: u32| low_byte(0x80 | code >> shift & 0x3F);
    match code {
        0..0x80 => vec![low_byte(code)],
        0x80..0x800 => vec![low_byte(0xC0 | code >> 6), low(0)],
        _ => vec![low_byte(0xE0 | code >> 12), low(6), low(0)],
    }
}

fn page(serial: u32, number: u64) -> Vec<u8> {
    Page {
        flags: 0,
        granule: (number + 1) * u64::from(SAMPLES),
        serial,
        sequence: u32::try_from(number).expect("a short stream") + 2,
        packets: vec![frame(number)],
    }
    .bytes()
}
