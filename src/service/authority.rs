//! Who may source a mount. The master decides; without one, each node decides by what gossip says.
//!
//! Two nodes that decide at once on the two sides of a partition may both say yes. That is settled when they
//! meet: of two streams of one mount the one that began first goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::cluster::Cluster;
use super::document::Documents;
use crate::io::link::{Exchange, ExchangeError, Links};
use crate::logic::election::{Admission, Gate};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::seat::Epoch;
use crate::model::stream::StreamId;
use crate::wire::frame::{Denial, Frame};

/// How long the master may take to answer; a source does not wait longer for its place.
const ASK_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long a grant holds although gossip does not show the stream yet: it shows it within a second.
const GRANT: Duration = Duration::from_secs(5);
/// How long an ended stream is remembered: gossip still shows it for a moment, and its encoder is back sooner.
const ENDED: Duration = Duration::from_secs(60);
/// Grants and endings that are remembered at once; far more than sources come and go in that time.
const MAX_REMEMBERED: usize = 4_096;

/// A place that was given away a moment ago.
#[derive(Clone, Debug)]
struct Grant {
    stream_id: StreamId,
    at: Instant,
}

/// What gossip does not say yet.
#[derive(Debug)]
struct Memory {
    grants: BTreeMap<MountName, Grant>,
    ended: BTreeMap<StreamId, Instant>,
    gate: Gate,
}

/// A cheap, cloneable way to the decision.
#[derive(Clone, Debug)]
pub struct Authority {
    links: Links,
    cluster: Cluster,
    documents: Documents,
    memory: Arc<Mutex<Memory>>,
}

impl Authority {
    /// Decides with the help of these; `max_epoch` is the highest that an earlier life of the node has seen.
    pub fn new((links, cluster): (Links, Cluster), documents: Documents, max_epoch: Epoch) -> Self {
        Self {
            links,
            cluster,
            documents,
            memory: Arc::new(Mutex::new(Memory {
                grants: BTreeMap::new(),
                ended: BTreeMap::new(),
                gate: Gate::new(max_epoch),
            })),
        }
    }

    /// Asks for a place for a source that is connected here; the epoch under which it is given.
    pub async fn request(&self, mount: &MountName, stream_id: StreamId) -> Result<Epoch, Denial> {
        let view = self.cluster.view();
        let master = view.master.as_ref().map(|claim| claim.node.clone());
        let Some(master) = master.filter(|master| *master != view.me) else {
            return self.decide(mount, stream_id, &view.me);
        };
        match timeout(ASK_TIMEOUT, self.ask(&master, mount, stream_id)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                warn!(%mount, %master, %error, "the master does not answer, deciding here");
                self.decide(mount, stream_id, &view.me)
            }
            Err(_) => {
                warn!(%mount, %master, "the master does not answer in time, deciding here");
                self.decide(mount, stream_id, &view.me)
            }
        }
    }

    async fn ask(
        &self,
        master: &NodeName,
        mount: &MountName,
        stream_id: StreamId,
    ) -> Result<Result<Epoch, Denial>, ExchangeError> {
        let question = Frame::Publish {
            mount: mount.clone(),
            stream_id,
        };
        let mut exchange = self.links.open(master, &question).await?;
        exchange.finish();
        match exchange.receive().await? {
            Some(Frame::Granted(fence)) => {
                if self.memory().gate.admit(&fence) == Admission::Apply {
                    return Ok(Ok(fence.epoch));
                }
                debug!(%mount, ?fence, "an order of a deposed master is not obeyed");
                let view = self.cluster.view();
                Ok(self.decide(mount, stream_id, &view.me))
            }
            Some(Frame::Denied(Denial::NotMaster)) => {
                let view = self.cluster.view();
                Ok(self.decide(mount, stream_id, &view.me))
            }
            Some(Frame::Denied(denial)) => Ok(Err(denial)),
            _ => Err(ExchangeError::Unexpected),
        }
    }

    /// Answers a node that asks for a place for its source.
    pub async fn answer(
        &self,
        from: &NodeName,
        (mount, stream_id): (MountName, StreamId),
        mut exchange: Exchange,
    ) {
        let view = self.cluster.view();
        let reply = match &view.master {
            Some(claim) if claim.node == view.me => match self.decide(&mount, stream_id, from) {
                Ok(_) => Frame::Granted(claim.fence()),
                Err(denial) => Frame::Denied(denial),
            },
            _ => Frame::Denied(Denial::NotMaster),
        };
        info!(%mount, ingest = %from, ?reply, "asked for a place for a source");
        if let Err(error) = exchange.send(&reply).await {
            debug!(%from, %error, "the answer did not arrive");
        }
        exchange.finish();
    }

    fn decide(
        &self,
        mount: &MountName,
        stream_id: StreamId,
        ingest: &NodeName,
    ) -> Result<Epoch, Denial> {
        if self.documents.mount(mount).is_none() {
            return Err(Denial::NoSuchMount);
        }
        let view = self.cluster.view();
        let mut memory = self.memory();
        memory.forget_old();
        let on_air = view.source(mount).map(|(_, card)| card.stream_id);
        let on_air = on_air.filter(|other| !memory.ended.contains_key(other));
        let granted = memory.grants.get(mount).map(|grant| grant.stream_id);
        let another = on_air
            .into_iter()
            .chain(granted)
            .any(|other| other != stream_id);
        if another || memory.grants.len() >= MAX_REMEMBERED {
            return Err(Denial::MountInUse);
        }
        debug!(%mount, %stream_id, %ingest, "place granted");
        let at = Instant::now();
        memory.grants.insert(mount.clone(), Grant { stream_id, at });
        Ok(view
            .master
            .as_ref()
            .map_or(view.max_epoch, |claim| claim.epoch))
    }

    /// Takes note that a source has gone: its place is free again, whatever gossip still says of it.
    pub fn release(&self, mount: &MountName, stream_id: StreamId) {
        let mut memory = self.memory();
        memory.forget_old();
        memory
            .grants
            .retain(|other, grant| other != mount || grant.stream_id != stream_id);
        if memory.ended.len() < MAX_REMEMBERED {
            memory.ended.insert(stream_id, Instant::now());
        }
    }

    /// A source that was connected here has gone: says so to everybody.
    pub fn give_up(&self, mount: &MountName, stream_id: StreamId) {
        self.release(mount, stream_id);
        let mount = mount.clone();
        self.links
            .send_to_all(&Frame::Unpublish { mount, stream_id });
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Each change is one call that leaves the maps whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn forget_old(&mut self) {
        self.grants.retain(|_, grant| grant.at.elapsed() < GRANT);
        self.ended.retain(|_, at| at.elapsed() < ENDED);
    }
}
