//! The answers of pages and API.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::allowed::Allowed;
use crate::wire::http::head;
use crate::wire::http::reply::{CORS_MAX_AGE_S, CORS_REQUEST_HEADERS};

/// The body of an answer; may be streamed.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

fn of(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("Content-Type", content_type)
        .header("Cache-Control", "no-store")
        .header("Access-Control-Allow-Origin", "*")
        .header("X-Content-Type-Options", "nosniff")
        // Some of these hold text of strangers, and none is a page.
        .header("Content-Security-Policy", "sandbox")
        .body(Full::new(body.into()).boxed_unsync())
        .expect("these headers are constants")
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    of(status, "text/plain; charset=utf-8", body)
}

/// JSON, indented, because people read it too.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    let mut body = serde_json::to_vec_pretty(value).expect("our answers have text keys");
    body.push(b'\n');
    of(status, "application/json; charset=utf-8", body)
}

/// A page without scripts, in which texts of strangers are escaped.
pub(super) fn html(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    of(status, "text/html; charset=utf-8", body)
}

/// XML.
pub(super) fn xml(status: StatusCode, body: String) -> Response<Body> {
    of(status, "text/xml; charset=utf-8", body)
}

/// `{"error": "…"}`.
pub(super) fn error(status: StatusCode, why: impl std::fmt::Display) -> Response<Body> {
    let why = why.to_string();
    let reply = json(status, &json!({ "error": why }));
    complaining(reply, why)
}

/// The fault of a request, for the log; goes with its answer.
#[derive(Clone, Debug)]
pub(super) struct Complaint(pub(super) String);

/// Lets the log know why a request is refused. A request for what is not there has not been refused, and of a login the
/// log is told where it is checked.
pub(super) fn complaining(mut reply: Response<Body>, why: String) -> Response<Body> {
    let quiet = [
        StatusCode::UNAUTHORIZED,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_IMPLEMENTED,
    ];
    if reply.status().is_client_error() && !quiet.contains(&reply.status()) {
        reply.extensions_mut().insert(Complaint(why));
    }
    reply
}

/// 204: done, and there is nothing to say.
pub(super) fn no_content() -> Response<Body> {
    of(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", "")
}

/// 404, with where to look.
pub(super) fn nothing_here() -> Response<Body> {
    let why = "there is nothing at this address: the page of this node is /, its API is below /api/v1/, and \
               docs/protocol.md lists all addresses";
    error(StatusCode::NOT_FOUND, why)
}

/// 405: the path has only these methods. 501 if no path has the method.
pub(super) fn wrong_method(method: &Method, allowed: &Allowed) -> Response<Body> {
    let status = match is_known(method) {
        true => StatusCode::METHOD_NOT_ALLOWED,
        false => StatusCode::NOT_IMPLEMENTED,
    };
    let all = allowed.all();
    let mut reply = error(status, format!("use {all}"));
    reply.headers_mut().insert(ALLOW, value(&all));
    reply
}

/// Whether any path of this node, be it a page's or a mount's, may have a method.
fn is_known(method: &Method) -> bool {
    !matches!(
        head::Method::from_token(method.as_str().as_bytes()),
        head::Method::Unknown(_)
    )
}

/// 204 to `OPTIONS`: the methods of a path, and what a page of another site may send there.
pub(super) fn options(allowed: &Allowed) -> Response<Body> {
    let mut reply = no_content();
    let headers = reply.headers_mut();
    headers.insert(ALLOW, value(&allowed.all()));
    for (name, text) in [
        (
            "Access-Control-Allow-Methods",
            allowed.cross_site().as_str(),
        ),
        ("Access-Control-Allow-Headers", CORS_REQUEST_HEADERS),
        ("Access-Control-Max-Age", CORS_MAX_AGE_S),
    ] {
        headers.insert(name, value(text));
    }
    reply
}

/// 408: the request did not arrive in time.
pub(super) fn too_slow() -> Response<Body> {
    error(
        StatusCode::REQUEST_TIMEOUT,
        "the request took too long to arrive",
    )
}

/// 503: the node did not answer in time.
pub(super) fn late() -> Response<Body> {
    let why = "this took too long, and may have been done all the same: look before you try again";
    error(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("names of methods and headers are plain text")
}
