//! Hands what arrives over the links to the service that it is for.

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::audience::MeshAudience;
use super::authority::MountAuthority;
use super::cluster::Event;
use super::dismissal::Dismissals;
use super::drain::{Drain, Phase};
use super::loops::Loops;
use super::mesh::Mesh;
use super::relay;
use super::relay::serving::Subscription;
use super::sources::DoubtedSource;
use super::streams::{Held, Streams};
use super::titles::Titles;
use crate::io::link::Exchange;
use crate::logic::source::place::Asker;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::title::TitleInfo;
use crate::proto::prologue::PrologueSupport;
use crate::proto::serve::Reads;
use crate::proto::view::{FrameFlag, FrameSupport};
use crate::wire::frame::{Frame, NO_BYTE};
use crate::wire::gossip::Origin;

/// The messages that have come over the links and wait to be handed on.
#[derive(Debug)]
pub struct Arrivals {
    /// Single frames.
    pub messages: mpsc::Receiver<(NodeName, Frame)>,
    /// Conversations, with their first frame.
    pub exchanges: mpsc::Receiver<(NodeName, Frame, Exchange)>,
}

/// The services that take what arrives.
#[derive(Clone, Debug)]
pub struct Switchboard {
    /// Takes messages of the elections, goodbyes, records and summaries; counts the conversations.
    pub mesh: Mesh,
    /// Answers requests for a place for a source.
    pub authority: MountAuthority,
    /// Holds what is subscribed to.
    pub streams: Streams,
    /// Takes titles for sources here.
    pub titles: Titles,
    /// Ends sources here.
    pub dismissals: Dismissals,
    /// Gives away the files that the mesh keeps.
    pub loops: Loops,
    /// Answers questions about the listeners here.
    pub audience: MeshAudience,
    /// Says when relays have to move on.
    pub drain: Drain,
}

impl Switchboard {
    /// Hands on until the node stops.
    pub async fn run(self, arrivals: Arrivals) {
        let Arrivals {
            mut messages,
            mut exchanges,
        } = arrivals;
        loop {
            tokio::select! {
                () = self.mesh.tasks.asked_to_end() => return,
                Some((from, frame)) = messages.recv() => self.message(from, frame),
                Some((from, first, exchange)) = exchanges.recv() => {
                    let talk = self.clone().exchange(from, first, exchange);
                    self.mesh.tasks.spawn_until_end(talk);
                }
                else => return,
            }
        }
    }

    fn message(&self, from: NodeName, frame: Frame) {
        match frame {
            Frame::Seat { seat, message } => {
                self.mesh.cluster.tell(Event::Seat(from, seat, message))
            }
            Frame::Goodbye => self.mesh.cluster.tell(Event::Goodbye(from)),
            Frame::Forget(name) => self.mesh.cluster.tell(Event::Forget(name)),
            Frame::Records(records) => self.mesh.documents.apply(&from, records),
            Frame::Unpublish { mount, stream_id } => self.authority.release(&mount, stream_id),
            Frame::GiveWay {
                mount,
                stream_id,
                fence,
            } => {
                let authority = self.authority.clone();
                let obeying = async move { authority.obey(&mount, stream_id, &fence).await };
                self.mesh.tasks.spawn(obeying);
            }
            frame => warn!(%from, kind = frame.kind(), "a message that does not belong here"),
        }
    }

    /// Returns when relays of this mount have to go elsewhere: this node drains, and it is itself a relay. A stream whose
    /// source was here is sent to its end.
    async fn must_move(&self, mount: &MountName) {
        let mut phase = self.drain.watch();
        let draining = phase
            .wait_for(|phase| *phase == Phase::Draining)
            .await
            .is_ok();
        let ends_here =
            |held: Held| held.origin == Origin::Source || held.feed.finished().is_some();
        if !draining || self.streams.get(mount).is_some_and(ends_here) {
            std::future::pending::<()>().await;
        }
    }

    /// The frames that a node reads. The questions go together: each may wait for its card, and the node for its answer.
    async fn frames_read_by(&self, node: &NodeName) -> Reads {
        let support = |flag: FrameFlag| self.mesh.frame_support(node, flag);
        let (whole, long, captions, midway) = tokio::join!(
            support(|card| card.reads_prologues),
            support(|card| card.reads_long_prologues),
            support(|card| card.reads_captions),
            support(|card| card.reads_midway)
        );
        Reads {
            prologues: match (whole, long) {
                (FrameSupport::Reads, FrameSupport::Reads) => PrologueSupport::Long,
                (FrameSupport::Reads, _) => PrologueSupport::Whole,
                _ => PrologueSupport::None,
            },
            captions: captions == FrameSupport::Reads,
            midway: midway == FrameSupport::Reads,
        }
    }

    async fn exchange(self, from: NodeName, first: Frame, exchange: Exchange) {
        match first {
            Frame::Publish { mount, stream_id } => {
                let asker = Asker {
                    mount: &mount,
                    stream_id,
                    ingest: &from,
                };
                self.authority.answer(asker, exchange).await;
            }
            Frame::Subscribe {
                mount,
                resume: Some((stream_id, NO_BYTE)),
            } => {
                let doubted = DoubtedSource {
                    mount: &mount,
                    stream_id,
                    claimant: None,
                };
                self.authority.tell_presence(doubted, exchange).await;
            }
            Frame::Presence {
                mount,
                stream_id,
                claimant,
            } => {
                let doubted = DoubtedSource {
                    mount: &mount,
                    stream_id,
                    claimant: Some(&claimant),
                };
                self.authority.tell_presence(doubted, exchange).await;
            }
            Frame::Subscribe { mount, resume } => {
                let moved = self.must_move(&mount);
                let subscription = Subscription {
                    mount: mount.clone(),
                    resume,
                    reads: self.frames_read_by(&from).await,
                };
                let serving = relay::serve(&self.streams, &from, subscription, exchange);
                tokio::select! {
                    () = serving => {}
                    // Cut short, the relay goes on with another holder from its next byte.
                    () = moved => debug!(%mount, to = %from, "draining: the relay moves on"),
                }
            }
            Frame::Records(records) => self.mesh.documents.save_for(&from, records, exchange).await,
            Frame::Summary(_) => self.mesh.documents.answer(&from, first, exchange).await,
            Frame::Describe { mount, title } => {
                let reply = self.titles.set_here(&mount, &TitleInfo::plain(&title));
                answer(&from, reply, exchange).await;
            }
            Frame::Announce { mount, title } => {
                let reply = self.titles.set_here(&mount, &title);
                answer(&from, reply, exchange).await;
            }
            Frame::Order(order) => {
                info!(%from, %order, "an operator's order by way of another node");
                self.drain.obey(order).await;
                answer(&from, Frame::Done, exchange).await;
            }
            Frame::Dismiss { mount, stream_id } => {
                let reply = self.dismissals.dismiss_here(&mount, stream_id).await;
                answer(&from, reply, exchange).await;
            }
            Frame::FileAsk(hash) => self.loops.serve(&from, hash, exchange).await,
            Frame::Audience(question) => self.audience.answer(&from, question, exchange).await,
            frame => warn!(%from, kind = frame.kind(), "a conversation that does not belong here"),
        }
    }
}

/// Ends a conversation with its one answer.
async fn answer(to: &NodeName, reply: Frame, mut exchange: Exchange) {
    if let Err(error) = exchange.send(&reply).await {
        debug!(%to, %error, "the answer did not arrive");
    }
    exchange.finish();
}
