//! The HTTP statuses that a node answers with.

/// A status of HTTP that a node can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpStatus {
    /// 200: the request succeeded.
    Ok,
    /// 204: the request succeeded, and there is no body.
    NoContent,
    /// 206: a part of a file.
    PartialContent,
    /// 302: the stream is at another address for now.
    Found,
    /// 304: the client has the file as it is.
    NotModified,
    /// 307: the same request is to be made at another address for now.
    TemporaryRedirect,
    /// 400: the request is invalid.
    BadRequest,
    /// 401: a login is needed.
    Unauthorized,
    /// 403: the request is refused.
    Forbidden,
    /// 404: not found.
    NotFound,
    /// 405: this method is not allowed here.
    MethodNotAllowed,
    /// 408: the head did not come in time.
    RequestTimeout,
    /// 416: the part that is asked for is behind the end of the file.
    RangeNotSatisfiable,
    /// 426: this needs TLS.
    UpgradeRequired,
    /// 431: the head is too long.
    HeadTooLarge,
    /// 501: an unknown method or coding.
    NotImplemented,
    /// 503: not possible now; try again later.
    Unavailable,
    /// 505: an unsupported version of HTTP.
    VersionNotSupported,
    /// 508: the request has come from here, by way of others.
    LoopDetected,
}

impl HttpStatus {
    /// The three digits.
    pub fn code(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::NoContent => 204,
            Self::PartialContent => 206,
            Self::Found => 302,
            Self::NotModified => 304,
            Self::TemporaryRedirect => 307,
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::RangeNotSatisfiable => 416,
            Self::UpgradeRequired => 426,
            Self::HeadTooLarge => 431,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
            Self::VersionNotSupported => 505,
            Self::LoopDetected => 508,
        }
    }

    /// The usual words after the digits.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NoContent => "No Content",
            Self::PartialContent => "Partial Content",
            Self::Found => "Found",
            Self::NotModified => "Not Modified",
            Self::TemporaryRedirect => "Temporary Redirect",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Authentication Required",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::RangeNotSatisfiable => "Range Not Satisfiable",
            Self::UpgradeRequired => "Upgrade Required",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::NotImplemented => "Not Implemented",
            Self::Unavailable => "Service Unavailable",
            Self::VersionNotSupported => "HTTP Version Not Supported",
            Self::LoopDetected => "Loop Detected",
        }
    }
}
