//! Session tickets that every node of the mesh opens, so that a client which has spoken to one resumes at another.
//!
//! The keys follow from the cluster's secret and the day, and nothing is kept: a ticket is the state of a session,
//! sealed. Who gets to know the secret could read what was resumed, today's and yesterday's, if it has recorded that;
//! but it could also take the node's own place.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use ring::aead::AES_256_GCM;
use rustls::server::ProducesTickets;

use crate::io::aead::AeadKey;
use crate::io::clock;
use crate::io::tls::ClusterSecret;

/// How long a key issues, and a client may use a ticket.
const DAY_S: u32 = 24 * 3_600;
/// The bytes that name a key in front of each ticket.
const NAME_BYTES: usize = 8;

/// The keys of session tickets.
pub struct Tickets(Mutex<TicketKeys>);

struct TicketKeys {
    secret: ClusterSecret,
    /// The day of the keys, counted from 1970.
    day: u64,
    /// The first one issues.
    keys: Arc<[TicketKey]>,
}

/// The key of one day.
struct TicketKey {
    name: [u8; NAME_BYTES],
    sealing: AeadKey,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl Tickets {
    /// Tickets of a mesh with this secret.
    pub fn new(secret: &ClusterSecret) -> Self {
        Self(Mutex::new(TicketKeys {
            secret: secret.clone(),
            day: 0,
            keys: Arc::new([]),
        }))
    }

    /// Goes on with another secret. Tickets of the one before are opened for as long as that stands in the keyring.
    pub fn renew(&self, secret: &ClusterSecret) {
        let mut state = self.0.lock();
        state.secret = secret.clone();
        state.keys = Arc::new([]);
    }

    fn keys(&self, unix_s: u64) -> Arc<[TicketKey]> {
        let day = unix_s / u64::from(DAY_S);
        let mut state = self.0.lock();
        if state.day != day || state.keys.is_empty() {
            state.day = day;
            state.keys = keys_of(&state.secret, day);
        }
        state.keys.clone()
    }

    fn seal(&self, plain: &[u8], unix_s: u64) -> Option<Vec<u8>> {
        let keys = self.keys(unix_s);
        let key = keys.first()?;
        let sealed = key.sealing.seal(&key.name, plain);
        Some([&key.name[..], &sealed].concat())
    }

    fn open(&self, ticket: &[u8], unix_s: u64) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_first_chunk::<NAME_BYTES>()?;
        let keys = self.keys(unix_s);
        let key = keys.iter().find(|key| key.name == *name)?;
        key.sealing.open(name, sealed)
    }
}

/// The keys that are good on a day, the one that issues first: of that day, of the one before, and of the one that has
/// begun already where a clock is a little ahead.
fn keys_of(secret: &ClusterSecret, day: u64) -> Arc<[TicketKey]> {
    let days = [day, day.saturating_sub(1), day + 1];
    days.iter()
        .flat_map(|day| {
            let purpose = format!("antiphon session tickets of day {day}");
            let names = secret.derive_each(&format!("{purpose}, name"));
            let keys = secret.derive_each(&purpose);
            names.into_iter().zip(keys)
        })
        .filter_map(|(name, key)| {
            Some(TicketKey {
                name: *name.first_chunk()?,
                sealing: AeadKey::new(&AES_256_GCM, &key),
            })
        })
        .collect()
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        DAY_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, clock::unix_s())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, clock::unix_s())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 20_000 * DAY_S as u64 + 12 * 3_600;
    const DAY: u64 = DAY_S as u64;

    fn tickets(keys: &[char]) -> Tickets {
        Tickets::new(&secret(keys))
    }

    fn secret(keys: &[char]) -> ClusterSecret {
        let lines: Vec<String> = keys.iter().map(|key| key.to_string().repeat(64)).collect();
        ClusterSecret::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn another_node_opens_what_one_has_sealed() {
        let (here, there, stranger) = (tickets(&['1']), tickets(&['1']), tickets(&['2']));
        let ticket = here.seal(b"session", NOON).unwrap();
        assert_eq!(there.open(&ticket, NOON).unwrap(), b"session");
        assert_eq!(stranger.open(&ticket, NOON), None);
        assert!(!ticket.windows(7).any(|part| part == b"session"));
    }

    #[test]
    fn a_ticket_is_good_until_the_next_day_ends() {
        let here = tickets(&['1']);
        let ticket = here.seal(b"s", NOON).unwrap();
        for (unix_s, is_good) in [
            (NOON - DAY, true), // a clock that is behind
            (NOON + DAY, true),
            (NOON + 2 * DAY, false),
            (NOON - 2 * DAY, false),
        ] {
            assert_eq!(here.open(&ticket, unix_s).is_some(), is_good, "{unix_s}");
        }
    }

    #[test]
    fn tickets_follow_a_secret_that_is_rotated() {
        let node = tickets(&['1']);
        let old = node.seal(b"s", NOON).unwrap();
        node.renew(&secret(&['2', '1']));
        assert!(node.open(&old, NOON).is_some());
        let new = node.seal(b"s", NOON).unwrap();
        assert!(tickets(&['2']).open(&new, NOON).is_some());
        node.renew(&secret(&['2']));
        assert!(node.open(&old, NOON).is_none() && node.open(&new, NOON).is_some());
    }

    #[test]
    fn a_changed_ticket_is_none() {
        let here = tickets(&['1']);
        let ticket = here.seal(b"session", NOON).unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(here.open(&changed, NOON), None, "{at}");
            assert_eq!(here.open(&ticket[..at], NOON), None, "{at}");
        }
    }
}
