//! A prologue on its way to another node: in one frame, or in parts if it is long.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::media::format::joining::{MAX_PROLOGUE_BYTES, StreamStart};
use crate::wire::frame::{Frame, MAX_PROLOGUE_PART_BYTES, MAX_WHOLE_PROLOGUE_BYTES};

/// The prologues that a node reads, by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrologueSupport {
    /// None: it would close the link.
    None,
    /// PROLOGUE only. It gets no longer one: its late listeners cannot decode such a stream.
    Whole,
    /// LONG-PROLOGUE too.
    Long,
}

impl PrologueSupport {
    /// Whether the node reads this one.
    pub(super) fn reads(self, prologue: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Whole => prologue.len() <= MAX_WHOLE_PROLOGUE_BYTES,
            Self::Long => true,
        }
    }
}

/// The frames that say how a stream stands: one, or several for a long prologue.
pub(super) fn frames(start: StreamStart) -> Vec<Frame> {
    let StreamStart {
        offset,
        media_time,
        prologue,
    } = start;
    let media_time_us = u64::try_from(media_time.as_micros()).unwrap_or(u64::MAX);
    if prologue.len() <= MAX_WHOLE_PROLOGUE_BYTES {
        return vec![Frame::Prologue {
            offset,
            media_time_us,
            bytes: prologue,
        }];
    }
    let head = Frame::LongPrologue {
        offset,
        media_time_us,
        total_bytes: u32::try_from(prologue.len()).unwrap_or(u32::MAX),
    };
    let begins = (0..prologue.len()).step_by(MAX_PROLOGUE_PART_BYTES);
    let parts = begins.map(|begin| {
        let end = prologue.len().min(begin + MAX_PROLOGUE_PART_BYTES);
        Frame::ProloguePart(prologue.slice(begin..end))
    });
    [head].into_iter().chain(parts).collect()
}

/// A long prologue of which parts have come.
#[derive(Debug)]
pub struct PrologueParts {
    offset: u64,
    media_time: Duration,
    total_bytes: usize,
    bytes: BytesMut,
}

/// The state after a part.
#[derive(Debug)]
pub enum PrologueProgress {
    /// More parts follow.
    Open(PrologueParts),
    /// All of it has come.
    Complete(StreamStart),
}

impl PrologueParts {
    /// Begins with a LONG-PROLOGUE; `None` if it is longer than any prologue, or so short that none is cut.
    pub fn begin(offset: u64, media_time_us: u64, total_bytes: u32) -> Option<Self> {
        let total_bytes = usize::try_from(total_bytes).ok()?;
        let is_long = MAX_WHOLE_PROLOGUE_BYTES + 1..=MAX_PROLOGUE_BYTES;
        is_long.contains(&total_bytes).then(|| Self {
            offset,
            media_time: Duration::from_micros(media_time_us),
            total_bytes,
            bytes: BytesMut::new(),
        })
    }

    /// Takes the next part; `None` if it has no bytes or too many.
    pub fn take(mut self, part: &Bytes) -> Option<PrologueProgress> {
        let most = self.total_bytes - self.bytes.len();
        if !(1..=most.min(MAX_PROLOGUE_PART_BYTES)).contains(&part.len()) {
            return None;
        }
        self.bytes.extend_from_slice(part);
        if part.len() < most {
            return Some(PrologueProgress::Open(self));
        }
        Some(PrologueProgress::Complete(StreamStart {
            offset: self.offset,
            media_time: self.media_time,
            prologue: self.bytes.freeze(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::frame::{HEADER_BYTES, decode, encode};

    fn start(bytes: usize) -> StreamStart {
        StreamStart {
            offset: 9,
            media_time: Duration::from_micros(1_500_001),
            prologue: (0..bytes).map(|n| (n % 251) as u8).collect(),
        }
    }

    /// Sends frames to another node, which assembles them; `None` if one of them is an error.
    fn assembled(frames: &[Frame]) -> Option<StreamStart> {
        let mut parts = None;
        for frame in frames {
            let sent = encode(frame).unwrap();
            match decode(&sent[HEADER_BYTES..]).unwrap() {
                Frame::LongPrologue {
                    offset,
                    media_time_us,
                    total_bytes,
                } => parts = Some(PrologueParts::begin(offset, media_time_us, total_bytes)?),
                Frame::ProloguePart(part) => match parts.take()?.take(&part)? {
                    PrologueProgress::Open(open) => parts = Some(open),
                    PrologueProgress::Complete(start) => return Some(start),
                },
                other => panic!("{}", other.kind()),
            }
        }
        None
    }

    #[test]
    fn a_prologue_goes_whole_if_one_frame_holds_it() {
        let longest = start(MAX_WHOLE_PROLOGUE_BYTES);
        let [Frame::Prologue { bytes, .. }] = &frames(longest.clone())[..] else {
            panic!("one frame");
        };
        assert_eq!(*bytes, longest.prologue);
        assert!(encode(&frames(longest)[0]).is_ok());
    }

    #[test]
    fn a_node_gets_the_prologues_that_its_version_reads() {
        let [whole, long] = [0, 1].map(|more| start(MAX_WHOLE_PROLOGUE_BYTES + more).prologue);
        let read = |support: PrologueSupport| (support.reads(&whole), support.reads(&long));
        assert_eq!(read(PrologueSupport::None), (false, false));
        assert_eq!(read(PrologueSupport::Whole), (true, false));
        assert_eq!(read(PrologueSupport::Long), (true, true));
    }

    #[test]
    fn the_longest_prologue_survives_the_link() {
        for bytes in [MAX_WHOLE_PROLOGUE_BYTES + 1, MAX_PROLOGUE_BYTES] {
            assert_eq!(assembled(&frames(start(bytes))), Some(start(bytes)));
        }
    }

    #[test]
    fn parts_that_do_not_make_the_whole_are_refused() {
        let begin = |total_bytes: usize| PrologueParts::begin(0, 0, total_bytes as u32);
        assert!(begin(MAX_PROLOGUE_BYTES + 1).is_none(), "too long");
        assert!(begin(MAX_WHOLE_PROLOGUE_BYTES).is_none(), "not long");
        let part = |bytes: usize| Bytes::from(vec![0; bytes]);
        let long = || begin(MAX_WHOLE_PROLOGUE_BYTES + 1).unwrap();
        assert!(long().take(&part(0)).is_none());
        assert!(long().take(&part(MAX_PROLOGUE_PART_BYTES + 1)).is_none());
        let mut frames = frames(start(MAX_WHOLE_PROLOGUE_BYTES + 1));
        frames.pop();
        assert_eq!(assembled(&frames), None, "it lacks a part");
        frames.push(Frame::ProloguePart(part(MAX_PROLOGUE_PART_BYTES)));
        assert_eq!(assembled(&frames), None, "the last part is too long");
    }

    proptest! {
        #[test]
        fn any_parts_within_the_total_are_put_together(
            lengths in prop::collection::vec(1usize..=MAX_PROLOGUE_PART_BYTES, 10..40),
        ) {
            let total: usize = lengths.iter().sum();
            prop_assume!(total > MAX_WHOLE_PROLOGUE_BYTES);
            let whole = start(total).prologue;
            let (mut parts, mut from) = (PrologueParts::begin(3, 4, total as u32), 0);
            for (at, length) in lengths.iter().enumerate() {
                let part = whole.slice(from..from + length);
                from += length;
                let progress = parts.take().and_then(|parts| parts.take(&part));
                match progress {
                    Some(PrologueProgress::Open(open)) => parts = Some(open),
                    Some(PrologueProgress::Complete(start)) => {
                        prop_assert_eq!(at, lengths.len() - 1);
                        prop_assert_eq!(&start.prologue, &whole);
                    }
                    None => prop_assert!(false, "a part is refused"),
                }
            }
            prop_assert!(parts.is_none());
        }
    }
}
