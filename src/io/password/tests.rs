//! Passwords and hashes: right, wrong, foreign, broken, and many at once.

use std::net::Ipv4Addr;

use argon2::PasswordHasher as _;
use tokio::task::JoinSet;

use super::*;
use crate::logic::login_queue::MAX_WAITING_PER_ORIGIN;

const STUDIO: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const GUESSER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

fn passwords() -> Passwords {
    Passwords::new(Tasks::default(), &[])
}

/// A hash that no password belongs to, made with little work.
fn cheap_hash(parameters: &str) -> String {
    format!("$argon2id$v=19${parameters}$c2FsdHNhbHQ$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
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
    let ours = PasswordHash::new(&hash).unwrap();
    let stock = argon2::PasswordVerifier::verify_password;
    assert!(stock(&Argon2::default(), b"hunter2", &ours).is_ok());
    let restarted = self::passwords();
    let verdict = restarted.verify(&password, &hash, STUDIO).await;
    assert_eq!(verdict, PasswordVerdict::Right);
    let wrong = Secret::from("hunter3");
    let verdict = restarted.verify(&wrong, &hash, STUDIO).await;
    assert_eq!(verdict, PasswordVerdict::Wrong);
}

#[tokio::test]
async fn a_known_password_waits_for_nobody() {
    let (passwords, password) = (passwords(), Secret::from("hunter2"));
    let hash = passwords.hash(&password).await.unwrap();
    let wrong = Secret::from("hunter3");
    let verdict = passwords.verify(&wrong, &hash, GUESSER).await;
    assert_eq!(verdict, PasswordVerdict::Wrong);
    let turns = &passwords.shared.turns;
    let _first = turns.turn(LoginOrigin::Operator, "").await.unwrap();
    let _second = turns.turn(LoginOrigin::Operator, "").await.unwrap();
    // All turns are taken now: a login that needed one would wait for ever.
    let verdict = passwords.verify(&password, &hash, GUESSER).await;
    assert_eq!(verdict, PasswordVerdict::Right);
    let verdict = passwords.verify(&wrong, &hash, STUDIO).await;
    assert_eq!(verdict, PasswordVerdict::Wrong, "not hashed twice either");
}

#[tokio::test]
async fn a_changed_hash_makes_the_old_password_unknown() {
    let (passwords, password) = (passwords(), Secret::from("hunter2"));
    passwords.hash(&password).await.unwrap();
    let changed = cheap_hash("m=8,t=1,p=1");
    let verdict = passwords.verify(&password, &changed, STUDIO).await;
    assert_eq!(verdict, PasswordVerdict::Wrong);
}

#[tokio::test(start_paused = true)]
async fn a_guesser_with_all_its_places_leaves_the_others_theirs() {
    let (passwords, hash) = (passwords(), cheap_hash("m=8,t=1,p=1"));
    let mut guesses = JoinSet::new();
    for guess in 0..2 * MAX_WAITING_PER_ORIGIN {
        let (passwords, hash) = (passwords.clone(), hash.clone());
        let guess = Secret::from(guess.to_string());
        guesses.spawn(async move { passwords.verify(&guess, &hash, GUESSER).await });
    }
    let mut verdicts = vec![guesses.join_next().await.unwrap().unwrap()];
    let verdict = passwords.verify(&Secret::from("x"), &hash, STUDIO).await;
    assert_eq!(verdict, PasswordVerdict::Wrong, "it was checked");
    while let Some(verdict) = guesses.join_next().await {
        verdicts.push(verdict.unwrap());
    }
    let busy = verdicts
        .iter()
        .filter(|it| **it == PasswordVerdict::Busy)
        .count();
    let wrong = verdicts
        .iter()
        .filter(|it| **it == PasswordVerdict::Wrong)
        .count();
    assert_eq!(busy + wrong, verdicts.len());
    assert!((1..=100).contains(&wrong), "{wrong} were hashed");
}

#[tokio::test]
async fn a_client_that_leaves_makes_room() {
    let (passwords, hash) = (passwords(), cheap_hash("m=8,t=1,p=1"));
    let turns = &passwords.shared.turns;
    let first = turns.turn(LoginOrigin::Operator, "").await.unwrap();
    let second = turns.turn(LoginOrigin::Operator, "").await.unwrap();
    let guess = Secret::from("x");
    let waiting = passwords.verify(&guess, &hash, STUDIO);
    let gave_up = tokio::time::timeout(std::time::Duration::ZERO, waiting).await;
    assert!(gave_up.is_err());
    drop((first, second));
    let verdict = passwords.verify(&guess, &hash, STUDIO).await;
    assert_eq!(verdict, PasswordVerdict::Wrong);
}

#[tokio::test]
async fn foreign_hashes_of_all_sizes_are_checked() {
    let (passwords, password) = (passwords(), Secret::from("hunter2"));
    for (memory_kib, passes, lanes, length) in
        [(8, 1, 1, 32), (4_096, 3, 2, 16), (MAX_MEMORY_KIB, 1, 4, 64)]
    {
        let params = Params::new(memory_kib, passes, lanes, Some(length)).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x10, params);
        let salt = SaltString::from_b64("c2FsdHNhbHQ").unwrap();
        let hash = argon2.hash_password(b"hunter2", &salt).unwrap().to_string();
        let verdict = passwords.verify(&password, &hash, STUDIO).await;
        assert_eq!(verdict, PasswordVerdict::Right, "{hash}");
        let wrong = Secret::from("hunter3");
        let verdict = passwords.verify(&wrong, &hash, STUDIO).await;
        assert_eq!(verdict, PasswordVerdict::Wrong, "{hash}");
    }
}

#[tokio::test]
async fn foreign_broken_and_costly_hashes_are_refused() {
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
        let verdict = passwords.verify(&Secret::from("x"), hash, STUDIO).await;
        assert_eq!(verdict, PasswordVerdict::BadHash, "{hash}");
    }
}

#[tokio::test]
async fn an_empty_or_endless_password_is_never_right() {
    let (passwords, hash) = (passwords(), cheap_hash("m=8,t=1,p=1"));
    for text in [String::new(), "x".repeat(MAX_PASSWORD_BYTES + 1)] {
        let password = Secret::from(text);
        assert_eq!(passwords.hash(&password).await, Err(HashError::Length));
        let verdict = passwords.verify(&password, &hash, STUDIO).await;
        assert_eq!(verdict, PasswordVerdict::Wrong);
    }
}
