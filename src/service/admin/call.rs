//! A request to the pages or the API, the client that sent it, and what becomes of it.

use hyper::body::Incoming;
use hyper::{Request, Response};

use super::declined::Declined;
use super::query::{self, BadParameter};
use super::reply::Body;
use crate::service::logins::{Caller, RequestLogin};
use crate::wire::http::forwarded::Client;

/// The answer of a handler; an error is logged, and answered as JSON.
pub(super) type Answer = Result<Response<Body>, Declined>;

/// A request, as its handler gets it.
#[derive(Debug)]
pub(super) struct Call {
    /// The request. HEAD has become GET: hyper leaves the body of the answer out.
    pub(super) request: Request<Incoming>,
    /// The origin of the request, for the log and for logins.
    pub(super) caller: Caller,
    /// The part of the path that stands for the row's placeholder, decoded; empty if it has none.
    pub(super) named: String,
    /// The client, as seen through trusted proxies.
    pub(super) client: Client,
}

impl Call {
    /// The path, still percent-encoded.
    pub(super) fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// The text after the `?`, still percent-encoded; empty if there is none.
    pub(super) fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    /// The value of a parameter of the query, decoded; `None` if it is not there.
    pub(super) fn parameter(&self, key: &'static str) -> Result<Option<String>, BadParameter> {
        query::parameter(self.query(), key)
    }

    /// The value of a header; one that is no text is empty.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value = self.request.headers().get(name)?;
        Some(value.to_str().unwrap_or_default())
    }

    /// The login that the request carries.
    pub(super) fn login(&self) -> RequestLogin<'_> {
        RequestLogin {
            authorization: self.header("authorization"),
            caller: self.caller,
        }
    }
}
