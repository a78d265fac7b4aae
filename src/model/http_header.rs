//! Headers that an operator adds to answers, such as `X-Robots-Tag: noindex`, or `404 X-Who: me` for one status only.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One rule: a header, and the answers that get it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ExtraHeader {
    /// The status of these answers; `None`: all.
    status: Option<u16>,
    name: String,
    value: String,
}

/// The rules of a node or of a mount, in the order in which their headers are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExtraHeaders(Arc<[ExtraHeader]>);

/// Why a text is not a rule, or several are too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// The text has no name of a header.
    #[error(
        "{0:?} is no header: write `Name: value`, or `404 Name: value` for answers of one status"
    )]
    Form(String),
    /// The header says how an answer is to be read.
    #[error("{0} is set by antiphon itself and cannot be replaced: leave it out")]
    Ours(String),
    /// The value could begin a line of its own.
    #[error("the value of {0} has a control character, such as a line break: remove it")]
    Control(String),
    /// The rules are too many.
    #[error("{0} headers, at most {max}: leave some out", max = ExtraHeaders::MAX)]
    TooMany(usize),
}

/// The headers by which clients find the end of an answer and what it is, and those of which a wrong one sends players
/// or browsers astray.
const OURS: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "icy-metaint",
    "location",
    "transfer-encoding",
    "www-authenticate",
];

impl ExtraHeader {
    /// The name of the header.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of the header.
    pub fn value(&self) -> &str {
        &self.value
    }

    fn is_for(&self, status: u16) -> bool {
        self.status.is_none_or(|only| only == status)
    }
}

impl FromStr for ExtraHeader {
    type Err = BadHeader;

    fn from_str(text: &str) -> Result<Self, BadHeader> {
        let bad_form = || BadHeader::Form(text.to_owned());
        let (before, value) = text.split_once(':').ok_or_else(bad_form)?;
        let (status, name) = match before.trim().split_once(char::is_whitespace) {
            Some((status, name)) => (Some(read_status(status).ok_or_else(bad_form)?), name.trim()),
            None => (None, before.trim()),
        };
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(bad_form());
        }
        let (name, value) = (name.to_owned(), value.trim().to_owned());
        if OURS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(BadHeader::Ours(name));
        }
        if value.contains(char::is_control) {
            return Err(BadHeader::Control(name));
        }
        Ok(Self {
            status,
            name,
            value,
        })
    }
}

fn read_status(text: &str) -> Option<u16> {
    let status = text.parse().ok()?;
    (text.len() == 3 && (200..600).contains(&status)).then_some(status)
}

impl TryFrom<String> for ExtraHeader {
    type Error = BadHeader;

    fn try_from(text: String) -> Result<Self, BadHeader> {
        text.parse()
    }
}

impl fmt::Display for ExtraHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        write!(f, "{}: {}", self.name, self.value)
    }
}

impl ExtraHeaders {
    /// The most rules of a node, and of a mount: a head has to stay a small thing.
    pub const MAX: usize = 16;
    /// Between the rules of a text.
    const SEPARATOR: &str = " | ";

    /// The headers of an answer with this status. Those of `special`, which are a mount's, replace others of the same name.
    pub fn for_status<'a>(&'a self, special: &'a Self, status: u16) -> Vec<&'a ExtraHeader> {
        let special = special.0.iter().filter(|rule| rule.is_for(status));
        let mut all: Vec<&ExtraHeader> = special.collect();
        let replaced = all.len();
        for rule in self.0.iter().filter(|rule| rule.is_for(status)) {
            let mut before = all[..replaced].iter();
            if !before.any(|other| other.name.eq_ignore_ascii_case(&rule.name)) {
                all.push(rule);
            }
        }
        all
    }
}

impl TryFrom<Vec<ExtraHeader>> for ExtraHeaders {
    type Error = BadHeader;

    fn try_from(rules: Vec<ExtraHeader>) -> Result<Self, BadHeader> {
        match rules.len() {
            0..=Self::MAX => Ok(Self(rules.into())),
            many => Err(BadHeader::TooMany(many)),
        }
    }
}

impl FromStr for ExtraHeaders {
    type Err = BadHeader;

    fn from_str(text: &str) -> Result<Self, BadHeader> {
        let rules = text.split(Self::SEPARATOR.trim()).map(str::trim);
        let rules = rules.filter(|rule| !rule.is_empty()).map(str::parse);
        let rules: Result<Vec<ExtraHeader>, BadHeader> = rules.collect();
        rules?.try_into()
    }
}

impl TryFrom<String> for ExtraHeaders {
    type Error = BadHeader;

    fn try_from(text: String) -> Result<Self, BadHeader> {
        text.parse()
    }
}

impl fmt::Display for ExtraHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.0.iter().map(ExtraHeader::to_string).collect();
        f.write_str(&rules.join(Self::SEPARATOR))
    }
}

impl From<ExtraHeaders> for String {
    fn from(rules: ExtraHeaders) -> Self {
        rules.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> ExtraHeaders {
        text.parse().unwrap()
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        let text = "X-A: 1 | 404 X-B: a: b; c | 200 X-C: ";
        assert_eq!(rules(text).to_string(), text);
        assert_eq!(rules(" 404   x-b:z| ").to_string(), "404 x-b: z");
        assert_eq!(rules("").to_string(), "");
        let sixteen = vec!["X: y"; ExtraHeaders::MAX].join("|");
        assert_eq!(rules(&sixteen).0.len(), ExtraHeaders::MAX);
        let many = format!("{sixteen}|Z: z").parse::<ExtraHeaders>();
        assert_eq!(many, Err(BadHeader::TooMany(17)));
    }

    #[test]
    fn what_could_break_an_answer_is_refused() {
        for (text, word) in [
            ("X-A", "no header"),
            (": a", "no header"),
            ("X A: a", "no header"),
            ("40 X: a", "no header"),
            ("700 X: a", "no header"),
            ("+200 X: a", "no header"),
            ("404 5 X: a", "no header"),
            ("X(: a", "no header"),
            ("Content-Length: 5", "by antiphon itself"),
            ("200 LOCATION: /", "by antiphon itself"),
            ("icy-metaint: 1", "by antiphon itself"),
            ("X: a\rb", "control"),
            ("X: a\0", "control"),
            ("X: a\u{85}b", "control"),
        ] {
            let why = text.parse::<ExtraHeader>().unwrap_err().to_string();
            assert!(why.contains(word), "{text:?}: {why}");
        }
    }

    #[test]
    fn a_mounts_rule_replaces_a_nodes() {
        let (node, mount) = (
            rules("X: 1 | Y: 2 | 404 Z: 3"),
            rules("404 x: 4 | x: 5 | x: 6"),
        );
        let told = |status| {
            let told = node.for_status(&mount, status);
            told.iter()
                .map(|rule| rule.value.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(200), ["5", "6", "2"]);
        assert_eq!(told(404), ["4", "5", "6", "2", "3"]);
        let none = ExtraHeaders::default();
        assert_eq!(none.for_status(&none, 200), Vec::<&ExtraHeader>::new());
    }
}
