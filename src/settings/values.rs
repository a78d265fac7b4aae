//! The types of single settings, each checked when it is read.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Why a text is not a valid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// The text is not an address to listen on.
    #[error("not IP:PORT, such as 0.0.0.0:8000 or [::]:8000")]
    Listen,
    /// The text is not an address that other nodes can send to.
    #[error("not the IP:PORT at which other nodes reach this one, such as 192.0.2.7:8000")]
    Mesh,
    /// The text does not name a peer.
    #[error("{0:?} is not HOST:PORT, such as radio1.example:8000 or 192.0.2.7:8000")]
    Peer(String),
    /// The text is not a whole number within the bounds.
    #[error("not a number, such as {example}, from {least} to {most}")]
    Number {
        /// A valid number.
        example: u64,
        /// The least valid number.
        least: u64,
        /// The greatest valid number.
        most: u64,
    },
    /// The word is not a program that transcodes.
    #[error("not auto, liquidsoap or ffmpeg")]
    Engine,
    /// The text is not a rate.
    #[error(
        "not a rate in bits per second: digits, then k, M, G or nothing, such as 800k, 100M or 1G"
    )]
    Bandwidth,
    /// The rate is too low for any stream.
    #[error("{0} bit/s is too little for a stream: write {0}M for {0} Mbit/s")]
    Slow(u64),
    /// The text is empty, too long, or has several lines.
    #[error("not one line of 1 to {MAX_LINE_BYTES} bytes")]
    Line,
    /// The text is not a plain HTTP address.
    #[error("not http://HOST[:PORT], such as http://radio1.example:8000")]
    Url,
    /// The text is not the address of a proxy that speaks HTTPS.
    #[error("not https://HOST[:PORT], such as https://radio1.example")]
    HttpsUrl,
    /// The URL has a name and password.
    #[error("this URL must not have a name or password; write http://HOST[:PORT]")]
    UrlCredentials,
    /// The URL has a path or query.
    #[error("this URL must not have a path; write http://HOST[:PORT]")]
    UrlPath,
}

/// The longest line: longer than any name, address or town.
const MAX_LINE_BYTES: usize = 256;

/// A text to be shown to people: one line, not empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Line(pub String);

impl FromStr for Line {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match (1..=MAX_LINE_BYTES).contains(&text.len()) && !text.chars().any(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(BadValue::Line),
        }
    }
}

/// The address that a node listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ListenAddress(SocketAddr);

impl FromStr for ListenAddress {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self).map_err(|_| BadValue::Listen)
    }
}

impl From<ListenAddress> for SocketAddr {
    fn from(address: ListenAddress) -> Self {
        address.0
    }
}

/// The address at which other nodes reach this one: of one machine, with a port other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MeshAddress(SocketAddr);

impl FromStr for MeshAddress {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let address: SocketAddr = text.parse().map_err(|_| BadValue::Mesh)?;
        let usable = !address.ip().is_unspecified() && address.port() != 0;
        usable.then_some(Self(address)).ok_or(BadValue::Mesh)
    }
}

impl From<MeshAddress> for SocketAddr {
    fn from(address: MeshAddress) -> Self {
        address.0
    }
}

/// The address of a peer: `HOST:PORT`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PeerAddress(String);

impl FromStr for PeerAddress {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let lower = text.to_ascii_lowercase();
        match host_and_port(&lower) {
            Some((_, Some(_))) => Ok(Self(lower)),
            _ => Err(BadValue::Peer(text.to_owned())),
        }
    }
}

impl From<PeerAddress> for String {
    fn from(address: PeerAddress) -> Self {
        address.0
    }
}

/// Makes a reader of whole numbers, digits and nothing else, within bounds that `N` can hold; `example` is a valid one
/// for the error.
pub fn whole_number<N: TryFrom<u64>>(
    bounds: RangeInclusive<u64>,
    example: u64,
) -> impl Fn(&str) -> Result<N, BadValue> + Clone + Send + Sync + 'static {
    let (least, most) = bounds.into_inner();
    move |text| {
        // `u64` would accept a leading plus.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = plain.then(|| text.parse::<u64>().ok()).flatten();
        let number = number.filter(|number| (least..=most).contains(number));
        let fitting = number.and_then(|number| N::try_from(number).ok());
        fitting.ok_or(BadValue::Number {
            example,
            least,
            most,
        })
    }
}

/// Reads a number of listeners or sources.
pub(super) fn count(text: &str) -> Result<u32, BadValue> {
    whole_number(0..=u32::MAX.into(), 1_000)(text)
}

/// Reads a rank.
pub(super) fn rank(text: &str) -> Result<u64, BadValue> {
    whole_number(0..=u64::MAX, 100)(text)
}

/// Bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth(u64);

impl Bandwidth {
    /// A rate of so many bits per second.
    pub const fn from_bps(bps: u64) -> Self {
        Self(bps)
    }

    /// Checks a rate. A number of very few bits per second is taken for one whose unit was forgotten.
    fn checked(bps: u64) -> Result<Self, BadValue> {
        /// Below the slowest speech codec.
        const SLOWEST_STREAM_BPS: u64 = 1_000;
        match bps {
            1..SLOWEST_STREAM_BPS => Err(BadValue::Slow(bps)),
            _ => Ok(Self(bps)),
        }
    }

    /// The rate in bits per second.
    pub const fn bps(self) -> u64 {
        self.0
    }
}

impl FromStr for Bandwidth {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (digits, unit) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (&text[..at], 1_000),
            Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
            Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
            _ => (text, 1),
        };
        // `u64` would accept a leading plus.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let count = plain.then(|| digits.parse::<u64>().ok()).flatten();
        let bps = count.and_then(|count| count.checked_mul(unit));
        Self::checked(bps.ok_or(BadValue::Bandwidth)?)
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a rate in bits per second is a number, or a text such as \"100M\""
        )]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bps) => Self::checked(bps).map_err(serde::de::Error::custom),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// The URL of a node: `http://host[:port]` in lower case and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The URL without a slash at its end, so that a path can be appended.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        origin("http://", text, BadValue::Url).map(Self)
    }
}

/// The URL of a proxy in front of a node that speaks HTTPS: `https://host[:port]` in lower case and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicHttpsUrl(String);

impl From<PublicHttpsUrl> for String {
    fn from(url: PublicHttpsUrl) -> Self {
        url.0
    }
}

impl FromStr for PublicHttpsUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        origin("https://", text, BadValue::HttpsUrl).map(Self)
    }
}

/// Reads a scheme, a host and perhaps a port; returns `else_error` if they are not there.
fn origin(scheme: &str, text: &str, else_error: BadValue) -> Result<String, BadValue> {
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix(scheme) else {
        return Err(else_error);
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return Err(BadValue::UrlCredentials);
    }
    if rest.contains(['/', '?', '#']) {
        return Err(BadValue::UrlPath);
    }
    match host_and_port(rest) {
        Some(_) => Ok(format!("{scheme}{rest}")),
        None => Err(else_error),
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! read_from_owned_text {
    ($($value:ty),+) => {$(
        impl TryFrom<String> for $value {
            type Error = BadValue;

            fn try_from(text: String) -> Result<Self, BadValue> {
                text.parse()
            }
        }
    )+};
}
read_from_owned_text!(
    Line,
    ListenAddress,
    MeshAddress,
    PeerAddress,
    PublicHttpsUrl,
    PublicUrl
);

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; `None` if the text is none of them.
///
/// The host must be in lower case already; brackets remain in it.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let colon = match text.strip_prefix('[') {
        Some(_) => text.find(']').map(|end| end + 1)?,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(colon);
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
        None if rest.is_empty() => None,
        None => return None,
    };
    is_host(host).then_some((host, port))
}

/// The longest name that DNS can carry.
const MAX_HOST_BYTES: usize = 253;

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    // Host names have no underscores, but container networks make names with them.
    let letters =
        |label: &str| matches!(label.as_bytes(), [_, ..] if label.bytes().all(is_host_byte));
    host.len() <= MAX_HOST_BYTES && host.split('.').all(letters)
}

fn is_host_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

/// A list, or the lower layer's if it is empty.
pub(super) fn or_lower<T>(list: Vec<T>, lower: Vec<T>) -> Vec<T> {
    if list.is_empty() { lower } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_within_its_bounds() {
        let read = whole_number::<u16>(1..=u16::MAX.into(), 8_000);
        assert_eq!((read("1"), read("65535")), (Ok(1), Ok(65_535)));
        for bad in [
            "",
            "0",
            "65536",
            "+1",
            "-1",
            "1.5",
            " 1",
            "1k",
            "many",
            "99999999999999999999",
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert_eq!(
                error, "not a number, such as 8000, from 1 to 65535",
                "{bad:?}"
            );
        }
        assert_eq!(rank("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn a_rate_is_written_with_decimal_suffixes() {
        for (text, bps) in [
            ("0", 0),
            ("64000", 64_000),
            ("800k", 800_000),
            ("100M", 100_000_000),
            ("1G", 1_000_000_000),
            ("2g", 2_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bandwidth(bps)), "{text}");
        }
        for bad in [
            "",
            "k",
            "fast",
            "-1",
            "+1",
            "1.5M",
            "100X",
            "1 M",
            "1MM",
            "99999999999G",
        ] {
            assert_eq!(bad.parse::<Bandwidth>(), Err(BadValue::Bandwidth), "{bad}");
        }
    }

    #[test]
    fn a_rate_without_its_unit_is_a_slip() {
        let error = "100".parse::<Bandwidth>().unwrap_err();
        assert!(error.to_string().contains("write 100M"), "{error}");
    }

    #[test]
    fn a_public_url_is_a_host_and_perhaps_a_port() {
        for (text, url) in [
            ("http://radio.example", "http://radio.example"),
            ("HTTP://Radio.Example:8000/", "http://radio.example:8000"),
            ("http://192.0.2.7:80", "http://192.0.2.7:80"),
            ("http://[2001:DB8::1]:8000", "http://[2001:db8::1]:8000"),
            ("http://antiphon_1:8000", "http://antiphon_1:8000"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().as_str(), url);
        }
        for (bad, why) in [
            ("", BadValue::Url),
            ("radio.example", BadValue::Url),
            ("https://radio.example", BadValue::Url),
            ("http://", BadValue::Url),
            ("http://a b", BadValue::Url),
            ("http://a:0", BadValue::Url),
            ("http://a:", BadValue::Url),
            ("http://a:99999", BadValue::Url),
            ("http://a..b", BadValue::Url),
            ("http://[::1", BadValue::Url),
            ("http://[x]", BadValue::Url),
            ("http://[::1]x", BadValue::Url),
            ("http://é.example", BadValue::Url),
            ("http://a\r\nb", BadValue::Url),
            ("http://user:pw@a", BadValue::UrlCredentials),
            ("http://a/radio", BadValue::UrlPath),
            ("http://a?x", BadValue::UrlPath),
            ("http://a#x", BadValue::UrlPath),
            ("http://a//", BadValue::UrlPath),
        ] {
            assert_eq!(bad.parse::<PublicUrl>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_public_https_url_is_the_same_with_another_scheme() {
        let url = "HTTPS://Radio.Example/".parse::<PublicHttpsUrl>().unwrap();
        assert_eq!(String::from(url), "https://radio.example");
        for (bad, why) in [
            ("http://radio.example", BadValue::HttpsUrl),
            ("https://", BadValue::HttpsUrl),
            ("https://a/b", BadValue::UrlPath),
        ] {
            assert_eq!(bad.parse::<PublicHttpsUrl>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_peer_has_a_port() {
        for good in ["a:1", "Radio1.Example:8000", "[::1]:8000", "10.0.0.1:65535"] {
            let peer = good.parse::<PeerAddress>().unwrap();
            assert_eq!(String::from(peer), good.to_lowercase());
        }
        for bad in ["", "a", ":1", "a:", "a:x", "a:+1", "::1:8000", "http://a:1"] {
            assert_eq!(
                bad.parse::<PeerAddress>(),
                Err(BadValue::Peer(bad.to_owned()))
            );
        }
    }

    #[test]
    fn one_listens_on_an_address_not_on_a_name() {
        assert!("127.0.0.1:0".parse::<ListenAddress>().is_ok());
        for bad in [
            "8000",
            ":8000",
            "localhost:8000",
            "0.0.0.0",
            "1.2.3.4:99999",
        ] {
            assert_eq!(bad.parse::<ListenAddress>(), Err(BadValue::Listen), "{bad}");
        }
    }
}
