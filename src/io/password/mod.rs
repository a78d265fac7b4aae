//! Password hashes, and a bound on how many are computed at once.
//!
//! One hash takes 19 MiB and tens of milliseconds, by intention: that makes guessing expensive. A stranger that could
//! order hashes without a bound could therefore take the node off the air. Two buffers of 19 MiB are kept for ever once
//! they were needed; a foreign hash that wants more has up to 64 MiB while it is computed, two at once. So passwords
//! take at most 38 MiB, and 166 MiB for a moment when two of the largest foreign hashes meet; and those of accounts of listeners
//! as much again.

mod kinds;
mod memory;
mod recent;
mod secret;
mod turns;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use crate::io::tasks::Tasks;
use crate::logic::login_queue::{LoginOrigin, PARALLEL};
use crate::model::network::Network;

use kinds::verify_blocking;
pub use kinds::{BadImport, ImportedHash};
use memory::Memory;
use recent::{MAX_LISTENER_TICKETS, MAX_TICKETS, Recent, RecentVerdict, Ticket};
pub use secret::Secret;
use turns::{LoginTurn, TurnQueue, now};

/// The longest password; a longer one is wrong. So its bytes never cost much to hash.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// Memory of one hash, KiB: 19 MiB, with two passes and one lane what OWASP asks of Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// The most memory, KiB, that a hash from elsewhere may use: 64 MiB.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// The most passes that a hash from elsewhere may use.
const MAX_PASSES: u32 = 8;
/// The most lanes that a hash from elsewhere may use.
const MAX_LANES: u32 = 4;

/// Makes and checks password hashes on a few blocking threads. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    shared: Arc<PasswordsInner>,
}

struct PasswordsInner {
    tasks: Tasks,
    /// The addresses of proxies, which many clients share.
    trusted_proxies: Vec<Network>,
    turns: TurnQueue,
    recent: Mutex<Recent>,
    memory: Memory,
}

/// The result of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordVerdict {
    /// The password is right.
    Right,
    /// The password is wrong.
    Wrong,
    /// Too many logins wait already: nothing was checked, ask again later.
    Busy,
    /// The hash is of another kind, or asks for too much work: no login with it is possible.
    BadHash,
}

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many logins wait already.
    #[error("too many passwords are being checked; try again in a few seconds")]
    Busy,
    /// The password is empty or too long.
    #[error("a password must have 1 to {MAX_PASSWORD_BYTES} bytes")]
    Length,
}

/// Keeps a right password known while this is held, and a day longer.
pub struct PasswordHold {
    shared: Arc<PasswordsInner>,
    ticket: Ticket,
}

impl Drop for PasswordHold {
    fn drop(&mut self) {
        self.shared.recent.lock().release(&self.ticket, now());
    }
}

impl Passwords {
    /// Computes in `tasks`, so that the node knows what is still running when it stops.
    pub fn new(tasks: Tasks, trusted_proxies: &[Network]) -> Self {
        Self::remembering(MAX_TICKETS, tasks, trusted_proxies.to_vec())
    }

    /// The same for accounts of listeners: with turns and a memory of their own, so that no crowd of listeners keeps an encoder
    /// waiting.
    pub fn for_listeners(&self) -> Self {
        let (tasks, proxies) = (&self.shared.tasks, &self.shared.trusted_proxies);
        Self::remembering(MAX_LISTENER_TICKETS, tasks.clone(), proxies.clone())
    }

    fn remembering(most: usize, tasks: Tasks, trusted_proxies: Vec<Network>) -> Self {
        let shared = PasswordsInner {
            tasks,
            trusted_proxies,
            turns: TurnQueue::default(),
            recent: Mutex::new(Recent::new(most)),
            memory: Memory::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The Argon2id hash of a new password, as a PHC string with its own salt.
    pub async fn hash(&self, password: &Secret) -> Result<String, HashError> {
        check_length(password)?;
        let turn = self.shared.turns.turn(LoginOrigin::Operator, "").await;
        let turn = turn.ok_or(HashError::Busy)?;
        let (shared, password) = (self.shared.clone(), password.clone());
        let work = move || {
            let _turn: LoginTurn = turn;
            let hash = hash_blocking(&password, &shared.memory);
            let ticket = shared.recent.lock().ticket(&password, &hash);
            shared.recent.lock().remember_right(ticket, now());
            hash
        };
        let done = self.shared.tasks.spawn_blocking(work).await;
        done.map_err(|_| HashError::Busy) // Only a runtime that shuts down gives no answer.
    }

    /// Checks a password that came `from` this address against a hash. Takes no time if it was right within a day.
    pub async fn verify(&self, password: &Secret, hash: &str, from: IpAddr) -> PasswordVerdict {
        if !is_of_fair_length(password) {
            return PasswordVerdict::Wrong;
        }
        let ticket = self.shared.recent.lock().ticket(password, hash);
        if let Some(verdict) = self.recall(&ticket) {
            return verdict;
        }
        let origin = LoginOrigin::of(from, self.is_shared(from));
        let Some(turn) = self.shared.turns.turn(origin, hash).await else {
            return PasswordVerdict::Busy;
        };
        // Many sources with one password come at once; the first of them has done the work for all.
        if let Some(verdict) = self.recall(&ticket) {
            return verdict;
        }
        let (shared, password, hash) = (self.shared.clone(), password.clone(), hash.to_owned());
        let work = move || {
            let mut turn: LoginTurn = turn;
            let verdict = verify_blocking(&password, &hash, &shared.memory);
            match verdict {
                PasswordVerdict::Right => shared.recent.lock().remember_right(ticket, now()),
                PasswordVerdict::Wrong => {
                    shared.recent.lock().remember_wrong(ticket, now());
                    turn.note_wrong();
                }
                PasswordVerdict::Busy | PasswordVerdict::BadHash => {}
            }
            verdict
        };
        let done = self.shared.tasks.spawn_blocking(work).await;
        done.unwrap_or(PasswordVerdict::Busy) // As above.
    }

    /// Keeps a right password known for as long as the result is held.
    pub fn hold(&self, password: &Secret, hash: &str) -> PasswordHold {
        let mut recent = self.shared.recent.lock();
        let ticket = recent.ticket(password, hash);
        recent.hold(ticket, now());
        drop(recent);
        let shared = self.shared.clone();
        PasswordHold { shared, ticket }
    }

    fn recall(&self, ticket: &Ticket) -> Option<PasswordVerdict> {
        match self.shared.recent.lock().recall(ticket, now()) {
            RecentVerdict::Right => Some(PasswordVerdict::Right),
            RecentVerdict::Wrong => Some(PasswordVerdict::Wrong),
            RecentVerdict::Nothing => None,
        }
    }

    /// Whether many clients that have nothing to do with each other may log in from an address.
    fn is_shared(&self, address: IpAddr) -> bool {
        let mut proxies = self.shared.trusted_proxies.iter();
        address.is_loopback() || proxies.any(|network| network.contains(address))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

impl fmt::Debug for PasswordHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHold")
    }
}

/// Checks the length of a new password.
pub fn check_length(password: &Secret) -> Result<(), HashError> {
    match is_of_fair_length(password) {
        true => Ok(()),
        false => Err(HashError::Length),
    }
}

fn is_of_fair_length(password: &Secret) -> bool {
    (1..=MAX_PASSWORD_BYTES).contains(&password.reveal().len())
}

/// The Argon2id hash of a new password, computed on this thread.
fn hash_blocking(password: &Secret, memory: &Memory) -> String {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are in range");
    let shown = ParamsString::try_from(&params).expect("the parameters have a text");
    let salt: [u8; 16] = secret::random();
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    compute(&argon2, password, &salt, &mut out, memory)
        .expect("length and parameters are in range");
    let salt = SaltString::encode_b64(&salt).expect("16 bytes make a salt");
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: shown,
        salt: Some(salt.as_salt()),
        hash: Output::new(&out).ok(),
    };
    hash.to_string()
}

/// Checks a password against a hash by Argon2id. The comparison takes the same time for all wrong ones.
fn verify_argon2(password: &Secret, hash: &str, memory: &Memory) -> PasswordVerdict {
    let Some(hash) = PasswordHash::new(hash).ok().filter(is_acceptable) else {
        return PasswordVerdict::BadHash;
    };
    let argon2 = hash
        .version
        .map_or(Ok(Version::default()), Version::try_from);
    let argon2 = argon2.ok().zip(Params::try_from(&hash).ok());
    let argon2 = argon2.map(|(version, params)| Argon2::new(Algorithm::Argon2id, version, params));
    let (Some(argon2), Some(salt), Some(expected)) = (argon2, hash.salt, hash.hash) else {
        return PasswordVerdict::BadHash;
    };
    let mut salt_bytes = [0; Salt::MAX_LENGTH];
    let Ok(salt) = salt.decode_b64(&mut salt_bytes) else {
        return PasswordVerdict::BadHash;
    };
    let mut out = [0; Output::MAX_LENGTH];
    let out = &mut out[..expected.len()];
    if compute(&argon2, password, salt, out, memory).is_err() {
        return PasswordVerdict::BadHash;
    }
    match bool::from(out.ct_eq(expected.as_bytes())) {
        true => PasswordVerdict::Right,
        false => PasswordVerdict::Wrong,
    }
}

/// Hashes a password with a salt into `out`, in memory that is lent.
fn compute(
    argon2: &Argon2<'_>,
    password: &Secret,
    salt: &[u8],
    out: &mut [u8],
    memory: &Memory,
) -> Result<(), argon2::Error> {
    let password = password.reveal().as_bytes();
    memory.lend(argon2.params().block_count(), |blocks| {
        argon2.hash_password_into_with_memory(password, salt, out, blocks)
    })
}

/// Whether a hash is of the right kind, complete, and not too much work.
fn is_acceptable(hash: &PasswordHash<'_>) -> bool {
    let bearable = |params: Params| {
        params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() <= MAX_LANES
    };
    hash.algorithm == Algorithm::Argon2id.ident()
        && hash.salt.is_some()
        && hash.hash.is_some()
        && Params::try_from(hash).is_ok_and(bearable)
}

#[cfg(test)]
mod tests;
