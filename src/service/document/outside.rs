//! The outside servers in the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::commit::EditOrigin;
use super::{ChangeError, Documents, Inner, Unsaved};
use crate::logic::document::{Document, EditError};
use crate::logic::records::kind::{BadRecord, Changes};
use crate::logic::records::outside::{MAX_SERVERS, ServerListing, Servers, check, key, list};
use crate::model::node::NodeName;
use crate::model::outside::OutsideServer;

/// Why an outside server was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// A server of that name exists.
    #[error("outside server {0} already exists")]
    Exists(NodeName),
    /// No server has that name.
    #[error("there is no outside server {0}")]
    NotThere(NodeName),
    /// The edit would leave an invalid record.
    #[error(transparent)]
    Bad(#[from] BadRecord),
    /// The document refuses it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The edit was not saved.
    #[error(transparent)]
    Unsaved(#[from] Unsaved),
}

impl Documents {
    /// The outside servers as they are now.
    pub fn outside(&self) -> Arc<Servers> {
        self.0.outside.borrow().clone()
    }

    /// The outside servers as they change.
    pub fn watch_outside(&self) -> watch::Receiver<Arc<Servers>> {
        self.0.outside.subscribe()
    }

    /// Adds an outside server on all nodes.
    pub async fn add_outside(
        &self,
        name: &NodeName,
        changes: Changes<OutsideServer>,
    ) -> Result<OutsideServer, OutsideError> {
        let server = self.0.edit_outside(name, changes, Existence::New).await?;
        info!(outside = %name, url = server.public_url, "outside server added");
        Ok(server)
    }

    /// Changes an outside server on all nodes.
    pub async fn set_outside(
        &self,
        name: &NodeName,
        changes: Changes<OutsideServer>,
    ) -> Result<OutsideServer, OutsideError> {
        let server = self.0.edit_outside(name, changes, Existence::Known).await?;
        info!(outside = %name, enabled = server.enabled, "outside server changed");
        Ok(server)
    }

    /// Removes an outside server on all nodes. Its listeners stay there.
    pub async fn remove_outside(&self, name: &NodeName) -> Result<(), OutsideError> {
        let deleted = self.0.delete(key(name)).await;
        deleted.map_err(|error| match error {
            ChangeError::Edit(EditError::NotThere(_)) => OutsideError::NotThere(name.clone()),
            ChangeError::Edit(error) => error.into(),
            ChangeError::Unsaved(error) => error.into(),
        })?;
        info!(outside = %name, "outside server removed");
        Ok(())
    }
}

/// Whether the server must exist before the edit.
#[derive(Clone, Copy)]
enum Existence {
    New,
    Known,
}

impl Existence {
    fn check(self, document: &Document, name: &NodeName) -> Result<(), OutsideError> {
        let servers = list(document).servers;
        match (self, servers.contains_key(name)) {
            (Self::New, true) => Err(OutsideError::Exists(name.clone())),
            (Self::New, false) if servers.len() >= MAX_SERVERS => {
                Err(BadRecord::TooMany(MAX_SERVERS).into())
            }
            (Self::Known, false) => Err(OutsideError::NotThere(name.clone())),
            _ => Ok(()),
        }
    }
}

impl Inner {
    async fn edit_outside(
        &self,
        name: &NodeName,
        changes: Changes<OutsideServer>,
        wanted: Existence,
    ) -> Result<OutsideServer, OutsideError> {
        let (name, fields) = (name.clone(), changes.into_fields());
        self.commit(EditOrigin::Client, move |document, now_unix_ms| {
            wanted.check(document, &name)?;
            let key = key(&name);
            let server = check(&name, document.get(&key), &fields)?;
            let record = document.edit(&key, fields, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), server))
        })
        .await
    }

    /// Publishes the servers if they have changed.
    pub(super) fn publish_outside(&self, listing: ServerListing) {
        for (key, error) in &listing.skipped {
            warn!(%key, %error, "unusable outside server skipped");
        }
        self.outside.send_if_modified(|servers| {
            let has_changed = **servers != listing.servers;
            if has_changed {
                *servers = Arc::new(listing.servers);
            }
            has_changed
        });
    }
}
