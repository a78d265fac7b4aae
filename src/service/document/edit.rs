//! Edits of single records: what an operator changes, whether it must be there, and what was wrong.

use std::collections::BTreeMap;
use std::fmt;

use super::Inner;
use super::commit::{EditOrigin, Unsaved};
use crate::logic::document::{Document, EditError};
use crate::logic::records::kind::{BadRecord, Changes};
use crate::logic::records::outside::MAX_SERVERS;
use crate::logic::records::{mounts, outside};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::record::Value;
use crate::model::record::key::RecordKey;

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The name is taken.
    #[error("{0} already exists")]
    Exists(Subject),
    /// The name is unknown.
    #[error("there is no {0}")]
    NotThere(Subject),
    /// The edit would leave an invalid record.
    #[error(transparent)]
    Bad(#[from] BadRecord),
    /// The document refuses it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The edit was not saved.
    #[error(transparent)]
    Unsaved(#[from] Unsaved),
}

/// A thing that an operator adds and removes by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A mount.
    Mount(MountName),
    /// An outside server.
    Outside(NodeName),
}

/// The condition under which an edit is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Existence {
    /// Nothing: settings can always be set.
    Any,
    /// The subject must be new.
    New(Subject),
    /// The subject must be there.
    Known(Subject),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(path) => write!(f, "mount {path}"),
            Self::Outside(name) => write!(f, "outside server {name}"),
        }
    }
}

impl Subject {
    /// The key of its record.
    pub(super) fn key(&self) -> RecordKey {
        match self {
            Self::Mount(path) => mounts::key(path),
            Self::Outside(name) => outside::key(name),
        }
    }

    /// Whether a valid record says that it is there.
    fn is_in(&self, document: &Document) -> bool {
        match self {
            Self::Mount(path) => {
                let record = document.get(&self.key());
                record.is_some_and(|record| mounts::spec(path.clone(), record).is_ok())
            }
            Self::Outside(name) => outside::list(document).servers.contains_key(name),
        }
    }
}

impl Existence {
    /// Whether these fields may be written. The first reason against it is the error.
    fn allows(
        &self,
        document: &Document,
        fields: &BTreeMap<String, Value>,
    ) -> Result<(), ChangeError> {
        let subject = match self {
            Self::Any => return Ok(()),
            Self::New(subject) if subject.is_in(document) => {
                return Err(ChangeError::Exists(subject.clone()));
            }
            Self::Known(subject) if !subject.is_in(document) => {
                return Err(ChangeError::NotThere(subject.clone()));
            }
            Self::New(subject) | Self::Known(subject) => subject,
        };
        if let Subject::Outside(name) = subject {
            let is_full = || outside::list(document).servers.len() >= MAX_SERVERS;
            if matches!(self, Self::New(_)) && is_full() {
                return Err(BadRecord::TooMany(MAX_SERVERS).into());
            }
            outside::check(name, document.get(&subject.key()), fields)?;
        }
        Ok(())
    }
}

impl Inner {
    /// Writes fields of a record, if that is allowed when it is the edit's turn.
    pub(super) async fn edit_record<S>(
        &self,
        key: RecordKey,
        wanted: Existence,
        changes: Changes<S>,
    ) -> Result<(), ChangeError> {
        let fields = changes.into_fields();
        self.commit(EditOrigin::Client, move |document, now_unix_ms| {
            wanted.allows(document, &fields)?;
            let record = document.edit(&key, fields, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), ()))
        })
        .await
    }

    /// Writes fields of a record that does not exist yet.
    pub(super) async fn found(
        &self,
        key: RecordKey,
        fields: BTreeMap<String, Value>,
    ) -> Result<(), ChangeError> {
        self.commit(EditOrigin::Client, move |document, now_unix_ms| {
            let record = document.found(&key, fields, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), ()))
        })
        .await
    }

    /// Deletes a record.
    pub(super) async fn delete_record(&self, subject: Subject) -> Result<(), ChangeError> {
        self.commit(EditOrigin::Client, move |document, now_unix_ms| {
            let key = subject.key();
            let record = match document.delete(&key, now_unix_ms) {
                Err(EditError::NotThere(_)) => return Err(ChangeError::NotThere(subject)),
                outcome => outcome?,
            };
            Ok((BTreeMap::from([(key, record)]), ()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::mounts::MOUNT_KIND;
    use crate::logic::records::outside::OUTSIDE_KIND;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

    fn mount(path: &str) -> Subject {
        Subject::Mount(MountName::try_from(path).unwrap())
    }

    fn server(name: &str) -> Subject {
        Subject::Outside(NodeName::try_from(name).unwrap())
    }

    fn server_fields() -> BTreeMap<String, Value> {
        let settings = [("public_url", "http://192.0.2.1:8000"), ("mounts", "/a")];
        OUTSIDE_KIND.changes(settings).unwrap().into_fields()
    }

    /// A document with a mount, and with the remains of another one that has lost its password.
    fn document() -> Document {
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        for (path, setting) in [("/whole", ("password", HASH)), ("/half", ("genre", "jazz"))] {
            let fields = MOUNT_KIND.changes([setting]).unwrap().into_fields();
            document.edit(&mount(path).key(), fields, 1).unwrap();
        }
        document
    }

    fn why(outcome: Result<(), ChangeError>) -> String {
        outcome.map_or_else(|error| error.to_string(), |()| "allowed".to_owned())
    }

    #[test]
    fn half_a_mount_may_be_created_and_not_changed() {
        let (document, nothing) = (document(), BTreeMap::new());
        for (wanted, said) in [
            (Existence::Any, "allowed"),
            (Existence::New(mount("/new")), "allowed"),
            (Existence::New(mount("/half")), "allowed"),
            (
                Existence::New(mount("/whole")),
                "mount /whole already exists",
            ),
            (Existence::Known(mount("/whole")), "allowed"),
            (Existence::Known(mount("/half")), "there is no mount /half"),
            (Existence::Known(mount("/new")), "there is no mount /new"),
        ] {
            assert_eq!(why(wanted.allows(&document, &nothing)), said, "{wanted:?}");
        }
    }

    #[test]
    fn an_outside_server_must_be_whole_after_the_edit_and_find_room() {
        let (mut document, fields, nothing) = (document(), server_fields(), BTreeMap::new());
        let new = Existence::New(server("icecast-1"));
        let known = Existence::Known(server("icecast-1"));
        assert_eq!(why(new.allows(&document, &fields)), "allowed");
        assert_eq!(why(new.allows(&document, &nothing)), "public_url: missing");
        let absent = "there is no outside server icecast-1";
        assert_eq!(why(known.allows(&document, &nothing)), absent);

        for index in 1..=MAX_SERVERS {
            let key = server(&format!("icecast-{index}")).key();
            document.edit(&key, server_fields(), 1).unwrap();
        }
        let present = "outside server icecast-1 already exists";
        assert_eq!(why(new.allows(&document, &fields)), present);
        assert_eq!(why(known.allows(&document, &nothing)), "allowed");
        let more = Existence::New(server("one-more"));
        let full = BadRecord::TooMany(MAX_SERVERS).to_string();
        assert_eq!(why(more.allows(&document, &nothing)), full);
    }
}
