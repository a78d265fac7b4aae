//! The pages and the API of a node: a table of routes, each request answered behind hyper.
//!
//! hyper gets one request at a time and never the connection: the next request may be for a stream, and a stream
//! never goes through hyper.

mod accounts;
mod allowed;
mod body;
mod browser;
mod call;
mod certificates;
mod declined;
mod event_feed;
mod feed;
mod files;
mod form;
mod icecast;
mod icecast_accounts;
mod icecast_listeners;
mod icecast_pages;
mod icecast_playlist;
mod icecast_stats;
mod icecast_status;
mod import;
mod listeners;
mod load_page;
mod mounts;
mod nodes;
mod open;
mod orders;
mod outside;
pub mod page;
mod password;
mod query;
mod reply;
mod routes;
mod settings;
mod shoutcast_cgi;
mod stats_feed;
mod steering;
mod streamlist;
mod switches;
mod table;
mod tokens;
mod told_title;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, DATE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;
use tracing::{debug, info};

use self::call::{Answer, Call};
use self::declined::Declined;
pub use self::feed::Feeds;
pub use self::icecast_status::Contact;
use self::reply::{Body, Complaint};
use self::routes::{Access, Handler, Lookup, Route};
use super::audience::MeshAudience;
use super::dismissal::Dismissals;
use super::drain::Drain;
use super::listen::Listening;
use super::logins::{Caller, Logins, Right};
use super::loops::Loops;
use super::mesh::Mesh;
use super::plain_http::{PlainHttp, Purpose};
use super::sources::Sources;
use super::status::Statuses;
use super::titles::Titles;
use crate::io::clock;
use crate::io::door::{HEAD_TIMEOUT, OneRequest, Unread, Visitor};
use crate::io::password::Passwords;
use crate::io::seal::Seal;
use crate::model::http_date::http_date;
use crate::model::http_header::ExtraHeaders;
use crate::model::mount::MountName;
use crate::wire::http::forwarded::Client;
use crate::wire::http::head::{self, Head};
use crate::wire::http::reader::MAX_HEADERS;
use crate::wire::icecast::token::TokenKeys;
use crate::wire::livez::ProofKeys;

/// The parts that the pages and the API need.
#[derive(Debug)]
pub struct AdminConfig {
    /// The configuration, the members and the links to them.
    pub mesh: Mesh,
    /// The listeners of all nodes.
    pub audience: MeshAudience,
    /// The files that the mesh keeps.
    pub loops: Loops,
    /// Takes this node out of service.
    pub drain: Drain,
    /// The nodes to which listeners are sent.
    pub listening: Listening,
    /// The mesh.
    pub statuses: Statuses,
    /// Ends sources.
    pub dismissals: Dismissals,
    /// The titles on air.
    pub titles: Titles,
    /// Hashes new passwords.
    pub passwords: Passwords,
    /// Checks logins.
    pub logins: Logins,
    /// How the operator of this node is reached, and where it stands.
    pub contact: Contact,
    /// The operator's headers for all answers.
    pub http_headers: ExtraHeaders,
    /// The sources that are here, by what they speak.
    pub sources: Sources,
    /// The mount of Shoutcast logins that name none.
    pub shoutcast_mount: Option<MountName>,
    /// Proves to peers that this is the node that they mean.
    pub proof_keys: ProofKeys,
    /// Seals the keys of certificates that are imported.
    pub seal: Seal,
    /// The rules for plain HTTP: what the end of certificates means here.
    pub plain_http: PlainHttp,
    /// The room for answers that go on.
    pub feeds: Feeds,
    /// Sign tokens of listeners.
    pub token_keys: TokenKeys,
}

/// A cheap, cloneable way to answer.
#[derive(Clone, Debug)]
pub struct Admin(Arc<AdminConfig>);

/// The fate of a connection after an answer.
#[derive(Debug)]
pub enum Served {
    /// The next request may come; these bytes of it have been read already.
    KeepAlive(Visitor, BytesMut),
    /// The answer says that the connection closes now.
    Close(Visitor),
    /// The answer did not arrive.
    Broken,
}

/// One request and its answer.
#[derive(Debug)]
struct AdminRequest<'a> {
    admin: &'a Admin,
    caller: Caller,
    client: Client,
    unread: Unread,
    /// Whether another request may follow, as far as client and node wish.
    may_keep: bool,
    /// Whether the answer lets another request follow.
    is_kept: AtomicBool,
}

/// Whether a path is answered here whatever the method, and is never that of a source or a listener.
pub fn is_ours(path: &str) -> bool {
    let below = ["/admin/", "/api/"];
    below.iter().any(|prefix| path.starts_with(prefix)) || routes::has_path(table::ROUTES, path)
}

/// The purpose of a request for one of our paths.
pub fn purpose(method: &head::Method, path: &str) -> Purpose {
    let method = match method {
        head::Method::Head => "GET",
        method => method.token(),
    };
    let access = routes::access(table::ROUTES, method, path);
    match access {
        Some(Access::Anybody) if path == "/" => Purpose::Page,
        Some(Access::Manage) if path.starts_with("/api/") => Purpose::Api,
        Some(Access::Manage) => Purpose::AdminPage,
        Some(Access::OfMount) => Purpose::SourceWord,
        Some(Access::Anybody | Access::ListStreams) | None => Purpose::Open,
    }
}

impl Admin {
    /// Answers with the help of these.
    pub fn new(config: AdminConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Answers one request. `behind` is what was read behind its head; `may_keep` is whether the connection may be kept.
    pub async fn serve(
        &self,
        visitor: Visitor,
        head: &Head,
        mut behind: BytesMut,
        may_keep: bool,
    ) -> Served {
        let caller = Caller::of(&visitor);
        let Visitor {
            stream,
            peer,
            client,
            place,
        } = visitor;
        let request = OneRequest::new(head, &mut behind, stream);
        let admin_request = AdminRequest {
            admin: self,
            caller,
            client,
            unread: request.unread(),
            may_keep: may_keep && head.wants_keep_alive(),
            is_kept: AtomicBool::new(false),
        };
        let service =
            service_fn(async |request| Ok::<_, Infallible>(admin_request.respond(request).await));
        let mut serving = protocol().serve_connection(TokioIo::new(request), service);
        match (&mut serving).await {
            Ok(()) => {}
            Err(error) if error.is_parse() => info!(client = %client.ip, "refused: {error}"),
            Err(error) => {
                debug!(%error, "request broken off");
                return Served::Broken;
            }
        }
        let visitor = Visitor {
            stream: serving.into_parts().io.into_inner().into_stream(),
            peer,
            client,
            place,
        };
        match admin_request.is_kept.into_inner() {
            true => Served::KeepAlive(visitor, behind),
            false => Served::Close(visitor),
        }
    }

    /// Answers a call by its row of the table.
    async fn answer(&self, call: Call, unread: &Unread) -> Response<Body> {
        let (route, named) = match routes::find(table::ROUTES, call.request.method(), call.path()) {
            Lookup::Found(route, named) => (route, named.into_owned()),
            Lookup::Options(allowed) => return reply::options(&allowed),
            Lookup::WrongMethod(allowed) => {
                return reply::wrong_method(call.request.method(), &allowed);
            }
            Lookup::NoSuchPath => return self.refuse_unknown(&call).await,
        };
        let call = Call { named, ..call };
        match timeout(route.limit, self.carry_out(route, call)).await {
            Ok(answer) => answer.unwrap_or_else(Declined::answer),
            Err(_) if unread.is_nothing() => reply::late(),
            Err(_) => reply::too_slow(),
        }
    }

    /// Answers a call that has no row: who may give Icecast's commands is told that this is none.
    async fn refuse_unknown(&self, call: &Call) -> Response<Body> {
        let is_command = matches!(*call.request.method(), Method::GET | Method::HEAD);
        if !is_command || !call.path().starts_with("/admin/") {
            return reply::nothing_here();
        }
        match self.0.logins.check(call.login(), Right::Manage).await {
            Ok(()) => icecast::no_such_command(),
            Err(why) => Declined::from(why).answer(),
        }
    }

    /// Checks the right that a row asks for, and calls its handler.
    async fn carry_out(&self, route: Route, mut call: Call) -> Answer {
        if route.access != Access::Anybody {
            browser::check(&call.request)?;
        }
        let right = match route.access {
            Access::Anybody | Access::OfMount => None,
            Access::Manage => Some(Right::Manage),
            Access::ListStreams => Some(Right::ListStreams),
        };
        if let Some(right) = right {
            let allowed = self.0.logins.check(call.login(), right).await;
            allowed.map_err(|why| match route.access {
                Access::ListStreams => streamlist::not_allowed(why),
                _ => why.into(),
            })?;
        }
        if *call.request.method() == Method::HEAD {
            *call.request.method_mut() = Method::GET;
        }
        match route.handler {
            Handler::Now(answer) => answer(self, &call),
            Handler::Later(answer) => answer(self, call).await,
        }
    }
}

impl AdminRequest<'_> {
    /// Answers, says whether another request may follow, and tells the log what was wrong with this one.
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let call = Call {
            request,
            caller: self.caller,
            named: String::new(),
            client: self.client,
        };
        let mut answer = self.admin.answer(call, &self.unread).await;
        if let Some(Complaint(why)) = answer.extensions().get() {
            let (status, client) = (answer.status().as_u16(), self.caller.client);
            info!(%client, %method, path, status, "refused: {why}");
        }
        let is_kept = self.may_keep
            && self.unread.is_nothing()
            // To a client of HTTP/1.0 the end of the connection is the only end of such an answer.
            && answer.body().size_hint().exact().is_some();
        self.is_kept.store(is_kept, Ordering::Relaxed);
        if !is_kept {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        // hyper keeps one in each thread, and would say it until a clock that was set back is there again.
        if let Ok(date) = HeaderValue::from_str(&http_date(clock::unix_s())) {
            answer.headers_mut().insert(DATE, date);
        }
        self.add_headers(&mut answer);
        answer
    }

    /// Adds the operator's headers, which replace ours of the same name.
    fn add_headers(&self, answer: &mut Response<Body>) {
        let (none, status) = (ExtraHeaders::default(), answer.status().as_u16());
        let extra = self.admin.0.http_headers.for_status(&none, status);
        let extra = extra.into_iter().filter_map(|header| {
            let name = HeaderName::from_bytes(header.name().as_bytes()).ok()?;
            Some((
                name,
                HeaderValue::from_bytes(header.value().as_bytes()).ok()?,
            ))
        });
        let extra: Vec<(HeaderName, HeaderValue)> = extra.collect();
        for (name, _) in &extra {
            answer.headers_mut().remove(name);
        }
        for (name, value) in extra {
            answer.headers_mut().append(name, value);
        }
    }
}

/// How one request is read and answered.
///
/// A client that has closed is answered all the same: butt sends a title and closes without reading,
/// and hyper, left to itself, drops the request when it sees that. What hyper takes for the end of the connection is
/// the end of the request: it never reads a second one.
fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .half_close(true);
    protocol
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::StatusCode;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::{mpsc, oneshot};

    use super::reply::text;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_request_is_carried_out_though_its_client_has_gone() {
        let (mut client, server) = tokio::io::duplex(1_024);
        let (begun, mut beginning) = mpsc::channel(1);
        let (gone, going) = oneshot::channel();
        let going = std::cell::Cell::new(Some(going));
        let service = service_fn(|_request| {
            let (begun, going) = (begun.clone(), going.take());
            async move {
                begun.send("begun").await.unwrap();
                going.expect("one request").await.unwrap();
                begun.send("done").await.unwrap();
                Ok::<_, Infallible>(text(StatusCode::OK, "ok"))
            }
        });
        let serving = protocol().serve_connection(TokioIo::new(server), service);
        let leaving = async {
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            assert_eq!(beginning.recv().await, Some("begun"));
            drop(client);
            // The server sees that first, and only then can the request go on.
            tokio::task::yield_now().await;
            gone.send(()).unwrap();
            let ending = tokio::time::timeout(PATIENCE, beginning.recv()).await;
            assert_eq!(ending, Ok(Some("done")));
        };
        let (_served, ()) = tokio::join!(serving, leaving);
    }
}
