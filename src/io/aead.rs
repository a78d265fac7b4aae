//! Encryption under a key of the mesh, with a random nonce in front of what is encrypted.
//!
//! The nonce has 96 bits: after 2^32 texts under one key two would meet with a chance of one in 2^33.

use std::fmt;

use ring::aead::{Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The tag of each cipher that is used here, bytes.
const TAG_BYTES: usize = 16;
/// How much longer a text is when it is sealed, bytes.
pub(super) const OVERHEAD_BYTES: usize = NONCE_LEN + TAG_BYTES;

/// A key that seals and opens.
pub(super) struct AeadKey(LessSafeKey);

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl AeadKey {
    /// A key of a cipher whose keys have 32 bytes.
    pub(super) fn new(cipher: &'static Algorithm, key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(cipher, key);
        Self(LessSafeKey::new(
            key.expect("the cipher's keys have 32 bytes"),
        ))
    }

    /// Encrypts a text, bound to a place: it can be opened there only.
    pub(super) fn seal(&self, place: &[u8], text: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = [&nonce[..], text].concat();
        let begun = &mut sealed[NONCE_LEN..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(place), begun);
        let tag = tag.expect("a text is far shorter than the cipher's limit");
        sealed.extend(tag.as_ref());
        sealed
    }

    /// The text; `None` if it is damaged, of another place, or was sealed under another key.
    pub(super) fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut text = sealed.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(place), &mut text);
        let text_bytes = opened.ok()?.len();
        text.truncate(text_bytes);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use ring::aead::{AES_256_GCM, CHACHA20_POLY1305};

    use super::*;

    #[test]
    fn what_is_sealed_is_opened_whole_at_its_place_only() {
        for cipher in [&AES_256_GCM, &CHACHA20_POLY1305] {
            let (key, other) = (
                AeadKey::new(cipher, &[1; 32]),
                AeadKey::new(cipher, &[2; 32]),
            );
            let sealed = key.seal(b"here", b"hush");
            assert_eq!(sealed.len(), b"hush".len() + OVERHEAD_BYTES);
            assert_ne!(sealed, key.seal(b"here", b"hush"), "never the same twice");
            assert_eq!(key.open(b"here", &sealed).unwrap(), b"hush");
            assert!(
                key.open(b"there", &sealed).is_none() && other.open(b"here", &sealed).is_none()
            );
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(key.open(b"here", &changed), None, "{at}");
                assert_eq!(key.open(b"here", &sealed[..at]), None, "{at}");
            }
        }
    }
}
