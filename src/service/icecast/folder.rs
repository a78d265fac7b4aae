//! The folder of `icecast.xml`, and the user that may read it.

use std::path::{Path, PathBuf};

use crate::io::child::{UnknownUser, user_named};
use crate::io::disk::handed;
use crate::model::system_user::SystemUser;

/// Why the file is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    #[error("{0} (user in [icecast])")]
    User(#[from] UnknownUser),
    #[error(
        "cannot write {path}: {error}; give the folder to this node, or set another folder in [icecast]"
    )]
    Write {
        path: PathBuf,
        error: std::io::Error,
    },
}

/// The place of `icecast.xml`, and its owner.
#[derive(Clone, Debug)]
pub(super) struct IcecastFolder {
    pub(super) path: PathBuf,
    pub(super) user: Option<String>,
}

impl IcecastFolder {
    pub(super) fn file(&self) -> PathBuf {
        self.path.join("icecast.xml")
    }

    /// The user of the program. Looked up each time: an operator who has made it need not restart the node.
    pub(super) fn owner(&self) -> Result<Option<SystemUser>, UnknownUser> {
        self.user.as_deref().map(user_named).transpose()
    }

    /// Puts the file in its place. Blocks.
    pub(super) fn write(&self, text: &str) -> Result<(), FolderError> {
        let owner = self.owner()?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| FolderError::Write { path, error }
        };
        handed::make_folder(&self.path, owner.as_ref()).map_err(failed(&self.path))?;
        let file = self.file();
        handed::write(&file, text.as_bytes(), owner.as_ref()).map_err(failed(&file))
    }
}
