//! The certificates that this node has, and the one that a client is answered with.
//!
//! A client names the host that it wants, or none: then it has connected to an address. Whether clients can be sent to a host
//! is decided by the same choice, so a node is told of as good for a host only while it shows a certificate for it there.

use std::cmp::Reverse;
use std::sync::{Arc, OnceLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::certificate::Certificate;
use crate::io::clock;
use crate::logic::certificates::precedence::{Ends, Standing, hosts_meant};
use crate::model::certificate::CertificateFacts;
use crate::model::host::address_of;

/// The origin of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Files that the operator named.
    Files,
    /// The document of the mesh.
    Mesh,
}

/// A certificate and its origin.
#[derive(Clone, Debug)]
pub struct HeldCertificate {
    /// The origin.
    pub origin: Origin,
    /// The certificate.
    pub certificate: Certificate,
    standing: Standing,
}

/// The certificates of this node. Cheap to clone: all clones are one.
///
/// Each handshake asks anew, so new connections get what was set last, and those that are there keep theirs.
#[derive(Clone, Debug, Default)]
pub struct Certificates(Arc<CertificateStore>);

#[derive(Debug, Default)]
struct CertificateStore {
    held: watch::Sender<Vec<HeldCertificate>>,
    /// The host by which the world knows this node, once that is clear.
    public_host: OnceLock<String>,
}

/// The certificates as a client sees them that names no host.
#[derive(Debug)]
pub(super) struct AtAddress {
    pub(super) certificates: Certificates,
    pub(super) ends: Option<Ends>,
}

impl Certificates {
    /// Puts these in the place of all that came from files.
    pub fn set_files(&self, certificates: Vec<Certificate>) {
        let held = certificates.into_iter().map(|it| (it, Standing::FILES));
        self.set(Origin::Files, held);
    }

    /// Puts these in the place of all that came from the mesh.
    pub fn set_mesh(&self, certificates: Vec<(Certificate, Standing)>) {
        self.set(Origin::Mesh, certificates);
    }

    fn set(&self, origin: Origin, certificates: impl IntoIterator<Item = (Certificate, Standing)>) {
        let certificates = certificates.into_iter();
        self.0.held.send_modify(|held| {
            held.retain(|one| one.origin != origin);
            held.extend(certificates.map(|(certificate, standing)| HeldCertificate {
                origin,
                certificate,
                standing,
            }));
            held.sort_by_key(|one| one.origin);
        });
    }

    /// Takes note of the host by which the world knows this node. The first that is told stays.
    pub fn note_public_host(&self, host: &str) {
        self.0.public_host.get_or_init(|| host.to_owned());
    }

    /// The host by which the world knows this node, once that is clear.
    pub fn public_host(&self) -> Option<&str> {
        self.0.public_host.get().map(String::as_str)
    }

    /// All of them, those from files first.
    pub fn list(&self) -> Vec<HeldCertificate> {
        self.0.held.borrow().clone()
    }

    /// Whether there is none, so that no client can be spoken to by TLS.
    pub fn is_empty(&self) -> bool {
        self.0.held.borrow().is_empty()
    }

    /// Whether a client that checks it could connect to this host at this time.
    pub fn is_good_for(&self, host: &str, unix_s: u64) -> bool {
        self.good_for(host, unix_s).is_some()
    }

    /// The certificate by which a client that checks it could connect to this host at this time.
    pub fn good_for(&self, host: &str, unix_s: u64) -> Option<Arc<CertificateFacts>> {
        let held = self.0.held.borrow();
        // Who connects to an address names no host.
        let shown = match address_of(host) {
            Some(own) => {
                let ends = Ends { own, client: own };
                best(held.iter(), &self.hosts_meant(Some(ends)), unix_s)
            }
            None => best(held.iter(), &[host.to_owned()], unix_s),
        };
        let facts = &shown?.certificate.facts;
        (facts.is_valid_at(unix_s) && facts.covers(host)).then(|| facts.clone())
    }

    /// A receiver that is told of each change, and holds them all.
    pub fn changed(&self) -> watch::Receiver<Vec<HeldCertificate>> {
        self.0.held.subscribe()
    }

    fn hosts_meant(&self, ends: Option<Ends>) -> Vec<String> {
        hosts_meant(ends, self.0.public_host.get().map(String::as_str))
    }

    /// The key for a client that means one of these hosts.
    fn answer(&self, hosts: &[String], hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let held = self.0.held.borrow();
        let usable = held.iter().filter(|one| can_verify(one, hello));
        let best = best(usable, hosts, clock::unix_s())?;
        Some(best.certificate.key.clone())
    }
}

/// The certificate for a client that means one of these hosts, the likeliest first.
fn best<'a>(
    held: impl Iterator<Item = &'a HeldCertificate>,
    hosts: &[String],
    now_unix_s: u64,
) -> Option<&'a HeldCertificate> {
    held.max_by_key(|one| preference(one, hosts, now_unix_s))
}

/// How well a certificate suits, the greatest being the best.
///
/// One for a host that is meant comes before all others, and a valid one before one whose dates do not hold: a client that
/// checks neither hears the radio at least.
fn preference(one: &HeldCertificate, hosts: &[String], now_unix_s: u64) -> impl Ord + use<> {
    let facts = &one.certificate.facts;
    let is_valid = facts.is_valid_at(now_unix_s);
    let place = hosts.iter().position(|host| facts.covers(host));
    let is_exact = place.is_some_and(|place| facts.names_exactly(&hosts[place]));
    let standing = one.standing;
    (
        place.is_some(),
        place.is_some() && is_valid,
        Reverse(place),
        standing.precedence(is_valid, is_exact, facts.not_after_unix_s),
    )
}

/// Whether a client that says this can verify the signature of a certificate.
fn can_verify(one: &HeldCertificate, hello: &ClientHello<'_>) -> bool {
    let key = &one.certificate.key.key;
    key.choose_scheme(hello.signature_schemes()).is_some()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(host) => self.answer(&[host.to_owned()], &hello),
            None => self.answer(&self.hosts_meant(None), &hello),
        }
    }
}

impl ResolvesServerCert for AtAddress {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let hosts = self.certificates.hosts_meant(self.ends);
        self.certificates.answer(&hosts, &hello)
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::samples::certificate;
    use super::*;
    use crate::logic::certificates::precedence::samples::{imported, ordered};

    /// 2026-01-01.
    const NOW: u64 = 1_767_225_600;

    fn hosts(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|&host| host.to_owned()).collect()
    }

    /// The first name of the certificate that is chosen, and the year of its end.
    fn chosen(certificates: &Certificates, meant: &[&str]) -> String {
        let held = certificates.list();
        let chosen = best(held.iter(), &hosts(meant), NOW).unwrap();
        let facts = &chosen.certificate.facts;
        let year = 1970 + facts.not_after_unix_s / 31_556_952;
        format!("{} {year}", facts.names[0])
    }

    #[test]
    fn a_client_gets_the_one_for_its_host() {
        let certificates = Certificates::default();
        assert!(certificates.is_empty() && best([].iter(), &[], NOW).is_none());
        certificates.set_mesh(vec![
            (certificate(&["a.example"], 2029), ordered(1)),
            (certificate(&["*.example"], 2030), ordered(2)),
            (certificate(&["a.example"], 2028), ordered(3)),
            (certificate(&["a.example"], 2024), ordered(4)),
        ]);
        assert_eq!(chosen(&certificates, &["a.example"]), "a.example 2028");
        assert_eq!(chosen(&certificates, &["b.example"]), "*.example 2030");
        certificates.set_files(vec![certificate(&["files"], 2027)]);
        for host in [&[][..], &["other"]] {
            assert_eq!(chosen(&certificates, host), "files 2027", "{host:?}");
        }
        assert_eq!(chosen(&certificates, &["a.example"]), "a.example 2028");
        certificates.set_files(Vec::new());
        assert_eq!(chosen(&certificates, &[]), "a.example 2028");
    }

    #[test]
    fn a_node_has_a_good_certificate_only_where_it_shows_one() {
        let certificates = Certificates::default();
        certificates.note_public_host("radio.example");
        let both = certificate(&["radio.example", "192.0.2.1"], 2030);
        certificates.set_mesh(vec![(both, imported(1))]);
        let good = |host| certificates.is_good_for(host, NOW);
        assert!(good("radio.example") && good("192.0.2.1") && !good("192.0.2.2"));
        // What was imported last is shown for the name, and the other one for the address still.
        let name = certificate(&["radio.example"], 2029);
        let mut held: Vec<(Certificate, Standing)> = certificates
            .list()
            .into_iter()
            .map(|one| (one.certificate, one.standing))
            .collect();
        held.push((name, imported(2)));
        certificates.set_mesh(held.clone());
        assert_eq!(
            chosen(&certificates, &["radio.example"]),
            "radio.example 2029"
        );
        let shown = |own: &str, client: &str| {
            let ends = Ends {
                own: own.parse().unwrap(),
                client: client.parse().unwrap(),
            };
            let meant = certificates.hosts_meant(Some(ends));
            let meant: Vec<&str> = meant.iter().map(String::as_str).collect();
            chosen(&certificates, &meant)
        };
        let (ours, public) = ("radio.example 2030", "radio.example 2029");
        assert_eq!(shown("192.0.2.1", "198.51.100.7"), ours);
        assert_eq!(shown("192.0.2.2", "198.51.100.7"), public);
        let (certificate, standing) = (certificate(&["10.0.0.5"], 2028), imported(3));
        held.push((certificate, standing));
        certificates.set_mesh(held);
        assert_eq!(shown("10.0.0.5", "10.0.0.9"), "10.0.0.5 2028");
        assert_eq!(shown("10.0.0.5", "198.51.100.7"), public, "by a router");
        assert!(certificates.is_good_for("192.0.2.1", NOW));
    }

    #[test]
    fn an_expired_one_is_better_than_none() {
        let certificates = Certificates::default();
        certificates.set_files(vec![certificate(&["a"], 2024)]);
        assert_eq!(chosen(&certificates, &["a"]), "a 2024");
        assert!(!certificates.is_good_for("a", NOW));
        certificates.set_mesh(vec![(certificate(&["b"], 2030), ordered(1))]);
        assert_eq!(chosen(&certificates, &[]), "b 2030");
        assert!(certificates.is_good_for("b", NOW) && !certificates.is_good_for("a", NOW));
    }

    #[test]
    fn a_change_is_told() {
        let certificates = Certificates::default();
        let changed = certificates.changed();
        assert!(!changed.has_changed().unwrap());
        certificates
            .clone()
            .set_files(vec![certificate(&["a"], 2030)]);
        assert!(changed.has_changed().unwrap());
    }
}
