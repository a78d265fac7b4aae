//! The passwords that were right within the last minute, as keyed hashes.
//!
//! Without it, everyone's sources reconnecting at once would each cost a slow hash. What is kept
//! is worth nothing outside this process, whose random key it is made with.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::secret::{Secret, random};

/// How long a right password is remembered: longer than a source takes to reconnect, shorter than
/// a guess is worth.
const LIFE: Duration = Duration::from_secs(60);
/// The most passwords remembered: every source of a large mesh, in 100 kB.
const MAX_TICKETS: usize = 1024;

/// Stands for one password together with one hash: a changed password has another hash, so its
/// old tickets are worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket([u8; 32]);

/// The tickets of the passwords that were right, and when.
pub(super) struct Recent {
    key: [u8; 32],
    tickets: HashMap<Ticket, Instant>,
}

impl Recent {
    /// Remembers nothing yet, under a new random key.
    pub(super) fn new() -> Self {
        Self {
            key: random(),
            tickets: HashMap::new(),
        }
    }

    /// The ticket of a password and a hash.
    pub(super) fn ticket(&self, password: &Secret, hash: &str) -> Ticket {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes any key");
        mac.update(&(hash.len() as u64).to_be_bytes());
        mac.update(hash.as_bytes());
        mac.update(password.reveal().as_bytes());
        Ticket(mac.finalize().into_bytes().into())
    }

    /// Whether the password of this ticket was right within the last minute.
    pub(super) fn knows(&self, ticket: &Ticket, now: Instant) -> bool {
        let seen = self.tickets.get(ticket);
        seen.is_some_and(|seen| now.saturating_duration_since(*seen) < LIFE)
    }

    /// Remembers that the password of this ticket is right. A full memory forgets its oldest.
    pub(super) fn remember(&mut self, ticket: Ticket, now: Instant) {
        if self.tickets.len() >= MAX_TICKETS {
            let fresh = |seen: &Instant| now.saturating_duration_since(*seen) < LIFE;
            self.tickets.retain(|_, seen| fresh(seen));
        }
        if self.tickets.len() >= MAX_TICKETS {
            let oldest = self.tickets.iter().min_by_key(|(_, seen)| **seen);
            if let Some(oldest) = oldest.map(|(ticket, _)| *ticket) {
                self.tickets.remove(&oldest);
            }
        }
        self.tickets.insert(ticket, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_password_is_known_for_a_minute_with_its_hash_only() {
        let (mut recent, now) = (Recent::new(), Instant::now());
        let password = Secret::from("b");
        let ticket = recent.ticket(&password, "a");
        assert!(!recent.knows(&ticket, now));
        recent.remember(ticket, now);
        assert!(recent.knows(&ticket, now + LIFE - Duration::from_millis(1)));
        assert!(!recent.knows(&ticket, now + LIFE));
        let shifted = recent.ticket(&Secret::from(""), "ab");
        assert!(!recent.knows(&shifted, now));
        assert_ne!(Recent::new().ticket(&password, "a"), ticket);
    }

    #[test]
    fn a_full_memory_forgets_the_old_ones_first() {
        let (mut recent, now) = (Recent::new(), Instant::now());
        let ticket = |recent: &Recent, i: usize| recent.ticket(&Secret::from("x"), &i.to_string());
        for i in 0..MAX_TICKETS + 10 {
            let ticket = ticket(&recent, i);
            recent.remember(ticket, now + Duration::from_millis(i as u64));
        }
        assert_eq!(recent.tickets.len(), MAX_TICKETS);
        assert!(!recent.knows(&ticket(&recent, 9), now));
        assert!(recent.knows(&ticket(&recent, 10), now));
        let later = recent.ticket(&Secret::from("x"), "later");
        recent.remember(later, now + LIFE * 2);
        assert_eq!(recent.tickets.len(), 1);
    }
}
