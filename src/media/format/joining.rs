//! The findings of a scanner: the places where a stream may be joined, and what a late listener needs first.

use std::time::Duration;

use bytes::Bytes;

use crate::model::title::TitleInfo;

/// A place where a listener may begin, and the time of the audio there.
///
/// Times are counted from the beginning of the stream, or from where the scanner began if it was not told how much
/// audio was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The first byte to send.
    pub offset: u64,
    /// How much audio is before it.
    pub media_time: Duration,
}

/// A finding of a scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// The stream may be joined here.
    Mark(Mark),
    /// From here on a late listener needs this first.
    Prologue(Prologue),
    /// The stream itself says what is on air.
    Comment(Comment),
    /// Another stream begins in the middle of this one.
    Anew(Anew),
}

/// A new stream in the middle of one, with which the decoder of what came before cannot go on: its listeners are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anew {
    /// The end of the last whole unit before it.
    pub ends: u64,
    /// The first byte of the new stream.
    pub begins: u64,
}

/// A title in the stream itself, such as the comments of a link of Ogg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The first byte to which it belongs.
    pub offset: u64,
    /// The title; empty if the stream says that there is none.
    pub title: TitleInfo,
}

/// Why listeners that come late may not be able to decode a stream, or do not get all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing of the format has been found for long, or its headers have not come.
    #[error("the headers of the stream have not come")]
    NoHeaders,
    /// The headers are longer than [`MAX_PROLOGUE_BYTES`].
    #[error("the headers of the stream are longer than {} KiB", MAX_PROLOGUE_BYTES >> 10)]
    HeadersTooLong,
    /// The headers name no codec that is known.
    #[error("the codec of the stream is not known")]
    UnknownCodec,
    /// The headers are damaged.
    #[error("the headers of the stream are damaged")]
    Damaged,
    /// A part of the headers that no decoder needs, such as a picture, would make them too long.
    #[error(
        "the headers are longer than {} KiB: late listeners get them without the picture",
        MAX_PROLOGUE_BYTES >> 10
    )]
    LeftOut,
    /// The keyframes are so far apart that a ring does not always hold one.
    #[error(
        "keyframes are further apart than the ring: late listeners wait; raise ring_mib or ring_s, or send one each 2 s"
    )]
    RareKeyframes,
}

/// The longest prologue. Headers have some 5 kB, and with a cover picture in the comments some 100 kB more, but there are
/// pictures of some MiB. Half of what a ring holds of a stream by default.
pub const MAX_PROLOGUE_BYTES: usize = 4 << 20;

/// A prologue and the first byte for which it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prologue {
    /// The first byte that cannot be decoded without it; it holds until the next prologue's.
    pub offset: u64,
    /// The bytes that a decoder has to be given first; empty if it needs nothing.
    pub bytes: Bytes,
}

/// How a stream stands at a byte in its middle, for a node that begins to hold it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// The byte.
    pub offset: u64,
    /// How much audio of the stream is before the first join point from there on.
    pub media_time: Duration,
    /// The prologue that holds there; empty if there is none.
    pub prologue: Bytes,
}
