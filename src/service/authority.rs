//! The place of a mount's source: asked of the master, and answered as the master. It drives
//! [`proto::authority`](crate::proto::authority) over the links.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::mesh::Mesh;
use super::sources::{DoubtedSource, Sources};
use crate::io::clock;
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::election::Admission;
use crate::logic::source::place::Asker;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::seat::{Epoch, Fence};
use crate::model::stream::StreamId;
use crate::proto::authority::{self, Displaced, Input, Output, PlaceContext, PlaceQuestion};
use crate::proto::ended::Ended;
use crate::proto::source::{presence_answer, presence_question, shows_presence};
use crate::proto::view::{FrameSupport, MeshView};
use crate::wire::frame::{Denial, Frame};

/// The services that decisions about places need.
#[derive(Clone, Debug)]
pub struct AuthorityConfig {
    /// The master, what is on air, and the mounts with their rules for a second source.
    pub mesh: Mesh,
    /// The sources on air at this node.
    pub sources: Sources,
    /// The streams that are over.
    pub ended: Ended,
}

/// A cheap, cloneable handle.
#[derive(Clone, Debug)]
pub struct MountAuthority {
    config: AuthorityConfig,
    authority: Arc<Mutex<authority::Authority>>,
}

impl MountAuthority {
    /// A node that has granted nothing yet; `max_epoch` is the highest that an earlier life of it has seen.
    pub fn new(config: AuthorityConfig, max_epoch: Epoch) -> Self {
        let authority = authority::Authority::new(max_epoch);
        Self {
            config,
            authority: Arc::new(Mutex::new(authority)),
        }
    }

    /// Asks for a place for a source of this node; returns the epoch under which it is granted.
    pub async fn request(&self, mount: &MountName, stream_id: StreamId) -> Result<Epoch, Denial> {
        let mut question = PlaceQuestion::new(mount.clone(), stream_id);
        let mut input = Input::Begin;
        loop {
            let mut next = Input::Tick;
            for output in self.handle(&mut question, mount, input) {
                match output {
                    Output::Ask {
                        master,
                        question,
                        until,
                    } => next = self.ask(&master, &question, until.into()).await,
                    Output::Deposed(fence) => {
                        info!(%mount, ?fence, "the word of a deposed master does not count");
                    }
                    Output::GiveWay(displaced) => self.displace(mount, displaced).await,
                    Output::Verdict(verdict) => return verdict,
                }
            }
            input = next;
        }
    }

    fn handle(&self, question: &mut PlaceQuestion, mount: &MountName, input: Input) -> Vec<Output> {
        let (view, mut out) = (self.config.mesh.cluster.view(), Vec::new());
        let context = self.place_context(mount, &view);
        question.handle(input, &mut self.authority.lock(), context, &mut out);
        out
    }

    /// The state on which a decision about a place on this mount rests now.
    fn place_context<'a>(&self, mount: &MountName, view: &'a MeshView) -> PlaceContext<'a> {
        let spec = self.config.mesh.documents.mount(mount);
        PlaceContext {
            view,
            takeover: spec.map(|spec| spec.takeover),
            now: clock::now(),
        }
    }

    /// Asks the master.
    async fn ask(&self, master: &NodeName, question: &Frame, until: Instant) -> Input {
        match timeout_at(until, self.exchange(master, question)).await {
            Ok(Ok(Some(answer))) => return Input::Answer(answer),
            Ok(Ok(None)) => {
                let error = ExchangeError::Unexpected;
                warn!(%master, %error, "the master does not answer, deciding here");
            }
            Ok(Err(error)) => warn!(%master, %error, "the master does not answer, deciding here"),
            Err(_) => warn!(%master, "the master does not answer in time, deciding here"),
        }
        Input::Lost
    }

    /// Sends a question to a node, and waits for its answer.
    async fn exchange(
        &self,
        node: &NodeName,
        question: &Frame,
    ) -> Result<Option<Frame>, ExchangeError> {
        let mut exchange = self.config.mesh.links.open(node, question).await?;
        exchange.finish();
        exchange.receive().await
    }

    /// Answers a node that asks for a place for its source.
    pub async fn answer(&self, asker: Asker<'_>, exchange: Exchange) {
        let (mount, from) = (asker.mount, asker.ingest);
        let answer = {
            let view = self.config.mesh.cluster.view();
            let context = self.place_context(mount, &view);
            self.authority.lock().answer(asker, context)
        };
        if let Some(displaced) = answer.displaced {
            self.displace(mount, displaced).await;
        }
        match &answer.reply {
            Frame::Denied(why) => info!(%mount, ingest = %from, ?why, "source denied"),
            _ => info!(%mount, ingest = %from, "source granted"),
        }
        reply(exchange, &answer.reply).await;
    }

    /// Has a source give way because another got its place.
    async fn displace(&self, mount: &MountName, displaced: Displaced) {
        match displaced {
            Displaced::Local(old) => self.config.sources.give_way(mount, old).await,
            Displaced::Remote(node, order) => {
                self.config.mesh.links.send(&node, &order);
            }
        }
    }

    /// Whether another node says by `until` that a source is still connected to it.
    pub async fn is_there(
        &self,
        node: &NodeName,
        doubted: DoubtedSource<'_>,
        until: Instant,
    ) -> bool {
        let mount = doubted.mount;
        let asking = async {
            let support = self
                .config
                .mesh
                .frame_support(node, |card| card.reads_presence);
            let reads = support.await == FrameSupport::Reads;
            let claimant = doubted.claimant.filter(|_| reads);
            let question = presence_question(mount, doubted.stream_id, claimant);
            self.exchange(node, &question).await
        };
        match timeout_at(until, asking).await {
            Ok(Ok(answer)) => shows_presence(answer.as_ref()),
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

    /// Answers another node whether a source is still connected to this one.
    pub async fn tell_presence(&self, doubted: DoubtedSource<'_>, exchange: Exchange) {
        let is_there = self.config.sources.is_there(doubted).await;
        reply(exchange, &presence_answer(is_there)).await;
    }

    /// Obeys an order that a source of this node gives way, unless its master was deposed.
    pub async fn obey(&self, mount: &MountName, stream_id: StreamId, fence: &Fence) {
        let admission = self.authority.lock().admit(fence);
        match admission {
            Admission::Apply => self.config.sources.give_way(mount, stream_id).await,
            Admission::Refuse => {
                info!(%mount, ?fence, "the order of a deposed master is not obeyed");
            }
        }
    }

    /// Notes that a source has gone: its place is free, even if gossip still shows the source.
    pub fn release(&self, mount: &MountName, stream_id: StreamId) {
        let now = clock::now();
        self.config.ended.note(stream_id, now);
        self.authority.lock().release(mount, stream_id, now);
    }

    /// Releases the place of a source of this node, and tells all nodes.
    pub fn give_up(&self, mount: &MountName, stream_id: StreamId) {
        self.release(mount, stream_id);
        let mount = mount.clone();
        let gone = Frame::Unpublish { mount, stream_id };
        self.config.mesh.links.send_to_all(&gone);
    }
}

/// Sends an answer and ends the exchange.
async fn reply(mut exchange: Exchange, answer: &Frame) {
    if let Err(error) = exchange.send(answer).await {
        debug!(%error, "the answer did not arrive");
    }
    exchange.finish();
}
