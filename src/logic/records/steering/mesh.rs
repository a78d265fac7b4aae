//! The settings of the whole mesh: the policy, and the players that are never redirected.

use super::{BadSteering, Steering};
use crate::logic::policy::{BadPolicy, Policy};
use crate::logic::records::fields::text;
use crate::model::record::key::RecordKey;
use crate::model::record::{Record, Value};

/// The most players that are never redirected: each name is searched in the `User-Agent` of each listener.
pub const MAX_AGENTS: usize = 32;
/// The longest part of a `User-Agent` to search for.
const MAX_AGENT_BYTES: usize = 64;

/// One setting of the whole mesh, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshEdit {
    /// The policy by which a node is chosen.
    Policy(Policy),
    /// Parts of the `User-Agent` of players that cannot follow a redirect.
    ProxyAgents(Vec<String>),
}

/// Why a setting of the mesh is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMeshSetting {
    /// There is no such setting.
    #[error("unknown setting {0:?}; known are policy, proxy_agents")]
    Unknown(String),
    /// The policy is invalid; the one before stays.
    #[error("policy: {0}")]
    Policy(#[from] BadPolicy),
    /// The list is too long.
    #[error("proxy_agents: too many, {0} of at most {MAX_AGENTS}")]
    ManyAgents(usize),
    /// One of the names is too short to mean anything, or too long.
    #[error("proxy_agents: {0:?} is not 2 to {MAX_AGENT_BYTES} bytes of plain text")]
    Agent(String),
}

impl MeshEdit {
    /// The edit that gives the setting `key` the value `value`.
    pub fn of(key: &str, value: &str) -> Result<Self, BadMeshSetting> {
        match key {
            "policy" => Ok(Self::Policy(Policy::of_setting(value)?)),
            "proxy_agents" => Ok(Self::ProxyAgents(agents(value)?)),
            _ => Err(BadMeshSetting::Unknown(key.chars().take(64).collect())),
        }
    }
}

impl From<MeshEdit> for (String, Value) {
    fn from(edit: MeshEdit) -> Self {
        let (key, text) = match edit {
            MeshEdit::Policy(policy) => ("policy", policy.to_string()),
            MeshEdit::ProxyAgents(agents) => ("proxy_agents", agents.join("\n")),
        };
        (key.to_owned(), Value::Text(text))
    }
}

fn agents(text: &str) -> Result<Vec<String>, BadMeshSetting> {
    let lines = text.lines().map(str::trim);
    let agents: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    if agents.len() > MAX_AGENTS {
        return Err(BadMeshSetting::ManyAgents(agents.len()));
    }
    let is_plain = |agent: &str| {
        (2..=MAX_AGENT_BYTES).contains(&agent.len()) && !agent.chars().any(char::is_control)
    };
    match agents.iter().find(|agent| !is_plain(agent)) {
        Some(bad) => Err(BadMeshSetting::Agent(bad.chars().take(16).collect())),
        None => Ok(agents.into_iter().map(str::to_owned).collect()),
    }
}

/// The key of the record on the whole mesh.
pub fn mesh_key() -> RecordKey {
    RecordKey::try_from("policy").expect("a short word is a key")
}

pub(super) fn read(record: &Record, steering: &mut Steering) -> Result<(), BadSteering> {
    if let Some(listed) = text(record, "proxy_agents")? {
        steering.proxy_agents = agents(&listed)?;
    }
    // Last: an unknown word of a newer version must only cost the policy, which is then replaced by the default.
    if let Some(policy) = text(record, "policy")? {
        steering.policy = policy.parse().map_err(BadMeshSetting::Policy)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_are_named_by_a_part_of_what_they_call_themselves() {
        let edit = MeshEdit::of("proxy_agents", " ESP32 \n\nSonos/").unwrap();
        assert_eq!(
            edit,
            MeshEdit::ProxyAgents(vec!["ESP32".into(), "Sonos/".into()])
        );
        let many = vec!["xx"; MAX_AGENTS + 1].join("\n");
        for bad in ["x", &"x".repeat(65), "a\u{7}b", &many] {
            assert!(MeshEdit::of("proxy_agents", bad).is_err(), "{bad:?}");
        }
        assert!(MeshEdit::of("plicy", "x").is_err());
    }

    #[test]
    fn a_policy_is_read_or_refused_and_an_empty_one_is_the_usual_one() {
        let usual = MeshEdit::of("policy", " ").unwrap();
        assert_eq!(usual, MeshEdit::Policy(Policy::default()));
        let error = MeshEdit::of("policy", "weight,watr")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("policy: ") && error.contains("water"),
            "{error}"
        );
    }
}
