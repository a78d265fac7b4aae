//! The zone of the mesh: its names, and their addresses at a moment.
//!
//! No name is without an address as long as any node lives: when no node has room, all living nodes are named, and the
//! name of a node that has died leads to nodes that take new listeners, because players keep using a name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::acme::DnsProof;
use crate::model::dns::{Caa, DnsQuestion, DnsRecord, RecordData, RecordKind, Soa, ZoneAnswer};
use crate::model::domain::DomainName;
use crate::model::node::NodeName;
use crate::model::status::NodeState;

/// How long an address may be kept: after this time resolvers notice that a node is full, drained or dead.
const ADDRESS_TTL_S: u32 = 10;
/// How long a negative answer may be kept: after this time a node that has just joined is found.
const NEGATIVE_TTL_S: u32 = 30;
/// How long a proof for a certificate authority may be kept: the next one comes within seconds.
const PROOF_TTL_S: u32 = 1;
/// The most proofs at a name: one for the domain, one for what is below it, and those of an order before.
const MAX_PROOFS: usize = 8;
/// How long records that seldom change may be kept: name servers, the start of authority, texts.
const STEADY_TTL_S: u32 = 300;
/// The most addresses in an answer, however many a node has: they fit into the smallest datagram.
pub const MAX_ADDRESSES: usize = 8;
/// The most nodes that are named as servers of the zone; resolvers ask two or three of them.
const MAX_SERVERS: usize = 8;
/// The label that has the addresses of the best nodes, as the zone itself has.
const STREAM: &str = "stream";
/// The label of the mailbox of the zone's operator (RFC 2142), unless another is set.
const HOSTMASTER: &str = "hostmaster";
/// The least room that a candidate counts with in the draw, so that each can be drawn.
const LEAST_ROOM: f64 = 1e-6;

/// The parts of the zone that do not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The name of the zone.
    pub apex: DomainName,
    /// The name servers; empty: the nodes that say that they serve DNS, by their names in the zone.
    pub servers: Vec<DomainName>,
    /// The mailbox of the zone's operator, as a name.
    pub contact: Option<DomainName>,
    /// How many nodes an answer names.
    pub answers: usize,
    /// The answer to a question for text: which mesh this is.
    pub text: String,
    /// The authorities that may issue certificates for the zone.
    pub caa: Vec<Caa>,
}

/// A node as the zone knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The addresses of the node.
    pub addresses: Vec<IpAddr>,
    /// Whether the node is alive.
    pub state: NodeState,
    /// Whether the node answers for the zone too.
    pub serves_dns: bool,
}

/// A node that takes new listeners.
#[derive(Clone, Debug, PartialEq)]
pub struct ServingNode {
    /// The name of the node.
    pub node: NodeName,
    /// How much room the node has, in any unit.
    pub room: f64,
}

/// The parts that change from moment to moment.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The nodes that are known.
    pub hosts: &'a BTreeMap<NodeName, Host>,
    /// The names of all nodes that were ever known.
    pub known_once: &'a BTreeSet<NodeName>,
    /// The texts at names for a while: the proofs that a certificate authority asks for.
    pub proofs: &'a [DnsProof],
    /// A number that rises with time.
    pub serial: u32,
}

/// How a node is chosen where there are several.
pub trait Choosing {
    /// The nodes that take new listeners, the best first.
    fn candidates(&mut self) -> Vec<ServingNode>;
    /// A random number from 0 to 1.
    fn dice(&mut self) -> f64;
}

/// The meaning of a name in the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NameKind {
    /// A name outside the zone.
    Outside,
    /// A name in the zone that does not exist.
    Nowhere,
    /// A name without records that has names below it.
    Between,
    /// The zone itself.
    Apex,
    /// The name that leads only to the best nodes.
    Stream,
    /// A node that is known or was known.
    Node(NodeName),
    /// A name server that is not a node's name.
    Server,
    /// A name with a proof for a certificate authority.
    Proof,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AddressKind {
    V4,
    V6,
}

impl AddressKind {
    fn has(self, ip: &IpAddr) -> bool {
        ip.is_ipv4() == (self == Self::V4)
    }
}

impl Host {
    fn is_up(&self) -> bool {
        self.state != NodeState::Dead
    }

    fn of(&self, family: AddressKind) -> impl Iterator<Item = IpAddr> {
        self.addresses
            .iter()
            .copied()
            .filter(move |ip| family.has(ip))
    }
}

impl Zone {
    /// The answer to a question.
    pub fn look_up(
        &self,
        question: &DnsQuestion,
        moment: &Moment<'_>,
        choosing: &mut impl Choosing,
    ) -> ZoneAnswer {
        let place = self.place(&question.labels, moment);
        // The labels of an existing name are those of a name that was checked.
        let owner = question.labels.join(".").parse::<DomainName>();
        let owner = match (&place, owner) {
            (NameKind::Outside, _) => return ZoneAnswer::Outside,
            (NameKind::Nowhere, _) | (_, Err(_)) => {
                return ZoneAnswer::NoSuchName(self.soa(moment, NEGATIVE_TTL_S));
            }
            (_, Ok(owner)) => owner,
        };
        let mut glue = Vec::new();
        let answers = match (question.kind, &place) {
            (RecordKind::A, _) => self.addresses(&owner, &place, AddressKind::V4, moment, choosing),
            (RecordKind::Aaaa, _) => {
                self.addresses(&owner, &place, AddressKind::V6, moment, choosing)
            }
            (RecordKind::Any, _) => steady(&owner, [RecordData::NotEverything]),
            (RecordKind::Soa, NameKind::Apex) => vec![self.soa(moment, STEADY_TTL_S)],
            (RecordKind::Ns, NameKind::Apex) => {
                let servers = self.servers(moment);
                glue = self.glue(&servers, moment, choosing);
                steady(&owner, servers.into_iter().map(RecordData::Ns))
            }
            (RecordKind::Txt, NameKind::Apex) => {
                steady(&owner, [RecordData::Txt(self.text.clone())])
            }
            (RecordKind::Txt, NameKind::Proof) => proofs(&owner, moment),
            (RecordKind::Caa, NameKind::Apex) => {
                steady(&owner, self.caa.iter().cloned().map(RecordData::Caa))
            }
            _ => Vec::new(),
        };
        match answers.is_empty() {
            true => ZoneAnswer::NoData(self.soa(moment, NEGATIVE_TTL_S)),
            false => ZoneAnswer::Records { answers, glue },
        }
    }

    fn place(&self, labels: &[String], moment: &Moment<'_>) -> NameKind {
        let apex: Vec<&str> = self.apex.labels().collect();
        let special = match labels.len().checked_sub(apex.len()) {
            Some(special) if labels[special..] == apex => &labels[..special],
            _ => return NameKind::Outside,
        };
        let node = match special {
            [] => return NameKind::Apex,
            [label] if label == STREAM => return NameKind::Stream,
            [label] => NodeName::try_from(label.as_str()).ok(),
            _ => None,
        };
        let known =
            |node: &NodeName| moment.hosts.contains_key(node) || moment.known_once.contains(node);
        if let Some(node) = node.filter(known) {
            return NameKind::Node(node);
        }
        let servers = self
            .servers
            .iter()
            .map(|server| (server.as_str(), NameKind::Server));
        let proofs = moment
            .proofs
            .iter()
            .map(|proof| (&*proof.owner, NameKind::Proof));
        let mut nearest = NameKind::Nowhere;
        for (name, kind) in servers.chain(proofs) {
            let name: Vec<&str> = name.split('.').collect();
            if labels == name {
                return kind;
            }
            if labels.len() < name.len() && name[name.len() - labels.len()..] == *labels {
                nearest = NameKind::Between;
            }
        }
        nearest
    }

    fn addresses(
        &self,
        owner: &DomainName,
        place: &NameKind,
        family: AddressKind,
        moment: &Moment<'_>,
        choosing: &mut impl Choosing,
    ) -> Vec<DnsRecord> {
        let ips = match place {
            NameKind::Node(node) => match moment.hosts.get(node).filter(|host| host.is_up()) {
                Some(host) => host.of(family).collect(),
                None => self.newcomers(family, moment, choosing),
            },
            NameKind::Server => {
                let servers = moment.hosts.values();
                let servers = servers.filter(|host| host.is_up() && host.serves_dns);
                servers.flat_map(|host| host.of(family)).collect()
            }
            NameKind::Apex | NameKind::Stream => self.newcomers(family, moment, choosing),
            NameKind::Outside | NameKind::Nowhere | NameKind::Between | NameKind::Proof => {
                Vec::new()
            }
        };
        address_records(owner, ips)
    }

    /// The nodes for a client that may go anywhere: the best ones, or all that live if none of them takes new
    /// listeners.
    fn newcomers(
        &self,
        family: AddressKind,
        moment: &Moment<'_>,
        choosing: &mut impl Choosing,
    ) -> Vec<IpAddr> {
        let here = |node: &NodeName| {
            let host = moment.hosts.get(node)?;
            let ips: Vec<IpAddr> = host.of(family).collect();
            (!ips.is_empty()).then_some(ips)
        };
        let best = choosing.candidates().into_iter();
        let best = best.filter_map(|it| Some((here(&it.node)?, it.room)));
        let best: Vec<_> = best.take(self.answers).collect();
        if !best.is_empty() {
            return draw(best, choosing).concat();
        }
        let living = moment.hosts.iter().filter(|(_, host)| host.is_up());
        let living = living.filter_map(|(node, _)| Some((here(node)?, 1.0)));
        draw(living.collect(), choosing).concat()
    }

    /// The name servers: those of the settings, or else the nodes that say that they serve DNS.
    fn servers(&self, moment: &Moment<'_>) -> Vec<DomainName> {
        if !self.servers.is_empty() {
            return self.servers.clone();
        }
        let hosts = moment.hosts.iter();
        let serving = hosts.filter(|(_, host)| host.is_up() && host.serves_dns);
        let names = serving.filter_map(|(node, _)| self.apex.child(node));
        names.take(MAX_SERVERS).collect()
    }

    fn glue(
        &self,
        servers: &[DomainName],
        moment: &Moment<'_>,
        choosing: &mut impl Choosing,
    ) -> Vec<DnsRecord> {
        let mut glue = Vec::new();
        for server in servers.iter().filter(|it| it.is_in(&self.apex)) {
            let labels: Vec<String> = server.labels().map(str::to_owned).collect();
            let place = self.place(&labels, moment);
            for family in [AddressKind::V4, AddressKind::V6] {
                glue.extend(self.addresses(server, &place, family, moment, choosing));
            }
        }
        glue
    }

    fn soa(&self, moment: &Moment<'_>, ttl_s: u32) -> DnsRecord {
        let primary = self.servers(moment).into_iter().next();
        let hostmaster = || format!("{HOSTMASTER}.{}", self.apex).parse().ok();
        let contact = self.contact.clone().or_else(hostmaster);
        DnsRecord {
            owner: self.apex.clone(),
            ttl_s,
            data: RecordData::Soa(Soa {
                primary: primary.unwrap_or_else(|| self.apex.clone()),
                contact: contact.unwrap_or_else(|| self.apex.clone()),
                serial: moment.serial,
                negative_ttl_s: NEGATIVE_TTL_S,
            }),
        }
    }
}

fn steady(owner: &DomainName, data: impl IntoIterator<Item = RecordData>) -> Vec<DnsRecord> {
    let record = |data| DnsRecord {
        owner: owner.clone(),
        ttl_s: STEADY_TTL_S,
        data,
    };
    data.into_iter().map(record).collect()
}

/// The proofs at a name. They change with each order, so nobody may keep them for long.
fn proofs(owner: &DomainName, moment: &Moment<'_>) -> Vec<DnsRecord> {
    let own = moment
        .proofs
        .iter()
        .filter(|proof| proof.owner == owner.as_str());
    let record = |proof: &DnsProof| DnsRecord {
        owner: owner.clone(),
        ttl_s: PROOF_TTL_S,
        data: RecordData::Txt(proof.text.clone()),
    };
    own.take(MAX_PROOFS).map(record).collect()
}

/// Each address once, in the given order.
fn address_records(owner: &DomainName, ips: Vec<IpAddr>) -> Vec<DnsRecord> {
    let mut seen = BTreeSet::new();
    let fresh = ips.into_iter().filter(|ip| seen.insert(*ip));
    let record = |ip| DnsRecord {
        owner: owner.clone(),
        ttl_s: ADDRESS_TTL_S,
        data: match ip {
            IpAddr::V4(ip) => RecordData::A(ip),
            IpAddr::V6(ip) => RecordData::Aaaa(ip),
        },
    };
    fresh.take(MAX_ADDRESSES).map(record).collect()
}

/// Draws the order by lot: a node with more room is more often the first, which most clients take.
///
/// Each node gets a waiting time with a mean of one over its room; the shortest comes first. So each node is the first
/// with a probability in proportion to its room, the second likewise among the rest, and so on.
fn draw<T>(from: Vec<(T, f64)>, choosing: &mut impl Choosing) -> Vec<T> {
    let lots = from.into_iter().map(|(who, room)| {
        let waiting = -(1.0 - choosing.dice()).ln() / room.max(LEAST_ROOM);
        (waiting, who)
    });
    let mut lots: Vec<(f64, T)> = lots.collect();
    lots.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    lots.into_iter().map(|(_, who)| who).collect()
}

#[cfg(test)]
mod tests;
