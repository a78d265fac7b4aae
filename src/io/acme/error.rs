//! Why an authority gave no certificate, in words for an operator.

use std::time::Duration;

use hyper::StatusCode;
use instant_acme::{Error, Problem};

use super::client::Notes;
use super::key::NoRequest;
use crate::io::http::{BadAuthorities, HttpError, with_causes};
use crate::model::caption::{beginning, caption};
use crate::model::status::certificates::span;

/// The longest text of an authority that is kept: its problems have some 200 bytes, and a record is small.
const MAX_WORDS_BYTES: usize = 600;

/// Refusals (RFC 8555, section 6.7) of a request, and not of what it is about: the same may be asked again later. A nonce is
/// stale where an authority has several machines.
const OF_THE_MOMENT: [&str; 3] = ["badNonce", "rateLimited", "serverInternal"];

/// Why an authority gave no certificate. What was ordered stays ordered there.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority was not reached, or is not the one that it should be.
    #[error("{}{}", with_causes(.0), trust_advice(.0))]
    Http(#[from] HttpError),
    /// The certificates by which the authority is to be trusted are none.
    #[error("https_directory_ca: {0}")]
    Authorities(#[from] BadAuthorities),
    /// The authority has no time now.
    #[error("it answers {status}: the authority is busy, or was asked too often")]
    Busy {
        /// The status of its answer.
        status: StatusCode,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// Whatever answers is no authority.
    #[error(
        "it answers {status} with {content_type}, and that is not ACME: look at https_directory"
    )]
    NotAcme {
        /// The status of its answer.
        status: StatusCode,
        /// The media type of its answer.
        content_type: String,
    },
    /// The clock of this node or that of the authority is wrong.
    #[error(
        "the clock of this node is {} {} that of the authority, so that no certificate would be valid: set it (timedatectl)",
        span(.0.unsigned_abs()),
        if *.0 > 0 { "ahead of" } else { "behind" }
    )]
    Clock(i64),
    /// The authority refuses.
    #[error("the authority refuses: {words}")]
    Refused {
        /// The kind of the problem (RFC 8555, section 6.7), such as `rateLimited`.
        kind: String,
        /// The authority's words.
        words: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The authority has looked, and has not found what proves that a name is the mesh's.
    #[error("{0}")]
    Unproven(String),
    /// The authority has no question that the mesh could answer.
    #[error("the authority proves {name} in no way that the mesh knows ({known})")]
    NoWay {
        /// The name.
        name: String,
        /// The way that the mesh knows for this name.
        known: &'static str,
    },
    /// The authority has not come to an end in time.
    #[error("the authority has not {0} in time; it is asked again later")]
    Late(&'static str),
    /// The request for the certificate could not be made.
    #[error(transparent)]
    Request(#[from] NoRequest),
    /// The library or the authority has made a mistake.
    #[error("the authority cannot be understood: {0}")]
    Strange(String),
}

/// The advice where the authority's server is not trusted; else nothing.
fn trust_advice(error: &HttpError) -> &'static str {
    match error {
        HttpError::Untrusted(..) => {
            "; a private authority's own server is trusted by antiphon cert enable --directory-ca FILE"
        }
        _ => "",
    }
}

impl AcmeError {
    /// The error in the words of this crate.
    pub(super) fn of(error: Error, notes: &Notes, step: &'static str) -> Self {
        let head = notes.last();
        match error {
            Error::Api(problem) => Self::Refused {
                kind: kind(&problem),
                words: words(&problem),
                retry_after: head.retry_after,
            },
            Error::Json(_) => match head.status.unwrap_or_default() {
                status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                    Self::Busy {
                        status,
                        retry_after: head.retry_after,
                    }
                }
                status => Self::NotAcme {
                    status,
                    content_type: shortened(&head.content_type),
                },
            },
            Error::Timeout(_) => Self::Late(step),
            Error::Other(error) => match error.downcast::<HttpError>() {
                Ok(error) => Self::Http(*error),
                Err(error) => Self::Strange(shortened(&error.to_string())),
            },
            other => Self::Strange(shortened(&other.to_string())),
        }
    }

    /// How long the authority asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the authority does not know the account, or has closed it: a new one helps.
    pub fn is_account_gone(&self) -> bool {
        matches!(self, Self::Refused { kind, .. } if ["accountDoesNotExist", "unauthorized"].contains(&&**kind))
    }

    /// Whether the order itself is what the authority refuses: a new one may help. Otherwise the order can be gone on with.
    pub fn is_of_the_order(&self) -> bool {
        match self {
            Self::Refused { kind, .. } => !OF_THE_MOMENT.contains(&&**kind),
            Self::Unproven(_) | Self::NoWay { .. } | Self::Request(_) | Self::Strange(_) => true,
            Self::Http(_)
            | Self::Authorities(_)
            | Self::Busy { .. }
            | Self::NotAcme { .. }
            | Self::Clock(_)
            | Self::Late(_) => false,
        }
    }
}

/// Whether an order may have failed only because it would replace a certificate: the authority does not know that notion, or
/// not that certificate, or has replaced it already, or does not say in its answer that it replaces it.
pub(super) fn is_of_replacing(error: &Error) -> bool {
    const KINDS: [&str; 3] = ["alreadyReplaced", "malformed", "unauthorized"];
    match error {
        Error::Unsupported(_) => true,
        Error::Api(problem) => KINDS.contains(&&*kind(problem)),
        // The library has no kind of its own for an answer without `replaces`; those of our client are no answer at all.
        Error::Other(why) => !why.is::<HttpError>(),
        _ => false,
    }
}

fn kind(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or_default();
    shortened(kind)
}

/// The words of a problem and of its parts.
pub(super) fn words(problem: &Problem) -> String {
    let detail = problem.detail.as_deref().unwrap_or("no reason given");
    let mut text = match kind(problem) {
        kind if kind.is_empty() => detail.to_owned(),
        kind => format!("{kind}: {detail}"),
    };
    for part in &problem.subproblems {
        text += &format!("; {part}");
    }
    shortened(&text)
}

pub(super) fn shortened(text: &str) -> String {
    beginning(&caption(text), MAX_WORDS_BYTES)
}
