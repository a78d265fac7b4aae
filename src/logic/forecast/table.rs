//! The table at one moment: what is foreseen for each node.
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
    /// What the loads in it are.
    pub basis: Basis,
}

/// What a choice is made by.
///
/// A redirect costs whoever asks for it nothing, so those on the way may never come. They steer, and never refuse:
/// when the prediction leaves nobody, the choice is made again by what the nodes report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The reports, with everybody added who is on the way.
    #[default]
    Predicted,
    /// The reports alone.
    Reported,
}

impl Basis {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Predicted, Self::Reported];
}

/// What is foreseen for one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook<'a> {
    /// Which node.
    pub node: &'a NodeName,
    /// Whether it may be chosen.
    pub standing: Standing,
    /// Its last report with everybody added who is on the way.
    pub predicted: LoadReport,
    /// Its last report alone.
    pub reported: LoadReport,
    /// Those on the way, who are in the prediction and not in its last report.
    pub pending: Tally,
    /// Listeners in its report of whom their redirectors have not told yet. Without them, all nodes are seen as of the
    /// same moment: what each redirector had done when it told last.
    pub ahead: u64,
    /// The share of its capacity that may be filled yet, above 0 and up to 1: less than 1 while it is new.
    pub warmth: f64,
}

/// Whether a node may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It lives and we know its load.
    Ready,
    /// It lives, but has not been heard for so long that its load may be anything.
    Stale,
    /// It lives, and was in doubt so lately that it may be again.
    Unsteady,
    /// It lives, and listeners who are sent to it do not get there.
    Unreached,
    /// It is draining, suspect or dead, or has never said how much it can take.
    Closed,
}

impl Table<'_> {
    /// The table for those for whom nobody else has room: who may be chosen with a doubt is chosen all the same.
    pub fn as_last_resort(mut self) -> Self {
        for outlook in &mut self.outlooks {
            if matches!(outlook.standing, Standing::Unsteady | Standing::Unreached) {
                outlook.standing = Standing::Stale;
            }
        }
        self
    }

    /// The table as it would be if nobody were on the way.
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
    /// The share of its capacity in use once everybody has arrived: the greater of its two dimensions. 1 is full.
    pub fn predicted_utilization(&self) -> f64 {
        self.predicted.utilization()
    }
}
