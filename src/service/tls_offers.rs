//! Offers of TLS to clients that ask for it on a plain connection, as libshout does.
//!
//! libshout speaks TLS to whoever offers it, and gives up where it does not trust the certificate. So TLS is offered for a
//! host only that a valid certificate is for, and a client that leaves at an offer is made none for a while: the encoders
//! that sent before there was a certificate go on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::io::clock;
use crate::io::door::Visitor;
use crate::io::https::certificates::Certificates;
use crate::model::host::{address_of, host_and_port};
use crate::wire::http::head::Head;
use crate::wire::http::upgrade::asks_for_tls;

/// How long a client that left is made no offer: an encoder comes again within seconds, and an operator who has mended
/// its trust tries again after a minute at most.
const NO_OFFER_FOR: Duration = Duration::from_secs(60);
/// The most clients that are remembered; encoders are few.
const MAX_REMEMBERED: usize = 1_000;

/// The offers of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsOffers {
    certificates: Certificates,
    declined: Arc<Mutex<Declined>>,
}

/// The clients that have declined, and when.
#[derive(Debug, Default)]
struct Declined(BTreeMap<IpAddr, Instant>);

/// An offer that is being made. Dropped before it is [taken](Self::taken), it counts as declined.
#[derive(Debug)]
pub struct TlsOffer {
    client: IpAddr,
    host: String,
    declined: Option<Arc<Mutex<Declined>>>,
}

impl TlsOffers {
    /// Offers with these certificates.
    pub fn new(certificates: Certificates) -> Self {
        Self {
            certificates,
            declined: Arc::default(),
        }
    }

    /// An offer for a request in plain; `behind` is what has come behind its head: nothing, where the client waits.
    pub fn make(&self, visitor: &Visitor, head: &Head, behind: &BytesMut) -> Option<TlsOffer> {
        if visitor.stream.is_tls() || !behind.is_empty() || !asks_for_tls(head) {
            return None;
        }
        let client = visitor.peer.ip();
        let (host, _) = host_and_port(head.host()?, false);
        // libshout looks for names in a certificate, not for addresses.
        let is_name = address_of(host).is_none();
        let is_good = |host| self.certificates.is_good_for(host, clock::unix_s());
        let is_due = || !self.declined.lock().has(client, Instant::now());
        (is_name && is_good(host) && is_due()).then(|| TlsOffer {
            client,
            host: host.to_owned(),
            declined: Some(self.declined.clone()),
        })
    }
}

impl TlsOffer {
    /// Notes that the client has asked for something by TLS.
    pub fn taken(mut self) {
        self.declined = None;
    }
}

impl Drop for TlsOffer {
    fn drop(&mut self) {
        let Some(declined) = self.declined.take() else {
            return;
        };
        warn!(
            client = %self.client,
            host = self.host,
            "a client that was offered TLS has left: its encoder does not trust the certificate, perhaps. For a minute it \
             may send without TLS"
        );
        declined.lock().note(self.client, Instant::now());
    }
}

impl Declined {
    fn has(&self, client: IpAddr, now: Instant) -> bool {
        let at = self.0.get(&client);
        at.is_some_and(|at| now.duration_since(*at) < NO_OFFER_FOR)
    }

    fn note(&mut self, client: IpAddr, now: Instant) {
        self.0
            .retain(|_, at| now.duration_since(*at) < NO_OFFER_FOR);
        if self.0.len() < MAX_REMEMBERED {
            self.0.insert(client, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_has_declined_is_let_be_for_a_minute() {
        let mut declined = Declined::default();
        let (client, now) = (IpAddr::from([192, 0, 2, 1]), Instant::now());
        assert!(!declined.has(client, now));
        declined.note(client, now);
        assert!(declined.has(client, now + NO_OFFER_FOR / 2));
        assert!(!declined.has(client, now + NO_OFFER_FOR));
    }

    #[test]
    fn many_clients_are_not_remembered_for_ever() {
        let mut declined = Declined::default();
        let (now, ip) = (Instant::now(), |it: u32| IpAddr::from(it.to_be_bytes()));
        for number in 0..2 * MAX_REMEMBERED as u32 {
            declined.note(ip(number), now);
        }
        assert_eq!(declined.0.len(), MAX_REMEMBERED);
        declined.note(ip(0), now + NO_OFFER_FOR);
        assert_eq!(declined.0.len(), 1);
    }
}
