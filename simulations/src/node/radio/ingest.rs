//! Encoders at this node: does with each what production's `proto::source` and `proto::authority` say.

use std::time::{Duration, Instant};

use antiphon::io::feed::Feed;
use antiphon::media::ring::Ring;
use antiphon::model::mount::MountName;
use antiphon::model::seat::Epoch;
use antiphon::model::stream::{EndReason, StreamHead, StreamId};
use antiphon::proto::authority;
use antiphon::proto::source::{
    Input, LocalStream, Output, Source, SourceContext, Stage, superseded,
};
use antiphon::service::streams::Streams;
use antiphon::wire::frame::Frame;
use antiphon::wire::gossip::Origin;
use rand::Rng;

use super::super::{Deed, Desk, LinkMessage, TalkId};
use super::places::Errand;
use super::{Radio, RadioNews, show_taken};
use crate::encoder::{EncoderId, Spoken};

/// A source that sends nothing for so long has stalled; as in production.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// An encoder that is connected here.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) mount: MountName,
    source: Source,
    pub(super) errand: Option<(TalkId, Errand)>,
    /// Its ring, while it is on air.
    feed: Option<Feed>,
    heard_at: Instant,
    /// How much it has sent, and the last of it, which nobody has taken yet.
    received: u64,
    early: Vec<u8>,
    /// It has closed the connection.
    has_left: bool,
}

impl Connection {
    pub(super) fn is_on_air(&self) -> bool {
        self.feed.is_some()
    }

    /// Its stream, while it is on air.
    pub(super) fn stream(&self) -> Option<StreamId> {
        match self.source.stage() {
            Stage::OnAir(stream_id) => Some(stream_id),
            _ => None,
        }
    }

    fn append(&self, bytes: &[u8], desk: &mut Desk<'_>) {
        if let Some(feed) = &self.feed {
            let next = feed.next();
            feed.append(next, bytes, desk.moment.now);
            show_taken(&self.mount, feed, next, desk.out);
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
            Spoken::Connects(mount) => self.connect(encoder, mount, desk),
            Spoken::Bytes(bytes) => self.pour(encoder, &bytes, desk),
            Spoken::Leaves => {
                if let Some(connection) = self.sources.get_mut(&encoder) {
                    connection.has_left = true;
                    self.tell(encoder, Input::Ended(EndReason::SourceLeft), desk);
                }
            }
        }
    }

    fn connect(&mut self, encoder: EncoderId, mount: MountName, desk: &mut Desk<'_>) {
        let spec = desk.replica.mount(&mount).cloned();
        let Some(spec) = spec.filter(|_| !desk.mesh.is_draining()) else {
            return desk.out.push(Deed::Radio(RadioNews::Refused(encoder)));
        };
        let new_stream_id = StreamId(desk.rng.random());
        let mut out = Vec::new();
        let context = context(&self.streams, &mount, new_stream_id, desk);
        let connection = Connection {
            source: Source::begin(&spec, context, &mut out),
            mount,
            errand: None,
            feed: None,
            heard_at: desk.moment.now,
            received: 0,
            early: Vec::new(),
            has_left: false,
        };
        self.sources.insert(encoder, connection);
        self.carry_out_all(encoder, out, desk);
    }

    /// What an encoder sends goes where its source's stage says.
    fn pour(&mut self, encoder: EncoderId, bytes: &[u8], desk: &mut Desk<'_>) {
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        connection.heard_at = desk.moment.now;
        connection.received += bytes.len() as u64;
        match connection.source.stage() {
            Stage::OnAir(_) => connection.append(bytes, desk),
            Stage::Asking | Stage::Opening => {
                connection.early.extend_from_slice(bytes);
                self.tell(encoder, Input::Audio, desk);
            }
            Stage::Standby | Stage::Over => {}
        }
    }

    /// Lets every source whose time has come do the next thing.
    pub(super) fn ingest_all(&mut self, desk: &mut Desk<'_>) {
        let encoders: Vec<EncoderId> = self.sources.keys().copied().collect();
        for encoder in encoders {
            self.ask_on(encoder, authority::Input::Tick, desk);
            self.tell(encoder, Input::Tick, desk);
            let Some(connection) = self.sources.get(&encoder) else {
                continue;
            };
            let silent_for = desk.moment.now.duration_since(connection.heard_at);
            if connection.source.stage() != Stage::Asking && silent_for >= SOURCE_TIMEOUT {
                self.tell(encoder, Input::Ended(EndReason::SourceSilent), desk);
            }
        }
    }

    /// Tells a source's machine what has happened, and does what it says.
    pub(super) fn tell(&mut self, encoder: EncoderId, input: Input, desk: &mut Desk<'_>) {
        let new_stream_id = StreamId(desk.rng.random());
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        let context = context(&self.streams, &connection.mount, new_stream_id, desk);
        let mut out = Vec::new();
        connection.source.handle(input, context, &mut out);
        self.carry_out_all(encoder, out, desk);
    }

    fn carry_out_all(&mut self, encoder: EncoderId, outputs: Vec<Output>, desk: &mut Desk<'_>) {
        for output in outputs {
            self.carry_out(encoder, output, desk);
        }
    }

    fn carry_out(&mut self, encoder: EncoderId, output: Output, desk: &mut Desk<'_>) {
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        match output {
            Output::Request(stream_id) => self.request(encoder, stream_id, desk),
            Output::CheckPresence(other, _) => self.look(encoder, other, desk),
            Output::Accept => {
                connection.heard_at = desk.moment.now;
                desk.out.push(Deed::Radio(RadioNews::Accepted(encoder)));
            }
            Output::GoOnAir(stream_id, epoch) => self.go_on_air(encoder, stream_id, epoch, desk),
            Output::StandBy => {
                connection.early.clear();
                desk.out.push(Deed::Radio(RadioNews::OnStandby(encoder)));
            }
            Output::FinishReading => {}
            Output::LeaveAir(reason) => self.leave_air(encoder, reason, desk),
            Output::Release(stream_id) => {
                let mount = connection.mount.clone();
                self.give_up(&mount, stream_id, desk);
            }
            Output::Refuse(_) => self.dismiss(encoder, RadioNews::Refused(encoder), desk),
            Output::Close(EndReason::NodeStops) => {
                self.dismiss(encoder, RadioNews::Refused(encoder), desk);
            }
            Output::Close(why) => self.dismiss(encoder, RadioNews::Closed(encoder, why), desk),
        }
    }

    /// The end of a connection. An encoder that has closed it itself needs no news.
    fn dismiss(&mut self, encoder: EncoderId, news: RadioNews, desk: &mut Desk<'_>) {
        let Some(gone) = self.sources.remove(&encoder) else {
            return;
        };
        desk.out
            .extend(gone.errand.map(|(talk, _)| Deed::Abort(talk)));
        if !gone.has_left {
            desk.out.push(Deed::Radio(news));
        }
    }

    fn go_on_air(
        &mut self,
        encoder: EncoderId,
        stream_id: StreamId,
        accept_epoch: Epoch,
        desk: &mut Desk<'_>,
    ) {
        self.clear(encoder, desk);
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        let head = StreamHead {
            content_type: "audio/mpeg".into(),
            icy: Vec::new(),
            user_agent: String::new(),
            started_unix_ms: desk.moment.wall_ms,
            accept_epoch,
        };
        let mount = &connection.mount;
        let feed = Feed::new(Ring::new(stream_id, head, 0, desk.moment.now));
        let held = self.streams.hold(mount, feed.clone(), Origin::Source);
        if held.is_err() {
            return self.tell(encoder, Input::Ended(EndReason::SourceLeft), desk);
        }
        desk.out.push(Deed::Radio(RadioNews::OnAir {
            encoder,
            mount: mount.clone(),
            stream: stream_id,
            begins_at: connection.received - connection.early.len() as u64,
        }));
        connection.feed = Some(feed);
        let early = std::mem::take(&mut connection.early);
        connection.append(&early, desk);
    }

    /// A place that was given to a source here is no other's here: the order to give way may come later.
    fn clear(&mut self, encoder: EncoderId, desk: &mut Desk<'_>) {
        let mount = self.sources[&encoder].mount.clone();
        let others = self.sources.iter();
        let others = others.filter(|(other, it)| **other != encoder && it.mount == mount);
        let others: Vec<StreamId> = others.filter_map(|(_, it)| it.stream()).collect();
        for stream in others {
            self.give_way(&mount, stream, desk);
        }
    }

    /// OtherSource nodes are told of the end at once; listeners here wait for the mount's next stream.
    fn leave_air(&mut self, encoder: EncoderId, reason: EndReason, desk: &mut Desk<'_>) {
        let connection = self.sources.get_mut(&encoder);
        let left = connection.and_then(|it| Some((it.mount.clone(), it.feed.take()?)));
        let Some((mount, feed)) = left else { return };
        feed.finish(reason);
        if reason == EndReason::MountDeleted {
            self.streams.release(&mount, &feed);
            feed.end(reason);
        } else {
            let origin = Origin::Relay(None);
            self.streams.set_origin(&mount, &feed, origin);
            self.pull(&mount, Some(feed), desk);
        }
    }

    /// A source that was connected here has gone: says so to everybody.
    fn give_up(&mut self, mount: &MountName, stream_id: StreamId, desk: &mut Desk<'_>) {
        self.release(mount, stream_id, desk);
        let mount = mount.clone();
        let gone = Frame::Unpublish { mount, stream_id };
        desk.out.push(Deed::Broadcast(LinkMessage::Frame(gone)));
    }

    /// Tells a source to give its mount up. Another stream of the mount is left alone.
    pub(super) fn give_way(&mut self, mount: &MountName, stream_id: StreamId, desk: &mut Desk<'_>) {
        let mut sources = self.sources.iter();
        let found = sources.find(|(_, it)| it.mount == *mount && it.stream() == Some(stream_id));
        if let Some((encoder, _)) = found {
            self.tell(*encoder, Input::GiveWay, desk);
        }
    }

    /// Of two sources that have met after a partition only one stays.
    pub(super) fn settle_rivals(&mut self, desk: &mut Desk<'_>) {
        let on_air = self.sources.values();
        let on_air = on_air.filter_map(|it| Some((it.mount.clone(), it.stream()?)));
        let (on_air, now) = (on_air.collect(), desk.moment.now);
        for (mount, stream_id) in superseded(&mut self.rivals, on_air, desk.mesh.view(), now) {
            self.give_way(&mount, stream_id, desk);
        }
    }
}

/// What is around a source of this mount now.
fn context<'a>(
    streams: &Streams,
    mount: &MountName,
    new_stream_id: StreamId,
    desk: &'a Desk<'_>,
) -> SourceContext<'a> {
    let local = streams.get(mount).map(|held| LocalStream {
        stream_id: held.feed.stream_id(),
        is_source: held.origin == Origin::Source,
        fed_at: held.feed.last_fed(),
        is_finished: held.feed.finished().is_some(),
    });
    SourceContext {
        view: desk.mesh.view(),
        local,
        has_mount: desk.replica.mount(mount).is_some(),
        is_draining: desk.mesh.is_draining(),
        new_stream_id,
        now: desk.moment.now,
    }
}
