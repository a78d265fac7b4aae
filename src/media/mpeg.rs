//! MPEG audio frames: where they begin and how long they last.
//!
//! A frame header is 32 bits without a checksum, so audio data holds false ones. [`FrameScanner`]
//! therefore believes a header only when the frame it announces is followed by another of its kind;
//! once it has found one, it goes from frame to frame and looks at nothing in between.
//!
//! Frames of the free format (no bitrate in the header) are not recognised: no encoder of radios makes them.

use std::time::Duration;

/// The standard that a frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MPEG-1: 32, 44.1 and 48 kHz.
    V1,
    /// MPEG-2: half the sample rates of MPEG-1.
    V2,
    /// MPEG-2.5: a quarter of them.
    V25,
}

/// The way a frame is coded; III is "MP3".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Layer I.
    I,
    /// Layer II, "MP2".
    II,
    /// Layer III, "MP3".
    III,
}

/// A valid frame header. Only [`FrameHeader::parse`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The standard.
    pub version: Version,
    /// The coding.
    pub layer: Layer,
    /// Bits per second of this frame.
    pub bitrate_bps: u32,
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// Whether the frame is one slot longer than its bitrate says.
    pub padded: bool,
    /// Whether it has one channel only.
    pub mono: bool,
}

/// Bitrates in kbit/s by index 1 to 14; 0 is the free format and 15 is forbidden.
const V1_LAYER_I: [u32; 14] = [
    32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
];
const V1_LAYER_II: [u32; 14] = [
    32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
];
const V1_LAYER_III: [u32; 14] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];
const V2_LAYER_I: [u32; 14] = [
    32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
];
const V2_LAYER_II_III: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

impl FrameHeader {
    /// The length of a header.
    pub const BYTES: usize = 4;
    /// The longest frame of all: Layer II of MPEG-2.5 at 160 kbit/s, 8 kHz, padded.
    pub const MAX_FRAME_BYTES: usize = 2_881;

    /// Reads a header; `None` if these bytes are not one.
    pub fn parse(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [sync, kind, rates, channels] = bytes;
        if sync != 0xFF || kind & 0xE0 != 0xE0 || channels & 0b11 == 0b10 {
            return None;
        }
        let (version, divisor) = match (kind >> 3) & 0b11 {
            0b11 => (Version::V1, 1),
            0b10 => (Version::V2, 2),
            0b00 => (Version::V25, 4),
            _ => return None,
        };
        let layer = match (kind >> 1) & 0b11 {
            0b11 => Layer::I,
            0b10 => Layer::II,
            0b01 => Layer::III,
            _ => return None,
        };
        let table = match (version, layer) {
            (Version::V1, Layer::I) => &V1_LAYER_I,
            (Version::V1, Layer::II) => &V1_LAYER_II,
            (Version::V1, Layer::III) => &V1_LAYER_III,
            (_, Layer::I) => &V2_LAYER_I,
            _ => &V2_LAYER_II_III,
        };
        let bitrate_kbps = table.get(usize::from(rates >> 4).checked_sub(1)?)?;
        let base_hz: u32 = *[44_100, 48_000, 32_000].get(usize::from((rates >> 2) & 0b11))?;
        Some(Self {
            version,
            layer,
            bitrate_bps: bitrate_kbps * 1_000,
            sample_rate_hz: base_hz / divisor,
            padded: rates & 0b10 != 0,
            mono: channels >> 6 == 0b11,
        })
    }

    /// Samples per channel in this frame.
    pub fn samples(&self) -> u32 {
        match (self.layer, self.version) {
            (Layer::I, _) => 384,
            (Layer::III, Version::V2 | Version::V25) => 576,
            _ => 1_152,
        }
    }

    /// The length of the frame, header included. At least 24, at most [`Self::MAX_FRAME_BYTES`].
    pub fn frame_bytes(&self) -> usize {
        // A slot, the unit of padding, is four bytes in Layer I and one in the others.
        let slot_bytes = if self.layer == Layer::I { 4 } else { 1 };
        let slots_per_s = self.bitrate_bps / 8 / slot_bytes;
        let slots = self.samples() * slots_per_s / self.sample_rate_hz + u32::from(self.padded);
        (slots * slot_bytes) as usize
    }

    /// How long the frame plays. Rounded to a nanosecond, so that a sum of them is wrong by less than
    /// 0.1 millionth: less than any sound card's clock.
    pub fn duration(&self) -> Duration {
        let nanos = u64::from(self.samples()) * 1_000_000_000;
        let rate_hz = u64::from(self.sample_rate_hz);
        Duration::from_nanos((nanos + rate_hz / 2) / rate_hz)
    }

    /// Whether both can belong to one stream. Bitrate and channels may change from frame to frame.
    pub fn is_kin_of(&self, other: &Self) -> bool {
        (self.version, self.layer, self.sample_rate_hz)
            == (other.version, other.layer, other.sample_rate_hz)
    }

    /// Whether `frame` (its first [`INFO_BYTES`], or all of it) is a table of contents instead of audio:
    /// encoders put one, "Xing" or "Info", before a file's first frame.
    fn is_info(&self, frame: &[u8]) -> bool {
        let side_bytes = match (self.version, self.mono) {
            (Version::V1, false) => 32,
            (Version::V1, true) | (_, false) => 17,
            (_, true) => 9,
        };
        let at = |start: usize| frame.get(start..start + 4);
        let tag = at(Self::BYTES + side_bytes);
        self.layer == Layer::III
            && (tag == Some(b"Xing") || tag == Some(b"Info") || at(36) == Some(b"VBRI"))
    }
}

/// A frame has begun: the scanner's finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStart {
    /// Where in the stream its header begins.
    pub offset: u64,
    /// How much audio was before it, counted from where this scanner began.
    pub media_time: Duration,
}

/// How much of a frame tells whether it is a table of contents: the end of the farthest tag.
const INFO_BYTES: usize = 40;

/// The most bytes that are ever kept: the longest frame and the header after it.
const HELD_BYTES: usize = FrameHeader::MAX_FRAME_BYTES + FrameHeader::BYTES;

/// The longest ID3v2 tag that is passed over unseen. Real ones carry a cover picture of some 100 kB;
/// with a longer one, which a false tag would announce, the scanner prefers to look for frames inside.
const MAX_TAG_BYTES: u64 = 8 << 20;

/// Finds the frames of a stream that arrives in pieces, however it is cut. Needs constant memory.
///
/// Tables of contents (Xing, Info, VBRI), ID3v2 tags and garbage are passed over and last no time.
#[derive(Clone, Debug)]
pub struct FrameScanner {
    /// The bytes just before the end of what was fed that are not judged yet.
    held: Vec<u8>,
    held_offset: u64,
    /// How many of the bytes to come belong to what has been judged already.
    skip_bytes: u64,
    /// The frame before; `None` while it looks for the first one.
    last: Option<FrameHeader>,
    media_time: Duration,
    junk_bytes: u64,
}

/// What stands at the first byte not judged yet.
enum Verdict {
    Audio(FrameHeader),
    Info(FrameHeader),
    Tag(u64),
    Junk(usize),
    /// More bytes decide.
    Open,
}

impl FrameScanner {
    /// A scanner whose first byte will be the one at `start`.
    pub fn new(start: u64) -> Self {
        Self {
            held: Vec::with_capacity(HELD_BYTES),
            held_offset: start,
            skip_bytes: 0,
            last: None,
            media_time: Duration::ZERO,
            junk_bytes: 0,
        }
    }

    /// Takes the next bytes and tells `found` of every frame that is certain by now, in order.
    pub fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(FrameStart)) {
        while !bytes.is_empty() {
            let skipped = bytes
                .len()
                .min(self.skip_bytes.try_into().unwrap_or(usize::MAX));
            self.skip_bytes -= skipped as u64;
            self.held_offset += skipped as u64;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HELD_BYTES - self.held.len());
            self.held.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            self.judge(&mut found);
        }
    }

    /// Bytes passed over since the last frame, or since the start, that belong to no frame or tag.
    pub fn junk_bytes(&self) -> u64 {
        self.junk_bytes
    }

    /// How much audio has been found.
    pub fn media_time(&self) -> Duration {
        self.media_time
    }

    /// The offset of the next byte to be fed.
    pub fn next(&self) -> u64 {
        self.held_offset + self.held.len() as u64
    }

    fn judge(&mut self, found: &mut impl FnMut(FrameStart)) {
        let mut judged = 0;
        while judged < self.held.len() {
            let span = match self.verdict(&self.held[judged..]) {
                Verdict::Open => break,
                Verdict::Audio(header) => {
                    found(FrameStart {
                        offset: self.held_offset + judged as u64,
                        media_time: self.media_time,
                    });
                    self.media_time += header.duration();
                    self.believe(header)
                }
                Verdict::Info(header) => self.believe(header),
                Verdict::Tag(tag_bytes) => tag_bytes,
                Verdict::Junk(junk_bytes) => {
                    self.last = None;
                    self.junk_bytes += junk_bytes as u64;
                    junk_bytes as u64
                }
            };
            let here = span.min((self.held.len() - judged) as u64);
            self.skip_bytes = span - here;
            judged += here as usize;
        }
        self.held_offset += judged as u64;
        self.held.drain(..judged);
    }

    fn believe(&mut self, header: FrameHeader) -> u64 {
        self.last = Some(header);
        self.junk_bytes = 0;
        header.frame_bytes() as u64
    }

    fn verdict(&self, bytes: &[u8]) -> Verdict {
        let Some(header_bytes) = bytes.first_chunk() else {
            return Verdict::Open;
        };
        let header = FrameHeader::parse(*header_bytes);
        match (header, &self.last) {
            (Some(header), Some(last)) if header.is_kin_of(last) => {
                let certain = bytes.len() >= header.frame_bytes().min(INFO_BYTES);
                if certain {
                    frame(header, bytes)
                } else {
                    Verdict::Open
                }
            }
            (Some(header), _) => match bytes.get(header.frame_bytes()..) {
                Some([a, b, c, d, ..]) => match FrameHeader::parse([*a, *b, *c, *d]) {
                    Some(next) if next.is_kin_of(&header) => frame(header, bytes),
                    _ => junk(bytes),
                },
                _ => Verdict::Open,
            },
            (None, _) if bytes.starts_with(b"ID3") => tag(bytes),
            (None, _) => junk(bytes),
        }
    }
}

fn frame(header: FrameHeader, bytes: &[u8]) -> Verdict {
    if header.is_info(&bytes[..bytes.len().min(header.frame_bytes())]) {
        Verdict::Info(header)
    } else {
        Verdict::Audio(header)
    }
}

/// Everything up to the next byte with which a frame or a tag could begin.
fn junk(bytes: &[u8]) -> Verdict {
    let next = bytes.iter().skip(1).position(|b| matches!(b, 0xFF | b'I'));
    Verdict::Junk(next.map_or(bytes.len(), |after_first| after_first + 1))
}

/// An ID3v2 tag: "ID3", version, flags, and its length in four times seven bits.
fn tag(bytes: &[u8]) -> Verdict {
    let Some([_, _, _, major, minor, flags, size @ ..]) = bytes.first_chunk::<10>() else {
        return Verdict::Open;
    };
    let valid = *major < 0xFF && *minor < 0xFF && size.iter().all(|byte| byte & 0x80 == 0);
    let body_bytes = size.iter().fold(0, |sum, byte| sum << 7 | u64::from(*byte));
    let footer_bytes = if flags & 0x10 != 0 { 10 } else { 0 };
    let tag_bytes = 10 + body_bytes + footer_bytes;
    if valid && tag_bytes <= MAX_TAG_BYTES {
        Verdict::Tag(tag_bytes)
    } else {
        junk(bytes)
    }
}

/// Made-up streams for the tests of everything that carries one.
#[cfg(test)]
pub(crate) mod samples {
    /// A frame of 128 kbit/s at 44.1 kHz, 417 bytes, filled with a number.
    pub(crate) fn frame(number: u32) -> Vec<u8> {
        let mut frame = vec![0xFF, 0xFB, 0x90, 0x64];
        while frame.len() < 417 {
            frame.extend_from_slice(&(number & 0x7FFF_FFFF).to_be_bytes());
        }
        frame.truncate(417);
        frame
    }

    /// So many of them, numbered from 0.
    pub(crate) fn frames(count: u32) -> Vec<u8> {
        (0..count).flat_map(frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<FrameStart> {
        let (mut scanner, mut found) = (FrameScanner::new(0), Vec::new());
        for piece in pieces {
            scanner.feed(piece, |start| found.push(start));
            assert!(scanner.held.len() <= HELD_BYTES);
        }
        found
    }

    fn offsets(stream: &[u8]) -> Vec<u64> {
        scan([stream]).iter().map(|start| start.offset).collect()
    }

    #[test]
    fn headers_tell_length_and_duration() {
        let known = [
            ([0xFF, 0xFB, 0x90, 0x64], 417, 26_122_449), // MPEG-1 III, 128 kbit/s, 44.1 kHz
            ([0xFF, 0xFB, 0x92, 0x64], 418, 26_122_449), // the same, padded
            ([0xFF, 0xFB, 0xE4, 0x00], 960, 24_000_000), // 320 kbit/s, 48 kHz
            ([0xFF, 0xF3, 0x80, 0xC0], 208, 26_122_449), // MPEG-2 III, 64 kbit/s, 22.05 kHz, mono
            ([0xFF, 0xE3, 0x18, 0xC0], 72, 72_000_000),  // MPEG-2.5 III, 8 kbit/s, 8 kHz
            ([0xFF, 0xFD, 0xA4, 0x00], 576, 24_000_000), // MPEG-1 II, 192 kbit/s, 48 kHz
            ([0xFF, 0xFF, 0xC6, 0x00], 388, 8_000_000),  // MPEG-1 I, 384 kbit/s, 48 kHz, padded
            ([0xFF, 0xE5, 0xEA, 0x00], 2_881, 144_000_000), // the longest
        ];
        for (bytes, frame_bytes, nanos) in known {
            let header = FrameHeader::parse(bytes).unwrap();
            assert_eq!(header.frame_bytes(), frame_bytes, "{header:?}");
            assert_eq!(header.duration(), Duration::from_nanos(nanos), "{header:?}");
        }
    }

    #[test]
    fn no_header_announces_more_than_the_longest_or_less_than_itself() {
        let all = (0..=u16::MAX).map(|middle| {
            let [kind, rates] = middle.to_be_bytes();
            [0xFF, kind, rates, 0]
        });
        for header in all.filter_map(FrameHeader::parse) {
            let range = 24..=FrameHeader::MAX_FRAME_BYTES;
            assert!(range.contains(&header.frame_bytes()), "{header:?}");
        }
    }

    #[test]
    fn what_is_reserved_is_no_header() {
        for bad in [
            [0xFE, 0xFB, 0x90, 0x64], // no sync
            [0xFF, 0xDB, 0x90, 0x64], // no sync
            [0xFF, 0xEB, 0x90, 0x64], // reserved version
            [0xFF, 0xF9, 0x90, 0x64], // reserved layer: this is how ADTS begins
            [0xFF, 0xFB, 0x00, 0x64], // free format
            [0xFF, 0xFB, 0xF0, 0x64], // forbidden bitrate
            [0xFF, 0xFB, 0x9C, 0x64], // reserved sample rate
            [0xFF, 0xFB, 0x90, 0x66], // reserved emphasis
        ] {
            assert_eq!(FrameHeader::parse(bad), None, "{bad:x?}");
        }
    }

    #[test]
    fn a_frame_is_believed_when_the_next_one_follows() {
        let found = scan([&samples::frames(3)[..417 * 2 + 40]]);
        let frame_nanos = 26_122_449;
        let expected = [0, 1, 2].map(|n| FrameStart {
            offset: n * 417,
            media_time: Duration::from_nanos(n * frame_nanos),
        });
        assert_eq!(found, expected);
        assert_eq!(offsets(&samples::frames(1)), []);
        // A false header, whose frame ends nowhere.
        let mut lone = vec![0xFF, 0xFB, 0x90, 0x64, 1, 2, 3];
        lone.extend(samples::frames(2));
        assert_eq!(offsets(&lone), [7, 424]);
    }

    #[test]
    fn garbage_between_frames_costs_only_the_garbage() {
        let mut stream = vec![0xFF; 5_000];
        stream.extend(samples::frames(3));
        stream.extend(b"TAG plain text that is 20 bytes or more");
        let second = stream.len() as u64;
        stream.extend(samples::frames(2));
        let found = offsets(&stream);
        assert_eq!(found, [5_000, 5_417, 5_834, second, second + 417]);
    }

    #[test]
    fn tags_are_passed_over_even_when_frames_are_in_them() {
        let mut stream = b"ID3\x04\x00\x00\x00\x00\x0D\x05".to_vec(); // 13 * 128 + 5 bytes
        stream.extend(samples::frames(4));
        stream.push(0);
        let first = stream.len() as u64;
        stream.extend(samples::frames(2));
        stream.extend(b"ID3\x04\x00\x10\x00\x00\x00\x05hello3DI.footer");
        let third = stream.len() as u64;
        stream.extend(samples::frames(1));
        assert_eq!(offsets(&stream), [first, first + 417, third]);
    }

    #[test]
    fn a_table_of_contents_is_no_audio() {
        let mut info = samples::frame(7);
        info[36..40].copy_from_slice(b"Info");
        let stream = [info, samples::frames(2)].concat();
        let found = scan([&stream[..]]);
        assert_eq!(found[0].offset, 417);
        assert_eq!(found[0].media_time, Duration::ZERO);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn another_sample_rate_is_found_anew() {
        let slower = [[0xFF, 0xFB, 0x94, 0x64].as_slice(), &[0; 380]].concat();
        let stream = [samples::frames(2), slower.clone(), slower].concat();
        assert_eq!(offsets(&stream), [0, 417, 834, 1_218]);
    }

    proptest! {
        #[test]
        fn any_split_finds_the_same_frames(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..600)), 0..12),
            cuts in prop::collection::vec(1usize..900, 1..40),
        ) {
            let stream: Vec<u8> = parts.iter().flat_map(|(audio, junk)| {
                if *audio { samples::frames(junk.len() as u32 % 7) } else { junk.clone() }
            }).collect();
            let mut pieces = Vec::new();
            let (mut rest, mut cut) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*cut.next().unwrap()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(scan(pieces), scan([&stream[..]]));
            prop_assert_eq!(scan(stream.chunks(1)), scan([&stream[..]]));
        }
    }
}
