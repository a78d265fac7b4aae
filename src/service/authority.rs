//! Who may source a mount: asked of the master, and answered as the master. What is decided is
//! [`proto::authority`](crate::proto::authority); this carries it out over the links.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::cluster::Cluster;
use super::document::Documents;
use super::sources::Sources;
use crate::io::clock;
use crate::io::link::{Exchange, ExchangeError, Links};
use crate::logic::election::Admission;
use crate::logic::source::place::Asker;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::seat::{Epoch, Fence};
use crate::model::stream::StreamId;
use crate::proto::authority::{self, Case, GivesWay, Input, Output, Question};
use crate::proto::ended::Ended;
use crate::proto::source::{presence_answer, presence_question, shows_presence};
use crate::wire::frame::{Denial, Frame};

/// What deciding about places needs.
#[derive(Clone, Debug)]
pub struct AuthorityConfig {
    /// The ways to the other nodes.
    pub links: Links,
    /// Who is the master, and what is on air.
    pub cluster: Cluster,
    /// What becomes of a second source.
    pub documents: Documents,
    /// Who is on air here.
    pub sources: Sources,
    /// The streams that are over.
    pub ended: Ended,
}

/// A cheap, cloneable way to the decision.
#[derive(Clone, Debug)]
pub struct MountAuthority {
    config: AuthorityConfig,
    memory: Arc<Mutex<authority::Authority>>,
}

impl MountAuthority {
    /// Decides with the help of these; `max_epoch` is the highest that an earlier life of the node has seen.
    pub fn new(config: AuthorityConfig, max_epoch: Epoch) -> Self {
        let memory = authority::Authority::new(max_epoch);
        Self {
            config,
            memory: Arc::new(Mutex::new(memory)),
        }
    }

    /// Asks for a place for a source that is connected here; the epoch under which it is given.
    pub async fn request(&self, mount: &MountName, stream_id: StreamId) -> Result<Epoch, Denial> {
        let mut question = Question::new(mount.clone(), stream_id);
        let mut input = Input::Begin;
        loop {
            let mut next = Input::Tick;
            for output in self.hand(&mut question, mount, input) {
                match output {
                    Output::Ask {
                        master,
                        question,
                        until,
                    } => next = self.ask(&master, &question, until.into()).await,
                    Output::Deposed(fence) => {
                        info!(%mount, ?fence, "the word of a deposed master does not count");
                    }
                    Output::GiveWay(gives_way) => self.tell(mount, gives_way).await,
                    Output::Verdict(verdict) => return verdict,
                }
            }
            input = next;
        }
    }

    fn hand(&self, question: &mut Question, mount: &MountName, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        let view = self.config.cluster.view();
        let takeover = self.config.documents.mount(mount).map(|spec| spec.takeover);
        let case = Case {
            view: &view,
            takeover,
            now: clock::now(),
        };
        question.handle(input, &mut self.memory.lock(), case, &mut out);
        out
    }

    /// Puts a question to the master.
    async fn ask(&self, master: &NodeName, question: &Frame, until: Instant) -> Input {
        match timeout_at(until, self.put(master, question)).await {
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

    /// Asks a node something, and waits for its answer.
    async fn put(&self, node: &NodeName, question: &Frame) -> Result<Option<Frame>, ExchangeError> {
        let mut exchange = self.config.links.open(node, question).await?;
        exchange.finish();
        exchange.receive().await
    }

    /// Answers a node that asks for a place for its source.
    pub async fn answer(&self, asker: Asker<'_>, exchange: Exchange) {
        let (mount, from) = (asker.mount, asker.ingest);
        let ruling = {
            let view = self.config.cluster.view();
            let takeover = self.config.documents.mount(mount).map(|spec| spec.takeover);
            let case = Case {
                view: &view,
                takeover,
                now: clock::now(),
            };
            self.memory.lock().answer(asker, case)
        };
        if let Some(gives_way) = ruling.gives_way {
            self.tell(mount, gives_way).await;
        }
        match &ruling.reply {
            Frame::Denied(why) => info!(%mount, ingest = %from, ?why, "source denied"),
            _ => info!(%mount, ingest = %from, "source granted"),
        }
        say(exchange, &ruling.reply).await;
    }

    /// Tells a source that another has its place.
    async fn tell(&self, mount: &MountName, gives_way: GivesWay) {
        match gives_way {
            GivesWay::Here(old) => self.config.sources.give_way(mount, old).await,
            GivesWay::There(node, order) => {
                self.config.links.send(&node, &order);
            }
        }
    }

    /// Whether the source of a stream is still connected to another node, as far as that is known by `until`.
    pub async fn is_there(
        &self,
        node: &NodeName,
        mount: &MountName,
        stream_id: StreamId,
        until: Instant,
    ) -> bool {
        let question = presence_question(mount, stream_id);
        match timeout_at(until, self.put(node, &question)).await {
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

    /// Tells another node whether a source is still connected here.
    pub async fn tell_presence(&self, mount: &MountName, stream_id: StreamId, exchange: Exchange) {
        let is_there = self.config.sources.is_there(mount, stream_id).await;
        say(exchange, &presence_answer(is_there)).await;
    }

    /// Obeys an order that a source here gives way, unless its master was deposed.
    pub async fn obey(&self, mount: &MountName, stream_id: StreamId, fence: &Fence) {
        let admission = self.memory.lock().admit(fence);
        match admission {
            Admission::Apply => self.config.sources.give_way(mount, stream_id).await,
            Admission::Refuse => {
                info!(%mount, ?fence, "the order of a deposed master is not obeyed");
            }
        }
    }

    /// Takes note that a source has gone: its place is free again, whatever gossip still says of it.
    pub fn release(&self, mount: &MountName, stream_id: StreamId) {
        let now = clock::now();
        self.config.ended.note(stream_id, now);
        self.memory.lock().release(mount, stream_id, now);
    }

    /// A source that was connected here has gone: says so to everybody.
    pub fn give_up(&self, mount: &MountName, stream_id: StreamId) {
        self.release(mount, stream_id);
        let mount = mount.clone();
        let gone = Frame::Unpublish { mount, stream_id };
        self.config.links.send_to_all(&gone);
    }
}

/// The last word of a conversation.
async fn say(mut exchange: Exchange, answer: &Frame) {
    if let Err(error) = exchange.send(answer).await {
        debug!(%error, "the answer did not arrive");
    }
    exchange.finish();
}
