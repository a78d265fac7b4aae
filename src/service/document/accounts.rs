//! The accounts of listeners in the document.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::Documents;
use super::commit::{EditOrigin, Records};
use super::refusal::{ChangeError, Subject};
use crate::logic::document::{Document, EditError};
use crate::logic::records::accounts::{self, ACCOUNT_KIND};
use crate::logic::records::kind::BadRecord;
use crate::model::account::AccountName;
use crate::model::mount::MountName;

/// The condition under which an account gets a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEdit {
    /// Make the account, which is new.
    Add,
    /// Change the account, which is there.
    Change,
}

impl Documents {
    /// The hash of the password of a listener's account, if there is such an account.
    pub fn account_hash(&self, mount: &MountName, name: &AccountName) -> Option<String> {
        let found = accounts::hash(&self.0.lock(), mount, name);
        found.unwrap_or_else(|error| {
            warn!(%mount, %name, %error, "the record of an account is unusable: set its password anew");
            None
        })
    }

    /// The accounts of a mount, by name.
    pub fn accounts(&self, mount: &MountName) -> Vec<AccountName> {
        accounts::names(&self.0.lock(), mount)
    }

    /// Gives an account a password on all nodes, by its hash.
    pub async fn put_account(
        &self,
        mount: &MountName,
        name: &AccountName,
        hash: &str,
        edit: AccountEdit,
    ) -> Result<(), ChangeError> {
        let changes = ACCOUNT_KIND.changes([("hash", hash)]);
        let fields = changes.map_err(BadRecord::from)?.into_fields();
        let (path, account) = (mount.clone(), name.clone());
        let change = move |document: &mut Document, now_unix_ms| {
            let of = Subject::Mount(path.clone());
            if !of.is_in(document) {
                return Err(ChangeError::NotThere(of));
            }
            let (key, known) = (
                accounts::key(&path, &account)?,
                accounts::hash(document, &path, &account)?,
            );
            let (mount, name) = (path, account);
            match (edit, known) {
                (AccountEdit::Add, Some(_)) => {
                    return Err(ChangeError::AccountExists { mount, name });
                }
                (AccountEdit::Change, None) => {
                    return Err(ChangeError::NoSuchAccount { mount, name });
                }
                (AccountEdit::Add, None) => accounts::check_room(document)?,
                (AccountEdit::Change, Some(_)) => {}
            }
            let record = document.edit(&key, fields, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), ()))
        };
        self.0.commit(EditOrigin::Client, change).await?;
        info!(%mount, %name, "the account of a listener has a new password");
        Ok(())
    }

    /// Deletes an account on all nodes. Who listens with it is not ended.
    pub async fn delete_account(
        &self,
        mount: &MountName,
        name: &AccountName,
    ) -> Result<(), ChangeError> {
        let (path, account) = (mount.clone(), name.clone());
        let change = move |document: &mut Document, now_unix_ms| {
            let key = accounts::key(&path, &account)?;
            let record = match document.delete(&key, now_unix_ms) {
                Err(EditError::NotThere(_)) => {
                    let (mount, name) = (path, account);
                    return Err(ChangeError::NoSuchAccount { mount, name });
                }
                outcome => outcome?,
            };
            Ok((BTreeMap::from([(key, record)]), ()))
        };
        self.0.commit(EditOrigin::Client, change).await?;
        info!(%mount, %name, "the account of a listener is deleted");
        Ok(())
    }
}

/// Deletes the accounts of a mount that is deleted: one of the same name, later, does not let them in.
pub(super) fn delete_all(
    mount: &MountName,
    document: &mut Document,
    now_unix_ms: u64,
) -> Result<Records, EditError> {
    let keys = accounts::keys(document, mount).into_iter();
    let deleted = keys.map(|key| Ok((key.clone(), document.delete(&key, now_unix_ms)?)));
    deleted.collect()
}
