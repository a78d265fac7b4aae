//! The header of a frame, in any format whose frames each say how long they are, and the proof that one is real.
//!
//! A header is a few bytes without a checksum, so audio data holds false ones. A real one is followed by another of its
//! kind, right where its frame ends.

use std::fmt::Debug;
use std::time::Duration;

use memchr::memchr;

use super::super::layout::Layout;
use crate::model::format::{CodecName, StreamFormat};

/// A valid header of a frame. Only [`FrameHead::parse`] makes one.
pub trait FrameHead: Copy + Debug {
    /// The first byte of every header.
    const SYNC: u8;
    /// The length of a header.
    const BYTES: usize;
    /// The longest frame.
    const MAX_FRAME_BYTES: usize;
    /// How many of the first bytes of a frame tell all that is asked about it.
    const OPENING_BYTES: usize;
    /// How many headers have to follow until one is believed that comes after no other: more where a header has fewer
    /// bits that are always the same.
    const FOLLOWERS: usize = 1;
    /// Whether every header tells how long its frame plays.
    const TELLS_TIME: bool = true;

    /// Reads a header; `None` if the first [`Self::BYTES`] of these bytes are not one.
    fn parse(bytes: &[u8]) -> Option<Self>;

    /// The length of the frame, header included; `None` if it is of the free format, in which headers do not tell it.
    fn frame_bytes(&self) -> Option<usize>;

    /// How much longer this frame of the free format is than one without padding.
    fn padding_bytes(&self) -> usize {
        0
    }

    /// Whether both can belong to one stream.
    fn is_kin_of(&self, other: &Self) -> bool;

    /// The same with what the first [`Self::OPENING_BYTES`] of the frame (or all of it) tell, and the frame before.
    #[must_use]
    fn opened(self, _opening: &[u8], _before: Option<&Self>) -> Self {
        self
    }

    /// Whether a frame that begins so is a table of contents instead of audio.
    fn is_info(&self, _opening: &[u8]) -> bool {
        false
    }

    /// How long the frame plays; `None` if that is not known.
    fn duration(&self) -> Option<Duration>;

    /// The layout for which a decoder of such frames is set up.
    fn layout(&self) -> Layout;

    /// The format of the stream, whose media type names this codec; it counts where headers cannot tell codecs apart.
    fn facts(&self, named: CodecName) -> StreamFormat;
}

/// How long so many samples play at a rate. Rounded to a nanosecond, so that a sum of them is wrong by less than 0.1
/// millionth: less than any sound card's clock.
pub(in crate::media) fn playing_time(samples: u32, rate_hz: u32) -> Option<Duration> {
    let nanos = u64::from(samples) * 1_000_000_000 + u64::from(rate_hz / 2);
    nanos.checked_div(rate_hz.into()).map(Duration::from_nanos)
}

/// Whether a frame begins at the first of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::format) enum Proof<H> {
    /// A frame begins here.
    Given {
        /// The header of the frame.
        head: H,
        /// The length of the frame, header included.
        frame_bytes: usize,
    },
    /// No frame begins here.
    Failed,
    /// So many bytes are needed to tell.
    Open(usize),
}

/// Looks for so many followers of a header, each where the frame before it ends.
pub(in crate::media::format) fn prove<H: FrameHead>(bytes: &[u8], followers: usize) -> Proof<H> {
    if bytes.first().is_some_and(|first| *first != H::SYNC) {
        return Proof::Failed;
    }
    let head = match header_at::<H>(bytes, 0) {
        HeaderAt::Is(head) => head,
        HeaderAt::None => return Proof::Failed,
        HeaderAt::Open(wanted) => return Proof::Open(wanted),
    };
    let Some(frame_bytes) = head.frame_bytes() else {
        return prove_free(bytes, head);
    };
    let mut end = frame_bytes;
    for _ in 0..followers {
        let follower = match header_at::<H>(bytes, end) {
            HeaderAt::Is(follower) if follower.is_kin_of(&head) => follower.frame_bytes(),
            HeaderAt::Is(_) | HeaderAt::None => None,
            HeaderAt::Open(wanted) => return Proof::Open(wanted),
        };
        match follower {
            Some(follower_bytes) => end += follower_bytes,
            None => return Proof::Failed,
        }
    }
    Proof::Given { head, frame_bytes }
}

/// Finds the length of a frame of the free format: three headers of one kind at equal distances.
fn prove_free<H: FrameHead>(bytes: &[u8], head: H) -> Proof<H> {
    let is_kin = |other: &H| other.frame_bytes().is_none() && other.is_kin_of(&head);
    let mut from = H::OPENING_BYTES; // no frame is shorter
    while let Some(at) = sync_from::<H>(bytes, from) {
        from = at + 1;
        let second = match header_at::<H>(bytes, at) {
            HeaderAt::Is(second) if is_kin(&second) => second,
            HeaderAt::Is(_) | HeaderAt::None => continue,
            HeaderAt::Open(wanted) => return Proof::Open(wanted),
        };
        let unpadded_bytes = at.saturating_sub(head.padding_bytes());
        match header_at::<H>(bytes, at + unpadded_bytes + second.padding_bytes()) {
            HeaderAt::Is(third) if is_kin(&third) => {
                return Proof::Given {
                    head,
                    frame_bytes: at,
                };
            }
            HeaderAt::Is(_) | HeaderAt::None => {}
            HeaderAt::Open(wanted) => return Proof::Open(wanted),
        }
    }
    match bytes.len() > H::MAX_FRAME_BYTES {
        true => Proof::Failed,
        false => Proof::Open(bytes.len() + 1),
    }
}

/// The next byte that may begin a header, from this one on and at most the longest frame behind the first.
fn sync_from<H: FrameHead>(bytes: &[u8], from: usize) -> Option<usize> {
    let near = bytes.get(..=H::MAX_FRAME_BYTES).unwrap_or(bytes);
    let found = memchr(H::SYNC, near.get(from..)?)?;
    Some(from + found)
}

/// A header, if these are its bytes.
enum HeaderAt<H> {
    Is(H),
    None,
    /// So many bytes are needed to tell.
    Open(usize),
}

fn header_at<H: FrameHead>(bytes: &[u8], at: usize) -> HeaderAt<H> {
    match bytes.get(at..at + H::BYTES).map(H::parse) {
        Some(Some(head)) => HeaderAt::Is(head),
        Some(None) => HeaderAt::None,
        None => HeaderAt::Open(at + H::BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::mpeg::{MpegHead, samples};
    use super::*;

    fn given(proof: Proof<MpegHead>) -> Option<usize> {
        match proof {
            Proof::Given { frame_bytes, .. } => Some(frame_bytes),
            Proof::Failed | Proof::Open(_) => None,
        }
    }

    #[test]
    fn a_header_is_proved_by_those_that_follow() {
        let stream = samples::frames(3);
        assert_eq!(given(prove(&stream[..417 + 4], 1)), Some(417));
        assert_eq!(given(prove(&stream[..834 + 4], 2)), Some(417));
        for (bytes, followers, wanted) in [
            (&stream[..0], 1, 4),
            (&stream[..3], 1, 4),
            (&stream[..4], 0, 0),
            (&stream[..420], 1, 421),
            (&stream[..421], 2, 838),
        ] {
            match prove::<MpegHead>(bytes, followers) {
                Proof::Open(open) => assert_eq!(open, wanted),
                proof => assert_eq!((given(proof), wanted), (Some(417), 0)),
            }
        }
        let mut lone = samples::frame(0);
        lone.extend([0xFF, 0xFB, 0x94, 0x64]); // another sample rate
        assert!(matches!(prove::<MpegHead>(&lone, 1), Proof::Failed));
        assert!(matches!(prove::<MpegHead>(b"OggS", 1), Proof::Failed));
    }

    #[test]
    fn the_free_format_is_proved_by_equal_distances() {
        let stream = samples::free_frames(1_001, 3);
        assert_eq!(given(prove(&stream, 1)), Some(1_001));
        for (at, wanted) in [(100, 101), (1_003, 1_005), (1_500, 2_006)] {
            match prove::<MpegHead>(&stream[..at], 1) {
                Proof::Open(open) => assert_eq!(open, wanted),
                proof => panic!("{proof:?}"),
            }
        }
        // A false header in the first frame.
        let mut stream = samples::free_frames(1_001, 3);
        stream[500..504].copy_from_slice(&samples::FREE_HEADER);
        assert_eq!(given(prove(&stream, 1)), Some(1_001));
        let lone = [&samples::FREE_HEADER[..], &[0; 4_700]].concat();
        assert!(matches!(prove::<MpegHead>(&lone, 1), Proof::Failed));
    }

    #[test]
    fn padding_in_the_free_format_is_told_from_its_length() {
        let frame = |is_padded: bool| {
            let mut frame = samples::FREE_HEADER.to_vec();
            frame[2] |= if is_padded { 0b10 } else { 0 };
            frame.resize(if is_padded { 601 } else { 600 }, 7);
            frame
        };
        for first in [true, false] {
            let stream = [frame(first), frame(!first), frame(true)].concat();
            assert_eq!(given(prove(&stream, 1)), Some(frame(first).len()));
        }
    }
}
