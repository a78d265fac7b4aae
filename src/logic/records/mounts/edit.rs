//! One setting of a mount: read from an operator's text, checked, and made a field.

use crate::logic::policy::{BadPolicy, Policy};
use crate::logic::records::outside::{BadAddress, public_url};
use crate::model::caption::is_unseen;
use crate::model::charset::{BadCharset, Charset};
use crate::model::geo::{BadCountryRule, CountryRule};
use crate::model::mount::{BadTakeover, Takeover};
use crate::model::record::Value;
use crate::model::suggest::nearest;

/// The field with the Argon2id hash, of a mount and of the administrator.
pub(super) const PASSWORD_HASH: &str = "password_hash";
/// The longest time that listeners are kept in silence, seconds: no player waits longer than some minutes.
pub const MAX_LINGER_S: u32 = 600;
/// The longest text: what players show of a station is far shorter, and a head holds several.
pub const MAX_TEXT_BYTES: usize = 1024;
/// The beginning of a valid hash, in the PHC string format.
const HASH_BEGINNING: &str = "$argon2id$";

/// One setting of a mount with its new value, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountEdit {
    /// The Argon2id hash (PHC string) of the source password.
    PasswordHash(String),
    /// The station's name.
    Name(String),
    /// The description.
    Description(String),
    /// The genre.
    Genre(String),
    /// The station's page.
    Url(String),
    /// The most listeners in the whole mesh; `None`: as many as the nodes take.
    MaxListeners(Option<u32>),
    /// How long listeners are kept for a source that has gone, seconds.
    Linger(u32),
    /// What happens when a second source connects.
    Takeover(Takeover),
    /// Whether a source that finds the mount taken is kept for later.
    Standby(bool),
    /// The charset of titles that are not UTF-8.
    Charset(Charset),
    /// The policy by which a node is chosen; empty: that of the mesh.
    Policy(String),
    /// Whether listeners are redirected.
    Redirect(bool),
    /// The address for listeners when the mesh is too full; empty: none.
    OverflowUrl(String),
    /// How full that is, per cent.
    OverflowPercent(u32),
    /// The countries in which the mount may be heard.
    Countries(CountryRule),
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
    /// The text is too long.
    #[error("{field}: {bytes} bytes, at most {MAX_TEXT_BYTES}")]
    Long {
        /// The field.
        field: &'static str,
        /// The length of the text.
        bytes: usize,
    },
    /// The text has a line break or another control character.
    #[error("{0}: a control character, such as a line break, is not allowed")]
    Control(&'static str),
    /// The station's page is not a web address.
    #[error("url: must be empty, or begin with http:// or https:// and have no spaces")]
    Url,
    /// The number of listeners is invalid.
    #[error("max_listeners: must be a number from 1, or empty for as many as the nodes take")]
    MaxListeners,
    /// The time to linger is invalid.
    #[error("linger_s: must be a number of seconds from 0 to {MAX_LINGER_S}")]
    Linger,
    /// The word for what happens to a second source is unknown.
    #[error("takeover: {0}")]
    Takeover(#[from] BadTakeover),
    /// The charset is unknown.
    #[error("charset: {0}")]
    Charset(#[from] BadCharset),
    /// The text is neither `true` nor `false`.
    #[error("{0}: must be `true` or `false`")]
    Flag(&'static str),
    /// The share at which listeners overflow is invalid.
    #[error("overflow_percent: must be a number from 1 to 100")]
    OverflowPercent,
    /// The overflow address is not one that listeners can be sent to.
    #[error("overflow_url: {0}")]
    OverflowUrl(#[from] BadAddress),
    /// The policy is invalid.
    #[error("policy: {0}")]
    Policy(#[from] BadPolicy),
    /// The rule on countries is invalid.
    #[error("countries: {0}")]
    Countries(#[from] BadCountryRule),
    /// The text is not an Argon2id hash.
    #[error("password_hash: must be an Argon2id hash such as $argon2id$v=19$m=19456,t=2,p=1$…")]
    PasswordHash,
}

impl MountEdit {
    /// The settings of a mount, as an operator knows them, in the order of [`MountSpec`]. Of the password that an
    /// operator sets, only the hash is known here.
    ///
    /// [`MountSpec`]: crate::model::mount::MountSpec
    pub const KEYS: [&str; 15] = [
        "password",
        "name",
        "description",
        "genre",
        "url",
        "max_listeners",
        "linger_s",
        "takeover",
        "standby",
        "charset",
        "policy",
        "redirect",
        "overflow_url",
        "overflow_percent",
        "countries",
    ];

    /// The edit that gives the setting `key` the value `value`.
    pub fn of(key: &str, value: &str) -> Result<Self, BadSetting> {
        let text = value.to_owned();
        let edit = match key {
            PASSWORD_HASH => Self::PasswordHash(text),
            "name" => Self::Name(without_unseen(text)),
            "description" => Self::Description(without_unseen(text)),
            "genre" => Self::Genre(without_unseen(text)),
            "url" => Self::Url(text),
            "max_listeners" if value.is_empty() => Self::MaxListeners(None),
            "max_listeners" => {
                let number = value.parse().map_err(|_| BadSetting::MaxListeners)?;
                Self::MaxListeners(Some(number))
            }
            "linger_s" => Self::Linger(value.parse().map_err(|_| BadSetting::Linger)?),
            "takeover" => Self::Takeover(value.parse()?),
            "standby" => Self::Standby(flag("standby", value)?),
            "charset" if value.is_empty() => Self::Charset(Charset::default()),
            "charset" => Self::Charset(value.parse()?),
            // Read here and not with the record: a word that only newer nodes know must not take the mount off the air.
            "policy" if value.is_empty() => Self::Policy(text),
            "policy" => Self::Policy(value.parse::<Policy>()?.to_string()),
            "redirect" => Self::Redirect(flag("redirect", value)?),
            "overflow_url" if value.is_empty() => Self::OverflowUrl(text),
            "overflow_url" => Self::OverflowUrl(public_url(value)?),
            "overflow_percent" => {
                let percent = value.parse().map_err(|_| BadSetting::OverflowPercent)?;
                Self::OverflowPercent(percent)
            }
            "countries" => Self::Countries(value.parse()?),
            _ => return Err(unknown(key)),
        };
        edit.check().map(|()| edit)
    }

    /// The name of the field in the record.
    pub fn key(&self) -> &'static str {
        match self {
            Self::PasswordHash(_) => PASSWORD_HASH,
            Self::Name(_) => "name",
            Self::Description(_) => "description",
            Self::Genre(_) => "genre",
            Self::Url(_) => "url",
            Self::MaxListeners(_) => "max_listeners",
            Self::Linger(_) => "linger_s",
            Self::Takeover(_) => "takeover",
            Self::Standby(_) => "standby",
            Self::Charset(_) => "charset",
            Self::Policy(_) => "policy",
            Self::Redirect(_) => "redirect",
            Self::OverflowUrl(_) => "overflow_url",
            Self::OverflowPercent(_) => "overflow_percent",
            Self::Countries(_) => "countries",
        }
    }

    /// Checks the rules of the field.
    pub fn check(&self) -> Result<(), BadSetting> {
        match self {
            Self::PasswordHash(hash) => check_hash(hash),
            Self::Name(text) | Self::Description(text) | Self::Genre(text) => {
                check_text(self.key(), text)
            }
            Self::Url(url) => check_text("url", url).and_then(|()| check_url(url)),
            Self::OverflowUrl(url) if url.is_empty() => Ok(()),
            Self::OverflowUrl(url) => Ok(public_url(url).map(drop)?),
            Self::Policy(text) => check_text("policy", text),
            Self::MaxListeners(Some(0)) => Err(BadSetting::MaxListeners),
            Self::Linger(seconds) if *seconds > MAX_LINGER_S => Err(BadSetting::Linger),
            Self::OverflowPercent(percent) if !(1..=100).contains(percent) => {
                Err(BadSetting::OverflowPercent)
            }
            Self::MaxListeners(_)
            | Self::Linger(_)
            | Self::Takeover(_)
            | Self::Standby(_)
            | Self::Charset(_)
            | Self::Redirect(_)
            | Self::OverflowPercent(_)
            | Self::Countries(_) => Ok(()),
        }
    }

    /// The field and its value, as the document takes them.
    pub fn into_field(self) -> (String, Value) {
        let key = self.key().to_owned();
        let value = match self {
            Self::MaxListeners(None) => Value::Nothing,
            Self::MaxListeners(Some(listeners)) => Value::Number(i64::from(listeners)),
            Self::Linger(number) | Self::OverflowPercent(number) => {
                Value::Number(i64::from(number))
            }
            Self::Standby(flag) | Self::Redirect(flag) => Value::Flag(flag),
            Self::Charset(charset) => Value::Text(charset.name().to_owned()),
            Self::Countries(rule) => Value::Text(rule.to_string()),
            Self::Takeover(takeover) => Value::Text(takeover.word().to_owned()),
            Self::PasswordHash(text)
            | Self::Name(text)
            | Self::Description(text)
            | Self::Genre(text)
            | Self::Url(text)
            | Self::Policy(text)
            | Self::OverflowUrl(text) => Value::Text(text),
        };
        (key, value)
    }
}

/// The text without characters that only change how others are read.
fn without_unseen(text: String) -> String {
    match text.contains(is_unseen) {
        true => text.replace(is_unseen, ""),
        false => text,
    }
}

fn check_text(field: &'static str, text: &str) -> Result<(), BadSetting> {
    let bytes = text.len();
    if bytes > MAX_TEXT_BYTES {
        return Err(BadSetting::Long { field, bytes });
    }
    // These texts become HTTP headers: a line break would begin another one.
    match text.chars().any(char::is_control) {
        true => Err(BadSetting::Control(field)),
        false => Ok(()),
    }
}

fn flag(field: &'static str, value: &str) -> Result<bool, BadSetting> {
    value.parse().map_err(|_| BadSetting::Flag(field))
}

fn check_url(url: &str) -> Result<(), BadSetting> {
    let schemes = ["http://", "https://"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let good = url.is_empty() || has_host && !url.contains(char::is_whitespace);
    good.then_some(()).ok_or(BadSetting::Url)
}

pub(super) fn check_hash(hash: &str) -> Result<(), BadSetting> {
    let plain = hash.bytes().all(|byte| byte.is_ascii_graphic());
    let good = hash.starts_with(HASH_BEGINNING) && plain && hash.len() <= MAX_TEXT_BYTES;
    good.then_some(()).ok_or(BadSetting::PasswordHash)
}

fn unknown(key: &str) -> BadSetting {
    let key: String = key.chars().take(64).collect(); // Enough to recognise the name, and few to compare.
    let mut known = MountEdit::KEYS.to_vec();
    let meant = nearest(&key, &MountEdit::KEYS);
    known.sort_by_key(|known| Some(*known) != meant);
    BadSetting::Unknown { key, known }
}
