//! The streams of a node: rings that encoders or other nodes fill, and their readers.
//!
//! This does what production's services do around the pure code, one beat at a time: a beat is shorter than every
//! wait there.

mod climb;
mod ingest;
mod listen;
mod places;
mod pull;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use antiphon::io::clock::RuntimeClock;
use antiphon::io::feed::Feed;
use antiphon::logic::source::place::Asker;
use antiphon::logic::source::rivals::Rivals;
use antiphon::media::ring::Read;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use antiphon::model::stream::{EndReason, StreamId};
use antiphon::proto::ladder::Ladder;
use antiphon::proto::table::PUBLISH_INTERVAL;
use antiphon::service::relay::serving::Serving;
use antiphon::service::streams::{Held, Streams};
use antiphon::wire::frame::{Frame, NO_BYTE};
use antiphon::wire::gossip::{Origin, StreamCard};

use self::ingest::Connection;
use self::listen::Listener;
use self::pull::Pull;
use super::{Action, Env, TalkEvent, TalkId};
use crate::encoder::EncoderId;

/// How a listener's bytes follow on those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// The first bytes of the listener.
    Joined,
    /// The next bytes of the same stream.
    Next,
    /// The first bytes of another stream.
    Spliced,
}

/// News of a node's streams, for the checkers.
#[derive(Clone, Debug)]
pub enum RadioNews {
    /// New bytes were stored in a ring.
    Stored {
        /// The mount.
        mount: MountName,
        /// The stream.
        stream: StreamId,
        /// The offset of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes were sent to a listener.
    Played {
        /// The mount.
        mount: MountName,
        /// The stream.
        stream: StreamId,
        /// The offset of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
        /// How the bytes follow on those before.
        continuity: Continuity,
    },
    /// A listener was dropped because its stream ended.
    Dropped(MountName, Option<EndReason>),
    /// A listener was dropped because its bytes were gone.
    Overrun(MountName),
    /// The listeners of a mount go over to another rung of its ladder.
    Switched(MountName),
    /// A mount is filled from this node now, with this stream from this byte on.
    Relaying(MountName, NodeName, StreamId, u64),
    /// A mount is not filled from that node any more, or not yet.
    Left(MountName, NodeName),
    /// An encoder was accepted.
    Accepted(EncoderId),
    /// An encoder is on air.
    OnAir {
        /// The connection.
        encoder: EncoderId,
        /// The mount.
        mount: MountName,
        /// The stream.
        stream: StreamId,
        /// The offset of the stream's first byte in the connection.
        begins_at: u64,
    },
    /// An encoder waits for its turn.
    OnStandby(EncoderId),
    /// An encoder was refused.
    Refused(EncoderId),
    /// The node has closed an encoder's connection.
    Closed(EncoderId, EndReason),
}

/// The streams of a node.
#[derive(Debug)]
pub struct Radio {
    streams: Streams,
    /// The clock of the streams; set at the beginning of each event.
    clock: RuntimeClock,
    pulls: BTreeMap<MountName, Pull>,
    serves: BTreeMap<TalkId, Serving>,
    sources: BTreeMap<EncoderId, Connection>,
    rivals: Rivals,
    audience: BTreeMap<MountName, Listener>,
    ladders: BTreeMap<MountName, Ladder>,
    publish_at: Option<Instant>,
    /// The streams and their origins that were gossiped last.
    published: Vec<(MountName, StreamId, Origin)>,
}

impl Radio {
    /// A node without streams, with one listener for each of these mounts.
    pub(super) fn new(audience: Vec<MountName>, now: Instant) -> Self {
        let clock = RuntimeClock::standing_at(now);
        Self {
            streams: Streams::with_clock(clock.clone()),
            clock,
            pulls: BTreeMap::new(),
            serves: BTreeMap::new(),
            sources: BTreeMap::new(),
            rivals: Rivals::default(),
            audience: audience
                .into_iter()
                .map(|mount| (mount, Listener::new(now)))
                .collect(),
            ladders: BTreeMap::new(),
            publish_at: None,
            published: Vec::new(),
        }
    }

    /// The upstream of a mount, and the stream.
    pub fn upstream(&self, mount: &MountName) -> Option<(&NodeName, StreamId)> {
        let pull = self.pulls.get(mount)?;
        let stream = pull.feed()?.stream_id();
        Some((pull.upstream()?, stream))
    }

    /// The stream that is held for a mount, and its next byte.
    pub fn position(&self, mount: &MountName) -> Option<(StreamId, u64)> {
        let feed = self.streams.get(mount)?.feed;
        Some((feed.stream_id(), feed.next()))
    }

    /// The encoder that is on air on a mount at this node.
    pub fn on_air(&self, mount: &MountName) -> Option<EncoderId> {
        let mut sources = self.sources.iter();
        let on_air = sources.find(|(_, source)| source.mount == *mount && source.is_on_air());
        on_air.map(|(encoder, _)| *encoder)
    }

    /// The bytes in all rings, and the number of conversations, pulls, sources and rings.
    pub fn size(&self) -> (u64, usize) {
        let things = self.serves.len() + self.pulls.len() + self.sources.len();
        let held = self.streams.all();
        let bytes = held.iter().map(|(_, it)| it.feed.next() - it.feed.oldest());
        (bytes.sum(), things + held.len())
    }

    /// One beat of everything; `listened` are the mounts that players of the crowd listen to.
    pub(super) fn beat(&mut self, listened: &BTreeSet<MountName>, env: &mut Env<'_>) {
        for mount in listened {
            self.streams.get(mount).inspect(Held::touch);
        }
        self.settle_rivals(env);
        self.ingest_all(env);
        self.keep_all_while_master(env);
        self.pull_all(env);
        self.serve_all(env);
        self.climb_all(env);
        self.listen_all(env);
    }

    /// Fetches a mount for a player, unless it is here.
    pub(super) fn fetch(&mut self, mount: &MountName, env: &mut Env<'_>) {
        if self.position(mount).is_none() && env.replica.mount(mount).is_some() {
            self.pull(mount, None, env);
        }
    }

    /// Sets the clock of the parts that do not get the time as an argument.
    pub(super) fn set_clock(&self, now: Instant) {
        self.clock.set(now);
    }

    /// The master holds every stream, so that relays find it at the root.
    fn keep_all_while_master(&mut self, env: &mut Env<'_>) {
        let view = env.mesh.view();
        let mut missing = Vec::new();
        if !view.is_master() {
            return;
        }
        let others = view.nodes.iter();
        let others = others.filter(|(name, node)| **name != view.me && node.is_up());
        let cards = others.flat_map(|(_, node)| node.streams.iter());
        for (mount, _) in cards.filter(|(_, card)| card.origin == Origin::Source) {
            match self.streams.get(mount) {
                Some(held) => held.touch(),
                None => missing.push(mount.clone()),
            }
        }
        for mount in missing {
            self.pull(&mount, None, env);
        }
    }

    /// The stream cards to gossip, when it is time.
    pub(super) fn cards_to_publish(
        &mut self,
        env: &mut Env<'_>,
    ) -> Option<BTreeMap<MountName, StreamCard>> {
        let now = env.moment.now;
        let is_time = self.publish_at.is_none_or(|at| now >= at);
        let held = self.streams.all();
        let key = |(mount, held): &(MountName, Held)| {
            (mount.clone(), held.feed.stream_id(), held.origin.clone())
        };
        let held_now: Vec<_> = held.iter().map(key).collect();
        if !is_time && held_now == self.published {
            return None;
        }
        self.publish_at = Some(now + PUBLISH_INTERVAL);
        self.published = held_now;
        let cards = held.into_iter();
        Some(cards.map(|(mount, held)| (mount, held.card())).collect())
    }

    /// Handles a message of another node.
    pub(super) fn message(&mut self, frame: Frame, env: &mut Env<'_>) {
        match frame {
            Frame::Unpublish { mount, stream_id } => {
                self.release(&mount, stream_id, env);
            }
            Frame::GiveWay {
                mount,
                stream_id,
                fence,
            } => self.obey(&mount, stream_id, &fence, env),
            _ => {}
        }
    }

    /// Handles an event of a conversation.
    pub(super) fn talk(&mut self, talk: TalkId, heard: TalkEvent, env: &mut Env<'_>) {
        match heard {
            TalkEvent::Began(
                _,
                Frame::Subscribe {
                    mount,
                    resume: Some((stream_id, NO_BYTE)),
                },
            ) => self.tell_presence(talk, &mount, stream_id, env),
            TalkEvent::Began(_, Frame::Subscribe { mount, resume }) => {
                self.begin_to_serve(talk, &mount, resume, env);
            }
            TalkEvent::Began(from, Frame::Publish { mount, stream_id }) => {
                let asker = Asker {
                    mount: &mount,
                    stream_id,
                    ingest: &from,
                };
                self.answer_publish(talk, asker, env);
            }
            TalkEvent::Began(..) => env.out.push(Action::Abort(talk)),
            heard => self.continue_talk(talk, heard, env),
        }
    }

    fn continue_talk(&mut self, talk: TalkId, heard: TalkEvent, env: &mut Env<'_>) {
        let pulls = self.pulls.iter();
        let mut pulling = pulls
            .filter(|(_, pull)| pull.is_in(talk))
            .map(|(mount, _)| mount);
        if let Some(mount) = pulling.next().cloned() {
            self.handle_pull(&mount, heard, env);
        } else if self.serves.contains_key(&talk) {
            // A relay sends only its request, so the end of its frames is not the end of the conversation.
            if matches!(heard, TalkEvent::Lost) {
                self.serves.remove(&talk);
            }
        } else {
            self.handle_answer(talk, heard, env);
        }
    }
}

/// Shows the checkers the bytes of a ring from this one on.
fn show_stored(mount: &MountName, feed: &Feed, before: u64, out: &mut Vec<Action>) {
    if let Read::Bytes(pieces) = feed.read(before, usize::MAX) {
        out.push(Action::Radio(RadioNews::Stored {
            mount: mount.clone(),
            stream: feed.stream_id(),
            offset: before,
            bytes: pieces.concat(),
        }));
    }
}
