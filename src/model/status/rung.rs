//! The rungs of a mount's ladder, as a node shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::node::NodeName;
use crate::model::rung_name::RungName;

/// Whether the stream of a rung can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungState {
    /// The stream flows.
    Flows,
    /// The mount has no source now.
    OffAir,
    /// The source sends silence, and the mount does not play that.
    Silent,
    /// The players of those who listen now could not go on with it.
    OtherFormat,
    /// The file is on its way to the nodes.
    Fetched,
    /// The file is not there, or cannot be played.
    Unplayable,
    /// The mount does not exist any more.
    Missing,
}

impl RungState {
    /// Whether an operator's order has it heard.
    pub fn can_be_ordered(self) -> bool {
        matches!(self, Self::Flows | Self::Silent)
    }

    /// The state in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Flows => "on air",
            Self::OffAir => "not on air",
            Self::Silent => "on air, but silent",
            Self::OtherFormat => "another format, so players could not go on with it",
            Self::Fetched => "the file is being fetched",
            Self::Unplayable => "the file cannot be played",
            Self::Missing => "there is no such mount",
        }
    }
}

/// One rung of a mount's ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungStatus {
    /// The mount whose stream it is, which is the mount itself or a fallback; or the file.
    #[serde(rename = "mount")]
    pub rung: RungName,
    /// Whether it can be heard.
    pub state: RungState,
    /// The nodes on which the mount's listeners hear it now.
    pub heard_on: Vec<NodeName>,
    /// Why nodes cannot play it, if it is a file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub troubles: BTreeMap<NodeName, String>,
    /// Why its stream does not come, if that is made on demand: nobody can make it, or the last try has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_made: Option<String>,
}

impl RungStatus {
    /// The state in words.
    pub fn words(&self) -> &'static str {
        match (self.state, &self.rung) {
            (RungState::Missing, RungName::File(_)) => "there is no such file",
            (state, _) => state.words(),
        }
    }
}
