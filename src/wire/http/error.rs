//! Why bytes are refused as a request head.

use super::status::HttpStatus;

/// Why bytes are not a valid request head. Nothing was done with them, and the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The first bytes cannot begin a request line, nor are they the line of a Shoutcast login: TLS, noise.
    #[error("this is neither HTTP nor the login of a Shoutcast source")]
    NotHttp,
    /// The head is longer than [`MAX_HEAD_BYTES`](super::reader::MAX_HEAD_BYTES).
    #[error("the request head is too long")]
    TooLarge,
    /// The head has more than [`MAX_HEADERS`](super::reader::MAX_HEADERS) headers.
    #[error("the request has too many headers")]
    TooManyHeaders,
    /// A control byte in the request line, or a NUL before the colon of a header.
    #[error("the request line holds a control byte, or the name of a header a NUL")]
    ControlByte,
    /// The first line is not method, target, version.
    #[error("the request line is invalid: it must be a method, a target and a version")]
    BadRequestLine,
    /// The target is not a path, or a path that tries to leave its folder: `..`, `//`, `%00`.
    #[error("the request target is invalid: it must be a path")]
    BadTarget,
    /// An unsupported version of HTTP.
    #[error("unsupported version of HTTP: use 1.0 or 1.1")]
    UnsupportedVersion,
    /// A line that one reader could take for the body's length, for the host or for a login, and another reader for
    /// noise.
    #[error(
        "Content-Length, Transfer-Encoding, Host, Authorization, Expect or Connection is malformed or goes on in the next line"
    )]
    BadHeader,
    /// Two `Host` headers: two servers would see two different requests.
    #[error("there are two Host headers")]
    TwoHosts,
    /// A `Content-Length` that is not a number, or too great.
    #[error("Content-Length is not a valid number of bytes")]
    BadContentLength,
    /// Two lengths, or a length and a coding: two readers would see two different bodies.
    #[error("the length of the body is given twice")]
    ConflictingLengths,
    /// A `Transfer-Encoding` other than `chunked`.
    #[error("unsupported Transfer-Encoding: only chunked is known")]
    UnsupportedCoding,
}

impl HeadError {
    /// The status to answer with; `None`: close without an answer, because the client does not speak HTTP.
    pub fn status(self) -> Option<HttpStatus> {
        match self {
            Self::NotHttp => None,
            Self::TooLarge | Self::TooManyHeaders => Some(HttpStatus::HeadTooLarge),
            Self::UnsupportedVersion => Some(HttpStatus::VersionNotSupported),
            Self::UnsupportedCoding => Some(HttpStatus::NotImplemented),
            Self::ControlByte
            | Self::BadRequestLine
            | Self::BadTarget
            | Self::BadHeader
            | Self::TwoHosts
            | Self::BadContentLength
            | Self::ConflictingLengths => Some(HttpStatus::BadRequest),
        }
    }
}
