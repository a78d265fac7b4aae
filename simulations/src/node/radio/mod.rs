//! The streams' part in a node: rings that encoders or other nodes fill, and who reads them.
//!
//! It does what production's services do around the pure code, one beat at a time: a beat is shorter than
//! every wait in there.

mod ingest;
mod listen;
mod places;
mod pull;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use antiphon::io::clock::RuntimeClock;
use antiphon::io::feed::Feed;
use antiphon::logic::source::place::Asker;
use antiphon::logic::source::rivals::Rivals;
use antiphon::media::ring::Read;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use antiphon::model::stream::{EndReason, StreamId};
use antiphon::service::relay::serving::Serving;
use antiphon::service::streams::{Held, Streams};
use antiphon::wire::frame::{Frame, NO_BYTE};
use antiphon::wire::gossip::{Origin, StreamCard};

use self::ingest::Connection;
use self::listen::Listener;
use self::pull::Pull;
use super::{Deed, Desk, Heard, TalkId};
use crate::encoder::EncoderId;

/// How often a node gossips its streams although nothing but their length has changed; as in production.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// How a listener's bytes follow on those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// They are its first.
    Joined,
    /// They are the next ones of the same stream.
    Next,
    /// They are the first of another stream.
    Spliced,
}

/// What the checkers are told of a node's streams.
#[derive(Clone, Debug)]
pub enum RadioNews {
    /// New bytes are in a ring.
    Took {
        /// Of this mount.
        mount: MountName,
        /// Of this stream.
        stream: StreamId,
        /// The number of the first of them.
        offset: u64,
        /// They.
        bytes: Vec<u8>,
    },
    /// A listener has got bytes.
    Heard {
        /// Of this mount.
        mount: MountName,
        /// Of this stream.
        stream: StreamId,
        /// The number of the first of them.
        offset: u64,
        /// They.
        bytes: Vec<u8>,
        /// How they follow.
        hearing: Hearing,
    },
    /// A listener was dropped because its stream ended.
    Dropped(MountName, Option<EndReason>),
    /// A listener was dropped because its bytes were gone.
    FellOff(MountName),
    /// A mount is filled from this node now, with this stream from this byte on.
    Relaying(MountName, NodeName, StreamId, u64),
    /// A mount is not filled from that node any more, or not yet.
    Left(MountName, NodeName),
    /// An encoder is to send.
    Accepted(EncoderId),
    /// An encoder is on air.
    OnAir {
        /// Its connection.
        encoder: EncoderId,
        /// On this mount.
        mount: MountName,
        /// As this stream.
        stream: StreamId,
        /// The number in the connection of the stream's first byte.
        begins_at: u64,
    },
    /// An encoder waits for its turn.
    OnStandby(EncoderId),
    /// An encoder is not wanted.
    Refused(EncoderId),
    /// The node has closed an encoder's connection.
    Closed(EncoderId, EndReason),
}

/// The streams' part in a node.
#[derive(Debug)]
pub struct Radio {
    streams: Streams,
    /// What the streams look at; set at the beginning of each event.
    clock: RuntimeClock,
    pulls: BTreeMap<MountName, Pull>,
    serves: BTreeMap<TalkId, Serving>,
    sources: BTreeMap<EncoderId, Connection>,
    rivals: Rivals,
    audience: BTreeMap<MountName, Listener>,
    say_at: Option<Instant>,
    /// What was held, and from where, when gossip was told.
    said: Vec<(MountName, StreamId, Origin)>,
}

impl Radio {
    /// A node that nobody streams to yet, with one listener for each of these mounts.
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
            say_at: None,
            said: Vec::new(),
        }
    }

    /// From whom a mount is filled now, and with which stream.
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

    /// The encoder that is on air here on a mount.
    pub fn on_air(&self, mount: &MountName) -> Option<EncoderId> {
        let mut sources = self.sources.iter();
        let on_air = sources.find(|(_, source)| source.mount == *mount && source.is_on_air());
        on_air.map(|(encoder, _)| *encoder)
    }

    /// How many bytes all rings hold, and how many conversations, pulls, sources and rings there are.
    pub fn size(&self) -> (u64, usize) {
        let things = self.serves.len() + self.pulls.len() + self.sources.len();
        let held = self.streams.all();
        let bytes = held.iter().map(|(_, it)| it.feed.next() - it.feed.oldest());
        (bytes.sum(), things + held.len())
    }

    /// Goes on with everything; `listened` are the mounts that players who are no part of it hear here.
    pub(super) fn beat(&mut self, listened: &BTreeSet<MountName>, desk: &mut Desk<'_>) {
        for mount in listened {
            self.streams.get(mount).inspect(Held::touch);
        }
        self.settle_rivals(desk);
        self.ingest_all(desk);
        self.keep_all_while_master(desk);
        self.pull_all(desk);
        self.serve_all(desk);
        self.listen_all(desk);
    }

    /// Begins to fetch a mount for a player, unless it is here.
    pub(super) fn want(&mut self, mount: &MountName, desk: &mut Desk<'_>) {
        if self.position(mount).is_none() && desk.replica.mount(mount).is_some() {
            self.pull(mount, None, desk);
        }
    }

    /// What its parts look at who are not handed the time.
    pub(super) fn set_clock(&self, now: Instant) {
        self.clock.set(now);
    }

    /// The master holds every stream, so that relays find it at the root.
    fn keep_all_while_master(&mut self, desk: &mut Desk<'_>) {
        let view = desk.mesh.view();
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
            self.pull(&mount, None, desk);
        }
    }

    /// What to gossip of the streams, when it is time.
    pub(super) fn cards_to_say(
        &mut self,
        desk: &mut Desk<'_>,
    ) -> Option<BTreeMap<MountName, StreamCard>> {
        let now = desk.moment.now;
        let is_time = self.say_at.is_none_or(|at| now >= at);
        let held = self.streams.all();
        let key = |(mount, held): &(MountName, Held)| {
            (mount.clone(), held.feed.stream_id(), held.origin.clone())
        };
        let held_now: Vec<_> = held.iter().map(key).collect();
        if !is_time && held_now == self.said {
            return None;
        }
        self.say_at = Some(now + PUBLISH_INTERVAL);
        self.said = held_now;
        let cards = held.into_iter();
        Some(cards.map(|(mount, held)| (mount, held.card())).collect())
    }

    /// A message of another node.
    pub(super) fn message(&mut self, frame: Frame, desk: &mut Desk<'_>) {
        match frame {
            Frame::Unpublish { mount, stream_id } => {
                self.release(&mount, stream_id, desk);
            }
            Frame::GiveWay {
                mount,
                stream_id,
                fence,
            } => self.obey(&mount, stream_id, &fence, desk),
            _ => {}
        }
    }

    /// A conversation goes on, or begins.
    pub(super) fn talk(&mut self, talk: TalkId, heard: Heard, desk: &mut Desk<'_>) {
        match heard {
            Heard::Began(
                _,
                Frame::Subscribe {
                    mount,
                    resume: Some((stream_id, NO_BYTE)),
                },
            ) => self.tell_presence(talk, &mount, stream_id, desk),
            Heard::Began(_, Frame::Subscribe { mount, resume }) => {
                self.begin_to_serve(talk, &mount, resume, desk);
            }
            Heard::Began(from, Frame::Publish { mount, stream_id }) => {
                let asker = Asker {
                    mount: &mount,
                    stream_id,
                    ingest: &from,
                };
                self.answer_publish(talk, asker, desk);
            }
            Heard::Began(..) => desk.out.push(Deed::Abort(talk)),
            heard => self.go_on(talk, heard, desk),
        }
    }

    fn go_on(&mut self, talk: TalkId, heard: Heard, desk: &mut Desk<'_>) {
        let pulls = self.pulls.iter();
        let mut pulling = pulls
            .filter(|(_, pull)| pull.is_in(talk))
            .map(|(mount, _)| mount);
        if let Some(mount) = pulling.next().cloned() {
            self.pull_hears(&mount, heard, desk);
        } else if self.serves.contains_key(&talk) {
            // A relay says nothing more after its question; that it has said all is no end.
            if matches!(heard, Heard::Lost) {
                self.serves.remove(&talk);
            }
        } else {
            self.place_hears(talk, heard, desk);
        }
    }
}

/// Shows the checkers what a ring has taken in since its next byte was this one.
fn show_taken(mount: &MountName, feed: &Feed, before: u64, out: &mut Vec<Deed>) {
    if let Read::Bytes(pieces) = feed.read(before, usize::MAX) {
        out.push(Deed::Radio(RadioNews::Took {
            mount: mount.clone(),
            stream: feed.stream_id(),
            offset: before,
            bytes: pieces.concat(),
        }));
    }
}
