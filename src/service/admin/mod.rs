//! The pages and the API of a node, behind hyper.
//!
//! One request per connection: a browser that kept the connection could ask for a stream on it, and a stream
//! never goes through hyper.

mod api;
mod body;
mod browser;
mod form;
mod icecast;
mod icecast_status;
mod load_page;
mod nodes;
mod orders;
mod outside;
pub mod page;
mod password;
mod reply;
mod settings;
mod steering;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tracing::{debug, info, warn};

pub use self::icecast_status::Contact;
use self::page::{Part, Seen};
use self::reply::{Complaint, FullBody, text};
use super::cluster::Cluster;
use super::document::Documents;
use super::drain::{Drain, Phase};
use super::listen::Listening;
use super::logins::Caller;
use super::status::Statuses;
use super::titles::Titles;
use crate::io::door::{HEAD_TIMEOUT, Rewound};
use crate::io::link::Links;
use crate::io::password::{PasswordVerdict, Passwords, Secret};
use crate::wire::http::credentials;
use crate::wire::http::credentials::Credentials;
use crate::wire::http::forwarded::Client;
use crate::wire::http::reader::MAX_HEADERS;
use crate::wire::livez::{self, Nonce, ProofKeys};

/// How long a request may take in all: bodies are small, and a client that stalls is not waited for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The user that the cluster's admin password belongs to.
const ADMIN_USER: &str = "admin";

/// What the pages and the API need.
#[derive(Debug)]
pub struct AdminConfig {
    /// The mounts and the admin's password.
    pub documents: Documents,
    /// Who is there, and who holds the seat.
    pub cluster: Cluster,
    /// To tell everybody.
    pub links: Links,
    /// Takes this node out of service.
    pub drain: Drain,
    /// Where listeners are sent.
    pub listening: Listening,
    /// The mesh.
    pub statuses: Statuses,
    /// What is on air.
    pub titles: Titles,
    /// Checks passwords.
    pub passwords: Passwords,
    /// The token of this node.
    pub token: Secret,
    /// Whom to ask about this node, and where it stands.
    pub contact: Contact,
    /// Proves to peers that this is the node that they mean.
    pub proof_keys: ProofKeys,
}

/// A cheap, cloneable way to answer.
#[derive(Clone, Debug)]
pub struct Admin(Arc<AdminConfig>);

/// Whether a request may change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Granted,
    /// Without any login.
    Anonymous,
    /// With a login that is not accepted, and why.
    Denied(&'static str),
    Busy,
}

impl Admin {
    /// Answers with the help of these.
    pub fn new(config: AdminConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Answers the one request of a connection.
    pub async fn serve(&self, connection: Rewound, peer: SocketAddr, client: Client) {
        let caller = Caller::new(peer, client);
        let service = service_fn(|request| async move {
            Ok::<_, Infallible>(self.log(request, (caller, client)).await)
        });
        let serving = protocol().serve_connection(TokioIo::new(connection), service);
        match tokio::time::timeout(REQUEST_TIMEOUT, serving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_parse() => {
                info!(client = %client.ip, "refused: {error}");
            }
            Ok(Err(error)) => debug!(%error, "request broken off"),
            Err(_) => debug!("request took too long"),
        }
    }

    /// Answers, and tells the log what was wrong with a request.
    async fn log(&self, request: Request<Incoming>, who: (Caller, Client)) -> Response<FullBody> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.answer(request, who).await;
        if let Some(Complaint(why)) = answer.extensions().get() {
            let (status, client) = (answer.status().as_u16(), who.0.client);
            info!(%client, %method, path, status, "refused: {why}");
        }
        answer
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        (caller, client): (Caller, Client),
    ) -> Response<FullBody> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let reading = method == Method::GET || method == Method::HEAD;
        match path.as_str() {
            "/" if reading => self.page(&request, client),
            "/status.json" if reading => reply::json(StatusCode::OK, &self.0.statuses.status()),
            "/status-json.xsl" if reading => icecast_status::status_json(
                (&self.0.statuses.status(), &self.0.contact),
                request.uri().query().unwrap_or_default(),
                (client, host(&request)),
            ),
            "/load.xsl" if reading => {
                load_page::load_page(&self.0.statuses.status(), &self.0.documents.mounts())
            }
            livez::PATH | "/healthz" if reading => text(StatusCode::OK, self.alive(&request)),
            "/readyz" if reading => match self.0.drain.phase() {
                Phase::Serving => ready(self.0.documents.trouble()),
                Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            },
            steering::CANDIDATES if reading => steering::candidates(self, &request, client),
            _ if let Err(tricked) = browser::check(&request) => {
                reply::error(StatusCode::FORBIDDEN, tricked)
            }
            "/admin/metadata" => icecast::metadata(self, request, caller).await,
            _ if path.starts_with("/api/v1/") => {
                let right = self.right(&request, caller).await;
                match refusal(right, &user(&request), ("", caller)) {
                    None => self.manage(request).await,
                    Some(refusal) => refusal,
                }
            }
            "/" | "/status.json" => text(StatusCode::METHOD_NOT_ALLOWED, "read it with GET\n"),
            _ => reply::error(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    /// That this node lives; to a peer that wants it proved, with the proof.
    fn alive<T>(&self, request: &Request<T>) -> String {
        let query = request.uri().query().unwrap_or_default();
        let me = &self.0.links.hello().name;
        let proof = Nonce::of_query(query).map(|nonce| self.0.proof_keys.answer(me, nonce));
        proof.unwrap_or_else(|| "ok\n".to_owned())
    }

    async fn manage(&self, request: Request<Incoming>) -> Response<FullBody> {
        let path = request.uri().path();
        let below = |prefix: &str| {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if below(api::MOUNTS) {
            api::mounts(self, request).await
        } else if below(nodes::NODE) || below(nodes::NODES) {
            nodes::nodes(self, request).await
        } else if path == password::ADMIN {
            password::admin(self, request).await
        } else if path == steering::POLICY {
            steering::policy(self, request).await
        } else if path == steering::EXPLAIN {
            steering::explain(self, &request)
        } else if below(outside::OUTSIDE) {
            outside::outside(self, request).await
        } else {
            reply::error(StatusCode::NOT_FOUND, "there is nothing here")
        }
    }

    fn page<T>(&self, request: &Request<T>, client: Client) -> Response<FullBody> {
        let part = Part::from_query(request.uri().query().unwrap_or_default());
        let seen = Seen {
            status: &self.0.statuses.status(),
            now: SystemTime::now(),
            https: client.https,
        };
        let body = page::page(part, seen);
        Response::builder()
            .header("Content-Type", part.content_type())
            .header("Cache-Control", part.cache_control())
            .header(
                "Content-Security-Policy",
                page::CONTENT_SECURITY_POLICY.as_str(),
            )
            .header("X-Content-Type-Options", "nosniff")
            .body(body.into())
            .expect("these headers are constants")
    }

    /// Whether somebody may manage the mesh: by this node's token, or the cluster's admin password.
    async fn right<T>(&self, request: &Request<T>, caller: Caller) -> Right {
        let Some(header) = request.headers().get("authorization") else {
            return Right::Anonymous;
        };
        let header = header.to_str().unwrap_or_default();
        if let Some(token) = credentials::bearer(header) {
            let ours = self.0.token.reveal().as_bytes();
            let same = bool::from(ours.ct_eq(token.as_bytes()));
            return match same {
                true => Right::Granted,
                false => Right::Denied("wrong token"),
            };
        }
        match credentials::basic(header) {
            Some(credentials) => self.admin_right(credentials, caller).await,
            None => Right::Denied("no user and password in the login"),
        }
    }

    async fn admin_right(&self, credentials: Credentials, caller: Caller) -> Right {
        if credentials.user != ADMIN_USER {
            return Right::Denied("unknown user");
        }
        let Some(hash) = self.0.documents.admin_password_hash() else {
            return Right::Denied("there is no admin password yet");
        };
        let password = credentials.password.into();
        let checked = self.0.passwords.verify(&password, &hash, caller.client);
        right_by(checked.await)
    }
}

/// What the check of a password gives the right to.
fn right_by(verdict: PasswordVerdict) -> Right {
    match verdict {
        PasswordVerdict::Right => Right::Granted,
        PasswordVerdict::Busy => Right::Busy,
        PasswordVerdict::Wrong => Right::Denied("wrong password"),
        PasswordVerdict::BadHash => {
            warn!("a password is unusable: set another one");
            Right::Denied("the password here is unusable")
        }
    }
}

/// The user that a request logs in as; empty if there is none.
fn user<T>(request: &Request<T>) -> String {
    let header = request.headers().get("authorization");
    let header = header.and_then(|value| value.to_str().ok());
    let credentials = header.and_then(credentials::basic);
    credentials.map(|it| it.user).unwrap_or_default()
}

/// What somebody is answered who has not got the right, which is noted in the log.
fn refusal(
    right: Right,
    user: &str,
    (mount, caller): (&str, Caller),
) -> Option<Response<FullBody>> {
    match right {
        Right::Granted => None,
        Right::Anonymous => Some(reply::unauthorized()),
        Right::Denied(why) => {
            caller.note_refused(user, mount, why);
            Some(reply::unauthorized())
        }
        Right::Busy => {
            caller.note_put_off(user, mount);
            Some(reply::busy())
        }
    }
}

/// A node that takes no edits still serves whoever comes, so no balancer is to take it away: it says so in words.
fn ready(trouble: Option<String>) -> Response<FullBody> {
    match trouble {
        None => text(StatusCode::OK, "ok\n"),
        Some(why) => text(
            StatusCode::OK,
            format!("ok, but edits are refused: {why}\n"),
        ),
    }
}

/// The host that a request names.
fn host<T>(request: &Request<T>) -> Option<&str> {
    request.headers().get("host")?.to_str().ok()
}

/// How one request is read and answered.
///
/// A client that has closed is answered all the same: butt sends a title and closes without reading,
/// and hyper, left to itself, drops the request when it sees that.
fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .half_close(true);
    protocol
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::sync::{mpsc, oneshot};

    use super::*;

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
            let ending = tokio::time::timeout(REQUEST_TIMEOUT, beginning.recv()).await;
            assert_eq!(ending, Ok(Some("done")));
        };
        let (_served, ()) = tokio::join!(serving, leaving);
    }
}
