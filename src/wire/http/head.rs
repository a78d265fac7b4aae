//! The head of a request, from any client.
//!
//! The head that [`HeadReader`](super::reader::HeadReader) returns has been checked: the target is
//! printable ASCII and its path does not climb, the body has one length, no text has a control
//! byte except the tab. Whether the path is a mount is checked by
//! [`MountName`](crate::model::mount::MountName).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::header_lines::Skipped;
use crate::model::charset::Charset;

/// The method of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// Listen, or read a page.
    Get,
    /// The same without the body.
    Head,
    /// Send a stream, in the new way.
    Put,
    /// Send a stream, in the old way of most encoders.
    Source,
    /// Send a form.
    Post,
    /// Change something.
    Patch,
    /// Remove something.
    Delete,
    /// Ask which methods are possible.
    Options,
    /// Any other method, as it was written.
    Unknown(String),
}

impl Method {
    /// The method as it is written.
    pub fn token(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Source => "SOURCE",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Unknown(token) => token,
        }
    }

    /// Reads a method; like Icecast, in any case.
    pub fn from_token(token: &[u8]) -> Self {
        match token.to_ascii_uppercase().as_slice() {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" => Self::Put,
            b"SOURCE" => Self::Source,
            b"POST" => Self::Post,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => Self::Unknown(String::from_utf8_lossy(token).into_owned()),
        }
    }
}

/// The protocol that the client says it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpVersion {
    /// `ICE/1.0`, the name that old encoders give to HTTP/1.0.
    Ice10,
    /// `HTTP/1.0`.
    Http10,
    /// `HTTP/1.1`, or a later 1.x.
    Http11,
    /// `HTTP/2.0` on a `SOURCE` line, which no HTTP/2 client ever writes: read as 1.1.
    Http20,
}

/// The end of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// With the connection: the default of every encoder.
    UntilClose,
    /// After this many bytes. A request other than `PUT` and `SOURCE` without a length has no body.
    Length(u64),
    /// With the chunk of size zero.
    Chunked,
}

/// The bytes after the line end that closes a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterHead {
    /// The body.
    Body,
    /// Perhaps one stray `\r\n`, then the body.
    ///
    /// Lines that end in a bare `
    /// ` and then `\r
    /// \r
    /// ` come from an encoder that closes its head
    /// in its own way: the first `\r
    /// ` is the empty line already. It is not possible to wait here to see
    /// whether the second comes, because another encoder waits for the answer at this point.
    PerhapsStrayCrlf,
}

/// The head of a request: the request line and the headers.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    pub(super) method: Method,
    pub(super) target: String,
    /// The offset of the path in the target; not 0 only in a target that is a whole URL.
    pub(super) path_start: usize,
    pub(super) version: HttpVersion,
    /// Names in lower case, in the order in which they came.
    pub(super) headers: Vec<(String, String)>,
    /// The places of headers whose bytes are not UTF-8, so that each letter stands for one byte.
    pub(super) not_utf8: Vec<usize>,
    pub(super) skipped: Option<Skipped>,
    pub(super) body_kind: BodyKind,
    pub(super) after: AfterHead,
}

impl Head {
    /// The method of the request.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The target as it was written; bytes over 127 as percent escapes.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path in the target, still percent-encoded; `*` for `OPTIONS *`.
    pub fn path(&self) -> &str {
        let end = self.query_start().unwrap_or(self.target.len());
        match &self.target[self.path_start..end] {
            "" => "/",
            path => path,
        }
    }

    /// The text after the `?`, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        let rest = &self.target[self.query_start()?..];
        let query = rest.strip_prefix('?')?;
        query.split('#').next()
    }

    fn query_start(&self) -> Option<usize> {
        let found = self.target[self.path_start..].find(['?', '#']);
        found.map(|at| self.path_start + at)
    }

    /// The protocol of the request line.
    pub fn version(&self) -> HttpVersion {
        self.version
    }

    /// The value of a header, its name in any case. Of several the last one counts.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut latest_first = self.headers.iter().rev();
        let found = latest_first.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The value as text, in this charset if its bytes are not UTF-8.
    pub fn header_in(&self, name: &str, charset: Charset) -> Option<Cow<'_, str>> {
        let is_named = |(key, _): &(String, String)| key.eq_ignore_ascii_case(name);
        let place = self.headers.iter().rposition(is_named)?;
        let value = self.headers[place].1.as_str();
        if !self.not_utf8.contains(&place) {
            return Some(value.into());
        }
        // Each letter stands for one byte, so none is lost.
        let bytes = value.chars().filter_map(|letter| u8::try_from(letter).ok());
        let bytes: Vec<u8> = bytes.collect();
        Some(charset.read(&bytes).into())
    }

    /// All headers, names in lower case, in the order in which they came.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.headers.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The lines that are not valid headers and were ignored, if there were any.
    pub fn skipped(&self) -> Option<Skipped> {
        self.skipped
    }

    /// The host and port in the `Host` header, if they can safely be used in a URL.
    pub fn host(&self) -> Option<&str> {
        let named = match self.target[..self.path_start].split_once("://") {
            Some((_, authority)) => authority,
            None => self.header("host")?,
        };
        is_safe_host(named).then_some(named)
    }

    /// Whether the client waits for `100 Continue` before it sends its body.
    ///
    /// In every version, although HTTP/1.0 has no such thing: a client that asks for it waits for it.
    pub fn expects_continue(&self) -> bool {
        let expect = self.header("expect");
        expect.is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    /// The end of the body.
    pub fn body_kind(&self) -> BodyKind {
        self.body_kind
    }

    /// The bytes that follow this head.
    pub fn after(&self) -> AfterHead {
        self.after
    }

    /// Whether the client can take titles between the audio: `Icy-MetaData` with a number other than 0.
    ///
    /// Read as C's `atoi` does, because Icecast does: `1` and `1;x` are yes, `0` and `yes` are no.
    pub fn wants_icy(&self) -> bool {
        let value = self.header("icy-metadata").unwrap_or_default();
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value).bytes();
        let mut number = digits.take_while(u8::is_ascii_digit);
        number.any(|digit| digit != b'0')
    }

    /// Whether the client will use the connection again after a bounded answer.
    pub fn wants_keep_alive(&self) -> bool {
        let says = |wanted: &str| {
            let connection = self.headers.iter().filter(|(name, _)| name == "connection");
            let mut words = connection.flat_map(|(_, value)| value.split(','));
            words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
        };
        let usual = self.version == HttpVersion::Http11;
        !says("close") && (usual || says("keep-alive"))
    }
}

/// Whether a host and port can be used in a URL: nothing in them could end it, and a player can connect to them.
pub(super) fn is_safe_host(named: &str) -> bool {
    // Some old programs forget the brackets.
    if named.parse::<Ipv6Addr>().is_ok() {
        return true;
    }
    let (host, port) = match named.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, rest))) if host.parse::<Ipv6Addr>().is_ok() => (None, rest),
        Some(_) => return false,
        None => {
            let end = named.find(':').unwrap_or(named.len());
            (Some(&named[..end]), &named[end..])
        }
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|it| it > 0)
    };
    host.is_none_or(is_host_name)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Whether a text can be the name or the IPv4 address of a host.
fn is_host_name(named: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~".contains(&byte);
    named.bytes().all(safe) && named.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

impl std::fmt::Debug for Head {
    /// Leaves out the headers, because one of them is a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("version", &self.version)
            .field("headers", &self.headers.len())
            .field("body_kind", &self.body_kind)
            .field("after", &self.after)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Parsed, parse};
    use super::*;

    fn get(headers: &str) -> Head {
        with_line("GET /a?redirect=no HTTP/1.1", headers)
    }

    fn with_line(line: &str, headers: &str) -> Head {
        match parse(format!("{line}\r\n{headers}\r\n").as_bytes()) {
            Ok(Parsed::Complete { head, .. }) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_of_two_headers_counts() {
        let head = get("X-A: 1\r\nx-a: 2\r\n");
        assert_eq!(head.header("X-a"), Some("2"));
        assert_eq!(head.headers().count(), 2);
        assert_eq!(head.header("X-B"), None);
    }

    #[test]
    fn titles_are_for_clients_that_ask_with_a_number() {
        for (value, wants) in [
            ("1", true),
            ("1;x", true),
            ("-1", true),
            ("010", true),
            ("0", false),
            ("yes", false),
            ("", false),
            ("+", false),
        ] {
            let head = get(&format!("Icy-MetaData: {value}\r\n"));
            assert_eq!(head.wants_icy(), wants, "{value:?}");
        }
        assert!(!get("").wants_icy());
    }

    #[test]
    fn a_connection_is_kept_when_both_sides_know_how() {
        let keeps = |line, headers| with_line(line, headers).wants_keep_alive();
        assert!(keeps("GET / HTTP/1.1", ""));
        assert!(!keeps("GET / HTTP/1.1", "Connection: Close\r\n"));
        assert!(!keeps("GET / HTTP/1.0", ""));
        assert!(keeps("GET / HTTP/1.0", "Connection: Keep-Alive\r\n"));
        assert!(keeps(
            "GET / HTTP/1.0",
            "Connection: upgrade, keep-alive\r\n"
        ));
        let both = "Connection: keep-alive\r\nConnection: close\r\n";
        assert!(!keeps("GET / HTTP/1.1", both));
        assert!(!keeps("SOURCE / ICE/1.0", ""));
    }

    #[test]
    fn a_target_falls_into_path_and_query() {
        let head = get("");
        assert_eq!((head.path(), head.query()), ("/a", Some("redirect=no")));
        assert_eq!(head.target(), "/a?redirect=no");
        assert_eq!(with_line("GET /a#b?c HTTP/1.0", "").query(), None);
        assert_eq!(with_line("GET /a?b#c HTTP/1.0", "").query(), Some("b%23c"));
        assert_eq!(with_line("OPTIONS * HTTP/1.1", "").path(), "*");
    }

    #[test]
    fn a_host_that_could_break_a_url_is_no_host() {
        let host = |value: &str| get(&format!("Host: {value}\r\n")).host().map(String::from);
        for good in [
            "radio.example:8000",
            "[::1]:8000",
            "[::1]",
            "::1",
            "127.0.0.1",
            "h:65535",
        ] {
            assert_eq!(host(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "a/b",
            "a b",
            "u@h",
            "a\"b",
            "é",
            "[::1",
            "::1]",
            "[::1]8000",
            "[h]:80",
            "host:99999",
            "127.1:0",
            "h:",
            "h:+80",
            "h:80:80",
            ":80",
            ".",
            "[]",
        ] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_debug_print_holds_no_secret() {
        let head = get("Authorization: Basic c2VjcmV0\r\n");
        assert!(!format!("{head:?}").contains("c2VjcmV0"));
    }
}
