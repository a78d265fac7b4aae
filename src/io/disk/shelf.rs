//! The files that the mesh keeps, on the disk of this node: each under the hash of its bytes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::file::{Before, SaveError, replace};
use crate::model::kept_file::FileHash;

/// A folder of files under their hashes. All calls block, also while another one writes.
#[derive(Clone, Debug)]
pub struct FileShelf {
    folder: PathBuf,
    /// Held while files come or go: what is written now must not be taken for what a crash has left.
    changing: Arc<Mutex<()>>,
}

impl FileShelf {
    /// The files in this folder, which is made with the first of them.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            changing: Arc::default(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps the bytes with this hash, at once or not at all. When it returns, they survive a power failure.
    pub fn keep(&self, hash: &FileHash, bytes: &[u8]) -> Result<(), SaveError> {
        let _alone = self.changing.lock();
        let path = self.folder.join(hash.to_string());
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder);
        made.map_err(|source| SaveError {
            path: path.clone(),
            source,
        })?;
        replace(&path, &[bytes], Before::Drop)
    }

    /// Removes all files but those that are wanted at this moment. Says how many there were.
    pub fn drop_others(&self, wanted: impl FnOnce() -> BTreeSet<FileHash>) -> io::Result<usize> {
        let _alone = self.changing.lock();
        let wanted = wanted();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut dropped = 0;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| name.parse().ok());
            // What a crash left half written goes, too; what is not the node's stays.
            let is_torn = name.to_str().is_some_and(|name| name.ends_with(".new"));
            if is_torn || hash.is_some_and(|hash| !wanted.contains(&hash)) {
                fs::remove_file(entry.path())?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = FileShelf::new(folder.path().join("files"));
        assert_eq!(shelf.drop_others(BTreeSet::new).unwrap(), 0);
        let [one, two] = [FileHash([1; 32]), FileHash([2; 32])];
        for hash in [one, two] {
            shelf.keep(&hash, b"bytes").unwrap();
        }
        fs::write(shelf.folder().join("readme"), "an operator's").unwrap();
        fs::write(shelf.folder().join(format!("{one}.new")), "torn").unwrap();
        assert_eq!(shelf.drop_others(|| BTreeSet::from([two])).unwrap(), 2);
        let kept = fs::read(shelf.folder().join(two.to_string())).unwrap();
        assert_eq!(kept, b"bytes");
        assert!(shelf.folder().join("readme").exists());
    }
}
