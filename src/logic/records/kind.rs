//! A kind of record: a table of its fields, by which specs are read, changed and shown.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use super::field::Field;
use super::mistake::Mistake;
use crate::logic::document::Document;
use crate::model::record::key::RecordKey;
use crate::model::record::{Record, Value};
use crate::model::suggest::{listed, nearest};

/// The longest part of an unknown name that is repeated: enough to recognise the name, and few letters to compare.
const MAX_SHOWN_LETTERS: usize = 64;
/// The most names of settings in an error: more than those are looked up in a table.
const MAX_SHOWN_NAMES: usize = 32;

/// The records of one kind, whose specs are `S`.
#[derive(Debug)]
pub struct Kind<S: 'static> {
    /// The thing that a record describes, with its article, for messages.
    pub noun: &'static str,
    /// The beginning of the keys, followed by a name; the whole key where there is only one record.
    pub prefix: &'static str,
    /// The settings, in the order in which they are shown.
    pub fields: &'static [Field<S>],
    /// A spec in which nothing is set.
    pub unset: fn() -> S,
}

/// Settings of one record with their new values, each checked.
pub struct Changes<S> {
    fields: BTreeMap<String, Value>,
    kind: PhantomData<fn() -> S>,
}

/// Why a setting is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// The record has no such setting.
    #[error("{noun} has no {key:?}; {hint}")]
    Unknown {
        /// The thing that the setting was meant for.
        noun: &'static str,
        /// The beginning of the name that was given.
        key: String,
        /// The name that may have been meant, or all names.
        hint: String,
    },
    /// The value breaks a rule of its field.
    #[error("{field}: {}", why.as_str())]
    Value {
        /// The name of the field.
        field: &'static str,
        /// The rule.
        why: Mistake,
    },
}

/// Why a record of the document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The key has no valid name.
    #[error("its key is not the name of {0}")]
    Key(&'static str),
    /// The record lacks a field that it needs.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// A field breaks a rule, or holds another kind of value.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The document has more records of this kind than are used.
    #[error("there are {0} of them already, which is the most")]
    TooMany(usize),
}

/// A live record of a document.
#[derive(Clone, Copy, Debug)]
pub struct NamedRecord<'a> {
    /// The part of the key after the prefix.
    pub name: &'a str,
    /// The key.
    pub key: &'a RecordKey,
    /// The record.
    pub record: &'a Record,
}

impl<S> Kind<S> {
    /// The key of the record with this name; an empty one if there is only one record.
    pub fn key(&self, name: &str) -> RecordKey {
        RecordKey::try_from(format!("{}{name}", self.prefix)).expect("a short name fits a key")
    }

    /// The live records of this kind.
    pub fn records<'a>(&'a self, document: &'a Document) -> impl Iterator<Item = NamedRecord<'a>> {
        document.live().filter_map(|(key, record)| {
            let name = key.as_str().strip_prefix(self.prefix)?;
            Some(NamedRecord { name, key, record })
        })
    }

    /// The names of all settings.
    pub fn keys(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.key).collect()
    }

    /// The setting of this name.
    pub fn field(&self, key: &str) -> Result<&'static Field<S>, BadSetting> {
        let found = self.fields.iter().find(|field| field.key == key);
        found.ok_or_else(|| {
            let key: String = key.chars().take(MAX_SHOWN_LETTERS).collect();
            let known = self.keys();
            let hint = match nearest(&key, &known) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("it has {}", listed(&known, MAX_SHOWN_NAMES)),
            };
            let noun = self.noun;
            BadSetting::Unknown { noun, key, hint }
        })
    }

    /// The changes that give each of these settings its value, as an operator would write it.
    pub fn changes<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Changes<S>, BadSetting> {
        let mut changes = Changes::default();
        for (key, text) in settings {
            changes.set(self.field(key)?, text)?;
        }
        Ok(changes)
    }

    /// The settings of a spec in one line, as an operator would write them; those that are never shown are left out.
    pub fn line(&self, spec: &S) -> String {
        let fields = self.fields.iter();
        let words = fields.filter_map(|field| Some(format!("{}={}", field.key, field.show(spec)?)));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Puts all that a record says into a spec. Unknown fields are no reason to refuse a record. The first field that
    /// is missing or breaks a rule is the error; it stays as it was, and all others are put there nevertheless.
    pub fn load(&self, spec: &mut S, record: &Record) -> Result<(), BadRecord> {
        self.load_values(spec, |stored| record.value(stored))
    }

    /// The same for a record, or none, as an edit would leave it.
    pub fn load_edited(
        &self,
        spec: &mut S,
        before: Option<&Record>,
        edit: &BTreeMap<String, Value>,
    ) -> Result<(), BadRecord> {
        self.load_values(spec, |stored| match edit.get(stored) {
            Some(value) => Some(value).filter(|value| **value != Value::Nothing),
            None => before?.value(stored),
        })
    }

    fn load_values<'a>(
        &self,
        spec: &mut S,
        value: impl Fn(&str) -> Option<&'a Value>,
    ) -> Result<(), BadRecord> {
        let mut outcome = Ok(());
        for field in self.fields {
            let loaded = match value(field.stored()) {
                None if field.required => Err(BadRecord::Missing(field.stored())),
                None => Ok(()),
                Some(value) => field.load(spec, value).map_err(|why| {
                    let field = field.key;
                    BadRecord::Setting(BadSetting::Value { field, why })
                }),
            };
            outcome = outcome.and(loaded);
        }
        outcome
    }

    /// The spec that a record describes, if nothing is wrong with it.
    pub fn spec(&self, record: &Record) -> Result<S, BadRecord> {
        let mut spec = (self.unset)();
        self.load(&mut spec, record).map(|()| spec)
    }
}

impl<S> Changes<S> {
    /// Gives a setting the value that an operator writes. Of a password, this is the hash.
    pub fn set(&mut self, field: &Field<S>, text: &str) -> Result<(), BadSetting> {
        let read = field.read(text).map_err(|why| BadSetting::Value {
            field: field.key,
            why,
        });
        self.fields.insert(field.stored().to_owned(), read?);
        Ok(())
    }

    /// Lets a setting be as in a record that never had it. A required one has no such value.
    pub fn clear(&mut self, field: &Field<S>) -> Result<(), BadSetting> {
        if field.required {
            let why = Mistake::new("cannot be cleared: give it a value");
            let field = field.key;
            return Err(BadSetting::Value { field, why });
        }
        self.fields
            .insert(field.stored().to_owned(), Value::Nothing);
        Ok(())
    }

    /// The names of the settings, with commas: a value may be secret.
    pub fn names(&self) -> String {
        let names = self.fields.keys();
        let names = names.map(|stored| stored.strip_suffix("_hash").unwrap_or(stored));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The fields, as the document knows them.
    pub fn fields(&self) -> &BTreeMap<String, Value> {
        &self.fields
    }

    /// The fields, as the document takes them.
    pub fn into_fields(self) -> BTreeMap<String, Value> {
        self.fields
    }
}

impl<S> Default for Changes<S> {
    fn default() -> Self {
        Self {
            fields: BTreeMap::new(),
            kind: PhantomData,
        }
    }
}

impl<S> fmt::Debug for Changes<S> {
    /// Only the names: a value may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::admin::ADMIN_KIND;
    use crate::logic::records::field::{FieldKind, FlagWords};
    use crate::logic::records::mounts::MOUNT_KIND;
    use crate::logic::records::outside::OUTSIDE_KIND;
    use crate::logic::records::steering::{MESH_KIND, NODE_KIND};
    use crate::model::node::NodeName;
    use crate::model::stamp::Stamp;
    use crate::model::traits::NodeTraits;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Lamp {
        colour: String,
        brightness: u32,
        lit: bool,
    }

    static LAMP_KIND: Kind<Lamp> = Kind {
        noun: "a lamp",
        prefix: "lamp/",
        fields: &[
            Field {
                key: "colour",
                help: "the colour",
                required: true,
                kind: FieldKind::Choice {
                    words: &["red", "green"],
                    clears: false,
                    put: |lamp, word| {
                        if !["red", "green"].contains(&word) {
                            return Err(Mistake::new("must be `red` or `green`"));
                        }
                        lamp.colour = word.to_owned();
                        Ok(())
                    },
                    show: |lamp| if lamp.colour == "red" { "red" } else { "green" },
                },
            },
            Field {
                key: "brightness",
                help: "the brightness",
                required: false,
                kind: FieldKind::Number {
                    bounds: [0, 9],
                    example: 5,
                    put: |lamp, number| lamp.brightness = number,
                    get: |lamp| lamp.brightness,
                },
            },
            Field {
                key: "lit",
                help: "whether it is lit",
                required: false,
                kind: FieldKind::Flag {
                    words: FlagWords::OnOff,
                    put: |lamp, flag| lamp.lit = flag,
                    get: |lamp| lamp.lit,
                },
            },
        ],
        unset: Lamp::default,
    };

    fn record(fields: &[(&str, Value)]) -> Record {
        let stamp = Stamp {
            time_ms: 1,
            node: NodeName::try_from("a").unwrap(),
        };
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        Record::written(fields.collect(), &stamp)
    }

    #[test]
    fn a_fifth_kind_is_one_table() {
        let settings = [("lit", "yes"), ("colour", "red"), ("brightness", "7")];
        let fields = LAMP_KIND.changes(settings).unwrap().into_fields();
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        document.edit(&LAMP_KIND.key("desk"), fields, 1).unwrap();
        let other = MESH_KIND.changes([("policy", "")]).unwrap().into_fields();
        document.edit(&MESH_KIND.key(""), other, 1).unwrap();
        let found: Vec<_> = LAMP_KIND.records(&document).collect();
        assert_eq!((found.len(), found[0].name), (1, "desk"));
        let lamp = LAMP_KIND.spec(found[0].record).unwrap();
        let shown = LAMP_KIND
            .fields
            .iter()
            .map(|field| field.show(&lamp).unwrap());
        assert_eq!(shown.collect::<Vec<_>>(), ["red", "7", "on"]);
    }

    #[test]
    fn a_missing_field_stays_unset_unless_it_is_required() {
        let colour = ("colour", Value::Text("red".to_owned()));
        let cleared = ("lit", Value::Nothing);
        let newer = ("shade", Value::Text("oval".to_owned()));
        let lamp = LAMP_KIND.spec(&record(&[colour, cleared, newer])).unwrap();
        let expected = Lamp {
            colour: "red".to_owned(),
            ..Lamp::default()
        };
        assert_eq!(lamp, expected);
        let missing = LAMP_KIND.spec(&record(&[("lit", Value::Flag(true))]));
        assert_eq!(missing, Err(BadRecord::Missing("colour")));
    }

    #[test]
    fn one_bad_field_keeps_no_other_from_its_place() {
        let fields = [
            ("colour", Value::Text("blue".to_owned())),
            ("brightness", Value::Number(-1)),
            ("lit", Value::Flag(true)),
        ];
        let mut lamp = Lamp::default();
        let bad = LAMP_KIND.load(&mut lamp, &record(&fields)).unwrap_err();
        assert_eq!(bad.to_string(), "colour: must be `red` or `green`");
        assert!(lamp.lit && lamp.colour.is_empty() && lamp.brightness == 0);
    }

    #[test]
    fn an_edit_is_seen_before_it_is_made() {
        let red = Value::Text("red".to_owned());
        let before = record(&[("colour", red.clone()), ("lit", Value::Flag(true))]);
        let edited = |before, edit: &[(&str, Value)]| {
            let pairs = edit.iter().cloned();
            let edit = pairs.map(|(key, value)| (key.to_owned(), value)).collect();
            let mut lamp = Lamp::default();
            let outcome = LAMP_KIND.load_edited(&mut lamp, before, &edit);
            outcome.map(|()| (lamp.brightness, lamp.lit))
        };
        let brighter = ("brightness", Value::Number(7));
        let dark = ("lit", Value::Nothing);
        assert_eq!(edited(Some(&before), &[]), Ok((0, true)));
        assert_eq!(
            edited(Some(&before), &[brighter.clone(), dark]),
            Ok((7, false))
        );
        let cleared = ("colour", Value::Nothing);
        let missing = Err(BadRecord::Missing("colour"));
        assert_eq!(edited(Some(&before), &[cleared]), missing);
        assert_eq!(edited(None, &[brighter]), missing);
        assert_eq!(edited(None, &[("colour", red)]), Ok((0, false)));
    }

    #[test]
    fn another_kind_of_value_is_refused() {
        let red = ("colour", Value::Text("red".to_owned()));
        for value in [Value::Text("5".to_owned()), Value::Flag(true)] {
            let read = LAMP_KIND.spec(&record(&[red.clone(), ("brightness", value)]));
            let why = read.unwrap_err().to_string();
            assert_eq!(why, "brightness: another kind of value is expected");
        }
    }

    #[test]
    fn an_unknown_setting_is_answered_with_the_nearest_one() {
        let error = |key| {
            MOUNT_KIND
                .changes([(key, "hunter2")])
                .unwrap_err()
                .to_string()
        };
        let expected = r#"a mount has no "max_listener"; did you mean "max_listeners"?"#;
        assert_eq!(error("max_listener"), expected);
        assert!(error("pasword").ends_with("did you mean \"password\"?"));
        assert!(error("colour").contains("it has password, user, name, "));
        let long = "x".repeat(1_000);
        assert!(!error("colour").contains("hunter2") && error(&long).len() < 500);
    }

    #[test]
    fn changes_never_show_their_values() {
        let login = OUTSIDE_KIND.changes([("login", "admin:hackme")]).unwrap();
        assert_eq!(format!("{login:?}"), r#"{"login"}"#);
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
        let mount = MOUNT_KIND.changes([("password", hash), ("genre", "jazz")]);
        assert_eq!(mount.unwrap().names(), "genre, password");
    }

    #[test]
    fn a_line_shows_the_settings_as_they_are_written() {
        let mut traits = NodeTraits {
            weight_percent: 50,
            ..NodeTraits::default()
        };
        traits.tags = ["fast", "big"].map(|tag| tag.parse().unwrap()).into();
        let line = NODE_KIND.line(&traits);
        assert_eq!(line, "weight=50 tags=big,fast maintenance=off");
        assert!(!MOUNT_KIND.line(&(MOUNT_KIND.unset)()).contains("password"));
    }

    /// Clears each field of a kind: its value is the default again, unless the kind needs it.
    fn check_cleared<S>(kind: &Kind<S>) {
        for field in kind.fields {
            let mut changes = Changes::default();
            let cleared = changes.clear(field);
            assert_eq!(cleared.is_err(), field.required, "{}", field.key);
            if cleared.is_ok() {
                let kept = &changes.into_fields()[field.stored()];
                assert_eq!(*kept, Value::Nothing, "{}", field.key);
                let mut spec = (kind.unset)();
                let fields = [(field.stored(), Value::Nothing)];
                // Other fields that the kind needs are missing here.
                let _missing = kind.load(&mut spec, &record(&fields));
                assert_eq!(field.show(&spec), field.show(&(kind.unset)()));
            }
        }
    }

    #[test]
    fn every_field_that_has_a_default_can_be_cleared() {
        check_cleared(&MOUNT_KIND);
        check_cleared(&OUTSIDE_KIND);
        check_cleared(&NODE_KIND);
        check_cleared(&MESH_KIND);
        check_cleared(&ADMIN_KIND);
    }

    /// Checks that all fields are described in the same manner: a help and a table show these texts side by side.
    fn check<S>(kind: &Kind<S>) {
        let mut keys = kind.keys();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), kind.fields.len(), "{}", kind.noun);
        for field in kind.fields {
            let help = field.help;
            assert!(!help.is_empty() && !help.ends_with('.'), "{help}");
            assert!(!help.contains('|') && !help.contains("  "), "{help}");
            let unset = field.show(&(kind.unset)());
            assert_eq!(unset.is_none(), field.is_secret(), "{}", field.key);
            // What is shown can be written back.
            if let Some(unset) = unset.filter(|_| !field.required) {
                assert!(field.read(&unset).is_ok(), "{}={unset}", field.key);
            }
        }
    }

    #[test]
    fn all_kinds_are_sound() {
        check(&MOUNT_KIND);
        check(&OUTSIDE_KIND);
        check(&NODE_KIND);
        check(&MESH_KIND);
        check(&ADMIN_KIND);
    }
}
