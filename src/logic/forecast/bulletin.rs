//! The bulletin that a node publishes for the forecasts of all nodes.
//!
//! A counter that is missing in a bulletin has not changed, or others have changed later: it is not zero.

use serde::{Deserialize, Serialize};

use super::transit::Tally;
use crate::model::load::LoadReport;
use crate::model::node::{Generation, NodeName};

/// The most counters of each kind in one bulletin: those that moved last.
///
/// All counters of a mesh of 32 nodes fit into one gossip value of 4 KiB unless names have more than 25 letters on
/// average.
pub const MAX_COUNTERS: usize = 32;

/// One life of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// The name of the node.
    pub node: NodeName,
    /// The number of its life.
    pub generation: Generation,
}

/// How many listeners the publisher has ever sent to a node, including those that it kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PackedSent", into = "PackedSent")]
pub struct Sent {
    /// The node that they were sent to.
    pub to: NodeName,
    /// The life of that node that they were sent to.
    pub generation: Generation,
    /// How many, and the sum of their bitrates.
    pub total: Tally,
}

/// How many listeners sent by a redirector have ever arrived at the publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PackedArrived", into = "PackedArrived")]
pub struct Arrived {
    /// The redirector.
    pub from: NodeName,
    /// The life of the redirector that sent them.
    pub generation: Generation,
    /// How many.
    pub listeners: u64,
}

/// All that a node publishes for the table, at one moment: the counters belong to the report.
///
/// To apply a report without the arrivals that are in it would count the same listeners twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bulletin {
    /// The load of the publisher.
    pub report: LoadReport,
    /// The listeners that it has sent, by node, if that changed recently.
    pub sent: Vec<Sent>,
    /// The listeners that have come, by redirector, if that changed recently.
    pub arrived: Vec<Arrived>,
    /// Whether more counters changed than the bulletin has room for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Bulletin {
    /// Leaves out the counter of each kind that changed first; `false` if none is left.
    pub fn shorten(&mut self) -> bool {
        let shorter = self.sent.pop().is_some() | self.arrived.pop().is_some();
        self.cut |= shorter;
        shorter
    }
}

/// A counter without the names of its fields, which would be half of its length.
type PackedSent = (NodeName, Generation, u64, u64);
/// Likewise.
type PackedArrived = (NodeName, Generation, u64);

impl From<PackedSent> for Sent {
    fn from(packed: PackedSent) -> Self {
        let (to, generation, listeners, bps) = packed;
        let total = Tally { listeners, bps };
        Self {
            to,
            generation,
            total,
        }
    }
}

impl From<Sent> for PackedSent {
    fn from(sent: Sent) -> Self {
        let Tally { listeners, bps } = sent.total;
        (sent.to, sent.generation, listeners, bps)
    }
}

impl From<PackedArrived> for Arrived {
    fn from(packed: PackedArrived) -> Self {
        let (from, generation, listeners) = packed;
        Self {
            from,
            generation,
            listeners,
        }
    }
}

impl From<Arrived> for PackedArrived {
    fn from(arrived: Arrived) -> Self {
        (arrived.from, arrived.generation, arrived.listeners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most that gossip takes as one value.
    const MAX_VALUE_BYTES: usize = 4_096;

    #[test]
    fn the_counters_of_32_nodes_fit_into_one_value() {
        let node = |index| NodeName::try_from(format!("{}-{index:02}", "n".repeat(20))).unwrap();
        let generation = Generation(1_790_000_000_000);
        let sent = |index| Sent {
            to: node(index),
            generation,
            total: Tally {
                listeners: 12_345,
                bps: 12_345 * 128_000,
            },
        };
        let arrived = |index| Arrived {
            from: node(index),
            generation,
            listeners: 12_345,
        };
        let bulletin = Bulletin {
            sent: (0..MAX_COUNTERS).map(sent).collect(),
            arrived: (0..MAX_COUNTERS).map(arrived).collect(),
            ..Bulletin::default()
        };
        let text = serde_json::to_string(&bulletin).unwrap();
        assert!(text.len() <= MAX_VALUE_BYTES, "{}", text.len());
        assert_eq!(serde_json::from_str::<Bulletin>(&text).unwrap(), bulletin);
    }

    #[test]
    fn a_bulletin_that_is_shortened_says_so() {
        let mut bulletin = Bulletin::default();
        assert!(!bulletin.shorten() && !bulletin.cut);
        bulletin.arrived.push(Arrived {
            from: NodeName::try_from("a").unwrap(),
            generation: Generation(1),
            listeners: 1,
        });
        assert!(bulletin.shorten() && bulletin.cut && bulletin.arrived.is_empty());
    }
}
