//! The settings of the zone that a node answers for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::ListenAddress;
use crate::model::dns::Caa;
use crate::model::domain::DomainName;

/// The port that every resolver asks.
const DEFAULT_PORT: u16 = 53;
/// Enough that a client finds another address when one node has just died, and few enough that all of them are good.
const DEFAULT_ANSWERS: usize = 4;
/// The most addresses that an answer carries.
const MAX_ANSWERS: usize = 8;
/// The most addresses of one node: a few lines of both families.
const MAX_ADDRESSES: usize = 8;
/// The most name servers, and the most rules on certificates: as many as the root of DNS has name servers, and far
/// below what one answer can carry.
const MAX_LISTED: usize = 13;
/// The answers that a network gets by UDP, per second: a resolver of many thousands asks once in the ten seconds for
/// which it may keep an answer, and a sender of forged queries gets only a few kilobytes per second.
const DEFAULT_ANSWERS_PER_S: u32 = 50;

/// The checked settings of the zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsSettings {
    /// The name of the zone that was delegated to the mesh.
    pub zone: DomainName,
    /// The addresses on which the node answers DNS queries, by UDP and TCP.
    #[serde(default = "everywhere", deserialize_with = "one_or_many")]
    pub listen: Vec<SocketAddr>,
    /// The name servers of the zone; empty: the nodes that serve it.
    #[serde(default, deserialize_with = "bounded_list")]
    pub ns: Vec<DomainName>,
    /// The mailbox of the zone's operator.
    #[serde(default)]
    pub contact: Option<Mailbox>,
    /// How many nodes an answer names.
    #[serde(default)]
    pub answers: Answers,
    /// How many answers by UDP a client's network gets per second.
    #[serde(default)]
    pub answers_per_s: AnswersPerS,
    /// The authorities that may issue certificates for the zone; empty: all.
    #[serde(default, deserialize_with = "bounded_list")]
    pub caa: Vec<Caa>,
}

/// Reads a list that has to fit into one answer.
fn bounded_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::deserialize(deserializer)?;
    if list.len() > MAX_LISTED {
        let why = format!("at most {MAX_LISTED} of them");
        return Err(serde::de::Error::custom(why));
    }
    Ok(list)
}

fn everywhere() -> Vec<SocketAddr> {
    vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DEFAULT_PORT)]
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "listen of [dns] must be IP:PORT, such as \"0.0.0.0:53\", or a list of such addresses"
    )]
    enum Written {
        One(ListenAddress),
        Many(Vec<ListenAddress>),
    }
    let addresses = match Written::deserialize(deserializer)? {
        Written::One(address) => vec![address],
        Written::Many(addresses) => addresses,
    };
    if addresses.is_empty() {
        let why =
            "listen of [dns] is an empty list: name an address, or leave [dns] out to serve no DNS";
        return Err(serde::de::Error::custom(why));
    }
    Ok(addresses.into_iter().map(SocketAddr::from).collect())
}

/// Why a value in the table `[dns]` is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDnsValue {
    /// Too few or too many nodes.
    #[error("answers must be 1 to {MAX_ANSWERS}: how many nodes an answer names")]
    Answers,
    /// No client would be answered.
    #[error("answers_per_s must be at least 1: how many answers a network gets per second")]
    AnswersPerS,
    /// The text is not a mailbox.
    #[error("invalid mailbox {0:?}: write one such as hostmaster@radio.example")]
    Mailbox(String),
}

/// How many nodes an answer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub struct Answers(usize);

impl Answers {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self(DEFAULT_ANSWERS)
    }
}

impl TryFrom<usize> for Answers {
    type Error = BadDnsValue;

    fn try_from(count: usize) -> Result<Self, BadDnsValue> {
        let fits = (1..=MAX_ANSWERS).contains(&count);
        fits.then_some(Self(count)).ok_or(BadDnsValue::Answers)
    }
}

/// How many answers a network gets per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct AnswersPerS(u32);

impl AnswersPerS {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for AnswersPerS {
    fn default() -> Self {
        Self(DEFAULT_ANSWERS_PER_S)
    }
}

impl TryFrom<u32> for AnswersPerS {
    type Error = BadDnsValue;

    fn try_from(count: u32) -> Result<Self, BadDnsValue> {
        (count > 0)
            .then_some(Self(count))
            .ok_or(BadDnsValue::AnswersPerS)
    }
}

/// A mailbox, as DNS writes it: a name whose first label is the part before the `@`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mailbox(DomainName);

impl Mailbox {
    /// The mailbox as a name.
    pub fn name(&self) -> &DomainName {
        &self.0
    }
}

impl FromStr for Mailbox {
    type Err = BadDnsValue;

    fn from_str(text: &str) -> Result<Self, BadDnsValue> {
        let bad = || BadDnsValue::Mailbox(text.chars().take(64).collect());
        let (local, domain) = text.split_once('@').ok_or_else(bad)?;
        // A dot before the @ would have to be escaped in the zone, and no contact needs one there.
        let name = format!("{local}.{domain}").parse();
        let name = name.ok().filter(|_| !local.contains('.'));
        name.map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for Mailbox {
    type Error = BadDnsValue;

    fn try_from(text: String) -> Result<Self, BadDnsValue> {
        text.parse()
    }
}

/// Reads the addresses at which the node is reached from outside.
pub(super) fn addresses<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<IpAddr>, D::Error> {
    let addresses = Vec::<IpAddr>::deserialize(deserializer)?;
    let is_no_machine = |ip: &IpAddr| ip.is_unspecified() || ip.is_multicast();
    if addresses.iter().any(is_no_machine) || addresses.len() > MAX_ADDRESSES {
        return Err(serde::de::Error::custom(format!(
            "addresses are those at which the world reaches this node, such as 203.0.113.7 and 2001:db8::7, \
             at most {MAX_ADDRESSES}"
        )));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DnsSettings, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_zone_is_all_that_is_needed() {
        let dns = parse("zone = 'Radio.Example.'").unwrap();
        assert_eq!(dns.zone.as_str(), "radio.example");
        assert_eq!(dns.listen, ["0.0.0.0:53".parse().unwrap()]);
        assert_eq!((dns.answers.get(), dns.answers_per_s.get()), (4, 50));
        assert!(dns.ns.is_empty() && dns.caa.is_empty() && dns.contact.is_none());
    }

    #[test]
    fn everything_of_it_is_read() {
        let dns = parse(
            "zone = 'radio.example'\nlisten = ['192.0.2.1:53', '[2001:db8::1]:53']\n\
             ns = ['ns1.radio.example', 'ns.other.example']\ncontact = 'anna@other.example'\n\
             answers = 8\nanswers_per_s = 5\ncaa = ['issue letsencrypt.org']",
        )
        .unwrap();
        assert_eq!(dns.listen.len(), 2);
        assert_eq!(dns.ns[1].as_str(), "ns.other.example");
        assert_eq!(dns.contact.unwrap().name().as_str(), "anna.other.example");
        assert_eq!((dns.answers.get(), dns.answers_per_s.get()), (8, 5));
        assert_eq!(dns.caa[0].value, "letsencrypt.org");
    }

    #[test]
    fn addresses_are_real_ones() {
        let read = |text: &str| addresses(toml::de::ValueDeserializer::parse(text).unwrap());
        assert_eq!(read("['192.0.2.7', '2001:db8::7']").unwrap().len(), 2);
        let many = format!("[{}]", "'192.0.2.7',".repeat(9));
        for bad in ["['0.0.0.0']", "['ff02::1']", "['a.example']", &many] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unworkable_zone_is_refused() {
        let many = format!("zone = 'a'\nns = [{}]", "'a.b',".repeat(14));
        for (line, word) in [
            ("zone = 'a b'", "invalid domain name"),
            (
                "zone = 'a'\nlisten = '53x'",
                "listen of [dns] must be IP:PORT, such as",
            ),
            ("zone = 'a'\nlisten = []", "leave [dns] out"),
            ("zone = 'a'\nns = ['a..b']", "invalid domain name"),
            (&many, "at most 13"),
            ("zone = 'a'\nanswers = 0", "1 to 8"),
            ("zone = 'a'\nanswers = 9", "1 to 8"),
            ("zone = 'a'\nanswers_per_s = 0", "at least 1"),
            ("zone = 'a'\ncontact = 'anna'", "invalid mailbox"),
            ("zone = 'a'\ncontact = 'an.na@b'", "invalid mailbox"),
            ("zone = 'a'\ncaa = ['all']", "invalid CAA record"),
            ("zone = 'a'\nzones = 'b'", "unknown field"),
            ("listen = '0.0.0.0:53'", "missing field `zone`"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(word), "{line}: {said}");
        }
    }
}
