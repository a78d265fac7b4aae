//! The language of policies, which says how the table becomes a choice, and the choice itself.
//!
//! A policy is a list of stages that each listener's request runs through: filters and preferences drop nodes, scorers
//! multiply, and one selector at the end takes one of the nodes left. Whatever the policy, only nodes with room are
//! chosen: a policy can waste room, but it cannot overfill a node.

mod basin;
mod chooser;
mod dice;
pub mod explain;
mod facts;
mod parse;
mod select;
mod shortlist;
#[cfg(test)]
mod tests;
mod turns;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::traits::Tag;

pub use chooser::{Choice, Chooser};
pub use facts::{Facts, NodeFacts, Request, Scene};
pub use parse::{BadPolicy, Fault, MAX_BYTES, MAX_STAGES};

/// How a listener's node is chosen. Written as tokens with commas, such as `geo(country),weight,water`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Policy {
    stages: Vec<Stage>,
    selector: Selector,
}

/// A step that filters or weighs the nodes before one is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Keeps nodes that serve streams at all.
    IcecastActive,
    /// Keeps nodes with a free place for a listener.
    ListenersAvailable,
    /// Keeps nodes with bandwidth to spare.
    BandwidthAvailable,
    /// Keeps nodes with this tag, or of this name.
    Tag(Tag),
    /// Drops nodes with this tag, or of this name.
    NotTag(Tag),
    /// Keeps nodes near the listener, unless all of them are nearly full.
    Geo(Nearness, Spill),
    /// Keeps nodes that carry the mount already, unless all of them are nearly full.
    HoldsMount(Spill),
    /// Multiplies by the free share of the listeners.
    ListenersScore,
    /// Multiplies by the free share of the bandwidth.
    BandwidthScore,
    /// Multiplies by the idle share of the processors.
    CpuScore,
    /// Multiplies by the weight that the operator gave.
    Weight,
}

/// The measure by which a node is near a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// The node is in the same country.
    Country,
    /// The node is about as far as the nearest one.
    Distance,
}

/// How full a preferred node may be, per cent from 1 to 100, so that it is still preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spill(u8);

impl Spill {
    /// The spill level of a share in per cent; `None` unless it is 1 to 100.
    pub fn percent(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// The level as a utilisation: 1 is full.
    pub fn level(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Default for Spill {
    /// 90 %: the last tenth of the near nodes is left to listeners that come before the far nodes have taken over.
    fn default() -> Self {
        Self(90)
    }
}

/// How one of the nodes left is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// At random, each as likely as any other.
    Random,
    /// At random, in proportion to the scores.
    Weighted,
    /// The node with the greatest score.
    Best,
    /// In the proportions that fill all nodes to the same level.
    #[default]
    Water,
    /// The emptier of two nodes that are drawn by size.
    TwoChoices,
}

impl Policy {
    /// The policy of a setting; an empty one means the default.
    pub fn of_setting(text: &str) -> Result<Self, BadPolicy> {
        match text.trim() {
            "" => Ok(Self::default()),
            _ => text.parse(),
        }
    }

    /// The stages before one node is selected, in order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// How one node is selected.
    pub fn selector(&self) -> Selector {
        self.selector
    }
}

impl Default for Policy {
    /// `weight,water`: the lowest peak in every flash crowd that was tried, and the weights have their effect.
    fn default() -> Self {
        Self {
            stages: vec![Stage::Weight],
            selector: Selector::Water,
        }
    }
}

impl Selector {
    /// All selectors.
    pub const ALL: [Self; 5] = [
        Self::Random,
        Self::Weighted,
        Self::Best,
        Self::Water,
        Self::TwoChoices,
    ];

    /// The token of the selector.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Weighted => "weighted",
            Self::Best => "best",
            Self::Water => "water",
            Self::TwoChoices => "two_choices",
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IcecastActive => f.write_str("icecast_active"),
            Self::ListenersAvailable => f.write_str("listeners_available"),
            Self::BandwidthAvailable => f.write_str("bandwidth_available"),
            Self::Tag(tag) => write!(f, "tag({tag})"),
            Self::NotTag(tag) => write!(f, "not_tag({tag})"),
            Self::Geo(nearness, spill) if *spill == Spill::default() => {
                write!(f, "geo({nearness})")
            }
            Self::Geo(nearness, spill) => write!(f, "geo({nearness},{})", spill.0),
            Self::HoldsMount(spill) if *spill == Spill::default() => f.write_str("holds_mount"),
            Self::HoldsMount(spill) => write!(f, "holds_mount({})", spill.0),
            Self::ListenersScore => f.write_str("listeners_score"),
            Self::BandwidthScore => f.write_str("bandwidth_score"),
            Self::CpuScore => f.write_str("cpu_score"),
            Self::Weight => f.write_str("weight"),
        }
    }
}

impl fmt::Display for Nearness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Country => "country",
            Self::Distance => "distance",
        })
    }
}

impl fmt::Display for Policy {
    /// The canonical text: without spaces and defaults, with the selector.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in &self.stages {
            write!(f, "{stage},")?;
        }
        self.selector.fmt(f)
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> Self {
        policy.to_string()
    }
}
