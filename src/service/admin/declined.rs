//! Why a request is not carried out, and the status that says so. Each error that a handler may meet has its own here.

use std::fmt::Display;

use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::body::BadBody;
use super::browser::CrossSite;
use super::orders::OrderError;
use super::query::BadParameter;
use super::reply;
use super::reply::Body;
use super::settings::BadSettings;
use crate::io::http::BadAuthorities;
use crate::io::password::{BadImport, HashError};
use crate::logic::records::accounts::AccountUnfit;
use crate::logic::records::kind::BadRecord;
use crate::logic::records::outside::BadServerName;
use crate::model::account::BadAccountName;
use crate::model::listener::BadListenerId;
use crate::model::node::BadNodeName;
use crate::service::audience::NotKilled;
use crate::service::certificates::deletion::NotDeleted;
use crate::service::certificates::orders::{NotImported, NotRenewed};
use crate::service::dismissal::NotDismissed;
use crate::service::document::{ChangeError, Unsaved};
use crate::service::logins::NoRight;
use crate::service::loops::NotPut;
use crate::service::node_question::NoAnswer;

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Declined {
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// The reason, for the client.
    pub(super) why: String,
}

impl Declined {
    /// Answers with this status and this reason.
    pub(super) fn new(status: StatusCode, why: impl Display) -> Self {
        let why = why.to_string();
        Self { status, why }
    }

    /// 400, for this reason.
    pub(super) fn bad(why: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// 404, for this reason.
    pub(super) fn not_found(why: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }

    /// 409, for this reason.
    pub(super) fn conflict(why: impl Display) -> Self {
        Self::new(StatusCode::CONFLICT, why)
    }

    /// The answer, which the log is told of. A request that may not do this is asked for a login.
    pub(super) fn answer(self) -> Response<Body> {
        let mut answer = reply::error(self.status, self.why);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"antiphon\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// An error that declines a request.
pub(super) trait Declining: Display {
    /// The status of the answer: 400, unless the error is of another kind than a request that makes no sense.
    fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl<E: Declining> From<E> for Declined {
    fn from(error: E) -> Self {
        Self::new(error.status(), error)
    }
}

impl Declining for BadBody {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLong | Self::FileTooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokenOff
            | Self::Json(_)
            | Self::Twice(_)
            | Self::Kind(_)
            | Self::NoText(_)
            | Self::Number(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl Declining for HashError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Length => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Declining for BadSettings {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(bad) => bad.status(),
            Self::NoText(_) | Self::Setting(_) => StatusCode::BAD_REQUEST,
            Self::Hash(why) => why.status(),
        }
    }
}

impl Declining for CrossSite {
    fn status(&self) -> StatusCode {
        StatusCode::FORBIDDEN
    }
}

impl Declining for NoRight {
    fn status(&self) -> StatusCode {
        match self {
            Self::Anonymous | Self::Denied => StatusCode::UNAUTHORIZED,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Declining for BadNodeName {}

impl Declining for BadAuthorities {}

impl Declining for NotImported {
    fn status(&self) -> StatusCode {
        match self {
            Self::Change(why) => why.status(),
            Self::Bad(_) | Self::NoName | Self::TooLong | Self::Expired(_) => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

impl Declining for NotDeleted {
    fn status(&self) -> StatusCode {
        match self {
            Self::Change(why) => why.status(),
            Self::Unknown { .. } => StatusCode::NOT_FOUND,
            Self::Wanted(_) => StatusCode::CONFLICT,
        }
    }
}

impl Declining for NotRenewed {
    fn status(&self) -> StatusCode {
        match self {
            Self::Change(why) => why.status(),
            Self::Off | Self::Rationed { .. } | Self::Imported(_) | Self::Unprovable(_) => {
                StatusCode::CONFLICT
            }
            Self::Unknown { .. } => StatusCode::NOT_FOUND,
        }
    }
}

impl Declining for BadParameter {}

impl Declining for BadServerName {}

impl Declining for Unsaved {
    fn status(&self) -> StatusCode {
        match self {
            Self::Disk(_) | Self::Doubtful(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Late | Self::Clock(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Declining for ChangeError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Exists(_)
            | Self::Needed { .. }
            | Self::IsFallback { .. }
            | Self::IsSwitchedTo { .. }
            | Self::IsPlayed { .. }
            | Self::AccountExists { .. }
            | Self::Superseded(_) => StatusCode::CONFLICT,
            Self::NotThere(_) | Self::NoSuchAccount { .. } => StatusCode::NOT_FOUND,
            Self::Bad(BadRecord::TooMany(_))
            | Self::Edit(_)
            | Self::NoRoom(_)
            | Self::AccountUnfit(AccountUnfit::Full)
            | Self::TooManyCertificates => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Bad(_)
            | Self::Transcoding(_)
            | Self::Relaying(_)
            | Self::Fallback(_)
            | Self::AccountUnfit(AccountUnfit::Long) => StatusCode::BAD_REQUEST,
            Self::Unsaved(why) => why.status(),
        }
    }
}

impl Declining for NotPut {
    fn status(&self) -> StatusCode {
        match self {
            Self::OtherFormat { .. } => StatusCode::CONFLICT,
            Self::Unfit(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Change(why) => why.status(),
            Self::Disk(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Declining for BadListenerId {}

impl Declining for BadAccountName {}

impl Declining for BadImport {}

impl Declining for NotKilled {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoListener(_) => StatusCode::NOT_FOUND,
            Self::TooOld(_) => StatusCode::CONFLICT,
            Self::NoAnswer(why) => why.status(),
        }
    }
}

impl Declining for NotDismissed {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoMount(_) => StatusCode::NOT_FOUND,
            Self::NoSource(_) | Self::Transcoded { .. } | Self::Relayed(_) => StatusCode::CONFLICT,
            Self::NoAnswer(why) => why.status(),
        }
    }
}

impl Declining for OrderError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Name(_) => StatusCode::BAD_REQUEST,
            Self::NoAnswer(why) => why.status(),
        }
    }
}

impl Declining for NoAnswer {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoNode { .. } => StatusCode::NOT_FOUND,
            Self::Left(_) | Self::Dead { .. } | Self::TooOld { .. } => StatusCode::CONFLICT,
            Self::Unconfirmed { .. } => StatusCode::BAD_GATEWAY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mount::MountName;
    use crate::service::document::Subject;

    fn status(error: impl Into<Declined>) -> u16 {
        error.into().answer().status().as_u16()
    }

    #[test]
    fn only_a_request_without_rights_is_asked_for_a_login() {
        let asks = |error: Declined| error.answer().headers().contains_key(WWW_AUTHENTICATE);
        assert!(asks(NoRight::Anonymous.into()) && asks(NoRight::Denied.into()));
        assert!(!asks(NoRight::Busy.into()) && !asks(Declined::bad("x")));
    }

    #[test]
    fn an_error_has_the_status_of_its_cause() {
        assert_eq!(status(BadBody::TooLong), 413);
        assert_eq!(status(BadSettings::from(BadBody::TooLong)), 413);
        assert_eq!(status(BadSettings::from(HashError::Busy)), 503);
        assert_eq!(status(BadSettings::from(HashError::Length)), 400);
        assert_eq!(status(ChangeError::from(Unsaved::Late)), 503);
        assert_eq!(status(ChangeError::from(Unsaved::Stopping)), 503);
        let mount = || Subject::Mount(MountName::try_from("/radio.mp3").unwrap());
        assert_eq!(status(ChangeError::Exists(mount())), 409);
        assert_eq!(status(ChangeError::NotThere(mount())), 404);
        assert_eq!(status(ChangeError::Bad(BadRecord::Missing("mounts"))), 400);
        assert_eq!(status(ChangeError::Bad(BadRecord::TooMany(256))), 422);
        let name = crate::model::node::NodeName::try_from("").unwrap_err();
        assert_eq!(status(OrderError::Name(name)), 400);
    }
}
