//! Builds a node from its settings, owns its tasks and stops them in order.

mod announcing;
mod certificates;
mod engine;
mod kept;
mod ports;
mod presence;
mod reload;
mod resolver;
mod services;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use self::kept::open_disk;
use self::ports::Ports;
use self::presence::Presence;
use self::services::{Core, NodeCredentials};
use self::signals::{Signals, Wish};
use crate::io::disk::DataDir;
use crate::io::door::Door;
use crate::io::gossip::Gossip;
use crate::io::https::certificates::Certificates;
use crate::io::https::handshake::Https;
use crate::io::link::{Links, NameConflict};
use crate::io::seal::Seal;
use crate::io::tasks::Tasks;
use crate::io::tls::ClusterSecret;
use crate::logic::election::Start;
use crate::proto::ended::Ended;
use crate::service::cluster::seeking::Unreached;
use crate::service::document::Documents;
use crate::service::drain::Drain;
use crate::service::front::Front;
use crate::service::geo::Geo;
use crate::service::https_address::HttpsAddress;
use crate::service::identity;
use crate::service::logs::Logs;
use crate::service::own_certificate::OwnCertificate;
use crate::settings::Settings;
use crate::wire::frame::{Frame, Hello};
use crate::wire::icecast::passthrough::TagKey;
use crate::wire::icecast::shoutcast::PortUse;
use crate::wire::icecast::token::TokenKeys;
use crate::wire::livez::ProofKeys;

/// How long tasks may take to end when the node stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a goodbye may take to reach the peers.
const GOODBYE: Duration = Duration::from_millis(150);
/// The time over which a stopping node ends its listeners: long enough that they do not all reconnect elsewhere at
/// once, and shorter than the time that service managers wait.
const LISTENERS_END: Duration = Duration::from_secs(5);

/// Runs a node until it is asked to stop, or must. `ready` is called once it serves; `read_again` reads the settings
/// anew when a reload is asked for.
pub async fn run(
    settings: Settings,
    ready: impl FnOnce(&Hello) -> anyhow::Result<()>,
    read_again: impl Fn() -> anyhow::Result<Settings>,
) -> anyhow::Result<()> {
    let mut signals = Signals::take().context("cannot take signals")?;
    let mut node = tokio::select! {
        node = Node::start(settings) => node?,
        () = signals.stop() => {
            info!("asked to stop before it served");
            return Ok(());
        }
    };
    let outcome = match ready(node.links.hello()) {
        Ok(()) => node.wait(&mut signals, &read_again).await,
        Err(error) => Err(error),
    };
    node.stop(&mut signals).await;
    outcome
}

/// Lets visitors in by the doors beside the first one.
fn open_further_doors(
    doors: Vec<Door>,
    front: &Front,
    visitors: &Tasks,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    for door in doors {
        let address = door.local_address()?;
        match door.port() {
            PortUse::Shoutcast => info!(%address, "Shoutcast sources are taken here too"),
            PortUse::Http => info!(%address, "HTTP and HTTPS are spoken here too"),
            PortUse::Https => info!(%address, "HTTPS is spoken here"),
        }
        tasks.spawn(front.clone().run(door, visitors.clone()));
    }
    Ok(())
}

/// A running node.
struct Node {
    /// The settings at its start.
    settings: Settings,
    secret: ClusterSecret,
    /// Opens and seals what the document keeps secret.
    seal: Seal,
    /// The fingerprint of the secret, as the status shows it.
    fingerprint: watch::Sender<String>,
    data_dir: Arc<DataDir>,
    links: Links,
    gossip: Arc<Gossip>,
    documents: Documents,
    geo: Geo,
    https: Https,
    own_certificate: OwnCertificate,
    logs: Logs,
    drain: Drain,
    conflicts: mpsc::Receiver<NameConflict>,
    /// Ends connections and sources.
    visitors: Tasks,
    /// Ends all tasks.
    tasks: Tasks,
}

impl Node {
    async fn start(settings: Settings) -> anyhow::Result<Self> {
        let kept = open_disk(&settings)?;
        let is_newcomer = kept.start == Start::Joining && !settings.found;
        let start = match is_newcomer {
            true => Start::Joining,
            false => Start::Founding,
        };
        let secret = identity::secret(&kept.data_dir, settings.secret_file.as_deref(), start)?;
        let token = identity::token(&kept.data_dir)?;
        let certificates = Certificates::default();
        let own_certificate = OwnCertificate::read(settings.tls.clone(), certificates.clone())?;
        let https = Https::new(&secret, certificates.clone()).context("cannot set up HTTPS")?;
        let ports = Ports::open(&settings)?;
        let tasks = Tasks::default();
        let hello = presence::hello(&settings, &kept, ports.bound)?;
        let present = Presence::begin(&settings, hello, &ports, &secret, &tasks).await?;
        let words = presence::address_words(&settings, present.links.hello());
        let https_address = HttpsAddress::new(words, certificates);
        let seal = Seal::new(&secret);
        let core = Core {
            settings: &settings,
            seal: &seal,
            capacity: ports.capacity,
            links: &present.links,
            gossip: &present.gossip,
            tasks: &tasks,
            ended: Ended::default(),
            geo: &present.geo,
            https: &https,
            https_address: &https_address,
            tag_key: TagKey::new(secret.derive("antiphon passthrough tags")),
            token_keys: TokenKeys::new(secret.derive_each("antiphon listener tokens")),
            unreached: Unreached::default(),
            proof_keys: ProofKeys::new(secret.derive_each("antiphon proof of an address")),
            is_newcomer,
        };
        let data_dir = kept.data_dir.clone();
        let mesh = core.start_mesh(kept);
        let fingerprint = watch::Sender::new(secret.fingerprint());
        let credentials = NodeCredentials {
            token,
            fingerprint: fingerprint.subscribe(),
        };
        let parts = core.start_services(&mesh, credentials)?;
        if let (Some(zone), Some(sockets)) = (&settings.dns, ports.dns) {
            let zone = resolver::zone(zone, &secret.fingerprint());
            core.start_resolver(&mesh, parts.load, zone, sockets, data_dir.clone());
        }
        tasks.spawn(parts.switchboard.run(present.arrivals));
        open_further_doors(ports.further_doors, &parts.front, &parts.visitors, &tasks)?;
        tasks.spawn(parts.front.run(ports.door, parts.visitors.clone()));
        tasks.spawn(own_certificate.clone().run(tasks.clone()));
        tasks.spawn(https_address.run(present.card, tasks.clone()));
        Ok(Self {
            settings,
            secret,
            seal,
            fingerprint,
            data_dir,
            links: present.links,
            gossip: present.gossip,
            documents: mesh.documents,
            geo: present.geo,
            https,
            own_certificate,
            logs: parts.logs,
            drain: parts.drain,
            conflicts: present.conflicts,
            visitors: parts.visitors,
            tasks,
        })
    }

    /// Waits until a signal asks the node to stop; an error if another node has its name.
    async fn wait(
        &mut self,
        signals: &mut Signals,
        read_again: &impl Fn() -> anyhow::Result<Settings>,
    ) -> anyhow::Result<()> {
        loop {
            let wish = tokio::select! {
                wish = signals.next() => wish,
                Some(conflict) = self.conflicts.recv() => {
                    let name = &self.links.hello().name;
                    let holder = conflict.holder;
                    error!(%name, %holder, "another live node has this name");
                    bail!("a node named {name} is already running at {holder}: give this one another --name");
                }
            };
            match wish {
                Wish::Stop => {
                    info!("asked to stop");
                    return Ok(());
                }
                Wish::Reload => self.reload(read_again),
                Wish::Unknown(signal) => {
                    info!(
                        signal,
                        "a signal that means nothing here; SIGHUP reloads, SIGTERM stops"
                    );
                }
            }
        }
    }

    /// Leaves in order; a second signal ends the waiting.
    async fn stop(self, signals: &mut Signals) {
        tokio::select! {
            () = self.leave() => info!("stopped"),
            () = signals.stop() => warn!("stopped at once"),
        }
    }

    /// Ends in this order: the service with seat, sources and listeners; the document; the goodbye; the links.
    async fn leave(&self) {
        self.drain.finish(LISTENERS_END).await;
        self.visitors.end();
        self.documents.save().await;
        self.links.send_to_all(&Frame::Goodbye);
        tokio::time::sleep(GOODBYE).await; // Links close with all that is still queued.
        self.gossip.stop();
        self.tasks.end();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.all_ended())
            .await
            .is_err()
        {
            warn!(left = self.tasks.count(), "some tasks have not ended");
        }
        self.links.close().await;
    }
}
