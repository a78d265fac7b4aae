//! Sources: who may send, and their bytes into a ring.
//!
//! The node that a source is connected to is the only writer of its stream: it mints the stream's id and
//! numbers its bytes, from 0, as they come out of the request's framing. A source that has to give way may be
//! kept as a standby; when it gets its turn it begins a stream of its own.

mod asking;
mod body;
mod refusal;
mod rivals;

use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field::display;
use tracing::{Instrument as _, debug, info, info_span, warn};

use self::body::{Body, Sink};
pub use self::refusal::farewell;
use self::refusal::{Refusal, refuse};
use super::authority::Authority;
use super::cluster::Cluster;
use super::document::Documents;
use super::drain::{Drain, Phase};
use super::logins::Caller;
use super::relay::Relays;
use super::sources::{Entry, Sources};
use super::streams::Streams;
use crate::io::clock;
use crate::io::door::Visitor;
use crate::io::feed::Feed;
use crate::io::password::{Passwords, Secret, Stay, Verdict};
use crate::io::uplink;
use crate::logic::source::rivals::CONFIRM;
use crate::media::format::detect::Format;
use crate::media::ring::Ring;
use crate::model::mount::{MountName, MountSpec, Takeover};
use crate::model::seat::Epoch;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::wire::frame::Denial;
use crate::wire::gossip::Origin;
use crate::wire::http::head::Head;
use crate::wire::http::media_type;
use crate::wire::http::reply::Reply;
use crate::wire::icecast::source_head;

/// The only user that sources log in with.
const SOURCE_USER: &str = "source";

/// What taking a source needs.
#[derive(Debug)]
pub struct IngestConfig {
    /// Who may send to which mount.
    pub documents: Documents,
    /// Whose turn it is.
    pub authority: Authority,
    /// Who else sends, and what was on air before.
    pub cluster: Cluster,
    /// Where streams are held.
    pub streams: Streams,
    /// Keeps listeners while a source is away.
    pub relays: Relays,
    /// Who is on air here.
    pub sources: Sources,
    /// Whether this node takes newcomers.
    pub drain: Drain,
    /// Checks their passwords.
    pub passwords: Passwords,
    /// Refuses newcomers and ends all sources.
    pub cancel: CancellationToken,
}

/// A cheap, cloneable way to take sources.
#[derive(Clone, Debug)]
pub struct Ingest(Arc<IngestConfig>);

/// A source whose password is right.
struct Source<'a> {
    mount: MountName,
    spec: MountSpec,
    head: &'a Head,
    /// Its password stays known, so that it can come back while others guess.
    _stay: Stay,
}

/// What a source does now.
enum Turn {
    /// It has yet to send audio. The epoch is that of its place, if it has been given one already.
    Opening(StreamId, Option<Epoch>),
    OnAir(StreamId, Epoch),
    Standby,
}

impl Ingest {
    /// Takes sources with the help of these.
    pub fn new(config: IngestConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Takes a source from its head to its end. `begun` is what it has already sent behind its head.
    ///
    /// A refused one that keeps its connection comes back with it, for its next request: libshout asks
    /// without a password first.
    pub async fn serve(
        &self,
        mut visitor: Visitor,
        head: Head,
        begun: BytesMut,
    ) -> Option<(Visitor, BytesMut)> {
        let client = visitor.behind_proxy().map(display);
        let span = info_span!("source", peer = %visitor.peer, client, path = head.path());
        let serving = async {
            if let Err(error) = uplink::keep_little(&visitor.stream) {
                debug!(%error, "the system keeps what it likes of this source");
            }
            let admitted = async {
                let source = self.admit(&head, Caller::of(&visitor)).await?;
                let turn = self.first_turn(&source).await?;
                Ok::<_, Refusal>((source, turn))
            };
            match admitted.await {
                Ok((source, turn)) => {
                    self.take_turns(&mut visitor.stream, &source, (turn, begun))
                        .await;
                    None
                }
                Err(refusal) => {
                    let reply = Reply::to(&head, clock::unix_ms() / 1_000);
                    let kept = refuse(&mut visitor.stream, &reply, refusal).await;
                    kept.then_some((visitor, begun))
                }
            }
        };
        serving.instrument(span).await
    }

    /// Checks who it is and what it wants.
    async fn admit<'a>(&self, head: &'a Head, caller: Caller) -> Result<Source<'a>, Refusal> {
        if self.0.cancel.is_cancelled() || self.is_draining() {
            return Err(Refusal::Stopping);
        }
        let Some(credentials) = head.basic_credentials() else {
            // libshout asks without any login first, to see what the server can do.
            if head.header("authorization").is_some() {
                caller.note_refused("", head.path(), "no user and password in the login");
            }
            return Err(Refusal::Unauthorized);
        };
        let mount = MountName::from_request_path(head.path())
            .map_err(|error| Refusal::NoSuchMount(error.to_string()))?;
        let spec = self.0.documents.mount(&mount);
        let spec = spec.ok_or_else(|| Refusal::no_mount(&mount))?;
        let user = credentials.user;
        if user != SOURCE_USER {
            caller.note_refused(&user, mount.as_str(), "sources log in as the user `source`");
            return Err(Refusal::Unauthorized);
        }
        let password = Secret::from(credentials.password);
        self.check_password(&password, &spec, caller).await?;
        let stay = self.0.passwords.stay(&password, &spec.password_hash);
        Ok(Source {
            mount,
            spec,
            head,
            _stay: stay,
        })
    }

    async fn check_password(
        &self,
        password: &Secret,
        spec: &MountSpec,
        caller: Caller,
    ) -> Result<(), Refusal> {
        let (hash, mount) = (&spec.password_hash, spec.path.as_str());
        let checked = self.0.passwords.verify(password, hash, caller.client);
        let why = match checked.await {
            Verdict::Right => return Ok(()),
            Verdict::Busy => {
                caller.note_put_off(SOURCE_USER, mount);
                return Err(Refusal::TooManyLogins);
            }
            Verdict::Wrong => "wrong password",
            Verdict::BadHash => {
                warn!("the mount's password is unusable: set another one");
                "the mount's password is unusable"
            }
        };
        caller.note_refused(SOURCE_USER, mount, why);
        Err(Refusal::Unauthorized)
    }

    /// Asks for the mount; a source that finds it taken may be kept for later.
    ///
    /// One that may take another's place asks with its first audio: until then the other is heard.
    async fn first_turn(&self, source: &Source<'_>) -> Result<Turn, Refusal> {
        let stream_id = StreamId(rand::random());
        if source.spec.takeover == Takeover::Takeover {
            return Ok(Turn::Opening(stream_id, None));
        }
        match self.ask(source, stream_id).await {
            Ok(epoch) => Ok(Turn::Opening(stream_id, Some(epoch))),
            Err(Denial::NoSuchMount) => Err(Refusal::no_mount(&source.mount)),
            Err(_) if source.spec.standby => Ok(Turn::Standby),
            Err(_) => Err(Refusal::InUse),
        }
    }

    /// On air, on standby, on air again, until the source leaves or has to.
    async fn take_turns(
        &self,
        stream: &mut TcpStream,
        source: &Source<'_>,
        (mut turn, begun): (Turn, BytesMut),
    ) {
        let mut body = Body::new(source.head, begun);
        loop {
            turn = match turn {
                Turn::Opening(stream_id, place) => {
                    let opening = self.open(stream, source, (&mut body, stream_id, place));
                    match opening.await {
                        Some(turn) => turn,
                        None => return,
                    }
                }
                Turn::OnAir(stream_id, epoch) => {
                    let reason = self
                        .on_air(stream, source, (&mut body, stream_id, epoch))
                        .await;
                    self.0.authority.give_up(&source.mount, stream_id);
                    if reason != EndReason::Replaced || !self.may_wait(source) {
                        return;
                    }
                    Turn::Standby
                }
                Turn::Standby => match self.stand_by(stream, source, &mut body).await {
                    Some((stream_id, epoch)) => Turn::Opening(stream_id, Some(epoch)),
                    None => return,
                },
            };
        }
    }

    /// Waits for the first audio of a source: it is on air from then on, and only then does another give way to it.
    async fn open(
        &self,
        stream: &mut TcpStream,
        source: &Source<'_>,
        (body, stream_id, place): (&mut Body, StreamId, Option<Epoch>),
    ) -> Option<Turn> {
        let (mut mounts, mut phase) = (self.0.documents.watch_mounts(), self.0.drain.watch());
        let opened = tokio::select! {
            () = self.0.cancel.cancelled() => Err(EndReason::NodeStops),
            _ = phase.wait_for(|phase| *phase == Phase::Draining) => Err(EndReason::NodeStops),
            _ = mounts.wait_for(|mounts| !mounts.contains_key(&source.mount)) => Err(EndReason::MountDeleted),
            () = self.keep_place(source, stream_id), if place.is_some() => Err(EndReason::Replaced),
            opened = body.open(stream) => opened,
        };
        match (opened, place) {
            (Ok(()), Some(epoch)) => Some(Turn::OnAir(stream_id, epoch)),
            (Ok(()), None) => match self.ask(source, stream_id).await {
                Ok(epoch) => Some(Turn::OnAir(stream_id, epoch)),
                Err(_) if source.spec.standby => Some(Turn::Standby),
                Err(why) => {
                    info!(?why, "refused: the mount went to another source meanwhile");
                    None
                }
            },
            (Err(reason), place) => {
                info!(?reason, "the source leaves without having sent any audio");
                if place.is_some() {
                    self.0.authority.give_up(&source.mount, stream_id);
                }
                None
            }
        }
    }

    /// Takes the bytes of a source that is on air, until it leaves or has to give way.
    async fn on_air(
        &self,
        stream: &mut TcpStream,
        source: &Source<'_>,
        (body, stream_id, epoch): (&mut Body, StreamId, Epoch),
    ) -> EndReason {
        // The place is ours: the master's order to whoever has it here may come later than his word to us.
        self.0.sources.clear(&source.mount).await;
        let (began_ms, charset) = (clock::unix_ms(), source.spec.charset);
        let mut head = source_head::stream_head(source.head, charset, began_ms, epoch);
        correct(&mut head, body.format());
        let feed = Feed::new(Ring::new(stream_id, head, 0, Instant::now().into_std()));
        self.restore_title(source, &feed);
        match self
            .0
            .streams
            .hold(&source.mount, feed.clone(), Origin::Source)
        {
            Ok(Some(before)) => before.feed.go_on_with(&feed),
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "the source cannot go on air");
                return EndReason::SourceLeft;
            }
        }
        let mut entry = self.0.sources.enter(&source.mount, stream_id);
        let head = feed.head();
        info!(%stream_id, agent = head.user_agent, content_type = head.content_type, "source on air");
        let served_as = media_type::served_as(&head.content_type);
        if !head
            .content_type
            .starts_with(served_as.split(';').next().unwrap_or_default())
        {
            warn!(
                said = head.content_type,
                served_as, "the source's Content-Type is no stream's"
            );
        }
        let reason = self.carry(stream, source, (body, &feed, &mut entry)).await;
        let sent_away = matches!(reason, EndReason::NodeStops | EndReason::Replaced);
        if sent_away && !self.may_wait(source) {
            body.part(stream, Sink::Ring(&feed)).await;
        }
        info!(?reason, bytes = feed.next(), "source off air");
        self.leave_air(source, &feed, reason);
        drop(entry);
        reason
    }

    /// Carries a source's bytes until it leaves or has to. Whoever doubts that it is there is told what is found.
    async fn carry(
        &self,
        stream: &mut TcpStream,
        source: &Source<'_>,
        (body, feed, entry): (&mut Body, &Feed, &mut Entry),
    ) -> EndReason {
        let mut mounts = self.0.documents.watch_mounts();
        let mut doubted = Vec::new(); // they are answered by its end
        loop {
            let question = tokio::select! {
                () = self.0.cancel.cancelled() => return EndReason::NodeStops,
                () = entry.give_way.cancelled() => return EndReason::Replaced,
                _ = mounts.wait_for(|mounts| !mounts.contains_key(&source.mount)) => return EndReason::MountDeleted,
                reason = body.copy(stream, Sink::Ring(feed)) => return reason,
                Some(question) = entry.questions.recv() => question,
            };
            if body.is_there(stream).await {
                let _left = question.send(()); // whoever asked may have left meanwhile
            } else {
                doubted.push(question);
            }
        }
    }

    /// Whether a source that loses its mount may wait here for another turn.
    fn may_wait(&self, source: &Source<'_>) -> bool {
        source.spec.standby && !self.is_draining()
    }

    /// Other nodes are told of the end at once; listeners here wait for the mount's next stream.
    fn leave_air(&self, source: &Source<'_>, feed: &Feed, reason: EndReason) {
        feed.finish(reason);
        if reason == EndReason::MountDeleted {
            self.0.streams.release(&source.mount, feed);
            feed.end(reason);
        } else {
            self.0.relays.linger(&source.mount, feed.clone());
        }
    }

    /// A source that comes back goes on under the title that was on air, until it says another.
    fn restore_title(&self, source: &Source<'_>, feed: &Feed) {
        let here = self
            .0
            .streams
            .get(&source.mount)
            .and_then(|held| held.feed.title());
        let view = self.0.cluster.view();
        let elsewhere = || {
            let mut cards = view
                .holders(&source.mount)
                .map(|(_, card)| card.title.as_str());
            cards.find(|title| !title.is_empty())
        };
        if let Some(title) = here.as_deref().or_else(elsewhere) {
            feed.set_title(0, title);
        }
    }

    /// Whether nobody is to begin here, and nobody who has to leave the air may wait.
    fn is_draining(&self) -> bool {
        self.0.drain.phase() == Phase::Draining
    }

    /// Reads a waiting source's bytes into nothing, until the mount is free and given to it, or it leaves. When
    /// the node drains it has to: it is not on air, so it can go and wait elsewhere at once.
    async fn stand_by(
        &self,
        stream: &mut TcpStream,
        source: &Source<'_>,
        body: &mut Body,
    ) -> Option<(StreamId, Epoch)> {
        let _waiting = self.0.sources.wait(&source.mount);
        info!("source on standby");
        let mut mounts = self.0.documents.watch_mounts();
        let mut phase = self.0.drain.watch();
        tokio::select! {
            () = self.0.cancel.cancelled() => None,
            _ = phase.wait_for(|phase| *phase == Phase::Draining) => None,
            _ = mounts.wait_for(|mounts| !mounts.contains_key(&source.mount)) => None,
            _ = body.copy(stream, Sink::Nothing) => None,
            turn = self.turn_of(source) => Some(turn),
        }
    }

    /// Waits until the mount has no source, and asks for it.
    async fn turn_of(&self, source: &Source<'_>) -> (StreamId, Epoch) {
        let mut view = self.0.cluster.watch();
        loop {
            let free = view
                .wait_for(|view| view.source(&source.mount).is_none())
                .await
                .is_ok();
            if !free {
                std::future::pending::<()>().await; // the node stops
            }
            let stream_id = StreamId(rand::random());
            if let Ok(epoch) = self.ask_for_place(source, stream_id).await {
                return (stream_id, epoch);
            }
            tokio::time::sleep(CONFIRM).await; // somebody else was quicker; gossip will say so
        }
    }

    /// Sees to it that of two sources that meet after a partition only one stays. Runs until the node stops.
    pub async fn settle_rivals(self, cancel: CancellationToken) {
        rivals::run(&self.0.cluster, &self.0.sources, cancel).await;
    }
}

/// What the first bytes are counts, not what the source says of them: its listeners' players go by it.
fn correct(head: &mut StreamHead, recognised: Option<Format>) {
    let Some(format) = recognised else {
        return;
    };
    if Format::of_media_type(&head.content_type) != Some(format) {
        let (stated, found) = (&head.content_type, format.media_type());
        warn!(
            stated,
            found, "the source sends something else than it says; listeners are told what it is"
        );
        head.content_type = found.to_owned();
    }
}
