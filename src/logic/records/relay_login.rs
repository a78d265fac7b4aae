//! The login of Icecast servers that relay from the mesh, as the one record of its kind in the document.

use super::field::{Field, FieldKind, PASSWORD_HASH};
use super::kind::{BadRecord, Kind};
use crate::logic::document::Document;
use crate::model::record::key::RecordKey;

/// The user as which Icecast servers ask for the list of streams, unless they are told another.
pub const RELAY_USER: &str = "relay";

/// The login of Icecast servers that relay from the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayLogin {
    /// The Argon2id hash (PHC string) of the password.
    pub password_hash: String,
}

/// The login of Icecast servers that relay from the mesh.
pub static RELAY_LOGIN_KIND: Kind<RelayLogin> = Kind {
    noun: "the login of relays",
    prefix: "relay-login",
    fields: &[Field {
        key: "password",
        help: "password of the user `relay`; only its hash is kept",
        required: true,
        kind: FieldKind::Password {
            stored: PASSWORD_HASH,
            put: |login, hash| login.password_hash = hash,
        },
    }],
    unset: RelayLogin::default,
};

/// The key of the record.
pub fn key() -> RecordKey {
    RELAY_LOGIN_KIND.key("")
}

/// The Argon2id hash of the password; `None` while none is set.
pub fn password_hash(document: &Document) -> Result<Option<String>, BadRecord> {
    let record = document.get(&key());
    let login = record
        .map(|record| RELAY_LOGIN_KIND.spec(record))
        .transpose()?;
    Ok(login.map(|login| login.password_hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

    #[test]
    fn the_login_has_a_record_of_its_own() {
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        assert_eq!(password_hash(&document), Ok(None));
        let changes = RELAY_LOGIN_KIND.changes([("password", HASH)]).unwrap();
        document.edit(&key(), changes.into_fields(), 1).unwrap();
        assert_eq!(password_hash(&document), Ok(Some(HASH.to_owned())));
        assert!(RELAY_LOGIN_KIND.changes([("password", "plain")]).is_err());
    }
}
