//! The body of a source's request: as it is, chunked, or of a stated length.
//!
//! Only the audio comes out, and the same audio however the network has cut the bytes. A chunk may
//! claim any size: its bytes are passed on as they come and are never waited for.

use bytes::{Buf, BytesMut};

use super::chunk::{BodyError, Framing, Next};
use super::head::AfterHead;
use super::head::{BodyKind, Head};

/// Whether more audio can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyState {
    /// More audio can come.
    More,
    /// The body has ended. The rest of the input is not part of it.
    End,
}

/// Removes the framing from the body of one request.
#[derive(Debug)]
pub struct BodyDecoder {
    state: BodyPart,
}

/// The part of the body that the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum BodyPart {
    /// A stray line end may come, then the audio until the connection closes.
    StrayLineEnd,
    /// Audio until the connection closes.
    UntilClose,
    /// So many bytes of audio, then the end.
    Length(u64),
    /// So many bytes of a chunk.
    Chunk(u64),
    /// Between two chunks.
    Framing(Framing),
    /// After the end.
    End,
}

impl BodyDecoder {
    /// A decoder for a body that begins with the next byte.
    pub fn new(kind: BodyKind) -> Self {
        let state = match kind {
            BodyKind::UntilClose => BodyPart::UntilClose,
            BodyKind::Length(0) => BodyPart::End,
            BodyKind::Length(bytes) => BodyPart::Length(bytes),
            BodyKind::Chunked => BodyPart::Framing(Framing::START),
        };
        Self { state }
    }

    /// A decoder for the bytes after those of `head`, where a stray line end may come first.
    ///
    /// The one to use for a source: [`BodyDecoder::new`] would send the line end to listeners.
    pub fn after(head: &Head) -> Self {
        match (head.body_kind(), head.after()) {
            (BodyKind::UntilClose, AfterHead::PerhapsStrayCrlf) => Self {
                state: BodyPart::StrayLineEnd,
            },
            (kind, _) => Self::new(kind),
        }
    }

    /// Moves the audio in `input` to the end of `out`, and drops the framing.
    ///
    /// Copies nothing as long as `out` is empty and the audio is in one piece. Leaves bytes in
    /// `input` only after the end, after an error, or while one more byte is needed to decide.
    pub fn decode(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<BodyState, BodyError> {
        while let Some(&first) = input.first() {
            self.state = match self.state {
                BodyPart::StrayLineEnd if input[..] == b"\r"[..] => break,
                BodyPart::StrayLineEnd => {
                    if input.starts_with(b"\r\n") {
                        input.advance(2);
                    }
                    BodyPart::UntilClose
                }
                BodyPart::UntilClose => {
                    take(u64::MAX, input, out);
                    BodyPart::UntilClose
                }
                BodyPart::Length(left) => match take(left, input, out) {
                    0 => BodyPart::End,
                    left => BodyPart::Length(left),
                },
                BodyPart::Chunk(left) => match take(left, input, out) {
                    0 => BodyPart::Framing(Framing::ChunkEnd),
                    left => BodyPart::Chunk(left),
                },
                BodyPart::Framing(framing) => {
                    let next = framing.step(first)?;
                    input.advance(1);
                    match next {
                        Next::Framing(framing) => BodyPart::Framing(framing),
                        Next::Chunk(bytes) => BodyPart::Chunk(bytes),
                        Next::End => BodyPart::End,
                    }
                }
                BodyPart::End => break,
            };
        }
        Ok(match self.state {
            BodyPart::End => BodyState::End,
            _ => BodyState::More,
        })
    }
}

/// Moves at most `wanted` bytes; returns how many are still wanted.
fn take(wanted: u64, input: &mut BytesMut, out: &mut BytesMut) -> u64 {
    let bytes = usize::try_from(wanted).map_or(input.len(), |wanted| wanted.min(input.len()));
    out.unsplit(input.split_to(bytes));
    wanted - bytes as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::chunk::{MAX_SIZE_LINE_BYTES, MAX_TRAILER_BYTES};
    use super::super::reader::{HeadReader, Parsed};
    use super::*;

    type Outcome = Result<(Vec<u8>, BodyState, Vec<u8>), BodyError>;

    /// The output, the last state, and the bytes left over, when the input arrives in pieces.
    fn decode_in_pieces(mut decoder: BodyDecoder, bytes: &[u8], sizes: &[usize]) -> Outcome {
        let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
        let mut state = decoder.decode(&mut input, &mut out)?;
        let mut rest = bytes;
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*size).min(rest.len()));
            input.extend_from_slice(piece);
            state = decoder.decode(&mut input, &mut out)?;
            rest = later;
        }
        Ok((out.to_vec(), state, input.to_vec()))
    }

    fn decode(kind: BodyKind, bytes: &[u8]) -> Outcome {
        decode_in_pieces(BodyDecoder::new(kind), bytes, &[bytes.len().max(1)])
    }

    fn chunked(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for chunk in chunks {
            bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }

    #[test]
    fn listeners_get_the_audio_and_no_chunk_headers() {
        let sent = chunked(&[vec![0xff; 500], b"\r\n0\r\n\r\n".to_vec()]);
        let audio = [vec![0xff; 500], b"\r\n0\r\n\r\n".to_vec()].concat();
        let outcome = decode(BodyKind::Chunked, &sent);
        assert_eq!(outcome, Ok((audio, BodyState::End, Vec::new())));
    }

    #[test]
    fn sloppy_chunks_are_taken() {
        for sent in [
            &b"3\nabc\n0\n\n"[..],
            b"0003 ; name=\"value\"\r\nabc\r\n00;x\r\nTrailer: yes\r\nB: c\n\r\nnext",
            b"3\t\r\nabc\n0\r\n\n",
        ] {
            let (audio, state, _) = decode(BodyKind::Chunked, sent).unwrap();
            assert_eq!((audio.as_slice(), state), (&b"abc"[..], BodyState::End));
        }
    }

    #[test]
    fn a_bad_chunk_is_an_error() {
        let long = format!("1;{}", "x".repeat(MAX_SIZE_LINE_BYTES));
        let trailer = format!("0\r\nA: {}", "x".repeat(MAX_TRAILER_BYTES));
        for (sent, error) in [
            ("\r\n", BodyError::BadSize),
            ("g\r\n", BodyError::BadSize),
            ("-1\r\n", BodyError::BadSize),
            ("0x3\r\nabc", BodyError::BadSize),
            ("3 3\r\nabc", BodyError::BadSize),
            ("3\r\r\nabc", BodyError::BadSize),
            ("3;\0\r\nabc", BodyError::BadSize),
            (" 3\r\nabc", BodyError::BadSize),
            ("10000000000000000\r\n", BodyError::HugeSize),
            (&long, BodyError::LongSizeLine),
            ("3\r\nabcd\r\n", BodyError::BadChunkEnd),
            ("3\r\nabc\r0", BodyError::BadChunkEnd),
            ("0\r\nA\0", BodyError::BadTrailer),
            ("0\r\n\rA", BodyError::BadTrailer),
            (&trailer, BodyError::BadTrailer),
        ] {
            let outcome = decode(BodyKind::Chunked, sent.as_bytes());
            assert_eq!(outcome, Err(error), "{sent:?}");
        }
        let huge = decode(BodyKind::Chunked, b"ffffffffffffffff\r\nabc");
        assert_eq!(huge, Ok((b"abc".to_vec(), BodyState::More, Vec::new())));
    }

    #[test]
    fn a_stated_length_is_kept() {
        let exact = decode(BodyKind::Length(3), b"abcd");
        assert_eq!(exact, Ok((b"abc".to_vec(), BodyState::End, b"d".to_vec())));
        let short = decode(BodyKind::Length(u64::MAX), b"ab");
        assert_eq!(short, Ok((b"ab".to_vec(), BodyState::More, Vec::new())));
        let none = decode(BodyKind::Length(0), b"");
        assert_eq!(none, Ok((Vec::new(), BodyState::End, Vec::new())));
    }

    #[test]
    fn audio_in_one_piece_is_not_copied() {
        let mut input = BytesMut::from(&b"5\r\naudio\r\n"[..]);
        let place = input[3..].as_ptr();
        let mut out = BytesMut::new();
        let mut decoder = BodyDecoder::new(BodyKind::Chunked);
        decoder.decode(&mut input, &mut out).unwrap();
        assert_eq!((&out[..], out.as_ptr()), (&b"audio"[..], place));
    }

    /// Head and body over one connection that is cut at `cut`; the audio that comes out.
    fn audio_of(request: &[u8], cut: usize) -> Vec<u8> {
        let (mut reader, mut decoder) = (HeadReader::new(), None);
        let (mut buffer, mut out) = (BytesMut::new(), BytesMut::new());
        for piece in [&request[..cut], &request[cut..]] {
            buffer.extend_from_slice(piece);
            if decoder.is_none()
                && let Ok(Parsed::Complete { head, len }) = reader.read(&buffer)
            {
                buffer.advance(len);
                decoder = Some(BodyDecoder::after(&head));
            }
            if let Some(decoder) = &mut decoder {
                decoder.decode(&mut buffer, &mut out).unwrap();
            }
        }
        out.to_vec()
    }

    #[test]
    fn the_audio_is_exact_wherever_the_connection_is_cut() {
        let audio = b"\xff\xfb\r\n\r\naudio\n\n".as_slice();
        let chunks = chunked(&[audio[..5].to_vec(), audio[5..].to_vec()]);
        for (head, body) in [
            ("SOURCE /a HTTP/1.0\r\nA: b\r\n\r\n", audio),
            ("SOURCE /a ICE/1.0\nA: b\n\n", audio),
            ("SOURCE /a HTTP/1.0\nA: b\r\n\r\n", audio),
            ("SOURCE /a HTTP/1.0\nA: b\n\r\n\r\n", audio),
            ("SOURCE /a HTTP/1.0\nA: b\n\r\n", audio),
            ("SOURCE /a HTTP/1.0\r\r\nA: b\r\r\n\r\r\n", audio),
            ("PUT /a HTTP/1.1\r\nContent-Length: 15\r\n\r\n", audio),
            ("PUT /a HTTP/1.1\nTransfer-Encoding: chunked\n\r\n", &chunks),
        ] {
            let request = [head.as_bytes(), body].concat();
            for cut in 0..=request.len() {
                assert_eq!(audio_of(&request, cut), audio, "{head:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn audio_may_itself_begin_with_a_line_end() {
        let usual = b"SOURCE /a HTTP/1.0\r\nA: b\r\n\r\n\r\naudio";
        assert_eq!(audio_of(usual, 0), b"\r\naudio");
        let returned = b"SOURCE /a HTTP/1.0\nA: b\n\r\n\raudio";
        assert_eq!(audio_of(returned, returned.len() - 5), b"\raudio");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_cuts_change_nothing(
            bytes in prop::collection::vec(prop_oneof![
                Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'2'), Just(b';'), any::<u8>(),
            ], 0..80),
            sizes in prop::collection::vec(1_usize..5, 1..5),
        ) {
            let whole = decode(BodyKind::Chunked, &bytes);
            let pieces = decode_in_pieces(BodyDecoder::new(BodyKind::Chunked), &bytes, &sizes);
            prop_assert_eq!(pieces, whole);
        }

        #[test]
        fn a_chunked_body_comes_back(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            sizes in prop::collection::vec(1_usize..20, 1..6),
        ) {
            let decoder = BodyDecoder::new(BodyKind::Chunked);
            let outcome = decode_in_pieces(decoder, &chunked(&chunks), &sizes);
            prop_assert_eq!(outcome, Ok((chunks.concat(), BodyState::End, Vec::new())));
        }
    }
}
