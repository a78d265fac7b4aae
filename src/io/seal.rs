//! Encrypts what the document keeps secret: under a key that only nodes of the mesh can derive, and bound to its place.
//!
//! The cipher is ChaCha20-Poly1305. A mesh seals some hundred texts in a year.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use parking_lot::RwLock;
use ring::aead::CHACHA20_POLY1305;
use tokio::sync::watch;

use crate::io::aead::{AeadKey, OVERHEAD_BYTES};
use crate::io::tls::ClusterSecret;

/// The purpose for which the keys are derived from the secret.
const PURPOSE: &str = "antiphon sealed keys";

/// Encrypts and decrypts, by the secret of the mesh as it is at the moment. Cheap to clone.
#[derive(Clone)]
pub struct Seal(Arc<SealInner>);

struct SealInner {
    keys: RwLock<Vec<AeadKey>>,
    /// Counts the changes of the secret.
    changes: watch::Sender<u64>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A text that was decrypted.
pub struct Unsealed {
    /// The text.
    pub text: Vec<u8>,
    /// Whether the key is the one that seals now. Else the text should be sealed again, before its key is removed.
    pub is_current: bool,
}

impl fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a text cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotUnseal {
    /// The text is not what [`Seal::seal`] makes.
    #[error("it is damaged")]
    Damaged,
    /// No key of the keyring fits, or the text belongs to another place.
    #[error(
        "no key of this node's secret opens it: it was sealed under another secret, or is damaged; give this node the secret \
         that the others have"
    )]
    NoKey,
}

impl Seal {
    /// Seals under the first key of a secret, and opens with each.
    pub fn new(secret: &ClusterSecret) -> Self {
        Self(Arc::new(SealInner {
            keys: RwLock::new(keys(secret)),
            changes: watch::Sender::default(),
        }))
    }

    /// From now on this is the secret.
    pub fn renew(&self, secret: &ClusterSecret) {
        *self.0.keys.write() = keys(secret);
        self.0.changes.send_modify(|changes| *changes += 1);
    }

    /// Changes with the secret.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Encrypts a text for the place where it will be kept: elsewhere it cannot be decrypted.
    pub fn seal(&self, place: &str, text: &[u8]) -> String {
        let keys = self.0.keys.read();
        let first = keys.first().expect("a secret has a key");
        STANDARD_NO_PAD.encode(first.seal(place.as_bytes(), text))
    }

    /// Decrypts a text that was kept at this place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Unsealed, CannotUnseal> {
        let bytes = STANDARD_NO_PAD.decode(sealed);
        let bytes = bytes.map_err(|_| CannotUnseal::Damaged)?;
        if bytes.len() < OVERHEAD_BYTES {
            return Err(CannotUnseal::Damaged);
        }
        for (index, key) in self.0.keys.read().iter().enumerate() {
            if let Some(text) = key.open(place.as_bytes(), &bytes) {
                return Ok(Unsealed {
                    text,
                    is_current: index == 0,
                });
            }
        }
        Err(CannotUnseal::NoKey)
    }
}

fn keys(secret: &ClusterSecret) -> Vec<AeadKey> {
    let derived = secret.derive_each(PURPOSE);
    let key = |bytes: &[u8; 32]| AeadKey::new(&CHACHA20_POLY1305, bytes);
    derived.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(digits: &str) -> ClusterSecret {
        let lines: Vec<String> = digits.chars().map(|it| it.to_string().repeat(64)).collect();
        ClusterSecret::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_at_its_place() {
        let seal = Seal::new(&secret("1"));
        let sealed = seal.seal("here", b"hush");
        assert_ne!(sealed, seal.seal("here", b"hush"), "never the same twice");
        let opened = seal.open("here", &sealed).unwrap();
        assert_eq!((&opened.text[..], opened.is_current), (&b"hush"[..], true));
        assert_eq!(
            seal.open("there", &sealed).unwrap_err(),
            CannotUnseal::NoKey
        );
        let other = Seal::new(&secret("2"));
        assert_eq!(
            other.open("here", &sealed).unwrap_err(),
            CannotUnseal::NoKey
        );
        for damaged in ["", "!", "AAAA", &sealed[1..]] {
            assert!(seal.open("here", damaged).is_err(), "{damaged}");
        }
        assert_eq!(format!("{seal:?} {opened:?}"), "*** ***");
    }

    #[test]
    fn a_rotated_secret_opens_what_the_old_one_has_sealed() {
        let seal = Seal::new(&secret("1"));
        let (sealed, mut changes) = (seal.seal("here", b"hush"), seal.changes());
        seal.renew(&secret("21"));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert!(!seal.open("here", &sealed).unwrap().is_current);
        let again = seal.seal("here", b"hush");
        seal.renew(&secret("2"));
        assert!(seal.open("here", &again).unwrap().is_current);
        assert!(seal.open("here", &sealed).is_err());
    }
}
