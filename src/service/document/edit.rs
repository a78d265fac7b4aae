//! Edits of single records: what an operator changes, whether it must be there, and what was wrong.

use std::collections::BTreeMap;

use super::Inner;
use super::accounts;
use super::commit::EditOrigin;
use super::files::check_unplayed;
use super::refusal::{ChangeError, Deletion, Subject};
use crate::logic::document::{Document, EditError};
use crate::logic::ladder;
use crate::logic::records::kind::{BadRecord, Changes};
use crate::logic::records::outside::MAX_SERVERS;
use crate::logic::records::{files, mounts, outside};
use crate::logic::transcoding::lineage::{self, TranscodeFault};
use crate::logic::transcoding::order::strict_order;
use crate::model::mount::MountName;
use crate::model::record::Value;
use crate::model::record::key::RecordKey;

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
        match subject {
            Subject::Mount(path) => {
                check_relaying(path, document, fields)?;
                check_transcoding(path, document, fields)?;
                check_fallbacks(path, document, fields)
            }
            Subject::Outside(name) => {
                let is_full = || outside::list(document).servers.len() >= MAX_SERVERS;
                if matches!(self, Self::New(_)) && is_full() {
                    return Err(BadRecord::TooMany(MAX_SERVERS).into());
                }
                outside::check(name, document.get(&subject.key()), fields)?;
                Ok(())
            }
            Subject::File(_) => Ok(()),
        }
    }

    /// The fields that are written: those that an operator gives, and what follows from them.
    fn complete(&self, mut fields: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        if let Self::Known(Subject::Mount(_)) = self {
            mounts::complete(&mut fields);
        }
        fields
    }
}

/// Whether a mount can be transcoded as it would be after an edit. One that says nothing of that is always allowed, also
/// where edits of two nodes have made something impossible together.
fn check_transcoding(
    path: &MountName,
    document: &Document,
    fields: &BTreeMap<String, Value>,
) -> Result<(), ChangeError> {
    if !mounts::is_about_transcoding(fields) {
        return Ok(());
    }
    let edited = mounts::edited(path, document.get(&mounts::key(path)), fields)?;
    strict_order(&edited.transcode).map_err(TranscodeFault::from)?;
    if mounts::names_source(fields) {
        let mounts = mounts::list(document).mounts;
        lineage::refusal(&edited, &mounts).map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Whether a mount can be relayed as it would be after an edit.
fn check_relaying(
    path: &MountName,
    document: &Document,
    fields: &BTreeMap<String, Value>,
) -> Result<(), ChangeError> {
    if !mounts::is_about_relaying(fields) {
        return Ok(());
    }
    let edited = mounts::edited(path, document.get(&mounts::key(path)), fields)?;
    mounts::relay_fault(fields, &edited).map_or(Ok(()), |fault| Err(fault.into()))
}

/// Whether the listeners of a mount can fall back as they would after an edit. One that says nothing of that is always allowed.
fn check_fallbacks(
    path: &MountName,
    document: &Document,
    fields: &BTreeMap<String, Value>,
) -> Result<(), ChangeError> {
    let (sets_fallbacks, switches) = (
        mounts::fallbacks_in(fields).is_some(),
        mounts::switch_in(fields).is_some(),
    );
    if !sets_fallbacks && !switches {
        return Ok(());
    }
    let edited = mounts::edited(path, document.get(&mounts::key(path)), fields)?;
    let (mounts, files) = (mounts::list(document).mounts, files::list(document).0);
    let by_fallbacks = || sets_fallbacks.then(|| ladder::refusal(&edited, &mounts, &files));
    let by_switch = || switches.then(|| ladder::switch_refusal(&edited, &mounts, &files));
    let fault = by_fallbacks().flatten().or_else(|| by_switch().flatten());
    fault.map_or(Ok(()), |fault| Err(fault.into()))
}

/// Whether a mount may be deleted at this time: not, if others are transcoded from it, fall back to it, or are switched to it.
fn check_unused(path: &MountName, unix_s: u64, document: &Document) -> Result<(), ChangeError> {
    let (mounts, mount) = (mounts::list(document).mounts, path.clone());
    let others: Vec<MountName> = lineage::transcoded_from(path, &mounts).cloned().collect();
    if !others.is_empty() {
        return Err(ChangeError::Needed { mount, others });
    }
    let others: Vec<MountName> = ladder::dependents(path, &mounts).cloned().collect();
    if !others.is_empty() {
        return Err(ChangeError::IsFallback { mount, others });
    }
    let others = ladder::switched_to(path, unix_s, &mounts);
    let others: Vec<MountName> = others.cloned().collect();
    match others.is_empty() {
        true => Ok(()),
        false => Err(ChangeError::IsSwitchedTo { mount, others }),
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
        let fields = wanted.complete(changes.into_fields());
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
    pub(super) async fn delete_record(
        &self,
        subject: Subject,
        deletion: Deletion,
    ) -> Result<(), ChangeError> {
        self.commit(EditOrigin::Client, move |document, now_unix_ms| {
            let key = subject.key();
            let is_checked = deletion == Deletion::IfUnused && document.get(&key).is_some();
            match &subject {
                Subject::Mount(path) if is_checked => {
                    check_unused(path, now_unix_ms / 1_000, document)?;
                }
                Subject::File(name) if is_checked => check_unplayed(name, document)?,
                _ => {}
            }
            let record = match document.delete(&key, now_unix_ms) {
                Err(EditError::NotThere(_)) => return Err(ChangeError::NotThere(subject)),
                outcome => outcome?,
            };
            let mut records = match &subject {
                Subject::Mount(path) => accounts::delete_all(path, document, now_unix_ms)?,
                _ => BTreeMap::new(),
            };
            records.insert(key, record);
            Ok((records, ()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::mounts::MOUNT_KIND;
    use crate::logic::records::outside::OUTSIDE_KIND;
    use crate::model::node::NodeName;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

    fn path(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    fn mount(name: &str) -> Subject {
        Subject::Mount(path(name))
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
    fn a_mount_is_transcoded_as_it_can_be_or_not_at_all() {
        let mut document = document();
        let edit = |settings: &[(&str, &str)]| {
            let changes = MOUNT_KIND.changes(settings.iter().copied());
            changes.unwrap().into_fields()
        };
        let small = |from, codec, bitrate| {
            edit(&[
                ("password", HASH),
                ("transcode_from", from),
                ("codec", codec),
                ("bitrate", bitrate),
            ])
        };
        let new = Existence::New(mount("/small"));
        for (fields, said) in [
            (small("/whole", "opus", "64k"), "allowed"),
            (
                small("/whole", "opus", "600k"),
                "bitrate: opus of 48000 Hz, stereo, has 6k to 510k, not 600k",
            ),
            (
                small("/whloe", "opus", "64k"),
                "transcode_from: there is no mount /whloe; did you mean /whole?",
            ),
            (
                small("/half", "opus", "64k"),
                "transcode_from: there is no mount /half; create it first",
            ),
        ] {
            assert_eq!(why(new.allows(&document, &fields)), said);
        }
        let fields = small("/whole", "opus", "64k");
        document.edit(&mount("/small").key(), fields, 2).unwrap();
        let (small, whole) = (
            Existence::Known(mount("/small")),
            Existence::Known(mount("/whole")),
        );
        for (wanted, settings, said) in [
            (&small, &[("name", "Small")][..], "allowed"),
            (&small, &[("bitrate", "96k")], "allowed"),
            (&small, &[("bitrate", ""), ("codec", "flac")], "allowed"),
            (
                &small,
                &[("codec", "flac")],
                "bitrate: flac loses nothing and so has none: leave it out",
            ),
            (&small, &[("transcode_from", "")], "allowed"),
            (
                &small,
                &[("transcode_from", ""), ("codec", "mp3")],
                "codec: only for a mount that is transcoded; set transcode_from, too, or leave it out",
            ),
            (
                &whole,
                &[("transcode_from", "/small"), ("codec", "mp3")],
                "transcode_from: a circle, /whole from /small from /whole: no stream would ever begin; choose another \
                 mount",
            ),
        ] {
            let fields = wanted.complete(edit(settings));
            assert_eq!(why(wanted.allows(&document, &fields)), said, "{settings:?}");
        }
        let needed = why(check_unused(&path("/whole"), 0, &document));
        assert!(
            needed.starts_with("/small is transcoded from /whole: "),
            "{needed}"
        );
        assert_eq!(why(check_unused(&path("/small"), 0, &document)), "allowed");
    }

    #[test]
    fn what_merged_edits_have_broken_can_be_changed_and_mended() {
        let mut document = document();
        let edit = |settings: &[(&str, &str)]| {
            let changes = MOUNT_KIND.changes(settings.iter().copied());
            changes.unwrap().into_fields()
        };
        let both = edit(&[
            ("transcode_from", "/gone"),
            ("codec", "mp3"),
            ("bitrate", "64k"),
            ("quality", "2"),
        ]);
        document.edit(&mount("/whole").key(), both, 2).unwrap();
        let whole = Existence::Known(mount("/whole"));
        for (settings, said) in [
            (&[("name", "Whole")][..], "allowed"),
            (&[("quality", "")], "allowed"),
            (&[("transcode_from", "")], "allowed"),
            (
                &[("sample_rate", "48000")],
                "quality: not together with bitrate; set one, and clear the other (`quality=` or `bitrate=`)",
            ),
        ] {
            let fields = whole.complete(edit(settings));
            assert_eq!(why(whole.allows(&document, &fields)), said, "{settings:?}");
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
