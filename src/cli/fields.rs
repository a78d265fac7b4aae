//! The settings of records on the command line: flags of a new record, `FIELD=VALUE` for a change, help, and output.
//!
//! All are made from the table of the record's kind, so that a value is checked here as a node will check it: a mistake
//! is a usage error, and nothing is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use anyhow::{anyhow, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Map, Value};

use super::terminal::printable;
use crate::io::password::{HashError, check_length};
use crate::logic::records::field::{Field, FieldKind};
use crate::logic::records::kind::Kind;
use crate::model::record;

/// The width of the narrowest terminal in use, less one column that some terminals need.
const COLUMNS: usize = 79;
/// The column at which the help of a setting begins.
const HELP_COLUMN: usize = 15;

/// One setting with its new value, as the API takes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    /// The name of the setting.
    pub(super) key: &'static str,
    /// The value.
    pub(super) value: Value,
}

/// The names of the settings that get a value, and are not cleared.
pub(super) fn given_keys(changes: &[Assignment]) -> Vec<&'static str> {
    let is_given = |change: &&Assignment| !change.value.is_null() && change.value != "";
    let given = changes.iter().filter(is_given);
    given.map(|change| change.key).collect()
}

/// The effect of each setting of a kind, for the end of a help.
pub(super) fn help<S>(kind: &Kind<S>) -> String {
    let paragraphs = kind.fields.iter().map(|field| {
        let mut lines = wrapped(field.help, COLUMNS - HELP_COLUMN).into_iter();
        let first = match field.key.len() < HELP_COLUMN {
            true => format!(
                "{:<HELP_COLUMN$}{}",
                field.key,
                lines.next().unwrap_or_default()
            ),
            false => field.key.to_owned(),
        };
        let others = lines.map(|line| format!("{:HELP_COLUMN$}{line}", ""));
        let lines: Vec<String> = [first].into_iter().chain(others).collect();
        lines.join("\n")
    });
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// The text in lines of at most so many letters.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The flags of a command that makes a record: one for each setting, except for those for which the command has flags
/// of its `own`.
pub(super) fn flags<S>(kind: &'static Kind<S>, own: &[&str]) -> Vec<Arg> {
    let fields = kind.fields.iter();
    let fields = fields.filter(|field| !own.contains(&field.key));
    fields.map(|field| flag(kind, field)).collect()
}

fn flag<S>(kind: &Kind<S>, field: &'static Field<S>) -> Arg {
    let is_password = matches!(field.kind, FieldKind::Password { .. }) && field.required;
    let unset = match field.show(&(kind.unset)()) {
        _ if is_password => "a generated one".to_owned(),
        unset => unset.unwrap_or_default(),
    };
    let help = match unset.as_str() {
        "" => capitalised(field.help),
        unset => format!("{} [default: {unset}]", capitalised(field.help)),
    };
    let arg = Arg::new(field.key)
        .long(field.key.replace('_', "-"))
        .help(help)
        // A password that is not given is generated.
        .required(field.required && !is_password)
        .action(ArgAction::Set)
        .value_name(word(field));
    match &field.kind {
        FieldKind::Choice { words, .. } => {
            let words = PossibleValuesParser::new(words.iter().copied());
            arg.value_parser(words.map(Value::from))
                .hide_possible_values(true)
        }
        FieldKind::Flag { words, .. } => {
            let [yes, no] = words.words();
            let words = PossibleValuesParser::new([yes, no]);
            let arg = arg.num_args(0..=1).require_equals(true);
            arg.default_missing_value(yes)
                .value_parser(words.map(move |word| Value::from(word == yes)))
                .hide_possible_values(true)
        }
        // A level of sound is a negative number.
        _ => arg
            .allow_negative_numbers(true)
            .value_parser(|text: &str| value(field, text)),
    }
}

/// The text with a capital letter at its beginning, as all helps of flags have one.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// The word for a value in a usage line.
fn word<S>(field: &Field<S>) -> String {
    match &field.kind {
        FieldKind::Text { word, .. } => (*word).to_owned(),
        FieldKind::Choice { words, .. } => words.join("|"),
        FieldKind::Flag { words, .. } => words.words().join("|"),
        FieldKind::Number { .. } | FieldKind::Optional { .. } => "N".to_owned(),
        FieldKind::Password { .. } | FieldKind::Secret { .. } => field.key.to_uppercase(),
    }
}

/// The settings that the flags of a command give.
pub(super) fn given<S>(kind: &Kind<S>, matches: &ArgMatches) -> Vec<Assignment> {
    let assignments = kind.fields.iter().filter_map(|field| {
        // A flag of the command's own has another type, or there is none of this name.
        let value = matches.try_get_one::<Value>(field.key).ok().flatten()?;
        Some(Assignment {
            key: field.key,
            value: value.clone(),
        })
    });
    assignments.collect()
}

/// The same settings as a record would keep them. A password is left out, because its hash is not known.
pub(super) fn kept<S>(
    kind: &Kind<S>,
    assignments: &[Assignment],
) -> BTreeMap<String, record::Value> {
    let known = assignments
        .iter()
        .filter_map(|it| Some((kind.field(it.key).ok()?, &it.value)));
    let kept = known.filter_map(|(field, value)| {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        Some((field.stored().to_owned(), field.read(&text).ok()?))
    });
    kept.collect()
}

/// Reads `FIELD=VALUE`, and lists what a shell can complete.
#[derive(Debug)]
pub(super) struct AssignmentParser<S: 'static>(pub(super) &'static Kind<S>);

impl<S> Clone for AssignmentParser<S> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<S> TypedValueParser for AssignmentParser<S> {
    type Value = Assignment;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Assignment, clap::Error> {
        let kind = self.0;
        let read = move |text: &str| assignment(kind, text);
        read.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = self.0.fields.iter().flat_map(|field| {
            let values = match &field.kind {
                FieldKind::Choice { words, .. } => words.to_vec(),
                FieldKind::Flag { words, .. } => words.words().to_vec(),
                _ => vec![""],
            };
            let word = |value| PossibleValue::new(format!("{}={value}", field.key));
            values.into_iter().map(word)
        });
        Some(Box::new(words))
    }
}

/// Reads `FIELD=VALUE`.
fn assignment<S>(kind: &Kind<S>, text: &str) -> anyhow::Result<Assignment> {
    let Some((key, text)) = text.split_once('=') else {
        let example = kind.fields.iter().find_map(example);
        bail!("write FIELD=VALUE, such as {}", example.unwrap_or_default());
    };
    let field = kind.field(key)?;
    if matches!(field.kind, FieldKind::Secret { .. }) && !text.is_empty() {
        bail!("every user of the machine can see a password on a command line: use --{key}-file");
    }
    setting(field, text)
}

/// A setting with the value that this text gives it; the error names the setting.
pub(super) fn setting<S>(field: &Field<S>, text: &str) -> anyhow::Result<Assignment> {
    let key = field.key;
    let value = value(field, text).map_err(|why| anyhow!("{key}: {why}"))?;
    Ok(Assignment { key, value })
}

fn example<S>(field: &Field<S>) -> Option<String> {
    match field.kind {
        FieldKind::Number { example, .. } => Some(format!("{}={example}", field.key)),
        _ => None,
    }
}

/// Reads the value of a setting with the type that the API wants.
fn value<S>(field: &Field<S>, text: &str) -> anyhow::Result<Value> {
    // The node hashes a password.
    if matches!(field.kind, FieldKind::Password { .. }) {
        if text.is_empty() && !field.required {
            return Ok(Value::Null);
        }
        return Ok(password(text)?.into());
    }
    let read = field
        .read(text)
        .map_err(|why| anyhow!("{}", why.as_str()))?;
    Ok(match read {
        record::Value::Nothing => Value::Null,
        record::Value::Flag(flag) => flag.into(),
        record::Value::Number(number) => number.into(),
        record::Value::Text(text) => text.into(),
    })
}

/// A new password, if its length is allowed.
pub(super) fn password(text: &str) -> Result<String, HashError> {
    check_length(&text.into())?;
    Ok(text.to_owned())
}

/// Checks that no setting is given twice: one of the two values would be lost. The example shows how it is done.
pub(super) fn check_once(assignments: &[Assignment], example: &str) -> Result<(), String> {
    let mut keys = BTreeSet::new();
    match assignments.iter().find(|it| !keys.insert(it.key)) {
        Some(twice) => Err(format!(
            "{} is given twice: give it once, such as {example}",
            twice.key
        )),
        None => Ok(()),
    }
}

/// The JSON object that gives these settings their values.
pub(super) fn object(assignments: impl IntoIterator<Item = Assignment>) -> Map<String, Value> {
    let pairs = assignments.into_iter();
    let pairs = pairs.map(|assignment| (assignment.key.to_owned(), assignment.value));
    pairs.collect()
}

/// Lines with a name and a value each, the values below each other.
pub(super) fn lines(pairs: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let shown = pairs.iter().flat_map(|(name, value)| {
        // A value of several lines goes on below its first one.
        let names = [*name].into_iter().chain(std::iter::repeat(""));
        let values = value.split('\n');
        names.zip(values).map(|(name, value)| {
            let line = format!("{name:<width$}  {}", printable(value));
            format!("{}\n", line.trim_end())
        })
    });
    shown.collect()
}

/// The settings of a spec, by name. `secret` gives the text for a setting that is never shown; `None` leaves it out.
pub(super) fn shown<S>(
    kind: &Kind<S>,
    spec: &S,
    secret: impl Fn(&Field<S>) -> Option<String>,
) -> Vec<(&'static str, String)> {
    let fields = kind.fields.iter();
    let pairs = fields.filter_map(|field| {
        let value = field.show(spec).or_else(|| secret(field))?;
        Some((field.key, value))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::mounts::MOUNT_KIND;
    use crate::logic::records::outside::OUTSIDE_KIND;
    use crate::logic::records::steering::{MESH_KIND, MeshSettings, NODE_KIND};

    #[test]
    fn changes_are_read_with_their_types() {
        let read = |text: &str| {
            let change = assignment(&MOUNT_KIND, text).unwrap();
            (change.key, change.value)
        };
        assert_eq!(read("name=a=b c"), ("name", "a=b c".into()));
        assert_eq!(read("genre="), ("genre", "".into()));
        assert_eq!(read("max_listeners=5"), ("max_listeners", 5.into()));
        assert_eq!(read("linger_s=600"), ("linger_s", 600.into()));
        assert_eq!(read("takeover=takeover"), ("takeover", "takeover".into()));
        assert_eq!(read("standby=true"), ("standby", true.into()));
        assert_eq!(read("password=p w"), ("password", "p w".into()));
        for none in ["", "none", "unlimited"] {
            let text = format!("max_listeners={none}");
            assert_eq!(read(&text), ("max_listeners", Value::Null));
        }
        let login = assignment(&OUTSIDE_KIND, "login=").unwrap();
        assert_eq!(login.value, Value::Null);
        let maintenance = assignment(&NODE_KIND, "maintenance=on").unwrap();
        assert_eq!(maintenance.value, true);
    }

    #[test]
    fn changes_are_checked_before_they_are_sent() {
        for (bad, hint) in [
            ("name", "write FIELD=VALUE, such as linger_s=30"),
            (
                "gener=x",
                "a mount has no \"gener\"; did you mean \"genre\"?",
            ),
            ("colour=x", "it has password"),
            ("max_listeners=-1", "max_listeners: must be a number"),
            ("linger_s=601", "from 0 to 600"),
            ("linger_s=10s", "from 0 to 600"),
            ("takeover=yes", "`refuse` or `takeover`"),
            ("standby=1", "`true` or `false`"),
            ("charset=klingon", "windows-1251"),
            ("redirect=no", "`true` or `false`"),
            ("overflow_percent=200", "from 1 to 100"),
            ("countries=de,!us", "mixed rule"),
            ("url=radio.example", "http://"),
        ] {
            let error = assignment(&MOUNT_KIND, bad).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        let error = assignment(&OUTSIDE_KIND, "login=a:b").unwrap_err();
        assert!(error.to_string().contains("--login-file"), "{error}");
        let error = assignment(&OUTSIDE_KIND, "via=ftp").unwrap_err();
        assert!(error.to_string().contains("`status-json`"), "{error}");
    }

    #[test]
    fn a_help_has_a_column_of_names_and_of_texts() {
        let text = help(&NODE_KIND);
        let expected = "\
weight         its share of what its size would give it, per cent: 0 to 1000;
               100 is usual, 50 fills it half as far as the others, 0 keeps
               listeners away
";
        assert!(text.starts_with(expected), "{text}");
        assert!(help(&MOUNT_KIND).contains("\noverflow_percent\n               how full"));
    }

    #[test]
    fn a_value_of_several_lines_goes_on_below() {
        let settings = MeshSettings {
            proxy_agents: vec!["ESP32".to_owned(), "So\x1bnos".to_owned()],
            ..MeshSettings::default()
        };
        let text = lines(shown(&MESH_KIND, &settings, |_| None));
        let policy = settings.policy.to_string();
        let expected =
            format!("policy        {policy}\nproxy_agents  ESP32\n              So nos\n");
        assert_eq!(text, expected);
    }
}
