//! The lines of a whole request head, read into a [`Head`].
//!
//! Bytes over 127 are accepted: in a header they are UTF-8 if they are valid and otherwise Latin-1, as
//! encoders send both; in a target they are kept as percent escapes, so that a target is ASCII.

use std::fmt::Write;

use percent_encoding::percent_decode_str;

use super::error::HeadError;
use super::head::{AfterHead, BodyKind, Head, HttpVersion, Method};
use super::header_lines::HeaderLines;

/// The longest target, with its escapes: the longest that the library accepts that reads requests for pages.
const MAX_TARGET_BYTES: usize = 65_534;

/// The longest body that a head may announce: servers that count in signed numbers would misread a greater one.
const MAX_BODY_BYTES: u64 = i64::MAX as u64;

/// Reads a head from its request line to the empty line that closes it.
///
/// The reader has checked its length, the number of its lines, that it has a NUL at most in the value of
/// a header, and that its first line has no control byte except tabs.
pub(super) fn parse(bytes: &[u8], after: AfterHead) -> Result<Head, HeadError> {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(without_returns);
    let request_line = lines.next().unwrap_or_default();
    let (method, target, version) = parse_request_line(request_line)?;
    let path_start = check_target(&method, &target)?;
    let HeaderLines {
        headers,
        not_utf8,
        skipped,
        ..
    } = HeaderLines::read(lines)?;
    if headers.iter().filter(|(name, _)| name == "host").count() > 1 {
        return Err(HeadError::TwoHosts);
    }
    let body_kind = body_kind(&method, &headers)?;
    Ok(Head {
        method,
        target,
        path_start,
        version,
        headers,
        not_utf8,
        skipped,
        body_kind,
        after,
    })
}

/// The head of whoever sends a stream, and of whom only the headers are known.
pub(super) fn head_of_sender(read: HeaderLines) -> Result<Head, HeadError> {
    let method = Method::Source;
    let body_kind = body_kind(&method, &read.headers)?;
    Ok(Head {
        method,
        target: "/".to_owned(),
        path_start: 0,
        version: HttpVersion::Http11,
        headers: read.headers,
        not_utf8: read.not_utf8,
        skipped: read.skipped,
        body_kind,
        after: AfterHead::Body,
    })
}

pub(super) fn without_returns(line: &[u8]) -> &[u8] {
    let returns = line.iter().rev().take_while(|&&byte| byte == b'\r').count();
    &line[..line.len() - returns]
}

fn parse_request_line(line: &[u8]) -> Result<(Method, String, HttpVersion), HeadError> {
    // Several spaces count as one, as in Icecast.
    let mut words = line
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::BadRequestLine);
    };
    let method = Method::from_token(method);
    let version = parse_version(&method, version)?;
    let text = escaped_target(target)?;
    Ok((method, text, version))
}

/// A target as a URL may be written. Encoders put a title into it unescaped, so characters that a URL must not have,
/// and bytes over 127, become percent escapes; their meaning is the same.
fn escaped_target(target: &[u8]) -> Result<String, HeadError> {
    let mut text = String::with_capacity(target.len());
    let mut in_query = false;
    for &byte in target {
        in_query |= byte == b'?';
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => {
                write!(text, "%{byte:02X}").expect("a string takes all that is written");
            }
            // A client never sends the fragment of a URL; in a title a `#` is a number sign.
            b'#' if in_query => text.push_str("%23"),
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => return Err(HeadError::BadTarget),
        }
    }
    match text.len() {
        0..=MAX_TARGET_BYTES => Ok(text),
        _ => Err(HeadError::TooLarge),
    }
}

fn parse_version(method: &Method, word: &[u8]) -> Result<HttpVersion, HeadError> {
    match word {
        b"HTTP/1.0" => Ok(HttpVersion::Http10),
        b"ICE/1.0" => Ok(HttpVersion::Ice10),
        // A later 1.x promises that a reader of 1.1 understands it.
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Ok(HttpVersion::Http11),
        // Icecast accepts it from a source, so there may be an encoder that sends it.
        b"HTTP/2.0" if *method == Method::Source => Ok(HttpVersion::Http20),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(HeadError::UnsupportedVersion)
        }
        _ => Err(HeadError::BadRequestLine),
    }
}

/// Checks the target; returns the offset of its path.
fn check_target(method: &Method, target: &str) -> Result<usize, HeadError> {
    if target == "*" && *method == Method::Options {
        return Ok(0);
    }
    let path_start = match target.starts_with('/') {
        true => 0,
        false => authority_end(target).ok_or(HeadError::BadTarget)?,
    };
    let path = target[path_start..].split(['?', '#']).next();
    match is_contained(path.unwrap_or_default()) {
        true => Ok(path_start),
        false => Err(HeadError::BadTarget),
    }
}

/// The end of `http://host:port` in a target that is a whole URL, as a proxy sends it.
fn authority_end(target: &str) -> Option<usize> {
    let scheme = target.find("://")?;
    let known = ["http", "https"]
        .iter()
        .any(|name| target[..scheme].eq_ignore_ascii_case(name));
    let authority = scheme + "://".len();
    let rest = &target[authority..];
    let bytes = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (known && bytes > 0).then_some(authority + bytes)
}

/// Whether a path, its escapes decoded once, stays inside: no `//`, `.`, `..` or control bytes.
fn is_contained(path: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    let steps = |segment: &[u8]| segment == b"." || segment == b"..";
    !decoded.iter().any(u8::is_ascii_control)
        && !decoded.windows(2).any(|pair| pair == b"//")
        && !decoded.split(|&byte| byte == b'/').any(steps)
}

fn body_kind(method: &Method, headers: &[(String, String)]) -> Result<BodyKind, HeadError> {
    let values = |wanted: &'static str| {
        let all = headers.iter().filter(move |(name, _)| name == wanted);
        all.map(|(_, value)| value.as_str())
    };
    let mut length = None;
    for value in values("content-length") {
        let stated = parse_length(value)?;
        if length.replace(stated).is_some_and(|other| other != stated) {
            return Err(HeadError::ConflictingLengths);
        }
    }
    let coded = values("transfer-encoding").next().is_some();
    if coded && length.is_some() {
        return Err(HeadError::ConflictingLengths);
    }
    let codings: Vec<_> = values("transfer-encoding").collect();
    match (codings.as_slice(), length, method) {
        ([coding], _, _) if coding.eq_ignore_ascii_case("chunked") => Ok(BodyKind::Chunked),
        ([coding, ..], _, _) if codings.len() > 1 || !coding.eq_ignore_ascii_case("identity") => {
            Err(HeadError::UnsupportedCoding)
        }
        (_, Some(bytes), _) => Ok(BodyKind::Length(bytes)),
        (_, None, Method::Source | Method::Put) => Ok(BodyKind::UntilClose),
        (_, None, _) => Ok(BodyKind::Length(0)),
    }
}

fn parse_length(value: &str) -> Result<u64, HeadError> {
    // Digits only: `u64::from_str` alone would accept a plus sign.
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let length = value.parse().ok().filter(|_| digits);
    let length = length.filter(|&bytes| bytes <= MAX_BODY_BYTES);
    length.ok_or(HeadError::BadContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, HeadError> {
        parse(text.as_bytes(), AfterHead::Body)
    }

    fn kind(headers: &str) -> Result<BodyKind, HeadError> {
        head(&format!("PUT /a HTTP/1.1\r\n{headers}\r\n")).map(|head| head.body_kind())
    }

    #[test]
    fn the_versions_that_icecast_takes_are_taken() {
        for (line, version) in [
            ("SOURCE /a HTTP/1.0", HttpVersion::Http10),
            ("SOURCE /a HTTP/1.1", HttpVersion::Http11),
            ("SOURCE /a HTTP/2.0", HttpVersion::Http20),
            ("SOURCE /a ICE/1.0", HttpVersion::Ice10),
            ("source   /a   HTTP/1.0 ", HttpVersion::Http10),
        ] {
            let head = head(&format!("{line}\r\n\r\n")).unwrap();
            assert_eq!((head.version(), head.target()), (version, "/a"), "{line}");
            assert_eq!(head.method(), &Method::Source);
        }
        for (line, error) in [
            ("SOURCE /a ICY/1.0", HeadError::BadRequestLine),
            ("SOURCE /a FOO/1.0", HeadError::BadRequestLine),
            ("SOURCE /a http/1.0", HeadError::BadRequestLine),
            ("GET /a HTTP/2.0", HeadError::UnsupportedVersion),
            ("GET /a HTTP/0.9", HeadError::UnsupportedVersion),
            ("PRI * HTTP/2.0", HeadError::UnsupportedVersion),
            ("GET /a", HeadError::BadRequestLine),
            ("GET /a b HTTP/1.0", HeadError::BadRequestLine),
            ("GET /a\tHTTP/1.0", HeadError::BadRequestLine),
            ("SOURCE a HTTP/1.0", HeadError::BadTarget),
            ("SOURCE pw /m", HeadError::BadRequestLine),
        ] {
            assert_eq!(head(&format!("{line}\r\n\r\n")), Err(error), "{line}");
        }
    }

    #[test]
    fn a_path_that_tries_to_leave_is_refused() {
        for bad in [
            "/a%00.txt",
            "/..",
            "/a/../b",
            "//a",
            "/a//b",
            "/%2e%2e/b",
            "/.%2E",
            "/a%2F%2Fb",
            "/a%0d%0a",
            "/./a",
            "*",
            "a",
            "",
            "http:///a",
            "ftp://h/a",
        ] {
            let refused = head(&format!("GET {bad} HTTP/1.0\r\n\r\n"));
            assert!(refused.is_err(), "{bad}");
        }
        for good in [
            "/",
            "/a..mp3",
            "/a%20b",
            "/a?b=//%00..",
            "/admin/!POKE",
            "/%252e/",
        ] {
            let taken = head(&format!("GET {good} HTTP/1.0\r\n\r\n"));
            assert_eq!(taken.unwrap().target(), good);
        }
    }

    #[test]
    fn a_whole_url_is_read_as_its_path() {
        let head = |target: &str| head(&format!("GET {target} HTTP/1.1\r\nHost: b\r\n\r\n"));
        let whole = head("HTTP://a:8000/m1?x=/").unwrap();
        assert_eq!((whole.path(), whole.query()), ("/m1", Some("x=/")));
        assert_eq!(whole.host(), Some("a:8000"));
        assert_eq!(head("http://a").unwrap().path(), "/");
        assert_eq!(head("http://a?x").unwrap().query(), Some("x"));
        assert_eq!(head("/m1").unwrap().host(), Some("b"));
    }

    #[test]
    fn forbidden_url_bytes_are_kept_as_escapes() {
        let raw = b"GET /admin/metadata?song=\xe9t\xc3\xa9 HTTP/1.0\r\n\r\n";
        let head = parse(raw, AfterHead::Body).unwrap();
        assert_eq!(head.query(), Some("song=%E9t%C3%A9"));
        let raw = b"GET /a<b>?song=<\">|^{}`\\#1?%41 HTTP/1.0\r\n\r\n";
        let head = parse(raw, AfterHead::Body).unwrap();
        assert_eq!(head.path(), "/a%3Cb%3E");
        assert_eq!(
            head.query(),
            Some("song=%3C%22%3E%7C%5E%7B%7D%60%5C%231?%41")
        );
        let long = format!("GET /a?{} HTTP/1.0\r\n\r\n", "<".repeat(30_000));
        assert_eq!(
            parse(long.as_bytes(), AfterHead::Body),
            Err(HeadError::TooLarge)
        );
    }

    #[test]
    fn headers_are_text_in_either_encoding() {
        let raw = b"GET / HTTP/1.0\r\nice-name: \xe9t\xe9\r\nICE-GENRE:\t\xc3\xa9 \r\n\r\n";
        let head = parse(raw, AfterHead::Body).unwrap();
        assert_eq!(head.header("Ice-Name"), Some("été"));
        assert_eq!(head.header("ice-genre"), Some("é"));
        let two = parse(
            b"GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n",
            AfterHead::Body,
        );
        assert_eq!(two, Err(HeadError::TwoHosts));
    }

    #[test]
    fn a_bodys_length_is_given_at_most_once() {
        assert_eq!(kind(""), Ok(BodyKind::UntilClose));
        assert_eq!(kind("Content-Length: 0\r\n"), Ok(BodyKind::Length(0)));
        let chunked = "Transfer-Encoding: Chunked\r\n";
        assert_eq!(kind(chunked), Ok(BodyKind::Chunked));
        assert_eq!(
            kind("Transfer-Encoding: identity\r\n"),
            Ok(BodyKind::UntilClose)
        );
        let twice = "Content-Length: 5\r\nContent-Length: 5\r\n";
        assert_eq!(kind(twice), Ok(BodyKind::Length(5)));
        let two = "Content-Length: 5\r\nContent-Length: 6\r\n";
        assert_eq!(kind(two), Err(HeadError::ConflictingLengths));
        let both = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(kind(both), Err(HeadError::ConflictingLengths));
        for bad in [
            "-1",
            "+1",
            "1e20",
            "abc",
            "",
            "5, 5",
            "9223372036854775808",
            "18446744073709551615",
            "99999999999999999999",
        ] {
            let refused = kind(&format!("Content-Length: {bad}\r\n"));
            assert_eq!(refused, Err(HeadError::BadContentLength), "{bad}");
        }
        for bad in [
            "gzip, chunked",
            "gzip",
            "",
            "chunked\r\nTransfer-Encoding: chunked",
        ] {
            let refused = kind(&format!("Transfer-Encoding: {bad}\r\n"));
            assert_eq!(refused, Err(HeadError::UnsupportedCoding), "{bad}");
        }
        let get = head("GET /a HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(get.body_kind(), BodyKind::Length(0));
    }
}
