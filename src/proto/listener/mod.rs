//! The answer to a listener that asks for a mount: one question, one verdict, for listeners and for `explain`.
//!
//! A listener that was sent here is served here or refused, and never redirected again: it could be sent in circles.

pub mod prospect;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::logic::policy::Choice;
use crate::logic::records::steering::{MeshSettings, Steering};
use crate::model::geo::Whereabouts;
use crate::model::mount::{MountName, MountSpec, MountSteering};
use crate::model::network::Family;
use crate::model::node::NodeName;
use crate::proto::on_air::{fallback_mount_on_air, fallback_on_air};
use crate::proto::table::{Among, Ask, Chosen, LoadTable};
use crate::proto::view::MeshView;
use crate::wire::http::forwarded::Client;
use crate::wire::icecast::passthrough::Minted;

/// A request for a mount.
#[derive(Clone, Copy, Debug)]
pub struct ListenerQuestion<'a> {
    /// The mount.
    pub mount: &'a MountName,
    /// The client.
    pub client: Client,
    /// The client's place on earth.
    pub place: Whereabouts,
    /// The kind of address that it asks by.
    pub arrival: Arrival,
    /// Whether it has a place here already, which its probe took a moment ago.
    pub has_place: bool,
    /// Whether the method is HEAD: nothing will be streamed.
    pub is_head: bool,
    /// The player's User-Agent, or empty.
    pub agent: &'a str,
    /// The query of its address, or empty.
    pub query: &'a str,
}

/// The kind of address that a listener asks by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The mount's own address: any node may serve it.
    Front,
    /// An address that a node has redirected it to a moment ago.
    Sent,
    /// An address of an earlier redirect, which the player has kept.
    Kept,
}

/// The state of the mesh that a verdict depends on, besides the table.
#[derive(Clone, Copy, Debug)]
pub struct ListenerContext<'a> {
    /// All mounts.
    pub mounts: &'a BTreeMap<MountName, MountSpec>,
    /// The operators' settings of the mesh.
    pub steering: &'a Steering,
    /// The mesh.
    pub view: &'a MeshView,
    /// The listeners that the mount's stream has on this node now, if the node holds it: the view shows them later.
    pub held_here: Option<u32>,
    /// The time.
    pub now: Instant,
    /// The time of day, as tags contain it.
    pub now_unix_s: u32,
}

/// Whether a place is reserved for the listener at the node that is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Reserve it: the listener will follow the redirect.
    Yes,
    /// Only explain, and change nothing.
    No,
}

/// The answer to a request for a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Serve it here.
    Serve(Because),
    /// Redirect it.
    Redirect(Destination),
    /// The mount does not exist.
    NoSuchMount,
    /// The mount has no stream.
    NoSource,
    /// The mount is not available in the listener's country.
    NotInCountry,
    /// The mount has as many listeners as it may have.
    MountFull,
    /// The same, and they hear this mount instead: the request is one for that.
    Instead(MountName),
    /// The node that answers would serve it, for this reason, and has no room.
    NodeFull(Because),
    /// No node has room.
    NoRoom,
}

/// Why a request is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The node that answers was chosen.
    Chosen,
    /// The mount or the player is not redirected.
    NotRedirected,
    /// Another node has sent it here.
    SentHere,
    /// The method is HEAD, which any node can answer.
    LooksOnly,
}

/// The target of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A node or an outside server, with a tag if a place is reserved there.
    Row(NodeName, Option<Minted>),
    /// The mount's overflow address.
    Overflow(String),
}

/// Answers a question. With [`Reserve::No`] nothing is changed: the verdict is the one for the next such listener.
pub fn answer(
    question: &ListenerQuestion<'_>,
    context: &ListenerContext<'_>,
    table: &mut LoadTable,
    reserve: Reserve,
) -> Verdict {
    let Some(spec) = context.mounts.get(question.mount) else {
        return Verdict::NoSuchMount;
    };
    if !spec.steering.countries.admits(question.place.country) {
        return Verdict::NotInCountry;
    }
    match question.arrival {
        Arrival::Front => {}
        // A listener that was redirected was admitted where it asked first. A kept address was not.
        Arrival::Kept if is_full(context, spec) => return when_full(context, spec),
        Arrival::Sent | Arrival::Kept => return serve(question, table, Because::SentHere),
    }
    let ask = ask(question, spec, context);
    let is_outside = spec.listener_auth.is_open() && table.is_outside(question.mount);
    if ask.among == Among::Outside && !is_outside {
        return Verdict::NoSource;
    }
    if question.is_head {
        return answer_head(&ask, table, context.now);
    }
    if is_full(context, spec) {
        return overflow(spec, question.client, when_full(context, spec));
    }
    if ask.among != Among::Outside
        && is_not_redirected(
            question.query,
            question.agent,
            &spec.steering,
            &context.steering.mesh,
        )
    {
        return serve(question, table, Because::NotRedirected);
    }
    let Chosen { choice, reserved } = match reserve {
        Reserve::Yes => table.choose(&ask, question.client.ip, context.now, context.now_unix_s),
        Reserve::No => Chosen {
            choice: table.foresee(&ask, context.now),
            reserved: None,
        },
    };
    match choice {
        Choice::Here => Verdict::Serve(Because::Chosen),
        Choice::Redirect(to) => Verdict::Redirect(Destination::Row(to, reserved)),
        Choice::Full => overflow(spec, question.client, Verdict::NoRoom),
    }
}

/// The listener as the table sees it.
pub fn ask<'a>(
    question: &ListenerQuestion<'_>,
    spec: &'a MountSpec,
    context: &ListenerContext<'_>,
) -> Ask<'a> {
    let mut holders = context.view.holders(&spec.path);
    let is_ours = context.held_here.is_some()
        || holders.next().is_some()
        || fallback_on_air(
            context.now_unix_s.into(),
            spec,
            context.mounts,
            context.view,
        )
        .is_some();
    Ask {
        mount: &spec.path,
        place: question.place,
        among: match is_ours {
            true if spec.listener_auth.is_open() => Among::All,
            true => Among::Nodes,
            false => Among::Outside,
        },
        https: question.client.https,
        family: Some(Family::of(question.client.ip)),
        full_at: full_at(&spec.steering),
    }
}

/// Serves a listener that no other node is asked to take, if it has a place here or there is room for it.
fn serve(question: &ListenerQuestion<'_>, table: &LoadTable, because: Because) -> Verdict {
    let has_room = question.is_head || question.has_place || table.has_room(question.mount);
    match has_room {
        true => Verdict::Serve(because),
        false => Verdict::NodeFull(because),
    }
}

/// Answers HEAD: any node can answer unless only outside servers have the stream.
fn answer_head(ask: &Ask<'_>, table: &mut LoadTable, now: Instant) -> Verdict {
    if ask.among != Among::Outside {
        return Verdict::Serve(Because::LooksOnly);
    }
    match table.rank(ask, 1, now).pop() {
        Some(best) => Verdict::Redirect(Destination::Row(best, None)),
        None => Verdict::NoRoom,
    }
}

/// Whether a listener is served by the node that it asks: by its query, by the mount's settings, or by its player.
pub fn is_not_redirected(
    query: &str,
    agent: &str,
    mount: &MountSteering,
    mesh: &MeshSettings,
) -> bool {
    let mut pairs = query.split('&');
    if !mount.redirect || pairs.any(|pair| pair == "redirect=no") {
        return true;
    }
    if mesh.proxy_agents.is_empty() {
        return false;
    }
    let agent = agent.to_ascii_lowercase();
    let mut known = mesh.proxy_agents.iter();
    known.any(|known| agent.contains(&known.to_ascii_lowercase()))
}

/// Whether the mount has as many listeners in the whole mesh as it may have.
fn is_full(context: &ListenerContext<'_>, spec: &MountSpec) -> bool {
    let Some(most) = spec.max_listeners else {
        return false;
    };
    let view = context.view;
    let (mut told, here) = (view.listeners(&spec.path), context.held_here);
    let listeners = told.try_fold(here.unwrap_or(0), |sum, (node, listeners)| {
        let elsewhere = here.is_none() || *node != view.me;
        sum.checked_add(if elsewhere { listeners } else { 0 })
    });
    listeners.is_none_or(|all| all >= most)
}

/// The verdict on a listener for whom the mount is full.
fn when_full(context: &ListenerContext<'_>, spec: &MountSpec) -> Verdict {
    let fallback = fallback_mount_on_air(
        context.now_unix_s.into(),
        spec,
        context.mounts,
        context.view,
    );
    let fallback = fallback.filter(|_| spec.fallback_when_full);
    fallback.map_or(Verdict::MountFull, Verdict::Instead)
}

/// The utilization from which on a node is too full: none, unless the mount has an overflow address.
fn full_at(steering: &MountSteering) -> f64 {
    if steering.overflow_url.is_empty() {
        return f64::INFINITY; // the chooser knows when a node is full
    }
    f64::from(steering.overflow_percent) / 100.0
}

/// The verdict when there is no room: the overflow address, if there is one. A client of HTTPS is not sent to plain HTTP.
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
            Self::Instead(mount) => {
                format!(
                    "served with {mount}, because the mount has all the listeners that it may have"
                )
            }
            Self::NodeFull(Because::NotRedirected) => {
                "503, this node is full, and the mount is not redirected".to_owned()
            }
            Self::NodeFull(_) => "503, this node is full".to_owned(),
            Self::NoRoom => "503, there is no room".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
