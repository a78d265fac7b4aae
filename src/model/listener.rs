//! One listener as operators see it: its id, and what is known of it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mount::MountName;
use super::node::NodeName;

/// The id of a listener, which no other in the mesh has: `42@n1` is number 42 of the node n1.
///
/// A node that has started again counts from 1 again, so an id is good for as long as its node runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenerId {
    /// The node that serves the listener.
    pub node: NodeName,
    /// The number of the listener at that node.
    pub number: u64,
}

/// The most letters of a text that are repeated when it is no id: the longest id has 84.
const SHOWN_LETTERS: usize = 84;

/// The text is no listener's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid listener id {0:?}: write a number, @ and the name of the node, such as 42@n1; `antiphon listeners` shows them"
)]
pub struct BadListenerId(pub String);

impl FromStr for ListenerId {
    type Err = BadListenerId;

    fn from_str(text: &str) -> Result<Self, BadListenerId> {
        let read = || {
            let (number, node) = text.split_once('@')?;
            // `u64` would accept a leading plus.
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| number.parse().ok()).flatten()?;
            let node = NodeName::try_from(node).ok()?;
            Some(Self { node, number })
        };
        read().ok_or_else(|| BadListenerId(text.chars().take(SHOWN_LETTERS).collect()))
    }
}

impl TryFrom<String> for ListenerId {
    type Error = BadListenerId;

    fn try_from(text: String) -> Result<Self, BadListenerId> {
        text.parse()
    }
}

impl From<ListenerId> for String {
    fn from(id: ListenerId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.number, self.node)
    }
}

/// The facts that a node knows of a listener, by the names that Icecast's tools use where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerFacts {
    /// The mount of the listener.
    pub mount: MountName,
    /// The address of the client, which a trusted proxy may have told.
    pub ip: IpAddr,
    /// The name of its player: one line without control characters, perhaps cut.
    pub user_agent: String,
    /// The time since the stream began for the listener, in seconds.
    #[serde(rename = "connected")]
    pub connected_s: u64,
    /// The bytes sent so far.
    pub sent_bytes: u64,
}

/// A row in the list of all listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedListener {
    /// The id by which the listener can be ended.
    pub id: ListenerId,
    /// The node that serves the listener.
    pub node: NodeName,
    /// The facts that this node knows.
    #[serde(flatten)]
    pub facts: ListenerFacts,
}

/// A node whose listeners are missing in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentNode {
    /// The name of the node.
    pub node: NodeName,
    /// The reason.
    pub why: String,
}

/// The listeners of a mesh, as far as its nodes have told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerList {
    /// The listeners, by node and number.
    pub listeners: Vec<ListedListener>,
    /// The number of listeners that the list has no room for.
    pub left_out: u64,
    /// The nodes that did not tell.
    pub silent: Vec<SilentNode>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_at_a_node() {
        let id: ListenerId = "42@n1".parse().unwrap();
        assert_eq!(
            (id.number, id.node.as_str(), id.to_string()),
            (42, "n1", "42@n1".to_owned())
        );
        for bad in [
            "",
            "42",
            "@n1",
            "42@",
            "+4@n1",
            "-4@n1",
            "4 @n1",
            "x@n1",
            "4@N1",
            "4@n1@n2",
            "99999999999999999999@n1",
        ] {
            let error = bad.parse::<ListenerId>().unwrap_err().to_string();
            assert!(error.contains("such as 42@n1"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_row_is_flat_json() {
        let row = ListedListener {
            id: "42@n1".parse().unwrap(),
            node: "n1".parse().unwrap(),
            facts: ListenerFacts {
                mount: "/a.mp3".parse().unwrap(),
                ip: [192, 0, 2, 1].into(),
                user_agent: "VLC/3.0".to_owned(),
                connected_s: 7,
                sent_bytes: 9,
            },
        };
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(
            text,
            r#"{"id":"42@n1","node":"n1","mount":"/a.mp3","ip":"192.0.2.1","user_agent":"VLC/3.0","connected":7,"sent_bytes":9}"#
        );
        let read: ListedListener = serde_json::from_str(&text).unwrap();
        assert_eq!(read, row);
    }
}
