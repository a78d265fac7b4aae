//! The API of the cluster's passwords: the admin's, and that of Icecast servers which relay from the mesh.

use hyper::{Response, StatusCode};
use serde_json::json;

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::reply;
use super::reply::Body;
use super::settings;
use crate::io::password::Secret;
use crate::logic::records::admin::ADMIN_KIND;
use crate::logic::records::relay_login::RELAY_LOGIN_KIND;

/// Sets the password that is given, or a new one; shows the one that is valid now.
pub(super) async fn set(admin: &Admin, call: Call) -> Answer {
    let mut fields = body::object(call.request).await?;
    let password = settings::password(&mut fields)?;
    let changes = settings::changes(admin, &ADMIN_KIND, fields).await?;
    admin.0.mesh.documents.set_admin(changes).await?;
    Ok(shown(&password))
}

/// The same for the password with which Icecast servers relay from the mesh.
pub(super) async fn set_relay(admin: &Admin, call: Call) -> Answer {
    let mut fields = body::object(call.request).await?;
    let password = settings::password(&mut fields)?;
    let changes = settings::changes(admin, &RELAY_LOGIN_KIND, fields).await?;
    admin.0.mesh.documents.set_relay_login(changes).await?;
    Ok(shown(&password))
}

fn shown(password: &Secret) -> Response<Body> {
    let shown = json!({ "password": password.reveal() });
    reply::json(StatusCode::OK, &shown)
}
