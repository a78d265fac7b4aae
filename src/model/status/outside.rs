//! What is shown of outside servers: to everybody how they do, to operators how they are described too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::geo::Country;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::{OutsideServer, Slots};

/// How an outside server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutsideState {
    /// It answers: whoever has room there may be sent there.
    Ready,
    /// Nobody has asked it yet.
    Unknown,
    /// It does not answer, or has not been heard for too long: nobody is sent there.
    Failing,
    /// Its operator has switched it off.
    Disabled,
}

impl OutsideState {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unknown => "not asked yet",
            Self::Failing => "not answering",
            Self::Disabled => "disabled",
        }
    }
}

/// One outside server, for everybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideStatus {
    /// Its name.
    pub name: NodeName,
    /// Where listeners are sent.
    pub url: String,
    /// How it is doing.
    pub state: OutsideState,
    /// The node that asks it.
    pub asked_by: Option<NodeName>,
    /// All its listeners, and the most that it takes; `null`: nobody says.
    #[serde(flatten)]
    pub server: Slots,
    /// Listeners who were sent there and are in no report yet.
    pub pending: u64,
    /// Its share of what its size would give it, per cent.
    pub weight_percent: u32,
    /// Where it is.
    pub country: Option<Country>,
    /// What it is to carry, by our names.
    pub mounts: BTreeMap<MountName, OutsideMount>,
}

/// One of our mounts on an outside server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideMount {
    /// What it is called there.
    pub path: MountName,
    /// Its listeners and the most that it takes, if it is on air there.
    pub on_air: Option<Slots>,
}

/// One outside server, for operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideDetail {
    /// How it is described; without its login.
    #[serde(flatten)]
    pub server: OutsideServer,
    /// Whether there is a login.
    pub has_login: bool,
    /// Why it does not answer, in the words of the node that asked.
    pub failure: Option<String>,
    /// How it is doing.
    pub status: OutsideStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operators_see_survives_json_without_the_login() {
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
