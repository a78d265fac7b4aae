//! One step through a stream of frames: the finding at the first byte that is not judged yet.
//!
//! The scanner of a ring and the filter of tags take the same steps, so that both see the same frames.

use memchr::memchr3;

use super::super::tags::head::{self as tag, TagLook};
use super::head::{FrameHead, Proof, prove};

/// The finding at the first of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::format) enum FrameVerdict<H> {
    /// Audio.
    Audio {
        /// The header of the frame.
        head: H,
        /// The length of the frame, which may go beyond the bytes that are there.
        frame_bytes: usize,
    },
    /// A frame of this length with a table of contents.
    Info(usize),
    /// A tag of this length.
    Tag(u64),
    /// So many bytes that belong to nothing, all of them there.
    Junk(usize),
    /// So many bytes are needed to tell.
    Open(usize),
}

/// Goes from frame to frame.
///
/// A header is believed when others of its kind follow, and after that wherever one of them stands right behind a frame.
#[derive(Clone, Debug)]
pub(in crate::media::format) struct Stepper<H> {
    /// The frame before, also if junk has come since.
    last: Option<H>,
    /// Whether a frame of the same kind is expected here.
    is_in_step: bool,
    /// Whether no frame is cut in two here.
    is_between: bool,
    /// The length of a frame of the free format without padding.
    free_bytes: usize,
    /// For how many bytes no frame of the free format is looked for. To look costs some thousand bytes of reading, and
    /// false headers could ask for it at every fourth byte.
    not_free_bytes: usize,
}

impl<H: FrameHead> Stepper<H> {
    /// A stepper at a place that may be the beginning of a frame.
    pub(in crate::media::format) fn new() -> Self {
        Self {
            last: None,
            is_in_step: false,
            is_between: true,
            free_bytes: 0,
            not_free_bytes: 0,
        }
    }

    /// The last header that was believed.
    pub(super) fn last(&self) -> Option<&H> {
        self.last.as_ref()
    }

    /// Judges the first of these bytes, which are not empty, and steps over what it finds. How many bytes are there
    /// decides only whether it is found now or later.
    pub(in crate::media::format) fn step(&mut self, bytes: &[u8]) -> FrameVerdict<H> {
        let verdict = self.judge(bytes);
        match verdict {
            FrameVerdict::Audio { .. } | FrameVerdict::Info(_) => {
                (self.is_in_step, self.is_between) = (true, true);
                self.not_free_bytes = 0;
            }
            FrameVerdict::Tag(_) => self.is_between = true,
            FrameVerdict::Junk(junk_bytes) => {
                (self.is_in_step, self.is_between) = (false, false);
                self.not_free_bytes = self.not_free_bytes.saturating_sub(junk_bytes);
            }
            FrameVerdict::Open(_) => {}
        }
        verdict
    }

    fn judge(&mut self, bytes: &[u8]) -> FrameVerdict<H> {
        if bytes.first() != Some(&H::SYNC) {
            return match self.tag(bytes) {
                TagLook::Is(tag_bytes) => FrameVerdict::Tag(tag_bytes),
                TagLook::Open(wanted) => FrameVerdict::Open(wanted),
                TagLook::No => junk::<H>(bytes),
            };
        }
        match self.frame(bytes) {
            Proof::Given { head, frame_bytes } => self.open(bytes, head, frame_bytes),
            Proof::Open(wanted) => FrameVerdict::Open(wanted),
            Proof::Failed => junk::<H>(bytes),
        }
    }

    /// The tag that begins here. The words of the short ones stand in texts too: these are believed between frames only.
    fn tag(&self, bytes: &[u8]) -> TagLook {
        let mut look = tag::id3v2(bytes);
        if self.is_between && look == TagLook::No {
            look = tag::ape(bytes);
        }
        if self.is_between && look == TagLook::No {
            look = tag::id3v1(bytes, H::BYTES, |next| H::parse(next).is_some());
        }
        look
    }

    fn frame(&mut self, bytes: &[u8]) -> Proof<H> {
        let head = bytes.get(..H::BYTES).and_then(H::parse);
        let kin = head
            .filter(|head| self.is_in_step && self.last.is_some_and(|last| head.is_kin_of(&last)));
        if let Some(head) = kin {
            let free_bytes = self.free_bytes + head.padding_bytes();
            let frame_bytes = head.frame_bytes().unwrap_or(free_bytes);
            return Proof::Given { head, frame_bytes };
        }
        let is_free = head.is_some_and(|head| head.frame_bytes().is_none());
        if is_free && self.not_free_bytes > 0 {
            return Proof::Failed;
        }
        let proof = prove::<H>(bytes, H::FOLLOWERS);
        match &proof {
            Proof::Given { head, frame_bytes } if is_free => {
                self.free_bytes = frame_bytes.saturating_sub(head.padding_bytes());
            }
            Proof::Failed if is_free => self.not_free_bytes = H::MAX_FRAME_BYTES,
            Proof::Given { .. } | Proof::Failed | Proof::Open(_) => {}
        }
        proof
    }

    /// Reads on in a frame, as far as is asked.
    fn open(&mut self, bytes: &[u8], head: H, frame_bytes: usize) -> FrameVerdict<H> {
        let opening_bytes = frame_bytes.min(H::OPENING_BYTES);
        let Some(opening) = bytes.get(..opening_bytes) else {
            return FrameVerdict::Open(opening_bytes);
        };
        let head = head.opened(opening, self.last.as_ref());
        self.last = Some(head);
        match head.is_info(opening) {
            true => FrameVerdict::Info(frame_bytes),
            false => FrameVerdict::Audio { head, frame_bytes },
        }
    }
}

/// All bytes up to the next one at which a frame or a tag (`ID3`, `APETAGEX`) could begin.
fn junk<H: FrameHead>(bytes: &[u8]) -> FrameVerdict<H> {
    let after_first = bytes.get(1..).unwrap_or_default();
    let next = memchr3(H::SYNC, b'I', b'A', after_first);
    FrameVerdict::Junk(next.map_or(bytes.len(), |next| next + 1))
}
