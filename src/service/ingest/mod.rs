//! Sources: who may send, and their bytes into a ring.
//!
//! Here is the door's business: the login, and what a refused source is told. A source that is taken is a `Filler`,
//! and `Broadcast` is its way on air.
//!
//! The node that a source is connected to is the only writer of its stream: it mints the stream's id and
//! numbers its bytes, from 0, as they come out of the request's framing. A source that has to give way may be
//! kept as a standby; when it gets its turn it begins a stream of its own, with the header pages that passed meanwhile.

mod air;
mod broadcast;
mod faults;
mod filler;
mod hearing;
mod http_source;
mod inlet;
mod intake;
mod lead;
mod local;
mod refusal;
mod rivals;
mod shoutcast;
mod silence;
mod standing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::BytesMut;
use tracing::field::display;
use tracing::{Instrument as _, debug, info_span};

use self::broadcast::Broadcast;
#[cfg(doc)]
use self::filler::Filler;
use self::filler::Offer;
use self::http_source::HttpSource;
pub use self::local::{Maker, NotTaken, OwnStream};
pub use self::refusal::answer_and_drain;
use self::refusal::{Refusal, refuse};
use super::authority::MountAuthority;
use super::drain::{Drain, Phase};
use super::logins::{Caller, Logins, RequestLogin};
use super::logs::Logs;
use super::mesh::Mesh;
use super::relay::Relays;
use super::sources::{SourcePlace, SourceProtocol, Sources};
use super::streams::Streams;
use crate::io::answer;
use crate::io::door::Visitor;
use crate::io::door_stream::DoorStream;
use crate::io::password::PasswordHold;
use crate::io::tasks::Tasks;
use crate::io::uplink;
use crate::model::mount::{MountName, MountSpec, Takeover};
use crate::model::source::SourceOrigin;
use crate::wire::http::head::Head;
use crate::wire::http::reply;
use crate::wire::http::reply::Reply;

/// The parts that taking a source needs.
#[derive(Debug)]
pub struct IngestConfig {
    /// The mounts, and the sources of other nodes.
    pub mesh: Mesh,
    /// Says whose turn it is on a mount.
    pub authority: MountAuthority,
    /// The streams that are held here.
    pub streams: Streams,
    /// Keeps listeners while a source is away.
    pub relays: Relays,
    /// The sources that are here.
    pub sources: Sources,
    /// Whether this node takes newcomers.
    pub drain: Drain,
    /// Checks the passwords of sources.
    pub logins: Logins,
    /// The most sources that may be connected at once.
    pub max_sources: u32,
    /// The mount of Shoutcast sources that name none, if there is one.
    pub shoutcast_mount: Option<MountName>,
    /// Notes the sources that speak Shoutcast; all others have been noted.
    pub logs: Logs,
    /// The tasks of visitors: when they end, newcomers are refused and all sources end.
    pub visitors: Tasks,
}

/// A cheap, cloneable way to take sources.
#[derive(Clone, Debug)]
pub struct Ingest(Arc<IngestConfig>);

/// A source's login whose password is right.
struct SourceLogin {
    offer: Offer,
    /// The place among the sources of this node.
    place: SourcePlace,
    /// Keeps its password known, so that it can come back while others guess.
    hold: PasswordHold,
}

impl Ingest {
    /// Takes sources with the help of these.
    pub fn new(config: IngestConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Takes a source from its head to its end. `begun` is what it has already sent behind its head.
    ///
    /// A refused source that keeps its connection is returned with it, for its next request: libshout asks without a
    /// password first. `reply` says whether it may.
    pub async fn serve(
        &self,
        mut visitor: Visitor,
        head: Head,
        begun: BytesMut,
        reply: Reply,
    ) -> Option<(Visitor, BytesMut)> {
        let client = visitor.behind_proxy().map(display);
        let span = info_span!("source", peer = %visitor.peer, client, path = head.path());
        let serving = async {
            keep_little(&visitor);
            let admitted = async {
                let login = self.admit(&head, Caller::of(&visitor)).await?;
                let mount = login.offer.spec.path.clone();
                let broadcast = Broadcast::begin(&self.0, login.offer).await;
                let broadcast = broadcast.map_err(|refused| Refusal::of(refused, &mount))?;
                Ok((broadcast, login.hold, login.place))
            };
            match admitted.await {
                Ok((broadcast, _stay, _place)) => {
                    let answer = reply::source_accepted(&head);
                    let source = HttpSource::new(&mut visitor.stream, &head, answer, begun);
                    broadcast.run(source).await;
                    close(&mut visitor.stream).await;
                    None
                }
                Err(refusal) => {
                    let kept = refuse(&mut visitor.stream, &reply, refusal).await;
                    kept.then_some((visitor, begun))
                }
            }
        };
        serving.instrument(span).await
    }

    /// Checks the login, the mount and whether this node takes sources.
    async fn admit(&self, head: &Head, caller: Caller) -> Result<SourceLogin, Refusal> {
        self.check_taking()?;
        // libshout asks without any login first, to see what the server can do.
        let login = RequestLogin {
            authorization: head.header("authorization"),
            caller,
        };
        let credentials = login.credentials(head.path())?;
        let mount = MountName::from_request_path(head.path())
            .map_err(|error| Refusal::NoSuchMount(error.to_string()))?;
        let spec = self.0.mesh.documents.mount(&mount);
        let spec = spec.ok_or_else(|| Refusal::no_mount(&mount))?;
        self.check_is_for_encoders(&spec)?;
        let right = self.0.logins.source(credentials, &spec, caller).await?;
        let origin = SourceOrigin::new(caller.client, &spec);
        let place = self.find_place(&spec, &origin).await?;
        let offer = Offer::of(head, spec, origin, SourceProtocol::Http, right.priority);
        let hold = right.hold;
        Ok(SourceLogin { offer, place, hold })
    }

    /// A place for a source whose password is right: strangers take none.
    async fn find_place(
        &self,
        spec: &MountSpec,
        origin: &SourceOrigin,
    ) -> Result<SourcePlace, Refusal> {
        let most = self.0.max_sources;
        let place = self.0.sources.find_place(most, spec, origin).await;
        place.ok_or_else(|| self.why_no_place(spec))
    }

    /// Why a full node does not take a source: if the mount would not take it either it is told that, as encoders know it
    /// from any server.
    fn why_no_place(&self, spec: &MountSpec) -> Refusal {
        let is_busy = self.0.mesh.cluster.view().source(&spec.path).is_some();
        let may_come = spec.standby || spec.takeover == Takeover::Takeover;
        match is_busy && !may_come {
            true => Refusal::InUse,
            false => Refusal::TooManySources,
        }
    }

    /// Whether a mount takes encoders. Where it takes none, that is told before the password is looked at, which nobody knows.
    fn check_is_for_encoders(&self, spec: &MountSpec) -> Result<(), Refusal> {
        let Some(from) = &spec.transcode.transcode_from else {
            return Ok(());
        };
        let source = self.0.mesh.documents.mount(from);
        let from = match source.is_some_and(|source| source.hidden) {
            true => "another mount",
            false => from.as_str(),
        };
        let why = format!(
            "{} is transcoded from {from} and takes no encoder",
            spec.path
        );
        Err(Refusal::Transcoded(why))
    }

    /// Whether a source may begin here.
    fn check_taking(&self) -> Result<(), Refusal> {
        let is_draining = self.0.drain.phase() == Phase::Draining;
        match self.0.visitors.are_ending() || is_draining {
            true => Err(Refusal::Stopping),
            false => Ok(()),
        }
    }

    /// Lets only one of two sources stay that meet after a partition. Runs until the node stops.
    pub async fn settle_rivals(self) {
        rivals::run(&self.0.mesh, &self.0.sources).await;
    }
}

/// Closes the connection of a source that has ended. By TLS it is told so: else it would take that for an attack.
async fn close(stream: &mut DoorStream) {
    if stream.is_tls()
        && let Err(error) = answer::end(stream).await
    {
        debug!(%error, "the source has not waited for the end");
    }
}

/// Lets the system keep little of what a source has sent and nobody has read.
fn keep_little(visitor: &Visitor) {
    if let Err(error) = uplink::keep_little(visitor.stream.socket()) {
        debug!(%error, "the system keeps what it likes of this source");
    }
}
