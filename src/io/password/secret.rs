//! Text that must not be seen: a password, a token, the key of the cluster.

use std::fmt;

use subtle::ConstantTimeEq;

/// The letters of generated passwords: none that is taken for another (no i, l, o, 0, 1).
const LETTERS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// How many letters a generated password has: 20 × log2(31) = 99 bits.
const PASSWORD_LETTERS: usize = 20;
/// A hyphen stands after so many letters, so that one can read it aloud.
const GROUP_LETTERS: usize = 5;

/// Secret text. Its `Debug` is `***`, it has no `Display`, and comparing takes the same time wherever
/// two texts of one length differ.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself; not for logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A new password of 99 bits, such as `k7mwq-h3n8x-c2rvd-p9tjf`.
    pub fn generate() -> Self {
        let mut letters = random_letters();
        for group in (1..PASSWORD_LETTERS / GROUP_LETTERS).rev() {
            letters.insert(group * GROUP_LETTERS, '-');
        }
        Self(letters)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Fills a buffer with random bytes of the kernel.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel of a running system has random bytes");
    bytes
}

fn random_letters() -> String {
    let mut letters = String::with_capacity(PASSWORD_LETTERS);
    while letters.len() < PASSWORD_LETTERS {
        // Five bits choose one of 32; the last of them is no letter and is drawn again, since to
        // wrap it around would make one letter more likely.
        let drawn: [u8; 32] = random();
        let drawn = drawn.map(|byte| LETTERS.get(usize::from(byte & 31)));
        let wanted = PASSWORD_LETTERS - letters.len();
        letters.extend(
            drawn
                .iter()
                .flatten()
                .take(wanted)
                .map(|&&byte| char::from(byte)),
        );
    }
    letters
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn secrets_are_equal_when_their_texts_are() {
        let secret = Secret::from("hunter2");
        assert_eq!(secret, Secret::from("hunter2".to_owned()));
        for other in ["", "hunter", "hunter3", "hunter22"] {
            assert_ne!(secret, Secret::from(other));
        }
    }

    #[test]
    fn a_generated_password_is_long_readable_and_new_each_time() {
        let bits = f64::from(PASSWORD_LETTERS as u32) * (LETTERS.len() as f64).log2();
        assert!(bits >= 80.0);
        let generated: Vec<Secret> = (0..200).map(|_| Secret::generate()).collect();
        let texts: BTreeSet<&str> = generated.iter().map(Secret::reveal).collect();
        assert_eq!(texts.len(), 200);
        let mut used = BTreeSet::new();
        for text in texts {
            let groups: Vec<&str> = text.split('-').collect();
            assert_eq!(groups.len(), 4, "{text}");
            assert!(groups.iter().all(|group| group.len() == GROUP_LETTERS));
            used.extend(groups.concat().bytes());
        }
        assert!(used.into_iter().eq({
            let mut letters = LETTERS.to_vec();
            letters.sort_unstable();
            letters
        }));
    }
}
