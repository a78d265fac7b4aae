//! Who may source a mount. The master decides; without one, each node decides by what gossip says.
//!
//! Two nodes that decide at once on the two sides of a partition may both say yes. That is settled when they
//! meet: of two streams of one mount the one that began first goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::cluster::Cluster;
use super::document::Documents;
use super::sources::Sources;
use crate::io::clock;
use crate::io::link::{Exchange, ExchangeError, Links};
use crate::logic::election::{Admission, Gate};
use crate::logic::source::place::{Asker, Decision, Incumbent, Mesh, Places};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::seat::{Epoch, Fence};
use crate::model::stream::StreamId;
use crate::proto::ended::Ended;
use crate::proto::view::{MeshNode, MeshView, precedence};
use crate::wire::frame::{Denial, Frame, NO_BYTE};
use crate::wire::gossip::{Origin, StreamCard};

/// How long the master may take to answer; a source does not wait longer for its place.
const ASK_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How long a node may take to say whether a source is still there: the time in which it finds out, and a round trip.
const PRESENCE_TIMEOUT: Duration = Duration::from_millis(1_300);

/// What the master says.
enum Answer {
    Granted(Epoch),
    Denied(Denial),
    NotMaster,
}

/// What gossip does not say yet.
#[derive(Debug)]
struct Memory {
    places: Places,
    gate: Gate,
}

/// A cheap, cloneable way to the decision.
#[derive(Clone, Debug)]
pub struct Authority {
    links: Links,
    cluster: Cluster,
    documents: Documents,
    sources: Sources,
    ended: Ended,
    memory: Arc<Mutex<Memory>>,
}

impl Authority {
    /// Decides with the help of these; `max_epoch` is the highest that an earlier life of the node has seen.
    pub fn new(
        (links, cluster): (Links, Cluster),
        (documents, sources): (Documents, Sources),
        (ended, max_epoch): (Ended, Epoch),
    ) -> Self {
        Self {
            links,
            cluster,
            documents,
            sources,
            ended,
            memory: Arc::new(Mutex::new(Memory {
                places: Places::default(),
                gate: Gate::new(max_epoch),
            })),
        }
    }

    /// Asks for a place for a source that is connected here; the epoch under which it is given.
    pub async fn request(&self, mount: &MountName, stream_id: StreamId) -> Result<Epoch, Denial> {
        let view = self.cluster.view();
        let master = view.master.as_ref().map(|claim| claim.node.clone());
        if let Some(master) = master.filter(|master| *master != view.me) {
            match timeout(ASK_TIMEOUT, self.ask(&master, mount, stream_id)).await {
                Ok(Ok(Answer::Granted(epoch))) => return Ok(epoch),
                Ok(Ok(Answer::Denied(denial))) => return Err(denial),
                Ok(Ok(Answer::NotMaster)) => {}
                Ok(Err(error)) => {
                    warn!(%mount, %master, %error, "the master does not answer, deciding here")
                }
                Err(_) => {
                    warn!(%mount, %master, "the master does not answer in time, deciding here")
                }
            }
        }
        self.give(mount, (stream_id, &view.me)).await
    }

    async fn ask(
        &self,
        master: &NodeName,
        mount: &MountName,
        stream_id: StreamId,
    ) -> Result<Answer, ExchangeError> {
        let question = Frame::Publish {
            mount: mount.clone(),
            stream_id,
        };
        let mut exchange = self.links.open(master, &question).await?;
        exchange.finish();
        match exchange.receive().await? {
            Some(Frame::Granted(fence)) => match self.memory().gate.admit(&fence) {
                Admission::Apply => Ok(Answer::Granted(fence.epoch)),
                Admission::Refuse => {
                    info!(%mount, ?fence, "the word of a deposed master does not count");
                    Ok(Answer::NotMaster)
                }
            },
            Some(Frame::Denied(Denial::NotMaster)) => Ok(Answer::NotMaster),
            Some(Frame::Denied(denial)) => Ok(Answer::Denied(denial)),
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
        let claim = self.cluster.view().master.clone();
        let me = &self.links.hello().name;
        let reply = match claim.filter(|claim| claim.node == *me) {
            Some(claim) => match self.give(&mount, (stream_id, from)).await {
                Ok(_) => Frame::Granted(claim.fence()),
                Err(denial) => Frame::Denied(denial),
            },
            None => Frame::Denied(Denial::NotMaster),
        };
        match &reply {
            Frame::Denied(why) => info!(%mount, ingest = %from, ?why, "source denied"),
            _ => info!(%mount, ingest = %from, "source granted"),
        }
        if let Err(error) = exchange.send(&reply).await {
            debug!(%from, %error, "the answer did not arrive");
        }
        exchange.finish();
    }

    /// Whether the source of a stream is still connected to another node. A node that says nothing has none.
    pub async fn is_there(&self, node: &NodeName, mount: &MountName, stream_id: StreamId) -> bool {
        let question = Frame::Subscribe {
            mount: mount.clone(),
            resume: Some((stream_id, NO_BYTE)),
        };
        let asking = async {
            let mut exchange = self.links.open(node, &question).await?;
            exchange.finish();
            exchange.receive().await
        };
        match timeout(PRESENCE_TIMEOUT, asking).await {
            Ok(Ok(answer)) => answer == Some(Frame::Done),
            Ok(Err(error)) => {
                debug!(%mount, %node, %error, "the node of the other source cannot be asked");
                false
            }
            Err(_) => {
                info!(%mount, %node, "the node of the other source is silent");
                false
            }
        }
    }

    /// Tells another node whether a source is still connected here.
    pub async fn tell_presence(
        &self,
        (mount, stream_id): (MountName, StreamId),
        mut exchange: Exchange,
    ) {
        let answer = match self.sources.is_there(&mount, stream_id).await {
            true => Frame::Done,
            false => Frame::Denied(Denial::NotHere),
        };
        if let Err(error) = exchange.send(&answer).await {
            debug!(%mount, %error, "the answer did not arrive");
        }
        exchange.finish();
    }

    /// Obeys an order that a source here gives way, unless its master was deposed.
    pub async fn obey(&self, (mount, stream_id): (MountName, StreamId), fence: &Fence) {
        match self.memory().gate.admit(fence) {
            Admission::Apply => {}
            Admission::Refuse => {
                return info!(%mount, ?fence, "the order of a deposed master is not obeyed");
            }
        }
        self.sources.give_way(&mount, stream_id).await;
    }

    /// Gives the place, if it is to be had; whoever must give way is told.
    async fn give(
        &self,
        mount: &MountName,
        source: (StreamId, &NodeName),
    ) -> Result<Epoch, Denial> {
        let view = self.cluster.view();
        let epoch = view
            .master
            .as_ref()
            .map_or(view.max_epoch, |claim| claim.epoch);
        match self.decide(&view, mount, source)? {
            Decision::Grant => Ok(epoch),
            Decision::Refuse => Err(Denial::MountInUse),
            Decision::Replace(node, old) if node == view.me => {
                self.sources.give_way(mount, old).await;
                Ok(epoch)
            }
            Decision::Replace(node, old) => {
                let Some(claim) = view.master.as_ref().filter(|_| view.is_master()) else {
                    return Err(Denial::MountInUse); // without a claim nobody obeys us
                };
                let order = Frame::GiveWay {
                    mount: mount.clone(),
                    stream_id: old,
                    fence: claim.fence(),
                };
                self.links.send(&node, &order);
                Ok(epoch)
            }
        }
    }

    /// Decides, and remembers what was given.
    fn decide(
        &self,
        view: &MeshView,
        mount: &MountName,
        (stream_id, ingest): (StreamId, &NodeName),
    ) -> Result<Decision, Denial> {
        let spec = self.documents.mount(mount).ok_or(Denial::NoSuchMount)?;
        let sources = view.holders(mount);
        let sources = sources.filter(|(_, card)| card.origin == Origin::Source);
        let mut sources: Vec<_> = sources.collect();
        sources.sort_by_key(|(_, card)| precedence(card));
        let incumbent = |(node, card): (&NodeName, &StreamCard)| Incumbent {
            node: node.clone(),
            state: view.nodes[node].state,
            stream_id: card.stream_id,
        };
        let asker = Asker {
            mount,
            stream_id,
            ingest,
        };
        let mesh = Mesh {
            on_air: sources.into_iter().map(incumbent).collect(),
            is_up: &|node| view.nodes.get(node).is_none_or(MeshNode::is_up),
        };
        let mut memory = self.memory();
        Ok(memory
            .places
            .decide(asker, mesh, spec.takeover, Instant::now().into_std()))
    }

    /// Takes note that a source has gone: its place is free again, whatever gossip still says of it.
    pub fn release(&self, mount: &MountName, stream_id: StreamId) {
        self.ended.note(stream_id, clock::now());
        let now = Instant::now().into_std();
        self.memory().places.release(mount, stream_id, now);
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
