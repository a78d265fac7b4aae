//! An Icecast server that does not run antiphon and yet carries our streams.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::geo::Country;
use super::mount::MountName;
use super::node::NodeName;

/// What stands before an outside server's name where it takes a node's place in the table. Settings refuse it in
/// the name of a node.
pub const BACKEND_PREFIX: &str = "outside-";

/// Whether this is the name of an outside server's row in the table rather than of a node.
pub fn is_backend(name: &NodeName) -> bool {
    name.as_str().starts_with(BACKEND_PREFIX)
}

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

impl Via {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::StatusJson, Self::LoadXsl, Self::AdminStats];

    /// As an operator writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::StatusJson => "status-json",
            Self::LoadXsl => "load-xsl",
            Self::AdminStats => "admin-stats",
        }
    }

    /// The path that is asked for, below the server's address.
    pub fn path(self) -> &'static str {
        match self {
            Self::StatusJson => "/status-json.xsl",
            Self::LoadXsl => "/load.xsl",
            Self::AdminStats => "/admin/stats",
        }
    }
}

/// Why a word does not say how a server is asked.
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
pub struct Login(String);

impl Login {
    /// The text itself, to be sent to the server and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Login {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
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
    pub login: Option<Login>,
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
    /// The longest name: with [`BACKEND_PREFIX`] before it, a node's.
    pub const MAX_NAME_BYTES: usize = NodeName::MAX_BYTES - BACKEND_PREFIX.len();

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

impl Slots {
    /// Room for one more listener, as far as is told: `None` where there is no limit.
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
        let login = Login::from("admin:hackme".to_owned());
        assert_eq!(format!("{login:?}"), "***");
        assert_eq!(login.reveal(), "admin:hackme");
    }
}
