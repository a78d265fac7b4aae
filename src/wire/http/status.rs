//! The statuses that we answer with.

/// A status of HTTP, as far as we send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// 200: here it is.
    Ok,
    /// 204: understood, and there is no body.
    NoContent,
    /// 302: it is elsewhere for now.
    Found,
    /// 400: the request makes no sense.
    BadRequest,
    /// 401: say who you are.
    Unauthorized,
    /// 403: understood, and no.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 405: not with this method.
    MethodNotAllowed,
    /// 408: the head did not come in time.
    RequestTimeout,
    /// 431: the head is longer than we read.
    HeadTooLarge,
    /// 501: a method or a coding that we do not know.
    NotImplemented,
    /// 503: not now; come back later.
    Unavailable,
    /// 505: a version of HTTP that we do not speak.
    VersionNotSupported,
}

impl Status {
    /// The three digits.
    pub fn code(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::NoContent => 204,
            Self::Found => 302,
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::HeadTooLarge => 431,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
            Self::VersionNotSupported => 505,
        }
    }

    /// The usual words after the digits.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NoContent => "No Content",
            Self::Found => "Found",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Authentication Required",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::NotImplemented => "Not Implemented",
            Self::Unavailable => "Service Unavailable",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}
