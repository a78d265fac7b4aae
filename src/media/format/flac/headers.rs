//! The beginning of a FLAC stream: its magic number, and the blocks of metadata before the first frame.
//!
//! A decoder needs STREAMINFO and nothing else, so a block that makes a prologue too long is left out of it; the listener
//! who is there from the beginning gets it all the same.

use crate::media::format::joining::MAX_PROLOGUE_BYTES;
use crate::media::format::ogg::comments;
use crate::model::format::CodecName;
use crate::model::title::TitleInfo;

/// The bytes that each stream begins with, up to the length of STREAMINFO, which is the first block and has 34 bytes. The
/// first bit of the fifth byte says whether another block follows.
const BEGINNING: [u8; BEGINNING_BYTES] = [b'f', b'L', b'a', b'C', 0, 0, 0, INFO_BYTES as u8];
const BEGINNING_BYTES: usize = 8;

/// The length of STREAMINFO.
const INFO_BYTES: usize = 34;

/// The magic number's length, behind which the first block begins.
pub(in crate::media::format) const MAGIC_BYTES: usize = 4;

/// The head of a block: one bit that marks the last one, its type, and the length of its body.
const BLOCK_HEAD_BYTES: usize = 4;

/// How many bytes of STREAMINFO stand before the number of samples and the checksum of all of them. The last four bits of
/// these belong to the number.
const KNOWN_BYTES: usize = 14;

/// Set in the head of the last block.
const LAST: u8 = 0x80;

/// The types of blocks that matter here.
const INFO: u8 = 0;
const PADDING: u8 = 1;
const SEEK_TABLE: u8 = 3;
const INVALID: u8 = 127;

/// The longest beginning that is believed, twice the longest block: a picture of 16 MiB and all else. It costs no memory,
/// but nobody can join before its end.
const MAX_BYTES: u64 = 32 << 20;

/// The head of a block of metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::format) struct BlockHead {
    /// Whether frames follow the block.
    pub(in crate::media::format) is_last: bool,
    /// The type of the block.
    kind: u8,
    /// The length of what follows the head.
    body_bytes: usize,
}

impl BlockHead {
    /// Reads the head at the first of some bytes; `None` if more are needed.
    pub(in crate::media::format) fn read(bytes: &[u8]) -> Option<Self> {
        let [flags, a, b, c] = *bytes.first_chunk::<BLOCK_HEAD_BYTES>()?;
        Some(Self {
            is_last: flags & LAST != 0,
            kind: flags & !LAST,
            body_bytes: u32::from_be_bytes([0, a, b, c]) as usize,
        })
    }

    /// The length of the block with this head.
    pub(in crate::media::format) fn block_bytes(self) -> usize {
        BLOCK_HEAD_BYTES + self.body_bytes
    }
}

/// The values that all frames of a stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamInfo {
    /// The most samples that a frame has of each channel.
    pub(super) max_samples: u32,
    /// Samples per second and channel, not 0.
    pub(super) rate_hz: u32,
    /// The number of channels.
    pub(super) channels: u8,
    /// Bits per sample.
    pub(super) bits: u8,
}

impl StreamInfo {
    /// Reads the body of STREAMINFO.
    fn read(body: &[u8]) -> Option<Self> {
        let [_, _, a, b, _, _, _, _, _, _, c, d, e, f, ..] = *body.first_chunk::<INFO_BYTES>()?;
        let max_samples = u32::from(u16::from_be_bytes([a, b]));
        // 20 bits of rate, 3 of channels, 5 of bits per sample.
        let packed = u32::from_be_bytes([c, d, e, f]);
        let info = Self {
            max_samples: if max_samples == 0 {
                u32::from(u16::MAX)
            } else {
                max_samples
            },
            rate_hz: packed >> 12,
            channels: ((packed >> 9) & 0x07) as u8 + 1,
            bits: ((packed >> 4) & 0x1F) as u8 + 1,
        };
        (info.rate_hz > 0).then_some(info)
    }

    /// The longest that a frame can be, if it is not coded but stored.
    pub(super) fn max_frame_bytes(&self) -> u64 {
        let sample_bytes = u64::from(self.bits).div_ceil(8);
        u64::from(self.max_samples) * u64::from(self.channels) * sample_bytes
    }
}

/// The result of comparing bytes with the beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::format) enum Beginning {
    /// A stream begins here.
    Is,
    /// More bytes decide.
    Open,
    /// None begins here.
    Not,
}

/// Whether a stream begins here.
pub(in crate::media::format) fn beginning(bytes: &[u8]) -> Beginning {
    let is_same = |(byte, wanted): (&u8, &u8)| byte == wanted;
    let mut first = BEGINNING;
    if bytes.get(MAGIC_BYTES) == Some(&LAST) {
        first[MAGIC_BYTES] = LAST;
    }
    match bytes.iter().zip(&first).all(is_same) {
        true if bytes.len() >= BEGINNING_BYTES => Beginning::Is,
        true => Beginning::Open,
        false => Beginning::Not,
    }
}

/// The beginning of a stream as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct FlacHeaders {
    /// The bytes that a late listener needs: the magic number and the blocks that are kept.
    kept: Vec<u8>,
    /// The position in `kept` of the head of the last block in it.
    last_kept: usize,
    /// The head of the block that comes now.
    head: Vec<u8>,
    /// How many bytes of its body are still to come.
    left: usize,
    /// Whether its body is kept.
    keeps: bool,
    /// Whether a block was not kept because it would make the prologue too long.
    leaves_out: bool,
    /// How many bytes of the beginning have come.
    taken: u64,
}

/// How the beginning stands after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadersState {
    /// More blocks follow.
    Open,
    /// The last block has ended.
    Complete(StreamInfo),
    /// The bytes that came are no headers.
    Damaged,
}

impl FlacHeaders {
    /// The headers of a stream of which no byte has come.
    pub(super) fn new() -> Self {
        Self {
            kept: Vec::new(),
            last_kept: MAGIC_BYTES,
            head: Vec::new(),
            left: 0,
            keeps: false,
            leaves_out: false,
            taken: 0,
        }
    }

    /// Takes bytes up to the end of a block, and returns how many: at least one, if there is one.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, HeadersState) {
        let taken = if self.taken < MAGIC_BYTES as u64 {
            self.take_magic(bytes)
        } else if self.left > 0 {
            self.take_body(bytes)
        } else {
            self.take_head(bytes)
        };
        self.taken += taken as u64;
        (taken, self.state())
    }

    /// Whether the bytes so far end with a block.
    pub(super) fn is_between_blocks(&self) -> bool {
        self.left == 0 && self.head.len() == BLOCK_HEAD_BYTES
    }

    /// Whether so much came that no end of it is to be expected.
    pub(super) fn is_endless(&self) -> bool {
        self.taken > MAX_BYTES
    }

    /// Whether a block is left out of the prologue because that would be too long.
    pub(super) fn leaves_out(&self) -> bool {
        self.leaves_out
    }

    /// The bytes that a late listener needs, once the headers are complete; they are not kept here any longer.
    pub(super) fn take_prologue(&mut self) -> Vec<u8> {
        if let Some(flags) = self.kept.get_mut(self.last_kept) {
            *flags |= LAST;
        }
        self.forget_length();
        std::mem::take(&mut self.kept)
    }

    /// Says in STREAMINFO that the number of samples and their checksum are not known. A file that is sent has them, but
    /// a late listener does not hear it all.
    fn forget_length(&mut self) {
        let info = self
            .kept
            .get_mut(BEGINNING_BYTES..BEGINNING_BYTES + INFO_BYTES);
        if let Some((known, length)) = info.and_then(|info| info.split_at_mut_checked(KNOWN_BYTES))
        {
            known[KNOWN_BYTES - 1] &= 0xF0;
            length.fill(0);
        }
    }

    /// The title in the comments, once the headers are complete.
    pub(super) fn title(&self) -> Option<TitleInfo> {
        let mut rest = self.kept.get(MAGIC_BYTES..)?;
        while let Some(head) = BlockHead::read(rest) {
            let (block, after) = rest.split_at_checked(head.block_bytes())?;
            let title = comments::read(CodecName::Flac, block);
            if title.is_some() {
                return title;
            }
            rest = after;
        }
        None
    }

    fn take_magic(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(MAGIC_BYTES - self.kept.len());
        self.kept.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn take_body(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.left);
        if self.keeps {
            self.kept.extend_from_slice(&bytes[..taken]);
        }
        self.left -= taken;
        taken
    }

    fn take_head(&mut self, bytes: &[u8]) -> usize {
        if self.head.len() == BLOCK_HEAD_BYTES {
            self.head.clear(); // That of the block before.
        }
        let taken = bytes.len().min(BLOCK_HEAD_BYTES - self.head.len());
        self.head.extend_from_slice(&bytes[..taken]);
        if let Some(head) = BlockHead::read(&self.head) {
            self.left = head.body_bytes;
            let is_of_use = !matches!(head.kind, PADDING | SEEK_TABLE | INVALID);
            let would_be = self.kept.len() + head.block_bytes();
            self.keeps = is_of_use && would_be <= MAX_PROLOGUE_BYTES;
            self.leaves_out |= is_of_use && !self.keeps;
            if self.keeps {
                self.last_kept = self.kept.len();
                self.kept.push(head.kind);
                self.kept.extend_from_slice(&self.head[1..]);
            }
        }
        taken
    }

    fn state(&self) -> HeadersState {
        let Some(head) = BlockHead::read(&self.head) else {
            return HeadersState::Open;
        };
        let is_in_first = self.taken <= (BEGINNING_BYTES + INFO_BYTES) as u64;
        if (head.kind == INFO) != is_in_first || head.kind == INVALID {
            return HeadersState::Damaged;
        }
        if self.left > 0 {
            return HeadersState::Open;
        }
        match StreamInfo::read(self.kept.get(BEGINNING_BYTES..).unwrap_or_default()) {
            None => HeadersState::Damaged,
            Some(info) if head.is_last => HeadersState::Complete(info),
            Some(_) => HeadersState::Open,
        }
    }
}
