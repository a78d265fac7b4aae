//! The API of mounts.

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::Admin;
use super::body::{self, BadBody};
use super::reply::{self, FullBody};
use super::settings::{self, BadSettings};
use crate::logic::records::mounts::MOUNT_KIND;
use crate::model::mount::{BadMountName, MountName, MountSpec};
use crate::service::document::MountError;

/// Where mounts are, below it each by its path.
pub(super) const MOUNTS: &str = "/api/v1/mounts";

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error("`path` is missing")]
    NoPath,
    #[error("path: {0}")]
    Path(#[from] BadMountName),
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Mount(#[from] MountError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(bad) => bad.status(),
            Self::NoPath | Self::Path(_) => StatusCode::BAD_REQUEST,
            Self::Settings(bad) => bad.status(),
            Self::Mount(MountError::Exists(_)) => StatusCode::CONFLICT,
            Self::Mount(MountError::NotThere(_)) => StatusCode::NOT_FOUND,
            Self::Mount(MountError::Edit(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Mount(MountError::Unsaved(why)) => reply::unsaved(why),
        }
    }
}

/// Answers a request below [`MOUNTS`] of a client that has the right.
pub(super) async fn mounts(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    let path = request.uri().path().to_owned();
    let answer = match path.strip_prefix(MOUNTS).unwrap_or_default() {
        "" | "/" => all(admin, request).await,
        path => match MountName::from_request_path(path) {
            Ok(mount) => one(admin, &mount, request).await,
            Err(error) => Err(error.into()),
        },
    };
    answer.unwrap_or_else(|refusal| reply::error(refusal.status(), refusal))
}

async fn all(admin: &Admin, request: Request<Incoming>) -> Result<Response<FullBody>, Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let mounts = admin.0.documents.mounts();
            let specs: Vec<&MountSpec> = mounts.values().collect();
            Ok(reply::json(StatusCode::OK, &specs))
        }
        Method::POST => create(admin, body::object(request).await?).await,
        _ => Ok(wrong_method("GET, POST")),
    }
}

async fn one(
    admin: &Admin,
    mount: &MountName,
    request: Request<Incoming>,
) -> Result<Response<FullBody>, Refusal> {
    let documents = &admin.0.documents;
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::PATCH => {
            let fields = body::object(request).await?;
            let changes = settings::changes(admin, &MOUNT_KIND, fields).await?;
            documents.set_mount(mount, changes).await?;
        }
        Method::DELETE => {
            documents.delete_mount(mount).await?;
            return Ok(reply::no_content());
        }
        _ => return Ok(wrong_method("GET, PATCH, DELETE")),
    }
    Ok(reply::json(StatusCode::OK, &spec(admin, mount)?))
}

async fn create(
    admin: &Admin,
    mut fields: Map<String, Value>,
) -> Result<Response<FullBody>, Refusal> {
    let path = fields.remove("path").ok_or(Refusal::NoPath)?;
    let mount = MountName::try_from(body::typed("path", path)?)?;
    if admin.0.documents.mount(&mount).is_some() {
        return Err(MountError::Exists(mount).into());
    }
    let password = settings::password(&mut fields)?;
    let changes = settings::changes(admin, &MOUNT_KIND, fields).await?;
    admin.0.documents.create_mount(&mount, changes).await?;
    let mut shown = json!(spec(admin, &mount)?);
    shown["password"] = json!(password.reveal());
    Ok(reply::json(StatusCode::CREATED, &shown))
}

fn spec(admin: &Admin, mount: &MountName) -> Result<MountSpec, MountError> {
    let spec = admin.0.documents.mount(mount);
    spec.ok_or_else(|| MountError::NotThere(mount.clone()))
}

pub(super) fn wrong_method(allowed: &'static str) -> Response<FullBody> {
    let mut answer = reply::error(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed}"));
    let allowed = hyper::header::HeaderValue::from_static(allowed);
    answer.headers_mut().insert("Allow", allowed);
    answer
}
