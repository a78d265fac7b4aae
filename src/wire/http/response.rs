//! The head of a server's answer that an endless stream follows, as strange as servers of streams send it.
//!
//! Shoutcast begins it with `ICY 200 OK`. What a server says of its stream in its headers is what an encoder says of
//! it, so the headers are read as those of a source.

use super::error::HeadError;
use super::head::Head;
use super::header_lines::HeaderLines;
use super::lines;

/// The longest head that is read: ten times what any server of streams sends.
pub const MAX_RESPONSE_HEAD_BYTES: usize = 16 << 10;
/// The most lines of it.
const MAX_LINES: usize = 128;

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The headers, as those of a source that sends the body.
    pub head: Head,
}

/// A head as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedResponse {
    /// More has to come.
    Incomplete,
    /// The head is complete.
    Complete {
        /// The head.
        head: ResponseHead,
        /// How many bytes it has; the body begins after them.
        len: usize,
    },
}

/// Why bytes are no answer of a server of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// The first line is not that of an answer.
    #[error("what it says is no HTTP")]
    NotHttp,
    /// The head does not end.
    #[error("the head of its answer is too long")]
    Long,
    /// A header that says how long the body is makes no sense.
    #[error("the head of its answer makes no sense: {0}")]
    Headers(#[from] HeadError),
}

/// The status that the beginning of an answer says, whatever protocol it is of; `None` if it says none. An answer that only
/// lets the client go on comes before the one that counts.
pub fn status_said(bytes: &[u8]) -> Option<u16> {
    if bytes.starts_with(b"OK2") || bytes.starts_with(b"ICY 200") {
        return Some(200);
    }
    let rest = bytes.strip_prefix(b"HTTP/1.")?.get(2..)?;
    let status = str::from_utf8(rest.get(..3)?).ok()?.parse().ok()?;
    match status {
        100..=199 => {
            let end = memchr::memmem::find(rest, b"\r\n\r\n")?;
            status_said(&rest[end + 4..])
        }
        status => Some(status),
    }
}

/// Reads the head at the beginning of what has come so far.
pub fn parse_response(bytes: &[u8]) -> Result<ParsedResponse, BadResponse> {
    let first = b"HTTP/1.";
    let is_possible = |word: &[u8]| bytes.iter().zip(word).all(|(byte, wanted)| byte == wanted);
    if !is_possible(first) && !is_possible(b"ICY ") {
        return Err(BadResponse::NotHttp);
    }
    let seen = &bytes[..bytes.len().min(MAX_RESPONSE_HEAD_BYTES)];
    let Some(len) = end_of_head(seen) else {
        return match bytes.len() >= MAX_RESPONSE_HEAD_BYTES {
            true => Err(BadResponse::Long),
            false => Ok(ParsedResponse::Incomplete),
        };
    };
    let lines = bytes[..len].split(|&byte| byte == b'\n');
    let mut lines = lines.map(lines::without_returns);
    let status = status_of(lines.next().unwrap_or_default()).ok_or(BadResponse::NotHttp)?;
    let read = HeaderLines::read(lines.take(MAX_LINES))?;
    let head = lines::head_of_sender(read)?;
    let head = ResponseHead { status, head };
    Ok(ParsedResponse::Complete { head, len })
}

/// The length of a head that ends in an empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if lines::without_returns(&bytes[line_start..at]).is_empty() && line_start > 0 {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

/// The code in a status line, such as `HTTP/1.0 200 OK` or `ICY 200 OK`.
fn status_of(line: &[u8]) -> Option<u16> {
    let mut words = line.split(|&byte| byte == b' ').filter(|it| !it.is_empty());
    let (_protocol, code) = (words.next()?, words.next()?);
    let is_code = code.len() == 3 && code.iter().all(u8::is_ascii_digit);
    let code: u16 = str::from_utf8(code)
        .ok()
        .filter(|_| is_code)?
        .parse()
        .ok()?;
    (100..600).contains(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::head::BodyKind;
    use super::*;

    fn read(text: &str) -> (ResponseHead, usize) {
        match parse_response(text.as_bytes()) {
            Ok(ParsedResponse::Complete { head, len }) => (head, len),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn the_beginning_of_an_answer_says_its_status() {
        for (answer, status) in [
            ("HTTP/1.0 404 Not Found\r\n", Some(404)),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n",
                Some(200),
            ),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
            ("OK2\r\nicy-caps:11\r\n\r\n", Some(200)),
            ("ICY 200 OK\r\n", Some(200)),
            ("invalid password\r\n", None),
            ("HTTP/1.1 20", None),
            ("", None),
        ] {
            assert_eq!(status_said(answer.as_bytes()), status, "{answer}");
        }
    }

    #[test]
    fn all_servers_of_streams_are_understood() {
        for (text, status, kind) in [
            (
                "HTTP/1.0 200 OK\r\nicy-metaint:16000\r\n\r\naudio",
                200,
                BodyKind::UntilClose,
            ),
            (
                "ICY 200 OK\r\nicy-name:x\r\n\r\naudio",
                200,
                BodyKind::UntilClose,
            ),
            ("ICY 200 OK\nicy-name:x\n\naudio", 200, BodyKind::UntilClose),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\naudio",
                200,
                BodyKind::Chunked,
            ),
            (
                "HTTP/1.1 302\r\nLocation: /x\r\nContent-Length: 0\r\n\r\naudio",
                302,
                BodyKind::Length(0),
            ),
        ] {
            let (head, len) = read(text);
            assert_eq!(
                (head.status, head.head.body_kind()),
                (status, kind),
                "{text}"
            );
            assert_eq!(&text[len..], "audio");
        }
        let (head, _) = read("HTTP/1.0 200 OK\r\nicy-metaint:16000\r\n\r\n");
        assert_eq!(head.head.header("Icy-MetaInt"), Some("16000"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let long = format!(
            "HTTP/1.0 200 OK\r\nA: {}",
            "x".repeat(MAX_RESPONSE_HEAD_BYTES)
        );
        for (text, why) in [
            ("GET / HTTP/1.0\r\n\r\n", BadResponse::NotHttp),
            ("\r\n\r\n", BadResponse::NotHttp),
            ("<html>", BadResponse::NotHttp),
            ("HTTP/1.0 OK\r\n\r\n", BadResponse::NotHttp),
            ("HTTP/1.0 999 OK\r\n\r\n", BadResponse::NotHttp),
            ("HTTP/2.0 200 OK\r\n\r\n", BadResponse::NotHttp),
            (&long, BadResponse::Long),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                BadResponse::Headers(HeadError::BadContentLength),
            ),
        ] {
            assert_eq!(parse_response(text.as_bytes()), Err(why), "{text:?}");
        }
        for more in [
            "",
            "H",
            "IC",
            "ICY 200 OK\r\n",
            "HTTP/1.0 200 OK\r\nA: b\r\n",
        ] {
            assert_eq!(
                parse_response(more.as_bytes()),
                Ok(ParsedResponse::Incomplete)
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let behind = [b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat();
            for bytes in [&bytes, &behind] {
                if let Ok(ParsedResponse::Complete { len, .. }) = parse_response(bytes) {
                    prop_assert!(len <= bytes.len());
                }
            }
        }
    }
}
