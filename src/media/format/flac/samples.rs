//! Generated FLAC for the tests of all code that carries it.

use super::frame::{SYNC, crc8, crc16};

/// The samples of a frame, of 44.1 kHz: 100 ms.
pub(crate) const SAMPLES: u16 = 4_410;

/// A block of metadata.
pub(crate) fn block(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, a, b, c], body].concat()
}

/// STREAMINFO of 44.1 kHz, stereo, 16 bits; it is no last block.
pub(crate) fn info() -> Vec<u8> {
    let [a, b] = SAMPLES.to_be_bytes();
    let mut body = vec![a, b, a, b, 0, 0, 0, 0, 0, 0, 0x0A, 0xC4, 0x42, 0xF0];
    body.resize(34, 0);
    block(0, &body)
}

/// The beginning of a stream with these blocks behind STREAMINFO, one at least.
pub(crate) fn headers(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut last = blocks.last().unwrap().clone();
    last[0] |= 0x80;
    let all = [b"fLaC".to_vec(), info()]
        .into_iter()
        .chain(blocks.to_vec());
    let mut all: Vec<Vec<u8>> = all.collect();
    all.pop();
    all.push(last);
    all.concat()
}

/// The shortest beginning: STREAMINFO and comments.
pub(crate) fn beginning() -> Vec<u8> {
    headers(&[block(4, b"comments")])
}

/// The head of a frame with so many samples, and this number of the frame or of its first sample.
pub(crate) fn head(counts_samples: bool, number: u64, samples: u16) -> Vec<u8> {
    let mut head = vec![SYNC, 0xF8 | u8::from(counts_samples), 0x79, 0x18];
    head.extend(coded(number));
    head.extend((samples - 1).to_be_bytes());
    head.push(crc8(&head));
    head
}

/// A frame with this head, of some 300 bytes.
pub(crate) fn frame_with(head: Vec<u8>, filling: u8) -> Vec<u8> {
    let body = vec![filling; 290 + usize::from(filling % 16)];
    let mut frame = [head, body].concat();
    frame.extend(crc16(&frame).to_be_bytes());
    frame
}

/// The frame with this number.
pub(crate) fn frame(number: u64) -> Vec<u8> {
    frame_with(head(false, number, SAMPLES), number as u8)
}

/// Frames with these numbers.
pub(crate) fn frames(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(frame).collect()
}

/// A number as heads hold it.
fn coded(number: u64) -> Vec<u8> {
    let bits = |more: &u32| if *more == 0 { 7 } else { 5 * more + 6 };
    let more = (0..7).find(|more| number >> bits(more) == 0).unwrap();
    if more == 0 {
        return vec![number as u8];
    }
    let first = !(0x7F_u8 >> more) | (number >> (6 * more)) as u8;
    let rest = (0..more)
        .rev()
        .map(|at| 0x80 | (number >> (6 * at)) as u8 & 0x3F);
    [first].into_iter().chain(rest).collect()
}
