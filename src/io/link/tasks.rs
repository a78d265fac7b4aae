//! The tasks of the links: one that accepts, one per dial, and two per link.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connecting, Connection, ConnectionError, Incoming, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};
use tracing::{Instrument, debug, info, info_span, warn};

use super::exchange::{self, Exchange};
use super::greeting::{self, Greeting};
use super::registry::{DialEnd, DialState, Link};
use super::trouble::{DialTrouble, is_refused};
use super::{
    CLOSE_BAD_FRAME, CLOSE_DONE, CLOSE_NAME_IN_USE, CLOSE_SILENT, ExchangeError, GREETING_TIMEOUT,
    IDLE, KEEP_ALIVE, LinkTotals, LinksInner, NameConflict,
};
use crate::io::clock;
use crate::io::tls::MESH_SERVER_NAME;
use crate::wire::frame::{DecodeError, Frame, Hello, LinkRefusal};

/// Messages that may wait for one peer: several gossip rounds. A peer that is so far behind loses only
/// what gossip repeats.
const QUEUE: usize = 256;
/// How long a peer may take to receive one message before its link is given up.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// When a dialled machine that has not answered is taken for a silent one, though it is still waited for: four round trips
/// of the slowest line that is accepted (250 ms), which is more than a handshake takes.
const FIRST_SIGN: Duration = Duration::from_secs(1);
/// How long the first frame of a stream may take.
const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(5);
/// How often strays and refusals are logged at most.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// How soon the first of them are logged: an operator who has given a node the wrong secret looks at both logs now.
const FIRST_REPORT: Duration = Duration::from_secs(5);

impl LinksInner {
    /// Reports that another live node has this node's name; the node decides what to do about it.
    pub(super) fn report_conflict(&self, holder: SocketAddr) {
        // One conflict is as good as several.
        let _ = self.outlets.conflicts.try_send(NameConflict { holder });
    }
}

/// Takes connections until the node stops.
pub(super) fn spawn_acceptor(shared: Arc<LinksInner>) {
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        loop {
            let incoming = tokio::select! {
                () = shared.tasks.asked_to_end() => return,
                incoming = shared.endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { return };
            if !incoming.remote_address_validated() {
                prove_address(incoming);
                continue;
            }
            let span = info_span!("link", from = %incoming.remote_address());
            shared
                .tasks
                .spawn(accept(shared.clone(), incoming).instrument(span));
        }
    });
}

/// Asks the dialling side to prove its address: it costs that side one round trip, and this side stores nothing
/// for it.
///
/// Without that, a handshake would answer more than three bytes for each byte to an address that may be forged,
/// and repeat them: a certificate is long.
fn prove_address(incoming: Incoming) {
    if let Err(not_retried) = incoming.retry() {
        // The proof is there and invalid, so no answer would help.
        not_retried.into_incoming().ignore();
    }
}

async fn accept(shared: Arc<LinksInner>, incoming: Incoming) {
    let connection = match timeout(GREETING_TIMEOUT, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            shared
                .counters
                .refused_handshakes
                .fetch_add(1, Ordering::Relaxed);
            debug!(%error, "handshake refused");
            return;
        }
        Err(_) => return,
    };
    match greeting::answer(&shared, &connection).await {
        Ok(Greeting::Welcome(hello)) => begin(&shared, connection, hello, None),
        Ok(Greeting::Refused(refusal)) => {
            debug!(?refusal, "link refused");
            connection.close(close_code(&refusal), b"");
        }
        Err(error) => {
            shared
                .counters
                .refused_handshakes
                .fetch_add(1, Ordering::Relaxed);
            debug!(%error, "no greeting");
            connection.close(CLOSE_BAD_FRAME, b"");
        }
    }
}

fn close_code(refusal: &LinkRefusal) -> quinn::VarInt {
    match refusal {
        LinkRefusal::NameInUse { .. } => CLOSE_NAME_IN_USE,
        LinkRefusal::Yourself => CLOSE_DONE,
        LinkRefusal::BadHello => CLOSE_BAD_FRAME,
    }
}

/// Dials an address unless that is not needed.
pub(super) fn spawn_dial(shared: &Arc<LinksInner>, address: SocketAddr) {
    let now = Instant::now().into_std();
    if shared.tasks.are_ending() || !shared.registry.lock().begin_dial(address, now) {
        return;
    }
    let shared = shared.clone();
    let tasks = shared.tasks.clone();
    tasks.spawn(
        async move {
            let ended = dial(&shared, address).await;
            let now = Instant::now().into_std();
            shared
                .registry
                .lock()
                .end_dial(address, ended, clock::random_share(), now);
        }
        .instrument(info_span!("link", to = %address)),
    );
}

async fn dial(shared: &Arc<LinksInner>, address: SocketAddr) -> DialEnd {
    let here = shared.endpoint.local_addr();
    if let Some(trouble) = here.ok().and_then(|it| DialTrouble::between(it, address)) {
        return DialEnd::Failed(trouble);
    }
    let client = shared.client();
    let connecting = match shared
        .endpoint
        .connect_with(client, address, MESH_SERVER_NAME)
    {
        Ok(connecting) => connecting,
        Err(error) => {
            debug!(%error, "cannot dial");
            return DialEnd::Failed(DialTrouble::NoAddress);
        }
    };
    let connection = match connected(shared, address, connecting).await {
        Ok(connection) => connection,
        Err(trouble) => return DialEnd::Failed(trouble),
    };
    match greeting::ask(shared, &connection).await {
        Ok(Greeting::Welcome(hello)) => {
            begin(shared, connection, hello, Some(address));
            DialEnd::Linked
        }
        Ok(Greeting::Refused(refusal)) => {
            connection.close(close_code(&refusal), b"");
            refused(shared, refusal)
        }
        Err(ExchangeError::Lost(error)) => DialEnd::Failed(DialTrouble::of(&error)),
        Err(error) => {
            debug!(%error, "no greeting");
            // With TLS 1.3 the peer's verdict on this node's certificate comes after the handshake here.
            match connection.close_reason() {
                Some(reason) => DialEnd::Failed(DialTrouble::of(&reason)),
                None => DialEnd::Failed(DialTrouble::BadGreeting),
            }
        }
    }
}

fn refused(shared: &LinksInner, refusal: LinkRefusal) -> DialEnd {
    DialEnd::Failed(match refusal {
        LinkRefusal::Yourself => return DialEnd::Ourselves,
        LinkRefusal::NameInUse { holder } => {
            shared.report_conflict(holder);
            DialTrouble::NameTaken
        }
        LinkRefusal::BadHello => DialTrouble::BadGreeting,
    })
}

/// Waits for a handshake. Why there is no link is noted before it is given up, so that it can be reported soon; others
/// report it, once, because dials are repeated for ever.
async fn connected(
    shared: &LinksInner,
    address: SocketAddr,
    mut connecting: Connecting,
) -> Result<Connection, DialTrouble> {
    let soon = timeout(FIRST_SIGN, &mut connecting).await;
    let ended = match soon {
        Ok(ended) => Ok(ended),
        Err(_) => {
            let before = shared.registry.lock().dial_state(address);
            // A machine that has kept silent once is not asked again: the probe would count there as a stray.
            let may_refuse = before != DialState::Failed(DialTrouble::Silent);
            if may_refuse && is_refused(address).await {
                return Err(DialTrouble::Refused);
            }
            shared
                .registry
                .lock()
                .note_trouble(address, DialTrouble::Silent);
            timeout(GREETING_TIMEOUT, connecting).await
        }
    };
    match ended {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            debug!(%error, "no link");
            Err(DialTrouble::of(&error))
        }
        Err(_) => Err(DialTrouble::Silent),
    }
}

/// Puts a greeted connection to work.
fn begin(
    shared: &Arc<LinksInner>,
    connection: Connection,
    hello: Hello,
    dialled: Option<SocketAddr>,
) {
    let (queue, queued) = mpsc::channel(QUEUE);
    let link = Link {
        hello: hello.clone(),
        connection: connection.clone(),
        dialled,
        queue,
    };
    let (id, outdated) = shared.registry.lock().add(link);
    for connection in outdated {
        connection.close(CLOSE_DONE, b"restarted");
    }
    shared.publish_peers();
    info!(node = %hello.name, address = %hello.mesh_address, "linked");
    let span = info_span!("link", node = %hello.name);
    shared
        .tasks
        .spawn(drain_queue(connection.clone(), queued).instrument(span.clone()));
    shared
        .tasks
        .spawn(mind_silence(connection.clone()).instrument(span.clone()));
    let shared = shared.clone();
    shared.tasks.clone().spawn(
        async move {
            let error = receive(&shared, &connection, &hello).await;
            shared.registry.lock().remove(id);
            shared.publish_peers();
            closed(&shared, &error);
        }
        .instrument(span),
    );
}

/// Closes a link over which nothing has come for [`IDLE`] and a keep-alive more.
///
/// QUIC waits for three probe timeouts if that is longer. A handshake at a bad moment makes them seconds, and then a
/// dead peer would count as alive for this witness long after all others know better.
async fn mind_silence(connection: Connection) {
    let heard = || connection.stats().udp_rx.datagrams;
    let mut last = (heard(), Instant::now());
    let mut looked_at = Instant::now();
    let mut looks = interval(KEEP_ALIVE);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = connection.closed() => return,
            now = looks.tick() => {
                let was_asleep = now.duration_since(looked_at) > 2 * KEEP_ALIVE;
                looked_at = now;
                let datagrams = heard();
                // This node was asleep and has not listened, so the silence proves nothing yet.
                if datagrams != last.0 || was_asleep {
                    last = (datagrams, now);
                } else if now.duration_since(last.1) >= IDLE + KEEP_ALIVE {
                    info!("link silent, given up");
                    return connection.close(CLOSE_SILENT, b"silent");
                }
            }
        }
    }
}

fn closed(shared: &LinksInner, error: &ConnectionError) {
    match error {
        ConnectionError::ApplicationClosed(close) if close.error_code == CLOSE_NAME_IN_USE => {
            let holder = std::str::from_utf8(&close.reason)
                .ok()
                .and_then(|text| text.parse().ok());
            shared.report_conflict(holder.unwrap_or(shared.hello.mesh_address));
        }
        ConnectionError::ApplicationClosed(close) if close.error_code == CLOSE_DONE => {
            info!("link closed by the peer");
        }
        ConnectionError::LocallyClosed => debug!("link closed"),
        error => info!(%error, "link lost"),
    }
}

/// Sends what is queued, one stream each, until the link or the queue ends.
async fn drain_queue(connection: Connection, mut queue: mpsc::Receiver<Bytes>) {
    let closed = connection.closed();
    let send_all = async {
        while let Some(bytes) = queue.recv().await {
            if timeout(SEND_TIMEOUT, send(&connection, bytes))
                .await
                .is_err()
            {
                warn!("the peer reads nothing, link given up");
                connection.close(CLOSE_DONE, b"too slow");
                return;
            }
        }
    };
    tokio::select! {
        _ = closed => {}
        () = send_all => {}
    }
}

async fn send(connection: &Connection, bytes: Bytes) {
    let Ok(mut stream) = connection.open_uni().await else {
        return; // The link is gone, and so is all that waits for this.
    };
    if stream.write_chunk(bytes).await.is_ok() {
        let _ = stream.finish();
    }
}

/// Takes what the peer sends until the link ends; returns why it ended.
async fn receive(
    shared: &Arc<LinksInner>,
    connection: &Connection,
    hello: &Hello,
) -> ConnectionError {
    loop {
        tokio::select! {
            biased;
            () = shared.tasks.asked_to_end() => connection.close(CLOSE_DONE, b"leaving"),
            stream = connection.accept_uni() => match stream {
                Ok(stream) => take_message(shared, connection, hello, stream),
                Err(error) => return error,
            },
            stream = connection.accept_bi() => match stream {
                Ok(stream) => take_exchange(shared, connection, hello, stream),
                Err(error) => return error,
            },
        }
        if let Some(error) = connection.close_reason() {
            return error;
        }
    }
}

fn take_message(
    shared: &Arc<LinksInner>,
    connection: &Connection,
    hello: &Hello,
    mut stream: RecvStream,
) {
    let (shared, connection, hello) = (shared.clone(), connection.clone(), hello.clone());
    shared.tasks.clone().spawn(async move {
        match timeout(FIRST_FRAME_TIMEOUT, exchange::receive(&mut stream)).await {
            Ok(Ok(Some(frame))) => shared.deliver(&hello, frame),
            Ok(Err(ExchangeError::Decode(error))) => shared.give_up(&connection, &hello, &error),
            _ => {} // Lost with its link, or too slow to matter.
        }
    });
}

fn take_exchange(
    shared: &Arc<LinksInner>,
    connection: &Connection,
    hello: &Hello,
    streams: (SendStream, RecvStream),
) {
    let (shared, connection, hello) = (shared.clone(), connection.clone(), hello.clone());
    shared.tasks.clone().spawn(async move {
        let mut exchange = Exchange::new(streams, &connection, &shared.counters);
        // Otherwise it was lost with its link, too slow to matter, or invalid.
        if let Ok(Ok(Some(frame))) = timeout(FIRST_FRAME_TIMEOUT, exchange.receive()).await {
            let arrival = (hello.name.clone(), frame, exchange);
            if shared.outlets.exchanges.try_send(arrival).is_err() {
                shared.count_dropped("conversation", &hello.name);
            }
        }
    });
}

impl LinksInner {
    fn deliver(&self, hello: &Hello, frame: Frame) {
        let full = match frame {
            Frame::Gossip(_) | Frame::GossipZstd(_) => {
                let message = (hello.mesh_address, frame);
                self.outlets.gossip.try_send(message).is_err()
            }
            frame => self
                .outlets
                .messages
                .try_send((hello.name.clone(), frame))
                .is_err(),
        };
        if full {
            self.count_dropped("received message", &hello.name);
        }
    }

    /// A peer that sends an invalid frame is not trusted any more.
    fn give_up(&self, connection: &Connection, hello: &Hello, error: &DecodeError) {
        self.counters.count_bad_peer();
        warn!(node = %hello.name, %error, "the peer sent an invalid frame, link closed");
        connection.close(CLOSE_BAD_FRAME, b"");
    }
}

/// Logs soon what was turned away, if anything was, and then at most once a minute.
pub(super) fn spawn_reporter(shared: Arc<LinksInner>) {
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let mut looks = interval_at(Instant::now() + FIRST_REPORT, FIRST_REPORT);
        let mut before = LinkTotals::default();
        let mut quiet_until = Instant::now();
        loop {
            tokio::select! {
                () = shared.tasks.asked_to_end() => return,
                _ = looks.tick() => {}
            }
            let totals = shared.totals();
            if totals != before && Instant::now() >= quiet_until {
                warn!(
                    stray_datagrams = totals.stray_datagrams - before.stray_datagrams,
                    refused_handshakes = totals.refused_handshakes - before.refused_handshakes,
                    bad_frames = totals.bad_frames - before.bad_frames,
                    dropped = totals.dropped - before.dropped,
                    "turned away on the mesh's port since the last report: strangers, or nodes with another secret"
                );
                before = totals;
                quiet_until = Instant::now() + REPORT_INTERVAL;
            }
        }
    });
}
