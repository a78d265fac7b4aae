//! Answers of the node, each as the exact bytes to send in one write.
//!
//! A source gets 19 bytes of HTTP/1.0 whatever it speaks: darkice fails at a 1.1, and reads only once.

use bytes::Bytes;

use super::error::HeadError;
use super::head::{BodyKind, Head, HttpVersion, Method};
use super::status::HttpStatus;
use super::writer::HeadWriter;
use crate::model::http_date::http_date;
use crate::model::http_header::{ExtraHeader, ExtraHeaders};

/// The first answer to an accepted source that does not wait for `100 Continue`.
const SOURCE_ACCEPTED: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// The answer to one that waits.
///
/// liquidsoap fails without the 100; butt, libshout, ffmpeg and curl accept it and continue. The 200
/// follows at once, as in Icecast, because some encoders read on and wait for it.
const SOURCE_CONTINUED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n";

/// The methods of a mount. libshout looks for PUT here, and falls back to SOURCE.
pub const MOUNT_METHODS: &str = "GET, HEAD, PUT, SOURCE, OPTIONS";

/// The methods of a path that is only read: a playlist, or the address to which a listener was sent.
pub const READ_METHODS: &str = "GET, HEAD, OPTIONS";

/// Asks for a password in the way that every encoder knows.
const CHALLENGE: &str = "Basic realm=\"antiphon\"";

/// The same for listeners: players show the words, which are Icecast's.
const LISTENER_CHALLENGE: &str = "Basic realm=\"Icecast2 Server\"";

/// The headers that a page of another site may send to a stream.
pub const CORS_REQUEST_HEADERS: &str = "Origin, Accept, Authorization, Icy-MetaData, Range";

/// How long a browser may remember what a page of another site may send, seconds: a day, the longest time that any
/// browser accepts.
pub const CORS_MAX_AGE_S: &str = "86400";

/// The headers of a stream that a page of another site may read.
pub(in crate::wire) const CORS_RESPONSE_HEADERS: &str =
    "Icy-MetaInt, Icy-Name, Icy-Description, Icy-Genre, Icy-Url, Icy-Br, Icy-Pub, Ice-Audio-Info";

/// Headers that keep a browser from taking an answer for a page, and a page from doing anything: streams, and some of
/// the texts in other answers, are written by strangers, and all have the same origin as the API.
pub(in crate::wire) const NO_PAGE: [(&str, &str); 2] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox"),
];

/// Whether the connection can be used again after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// The next request may come.
    KeepAlive,
    /// The node closes the connection.
    Close,
}

/// How one request is to be answered: its version, its connection, the time.
#[derive(Clone, Debug)]
pub struct Reply {
    protocol: &'static str,
    persistence: Persistence,
    body: BodyPresence,
    pub(in crate::wire) unix_s: u64,
    /// The operator's headers for all answers of the node.
    general: ExtraHeaders,
    /// The operator's headers for the mount.
    special: ExtraHeaders,
}

/// Whether the client wants to see the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyPresence {
    Sent,
    /// The client asked with HEAD.
    Omitted,
}

impl Reply {
    /// Answers to `head` at `unix_s` (unix seconds).
    ///
    /// The connection is kept if the client wants that and has no body to send: a source that is
    /// refused may be sending already, and its audio would be read as the next request.
    pub fn to(head: &Head, unix_s: u64) -> Self {
        let reusable = head.wants_keep_alive() && head.body_kind() == BodyKind::Length(0);
        Self {
            protocol: match head.version() {
                HttpVersion::Http11 => "HTTP/1.1",
                HttpVersion::Ice10 | HttpVersion::Http10 | HttpVersion::Http20 => "HTTP/1.0",
            },
            persistence: match reusable {
                true => Persistence::KeepAlive,
                false => Persistence::Close,
            },
            body: match head.method() {
                Method::Head => BodyPresence::Omitted,
                _ => BodyPresence::Sent,
            },
            unix_s,
            general: ExtraHeaders::default(),
            special: ExtraHeaders::default(),
        }
    }

    /// Answers a client whose head could not be read, at `unix_s` (unix seconds). `begun` is what has come of the head: to
    /// a HEAD, no body is sent.
    pub fn without_head(begun: &[u8], unix_s: u64) -> Self {
        Self {
            protocol: "HTTP/1.0",
            persistence: Persistence::Close,
            body: match begun.trim_ascii_start().starts_with(b"HEAD ") {
                true => BodyPresence::Omitted,
                false => BodyPresence::Sent,
            },
            unix_s,
            general: ExtraHeaders::default(),
            special: ExtraHeaders::default(),
        }
    }

    /// The same answer with the operator's headers for all answers of the node.
    pub fn with_headers(self, general: ExtraHeaders) -> Self {
        Self { general, ..self }
    }

    /// The same answer with the headers of a mount, which go before those of the node.
    pub fn of_mount(self, special: ExtraHeaders) -> Self {
        Self { special, ..self }
    }

    /// The operator's headers for an answer of this status.
    pub(in crate::wire) fn extra(&self, status: HttpStatus) -> Vec<&ExtraHeader> {
        self.general.for_status(&self.special, status.code())
    }

    /// The same answer, after which the connection is closed.
    pub fn and_close(&self) -> Self {
        Self {
            persistence: Persistence::Close,
            ..self.clone()
        }
    }

    /// The fate of the connection after an answer other than a stream.
    pub fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Any bounded answer with a message as its body, and with headers of its own.
    pub fn message(&self, status: HttpStatus, message: &str, headers: &[(&str, &str)]) -> Bytes {
        self.bounded(status, status.reason(), message, headers)
    }

    /// 200 with a small body, such as a playlist.
    pub fn content(&self, content_type: &str, body: &str) -> Bytes {
        let mut head = self.begin(HttpStatus::Ok, HttpStatus::Ok.reason());
        head.header("Content-Type", content_type);
        self.end(head, body)
    }

    /// 302 to an absolute URL on another node. Browsers of other sites may follow it.
    pub fn redirect(&self, location: &str) -> Bytes {
        let mut head = self.begin(HttpStatus::Found, HttpStatus::Found.reason());
        head.header("Location", location);
        self.end(head, "")
    }

    /// 307 to the same by HTTPS: the method and the body stay what they are, and nobody remembers it.
    pub fn to_https(&self, location: &str) -> Bytes {
        let message = format!("go on at {location}\n");
        let headers = [("Location", location)];
        self.message(HttpStatus::TemporaryRedirect, &message, &headers)
    }

    /// 426: a login is not taken without TLS. libshout, left to choose, then speaks TLS.
    pub fn tls_required(&self, why: &str) -> Bytes {
        let headers = [("Upgrade", "TLS/1.2"), ("Connection", "Upgrade")];
        self.message(HttpStatus::UpgradeRequired, why, &headers)
    }

    /// 401: libshout asks without a password first, reads `Allow`, and asks again.
    pub fn unauthorized(&self) -> Bytes {
        let headers = [("WWW-Authenticate", CHALLENGE), ("Allow", MOUNT_METHODS)];
        self.message(
            HttpStatus::Unauthorized,
            "You need to authenticate\r\n",
            &headers,
        )
    }

    /// 401 to a listener of a mount that is not open to all.
    pub fn listener_challenge(&self) -> Bytes {
        let headers = [
            ("WWW-Authenticate", LISTENER_CHALLENGE),
            ("Allow", MOUNT_METHODS),
        ];
        self.message(
            HttpStatus::Unauthorized,
            "You need to authenticate\r\n",
            &headers,
        )
    }

    /// 403 with `why` as reason and as body: encoders look for known words in either place.
    pub fn forbidden(&self, why: &str) -> Bytes {
        self.bounded(HttpStatus::Forbidden, why, why, &[])
    }

    /// 403 to a source whose mount has one. butt and sdrtrunk try again when they read these words.
    pub fn mount_in_use(&self) -> Bytes {
        self.forbidden("Mountpoint in use")
    }

    /// 404, in Icecast's words.
    pub fn not_found(&self) -> Bytes {
        let message = "The file you requested could not be found";
        self.message(HttpStatus::NotFound, message, &[])
    }

    /// 405 for a known method that is none of those of the path, which are `allowed`; 501 for an unknown one.
    pub fn wrong_method(&self, method: &Method, allowed: &str) -> Bytes {
        let status = match method {
            Method::Unknown(_) => HttpStatus::NotImplemented,
            _ => HttpStatus::MethodNotAllowed,
        };
        self.message(status, &format!("use {allowed}"), &[("Allow", allowed)])
    }

    /// 503: everything is full, or this mount cannot be served now.
    pub fn unavailable(&self, why: &str, retry_after_s: u32) -> Bytes {
        let seconds = retry_after_s.to_string();
        self.message(HttpStatus::Unavailable, why, &[("Retry-After", &seconds)])
    }

    /// 204 to `OPTIONS` of a path that has these methods: what a page of another site may do here.
    pub fn options(&self, allowed: &str) -> Bytes {
        let mut head = self.begin(HttpStatus::NoContent, HttpStatus::NoContent.reason());
        head.header("Allow", allowed);
        head.header("Access-Control-Allow-Methods", allowed);
        head.header("Access-Control-Allow-Headers", CORS_REQUEST_HEADERS);
        head.header("Access-Control-Expose-Headers", CORS_RESPONSE_HEADERS);
        head.header("Access-Control-Max-Age", CORS_MAX_AGE_S);
        head.finish(b"")
    }

    /// 200 to `OPTIONS *`, by which libshout asks what it may do with a mount.
    pub fn capabilities(&self) -> Bytes {
        let mut head = self.begin(HttpStatus::Ok, HttpStatus::Ok.reason());
        head.header("Allow", MOUNT_METHODS);
        self.end(head, "")
    }

    fn bounded(
        &self,
        status: HttpStatus,
        reason: &str,
        body: &str,
        more: &[(&str, &str)],
    ) -> Bytes {
        let mut head = self.begin(status, reason);
        for (name, value) in more {
            head.header(name, value);
        }
        head.header("Content-Type", "text/plain; charset=utf-8");
        self.end(head, body)
    }

    fn begin(&self, status: HttpStatus, reason: &str) -> HeadWriter<'_> {
        let mut head = self.open(status, reason);
        // A stream changes all the time: caches must not keep it.
        head.header("Cache-Control", "no-cache, no-store");
        for (name, value) in NO_PAGE {
            head.header(name, value);
        }
        head
    }

    /// The headers that every bounded answer has.
    pub(super) fn open(&self, status: HttpStatus, reason: &str) -> HeadWriter<'_> {
        let mut head = HeadWriter::new(self.protocol, status, reason, self.extra(status));
        head.header(
            "Connection",
            match self.persistence {
                Persistence::KeepAlive => "keep-alive",
                Persistence::Close => "close",
            },
        );
        head.header("Date", &http_date(self.unix_s));
        head.header("Access-Control-Allow-Origin", "*");
        head
    }

    /// Whether the client is to be sent a body: it has not asked with HEAD.
    pub(super) fn shows_body(&self) -> bool {
        self.body == BodyPresence::Sent
    }

    fn end(&self, mut head: HeadWriter<'_>, body: &str) -> Bytes {
        head.header("Content-Length", &body.len().to_string());
        match self.body {
            BodyPresence::Sent => head.finish(body.as_bytes()),
            BodyPresence::Omitted => head.finish(b""),
        }
    }
}

/// The answer to an accepted source.
pub fn source_accepted(head: &Head) -> Bytes {
    Bytes::from_static(match head.expects_continue() {
        true => SOURCE_CONTINUED,
        false => SOURCE_ACCEPTED,
    })
}

/// The answer to an invalid head that begins with these bytes; `None`: close without an answer.
pub fn head_refused(error: HeadError, begun: &[u8], unix_s: u64) -> Option<Bytes> {
    let reply = Reply::without_head(begun, unix_s);
    let status = error.status()?;
    Some(reply.message(status, &error.to_string(), &[]))
}
