//! What a listener that asks for a mount is answered: one question, one verdict, whoever wants to know it.
//!
//! A listener that was sent here is served here or refused, never sent on: a player that comes back to such an address
//! would otherwise be sent in circles.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::logic::policy::Choice;
use crate::logic::records::steering::{MeshSettings, Steering};
use crate::model::geo::Whereabouts;
use crate::model::mount::{MountName, MountSpec, MountSteering};
use crate::model::network::Family;
use crate::model::node::NodeName;
use crate::proto::table::{Among, Ask, Chosen, LoadTable};
use crate::proto::view::MeshView;
use crate::wire::http::forwarded::Client;
use crate::wire::icecast::passthrough::Minted;

/// Somebody's request for a mount.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is asked for.
    pub mount: &'a MountName,
    /// Who asks.
    pub client: Client,
    /// Where that is.
    pub place: Whereabouts,
    /// By which address it asks.
    pub arrival: Arrival,
    /// Whether it asks with HEAD, and nobody listens.
    pub looks_only: bool,
    /// What the player calls itself; empty if it does not say.
    pub agent: &'a str,
    /// The query of its address; empty if there is none.
    pub query: &'a str,
}

/// By which address a listener asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// By the mount's own: any node may serve it.
    Front,
    /// By the one that a node has sent it to a moment ago.
    Sent,
    /// By one that somebody was sent to, and that it has kept.
    Kept,
}

/// What an answer depends on besides the table.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// All mounts.
    pub mounts: &'a BTreeMap<MountName, MountSpec>,
    /// What operators say of the mesh.
    pub steering: &'a Steering,
    /// The mesh.
    pub view: &'a MeshView,
    /// Whether this node holds the mount's stream itself, whatever the view says yet.
    pub is_held_here: bool,
    /// Now.
    pub now: Instant,
    /// Now by the clock on the wall, as tags hold it.
    pub now_unix_s: u32,
}

/// Whether the listener goes where it is told to now, so that a place there counts as taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// It does.
    Yes,
    /// Somebody only wants to know.
    No,
}

/// What to do with a request for a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is served here.
    Serve(Because),
    /// It is sent to this place.
    Redirect(Destination),
    /// There is no such mount.
    NoSuchMount,
    /// Nobody has the stream.
    NoSource,
    /// The mount may not be heard where it is.
    NotInCountry,
    /// The mount has all the listeners that it may have.
    MountFull,
    /// No node has room.
    NobodyHasRoom,
}

/// Why a request is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// This node was chosen.
    Chosen,
    /// The mount is not redirected, or this player is not.
    NotRedirected,
    /// It was sent here.
    SentHere,
    /// It only looks, and any node can tell.
    LooksOnly,
}

/// Where a listener is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To a node or the row of an outside server; with a tag if it is expected there.
    Row(NodeName, Option<Minted>),
    /// To where the mount's operator wants those for whom there is no room.
    Overflow(String),
}

/// Answers a question. With [`Reserve::No`] nothing is changed: the answer is the one that the next such listener gets.
pub fn answer(
    question: &Question<'_>,
    grounds: &Grounds<'_>,
    table: &mut LoadTable,
    reserve: Reserve,
) -> Verdict {
    let Some(spec) = grounds.mounts.get(question.mount) else {
        return Verdict::NoSuchMount;
    };
    if !spec.steering.countries.admits(question.place.country) {
        return Verdict::NotInCountry;
    }
    match question.arrival {
        Arrival::Front => {}
        // Whoever was sent has been let in where it asked first. Others come by an address that they have kept.
        Arrival::Kept if is_full(grounds.view, spec) => return Verdict::MountFull,
        Arrival::Sent | Arrival::Kept => return Verdict::Serve(Because::SentHere),
    }
    let ask = ask(question, spec, grounds);
    if ask.among == Among::Outside && !table.is_outside(question.mount) {
        return Verdict::NoSource;
    }
    if question.looks_only {
        return look(&ask, table, grounds.now);
    }
    if is_full(grounds.view, spec) {
        return overflow(spec, question.client, Verdict::MountFull);
    }
    if ask.among == Among::All && stays(question, &spec.steering, &grounds.steering.mesh) {
        return Verdict::Serve(Because::NotRedirected);
    }
    let Chosen { choice, reserved } = match reserve {
        Reserve::Yes => table.choose(&ask, question.client.ip, grounds.now, grounds.now_unix_s),
        Reserve::No => Chosen {
            choice: table.foresee(&ask, grounds.now),
            reserved: None,
        },
    };
    match choice {
        Choice::Here => Verdict::Serve(Because::Chosen),
        Choice::Redirect(to) => Verdict::Redirect(Destination::Row(to, reserved)),
        Choice::Full => overflow(spec, question.client, Verdict::NobodyHasRoom),
    }
}

/// What the table is asked for such a listener.
pub fn ask<'a>(question: &Question<'_>, spec: &'a MountSpec, grounds: &Grounds<'_>) -> Ask<'a> {
    let mut holders = grounds.view.holders(&spec.path);
    let is_ours = grounds.is_held_here || holders.next().is_some();
    Ask {
        mount: &spec.path,
        place: question.place,
        among: if is_ours { Among::All } else { Among::Outside },
        https: question.client.https,
        family: Some(Family::of(question.client.ip)),
        full_at: full_at(&spec.steering),
    }
}

/// Answers whoever only looks: a node of ours can tell what an outside server would.
fn look(ask: &Ask<'_>, table: &mut LoadTable, now: Instant) -> Verdict {
    if ask.among == Among::All {
        return Verdict::Serve(Because::LooksOnly);
    }
    match table.rank(ask, 1, now).pop() {
        Some(best) => Verdict::Redirect(Destination::Row(best, None)),
        None => Verdict::NobodyHasRoom,
    }
}

/// Whether somebody is served by the very node that it asks, because it, the mount's operator, or the mesh's, says so.
fn stays(question: &Question<'_>, mount: &MountSteering, mesh: &MeshSettings) -> bool {
    let mut pairs = question.query.split('&');
    if !mount.redirect || pairs.any(|pair| pair == "redirect=no") {
        return true;
    }
    if mesh.proxy_agents.is_empty() {
        return false;
    }
    let agent = question.agent.to_ascii_lowercase();
    let mut known = mesh.proxy_agents.iter();
    known.any(|known| agent.contains(&known.to_ascii_lowercase()))
}

/// Whether the mount has as many listeners in the whole mesh as its operator allows.
fn is_full(view: &MeshView, spec: &MountSpec) -> bool {
    let Some(most) = spec.max_listeners else {
        return false;
    };
    let cards = view.holders(&spec.path).map(|(_, card)| card);
    cards.fold(0_u32, |sum, card| sum.saturating_add(card.listeners)) >= most
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
        true => Verdict::Redirect(Destination::Overflow(url.clone())),
        false => else_verdict,
    }
}

impl Verdict {
    /// The verdict in words, for operators.
    pub fn in_words(&self) -> String {
        match self {
            Self::Serve(Because::NotRedirected) => {
                "served at this node, because the mount is not redirected".to_owned()
            }
            Self::Serve(_) => "served at this node".to_owned(),
            Self::Redirect(Destination::Row(to, _)) => format!("sent to {to}"),
            Self::Redirect(Destination::Overflow(url)) => {
                format!("sent to {url}, because there is no room here")
            }
            Self::NoSuchMount => "404, there is no such mount".to_owned(),
            Self::NoSource => "404, not on air".to_owned(),
            Self::NotInCountry => "403, not to be heard in that country".to_owned(),
            Self::MountFull => "403, the mount has all the listeners that it may have".to_owned(),
            Self::NobodyHasRoom => "503, there is no room".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
