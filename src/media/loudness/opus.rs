//! Opus: whether a packet has anything in it.
//!
//! A frame of CELT, which is what music is coded with, begins with a flag for digital silence: the range coder gives it the
//! last 2^-15 of its range, so the flag is set if and only if the first 15 bits are ones. That holds at a constant bitrate
//! too. How loud a frame is cannot be told without decoding, and of the other coder, SILK, not even whether it is silent, but
//! where an encoder leaves frames out (DTX).

use std::time::Duration;

use super::level::{Heard, Level};

/// The first configuration of CELT alone.
const FIRST_CELT: u8 = 16;

/// The longest packet: more are never joined.
const MAX_PACKET: Duration = Duration::from_millis(120);

/// A frame so long, or shorter, stands for one that is left out.
const LEFT_OUT_BYTES: usize = 1;

/// The loudness of a packet; `None` if the bytes are none.
pub(super) fn measure(packet: &[u8]) -> Option<Heard> {
    let (toc, frames) = packet.split_first()?;
    let configuration = toc >> 3;
    let frames = Frames::split(*toc, frames)?;
    let lasts = frame_time(configuration) * frames.count;
    if lasts > MAX_PACKET {
        return None;
    }
    let is_nothing = |frame: &[u8]| match configuration {
        _ if frame.len() <= LEFT_OUT_BYTES => true,
        FIRST_CELT.. => matches!(frame, [0xFF, 0xFE | 0xFF, ..]),
        _ => false,
    };
    let level = match frames.known.iter().flatten().all(|frame| is_nothing(frame)) {
        true => Level::Nothing,
        false if configuration < FIRST_CELT => Level::Unknown,
        false => Level::Something,
    };
    Some(Heard { level, lasts })
}

/// How long a frame of a configuration plays.
fn frame_time(configuration: u8) -> Duration {
    let step = usize::from(configuration & 0b11);
    let tenths_ms = match configuration {
        0..12 => [100, 200, 400, 600][step],
        12..16 => [100, 200][step & 1],
        _ => [25, 50, 100, 200][step],
    };
    Duration::from_micros(tenths_ms * 100)
}

/// The frames of a packet.
struct Frames<'a> {
    count: u32,
    /// The first ones: all, if there are no more than two.
    known: [Option<&'a [u8]>; 2],
}

impl<'a> Frames<'a> {
    /// Splits a packet, without its first byte, as that says; `None` if it is malformed.
    fn split(toc: u8, bytes: &'a [u8]) -> Option<Self> {
        let known = match toc & 0b11 {
            0 => [Some(bytes), None],
            1 => {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                [Some(first), Some(second)]
            }
            2 => {
                let (length, rest) = length(bytes)?;
                let (first, second) = rest.split_at_checked(length)?;
                [Some(first), Some(second)]
            }
            _ => return Self::split_many(bytes),
        };
        let count = known.iter().flatten().count() as u32;
        Some(Self { count, known })
    }

    /// Splits a packet of any number of frames: the first one of it counts for all.
    fn split_many(bytes: &'a [u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let (differ, is_padded, count) = (kind & 0x80 != 0, kind & 0x40 != 0, kind & 0x3F);
        if count == 0 {
            return None;
        }
        let (mut padding, mut goes_on) = (0, is_padded);
        while goes_on {
            let (more, behind) = rest.split_first()?;
            rest = behind;
            padding += usize::from((*more).min(254));
            goes_on = *more == 255;
        }
        let first_bytes = match differ {
            true => {
                let mut first = None;
                for _ in 1..count {
                    let (length, behind) = length(rest)?;
                    rest = behind;
                    first.get_or_insert(length);
                }
                first
            }
            false => None,
        };
        let frames = &rest[..rest.len().checked_sub(padding)?];
        let first_bytes = first_bytes.unwrap_or(frames.len() / usize::from(count));
        Some(Self {
            count: count.into(),
            known: [Some(frames.get(..first_bytes)?), None],
        })
    }
}

/// The length of a frame, and what is behind it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [first @ 0..252, ref rest @ ..] => Some((first.into(), rest)),
        [first, second, ref rest @ ..] => {
            Some((usize::from(first) + 4 * usize::from(second), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(packet: &[u8]) -> Level {
        measure(packet).unwrap().level
    }

    #[test]
    fn silence_of_celt_is_told_at_any_bitrate() {
        // As libopus makes them: `ffmpeg -f lavfi -i anullsrc -c:a libopus`, with `-vbr off` and without.
        assert_eq!(level(&[0xFC, 0xFF, 0xFE]), Level::Nothing);
        let mut padded = vec![0xFC, 0xFF, 0xFE];
        padded.resize(240, 0);
        assert_eq!(level(&padded), Level::Nothing);
        // White noise of -90 dBFS.
        assert_eq!(level(&[0xFC, 0x61, 0x96, 0xF9, 0xD8]), Level::Something);
        assert_eq!(level(&[0xFC, 0xFF, 0xFC]), Level::Something, "14 ones");
    }

    #[test]
    fn silk_is_not_told_but_where_frames_are_left_out() {
        assert_eq!(level(&[0x78, 0x07, 0xC9, 0x79]), Level::Unknown);
        assert_eq!(level(&[0x78]), Level::Nothing);
        assert_eq!(level(&[0x78, 0x07]), Level::Nothing);
    }

    #[test]
    fn each_way_to_join_frames_is_read() {
        let silent = [0xFF, 0xFE, 0x00];
        let loud = [0x12, 0x34, 0x56];
        let two = |first: &[u8], second: &[u8]| level(&[&[0xFD], first, second].concat());
        assert_eq!(two(&silent, &silent), Level::Nothing);
        assert_eq!(two(&silent, &loud), Level::Something);
        let told = [&[0xFE, 2, 0xFF, 0xFE][..], &silent].concat();
        assert_eq!(level(&told), Level::Nothing);
        let many = [&[0xFF, 0x42, 2][..], &silent, &silent, &[0, 0]].concat();
        let heard = measure(&many).unwrap();
        assert_eq!(heard.level, Level::Nothing);
        assert_eq!(heard.lasts, Duration::from_millis(40));
    }

    #[test]
    fn a_malformed_packet_is_none() {
        for bad in [
            &[][..],
            &[0xFE],
            &[0xFE, 200, 1],
            &[0xFF],
            &[0xFF, 0],
            &[0xFF, 0x41, 255],
            &[0xFF, 0x41, 9, 1],
            &[0xFF, 0xBF, 1],
            &[0x1B, 0x3F],
        ] {
            assert_eq!(measure(bad), None, "{bad:x?}");
        }
    }
}
