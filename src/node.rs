//! Builds a node from its settings, owns its tasks and stops them in order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::io::clock;
use crate::io::disk::{DataDir, Loaded};
use crate::io::door::Door;
use crate::io::gossip::Gossip;
use crate::io::link::{Inbox, LinkConfig, Links, NameConflict};
use crate::io::pacer::{Pacer, PacerConfig};
use crate::io::password::{Passwords, Secret};
use crate::logic::document::Document;
use crate::logic::document::saved::Saved;
use crate::logic::election::Start;
use crate::logic::forecast::Life;
use crate::model::node::NodeName;
use crate::service::admin::{Admin, AdminConfig};
use crate::service::authority::Authority;
use crate::service::cluster::joining::{self, Joiner};
use crate::service::cluster::{Cluster, ClusterConfig};
use crate::service::document::{DOCUMENT_FILE, DocumentConfig, Documents};
use crate::service::front::Front;
use crate::service::identity::{self, Company};
use crate::service::ingest::{Ingest, IngestConfig};
use crate::service::listen::{ListenConfig, Listening, PacerHandle};
use crate::service::load::{Capacity, Load};
use crate::service::relay::Relays;
use crate::service::status::Statuses;
use crate::service::streams::Streams;
use crate::service::switchboard::{Arrivals, Switchboard};
use crate::service::titles::Titles;
use crate::settings::Settings;
use crate::wire::frame::{Frame, Hello};
use crate::wire::gossip::{self, NodeCard};

/// How long tasks may take to end once they are told to.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a goodbye may take to reach the peers.
const GOODBYE: Duration = Duration::from_millis(150);
/// How long a node that was told of peers waits before it believes that the cluster has no admin yet.
const ADMIN_PATIENCE: Duration = Duration::from_secs(10);

/// Runs a node until it is asked to stop, or must.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let node = Node::start(&settings).await?;
    println!(
        "ready {} at {} (mesh {})",
        settings.name,
        node.url,
        node.links.hello().mesh_address
    );
    let outcome = node.wait().await;
    node.stop().await;
    outcome
}

/// A running node.
struct Node {
    url: String,
    links: Links,
    gossip: Arc<Gossip>,
    cluster: Cluster,
    documents: Documents,
    pacer: Arc<PacerHandle>,
    conflicts: tokio::sync::Mutex<mpsc::Receiver<NameConflict>>,
    /// Ends visitors and sources.
    front_cancel: CancellationToken,
    /// Ends everything.
    cancel: CancellationToken,
    tasks: TaskTracker,
}

/// What the node finds on its disk, and makes of it.
struct Kept {
    data_dir: Arc<DataDir>,
    life: identity::Life,
    remembered: std::collections::BTreeSet<SocketAddr>,
    document: Document,
    set_aside: Option<Document>,
    company: Company,
}

impl Node {
    async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let kept = open_disk(settings)?;
        let secret = identity::secret(
            &kept.data_dir,
            settings.secret_file.as_deref(),
            kept.company,
        )?;
        let token = identity::token(&kept.data_dir)?;
        let door = Door::bind(settings.listen)
            .with_context(|| format!("cannot listen on TCP {}", settings.listen))?;
        let bound = door.local_address()?;
        let hello = hello(settings, &kept, bound)?;
        let url = hello.public_url.clone();

        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let fingerprint = secret.fingerprint();
        let (links, inbox) = Links::start(LinkConfig {
            hello,
            listen: bound,
            secret,
            tasks: tasks.clone(),
            cancel: cancel.clone(),
        })?;
        info!(name = %settings.name, url, cluster = fingerprint, "starting");
        let Inbox {
            gossip,
            messages,
            exchanges,
            conflicts,
        } = inbox;
        let card = card(settings, &url);
        let gossip = Arc::new(Gossip::start(links.clone(), gossip, vec![card]).await?);
        let core = Core {
            settings,
            links: &links,
            gossip: &gossip,
            tasks: &tasks,
            cancel: &cancel,
        };
        let (cluster, documents) = core.start_cluster(kept);
        let parts = core.start_services(&cluster, &documents, (token, fingerprint))?;
        let arrivals = Arrivals {
            messages,
            exchanges,
        };
        tasks.spawn(parts.switchboard.run(arrivals, cancel.clone()));
        let front_cancel = parts.front_cancel;
        tasks.spawn(parts.front.run(door, tasks.clone(), front_cancel.clone()));
        Ok(Self {
            url,
            links,
            gossip,
            cluster,
            documents,
            pacer: parts.pacer,
            conflicts: tokio::sync::Mutex::new(conflicts),
            front_cancel,
            cancel,
            tasks,
        })
    }

    /// Until a signal asks the node to stop; an error if another node has its name.
    async fn wait(&self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut conflicts = self.conflicts.lock().await;
        tokio::select! {
            _ = terminate.recv() => info!("asked to stop"),
            _ = interrupt.recv() => info!("asked to stop"),
            Some(conflict) = conflicts.recv() => {
                let name = &self.links.hello().name;
                let holder = conflict.holder;
                error!(%name, %holder, "another live node has this name");
                bail!("a node named {name} is already running at {holder}: give this one another --name");
            }
        }
        Ok(())
    }

    /// Leaves in order: no newcomers, the seat, the goodbye, the listeners, the links, the document.
    async fn stop(self) {
        let leaving = self.leave();
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let again = async {
            match &mut interrupt {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = leaving => info!("stopped"),
            () = again => warn!("stopped at once"),
        }
    }

    async fn leave(&self) {
        self.front_cancel.cancel();
        if let Err(error) = self.gossip.set(gossip::DRAINING, "true").await {
            warn!(%error, "cannot say that this node leaves");
        }
        self.cluster.resign().await;
        self.links.send_to_all(&Frame::Goodbye);
        self.pacer.0.close_all();
        if tokio::time::timeout(STOP_TIMEOUT, self.pacer.0.stopped())
            .await
            .is_err()
        {
            warn!("some listeners are still there");
        }
        self.documents.save().await;
        tokio::time::sleep(GOODBYE).await; // the goodbyes are on their way; links close with what is queued
        self.gossip.stop();
        self.cancel.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait())
            .await
            .is_err()
        {
            warn!(left = self.tasks.len(), "some tasks have not ended");
        }
        self.links.close().await;
    }
}

/// What the services are built from.
struct Core<'a> {
    settings: &'a Settings,
    links: &'a Links,
    gossip: &'a Arc<Gossip>,
    tasks: &'a TaskTracker,
    cancel: &'a CancellationToken,
}

/// The services that the node itself still needs.
struct Parts {
    switchboard: Switchboard,
    front: Front,
    front_cancel: CancellationToken,
    pacer: Arc<PacerHandle>,
}

impl Core<'_> {
    fn start_cluster(&self, kept: Kept) -> (Cluster, Documents) {
        let cluster = Cluster::start(
            ClusterConfig {
                links: self.links.clone(),
                gossip: self.gossip.clone(),
                data_dir: kept.data_dir.clone(),
                rank: self.settings.rank,
                max_epoch: kept.life.max_epoch,
                start: match kept.company {
                    Company::Peers => Start::Joining,
                    Company::Alone => Start::Founding,
                },
            },
            self.tasks,
            self.cancel.clone(),
        );
        let documents = Documents::start(
            DocumentConfig {
                document: kept.document,
                set_aside: kept.set_aside,
                links: self.links.clone(),
                gossip: self.gossip.clone(),
                cluster: cluster.clone(),
                data_dir: kept.data_dir.clone(),
            },
            self.tasks,
            self.cancel,
        );
        let joiner = Joiner {
            links: self.links.clone(),
            gossip: self.gossip.clone(),
            cluster: cluster.clone(),
            targets: self.settings.join.clone(),
            remembered: kept.remembered,
            data_dir: kept.data_dir,
        };
        self.tasks.spawn(joiner.run(self.cancel.clone()));
        (cluster, documents)
    }

    fn start_services(
        &self,
        cluster: &Cluster,
        documents: &Documents,
        (token, fingerprint): (String, String),
    ) -> anyhow::Result<Parts> {
        let links = self.links;
        let streams = Streams::default();
        let passwords = Passwords::new(self.tasks.clone());
        let pacer = Pacer::start(PacerConfig::default()).context("cannot start the pacer")?;
        let pacer = Arc::new(PacerHandle(pacer));
        let load = self.start_load(cluster, &streams);
        let authority = Authority::new(
            (links.clone(), cluster.clone()),
            documents.clone(),
            cluster.view().max_epoch,
        );
        let relays = Relays::new(
            (links.clone(), cluster.clone()),
            (documents.clone(), streams.clone()),
            self.tasks.clone(),
            self.cancel.clone(),
        );
        self.tasks.spawn(relays.clone().keep_all_while_master());
        let titles = Titles::new(links.clone(), cluster.clone(), streams.clone());
        let statuses = Statuses::new(
            (cluster.clone(), documents.clone()),
            (load.clone(), streams.clone()),
            fingerprint,
        );
        let founding = found_admin(cluster.clone(), documents.clone(), passwords.clone());
        let cancel = self.cancel.clone();
        self.tasks
            .spawn(async move { cancel.run_until_cancelled(founding).await });
        let front_cancel = self.cancel.child_token();
        let front = Front {
            ingest: Ingest::new(IngestConfig {
                documents: documents.clone(),
                authority: authority.clone(),
                streams: streams.clone(),
                passwords: passwords.clone(),
                cancel: front_cancel.clone(),
            }),
            listening: Listening::new(ListenConfig {
                documents: documents.clone(),
                cluster: cluster.clone(),
                load,
                relays,
                pacer: pacer.clone(),
            }),
            admin: Admin::new(AdminConfig {
                documents: documents.clone(),
                statuses,
                titles: titles.clone(),
                passwords,
                token: Secret::from(token),
            }),
        };
        let switchboard = Switchboard {
            cluster: cluster.clone(),
            documents: documents.clone(),
            authority,
            streams,
            titles,
            tasks: self.tasks.clone(),
        };
        Ok(Parts {
            switchboard,
            front,
            front_cancel,
            pacer,
        })
    }

    fn start_load(&self, cluster: &Cluster, streams: &Streams) -> Load {
        let hello = self.links.hello();
        let life = Life {
            node: hello.name.clone(),
            generation: hello.generation,
        };
        let capacity = Capacity {
            max_listeners: self.settings.max_listeners,
            max_bandwidth_bps: self.settings.max_bandwidth_bps,
        };
        let load = Load::new(life, capacity);
        let world = (cluster.clone(), self.gossip.clone());
        let running = load
            .clone()
            .run(world, streams.clone(), self.cancel.clone());
        self.tasks.spawn(running);
        load
    }
}

/// Opens the data directory, and reads what earlier lives have left there.
fn open_disk(settings: &Settings) -> anyhow::Result<Kept> {
    let data_dir = Arc::new(DataDir::open(&settings.data_dir)?);
    let life = identity::begin_life(&data_dir)?;
    let remembered = joining::remembered(&data_dir);
    let company = if settings.join.is_empty() && remembered.is_empty() {
        Company::Alone
    } else {
        Company::Peers
    };
    let (document, set_aside) = load_document(&data_dir, &settings.name, company)?;
    Ok(Kept {
        data_dir,
        life,
        remembered,
        document,
        set_aside,
        company,
    })
}

/// The document from disk; and, apart from it, one that is too old to be merged with the peers'.
fn load_document(
    data_dir: &DataDir,
    name: &NodeName,
    company: Company,
) -> anyhow::Result<(Document, Option<Document>)> {
    let empty = || Document::new(name.clone());
    let bytes = match data_dir.load(DOCUMENT_FILE)? {
        Loaded::Fresh => return Ok((empty(), None)),
        Loaded::Current(bytes) => bytes,
        Loaded::Previous { bytes, why } => {
            warn!(%why, "the document's file is damaged (kept as document.damaged): using the previous version");
            bytes
        }
        Loaded::Lost { why } => {
            error!(%why, "the document is lost (kept as document.damaged): beginning with an empty one");
            return Ok((empty(), None));
        }
    };
    let saved: Saved = serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} is no document of ours",
            data_dir.path_of(DOCUMENT_FILE).display()
        )
    })?;
    let stale = saved.is_stale(clock::unix_ms());
    let (document, outcome) = Document::restore(name.clone(), saved);
    for refusal in &outcome.refused {
        warn!(%refusal, "left out of the document");
    }
    if stale && company == Company::Peers {
        warn!(
            "this node was away for longer than deletions are remembered: it takes the peers' document"
        );
        return Ok((empty(), Some(document)));
    }
    Ok((document, None))
}

/// Who this node says it is.
fn hello(settings: &Settings, kept: &Kept, bound: SocketAddr) -> anyhow::Result<Hello> {
    let public_host = settings.public_url.as_ref().map(|url| url.to_string());
    let ip = if bound.ip().is_unspecified() {
        outward_ip(&settings.join)
    } else {
        bound.ip()
    };
    let mesh_address = SocketAddr::new(ip, bound.port());
    Ok(Hello {
        name: settings.name.clone(),
        generation: kept.life.generation,
        mesh_address,
        public_url: public_host.unwrap_or_else(|| format!("http://{mesh_address}")),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The address of ours that peers see: the one that the system would use towards them. Nothing is sent.
fn outward_ip(join: &[String]) -> IpAddr {
    /// An address for documentation (RFC 5737): behind the default route, if there is one.
    const ANYBODY: &str = "192.0.2.1:9";
    let targets = join.iter().map(String::as_str).chain([ANYBODY]);
    let towards = |target: &str| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect(target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    targets
        .into_iter()
        .find_map(towards)
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn card(settings: &Settings, url: &str) -> (String, String) {
    let card = NodeCard {
        url: url.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rank: settings.rank,
        started_unix_ms: clock::unix_ms(),
    };
    (gossip::NODE.to_owned(), gossip::write(&card))
}

/// The very first start of a cluster makes its admin's password, and shows it once: the master does it, when it
/// has had time to hear of an older cluster.
async fn found_admin(cluster: Cluster, documents: Documents, passwords: Passwords) {
    let mut view = cluster.watch();
    if view.wait_for(|view| view.is_master()).await.is_err() {
        return;
    }
    let alone = cluster.view().nodes.len() < 2;
    if !alone {
        tokio::time::sleep(ADMIN_PATIENCE).await;
    }
    if documents.admin_password_hash().is_some() || !cluster.view().is_master() {
        return;
    }
    let password = Secret::generate();
    let stored = match passwords.hash(&password).await {
        Ok(hash) => documents
            .set_admin_password_hash(&hash)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match stored {
        Ok(()) => println!("admin password, shown this once: {}", password.reveal()),
        Err(error) => error!(error, "the admin password could not be made"),
    }
}
