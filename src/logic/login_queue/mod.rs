//! The queue of the passwords to be hashed: one in which guessers do not keep others from logging in.
//!
//! A hash is expensive by intention, so a client that could order hashes without a bound would keep all others out. An
//! address has one hash at a time. After a wrong password it pauses, longer with each, whatever mounts it tries. All
//! addresses that guessed wrong leave one turn free for the others. When too many wait, the address with the most
//! places loses one.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::model::network::customer;

/// Hashes computed at once. Each keeps a core busy for tens of milliseconds, and the second turn is free for an address
/// that never guessed.
pub const PARALLEL: usize = 2;
/// The most logins that wait for a turn. Each is a waiting connection of a few kilobytes.
pub const MAX_WAITING: usize = 512;
/// The most of them from one address, so that two guessing addresses cannot fill all places.
pub const MAX_WAITING_PER_ORIGIN: usize = 200;
/// The pause after the first wrong passwords, from start to start: five guesses in any second at most, both ends
/// included.
pub const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The pause doubles after so many wrong passwords, so that a person who mistypes a few never notices.
const GUESSES_PER_DOUBLING: u32 = 16;
/// The longest pause: 8,640 guesses a day, and other people at the same address can still log in.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause of an address that many share, so that a right login there gets its turn within a second.
const MAX_SHARED_PAUSE: Duration = Duration::from_millis(500);
/// After so long without a wrong password an address is as good as any other.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10 * 60);
/// The most guessing addresses remembered, some 100 bytes each; the one that was quiet the longest is forgotten first.
const MAX_ORIGINS: usize = 4_096;

/// The origin of a login, as far as the customers of a provider can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoginOrigin {
    /// An operator that has logged in already and sets a password.
    Operator,
    /// One address of IPv4, or one /64 of IPv6.
    Network(IpAddr),
    /// The same, where many people come from one address: this machine itself, or a proxy.
    Shared(IpAddr),
}

impl LoginOrigin {
    /// The origin of a login from this address.
    pub fn of(ip: IpAddr, is_shared: bool) -> Self {
        let network = customer(ip);
        match is_shared {
            true => Self::Shared(network),
            false => Self::Network(network),
        }
    }
}

/// The number of one login in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginNumber(u64);

/// The result of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnOutcome {
    /// The password was wrong.
    Wrong,
    /// The password was right, or nothing was found out.
    Other,
}

/// A login that has joined the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// The number of the login.
    pub number: LoginNumber,
    /// The login that has lost its place to this one; itself, if there was no place for it.
    pub displaced: Option<LoginNumber>,
}

/// The logins that wait, those that are being checked, and the addresses that guessed wrong.
#[derive(Debug, Default)]
pub struct LoginQueue {
    entered: u64,
    waiting: BTreeMap<LoginNumber, Waiting>,
    running: BTreeMap<LoginNumber, RunningHash>,
    guessers: BTreeMap<LoginOrigin, Guesser>,
    /// For each account that waits, the count of turns at its last one.
    last_turns: BTreeMap<String, u64>,
    turns: u64,
}

#[derive(Debug)]
struct Waiting {
    origin: LoginOrigin,
    account: String,
}

#[derive(Debug)]
struct RunningHash {
    origin: LoginOrigin,
    started: Instant,
}

#[derive(Debug)]
struct Guesser {
    wrong: u32,
    last_wrong: Instant,
    ready_at: Instant,
}

impl LoginQueue {
    /// Lets a login wait for its turn. `account` is what it wants to log in to.
    pub fn enter(&mut self, origin: LoginOrigin, account: &str, now: Instant) -> QueueEntry {
        let forgiven =
            |it: &Guesser| now.saturating_duration_since(it.last_wrong) >= FORGIVEN_AFTER;
        if self.guessers.get(&origin).is_some_and(forgiven) {
            self.guessers.remove(&origin);
        }
        let number = LoginNumber(self.entered);
        self.entered += 1;
        let account = account.to_owned();
        self.waiting.insert(number, Waiting { origin, account });
        let displaced = self.login_to_displace(origin);
        if let Some(displaced) = displaced {
            self.waiting.remove(&displaced);
        }
        QueueEntry { number, displaced }
    }

    /// Gives the next turn, if there is one and a login may take it now.
    pub fn start_next(&mut self, now: Instant) -> Option<LoginNumber> {
        let number = self.next(now)?;
        let Waiting { origin, account } = self.waiting.remove(&number)?;
        self.turns += 1;
        self.last_turns.insert(account, self.turns);
        self.forget_idle_accounts();
        if let Some(guesser) = self.guessers.get_mut(&origin) {
            guesser.ready_at = now + pause(origin, guesser.wrong);
        }
        let started = now;
        self.running.insert(number, RunningHash { origin, started });
        Some(number)
    }

    /// When the address of a waiting login may have a turn again; `None` if it may at any time.
    pub fn ready_at(&self, number: LoginNumber, now: Instant) -> Option<Instant> {
        let origin = self.waiting.get(&number)?.origin;
        let ready_at = self.guessers.get(&origin)?.ready_at;
        (ready_at > now).then_some(ready_at)
    }

    /// Takes a login out of the queue: its turn is over, or its client has left.
    pub fn finish(&mut self, number: LoginNumber, outcome: TurnOutcome, now: Instant) {
        self.waiting.remove(&number);
        let Some(RunningHash { origin, started }) = self.running.remove(&number) else {
            return;
        };
        if outcome != TurnOutcome::Wrong {
            return;
        }
        if self.guessers.len() >= MAX_ORIGINS && !self.guessers.contains_key(&origin) {
            let quietest = self.guessers.iter().min_by_key(|(_, it)| it.last_wrong);
            if let Some(quietest) = quietest.map(|(origin, _)| *origin) {
                self.guessers.remove(&quietest);
            }
        }
        let guesser = self.guessers.entry(origin).or_insert(Guesser {
            wrong: 0,
            last_wrong: now,
            ready_at: now,
        });
        guesser.wrong = guesser.wrong.saturating_add(1);
        guesser.last_wrong = now;
        guesser.ready_at = started + pause(origin, guesser.wrong);
    }

    fn wrong(&self, origin: LoginOrigin) -> u32 {
        self.guessers.get(&origin).map_or(0, |it| it.wrong)
    }

    /// The next login: from the address with the fewest wrong passwords, for the account whose last turn is longest
    /// ago, and of those from the address with the fewest waiting logins, since guessers use many connections.
    fn next(&self, now: Instant) -> Option<LoginNumber> {
        if self.running.len() >= PARALLEL {
            return None;
        }
        let running = self.running.values().map(|it| it.origin);
        let guessing = running.filter(|it| self.wrong(*it) > 0).count();
        let (mut fronts, mut places) = (BTreeMap::new(), BTreeMap::new());
        for (number, it) in &self.waiting {
            *places.entry(it.origin).or_insert(0_usize) += 1;
            let wrong = self.wrong(it.origin);
            if !self.may_start(it.origin, now) || (wrong > 0 && guessing + 1 >= PARALLEL) {
                continue;
            }
            let last_turn = self.last_turns.get(&it.account).copied().unwrap_or(0);
            // Guessers always wait for their turn, so the newest login of a guessing address is the likeliest to be
            // honest.
            let in_line = match wrong {
                0 => number.0,
                _ => u64::MAX - number.0,
            };
            let rank = (wrong, last_turn, in_line, *number);
            let front = fronts.entry(it.origin).or_insert(rank);
            *front = rank.min(*front);
        }
        let first = fronts
            .into_iter()
            .min_by_key(|(origin, (wrong, turn, _, number))| {
                (*wrong, *turn, places.get(origin).copied(), *number)
            });
        first.map(|(_, (_, _, _, number))| number)
    }

    fn may_start(&self, origin: LoginOrigin, now: Instant) -> bool {
        let paused = self.guessers.get(&origin);
        let is_running = self.running.values().any(|it| it.origin == origin);
        paused.is_none_or(|it| it.ready_at <= now)
            && (origin == LoginOrigin::Operator || !is_running)
    }

    /// The login that loses its place when there is one too many, now that `newcomer` has one more place.
    fn login_to_displace(&self, newcomer: LoginOrigin) -> Option<LoginNumber> {
        let of_newcomer = self.waiting.values().filter(|it| it.origin == newcomer);
        let is_crowded = of_newcomer.count() > MAX_WAITING_PER_ORIGIN;
        if !is_crowded && self.waiting.len() <= MAX_WAITING {
            return None;
        }
        let (mut origins, mut accounts) = (BTreeMap::new(), BTreeMap::new());
        for it in self.waiting.values() {
            *origins.entry(it.origin).or_insert(0_usize) += 1;
            *accounts.entry((it.origin, &it.account)).or_insert(0_usize) += 1;
        }
        let among = self
            .waiting
            .iter()
            .filter(|(_, it)| !is_crowded || it.origin == newcomer);
        let burden = |(number, it): &(&LoginNumber, &Waiting)| {
            let is_guesser = self.wrong(it.origin) > 0;
            let places = accounts.get(&(it.origin, &it.account)).copied();
            let of_origin = origins.get(&it.origin).copied();
            // Of guessers' logins the oldest has had its time; all other logins keep their place against later ones.
            let in_line = match is_guesser {
                true => u64::MAX - number.0,
                false => number.0,
            };
            (is_guesser, of_origin, places, in_line)
        };
        among.max_by_key(burden).map(|(number, _)| *number)
    }

    fn forget_idle_accounts(&mut self) {
        if self.last_turns.len() > MAX_WAITING {
            let waiting = self.waiting.values().map(|it| it.account.as_str());
            let waiting: BTreeSet<&str> = waiting.collect();
            self.last_turns
                .retain(|account, _| waiting.contains(account.as_str()));
        }
    }
}

/// How long after the start of its last turn an address with so many wrong passwords waits for the next.
fn pause(origin: LoginOrigin, wrong: u32) -> Duration {
    let longest = match origin {
        LoginOrigin::Shared(_) => MAX_SHARED_PAUSE,
        LoginOrigin::Network(_) | LoginOrigin::Operator => MAX_PAUSE,
    };
    // Eight doublings are more than the longest pause.
    let doublings = (wrong.saturating_sub(1) / GUESSES_PER_DOUBLING).min(8);
    (FIRST_PAUSE * 2_u32.pow(doublings)).min(longest)
}
