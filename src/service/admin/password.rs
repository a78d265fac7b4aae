//! The API of the cluster's admin password.

use hyper::StatusCode;
use serde_json::json;

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::reply;
use super::settings;
use crate::logic::records::admin::ADMIN_KIND;

/// Sets the password that is given, or a new one; shows the one that is valid now.
pub(super) async fn set(admin: &Admin, call: Call) -> Answer {
    let mut fields = body::object(call.request).await?;
    let password = settings::password(&mut fields)?;
    let changes = settings::changes(admin, &ADMIN_KIND, fields).await?;
    admin.0.mesh.documents.set_admin(changes).await?;
    let shown = json!({ "password": password.reveal() });
    Ok(reply::json(StatusCode::OK, &shown))
}
