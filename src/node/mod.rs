//! Builds a node from its settings, owns its tasks and stops them in order.

mod announcing;
mod kept;
mod reload;
mod resolver;
mod services;
mod signals;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, anyhow, bail};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use self::kept::{KeptState, open_disk};
use self::services::{Core, NodeCredentials};
use self::signals::{Signals, Wish};
use crate::io::clock;
use crate::io::descriptors::Descriptors;
use crate::io::disk::DataDir;
use crate::io::dns::DnsSockets;
use crate::io::door::Door;
use crate::io::gossip::Gossip;
use crate::io::link::{Inbox, LinkConfig, Links, NameConflict};
use crate::io::tasks::Tasks;
use crate::io::tls::Secret;
use crate::proto::ended::Ended;
use crate::service::cluster::seeking::Unreached;
use crate::service::document::Documents;
use crate::service::drain::Drain;
use crate::service::geo::{Geo, GeoConfig};
use crate::service::identity::{self, Company};
use crate::service::load::Capacity;
use crate::service::switchboard::Arrivals;
use crate::settings::Settings;
use crate::wire::frame::{Frame, Hello};
use crate::wire::gossip::{self, NodeCard};
use crate::wire::icecast::passthrough::TagKey;
use crate::wire::livez::ProofKeys;

/// How long tasks may take to end when the node stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a goodbye may take to reach the peers.
const GOODBYE: Duration = Duration::from_millis(150);
/// The time over which a stopping node ends its listeners: long enough that they do not all reconnect elsewhere at
/// once, and shorter than the time that service managers wait.
const FAREWELL: Duration = Duration::from_secs(5);

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

/// A running node.
struct Node {
    /// The settings at its start.
    settings: Settings,
    secret: Secret,
    /// The fingerprint of the secret, as the status shows it.
    fingerprint: watch::Sender<String>,
    data_dir: Arc<DataDir>,
    links: Links,
    gossip: Arc<Gossip>,
    documents: Documents,
    geo: Geo,
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
        let is_newcomer = kept.company == Company::Peers && !settings.found;
        let secret = identity::secret(
            &kept.data_dir,
            settings.secret_file.as_deref(),
            if is_newcomer {
                Company::Peers
            } else {
                Company::Alone
            },
        )?;
        let token = identity::token(&kept.data_dir)?;
        let descriptors = Descriptors::raise();
        descriptors.check().map_err(Error::msg)?;
        let capacity = Capacity {
            max_listeners: descriptors.listeners(settings.max_listeners),
            max_bandwidth_bps: settings.max_bandwidth_bps,
        };
        if capacity.max_listeners == 0 || capacity.max_bandwidth_bps == 0 {
            warn!(
                "this node is allowed no listeners (max_listeners or max_bandwidth is 0): all are sent elsewhere"
            );
        }
        let door = Door::bind(settings.listen, &settings.trusted_proxies, descriptors)
            .map_err(|error| cannot_listen(settings.listen, &error))?;
        let dns = settings.dns.as_ref();
        let dns = dns.map(|dns| DnsSockets::bind(&dns.listen, descriptors.of_dns()));
        let dns = dns.transpose()?;
        let bound = door.local_address()?;
        let hello = hello(&settings, &kept, bound)?;
        let url = hello.public_url.clone();
        let own_ip = own_ip(&hello);

        let tasks = Tasks::default();
        let fingerprint = secret.fingerprint();
        let tag_key = TagKey::new(secret.derive("antiphon passthrough tags"));
        let proof_keys = ProofKeys::new(secret.derive_each("antiphon proof of an address"));
        let (links, inbox) = Links::start(LinkConfig {
            hello,
            listen: bound,
            secret: secret.clone(),
            tasks: tasks.clone(),
        })?;
        info!(name = %settings.name, url, cluster = fingerprint, "starting");
        announcing::check(&settings, links.hello(), bound);
        let Inbox {
            gossip,
            messages,
            exchanges,
            conflicts,
        } = inbox;
        let geo = Geo::start(GeoConfig {
            file: settings.geo_database.clone(),
            own_place: settings.place,
            own_ip,
        });
        let geo = geo.await;
        let card = card(&settings, links.hello(), &geo);
        let said = (gossip::NODE.to_owned(), gossip::write(&card));
        let gossip = Arc::new(Gossip::start(links.clone(), gossip, vec![said]).await?);
        let keeping_up = geo.clone().run(card, gossip.clone(), tasks.clone());
        tasks.spawn(keeping_up);
        let core = Core {
            settings: &settings,
            capacity,
            links: &links,
            gossip: &gossip,
            tasks: &tasks,
            ended: Ended::default(),
            geo: &geo,
            tag_key,
            unreached: Unreached::default(),
            proof_keys,
            is_newcomer,
        };
        let data_dir = kept.data_dir.clone();
        let mesh = core.start_mesh(kept);
        let shown = watch::Sender::new(fingerprint.clone());
        let credentials = NodeCredentials {
            token,
            fingerprint: shown.subscribe(),
        };
        let parts = core.start_services(&mesh, credentials)?;
        if let (Some(zone), Some(sockets)) = (&settings.dns, dns) {
            let zone = resolver::zone(zone, &fingerprint);
            core.start_resolver(&mesh.cluster, parts.load, zone, sockets, data_dir.clone());
        }
        let arrivals = Arrivals {
            messages,
            exchanges,
        };
        tasks.spawn(parts.switchboard.run(arrivals));
        let visitors = parts.visitors;
        tasks.spawn(parts.front.run(door, visitors.clone()));
        Ok(Self {
            settings,
            secret,
            fingerprint: shown,
            data_dir,
            links,
            gossip,
            documents: mesh.documents,
            geo,
            drain: parts.drain,
            conflicts,
            visitors,
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
        self.drain.finish(FAREWELL).await;
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

/// The HELLO that this node sends.
fn hello(settings: &Settings, kept: &KeptState, bound: SocketAddr) -> anyhow::Result<Hello> {
    let public_host = settings.public_url.as_ref().map(|url| url.to_string());
    let ip = if bound.ip().is_unspecified() {
        outward_ip(&settings.join)
    } else {
        bound.ip()
    };
    let own = SocketAddr::new(ip, bound.port());
    Ok(Hello {
        name: settings.name.clone(),
        generation: kept.life.generation,
        mesh_address: settings.mesh_address.unwrap_or(own),
        public_url: public_host.unwrap_or_else(|| format!("http://{own}")),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Why a node cannot open its port, and what to do about it.
fn cannot_listen(listen: SocketAddr, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; if an Icecast or another antiphon runs there, stop it, or choose another port: --listen {}",
            SocketAddr::new(listen.ip(), listen.port().saturating_add(1))
        ),
        _ => String::new(),
    };
    anyhow!("cannot listen on TCP {listen}: {error}{hint}")
}

/// The address of this machine that peers see: the one that the system would use towards them. No packet is sent.
fn outward_ip(join: &[String]) -> IpAddr {
    /// An address for documentation (RFC 5737): behind the default route, if there is one.
    const FAR_ADDRESS: &str = "192.0.2.1:9";
    let targets = join.iter().map(String::as_str).chain([FAR_ADDRESS]);
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

/// The address of this node as the world sees it: the one in its URL, or else the one for its peers.
fn own_ip(hello: &Hello) -> IpAddr {
    let authority = hello.public_url.rsplit('/').next().unwrap_or_default();
    let with_port = || authority.parse::<SocketAddr>().ok().map(|it| it.ip());
    let alone = || authority.trim_matches(['[', ']']).parse().ok();
    with_port()
        .or_else(alone)
        .unwrap_or_else(|| hello.mesh_address.ip())
}

fn card(settings: &Settings, hello: &Hello, geo: &Geo) -> NodeCard {
    NodeCard {
        url: hello.public_url.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rank: settings.rank,
        started_unix_ms: clock::unix_ms(),
        https_url: settings.public_https_url.clone().map(String::from),
        place: geo.own_place(),
        addresses: resolver::addresses(settings, own_ip(hello)),
        serves_dns: settings.dns.is_some(),
        takes_orders: true,
        reads_prologues: true,
        proves: true,
        lists_listeners: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_in_the_url_is_the_one_that_the_world_sees() {
        for (url, ip) in [
            ("http://192.0.2.7", "192.0.2.7"),
            ("http://192.0.2.7:8000", "192.0.2.7"),
            ("http://[2001:db8::7]", "2001:db8::7"),
            ("http://[2001:db8::7]:8000", "2001:db8::7"),
            ("http://radio.example:8000", "198.51.100.1"),
        ] {
            let hello = Hello {
                name: "n1".parse().unwrap(),
                generation: crate::model::node::Generation(1),
                mesh_address: "198.51.100.1:8000".parse().unwrap(),
                public_url: url.to_owned(),
                version: String::new(),
            };
            assert_eq!(own_ip(&hello), ip.parse::<IpAddr>().unwrap(), "{url}");
        }
    }
}
