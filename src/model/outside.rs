//! An Icecast server that does not run antiphon and yet carries our streams.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::geo::Country;
use super::mount::MountName;
use super::node::NodeName;

/// What stands before an outside server's name where it takes a node's place in the table. Settings refuse it in
/// the name of a node.
pub const BACKEND_PREFIX: &str = "outside-";

/// How an outside server is asked for its listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// `/status-json.xsl`: every Icecast from 2.4 on has it; it tells listeners and no limits.
    #[default]
    StatusJson,
    /// `/load.xsl`, a page to be put into its web root; it tells free slots.
    LoadXsl,
    /// `/admin/stats`, with its admin's password; it tells listeners and the limits of mounts.
    AdminStats,
}

/// An outside server, as an operator describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideServer {
    /// Its name among ours; with [`BACKEND_PREFIX`] before it at most 63 bytes.
    pub name: NodeName,
    /// Where listeners are sent, such as `http://relay.example:8000`; without a trailing slash.
    pub public_url: String,
    /// Where it is asked for its load, often an address that listeners do not reach.
    pub poll_url: String,
    /// How it is asked.
    pub via: Via,
    /// `user:password` for the question, if it needs one. Never shown.
    #[serde(skip)]
    pub login: Option<String>,
    /// Its share of what its size would give it, per cent; 0: never chosen.
    pub weight_percent: u32,
    /// Where it is.
    pub country: Option<Country>,
    /// Whether it is asked and chosen.
    pub enabled: bool,
    /// The most listeners that we count on, where it does not say itself; `None`: what it says.
    pub max_listeners: Option<u32>,
    /// What our mounts are called there.
    pub mounts: BTreeMap<MountName, MountName>,
}

impl OutsideServer {
    /// The name under which it stands in the table and in gossip's counters.
    pub fn backend(&self) -> NodeName {
        let name = format!("{BACKEND_PREFIX}{}", self.name);
        NodeName::try_from(name).expect("a server's name leaves room for the prefix")
    }
}

/// What its poller found at an outside server; gossiped, so that every node redirects by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideReport {
    /// The number of the question, so that a repeated answer is news: it rises with each one of a poller.
    pub number: u64,
    /// Listeners of the whole server, and the most that it takes, if it says so.
    pub server: Slots,
    /// The mounts of ours that are on air there.
    pub mounts: BTreeMap<MountName, Slots>,
}

/// Listeners and room for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// Listeners connected.
    pub listeners: u32,
    /// The most; `None`: it does not say, or says `unlimited`.
    pub max_listeners: Option<u32>,
}
