//! The address of this node by HTTPS, which peers send listeners to: there for as long as a certificate holds for its host.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use super::own_card::OwnCard;
use crate::io::clock;
use crate::io::https::certificates::Certificates;
use crate::io::tasks::Tasks;
use crate::model::host::host_and_port_of;

/// How long a certificate has to hold yet for listeners to be sent to it: a player that is sent here connects within seconds, but
/// what is in a playlist is asked later.
const LEAST_VALID_S: u64 = 3_600;
/// How often it is looked whether the certificate still holds; when another comes, that is seen at once.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// The port that a URL of HTTPS need not name.
const USUAL_PORT: u16 = 443;

/// The words of the settings on the addresses of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressWords {
    /// The URL for listeners by HTTP.
    pub public_url: String,
    /// The URL by HTTPS that the operator has set, of the node itself or of a proxy.
    pub public_https_url: Option<String>,
    /// The further port that speaks HTTPS only; `None`: that of `public_url` speaks it, too.
    pub https_port: Option<u16>,
}

impl AddressWords {
    /// The host by which the world knows the node.
    fn host(&self) -> &str {
        let url = self.public_https_url.as_ref();
        host_and_port_of(url.unwrap_or(&self.public_url)).0
    }
}

/// The address of this node by HTTPS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpsAddress {
    words: Arc<AddressWords>,
    certificates: Certificates,
}

impl HttpsAddress {
    /// The address by these words, and these certificates.
    pub fn new(words: AddressWords, certificates: Certificates) -> Self {
        certificates.note_public_host(words.host());
        Self {
            words: Arc::new(words),
            certificates,
        }
    }

    /// The URL, without a slash at its end; `None` if the node cannot be reached by HTTPS now.
    pub fn url(&self) -> Option<String> {
        let set = self.words.public_https_url.clone();
        set.or_else(|| self.by_certificate(clock::unix_s()))
    }

    /// Whether the node itself has a certificate for that URL, so that no proxy speaks TLS in its place.
    pub fn is_own(&self) -> bool {
        self.holds(self.words.host(), clock::unix_s())
    }

    /// The URL by the node's certificates.
    fn by_certificate(&self, unix_s: u64) -> Option<String> {
        let (host, port) = host_and_port_of(&self.words.public_url);
        if !self.holds(host, unix_s) {
            return None;
        }
        let port = self.words.https_port.unwrap_or(port);
        Some(match port {
            USUAL_PORT => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        })
    }

    /// The host by which the world knows the node.
    pub fn host(&self) -> &str {
        self.words.host()
    }

    /// Whether the operator has named an address by HTTPS, so that a proxy may speak it.
    pub fn is_proxied(&self) -> bool {
        self.words.public_https_url.is_some()
    }

    fn holds(&self, host: &str, unix_s: u64) -> bool {
        let is_good_at = |unix_s| self.certificates.is_good_for(host, unix_s);
        is_good_at(unix_s) && is_good_at(unix_s + LEAST_VALID_S)
    }

    /// Tells the mesh each change of the address. Runs until the node stops.
    pub async fn run(self, card: OwnCard, tasks: Tasks) {
        let mut changed = self.certificates.changed();
        let mut told = self.words.public_https_url.clone();
        loop {
            let url = self.url();
            if url != told {
                match &url {
                    Some(url) => info!(%url, "listeners that come by HTTPS are sent here"),
                    None => warn!(
                        "no certificate holds for this node's address for an hour: listeners by HTTPS are sent to others"
                    ),
                }
                card.change(|card| card.https_url.clone_from(&url)).await;
                told = url;
            }
            tokio::select! {
                () = tasks.asked_to_end() => return,
                changed = changed.changed() => if changed.is_err() { return },
                () = sleep(LOOK_PERIOD) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::https::certificate::samples::certificate;

    fn address(
        public_url: &str,
        public_https_url: Option<&str>,
        https_port: Option<u16>,
    ) -> HttpsAddress {
        let words = AddressWords {
            public_url: public_url.to_owned(),
            public_https_url: public_https_url.map(str::to_owned),
            https_port,
        };
        HttpsAddress::new(words, Certificates::default())
    }

    #[test]
    fn the_url_has_the_host_of_the_certificate_and_the_port_that_speaks_https() {
        for (public_url, https_port, url) in [
            ("http://a.example:8000", None, "https://a.example:8000"),
            ("http://a.example:8000", Some(443), "https://a.example"),
            (
                "http://a.example:8000",
                Some(8443),
                "https://a.example:8443",
            ),
            ("http://a.example", None, "https://a.example:80"),
        ] {
            let address = address(public_url, None, https_port);
            assert_eq!(address.url(), None, "no certificate yet");
            let certificates = vec![certificate(&["a.example"], 2030)];
            address.certificates.set_files(certificates);
            let unix_s = clock::unix_s();
            assert_eq!(address.by_certificate(unix_s).as_deref(), Some(url));
            assert!(address.is_own());
        }
        let ipv6 = address("http://[::1]:8000", None, None);
        let certificates = vec![certificate(&["::1"], 2030)];
        ipv6.certificates.set_files(certificates);
        assert_eq!(ipv6.url().as_deref(), Some("https://[::1]:8000"));
    }

    #[test]
    fn a_certificate_counts_while_it_holds_for_another_hour() {
        let address = address("http://a.example", None, None);
        let issued = certificate(&["a.example"], 2030);
        let until = issued.facts.not_after_unix_s;
        address.certificates.set_files(vec![issued]);
        for (before_s, holds) in [(LEAST_VALID_S, true), (LEAST_VALID_S - 1, false)] {
            let url = address.by_certificate(until - before_s);
            assert_eq!(url.is_some(), holds, "{before_s} s before its end");
        }
        let other = vec![certificate(&["b.example"], 2030)];
        address.certificates.set_files(other);
        assert_eq!(address.url(), None, "for another host");
    }

    #[test]
    fn what_an_operator_has_set_is_told_and_may_be_a_proxys() {
        let address = address("http://a.example:8000", Some("https://b.example"), None);
        assert_eq!(address.url().as_deref(), Some("https://b.example"));
        assert!(!address.is_own());
        let own = vec![certificate(&["b.example"], 2030)];
        address.certificates.set_files(own);
        assert!(address.is_own());
    }
}
