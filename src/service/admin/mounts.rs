//! The API of mounts.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::reply;
use super::settings;
use crate::io::clock;
use crate::io::password::PasswordVerdict;
use crate::logic::ladder::{FallbackFault, SWITCHED_TO};
use crate::logic::mount_names::no_mount;
use crate::logic::records::kind::Changes;
use crate::logic::records::mounts::{MOUNT_KIND, edited, fallbacks_in, switch_in};
use crate::model::http_date::http_date;
use crate::model::mount::{BadMountName, MountName, MountSpec};
use crate::model::outside_relay::RelayAddresses;
use crate::proto::fitting::Fitting;
use crate::proto::own_address::node_at;
use crate::service::document::{ChangeError, Deletion, Subject};
use crate::service::outside_relay::is_own;

/// Lists all mounts.
pub(super) fn list(admin: &Admin, _call: &Call) -> Answer {
    let mounts = admin.0.mesh.documents.mounts();
    let specs: Vec<MountSpec> = mounts.values().cloned().map(without_ended_order).collect();
    Ok(reply::json(StatusCode::OK, &specs))
}

/// Creates a mount. Its password is shown this once.
///
/// A mount that is transcoded takes no encoder. It has a password all the same, which nobody is told, because nodes of an
/// older version use no mount without one.
pub(super) async fn create(admin: &Admin, call: Call) -> Answer {
    let (is_forced, client) = (is_forced(&call)?, call.caller.client);
    let mut fields = body::object(call.request).await?;
    let missing = || Declined::bad("`path` is missing");
    let path = fields.remove("path").ok_or_else(missing)?;
    let mount = MountName::try_from(body::name("path", path)?).map_err(bad_path)?;
    if admin.0.mesh.documents.mount(&mount).is_some() {
        return Err(ChangeError::Exists(Subject::Mount(mount)).into());
    }
    let password = settings::password(&mut fields)?;
    refuse_equal_passwords(admin, None, &fields, client).await?;
    let changes = changes(admin, &mount, fields, is_forced).await?;
    admin.0.mesh.documents.create_mount(&mount, changes).await?;
    let spec = spec(admin, &mount)?;
    let mut shown = json!(spec);
    if spec.transcode.transcode_from.is_none() {
        shown["password"] = json!(password.reveal());
    }
    Ok(reply::json(StatusCode::CREATED, &shown))
}

/// Refuses to get streams from a node of this mesh, as far as its addresses are known here. `key` is the setting with the
/// addresses.
pub(super) fn refuse_own_addresses(
    admin: &Admin,
    key: &str,
    fields: &Map<String, Value>,
) -> Result<(), Declined> {
    let relay = fields.get(key).and_then(Value::as_str);
    // What is no address is told when it is read.
    let relay: RelayAddresses = relay.unwrap_or_default().parse().unwrap_or_default();
    let view = admin.0.mesh.cluster.view();
    for address in relay.as_slice() {
        let (host, port) = address.host_and_port();
        if let Some(node) = node_at(&view, host, port) {
            let why = is_own(node);
            return Err(Declined::bad(format!("{key}: {address} {why}")));
        }
    }
    Ok(())
}

/// Shows one mount.
pub(super) fn show(admin: &Admin, call: &Call) -> Answer {
    Ok(reply::json(StatusCode::OK, &spec(admin, &mount(call)?)?))
}

/// Changes settings of a mount, and shows it.
pub(super) async fn edit(admin: &Admin, call: Call) -> Answer {
    let (mount, is_forced) = (mount(&call)?, is_forced(&call)?);
    let (before, client) = (spec(admin, &mount)?, call.caller.client);
    let fields = body::object(call.request).await?;
    refuse_equal_passwords(admin, Some(&before), &fields, client).await?;
    let changes = changes(admin, &mount, fields, is_forced).await?;
    admin.0.mesh.documents.set_mount(&mount, changes).await?;
    Ok(reply::json(StatusCode::OK, &spec(admin, &mount)?))
}

/// Changes settings of a mount.
pub(super) async fn set_fields(
    admin: &Admin,
    mount: &MountName,
    fields: Map<String, Value>,
    is_forced: bool,
) -> Result<(), Declined> {
    let changes = changes(admin, mount, fields, is_forced).await?;
    Ok(admin.0.mesh.documents.set_mount(mount, changes).await?)
}

/// The changes of a mount that a request asks for, if they may be. Formats that do not fit are no reason against one that is forced.
async fn changes(
    admin: &Admin,
    mount: &MountName,
    fields: Map<String, Value>,
    is_forced: bool,
) -> Result<Changes<MountSpec>, Declined> {
    refuse_own_addresses(admin, "relay", &fields)?;
    let changes = settings::changes(admin, &MOUNT_KIND, fields).await?;
    refuse_ended_order(&changes)?;
    if !is_forced {
        check_formats(admin, mount, &changes)?;
    }
    Ok(changes)
}

/// Refuses a second password of a mount's sources that is the first one: nobody would ever have the second priority by it.
/// `before` is the mount, if it is there already.
async fn refuse_equal_passwords(
    admin: &Admin,
    before: Option<&MountSpec>,
    fields: &Map<String, Value>,
    client: IpAddr,
) -> Result<(), Declined> {
    let given = |key: &str| fields.get(key).and_then(Value::as_str);
    let (first, second) = (given("password"), given("standby_password"));
    let first_hash = before.map(|spec| spec.password_hash.as_str());
    let second_hash = before.and_then(|spec| spec.standby_password_hash.as_deref());
    let are_equal = match (first, second) {
        (Some(first), Some(second)) => first == second,
        (Some(first), None) if !fields.contains_key("standby_password") => {
            is_password(admin, first, second_hash, client).await
        }
        (None, Some(second)) => is_password(admin, second, first_hash, client).await,
        _ => false,
    };
    match are_equal {
        false => Ok(()),
        true => Err(Declined::bad(
            "standby_password: it is the password of the mount, too: choose another one, by which the second source is known",
        )),
    }
}

/// Whether a new password is the one that is kept as this hash.
async fn is_password(admin: &Admin, new: &str, hash: Option<&str>, client: IpAddr) -> bool {
    let Some(hash) = hash else {
        return false;
    };
    let verdict = admin.0.passwords.verify(&new.into(), hash, client).await;
    verdict == PasswordVerdict::Right
}

/// Refuses an order that has ended before it is given, by this node's clock: nobody would ever hear of it.
fn refuse_ended_order(changes: &Changes<MountSpec>) -> Result<(), Declined> {
    let order = switch_in(changes.fields());
    let ended = order.filter(|order| !order.is_in_force(clock::unix_s()));
    ended.map_or(Ok(()), |order| {
        let until = order.until_in_words().unwrap_or_default();
        let now = http_date(clock::unix_s());
        Err(Declined::bad(format!(
            "{SWITCHED_TO}: {until} has passed, because it is {now} by this node's clock: name a later moment, or none"
        )))
    })
}

/// Deletes a mount: one from which others are transcoded only if that is forced.
pub(super) async fn delete(admin: &Admin, call: Call) -> Answer {
    let mount = mount(&call)?;
    let deletion = deletion(&call)?;
    spec(admin, &mount)?;
    admin
        .0
        .mesh
        .documents
        .delete_mount(&mount, deletion)
        .await?;
    Ok(reply::no_content())
}

/// Ends the source of a mount, at whichever node it is. Its encoder may come back.
pub(super) async fn end_source(admin: &Admin, call: Call) -> Answer {
    let mount = mount(&call)?;
    spec(admin, &mount)?;
    admin.0.dismissals.dismiss(&mount).await?;
    Ok(reply::no_content())
}

/// Whether what is used is deleted, too, by the query of a request.
pub(super) fn deletion(call: &Call) -> Result<Deletion, Declined> {
    Ok(match is_forced(call)? {
        false => Deletion::IfUnused,
        true => Deletion::Forced,
    })
}

/// Whether a request is to be carried out although something speaks against it.
pub(super) fn is_forced(call: &Call) -> Result<bool, Declined> {
    match call.parameter("force")?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Declined::bad("`force` must be true or false")),
    }
}

/// Refuses a fallback, or an order, whose stream players could not go on with, as far as the formats are known now.
fn check_formats(
    admin: &Admin,
    mount: &MountName,
    changes: &Changes<MountSpec>,
) -> Result<(), ChangeError> {
    let mesh = &admin.0.mesh;
    let (mut mounts, view) = (mesh.documents.mounts(), mesh.cluster.view());
    let fallbacks = fallbacks_in(changes.fields());
    let sets_fallback = fallbacks.is_some();
    let intended = Arc::make_mut(&mut mounts);
    if let Some(spec) = intended.get_mut(mount) {
        if let Some(fallback) = fallbacks {
            spec.fallback = fallback;
        }
    } else if let Ok(new) = edited(mount, None, changes.fields()) {
        // One that is transcoded has a format before anybody has heard it.
        intended.insert(mount.clone(), new);
    }
    let files = mesh.documents.files();
    let fitting = Fitting {
        mounts: &mounts,
        files: &files,
        view: &view,
    };
    let order = switch_in(changes.fields());
    let listed = sets_fallback.then(|| fitting.fallback_fault(mount));
    let fault = listed
        .flatten()
        .or_else(|| fitting.order_fault(mount, &order?.to));
    fault.map_or(
        Ok(()),
        |fault| Err(FallbackFault::OtherFormat(fault).into()),
    )
}

/// The mount that the path of a request names.
pub(super) fn mount(call: &Call) -> Result<MountName, Declined> {
    MountName::try_from(format!("/{}", call.named)).map_err(bad_path)
}

fn bad_path(error: BadMountName) -> Declined {
    Declined::bad(format!("path: {error}"))
}

/// A mount that a request names. If there is none, the answer names the one that may have been meant.
pub(super) fn spec(admin: &Admin, mount: &MountName) -> Result<MountSpec, Declined> {
    let mounts = admin.0.mesh.documents.mounts();
    let spec = mounts.get(mount).cloned().map(without_ended_order);
    spec.ok_or_else(|| Declined::not_found(no_mount(mount, mounts.keys())))
}

/// The settings of a mount as they are shown: an order that has ended stands in the document, and is none any more.
fn without_ended_order(mut spec: MountSpec) -> MountSpec {
    let now = clock::unix_s();
    spec.switched_to = spec.switched_to.filter(|order| order.is_in_force(now));
    spec
}
