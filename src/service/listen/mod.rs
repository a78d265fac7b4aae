//! Listeners: each is served here, sent to where there is most room for it, or told why not.
//!
//! A listener that was sent here is served here or refused, never sent on: a player that comes back to such an address
//! would otherwise be sent in circles.

mod addresses;
mod admission;
mod engine;
mod probes;
mod visit;

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::field::display;
use tracing::{Instrument as _, debug, info, info_span};

pub use self::addresses::{Alternative, Explained, MAX_CANDIDATES, PlaylistRequest};
use self::admission::{LetIn, turn_away};
pub use self::engine::Engine;
use self::probes::Probes;
pub use self::visit::BURST;
use self::visit::Visit;
use super::audience::{Attendee, Audience};
use super::geo::Geo;
use super::ingest::answer_and_drain;
use super::intro::Intros;
use super::ladders::Ladders;
use super::load::Load;
use super::logins::Logins;
use super::mesh::Mesh;
use super::relay::Relays;
use super::wants::{Want, Wants};
use crate::io::door::Visitor;
use crate::io::pacer::Pacer;
use crate::io::{answer, clock};
use crate::model::fallback::MAX_FALLBACKS;
use crate::model::http_header::ExtraHeaders;
use crate::model::mount::MountName;
use crate::proto::listener::{
    Arrival, ListenerContext, ListenerQuestion, Reserve, Verdict, is_not_redirected,
};
use crate::proto::making::{Making, making};
use crate::proto::on_air;
use crate::proto::view::MeshView;
use crate::wire::http::forwarded::Client;
use crate::wire::http::head::{Head, Method};
use crate::wire::http::reply::{Persistence, Reply};
use crate::wire::http::status::HttpStatus;
use crate::wire::icecast::passthrough::{Passthrough, TagKey};
use crate::wire::icecast::token::TokenKeys;
use crate::wire::icecast::upstream::MESH_HEADER;

/// How long gossip may take to tell of a source: two rounds, and the look of this node at what was said.
const GOSSIP_DELAY: Duration = Duration::from_millis(700);
/// How long a listener waits for a stream that is made on demand. A program takes some seconds to start on a small machine.
const DEMAND_LIMIT: Duration = Duration::from_secs(10);
/// The shortest wait that a full mesh asks for, seconds.
const RETRY_AFTER_MIN_S: u32 = 5;
/// The wait is spread over so many seconds more, so that the refused do not all come back at once.
const RETRY_AFTER_SPREAD_S: f64 = 10.0;

/// The answer to a listener that may not hear a mount in its country.
const NOT_IN_COUNTRY: &str = "not available in your country";

/// The answer to an outside relay of this very mesh.
const LOOP: &str = "this is the mesh that asks: its relay setting must name the server from which the stream comes";

/// The services that serving a listener needs.
#[derive(Debug)]
pub struct ListenConfig {
    /// The mounts, and the nodes that hold their streams.
    pub mesh: Mesh,
    /// The table.
    pub load: Load,
    /// Fetches streams.
    pub relays: Relays,
    /// Has what the listeners of each mount hear.
    pub ladders: Ladders,
    /// Writes to the listeners.
    pub pacer: Pacer,
    /// Has what is written to them.
    pub engine: Engine,
    /// Knows the listeners of this node.
    pub audience: Audience,
    /// Has what listeners hear before the stream.
    pub intros: Intros,
    /// Has streams made that are made on demand only.
    pub wants: Wants,
    /// Looks up where listeners are.
    pub geo: Geo,
    /// Marks the addresses of listeners that are sent on.
    pub tag_key: TagKey,
    /// Checks who may listen.
    pub logins: Logins,
    /// Sign tokens, by which listeners are let in.
    pub token_keys: TokenKeys,
    /// The cluster's fingerprint, by which a request of its own outside relays is recognised.
    pub fingerprint: watch::Receiver<String>,
}

/// How a listener came to ask here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// By the mount's own address: any node may serve it.
    Front,
    /// By the address that it was sent to: it is never sent on.
    Passthrough(Passthrough),
}

/// A GET or HEAD of a mount.
#[derive(Debug)]
pub struct ListenRequest<'a> {
    /// The head of the request.
    pub head: &'a Head,
    /// The mount.
    pub mount: MountName,
    /// The address by which the mount is asked for.
    pub entrance: Entrance,
}

/// A request for a mount, and its client.
#[derive(Clone, Copy, Debug)]
struct MountRequest<'a> {
    mount: &'a MountName,
    entrance: &'a Entrance,
    head: &'a Head,
    client: Client,
    let_in: &'a LetIn,
}

impl MountRequest<'_> {
    /// Whether the request is a HEAD, which begins no stream.
    fn looks_only(&self) -> bool {
        *self.head.method() == Method::Head
    }
}

/// The use of the connection after an answer.
#[derive(Debug)]
pub enum After {
    /// The next request may come on it.
    Next(Visitor),
    /// No request can follow.
    Over,
}

#[derive(Debug)]
struct Inner {
    config: ListenConfig,
    /// The answers to probes: the player's next request is answered the same.
    probes: Probes<Verdict>,
    /// The listeners that are probes: the player's next request takes over their place.
    places: Probes<Weak<Attendee>>,
}

/// A cheap, cloneable way to serve listeners.
#[derive(Clone, Debug)]
pub struct Listening(Arc<Inner>);

impl Listening {
    /// Serves listeners by these services.
    pub fn new(config: ListenConfig) -> Self {
        Self(Arc::new(Inner {
            config,
            probes: Probes::default(),
            places: Probes::default(),
        }))
    }

    /// Whether there is such a mount.
    pub fn has_mount(&self, mount: &MountName) -> bool {
        self.0.config.mesh.documents.mounts().contains_key(mount)
    }

    /// The operator's headers for the answers to listeners of a mount.
    pub fn headers_of(&self, mount: &MountName) -> ExtraHeaders {
        let mounts = self.0.config.mesh.documents.mounts();
        mounts
            .get(mount)
            .map(|spec| spec.http_headers.clone())
            .unwrap_or_default()
    }

    /// Whether a listener is sent nowhere: by the mount's settings, by its player, or because it says so.
    pub fn is_kept_here(&self, mount: &MountName, head: &Head) -> bool {
        let documents = &self.0.config.mesh.documents;
        let (mounts, steering) = (documents.mounts(), documents.steering());
        mounts.get(mount).is_some_and(|spec| {
            let query = head.query().unwrap_or_default();
            let agent = head.header("user-agent").unwrap_or_default();
            is_not_redirected(query, agent, &spec.steering, &steering.mesh)
        })
    }

    /// Answers a GET or HEAD of a mount. `reply` says whether another request may follow an answer that is no stream.
    pub async fn serve(&self, visitor: Visitor, request: ListenRequest<'_>, reply: Reply) -> After {
        let ListenRequest {
            head,
            mount,
            entrance,
        } = request;
        if self.is_our_own(head) {
            info!(%mount, peer = %visitor.peer, "refused: an outside relay of this mesh asks this mesh");
            let answer = reply.message(HttpStatus::LoopDetected, LOOP, &[]);
            return send(visitor, &answer, &reply).await;
        }
        let let_in = match self.let_in(&visitor, head, &mount).await {
            Ok(let_in) => let_in,
            Err(why) => return turn_away(visitor, &reply, why).await,
        };
        let asking = MountRequest {
            mount: &mount,
            entrance: &entrance,
            head,
            client: visitor.client,
            let_in: &let_in,
        };
        let (mount, verdict) = self.decide_with_fallbacks(asking);
        let asking = MountRequest {
            mount: &mount,
            ..asking
        };
        if let Some(location) = self.location(&verdict, asking) {
            // In a rush nearly all are sent on, and nothing else happens to them: that is worth no span.
            return redirect(visitor, &reply, &location).await;
        }
        let client = visitor.behind_proxy().map(display);
        let span = info_span!("listener", peer = %visitor.peer, client, %mount);
        let serving = async {
            let _want = self.summon(asking);
            let verdict = match verdict {
                // A HEAD is told what is now.
                Verdict::NoSource if !asking.looks_only() && self.wait_for_source(&mount).await => {
                    self.decide(asking)
                }
                verdict => verdict,
            };
            match verdict {
                Verdict::Serve(_) if asking.looks_only() => {
                    self.show_head(visitor, head, &mount, reply.and_close())
                        .await
                }
                Verdict::Serve(_) => {
                    let visit = Visit {
                        visitor,
                        head,
                        mount: mount.clone(),
                        entrance: entrance.clone(),
                        let_in: &let_in,
                    };
                    self.begin(visit, reply.and_close()).await
                }
                verdict @ Verdict::NodeFull(_) => {
                    let sender = self.sender(&entrance);
                    self.0.config.load.note_arrived(sender);
                    refuse(visitor, &reply, &mount, verdict).await
                }
                verdict => match self.location(&verdict, asking) {
                    Some(location) => redirect(visitor, &reply, &location).await,
                    None => refuse(visitor, &reply, &mount, verdict).await,
                },
            }
        };
        serving.instrument(span).await
    }

    /// Decides about a request; if the mount is full, about one for the fallback that is heard then. Returns its mount.
    fn decide_with_fallbacks(&self, asking: MountRequest<'_>) -> (MountName, Verdict) {
        let mut mount = asking.mount.clone();
        for _ in 0..=MAX_FALLBACKS {
            let asking = MountRequest {
                mount: &mount,
                ..asking
            };
            match self.decide(asking) {
                Verdict::Instead(fallback) => mount = fallback,
                verdict => return (mount, verdict),
            }
        }
        (mount, Verdict::MountFull)
    }

    /// Whether a request comes from an outside relay of this mesh: its stream would be its own.
    fn is_our_own(&self, head: &Head) -> bool {
        let mark = head.header(MESH_HEADER);
        mark.is_some_and(|mark| mark == self.0.config.fingerprint.borrow().as_str())
    }

    /// Decides about a request. A player that has just probed, as Safari does, is answered the same.
    fn decide(&self, asking: MountRequest<'_>) -> Verdict {
        if asking.looks_only() || *asking.entrance != Entrance::Front {
            return self.answer(asking);
        }
        let before = self.0.probes.take(&asking);
        let verdict = before.unwrap_or_else(|| self.answer(asking));
        let is_good = matches!(verdict, Verdict::Serve(_) | Verdict::Redirect(_));
        if is_good && probes::is_probe(asking.head) {
            self.0.probes.note(&asking, verdict.clone());
        }
        verdict
    }

    fn answer(&self, asking: MountRequest<'_>) -> Verdict {
        let has_place = self.0.places.waits_for(&asking);
        let arrival = match asking.entrance {
            Entrance::Front => Arrival::Front,
            Entrance::Passthrough(_) if has_place || self.sender(asking.entrance).is_some() => {
                Arrival::Sent
            }
            Entrance::Passthrough(_) => Arrival::Kept,
        };
        let question = ListenerQuestion {
            arrival,
            has_place,
            is_head: asking.looks_only(),
            agent: asking.head.header("user-agent").unwrap_or_default(),
            query: asking.head.query().unwrap_or_default(),
            ..self.question(asking.mount, asking.client)
        };
        let load = &self.0.config.load;
        self.with_context(asking.mount, |context| {
            load.answer(&question, context, Reserve::Yes)
        })
    }

    /// The question of a listener that asks for a mount by its own address, and of which no more is known.
    fn question<'a>(&self, mount: &'a MountName, client: Client) -> ListenerQuestion<'a> {
        ListenerQuestion {
            mount,
            client,
            place: self.0.config.geo.whereabouts(client.ip),
            arrival: Arrival::Front,
            has_place: false,
            is_head: false,
            agent: "",
            query: "",
        }
    }

    /// Calls `decide` with all that an answer about a mount depends on.
    fn with_context<T>(
        &self,
        mount: &MountName,
        decide: impl FnOnce(&ListenerContext<'_>) -> T,
    ) -> T {
        let config = &self.0.config;
        let documents = &config.mesh.documents;
        let (mounts, steering) = (documents.mounts(), documents.steering());
        let view = config.mesh.cluster.view();
        decide(&ListenerContext {
            mounts: &mounts,
            steering: &steering,
            view: &view,
            held_here: config.relays.listeners_here(mount),
            now: clock::now(),
            now_unix_s: clock::unix_s() as u32, // wraps in 2106, as tags do
        })
    }

    /// Has the stream that is asked for made, if it is made on demand only, and can be.
    fn summon(&self, asking: MountRequest<'_>) -> Option<Want> {
        let is_made = self.making(asking.mount) != Making::Never && !asking.looks_only();
        is_made.then(|| self.0.config.wants.want(asking.mount))
    }

    /// Whether a listener without another choice waits for a mount's stream that is made on demand.
    fn is_worth_waiting(&self, mount: &MountName) -> bool {
        matches!(self.making(mount), Making::Promised | Making::Doubtful(_))
    }

    fn making(&self, mount: &MountName) -> Making {
        let mesh = &self.0.config.mesh;
        making(mount, &mesh.documents.mounts(), &mesh.cluster.view())
    }

    /// Waits a moment for a source that has just connected somewhere: gossip tells of it two rounds later. A stream that is
    /// made on demand is waited for longer.
    async fn wait_for_source(&self, mount: &MountName) -> bool {
        let mut view = self.0.config.mesh.cluster.watch();
        let mounts = self.0.config.mesh.documents.mounts();
        let has_stream = |view: &Arc<MeshView>| {
            let unix_s = clock::unix_s();
            let fallback = |spec| on_air::fallback_on_air(unix_s, spec, &mounts, view);
            view.holders(mount).next().is_some() || mounts.get(mount).and_then(fallback).is_some()
        };
        let on_air = async {
            tokio::select! {
                _ = view.wait_for(has_stream) => {}
                () = self.0.config.relays.wait_until_held(mount) => {}
            }
        };
        let patience = match self.is_worth_waiting(mount) {
            true => DEMAND_LIMIT,
            false => GOSSIP_DELAY,
        };
        timeout(patience, on_air).await.is_ok()
    }
}

async fn redirect(visitor: Visitor, reply: &Reply, location: &str) -> After {
    // Without the query, which may hold a secret.
    let to = location.split('?').next();
    debug!(peer = %visitor.peer, to, "redirected");
    let answer = reply.redirect(location);
    send(visitor, &answer, reply).await
}

/// Answers a listener that is neither served here nor sent on.
async fn refuse(visitor: Visitor, reply: &Reply, mount: &MountName, verdict: Verdict) -> After {
    let answer = match verdict {
        Verdict::MountFull | Verdict::Instead(_) => reply.forbidden("max listeners reached"),
        Verdict::NotInCountry => {
            info!("refused: not to be heard in that country");
            reply.forbidden(NOT_IN_COUNTRY)
        }
        Verdict::NoSource => no_source(reply, mount),
        Verdict::NoSuchMount => reply.not_found(),
        // To serve is carried out elsewhere, and so is to redirect, unless the chosen node has just left.
        Verdict::NodeFull(_) | Verdict::NoRoom | Verdict::Serve(_) | Verdict::Redirect(_) => {
            let who = match verdict {
                Verdict::NodeFull(_) => "this node is full",
                _ => "nobody has room",
            };
            info!("refused: {who}");
            // What a full node has least of is connections.
            let reply = reply.and_close();
            return send(visitor, &unavailable(&reply), &reply).await;
        }
    };
    send(visitor, &answer, reply).await
}

fn unavailable(reply: &Reply) -> Bytes {
    let retry_after_s = RETRY_AFTER_MIN_S + (clock::random_share() * RETRY_AFTER_SPREAD_S) as u32;
    reply.unavailable(
        "all nodes are full, please try again in a moment",
        retry_after_s,
    )
}

fn no_source(reply: &Reply, mount: &MountName) -> Bytes {
    reply.message(
        HttpStatus::NotFound,
        &format!("{mount} is not on air now"),
        &[],
    )
}

/// Sends an answer. The next request may come behind it, if it has gone and the client wants that.
pub(super) async fn send(mut visitor: Visitor, answer: &[u8], reply: &Reply) -> After {
    if reply.persistence() == Persistence::Close {
        answer_and_drain(&mut visitor.stream, answer).await;
        return After::Over;
    }
    match answer::send(&mut visitor.stream, answer).await {
        Ok(()) => After::Next(visitor),
        Err(error) => {
            debug!(%error, "the answer did not arrive");
            After::Over
        }
    }
}
