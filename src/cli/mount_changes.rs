//! `antiphon mount set` and `delete`: changes a mount, and says what that has changed.

use hyper::Method;
use serde_json::Value;

use super::api::{Api, IMPORT};
use super::fields::{self, Assignment};
use super::places::{self, GEO_TOKEN};
use crate::logic::records::mounts::MOUNT_KIND;
use crate::model::geo::CountryRule;
use crate::model::import::ImportSettings;
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
    let given = fields::given_keys(&changes);
    let body = Value::Object(fields::object(changes));
    let changed: MountSpec = api.ask_for(Method::PATCH, target, Some(&body)).await?;
    if is_steered {
        note_places(api, &changed).await;
    }
    let mut text = match shown {
        Shown::All => describe(&changed, has_password.then_some("changed")),
        Shown::Changed => describe_changed(&changed, &keys),
    };
    text += &notes(&changed, &given);
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
    let is_read = match spec.imported_from.is_empty() {
        true => false,
        false => {
            let import: ImportSettings = api.ask_for(Method::GET, IMPORT, None).await?;
            is_read(&spec.imported_from, &import)
        }
    };
    let target = below(path) + forced(force);
    api.ask(Method::DELETE, &target, None).await?;
    let list = &spec.imported_from;
    let again = match is_read {
        false => String::new(),
        true => format!(
            "{path} comes back as long as {list} names it; hidden=true would only have hidden it, and a mount of your own with this \
             path keeps it away\n"
        ),
    };
    Ok(format!("deleted {path}\n{again}"))
}

/// A line for each of these settings that does nothing, because another one is missing.
pub(super) fn notes(spec: &MountSpec, keys: &[&str]) -> String {
    let path = &spec.path;
    let is_set = |names: &[&str]| names.iter().any(|name| keys.contains(name));
    let mut notes = String::new();
    if spec.silence_fails && spec.silence.silence_s == 0 && is_set(&["silence_fails", "silence_s"])
    {
        notes += &format!(
            "silence_fails does nothing while silence_s is 0: antiphon mount set {path} silence_s=30\n"
        );
    }
    if !spec.standby && is_set(&["standby_password"]) {
        notes += &format!(
            "standby_password does nothing while standby is false: antiphon mount set {path} standby=true\n"
        );
    }
    notes
}

/// Whether a list from which a mount was imported is read still.
fn is_read(list: &str, import: &ImportSettings) -> bool {
    let mut lists = import.lists.as_slice().iter();
    lists.any(|it| it.place() == list)
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
    fn a_list_is_read_for_as_long_as_the_settings_name_it() {
        // As a node shows them.
        let mut import = ImportSettings {
            lists: "http://***@a/x,http://b/y".to_owned().try_into().unwrap(),
            ..ImportSettings::default()
        };
        assert!(is_read("http://a/x", &import) && is_read("http://b/y", &import));
        assert!(!is_read("http://a/y", &import));
        import.lists = Default::default();
        assert!(!is_read("http://a/x", &import));
    }

    #[test]
    fn settings_that_do_nothing_are_told_of() {
        let mut spec = MountSpec::new("/r.mp3".parse().unwrap());
        assert_eq!(notes(&spec, &["silence_s"]), "");
        let told = notes(&spec, &["standby_password"]);
        assert!(told.ends_with("mount set /r.mp3 standby=true\n"), "{told}");
        (spec.silence_fails, spec.standby) = (true, true);
        assert_eq!(notes(&spec, &["standby_password", "name"]), "");
        for key in ["silence_fails", "silence_s"] {
            let told = notes(&spec, &[key]);
            assert!(
                told.starts_with("silence_fails does nothing while silence_s is 0"),
                "{told}"
            );
        }
        spec.silence.silence_s = 30;
        assert_eq!(notes(&spec, &["silence_fails"]), "");
    }

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
