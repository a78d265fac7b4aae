//! The choice among several certificates for the same host: the one that the mesh got last is used, while its dates hold.
//! And which hosts a client may mean that names none.
//!
//! A wildcard that the mesh has ordered takes no host from a certificate that names it: the wildcard is renewed by itself, and
//! nobody has asked for another certificate of that host. One that an operator gives is meant for all that it is good for.

use std::net::IpAddr;

use crate::model::acme::{CertificateSource, KeptCertificate};
use crate::model::https::CertificateName;
use crate::model::reach::Reach;

/// How a certificate came to be used here, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether an operator has chosen it.
    is_chosen: bool,
    /// When it came, unix seconds.
    since_unix_s: u64,
}

/// How much speaks for a certificate where several are for the same host: the greatest is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    is_valid: bool, // first, so that the derived order is the rule
    is_meant: bool,
    since_unix_s: u64,
    not_after_unix_s: u64,
}

impl Standing {
    /// Files that an operator has named for one node: there they come before all that the mesh has.
    pub const FILES: Self = Self {
        is_chosen: true,
        since_unix_s: u64::MAX,
    };

    /// That of a certificate of the mesh. One that an operator has given before its time counts from its time on: what was
    /// ordered to bridge that does not stay in its place.
    pub fn of(certificate: &KeptCertificate) -> Self {
        let obtained = certificate.obtained_unix_s;
        match certificate.source {
            CertificateSource::Imported => Self {
                is_chosen: true,
                since_unix_s: obtained.max(certificate.not_before_unix_s),
            },
            CertificateSource::Ordered => Self {
                is_chosen: false,
                since_unix_s: obtained,
            },
        }
    }

    /// How much speaks for a certificate of this standing, whose dates do or do not hold, which names the host in question
    /// itself or by a wildcard, and which ends then.
    pub fn precedence(self, is_valid: bool, is_exact: bool, not_after_unix_s: u64) -> Precedence {
        Precedence {
            is_valid,
            is_meant: self.is_chosen || is_exact,
            since_unix_s: self.since_unix_s,
            not_after_unix_s,
        }
    }
}

/// The two addresses of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The node's.
    pub own: IpAddr,
    /// The client's.
    pub client: IpAddr,
}

impl Ends {
    /// Whether a router stands between them that gives the node another address: who comes from the public internet cannot
    /// have asked for one that only a few machines reach.
    fn is_through_router(self) -> bool {
        Reach::of(self.own) != Reach::Everybody && Reach::of(self.client) == Reach::Everybody
    }
}

/// The hosts that a client may mean that names none, and has connected so to a node that the world knows by this host. The
/// likeliest comes first.
///
/// Whoever asks for an address names no host (RFC 6066, section 3). Behind a router the address that was asked for is not
/// the one that the connection has here, but the public one.
pub fn hosts_meant(ends: Option<Ends>, public_host: Option<&str>) -> Vec<String> {
    let own = ends.map(|ends| ends.own.to_canonical().to_string());
    let public = public_host.map(str::to_owned);
    let likeliest_first = match ends.is_some_and(Ends::is_through_router) {
        true => [public, own],
        false => [own, public],
    };
    likeliest_first.into_iter().flatten().collect()
}

/// How much speaks for a certificate of the mesh, for names that it covers.
pub fn precedence(
    certificate: &KeptCertificate,
    names: &[CertificateName],
    now_unix_s: u64,
) -> Precedence {
    let dates = certificate.not_before_unix_s..=certificate.not_after_unix_s;
    let is_exact = names.iter().all(|name| certificate.names.contains(name));
    Standing::of(certificate).precedence(
        dates.contains(&now_unix_s),
        is_exact,
        certificate.not_after_unix_s,
    )
}

/// Standings for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::Standing;

    /// That of a certificate that an operator gave to the mesh then.
    pub(crate) fn imported(since_unix_s: u64) -> Standing {
        Standing {
            is_chosen: true,
            since_unix_s,
        }
    }

    /// That of a certificate that the mesh got from an authority then.
    pub(crate) fn ordered(since_unix_s: u64) -> Standing {
        Standing {
            is_chosen: false,
            since_unix_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::renewal::samples::certificate;
    use super::*;

    fn imported(name: &str, from_unix_s: u64, lifetime_s: u64) -> KeptCertificate {
        KeptCertificate {
            source: CertificateSource::Imported,
            ..certificate(name, from_unix_s, lifetime_s)
        }
    }

    /// The place of the certificate that is used for the name among these.
    fn used(certificates: &[KeptCertificate], now_unix_s: u64) -> usize {
        let name: CertificateName = "a.radio.example".parse().unwrap();
        let names = [name];
        let places = 0..certificates.len();
        let best = places.max_by_key(|it| precedence(&certificates[*it], &names, now_unix_s));
        best.unwrap()
    }

    #[test]
    fn the_last_one_that_is_valid_is_used() {
        let (first, last) = ("a.radio.example", "a.radio.example+b.radio.example");
        let long = certificate(first, 100, 900);
        let both = [long, imported(last, 200, 100)];
        assert_eq!(used(&both, 250), 1, "though it ends earlier");
        assert_eq!(used(&both, 301), 0, "it has ended");
        assert_eq!(used(&both, 199), 0, "it has not begun");
    }

    #[test]
    fn a_client_through_a_router_means_the_public_host() {
        let meant = |own: &str, client: &str| {
            let ends = Ends {
                own: own.parse().unwrap(),
                client: client.parse().unwrap(),
            };
            hosts_meant(Some(ends), Some("203.0.113.5")).join(" ")
        };
        for (own, client, hosts) in [
            ("192.168.1.5", "198.51.100.7", "203.0.113.5 192.168.1.5"),
            ("::ffff:10.0.0.5", "2001:db8::7", "203.0.113.5 10.0.0.5"),
            (
                "100.64.0.5",
                "::ffff:198.51.100.7",
                "203.0.113.5 100.64.0.5",
            ),
            ("192.168.1.5", "192.168.1.9", "192.168.1.5 203.0.113.5"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1 203.0.113.5"),
            ("203.0.113.6", "198.51.100.7", "203.0.113.6 203.0.113.5"),
        ] {
            assert_eq!(meant(own, client), hosts, "{client} at {own}");
        }
        assert_eq!(hosts_meant(None, Some("a.example")), ["a.example"]);
        assert!(hosts_meant(None, None).is_empty());
    }

    #[test]
    fn a_wildcard_that_renews_itself_takes_no_host_from_another_one() {
        let wild = "*.radio.example";
        let exact = imported("a.radio.example", 100, 900);
        let renewed = certificate(wild, 200, 900);
        assert_eq!(used(&[exact.clone(), renewed], 250), 0);
        let given = imported(wild, 200, 900);
        assert_eq!(used(&[exact, given.clone()], 250), 1, "an operator's does");
        let ordered = certificate("a.radio.example", 100, 900);
        assert_eq!(used(&[ordered, given], 250), 1);
    }
}
