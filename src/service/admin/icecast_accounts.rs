//! `/admin/manageauth`: Icecast's way to the accounts of listeners.

use hyper::{Response, StatusCode};

use super::Admin;
use super::accounts::hashed;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::form::FormFields;
use super::icecast::{message, missing, named_mount};
use super::reply;
use super::reply::Body;
use crate::io::password::Secret;
use crate::model::account::AccountName;
use crate::model::listener_auth::ListenerAuth;
use crate::model::mount::MountName;
use crate::service::document::{AccountEdit, ChangeError};
use crate::wire::xml::Element;

/// Lists, adds and deletes accounts: `/admin/manageauth?mount=…&action=add&username=…&password=…`.
pub(super) async fn manage(admin: &Admin, call: Call) -> Answer {
    let fields = FormFields::parse(call.query().as_bytes());
    let name = fields
        .text("username")
        .map(|name| name.parse::<AccountName>());
    let name = match name.transpose() {
        Ok(name) => name,
        Err(why) => return Ok(message(StatusCode::BAD_REQUEST, &why.to_string(), 0)),
    };
    let mount = named_mount(&call, "mount");
    let spec = mount.and_then(|mount| admin.0.mesh.documents.mount(&mount));
    let spec = spec.filter(|spec| spec.listener_auth == ListenerAuth::Htpasswd);
    let Some(mount) = spec.map(|spec| spec.path) else {
        return Ok(missing("mount, one with listener_auth=htpasswd"));
    };
    let done = match fields.text("action").as_deref() {
        Some("add") => {
            let (Some(name), Some(password)) = (name, fields.text("password")) else {
                return Ok(missing("username and password"));
            };
            add(admin, &mount, &name, &password.into()).await
        }
        Some("delete") => {
            let Some(name) = name else {
                return Ok(missing("username"));
            };
            delete(admin, &mount, &name).await
        }
        _ => return Ok(listing(admin, &mount, None)),
    };
    match done {
        Ok(words) => Ok(listing(admin, &mount, Some(words))),
        Err(Declined { status, why }) => Ok(message(status, &why, 0)),
    }
}

async fn add(
    admin: &Admin,
    mount: &MountName,
    name: &AccountName,
    password: &Secret,
) -> Result<&'static str, Declined> {
    let hash = hashed(admin, password).await?;
    let documents = &admin.0.mesh.documents;
    let adding = documents.put_account(mount, name, &hash, AccountEdit::Add);
    match adding.await {
        Ok(()) => Ok("User added"),
        Err(ChangeError::AccountExists { .. }) => Ok("User already exists - not added"),
        Err(why) => Err(why.into()),
    }
}

/// Deletes an account. As with Icecast, one that was not there is deleted, too.
async fn delete(
    admin: &Admin,
    mount: &MountName,
    name: &AccountName,
) -> Result<&'static str, Declined> {
    match admin.0.mesh.documents.delete_account(mount, name).await {
        Ok(()) | Err(ChangeError::NoSuchAccount { .. }) => Ok("User deleted"),
        Err(why) => Err(why.into()),
    }
}

/// The accounts that there are now, and what was done.
fn listing(admin: &Admin, mount: &MountName, words: Option<&str>) -> Response<Body> {
    let accounts = admin.0.mesh.documents.accounts(mount).into_iter();
    let users = accounts.map(|name| Element::new("User").with(Element::of("username", name)));
    let source = Element::new("source").with_attribute("mount", mount);
    let done = words.map(|words| Element::new("iceresponse").with(Element::of("message", words)));
    let list = Element::new("icestats").with(source.with_all(users));
    reply::xml(StatusCode::OK, list.with_all(done).document())
}
