//! A stream of which every byte is known: MP3 frames that carry their number.
//!
//! A missing, doubled or changed byte shows, and where. It is silence to a decoder, and sync to a scanner.

/// MPEG 1, layer III, 128 kbit/s, 44.1 kHz, no padding, stereo.
const HEADER: [u8; 4] = [0xFF, 0xFB, 0x90, 0x00];
/// 144 × 128,000 / 44,100, rounded down.
pub(crate) const FRAME_BYTES: usize = 417;
/// 1,152 samples at 44.1 kHz, in microseconds.
pub(crate) const FRAME_US: u64 = 26_122;
/// The side information of a stereo frame: all zero says that there is no sound to decode.
const SIDE_BYTES: usize = 32;
/// The length of a frame's number, in decimal digits.
const DIGITS: usize = 10;

/// How loud a stream is, as the net feels it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bitrate {
    /// 128 kbit/s.
    Usual,
    /// 320 kbit/s.
    Loud,
}

impl Bitrate {
    /// The third byte of its frames' headers.
    const fn index(self) -> u8 {
        match self {
            Self::Usual => HEADER[2],
            Self::Loud => 0xE0,
        }
    }

    /// The length of its frames: 144 × 320,000 / 44,100, rounded down, if it is loud.
    pub(crate) const fn frame_bytes(self) -> usize {
        match self {
            Self::Usual => FRAME_BYTES,
            Self::Loud => 1_044,
        }
    }

    /// The frame of this number.
    pub(crate) fn frame(self, number: u64) -> Vec<u8> {
        let mut frame = HEADER.to_vec();
        frame[2] = self.index();
        frame.resize(HEADER.len() + SIDE_BYTES, 0);
        let mark = format!("{number:0DIGITS$};");
        let room = self.frame_bytes() - frame.len();
        frame.extend(mark.bytes().cycle().take(room));
        frame
    }

    /// The bitrate of the frame that these bytes begin with, if they begin with one.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let index = *bytes.get(2)?;
        let all = [Self::Usual, Self::Loud].into_iter();
        all.into_iter().find(|it| it.index() == index)
    }
}

/// The frame of this number, 128 kbit/s.
pub(crate) fn frame(number: u64) -> Vec<u8> {
    Bitrate::Usual.frame(number)
}

/// The frames that somebody received: whole, but perhaps for the last, each one the successor of that before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// The number of the first frame.
    pub(crate) first: u64,
    /// The number after that of the last whole frame.
    pub(crate) next: u64,
}

/// Reads the number that a frame carries.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.get(HEADER.len() + SIDE_BYTES..)?.get(..DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Checks every byte of what a player received while its source began anew, and more than once perhaps: whole
/// streams one behind the other, each but the first from its first frame on. How many frames each of them had.
pub(crate) fn check_spliced(received: &[u8]) -> Vec<u64> {
    let starts = received.chunks(FRAME_BYTES).enumerate();
    let starts = starts.filter(|(index, chunk)| *index > 0 && number(chunk) == Some(0));
    let mut cuts: Vec<usize> = starts.map(|(index, _)| index * FRAME_BYTES).collect();
    cuts.insert(0, 0);
    cuts.push(received.len());
    let streams = cuts.windows(2).map(|cut| check(&received[cut[0]..cut[1]]));
    streams.map(|it| it.next - it.first).collect()
}

/// The numbers of the whole frames that a player received, in their order.
pub(crate) fn numbers(received: &[u8]) -> Vec<u64> {
    received
        .chunks_exact(FRAME_BYTES)
        .filter_map(number)
        .collect()
}

/// Checks every byte of what a player received. Panics where something is missing, doubled or changed.
pub(crate) fn check(received: &[u8]) -> Received {
    assert!(
        received.starts_with(&HEADER),
        "begins in a frame: {:x?}",
        &received[..received.len().min(8)]
    );
    let first = number(received).expect("at least one frame");
    let mut next = first;
    for (index, chunk) in received.chunks(FRAME_BYTES).enumerate() {
        let right = &frame(first + index as u64)[..chunk.len()];
        assert!(
            chunk == right,
            "byte {} should belong to frame {next}, and it is one of {:?}",
            index * FRAME_BYTES,
            number(chunk)
        );
        next += u64::from(chunk.len() == FRAME_BYTES);
    }
    Received { first, next }
}
