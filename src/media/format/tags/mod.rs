//! Removes tags from the bytes of a source, before these get offsets: so all nodes and listeners get audio only.
//!
//! A tag in mid-stream is a cover picture of minutes in the way of a late listener, and a table of contents (Xing, Info,
//! VBRI) tells players of a file that is none. Everything else passes as it came, garbage too.

mod flac;
pub(super) mod head;

use std::time::Duration;

use bytes::{Buf as _, BytesMut};

use self::flac::{FlacPart, FlacTags};
use self::head::TagLook;
#[cfg(test)]
pub(in crate::media) use self::head::samples;
use super::adts::AdtsHead;
use super::detect::Format;
use super::frames::{FrameHead, FrameVerdict, Frames, Stepper};
use super::mpeg::MpegHead;

/// The longest tag that is removed unread. A longer one may be a false one, which would be minutes of audio.
const UNREAD_TAG_BYTES: u64 = 256 << 10;
/// So many frames without a gap in a tag show that it has ended, or is none: pictures and titles hold no second of them.
const FRAMES_IN_NO_TAG: u32 = 32;

/// Takes the tags out of a stream that arrives in pieces of any size.
#[derive(Debug, Default)]
pub struct TagFilter {
    walk: Walk,
    open: OpenSpan,
    removed_bytes: u64,
}

/// How tags are looked for.
#[derive(Debug, Default)]
enum Walk {
    /// Only at the first byte, whatever the format.
    #[default]
    Beginning,
    /// No more.
    Passing,
    /// Between the frames.
    Mpeg(Stepper<MpegHead>),
    Adts(Stepper<AdtsHead>),
    /// Between files, at each byte.
    Flac(FlacTags),
}

/// The bytes to come that have been judged already.
#[derive(Debug, Default)]
enum OpenSpan {
    #[default]
    None,
    /// So many bytes that pass.
    Audio(u64),
    /// A tag, whose bytes are dropped.
    Tag(TagBody),
}

impl TagFilter {
    /// A filter for a source of which nothing is known yet: it removes ID3v2 tags at the very beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stream is of this format, and the next byte to be taken is its first, or the first of a frame. The format is
    /// only known once some bytes have come out of the filter: these go into it a second time.
    pub fn walks(&mut self, format: Format) {
        self.walk = match format {
            Format::Mpeg => Walk::Mpeg(Stepper::new()),
            Format::Adts => Walk::Adts(Stepper::new()),
            Format::Flac => Walk::Flac(FlacTags::default()),
            _ => Walk::Passing,
        };
    }

    /// Moves bytes, without tags, as far as it can tell them. The others are left in `input` until more are behind them:
    /// a few while frames follow each other, and two of the longest frames at most.
    pub fn take(&mut self, input: &mut BytesMut, out: &mut BytesMut) {
        while !input.is_empty() {
            match &mut self.open {
                OpenSpan::None => match self.judge(input) {
                    Some(open) => self.open = open,
                    None => return,
                },
                OpenSpan::Audio(left_bytes) => {
                    let passed = input.len().min(clamped(*left_bytes));
                    out.extend_from_slice(input.get(..passed).unwrap_or_default());
                    input.advance(passed);
                    *left_bytes -= passed as u64;
                    if *left_bytes == 0 {
                        self.open = OpenSpan::None;
                    }
                }
                OpenSpan::Tag(tag) => {
                    let dropped = tag.take(input);
                    input.advance(dropped);
                    self.removed_bytes += dropped as u64;
                    if tag.left_bytes == 0 {
                        self.open = OpenSpan::None;
                    }
                }
            }
        }
    }

    /// Moves what [`Self::take`] has left: the stream is over.
    pub fn finish(&mut self, input: &mut BytesMut, out: &mut BytesMut) {
        let looks_on = !matches!(self.walk, Walk::Beginning | Walk::Passing);
        if looks_on && head::is_last_id3v1(input) {
            self.removed_bytes += input.len() as u64;
            input.clear();
        }
        out.extend_from_slice(input);
        input.clear();
    }

    /// How many bytes were removed. They are no audio, but a source that sends them is not silent.
    pub fn removed_bytes(&self) -> u64 {
        self.removed_bytes
    }

    /// The first bytes of some; `None` if more are needed to tell what they are.
    fn judge(&mut self, bytes: &[u8]) -> Option<OpenSpan> {
        match &mut self.walk {
            Walk::Passing => Some(OpenSpan::Audio(bytes.len() as u64)),
            Walk::Beginning => match head::id3v2(bytes) {
                TagLook::Is(tag_bytes) => Some(OpenSpan::Tag(TagBody::new(tag_bytes))),
                TagLook::Open(_) => None,
                TagLook::No => {
                    self.walk = Walk::Passing;
                    Some(OpenSpan::Audio(bytes.len() as u64))
                }
            },
            Walk::Mpeg(stepper) => judged(stepper.step(bytes)),
            Walk::Adts(stepper) => judged(stepper.step(bytes)),
            Walk::Flac(tags) => match tags.judge(bytes) {
                FlacPart::Audio(audio_bytes) => Some(OpenSpan::Audio(audio_bytes)),
                FlacPart::Tag(tag_bytes) => Some(OpenSpan::Tag(TagBody::new(tag_bytes))),
                FlacPart::Open => None,
            },
        }
    }
}

fn judged<H>(verdict: FrameVerdict<H>) -> Option<OpenSpan> {
    match verdict {
        FrameVerdict::Audio { frame_bytes, .. } => Some(OpenSpan::Audio(frame_bytes as u64)),
        FrameVerdict::Junk(junk_bytes) => Some(OpenSpan::Audio(junk_bytes as u64)),
        FrameVerdict::Info(info_bytes) => Some(OpenSpan::Tag(TagBody::new(info_bytes as u64))),
        FrameVerdict::Tag(tag_bytes) => Some(OpenSpan::Tag(TagBody::new(tag_bytes))),
        FrameVerdict::Open(_) => None,
    }
}

fn clamped(bytes: u64) -> usize {
    bytes.try_into().unwrap_or(usize::MAX)
}

/// A tag that is passed over.
#[derive(Debug)]
struct TagBody {
    left_bytes: u64,
    /// Looks for frames in a long one.
    watch: Option<Box<FrameWatch>>,
}

impl TagBody {
    fn new(tag_bytes: u64) -> Self {
        let is_long = tag_bytes > UNREAD_TAG_BYTES;
        Self {
            left_bytes: tag_bytes,
            watch: is_long.then(Box::default),
        }
    }

    /// How many of the next bytes belong to the tag.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let own = bytes.len().min(clamped(self.left_bytes));
        let own = bytes.get(..own).unwrap_or_default();
        let frames_bytes = self.watch.as_mut().and_then(|watch| watch.feed(own));
        if let Some(frames_bytes) = frames_bytes {
            self.left_bytes = self.left_bytes.min(frames_bytes);
            self.watch = None;
        }
        let taken = own.len().min(clamped(self.left_bytes));
        self.left_bytes -= taken as u64;
        taken
    }
}

/// Looks for a chain of frames in what calls itself a tag.
#[derive(Debug)]
struct FrameWatch {
    /// How many bytes to come are the head of the tag, by which a scanner would pass over it.
    head_bytes: usize,
    /// How many bytes behind it were fed.
    fed_bytes: u64,
    mpeg: Frames<MpegHead>,
    mpeg_chain: FrameChain,
    adts: Frames<AdtsHead>,
    adts_chain: FrameChain,
}

/// Frames that follow each other without a gap.
#[derive(Debug, Default)]
struct FrameChain {
    frames: u32,
    end: u64,
}

impl Default for FrameWatch {
    fn default() -> Self {
        Self {
            head_bytes: head::ID3V2_HEAD_BYTES,
            fed_bytes: 0,
            mpeg: Frames::new(0),
            mpeg_chain: FrameChain::default(),
            adts: Frames::new(0),
            adts_chain: FrameChain::default(),
        }
    }
}

impl FrameWatch {
    /// Looks at the next bytes of a tag. Gives how many of them are before the end of the last of enough frames.
    fn feed(&mut self, bytes: &[u8]) -> Option<u64> {
        let (head, body) = bytes.split_at(bytes.len().min(self.head_bytes));
        self.head_bytes -= head.len();
        let mpeg_end = self.mpeg_chain.grow(&mut self.mpeg, body);
        let adts_end = self.adts_chain.grow(&mut self.adts, body);
        let before = self.fed_bytes;
        self.fed_bytes += body.len() as u64;
        let end = mpeg_end.or(adts_end)?;
        Some(head.len() as u64 + end.saturating_sub(before))
    }
}

impl FrameChain {
    /// The end of the frame that makes the chain long enough.
    fn grow<H: FrameHead>(&mut self, frames: &mut Frames<H>, bytes: &[u8]) -> Option<u64> {
        let mut end = None;
        frames.scan(bytes, Duration::ZERO, |start| {
            let follows = start.offset == self.end;
            self.frames = if follows { self.frames + 1 } else { 1 };
            self.end = start.offset + start.frame_bytes as u64;
            if self.frames >= FRAMES_IN_NO_TAG {
                end.get_or_insert(self.end);
            }
        });
        end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::pieces;
    use super::super::{adts, mpeg};
    use super::*;

    /// The bytes that come out of a filter for a format, and how many do not.
    fn filtered<'a>(format: Format, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, u64) {
        let (mut filter, mut input, mut out) = (TagFilter::new(), BytesMut::new(), BytesMut::new());
        filter.walks(format);
        for piece in pieces {
            input.extend_from_slice(piece);
            filter.take(&mut input, &mut out);
        }
        filter.finish(&mut input, &mut out);
        assert!(input.is_empty());
        (out.to_vec(), filter.removed_bytes())
    }

    fn audio(format: Format, frames: usize) -> Vec<u8> {
        match format {
            Format::Adts => adts::samples::frames(frames),
            _ => mpeg::samples::frames(frames as u32),
        }
    }

    fn info() -> Vec<u8> {
        let mut info = mpeg::samples::frame(0);
        info[36..40].copy_from_slice(b"Xing");
        info
    }

    #[test]
    fn a_tag_at_the_beginning_is_removed_whatever_the_format() {
        let tags = [samples::id3v2(&[7; 50_000]), samples::id3v2(b"")].concat();
        for (begun, is_tagged) in [(b"fLaC", true), (b"OggS", true), (b"IDEA", false)] {
            for piece_bytes in [1, 9, 100_000] {
                let (mut filter, mut input) = (TagFilter::new(), BytesMut::new());
                let mut out = BytesMut::new();
                let tags = if is_tagged { &tags[..] } else { b"" };
                let later = samples::id3v2(b"not at the beginning");
                let stream = [tags, begun, &later].concat();
                for piece in stream.chunks(piece_bytes) {
                    input.extend_from_slice(piece);
                    filter.take(&mut input, &mut out);
                }
                filter.finish(&mut input, &mut out);
                assert_eq!(out, [&begun[..], &later].concat());
                assert_eq!(filter.removed_bytes(), tags.len() as u64);
            }
        }
    }

    #[test]
    fn bytes_that_told_the_format_are_taken_again() {
        let (mut filter, mut input, mut out) = (TagFilter::new(), BytesMut::new(), BytesMut::new());
        let stream = [samples::id3v2(b"song"), info(), mpeg::samples::frames(2)].concat();
        input.extend_from_slice(&stream);
        filter.take(&mut input, &mut out);
        assert_eq!(out, [info(), mpeg::samples::frames(2)].concat());
        let mut input = std::mem::take(&mut out);
        filter.walks(Format::Mpeg);
        filter.take(&mut input, &mut out);
        filter.finish(&mut input, &mut out);
        assert_eq!(out, mpeg::samples::frames(2));
        assert_eq!(filter.removed_bytes(), stream.len() as u64 - 834);
    }

    #[test]
    fn a_tag_of_10_mb_is_removed_and_holds_no_memory() {
        let picture: Vec<u8> = (0..10_u32 << 20)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let stream = [
            audio(Format::Mpeg, 3),
            samples::id3v2(&picture),
            audio(Format::Mpeg, 3),
        ]
        .concat();
        let (mut filter, mut input, mut out) = (TagFilter::new(), BytesMut::new(), BytesMut::new());
        filter.walks(Format::Mpeg);
        for piece in stream.chunks(16 << 10) {
            input.extend_from_slice(piece);
            filter.take(&mut input, &mut out);
            assert!(input.len() < 500);
        }
        filter.finish(&mut input, &mut out);
        assert_eq!(out, audio(Format::Mpeg, 3).repeat(2));
    }

    #[test]
    fn a_false_tag_ends_where_frames_follow_each_other() {
        for format in [Format::Mpeg, Format::Adts] {
            let false_tag = b"ID3\x04\0\0\x04\0\0\0"; // 8 MiB
            let lost = [&false_tag[..], &audio(format, 32)].concat();
            let kept = audio(format, 100)[audio(format, 32).len()..].to_vec();
            let stream = [audio(format, 2), lost.clone(), kept.clone()].concat();
            let expected = ([audio(format, 2), kept].concat(), lost.len() as u64);
            for piece_bytes in [1, 100, 1_400, stream.len()] {
                assert_eq!(filtered(format, stream.chunks(piece_bytes)), expected);
            }
        }
    }

    #[test]
    fn a_short_word_is_a_tag_only_between_frames() {
        let mut frames = mpeg::samples::frames(4);
        frames[900..1_028].copy_from_slice(&samples::id3v1());
        let ape = samples::ape(b"");
        frames[1_300..1_300 + ape.len()].copy_from_slice(&ape);
        assert_eq!(filtered(Format::Mpeg, [&frames[..]]), (frames, 0));
        let text = [
            mpeg::samples::frames(2),
            b"TAG no tag".to_vec(),
            mpeg::samples::frames(2),
        ]
        .concat();
        assert_eq!(filtered(Format::Mpeg, [&text[..]]), (text, 0));
    }

    #[test]
    fn other_formats_pass_as_they_are() {
        let stream = [
            mpeg::samples::frames(2),
            samples::id3v2(b"song"),
            samples::id3v1(),
        ]
        .concat();
        for format in [Format::Ogg, Format::Ebml, Format::Loas, Format::Ts] {
            assert_eq!(filtered(format, [&stream[..]]), (stream.clone(), 0));
        }
    }

    /// A part of a stream, and whether it is audio.
    fn part(format: Format, kind: u8, bytes: usize) -> (Vec<u8>, bool) {
        match kind % 6 {
            0 => (samples::id3v2(&vec![0xFF; bytes]), false),
            1 => (samples::id3v1(), false),
            2 => (samples::ape(&vec![b'T'; bytes]), false),
            3 if format == Format::Mpeg => (info(), false),
            _ => (audio(format, bytes % 5), true),
        }
    }

    proptest! {
        #[test]
        fn only_audio_is_left_however_the_stream_is_cut(
            parts in prop::collection::vec((any::<u8>(), 0_usize..700), 0..12),
            cuts in prop::collection::vec(1_usize..900, 1..40),
            is_adts in any::<bool>(),
        ) {
            let format = if is_adts { Format::Adts } else { Format::Mpeg };
            let begun = (audio(format, 2), true);
            let parts = parts.iter().map(|(kind, bytes)| part(format, *kind, *bytes));
            let parts: Vec<_> = std::iter::once(begun).chain(parts).collect();
            let stream = parts.iter().map(|(bytes, _)| &bytes[..]).collect::<Vec<_>>().concat();
            let audio = parts.iter().filter(|(_, is_audio)| *is_audio).map(|(bytes, _)| &bytes[..]);
            let audio = audio.collect::<Vec<_>>().concat();
            let expected = (audio.clone(), (stream.len() - audio.len()) as u64);
            prop_assert_eq!(&filtered(format, [&stream[..]]), &expected);
            prop_assert_eq!(&filtered(format, pieces(&stream, &cuts)), &expected);
            prop_assert_eq!(&filtered(format, stream.chunks(1)), &expected);
        }

        #[test]
        fn bytes_of_no_tag_all_pass(
            parts in prop::collection::vec((0_usize..1_000, prop::collection::vec(any::<u8>(), 0..300)), 0..9),
            cuts in prop::collection::vec(1_usize..900, 1..40),
        ) {
            let part = |cut: usize, junk: &[u8]| {
                let junk: Vec<u8> = junk.iter().map(|it| if b"IT".contains(it) { 0xFF } else { *it }).collect();
                let frames = mpeg::samples::frames(3);
                [&junk[..], &frames[..cut]].concat()
            };
            let parts = parts.iter().map(|(cut, junk)| part(*cut, junk));
            let stream = parts.collect::<Vec<_>>().concat();
            prop_assert_eq!(filtered(Format::Mpeg, pieces(&stream, &cuts)), (stream, 0));
        }
    }
}
