//! Listeners: which node serves them, and how they begin.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::field::display;
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::cluster::Cluster;
use super::cluster::view::MeshView;
use super::document::Documents;
use super::load::{Admission, Load};
use super::relay::{NoStream, Relays};
use super::streams::{Held, Reader, Reading};
use crate::io::clock;
use crate::io::door::{Place, Visitor};
use crate::io::pacer::{Left, Listener, Pacer, PacerConfig};
use crate::logic::policy::Choice;
use crate::media::icy::{Interleaver, METAINT};
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::wire::head::{Head, Method};
use crate::wire::playlist::{Entry, Playlist};
use crate::wire::reply::{Persistence, Reply};
use crate::wire::status::Status;

/// What a new listener gets at once, by the stream's time: it fills any player's buffer, and covers a failover.
const BURST: Duration = Duration::from_secs(5);
/// How long gossip may take to tell of a source: two rounds, and the look of this node at what was said.
const GOSSIP_DELAY: Duration = Duration::from_millis(700);
/// The shortest wait that a full mesh asks for, seconds.
const RETRY_AFTER_MIN_S: u32 = 5;
/// The wait is spread over so many seconds more, so that those who were refused do not all come back at once.
const RETRY_AFTER_SPREAD_S: f64 = 10.0;
/// What stands before the redirector's name in the path that a redirect leads to.
pub const PASSTHROUGH: &str = "/_stream/";

/// What serving a listener needs.
#[derive(Debug)]
pub struct ListenConfig {
    /// The mounts.
    pub documents: Documents,
    /// Who holds what.
    pub cluster: Cluster,
    /// The table.
    pub load: Load,
    /// Fetches streams.
    pub relays: Relays,
    /// Writes to the listeners.
    pub pacer: Arc<PacerHandle>,
}

/// The pacer that newcomers are given to. Another takes its place when its listeners are to be ended.
pub struct PacerHandle(Mutex<Pacers>);

struct Pacers {
    current: Pacer,
    /// Those whose listeners are being ended.
    leaving: Vec<Pacer>,
}

impl std::fmt::Debug for PacerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pacer")
    }
}

impl PacerHandle {
    /// Starts the threads. Fails if the system refuses one.
    pub fn start() -> io::Result<Self> {
        Ok(Self(Mutex::new(Pacers {
            current: Pacer::start(PacerConfig::default())?,
            leaving: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Pacers> {
        // Each change is one call that leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Pacer {
        self.lock().current.clone()
    }

    /// Ends all listeners, spread over this time, and returns when they are gone. Newcomers are served meanwhile.
    /// Those who are being ended already are hurried to the same time.
    pub async fn evict(&self, spread: Duration) -> io::Result<()> {
        let next = Pacer::start(PacerConfig::default())?;
        let leaving = {
            let mut pacers = self.lock();
            let before = std::mem::replace(&mut pacers.current, next);
            pacers.leaving.retain(|pacer| pacer.counts().listeners > 0);
            pacers.leaving.push(before);
            pacers.leaving.clone()
        };
        for pacer in &leaving {
            match pacer.counts().listeners {
                0 => pacer.close_all(),
                _ => pacer.drain(spread),
            }
        }
        for pacer in &leaving {
            pacer.stopped().await;
        }
        Ok(())
    }
}

/// How somebody came to ask here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// By the mount's own address: any node may serve him.
    Front,
    /// Sent by that node: he is never sent on.
    Passthrough(NodeName),
}

/// What to do with a request for a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Serve,
    Redirect(NodeName),
    NoSuchMount,
    NoSource,
    MountFull,
    NobodyHasRoom,
}

/// What becomes of the connection after an answer.
#[derive(Debug)]
pub enum After {
    /// The next request may come on it.
    Next(Visitor),
    /// It is used up.
    Over,
}

/// A cheap, cloneable way to serve listeners.
#[derive(Clone, Debug)]
pub struct Listening(Arc<ListenConfig>);

impl Listening {
    /// Serves with the help of these.
    pub fn new(config: ListenConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Answers a GET or HEAD of a mount.
    pub async fn serve(
        &self,
        visitor: Visitor,
        head: &Head,
        (mount, entrance): (MountName, Entrance),
    ) -> After {
        let client = visitor.behind_proxy().map(display);
        let span = info_span!("listener", peer = %visitor.peer, client, %mount);
        let serving = async {
            let reply = Reply::to(head, clock::unix_ms() / 1_000);
            let mut verdict = self.decide(&mount, &entrance, head.method());
            if verdict == Verdict::NoSource && self.comes_on_air(&mount).await {
                verdict = self.decide(&mount, &entrance, head.method());
            }
            match verdict {
                Verdict::Serve if *head.method() == Method::Head => {
                    self.show_head(visitor, mount, reply.and_close()).await
                }
                Verdict::Serve => {
                    let visit = Visit {
                        visitor,
                        head,
                        mount,
                        entrance,
                    };
                    self.begin(visit, reply.and_close()).await
                }
                verdict => {
                    self.turn_away(visitor, head, &reply, (&mount, verdict))
                        .await
                }
            }
        };
        serving.instrument(span).await
    }

    fn decide(&self, mount: &MountName, entrance: &Entrance, method: &Method) -> Verdict {
        let Some(spec) = self.0.documents.mount(mount) else {
            return Verdict::NoSuchMount;
        };
        let view = self.0.cluster.view();
        if matches!(entrance, Entrance::Passthrough(_)) {
            return Verdict::Serve;
        }
        if view.holders(mount).next().is_none() && !self.0.relays.holds(mount) {
            return Verdict::NoSource;
        }
        if *method == Method::Head {
            return Verdict::Serve;
        }
        if is_full(&view, &spec) {
            return Verdict::MountFull;
        }
        match self.0.load.choose(mount) {
            Choice::Here => Verdict::Serve,
            Choice::Redirect(to) => Verdict::Redirect(to),
            Choice::Full => Verdict::NobodyHasRoom,
        }
    }

    /// Waits a moment for a source that has just connected somewhere: gossip tells of it two rounds later.
    async fn comes_on_air(&self, mount: &MountName) -> bool {
        let mut view = self.0.cluster.watch();
        let on_air = view.wait_for(|view| view.holders(mount).next().is_some());
        timeout(GOSSIP_DELAY, on_air).await.is_ok()
    }

    /// Answers whoever is not served here.
    async fn turn_away(
        &self,
        mut visitor: Visitor,
        head: &Head,
        reply: &Reply,
        (mount, verdict): (&MountName, Verdict),
    ) -> After {
        let answer = match verdict {
            Verdict::Redirect(to) => match self.location(&to, head) {
                Some(location) => {
                    debug!(%to, "redirected");
                    reply.redirect(&location)
                }
                None => unavailable(reply),
            },
            Verdict::MountFull => reply.forbidden("max listeners reached"),
            Verdict::NoSource => no_source(reply, mount),
            Verdict::NoSuchMount => reply.not_found(),
            Verdict::NobodyHasRoom | Verdict::Serve => {
                info!("refused: nobody has room");
                unavailable(reply)
            }
        };
        send(&mut visitor.stream, &answer).await;
        match reply.persistence() {
            Persistence::KeepAlive => After::Next(visitor),
            Persistence::Close => After::Over,
        }
    }

    /// The address on another node: this node's name, then the path and query as they were asked for.
    fn location(&self, to: &NodeName, head: &Head) -> Option<String> {
        let view = self.0.cluster.view();
        let url = &view.nodes.get(to)?.card.url;
        let query = head
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let me = &view.me;
        Some(format!("{url}{PASSTHROUGH}{me}{}{query}", head.path()))
    }

    /// Answers a HEAD: as a listener would be answered, but nobody listens.
    async fn show_head(&self, mut visitor: Visitor, mount: MountName, reply: Reply) -> After {
        let answer = match self.0.relays.fetch(&mount).await {
            Ok(held) => {
                let spec = self.0.documents.mount(&mount);
                reply.stream(held.feed.head(), spec.as_ref(), None)
            }
            Err(NoStream) => no_source(&reply, &mount),
        };
        send(&mut visitor.stream, &answer).await;
        After::Over
    }

    /// Serves somebody here: fetches the stream if need be, and hands the connection to the pacer.
    async fn begin(&self, visit: Visit<'_>, reply: Reply) -> After {
        let Visit {
            mut visitor,
            head,
            mount,
            entrance,
        } = visit;
        let sent = match &entrance {
            Entrance::Front => None,
            Entrance::Passthrough(from) => Some(from),
        };
        let Some(admission) = self.0.load.admit(&mount, sent) else {
            info!("refused: this node is full");
            send(&mut visitor.stream, &unavailable(&reply)).await;
            return After::Over;
        };
        let Ok(held) = self.0.relays.fetch(&mount).await else {
            send(&mut visitor.stream, &no_source(&reply, &mount)).await;
            return After::Over;
        };
        let icy = head.wants_icy() && has_icy(&held);
        let spec = self.0.documents.mount(&mount);
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
        if self.0.pacer.current().add(listener).is_err() {
            warn!("the pacer takes no more listeners now");
        }
    }

    /// A playlist that names the mount on this node, which steers listeners as the mount itself does.
    pub fn playlist(
        &self,
        (kind, mount): (Playlist, &MountName),
        host: Option<&str>,
        reply: &Reply,
    ) -> Bytes {
        let Some(spec) = self.0.documents.mount(mount) else {
            return reply.not_found();
        };
        let view = self.0.cluster.view();
        let own_url = view.nodes.get(&view.me).map(|node| node.card.url.clone());
        let base = host
            .map(|host| format!("http://{host}"))
            .or(own_url)
            .unwrap_or_default();
        let url = format!("{base}{mount}");
        let title = if spec.name.is_empty() {
            mount.as_str()
        } else {
            &spec.name
        };
        let entry = Entry { url: &url, title };
        reply.content(kind.content_type(), &kind.write(&[entry]))
    }
}

/// Whether the mount has as many listeners in the whole mesh as its operator allows.
fn is_full(view: &MeshView, spec: &MountSpec) -> bool {
    let listeners: u32 = view
        .holders(&spec.path)
        .map(|(_, card)| card.listeners)
        .sum();
    spec.max_listeners.is_some_and(|most| listeners >= most)
}

/// Titles are woven only into formats that have no place of their own for them.
fn has_icy(held: &Held) -> bool {
    let content_type = &held.feed.head().content_type;
    let own = ["ogg", "webm", "matroska"];
    !own.iter().any(|format| content_type.contains(format))
}

fn unavailable(reply: &Reply) -> Bytes {
    let retry_after_s = RETRY_AFTER_MIN_S + (clock::luck() * RETRY_AFTER_SPREAD_S) as u32;
    reply.unavailable(
        "all nodes are full, please try again in a moment",
        retry_after_s,
    )
}

fn no_source(reply: &Reply, mount: &MountName) -> Bytes {
    reply.message(Status::NotFound, &format!("{mount} is not on air now"), &[])
}

async fn send(stream: &mut TcpStream, answer: &[u8]) {
    if let Err(error) = stream.write_all(answer).await {
        debug!(%error, "the answer did not arrive");
    }
}

/// A request that is served here.
struct Visit<'a> {
    visitor: Visitor,
    head: &'a Head,
    mount: MountName,
    entrance: Entrance,
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::io::feed::Feed;
    use crate::media::ring::samples::ring;

    #[tokio::test]
    async fn a_second_eviction_hurries_the_first() {
        let pacers = Arc::new(PacerHandle::start().unwrap());
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let _player = std::net::TcpStream::connect(door.local_addr().unwrap()).unwrap();
        let (left, leaving) = tokio::sync::oneshot::channel();
        let listener = Listener {
            socket: door.accept().unwrap().0,
            head: Bytes::new(),
            feed: Feed::new(ring("audio/mpeg")),
            from: 0,
            icy: None,
            leave: Box::new(move |why, _| left.send(why).unwrap()),
        };
        assert!(pacers.current().add(listener).is_ok());
        let slow = pacers.clone();
        let slow = tokio::spawn(async move { slow.evict(Duration::from_secs(3_600)).await });
        while pacers.lock().leaving.is_empty() {
            tokio::task::yield_now().await;
        }
        pacers.evict(Duration::ZERO).await.unwrap();
        assert_eq!(leaving.await, Ok(Left::Stopped));
        slow.await.unwrap().unwrap();
    }
}
