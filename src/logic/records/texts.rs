//! The texts of settings: what may stand in them, and how they are kept.

use std::fmt::Display;
use std::str::FromStr;

use super::mistake::Mistake;
use crate::model::caption::{caption, is_unseen};

/// The longest text: what players show of a station is far shorter, and a head holds several.
pub(super) const MAX_TEXT_BYTES: usize = 1024;
/// The beginning of a valid hash, in the PHC string format.
const HASH_BEGINNING: &str = "$argon2id$";

/// Checks a text that becomes an HTTP header: a line break would begin another one.
pub(super) fn check_line(text: &str) -> Result<(), Mistake> {
    let bytes = text.len();
    if bytes > MAX_TEXT_BYTES {
        let why = format!("{bytes} bytes, at most {MAX_TEXT_BYTES}");
        return Err(Mistake::new(why));
    }
    match text.chars().any(char::is_control) {
        true => Err(Mistake::new(
            "a control character, such as a line break, is not allowed",
        )),
        false => Ok(()),
    }
}

/// Reads a text for listeners: characters that only change how others are read are removed.
pub(super) fn read_caption(text: &str) -> Result<String, Mistake> {
    let text = match text.contains(is_unseen) {
        true => text.replace(is_unseen, ""),
        false => text.to_owned(),
    };
    check_line(&text).map(|()| text)
}

/// A text for listeners from a record; another version may have written it with invisible characters.
pub(super) fn kept_caption(text: &str) -> Result<String, Mistake> {
    check_line(text).map(|()| caption(text))
}

/// Reads the address of a web page; it may be empty.
pub(super) fn read_page(url: &str) -> Result<String, Mistake> {
    check_line(url)?;
    let schemes = ["http://", "https://"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    match url.is_empty() || has_host && !url.contains(char::is_whitespace) {
        true => Ok(url.to_owned()),
        false => Err(Mistake::new(
            "must be empty, or begin with http:// or https:// and have no spaces",
        )),
    }
}

/// Reads a value that has a text of its own.
pub(super) fn read_as<T>(text: &str) -> Result<String, Mistake>
where
    T: FromStr<Err: std::error::Error> + Display,
{
    Ok(text.parse::<T>()?.to_string())
}

/// Checks the hash of a password.
pub(super) fn check_hash(hash: &str) -> Result<(), Mistake> {
    let plain = hash.bytes().all(|byte| byte.is_ascii_graphic());
    match hash.starts_with(HASH_BEGINNING) && plain && hash.len() <= MAX_TEXT_BYTES {
        true => Ok(()),
        false => Err(Mistake::new(
            "must be an Argon2id hash such as $argon2id$v=19$m=19456,t=2,p=1$…",
        )),
    }
}
