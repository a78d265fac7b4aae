//! Why some bytes are no request head that we take.

use super::status::Status;

/// Why some bytes are no request head. Nothing of them was taken; the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The first bytes cannot begin a request line: TLS, a Shoutcast password, noise.
    #[error("this is not HTTP")]
    NotHttp,
    /// The head is longer than [`MAX_HEAD_BYTES`](super::reader::MAX_HEAD_BYTES).
    #[error("the request head is too long")]
    TooLarge,
    /// The head has more than [`MAX_HEADERS`](super::reader::MAX_HEADERS) headers.
    #[error("the request has too many headers")]
    TooManyHeaders,
    /// A NUL, or another control byte in the request line.
    #[error("the request line holds a control byte, or the head a NUL")]
    ControlByte,
    /// The first line is not method, target, version.
    #[error("the request line makes no sense")]
    BadRequestLine,
    /// The target is no path, or a path that tries to leave its place: `..`, `//`, `%00`.
    #[error("the request target makes no sense")]
    BadTarget,
    /// A version of HTTP that we do not speak.
    #[error("this version of HTTP is not spoken here")]
    UnsupportedVersion,
    /// A line that one reader could take for the length of the body, or for who asks whom, and another for noise.
    #[error(
        "Content-Length, Transfer-Encoding, Host, Authorization, Expect or Connection is malformed or goes on in the next line"
    )]
    BadHeader,
    /// Two `Host` headers: two servers would see two different requests.
    #[error("there are two Host headers")]
    TwoHosts,
    /// A `Content-Length` that is no number, or one beyond all bodies.
    #[error("Content-Length is no number of bytes that a body can have")]
    BadContentLength,
    /// Two lengths, or a length and a coding: two readers would see two different bodies.
    #[error("the length of the body is given twice")]
    ConflictingLengths,
    /// A `Transfer-Encoding` other than `chunked`.
    #[error("this Transfer-Encoding is not known here")]
    UnsupportedCoding,
}

impl HeadError {
    /// The status to answer with; `None`: close without a word, nobody there reads HTTP.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::NotHttp => None,
            Self::TooLarge | Self::TooManyHeaders => Some(Status::HeadTooLarge),
            Self::UnsupportedVersion => Some(Status::VersionNotSupported),
            Self::UnsupportedCoding => Some(Status::NotImplemented),
            Self::ControlByte
            | Self::BadRequestLine
            | Self::BadTarget
            | Self::BadHeader
            | Self::TwoHosts
            | Self::BadContentLength
            | Self::ConflictingLengths => Some(Status::BadRequest),
        }
    }
}
