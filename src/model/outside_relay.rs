//! Outside relays: the addresses from which a mount's stream is got while no encoder sends to it, and how that goes.
//!
//! An address may have a login and a query in it, which are secrets: only [`RelayAddress::kept`] and what is sent to that
//! server have them. Whatever is shown, logged or serialised has `***` instead.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::host::{host_and_port, is_host_and_port};

/// The longest address: a path with a signed query of a CDN fits, and all addresses of a mount into one value.
pub const MAX_ADDRESS_BYTES: usize = 512;
/// The most addresses of a mount: more than one provider each for every day of the week.
pub const MAX_ADDRESSES: usize = 8;
/// The stand-in for what is never shown.
const HIDDEN: &str = "***";

/// The address of a stream on a server outside the mesh. Only `from_str` makes one that is set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayAddress {
    scheme: &'static str,
    /// `USER:PASSWORD` as it is written in the address, with its escapes.
    login: Option<String>,
    /// `HOST[:PORT]`, in lower case.
    host: String,
    /// The path with its slash.
    path: String,
    query: Option<String>,
}

/// Why a text is not the address of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRelayAddress {
    /// The text is not a web address.
    #[error(
        "{0} is no address of a stream: write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH, several with commas; a \
         comma in an address is written %2C"
    )]
    Shape(String),
    /// The address has a fragment, which nobody sends.
    #[error("{0} has a # in it: leave it and what stands behind it out")]
    Fragment(String),
    /// The address is longer than any real one.
    #[error("{0} is too long: at most {MAX_ADDRESS_BYTES} bytes")]
    Long(String),
    /// The address is one that was shown, without its secrets.
    #[error("{0} has *** where its login or query is hidden: write these again, or leave them out")]
    Hidden(String),
    /// An address is there twice.
    #[error("{0} is there twice: name it once")]
    Twice(String),
    /// More addresses than a mount may have.
    #[error("too many addresses: at most {MAX_ADDRESSES}")]
    Many,
}

impl RelayAddress {
    /// The whole address, to be kept in the document and for nobody's eyes.
    pub fn kept(&self) -> String {
        self.with(self.login.as_deref(), self.query.as_deref())
    }

    /// The address without login and query: what names it, and is no secret.
    pub fn place(&self) -> String {
        self.with(None, None)
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same server with another path.
    pub fn at_path(&self, path: &str) -> Result<Self, BadRelayAddress> {
        let Self { scheme, host, .. } = self;
        format!("{scheme}://{host}{path}").parse()
    }

    /// The address to ask, without its login.
    pub fn url(&self) -> String {
        self.with(None, self.query.as_deref())
    }

    /// `USER:PASSWORD` for the server, if there is one. Never shown.
    pub fn login(&self) -> Option<String> {
        let login = self.login.as_deref()?;
        let decoded = percent_decode_str(login).decode_utf8_lossy().into_owned();
        Some(match decoded.contains(':') {
            true => decoded,
            false => format!("{decoded}:"),
        })
    }

    /// `HOST[:PORT]`, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host and the port that is asked.
    pub fn host_and_port(&self) -> (&str, u16) {
        host_and_port(&self.host, self.scheme == "https")
    }

    fn with(&self, login: Option<&str>, query: Option<&str>) -> String {
        let login = login.map_or_else(String::new, |login| format!("{login}@"));
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let Self {
            scheme, host, path, ..
        } = self;
        format!("{scheme}://{login}{host}{path}{query}")
    }

    /// Reads an address, also one whose secrets are hidden.
    fn read(text: &str) -> Result<Self, BadRelayAddress> {
        let shape = || BadRelayAddress::Shape(shown_roughly(text));
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(BadRelayAddress::Long(shown_roughly(text)));
        }
        // The address becomes a line of a request: no blank or line end may be in it.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(shape());
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(shape)?;
        let scheme = ["http", "https"]
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known))
            .ok_or_else(shape)?;
        if rest.contains('#') {
            return Err(BadRelayAddress::Fragment(shown_roughly(text)));
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login.to_owned()), host),
            None => (None, authority),
        };
        let has_bad = |text: &str| text.contains(['"', '<', '>', '\\', '`', '{', '}', '|', '^']);
        let login_is_good = login
            .as_deref()
            .is_none_or(|login| !login.is_empty() && !login.starts_with(':'));
        let is_good = is_host_and_port(host) && login_is_good && !has_bad(rest);
        is_good
            .then(|| Self {
                scheme,
                login,
                host: without_usual_port(host, scheme).to_ascii_lowercase(),
                path: if path.is_empty() { "/" } else { path }.to_owned(),
                query,
            })
            .ok_or_else(shape)
    }
}

/// `HOST[:PORT]` without the port that is asked anyway, so that an address is spelled in one way.
fn without_usual_port<'a>(host: &'a str, scheme: &str) -> &'a str {
    let usual = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(usual).unwrap_or(host)
}

/// A text that should be an address and is none: what may be its login or query is hidden.
fn shown_roughly(text: &str) -> String {
    /// About as much as an operator needs to see which one is meant.
    const MOST_BYTES: usize = 80;
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => rest.to_owned(),
    };
    let rest = match rest.split_once('?') {
        Some((path, _)) => format!("{path}?{HIDDEN}"),
        None => rest,
    };
    let whole = scheme + &rest;
    let cut = &whole[..whole.floor_char_boundary(MOST_BYTES)];
    format!("`{}`", cut.escape_debug())
}

impl FromStr for RelayAddress {
    type Err = BadRelayAddress;

    fn from_str(text: &str) -> Result<Self, BadRelayAddress> {
        let address = Self::read(text)?;
        let is_hidden = |secret: &Option<String>| secret.as_deref() == Some(HIDDEN);
        match is_hidden(&address.login) || is_hidden(&address.query) {
            true => Err(BadRelayAddress::Hidden(address.to_string())),
            false => Ok(address),
        }
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| HIDDEN);
        f.write_str(&self.with(hidden(&self.login), hidden(&self.query)))
    }
}

impl fmt::Debug for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The addresses of a mount's outside relay, the best first; none: the mount has no outside relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayAddresses(Vec<RelayAddress>);

impl RelayAddresses {
    /// Whether the mount has no outside relay.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The addresses, the best first.
    pub fn as_slice(&self) -> &[RelayAddress] {
        &self.0
    }

    /// All addresses with their secrets, to be kept in the document.
    pub fn kept(&self) -> String {
        joined(self.0.iter().map(RelayAddress::kept))
    }

    fn read(
        text: &str,
        one: fn(&str) -> Result<RelayAddress, BadRelayAddress>,
    ) -> Result<Self, BadRelayAddress> {
        let texts = text.split(',').map(str::trim);
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        if texts.len() > MAX_ADDRESSES {
            return Err(BadRelayAddress::Many);
        }
        let mut addresses: Vec<RelayAddress> = Vec::with_capacity(texts.len());
        for text in texts {
            let address = one(text)?;
            if addresses.contains(&address) {
                return Err(BadRelayAddress::Twice(address.to_string()));
            }
            addresses.push(address);
        }
        Ok(Self(addresses))
    }
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    texts.join(",")
}

impl FromStr for RelayAddresses {
    type Err = BadRelayAddress;

    fn from_str(text: &str) -> Result<Self, BadRelayAddress> {
        Self::read(text, str::parse)
    }
}

impl fmt::Display for RelayAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(self.0.iter().map(ToString::to_string)))
    }
}

impl From<RelayAddresses> for String {
    /// As they are shown: secrets never leave the node.
    fn from(addresses: RelayAddresses) -> Self {
        addresses.to_string()
    }
}

impl TryFrom<String> for RelayAddresses {
    type Error = BadRelayAddress;

    /// As a node has shown them.
    fn try_from(text: String) -> Result<Self, BadRelayAddress> {
        Self::read(&text, RelayAddress::read)
    }
}

/// How far an outside relay is. A word of a newer version reads as unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutsideRelayStage {
    /// Nobody listens, and so nothing is asked for.
    Idle,
    /// Another source has the mount: an encoder.
    Standby,
    /// An address is asked, and its stream has not begun.
    Connecting,
    /// The stream is on air.
    Running,
    /// No address gives the stream; they are asked again later.
    Failing,
    /// None that is known here.
    #[default]
    #[serde(other)]
    Unknown,
}

/// The words of the node that holds the seat of an outside relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutsideRelayReport {
    /// How far it is.
    pub stage: OutsideRelayStage,
    /// The address that plays or is asked, without its secrets; empty while there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The place of that address among those of the mount, from 1; 0 while there is none.
    pub number: u32,
    /// Since when it is at this stage with this address, unix seconds by the node's clock.
    pub since_unix_s: u64,
    /// How often a stream has broken off since the node holds the seat.
    pub restarts: u32,
    /// The last fault, with its address and what to do; gone once the best address has played for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The addresses that gave no stream when they were asked last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<AddressFault>,
}

impl OutsideRelayReport {
    /// Whether each of so many addresses gave no stream when it was asked last, and none gives one now. An older version says only
    /// that it is so while they are asked.
    pub fn has_failed(&self, addresses: u32) -> bool {
        let fails = |number| self.faults.iter().any(|it| it.number == number);
        match self.stage {
            OutsideRelayStage::Failing => true,
            OutsideRelayStage::Running => false,
            _ => (1..=addresses).all(fails),
        }
    }
}

/// Why an address gave no stream when it was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressFault {
    /// The place of the address among those of the mount, from 1.
    pub number: u32,
    /// The reason, in words for an operator.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> RelayAddress {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_kept_whole_and_shown_without_secrets() {
        for (given, kept, shown) in [
            (
                "http://A.Example:8000/R.mp3",
                "http://a.example:8000/R.mp3",
                "http://a.example:8000/R.mp3",
            ),
            ("HTTPS://a", "https://a/", "https://a/"),
            ("https://a:443/x", "https://a/x", "https://a/x"),
            ("http://[::80]:80", "http://[::80]/", "http://[::80]/"),
            ("http://[::80]", "http://[::80]/", "http://[::80]/"),
            ("http://u:p%40x@a/x", "http://u:p%40x@a/x", "http://***@a/x"),
            (
                "http://[::1]:1/x?token=5",
                "http://[::1]:1/x?token=5",
                "http://[::1]:1/x?***",
            ),
        ] {
            let address = address(given);
            assert_eq!(
                (address.kept().as_str(), address.to_string().as_str()),
                (kept, shown)
            );
            assert_eq!(format!("{address:?}"), shown);
        }
        let with_login = address("http://u:p%40x@a/x?y");
        assert_eq!(with_login.login().as_deref(), Some("u:p@x"));
        assert_eq!(address("http://u@a/").login().as_deref(), Some("u:"));
        assert_eq!(with_login.url(), "http://a/x?y");
    }

    #[test]
    fn the_port_is_the_usual_one_if_none_is_named() {
        assert_eq!(address("http://a/x").host_and_port(), ("a", 80));
        assert_eq!(address("https://a/x").host_and_port(), ("a", 443));
        assert_eq!(address("http://[::1]:8/x").host_and_port(), ("[::1]", 8));
        assert_eq!(address("http://[::1]/x").host_and_port(), ("[::1]", 80));
    }

    #[test]
    fn a_bad_address_is_refused_with_the_reason_and_no_secret() {
        for (bad, said) in [
            ("radio.example/x", "is no address of a stream"),
            ("ftp://a/x", "http://HOST"),
            ("http://", "is no address"),
            ("http://a b/", "is no address"),
            ("http://secret:secret@/x", "`http://***@/x`"),
            ("http://:secret@a/x", "`http://***@a/x`"),
            ("http://a/x#secret", "has a # in it"),
            ("http://a/\"", "is no address"),
            ("http://a/x?secret{}", "`http://a/x?***`"),
            ("http://***@a/x", "write these again"),
            ("http://a/x?***", "write these again"),
            ("http://a/x,http://a/x", "is there twice"),
            ("http://a/x,http://A:80/x", "is there twice"),
        ] {
            let error = bad.parse::<RelayAddresses>().unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
            assert!(bad.contains('#') || !error.contains("secret"), "{error}");
        }
        let long = format!("http://a/{}", "x".repeat(MAX_ADDRESS_BYTES));
        let long = long.parse::<RelayAddress>().unwrap_err();
        assert!(long.to_string().contains("too long"), "{long}");
        let many: Vec<String> = (0..9).map(|it| format!("http://a/{it}")).collect();
        let many = many.join(",").parse::<RelayAddresses>();
        assert_eq!(many, Err(BadRelayAddress::Many));
    }

    #[test]
    fn what_is_shown_can_be_read_and_not_be_set() {
        let addresses: RelayAddresses = "http://u:p@a/x, http://b/y".parse().unwrap();
        assert_eq!(addresses.kept(), "http://u:p@a/x,http://b/y");
        let shown = serde_json::to_string(&addresses).unwrap();
        assert_eq!(shown, r#""http://***@a/x,http://b/y""#);
        let read: RelayAddresses = serde_json::from_str(&shown).unwrap();
        assert_eq!(read.to_string(), addresses.to_string());
        let none: RelayAddresses = "".parse().unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn a_stage_of_a_newer_version_is_unknown() {
        let report: OutsideRelayReport = serde_json::from_str(r#"{"stage":"dreaming"}"#).unwrap();
        assert_eq!(report.stage, OutsideRelayStage::Unknown);
        let report: OutsideRelayReport = serde_json::from_str("{}").unwrap();
        assert_eq!(report, OutsideRelayReport::default());
    }
}
