//! The bytes between the chunks of a chunked body, read one by one.
//!
//! A bare line feed counts as a line end, as everywhere in a source's request; a bare carriage return
//! does not, because two readers could then see two different bodies.

/// The longest line with a chunk's size, including its extensions. Extensions are not used in practice; the
/// digits are at most sixteen.
pub const MAX_SIZE_LINE_BYTES: usize = 256;

/// The longest trailer, the headers after the last chunk. No known encoder sends one.
pub const MAX_TRAILER_BYTES: usize = 4 * 1024;

/// Why a chunked body cannot be read further. The audio up to here has been passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The line that should hold a chunk's size holds something else.
    #[error("a chunk has no size")]
    BadSize,
    /// The size does not fit into 64 bits.
    #[error("a chunk's size does not fit into 64 bits")]
    HugeSize,
    /// The line with the size is longer than [`MAX_SIZE_LINE_BYTES`].
    #[error("the line with a chunk's size is too long")]
    LongSizeLine,
    /// The chunk is longer than its size said.
    #[error("a chunk is longer than its size says")]
    BadChunkEnd,
    /// The trailer holds a control byte or is longer than [`MAX_TRAILER_BYTES`].
    #[error("the trailer after the last chunk is invalid or too long")]
    BadTrailer,
}

/// The meaning of the bytes after one byte of framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More framing.
    Framing(Framing),
    /// So many bytes of audio, at least one.
    Chunk(u64),
    /// Nothing: that was the last byte of the body.
    End,
}

/// The place of the next byte between two chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// In the line with the size of a chunk.
    Size(SizeLine),
    /// At the line end after a chunk.
    ChunkEnd,
    /// At the line feed of that line end.
    ChunkEndReturned,
    /// In the headers after the last chunk, so many bytes of which have come.
    Trailer(usize, TrailerPart),
}

/// The part of the line with a chunk's size that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeLine {
    size: u64,
    bytes: usize,
    part: SizePart,
}

/// The part of the size line that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SizePart {
    FirstDigit,
    Digits,
    Padding,
    Extension,
    LineFeed,
}

/// The part of a trailer's line that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrailerPart {
    LineStart,
    Line,
    LineFeed,
    LastLineFeed,
}

impl Framing {
    /// Before the size of a chunk.
    pub(super) const START: Self = Self::Size(SizeLine {
        size: 0,
        bytes: 0,
        part: SizePart::FirstDigit,
    });

    /// Takes one byte in.
    pub(super) fn step(self, byte: u8) -> Result<Next, BodyError> {
        match (self, byte) {
            (Self::Size(line), _) => line.step(byte),
            (Self::ChunkEnd, b'\r') => Ok(Next::Framing(Self::ChunkEndReturned)),
            (Self::ChunkEnd | Self::ChunkEndReturned, b'\n') => Ok(Next::Framing(Self::START)),
            (Self::ChunkEnd | Self::ChunkEndReturned, _) => Err(BodyError::BadChunkEnd),
            (Self::Trailer(MAX_TRAILER_BYTES, _), _) => Err(BodyError::BadTrailer),
            (Self::Trailer(bytes, part), _) => {
                let next = part.step(byte)?;
                let more = |part| Next::Framing(Self::Trailer(bytes + 1, part));
                Ok(next.map_or(Next::End, more))
            }
        }
    }
}

impl SizeLine {
    fn step(mut self, byte: u8) -> Result<Next, BodyError> {
        use SizePart::{Digits, Extension, FirstDigit, LineFeed, Padding};
        if self.bytes == MAX_SIZE_LINE_BYTES {
            return Err(BodyError::LongSizeLine);
        }
        self.bytes += 1;
        self.part = match (self.part, byte) {
            (FirstDigit | Digits, byte) if byte.is_ascii_hexdigit() => {
                self.size = with_digit(self.size, byte)?;
                Digits
            }
            (Digits | Padding | Extension | LineFeed, b'\n') => return Ok(self.end()),
            (Digits | Padding | Extension, b'\r') => LineFeed,
            (Digits | Padding, b' ' | b'\t') => Padding,
            (Digits | Padding, b';') => Extension,
            (Extension, byte) if is_text(byte) => Extension,
            _ => return Err(BodyError::BadSize),
        };
        Ok(Next::Framing(Framing::Size(self)))
    }

    fn end(self) -> Next {
        match self.size {
            0 => Next::Framing(Framing::Trailer(0, TrailerPart::LineStart)),
            size => Next::Chunk(size),
        }
    }
}

impl TrailerPart {
    /// The part after a byte; `None` after the empty line that ends the trailer.
    fn step(self, byte: u8) -> Result<Option<Self>, BodyError> {
        match (self, byte) {
            (Self::LineStart | Self::LastLineFeed, b'\n') => Ok(None),
            (Self::Line | Self::LineFeed, b'\n') => Ok(Some(Self::LineStart)),
            (Self::LineStart, b'\r') => Ok(Some(Self::LastLineFeed)),
            (Self::Line, b'\r') => Ok(Some(Self::LineFeed)),
            (Self::LineStart | Self::Line, byte) if is_text(byte) => Ok(Some(Self::Line)),
            _ => Err(BodyError::BadTrailer),
        }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

fn with_digit(size: u64, digit: u8) -> Result<u64, BodyError> {
    let value = char::from(digit).to_digit(16);
    let value = value.expect("the caller has seen a hexadecimal digit");
    let shifted = size.checked_mul(16).ok_or(BodyError::HugeSize)?;
    Ok(shifted | u64::from(value))
}
