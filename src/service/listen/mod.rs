//! Listeners: each is served here, sent to where there is most room for him, or told why not.
//!
//! Who was sent here is served here or refused, never sent on: a player that comes back to such an address would
//! otherwise be sent in circles.

mod addresses;
mod occupancy;
mod probes;
mod visit;

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tracing::field::display;
use tracing::{Instrument as _, debug, info, info_span};

pub use self::addresses::{Candidate, Explained, MAX_CANDIDATES};
use self::occupancy::Occupancy;
use self::probes::Probes;
use self::visit::Visit;
use super::cluster::Cluster;
use super::document::Documents;
use super::geo::Geo;
use super::load::Load;
use super::pacers::PacerHandle;
use super::relay::Relays;
use crate::io::door::Visitor;
use crate::io::{answer, clock};
use crate::logic::policy::Choice;
use crate::model::mount::{MountName, MountSpec, MountSteering};
use crate::model::network::Family;
use crate::proto::table::{Among, Ask, Chosen};
use crate::proto::view::MeshView;
use crate::wire::http::forwarded::Client;
use crate::wire::http::head::{Head, Method};
use crate::wire::http::reply::{Persistence, Reply};
use crate::wire::http::status::HttpStatus;
use crate::wire::icecast::passthrough::{Passthrough, TagKey};

/// How long gossip may take to tell of a source: two rounds, and the look of this node at what was said.
const GOSSIP_DELAY: Duration = Duration::from_millis(700);
/// The shortest wait that a full mesh asks for, seconds.
const RETRY_AFTER_MIN_S: u32 = 5;
/// The wait is spread over so many seconds more, so that those who were refused do not all come back at once.
const RETRY_AFTER_SPREAD_S: f64 = 10.0;

/// What a listener reads who may not hear a mount where he is.
const NOT_IN_HIS_COUNTRY: &str = "not available in your country";

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
    /// Where listeners are.
    pub geo: Geo,
    /// Marks those who are sent on.
    pub tag_key: TagKey,
}

/// How somebody came to ask here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// By the mount's own address: any node may serve him.
    Front,
    /// By the address that somebody was sent to: he is never sent on.
    Passthrough(Passthrough),
}

/// A request for a mount.
#[derive(Clone, Copy, Debug)]
struct Asking<'a> {
    mount: &'a MountName,
    entrance: &'a Entrance,
    head: &'a Head,
    client: Client,
}

impl Asking<'_> {
    /// Whether it asks with HEAD, and nobody listens.
    fn looks_only(&self) -> bool {
        *self.head.method() == Method::Head
    }
}

/// What to do with a request for a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// He listens here.
    Serve,
    /// He is sent to this address.
    Redirect(String),
    NoSuchMount,
    NoSource,
    NotInHisCountry,
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

#[derive(Debug)]
struct Inner {
    config: ListenConfig,
    /// What those were answered who first look, so that they are answered the same.
    probes: Probes<Verdict>,
    /// The places of those who look here, as long as they have them.
    places: Probes<Weak<Occupancy>>,
}

/// A cheap, cloneable way to serve listeners.
#[derive(Clone, Debug)]
pub struct Listening(Arc<Inner>);

impl Listening {
    /// Serves with the help of these.
    pub fn new(config: ListenConfig) -> Self {
        Self(Arc::new(Inner {
            config,
            probes: Probes::default(),
            places: Probes::default(),
        }))
    }

    /// Answers a GET or HEAD of a mount.
    pub async fn serve(
        &self,
        visitor: Visitor,
        head: &Head,
        (mount, entrance): (MountName, Entrance),
    ) -> After {
        let reply = Reply::to(head, clock::unix_ms() / 1_000);
        let asking = Asking {
            mount: &mount,
            entrance: &entrance,
            head,
            client: visitor.client,
        };
        let verdict = self.decide(asking);
        if let Verdict::Redirect(location) = verdict {
            // In a rush nearly all are sent on, and nothing else happens to them: that is worth no span.
            return redirect(visitor, &reply, &location).await;
        }
        let client = visitor.behind_proxy().map(display);
        let span = info_span!("listener", peer = %visitor.peer, client, %mount);
        let serving = async {
            let verdict = match verdict {
                // Whoever only looks is told what is now.
                Verdict::NoSource if !asking.looks_only() && self.comes_on_air(&mount).await => {
                    self.decide(asking)
                }
                verdict => verdict,
            };
            match verdict {
                Verdict::Serve if asking.looks_only() => {
                    self.show_head(visitor, mount.clone(), reply.and_close())
                        .await
                }
                Verdict::Serve => {
                    let visit = Visit {
                        visitor,
                        head,
                        mount: mount.clone(),
                        entrance: entrance.clone(),
                    };
                    self.begin(visit, reply.and_close()).await
                }
                Verdict::Redirect(location) => redirect(visitor, &reply, &location).await,
                verdict => turn_away(visitor, &reply, (&mount, verdict)).await,
            }
        };
        serving.instrument(span).await
    }

    /// What to do with a request. Whoever has just looked, as Safari does, is answered the same.
    fn decide(&self, asking: Asking<'_>) -> Verdict {
        if asking.looks_only() || *asking.entrance != Entrance::Front {
            return self.judge(asking);
        }
        let before = self.0.probes.take(&asking);
        let verdict = before.unwrap_or_else(|| self.judge(asking));
        if probes::is_probe(asking.head) && matches!(verdict, Verdict::Serve | Verdict::Redirect(_))
        {
            self.0.probes.note(&asking, verdict.clone());
        }
        verdict
    }

    fn judge(&self, asking: Asking<'_>) -> Verdict {
        let (config, mount) = (&self.0.config, asking.mount);
        let mounts = config.documents.mounts();
        let Some(spec) = mounts.get(mount) else {
            return Verdict::NoSuchMount;
        };
        let ask = self.ask(spec, asking.client);
        if !spec.steering.countries.admits(ask.place.country) {
            return Verdict::NotInHisCountry;
        }
        if let Entrance::Passthrough(_) = asking.entrance {
            // Whoever was sent has been let in where he asked first. Others come by an address that they have kept.
            let known = self.sender(asking.entrance).is_some() || self.0.places.waits_for(&asking);
            return match !known && is_full(&config.cluster.view(), spec) {
                true => Verdict::MountFull,
                false => Verdict::Serve,
            };
        }
        if ask.among == Among::Outside && !config.load.is_outside(mount) {
            return Verdict::NoSource;
        }
        if ask.among == Among::All && asking.looks_only() {
            return Verdict::Serve;
        }
        if asking.looks_only() {
            let best = config.load.rank(&ask, 1).pop();
            let location = best.and_then(|to| self.location((&to, None), asking));
            return location.map_or(Verdict::NobodyHasRoom, Verdict::Redirect);
        }
        if is_full(&config.cluster.view(), spec) {
            return overflow(spec, asking.client, Verdict::MountFull);
        }
        if ask.among == Among::All && self.stays(asking, &spec.steering) {
            return Verdict::Serve;
        }
        self.steer(asking, (spec, &ask))
    }

    /// What the table is asked for such a listener.
    fn ask<'a>(&self, spec: &'a MountSpec, client: Client) -> Ask<'a> {
        let config = &self.0.config;
        let view = config.cluster.view();
        let is_ours = view.holders(&spec.path).next().is_some() || config.relays.holds(&spec.path);
        Ask {
            mount: &spec.path,
            place: config.geo.whereabouts(client.ip),
            among: if is_ours { Among::All } else { Among::Outside },
            https: client.https,
            family: Some(Family::of(client.ip)),
            full_at: full_at(&spec.steering),
        }
    }

    /// Chooses where a listener goes.
    fn steer(&self, asking: Asking<'_>, (spec, ask): (&MountSpec, &Ask<'_>)) -> Verdict {
        let Chosen { choice, reserved } = self.0.config.load.choose(ask, asking.client.ip);
        match choice {
            Choice::Here => Verdict::Serve,
            Choice::Redirect(to) => {
                // It may have left in this very moment.
                let location = self.location((&to, reserved), asking);
                location.map_or(Verdict::NobodyHasRoom, Verdict::Redirect)
            }
            Choice::Full => overflow(spec, asking.client, Verdict::NobodyHasRoom),
        }
    }

    /// Whether somebody is served by the very node that he asks, because he, the mount's operator, or the mesh's, says
    /// so.
    fn stays(&self, asking: Asking<'_>, steering: &MountSteering) -> bool {
        let query = asking.head.query().unwrap_or_default();
        if !steering.redirect || query.split('&').any(|pair| pair == "redirect=no") {
            return true;
        }
        let agent = asking.head.header("user-agent").unwrap_or_default();
        let said = self.0.config.documents.steering();
        if said.proxy_agents.is_empty() {
            return false;
        }
        let agent = agent.to_ascii_lowercase();
        let mut known = said.proxy_agents.iter();
        known.any(|known| agent.contains(&known.to_ascii_lowercase()))
    }

    /// Waits a moment for a source that has just connected somewhere: gossip tells of it two rounds later.
    async fn comes_on_air(&self, mount: &MountName) -> bool {
        let mut view = self.0.config.cluster.watch();
        let on_air = view.wait_for(|view| view.holders(mount).next().is_some());
        timeout(GOSSIP_DELAY, on_air).await.is_ok()
    }
}

/// How full the chosen node may be: to the brim, unless listeners overflow before.
fn full_at(steering: &MountSteering) -> f64 {
    if steering.overflow_url.is_empty() {
        return f64::INFINITY; // the choosing itself knows when a node is full
    }
    f64::from(steering.overflow_percent) / 100.0
}

/// Where those go for whom there is no room. Who speaks HTTPS is not sent to where it isn't spoken.
fn overflow(spec: &MountSpec, client: Client, else_verdict: Verdict) -> Verdict {
    let url = &spec.steering.overflow_url;
    match !url.is_empty() && (!client.https || url.starts_with("https://")) {
        true => Verdict::Redirect(url.clone()),
        false => else_verdict,
    }
}

async fn redirect(visitor: Visitor, reply: &Reply, location: &str) -> After {
    // Without the query, which may hold what is nobody's business.
    let to = location.split('?').next();
    debug!(peer = %visitor.peer, to, "redirected");
    let answer = reply.redirect(location);
    send(visitor, &answer, reply).await
}

/// Answers whoever is neither served here nor sent on.
async fn turn_away(
    visitor: Visitor,
    reply: &Reply,
    (mount, verdict): (&MountName, Verdict),
) -> After {
    let answer = match verdict {
        Verdict::MountFull => reply.forbidden("max listeners reached"),
        Verdict::NotInHisCountry => {
            info!("refused: not to be heard in his country");
            reply.forbidden(NOT_IN_HIS_COUNTRY)
        }
        Verdict::NoSource => no_source(reply, mount),
        Verdict::NoSuchMount => reply.not_found(),
        // Verdicts to serve and to redirect are carried out elsewhere.
        Verdict::NobodyHasRoom | Verdict::Serve | Verdict::Redirect(_) => {
            info!("refused: nobody has room");
            // What a full node has least of is connections.
            let reply = reply.and_close();
            return send(visitor, &unavailable(&reply), &reply).await;
        }
    };
    send(visitor, &answer, reply).await
}

/// Whether the mount has as many listeners in the whole mesh as its operator allows.
fn is_full(view: &MeshView, spec: &MountSpec) -> bool {
    let cards = view.holders(&spec.path).map(|(_, card)| card);
    let listeners = cards.fold(0_u32, |sum, card| sum.saturating_add(card.listeners));
    spec.max_listeners.is_some_and(|most| listeners >= most)
}

fn unavailable(reply: &Reply) -> Bytes {
    let retry_after_s = RETRY_AFTER_MIN_S + (clock::luck() * RETRY_AFTER_SPREAD_S) as u32;
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
async fn send(mut visitor: Visitor, answer: &[u8], reply: &Reply) -> After {
    match answer::send(&mut visitor.stream, answer).await {
        Ok(()) if reply.persistence() == Persistence::KeepAlive => After::Next(visitor),
        Ok(()) => After::Over,
        Err(error) => {
            debug!(%error, "the answer did not arrive");
            After::Over
        }
    }
}
