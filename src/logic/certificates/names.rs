//! The names that want certificates: a certificate for each, so that a name that cannot be proven harms itself only.

use std::collections::BTreeSet;

use crate::model::domain::DomainName;
use crate::model::host::host_and_port_of;
use crate::model::https::{CertificateName, CertificateNames};
use crate::model::suggest::listed;

/// The most certificates that are ordered: more names than a mesh of thirty nodes has.
const MAX_WANTED: usize = 64;

/// The most names in a doubt.
const MAX_SHOWN: usize = 8;

/// The ends of names that no authority for the world certifies. Who has an authority of one's own lists such names.
const PRIVATE_ENDS: [&str; 5] = ["localhost", "local", "internal", "lan", "invalid"];

/// How the mesh proves to an authority that a name is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofWay {
    /// By an answer at the name's web address, which any node gives.
    Http,
    /// By a record in DNS, which each name server of the mesh's zone has.
    Dns,
    /// Not at all: a wildcard can only be proven by DNS, and the mesh does not serve its zone.
    No,
}

/// A certificate that the mesh wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCertificate {
    /// The names; at least one. Orders are kept by the first.
    pub names: Vec<CertificateName>,
    /// How they are proven.
    pub way: ProofWay,
}

impl WantedCertificate {
    /// The name by which its order is kept.
    pub fn first_name(&self) -> &CertificateName {
        self.names.first().expect("a certificate is for a name")
    }

    /// Whether it is for this name, too.
    pub fn covers(&self, name: &CertificateName) -> bool {
        self.names.iter().any(|own| own.covers(name))
    }
}

/// The certificates that are wanted: for each zone that the mesh serves, for the hosts of its nodes' URLs, and for the
/// names that an operator lists. A name that a zone's certificate is for gets none of its own; a wildcard that cannot be
/// proven takes no name from anybody.
pub fn wanted<'a>(
    zones: &BTreeSet<DomainName>,
    urls: impl IntoIterator<Item = &'a str>,
    listed: &CertificateNames,
) -> Vec<WantedCertificate> {
    let mut wanted: Vec<WantedCertificate> = zones.iter().filter_map(of_zone).collect();
    let hosts = urls.into_iter().filter_map(public_host);
    let mut names: BTreeSet<CertificateName> = hosts.collect();
    names.extend(listed.as_slice().iter().cloned());
    for name in names {
        let has = |it: &WantedCertificate| it.way != ProofWay::No && it.covers(&name);
        if !wanted.iter().any(has) {
            let way = way(&name, zones);
            let names = vec![name];
            wanted.push(WantedCertificate { names, way });
        }
    }
    wanted.truncate(MAX_WANTED);
    wanted
}

/// The certificate that is meant by a name: the one of that very name, else one that is for it, too, and can be got.
pub fn meant_by<'a>(
    wanted: &'a [WantedCertificate],
    name: &CertificateName,
) -> Option<&'a WantedCertificate> {
    let fitting = wanted.iter().filter(|it| it.covers(name));
    fitting.min_by_key(|it| (!it.names.contains(name), it.way == ProofWay::No))
}

/// Why no certificate, or not each that was asked for, can be ordered for these; empty if nothing is in the way.
pub fn doubts_of(wanted: &[WantedCertificate]) -> Vec<String> {
    if wanted.is_empty() {
        return vec![
            "no name to order for: the nodes are known by addresses or by names that only your own network knows; use --names, \
             or give the nodes a public_url with a name"
                .to_owned(),
        ];
    }
    let unproven = wanted.iter().filter(|it| it.way == ProofWay::No);
    let names: Vec<&str> = unproven.map(|it| it.first_name().as_str()).collect();
    let advice =
        "a wildcard needs a zone that the mesh serves; use --names with the hosts one by one";
    match names.as_slice() {
        [] => Vec::new(),
        all if all.len() == wanted.len() => vec![format!("no name to order for: {advice}")],
        some => vec![format!(
            "{} cannot be proven: {advice}",
            listed(some, MAX_SHOWN)
        )],
    }
}

fn of_zone(zone: &DomainName) -> Option<WantedCertificate> {
    let apex = zone.as_str().parse().ok()?;
    let below = CertificateName::below(zone).ok()?;
    Some(WantedCertificate {
        names: vec![apex, below],
        way: ProofWay::Dns,
    })
}

fn way(name: &CertificateName, zones: &BTreeSet<DomainName>) -> ProofWay {
    let domain = name.domain().parse::<DomainName>();
    let is_served = domain.is_ok_and(|domain| zones.iter().any(|zone| domain.is_in(zone)));
    match (is_served, name.is_wildcard()) {
        (true, _) => ProofWay::Dns,
        (false, false) => ProofWay::Http,
        (false, true) => ProofWay::No,
    }
}

/// The host of a URL, if the world could know it by this name.
fn public_host(url: &str) -> Option<CertificateName> {
    let (host, _) = host_and_port_of(url);
    let name: CertificateName = host.parse().ok()?;
    let end = name.as_str().rsplit('.').next()?;
    (!name.is_wildcard() && !PRIVATE_ENDS.contains(&end)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wanted: &[WantedCertificate]) -> Vec<String> {
        let names = |it: &WantedCertificate| {
            let names: Vec<&str> = it.names.iter().map(CertificateName::as_str).collect();
            format!("{} {:?}", names.join("+"), it.way)
        };
        wanted.iter().map(names).collect()
    }

    fn zones(names: &[&str]) -> BTreeSet<DomainName> {
        names.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn each_name_has_a_certificate_of_its_own() {
        let urls = [
            "http://n1.radio.example:8000",
            "http://N2.radio.example",
            "http://n1.radio.example",
            "http://192.0.2.7:8000",
            "http://[2001:db8::7]:8000",
            "http://studio.local:8000",
            "http://studio",
        ];
        let listed = "listen.example,n2.radio.example,box.lan".parse().unwrap();
        let found = wanted(&zones(&[]), urls, &listed);
        let expected = [
            "box.lan Http",
            "listen.example Http",
            "n1.radio.example Http",
            "n2.radio.example Http",
        ];
        assert_eq!(shown(&found), expected);
    }

    #[test]
    fn a_zone_has_one_for_itself_and_all_its_nodes() {
        let urls = ["http://n1.radio.example:8000", "http://other.example"];
        let listed = "a.b.radio.example,*.other.example,radio.example"
            .parse()
            .unwrap();
        let found = wanted(&zones(&["radio.example"]), urls, &listed);
        let expected = [
            "radio.example+*.radio.example Dns",
            "*.other.example No",
            "a.b.radio.example Dns",
            "other.example Http",
        ];
        assert_eq!(shown(&found), expected);
    }

    #[test]
    fn a_wildcard_that_cannot_be_proven_takes_no_name_away() {
        let urls = ["http://a.radio.example:8000", "http://b.radio.example:8000"];
        let listed = "*.radio.example".parse().unwrap();
        let found = wanted(&zones(&[]), urls, &listed);
        let expected = [
            "*.radio.example No",
            "a.radio.example Http",
            "b.radio.example Http",
        ];
        assert_eq!(shown(&found), expected);
        let meant = |name: &str| meant_by(&found, &name.parse().unwrap()).map(|it| it.way);
        assert_eq!(meant("a.radio.example"), Some(ProofWay::Http));
        assert_eq!(meant("*.radio.example"), Some(ProofWay::No));
        assert_eq!(meant("c.radio.example"), Some(ProofWay::No));
        assert_eq!(meant("other.example"), None);
    }

    #[test]
    fn what_cannot_be_ordered_is_said_beside_what_can() {
        let doubts = |listed: &str| {
            let found = wanted(&zones(&[]), [], &listed.parse().unwrap());
            doubts_of(&found).join("; ")
        };
        assert!(doubts("").starts_with("no name to order for: the nodes are"));
        assert!(doubts("*.a.example").starts_with("no name to order for: a wildcard"));
        assert!(doubts("*.a.example,b.example").starts_with("*.a.example cannot be proven"));
        assert_eq!(doubts("b.example"), "");
    }

    #[test]
    fn the_number_is_bounded() {
        let urls: Vec<String> = (0..200).map(|it| format!("http://n{it}.example")).collect();
        let found = wanted(
            &zones(&[]),
            urls.iter().map(String::as_str),
            &CertificateNames::default(),
        );
        assert_eq!(found.len(), MAX_WANTED);
    }
}
