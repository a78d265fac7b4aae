//! The API of the cluster's admin password.

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::Admin;
use super::api::wrong_method;
use super::body::{self, BadBody};
use super::reply::{self, FullBody};
use crate::io::password::{HashError, Secret};
use crate::service::document::ChangeError;

/// Where the admin password is changed.
pub(super) const ADMIN: &str = "/api/v1/admin";

/// Why the password is not changed; the old one stays.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error("`password` is a text")]
    Kind,
    #[error("there is no setting {0:?}; there is password")]
    Unknown(String),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(bad) => bad.status(),
            Self::Kind | Self::Unknown(_) | Self::Hash(HashError::Length) => {
                StatusCode::BAD_REQUEST
            }
            Self::Hash(HashError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Change(why) => reply::unchanged(why),
        }
    }
}

/// Answers a request of somebody who has the right.
pub(super) async fn admin(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    if request.method() != Method::PATCH {
        return wrong_method("PATCH");
    }
    match change(admin, request).await {
        Ok(password) => {
            let shown = json!({ "password": password.reveal() });
            reply::json(StatusCode::OK, &shown)
        }
        Err(refusal) => reply::error(refusal.status(), refusal),
    }
}

/// Sets the password that is given, or a new one; gives the one that is valid now.
async fn change(admin: &Admin, request: Request<Incoming>) -> Result<Secret, Refusal> {
    let mut fields = body::object(request).await?;
    let password = match fields.remove("password") {
        None => Secret::generate(),
        Some(Value::String(password)) => Secret::from(password),
        Some(_) => return Err(Refusal::Kind),
    };
    if let Some(unknown) = fields.keys().next() {
        return Err(Refusal::Unknown(unknown.chars().take(64).collect()));
    }
    let hash = admin.0.passwords.hash(&password).await?;
    admin.0.documents.set_admin_password_hash(&hash).await?;
    Ok(password)
}
