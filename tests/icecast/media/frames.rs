//! MP3 and AAC: frames that carry their number, and silence to a decoder.

use std::time::Duration;

use super::Tune;
use crate::row::{Fault, deviates};

/// MPEG 1, layer III, 128 kbit/s, 44.1 kHz, no padding, one channel.
const MP3_HEADER: [u8; 4] = [0xFF, 0xFB, 0x90, 0xC4];
/// 144 × 128,000 / 44,100, rounded down.
pub(crate) const MP3_BYTES: usize = 417;
/// The side information of one channel: all zero says that there is no sound to decode.
const SIDE_BYTES: usize = 17;
/// AAC-LC, 44.1 kHz, one channel, with 320 bytes a frame, a single block without checksum.
const ADTS_HEADER: [u8; 7] = [0xFF, 0xF1, 0x50, 0x40, 0x28, 0x1F, 0xFC];
/// As the header says: 110 kbit/s.
pub(crate) const ADTS_BYTES: usize = 320;
/// The length of a frame's number, in decimal digits.
const DIGITS: usize = 8;

/// The MP3 frame of a number.
pub(crate) fn mp3_frame(number: u64) -> Vec<u8> {
    let mut frame = MP3_HEADER.to_vec();
    frame.resize(MP3_HEADER.len() + SIDE_BYTES, 0);
    numbered(frame, MP3_BYTES, number)
}

fn adts_frame(number: u64) -> Vec<u8> {
    numbered(ADTS_HEADER.to_vec(), ADTS_BYTES, number)
}

/// Filled up with the number, over and over.
fn numbered(mut frame: Vec<u8>, bytes: usize, number: u64) -> Vec<u8> {
    let mark = format!("{number:0DIGITS$};");
    let room = bytes - frame.len();
    frame.extend(mark.bytes().cycle().take(room));
    frame
}

/// MP3 of 128 kbit/s.
pub(crate) fn mp3() -> Tune {
    Tune::new(
        "audio/mpeg",
        Vec::new(),
        Duration::from_micros(26_122),
        mp3_frame,
    )
}

/// AAC in ADTS.
pub(crate) fn adts() -> Tune {
    Tune::new(
        "audio/aac",
        Vec::new(),
        Duration::from_micros(23_220),
        adts_frame,
    )
}

/// The numbers of the MP3 frames that these bytes are, whole but for the last; the first byte begins the first.
pub(crate) fn mp3_numbers(bytes: &[u8]) -> Result<Vec<u64>, Fault> {
    numbers(bytes, mp3_frame, MP3_BYTES)
}

/// The numbers of the AAC frames that these bytes are.
pub(crate) fn adts_numbers(bytes: &[u8]) -> Result<Vec<u64>, Fault> {
    numbers(bytes, adts_frame, ADTS_BYTES)
}

fn numbers(bytes: &[u8], frame: fn(u64) -> Vec<u8>, length: usize) -> Result<Vec<u64>, Fault> {
    let whole = bytes.chunks_exact(length);
    let mut found: Vec<u64> = Vec::new();
    for (index, piece) in whole.enumerate() {
        let head = frame(0).iter().position(|&byte| byte == b'0').unwrap_or(0);
        let digits = std::str::from_utf8(&piece[head..head + DIGITS]).ok();
        let number = digits.and_then(|digits| digits.parse().ok());
        let number = number.filter(|&number| frame(number) == piece);
        let Some(number) = number else {
            let seen = &piece[..piece.len().min(48)];
            let text = String::from_utf8_lossy(seen);
            return Err(deviates(format!(
                "no frame at byte {}: {text:?}",
                index * length
            )));
        };
        found.push(number);
    }
    match found.is_empty() {
        true => Err(deviates(format!("{} bytes are no frame", bytes.len()))),
        false => Ok(found),
    }
}

/// The numbers of the whole MP3 frames that are anywhere in these bytes.
pub(crate) fn frames_among(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let whole = bytes.windows(MP3_BYTES);
    let whole = whole.filter(|piece| piece.starts_with(&MP3_HEADER));
    whole.filter_map(|piece| mp3_numbers(piece).ok()?.first().copied())
}

/// Checks that the frames follow each other; the number of the first.
pub(crate) fn in_a_row(numbers: &[u64]) -> Result<u64, Fault> {
    match numbers.windows(2).find(|pair| pair[1] != pair[0] + 1) {
        Some(pair) => Err(deviates(format!("frame {} follows {}", pair[1], pair[0]))),
        None => Ok(numbers[0]),
    }
}

/// The bytes from the first MP3 frame on.
pub(crate) fn from_first_frame(bytes: &[u8]) -> &[u8] {
    let start = bytes
        .windows(MP3_HEADER.len())
        .position(|it| it == MP3_HEADER);
    &bytes[start.unwrap_or(bytes.len())..]
}
