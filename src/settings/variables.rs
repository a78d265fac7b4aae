//! The layer of settings from `ANTIPHON_…` variables, and warnings about unknown ones.

use std::fmt;
use std::str::FromStr;

use super::transcoding;
use super::values;
use super::{LogFilter, Machine, RunArgs, SettingsError};
use crate::model::suggest::nearest;

/// The prefix of all variables of antiphon.
const PREFIX: &str = "ANTIPHON_";
/// The variables that are not keys of the settings file: its path, the admin's password, and the node that commands ask.
const OTHERS: [&str; 3] = ["config", "password", "node"];
/// The most unknown variables that are reported; more of them have one common cause.
const MAX_COMPLAINTS: usize = 8;

pub(super) fn read(machine: &Machine) -> Result<RunArgs, SettingsError> {
    Ok(RunArgs {
        config: machine.path("ANTIPHON_CONFIG"),
        name: parsed(machine, "ANTIPHON_NAME")?,
        data_dir: machine.path("ANTIPHON_DATA_DIR"),
        listen: parsed(machine, "ANTIPHON_LISTEN")?,
        shoutcast_listen: parsed(machine, "ANTIPHON_SHOUTCAST_LISTEN")?,
        listen_http: parsed(machine, "ANTIPHON_LISTEN_HTTP")?,
        listen_https: parsed(machine, "ANTIPHON_LISTEN_HTTPS")?,
        tls_cert: machine.path("ANTIPHON_TLS_CERT"),
        tls_key: machine.path("ANTIPHON_TLS_KEY"),
        shoutcast_mount: parsed(machine, "ANTIPHON_SHOUTCAST_MOUNT")?,
        public_url: parsed(machine, "ANTIPHON_PUBLIC_URL")?,
        public_https_url: parsed(machine, "ANTIPHON_PUBLIC_HTTPS_URL")?,
        mesh_address: None,
        addresses: Vec::new(),
        dns: None,
        join: listed(machine, "ANTIPHON_JOIN")?,
        found: read_by(machine, "ANTIPHON_FOUND", flag)?,
        secret_file: machine.path("ANTIPHON_SECRET_FILE"),
        max_listeners: read_by(machine, "ANTIPHON_MAX_LISTENERS", values::count)?,
        max_sources: read_by(machine, "ANTIPHON_MAX_SOURCES", values::count)?,
        max_bandwidth: parsed(machine, "ANTIPHON_MAX_BANDWIDTH")?,
        rank: read_by(machine, "ANTIPHON_RANK", values::rank)?,
        quorum: None,
        https_redirect: None,
        require_tls_for: Vec::new(),
        geo_database: machine.path("ANTIPHON_GEO_DATABASE"),
        country: parsed(machine, "ANTIPHON_COUNTRY")?,
        position: parsed(machine, "ANTIPHON_POSITION")?,
        trusted_proxies: listed(machine, "ANTIPHON_TRUSTED_PROXIES")?,
        engine: parsed(machine, "ANTIPHON_ENGINE")?,
        icecast: None,
        media_dir: machine.path("ANTIPHON_MEDIA_DIR"),
        http_headers: None,
        web_root: machine.path("ANTIPHON_WEB_ROOT"),
        admin: parsed(machine, "ANTIPHON_ADMIN")?,
        location: parsed(machine, "ANTIPHON_LOCATION")?,
        https: parsed(machine, "ANTIPHON_HTTPS")?,
        transcode: read_by(machine, "ANTIPHON_TRANSCODE", flag)?,
        transcode_engine: parsed(machine, "ANTIPHON_TRANSCODE_ENGINE")?,
        transcode_user: machine.text("ANTIPHON_TRANSCODE_USER"),
        max_transcoders: read_by(
            machine,
            "ANTIPHON_MAX_TRANSCODERS",
            transcoding::transcoders,
        )?,
        transcode_memory_mib: parsed(machine, "ANTIPHON_TRANSCODE_MEMORY_MIB")?,
        log: log(machine)?,
        logs: None,
    })
}

/// The log filter in `ANTIPHON_LOG`.
pub(super) fn log(machine: &Machine) -> Result<Option<LogFilter>, SettingsError> {
    parsed(machine, "ANTIPHON_LOG")
}

/// Complaints about variables that look like settings and are not read.
pub(super) fn complaints(machine: &Machine) -> Vec<String> {
    let unknown = machine.names().filter_map(|name| {
        let upper = name.to_ascii_uppercase();
        let key = upper.strip_prefix(PREFIX)?.to_ascii_lowercase();
        let known = is_variable(&key);
        if known && name == upper && machine.is_empty(&name) {
            return Some(format!(
                "the environment variable {name} is empty, which is the same as unset"
            ));
        }
        let complained = !is_of_kubernetes(&key) && (!known || name != upper);
        complained.then(|| complaint(&name, &key))
    });
    unknown.take(MAX_COMPLAINTS).collect()
}

fn is_variable(key: &str) -> bool {
    OTHERS.contains(&key) || (RunArgs::KEYS.contains(&key) && !RunArgs::IN_FILE_ONLY.contains(&key))
}

/// Whether Kubernetes sets this variable in every container beside a service named antiphon.
fn is_of_kubernetes(key: &str) -> bool {
    key == "port" || key.starts_with("port_") || key.starts_with("service_")
}

fn complaint(name: &str, key: &str) -> String {
    if RunArgs::IN_FILE_ONLY.contains(&key) {
        return format!(
            "the environment variable {name} is not read: {key} stands in the settings file only"
        );
    }
    let known: Vec<&str> = RunArgs::KEYS.into_iter().chain(OTHERS).collect();
    let known: Vec<&str> = known.into_iter().filter(|key| is_variable(key)).collect();
    let hint = match nearest(key, &known) {
        Some(meant) => format!("did you mean {PREFIX}{}?", meant.to_ascii_uppercase()),
        None => "antiphon run --help names all".to_owned(),
    };
    format!("the environment variable {name} is unknown and is not read; {hint}")
}

/// Reads one variable; unset and empty are the same.
fn parsed<T>(machine: &Machine, name: &'static str) -> Result<Option<T>, SettingsError>
where
    T: FromStr<Err: fmt::Display>,
{
    read_by(machine, name, T::from_str)
}

fn read_by<T, E: fmt::Display>(
    machine: &Machine,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, SettingsError> {
    let Some(value) = machine.text(name) else {
        return Ok(None);
    };
    read(&value)
        .map(Some)
        .map_err(|why| SettingsError::Variable {
            name,
            why: why.to_string(),
            value,
        })
}

/// Reads a variable that is on or off.
fn flag(value: &str) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "it is true or false")
}

/// Reads a variable that holds a list with commas.
fn listed<T>(machine: &Machine, name: &'static str) -> Result<Vec<T>, SettingsError>
where
    T: FromStr<Err: fmt::Display>,
{
    let value = machine.text(name).unwrap_or_default();
    let listed = value
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty());
    let read: Result<_, T::Err> = listed.map(T::from_str).collect();
    read.map_err(|why| SettingsError::Variable {
        name,
        why: why.to_string(),
        value: value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_said_to_be_unset() {
        let found = complaints(&Machine::new(&[("ANTIPHON_LISTEN", "")], "h"));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("ANTIPHON_LISTEN is empty"), "{found:?}");
    }

    #[test]
    fn an_unknown_variable_is_named_with_the_intended_one() {
        for (name, hint) in [
            ("ANTIPHON_LISTN", "did you mean ANTIPHON_LISTEN?"),
            (
                "ANTIPHON_MAX_LISTENER",
                "did you mean ANTIPHON_MAX_LISTENERS?",
            ),
            ("ANTIPHON_PASSWROD", "did you mean ANTIPHON_PASSWORD?"),
            ("antiphon_join", "did you mean ANTIPHON_JOIN?"),
            ("ANTIPHON_LOGG", "did you mean ANTIPHON_LOG?"),
            ("ANTIPHON_LOGS", "stands in the settings file only"),
            ("ANTIPHON_COLOUR", "--help names all"),
            ("ANTIPHON_DNS", "stands in the settings file only"),
            ("ANTIPHON_MESH_ADDRESS", "stands in the settings file only"),
        ] {
            let found = complaints(&Machine::new(&[(name, "x")], "h"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].contains(name) && found[0].contains(hint),
                "{found:?}"
            );
        }
    }

    #[test]
    fn known_and_foreign_variables_raise_no_complaint() {
        let mut names: Vec<String> = RunArgs::KEYS
            .into_iter()
            .filter(|key| !RunArgs::IN_FILE_ONLY.contains(key))
            .chain(OTHERS)
            .map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase()))
            .collect();
        names.extend(
            [
                "PATH",
                "ANTIPHON",
                "ANTIPHON_PORT",
                "ANTIPHON_PORT_8000_TCP",
            ]
            .map(str::to_owned),
        );
        names.push("ANTIPHON_SERVICE_HOST".to_owned());
        let set: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(complaints(&Machine::new(&set, "h")), [""; 0]);
        let many: Vec<String> = (0..99).map(|number| format!("{PREFIX}X{number}")).collect();
        let set: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(complaints(&Machine::new(&set, "h")).len(), MAX_COMPLAINTS);
    }
}
