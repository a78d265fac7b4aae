//! The mounts that are wanted here: whoever makes a stream on demand only hears of it by gossip, and begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use super::mesh::Mesh;
use crate::model::mount::MountName;
use crate::wire::gossip;

/// The mounts that are wanted at this node. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wants(Arc<watch::Sender<BTreeMap<MountName, usize>>>);

/// Has a mount wanted for as long as this is kept.
#[derive(Debug)]
pub struct Want {
    wants: Wants,
    mount: MountName,
}

impl Drop for Want {
    fn drop(&mut self) {
        self.wants.0.send_modify(|counts| {
            if let Some(count) = counts.get_mut(&self.mount) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&self.mount);
                }
            }
        });
    }
}

impl Wants {
    /// Wants the stream of a mount that exists: there are never more of them than mounts.
    pub fn want(&self, mount: &MountName) -> Want {
        let mount = mount.clone();
        self.0
            .send_modify(|counts| *counts.entry(mount.clone()).or_default() += 1);
        Want {
            wants: self.clone(),
            mount,
        }
    }

    /// Tells the mesh what is wanted here. Runs until the node stops.
    pub async fn tell(self, mesh: Mesh) {
        let (mut counts, mut told) = (self.0.subscribe(), BTreeSet::new());
        loop {
            let wanted: BTreeSet<MountName> = counts.borrow_and_update().keys().cloned().collect();
            for mount in told.difference(&wanted) {
                mesh.gossip.delete(&gossip::wanted_key(mount)).await;
            }
            for mount in wanted.difference(&told) {
                let key = gossip::wanted_key(mount);
                if let Err(error) = mesh.gossip.set(&key, "true").await {
                    warn!(%error, "not gossiped");
                }
            }
            told = wanted;
            tokio::select! {
                () = mesh.tasks.asked_to_end() => return,
                changed = counts.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_wanted_until_the_last_one_leaves() {
        let (wants, mount) = (Wants::default(), MountName::try_from("/a").unwrap());
        let count = || wants.0.borrow().get(&mount).copied();
        let first = wants.want(&mount);
        let second = wants.want(&mount);
        assert_eq!(count(), Some(2));
        drop(first);
        assert_eq!(count(), Some(1));
        drop(second);
        assert_eq!(count(), None);
    }
}
