//! Whether listeners that are sent to a node get there, as one redirector knows it.
//!
//! A node with a wrong address loses all listeners that are sent to it, and looks emptier than all others. An address
//! is proven when the node answers there to a peer, or when a listener that was sent there arrives. Redirects that are
//! not followed prove nothing: a stranger can ask for one at no cost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::{Life, MAX_NODES, RESERVATION};
use crate::model::finding::Finding;
use crate::model::node::NodeName;

/// So many listeners that were sent and did not arrive, and none that did, make an address doubtful.
///
/// At worst one of three listeners leaves before the stream begins; that all of five do is rare.
const ENOUGH: u32 = 5;
/// How long a listener that was sent is waited for.
const PATIENCE: Duration = RESERVATION;
/// The longest time between two tries of an address that is shut.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The addresses of all nodes, and how far each can be trusted.
#[derive(Clone, Debug, Default)]
pub struct Reachability(BTreeMap<NodeName, KnownAddress>);

/// The address of one life of a node, and how far it can be trusted.
#[derive(Clone, Debug)]
struct KnownAddress {
    life: Life,
    finding: Finding,
    /// Listeners that have ever arrived there, whichever node sent them.
    arrived: u64,
    /// Listeners that were sent there since one arrived: when the first was sent, how many, and of which networks.
    first_sent_at: Option<Instant>,
    sent: u32,
    networks: BTreeSet<IpAddr>,
    state: AddressState,
}

/// Whether listeners are sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressState {
    Open,
    /// No listener is, except one at a time as a trial: the next from this moment on, after so many trials that
    /// failed.
    Shut {
        next_at: Instant,
        tries: u32,
    },
}

impl Reachability {
    /// Takes in the finding at a node's address, and how many listeners have ever arrived there.
    ///
    /// A new life of a node begins from nothing.
    pub fn hear(&mut self, life: &Life, finding: &Finding, arrived: u64, now: Instant) {
        if !self.0.contains_key(&life.node) && self.0.len() >= MAX_NODES {
            return;
        }
        let new = || KnownAddress::new(life.clone(), arrived);
        let address = self.0.entry(life.node.clone()).or_insert_with(new);
        if address.life != *life {
            *address = new();
        }
        address.arrive(arrived);
        address.find(finding, now);
        address.judge(now);
    }

    /// Counts a listener that was just sent there.
    pub fn note_sent(&mut self, to: &NodeName, from: IpAddr, now: Instant) {
        if let Some(address) = self.0.get_mut(to) {
            address.send(from, now);
        }
    }

    /// Forgets a node that has left.
    pub fn forget(&mut self, name: &NodeName) {
        self.0.remove(name);
    }

    /// Whether a listener may be sent there now.
    pub fn is_open(&self, name: &NodeName, now: Instant) -> bool {
        self.0.get(name).is_none_or(|address| address.is_open(now))
    }

    /// Why only trial listeners are sent there, by the node's name.
    pub fn troubles(&self) -> BTreeMap<NodeName, String> {
        let shut = self
            .0
            .iter()
            .filter(|(_, address)| address.state != AddressState::Open);
        shut.map(|(name, address)| (name.clone(), address.trouble()))
            .collect()
    }

    /// Whether the listeners that were sent there do not arrive, so that its address should be asked again.
    pub fn is_doubtful(&self, name: &NodeName, now: Instant) -> bool {
        self.0
            .get(name)
            .is_some_and(|address| address.is_deserted(now))
    }
}

impl KnownAddress {
    fn new(life: Life, arrived: u64) -> Self {
        Self {
            life,
            finding: Finding::Untried,
            arrived,
            first_sent_at: None,
            sent: 0,
            networks: BTreeSet::new(),
            state: AddressState::Open,
        }
    }

    fn arrive(&mut self, total: u64) {
        if total > self.arrived {
            (self.sent, self.first_sent_at) = (0, None);
            self.networks.clear();
            self.state = AddressState::Open;
        }
        self.arrived = total;
    }

    fn find(&mut self, finding: &Finding, now: Instant) {
        // A finding is not forgotten when another node becomes the asker.
        if self.finding == *finding || *finding == Finding::Untried {
            return;
        }
        let before = std::mem::replace(&mut self.finding, finding.clone());
        match finding {
            Finding::Proven => self.state = AddressState::Open,
            // Listeners that have arrived prove more than a peer, whose own line to the node may be the broken one.
            Finding::Failed(_) if before == Finding::Untried && self.arrived == 0 => self.shut(now),
            // A line between the node and the asker may be cut; that the listeners do not arrive says more.
            Finding::Failed(_) if before == Finding::Proven && self.sent > 0 => self.shut(now),
            Finding::Failed(_) | Finding::Untried | Finding::Unaskable => {}
        }
    }

    fn send(&mut self, from: IpAddr, now: Instant) {
        self.sent = self.sent.saturating_add(1);
        self.first_sent_at.get_or_insert(now);
        if self.networks.len() < ENOUGH as usize {
            self.networks.insert(network(from));
        }
        if let AddressState::Shut { tries, .. } = self.state {
            self.state = AddressState::Shut {
                next_at: now + wait(tries + 1),
                tries: tries + 1,
            };
        }
    }

    fn shut(&mut self, now: Instant) {
        self.state = AddressState::Shut {
            next_at: now + wait(0),
            tries: 0,
        };
    }

    /// Shuts an address that is not proven when no listener arrives there.
    fn judge(&mut self, now: Instant) {
        let enough = match self.finding {
            Finding::Proven => false,
            // The address cannot be asked, so only missing listeners speak against it: one stranger must not be enough.
            Finding::Unaskable => self.networks.len() >= ENOUGH as usize,
            Finding::Untried | Finding::Failed(_) => true,
        };
        if self.state == AddressState::Open && enough && self.is_deserted(now) {
            self.shut(now);
        }
    }

    /// Whether enough were sent, none has arrived since, and they were waited for.
    fn is_deserted(&self, now: Instant) -> bool {
        let waited = |at| now.saturating_duration_since(at) >= PATIENCE;
        self.sent >= ENOUGH && self.first_sent_at.is_some_and(waited)
    }

    fn is_open(&self, now: Instant) -> bool {
        match self.state {
            AddressState::Shut { next_at, .. } => now >= next_at,
            // Until its address has been asked, only as many are risked as are needed to tell whether one arrives.
            AddressState::Open => self.finding != Finding::Untried || self.sent < ENOUGH,
        }
    }

    fn trouble(&self) -> String {
        let lost = match self.sent {
            0 => String::new(),
            sent => format!("; of the last {sent} listeners sent there none arrived"),
        };
        match &self.finding {
            Finding::Failed(found) => format!("{found}{lost}"),
            _ => format!("no node could ask it{lost}"),
        }
    }
}

/// How long after a failed try the next one is made: doubled each time, up to a bound.
fn wait(tries: u32) -> Duration {
    // Four doublings are beyond the bound.
    (PATIENCE * (1 << tries.min(4))).min(MAX_WAIT)
}

/// The addresses that may belong to one stranger: a /24 of IPv4 or a /48 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(it) => Ipv4Addr::from_bits(it.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() & (u128::MAX << 80)).into(),
    }
}

/// The node that asks another node at its address: the master, and the master itself is asked by the first of the
/// others.
pub fn asker<'a>(
    target: &NodeName,
    master: Option<&'a NodeName>,
    mut others: impl Iterator<Item = &'a NodeName>,
) -> Option<&'a NodeName> {
    match master {
        Some(master) if master != target => Some(master),
        Some(_) => others.find(|it| *it != target),
        None => None,
    }
}

/// Nodes that announce the same address for listeners, by that address; each address has at least two nodes.
pub fn shared_addresses<'a>(
    announced: impl Iterator<Item = (&'a NodeName, &'a str)>,
) -> BTreeMap<String, BTreeSet<NodeName>> {
    let mut by_address: BTreeMap<String, BTreeSet<NodeName>> = BTreeMap::new();
    for (name, url) in announced.take(MAX_NODES) {
        let nodes = by_address.entry(url.to_owned()).or_default();
        nodes.insert(name.clone());
    }
    by_address.retain(|_, nodes| nodes.len() > 1);
    by_address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::Generation;

    const SECOND: Duration = Duration::from_secs(1);

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    fn life(generation: u64) -> Life {
        Life {
            node: name("n3"),
            generation: Generation(generation),
        }
    }

    fn failed() -> Finding {
        Finding::Failed("cannot reach it".to_owned())
    }

    fn ip(number: u8) -> IpAddr {
        [192, 0, number, 1].into()
    }

    /// A redirector that sends every listener, as long as it may; one each tenth of a second.
    fn sent(reach: &mut Reachability, finding: &Finding, begun: Instant, seconds: u32) -> u32 {
        let mut sent = 0;
        for tenth in 0..seconds * 10 {
            let now = begun + SECOND / 10 * tenth;
            reach.hear(&life(1), finding, 0, now);
            if reach.is_open(&name("n3"), now) {
                reach.note_sent(&name("n3"), ip(tenth as u8), now);
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn an_address_of_something_else_is_tried_now_and_then() {
        let (mut reach, now) = (Reachability::default(), Instant::now());
        assert_eq!(sent(&mut reach, &failed(), now, 5), 0);
        // After 5, 15, 35, 75 and 135 seconds, and each minute from then on.
        assert_eq!(sent(&mut reach, &failed(), now + 5 * SECOND, 131), 5);
        let trouble = &reach.troubles()[&name("n3")];
        assert!(
            trouble.starts_with("cannot reach it; of the last 5"),
            "{trouble}"
        );
        reach.hear(&life(1), &failed(), 1, now + 200 * SECOND);
        assert!(reach.troubles().is_empty(), "somebody has arrived");
        assert!(reach.is_open(&name("n3"), now + 200 * SECOND));
    }

    #[test]
    fn a_proven_address_is_chosen_even_when_listeners_stay_away() {
        let (mut reach, now) = (Reachability::default(), Instant::now());
        assert_eq!(sent(&mut reach, &Finding::Proven, now, 60), 600);
        assert!(
            reach.is_doubtful(&name("n3"), now + 60 * SECOND),
            "ask again"
        );
        assert!(reach.troubles().is_empty());
        reach.hear(&life(1), &failed(), 0, now + 61 * SECOND);
        assert!(!reach.is_open(&name("n3"), now + 61 * SECOND));
        reach.hear(&life(1), &Finding::Proven, 0, now + 62 * SECOND);
        assert!(reach.is_open(&name("n3"), now + 62 * SECOND));
    }

    #[test]
    fn few_listeners_are_risked_before_a_node_was_asked() {
        let (mut reach, now) = (Reachability::default(), Instant::now());
        assert_eq!(sent(&mut reach, &Finding::Untried, now, 5), ENOUGH);
        assert_eq!(sent(&mut reach, &Finding::Proven, now + 5 * SECOND, 1), 10);
        reach.hear(&life(2), &Finding::Untried, 0, now + 6 * SECOND);
        assert!(reach.is_open(&name("n3"), now + 6 * SECOND), "another life");
    }

    #[test]
    fn arrivals_count_more_than_a_peer_that_cannot_reach_it() {
        let (mut reach, now) = (Reachability::default(), Instant::now());
        let n3 = name("n3");
        reach.hear(&life(1), &Finding::Untried, 0, now);
        reach.note_sent(&n3, ip(1), now);
        reach.hear(&life(1), &Finding::Untried, 1, now);
        reach.hear(&life(1), &failed(), 1, now);
        assert!(reach.is_open(&n3, now));
        (0..ENOUGH).for_each(|_| reach.note_sent(&n3, ip(1), now));
        reach.hear(&life(1), &failed(), 1, now + PATIENCE);
        assert!(!reach.is_open(&n3, now + PATIENCE), "nobody arrives now");
    }

    #[test]
    fn one_network_shuts_no_node_that_cannot_be_asked() {
        let (mut reach, now) = (Reachability::default(), Instant::now());
        let n3 = name("n3");
        reach.hear(&life(1), &Finding::Unaskable, 0, now);
        (0..100).for_each(|_| reach.note_sent(&n3, ip(1), now));
        reach.hear(&life(1), &Finding::Unaskable, 0, now + PATIENCE);
        assert!(reach.is_open(&n3, now + PATIENCE));
        (0..5).for_each(|number| reach.note_sent(&n3, ip(number), now + PATIENCE));
        reach.hear(&life(1), &Finding::Unaskable, 0, now + PATIENCE);
        assert!(!reach.is_open(&n3, now + PATIENCE));
    }

    #[test]
    fn the_master_asks_all_and_is_asked_by_another() {
        let [a, b, c] = ["a", "b", "c"].map(name);
        let asked_by = |target, master| asker(target, master, [&a, &b, &c].into_iter()).cloned();
        assert_eq!(asked_by(&a, Some(&b)), Some(b.clone()));
        assert_eq!(asked_by(&b, Some(&b)), Some(a.clone()));
        assert_eq!(asked_by(&a, Some(&a)), Some(b.clone()));
        assert_eq!(asked_by(&a, None), None);
        assert_eq!(asker(&a, Some(&a), [&a].into_iter()), None, "it is alone");
    }

    #[test]
    fn nodes_of_one_address_are_named_together() {
        let [a, b, c] = ["a", "b", "c"].map(name);
        let announced = [(&a, "http://x"), (&b, "http://y"), (&c, "http://x")];
        let shared = shared_addresses(announced.into_iter());
        assert_eq!(
            shared,
            BTreeMap::from([("http://x".to_owned(), [a, c].into())])
        );
    }
}
