//! Password hashes, and a bound on how many are computed at once.
//!
//! One hash takes 19 MiB and tens of milliseconds, by intention: that is what makes guessing dear.
//! Whoever can make us compute them without a bound can therefore take the node off the air.

mod recent;
mod secret;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use recent::{Recent, Ticket};
pub use secret::Secret;

/// The longest password; a longer one is wrong. It keeps hashing its bytes from being work.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// Hashes computed at once: two leave the other cores, and 38 MiB are little on any machine.
const PARALLEL: usize = 2;
/// The most that wait for their turn: about a second and a half of work on a cheap machine.
const MAX_WAITING: usize = 64;
/// Memory of one hash, KiB: 19 MiB, with two passes and one lane what OWASP asks of Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// The most memory, KiB, that a hash from elsewhere may make us use: 64 MiB.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// The most passes that a hash from elsewhere may make us take.
const MAX_PASSES: u32 = 8;
/// The most lanes that a hash from elsewhere may make us compute.
const MAX_LANES: u32 = 4;

/// Makes and checks password hashes on a few blocking threads. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    shared: Arc<Shared>,
}

struct Shared {
    tasks: TaskTracker,
    /// One for each hash that is computed or waits.
    places: Arc<Semaphore>,
    /// One for each hash that is computed.
    turns: Arc<Semaphore>,
    recent: Mutex<Recent>,
}

/// What came of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Right,
    /// It is not.
    Wrong,
    /// Too many wait already: nothing was checked, ask again later.
    Busy,
    /// The hash is none of ours, or asks for more work than we do: nobody can log in with it.
    BadHash,
}

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many wait already.
    #[error("too many passwords are being checked; try again in a few seconds")]
    Busy,
    /// The password is empty or too long.
    #[error("a password is 1 to {MAX_PASSWORD_BYTES} bytes")]
    Length,
}

/// Held while a hash is computed; dropped with the work, not with whoever asked for it.
type Turn = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Passwords {
    /// Computes in `tasks`, so that the node knows what is still running when it stops.
    pub fn new(tasks: TaskTracker) -> Self {
        let shared = Shared {
            tasks,
            places: Arc::new(Semaphore::new(PARALLEL + MAX_WAITING)),
            turns: Arc::new(Semaphore::new(PARALLEL)),
            recent: Mutex::new(Recent::new()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The Argon2id hash of a new password, as a PHC string with its own salt.
    pub async fn hash(&self, password: &Secret) -> Result<String, HashError> {
        let turn = self.turn().await.ok_or(HashError::Busy)?;
        let password = password.clone();
        let work = move || {
            let _turn: Turn = turn;
            hash_blocking(&password)
        };
        let done = self.shared.tasks.spawn_blocking(work).await;
        done.unwrap_or(Err(HashError::Busy)) // only a runtime that shuts down gives no answer
    }

    /// Whether a password belongs to a hash. Takes no time when it did within the last minute.
    pub async fn verify(&self, password: &Secret, hash: &str) -> Verdict {
        if !(1..=MAX_PASSWORD_BYTES).contains(&password.reveal().len()) {
            return Verdict::Wrong;
        }
        let ticket = self.recent().ticket(password, hash);
        if self.knows(&ticket) {
            return Verdict::Right;
        }
        let Some(turn) = self.turn().await else {
            return Verdict::Busy;
        };
        // Many sources with one password come at once; the first of them has worked for all.
        if self.knows(&ticket) {
            return Verdict::Right;
        }
        let (password, hash) = (password.clone(), hash.to_owned());
        let work = move || {
            let _turn: Turn = turn;
            verify_blocking(&password, &hash)
        };
        let done = self.shared.tasks.spawn_blocking(work).await;
        let verdict = done.unwrap_or(Verdict::Busy); // as above
        if verdict == Verdict::Right {
            self.recent().remember(ticket, now());
        }
        verdict
    }

    /// Waits for a turn; `None` if there is no place to wait.
    async fn turn(&self) -> Option<Turn> {
        let place = self.shared.places.clone().try_acquire_owned().ok()?;
        let turn = self.shared.turns.clone().acquire_owned().await;
        Some((place, turn.expect("the semaphore is never closed")))
    }

    fn knows(&self, ticket: &Ticket) -> bool {
        self.recent().knows(ticket, now())
    }

    /// Held for one look-up and never across an await. Whoever panics with it leaves at worst a
    /// ticket too few, so poison is no reason to stop.
    fn recent(&self) -> MutexGuard<'_, Recent> {
        let recent = self.shared.recent.lock();
        recent.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

/// The Argon2id hash of a new password, computed on this very thread.
fn hash_blocking(password: &Secret) -> Result<String, HashError> {
    let password = password.reveal().as_bytes();
    if !(1..=MAX_PASSWORD_BYTES).contains(&password.len()) {
        return Err(HashError::Length);
    }
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are in range");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::encode_b64(&secret::random::<16>()).expect("16 bytes make a salt");
    let hash = argon2.hash_password(password, &salt);
    Ok(hash
        .expect("length and parameters are in range")
        .to_string())
}

/// Checks a password on this very thread. The comparison takes the same time for all wrong ones.
fn verify_blocking(password: &Secret, hash: &str) -> Verdict {
    let Some(hash) = PasswordHash::new(hash).ok().filter(is_bearable) else {
        return Verdict::BadHash;
    };
    let password = password.reveal().as_bytes();
    match Argon2::default().verify_password(password, &hash) {
        Ok(()) => Verdict::Right,
        Err(argon2::password_hash::Error::Password) => Verdict::Wrong,
        Err(_) => Verdict::BadHash,
    }
}

/// Whether a hash is of our kind, complete, and not more work than we are ready to do.
fn is_bearable(hash: &PasswordHash<'_>) -> bool {
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

/// Tokio's time, which a test can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(TaskTracker::new())
    }

    /// A hash that nothing belongs to, made with little work.
    fn cheap_hash(parameters: &str) -> String {
        format!(
            "$argon2id$v=19${parameters}$c2FsdHNhbHQ$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
        )
    }

    #[tokio::test]
    async fn a_password_belongs_to_its_own_hash() {
        let (passwords, password) = (passwords(), Secret::from("hunter2"));
        let hash = passwords.hash(&password).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_ne!(passwords.hash(&password).await.unwrap(), hash, "salted");
        assert_eq!(passwords.verify(&password, &hash).await, Verdict::Right);
        let wrong = Secret::from("hunter3");
        assert_eq!(passwords.verify(&wrong, &hash).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_right_password_is_not_computed_again() {
        let (passwords, password) = (passwords(), Secret::from("hunter2"));
        let hash = passwords.hash(&password).await.unwrap();
        assert_eq!(passwords.verify(&password, &hash).await, Verdict::Right);
        let all = PARALLEL + MAX_WAITING;
        let _full = passwords
            .shared
            .places
            .try_acquire_many(all as u32)
            .unwrap();
        assert_eq!(passwords.verify(&password, &hash).await, Verdict::Right);
        let wrong = Secret::from("hunter3");
        assert_eq!(passwords.verify(&wrong, &hash).await, Verdict::Busy);
        assert_eq!(passwords.hash(&wrong).await, Err(HashError::Busy));
    }

    #[tokio::test]
    async fn no_more_than_64_wait_and_those_who_leave_make_room() {
        let passwords = passwords();
        let turns = passwords.shared.turns.clone();
        let running = turns.acquire_many_owned(PARALLEL as u32).await.unwrap();
        let _running = passwords
            .shared
            .places
            .clone()
            .try_acquire_many_owned(PARALLEL as u32);
        let hash = cheap_hash("m=8,t=1,p=1");
        let mut waiting = JoinSet::new();
        for i in 0..MAX_WAITING {
            let (passwords, hash) = (passwords.clone(), hash.clone());
            let guess = Secret::from(i.to_string());
            waiting.spawn(async move { passwords.verify(&guess, &hash).await });
        }
        while passwords.shared.places.available_permits() > 0 {
            yield_now().await;
        }
        let guess = Secret::from("one too many");
        assert_eq!(passwords.verify(&guess, &hash).await, Verdict::Busy);
        waiting.shutdown().await;
        drop(running);
        assert_eq!(passwords.verify(&guess, &hash).await, Verdict::Wrong);
        assert_eq!(passwords.shared.places.available_permits(), MAX_WAITING);
    }

    #[tokio::test]
    async fn a_hash_that_is_foreign_broken_or_too_much_work_is_refused() {
        let passwords = passwords();
        for hash in [
            "",
            "hunter2",
            "$argon2id$",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
            &cheap_hash("m=8,t=1,p=1").replace("argon2id", "argon2i"),
            &cheap_hash("m=8,t=1,p=1").replace("argon2id", "scrypt"),
            &cheap_hash("m=4194304,t=1,p=1"),
            &cheap_hash("m=8,t=1000000,p=1"),
            &cheap_hash("m=64,t=1,p=8"),
        ] {
            let verdict = passwords.verify(&Secret::from("x"), hash).await;
            assert_eq!(verdict, Verdict::BadHash, "{hash}");
        }
    }

    #[tokio::test]
    async fn an_empty_or_endless_password_is_never_right() {
        let (passwords, hash) = (passwords(), cheap_hash("m=8,t=1,p=1"));
        for text in [String::new(), "x".repeat(MAX_PASSWORD_BYTES + 1)] {
            let password = Secret::from(text);
            assert_eq!(passwords.hash(&password).await, Err(HashError::Length));
            assert_eq!(passwords.verify(&password, &hash).await, Verdict::Wrong);
        }
    }
}
