//! Routes each request of a visitor of the door, by its head.

use std::sync::Arc;

use bytes::BytesMut;
use tracing::{debug, info};

use super::admin;
use super::admin::{Admin, Served};
use super::drain::{Drain, Phase};
use super::files::Files;
use super::ingest::{Ingest, answer_and_drain};
use super::listen::{After, Entrance, ListenRequest, Listening, PlaylistRequest};
use super::no_request;
use crate::io::door::{self, Accepted, Door, FirstHead, Greeting, Visitor};
use crate::io::https::handshake::Https;
use crate::io::tasks::Tasks;
use crate::io::{answer, clock};
use crate::model::http_header::ExtraHeaders;
use crate::model::mount::{BadMountName, MountName};
use crate::model::network::Network;
use crate::wire::http::forwarded;
use crate::wire::http::head::{BodyKind, Head, HttpVersion, Method};
use crate::wire::http::reply;
use crate::wire::http::reply::{Persistence, Reply};
use crate::wire::http::status::HttpStatus;
use crate::wire::icecast::passthrough;
use crate::wire::icecast::passthrough::Passthrough;
use crate::wire::icecast::playlist::Playlist;

/// How many requests to pages, API and playlists one connection may carry: an hour and more of a page that reloads
/// every five seconds. A client that has more to ask connects again, so no client keeps its place for ever.
const MAX_REQUESTS: u64 = 1_000;

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    /// A source for a mount.
    Source,
    /// A listener for a mount.
    Listen(MountName, Entrance),
    /// A playlist of a mount.
    Playlist(Playlist, MountName),
    /// The methods of a path, which are these.
    Options(&'static str),
    /// The methods of this server.
    Capabilities,
    /// Pages and API.
    Admin,
    /// A path that can never be anything.
    NotFound,
    /// A method that the path, or the node, does not have. The path has these.
    WrongMethod(&'static str),
}

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
        let greeting = door::greet(visitor, &self.https, deadline);
        let mut visitor = match tasks.until_end(greeting).await {
            Some(Greeting::Ready(visitor)) => visitor,
            Some(Greeting::NotTls(mut visitor)) => {
                return no_request::refuse_plain(&mut visitor).await;
            }
            Some(Greeting::NoTls(why)) => return no_request::note_no_tls(peer, why).await,
            Some(Greeting::Gone) | None => return,
        };
        let mut buffer = BytesMut::new();
        let reading = door::read_first(&mut visitor, &mut buffer, deadline);
        let mut read = match tasks.until_end(reading).await {
            Some(Ok(FirstHead::Request(read))) => read,
            Some(Ok(FirstHead::Shoutcast(login, len))) => {
                let behind = buffer.split_off(len);
                return self.ingest.serve_shoutcast(visitor, login, behind).await;
            }
            Some(Ok(FirstHead::Poke)) => return answer_and_drain(&mut visitor.stream, b"").await,
            Some(Err(error)) => return no_request::refuse(&mut visitor, error, &buffer).await,
            None => return,
        };
        let mut has_logged_skipped_lines = false;
        for number in 1_u64.. {
            let head = read.head;
            let (peer_ip, is_tls) = (visitor.peer.ip(), visitor.stream.is_tls());
            let proxies = &self.trusted_proxies;
            visitor.client = forwarded::client(peer_ip, is_tls, proxies, head.headers());
            if let Some(skipped) = head.skipped()
                && !std::mem::replace(&mut has_logged_skipped_lines, true)
            {
                let (peer, path) = (visitor.peer, head.path());
                info!(%peer, path, "lines of the request's head passed over: {skipped}");
            }
            let behind = buffer.split_off(read.len);
            let may_keep = number < MAX_REQUESTS && self.accepts_more() && !tasks.are_ending();
            match self.answer(visitor, head, behind, may_keep).await {
                Some((same, behind)) => (visitor, buffer) = (same, behind),
                None => return,
            }
            let reading = door::read_head(&mut visitor, &mut buffer);
            read = match tasks.until_end(reading).await {
                Some(Ok(read)) => read,
                Some(Err(error)) => return no_request::refuse(&mut visitor, error, &buffer).await,
                None => return,
            };
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
        if self.may_be_file(&destination, &head)
            && let Some(found) = self.files.find(&head).await
        {
            return match self.files.send(visitor, found, &head, &reply).await {
                After::Next(same) => Some((same, behind)),
                After::Over => None,
            };
        }
        let reply = match mount_of(&destination, head.path()) {
            Some(mount) => reply.of_mount(self.listening.headers_of(&mount)),
            None => reply,
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
                Destination::Admin => !admin::is_ours(head.path()),
                Destination::NotFound => true,
                _ => false,
            }
    }
}

/// Whether nothing but the node itself ever answers below the first part of a path. Browsers ask for the icon of a site,
/// which may well be a file.
fn is_reserved(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    MountName::RESERVED.contains(&first) && first != "favicon.ico"
}

/// Whether the body is in chunks although the client does not speak HTTP/1.1, which begins with them.
fn has_chunks_before_its_time(head: &Head) -> bool {
    head.body_kind() == BodyKind::Chunked && head.version() != HttpVersion::Http11
}

/// The methods of a path that is not one of pages and API; `None` if nothing can ever be there.
fn allowed(path: &str) -> Option<&'static str> {
    if path.starts_with(passthrough::PREFIX) || Playlist::of_path(path).is_some() {
        return Some(reply::READ_METHODS);
    }
    let mount = MountName::from_request_path(path);
    mount.is_ok().then_some(reply::MOUNT_METHODS)
}

/// Whether a source that asks for this path is told what is wrong with the name of its mount.
fn is_misspelt(path: &str) -> bool {
    matches!(
        MountName::from_request_path(path),
        Err(BadMountName::NotAPath | BadMountName::Alphabet | BadMountName::Letter(_))
    )
}

/// The destination of a request.
fn destination(head: &Head) -> Destination {
    let (method, path) = (head.method(), head.path());
    if *method == Method::Options && path == "*" {
        return Destination::Capabilities;
    }
    if admin::is_ours(path) {
        return Destination::Admin;
    }
    if matches!(method, Method::Get | Method::Head) {
        return destination_of_read(path);
    }
    let is_source = matches!(method, Method::Put | Method::Source);
    match (method, allowed(path)) {
        (_, Some(reply::MOUNT_METHODS)) if is_source => Destination::Source,
        (_, None) if is_source && is_misspelt(path) => Destination::Source,
        (Method::Options, Some(allowed)) => Destination::Options(allowed),
        (_, Some(allowed)) => Destination::WrongMethod(allowed),
        (_, None) => Destination::Admin,
    }
}

/// The mount that a request is about: each answer has its headers, also a refusal, and what a browser asks before.
fn mount_of(destination: &Destination, path: &str) -> Option<MountName> {
    match destination {
        Destination::Listen(mount, _) | Destination::Playlist(_, mount) => Some(mount.clone()),
        Destination::Options(_) | Destination::Source | Destination::WrongMethod(_) => {
            match destination_of_read(path) {
                Destination::Listen(mount, _) | Destination::Playlist(_, mount) => Some(mount),
                _ => None,
            }
        }
        _ => None,
    }
}

fn destination_of_read(path: &str) -> Destination {
    if path.starts_with(passthrough::PREFIX) {
        return Passthrough::of_path(path).map_or(Destination::NotFound, |it| {
            Destination::Listen(it.mount.clone(), Entrance::Passthrough(it))
        });
    }
    if let Some((kind, mount)) = Playlist::of_path(path) {
        return MountName::from_request_path(mount).map_or(Destination::NotFound, |mount| {
            Destination::Playlist(kind, mount)
        });
    }
    MountName::from_request_path(path).map_or(Destination::Admin, |mount| {
        Destination::Listen(mount, Entrance::Front)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::reader::{Parsed, parse};

    fn routed(line: &str) -> Destination {
        let request = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        match parse(request.as_bytes()) {
            Ok(Parsed::Complete { head, .. }) => destination(&head),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    #[test]
    fn no_file_stands_where_the_node_answers() {
        for path in [
            "/admin/x",
            "/api",
            "/_stream/n1/a.mp3",
            "/metrics",
            "/livez/",
        ] {
            assert!(is_reserved(path), "{path}");
        }
        for path in ["/favicon.ico", "/player/api", "/x.json", "/"] {
            assert!(!is_reserved(path), "{path}");
        }
    }

    #[test]
    fn every_answer_about_a_mount_is_of_that_mount() {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "SOURCE", "DELETE"] {
            let paths = ["/a.mp3", "/a.mp3.m3u", "/_stream/n1/a.mp3"];
            for path in &paths[..if matches!(method, "PUT" | "SOURCE") {
                1
            } else {
                3
            }] {
                let found = mount_of(&routed(&format!("{method} {path}")), path);
                assert_eq!(found, Some(mount("/a.mp3")), "{method} {path}");
            }
            for path in ["/", "/status.json"] {
                assert_eq!(mount_of(&routed(&format!("{method} {path}")), path), None);
            }
        }
    }

    #[test]
    fn a_request_goes_where_it_belongs() {
        assert_eq!(routed("GET /"), Destination::Admin);
        assert_eq!(routed("GET /status.json"), Destination::Admin);
        assert_eq!(routed("POST /api/v1/mounts"), Destination::Admin);
        assert_eq!(routed("PUT /api/v1/mounts"), Destination::Admin);
        assert_eq!(routed("GET /admin/metadata?mount=/a"), Destination::Admin);
        for method in ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"] {
            for path in ["/", "/status.json", "/livez", "/api/none"] {
                assert_eq!(routed(&format!("{method} {path}")), Destination::Admin);
            }
        }
        assert_eq!(routed("GET /none.json"), Destination::Admin);
        for path in [
            "/status.json",
            "/api/v1/mounts",
            "/admin/none",
            "/api",
            "/x.json",
        ] {
            for method in ["SOURCE", "PUT", "OPTIONS", "BREW"] {
                assert_eq!(routed(&format!("{method} {path}")), Destination::Admin);
            }
        }
        assert_eq!(routed("SOURCE /my~radio!"), Destination::Source, "told why");
        assert_eq!(routed("PUT /a.mp3"), Destination::Source);
        assert_eq!(routed("SOURCE /a.mp3"), Destination::Source);
        let front = Destination::Listen(mount("/a.mp3"), Entrance::Front);
        assert_eq!(routed("GET /a.mp3?x=1"), front);
        assert_eq!(routed("HEAD /a.mp3"), front);
        let m3u = Destination::Playlist(Playlist::M3u, mount("/a.mp3"));
        assert_eq!(routed("GET /a.mp3.m3u"), m3u);
        let passthrough = Passthrough::of_path("/_stream/n1/a/b.mp3").unwrap();
        let passed = Destination::Listen(mount("/a/b.mp3"), Entrance::Passthrough(passthrough));
        assert_eq!(routed("GET /_stream/n1/a/b.mp3"), passed);
        assert_eq!(routed("GET /_stream/a.mp3"), Destination::NotFound);
        assert_eq!(routed("GET /_stream/N!/a.mp3"), Destination::NotFound);
        for (path, methods) in [
            ("/a.mp3", reply::MOUNT_METHODS),
            ("/a.mp3.m3u", reply::READ_METHODS),
            ("/_stream/n1/a.mp3", reply::READ_METHODS),
        ] {
            assert_eq!(allowed(path), Some(methods), "{path}");
        }
        for path in ["/a.mp3.m3u", "/_stream/n1/a.mp3"] {
            for method in ["PUT", "SOURCE", "POST"] {
                let only_read = Destination::WrongMethod(reply::READ_METHODS);
                assert_eq!(routed(&format!("{method} {path}")), only_read);
            }
        }
        assert_eq!(routed("OPTIONS *"), Destination::Capabilities);
        let methods = reply::MOUNT_METHODS;
        assert_eq!(routed("OPTIONS /a.mp3"), Destination::Options(methods));
        let wrong = Destination::WrongMethod(methods);
        assert_eq!(routed("DELETE /a.mp3"), wrong);
        assert_eq!(routed("BREW /a.mp3"), wrong);
    }
}
