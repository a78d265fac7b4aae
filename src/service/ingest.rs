//! Sources: who may send, and their bytes into a ring.
//!
//! The node that a source is connected to is the only writer of its stream: it mints the stream's id and
//! numbers its bytes, from 0, as they come out of the request's framing.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::authority::Authority;
use super::document::Documents;
use super::streams::Streams;
use crate::io::clock;
use crate::io::door::Visitor;
use crate::io::feed::Feed;
use crate::io::password::{Passwords, Secret, Verdict};
use crate::media::ring::{Append, Ring};
use crate::model::mount::{MountName, MountSpec};
use crate::model::seat::Epoch;
use crate::model::stream::{EndReason, StreamId};
use crate::wire::body::{BodyDecoder, BodyState};
use crate::wire::frame::Denial;
use crate::wire::gossip::Origin;
use crate::wire::head::Head;
use crate::wire::reply::{self, Reply};
use crate::wire::source_head;
use crate::wire::status::Status;

/// A source that sends nothing for so long has stalled: what Icecast's users are used to.
pub const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);
/// The only user that sources log in with.
const SOURCE_USER: &str = "source";
/// How much is read from a source at once: half a second of a loud stream.
const READ_BYTES: usize = 16 * 1024;
/// How long a refused source is still read, so that its system does not drop our answer unread.
const FAREWELL: Duration = Duration::from_secs(2);
/// When a source may come back while its mount cannot be served.
const RETRY_AFTER_S: u32 = 5;

/// What taking a source needs.
#[derive(Debug)]
pub struct IngestConfig {
    /// Who may send to which mount.
    pub documents: Documents,
    /// Whose turn it is.
    pub authority: Authority,
    /// Where streams are held.
    pub streams: Streams,
    /// Checks their passwords.
    pub passwords: Passwords,
    /// Ends all sources with the node.
    pub cancel: CancellationToken,
}

/// A cheap, cloneable way to take sources.
#[derive(Clone, Debug)]
pub struct Ingest(Arc<IngestConfig>);

/// Why a source is refused, with its answer.
enum Refusal {
    Unauthorized,
    NoSuchMount(String),
    InUse,
    TooManyLogins,
    NoRoom,
    Stopping,
}

impl Ingest {
    /// Takes sources with the help of these.
    pub fn new(config: IngestConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Takes a source from its head to its end. `begun` is what it has already sent behind its head.
    pub async fn serve(&self, mut visitor: Visitor, head: Head, begun: BytesMut) {
        let span = info_span!("source", peer = %visitor.peer, path = head.path());
        let serving = async {
            let stream_id = StreamId(rand::random());
            match self.admit(&head, stream_id).await {
                Ok((mount, accept_epoch)) => {
                    let source = Source {
                        mount: &mount,
                        stream_id,
                        accept_epoch,
                        head: &head,
                    };
                    self.take(&mut visitor.stream, &source, begun).await;
                    self.0.authority.give_up(&mount, stream_id);
                }
                Err(refusal) => refuse(&mut visitor.stream, &head, refusal).await,
            }
        };
        serving.instrument(span).await;
    }

    /// Decides whether this source may have this mount.
    async fn admit(&self, head: &Head, stream_id: StreamId) -> Result<(MountName, Epoch), Refusal> {
        if self.0.cancel.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let credentials = head.basic_credentials().ok_or(Refusal::Unauthorized)?;
        let mount = MountName::from_request_path(head.path())
            .map_err(|error| Refusal::NoSuchMount(error.to_string()))?;
        let spec = self.0.documents.mount(&mount);
        let spec = spec.ok_or_else(|| Refusal::NoSuchMount(create_hint(&mount)))?;
        if credentials.user != SOURCE_USER {
            info!(
                user = credentials.user,
                "refused: sources log in as the user `source`"
            );
            return Err(Refusal::Unauthorized);
        }
        self.check_password(credentials.password.into(), &spec)
            .await?;
        match self.0.authority.request(&mount, stream_id).await {
            Ok(epoch) => Ok((mount, epoch)),
            Err(Denial::NoSuchMount) => Err(Refusal::NoSuchMount(create_hint(&mount))),
            Err(_) => Err(Refusal::InUse),
        }
    }

    async fn check_password(&self, password: Secret, spec: &MountSpec) -> Result<(), Refusal> {
        match self
            .0
            .passwords
            .verify(&password, &spec.password_hash)
            .await
        {
            Verdict::Right => Ok(()),
            Verdict::Wrong => {
                info!("refused: wrong password");
                Err(Refusal::Unauthorized)
            }
            Verdict::Busy => Err(Refusal::TooManyLogins),
            Verdict::BadHash => {
                warn!("the mount's password is unusable: set another one");
                Err(Refusal::Unauthorized)
            }
        }
    }

    /// Takes an admitted source's bytes until it ends.
    async fn take(&self, stream: &mut TcpStream, source: &Source<'_>, begun: BytesMut) {
        let started_unix_ms = clock::unix_ms();
        let stream_head =
            source_head::stream_head(source.head, started_unix_ms, source.accept_epoch);
        let feed = Feed::new(Ring::new(
            source.stream_id,
            stream_head,
            0,
            Instant::now().into_std(),
        ));
        match self
            .0
            .streams
            .hold(source.mount, feed.clone(), Origin::Source)
        {
            Ok(Some(relayed)) => relayed.feed.end_into(feed.clone()),
            Ok(None) => {}
            Err(error) => {
                info!(%error, "refused");
                return refuse(stream, source.head, Refusal::NoRoom).await;
            }
        }
        let agent = &feed.head().user_agent;
        info!(stream_id = %source.stream_id, agent, content_type = feed.head().content_type, "source connected");
        let accepted = stream.write_all(&reply::source_accepted(source.head)).await;
        let reason = match accepted {
            Ok(()) => self.read_all(stream, source, (&feed, begun)).await,
            Err(_) => EndReason::SourceLeft,
        };
        feed.end(reason);
        self.0.streams.release(source.mount, &feed);
        info!(?reason, bytes = feed.next(), "source gone");
    }

    async fn read_all(
        &self,
        stream: &mut TcpStream,
        source: &Source<'_>,
        (feed, begun): (&Feed, BytesMut),
    ) -> EndReason {
        let mut mounts = self.0.documents.watch_mounts();
        let deleted = mounts.wait_for(|mounts| !mounts.contains_key(source.mount));
        tokio::select! {
            () = self.0.cancel.cancelled() => EndReason::NodeStops,
            _ = deleted => EndReason::MountDeleted,
            reason = copy(stream, BodyDecoder::after(source.head), (feed, begun)) => reason,
        }
    }
}

/// An admitted source.
struct Source<'a> {
    mount: &'a MountName,
    stream_id: StreamId,
    accept_epoch: Epoch,
    head: &'a Head,
}

/// From the socket into the ring, until the body or the connection ends.
async fn copy(
    stream: &mut TcpStream,
    mut decoder: BodyDecoder,
    (feed, mut input): (&Feed, BytesMut),
) -> EndReason {
    let mut audio = BytesMut::new();
    loop {
        let decoded = decoder.decode(&mut input, &mut audio);
        if !audio.is_empty() {
            let appended = feed.append(feed.next(), &audio, Instant::now().into_std());
            debug_assert_eq!(appended, Append::Appended);
            audio.clear();
        }
        match decoded {
            Ok(BodyState::More) => {}
            Ok(BodyState::End) => return EndReason::SourceLeft,
            Err(error) => {
                info!(%error, "malformed body");
                return EndReason::SourceLeft;
            }
        }
        input.reserve(READ_BYTES);
        match timeout(SOURCE_TIMEOUT, stream.read_buf(&mut input)).await {
            Ok(Ok(0)) => return EndReason::SourceLeft,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                debug!(%error, "connection broken");
                return EndReason::SourceLeft;
            }
            Err(_) => return EndReason::SourceSilent,
        }
    }
}

fn create_hint(mount: &MountName) -> String {
    format!("There is no mount {mount}: make it with `antiphon mount create {mount}`")
}

async fn refuse(stream: &mut TcpStream, head: &Head, refusal: Refusal) {
    let reply = Reply::to(head, clock::unix_ms() / 1_000).and_close();
    let answer = match refusal {
        Refusal::Unauthorized => reply.unauthorized(),
        Refusal::NoSuchMount(why) => {
            info!(why, "refused");
            reply.message(Status::NotFound, &why, &[])
        }
        Refusal::InUse => {
            info!("refused: the mount has a source");
            reply.mount_in_use()
        }
        Refusal::TooManyLogins => reply.unavailable("too many logins at once", RETRY_AFTER_S),
        Refusal::NoRoom => reply.forbidden("too many sources connected"),
        Refusal::Stopping => reply.unavailable("this node is stopping", RETRY_AFTER_S),
    };
    farewell(stream, &answer).await;
}

/// Answers somebody who may still be sending, and reads a little on: to close with his bytes unread would make
/// the system reset the connection, and the answer would be lost on the way.
pub async fn farewell(stream: &mut TcpStream, answer: &[u8]) {
    if stream.write_all(answer).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut waste = [0; 4_096];
        while matches!(stream.read(&mut waste).await, Ok(1..)) {}
    };
    if timeout(FAREWELL, drain).await.is_err() {
        debug!("still sending after its refusal");
    }
}
