//! The API of outside servers.

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};

use super::Admin;
use super::api::wrong_method;
use super::body::{self, BadBody};
use super::reply::{self, FullBody};
use super::settings::{self, BadSettings};
use crate::logic::records::kind::BadRecord;
use crate::logic::records::outside;
use crate::logic::records::outside::{BadServerName, OUTSIDE_KIND};
use crate::model::node::NodeName;
use crate::service::document::OutsideError;

/// Where outside servers are, below it each by its name.
pub(super) const OUTSIDE: &str = "/api/v1/outside";

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Name(#[from] BadServerName),
    #[error("`name` is missing")]
    Nameless,
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Server(#[from] OutsideError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Name(_) | Self::Nameless => StatusCode::BAD_REQUEST,
            Self::Body(bad) => bad.status(),
            Self::Settings(bad) => bad.status(),
            Self::Server(OutsideError::Exists(_)) => StatusCode::CONFLICT,
            Self::Server(OutsideError::NotThere(_)) => StatusCode::NOT_FOUND,
            Self::Server(OutsideError::Unsaved(why)) => reply::unsaved(why),
            Self::Server(OutsideError::Bad(BadRecord::TooMany(_)) | OutsideError::Edit(_)) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Server(OutsideError::Bad(_)) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Answers a request below [`OUTSIDE`] of a client that has the right.
pub(super) async fn outside(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    let path = request.uri().path().to_owned();
    let name = path.strip_prefix(OUTSIDE).unwrap_or_default();
    let answer = match name.trim_start_matches('/') {
        "" => all(admin, request).await,
        name => one(admin, name, request).await,
    };
    answer.unwrap_or_else(|refusal| reply::error(refusal.status(), refusal))
}

async fn all(admin: &Admin, request: Request<Incoming>) -> Result<Response<FullBody>, Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let servers = admin.0.statuses.outside_details();
            Ok(reply::json(StatusCode::OK, &servers))
        }
        Method::POST => {
            let mut fields = body::object(request).await?;
            let name = fields.remove("name").ok_or(Refusal::Nameless)?;
            let name = outside::name(&body::typed("name", name)?)?;
            let changes = settings::changes(admin, &OUTSIDE_KIND, fields).await?;
            admin.0.documents.add_outside(&name, changes).await?;
            shown(admin, &name, StatusCode::CREATED)
        }
        _ => Ok(wrong_method("GET, POST")),
    }
}

async fn one(
    admin: &Admin,
    name: &str,
    request: Request<Incoming>,
) -> Result<Response<FullBody>, Refusal> {
    let name = outside::name(name)?;
    let documents = &admin.0.documents;
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::PATCH => {
            let fields = body::object(request).await?;
            let changes = settings::changes(admin, &OUTSIDE_KIND, fields).await?;
            documents.set_outside(&name, changes).await?;
        }
        Method::DELETE => {
            documents.remove_outside(&name).await?;
            return Ok(reply::no_content());
        }
        _ => return Ok(wrong_method("GET, PATCH, DELETE")),
    }
    shown(admin, &name, StatusCode::OK)
}

fn shown(
    admin: &Admin,
    name: &NodeName,
    status: StatusCode,
) -> Result<Response<FullBody>, Refusal> {
    let mut servers = admin.0.statuses.outside_details().into_iter();
    let found = servers.find(|detail| detail.server.name == *name);
    let found = found.ok_or_else(|| OutsideError::NotThere(name.clone()))?;
    Ok(reply::json(status, &found))
}
