//! The passwords that were checked within the last day, as keyed hashes.
//!
//! A login that is known costs no slow hash, so it does not wait: neither when all sources reconnect at once
//! nor while somebody guesses. The tickets are worth nothing outside this process, whose random key makes them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::secret::{Secret, random};

/// How long a password is remembered after it was last used: a radio's daily show logs in each day.
const LIFE: Duration = Duration::from_secs(25 * 60 * 60);
/// The most passwords of operators and sources remembered of each kind: every source of a large mesh, in 200 kB.
pub(super) const MAX_TICKETS: usize = 1024;
/// The most of listeners: every account of the mesh four times over, so that wrong ones of strangers leave room, in 3 MB.
pub(super) const MAX_LISTENER_TICKETS: usize = 16 * 1024;

/// Stands for one password together with one hash: a changed password has another hash, so its
/// old tickets are worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket([u8; 32]);

/// The knowledge of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecentVerdict {
    Right,
    Wrong,
    Nothing,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    last: Instant,
    /// How many logins with it are still here.
    held: u32,
}

impl Use {
    fn is_fresh(&self, now: Instant) -> bool {
        self.held > 0 || now.saturating_duration_since(self.last) < LIFE
    }
}

/// The tickets of right and of wrong passwords, and when they were used.
pub(super) struct Recent {
    key: [u8; 32],
    most: usize,
    right: HashMap<Ticket, Use>,
    wrong: HashMap<Ticket, Use>,
}

impl Recent {
    /// Remembers nothing yet, under a new random key, and so many passwords of each kind at most.
    pub(super) fn new(most: usize) -> Self {
        Self {
            key: random(),
            most,
            right: HashMap::new(),
            wrong: HashMap::new(),
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

    /// The knowledge of the password of this ticket; a right one is remembered for another day.
    pub(super) fn recall(&mut self, ticket: &Ticket, now: Instant) -> RecentVerdict {
        match self.right.get_mut(ticket).filter(|it| it.is_fresh(now)) {
            Some(used) => {
                used.last = now;
                RecentVerdict::Right
            }
            None if self.wrong.contains_key(ticket) => RecentVerdict::Wrong,
            None => RecentVerdict::Nothing,
        }
    }

    /// Remembers that the password of this ticket is right. A full memory forgets its oldest that no login holds.
    pub(super) fn remember_right(&mut self, ticket: Ticket, now: Instant) {
        remember(&mut self.right, self.most, ticket, now);
    }

    /// Remembers that it is wrong: a misconfigured encoder tries for days.
    pub(super) fn remember_wrong(&mut self, ticket: Ticket, now: Instant) {
        remember(&mut self.wrong, self.most, ticket, now);
    }

    /// Remembers a right password until it is released, and a day longer.
    pub(super) fn hold(&mut self, ticket: Ticket, now: Instant) {
        remember(&mut self.right, self.most, ticket, now);
        if let Some(used) = self.right.get_mut(&ticket) {
            used.held += 1;
        }
    }

    /// A login with a right password has gone.
    pub(super) fn release(&mut self, ticket: &Ticket, now: Instant) {
        if let Some(used) = self.right.get_mut(ticket) {
            used.held = used.held.saturating_sub(1);
            used.last = now;
        }
    }
}

fn remember(tickets: &mut HashMap<Ticket, Use>, most: usize, ticket: Ticket, now: Instant) {
    if let Some(used) = tickets.get_mut(&ticket) {
        used.last = now;
        return;
    }
    if tickets.len() >= most {
        let idle = tickets.iter().filter(|(_, used)| used.held == 0);
        let Some(oldest) = idle.min_by_key(|(_, used)| used.last).map(|(it, _)| *it) else {
            return;
        };
        tickets.remove(&oldest);
    }
    tickets.insert(ticket, Use { last: now, held: 0 });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Duration {
        Duration::from_millis(1)
    }

    #[test]
    fn a_right_password_is_known_a_day_by_hash() {
        let (mut recent, now) = (Recent::new(MAX_TICKETS), Instant::now());
        let password = Secret::from("b");
        let ticket = recent.ticket(&password, "a");
        assert_eq!(recent.recall(&ticket, now), RecentVerdict::Nothing);
        recent.remember_right(ticket, now);
        let last = now + LIFE - moment();
        assert_eq!(recent.recall(&ticket, last), RecentVerdict::Right);
        assert_eq!(recent.recall(&ticket, last + LIFE), RecentVerdict::Nothing);
        let shifted = recent.ticket(&Secret::from(""), "ab");
        assert_eq!(recent.recall(&shifted, now), RecentVerdict::Nothing);
        assert_ne!(Recent::new(MAX_TICKETS).ticket(&password, "a"), ticket);
    }

    #[test]
    fn a_password_on_air_is_known_a_day_longer() {
        let (mut recent, now) = (Recent::new(MAX_TICKETS), Instant::now());
        let ticket = recent.ticket(&Secret::from("b"), "a");
        recent.hold(ticket, now);
        let week = now + LIFE * 7;
        recent.release(&ticket, week);
        assert_eq!(
            recent.recall(&ticket, week + LIFE - moment()),
            RecentVerdict::Right
        );
        recent.hold(ticket, week);
        assert_eq!(
            recent.recall(&ticket, week + LIFE * 7),
            RecentVerdict::Right
        );
    }

    #[test]
    fn a_full_memory_forgets_its_oldest_that_nobody_holds() {
        let (mut recent, now) = (Recent::new(MAX_TICKETS), Instant::now());
        let ticket = |text: String, recent: &Recent| recent.ticket(&Secret::from(text), "a");
        let held = ticket("held".to_owned(), &recent);
        recent.hold(held, now);
        let first = ticket("0".to_owned(), &recent);
        for index in 0..MAX_TICKETS {
            let one = ticket(index.to_string(), &recent);
            recent.remember_right(one, now + moment() * (index as u32 + 1));
            recent.remember_wrong(one, now);
        }
        assert_eq!(recent.right.len(), MAX_TICKETS);
        assert_eq!(recent.recall(&held, now), RecentVerdict::Right);
        assert_ne!(recent.recall(&first, now), RecentVerdict::Right);
    }
}
