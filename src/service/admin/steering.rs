//! The API of where listeners are sent: the policy, why, and the candidates for programs that choose themselves.

use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::Admin;
use super::api::wrong_method;
use super::body::{self, BadBody};
use super::reply::{self, FullBody};
use super::settings::{self, BadSettings};
use crate::logic::records::steering::MESH_KIND;
use crate::model::mount::{BadMountName, MountName};
use crate::service::document::ChangeError;
use crate::wire::http::forwarded::Client;

/// How many candidates are told unless more are asked for.
const USUAL_CANDIDATES: usize = 5;
/// How long a program should wait before it asks again, seconds: loads have changed by then.
const CANDIDATES_TTL_S: u32 = 10;

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("say which mount: ?mount=/radio.mp3")]
    WhichMount,
    #[error("mount: {0}")]
    Mount(#[from] BadMountName),
    #[error("there is no mount {0}")]
    NoMount(MountName),
    #[error("from: {0:?} is no IP address")]
    From(String),
    #[error("most: a number from 1 to {}", crate::service::listen::MAX_CANDIDATES)]
    Most,
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Refusal {
    fn answer(self) -> Response<FullBody> {
        let status = match &self {
            Self::NoMount(_) => StatusCode::NOT_FOUND,
            Self::Body(bad) => bad.status(),
            Self::Settings(bad) => bad.status(),
            Self::Change(why) => reply::unchanged(why),
            _ => StatusCode::BAD_REQUEST,
        };
        reply::error(status, self)
    }
}

/// Shows the policy, or sets it on all nodes. One that cannot be read is refused, and the old one stays.
pub(super) async fn policy(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    let set = match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        Method::PATCH => set(admin, request).await,
        _ => return wrong_method("GET, PATCH"),
    };
    if let Err(refusal) = set {
        return refusal.answer();
    }
    let steering = admin.0.documents.steering();
    reply::json(StatusCode::OK, &steering.mesh)
}

async fn set(admin: &Admin, request: Request<Incoming>) -> Result<(), Refusal> {
    let fields = body::object(request).await?;
    let changes = settings::changes(admin, &MESH_KIND, fields).await?;
    Ok(admin.0.documents.set_mesh(changes).await?)
}

/// Explains where the next listener of a mount would be sent, and why.
pub(super) fn explain<T>(admin: &Admin, request: &Request<T>) -> Response<FullBody> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return wrong_method("GET");
    }
    let asked = || {
        let query = QueryText(request.uri().query().unwrap_or_default());
        let (mount, from) = (query.mount()?, query.from()?);
        let explanation = admin.0.listening.explain(&mount, from);
        explanation.ok_or(Refusal::NoMount(mount))
    };
    match asked() {
        Ok(explanation) => reply::json(StatusCode::OK, &explanation),
        Err(refusal) => refusal.answer(),
    }
}

/// Tells anybody, web pages of other sites too, where a mount is best heard, the best first.
pub(super) fn candidates<T>(
    admin: &Admin,
    request: &Request<T>,
    client: Client,
) -> Response<FullBody> {
    let asked = || {
        let query = QueryText(request.uri().query().unwrap_or_default());
        let (mount, most) = (query.mount()?, query.most()?);
        if admin.0.documents.mount(&mount).is_none() {
            return Err(Refusal::NoMount(mount));
        }
        let candidates = admin.0.listening.candidates(&mount, client, most);
        Ok(json!({
            "mount": mount,
            "ttl_s": CANDIDATES_TTL_S,
            "candidates": candidates,
        }))
    };
    let mut answer = match asked() {
        Ok(told) => reply::json(StatusCode::OK, &told),
        Err(refusal) => refusal.answer(),
    };
    let anybody = HeaderValue::from_static("*");
    let headers = answer.headers_mut();
    headers.insert("Access-Control-Allow-Origin", anybody);
    answer
}

/// What stands behind the question mark.
struct QueryText<'a>(&'a str);

impl QueryText<'_> {
    fn value(&self, key: &str) -> Option<String> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == key)?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    }

    fn mount(&self) -> Result<MountName, Refusal> {
        let path = self.value("mount").ok_or(Refusal::WhichMount)?;
        Ok(MountName::try_from(path)?)
    }

    fn from(&self) -> Result<Option<IpAddr>, Refusal> {
        let text = self.value("from");
        let read = text.map(|text| text.parse().map_err(|_| text));
        read.transpose()
            .map_err(|text| Refusal::From(text.chars().take(64).collect()))
    }

    fn most(&self) -> Result<usize, Refusal> {
        let Some(text) = self.value("most") else {
            return Ok(USUAL_CANDIDATES);
        };
        let number = text.parse().map_err(|_| Refusal::Most)?;
        let fits = (1..=crate::service::listen::MAX_CANDIDATES).contains(&number);
        fits.then_some(number).ok_or(Refusal::Most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_what_is_wrong_with_it_is_said() {
        let query = QueryText("mount=%2Fradio.mp3&from=2001:db8::1&most=3");
        assert_eq!(query.mount().unwrap().as_str(), "/radio.mp3");
        assert_eq!(query.from().unwrap(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(query.most().unwrap(), 3);
        assert_eq!(QueryText("").most().unwrap(), USUAL_CANDIDATES);
        assert_eq!(QueryText("").from().unwrap(), None);
        for (bad, hint) in [
            (QueryText("").mount().err(), "?mount=/radio.mp3"),
            (QueryText("mount=radio").mount().err(), "must begin with /"),
        ] {
            assert!(bad.unwrap().to_string().contains(hint));
        }
        assert!(QueryText("from=home").from().is_err());
        assert!(QueryText("most=0").most().is_err() && QueryText("most=x").most().is_err());
    }
}
