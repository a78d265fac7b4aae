//! One setting of a record: its name, what it does, and how its value is read, kept and shown.

use super::mistake::Mistake;
use super::texts::check_hash;
use crate::model::record::Value;

/// The bounds of a number that may be as large as it likes, and not 0.
pub(super) const FROM_ONE: [u32; 2] = [1, u32::MAX];

/// The field that keeps the Argon2id hash of a password.
pub(super) const PASSWORD_HASH: &str = "password_hash";

/// A setting of the records whose specs are `S`.
#[derive(Debug)]
pub struct Field<S: 'static> {
    /// The name of the setting, for operators and in the record.
    pub key: &'static str,
    /// The effect of the setting, without a capital letter at the beginning or a full stop at the end. Code stands
    /// between backticks.
    pub help: &'static str,
    /// Whether a record without this field is not used.
    pub required: bool,
    /// The values that the setting takes.
    pub kind: FieldKind<S>,
}

/// The kind of a field's values, and their place in a spec.
///
/// A value is checked twice: as strictly as an operator is told, and again when it is taken from a record, which a node
/// of another version may have written. `put` decides there what must not cost the whole record.
#[derive(Debug)]
pub enum FieldKind<S: 'static> {
    /// A text.
    Text {
        /// The word for a value in usage lines, such as `URL`.
        word: &'static str,
        /// Whether an empty text clears the field. If not, it is read like any other.
        clears: bool,
        /// Checks what an operator writes, and says how it is kept.
        read: fn(&str) -> Result<String, Mistake>,
        /// Puts what is kept into the spec.
        put: fn(&mut S, &str) -> Result<(), Mistake>,
        /// The text as an operator would write it.
        show: fn(&S) -> String,
    },
    /// One of a few words.
    Choice {
        /// The words.
        words: &'static [&'static str],
        /// Whether an empty text clears the field.
        clears: bool,
        /// Puts what is kept into the spec: one of the words, or one that only newer nodes know.
        put: fn(&mut S, &str) -> Result<(), Mistake>,
        /// The word that holds.
        show: fn(&S) -> &'static str,
    },
    /// A whole number.
    Number {
        /// The least and the most that is allowed.
        bounds: [u32; 2],
        /// A number that an operator may want.
        example: u32,
        /// Puts the number into the spec.
        put: fn(&mut S, u32),
        /// The number that holds.
        get: fn(&S) -> u32,
    },
    /// A whole number, or none.
    Optional {
        /// The least and the most that is allowed.
        bounds: [u32; 2],
        /// A number that an operator may want.
        example: u32,
        /// The word for none.
        none: &'static str,
        /// Puts the number into the spec.
        put: fn(&mut S, Option<u32>),
        /// The number that holds.
        get: fn(&S) -> Option<u32>,
    },
    /// Yes or no.
    Flag {
        /// The words for yes and no.
        words: FlagWords,
        /// Puts the answer into the spec.
        put: fn(&mut S, bool),
        /// The answer that holds.
        get: fn(&S) -> bool,
    },
    /// A password. The record keeps its hash only.
    Password {
        /// The name of the hash in the record.
        stored: &'static str,
        /// Puts the hash into the spec.
        put: fn(&mut S, String),
    },
    /// A text that must be kept as it is and is never shown. An empty one clears the field.
    Secret {
        /// Checks what an operator writes.
        check: fn(&str) -> Result<(), Mistake>,
        /// Puts the text into the spec.
        put: fn(&mut S, String),
    },
}

/// The words for yes and no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagWords {
    /// `true` and `false`.
    TrueFalse,
    /// `on` and `off`; `true`, `yes`, `false` and `no` are understood too.
    OnOff,
}

impl<S> Field<S> {
    /// The name of the field in the record.
    pub fn stored(&self) -> &'static str {
        match self.kind {
            FieldKind::Password { stored, .. } => stored,
            _ => self.key,
        }
    }

    /// Whether the value is never shown.
    pub fn is_secret(&self) -> bool {
        matches!(
            self.kind,
            FieldKind::Password { .. } | FieldKind::Secret { .. }
        )
    }

    /// The value as an operator would write it; `None` if it is never shown.
    pub fn show(&self, spec: &S) -> Option<String> {
        Some(match &self.kind {
            FieldKind::Text { show, .. } => show(spec),
            FieldKind::Choice { show, .. } => show(spec).to_owned(),
            FieldKind::Number { get, .. } => get(spec).to_string(),
            FieldKind::Optional { get, none, .. } => {
                get(spec).map_or_else(|| (*none).to_owned(), |number| number.to_string())
            }
            FieldKind::Flag { words, get, .. } => words.word(get(spec)).to_owned(),
            FieldKind::Password { .. } | FieldKind::Secret { .. } => return None,
        })
    }

    /// Reads the value that an operator writes, as the record keeps it. Of a password, this is the hash.
    pub fn read(&self, text: &str) -> Result<Value, Mistake> {
        Ok(match &self.kind {
            FieldKind::Text { clears: true, .. }
            | FieldKind::Choice { clears: true, .. }
            | FieldKind::Secret { .. }
                if text.is_empty() =>
            {
                Value::Nothing
            }
            FieldKind::Text { read, .. } => Value::Text(read(text)?),
            FieldKind::Choice { words, .. } => Value::Text(chosen(text, words)?.to_owned()),
            FieldKind::Number {
                bounds, example, ..
            } => Value::Number(within(digits(text), *bounds, *example)?.into()),
            FieldKind::Optional { none, .. } if ["", "none", none].contains(&text) => {
                Value::Nothing
            }
            FieldKind::Optional {
                bounds,
                example,
                none,
                ..
            } => {
                let number = within(digits(text), *bounds, *example);
                Value::Number(number.map_err(|why| why.or_empty(none))?.into())
            }
            FieldKind::Flag { words, .. } => Value::Flag(words.read(text)?),
            FieldKind::Password { .. } => {
                check_hash(text)?;
                Value::Text(text.to_owned())
            }
            FieldKind::Secret { check, .. } => {
                check(text)?;
                Value::Text(text.to_owned())
            }
        })
    }

    /// Puts a value from a record into a spec.
    pub(super) fn load(&self, spec: &mut S, value: &Value) -> Result<(), Mistake> {
        match (&self.kind, value) {
            (FieldKind::Text { put, .. }, Value::Text(text)) => put(spec, text),
            (FieldKind::Choice { put, .. }, Value::Text(text)) => put(spec, text),
            (
                FieldKind::Number {
                    bounds,
                    example,
                    put,
                    ..
                },
                Value::Number(number),
            ) => {
                let number = u32::try_from(*number).ok();
                put(spec, within(number, *bounds, *example)?);
                Ok(())
            }
            (
                FieldKind::Optional {
                    bounds,
                    example,
                    none,
                    put,
                    ..
                },
                Value::Number(number),
            ) => {
                let number = within(u32::try_from(*number).ok(), *bounds, *example);
                put(spec, Some(number.map_err(|why| why.or_empty(none))?));
                Ok(())
            }
            (FieldKind::Flag { put, .. }, Value::Flag(flag)) => {
                put(spec, *flag);
                Ok(())
            }
            (FieldKind::Password { put, .. }, Value::Text(hash)) => {
                check_hash(hash)?;
                put(spec, hash.clone());
                Ok(())
            }
            (FieldKind::Secret { check, put }, Value::Text(text)) => {
                check(text)?;
                put(spec, text.clone());
                Ok(())
            }
            // The program that wrote it is much newer, or broken.
            _ => Err(Mistake::new("another kind of value is expected")),
        }
    }
}

impl FlagWords {
    /// The words for yes and for no that are shown.
    pub fn words(self) -> [&'static str; 2] {
        match self {
            Self::TrueFalse => ["true", "false"],
            Self::OnOff => ["on", "off"],
        }
    }

    fn word(self, flag: bool) -> &'static str {
        let [yes, no] = self.words();
        if flag { yes } else { no }
    }

    fn read(self, text: &str) -> Result<bool, Mistake> {
        match (self, text) {
            (Self::TrueFalse, "true") | (Self::OnOff, "on" | "true" | "yes") => Ok(true),
            (Self::TrueFalse, "false") | (Self::OnOff, "off" | "false" | "no") => Ok(false),
            _ => {
                let [yes, no] = self.words();
                Err(Mistake::new(format!("must be `{yes}` or `{no}`")))
            }
        }
    }
}

/// The word that is meant, as it stands in the table.
fn chosen(text: &str, words: &[&'static str]) -> Result<&'static str, Mistake> {
    let known = words.iter().find(|known| **known == text);
    known.copied().ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let (last, others) = words.split_last().expect("a choice has words");
        Mistake::new(format!("must be {} or {last}", others.join(", ")))
    })
}

/// A number without sign or blank, which `u32` alone would accept.
fn digits(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// A number between two bounds, which count as within.
fn within(number: Option<u32>, bounds: [u32; 2], example: u32) -> Result<u32, Mistake> {
    let [least, most] = bounds;
    let number = number.filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        let to_most = match most {
            u32::MAX => String::new(),
            most => format!(" to {most}"),
        };
        Mistake::new(format!(
            "must be a number, such as {example}, from {least}{to_most}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_digits_only_and_bounds() {
        for (text, number) in [("1", Some(1)), ("007", Some(7)), ("9", Some(9))] {
            assert_eq!(within(digits(text), [1, 9], 5).ok(), number, "{text}");
        }
        for bad in ["", "0", "10", "+5", "-1", " 5", "5 ", "1.5", "99999999999"] {
            let why = within(digits(bad), [1, 9], 5).unwrap_err();
            assert_eq!(why.as_str(), "must be a number, such as 5, from 1 to 9");
        }
        assert_eq!(within(Some(1), FROM_ONE, 5), Ok(1));
        let why = within(Some(0), FROM_ONE, 5).unwrap_err().or_empty("all");
        assert!(why.as_str().ends_with("from 1, or empty: all"), "{why:?}");
    }

    #[test]
    fn a_choice_is_told_with_all_its_words() {
        assert_eq!(chosen("b", &["a", "b"]), Ok("b"));
        let why = chosen("B", &["a", "b", "c"]).unwrap_err();
        assert_eq!(why.as_str(), "must be `a`, `b` or `c`");
    }

    #[test]
    fn a_flag_knows_its_own_words() {
        for (words, text, flag) in [
            (FlagWords::TrueFalse, "true", Some(true)),
            (FlagWords::TrueFalse, "on", None),
            (FlagWords::OnOff, "on", Some(true)),
            (FlagWords::OnOff, "no", Some(false)),
            (FlagWords::OnOff, "", None),
        ] {
            assert_eq!(words.read(text).ok(), flag, "{words:?} {text}");
        }
    }
}
