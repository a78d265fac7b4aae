//! The accounts of listeners, as records of the document: one for each name and mount, so that what two nodes add at once is
//! merged.

use super::field::{Field, FieldKind};
use super::kind::{BadRecord, Kind};
use super::mistake::Mistake;
use super::texts::check_hash;
use crate::logic::document::Document;
use crate::model::account::AccountName;
use crate::model::mount::MountName;
use crate::model::record::key::RecordKey;

/// The most accounts of all mounts together: what a paid stream of a radio has, and less than half of the records that the
/// document holds.
pub const MAX_ACCOUNTS: usize = 4_000;

/// Stands before the Argon2id hash of an MD5 sum in hexadecimal digits: what an Icecast kept of the password.
pub const MD5_BEGINNING: &str = "md5+";
/// The beginnings of a hash by bcrypt.
pub const BCRYPT_BEGINNINGS: [&str; 3] = ["$2y$", "$2b$", "$2a$"];
/// The length of a hash by bcrypt.
const BCRYPT_BYTES: usize = 60;

/// An account of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerAccount {
    /// The hash of its password, of one of the kinds that a password is checked against.
    pub hash: String,
}

/// The accounts.
pub static ACCOUNT_KIND: Kind<ListenerAccount> = Kind {
    noun: "an account",
    prefix: "account/",
    fields: &[Field {
        key: "hash",
        help: "the hash of its password",
        required: true,
        kind: FieldKind::Secret {
            check,
            put: |account, hash| account.hash = hash,
        },
    }],
    unset: ListenerAccount::default,
};

/// Why an account is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountUnfit {
    /// The name and the path do not fit a key.
    #[error("the username and the path of the mount are too long together")]
    Long,
    /// As many as there may be are there.
    #[error("there are {MAX_ACCOUNTS} accounts of listeners in the mesh, which is the most")]
    Full,
}

/// Checks the hash of an account: Argon2id, bcrypt as `htpasswd -B` makes it, or Argon2id of what an Icecast has kept.
fn check(hash: &str) -> Result<(), Mistake> {
    let is_bcrypt = BCRYPT_BEGINNINGS.iter().any(|it| hash.starts_with(it));
    let graphic = hash.bytes().all(|byte| byte.is_ascii_graphic());
    match is_bcrypt {
        true if graphic && hash.len() == BCRYPT_BYTES => Ok(()),
        true => Err(Mistake::new("is no whole hash by bcrypt")),
        false => check_hash(hash.strip_prefix(MD5_BEGINNING).unwrap_or(hash)),
    }
}

/// The key of an account's record.
pub fn key(mount: &MountName, name: &AccountName) -> Result<RecordKey, AccountUnfit> {
    let key = format!("{}{name}{mount}", ACCOUNT_KIND.prefix);
    RecordKey::try_from(key).map_err(|_| AccountUnfit::Long)
}

/// The hash of the password of an account, if there is such an account.
pub fn hash(
    document: &Document,
    mount: &MountName,
    name: &AccountName,
) -> Result<Option<String>, BadRecord> {
    let record = key(mount, name).ok().and_then(|key| document.get(&key));
    let account = record.map(|record| ACCOUNT_KIND.spec(record)).transpose()?;
    Ok(account.map(|account| account.hash))
}

/// The names of the accounts of a mount, in order.
pub fn names(document: &Document, mount: &MountName) -> Vec<AccountName> {
    let found = ACCOUNT_KIND.records(document).filter_map(|found| {
        let (name, path) = found.name.split_at_checked(found.name.find('/')?)?;
        (path == mount.as_str()).then(|| name.parse().ok())?
    });
    found.collect()
}

/// The keys of all accounts of a mount, those that cannot be read too.
pub fn keys(document: &Document, mount: &MountName) -> Vec<RecordKey> {
    let found = ACCOUNT_KIND.records(document);
    let of_mount = found.filter(|found| {
        let path = found.name.find('/').map(|at| &found.name[at..]);
        path == Some(mount.as_str())
    });
    of_mount.map(|found| found.key.clone()).collect()
}

/// Whether there is room for one account more.
pub fn check_room(document: &Document) -> Result<(), AccountUnfit> {
    match ACCOUNT_KIND.records(document).count() < MAX_ACCOUNTS {
        true => Ok(()),
        false => Err(AccountUnfit::Full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    const ARGON2: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

    #[test]
    fn each_mount_has_its_own_accounts() {
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        let [a, deep] = ["/a.mp3", "/x/a.mp3"].map(|it| it.parse::<MountName>().unwrap());
        let [alice, bob] = ["alice", "bob"].map(|it| it.parse::<AccountName>().unwrap());
        for (mount, name) in [(&a, &bob), (&a, &alice), (&deep, &alice)] {
            let changes = ACCOUNT_KIND.changes([("hash", ARGON2)]).unwrap();
            let key = key(mount, name).unwrap();
            document.edit(&key, changes.into_fields(), 1).unwrap();
        }
        assert_eq!(names(&document, &a), [alice.clone(), bob.clone()]);
        assert_eq!(names(&document, &deep), std::slice::from_ref(&alice));
        assert_eq!(keys(&document, &a).len(), 2);
        assert_eq!(hash(&document, &deep, &alice), Ok(Some(ARGON2.to_owned())));
        assert_eq!(hash(&document, &deep, &bob), Ok(None));
        assert_eq!(check_room(&document), Ok(()));
    }

    #[test]
    fn only_sound_hashes_are_kept() {
        let bcrypt = "$2y$05$abcdefghijklmnopqrstuu5LRh5KSG0K5LDqwqZ4zTtUFT2jZmmRq";
        for good in [ARGON2, bcrypt, &format!("md5+{ARGON2}")] {
            assert!(ACCOUNT_KIND.changes([("hash", good)]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "plain",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "$apr1$x$y",
            &bcrypt[1..],
            &bcrypt[..59],
        ] {
            let read = ACCOUNT_KIND.field("hash").unwrap().read(bad);
            let is_kept = matches!(read, Ok(crate::model::record::Value::Text(_)));
            assert!(!is_kept, "{bad}");
        }
    }
}
