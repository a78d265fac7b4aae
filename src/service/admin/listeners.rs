//! The API of listeners: those of the whole mesh are listed, and one is ended wherever it is.

use hyper::StatusCode;

use super::Admin;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::reply;
use crate::model::mount::MountName;

/// Lists the listeners of a mount, or of all.
pub(super) async fn list(admin: &Admin, call: Call) -> Answer {
    let mount = call.parameter("mount")?;
    let mount = mount.map(MountName::try_from).transpose();
    let mount = mount.map_err(|error| Declined::bad(format!("mount: {error}")))?;
    if let Some(mount) = &mount
        && admin.0.mesh.documents.mount(mount).is_none()
    {
        return Err(Declined::not_found(format!("there is no mount {mount}")));
    }
    let list = admin.0.audience.list(mount.as_ref()).await;
    Ok(reply::json(StatusCode::OK, &list))
}

/// Ends the listener whose id is the last part of the path.
pub(super) async fn kill(admin: &Admin, call: Call) -> Answer {
    admin.0.audience.kill(&call.named.parse()?).await?;
    Ok(reply::no_content())
}
