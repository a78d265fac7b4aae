//! The API of the accounts of listeners.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::reply;
use super::settings;
use crate::io::password::{HashError, ImportedHash, Secret};
use crate::logic::records::accounts::MD5_BEGINNING;
use crate::model::account::AccountName;
use crate::model::mount::MountName;
use crate::service::document::{AccountEdit, ChangeError, Subject};

/// The field with a hash from elsewhere, which stands in the place of a password.
const HASH: &str = "hash";

/// Lists the accounts of a mount.
pub(super) fn list(admin: &Admin, call: &Call) -> Answer {
    let mount = mount(admin, call)?;
    let accounts = admin.0.mesh.documents.accounts(&mount);
    let shown = json!({ "mount": mount, "accounts": accounts });
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Adds an account with the password that is given, or a new one; shows it this once.
pub(super) async fn add(admin: &Admin, call: Call) -> Answer {
    put(admin, call, AccountEdit::Add, StatusCode::CREATED).await
}

/// Gives an account another password.
pub(super) async fn change(admin: &Admin, call: Call) -> Answer {
    put(admin, call, AccountEdit::Change, StatusCode::OK).await
}

/// Deletes the account that the query names.
pub(super) async fn delete(admin: &Admin, call: Call) -> Answer {
    let mount = mount(admin, &call)?;
    let user = call.parameter("user")?;
    let user = user.ok_or_else(|| Declined::bad("`user` is missing: write ?user=NAME"))?;
    let name: AccountName = user.parse()?;
    admin.0.mesh.documents.delete_account(&mount, &name).await?;
    Ok(reply::no_content())
}

async fn put(admin: &Admin, call: Call, edit: AccountEdit, done: StatusCode) -> Answer {
    let mount = mount(admin, &call)?;
    let mut fields = body::object(call.request).await?;
    let user = fields.remove("user").map(|user| body::name("user", user));
    let user = user.ok_or_else(|| Declined::bad("`user` is missing"))??;
    let name: AccountName = user.parse()?;
    let mut shown = json!({ "mount": mount, "user": name });
    let hash = match fields.remove(HASH) {
        Some(hash) => {
            check_empty(&fields)?;
            imported(admin, &body::name(HASH, hash)?).await?
        }
        None => {
            let password = settings::password(&mut fields)?;
            fields.remove("password");
            check_empty(&fields)?;
            shown["password"] = json!(password.reveal());
            hashed(admin, &password).await?
        }
    };
    let documents = &admin.0.mesh.documents;
    documents.put_account(&mount, &name, &hash, edit).await?;
    Ok(reply::json(done, &shown))
}

/// The hash that is kept for one from elsewhere: one by bcrypt as it is, an MD5 sum hashed once more.
async fn imported(admin: &Admin, hash: &str) -> Result<String, Declined> {
    Ok(match ImportedHash::read(hash)? {
        ImportedHash::Bcrypt(hash) => hash,
        ImportedHash::Md5(sum) => format!("{MD5_BEGINNING}{}", hashed(admin, &sum).await?),
    })
}

/// The hash of a password, as the document keeps it.
pub(super) async fn hashed(admin: &Admin, password: &Secret) -> Result<String, HashError> {
    admin.0.passwords.hash(password).await
}

fn check_empty(fields: &Map<String, Value>) -> Result<(), Declined> {
    match fields.keys().next() {
        None => Ok(()),
        Some(unknown) => {
            let known = "user, and password or hash";
            let why = format!("an account has no {unknown:?} here; it has {known}");
            Err(Declined::bad(why))
        }
    }
}

/// The mount that the path of a request names, if there is one.
fn mount(admin: &Admin, call: &Call) -> Result<MountName, Declined> {
    let mount = MountName::with_or_without_slash(&call.named);
    let mount = mount.map_err(|error| Declined::bad(format!("path: {error}")))?;
    match admin.0.mesh.documents.mount(&mount) {
        Some(_) => Ok(mount),
        None => Err(ChangeError::NotThere(Subject::Mount(mount)).into()),
    }
}
