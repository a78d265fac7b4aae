//! The peers that this node was told to join: each is looked up and dialled until there is a link. Why there is none is
//! logged once for each reason, and shown in the status until there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::lookup_host;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use crate::io::clock;
use crate::io::link::{DialState, DialTrouble, Links};
use crate::logic::backoff::Backoff;
use crate::model::status::UnreachedPeer;

/// How often missing links are dialled; the links themselves wait longer with each failure.
pub(super) const DIAL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a name may take to resolve before that is logged. The look-up goes on: a second one would only wait behind
/// the first.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(2);
/// The wait after a name that does not resolve; names are made known to DNS by people, not within a second.
const FIRST_RESOLVE_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait: an operator who has just mended DNS looks at the log for as long.
const LONGEST_RESOLVE_WAIT: Duration = Duration::from_secs(30);
/// Addresses of one name that are dialled: a few lines of both families.
const MAX_ADDRESSES: usize = 8;

/// The peers that were named and are not reached, each with the reason. A cheap, cloneable way to both.
#[derive(Clone, Debug, Default)]
pub struct Unreached(Arc<Mutex<NamedPeers>>);

/// The knowledge of the peers that were named.
#[derive(Debug, Default)]
struct NamedPeers {
    /// How many there are.
    targets: usize,
    /// The ones that are this node itself.
    ourselves: BTreeSet<String>,
    /// Why the others are not reached.
    unreached: BTreeMap<String, String>,
}

impl Unreached {
    /// Takes note of how many peers were named.
    pub(super) fn expect(&self, targets: usize) {
        self.0.lock().targets = targets;
    }

    /// Whether peers were named, and each of them is this node itself: there is no other to wait for.
    pub fn are_all_ourselves(&self) -> bool {
        let named = self.0.lock();
        named.targets > 0 && named.ourselves.len() == named.targets
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<UnreachedPeer> {
        let named = self.0.lock();
        let peers = named.unreached.iter().map(|(peer, why)| UnreachedPeer {
            peer: peer.clone(),
            why: why.clone(),
        });
        peers.collect()
    }

    /// Notes why a peer is not reached, or that it is; whether that is news.
    fn note(&self, peer: &str, why: Option<&str>) -> bool {
        let mut named = self.0.lock();
        let before = match why {
            Some(why) => named.unreached.insert(peer.to_owned(), why.to_owned()),
            None => named.unreached.remove(peer),
        };
        before.as_deref() != why
    }

    /// Notes that a peer is this node itself; whether that is news, and with it all of them are.
    fn note_ourselves(&self, peer: &str) -> bool {
        let is_news = self.0.lock().ourselves.insert(peer.to_owned());
        is_news && self.are_all_ourselves()
    }
}

/// A peer that this node was told to join.
#[derive(Debug)]
pub(super) struct JoinTarget {
    pub(super) links: Links,
    pub(super) unreached: Unreached,
    /// `HOST:PORT`, resolved again at every try.
    pub(super) peer: String,
}

impl JoinTarget {
    /// Keeps a link to the peer for as long as the node runs.
    pub(super) async fn seek(self) {
        let mut rounds = interval(DIAL_INTERVAL);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unresolved = Backoff::new(FIRST_RESOLVE_WAIT, LONGEST_RESOLVE_WAIT);
        loop {
            rounds.tick().await;
            match self.resolve().await {
                Ok(addresses) => {
                    unresolved.succeed();
                    self.dial(&addresses);
                }
                Err(why) => {
                    self.report(Some(&why));
                    sleep(unresolved.fail(clock::random_share())).await;
                }
            }
        }
    }

    /// The addresses of the peer's name; why there are none.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let lookup = lookup_host(&self.peer);
        tokio::pin!(lookup);
        let found = match timeout(RESOLVE_PATIENCE, &mut lookup).await {
            Ok(found) => found,
            Err(_) => {
                self.report(Some("its name does not resolve: DNS does not answer"));
                lookup.await
            }
        };
        match found.map(|found| found.take(MAX_ADDRESSES).collect::<Vec<_>>()) {
            Ok(addresses) if addresses.is_empty() => {
                Err("its name does not resolve: it has no address".to_owned())
            }
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(format!("its name does not resolve: {error}")),
        }
    }

    fn dial(&self, addresses: &[SocketAddr]) {
        let mut troubles = Vec::new();
        for address in addresses {
            self.links.dial(*address);
            match self.links.dial_state(*address) {
                DialState::Linked => return self.report(None),
                DialState::Unknown => return, // it is being dialled
                DialState::Failed(trouble) => troubles.push(trouble),
            }
        }
        // Of a name with addresses of both families, the one that can be reached tells more.
        let telling = troubles.iter().find(|it| it.may_pass());
        match telling.or(troubles.first()) {
            // The list of all nodes is often the same on all of them.
            Some(DialTrouble::Ourselves) => {
                if self.unreached.note_ourselves(&self.peer) {
                    warn!(
                        peer = self.peer,
                        "every peer that was named is this node itself: not waiting for a peer; name another node to join a mesh"
                    );
                }
                self.report(None);
            }
            None => self.report(None),
            Some(trouble) => self.report(Some(&trouble.to_string())),
        }
    }

    /// Logs what is new.
    fn report(&self, why: Option<&str>) {
        if !self.unreached.note(&self.peer, why) {
            return;
        }
        let peer = &self.peer;
        let alone = self.links.peers().borrow().is_empty();
        match why {
            Some(why) if alone => {
                warn!(%peer, %why, "peer not reached: serving alone until one answers, and trying again");
            }
            Some(why) => warn!(%peer, %why, "peer not reached: trying again"),
            None => info!(%peer, "peer reached"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once() {
        let unreached = Unreached::default();
        assert!(!unreached.note("a:1", None));
        assert!(unreached.note("a:1", Some("refused")));
        assert!(!unreached.note("a:1", Some("refused")));
        assert!(unreached.note("a:1", Some("no answer")));
        let why = unreached.all().into_iter().map(|it| it.why);
        assert_eq!(why.collect::<Vec<_>>(), ["no answer"]);
        assert!(unreached.note("a:1", None));
        assert!(unreached.all().is_empty());
    }
}
