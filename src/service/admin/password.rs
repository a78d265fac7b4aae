//! The API of the cluster's admin password.

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::Admin;
use super::api::wrong_method;
use super::body::{self, BadBody};
use super::reply::{self, FullBody};
use super::settings::{self, BadSettings};
use crate::io::password::Secret;
use crate::logic::records::admin::ADMIN_KIND;
use crate::service::document::ChangeError;

/// Why the password is not changed; the old one stays.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(bad) => bad.status(),
            Self::Settings(bad) => bad.status(),
            Self::Change(why) => reply::unchanged(why),
        }
    }
}

/// Answers a request of a client that has the right.
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

/// Sets the password that is given, or a new one; returns the one that is valid now.
async fn change(admin: &Admin, request: Request<Incoming>) -> Result<Secret, Refusal> {
    let mut fields = body::object(request).await?;
    let password = settings::password(&mut fields)?;
    let changes = settings::changes(admin, &ADMIN_KIND, fields).await?;
    admin.0.documents.set_admin(changes).await?;
    Ok(password)
}
