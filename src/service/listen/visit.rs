//! Serving somebody here: his head, his place among the listeners, and what is noted when he leaves.

use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::{After, Entrance, Listening, no_source, send, unavailable};
use crate::io::door::{Place, Visitor};
use crate::io::pacer::{Left, Listener};
use crate::media::icy::{Interleaver, METAINT};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::service::load::Admission;
use crate::service::streams::{Held, Reader, Reading};
use crate::wire::head::Head;
use crate::wire::passthrough::{Minted, Passage};
use crate::wire::reply::Reply;

/// What a new listener gets at once, by the stream's time: it fills any player's buffer, and covers a failover.
const BURST: Duration = Duration::from_secs(5);

/// How long a HEAD waits for the first word of a stream that another node holds: several round trips of a slow line.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);

/// A request that is served here.
pub(super) struct Visit<'a> {
    pub(super) visitor: Visitor,
    pub(super) head: &'a Head,
    pub(super) mount: MountName,
    pub(super) entrance: Entrance,
}

/// What a listener holds while it listens.
struct Guest {
    agent: String,
    since: Instant,
    place: Place,
    admission: Admission,
    reading: Reading,
    span: tracing::Span,
}

impl Guest {
    fn leave(self, why: Left, sent_bytes: u64) {
        let Self {
            agent,
            since,
            place,
            admission,
            reading,
            span,
        } = self;
        drop((place, admission, reading));
        let seconds = since.elapsed().as_secs();
        span.in_scope(|| info!(?why, seconds, sent_bytes, agent, "listener gone"));
    }
}

impl Listening {
    /// Answers a HEAD: as a listener would be answered, but nobody listens.
    pub(super) async fn show_head(
        &self,
        visitor: Visitor,
        mount: MountName,
        reply: Reply,
    ) -> After {
        let answer = match self.on_air(&mount).await {
            Some(held) => {
                let spec = self.0.config.documents.mount(&mount);
                reply.stream(held.feed.head(), spec.as_ref(), None)
            }
            None => no_source(&reply, &mount),
        };
        send(visitor, &answer, &reply).await
    }

    /// The stream of a mount that has a source now. Nobody waits here for one that may come back.
    async fn on_air(&self, mount: &MountName) -> Option<Held> {
        let config = &self.0.config;
        let here = config.relays.on_air(mount);
        if here.is_some() || config.cluster.view().source(mount).is_none() {
            return here;
        }
        let fetched = timeout(HEAD_PATIENCE, config.relays.fetch(mount)).await;
        fetched.ok()?.ok()
    }

    /// Serves somebody here: fetches the stream if need be, and hands the connection to the pacer.
    pub(super) async fn begin(&self, visit: Visit<'_>, reply: Reply) -> After {
        let Visit {
            visitor,
            head,
            mount,
            entrance,
        } = visit;
        let Some(admission) = self.0.config.load.admit(&mount, self.sender(&entrance)) else {
            info!("refused: this node is full");
            return send(visitor, &unavailable(&reply), &reply).await;
        };
        let Ok(held) = self.0.config.relays.fetch(&mount).await else {
            return send(visitor, &no_source(&reply, &mount), &reply).await;
        };
        let icy = head.wants_icy() && has_icy(&held);
        let spec = self.0.config.documents.mount(&mount);
        let stream_head = reply.stream(held.feed.head(), spec.as_ref(), icy.then_some(METAINT));
        debug!("listener connected");
        let guest = Guest {
            agent: head.header("user-agent").unwrap_or_default().to_owned(),
            since: Instant::now(),
            place: visitor.place,
            admission,
            reading: held.read_by(Reader::Listener),
            span: tracing::Span::current(),
        };
        let listener = (visitor.stream, stream_head, icy.then(Interleaver::default));
        self.hand_over(listener, &held, guest);
        After::Over
    }

    /// Who has sent him, and when, if his tag proves it.
    pub(super) fn sender<'a>(&self, entrance: &'a Entrance) -> Option<(&'a NodeName, Minted)> {
        let Entrance::Passthrough(passthrough) = entrance else {
            return None;
        };
        let config = &self.0.config;
        let passage = Passage {
            from: &passthrough.from,
            to: &config.cluster.view().me,
            mount: &passthrough.mount,
        };
        let minted = config.tag_key.check(passage, passthrough.tag.as_ref()?)?;
        Some((&passthrough.from, minted))
    }

    fn hand_over(
        &self,
        (stream, head, icy): (TcpStream, Bytes, Option<Interleaver>),
        held: &Held,
        guest: Guest,
    ) {
        let socket = match stream.into_std() {
            Ok(socket) => socket,
            Err(error) => return debug!(%error, "the connection is gone"),
        };
        let listener = Listener {
            socket,
            head,
            feed: held.feed.clone(),
            from: held.feed.join_point(BURST),
            icy,
            leave: Box::new(move |why, sent_bytes| guest.leave(why, sent_bytes)),
        };
        if self.0.config.pacer.current().add(listener).is_err() {
            warn!("the pacer takes no more listeners now");
        }
    }
}

/// Titles are woven only into formats that have no place of their own for them.
fn has_icy(held: &Held) -> bool {
    let content_type = &held.feed.head().content_type;
    let own = ["ogg", "webm", "matroska"];
    !own.iter().any(|format| content_type.contains(format))
}
