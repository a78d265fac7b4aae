//! The administrator's password, as the one record of its kind in the document.

use super::field::{Field, FieldKind, PASSWORD_HASH};
use super::kind::{BadRecord, Changes, Kind};
use crate::logic::document::Document;
use crate::model::node::NodeName;
use crate::model::record::key::RecordKey;

/// The login of the administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminLogin {
    /// The Argon2id hash (PHC string) of the password.
    pub password_hash: String,
}

/// The administrator.
pub static ADMIN_KIND: Kind<AdminLogin> = Kind {
    noun: "the administrator",
    prefix: "admin",
    fields: &[Field {
        key: "password",
        help: "password of the user `admin`; only its hash is kept",
        required: true,
        kind: FieldKind::Password {
            stored: PASSWORD_HASH,
            put: |admin, hash| admin.password_hash = hash,
        },
    }],
    unset: AdminLogin::default,
};

/// The key of the administrator's record.
pub fn key() -> RecordKey {
    ADMIN_KIND.key("")
}

/// The change that gives the administrator the password with this hash.
pub fn changes(password_hash: &str) -> Changes<AdminLogin> {
    let changes = ADMIN_KIND.changes([("password", password_hash)]);
    changes.expect("a hash of our own fits into a field")
}

/// The Argon2id hash of the administrator's password; `None` while none is set.
pub fn password_hash(document: &Document) -> Result<Option<String>, BadRecord> {
    let record = document.get(&key());
    let login = record.map(|record| ADMIN_KIND.spec(record)).transpose()?;
    Ok(login.map(|login| login.password_hash))
}

/// The node that wrote the administrator's password.
pub fn password_writer(document: &Document) -> Option<NodeName> {
    let register = document.get(&key())?.fields().get(PASSWORD_HASH)?;
    Some(register.stamp.node.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::record::Record;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

    #[test]
    fn the_older_founded_password_stays_and_a_set_one_wins() {
        const TODAY_MS: u64 = 1_750_000_000_000;
        let document = |name: &str| Document::new(NodeName::try_from(name).unwrap());
        let (mut mesh, mut newcomer) = (document("a"), document("z"));
        let hash = |letter: &str| format!("{HASH}{letter}");
        let fields = |letter| changes(&hash(letter)).into_fields();
        let older = mesh.found(&key(), fields("old"), TODAY_MS).unwrap();
        let younger = newcomer.found(&key(), fields("new"), TODAY_MS + 60_000);
        let share = |to: &mut Document, record: Record| {
            let records = BTreeMap::from([(key(), record)]);
            to.apply(records, TODAY_MS + 120_000);
            password_hash(to).unwrap()
        };
        assert_eq!(share(&mut mesh, younger.unwrap()), Some(hash("old")));
        assert_eq!(share(&mut newcomer, older), Some(hash("old")));
        assert_eq!(password_writer(&newcomer), NodeName::try_from("a").ok());
        let set = newcomer.edit(&key(), fields("set"), TODAY_MS).unwrap();
        assert_eq!(share(&mut mesh, set), Some(hash("set")));
    }

    #[test]
    fn the_administrator_has_a_record_of_its_own() {
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        assert_eq!(password_hash(&document), Ok(None));
        let written = changes(HASH).into_fields();
        document.edit(&key(), written, 1).unwrap();
        assert_eq!(password_hash(&document), Ok(Some(HASH.to_owned())));
        assert!(ADMIN_KIND.changes([("password", "plain")]).is_err());
        assert_eq!(document.live().count(), 1);
    }
}
