//! The head of a FLAC frame: its number, how many samples it has, and its checksum.

use super::headers::StreamInfo;

/// The longest head: four fixed bytes, a number of seven, two values of two, and the checksum.
pub(super) const MAX_HEAD_BYTES: usize = 16;

/// The first byte of each frame.
pub(super) const SYNC: u8 = 0xFF;

/// The second byte without its last bit, which says whether frames are numbered by samples.
const SYNC_REST: u8 = 0xF8;

/// Numbers of frames have 31 bits.
const FRAME_NUMBERS: u64 = (1 << 31) - 1;

/// Numbers of samples have 36 bits: with frames of different lengths, they begin anew after 16 days of 48 kHz.
const SAMPLE_NUMBERS: u64 = (1 << 36) - 1;

/// The head of a frame. Only [`FlacHead::read`] makes one, whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) struct FlacHead {
    /// Whether `number` counts samples: frames then may have different lengths.
    counts_samples: bool,
    /// The number of the frame, or of its first sample.
    number: u64,
    /// The samples of each channel.
    pub(in crate::media) samples: u32,
    /// The length of the head.
    pub(in crate::media) head_bytes: usize,
    /// Samples per second; 0: as in STREAMINFO.
    pub(in crate::media) rate_hz: u32,
    channels: u8,
    /// Bits per sample; 0: as in STREAMINFO.
    pub(in crate::media) bits: u8,
}

/// The result of reading a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum FlacHeadRead {
    /// The head is whole.
    Is(FlacHead),
    /// More bytes are needed.
    Open,
    /// The bytes are no head.
    Not,
}

impl FlacHead {
    /// Reads the head at the beginning of these bytes.
    pub(in crate::media) fn read(bytes: &[u8]) -> FlacHeadRead {
        let second = bytes.get(1).is_none_or(|it| it & !1 == SYNC_REST);
        if bytes.first().is_some_and(|it| *it != SYNC) || !second {
            return FlacHeadRead::Not;
        }
        let mut fields = FlacFields { bytes, at: 4 };
        let Some([_, kind, sizes, layout]) = bytes.first_chunk() else {
            return FlacHeadRead::Open;
        };
        let (size_code, rate_code) = (sizes >> 4, sizes & 0x0F);
        let (channels, bits) = (Self::channels(layout >> 4), Self::bits(layout >> 1 & 0x07));
        let (Some(channels), Some(bits)) = (channels, bits) else {
            return FlacHeadRead::Not;
        };
        if layout & 1 == 1 || size_code == 0 || rate_code == 15 {
            return FlacHeadRead::Not;
        }
        let counts_samples = kind & 1 == 1;
        let number = match fields.number() {
            Number::Is(number) if counts_samples || number <= FRAME_NUMBERS => number,
            Number::Open => return FlacHeadRead::Open,
            Number::Is(_) | Number::Not => return FlacHeadRead::Not,
        };
        let samples = fields.samples(size_code);
        let (Some(samples), Some(rate_hz)) = (samples, fields.rate_hz(rate_code)) else {
            return FlacHeadRead::Open;
        };
        let head_bytes = fields.at + 1;
        match bytes.get(fields.at) {
            None => FlacHeadRead::Open,
            Some(sum) if *sum == crc8(&bytes[..fields.at]) => FlacHeadRead::Is(Self {
                counts_samples,
                number,
                samples,
                head_bytes,
                rate_hz,
                channels,
                bits,
            }),
            Some(_) => FlacHeadRead::Not,
        }
    }

    /// Whether a frame with this head can be one of a stream with this STREAMINFO.
    pub(super) fn fits(&self, info: &StreamInfo) -> bool {
        let is_same = |own: u32, stated: u32| own == 0 || own == stated;
        is_same(self.rate_hz, info.rate_hz)
            && is_same(self.bits.into(), info.bits.into())
            && self.channels == info.channels
            && self.samples <= info.max_samples
    }

    /// Whether the frame comes right after another.
    pub(super) fn follows(&self, before: &Self) -> bool {
        let step = if before.counts_samples {
            before.samples
        } else {
            1
        };
        self.counts_samples == before.counts_samples && self.steps_from(before) == u64::from(step)
    }

    /// How many samples are between the beginning of another frame and that of this one, lost frames included. A step
    /// back is a very great number.
    pub(super) fn samples_since(&self, before: &Self) -> u64 {
        let samples = if before.counts_samples {
            1
        } else {
            before.samples
        };
        self.steps_from(before).saturating_mul(samples.into())
    }

    /// By how much the number is greater, if numbers begin anew after the greatest.
    fn steps_from(&self, before: &Self) -> u64 {
        let numbers = if self.counts_samples {
            SAMPLE_NUMBERS
        } else {
            FRAME_NUMBERS
        };
        self.number.wrapping_sub(before.number) & numbers
    }

    fn channels(code: u8) -> Option<u8> {
        match code {
            0..=7 => Some(code + 1),
            8..=10 => Some(2), // Of both channels, one is stored as the difference from the other.
            _ => None,
        }
    }

    fn bits(code: u8) -> Option<u8> {
        let bits = [0, 8, 12, 0, 16, 20, 24, 32];
        let bits = bits.get(usize::from(code)).copied();
        bits.filter(|bits| code == 0 || *bits > 0)
    }
}

/// The fields of a head whose length differs.
struct FlacFields<'a> {
    bytes: &'a [u8],
    /// The next byte to read.
    at: usize,
}

/// The result of reading a number.
enum Number {
    Is(u64),
    Open,
    Not,
}

impl FlacFields<'_> {
    /// A number that is coded as UTF-8 codes a character, with up to 36 bits.
    fn number(&mut self) -> Number {
        let Some(first) = self.bytes.get(self.at) else {
            return Number::Open;
        };
        self.at += 1;
        let (more, mut number) = match first.leading_ones() {
            0 => (0, u64::from(*first)),
            ones @ 2..=7 => (ones - 1, u64::from(first & (0x7F_u8 >> ones))),
            _ => return Number::Not,
        };
        for _ in 0..more {
            match self.bytes.get(self.at) {
                None => return Number::Open,
                Some(byte) if byte & 0xC0 == 0x80 => number = number << 6 | u64::from(byte & 0x3F),
                Some(_) => return Number::Not,
            }
            self.at += 1;
        }
        Number::Is(number)
    }

    /// The samples of a frame; `None` if they have not come.
    fn samples(&mut self, code: u8) -> Option<u32> {
        match code {
            1 => Some(192),
            2..=5 => Some(576 << (code - 2)),
            6 => Some(self.take::<1>()? + 1),
            7 => Some(self.take::<2>()? + 1),
            _ => Some(256 << (code - 8)),
        }
    }

    /// Samples per second; `None` if they have not come.
    fn rate_hz(&mut self, code: u8) -> Option<u32> {
        const RATES_HZ: [u32; 12] = [
            0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
            96_000,
        ];
        match code {
            12 => Some(self.take::<1>()? * 1_000),
            13 => self.take::<2>(),
            14 => Some(self.take::<2>()? * 10),
            _ => RATES_HZ.get(usize::from(code)).copied(),
        }
    }

    /// A number of so many bytes.
    fn take<const BYTES: usize>(&mut self) -> Option<u32> {
        let bytes = self.bytes.get(self.at..)?.first_chunk::<BYTES>()?;
        self.at += BYTES;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        )
    }
}

/// The checksum of a head: polynomial 07, nothing added before or after. Heads are short, and few bytes begin as one.
pub(super) fn crc8(head: &[u8]) -> u8 {
    head.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ byte, |sum: u8, _| (sum << 1) ^ ((sum >> 7) * 0x07))
    })
}

/// The checksum of a frame: polynomial 8005, nothing added before or after. With the one at a frame's end it is 0.
pub(super) fn crc16(frame: &[u8]) -> u16 {
    frame.iter().fold(0, |sum, byte| crc16_with(sum, *byte))
}

/// The checksum of bytes of which all but the last have this one.
fn crc16_with(sum: u16, byte: u8) -> u16 {
    let index = (sum >> 8) as u8 ^ byte;
    (sum << 8) ^ CHECKSUMS[usize::from(index)]
}

/// The checksum of each single byte.
static CHECKSUMS: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum << 1) ^ ((sum >> 15) * 0x8005);
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

/// Whether these bytes are a frame that arrived as it was made.
pub(in crate::media::format) fn is_whole(frame: &[u8]) -> bool {
    matches!(FlacHead::read(frame), FlacHeadRead::Is(_)) && crc16(frame) == 0
}

/// The length of the frame with which the last bytes of a stream begin, if it is whole; otherwise 0. Behind it may be the
/// beginning of another head.
pub(super) fn whole_frame_bytes(bytes: &[u8]) -> usize {
    if !matches!(FlacHead::read(bytes), FlacHeadRead::Is(_)) {
        return 0;
    }
    let first = bytes.len().saturating_sub(MAX_HEAD_BYTES);
    let (mut sum, mut whole) = (crc16(&bytes[..first]), 0);
    for end in first..=bytes.len() {
        let is_followed = bytes.get(end).is_none_or(|next| *next == SYNC);
        if sum == 0 && is_followed {
            whole = end;
        }
        if let Some(byte) = bytes.get(end) {
            sum = crc16_with(sum, *byte);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    /// The heads of the first and the last frame of `ffmpeg -f lavfi -i sine=duration=3 -ac 2 -c:a flac x.flac`.
    const MADE: [&[u8]; 2] = [
        b"\xFF\xF8\x59\x88\x00\x8A",
        b"\xFF\xF8\x79\x88\x1C\x0C\xCB\x8B",
    ];

    fn read(bytes: &[u8]) -> FlacHead {
        match FlacHead::read(bytes) {
            FlacHeadRead::Is(head) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn heads_are_those_of_flac() {
        for (made, number, samples) in [(MADE[0], 0, 4_608), (MADE[1], 28, 3_276)] {
            let head = read(&[made, b"audio"].concat());
            assert_eq!((head.number, head.samples), (number, samples));
            assert_eq!((head.rate_hz, head.channels, head.bits), (44_100, 2, 16));
            assert_eq!(head.head_bytes, made.len());
            assert!(!head.counts_samples);
            for cut in 0..made.len() {
                assert_eq!(FlacHead::read(&made[..cut]), FlacHeadRead::Open);
            }
            assert!(!is_whole(made));
            for at in 0..made.len() {
                let mut damaged = made.to_vec();
                damaged[at] ^= 0x10;
                let read = FlacHead::read(&damaged);
                assert!(!matches!(read, FlacHeadRead::Is(_)), "{damaged:x?}");
            }
        }
    }

    #[test]
    fn reserved_values_are_no_head() {
        for bytes in [
            b"\xFF\xFA\x59\x88".as_slice(), // Reserved bit of the sync.
            b"\xFF\xF8\x09\x88",            // Samples.
            b"\xFF\xF8\x5F\x88",            // Rate.
            b"\xFF\xF8\x59\xB8",            // Channels.
            b"\xFF\xF8\x59\x86",            // Bits per sample.
            b"\xFF\xF8\x59\x89",            // Reserved bit.
            b"\xFF\xF8\x59\x88\x80",        // Number.
            b"\xFF\xF8\x59\x88\xC2\x00",    // Its second byte.
            b"\xFF\xF8\x59\x88\xFE\x82\x81\x81\x81\x81\x81", // A number of a frame has 31 bits.
            b"\xFE",
            b"\xFF\xFB",
        ] {
            assert_eq!(FlacHead::read(bytes), FlacHeadRead::Not, "{bytes:x?}");
        }
    }

    #[test]
    fn numbers_of_all_lengths_are_read_and_begin_anew() {
        for number in [
            0,
            0x7F,
            0x80,
            0x7FF,
            0x800,
            0xFFFF,
            1 << 20,
            1 << 25,
            1 << 30,
            SAMPLE_NUMBERS,
        ] {
            let head = read(&samples::head(true, number, 500));
            assert_eq!((head.number, head.samples), (number, 500));
        }
        let last = read(&samples::head(true, SAMPLE_NUMBERS - 9, 500));
        let first = read(&samples::head(true, 490, 70));
        assert!(first.follows(&last) && !last.follows(&first));
        assert_eq!(first.samples_since(&last), 500);
        let last = read(&samples::head(false, FRAME_NUMBERS, 500));
        let second = read(&samples::head(false, 1, 500));
        assert!(!second.follows(&last) && !first.follows(&last));
        assert_eq!(second.samples_since(&last), 1_000);
    }
}
