//! The table at one moment: the forecast for each node.
//!
//! A node that is not known to have room is never shown as empty: it is stale, or closed.

use serde::{Deserialize, Serialize};

use super::transit::Tally;
use crate::model::load::LoadReport;
use crate::model::node::NodeName;

/// The table at one moment.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    /// Every node that is known, by name.
    pub outlooks: Vec<Outlook<'a>>,
    /// The listeners that will come to the whole mesh before the effect of a choice made now is known; at least 1.
    pub expected_listeners: f64,
    /// The basis of the loads in the table.
    pub basis: Basis,
}

/// The loads that a choice is made by.
///
/// A redirect costs a client nothing, so listeners on the way may never come. They influence the choice, and refuse no
/// one:
/// when the prediction leaves no node, the choice is made again by what the nodes report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The reports, plus all listeners on the way.
    #[default]
    Predicted,
    /// The reports alone.
    Reported,
}

impl Basis {
    /// Both, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Predicted, Self::Reported];
}

/// The forecast for one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook<'a> {
    /// The name of the node.
    pub node: &'a NodeName,
    /// Whether the node may be chosen.
    pub standing: Standing,
    /// The node's last report plus all listeners on the way.
    pub predicted: LoadReport,
    /// The node's last report alone.
    pub reported: LoadReport,
    /// Listeners on the way, which are in the prediction and not in the last report.
    pub pending: Tally,
    /// Listeners in the report that their redirectors have not told yet. Without them, all nodes are seen as of the
    /// same moment: what each redirector had done when it last told.
    pub ahead: u64,
    /// The share of the node's capacity that may be filled yet, above 0 and up to 1: less than 1 while it is new.
    pub warmth: f64,
}

/// Whether a node may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The node lives and its load is known.
    Ready,
    /// The node lives, but has not been heard for so long that its load is unknown.
    Stale,
    /// The node lives, and was in doubt a short time ago.
    Unsteady,
    /// The node lives, and listeners that are sent to it do not get there.
    Unreached,
    /// The node is draining, suspect or dead, or has never said how much it can take.
    Closed,
}

impl Table<'_> {
    /// The table for listeners that no other node has room for: nodes in doubt may be chosen too.
    pub fn as_last_resort(mut self) -> Self {
        for outlook in &mut self.outlooks {
            if matches!(outlook.standing, Standing::Unsteady | Standing::Unreached) {
                outlook.standing = Standing::Stale;
            }
        }
        self
    }

    /// The table as it would be if no listener were on the way.
    pub fn as_reported(mut self) -> Self {
        for outlook in &mut self.outlooks {
            outlook.predicted = outlook.reported;
            outlook.pending = Tally::default();
            outlook.ahead = 0;
        }
        self.basis = Basis::Reported;
        self
    }
}

impl Outlook<'_> {
    /// The share of its capacity in use once all have arrived: the greater of its two dimensions. 1 is full.
    pub fn predicted_utilization(&self) -> f64 {
        self.predicted.utilization()
    }
}
