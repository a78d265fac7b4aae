//! Offers of TLS to clients that ask for it on a plain connection, as libshout does.
//!
//! libshout speaks TLS to whoever offers it, and gives up where it does not trust the certificate. So TLS is offered for a
//! host only that a valid certificate is for, and a client that leaves at an offer is made none at its next try: the encoders
//! that sent before there was a certificate go on. One that does not go on without TLS is offered it again.

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
use crate::model::certificate::CertificateFacts;
use crate::model::host::{address_of, host_and_port};
use crate::wire::http::head::Head;
use crate::wire::http::upgrade::asks_for_tls;

/// How long a client that left and goes on in plain is made no offer: an encoder comes again within seconds, and one whose
/// trust an operator has mended uses TLS from its next connection after a minute.
const NO_OFFER_FOR: Duration = Duration::from_secs(60);
/// The most clients that are remembered; encoders are few.
const MAX_REMEMBERED: usize = 1_000;

/// The offers of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsOffers {
    certificates: Certificates,
    declined: Arc<Mutex<Declined>>,
}

/// The clients that have declined.
#[derive(Debug, Default)]
struct Declined(BTreeMap<IpAddr, Decline>);

/// The last offer that a client has left at.
#[derive(Debug)]
struct Decline {
    at: Instant,
    /// The certificate that it was shown. It may trust another one.
    shown: Arc<CertificateFacts>,
    since: SinceDecline,
}

/// How a client has gone on since it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinceDecline {
    /// Not come again.
    Gone,
    /// Asked for TLS again, and was made no offer.
    Asked,
    /// Logged in without TLS.
    InPlain,
}

/// An offer that is being made. Dropped before it is [taken](Self::taken), it counts as declined.
#[derive(Debug)]
pub struct TlsOffer {
    client: IpAddr,
    host: String,
    shown: Arc<CertificateFacts>,
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
        if visitor.stream.is_tls() {
            return None;
        }
        let client = visitor.peer.ip();
        if head.header("authorization").is_some() {
            self.declined.lock().note_login(client);
        }
        if !behind.is_empty() || !asks_for_tls(head) {
            return None;
        }
        let (host, _) = host_and_port(head.host()?, false);
        if address_of(host).is_some() {
            return None; // libshout looks for names in a certificate, not for addresses
        }
        let shown = self.certificates.good_for(host, clock::unix_s())?;
        let is_due = self.declined.lock().is_due(client, &shown, Instant::now());
        is_due.then(|| TlsOffer {
            client,
            host: host.to_owned(),
            shown,
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
            "a client that was offered TLS has left: its encoder does not trust the certificate, perhaps. It is not \
             offered TLS at its next try, so that it may send without; if it requires TLS, it is at the one after"
        );
        let now = Instant::now();
        declined.lock().note(self.client, self.shown.clone(), now);
    }
}

impl Declined {
    /// Whether a client that asks for TLS is offered it by this certificate.
    fn is_due(&mut self, client: IpAddr, shown: &CertificateFacts, now: Instant) -> bool {
        let last = self.0.get_mut(&client);
        let Some(last) = last.filter(|last| last.holds(now) && *last.shown == *shown) else {
            return true;
        };
        match last.since {
            SinceDecline::Gone => {
                last.since = SinceDecline::Asked;
                false
            }
            // It has not gone on in plain, so it requires TLS.
            SinceDecline::Asked => true,
            SinceDecline::InPlain => false,
        }
    }

    fn note_login(&mut self, client: IpAddr) {
        if let Some(last) = self.0.get_mut(&client) {
            last.since = SinceDecline::InPlain;
        }
    }

    fn note(&mut self, client: IpAddr, shown: Arc<CertificateFacts>, now: Instant) {
        self.0.retain(|_, last| last.holds(now));
        if self.0.len() < MAX_REMEMBERED {
            let since = SinceDecline::Gone;
            let at = now;
            self.0.insert(client, Decline { at, shown, since });
        }
    }
}

impl Decline {
    fn holds(&self, now: Instant) -> bool {
        now.duration_since(self.at) < NO_OFFER_FOR
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn certificate(serial: &str) -> Arc<CertificateFacts> {
        Arc::new(CertificateFacts {
            names: vec!["radio.example".to_owned()],
            not_before_unix_s: 0,
            not_after_unix_s: 1,
            serial: serial.to_owned(),
            issuer: "CA".to_owned(),
        })
    }

    #[test]
    fn a_client_that_goes_on_in_plain_is_let_be_for_a_minute() {
        let (mut declined, shown) = (Declined::default(), certificate("1"));
        let now = Instant::now();
        assert!(declined.is_due(CLIENT, &shown, now));
        declined.note(CLIENT, shown.clone(), now);
        assert!(!declined.is_due(CLIENT, &shown, now));
        declined.note_login(CLIENT);
        for _title in 0..3 {
            assert!(!declined.is_due(CLIENT, &shown, now + NO_OFFER_FOR / 2));
            declined.note_login(CLIENT);
        }
        assert!(declined.is_due(CLIENT, &shown, now + NO_OFFER_FOR));
    }

    #[test]
    fn a_client_that_requires_tls_is_offered_it_again() {
        let (mut declined, shown) = (Declined::default(), certificate("1"));
        let now = Instant::now();
        for _again in 0..2 {
            declined.note(CLIENT, shown.clone(), now);
            assert!(!declined.is_due(CLIENT, &shown, now));
            assert!(declined.is_due(CLIENT, &shown, now));
        }
    }

    #[test]
    fn another_certificate_is_offered_at_once() {
        let mut declined = Declined::default();
        let now = Instant::now();
        declined.note(CLIENT, certificate("1"), now);
        assert!(declined.is_due(CLIENT, &certificate("2"), now));
        assert!(!declined.is_due(CLIENT, &certificate("1"), now));
    }

    #[test]
    fn many_clients_are_not_remembered_for_ever() {
        let mut declined = Declined::default();
        let (now, ip) = (Instant::now(), |it: u32| IpAddr::from(it.to_be_bytes()));
        for number in 0..2 * MAX_REMEMBERED as u32 {
            declined.note(ip(number), certificate("1"), now);
        }
        assert_eq!(declined.0.len(), MAX_REMEMBERED);
        declined.note(ip(0), certificate("1"), now + NO_OFFER_FOR);
        assert_eq!(declined.0.len(), 1);
    }
}
