//! The state of outside servers: what everybody may see, and what only operators may see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::geo::Country;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::{OutsideServer, Slots};

/// Whether an outside server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutsideState {
    /// The server answers: listeners are sent there while it has room.
    Ready,
    /// The server has not been asked yet.
    Unknown,
    /// The server does not answer, or has not been heard for too long: no listener is sent there.
    Failing,
    /// The operator has disabled the server.
    Disabled,
}

impl OutsideState {
    /// The word for it in answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unknown => "not asked yet",
            Self::Failing => "not answering",
            Self::Disabled => "disabled",
        }
    }
}

/// One outside server, as every client may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideStatus {
    /// The name of the server.
    pub name: NodeName,
    /// The address for listeners.
    pub url: String,
    /// Whether the server answers.
    pub state: OutsideState,
    /// The node that asks it.
    pub asked_by: Option<NodeName>,
    /// All listeners of the server, and the most that it takes; `null`: unknown.
    #[serde(flatten)]
    pub server: Slots,
    /// Listeners that were sent there and are in no report yet.
    pub pending: u64,
    /// The share of listeners compared with the server's size, per cent.
    pub weight_percent: u32,
    /// The country of the server.
    pub country: Option<Country>,
    /// The mounts that the server carries, by their names in the mesh.
    pub mounts: BTreeMap<MountName, OutsideMount>,
}

/// One mount of the mesh on an outside server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideMount {
    /// The path of the mount on the server.
    pub path: MountName,
    /// The listeners of the mount and the most that it takes, if it is on air there.
    pub on_air: Option<Slots>,
}

/// One outside server, for operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideDetail {
    /// The settings of the server, without its login.
    #[serde(flatten)]
    pub server: OutsideServer,
    /// Whether there is a login.
    pub has_login: bool,
    /// Why the server does not answer, in the words of the node that asked.
    pub failure: Option<String>,
    /// The state of the server.
    pub status: OutsideStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_of_operators_survives_json_without_the_login() {
        let mount = |path: &str| MountName::try_from(path).unwrap();
        let name = NodeName::try_from("r").unwrap();
        let mut detail = OutsideDetail {
            server: OutsideServer {
                name: name.clone(),
                public_url: "http://r".into(),
                poll_url: "http://10.0.0.1".into(),
                via: crate::model::outside::Via::AdminStats,
                login: Some("admin:hackme".to_owned().into()),
                weight_percent: 50,
                country: "de".parse().ok(),
                enabled: true,
                max_listeners: Some(9),
                mounts: BTreeMap::from([(mount("/a"), mount("/b"))]),
            },
            has_login: true,
            failure: None,
            status: OutsideStatus {
                name,
                url: "http://r".into(),
                state: OutsideState::Ready,
                asked_by: None,
                server: Slots::default(),
                pending: 0,
                weight_percent: 50,
                country: None,
                mounts: BTreeMap::new(),
            },
        };
        let json = serde_json::to_string(&detail).unwrap();
        assert!(!json.contains("hackme"), "{json}");
        detail.server.login = None;
        assert_eq!(
            serde_json::from_str::<OutsideDetail>(&json).unwrap(),
            detail
        );
        assert!(
            json.contains(r#""state":"ready","asked_by":null,"listeners":0,"#),
            "{json}"
        );
    }
}
