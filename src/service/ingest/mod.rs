//! Sources: who may send, and their bytes into a ring.
//!
//! The node that a source is connected to is the only writer of its stream: it mints the stream's id and
//! numbers its bytes, from 0, as they come out of the request's framing. A source that has to give way may be
//! kept as a standby; when it gets its turn it begins a stream of its own.

mod air;
mod body;
mod life;
mod refusal;
mod rivals;

use std::sync::Arc;

use bytes::BytesMut;
use tokio_util::sync::CancellationToken;
use tracing::field::display;
use tracing::{Instrument as _, debug, info_span};

use self::life::LoggedInSource;
pub use self::refusal::farewell;
use self::refusal::{Refusal, refuse};
use super::authority::MountAuthority;
use super::cluster::Cluster;
use super::document::Documents;
use super::drain::{Drain, Phase};
use super::logins::{Caller, Logins};
use super::relay::Relays;
use super::sources::Sources;
use super::streams::Streams;
use crate::io::clock;
use crate::io::door::Visitor;
use crate::io::password::Stay;
use crate::io::uplink;
use crate::model::mount::{MountName, MountSpec};
use crate::wire::http::head::Head;
use crate::wire::http::reply::Reply;

/// What taking a source needs.
#[derive(Debug)]
pub struct IngestConfig {
    /// The mounts, with their passwords.
    pub documents: Documents,
    /// The places of sources on mounts.
    pub authority: MountAuthority,
    /// The mesh, with the sources at other nodes.
    pub cluster: Cluster,
    /// The streams that are held here.
    pub streams: Streams,
    /// Keeps listeners while a source is away.
    pub relays: Relays,
    /// The sources of this node.
    pub sources: Sources,
    /// Whether this node takes newcomers.
    pub drain: Drain,
    /// Checks their passwords.
    pub logins: Logins,
    /// Refuses newcomers and ends all sources.
    pub cancel: CancellationToken,
}

/// A cheap, cloneable way to take sources.
#[derive(Clone, Debug)]
pub struct Ingest(Arc<IngestConfig>);

/// A source's login whose password is right.
struct SourceLogin<'a> {
    spec: MountSpec,
    head: &'a Head,
    /// Keeps its password known, so that it can come back while others guess.
    _stay: Stay,
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
                let login = self.admit(&head, Caller::of(&visitor)).await?;
                LoggedInSource::begin(&self.0, login).await
            };
            match admitted.await {
                Ok(life) => {
                    life.run(&mut visitor.stream, begun).await;
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
    async fn admit<'a>(&self, head: &'a Head, caller: Caller) -> Result<SourceLogin<'a>, Refusal> {
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
        let stay = self.0.logins.source(credentials, &spec, caller).await?;
        Ok(SourceLogin {
            spec,
            head,
            _stay: stay,
        })
    }

    /// Whether nobody is to begin here.
    fn is_draining(&self) -> bool {
        self.0.drain.phase() == Phase::Draining
    }

    /// Sees to it that of two sources that meet after a partition only one stays. Runs until the node stops.
    pub async fn settle_rivals(self, cancel: CancellationToken) {
        rivals::run(&self.0.cluster, &self.0.sources, cancel).await;
    }
}
