//! The filter of the log: a level for antiphon, and others for parts of it or of its libraries.
//!
//! An unknown level must not be taken for the name of a part: it would switch all other parts off.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::model::suggest::nearest;

/// From no lines to all lines.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// The level of antiphon unless it is set.
const USUAL: &str = "info";
/// The level of the libraries unless they are named: their lower levels are written for their own authors.
const LIBRARIES: &str = "error";
/// The most parts that may be named: few enough to be checked for each line.
const MAX_PARTS: usize = 32;

/// The lines that are logged, such as `info` or `info,quinn=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    level: &'static str,
    parts: Vec<(String, &'static str)>,
}

/// Why a text is not a log filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLogFilter {
    /// The word is not a level; perhaps another word was meant.
    #[error(
        "{given:?} is an unknown level{hint}; write error, warn, info, debug or trace, or info,quinn=debug"
    )]
    Level {
        /// The word.
        given: String,
        /// The level that was meant, if one is similar.
        hint: String,
    },
    /// The text before the `=` cannot be a part of a program.
    #[error(
        "{0:?} is not a part of the program; write PART=LEVEL, such as antiphon::service=debug"
    )]
    Part(String),
    /// Too many parts are named.
    #[error("too many parts are named: at most {MAX_PARTS}")]
    TooMany,
}

impl LogFilter {
    /// The filter in the words of tracing: the libraries, antiphon, and the parts that were named.
    pub fn directives(&self) -> String {
        let libraries = if self.level == "off" {
            "off"
        } else {
            LIBRARIES
        };
        let mut directives = format!("{libraries},antiphon={}", self.level);
        for (part, level) in &self.parts {
            directives += &format!(",{part}={level}");
        }
        directives
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self {
            level: USUAL,
            parts: Vec::new(),
        }
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.level)?;
        let mut parts = self.parts.iter();
        parts.try_for_each(|(part, level)| write!(f, ",{part}={level}"))
    }
}

impl FromStr for LogFilter {
    type Err = BadLogFilter;

    fn from_str(text: &str) -> Result<Self, BadLogFilter> {
        let mut filter = Self::default();
        for one in text.split(',').map(str::trim) {
            match one.split_once('=') {
                None => filter.level = level(one)?,
                Some((part, _)) if !is_part(part) => {
                    return Err(BadLogFilter::Part(part.to_owned()));
                }
                Some((part, word)) => filter.parts.push((part.to_owned(), level(word)?)),
            }
        }
        if filter.parts.len() > MAX_PARTS {
            return Err(BadLogFilter::TooMany);
        }
        Ok(filter)
    }
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn level(word: &str) -> Result<&'static str, BadLogFilter> {
    let lower = word.to_ascii_lowercase();
    let known = LEVELS.into_iter().find(|level| *level == lower);
    known.ok_or_else(|| {
        let longer = LEVELS.into_iter().find(|level| lower.starts_with(level));
        let meant = longer.or_else(|| nearest(word, &LEVELS));
        BadLogFilter::Level {
            given: word.to_owned(),
            hint: meant.map_or_else(String::new, |it| format!(", did you mean {it:?}?")),
        }
    })
}

/// Whether a text can be the path of a module, such as `antiphon::io` or `quinn_proto`.
fn is_part(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-');
    !text.is_empty() && text.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_antiphon_and_its_libraries_stay_quiet() {
        for (text, directives) in [
            ("info", "error,antiphon=info"),
            ("WARN", "error,antiphon=warn"),
            ("off", "off,antiphon=off"),
            ("debug, quinn=trace", "error,antiphon=debug,quinn=trace"),
            (
                "antiphon::io=debug",
                "error,antiphon=info,antiphon::io=debug",
            ),
        ] {
            let filter: LogFilter = text.parse().unwrap();
            assert_eq!(filter.directives(), directives, "{text}");
            assert_eq!(filter.to_string().parse(), Ok(filter), "{text}");
        }
    }

    #[test]
    fn an_unknown_level_is_refused_with_the_intended_one() {
        for (text, hint) in [
            ("warm", "did you mean \"warn\"?"),
            ("warning", "did you mean \"warn\"?"),
            ("inf", "did you mean \"info\"?"),
            ("quinn", "info,quinn=debug"),
            ("", "write error, warn"),
            ("info,", "write error, warn"),
            ("3", "write error, warn"),
            ("quinn=loud", "\"loud\" is an unknown level"),
            ("[link]=debug", "PART=LEVEL"),
            ("=debug", "PART=LEVEL"),
        ] {
            let error = text.parse::<LogFilter>().unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
        let many = vec!["a=info"; MAX_PARTS + 1].join(",");
        assert_eq!(many.parse::<LogFilter>(), Err(BadLogFilter::TooMany));
    }
}
