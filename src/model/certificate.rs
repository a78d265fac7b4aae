//! The names and dates of a certificate, as plain data.

use super::host::address_of;

/// The names, dates and origin of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The hosts that it is for: domain names in lower case, with `*` for one label in front perhaps, and addresses.
    pub names: Vec<String>,
    /// The first second in which it is valid.
    pub not_before_unix_s: u64,
    /// The last second in which it is valid.
    pub not_after_unix_s: u64,
    /// The number that its issuer gave it, in hexadecimal digits.
    pub serial: String,
    /// The name of its issuer.
    pub issuer: String,
}

impl CertificateFacts {
    /// Whether it is for this host: a domain name, or an address with or without the brackets of a URL.
    pub fn covers(&self, host: &str) -> bool {
        self.names_exactly(host) || self.covers_by_wildcard(host)
    }

    /// Whether one of its names is this host itself.
    pub fn names_exactly(&self, host: &str) -> bool {
        if let Some(ip) = address_of(host) {
            return self.names.iter().any(|name| name.parse() == Ok(ip));
        }
        let host = without_dot(host);
        self.names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Whether one of its names has `*` in the place of this host's first label (RFC 9525, section 6.3).
    fn covers_by_wildcard(&self, host: &str) -> bool {
        if address_of(host).is_some() {
            return false;
        }
        let Some((label, above)) = without_dot(host).split_once('.') else {
            return false;
        };
        let mut zones = self.names.iter().filter_map(|name| name.strip_prefix("*."));
        !label.is_empty() && zones.any(|zone| zone.eq_ignore_ascii_case(above))
    }

    /// Whether its dates hold at this time.
    pub fn is_valid_at(&self, unix_s: u64) -> bool {
        (self.not_before_unix_s..=self.not_after_unix_s).contains(&unix_s)
    }

    /// How long it is valid from its first to its last second.
    pub fn lifetime_s(&self) -> u64 {
        self.not_after_unix_s.saturating_sub(self.not_before_unix_s)
    }
}

/// A host without the dot that may end a complete domain name.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Facts for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// Facts of a certificate for these names, valid from second 100 to 200.
    pub(crate) fn facts(names: &[&str]) -> CertificateFacts {
        CertificateFacts {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            not_before_unix_s: 100,
            not_after_unix_s: 200,
            serial: "0a".to_owned(),
            issuer: "CN=test".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::facts;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let facts = facts(&["*.radio.example", "radio.example"]);
        for host in ["a.radio.example", "A.Radio.Example.", "radio.example"] {
            assert!(facts.covers(host), "{host}");
        }
        let others = ["a.b.radio.example", ".radio.example", "example", "", "x"];
        for host in others {
            assert!(!facts.covers(host), "{host}");
        }
        assert!(facts.names_exactly("RADIO.example."));
        assert!(!facts.names_exactly("a.radio.example"));
    }

    #[test]
    fn an_address_is_covered_however_it_is_written() {
        let facts = facts(&["2001:db8::1", "192.0.2.1", "*.0.2.2"]);
        for host in ["2001:db8:0::1", "[2001:DB8::1]", "192.0.2.1"] {
            assert!(facts.covers(host), "{host}");
        }
        for host in ["192.0.2.2", "[2001:db8::2]", "[192.0.2.1"] {
            assert!(!facts.covers(host), "{host}");
        }
    }

    #[test]
    fn the_first_and_the_last_second_are_valid() {
        let facts = facts(&["a"]);
        assert_eq!(facts.lifetime_s(), 100);
        let valid = [99, 100, 200, 201].map(|unix_s| facts.is_valid_at(unix_s));
        assert_eq!(valid, [false, true, true, false]);
    }
}
