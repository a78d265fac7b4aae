//! The settings of a record, as a request names them in the JSON object that is its body.

use serde_json::{Map, Value};
use tracing::debug;

use super::Admin;
use super::body::{self, BadBody};
use crate::io::password::{HashError, Secret};
use crate::logic::records::field::FieldKind;
use crate::logic::records::kind::{BadSetting, Changes, Kind};

/// Why the settings of a request are refused; nothing is changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadSettings {
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error("`{0}` must be a text")]
    NoText(&'static str),
    #[error(transparent)]
    Setting(#[from] BadSetting),
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// Reads each field as a setting of a record of this kind. A password is hashed.
pub(super) async fn changes<S>(
    admin: &Admin,
    kind: &Kind<S>,
    fields: Map<String, Value>,
) -> Result<Changes<S>, BadSettings> {
    let (mut changes, mut passwords) = (Changes::default(), Vec::new());
    for (key, value) in fields {
        let field = kind.field(&key)?;
        match (&field.kind, value) {
            (FieldKind::Password { .. }, Value::String(password)) => {
                passwords.push((field, password))
            }
            (_, Value::Null) => changes.clear(field)?,
            (FieldKind::Password { .. }, _) => return Err(BadSettings::NoText(field.key)),
            (_, value) => changes.set(field, &body::typed(field.key, value)?)?,
        }
    }
    // Last, because it is slow: nothing is hashed for a request that is refused.
    for (field, password) in passwords {
        let hash = admin.0.passwords.hash(&password.into()).await?;
        debug!("a password was hashed");
        changes.set(field, &hash)?;
    }
    Ok(changes)
}

/// The password that a request gives. If it gives none, one is generated and put among the fields.
pub(super) fn password(fields: &mut Map<String, Value>) -> Result<Secret, BadSettings> {
    match fields.get("password") {
        Some(Value::String(password)) => Ok(Secret::from(password.clone())),
        None | Some(Value::Null) => {
            let password = Secret::generate();
            fields.insert("password".to_owned(), password.reveal().into());
            Ok(password)
        }
        Some(_) => Err(BadSettings::NoText("password")),
    }
}
