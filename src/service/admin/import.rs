//! The API of imports.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::mounts::refuse_own_addresses;
use super::reply;
use super::settings;
use crate::logic::records::import::IMPORT_KIND;

/// Shows the settings, and how the last reading of each list went.
pub(super) fn show(admin: &Admin, _call: &Call) -> Answer {
    let mesh = &admin.0.mesh;
    let mut shown = json!(*mesh.documents.import());
    shown["status"] = json!(admin.0.statuses.import());
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Changes settings, and shows them.
pub(super) async fn edit(admin: &Admin, call: Call) -> Answer {
    let fields: Map<String, Value> = body::object(call.request).await?;
    refuse_own_addresses(admin, "import_streamlist", &fields)?;
    let changes = settings::changes(admin, &IMPORT_KIND, fields).await?;
    admin.0.mesh.documents.set_import(changes).await?;
    let settings = admin.0.mesh.documents.import();
    Ok(reply::json(StatusCode::OK, &*settings))
}
