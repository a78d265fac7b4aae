//! The settings file: TOML, of which every key must be known.
//!
//! Keys are looked at before values, so that a mistyped key is answered with the one that was meant.

use std::fs;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::{RunArgs, SettingsError};
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

/// What is wrong, and at which byte of the text.
struct Complaint {
    at: usize,
    why: String,
}

impl Complaint {
    fn new(span: Option<Range<usize>>, why: String) -> Self {
        let at = span.map_or(0, |span| span.start);
        Self { at, why }
    }
}

impl From<toml::de::Error> for Complaint {
    fn from(error: toml::de::Error) -> Self {
        // The parser's own words go over several lines when it names what it expected.
        let why = error.message().lines().collect::<Vec<_>>().join(": ");
        Self::new(error.span(), why)
    }
}

fn parse(text: &str) -> Result<RunArgs, Complaint> {
    let table = DeTable::parse(text)?;
    // The first one in the file, whatever the order of the parser's map.
    let unknown = table.get_ref().keys();
    let unknown = unknown.filter(|key| !RunArgs::KEYS.contains(&key.get_ref().as_ref()));
    if let Some(key) = unknown.min_by_key(|key| key.span().start) {
        return Err(Complaint::new(Some(key.span()), unknown_key(key.get_ref())));
    }
    Ok(toml::from_str(text)?)
}

fn unknown_key(key: &str) -> String {
    match nearest(key, &RunArgs::KEYS) {
        Some(meant) => format!("there is no setting {key:?}; did you mean {meant:?}?"),
        None => format!(
            "there is no setting {key:?}; there are {}",
            RunArgs::KEYS.join(", ")
        ),
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
    fn an_unknown_key_is_refused_with_its_place_and_the_one_that_was_meant() {
        let said = refused("name = 'a'\n\n  lisen = '0.0.0.0:1'\n");
        assert_eq!(
            said,
            ":3:3: there is no setting \"lisen\"; did you mean \"listen\"?"
        );
        let said = refused("[cluster]\nx = 1\n");
        assert!(
            said.starts_with(":1:2: there is no setting \"cluster\"; there are name,"),
            "{said}"
        );
        // The path of the file is a matter of flag and variable, not of the file.
        assert!(refused("config = 'x'").starts_with(":1:1:"));
    }

    #[test]
    fn a_bad_value_is_refused_with_its_place() {
        for (text, place, word) in [
            ("rank = 1\nlisten = '8000'", ":2:10: ", "IP:PORT"),
            ("name = 'Bad Name'", ":1:8: ", "no node name"),
            ("max_bandwidth = 'fast'", ":1:17: ", "100M"),
            ("max_bandwidth = -5", ":1:17: ", "100M"),
            ("public_url = 'https://x'", ":1:14: ", "http://"),
            ("mesh_address = '0.0.0.0:8000'", ":1:16: ", "IP:PORT"),
            ("mesh_address = '192.0.2.7:0'", ":1:16: ", "IP:PORT"),
            ("mesh_address = 'a.example:8000'", ":1:16: ", "IP:PORT"),
            ("join = ['a:1', 'b']", ":1:8: ", "\"b\" is not HOST:PORT"),
            ("join = 'a:1'", ":1:8: ", "sequence"),
            ("max_listeners = -1", ":1:17: ", "-1"),
            ("rank = 'x'", ":1:8: ", "invalid type"),
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
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_layer() {
        let all = RunArgs::KEYS.map(|key| format!("{key} = {{}}\n"));
        for line in all {
            // A known key with a value of a type that none of them has.
            let said = refused(&line);
            assert!(!said.contains("unknown field"), "{said}");
        }
        let said = toml::from_str::<RunArgs>("x = 1").unwrap_err().to_string();
        for key in RunArgs::KEYS {
            assert!(said.contains(&format!("`{key}`")), "{said}");
        }
    }
}
