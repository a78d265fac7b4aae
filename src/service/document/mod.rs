//! The replicated document on this node: edited here, updated by peers, saved to disk.
//!
//! An edit takes effect once it is on a disk, of this node or of a peer, and is then pushed to every peer. Gossip
//! carries only the digest: a node that sees another digest for a while settles the difference over the link.

mod accounts;
mod certificates;
mod clocks;
mod commit;
mod edit;
mod files;
mod outside;
mod refusal;
mod saver;
mod settle;

pub use self::accounts::AccountEdit;
pub use self::commit::Unsaved;
pub use self::refusal::{ChangeError, Deletion, Subject};
pub use self::saver::DOCUMENT_FILE;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{Instrument, info, info_span, warn};

use self::commit::{Edit, EditOrigin};
use self::edit::Existence;
use super::cluster::Cluster;
use crate::io::disk::DataDir;
use crate::io::gossip::Gossip;
use crate::io::link::{Exchange, Links};
use crate::io::tasks::Tasks;
use crate::logic::document::{ApplyOutcome, Document};
use crate::logic::election::Start;
use crate::logic::members::forgotten;
use crate::logic::records::admin;
use crate::logic::records::admin::AdminLogin;
use crate::logic::records::certificates::{self as certificate_records, Issuance};
use crate::logic::records::https;
use crate::logic::records::import;
use crate::logic::records::import::IMPORT_KIND;
use crate::logic::records::kind::Changes;
use crate::logic::records::mounts;
use crate::logic::records::outside::Servers;
use crate::logic::records::relay_login;
use crate::logic::records::relay_login::RelayLogin;
use crate::logic::records::steering;
use crate::logic::records::steering::{MeshSettings, NODE_KIND, Steering};
use crate::logic::transcoding::lineage;
use crate::model::import::ImportSettings;
use crate::model::kept_file::KeptFiles;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::{Generation, NodeName};
use crate::model::record::Record;
use crate::model::record::key::RecordKey;
use crate::model::traits::NodeTraits;
use crate::wire::frame::Frame;

/// The mounts by path.
pub type Mounts = BTreeMap<MountName, MountSpec>;

/// The parts that the document's service is built from.
#[derive(Debug)]
pub struct DocumentConfig {
    /// The document as it was found on disk.
    pub document: Document,
    /// A document that is too old to be merged, in case no peer has a newer one.
    pub set_aside: Option<Document>,
    /// The links, to push changes.
    pub links: Links,
    /// The gossip, to publish the digest.
    pub gossip: Arc<Gossip>,
    /// The cluster, to see the peers' digests.
    pub cluster: Cluster,
    /// The directory in which it is saved.
    pub data_dir: Arc<DataDir>,
    /// Whether there are peers to find, which know the time.
    pub start: Start,
}

#[derive(Debug)]
struct Inner {
    document: Mutex<Document>,
    mounts: watch::Sender<Arc<Mounts>>,
    outside: watch::Sender<Arc<Servers>>,
    files: watch::Sender<Arc<KeptFiles>>,
    steering: watch::Sender<Arc<Steering>>,
    import: watch::Sender<Arc<ImportSettings>>,
    issuance: watch::Sender<Arc<Issuance>>,
    /// The faults of the document that were there, and were logged, when it was published last.
    complaints: Mutex<BTreeSet<String>>,
    /// Peers have sent records that are not on disk yet.
    changed: Notify,
    /// The clock of this node compared with its peers'.
    clocks: watch::Sender<clocks::ComparedClocks>,
    /// The queue of the one task that edits and saves.
    edits: mpsc::Sender<Edit>,
    links: Links,
    gossip: Arc<Gossip>,
    cluster: Cluster,
    data_dir: Arc<DataDir>,
}

/// A cheap, cloneable handle to the document.
#[derive(Clone, Debug)]
pub struct Documents(Arc<Inner>);

impl Documents {
    /// Starts to save, publish and settle the document.
    pub fn start(config: DocumentConfig, tasks: &Tasks) -> Self {
        let (edits, waiting) = mpsc::channel(commit::QUEUE);
        let inner = Arc::new(Inner {
            document: Mutex::new(config.document),
            mounts: watch::Sender::default(),
            outside: watch::Sender::default(),
            files: watch::Sender::default(),
            steering: watch::Sender::default(),
            import: watch::Sender::default(),
            issuance: watch::Sender::default(),
            complaints: Mutex::default(),
            changed: Notify::new(),
            clocks: watch::Sender::default(),
            edits,
            links: config.links,
            gossip: config.gossip,
            cluster: config.cluster,
            data_dir: config.data_dir,
        });
        let documents = Self(inner);
        documents.0.publish();
        documents.0.changed.notify_one();
        let saving = saver::run(documents.0.clone(), waiting, tasks.clone());
        tasks.spawn(saving.instrument(info_span!("document")));
        let settling = settle::run(documents.0.clone(), config.set_aside, tasks.clone());
        tasks.spawn(settling.instrument(info_span!("document")));
        let comparing = clocks::run(documents.0.clone(), config.start, tasks.clone());
        tasks.spawn(comparing.instrument(info_span!("document")));
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

    /// Creates a mount on all nodes. As every edit, it returns once the edit is saved.
    pub async fn create_mount(
        &self,
        path: &MountName,
        changes: Changes<MountSpec>,
    ) -> Result<(), ChangeError> {
        let mount = Subject::Mount(path.clone());
        let (key, wanted) = (mount.key(), Existence::New(mount));
        self.0.edit_record(key, wanted, changes).await?;
        info!(mount = %path, "mount created");
        Ok(())
    }

    /// Changes a mount on all nodes.
    pub async fn set_mount(
        &self,
        path: &MountName,
        changes: Changes<MountSpec>,
    ) -> Result<(), ChangeError> {
        let mount = Subject::Mount(path.clone());
        let (key, wanted) = (mount.key(), Existence::Known(mount));
        let settings = changes.names();
        self.0.edit_record(key, wanted, changes).await?;
        info!(mount = %path, %settings, "mount changed");
        Ok(())
    }

    /// Deletes a mount on all nodes; its source and its listeners are disconnected.
    pub async fn delete_mount(
        &self,
        path: &MountName,
        deletion: Deletion,
    ) -> Result<(), ChangeError> {
        let mount = Subject::Mount(path.clone());
        self.0.delete_record(mount, deletion).await?;
        info!(mount = %path, "mount deleted");
        Ok(())
    }

    /// The operators' settings of nodes and of the mesh, as they are now.
    pub fn steering(&self) -> Arc<Steering> {
        self.0.steering.borrow().clone()
    }

    /// The operators' settings as they change.
    pub fn watch_steering(&self) -> watch::Receiver<Arc<Steering>> {
        self.0.steering.subscribe()
    }

    /// Changes the settings of a node on all nodes; the node itself may be away.
    pub async fn set_node(
        &self,
        name: &NodeName,
        changes: Changes<NodeTraits>,
    ) -> Result<(), ChangeError> {
        let key = steering::node_key(name);
        self.0.edit_record(key, Existence::Any, changes).await?;
        let settings = NODE_KIND.line(&self.steering().traits(name));
        info!(node = %name, %settings, "node set");
        Ok(())
    }

    /// Forgets a dead node on all nodes, until it returns in a later life than `seen`. A node that is not known here is
    /// forgotten in all its lives up to now.
    pub async fn forget(
        &self,
        name: &NodeName,
        seen: Option<Generation>,
    ) -> Result<(), ChangeError> {
        let (key, wanted) = (forgotten::key(name), name.clone());
        self.0
            .commit(EditOrigin::Client, move |document, now_unix_ms| {
                let Some(fields) = forgotten::edit(document, &wanted, seen, now_unix_ms) else {
                    return Ok((BTreeMap::new(), ()));
                };
                let record = document.edit(&key, fields, now_unix_ms)?;
                Ok::<_, ChangeError>((BTreeMap::from([(key, record)]), ()))
            })
            .await?;
        info!(node = %name, "node forgotten");
        Ok(())
    }

    /// Changes the settings of the mesh on all nodes.
    pub async fn set_mesh(&self, changes: Changes<MeshSettings>) -> Result<(), ChangeError> {
        let key = steering::mesh_key();
        self.0.edit_record(key, Existence::Any, changes).await?;
        info!(policy = %self.steering().mesh.policy, "policy set");
        Ok(())
    }

    /// The settings of imports, as they are now.
    pub fn import(&self) -> Arc<ImportSettings> {
        self.0.import.borrow().clone()
    }

    /// The settings of imports as they change.
    pub fn watch_import(&self) -> watch::Receiver<Arc<ImportSettings>> {
        self.0.import.subscribe()
    }

    /// Changes the settings of imports on all nodes.
    pub async fn set_import(&self, changes: Changes<ImportSettings>) -> Result<(), ChangeError> {
        let key = import::key();
        self.0.edit_record(key, Existence::Any, changes).await?;
        let settings = IMPORT_KIND.line(&self.import());
        info!(%settings, "imports set");
        Ok(())
    }

    /// The hash of the cluster's admin password, if it has one yet.
    pub fn admin_password_hash(&self) -> Option<String> {
        let found = admin::password_hash(&self.0.lock());
        found.unwrap_or_else(|error| {
            warn!(%error, "the admin record is unusable");
            None
        })
    }

    /// Changes the cluster's admin password on all nodes.
    pub async fn set_admin(&self, changes: Changes<AdminLogin>) -> Result<(), ChangeError> {
        let key = admin::key();
        self.0.edit_record(key, Existence::Any, changes).await?;
        info!("admin password changed");
        Ok(())
    }

    /// The hash of the password with which Icecast servers relay from the mesh, if there is one.
    pub fn relay_password_hash(&self) -> Option<String> {
        let found = relay_login::password_hash(&self.0.lock());
        found.unwrap_or_else(|error| {
            warn!(%error, "the record of the relays' login is unusable");
            None
        })
    }

    /// Changes that password on all nodes.
    pub async fn set_relay_login(&self, changes: Changes<RelayLogin>) -> Result<(), ChangeError> {
        let key = relay_login::key();
        self.0.edit_record(key, Existence::Any, changes).await?;
        info!("relay password changed");
        Ok(())
    }

    /// Sets the cluster's first admin password. One that another node has set before stays.
    pub async fn found_admin_password_hash(&self, hash: &str) -> Result<(), ChangeError> {
        let (key, fields) = (admin::key(), admin::changes(hash).into_fields());
        self.0.found(key, fields).await
    }

    /// The digest of the document, as it is gossiped.
    pub fn digest(&self) -> String {
        self.0.lock().digest().to_string()
    }

    /// Applies records that a peer has pushed.
    pub fn apply(&self, from: &NodeName, records: BTreeMap<RecordKey, Record>) {
        self.0.apply(from, records);
    }

    /// Answers a peer that settles a difference with this node.
    pub async fn answer(&self, from: &NodeName, first: Frame, exchange: Exchange) {
        settle::answer(&self.0, from, first, exchange).await;
    }

    /// The reason why this node cannot write to its disk, if it cannot.
    pub fn disk_trouble(&self) -> Option<String> {
        self.0.data_dir.trouble()
    }

    /// The reason why edits are refused at this node, if they are.
    pub fn trouble(&self) -> Option<String> {
        let disk = self.disk_trouble();
        disk.map(|why| format!("{why}, and only what another node saves is taken"))
            .or_else(|| self.clock_trouble())
    }

    /// Saves the document now, after all waiting edits; the last step before the node stops.
    pub async fn save(&self) {
        let nothing = |_: &mut Document, _| Ok::<_, Unsaved>((BTreeMap::new(), ()));
        if let Err(error) = self.0.commit(EditOrigin::Node, nothing).await {
            warn!(%error, "the document is not saved at the end");
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Document> {
        self.document.lock()
    }

    fn apply(&self, from: &NodeName, records: BTreeMap<RecordKey, Record>) {
        let now_ms = self.now_ms();
        let mut document = self.lock();
        let before = admin::password_hash(&document);
        let outcome = document.apply(records, now_ms);
        let after = admin::password_hash(&document);
        let writer = admin::password_writer(&document);
        drop(document);
        if let (Ok(Some(before)), Ok(Some(after)), Some(node)) = (before, after, writer)
            && before != after
        {
            warn!(%node, "the admin password is superseded by the one that another node made or was given");
        }
        report(from, &outcome);
        if !outcome.changed.is_empty() {
            self.publish();
            self.changed.notify_one();
        }
    }

    /// Publishes the parts of the document that other services watch: mounts, outside servers, settings, forgotten nodes.
    fn publish(&self) {
        let document = self.lock();
        let listing = mounts::list(&document);
        let (steering, unusable) = Steering::of(&document);
        let outside = crate::logic::records::outside::list(&document);
        let (files, bad_files) = crate::logic::records::files::list(&document);
        let forgotten = forgotten::list(&document);
        let (import, bad_import) = import::settings(&document);
        let (issuance, bad_issuance) = certificate_records::list(&document);
        let bad_https = https::settings(&document).1;
        drop(document);
        let (mut told, mut complaints) = (self.complaints.lock(), BTreeSet::new());
        let mut is_new = |what: &dyn Display, why: &dyn Display| {
            let complaint = format!("{what}: {why}");
            let is_new = !told.contains(&complaint);
            complaints.insert(complaint);
            is_new
        };
        for (key, error) in listing.skipped.iter().filter(|(key, why)| is_new(key, why)) {
            warn!(%key, %error, "unusable mount record skipped");
        }
        for (key, error) in bad_files.iter().filter(|(key, why)| is_new(key, why)) {
            warn!(%key, %error, "unusable record of a file skipped");
        }
        for (key, error) in unusable.iter().filter(|(key, why)| is_new(key, why)) {
            warn!(%key, %error, "unusable record skipped");
        }
        if let Some(error) = bad_import.filter(|why| is_new(&import::key(), why)) {
            warn!(%error, "the settings of imports are used as far as they can be read");
        }
        if let Some(error) = bad_https.filter(|why| is_new(&https::key(), why)) {
            warn!(%error, "the settings of HTTPS are used as far as they can be read");
        }
        for (key, error) in bad_issuance.iter().filter(|(key, why)| is_new(key, why)) {
            warn!(%key, %error, "unusable record of certificates skipped");
        }
        for (mount, fault) in lineage::faults(&listing.mounts) {
            if is_new(&mount, &fault) {
                warn!(%mount, %fault, "this mount cannot be transcoded");
            }
        }
        *told = complaints;
        drop(told);
        self.mounts.send_replace(Arc::new(listing.mounts));
        self.steering.send_replace(Arc::new(steering));
        self.import.send_if_modified(|known| {
            let has_changed = **known != import;
            if has_changed {
                *known = Arc::new(import);
            }
            has_changed
        });
        self.publish_issuance(issuance);
        self.publish_outside(outside);
        self.publish_files(files);
        self.cluster.set_forgotten(forgotten);
    }
}

/// Logs the records that were refused.
fn report(from: &NodeName, outcome: &ApplyOutcome) {
    for refusal in &outcome.refused {
        warn!(%from, %refusal, "record refused");
    }
    if outcome.refused_beyond > 0 {
        warn!(%from, more = outcome.refused_beyond, "more records refused");
    }
}
