//! The settings of the whole mesh, each said once: the policy, and the players that are never redirected.

use serde::{Deserialize, Serialize};

use crate::logic::policy::Policy;
use crate::logic::records::field::{Field, FieldKind};
use crate::logic::records::kind::Kind;
use crate::logic::records::mistake::Mistake;

/// The most players that are never redirected: each name is searched in the `User-Agent` of each listener.
const MAX_AGENTS: usize = 32;
/// The longest part of a `User-Agent` to search for.
const MAX_AGENT_BYTES: usize = 64;

/// The settings of the whole mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshSettings {
    /// The policy by which a node is chosen, unless the mount has its own.
    pub policy: Policy,
    /// Players whose `User-Agent` holds one of these, in any case, are never redirected.
    pub proxy_agents: Vec<String>,
}

/// The settings of the whole mesh.
pub static MESH_KIND: Kind<MeshSettings> = Kind {
    noun: "the mesh",
    prefix: "policy",
    fields: FIELDS,
    unset: MeshSettings::default,
};

/// In the order in which they are shown.
const FIELDS: &[Field<MeshSettings>] = &[
    Field {
        key: "policy",
        help: "how a node is chosen for a listener, such as `geo(country),weight,water`; empty: the usual one",
        required: false,
        kind: FieldKind::Text {
            word: "POLICY",
            clears: false,
            read: |text| Ok(Policy::of_setting(text)?.to_string()),
            put: |mesh, text| {
                mesh.policy = text.parse()?;
                Ok(())
            },
            show: |mesh| mesh.policy.to_string(),
        },
    },
    Field {
        key: "proxy_agents",
        help: "players that cannot follow a redirect, by a part of their `User-Agent`, one on each line: at most 32 of 2 \
               to 64 bytes; empty: none",
        required: false,
        kind: FieldKind::Text {
            word: "TEXT",
            clears: false,
            read: |text| Ok(agents(text)?.join("\n")),
            put: |mesh, text| {
                mesh.proxy_agents = agents(text)?;
                Ok(())
            },
            show: |mesh| mesh.proxy_agents.join("\n"),
        },
    },
];

fn agents(text: &str) -> Result<Vec<String>, Mistake> {
    let lines = text.lines().map(str::trim);
    let agents: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    if agents.len() > MAX_AGENTS {
        let count = agents.len();
        let why = format!("too many, {count} of at most {MAX_AGENTS}");
        return Err(Mistake::new(why));
    }
    let is_plain = |agent: &str| {
        (2..=MAX_AGENT_BYTES).contains(&agent.len()) && !agent.chars().any(char::is_control)
    };
    match agents.iter().find(|agent| !is_plain(agent)) {
        Some(bad) => {
            let beginning: String = bad.chars().take(16).collect();
            Err(Mistake::new(format!(
                "{beginning:?} is not 2 to {MAX_AGENT_BYTES} bytes of plain text"
            )))
        }
        None => Ok(agents.into_iter().map(str::to_owned).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Value;

    fn read(key: &str, text: &str) -> Value {
        let fields = MESH_KIND.changes([(key, text)]).unwrap().into_fields();
        fields[key].clone()
    }

    #[test]
    fn players_are_matched_by_a_part_of_their_name() {
        let agents = read("proxy_agents", " ESP32 \n\nSonos/");
        assert_eq!(agents, Value::Text("ESP32\nSonos/".to_owned()));
        let many = vec!["xx"; MAX_AGENTS + 1].join("\n");
        for bad in ["x", &"x".repeat(65), "a\u{7}b", &many] {
            let error = MESH_KIND.changes([("proxy_agents", bad)]).unwrap_err();
            assert!(error.to_string().starts_with("proxy_agents: "), "{error}");
        }
    }

    #[test]
    fn an_empty_policy_is_the_usual_one_and_nonsense_refused() {
        let usual = Policy::default().to_string();
        assert_eq!(read("policy", " "), Value::Text(usual));
        let error = MESH_KIND.changes([("policy", "weight,watr")]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("policy: ") && error.contains("water"),
            "{error}"
        );
        let error = MESH_KIND.changes([("plicy", "x")]).unwrap_err().to_string();
        let expected = "the mesh has no \"plicy\"; did you mean \"policy\"?";
        assert_eq!(error, expected);
    }
}
