//! Why an edit of the document is not made, and the things that edits are about.

use std::fmt;

use super::commit::Unsaved;
use crate::logic::document::{Document, EditError};
use crate::logic::ladder::FallbackFault;
use crate::logic::mount_names::named;
use crate::logic::records::accounts::AccountUnfit;
use crate::logic::records::certificates::MAX_CERTIFICATES;
use crate::logic::records::files::{self, NoFileRoom};
use crate::logic::records::kind::BadRecord;
use crate::logic::records::mounts::{self, RelayFault};
use crate::logic::records::outside;
use crate::logic::transcoding::lineage::TranscodeFault;
use crate::model::account::AccountName;
use crate::model::file_name::FileName;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::record::key::RecordKey;
use crate::model::seat::Fence;

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
    /// The edit would leave a mount that cannot be transcoded.
    #[error(transparent)]
    Transcoding(#[from] TranscodeFault),
    /// The edit would leave a mount whose listeners could not fall back as it says.
    #[error(transparent)]
    Fallback(#[from] FallbackFault),
    /// The edit would leave a mount that cannot be relayed.
    #[error(transparent)]
    Relaying(#[from] RelayFault),
    /// Other mounts are transcoded from the one that would be deleted.
    #[error(
        "{} transcoded from {mount}: delete or change them first, or delete {mount} alone by --force (in the API by \
         ?force=true), which leaves them without a stream",
        named_with(.others, ["is", "are"])
    )]
    Needed {
        /// The mount.
        mount: MountName,
        /// The mounts that are transcoded from it.
        others: Vec<MountName>,
    },
    /// The listeners of other mounts fall back to the one that would be deleted.
    #[error(
        "{} back to {mount}: change that first, or delete {mount} all the same by --force (in the API by ?force=true)",
        named_with(.others, ["falls", "fall"])
    )]
    IsFallback {
        /// The mount.
        mount: MountName,
        /// The mounts that have it as a fallback.
        others: Vec<MountName>,
    },
    /// The listeners of other mounts are switched to the one that would be deleted.
    #[error(
        "{} switched to {mount}: switch back first (antiphon mount switch {} --back), or delete {mount} all the same by --force \
         (in the API by ?force=true)",
        named_with(.others, ["is", "are"]),
        named(.others)
    )]
    IsSwitchedTo {
        /// The mount.
        mount: MountName,
        /// The mounts that are switched to it.
        others: Vec<MountName>,
    },
    /// Mounts play the file that would be deleted.
    #[error(
        "{} file:{file}: change that first, or delete it all the same by --force (in the API by ?force=true)",
        named_with(.others, ["plays", "play"])
    )]
    IsPlayed {
        /// The file.
        file: FileName,
        /// The mounts that have it as a fallback.
        others: Vec<MountName>,
    },
    /// No room is left for a file.
    #[error(transparent)]
    NoRoom(#[from] NoFileRoom),
    /// An account of a listener cannot be made.
    #[error(transparent)]
    AccountUnfit(#[from] AccountUnfit),
    /// The mount has an account of that name.
    #[error("{mount} already has an account {name}: `antiphon account set` changes its password")]
    AccountExists {
        /// The mount.
        mount: MountName,
        /// The name.
        name: AccountName,
    },
    /// The mount has no account of that name.
    #[error("{mount} has no account {name}")]
    NoSuchAccount {
        /// The mount.
        mount: MountName,
        /// The name.
        name: AccountName,
    },
    /// A node with a later claim works on the order.
    #[error("the order is that of {}, whose claim is later", .0.node)]
    Superseded(Fence),
    /// No more certificates are kept.
    #[error(
        "there are {MAX_CERTIFICATES} certificates, which is the most; those that have ended go by themselves"
    )]
    TooManyCertificates,
    /// The document refuses it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The edit was not saved.
    #[error(transparent)]
    Unsaved(#[from] Unsaved),
}

/// Whether a mount is deleted from which others are transcoded, or to which they fall back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The mount stays, and the operator is told of the others.
    IfUnused,
    /// The mount is deleted, and the others have no stream any more.
    Forced,
}

/// The names of mounts, and the form of a verb for one or for several.
fn named_with(mounts: &[MountName], verbs: [&str; 2]) -> String {
    let verb = verbs[usize::from(mounts.len() != 1)];
    format!("{} {verb}", named(mounts))
}

/// A thing that an operator adds and removes by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A mount.
    Mount(MountName),
    /// An outside server.
    Outside(NodeName),
    /// A file.
    File(FileName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(path) => write!(f, "mount {path}"),
            Self::Outside(name) => write!(f, "outside server {name}"),
            Self::File(name) => write!(f, "file {name}"),
        }
    }
}

impl Subject {
    /// The key of its record.
    pub(super) fn key(&self) -> RecordKey {
        match self {
            Self::Mount(path) => mounts::key(path),
            Self::Outside(name) => outside::key(name),
            Self::File(name) => files::key(name),
        }
    }

    /// Whether a valid record says that it is there.
    pub(super) fn is_in(&self, document: &Document) -> bool {
        match self {
            Self::Mount(path) => {
                let record = document.get(&self.key());
                record.is_some_and(|record| mounts::spec(path.clone(), record).is_ok())
            }
            Self::Outside(name) => outside::list(document).servers.contains_key(name),
            Self::File(name) => files::list(document).0.contains_key(name),
        }
    }
}
