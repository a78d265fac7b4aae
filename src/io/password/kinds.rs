//! The kinds of hashes with which a password is compared: Argon2id as the mesh makes it, and what accounts of listeners bring
//! along from elsewhere.

use md5::{Digest, Md5};

use super::memory::Memory;
use super::secret::Secret;
use super::{PasswordVerdict, verify_argon2};
use crate::logic::records::accounts::{BCRYPT_BEGINNINGS, MD5_BEGINNING};

/// The highest cost of a hash by bcrypt that is checked: 2^12 rounds, a quarter of a second on a small machine.
const MAX_BCRYPT_COST: u32 = 12;

/// Compares a password with a hash of any kind, on this thread.
pub(super) fn verify_blocking(password: &Secret, hash: &str, memory: &Memory) -> PasswordVerdict {
    if BCRYPT_BEGINNINGS.iter().any(|it| hash.starts_with(it)) {
        return verify_bcrypt(password, hash);
    }
    match hash.strip_prefix(MD5_BEGINNING) {
        Some(hash) => verify_argon2(&md5_of(password), hash, memory),
        None => verify_argon2(password, hash, memory),
    }
}

/// The MD5 sum of a password in hexadecimal digits, as Icecast keeps it: hashed again before the document has it.
fn md5_of(password: &Secret) -> Secret {
    let sum = Md5::digest(password.reveal().as_bytes());
    let digits: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::from(digits)
}

fn verify_bcrypt(password: &Secret, hash: &str) -> PasswordVerdict {
    if bcrypt_cost(hash).is_none_or(|cost| cost > MAX_BCRYPT_COST) {
        return PasswordVerdict::BadHash;
    }
    match bcrypt::verify(password.reveal(), hash) {
        Ok(true) => PasswordVerdict::Right,
        Ok(false) => PasswordVerdict::Wrong,
        Err(_) => PasswordVerdict::BadHash,
    }
}

fn bcrypt_cost(hash: &str) -> Option<u32> {
    hash.split('$').nth(2)?.parse().ok()
}

/// A line of a file of accounts, as Apache's `htpasswd` or an Icecast wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportedHash {
    /// A hash by bcrypt, which can be kept as it is.
    Bcrypt(String),
    /// An MD5 sum in hexadecimal digits, which has to be hashed before it is kept.
    Md5(Secret),
}

/// Why a hash from elsewhere cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadImport {
    /// Rounds of bcrypt that would keep a processor busy.
    #[error("its bcrypt has a cost of more than {MAX_BCRYPT_COST}: set the password anew")]
    Cost,
    /// One of the other kinds of Apache.
    #[error(
        "only hashes by bcrypt (htpasswd -B) and the MD5 sums of Icecast are taken over; this one is by {0}: set the password anew"
    )]
    Kind(&'static str),
}

impl ImportedHash {
    /// Reads what stands behind the name in a line of such a file.
    pub fn read(hash: &str) -> Result<Self, BadImport> {
        if BCRYPT_BEGINNINGS.iter().any(|it| hash.starts_with(it)) {
            return match bcrypt_cost(hash) {
                Some(cost) if cost <= MAX_BCRYPT_COST => Ok(Self::Bcrypt(hash.to_owned())),
                _ => Err(BadImport::Cost),
            };
        }
        let is_md5 = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match hash {
            _ if is_md5 => Ok(Self::Md5(Secret::from(hash.to_ascii_lowercase()))),
            hash if hash.starts_with("$apr1$") => Err(BadImport::Kind("Apache's MD5 (apr1)")),
            hash if hash.starts_with("{SHA}") => Err(BadImport::Kind("SHA-1 without a salt")),
            hash if hash.starts_with('$') => Err(BadImport::Kind("another scheme of crypt")),
            _ => Err(BadImport::Kind("DES, or no hash at all")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `htpasswd -nbB alice pw`.
    const BCRYPT: &str = "$2y$05$KqrqksxfkuO0mMAeRgoneeI0PmnTQ9iwKojGZwc5D6c.7smr//BEK";

    #[test]
    fn what_can_be_taken_over_is_sound() {
        let icecast = ImportedHash::read("8FE4C11451281C094A6578E6DDBF5EED");
        let expected = Secret::from("8fe4c11451281c094a6578e6ddbf5eed");
        assert_eq!(icecast, Ok(ImportedHash::Md5(expected.clone())));
        assert_eq!(md5_of(&Secret::from("pw")), expected);
        let bcrypt = ImportedHash::read(BCRYPT);
        assert_eq!(bcrypt, Ok(ImportedHash::Bcrypt(BCRYPT.to_owned())));
        let dear = BCRYPT.replace("$05$", "$17$");
        assert_eq!(ImportedHash::read(&dear), Err(BadImport::Cost));
        for other in ["$apr1$x$y", "{SHA}x", "$1$a$b", "plain", ""] {
            let read = ImportedHash::read(other);
            assert!(matches!(read, Err(BadImport::Kind(_))), "{other}");
        }
    }

    #[test]
    fn a_password_is_compared_by_the_kind_of_its_hash() {
        let memory = Memory::default();
        let md5 = super::super::hash_blocking(&md5_of(&Secret::from("pw")), &memory);
        let md5 = format!("{MD5_BEGINNING}{md5}");
        for hash in [md5.as_str(), BCRYPT] {
            let verify = |password| verify_blocking(&Secret::from(password), hash, &memory);
            assert_eq!(verify("pw"), PasswordVerdict::Right, "{hash}");
            assert_eq!(verify("pv"), PasswordVerdict::Wrong, "{hash}");
        }
        for bad in ["md5+x", "$2y$05$x", "$2y$31$x"] {
            let verdict = verify_blocking(&Secret::from("pw"), bad, &memory);
            assert_eq!(verdict, PasswordVerdict::BadHash, "{bad}");
        }
    }
}
