//! The outside servers in the document.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::{Documents, Inner};
use crate::io::clock;
use crate::logic::document::EditError;
use crate::logic::outside::{
    BadRecord, Listing, MAX_SERVERS, OutsideEdit, Servers, check, fields, key,
};
use crate::model::node::NodeName;
use crate::model::outside::OutsideServer;

/// Why an outside server was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// There is one of that name.
    #[error("outside server {0} already exists")]
    Exists(NodeName),
    /// There is none of that name.
    #[error("there is no outside server {0}")]
    NotThere(NodeName),
    /// It would be none afterwards.
    #[error(transparent)]
    Bad(#[from] BadRecord),
    /// The document does not take it.
    #[error(transparent)]
    Edit(#[from] EditError),
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

    /// Adds an outside server, here and everywhere.
    pub fn add_outside(
        &self,
        name: &NodeName,
        edits: Vec<OutsideEdit>,
    ) -> Result<OutsideServer, OutsideError> {
        let servers = self.outside();
        if servers.contains_key(name) {
            return Err(OutsideError::Exists(name.clone()));
        }
        if servers.len() >= MAX_SERVERS {
            return Err(BadRecord::TooMany.into());
        }
        let server = self.0.edit_outside(name, edits)?;
        info!(outside = %name, url = server.public_url, "outside server added");
        Ok(server)
    }

    /// Changes an outside server, here and everywhere.
    pub fn set_outside(
        &self,
        name: &NodeName,
        edits: Vec<OutsideEdit>,
    ) -> Result<OutsideServer, OutsideError> {
        if !self.outside().contains_key(name) {
            return Err(OutsideError::NotThere(name.clone()));
        }
        let server = self.0.edit_outside(name, edits)?;
        info!(outside = %name, enabled = server.enabled, "outside server changed");
        Ok(server)
    }

    /// Removes an outside server, here and everywhere. Listeners who are there stay there.
    pub fn remove_outside(&self, name: &NodeName) -> Result<(), OutsideError> {
        let key = key(name);
        let deleted = self.0.lock().delete(&key, clock::unix_ms());
        let record = deleted.map_err(|error| match error {
            EditError::NotThere(_) => OutsideError::NotThere(name.clone()),
            error => error.into(),
        })?;
        self.0.spread(key, record);
        info!(outside = %name, "outside server removed");
        Ok(())
    }
}

impl Inner {
    fn edit_outside(
        &self,
        name: &NodeName,
        edits: Vec<OutsideEdit>,
    ) -> Result<OutsideServer, OutsideError> {
        let (key, fields) = (key(name), fields(edits));
        let server = check(name, self.lock().get(&key), &fields)?;
        self.edit(&key, fields)?;
        Ok(server)
    }

    /// Tells who follows the servers, if there is anything new about them.
    pub(super) fn announce_outside(&self, listing: Listing) {
        for (key, error) in &listing.skipped {
            warn!(%key, %error, "unusable outside server skipped");
        }
        self.outside.send_if_modified(|servers| {
            let is_news = **servers != listing.servers;
            if is_news {
                *servers = Arc::new(listing.servers);
            }
            is_news
        });
    }
}
