//! The answers of pages and API.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::service::document::{ChangeError, Unsaved};

/// The body of an answer.
pub(super) type FullBody = Full<Bytes>;

fn of(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<FullBody> {
    Response::builder()
        .status(status)
        .header("Content-Type", content_type)
        .header("Cache-Control", "no-store")
        .header("Access-Control-Allow-Origin", "*")
        .header("X-Content-Type-Options", "nosniff")
        // What strangers wrote stands in some of these, and no page is among them.
        .header("Content-Security-Policy", "sandbox")
        .body(Full::new(body.into()))
        .expect("these headers are constants")
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<FullBody> {
    of(status, "text/plain; charset=utf-8", body)
}

/// JSON, indented, because people read it too.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<FullBody> {
    let mut body = serde_json::to_vec_pretty(value).expect("our answers have text keys");
    body.push(b'\n');
    of(status, "application/json; charset=utf-8", body)
}

/// XML.
pub(super) fn xml(status: StatusCode, body: String) -> Response<FullBody> {
    of(status, "text/xml; charset=utf-8", body)
}

/// `{"error": "…"}`.
pub(super) fn error(status: StatusCode, why: impl std::fmt::Display) -> Response<FullBody> {
    let why = why.to_string();
    let reply = json(status, &json!({ "error": why }));
    complaining(reply, why)
}

/// What is wrong with a request, for the log; goes with its answer.
#[derive(Clone, Debug)]
pub(super) struct Complaint(pub(super) String);

/// Lets the log know why a request is refused. Who asks for what is not there has not been refused, and a login is told
/// of where it is checked.
pub(super) fn complaining(mut reply: Response<FullBody>, why: String) -> Response<FullBody> {
    let quiet = [
        StatusCode::UNAUTHORIZED,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
    ];
    if reply.status().is_client_error() && !quiet.contains(&reply.status()) {
        reply.extensions_mut().insert(Complaint(why));
    }
    reply
}

/// The status of an edit that is not known to be kept.
pub(super) fn unsaved(why: &Unsaved) -> StatusCode {
    match why {
        Unsaved::Disk(_) | Unsaved::Doubtful(_) => StatusCode::INSUFFICIENT_STORAGE,
        Unsaved::Late | Unsaved::Clock(_) | Unsaved::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The status of an edit that was not made.
pub(super) fn unchanged(why: &ChangeError) -> StatusCode {
    match why {
        ChangeError::Edit(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ChangeError::Unsaved(why) => unsaved(why),
    }
}

/// Done, and nothing to say.
pub(super) fn no_content() -> Response<FullBody> {
    of(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", "")
}

/// Who are you?
pub(super) fn unauthorized() -> Response<FullBody> {
    let why = "this needs the token of this node or the admin password of the cluster";
    let mut reply = error(StatusCode::UNAUTHORIZED, why);
    let challenge = hyper::header::HeaderValue::from_static("Basic realm=\"antiphon\"");
    reply.headers_mut().insert("WWW-Authenticate", challenge);
    reply
}

/// Too many want their password checked.
pub(super) fn busy() -> Response<FullBody> {
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many logins at once, try again in a moment",
    )
}
