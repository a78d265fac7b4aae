//! The replicated document on this node: changed here, learned from peers, kept on disk.
//!
//! A change is pushed to every peer at once; gossip carries only the digest, and whoever sees another
//! digest for a while settles the difference over the link.

mod outside;
mod saver;
mod settle;

pub use self::outside::OutsideError;
pub use self::saver::DOCUMENT_FILE;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info, info_span, warn};

use super::cluster::Cluster;
use crate::io::clock;
use crate::io::disk::DataDir;
use crate::io::gossip::Gossip;
use crate::io::link::{Exchange, Links};
use crate::logic::document::{Document, EditError, Outcome};
use crate::logic::mounts::{self, MountEdit};
use crate::logic::outside::Servers;
use crate::logic::steering::{self, MeshEdit, Steering, TraitEdit};
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::model::record::key::RecordKey;
use crate::model::record::{Record, Value};
use crate::wire::frame::Frame;

/// How long the clock of this node may lead before its operator is warned.
const WARN_AHEAD: Duration = Duration::from_secs(30);

/// The mounts by path.
pub type Mounts = BTreeMap<MountName, MountSpec>;

/// What the document's service needs.
#[derive(Debug)]
pub struct DocumentConfig {
    /// The document as the disk has it.
    pub document: Document,
    /// One that is too old to be merged, in case nobody has a newer one.
    pub set_aside: Option<Document>,
    /// To push changes.
    pub links: Links,
    /// To publish the digest.
    pub gossip: Arc<Gossip>,
    /// To see the peers' digests.
    pub cluster: Cluster,
    /// To keep it.
    pub data_dir: Arc<DataDir>,
}

/// Why a mount was not changed.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// There is one of that path.
    #[error("mount {0} already exists")]
    Exists(MountName),
    /// There is none of that path.
    #[error("there is no mount {0}")]
    NotThere(MountName),
    /// The document does not take it.
    #[error(transparent)]
    Edit(#[from] EditError),
}

#[derive(Debug)]
struct Inner {
    document: Mutex<Document>,
    set_aside: Mutex<Option<Document>>,
    mounts: watch::Sender<Arc<Mounts>>,
    outside: watch::Sender<Arc<Servers>>,
    steering: watch::Sender<Arc<Steering>>,
    changed: Notify,
    /// Held while the document is written down, so that an older state never follows a newer one to the disk.
    saving: Mutex<()>,
    links: Links,
    gossip: Arc<Gossip>,
    cluster: Cluster,
    data_dir: Arc<DataDir>,
}

/// A cheap, cloneable way to the document.
#[derive(Clone, Debug)]
pub struct Documents(Arc<Inner>);

impl Documents {
    /// Starts to keep, publish and settle the document.
    pub fn start(config: DocumentConfig, tasks: &TaskTracker, cancel: &CancellationToken) -> Self {
        let inner = Arc::new(Inner {
            document: Mutex::new(config.document),
            set_aside: Mutex::new(config.set_aside),
            mounts: watch::Sender::default(),
            outside: watch::Sender::default(),
            steering: watch::Sender::default(),
            changed: Notify::new(),
            saving: Mutex::new(()),
            links: config.links,
            gossip: config.gossip,
            cluster: config.cluster,
            data_dir: config.data_dir,
        });
        let documents = Self(inner);
        documents.0.announce();
        let saving = saver::run(documents.0.clone(), cancel.clone());
        tasks.spawn(saving.instrument(info_span!("document")));
        let settling = settle::run(documents.0.clone(), cancel.clone());
        tasks.spawn(settling.instrument(info_span!("document")));
        documents
    }

    /// The mounts as they are now.
    pub fn mounts(&self) -> Arc<Mounts> {
        self.0.mounts.borrow().clone()
    }

    /// The mounts as they change.
    pub fn watch_mounts(&self) -> watch::Receiver<Arc<Mounts>> {
        self.0.mounts.subscribe()
    }

    /// One mount.
    pub fn mount(&self, path: &MountName) -> Option<MountSpec> {
        self.0.mounts.borrow().get(path).cloned()
    }

    /// Makes a mount, here and everywhere.
    pub fn create_mount(&self, path: &MountName, edits: Vec<MountEdit>) -> Result<(), MountError> {
        if self.mount(path).is_some() {
            return Err(MountError::Exists(path.clone()));
        }
        self.0.edit(&mounts::key(path), mounts::fields(edits))?;
        info!(mount = %path, "mount created");
        Ok(())
    }

    /// Changes a mount, here and everywhere.
    pub fn set_mount(&self, path: &MountName, edits: Vec<MountEdit>) -> Result<(), MountError> {
        if self.mount(path).is_none() {
            return Err(MountError::NotThere(path.clone()));
        }
        self.0.edit(&mounts::key(path), mounts::fields(edits))?;
        info!(mount = %path, "mount changed");
        Ok(())
    }

    /// Deletes a mount, here and everywhere; its source and its listeners go with it.
    pub fn delete_mount(&self, path: &MountName) -> Result<(), MountError> {
        let key = mounts::key(path);
        let record = self
            .0
            .lock()
            .delete(&key, clock::unix_ms())
            .map_err(|error| match error {
                EditError::NotThere(_) => MountError::NotThere(path.clone()),
                error => error.into(),
            })?;
        self.0.spread(key, record);
        info!(mount = %path, "mount deleted");
        Ok(())
    }

    /// What operators say about where listeners are sent, as it is now.
    pub fn steering(&self) -> Arc<Steering> {
        self.0.steering.borrow().clone()
    }

    /// The same as it changes.
    pub fn watch_steering(&self) -> watch::Receiver<Arc<Steering>> {
        self.0.steering.subscribe()
    }

    /// Says something of a node, here and everywhere; it need not be there now.
    pub fn set_node(&self, name: &NodeName, edits: Vec<TraitEdit>) -> Result<(), EditError> {
        self.0
            .edit(&steering::node_key(name), steering::fields(edits))?;
        info!(node = %name, traits = ?self.steering().traits(name), "node set");
        Ok(())
    }

    /// Says something of the whole mesh, here and everywhere.
    pub fn set_mesh(&self, edits: Vec<MeshEdit>) -> Result<(), EditError> {
        self.0
            .edit(&steering::mesh_key(), steering::fields(edits))?;
        info!(policy = %self.steering().policy, "policy set");
        Ok(())
    }

    /// The hash of the cluster's admin password, if it has one yet.
    pub fn admin_password_hash(&self) -> Option<String> {
        let found = mounts::admin_password_hash(&self.0.lock());
        found.unwrap_or_else(|error| {
            warn!(%error, "the admin record is unusable");
            None
        })
    }

    /// Sets the hash of the cluster's admin password.
    pub fn set_admin_password_hash(&self, hash: &str) -> Result<(), EditError> {
        let fields = mounts::admin_fields(hash).expect("a hash of our own fits into a field");
        let key = mounts::admin_key();
        let record = self.0.lock().edit(&key, fields, clock::unix_ms())?;
        self.0.spread(key, record);
        Ok(())
    }

    /// Takes in records that a peer has pushed.
    pub fn take(&self, from: &NodeName, records: BTreeMap<RecordKey, Record>) {
        self.0.take(from, records);
    }

    /// Answers a peer that settles its difference with us.
    pub async fn answer(&self, from: &NodeName, first: Frame, exchange: Exchange) {
        settle::answer(&self.0, from, first, exchange).await;
    }

    /// Saves the document now; the last thing before the node stops.
    pub async fn save(&self) {
        saver::save(&self.0).await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Document> {
        // Every change of the document is one call that leaves it whole.
        self.document.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, key: &RecordKey, fields: BTreeMap<String, Value>) -> Result<(), EditError> {
        let record = self.lock().edit(key, fields, clock::unix_ms())?;
        self.spread(key.clone(), record);
        let ahead = self.lock().ahead(clock::unix_ms());
        if ahead > WARN_AHEAD {
            warn!(
                ?ahead,
                "this node's clock was ahead once; peers may take its edits late"
            );
        }
        Ok(())
    }

    /// Tells the peers of a change that was made here.
    fn spread(&self, key: RecordKey, record: Record) {
        self.links
            .send_to_all(&Frame::Records(BTreeMap::from([(key, record)])));
        self.announce();
    }

    fn take(&self, from: &NodeName, records: BTreeMap<RecordKey, Record>) {
        let outcome = self.lock().apply(records, clock::unix_ms());
        report(from, &outcome);
        if !outcome.changed.is_empty() {
            self.announce();
        }
    }

    /// Renews what follows from the document: mounts, outside servers and steering, the digest in gossip, the file.
    fn announce(&self) {
        let document = self.lock();
        let listing = mounts::list(&document);
        let (steering, unusable) = Steering::of(&document);
        let outside = crate::logic::outside::list(&document);
        drop(document);
        for (key, error) in &listing.skipped {
            warn!(%key, %error, "unusable mount record skipped");
        }
        for (key, error) in &unusable {
            warn!(%key, %error, "unusable record skipped");
        }
        self.mounts.send_replace(Arc::new(listing.mounts));
        self.steering.send_replace(Arc::new(steering));
        self.announce_outside(outside);
        self.changed.notify_one();
    }
}

/// Says what was not taken in.
fn report(from: &NodeName, outcome: &Outcome) {
    for refusal in &outcome.refused {
        warn!(%from, %refusal, "not taken in");
    }
    if outcome.refused_beyond > 0 {
        warn!(%from, more = outcome.refused_beyond, "not taken in either");
    }
}
