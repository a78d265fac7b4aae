//! The announcement of a node to its peers, and the links and the gossip that carry it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::info;

use super::kept::KeptState;
use super::ports::{Ports, cannot_link};
use super::{announcing, resolver};
use crate::io::clock;
use crate::io::gossip::Gossip;
use crate::io::link::{LinkConfig, Links, NameConflict};
use crate::io::tasks::Tasks;
use crate::io::tls::ClusterSecret;
use crate::service::geo::{Geo, GeoConfig};
use crate::service::https_address::AddressWords;
use crate::service::own_card::OwnCard;
use crate::service::switchboard::Arrivals;
use crate::settings::Settings;
use crate::wire::frame::Hello;
use crate::wire::gossip::{self, NodeCard};

/// The links and the gossip of a node that has begun to speak.
pub(super) struct Presence {
    pub(super) links: Links,
    pub(super) gossip: Arc<Gossip>,
    pub(super) geo: Geo,
    pub(super) card: OwnCard,
    /// The messages of peers for the services.
    pub(super) arrivals: Arrivals,
    pub(super) conflicts: mpsc::Receiver<NameConflict>,
}

impl Presence {
    /// Opens the links, and starts to gossip what this node is.
    pub(super) async fn begin(
        settings: &Settings,
        hello: Hello,
        ports: &Ports,
        secret: &ClusterSecret,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let (url, own_ip) = (hello.public_url.clone(), own_ip(&hello));
        let (links, inbox) = Links::start(LinkConfig {
            hello,
            listen: ports.bound,
            secret: secret.clone(),
            tasks: tasks.clone(),
        })
        .map_err(cannot_link)?;
        info!(name = %settings.name, url, mesh = secret.fingerprint(), "starting");
        announcing::check(settings, links.hello(), ports.bound);
        let geo = Geo::start(GeoConfig {
            file: settings.geo_database.clone(),
            own_place: settings.place,
            own_ip,
        });
        let geo = geo.await;
        let card = card(settings, links.hello(), &geo);
        let said = (gossip::NODE.to_owned(), gossip::write(&card));
        let gossip = Arc::new(Gossip::start(links.clone(), inbox.gossip, vec![said]).await?);
        let card = OwnCard::new(card, gossip.clone());
        tasks.spawn(geo.clone().run(card.clone(), tasks.clone()));
        Ok(Self {
            links,
            gossip,
            geo,
            card,
            arrivals: Arrivals {
                messages: inbox.messages,
                exchanges: inbox.exchanges,
            },
            conflicts: inbox.conflicts,
        })
    }
}

/// The HELLO that this node sends.
pub(super) fn hello(
    settings: &Settings,
    kept: &KeptState,
    bound: SocketAddr,
) -> anyhow::Result<Hello> {
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

/// The words on the addresses of this node.
pub(super) fn address_words(settings: &Settings, hello: &Hello) -> AddressWords {
    AddressWords {
        public_url: hello.public_url.clone(),
        public_https_url: settings.public_https_url.clone().map(String::from),
        https_port: settings.listen_https.map(|address| address.port()),
    }
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
        zone: settings.dns.as_ref().map(|dns| dns.zone.clone()),
        takes_orders: true,
        reads_prologues: true,
        reads_captions: true,
        reads_long_prologues: true,
        proves: true,
        lists_listeners: true,
        reads_presence: true,
        reads_midway: true,
        reads_transcoders: true,
        reads_outside_relays: true,
        reads_dismissals: true,
        reads_files: true,
        reads_imports: true,
        reads_certificates: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_has_the_address_that_the_world_sees() {
        for (url, ip) in [
            ("http://192.0.2.7", "192.0.2.7"),
            ("http://192.0.2.7:8000", "192.0.2.7"),
            ("http://[2001:db8::7]", "2001:db8::7"),
            ("http://[2001:db8::7]:8000", "2001:db8::7"),
            ("http://radio.example:8000", "198.51.100.1"),
        ] {
            let hello = Hello {
                mesh_address: "198.51.100.1:8000".parse().unwrap(),
                public_url: url.to_owned(),
                ..Hello::sample("n1")
            };
            assert_eq!(own_ip(&hello), ip.parse::<IpAddr>().unwrap(), "{url}");
        }
    }
}
