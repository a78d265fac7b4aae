//! What a node publishes for everybody's forecast.
//!
//! A counter that is not in a bulletin has not changed, or others have changed more: it is never zero by absence.

use serde::{Deserialize, Serialize};

use super::transit::Tally;
use crate::model::load::LoadReport;
use crate::model::node::{Generation, NodeName};

/// The most counters of each kind in one bulletin: those that moved last.
///
/// A whole mesh of 32 nodes. A counter takes at most 63 bytes of name and 20 of numbers when packed, so that each
/// kind fits into one gossip value of 4 KiB.
pub const MAX_COUNTERS: usize = 32;

/// One life of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// Its name.
    pub node: NodeName,
    /// Which of its lives.
    pub generation: Generation,
}

/// How many listeners the publisher has ever sent to a node, those included that it kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Where to.
    pub to: NodeName,
    /// The life of that node that they were sent to.
    pub generation: Generation,
    /// How many, and the sum of their bitrates.
    pub total: Tally,
}

/// How many listeners sent by a redirector have ever arrived at the publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Who sent them.
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
    /// Its load.
    pub report: LoadReport,
    /// Whom it has sent where, if that moved of late.
    pub sent: Vec<Sent>,
    /// Who has come from where, if that moved of late.
    pub arrived: Vec<Arrived>,
}
