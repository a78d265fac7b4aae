//! An operator's order which stream the listeners of a mount hear.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::http_date::{http_date, read_http_date};
use super::rung_name::{BadRungName, RungName};

/// The longest time for which a mount is switched, seconds: a year. Who means for ever names no time.
pub const MAX_SWITCH_S: u64 = 366 * 86_400;
/// The words between the stream and the end of the order.
const UNTIL: &str = " until ";

/// The stream that the listeners of a mount hear for as long as it flows, whatever else does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Switch {
    /// The mount itself, another one, or a file.
    pub to: RungName,
    /// The end of the order, unix seconds; `None`: until an operator ends it.
    pub until_unix_s: Option<u64>,
}

/// Why a text is no such order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSwitch {
    /// The stream is none.
    #[error("{0}")]
    Rung(BadRungName),
    /// The end is no moment.
    #[error("{0:?} is no moment such as Mon, 30 Nov 2026 15:20:00 GMT")]
    Until(String),
}

impl Switch {
    /// Whether the order holds at this time.
    pub fn is_in_force(&self, unix_s: u64) -> bool {
        self.until_unix_s.is_none_or(|until| unix_s < until)
    }

    /// The end of the order in words; `None`: an operator ends it.
    pub fn until_in_words(&self) -> Option<String> {
        self.until_unix_s.map(http_date)
    }
}

impl FromStr for Switch {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let (to, until) = match text.split_once(UNTIL) {
            Some((to, until)) => (to, Some(until)),
            None => (text, None),
        };
        let until_unix_s = until
            .map(|until| read_http_date(until).ok_or_else(|| BadSwitch::Until(until.to_owned())));
        Ok(Self {
            to: to.parse().map_err(BadSwitch::Rung)?,
            until_unix_s: until_unix_s.transpose()?.map(|since| since.as_secs()),
        })
    }
}

impl TryFrom<String> for Switch {
    type Error = BadSwitch;

    fn try_from(text: String) -> Result<Self, BadSwitch> {
        text.parse()
    }
}

impl From<Switch> for String {
    fn from(switch: Switch) -> Self {
        switch.to_string()
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        match self.until_in_words() {
            Some(until) => write!(f, "{UNTIL}{until}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_is_shown() {
        for (text, until_unix_s) in [
            ("/auto.mp3", None),
            ("file:loop.mp3", None),
            (
                "/auto.mp3 until Mon, 30 Nov 2026 15:20:00 GMT",
                Some(1_796_052_000),
            ),
        ] {
            let switch: Switch = text.parse().unwrap();
            assert_eq!(switch.until_unix_s, until_unix_s);
            assert_eq!(switch.to_string(), text);
        }
        let late = Switch {
            to: "/a".parse().unwrap(),
            until_unix_s: Some(u64::MAX),
        };
        assert!(late.to_string().contains("9999"), "{late}");
    }

    #[test]
    fn an_order_ends() {
        let mut switch: Switch = "/auto.mp3".parse().unwrap();
        assert!(switch.is_in_force(u64::MAX));
        switch.until_unix_s = Some(100);
        assert!(switch.is_in_force(99) && !switch.is_in_force(100));
    }

    #[test]
    fn a_bad_order_is_named() {
        for (text, words) in [
            ("auto.mp3", "must begin with /"),
            ("/auto.mp3 until tomorrow", "\"tomorrow\" is no moment"),
            ("/auto.mp3 until ", "\"\" is no moment"),
        ] {
            let refused = text.parse::<Switch>().unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
