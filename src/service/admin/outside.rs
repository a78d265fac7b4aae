//! The API of outside servers.

use hyper::StatusCode;

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::reply;
use super::settings;
use crate::logic::records::outside;
use crate::logic::records::outside::OUTSIDE_KIND;
use crate::model::node::NodeName;
use crate::service::document::{ChangeError, Subject};

/// Lists all servers with their state.
pub(super) fn list(admin: &Admin, _call: &Call) -> Answer {
    let servers = admin.0.statuses.outside_details();
    Ok(reply::json(StatusCode::OK, &servers))
}

/// Adds a server, and shows it.
pub(super) async fn add(admin: &Admin, call: Call) -> Answer {
    let mut fields = body::object(call.request).await?;
    let missing = || Declined::bad("`name` is missing");
    let name = fields.remove("name").ok_or_else(missing)?;
    let name = outside::name(&body::name("name", name)?)?;
    if admin.0.mesh.cluster.view().nodes.contains_key(&name) {
        let why = format!("{name} is a node of this mesh: give the outside server another name");
        return Err(Declined::conflict(why));
    }
    let changes = settings::changes(admin, &OUTSIDE_KIND, fields).await?;
    admin.0.mesh.documents.add_outside(&name, changes).await?;
    shown(admin, &name, StatusCode::CREATED)
}

/// Shows one server.
pub(super) fn show(admin: &Admin, call: &Call) -> Answer {
    shown(admin, &outside::name(&call.named)?, StatusCode::OK)
}

/// Changes settings of a server, and shows it.
pub(super) async fn edit(admin: &Admin, call: Call) -> Answer {
    let name = outside::name(&call.named)?;
    let fields = body::object(call.request).await?;
    let changes = settings::changes(admin, &OUTSIDE_KIND, fields).await?;
    admin.0.mesh.documents.set_outside(&name, changes).await?;
    shown(admin, &name, StatusCode::OK)
}

/// Removes a server.
pub(super) async fn remove(admin: &Admin, call: Call) -> Answer {
    let name = outside::name(&call.named)?;
    admin.0.mesh.documents.remove_outside(&name).await?;
    Ok(reply::no_content())
}

fn shown(admin: &Admin, name: &NodeName, status: StatusCode) -> Answer {
    let mut servers = admin.0.statuses.outside_details().into_iter();
    let found = servers.find(|detail| detail.server.name == *name);
    let found = found.ok_or_else(|| ChangeError::NotThere(Subject::Outside(name.clone())))?;
    Ok(reply::json(status, &found))
}
