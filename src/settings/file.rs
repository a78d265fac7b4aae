//! The settings file: TOML; unknown keys are refused.
//!
//! Keys are checked before values, so that a mistyped key is answered with the one that was meant.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use toml::de::{DeTable, DeValue};

use super::{RunArgs, SettingsError, wanted};
use crate::model::http_header::{ExtraHeader, ExtraHeaders};
use crate::model::https::command_of;
use crate::model::suggest::nearest;

/// Reads and checks one settings file.
pub(super) fn read(path: &Path) -> Result<RunArgs, SettingsError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| SettingsError::Unreadable(path.to_owned(), error))?;
    parse(&text).map_err(|complaint| {
        let (line, column) = position(&text, complaint.at);
        SettingsError::File {
            path: path.to_owned(),
            line,
            column,
            why: complaint.why,
        }
    })
}

/// An error, and the byte of the text at which it stands.
struct FileComplaint {
    at: usize,
    why: String,
}

impl FileComplaint {
    fn new(span: Option<Range<usize>>, why: String) -> Self {
        let at = span.map_or(0, |span| span.start);
        Self { at, why }
    }
}

impl From<toml::de::Error> for FileComplaint {
    fn from(error: toml::de::Error) -> Self {
        // The parser's message has several lines when it names what it expected.
        let mut why = error.message().lines().collect::<Vec<_>>().join(": ");
        // A word that begins like `true` or `false` and is neither: the quotes are missing.
        if why.contains("invalid boolean") {
            why += "; a text stands in quotes, such as name = \"a\"";
        }
        Self::new(error.span(), why)
    }
}

fn parse(text: &str) -> Result<RunArgs, FileComplaint> {
    let table = DeTable::parse(text)?;
    let table = table.get_ref();
    check(table, &RunArgs::KEYS, wanted::complaint)?;
    if let Some(dns) = table.get("dns").and_then(|dns| dns.get_ref().as_table()) {
        check(dns, &wanted::DNS_KEYS, wanted::complaint_of_dns)?;
    }
    if let Some(icecast) = table.get("icecast").and_then(|it| it.get_ref().as_table()) {
        check(icecast, &wanted::ICECAST_KEYS, wanted::complaint_of_icecast)?;
    }
    if let Some(logs) = table.get("logs").and_then(|it| it.get_ref().as_table()) {
        check(logs, &wanted::LOGS_KEYS, wanted::complaint_of_logs)?;
    }
    Ok(toml::from_str(text)?)
}

/// Looks for unknown keys, and then for values of the wrong kind. Of several mistakes the first one in the file is
/// reported, whatever the order of the parser's map.
fn check(
    table: &DeTable<'_>,
    known: &[&str],
    complaint: impl Fn(&str, &DeValue<'_>) -> Option<String>,
) -> Result<(), FileComplaint> {
    let unknown = table.keys();
    let unknown = unknown.filter(|key| !known.contains(&key.get_ref().as_ref()));
    if let Some(key) = unknown.min_by_key(|key| key.span().start) {
        let why = unknown_key(key.get_ref(), known);
        return Err(FileComplaint::new(Some(key.span()), why));
    }
    let wrong = table.iter().filter_map(|(key, value)| {
        let why = complaint(key.get_ref(), value.get_ref())?;
        Some(FileComplaint::new(Some(value.span()), why))
    });
    wrong
        .min_by_key(|complaint| complaint.at)
        .map_or(Ok(()), Err)
}

/// Reads a list of headers that are added to answers.
pub(super) fn headers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ExtraHeaders>, D::Error> {
    let rules = Vec::<ExtraHeader>::deserialize(deserializer)?;
    let rules = ExtraHeaders::try_from(rules);
    rules.map(Some).map_err(serde::de::Error::custom)
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    if let Some(command) = command_of(key) {
        return format!(
            "{key} is the same on all nodes, and is not set in this file: {command} sets it"
        );
    }
    match nearest(key, known) {
        Some(meant) => format!("unknown setting {key:?}; did you mean {meant:?}?"),
        None => format!("unknown setting {key:?}; known are {}", known.join(", ")),
    }
}

/// Line and column, both from 1, of a byte in a text.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        let path = file.path().to_str().unwrap();
        let rest = error.strip_prefix(path).unwrap();
        rest.to_owned()
    }

    #[test]
    fn settings_of_the_mesh_are_told_with_their_command() {
        let said = refused("https_directory = 'https://ca.example/dir'\n");
        assert!(
            said.ends_with("antiphon cert enable --directory URL sets it"),
            "{said}"
        );
        for value in ["'on'", "true"] {
            let said = refused(&format!("https = {value}\n"));
            let words = [
                ":1:9: ",
                "the mail address",
                "antiphon cert enable",
                "; not ",
            ];
            assert!(words.iter().all(|it| said.contains(it)), "{said}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_intended_one() {
        let said = refused("name = 'a'\n\n  lisen = '0.0.0.0:1'\n");
        assert_eq!(
            said,
            ":3:3: unknown setting \"lisen\"; did you mean \"listen\"?"
        );
        let said = refused("[cluster]\nx = 1\n");
        assert!(
            said.starts_with(":1:2: unknown setting \"cluster\"; known are name,"),
            "{said}"
        );
        // The path of the file is set by flag or variable, never in the file.
        assert!(refused("config = 'x'").starts_with(":1:1:"));
    }

    #[test]
    fn a_bad_value_is_refused_with_its_place() {
        for (text, place, word) in [
            ("rank = 1\nlisten = '8000'", ":2:10: ", "IP:PORT"),
            ("name = 'Bad Name'", ":1:8: ", "invalid node name"),
            ("max_bandwidth = 'fast'", ":1:17: ", "100M"),
            ("max_bandwidth = -5", ":1:17: ", "100M"),
            ("public_url = 'https://x'", ":1:14: ", "http://"),
            ("mesh_address = '0.0.0.0:8000'", ":1:16: ", "IP:PORT"),
            ("mesh_address = '192.0.2.7:0'", ":1:16: ", "IP:PORT"),
            ("mesh_address = 'a.example:8000'", ":1:16: ", "IP:PORT"),
            ("join = ['a:1', 'b']", ":1:8: ", "\"b\" is not HOST:PORT"),
            (
                "join = 'a:1'",
                ":1:8: ",
                "a list: [\"b.example:8000\"]; not a text",
            ),
            (
                "join = [1]",
                ":1:8: ",
                "a list: [\"b.example:8000\"]; not a list of other",
            ),
            (
                "max_listeners = -1",
                ":1:17: ",
                "a number, such as 1000; not -1",
            ),
            (
                "max_listeners = 1.5",
                ":1:17: ",
                "a number, such as 1000; not 1.5",
            ),
            (
                "max_listeners = '5'",
                ":1:17: ",
                "a number, such as 1000; not a text",
            ),
            ("max_listeners = 5_000_000_000", ":1:17: ", "such as 1000"),
            ("rank = 'x'", ":1:8: ", "a number, such as 100; not a text"),
            ("rank = true", ":1:8: ", "a number, such as 100; not true"),
            (
                "name = 5",
                ":1:8: ",
                "a text in quotes, such as \"studio\"; not a number",
            ),
            ("data_dir = ['/d']", ":1:12: ", "a text in quotes"),
            ("country = 1979-05-27", ":1:11: ", "\"DE\"; not a date"),
            ("log = 'warm'", ":1:7: ", "did you mean \"warn\"?"),
            ("log = 2", ":1:7: ", "such as \"info\"; not a number"),
            (
                "trusted_proxies = '::1'",
                ":1:19: ",
                "a list: [\"127.0.0.1\"",
            ),
            ("addresses = '::1'", ":1:13: ", "a list: [\"203.0.113.5\"]"),
            ("http_headers = ['X']", ":1:16: ", "`Name: value`"),
            (
                "http_headers = 'X: y'",
                ":1:16: ",
                "a list: [\"X-Robots-Tag",
            ),
            ("dns = 'radio.example'", ":1:7: ", "a table: [dns]"),
            (
                "[dns]\nzon = 'a.example'",
                ":2:1: ",
                "did you mean \"zone\"?",
            ),
            (
                "[dns]\nzone = 5",
                ":2:8: ",
                "such as \"radio.example\"; not a number",
            ),
            (
                "[dns]\nzone = 'a.example'\nanswers = '4'",
                ":3:11: ",
                "such as 4; not a text",
            ),
            (
                "[dns]\nlisten = 53",
                ":2:10: ",
                "or a list of them; not a number",
            ),
            ("transcode = 'yes'", ":1:13: ", "true or false; not a text"),
            (
                "transcode_engine = 'x'",
                ":1:20: ",
                "auto, liquidsoap or ffmpeg",
            ),
            (
                "max_transcoders = 'all'",
                ":1:19: ",
                "such as 4; not a text",
            ),
            ("transcode_memory_mib = 1", ":1:24: ", "from 64 to 65536"),
            ("icecast = true", ":1:11: ", "a table: [icecast]"),
            ("[icecast]\nprt = 1", ":2:1: ", "did you mean \"port\"?"),
            (
                "[icecast]\nport = 80000",
                ":2:8: ",
                "such as 8500; not 80000",
            ),
            (
                "[icecast]\nreload_command = 'true'",
                ":2:18: ",
                "a list: [\"systemctl",
            ),
            ("logs = 'off'", ":1:8: ", "a table: [logs]"),
            (
                "[logs]\nacces = false",
                ":2:1: ",
                "did you mean \"access\"?",
            ),
            ("[logs]\naccess = 'no'", ":2:10: ", "true or false"),
            ("[logs]\nmax_mib = '1'", ":2:11: ", "such as 32"),
            ("[logs]\nformat = 'xml'", ":2:10: ", "`combined` or `json`"),
            (
                "[logs]\naddress_privacy = 'some'",
                ":2:19: ",
                "`full`, `truncated`, `hashed`, `none`",
            ),
            ("engine = 'icecast2'", ":1:10: ", "embedded ("),
            ("country = 'deu'", ":1:11: ", "two letters"),
            ("position = '52'", ":1:12: ", "latitude"),
            ("trusted_proxies = ['10.0.0.1/8']", ":1:19: ", "10.0.0.0/8"),
        ] {
            let said = refused(text);
            assert!(
                said.starts_with(place) && said.contains(word),
                "{text} {said}"
            );
        }
    }

    #[test]
    fn broken_toml_is_refused_in_one_line_with_its_place() {
        for text in ["name = ", "name = 'a", "é = = 2", "a = 1\na = 2", "\0"] {
            let said = refused(text);
            assert!(said.starts_with(':') && !said.contains('\n'), "{said}");
        }
        for text in ["name = t", "name = radio-1", "admin = fred"] {
            let said = refused(text);
            assert!(said.contains("quote"), "{said}");
        }
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_layer() {
        let all = RunArgs::KEYS.map(|key| format!("{key} = 1979-05-27\n"));
        for line in all {
            // A known key with a value of a type that no key has.
            let said = refused(&line);
            assert!(!said.contains("unknown field"), "{said}");
        }
        let said = toml::from_str::<RunArgs>("x = 1").unwrap_err().to_string();
        for key in RunArgs::KEYS {
            assert!(said.contains(&format!("`{key}`")), "{said}");
        }
    }
}
