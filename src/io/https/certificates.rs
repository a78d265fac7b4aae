//! The certificates that this node has, and the one that a client is answered with.

use std::cmp::Reverse;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::certificate::Certificate;
use crate::io::clock;

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
}

/// The certificates of this node. Cheap to clone: all clones are one.
///
/// Each handshake asks anew, so new connections get what was set last, and those that are there keep theirs.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<watch::Sender<Vec<HeldCertificate>>>);

impl Default for Certificates {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }
}

impl Certificates {
    /// Puts these in the place of all of the same origin.
    pub fn set(&self, origin: Origin, certificates: Vec<Certificate>) {
        self.0.send_modify(|held| {
            held.retain(|one| one.origin != origin);
            held.extend(certificates.into_iter().map(|certificate| HeldCertificate {
                origin,
                certificate,
            }));
            held.sort_by_key(|one| one.origin);
        });
    }

    /// All of them, those from files first.
    pub fn list(&self) -> Vec<HeldCertificate> {
        self.0.borrow().clone()
    }

    /// Whether there is none, so that no client can be spoken to by TLS.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Until when a client that checks it can be sent to this host; `None` if it cannot.
    pub fn valid_until(&self, host: &str, now_unix_s: u64) -> Option<u64> {
        let held = self.0.borrow();
        let facts = held.iter().map(|one| &one.certificate.facts);
        let good = facts.filter(|facts| facts.is_valid_at(now_unix_s) && facts.covers(host));
        good.map(|facts| facts.not_after_unix_s).max()
    }

    /// A receiver that is told of each change, and holds them all.
    pub fn changed(&self) -> watch::Receiver<Vec<HeldCertificate>> {
        self.0.subscribe()
    }

    /// The certificate for a client that asks for this host, or says none.
    fn choose(
        &self,
        host: Option<&str>,
        now_unix_s: u64,
        is_usable: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<Arc<CertifiedKey>> {
        let held = self.0.borrow();
        let usable = held.iter().filter(|one| is_usable(&one.certificate.key));
        let best = usable.min_by_key(|one| preference(one, host, now_unix_s));
        best.map(|one| one.certificate.key.clone())
    }
}

/// How well a certificate suits, the smallest being the best.
///
/// One for the host comes before a default one, which is rather the operator's own, and a valid one before one whose
/// dates do not hold: a client that checks neither hears the radio at least. Of equals, the one that lasts longest.
fn preference(one: &HeldCertificate, host: Option<&str>, now_unix_s: u64) -> impl Ord + use<> {
    let facts = &one.certificate.facts;
    let covers = host.is_some_and(|host| facts.covers(host));
    let names = host.is_some_and(|host| facts.names_exactly(host));
    let default = (!covers).then_some(one.origin);
    (
        !covers,
        !facts.is_valid_at(now_unix_s),
        default,
        !names,
        Reverse(facts.not_after_unix_s),
    )
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let is_usable = |key: &CertifiedKey| key.key.choose_scheme(schemes).is_some();
        self.choose(hello.server_name(), clock::unix_s(), is_usable)
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::samples::certificate;
    use super::*;

    /// 2026-01-01.
    const NOW: u64 = 1_767_225_600;

    fn names(certificates: &Certificates, host: Option<&str>) -> String {
        let chosen = certificates.choose(host, NOW, |_| true).unwrap();
        let held = certificates.list();
        let owner = held
            .iter()
            .find(|one| Arc::ptr_eq(&one.certificate.key, &chosen));
        let facts = &owner.unwrap().certificate.facts;
        format!(
            "{} {}",
            facts.names[0],
            1970 + facts.not_after_unix_s / 31_556_952
        )
    }

    #[test]
    fn a_client_gets_the_one_for_its_host() {
        let certificates = Certificates::default();
        assert!(certificates.is_empty() && certificates.choose(None, NOW, |_| true).is_none());
        certificates.set(
            Origin::Mesh,
            vec![
                certificate(&["a.example"], 2028),
                certificate(&["*.example"], 2030),
                certificate(&["a.example"], 2029),
                certificate(&["a.example"], 2024),
            ],
        );
        assert_eq!(names(&certificates, Some("a.example")), "a.example 2029");
        assert_eq!(names(&certificates, Some("b.example")), "*.example 2030");
        certificates.set(Origin::Files, vec![certificate(&["files"], 2027)]);
        for host in [None, Some("other")] {
            assert_eq!(names(&certificates, host), "files 2027", "{host:?}");
        }
        assert_eq!(names(&certificates, Some("a.example")), "a.example 2029");
        certificates.set(Origin::Files, Vec::new());
        assert_eq!(names(&certificates, None), "*.example 2030");
    }

    #[test]
    fn an_expired_one_is_better_than_none() {
        let certificates = Certificates::default();
        certificates.set(Origin::Files, vec![certificate(&["a"], 2024)]);
        assert_eq!(names(&certificates, Some("a")), "a 2024");
        assert_eq!(certificates.valid_until("a", NOW), None);
        certificates.set(Origin::Mesh, vec![certificate(&["b"], 2030)]);
        assert_eq!(names(&certificates, None), "b 2030");
        assert!(certificates.valid_until("b", NOW).is_some());
        assert_eq!(certificates.valid_until("a", NOW), None);
    }

    #[test]
    fn one_that_the_client_cannot_verify_is_not_chosen() {
        let certificates = Certificates::default();
        certificates.set(Origin::Files, vec![certificate(&["a"], 2030)]);
        assert!(certificates.choose(Some("a"), NOW, |_| false).is_none());
    }

    #[test]
    fn a_change_is_told() {
        let certificates = Certificates::default();
        let changed = certificates.changed();
        assert!(!changed.has_changed().unwrap());
        certificates
            .clone()
            .set(Origin::Mesh, vec![certificate(&["a"], 2030)]);
        assert!(changed.has_changed().unwrap());
    }
}
