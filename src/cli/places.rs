//! The note that a rule on places does nothing where no place is known.

use hyper::Method;

use super::api::Api;
use crate::model::status::Status;

/// The beginning of the token of a policy that asks for places.
pub(super) const GEO_TOKEN: &str = "geo(";

/// Says on stderr that the node that was asked knows no places, and what that means.
pub(super) async fn note_unknown(api: &Api, effect: &str) {
    // The change has been made; that the note cannot be is no failure.
    let status = api.ask_for(Method::GET, "/status.json", None).await.ok();
    if let Some(note) = status.and_then(|status| note(&status, effect)) {
        eprintln!("{note}");
    }
}

/// The note, if the node knows no places.
fn note(status: &Status, effect: &str) -> Option<String> {
    let geo = status.geo.as_ref();
    let is_blind = geo.is_none_or(|geo| geo.database.is_none());
    let node = &status.node;
    is_blind.then(|| {
        format!(
            "note: {node} knows no places, so {effect} there; set geo_database in the settings file of each node"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_database_is_named() {
        let status = |geo: &str| -> Status {
            let text = format!(
                r#"{{"node":"n1","cluster":"","version":"","uptime_s":0,"master":null,"epoch":0,
                    "nodes":[],"mounts":[]{geo}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let trouble = r#","geo":{"database":null,"built_unix_s":null,"trouble":"x"}"#;
        for geo in ["", trouble] {
            let told = note(&status(geo), "nothing happens").unwrap();
            assert!(told.starts_with("note: n1 knows no places, so nothing happens there;"));
        }
        let known = r#","geo":{"database":"City","built_unix_s":1,"trouble":null}"#;
        assert_eq!(note(&status(known), "nothing happens"), None);
    }
}
