//! The encoders of a node: drives production's `proto::source` and `proto::authority` for each.

use std::time::{Duration, Instant};

use antiphon::io::feed::Feed;
use antiphon::media::ring::Ring;
use antiphon::model::fitness::SourceFitness;
use antiphon::model::mount::{MountName, MountSpec};
use antiphon::model::seat::Epoch;
use antiphon::model::source_priority::SourcePriority;
use antiphon::model::stream::{EndReason, StreamHead, StreamId};
use antiphon::proto::authority;
use antiphon::proto::source::{
    Input, LocalStream, Output, Source, SourceContext, SourceStage, superseded,
};
use antiphon::service::streams::Streams;
use antiphon::wire::frame::Frame;
use antiphon::wire::gossip::Origin;
use rand::Rng;

use super::super::{Action, Env, LinkMessage, TalkId};
use super::places::Inquiry;
use super::{Radio, RadioNews, show_stored};
use crate::encoder::{EncoderId, Spoken};

/// How long a source may be silent.
const SILENCE: Duration = Duration::from_secs(MountSpec::DEFAULT_SOURCE_TIMEOUT_S as u64);

/// An encoder that is connected here.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) mount: MountName,
    source: Source,
    pub(super) inquiry: Option<(TalkId, Inquiry)>,
    /// The ring, while the source is on air.
    feed: Option<Feed>,
    heard_at: Instant,
    /// The number of bytes that it has sent, and the last of them, which are not in a ring yet.
    received: u64,
    early: Vec<u8>,
    /// Whether it has closed the connection.
    has_left: bool,
}

impl Connection {
    pub(super) fn is_on_air(&self) -> bool {
        self.feed.is_some()
    }

    /// The stream, while the source is on air.
    pub(super) fn stream(&self) -> Option<StreamId> {
        match self.source.stage() {
            SourceStage::OnAir(stream_id) => Some(stream_id),
            _ => None,
        }
    }

    fn append(&self, bytes: &[u8], env: &mut Env<'_>) {
        if let Some(feed) = &self.feed {
            let next = feed.next();
            feed.append(next, bytes, env.moment.now);
            show_stored(&self.mount, feed, next, env.out);
        }
    }
}

impl Radio {
    /// An encoder connects, sends or leaves.
    pub(in super::super) fn encoder(
        &mut self,
        encoder: EncoderId,
        spoken: Spoken,
        env: &mut Env<'_>,
    ) {
        match spoken {
            Spoken::Connects(mount) => self.connect(encoder, mount, env),
            Spoken::Bytes(bytes) => self.receive(encoder, &bytes, env),
            Spoken::Leaves => {
                if let Some(connection) = self.sources.get_mut(&encoder) {
                    connection.has_left = true;
                    self.handle_source(encoder, Input::Ended(EndReason::SourceLeft), env);
                }
            }
        }
    }

    fn connect(&mut self, encoder: EncoderId, mount: MountName, env: &mut Env<'_>) {
        let spec = env.replica.mount(&mount).cloned();
        let Some(spec) = spec.filter(|_| !env.mesh.is_draining()) else {
            return env.out.push(Action::Radio(RadioNews::Refused(encoder)));
        };
        let new_stream_id = StreamId(env.rng.random());
        let mut out = Vec::new();
        let context = context(&self.streams, &mount, new_stream_id, env);
        let connection = Connection {
            source: Source::begin(&spec, SourcePriority::FIRST, context, &mut out),
            mount,
            inquiry: None,
            feed: None,
            heard_at: env.moment.now,
            received: 0,
            early: Vec::new(),
            has_left: false,
        };
        self.sources.insert(encoder, connection);
        self.carry_out_all(encoder, out, env);
    }

    /// Puts the bytes where the source's stage says.
    fn receive(&mut self, encoder: EncoderId, bytes: &[u8], env: &mut Env<'_>) {
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        connection.heard_at = env.moment.now;
        connection.received += bytes.len() as u64;
        match connection.source.stage() {
            SourceStage::OnAir(_) => connection.append(bytes, env),
            SourceStage::Asking | SourceStage::Opening => {
                connection.early.extend_from_slice(bytes);
                self.handle_source(encoder, Input::Audio, env);
            }
            SourceStage::Standby | SourceStage::Over => {}
        }
    }

    /// Gives every source its tick.
    pub(super) fn ingest_all(&mut self, env: &mut Env<'_>) {
        let encoders: Vec<EncoderId> = self.sources.keys().copied().collect();
        for encoder in encoders {
            self.handle_question(encoder, authority::Input::Tick, env);
            self.handle_source(encoder, Input::Tick, env);
            let Some(connection) = self.sources.get(&encoder) else {
                continue;
            };
            let silent_for = env.moment.now.duration_since(connection.heard_at);
            if connection.source.stage() != SourceStage::Asking && silent_for >= SILENCE {
                self.handle_source(encoder, Input::Ended(EndReason::SourceSilent), env);
            }
        }
    }

    /// Gives a source's machine an event, and carries out its outputs.
    pub(super) fn handle_source(&mut self, encoder: EncoderId, input: Input, env: &mut Env<'_>) {
        let new_stream_id = StreamId(env.rng.random());
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        let context = context(&self.streams, &connection.mount, new_stream_id, env);
        let mut out = Vec::new();
        connection.source.handle(input, context, &mut out);
        self.carry_out_all(encoder, out, env);
    }

    fn carry_out_all(&mut self, encoder: EncoderId, outputs: Vec<Output>, env: &mut Env<'_>) {
        for output in outputs {
            self.carry_out(encoder, output, env);
        }
    }

    fn carry_out(&mut self, encoder: EncoderId, output: Output, env: &mut Env<'_>) {
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        match output {
            Output::Request(stream_id) => self.request(encoder, stream_id, env),
            Output::CheckPresence(other, _) => self.check_presence(encoder, other, env),
            Output::Accept => {
                connection.heard_at = env.moment.now;
                env.out.push(Action::Radio(RadioNews::Accepted(encoder)));
            }
            Output::GoOnAir(stream_id, epoch) => self.go_on_air(encoder, stream_id, epoch, env),
            Output::StandBy => {
                connection.early.clear();
                env.out.push(Action::Radio(RadioNews::OnStandby(encoder)));
            }
            Output::FinishReading => {}
            Output::LeaveAir(reason) => self.leave_air(encoder, reason, env),
            Output::Release(stream_id) => {
                let mount = connection.mount.clone();
                self.unpublish(&mount, stream_id, env);
            }
            Output::Refuse(_) => self.close(encoder, RadioNews::Refused(encoder), env),
            Output::Close(EndReason::NodeStops) => {
                self.close(encoder, RadioNews::Refused(encoder), env);
            }
            Output::Close(why) => self.close(encoder, RadioNews::Closed(encoder, why), env),
        }
    }

    /// Ends a connection. An encoder that has closed it itself gets no news.
    fn close(&mut self, encoder: EncoderId, news: RadioNews, env: &mut Env<'_>) {
        let Some(gone) = self.sources.remove(&encoder) else {
            return;
        };
        env.out
            .extend(gone.inquiry.map(|(talk, _)| Action::Abort(talk)));
        if !gone.has_left {
            env.out.push(Action::Radio(news));
        }
    }

    fn go_on_air(
        &mut self,
        encoder: EncoderId,
        stream_id: StreamId,
        accept_epoch: Epoch,
        env: &mut Env<'_>,
    ) {
        self.displace_others(encoder, env);
        let Some(connection) = self.sources.get_mut(&encoder) else {
            return;
        };
        let head = StreamHead {
            content_type: "audio/mpeg".into(),
            icy: Vec::new(),
            user_agent: String::new(),
            started_unix_ms: env.moment.wall_ms,
            accept_epoch,
        };
        let mount = &connection.mount;
        let feed = Feed::new(Ring::new(stream_id, head, 0, env.moment.now));
        let held = self.streams.hold(mount, feed.clone(), Origin::Source);
        if held.is_err() {
            return self.handle_source(encoder, Input::Ended(EndReason::SourceLeft), env);
        }
        env.out.push(Action::Radio(RadioNews::OnAir {
            encoder,
            mount: mount.clone(),
            stream: stream_id,
            begins_at: connection.received - connection.early.len() as u64,
        }));
        connection.feed = Some(feed);
        let early = std::mem::take(&mut connection.early);
        connection.append(&early, env);
    }

    /// Has every other source of the mount at this node give way: the master's order may come later.
    fn displace_others(&mut self, encoder: EncoderId, env: &mut Env<'_>) {
        let mount = self.sources[&encoder].mount.clone();
        let others = self.sources.iter();
        let others = others.filter(|(other, it)| **other != encoder && it.mount == mount);
        let others: Vec<StreamId> = others.filter_map(|(_, it)| it.stream()).collect();
        for stream in others {
            self.give_way(&mount, stream, env);
        }
    }

    /// Ends a stream; its listeners wait for the mount's next stream.
    fn leave_air(&mut self, encoder: EncoderId, reason: EndReason, env: &mut Env<'_>) {
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
            self.pull(&mount, Some(feed), env);
        }
    }

    /// Tells all nodes that a source of this node has gone.
    fn unpublish(&mut self, mount: &MountName, stream_id: StreamId, env: &mut Env<'_>) {
        self.release(mount, stream_id, env);
        let mount = mount.clone();
        let gone = Frame::Unpublish { mount, stream_id };
        env.out.push(Action::Broadcast(LinkMessage::Frame(gone)));
    }

    /// Has the source of this stream give way.
    pub(super) fn give_way(&mut self, mount: &MountName, stream_id: StreamId, env: &mut Env<'_>) {
        let mut sources = self.sources.iter();
        let found = sources.find(|(_, it)| it.mount == *mount && it.stream() == Some(stream_id));
        if let Some((encoder, _)) = found {
            self.handle_source(*encoder, Input::GiveWay, env);
        }
    }

    /// Has the sources give way that have lost against another node's after a partition.
    pub(super) fn settle_rivals(&mut self, env: &mut Env<'_>) {
        let on_air = self.sources.values();
        let on_air = on_air.filter_map(|it| Some((it.mount.clone(), it.stream()?)));
        let (on_air, now) = (on_air.collect(), env.moment.now);
        for (mount, stream_id) in superseded(&mut self.rivals, on_air, env.mesh.view(), now) {
            self.give_way(&mount, stream_id, env);
        }
    }
}

/// The context of a source of this mount.
fn context<'a>(
    streams: &Streams,
    mount: &MountName,
    new_stream_id: StreamId,
    env: &'a Env<'_>,
) -> SourceContext<'a> {
    let local = streams.get(mount).map(|held| LocalStream {
        stream_id: held.feed.stream_id(),
        is_source: held.origin == Origin::Source,
        fed_at: held.feed.last_fed(),
        is_finished: held.feed.finished().is_some(),
    });
    SourceContext {
        view: env.mesh.view(),
        local,
        has_mount: env.replica.mount(mount).is_some(),
        is_draining: env.mesh.is_draining(),
        fitness: SourceFitness::Fit,
        fallback_flows: false,
        new_stream_id,
        now: env.moment.now,
    }
}
