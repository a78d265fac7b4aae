//! A seat is a job that exactly one node should hold; a claim is a holder's assertion.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mount::MountName;
use super::node::NodeName;

/// The seats that there are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seat {
    /// The root of distribution, which also decides which source may have a mount.
    Master,
    /// The node that asks this outside server for its load.
    Outside(NodeName),
    /// The node that transcodes another mount to this one. A node of an older version knows no such seat, so messages about
    /// it go only to nodes whose card says that they read them.
    Transcoder(MountName),
    /// The node that gets this mount's stream from a server outside the mesh. A node of an older version knows no such seat
    /// either.
    OutsideRelay(MountName),
    /// The node that reads the lists of streams of other servers. A node of an older version knows no such seat either.
    Import,
    /// The node that orders the certificates of the mesh. A node of an older version knows no such seat either.
    Certificates,
}

/// Whether a node wants to hold a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// The node takes part in the elections of the seat.
    Stand,
    /// The node only follows the holder. If it holds the seat itself, it vacates it at once.
    Follow,
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Outside(server) => write!(f, "outside/{server}"),
            Self::Transcoder(mount) => write!(f, "transcoder{mount}"),
            Self::OutsideRelay(mount) => write!(f, "outside-relay{mount}"),
            Self::Import => f.write_str("import"),
            Self::Certificates => f.write_str("certificates"),
        }
    }
}

/// Why a text names no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown seat: write `master`, `import`, `certificates`, `outside/` and a server's name, or `transcoder` or `outside-relay` and a mount's path"
)]
pub struct BadSeat;

impl FromStr for Seat {
    type Err = BadSeat;

    fn from_str(text: &str) -> Result<Self, BadSeat> {
        match text.split_once('/') {
            None if text == "master" => Ok(Self::Master),
            None if text == "import" => Ok(Self::Import),
            None if text == "certificates" => Ok(Self::Certificates),
            Some(("outside", server)) => {
                let server = NodeName::try_from(server).map_err(|_| BadSeat)?;
                Ok(Self::Outside(server))
            }
            Some((word @ ("transcoder" | "outside-relay"), _)) => {
                let mount = MountName::try_from(&text[word.len()..]).map_err(|_| BadSeat)?;
                Ok(match word {
                    "transcoder" => Self::Transcoder(mount),
                    _ => Self::OutsideRelay(mount),
                })
            }
            _ => Err(BadSeat),
        }
    }
}

/// The number of a claim. Rises with every election and never falls on any node.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The number of the claim after all those up to this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The weight of a node in an election; the greater wins, then the greater name.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rank(pub u64);

/// A holder's assertion. The derived order is the rule: of two live claims the greater wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Compared first: a newer election beats an older one.
    pub epoch: Epoch,
    /// The holder's rank.
    pub rank: Rank,
    /// The holder.
    pub node: NodeName,
}

impl Claim {
    /// The fence of every order that is given under this claim.
    pub fn fence(&self) -> Fence {
        Fence {
            epoch: self.epoch,
            node: self.node.clone(),
        }
    }
}

/// The number of an order: a receiver refuses an order with a fence lower than the highest that it has seen.
///
/// Two nodes may hold a seat at once, on the two sides of a partition and even with the same epoch;
/// therefore an order is fenced by the pair, never by the epoch alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The epoch of the claim.
    pub epoch: Epoch,
    /// The node that gives the order.
    pub node: NodeName,
}

/// The messages between the elections of two nodes, over the link between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// "No node holds the seat, and I would take it. You are greater: do you object?"
    Election {
        /// The challenger's rank.
        rank: Rank,
        /// The greatest epoch that the challenger has seen.
        epoch: Epoch,
    },
    /// "I object: wait for the claim of a greater node."
    Ok {
        /// The greatest epoch that the objector has seen.
        epoch: Epoch,
    },
    /// "I cannot take the seat now, continue without me": the answer to an election and to a hand-over.
    Pass {
        /// The greatest epoch that the sender has seen.
        epoch: Epoch,
    },
    /// "I hold the seat."
    Coordinator(Claim),
    /// "I held the seat under this claim and have dropped it."
    Vacated(Claim),
    /// "I hold the seat under this claim and ask you to take it over now."
    HandOver(Claim),
    /// "You hold the seat, and I have seen an epoch that is not lower than yours: renumber your claim, because a node
    /// that has obeyed that epoch refuses your orders."
    Seen(Epoch),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_survives_its_text() {
        let server = NodeName::try_from("relay-1").unwrap();
        let [short, long] = ["/radio-64.opus", "/a/outside/b.mp3"]
            .map(|path| Seat::Transcoder(MountName::try_from(path).unwrap()));
        assert_eq!(short.to_string(), "transcoder/radio-64.opus");
        let relayed = Seat::OutsideRelay(MountName::try_from("/radio.mp3").unwrap());
        assert_eq!(relayed.to_string(), "outside-relay/radio.mp3");
        let plain = [Seat::Master, Seat::Import, Seat::Outside(server)];
        for seat in plain.into_iter().chain([short, long, relayed]) {
            assert_eq!(seat.to_string().parse(), Ok(seat));
        }
        for bad in [
            "",
            "Master",
            "outside",
            "outside/",
            "outside/A",
            "inside/a",
            "transcoder",
            "transcoder/",
            "transcoder//a",
            "transcoder/../a",
            "transcoder/a.m3u",
            "transcoders/a",
            "outside-relay",
            "outside-relay/",
        ] {
            assert_eq!(bad.parse::<Seat>(), Err(BadSeat), "{bad}");
        }
    }
}
