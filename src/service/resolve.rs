//! Answers for the zone of the mesh, from what this node itself knows.
//!
//! Nodes do not agree on answers, and need not: each knows the same mesh within a second, and resolvers keep an address
//! for ten.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{debug, warn};

use super::cluster::Cluster;
use super::load::Load;
use crate::io::clock;
use crate::io::disk::{DataDir, Loaded};
use crate::io::dns::{DnsSockets, Responder};
use crate::io::tasks::Tasks;
use crate::logic::dns::throttle::{Throttle, ThrottleVerdict};
use crate::logic::dns::zone::{Choosing, Host, Moment, ServingNode, Zone};
use crate::logic::records::certificates::Issuance;
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::proto::table::{Among, Ask};
use crate::proto::view::{MeshNode, MeshView};
use crate::wire::dns::{self, Carrier, Received};

/// The file of the names of all nodes that ever were.
const NAMES_FILE: &str = "node-names";
/// How many names are remembered; a mesh that had more nodes in its life may forget the older ones.
const MAX_NAMES: usize = 1_024;
/// How often the serial rises, seconds: as soon as any resolver may ask again. Nodes whose clocks are right then mostly
/// agree on it.
const SERIAL_STEP_S: u64 = 10;

/// The mount for which nodes are ranked: a client that asks for a name has not said yet which one it wants, so this is
/// one that no node has.
const ANY_MOUNT: &str = "/any";

/// Looks up the place of a client; `None` without a database, when the answer is the same for all the world.
pub type ClientLocator = Arc<dyn Fn(IpAddr) -> Option<Whereabouts> + Send + Sync>;

/// The parts that the resolver needs.
pub struct ResolveConfig {
    /// The fixed parts of the zone.
    pub zone: Zone,
    /// The mesh.
    pub cluster: Cluster,
    /// The open orders of certificates, whose proofs are in the zone.
    pub issuance: watch::Receiver<Arc<Issuance>>,
    /// The nodes that have room.
    pub load: Load,
    /// The places of clients.
    pub places: ClientLocator,
    /// How many answers a client's network gets by UDP per second.
    pub answers_per_s: u32,
    /// Keeps the names of nodes.
    pub data_dir: Arc<DataDir>,
}

impl std::fmt::Debug for ResolveConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResolveConfig")
            .field("zone", &self.zone.apex)
            .finish_non_exhaustive()
    }
}

/// The nodes as this node knows them at the moment.
#[derive(Debug, Default)]
struct KnownNodes {
    hosts: BTreeMap<NodeName, Host>,
    once: BTreeSet<NodeName>,
}

struct ResolverInner {
    config: ResolveConfig,
    known: Mutex<Arc<KnownNodes>>,
    throttle: Mutex<Throttle>,
    serial: AtomicU32,
    any_mount: MountName,
}

/// A cheap, cloneable way to what answers for the zone.
#[derive(Clone)]
pub struct Resolver(Arc<ResolverInner>);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Resolver").field(&self.0.config).finish()
    }
}

impl Resolver {
    /// A resolver, which answers once it runs.
    pub fn new(config: ResolveConfig) -> Self {
        let throttle = Throttle::new(config.answers_per_s, RandomState::new(), clock::now());
        let once = remembered(&config.data_dir);
        let hosts = BTreeMap::new();
        Self(Arc::new(ResolverInner {
            config,
            known: Mutex::new(Arc::new(KnownNodes { hosts, once })),
            throttle: Mutex::new(throttle),
            serial: AtomicU32::new(0),
            any_mount: MountName::try_from(ANY_MOUNT).expect("a valid path"),
        }))
    }

    /// Keeps up with the mesh, and answers on the sockets as soon as the view has this node. Runs until the node stops.
    pub async fn run(self, sockets: DnsSockets, tasks: Tasks) {
        let mut view = self.0.config.cluster.watch();
        let mut sockets = Some(sockets);
        loop {
            let seen = view.borrow_and_update().clone();
            let is_here = seen.nodes.contains_key(&seen.me);
            if self.apply_view(&seen) {
                self.remember().await;
            }
            if let Some(sockets) = sockets.take_if(|_| is_here) {
                sockets.serve(&self.answering(), &tasks);
            }
            match tasks.until_end(view.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    fn answering(&self) -> Responder {
        let resolver = self.clone();
        Arc::new(move |message, from, carrier| resolver.answer(message, from, carrier))
    }

    /// The answer to a message, or none.
    fn answer(&self, message: &[u8], from: IpAddr, carrier: Carrier) -> Option<Vec<u8>> {
        let heard = dns::read(message);
        let verdict = match (carrier, &heard) {
            (_, Received::Nothing) => return None,
            (Carrier::Udp, _) => self.judge(from),
            (Carrier::Tcp, _) => ThrottleVerdict::Answer,
        };
        match (heard, verdict) {
            (Received::Nothing, _)
            | (_, ThrottleVerdict::Drop)
            | (Received::Refusal(_), ThrottleVerdict::Slip) => None,
            (Received::Refusal(refusal), ThrottleVerdict::Answer) => Some(refusal),
            (Received::Query(query), ThrottleVerdict::Slip) => Some(query.truncated()),
            (Received::Query(query), ThrottleVerdict::Answer) => {
                let client = query.subnet.map_or(from, |subnet| subnet.address);
                let known = self.0.known.lock().clone();
                let proofs = self.0.config.issuance.borrow().dns_proofs();
                let moment = Moment {
                    hosts: &known.hosts,
                    known_once: &known.once,
                    proofs: &proofs,
                    serial: self.serial(),
                };
                let mut choosing = ByLoad {
                    resolver: self,
                    client,
                    looked: Looked::AtNothing,
                };
                let zone = &self.0.config.zone;
                let finding = zone.look_up(&query.question, &moment, &mut choosing);
                debug!(%from, question = ?query.question, "asked");
                let scope_bits = match (choosing.looked, query.subnet) {
                    (Looked::AtThePlace, Some(subnet)) => subnet.prefix_bits,
                    (Looked::AtThePlace, None) | (Looked::AtNothing, _) => 0,
                };
                Some(query.answer(&finding, carrier, scope_bits))
            }
        }
    }

    fn judge(&self, from: IpAddr) -> ThrottleVerdict {
        self.0.throttle.lock().judge(from, clock::now())
    }

    /// Seconds since 1970 in steps, and never less than before.
    fn serial(&self) -> u32 {
        let seconds = clock::unix_s();
        let stepped = (seconds - seconds % SERIAL_STEP_S) as u32;
        self.0
            .serial
            .fetch_max(stepped, Ordering::Relaxed)
            .max(stepped)
    }

    /// Takes over what has changed. Returns whether a name is new.
    fn apply_view(&self, view: &MeshView) -> bool {
        let hosts = view.nodes.iter();
        let hosts: BTreeMap<NodeName, Host> = hosts
            .map(|(name, node)| (name.clone(), host(node)))
            .collect();
        let mut known = self.0.known.lock();
        let fresh = hosts.keys().filter(|name| !known.once.contains(*name));
        let fresh: BTreeSet<NodeName> = fresh.take(MAX_NAMES).cloned().collect();
        let mut once = known.once.clone();
        if once.len() + fresh.len() > MAX_NAMES {
            once.clear();
        }
        let news = !fresh.is_empty();
        once.extend(fresh);
        *known = Arc::new(KnownNodes { hosts, once });
        news
    }

    async fn remember(&self) {
        let known = self.0.known.lock().clone();
        let bytes = serde_json::to_vec(&known.once).expect("names have a text");
        let data_dir = self.0.config.data_dir.clone();
        let saved = spawn_blocking(move || data_dir.save(NAMES_FILE, &bytes)).await;
        if let Err(error) = saved.expect("saving a file does not panic") {
            warn!(%error, "cannot remember the names of the nodes");
        }
    }

    /// The nodes that take newcomers from this place, the best first, each with the listeners that it has room for.
    fn best_nodes(&self, from: Option<Whereabouts>) -> Vec<ServingNode> {
        let ask = Ask {
            mount: &self.0.any_mount,
            place: from.unwrap_or_default(),
            among: Among::All,
            https: false,
            family: None, // by name a node is reached by whichever family it has
            full_at: 1.0,
        };
        let rooms = self.0.config.load.rooms(&ask).into_iter();
        rooms
            .map(|(node, room)| ServingNode { node, room })
            .collect()
    }
}

fn host(node: &MeshNode) -> Host {
    let mut addresses = node.card.addresses.clone();
    if addresses.is_empty() {
        addresses.push(node.mesh_address.ip()); // a version that does not say them
    }
    Host {
        addresses,
        state: node.state,
        serves_dns: node.card.serves_dns,
    }
}

/// The names of an earlier life, from disk; none if there is no such file or it says nothing useful.
fn remembered(data_dir: &DataDir) -> BTreeSet<NodeName> {
    let bytes = match data_dir.load(NAMES_FILE) {
        Ok(Loaded::Current(bytes) | Loaded::Previous { bytes, .. }) => bytes,
        Ok(Loaded::Fresh | Loaded::Lost { .. }) => return BTreeSet::new(),
        Err(error) => {
            warn!(%error, "the remembered names of nodes cannot be read");
            return BTreeSet::new();
        }
    };
    let names = serde_json::from_slice::<Vec<NodeName>>(&bytes).unwrap_or_default();
    names.into_iter().take(MAX_NAMES).collect()
}

/// The facts that an answer depends on besides its question.
#[derive(Clone, Copy)]
enum Looked {
    AtNothing,
    AtThePlace,
}

/// Chooses by load, and notes whether the client's place was looked at.
struct ByLoad<'a> {
    resolver: &'a Resolver,
    client: IpAddr,
    looked: Looked,
}

impl Choosing for ByLoad<'_> {
    fn candidates(&mut self) -> Vec<ServingNode> {
        let place = (self.resolver.0.config.places)(self.client);
        if place.is_some() {
            self.looked = Looked::AtThePlace;
        }
        self.resolver.best_nodes(place)
    }

    fn dice(&mut self) -> f64 {
        clock::random_share()
    }
}
