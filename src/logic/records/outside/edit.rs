//! One setting of an outside server: read from an operator's text, checked, and made a field.

use std::collections::BTreeMap;

use super::address::{BadAddress, public_url};
use super::mapping::{BadMapping, mounts, written};
use crate::model::geo::{BadCountry, Country};
use crate::model::mount::MountName;
use crate::model::outside::{BadVia, Login, Via};
use crate::model::record::Value;
use crate::model::suggest::nearest;
use crate::model::traits::NodeTraits;

/// The longest `user:password`: far below what a head of HTTP can hold, encoded.
pub const MAX_LOGIN_BYTES: usize = 512;

/// One setting of an outside server with its new value, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideEdit {
    /// The address for listeners.
    PublicUrl(String),
    /// The address for asking; `None`: the one for listeners.
    PollUrl(Option<String>),
    /// How the server is asked.
    Via(Via),
    /// The login for asking.
    Login(Option<Login>),
    /// The share of listeners compared with the server's size, per cent.
    Weight(u32),
    /// The country of the server.
    Country(Option<Country>),
    /// Whether the server is asked and chosen.
    Enabled(bool),
    /// The most listeners, where the server names no limit itself.
    MaxListeners(Option<u32>),
    /// The names of the mounts on the server.
    Mounts(BTreeMap<MountName, MountName>),
}

/// Why a setting is refused. The first name in each is the field's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// There is no such setting.
    #[error("unknown setting {key:?}; known are {}", known.join(", "))]
    Unknown {
        /// The name that was given.
        key: String,
        /// The known settings, the most similar first.
        known: Vec<&'static str>,
    },
    /// The address for listeners is invalid.
    #[error("public_url: {0}")]
    PublicUrl(#[source] BadAddress),
    /// The address for asking is invalid.
    #[error("poll_url: {0}")]
    PollUrl(#[source] BadAddress),
    /// The way of asking is unknown.
    #[error("via: {0}")]
    Via(#[from] BadVia),
    /// The login is invalid.
    #[error(
        "login: must be USER:PASSWORD without control characters, at most {MAX_LOGIN_BYTES} bytes"
    )]
    Login,
    /// The weight is invalid.
    #[error(
        "weight: must be a number of per cent from 0 to {}",
        NodeTraits::MAX_WEIGHT_PERCENT
    )]
    Weight,
    /// The country is invalid.
    #[error("country: {0}")]
    Country(#[from] BadCountry),
    /// The text is neither `true` nor `false`.
    #[error("enabled: must be `true` or `false`")]
    Enabled,
    /// The number of listeners is invalid.
    #[error("max_listeners: must be a number from 1, or empty for what the server says")]
    MaxListeners,
    /// The names of the mounts are invalid.
    #[error("mounts: {0}")]
    Mounts(#[from] BadMapping),
}

impl OutsideEdit {
    /// The settings of an outside server, as an operator knows them.
    pub const KEYS: [&str; 9] = [
        "public_url",
        "poll_url",
        "via",
        "login",
        "weight",
        "country",
        "enabled",
        "max_listeners",
        "mounts",
    ];

    /// The edit that gives the setting `key` the value `value`; empty clears what may be absent.
    pub fn of(key: &str, value: &str) -> Result<Self, BadSetting> {
        let is_given = !value.is_empty();
        Ok(match key {
            "public_url" => Self::PublicUrl(public_url(value).map_err(BadSetting::PublicUrl)?),
            "poll_url" => {
                let url = is_given.then(|| public_url(value)).transpose();
                Self::PollUrl(url.map_err(BadSetting::PollUrl)?)
            }
            "via" => Self::Via(value.parse()?),
            "login" => Self::Login(is_given.then(|| login(value)).transpose()?),
            "weight" => Self::Weight(weight(value.parse().ok())?),
            "country" => Self::Country(is_given.then(|| value.parse()).transpose()?),
            "enabled" => Self::Enabled(value.parse().map_err(|_| BadSetting::Enabled)?),
            "max_listeners" if is_given => {
                Self::MaxListeners(Some(max_listeners(value.parse().ok())?))
            }
            "max_listeners" => Self::MaxListeners(None),
            "mounts" => Self::Mounts(mounts(value)?),
            _ => return Err(unknown(key)),
        })
    }

    /// The name of the field in the record.
    pub fn key(&self) -> &'static str {
        match self {
            Self::PublicUrl(_) => "public_url",
            Self::PollUrl(_) => "poll_url",
            Self::Via(_) => "via",
            Self::Login(_) => "login",
            Self::Weight(_) => "weight",
            Self::Country(_) => "country",
            Self::Enabled(_) => "enabled",
            Self::MaxListeners(_) => "max_listeners",
            Self::Mounts(_) => "mounts",
        }
    }

    /// The field and its value, as the document takes them.
    pub fn into_field(self) -> (String, Value) {
        let key = self.key().to_owned();
        let text = |text: Option<String>| text.map_or(Value::Nothing, Value::Text);
        let value = match self {
            Self::PublicUrl(url) => Value::Text(url),
            Self::PollUrl(url) => text(url),
            Self::Via(via) => Value::Text(via.word().to_owned()),
            Self::Login(login) => text(login.map(|it| it.reveal().to_owned())),
            Self::Weight(percent) => Value::Number(i64::from(percent)),
            Self::Country(country) => text(country.map(String::from)),
            Self::Enabled(is_enabled) => Value::Flag(is_enabled),
            Self::MaxListeners(most) => {
                most.map_or(Value::Nothing, |most| Value::Number(i64::from(most)))
            }
            Self::Mounts(mounts) => Value::Text(written(&mounts)),
        };
        (key, value)
    }
}

pub(super) fn login(text: &str) -> Result<Login, BadSetting> {
    let fits = text.len() <= MAX_LOGIN_BYTES && !text.chars().any(char::is_control);
    // The user's name ends with the first colon.
    let has_user = text
        .split_once(':')
        .is_some_and(|(user, _)| !user.is_empty());
    (fits && has_user)
        .then(|| Login::from(text.to_owned()))
        .ok_or(BadSetting::Login)
}

pub(super) fn weight(percent: Option<i64>) -> Result<u32, BadSetting> {
    let percent = percent.and_then(|percent| u32::try_from(percent).ok());
    percent
        .filter(|percent| *percent <= NodeTraits::MAX_WEIGHT_PERCENT)
        .ok_or(BadSetting::Weight)
}

pub(super) fn max_listeners(number: Option<i64>) -> Result<u32, BadSetting> {
    let most = number.and_then(|number| u32::try_from(number).ok());
    most.filter(|most| *most > 0)
        .ok_or(BadSetting::MaxListeners)
}

fn unknown(key: &str) -> BadSetting {
    let key: String = key.chars().take(64).collect(); // Enough to recognise the name, and few to compare.
    let mut known = OutsideEdit::KEYS.to_vec();
    let meant = nearest(&key, &OutsideEdit::KEYS);
    known.sort_by_key(|known| Some(*known) != meant);
    BadSetting::Unknown { key, known }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_is_refused_with_the_name_of_its_field() {
        let long = format!("u:{}", "x".repeat(MAX_LOGIN_BYTES));
        for (field, value) in [
            ("public_url", ""),
            ("public_url", "relay"),
            ("poll_url", "ftp://a"),
            ("via", "telnet"),
            ("login", "nocolon"),
            ("login", ":x"),
            ("login", "a:b\nc"),
            ("login", &long),
            ("weight", "-1"),
            ("weight", "1001"),
            ("weight", ""),
            ("country", "deu"),
            ("enabled", "on"),
            ("max_listeners", "0"),
            ("max_listeners", "many"),
            ("mounts", ""),
            ("mounts", "radio"),
        ] {
            let error = OutsideEdit::of(field, value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
            assert!(!error.contains("nocolon"), "{error}");
        }
    }

    #[test]
    fn what_may_be_absent_is_cleared_by_nothing() {
        for field in ["poll_url", "login", "country", "max_listeners"] {
            let (_, value) = OutsideEdit::of(field, "").unwrap().into_field();
            assert_eq!(value, Value::Nothing, "{field}");
        }
    }

    #[test]
    fn an_unknown_setting_is_answered_with_the_nearest_one_first() {
        let error = OutsideEdit::of("public-url", "x").unwrap_err().to_string();
        assert!(error.contains("known are public_url, "), "{error}");
    }
}
