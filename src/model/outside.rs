//! An Icecast server that does not run antiphon and carries streams of the mesh.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::geo::Country;
use super::mount::MountName;
use super::node::NodeName;
use super::traits::NodeTraits;

/// The prefix of an outside server's name where the server stands in the table of nodes. Settings refuse it in the name
/// of a node.
pub const BACKEND_PREFIX: &str = "outside-";

/// Whether this is the name of an outside server's row in the table rather than of a node.
pub fn is_backend(name: &NodeName) -> bool {
    name.as_str().starts_with(BACKEND_PREFIX)
}

/// How an outside server is asked for its listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// `/status-json.xsl`: every Icecast from 2.4 on has it; tells listeners and no limits.
    #[default]
    StatusJson,
    /// `/load.xsl`, a page that has to be put into the server's web root; tells free slots.
    LoadXsl,
    /// `/admin/stats`, with the admin's password; tells listeners and the limits of mounts.
    AdminStats,
}

impl Via {
    /// All ways of asking.
    pub const ALL: [Self; 3] = [Self::StatusJson, Self::LoadXsl, Self::AdminStats];

    /// The word for it in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::StatusJson => "status-json",
            Self::LoadXsl => "load-xsl",
            Self::AdminStats => "admin-stats",
        }
    }

    /// The path to ask for, below the server's address.
    pub fn path(self) -> &'static str {
        match self {
            Self::StatusJson => "/status-json.xsl",
            Self::LoadXsl => "/load.xsl",
            Self::AdminStats => "/admin/stats",
        }
    }
}

/// Why a word is not a way of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `status-json`, `load-xsl` or `admin-stats`")]
pub struct BadVia;

impl FromStr for Via {
    type Err = BadVia;

    fn from_str(word: &str) -> Result<Self, BadVia> {
        let known = Self::ALL.into_iter().find(|known| known.word() == word);
        known.ok_or(BadVia)
    }
}

/// `user:password` for an outside server. Shows itself as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerLogin(String);

impl ServerLogin {
    /// The text itself, to be sent to this server only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for ServerLogin {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The settings of an outside server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideServer {
    /// The name of the server in the mesh; at most 63 bytes including [`BACKEND_PREFIX`].
    pub name: NodeName,
    /// The address for listeners, such as `http://relay.example:8000`; without a trailing slash.
    pub public_url: String,
    /// The address at which the server is asked for its load, often one that listeners cannot reach.
    pub poll_url: String,
    /// How the server is asked.
    pub via: Via,
    /// `user:password` for the question, if needed. Never shown.
    #[serde(skip)]
    pub login: Option<ServerLogin>,
    /// The share of listeners compared with the server's size, per cent; 0: never chosen.
    pub weight_percent: u32,
    /// The country of the server.
    pub country: Option<Country>,
    /// Whether the server is asked and chosen.
    pub enabled: bool,
    /// The most listeners to count on, where the server names no limit itself; `None`: what the server says.
    pub max_listeners: Option<u32>,
    /// The mounts of the mesh that the server carries, and their names there.
    pub mounts: BTreeMap<MountName, MountName>,
}

impl OutsideServer {
    /// The longest name: together with [`BACKEND_PREFIX`] as long as a node's.
    pub const MAX_NAME_BYTES: usize = NodeName::MAX_BYTES - BACKEND_PREFIX.len();

    /// A server of this name of which nothing is set yet; it has no address and no mounts.
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            public_url: String::new(),
            poll_url: String::new(),
            via: Via::default(),
            login: None,
            weight_percent: NodeTraits::DEFAULT_WEIGHT_PERCENT,
            country: None,
            enabled: true,
            max_listeners: None,
            mounts: BTreeMap::new(),
        }
    }

    /// The name under which the server stands in the table of nodes and in gossip's counters.
    pub fn backend(&self) -> NodeName {
        let name = format!("{BACKEND_PREFIX}{}", self.name);
        NodeName::try_from(name).expect("a server's name leaves room for the prefix")
    }
}

/// The findings of a poller at an outside server; gossiped, so that every node can redirect by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideReport {
    /// The number of the question, so that a repeated answer counts as news: rises with each question of a poller.
    pub number: u64,
    /// Listeners of the whole server, and the most that it takes, if known.
    pub server: Slots,
    /// The mounts of the mesh that are on air there.
    pub mounts: BTreeMap<MountName, Slots>,
}

/// Listeners and the limit of a server or mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// Listeners connected.
    pub listeners: u32,
    /// The limit; `None`: unknown or `unlimited`.
    pub max_listeners: Option<u32>,
}

impl Slots {
    /// Room for more listeners; `None` where no limit is known.
    pub fn free(&self) -> Option<u32> {
        let most = self.max_listeners?;
        Some(most.saturating_sub(self.listeners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_ask_has_a_word_that_is_understood() {
        for via in Via::ALL {
            assert_eq!(via.word().parse(), Ok(via));
            let json = serde_json::to_string(&via).unwrap();
            assert_eq!(json, format!("\"{}\"", via.word()));
        }
        assert!("ftp".parse::<Via>().is_err());
    }

    #[test]
    fn a_login_never_shows_itself() {
        let login = ServerLogin::from("admin:hackme".to_owned());
        assert_eq!(format!("{login:?}"), "***");
        assert_eq!(login.reveal(), "admin:hackme");
    }
}
