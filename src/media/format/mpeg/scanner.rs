//! Finds the frames of a stream.
//!
//! A header is believed only when the frame that it announces is followed by another of its kind. Once one is
//! found, the scanner goes from frame to frame and skips what is in between.

use std::time::Duration;

use super::{FrameHeader, INFO_BYTES};

/// A frame has begun: the scanner's finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStart {
    /// The offset in the stream at which its header begins.
    pub offset: u64,
    /// How much audio was before it, counted from where this scanner began.
    pub media_time: Duration,
    /// The header, which tells how long the frame is and plays.
    pub header: FrameHeader,
}

/// The most bytes that are kept: the longest frame and the header after it.
const HELD_BYTES: usize = FrameHeader::MAX_FRAME_BYTES + FrameHeader::BYTES;

/// The longest ID3v2 tag that is skipped unread. Real ones have a cover picture of some 100 kB; a false tag may
/// announce a longer one, and then the scanner looks for frames inside.
const MAX_TAG_BYTES: u64 = 8 << 20;

/// Finds the frames of a stream that arrives in pieces of any size. Needs constant memory.
///
/// Tables of contents (Xing, Info, VBRI), ID3v2 tags and garbage are skipped and count as no time.
#[derive(Clone, Debug)]
pub struct FrameScanner {
    /// The last bytes that were fed and are not judged yet.
    held: Vec<u8>,
    held_offset: u64,
    /// How many of the bytes to come belong to a frame or tag that has been judged already.
    skip_bytes: u64,
    /// The frame before; `None` while the first one is looked for.
    last: Option<FrameHeader>,
    media_time: Duration,
    junk_bytes: u64,
}

/// The finding at the first byte that is not judged yet.
enum FrameVerdict {
    Audio(FrameHeader),
    Info(FrameHeader),
    Tag(u64),
    Junk(usize),
    /// Not known yet: more bytes decide.
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

    /// Takes the next bytes and calls `found` for every frame that is certain by now, in order.
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

    /// Bytes since the last frame, or since the start, that belong to no frame or tag.
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
                FrameVerdict::Open => break,
                FrameVerdict::Audio(header) => {
                    found(FrameStart {
                        offset: self.held_offset + judged as u64,
                        media_time: self.media_time,
                        header,
                    });
                    self.media_time += header.duration();
                    self.believe(header)
                }
                FrameVerdict::Info(header) => self.believe(header),
                FrameVerdict::Tag(tag_bytes) => tag_bytes,
                FrameVerdict::Junk(junk_bytes) => {
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

    fn verdict(&self, bytes: &[u8]) -> FrameVerdict {
        let Some(header_bytes) = bytes.first_chunk() else {
            return FrameVerdict::Open;
        };
        let header = FrameHeader::parse(*header_bytes);
        match (header, &self.last) {
            (Some(header), Some(last)) if header.is_kin_of(last) => {
                let is_certain = bytes.len() >= INFO_BYTES || bytes.len() >= header.frame_bytes();
                if is_certain {
                    frame(header, bytes)
                } else {
                    FrameVerdict::Open
                }
            }
            (Some(header), _) => match bytes.get(header.frame_bytes()..) {
                Some([a, b, c, d, ..]) => match FrameHeader::parse([*a, *b, *c, *d]) {
                    Some(next) if next.is_kin_of(&header) => frame(header, bytes),
                    _ => junk(bytes),
                },
                _ => FrameVerdict::Open,
            },
            (None, _) if bytes.starts_with(b"ID3") => tag(bytes),
            (None, _) => junk(bytes),
        }
    }
}

/// The length of a frame is only computed for what looks like a table of contents, which may be that of the next frame.
#[inline]
fn frame(header: FrameHeader, bytes: &[u8]) -> FrameVerdict {
    let within = || &bytes[..bytes.len().min(header.frame_bytes())];
    if header.is_info(bytes) && header.is_info(within()) {
        FrameVerdict::Info(header)
    } else {
        FrameVerdict::Audio(header)
    }
}

/// All bytes up to the next one at which a frame or a tag could begin.
fn junk(bytes: &[u8]) -> FrameVerdict {
    let next = bytes.iter().skip(1).position(|b| matches!(b, 0xFF | b'I'));
    FrameVerdict::Junk(next.map_or(bytes.len(), |after_first| after_first + 1))
}

/// An ID3v2 tag: "ID3", version, flags, and its length in four times seven bits.
fn tag(bytes: &[u8]) -> FrameVerdict {
    let Some([_, _, _, major, minor, flags, size @ ..]) = bytes.first_chunk::<10>() else {
        return FrameVerdict::Open;
    };
    let valid = *major < 0xFF && *minor < 0xFF && size.iter().all(|byte| byte & 0x80 == 0);
    let body_bytes = size.iter().fold(0, |sum, byte| sum << 7 | u64::from(*byte));
    let footer_bytes = if flags & 0x10 != 0 { 10 } else { 0 };
    let tag_bytes = 10 + body_bytes + footer_bytes;
    if valid && tag_bytes <= MAX_TAG_BYTES {
        FrameVerdict::Tag(tag_bytes)
    } else {
        junk(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples;
    use super::*;
    use crate::media::format::samples::pieces;

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
    fn a_frame_is_believed_when_the_next_one_follows() {
        let found = scan([&samples::frames(3)[..417 * 2 + 40]]);
        let frame_nanos = 26_122_449;
        let expected = [0, 1, 2].map(|n| (n * 417, Duration::from_nanos(n * frame_nanos)));
        let places = found.iter().map(|start| (start.offset, start.media_time));
        assert_eq!(places.collect::<Vec<_>>(), expected);
        assert_eq!(found[2].header.frame_bytes(), 417);
        assert_eq!(offsets(&samples::frames(1)), [0u64; 0]);
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
            let pieces = pieces(&stream, &cuts);
            prop_assert_eq!(scan(pieces), scan([&stream[..]]));
            prop_assert_eq!(scan(stream.chunks(1)), scan([&stream[..]]));
        }
    }
}
