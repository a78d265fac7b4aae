//! `antiphon mount set` and `delete`: changes a mount, and says what that has changed.

use hyper::Method;
use serde_json::Value;

use super::api::Api;
use super::fields::{self, Assignment};
use super::places::{self, GEO_TOKEN};
use crate::logic::records::mounts::MOUNT_KIND;
use crate::model::geo::CountryRule;
use crate::model::mount::{MountName, MountSpec};

/// The mounts in the API.
pub(super) const MOUNTS: &str = "/api/v1/mounts";

/// The settings that are shown when some were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Changed,
    All,
}

/// Changes settings of a mount.
pub(super) async fn set(
    api: &Api,
    target: &str,
    changes: Vec<Assignment>,
    shown: Shown,
) -> anyhow::Result<String> {
    let has = |key, value: Option<&Value>| {
        let mut found = changes.iter().filter(|change| change.key == key);
        found.any(|change| value.is_none_or(|value| change.value == *value))
    };
    let has_password = has("password", None);
    let lacks_password = has("transcode_from", Some(&Value::Null)) && !has_password;
    let is_steered = has("countries", None) || has("policy", None);
    let keys: Vec<&str> = changes.iter().map(|change| change.key).collect();
    let body = Value::Object(fields::object(changes));
    let changed: MountSpec = api.ask_for(Method::PATCH, target, Some(&body)).await?;
    if is_steered {
        note_places(api, &changed).await;
    }
    let mut text = match shown {
        Shown::All => describe(&changed, has_password.then_some("changed")),
        Shown::Changed => describe_changed(&changed, &keys),
    };
    if lacks_password {
        let path = &changed.path;
        text += &format!(
            "unless you know the password of its source, set one: antiphon mount set {path} password=…\n"
        );
    }
    Ok(text)
}

/// Deletes a mount.
pub(super) async fn delete(api: &Api, path: &MountName, force: bool) -> anyhow::Result<String> {
    let spec: MountSpec = api.ask_for(Method::GET, &below(path), None).await?;
    let target = below(path) + forced(force);
    api.ask(Method::DELETE, &target, None).await?;
    let again = match spec.imported_from.as_str() {
        "" => String::new(),
        list => format!(
            "{path} comes back as long as {list} names it; hidden=true would only have hidden it, and a mount of your own with this \
             path keeps it away\n"
        ),
    };
    Ok(format!("deleted {path}\n{again}"))
}

/// Says what the rules of a mount on places do if the node that was asked knows none.
pub(super) async fn note_places(api: &Api, spec: &MountSpec) {
    let steering = &spec.steering;
    if steering.countries != CountryRule::Everywhere {
        places::note_unknown(api, "`countries` keeps no listener out").await;
    } else if steering.policy.contains(GEO_TOKEN) {
        places::note_unknown(api, "`geo` in the policy does nothing").await;
    }
}

/// The query of a request that is to be carried out although something speaks against it.
pub(super) fn forced(force: bool) -> &'static str {
    if force { "?force=true" } else { "" }
}

/// The path of one mount in the API.
pub(super) fn below(path: &MountName) -> String {
    // The characters of a mount are valid in a URL's path, so nothing needs escaping.
    format!("{MOUNTS}{path}")
}

/// The settings of a mount; of its password only what was done to it, if anything was.
pub(super) fn describe(spec: &MountSpec, password: Option<&str>) -> String {
    let path = ("path", spec.path.to_string());
    let settings = fields::shown(&MOUNT_KIND, spec, |_| password.map(str::to_owned));
    fields::lines([path].into_iter().chain(settings))
}

/// The settings of a mount that were changed. A password is only said to be another one.
fn describe_changed(spec: &MountSpec, keys: &[&str]) -> String {
    let path = ("path", spec.path.to_string());
    let mut settings = fields::shown(&MOUNT_KIND, spec, |_| Some("changed".to_owned()));
    settings.retain(|(key, _)| keys.contains(key));
    fields::lines([path].into_iter().chain(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_shown_and_no_more() {
        let spec = MountSpec {
            genre: "Jazz".to_owned(),
            ..MountSpec::new("/radio.mp3".parse().unwrap())
        };
        let shown = describe_changed(&spec, &["genre", "password"]);
        let lines: Vec<&str> = shown.lines().collect();
        let expected = [
            "path      /radio.mp3",
            "password  changed",
            "genre     Jazz",
        ];
        assert_eq!(lines, expected);
    }
}
