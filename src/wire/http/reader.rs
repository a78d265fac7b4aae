//! Finds the end of a request head in bytes that arrive little by little.
//!
//! Each byte is looked at once, however often [`HeadReader::read`] is called, and every verdict is
//! reached at one byte: the way in which the network cut the bytes never changes the outcome.

use super::error::HeadError;
use super::head::{AfterHead, Head};
use super::{lines, text};

/// The longest head. Far above any encoder's (1 kB), and a bound on what one slow connection can cost.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most headers. Browsers send 20; the checklist asks for 100.
pub const MAX_HEADERS: usize = 128;

/// The bytes within which the method and the space after it must have come.
///
/// The longest registered method has 17 letters.
const MAX_METHOD_BYTES: usize = 32;

/// Empty lines before the request line, in bytes: some clients end a body with one too many.
const MAX_LEADING_BYTES: usize = 4;

/// Carriage returns before a line feed: some encoders send `\r\r
/// `, and Icecast accepts it.
const MAX_CARRIAGE_RETURNS: usize = 2;

/// A head as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head is not complete yet; read more bytes.
    Incomplete,
    /// The head is complete.
    Complete {
        /// The head.
        head: Head,
        /// How many bytes of the buffer the head has; the body begins after them.
        len: usize,
    },
}

/// Remembers how far a growing buffer has been searched for the end of a head.
#[derive(Debug, Default)]
pub struct HeadReader {
    phase: HeadPart,
    /// Bytes of the buffer that were looked at.
    scanned: usize,
    /// The offset of the request line.
    start: usize,
    /// Lines that have ended and were not empty.
    lines: usize,
    /// Bytes of the present line, its carriage returns included.
    line_bytes: usize,
    /// Carriage returns at the end of the present line.
    carriage_returns: usize,
    /// Whether the present line has a colon: what follows is a header's value.
    in_value: bool,
    /// Whether the line before this one ended in a line feed alone.
    after_bare_line_feed: bool,
}

/// The part of the head that the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HeadPart {
    /// Empty lines before the request line.
    #[default]
    Opening,
    /// The method.
    Method,
    /// The rest of the head.
    Lines,
}

/// The effect of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteEffect {
    More,
    Ended(AfterHead),
}

impl HeadReader {
    /// A reader for one connection. After a head is complete it is ready for the next one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the bytes that are new in `buffer`, which must begin with those of the last call.
    ///
    /// After an error every further call gives the same error.
    pub fn read(&mut self, buffer: &[u8]) -> Result<Parsed, HeadError> {
        let unread = buffer.get(self.scanned..).unwrap_or_default();
        for &byte in unread {
            if self.scanned == MAX_HEAD_BYTES {
                return Err(HeadError::TooLarge);
            }
            // Counted only when it is accepted, so that a byte that was refused is refused again.
            if let ByteEffect::Ended(after) = self.step(byte)? {
                let len = self.scanned + 1;
                let head = lines::parse(&buffer[self.start..len], after)?;
                *self = Self::new();
                return Ok(Parsed::Complete { head, len });
            }
            self.scanned += 1;
        }
        Ok(Parsed::Incomplete)
    }

    fn step(&mut self, byte: u8) -> Result<ByteEffect, HeadError> {
        match self.phase {
            HeadPart::Opening if matches!(byte, b'\r' | b'\n') => {
                if self.start == MAX_LEADING_BYTES {
                    return Err(HeadError::NotHttp);
                }
                self.start += 1;
                Ok(ByteEffect::More)
            }
            HeadPart::Opening | HeadPart::Method => self.step_method(byte),
            HeadPart::Lines => self.step_line(byte),
        }
    }

    fn step_method(&mut self, byte: u8) -> Result<ByteEffect, HeadError> {
        self.phase = match byte {
            _ if self.line_bytes == MAX_METHOD_BYTES => return Err(HeadError::NotHttp),
            b' ' if self.line_bytes > 0 => HeadPart::Lines,
            _ if text::is_token(byte) => HeadPart::Method,
            _ => return Err(HeadError::NotHttp),
        };
        self.line_bytes += 1;
        Ok(ByteEffect::More)
    }

    fn step_line(&mut self, byte: u8) -> Result<ByteEffect, HeadError> {
        let strict = self.lines == 0 || self.line_bytes == self.carriage_returns;
        match byte {
            b'\n' => return self.end_line(),
            b'\0' if !self.in_value => return Err(HeadError::ControlByte),
            b'\r' if strict && self.carriage_returns == MAX_CARRIAGE_RETURNS => {
                return Err(HeadError::ControlByte);
            }
            b'\r' => self.carriage_returns += 1,
            // The content of a header is checked when its line is complete.
            _ if self.lines > 0 => {
                self.carriage_returns = 0;
                self.in_value |= byte == b':';
            }
            b'\t' if self.carriage_returns == 0 => {}
            _ if self.carriage_returns > 0 || byte.is_ascii_control() => {
                return Err(HeadError::ControlByte);
            }
            _ => {}
        }
        self.line_bytes += 1;
        Ok(ByteEffect::More)
    }

    fn end_line(&mut self) -> Result<ByteEffect, HeadError> {
        if self.line_bytes == self.carriage_returns {
            let stray = self.after_bare_line_feed && self.carriage_returns == 1;
            return Ok(ByteEffect::Ended(match stray {
                true => AfterHead::PerhapsStrayCrlf,
                false => AfterHead::Body,
            }));
        }
        if self.lines > MAX_HEADERS {
            return Err(HeadError::TooManyHeaders);
        }
        self.lines += 1;
        self.after_bare_line_feed = self.carriage_returns == 0;
        self.line_bytes = 0;
        self.carriage_returns = 0;
        self.in_value = false;
        Ok(ByteEffect::More)
    }
}

/// Reads a head from the beginning of `buffer`, for a caller that has all of it.
///
/// While bytes still arrive, a [`HeadReader`] is better, because it does not look at the old ones again.
pub fn parse(buffer: &[u8]) -> Result<Parsed, HeadError> {
    HeadReader::new().read(buffer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::head::BodyKind;
    use super::*;

    /// The outcome when the bytes arrive in pieces of `sizes`, again and again.
    fn parse_in_pieces(bytes: &[u8], sizes: &[usize]) -> Result<Parsed, HeadError> {
        let mut reader = HeadReader::new();
        let mut arrived = 0;
        let mut sizes = sizes.iter().copied().cycle();
        while arrived < bytes.len() {
            arrived = bytes.len().min(arrived + sizes.next().unwrap_or(1));
            let outcome = reader.read(&bytes[..arrived]);
            if outcome != Ok(Parsed::Incomplete) {
                return outcome;
            }
        }
        Ok(Parsed::Incomplete)
    }

    fn len_of(bytes: &[u8]) -> usize {
        match parse(bytes) {
            Ok(Parsed::Complete { len, .. }) => len,
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(bytes)),
        }
    }

    #[test]
    fn every_line_end_in_use_is_understood() {
        for head in [
            "SOURCE /a HTTP/1.0\r\nContent-Type: audio/mpeg\r\n\r\n",
            "SOURCE /a ICE/1.0\ncontent-type: audio/mpeg\n\n",
            "SOURCE /a HTTP/1.0\r\r\nContent-Type: audio/mpeg\r\r\n\r\r\n",
            "SOURCE /a HTTP/1.0\nContent-Type: audio/mpeg\r\n\r\n",
            "SOURCE /a HTTP/1.0\r\nContent-Type: audio/mpeg\n\n",
            "\r\nSOURCE /a HTTP/1.0\r\nContent-Type: audio/mpeg\r\n\r\n",
        ] {
            let bytes = [head.as_bytes(), b"\xff\xfbaudio"].concat();
            assert_eq!(len_of(&bytes), head.len(), "{head:?}");
            let Ok(Parsed::Complete { head, .. }) = parse(&bytes) else {
                unreachable!("checked above")
            };
            assert_eq!(head.header("Content-Type"), Some("audio/mpeg"));
        }
    }

    #[test]
    fn foreign_protocols_are_known_without_waiting() {
        for noise in [
            &b"\x16\x03\x01"[..],
            b"\0",
            b" GET",
            b"hackme\r\n",
            b"\xff\xfb",
            b"{\"a\"",
            b"\r\n\r\n\r",
            &[b'A'; 33],
        ] {
            assert_eq!(parse(noise), Err(HeadError::NotHttp), "{noise:?}");
        }
        assert_eq!(parse(&[b'A'; 32]), Ok(Parsed::Incomplete));
        assert_eq!(parse(b""), Ok(Parsed::Incomplete));
    }

    #[test]
    fn a_control_byte_is_refused_before_the_head_ends() {
        for bad in [
            "GET /\0",
            "GET /a\rb",
            "GET /a HTTP/1.0\r\nA\0",
            "GET /a:b\0",
            "GET /a HTTP/1.0\r\nA: b\r\nB\0",
            "GET /a HTTP/1.0\r\n\r\r\r",
            "GET / \x7f",
            "GET /\x1b",
        ] {
            assert_eq!(
                parse(bad.as_bytes()),
                Err(HeadError::ControlByte),
                "{bad:?}"
            );
        }
        let odd = b"GET /a HTTP/1.0\r\nA: b\r\n \rc\x1b\r\r\r\r\n\r\n";
        assert_eq!(len_of(odd), odd.len());
        assert_eq!(parse(b"GET /a HTTP/1.0\r\r\r"), Err(HeadError::ControlByte));
    }

    #[test]
    fn a_head_is_accepted_up_to_the_exact_limits() {
        let with = |headers: usize, value: usize| {
            let line = format!("X: {}\r\n", "v".repeat(value));
            format!("GET /a HTTP/1.1\r\n{}\r\n", line.repeat(headers)).into_bytes()
        };
        assert!(parse(&with(100, 160)).is_ok());
        assert!(parse(&with(MAX_HEADERS, 1)).is_ok());
        let too_many = parse(&with(MAX_HEADERS + 1, 1));
        assert_eq!(too_many, Err(HeadError::TooManyHeaders));
        let fits = MAX_HEAD_BYTES - with(1, 0).len();
        assert_eq!(len_of(&with(1, fits)), MAX_HEAD_BYTES);
        assert_eq!(parse(&with(1, fits + 1)), Err(HeadError::TooLarge));
    }

    #[test]
    fn each_byte_is_looked_at_once() {
        let endless = [b"GET /".to_vec(), vec![b'a'; MAX_HEAD_BYTES]].concat();
        let mut reader = HeadReader::new();
        for arrived in 0..=MAX_HEAD_BYTES {
            let before = reader.scanned;
            assert_eq!(reader.read(&endless[..arrived]), Ok(Parsed::Incomplete));
            assert!(reader.scanned - before <= 1, "looked back at {arrived}");
        }
        assert_eq!(reader.read(&endless), Err(HeadError::TooLarge));
        assert_eq!(reader.read(&endless), Err(HeadError::TooLarge));
    }

    #[test]
    fn a_reader_reads_one_head_after_the_other() {
        let one = b"OPTIONS * HTTP/1.1\r\n\r\n";
        let mut reader = HeadReader::new();
        for _ in 0..3 {
            let outcome = reader.read(one);
            assert!(matches!(outcome, Ok(Parsed::Complete { len, .. }) if len == one.len()));
        }
    }

    /// Bytes that look like a head, and are one more often than not.
    fn almost_head() -> impl Strategy<Value = Vec<u8>> {
        let begins = prop::sample::select(vec![
            &b""[..],
            b"\r\n",
            b"SOURCE /a ICE/1.0\n",
            b"PUT /a HTTP/1.1\r\n",
        ]);
        let pieces = prop::sample::select(vec![
            &b"GET "[..],
            b"/a",
            b" HTTP/1.0",
            b"\r\n",
            b"\n",
            b"\r",
            b"Content-Length: 7",
            b"Transfer-Encoding: chunked",
            b"Expect: x\n",
            b"Host: h\r\n",
            b"\t",
            b"\x0b",
            b"X",
            b"A: b\r\n",
            b": ",
            b" ",
            b"\0",
            b"\xe9",
        ]);
        let pieces = prop::collection::vec(pieces, 0..12);
        (begins, pieces).prop_map(|(begin, pieces)| [begin, &pieces.concat()].concat())
    }

    /// The lengths that another reader might see: it takes any control byte for the end of a line, and ignores blanks
    /// and invalid characters in a name.
    fn lengths_seen_elsewhere(head: &[u8]) -> Vec<String> {
        let lines = head.split(|byte| byte.is_ascii_control() && *byte != b'\t');
        let pairs = lines.filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let letters = |byte: &&u8| byte.is_ascii_alphanumeric();
            let name: Vec<u8> = line[..colon].iter().filter(letters).copied().collect();
            let value = String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned();
            Some((name.to_ascii_lowercase(), value))
        });
        let lengths =
            pairs.filter(|(name, _)| name == b"contentlength" || name == b"transferencoding");
        lengths.map(|(_, value)| value).collect()
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_other_reader_sees_another_length(bytes in almost_head()) {
            if let Ok(Parsed::Complete { head, len }) = parse(&bytes) {
                let ours = match head.body_kind() {
                    BodyKind::Chunked => vec!["chunked".to_owned()],
                    BodyKind::Length(7) => vec!["7".to_owned()],
                    _ => vec![],
                };
                let mut theirs = lengths_seen_elsewhere(&bytes[..len]);
                theirs.dedup();
                prop_assert_eq!(theirs, ours, "{:?}", String::from_utf8_lossy(&bytes));
                // The library that reads the rewritten head sees the same request.
                let again = head.rewritten();
                let Ok(Parsed::Complete { head: same, len }) = parse(&again) else {
                    panic!("{:?}", String::from_utf8_lossy(&again));
                };
                prop_assert_eq!(len, again.len());
                prop_assert_eq!(same.path(), head.path());
                let empty = |kind| matches!(kind, BodyKind::UntilClose | BodyKind::Length(0));
                let bodiless = empty(same.body_kind()) && empty(head.body_kind());
                prop_assert!(bodiless || same.body_kind() == head.body_kind());
            }
        }

        #[test]
        fn the_cuts_of_the_network_change_nothing(
            bytes in almost_head(),
            sizes in prop::collection::vec(1_usize..9, 1..6),
        ) {
            prop_assert_eq!(parse_in_pieces(&bytes, &sizes), parse(&bytes));
        }

        #[test]
        fn a_refused_head_stays_refused(bytes in almost_head(), more: Vec<u8>) {
            let mut reader = HeadReader::new();
            if let Err(error) = reader.read(&bytes) {
                let longer = [bytes, more].concat();
                prop_assert_eq!(reader.read(&longer), Err(error));
            }
        }
    }
}
