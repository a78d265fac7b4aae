//! Encoders at this node: who gets the place, who waits, who gives way. What production's `service::ingest` and
//! `service::authority` do; what they decide is `logic::place`, `logic::rivals` and the election's gate.

use std::time::{Duration, Instant};

use antiphon::io::feed::Feed;
use antiphon::logic::election::Admission;
use antiphon::logic::source::place::{Asker, Decision, HEARD, Incumbent, Mesh};
use antiphon::logic::source::rivals::CONFIRM;
use antiphon::media::ring::Ring;
use antiphon::model::mount::{MountName, Takeover};
use antiphon::model::node::NodeName;
use antiphon::model::seat::{Epoch, Fence};
use antiphon::model::stream::{EndReason, StreamHead, StreamId};
use antiphon::proto::view::{MeshNode, precedence};
use antiphon::wire::frame::{Denial, Frame};
use antiphon::wire::gossip::Origin;
use rand::Rng;

use super::super::{Deed, Desk, Heard, LinkMessage, TalkId};
use super::{Radio, RadioNews, show_taken};
use crate::encoder::{EncoderId, Spoken};

/// How long the master may take to answer; as in production.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// A source that sends nothing for so long has stalled; as in production.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a source does now.
#[derive(Debug)]
enum Turn {
    /// Its place was asked for.
    Asking {
        talk: TalkId,
        stream_id: StreamId,
        since: Instant,
    },
    OnAir {
        stream_id: StreamId,
        feed: Feed,
        heard_at: Instant,
    },
    /// It waits, and may ask from then on.
    Standby(Instant),
    /// It has left or was sent away.
    Over,
}

/// An encoder that is connected here.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) mount: MountName,
    turn: Turn,
}

impl Source {
    pub(super) fn is_on_air(&self) -> bool {
        matches!(self.turn, Turn::OnAir { .. })
    }

    fn stream(&self) -> Option<StreamId> {
        match self.turn {
            Turn::OnAir { stream_id, .. } => Some(stream_id),
            _ => None,
        }
    }
}

impl Radio {
    /// An encoder connects, speaks or leaves.
    pub(in super::super) fn encoder(
        &mut self,
        encoder: EncoderId,
        spoken: Spoken,
        desk: &mut Desk<'_>,
    ) {
        match spoken {
            Spoken::Connects(mount) => {
                if desk.mesh.is_draining() || desk.replica.mount(&mount).is_none() {
                    desk.out.push(Deed::Radio(RadioNews::Refused(encoder)));
                    return;
                }
                let turn = Turn::Over;
                self.sources.insert(encoder, Source { mount, turn });
                self.request(encoder, desk);
            }
            Spoken::Bytes(bytes) => self.pour(encoder, &bytes, desk),
            Spoken::Leaves => {
                self.leave_air(encoder, EndReason::SourceLeft, desk);
                self.sources.remove(&encoder);
            }
        }
    }

    fn pour(&mut self, encoder: EncoderId, bytes: &[u8], desk: &mut Desk<'_>) {
        let Some(source) = self.sources.get_mut(&encoder) else {
            return;
        };
        if let Turn::OnAir { feed, heard_at, .. } = &mut source.turn {
            *heard_at = desk.moment.now;
            let next = feed.next();
            feed.append(next, bytes, desk.moment.now);
            show_taken(&source.mount, feed, next, desk.out);
        }
    }

    /// Lets every source whose time has come do the next thing.
    pub(super) fn ingest_all(&mut self, desk: &mut Desk<'_>) {
        let now = desk.moment.now;
        let encoders: Vec<EncoderId> = self.sources.keys().copied().collect();
        for encoder in encoders {
            let source = &self.sources[&encoder];
            match source.turn {
                Turn::Asking {
                    talk,
                    stream_id,
                    since,
                } if now.duration_since(since) >= ASK_TIMEOUT => {
                    desk.out.push(Deed::Abort(talk));
                    self.decide_here(encoder, stream_id, desk);
                }
                Turn::OnAir { heard_at, .. } if now.duration_since(heard_at) >= SOURCE_TIMEOUT => {
                    self.leave_air(encoder, EndReason::SourceSilent, desk);
                    self.send_away(encoder, EndReason::SourceSilent, desk);
                }
                Turn::OnAir { .. } if desk.replica.mount(&source.mount).is_none() => {
                    self.leave_air(encoder, EndReason::MountDeleted, desk);
                    self.send_away(encoder, EndReason::MountDeleted, desk);
                }
                Turn::Standby(_) if desk.mesh.is_draining() => {
                    self.sources.remove(&encoder);
                    desk.out.push(Deed::Radio(RadioNews::Refused(encoder)));
                }
                Turn::Standby(from)
                    if now >= from && desk.mesh.view().source(&source.mount).is_none() =>
                {
                    self.request(encoder, desk);
                }
                _ => {}
            }
        }
    }

    fn send_away(&mut self, encoder: EncoderId, why: EndReason, desk: &mut Desk<'_>) {
        self.sources.remove(&encoder);
        desk.out.push(Deed::Radio(RadioNews::Closed(encoder, why)));
    }

    /// Whether this very node hears another source of the mount, which keeps its place.
    fn hears_another(&self, mount: &MountName, desk: &Desk<'_>) -> bool {
        let spec = desk.replica.mount(mount);
        let refuses = spec.is_none_or(|spec| spec.takeover == Takeover::Refuse);
        let held = self.streams.get(mount);
        let relayed = held.filter(|held| held.origin != Origin::Source && refuses);
        relayed.is_some_and(|held| {
            let fed_at = held.feed.last_fed();
            let heard = desk.moment.now.saturating_duration_since(fed_at);
            held.feed.finished().is_none() && heard < HEARD
        })
    }

    /// Asks for a place: the master, or ourselves if there is none.
    fn request(&mut self, encoder: EncoderId, desk: &mut Desk<'_>) {
        if self.hears_another(&self.sources[&encoder].mount, desk) {
            return self.denied(encoder, desk);
        }
        let stream_id = StreamId(desk.rng.random());
        let view = desk.mesh.view();
        let master = view.master.as_ref().map(|claim| claim.node.clone());
        let Some(master) = master.filter(|master| *master != view.me) else {
            return self.decide_here(encoder, stream_id, desk);
        };
        let Some(source) = self.sources.get_mut(&encoder) else {
            return;
        };
        let talk = desk.talks.next();
        source.turn = Turn::Asking {
            talk,
            stream_id,
            since: desk.moment.now,
        };
        let mount = source.mount.clone();
        let question = Frame::Publish { mount, stream_id };
        desk.out.push(Deed::Open(talk, master, question));
        desk.out.push(Deed::Finish(talk));
    }

    /// The master's answer.
    pub(super) fn place_hears(&mut self, talk: TalkId, heard: Heard, desk: &mut Desk<'_>) {
        let asks = |source: &Source| match source.turn {
            Turn::Asking {
                talk: asked,
                stream_id,
                ..
            } if asked == talk => Some(stream_id),
            _ => None,
        };
        let mut sources = self.sources.iter();
        let found = sources.find_map(|(encoder, source)| Some((*encoder, asks(source)?)));
        let Some((encoder, stream_id)) = found else {
            return;
        };
        match heard {
            Heard::Frame(Frame::Granted(fence)) if self.obeys(&fence, desk) => {
                self.go_on_air(encoder, (stream_id, fence.epoch), desk);
            }
            Heard::Frame(Frame::Denied(Denial::NotMaster) | Frame::Granted(_)) => {
                self.decide_here(encoder, stream_id, desk);
            }
            Heard::Frame(Frame::Denied(_)) => self.denied(encoder, desk),
            Heard::Frame(_) | Heard::Finished | Heard::Lost | Heard::Began(..) => {
                self.decide_here(encoder, stream_id, desk);
            }
        }
        desk.out.push(Deed::Abort(talk));
    }

    /// A place that was given to a source here is no other's here: the order to give way may come later.
    fn clear(&mut self, encoder: EncoderId, desk: &mut Desk<'_>) {
        let mount = self.sources[&encoder].mount.clone();
        let others = self.sources.values();
        let others = others.filter(|source| source.mount == mount);
        let others: Vec<StreamId> = others.filter_map(Source::stream).collect();
        for stream in others {
            self.give_way(&mount, stream, desk);
        }
    }

    fn obeys(&self, fence: &Fence, desk: &mut Desk<'_>) -> bool {
        let applies = desk.gate.admit(fence) == Admission::Apply;
        if applies {
            desk.out.push(Deed::Applied(fence.clone()));
        }
        applies
    }

    fn decide_here(&mut self, encoder: EncoderId, stream_id: StreamId, desk: &mut Desk<'_>) {
        let mount = self.sources[&encoder].mount.clone();
        let me = desk.mesh.view().me.clone();
        match self.give(&mount, (stream_id, &me), desk) {
            Ok(epoch) => self.go_on_air(encoder, (stream_id, epoch), desk),
            Err(_) => self.denied(encoder, desk),
        }
    }

    fn denied(&mut self, encoder: EncoderId, desk: &mut Desk<'_>) {
        let source = self.sources.get_mut(&encoder);
        let source = source.expect("who asks is connected");
        let spec = desk.replica.mount(&source.mount);
        if spec.is_some_and(|spec| spec.standby) {
            source.turn = Turn::Standby(desk.moment.now + CONFIRM);
            desk.out.push(Deed::Radio(RadioNews::OnStandby(encoder)));
        } else {
            self.sources.remove(&encoder);
            desk.out.push(Deed::Radio(RadioNews::Refused(encoder)));
        }
    }

    /// Answers a node that asks for a place for its source.
    pub(super) fn answer_publish(
        &mut self,
        (talk, from): (TalkId, &NodeName),
        (mount, stream_id): (MountName, StreamId),
        desk: &mut Desk<'_>,
    ) {
        let view = desk.mesh.view();
        let claim = view.master.clone().filter(|_| view.is_master());
        let reply = match claim {
            Some(claim) => match self.give(&mount, (stream_id, from), desk) {
                Ok(_) => Frame::Granted(claim.fence()),
                Err(denial) => Frame::Denied(denial),
            },
            None => Frame::Denied(Denial::NotMaster),
        };
        desk.out.push(Deed::Say(talk, reply));
        desk.out.push(Deed::Finish(talk));
    }

    /// Gives the place, if it is to be had; whoever must give way is told.
    fn give(
        &mut self,
        mount: &MountName,
        (stream_id, ingest): (StreamId, &NodeName),
        desk: &mut Desk<'_>,
    ) -> Result<Epoch, Denial> {
        let view = desk.mesh.view();
        let master = view.master.as_ref();
        let epoch = master.map_or(view.max_epoch, |claim| claim.epoch);
        let spec = desk.replica.mount(mount).ok_or(Denial::NoSuchMount)?;
        let sources = view.holders(mount);
        let sources = sources.filter(|(_, card)| card.origin == Origin::Source);
        let mut sources: Vec<_> = sources.collect();
        sources.sort_by_key(|(_, card)| precedence(card));
        let on_air = sources.into_iter().map(|(node, card)| Incumbent {
            node: node.clone(),
            state: view.nodes[node].state,
            stream_id: card.stream_id,
        });
        let mesh = Mesh {
            on_air: on_air.collect(),
            is_up: &|node| view.nodes.get(node).is_none_or(MeshNode::is_up),
        };
        let asker = Asker {
            mount,
            stream_id,
            ingest,
        };
        let now = desk.moment.now;
        match self.places.decide(asker, mesh, spec.takeover, now) {
            Decision::Grant => Ok(epoch),
            Decision::Refuse => Err(Denial::MountInUse),
            Decision::Replace(node, old) if node == view.me => {
                self.give_way(mount, old, desk);
                Ok(epoch)
            }
            Decision::Replace(node, old) => {
                let claim = master.filter(|_| view.is_master());
                let claim = claim.ok_or(Denial::MountInUse)?;
                let order = Frame::GiveWay {
                    mount: mount.clone(),
                    stream_id: old,
                    fence: claim.fence(),
                };
                desk.out.push(Deed::Send(node, LinkMessage::Frame(order)));
                Ok(epoch)
            }
        }
    }

    fn go_on_air(
        &mut self,
        encoder: EncoderId,
        (stream_id, accept_epoch): (StreamId, Epoch),
        desk: &mut Desk<'_>,
    ) {
        self.clear(encoder, desk);
        let source = self.sources.get_mut(&encoder);
        let source = source.expect("who asks is connected");
        let head = StreamHead {
            content_type: "audio/mpeg".into(),
            icy: Vec::new(),
            user_agent: String::new(),
            started_unix_ms: desk.moment.wall_ms,
            accept_epoch,
        };
        let (mount, now) = (source.mount.clone(), desk.moment.now);
        let feed = Feed::new(Ring::new(stream_id, head, 0, now));
        match self.streams.hold(&mount, feed.clone(), Origin::Source) {
            Ok(before) => {
                source.turn = Turn::OnAir {
                    stream_id,
                    feed: feed.clone(),
                    heard_at: now,
                };
                let news = RadioNews::OnAir(encoder, mount, stream_id);
                desk.out.push(Deed::Radio(news));
                if let Some(before) = before {
                    before.feed.go_on_with(&feed);
                }
            }
            Err(_) => {
                self.give_up(&mount, stream_id, desk);
                self.send_away(encoder, EndReason::SourceLeft, desk);
            }
        }
    }

    /// Other nodes are told of the end at once; listeners here wait for the mount's next stream.
    fn leave_air(&mut self, encoder: EncoderId, reason: EndReason, desk: &mut Desk<'_>) {
        let Some(source) = self.sources.get_mut(&encoder) else {
            return;
        };
        let mount = source.mount.clone();
        match std::mem::replace(&mut source.turn, Turn::Over) {
            Turn::OnAir {
                feed, stream_id, ..
            } => {
                feed.finish(reason);
                if reason == EndReason::MountDeleted {
                    self.streams.release(&mount, &feed);
                    feed.end(reason);
                } else {
                    let origin = Origin::Relay(None);
                    self.streams.set_origin(&mount, &feed, origin);
                    self.pull(&mount, Some(feed), desk);
                }
                self.give_up(&mount, stream_id, desk);
            }
            Turn::Asking { talk, .. } => desk.out.push(Deed::Abort(talk)),
            Turn::Standby(_) | Turn::Over => {}
        }
    }

    /// A source that was connected here has gone: says so to everybody.
    fn give_up(&mut self, mount: &MountName, stream_id: StreamId, desk: &mut Desk<'_>) {
        self.release(mount, stream_id, desk);
        let mount = mount.clone();
        let gone = Frame::Unpublish { mount, stream_id };
        desk.out.push(Deed::Broadcast(LinkMessage::Frame(gone)));
    }

    /// Takes note that a source has gone.
    pub(super) fn release(&mut self, mount: &MountName, stream_id: StreamId, desk: &mut Desk<'_>) {
        desk.mesh.note_ended(stream_id, desk.moment.now);
        self.places.release(mount, stream_id, desk.moment.now);
    }

    /// Tells a source to give its mount up. Another stream of the mount is left alone.
    fn give_way(&mut self, mount: &MountName, stream_id: StreamId, desk: &mut Desk<'_>) {
        let mut sources = self.sources.iter();
        let found = sources
            .find(|(_, source)| source.mount == *mount && source.stream() == Some(stream_id));
        let Some((encoder, _)) = found else { return };
        let encoder = *encoder;
        self.leave_air(encoder, EndReason::Replaced, desk);
        let spec = desk.replica.mount(mount);
        if spec.is_some_and(|spec| spec.standby) && !desk.mesh.is_draining() {
            let source = self.sources.get_mut(&encoder);
            source.expect("it is connected").turn = Turn::Standby(desk.moment.now);
            desk.out.push(Deed::Radio(RadioNews::OnStandby(encoder)));
        } else {
            self.send_away(encoder, EndReason::Replaced, desk);
        }
    }

    /// Obeys an order that a source here gives way, unless its master was deposed.
    pub(super) fn obey(
        &mut self,
        (mount, stream_id): (MountName, StreamId),
        fence: &Fence,
        desk: &mut Desk<'_>,
    ) {
        if self.obeys(fence, desk) {
            self.give_way(&mount, stream_id, desk);
        }
    }

    /// Of two sources that have met after a partition only one stays.
    pub(super) fn settle_rivals(&mut self, desk: &mut Desk<'_>) {
        let on_air = self.sources.values();
        let on_air = on_air.filter_map(|source| Some((source.mount.clone(), source.stream()?)));
        let on_air: Vec<(MountName, StreamId)> = on_air.collect();
        let view = desk.mesh.view();
        let first_elsewhere = |mount: &MountName| {
            let first = view.source(mount).filter(|(node, _)| **node != view.me);
            first.map(|(_, card)| card.stream_id)
        };
        let now = desk.moment.now;
        for (mount, stream_id) in self.rivals.look(on_air, first_elsewhere, now) {
            self.give_way(&mount, stream_id, desk);
        }
    }
}
