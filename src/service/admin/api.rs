//! The API of mounts.

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use tracing::debug;

use super::Admin;
use super::body::{self, BadBody};
use super::reply::{self, FullBody};
use crate::io::password::{HashError, Secret};
use crate::logic::records::mounts::MountEdit;
use crate::model::mount::{MountName, MountSpec};
use crate::service::document::MountError;

/// Where mounts are, below it each by its path.
pub(super) const MOUNTS: &str = "/api/v1/mounts";

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error("{0}")]
    Bad(String),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("too many passwords are being set, try again in a moment")]
    Busy,
}

impl Refusal {
    fn bad(why: impl std::fmt::Display) -> Self {
        Self::Bad(why.to_string())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Body(bad) => bad.status(),
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Mount(MountError::Exists(_)) => StatusCode::CONFLICT,
            Self::Mount(MountError::NotThere(_)) => StatusCode::NOT_FOUND,
            Self::Mount(MountError::Edit(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Mount(MountError::Unsaved(why)) => reply::unsaved(why),
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Answers a request below [`MOUNTS`] of somebody who has the right.
pub(super) async fn mounts(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    let answer = match request.uri().path().strip_prefix(MOUNTS) {
        Some("" | "/") => all(admin, request).await,
        Some(path) => match MountName::from_request_path(path) {
            Ok(mount) => one(admin, &mount, request).await,
            Err(error) => Err(Refusal::bad(error)),
        },
        None => Err(Refusal::bad("not a mount")),
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
            let edits = edits(admin, body::object(request).await?).await?;
            documents.set_mount(mount, edits).await?;
        }
        Method::DELETE => {
            documents.delete_mount(mount).await?;
            return Ok(reply::no_content());
        }
        _ => return Ok(wrong_method("GET, PATCH, DELETE")),
    }
    let spec = documents
        .mount(mount)
        .ok_or_else(|| MountError::NotThere(mount.clone()))?;
    Ok(reply::json(StatusCode::OK, &spec))
}

async fn create(
    admin: &Admin,
    mut fields: Map<String, Value>,
) -> Result<Response<FullBody>, Refusal> {
    let path = fields
        .remove("path")
        .ok_or_else(|| Refusal::bad("`path` is missing"))?;
    let path = path
        .as_str()
        .ok_or_else(|| Refusal::bad("`path` is a text"))?;
    let mount = MountName::try_from(path);
    let mount = mount.map_err(|error| Refusal::Bad(format!("path: {error}")))?;
    if admin.0.documents.mount(&mount).is_some() {
        return Err(MountError::Exists(mount).into());
    }
    let given = fields.remove("password").filter(|value| !value.is_null());
    let password = match given {
        Some(Value::String(password)) => Secret::from(password),
        Some(_) => return Err(Refusal::bad("`password` is a text")),
        None => Secret::generate(),
    };
    let mut edits = edits(admin, fields).await?;
    edits.push(password_edit(admin, &password).await?);
    admin.0.documents.create_mount(&mount, edits).await?;
    let spec = admin
        .0
        .documents
        .mount(&mount)
        .ok_or(MountError::NotThere(mount))?;
    let mut shown = json!(spec);
    shown["password"] = json!(password.reveal());
    Ok(reply::json(StatusCode::CREATED, &shown))
}

/// Reads a JSON object of fields as edits; a password is hashed.
async fn edits(admin: &Admin, fields: Map<String, Value>) -> Result<Vec<MountEdit>, Refusal> {
    let mut edits = Vec::new();
    for (key, value) in fields {
        let edit = match (key.as_str(), value) {
            ("password", Value::String(password)) => password_edit(admin, &password.into()).await?,
            ("password", _) => return Err(Refusal::bad("`password` is a text")),
            ("password_hash", _) => return Err(Refusal::bad("set `password`, it is hashed here")),
            (key, value) => {
                let text = body::typed(key, value)?;
                MountEdit::of(key, &text).map_err(Refusal::bad)?
            }
        };
        edits.push(edit);
    }
    Ok(edits)
}

async fn password_edit(admin: &Admin, password: &Secret) -> Result<MountEdit, Refusal> {
    let hash = admin
        .0
        .passwords
        .hash(password)
        .await
        .map_err(|error| match error {
            HashError::Busy => Refusal::Busy,
            error => Refusal::bad(error),
        })?;
    debug!("a password was hashed");
    Ok(MountEdit::PasswordHash(hash))
}

pub(super) fn wrong_method(allowed: &'static str) -> Response<FullBody> {
    let mut answer = reply::error(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed}"));
    let allowed = hyper::header::HeaderValue::from_static(allowed);
    answer.headers_mut().insert("Allow", allowed);
    answer
}
