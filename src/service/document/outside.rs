//! The outside servers in the document.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::edit::Existence;
use super::refusal::{ChangeError, Deletion, Subject};
use super::{Documents, Inner};
use crate::logic::records::kind::Changes;
use crate::logic::records::outside::{ServerListing, Servers};
use crate::model::node::NodeName;
use crate::model::outside::OutsideServer;

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
    ) -> Result<(), ChangeError> {
        let server = Subject::Outside(name.clone());
        let (key, wanted) = (server.key(), Existence::New(server));
        self.0.edit_record(key, wanted, changes).await?;
        let url = self.outside().get(name).map(|it| it.public_url.clone());
        info!(outside = %name, url, "outside server added");
        Ok(())
    }

    /// Changes an outside server on all nodes.
    pub async fn set_outside(
        &self,
        name: &NodeName,
        changes: Changes<OutsideServer>,
    ) -> Result<(), ChangeError> {
        let server = Subject::Outside(name.clone());
        let (key, wanted) = (server.key(), Existence::Known(server));
        let settings = changes.names();
        self.0.edit_record(key, wanted, changes).await?;
        let enabled = self.outside().get(name).map(|it| it.enabled);
        info!(outside = %name, %settings, enabled, "outside server changed");
        Ok(())
    }

    /// Removes an outside server on all nodes. Its listeners stay there.
    pub async fn remove_outside(&self, name: &NodeName) -> Result<(), ChangeError> {
        let server = Subject::Outside(name.clone());
        self.0.delete_record(server, Deletion::IfUnused).await?;
        info!(outside = %name, "outside server removed");
        Ok(())
    }
}

impl Inner {
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
