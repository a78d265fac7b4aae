//! Routes each request of a visitor of the door, by its head.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tracing::{debug, info};

use super::admin;
use super::admin::{Admin, Served};
use super::certificates::challenges;
use super::destination::{Destination, destination, is_reserved, mount_of, purpose};
use super::drain::{Drain, Phase};
use super::files::Files;
use super::ingest::{Ingest, answer_and_drain};
use super::listen::{After, Entrance, ListenRequest, Listening, PlaylistRequest};
use super::logs::Logs;
use super::no_request;
use super::plain_http::{PlainHttp, PlainVerdict, Purpose};
use super::tls_offers::TlsOffers;
use crate::io::door::{self, Accepted, Door, FirstHead, Greeting, ReadHead, Visitor};
use crate::io::https::handshake::Https;
use crate::io::tasks::Tasks;
use crate::io::{answer, clock};
use crate::model::http_header::ExtraHeaders;
use crate::model::network::Network;
use crate::wire::http::forwarded;
use crate::wire::http::head::{BodyKind, Head, HttpVersion, Method};
use crate::wire::http::reply::{Persistence, Reply};
use crate::wire::http::status::HttpStatus;

/// How many requests to pages, API and playlists one connection may carry: an hour and more of a page that reloads
/// every five seconds. A client that has more to ask connects again, so no client keeps its place for ever.
const MAX_REQUESTS: u64 = 1_000;

/// The answer to a Shoutcast login that has to come by TLS.
const NO_PLAIN_SHOUTCAST: &[u8] =
    b"a password is not taken without TLS here (require_tls_for): use an encoder that speaks TLS\r\n";

/// The front, which takes visitors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Front {
    /// Takes sources.
    pub ingest: Ingest,
    /// Serves listeners.
    pub listening: Listening,
    /// Answers for pages and the API.
    pub admin: Admin,
    /// Sends the operator's own files.
    pub files: Files,
    /// The operator's headers for all answers.
    pub http_headers: ExtraHeaders,
    /// Shakes hands with clients that speak TLS.
    pub https: Https,
    /// The rules for requests by plain HTTP.
    pub plain_http: PlainHttp,
    /// Offers TLS to clients that ask for it in plain.
    pub tls_offers: TlsOffers,
    /// Notes what was asked and answered.
    pub logs: Logs,
    /// Says whether this node takes newcomers.
    pub drain: Drain,
    /// The proxies that are believed when they name their client.
    pub trusted_proxies: Arc<[Network]>,
}

impl Front {
    /// Lets visitors in until the node stops.
    pub async fn run(self, mut door: Door, tasks: Tasks) {
        loop {
            let arrival = tokio::select! {
                () = tasks.asked_to_end() => return,
                arrival = door.accept() => arrival,
            };
            match arrival {
                Accepted::Visitor(visitor) => {
                    let (front, tasks_of_visitor) = (self.clone(), tasks.clone());
                    tasks.spawn(async move { front.receive(visitor, &tasks_of_visitor).await });
                }
                Accepted::Refused(mut refused) => {
                    tasks.spawn(async move {
                        answer_and_drain(&mut refused.stream, &refused.answer).await;
                        drop(refused); // whole: it counts until here
                    });
                }
            }
        }
    }

    /// Takes one visitor's requests until it leaves or is handed on. The wait for each is bounded by the time that a
    /// head may take, so a connection on which no other request comes is closed.
    async fn receive(&self, visitor: Visitor, tasks: &Tasks) {
        // Answers are small and awaited; a stream's bytes are gathered before they are sent.
        if let Err(error) = visitor.stream.socket().set_nodelay(true) {
            debug!(%error, "gone at once");
            return;
        }
        let deadline = visitor.place.head_deadline();
        let peer = visitor.peer;
        // A client that asks for nothing does not hold up the end of the node.
        let greeting = tasks.until_end(door::greet(visitor, &self.https, deadline));
        let Some(mut visitor) = greeted(greeting.await, peer).await else {
            return;
        };
        let mut buffer = BytesMut::new();
        let reading = door::read_first(&mut visitor, &mut buffer, deadline);
        match tasks.until_end(reading).await {
            Some(Ok(FirstHead::Request(read))) => {
                self.converse(visitor, read, buffer, tasks).await;
            }
            Some(Ok(FirstHead::Shoutcast(..))) if self.plain_http.refuses_shoutcast(&visitor) => {
                answer_and_drain(&mut visitor.stream, NO_PLAIN_SHOUTCAST).await;
            }
            Some(Ok(FirstHead::Shoutcast(login, len))) => {
                let behind = buffer.split_off(len);
                self.ingest.serve_shoutcast(visitor, login, behind).await;
            }
            Some(Ok(FirstHead::Poke)) => answer_and_drain(&mut visitor.stream, b"").await,
            Some(Err(error)) => no_request::refuse(&mut visitor, error, &buffer).await,
            None => {}
        }
    }

    /// Answers requests, one after the other; the first has been read into the buffer.
    async fn converse(
        &self,
        mut visitor: Visitor,
        mut read: ReadHead,
        mut buffer: BytesMut,
        tasks: &Tasks,
    ) {
        let mut has_logged_skipped_lines = false;
        for number in 1_u64.. {
            let head = read.head;
            let behind = buffer.split_off(read.len);
            let offer = self.tls_offers.make(&visitor, &head, &behind);
            if offer.is_some() {
                let peer = visitor.peer;
                let greeting = tasks.until_end(door::go_on_by_tls(visitor, &self.https));
                match greeted(greeting.await, peer).await {
                    Some(same) => visitor = same,
                    None => return,
                }
            }
            let (peer_ip, is_tls) = (visitor.peer.ip(), visitor.stream.is_tls());
            let proxies = &self.trusted_proxies;
            visitor.client = forwarded::client(peer_ip, is_tls, proxies, head.headers());
            if let Some(record) = self.logs.begin(&head, visitor.client) {
                visitor.stream.begin_request(record);
            }
            if let Some(skipped) = head.skipped()
                && !std::mem::replace(&mut has_logged_skipped_lines, true)
            {
                let (peer, path) = (visitor.peer, head.path());
                info!(%peer, path, "lines of the request's head passed over: {skipped}");
            }
            let may_keep = number < MAX_REQUESTS && self.accepts_more() && !tasks.are_ending();
            match self.answer(visitor, head, behind, may_keep).await {
                Some((same, behind)) => (visitor, buffer) = (same, behind),
                None => return,
            }
            visitor.stream.end_request();
            let reading = door::read_head(&mut visitor, &mut buffer);
            read = match tasks.until_end(reading).await {
                Some(Ok(read)) => read,
                Some(Err(error)) => return no_request::refuse(&mut visitor, error, &buffer).await,
                None => return,
            };
            if let Some(offer) = offer {
                offer.taken();
            }
        }
    }

    /// Whether this node answers another request of the same connection, too.
    fn accepts_more(&self) -> bool {
        self.drain.phase() == Phase::Serving
    }

    /// Answers one request; `behind` is what was read behind its head. Returns the connection, and what was read of the
    /// next request, if another one may come.
    async fn answer(
        &self,
        mut visitor: Visitor,
        head: Head,
        behind: BytesMut,
        may_keep: bool,
    ) -> Option<(Visitor, BytesMut)> {
        let reply = Reply::to(&head, clock::unix_s());
        let reply = reply.with_headers(self.http_headers.clone());
        let reply = if may_keep { reply } else { reply.and_close() };
        let destination = destination(&head);
        if let Destination::Listen(mount, _) = &destination
            && let Some(record) = visitor.stream.request()
        {
            record.is_for(mount);
        }
        if self.may_be_file(&destination, &head)
            && let Some(found) = self.files.find(&head).await
        {
            return match self.files.send(visitor, found, &head, &reply).await {
                After::Next(same) => Some((same, behind)),
                After::Over => None,
            };
        }
        let mount = mount_of(&destination, head.path());
        let reply = match &mount {
            Some(mount) => reply.of_mount(self.listening.headers_of(mount)),
            None => reply,
        };
        let purpose = match (purpose(&destination, &head), mount) {
            // A player that follows no redirect to a node follows none to HTTPS.
            (Purpose::Stream, Some(mount)) if self.listening.is_kept_here(&mount, &head) => {
                Purpose::Open
            }
            (purpose, _) => purpose,
        };
        let reply = match self.plain_http.judge(&visitor, &head, purpose) {
            PlainVerdict::Answer => reply,
            PlainVerdict::Redirect(location) => {
                let answer = reply.and_close().to_https(&location);
                answer_and_drain(&mut visitor.stream, &answer).await;
                return None;
            }
            PlainVerdict::Refuse(why) => {
                let answer = reply.and_close().tls_required(&why);
                answer_and_drain(&mut visitor.stream, &answer).await;
                return None;
            }
        };
        let answer = match destination {
            Destination::Admin if has_chunks_before_its_time(&head) => {
                let why = "a body in chunks needs HTTP/1.1: say so, or say its Content-Length";
                info!(peer = %visitor.peer, path = head.path(), status = 400, "refused: {why}");
                reply.and_close().message(HttpStatus::BadRequest, why, &[])
            }
            Destination::Admin => {
                return match self.admin.serve(visitor, &head, behind, may_keep).await {
                    Served::KeepAlive(same, behind) => Some((same, behind)),
                    Served::Close(mut same) => {
                        answer_and_drain(&mut same.stream, b"").await;
                        None
                    }
                    Served::Broken => None,
                };
            }
            Destination::Source => return self.ingest.serve(visitor, head, behind, reply).await,
            Destination::Listen(mount, entrance) => {
                let request = ListenRequest {
                    head: &head,
                    mount,
                    entrance,
                };
                return match self.listening.serve(visitor, request, reply).await {
                    After::Next(same) => Some((same, behind)),
                    After::Over => None,
                };
            }
            Destination::Playlist(kind, mount) => {
                let asked = PlaylistRequest {
                    kind,
                    mount: &mount,
                    client: visitor.client,
                    host: forwarded::host(visitor.peer.ip(), &self.trusted_proxies, &head),
                    query: head.query().unwrap_or_default(),
                };
                self.listening.playlist(asked, &reply)
            }
            Destination::Options(allowed) => reply.options(allowed),
            Destination::Capabilities => reply.capabilities(),
            Destination::NotFound => reply.not_found(),
            Destination::WrongMethod(allowed) => reply.wrong_method(head.method(), allowed),
        };
        if reply.persistence() == Persistence::Close {
            answer_and_drain(&mut visitor.stream, &answer).await;
            return None;
        }
        let sent = answer::send(&mut visitor.stream, &answer).await;
        sent.is_ok().then_some((visitor, behind))
    }
}

impl Front {
    /// Whether a file of the operator is looked for before such a request is answered: nothing of ours goes by its path.
    fn may_be_file(&self, destination: &Destination, head: &Head) -> bool {
        let is_mount = |mount| self.listening.has_mount(mount);
        let is_read = matches!(head.method(), Method::Get | Method::Head);
        is_read
            && !is_reserved(head.path())
            && match destination {
                Destination::Listen(mount, Entrance::Front) => !is_mount(mount),
                Destination::Playlist(_, mount) => !is_mount(mount),
                // An authority may be another program's, whose answers are files.
                Destination::Admin => {
                    !admin::is_ours(head.path()) || head.path().starts_with(challenges::PATH)
                }
                Destination::NotFound => true,
                _ => false,
            }
    }
}

/// The visitor, if its connection has begun as it should; all others are told.
async fn greeted(greeting: Option<Greeting>, peer: SocketAddr) -> Option<Visitor> {
    match greeting? {
        Greeting::Ready(visitor) => return Some(visitor),
        Greeting::NotTls(mut visitor) => no_request::refuse_plain(&mut visitor).await,
        Greeting::NoTls(why) => no_request::note_no_tls(peer, why).await,
        Greeting::Gone => {}
    }
    None
}

/// Whether the body is in chunks although the client does not speak HTTP/1.1, which begins with them.
fn has_chunks_before_its_time(head: &Head) -> bool {
    head.body_kind() == BodyKind::Chunked && head.version() != HttpVersion::Http11
}
