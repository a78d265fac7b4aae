//! A file on the disk of this node, read for a loop.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::io::disk::shelf::FileShelf;
use crate::io::regular_file::{FileFault, FileStamp, open_regular};
use crate::media::looped::{Looped, NoLoop};
use crate::model::file_name::FilePath;
use crate::model::kept_file::{FileHash, MAX_FILE_BYTES};
use crate::model::stream::StreamId;
use crate::service::streams::FileFacts;

/// The place of a file on this node, and the bytes that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    folder: PathBuf,
    name: String,
    /// The hash of the bytes; `None`: any will do.
    hash: Option<FileHash>,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnreadFile {
    /// No such file is here.
    #[error("no such file on this node")]
    NoFile,
    /// The file is a link.
    #[error("a symbolic link, which is not followed: name the file itself")]
    Link,
    /// A folder or the like.
    #[error("not a regular file")]
    NotAFile,
    /// The system does not let it be read.
    #[error("cannot be read: {0}")]
    Unread(String),
    /// The file has more bytes than are read.
    #[error("the file has more than {} MiB: make it shorter", MAX_FILE_BYTES >> 20)]
    TooLong,
    /// The bytes are others than those that were kept.
    #[error("the file is damaged on this node")]
    Damaged,
    /// The file cannot be played again and again.
    #[error(transparent)]
    Unfit(#[from] NoLoop),
}

impl From<FileFault> for UnreadFile {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::NoFile => Self::NoFile,
            FileFault::Link => Self::Link,
            FileFault::NotAFile => Self::NotAFile,
            FileFault::Unread(why) => Self::Unread(why),
        }
    }
}

impl UnreadFile {
    /// Whether another node may have the bytes that are missing here.
    pub(super) fn is_mended_by_peers(&self) -> bool {
        match self {
            Self::NoFile | Self::Damaged | Self::Unread(_) | Self::NotAFile | Self::Link => true,
            // The hash was right.
            Self::Unfit(_) | Self::TooLong => false,
        }
    }
}

/// A file in memory, ready to be played.
#[derive(Debug)]
pub(super) struct ReadFile {
    /// The loop.
    pub(super) looped: Looped,
    /// The facts.
    pub(super) facts: FileFacts,
}

/// The hash of some bytes.
pub(super) fn hash_of(bytes: &[u8]) -> FileHash {
    FileHash(Sha256::digest(bytes).into())
}

impl Place {
    /// A file that the operator of this node has put there.
    pub(super) fn at(path: &FilePath) -> Self {
        let (folder, name) = path.folder_and_name();
        Self {
            folder: Path::new(folder).to_owned(),
            name: name.to_owned(),
            hash: None,
        }
    }

    /// A file that the mesh keeps.
    pub(super) fn on(shelf: &FileShelf, hash: FileHash) -> Self {
        Self {
            folder: shelf.folder().to_owned(),
            name: hash.to_string(),
            hash: Some(hash),
        }
    }

    /// Whether the mesh keeps the file.
    pub(super) fn is_kept(&self) -> bool {
        self.hash.is_some()
    }

    fn open(&self) -> Result<(File, FileStamp), UnreadFile> {
        let (file, stamp) = open_regular(&self.folder, &self.name)?;
        match stamp.bytes > u64::from(MAX_FILE_BYTES) {
            true if self.hash.is_some() => Err(UnreadFile::Damaged),
            true => Err(UnreadFile::TooLong),
            false => Ok((file, stamp)),
        }
    }

    /// How the file looks from outside. Waits for the disk.
    pub(super) fn stamp(&self) -> Result<FileStamp, UnreadFile> {
        self.open().map(|(_, stamp)| stamp)
    }

    /// The bytes, which are those that must be there. Waits for the disk.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, UnreadFile> {
        let (file, _) = self.open()?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE_BYTES.into()).read_to_end(&mut bytes);
        read.map_err(FileFault::from)?;
        match self.hash {
            Some(hash) if hash_of(&bytes) != hash => Err(UnreadFile::Damaged),
            _ => Ok(bytes),
        }
    }

    /// Reads the file to be played. Waits for the disk.
    pub(super) fn read(&self) -> Result<ReadFile, UnreadFile> {
        Ok(prepare(&self.bytes()?)?)
    }
}

/// Makes a loop of the bytes of a file.
pub(super) fn prepare(bytes: &[u8]) -> Result<ReadFile, NoLoop> {
    let FileHash(hash) = hash_of(bytes);
    let [a, b, c, d, ..] = hash;
    let looped = Looped::read(bytes, u32::from_be_bytes([a, b, c, d]))?;
    let id = hash.iter().take(16);
    let facts = FileFacts {
        stream_id: StreamId(id.fold(0, |id, byte| id << 8 | u128::from(*byte))),
        media_type: looped.media_type(),
        format: looped.format(),
        length: looped.length(),
    };
    Ok(ReadFile { looped, facts })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::media::format::mpeg::samples;
    use crate::model::file_name::PlayedFile;

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let told = |name: &str| {
            let Ok(PlayedFile::Path(path)) = root.join(name).to_str().unwrap().parse() else {
                panic!("{name} is a path");
            };
            let read = Place::at(&path).read();
            read.map_or_else(
                |why| why.to_string(),
                |file| format!("{:?}", file.facts.length),
            )
        };
        fs::write(root.join("good.mp3"), samples::frames(100)).unwrap();
        fs::write(root.join("text.mp3"), "no audio").unwrap();
        fs::write(root.join("empty.mp3"), "").unwrap();
        fs::create_dir(root.join("folder.mp3")).unwrap();
        symlink(root.join("good.mp3"), root.join("link.mp3")).unwrap();
        let long = File::create(root.join("long.mp3")).unwrap();
        long.set_len(u64::from(MAX_FILE_BYTES) + 1).unwrap();
        for (name, words) in [
            ("good.mp3", "2.6122449s"),
            ("gone.mp3", "no such file"),
            ("text.mp3", "not MP3"),
            ("empty.mp3", "the file is empty"),
            ("folder.mp3", "not a regular file"),
            ("link.mp3", "a symbolic link"),
            ("long.mp3", "more than 16 MiB"),
        ] {
            let told = told(name);
            assert!(told.contains(words), "{name}: {told}");
        }
    }

    #[test]
    fn a_kept_file_must_have_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = FileShelf::new(folder.path().join("files"));
        let bytes = samples::frames(100);
        let hash = hash_of(&bytes);
        let place = Place::on(&shelf, hash);
        assert_eq!(place.stamp().unwrap_err(), UnreadFile::NoFile);
        shelf.keep(&hash, &bytes).unwrap();
        assert!(place.read().is_ok());
        let mut damaged = bytes;
        damaged[5_000] ^= 1;
        fs::write(folder.path().join("files").join(hash.to_string()), damaged).unwrap();
        assert_eq!(place.read().unwrap_err(), UnreadFile::Damaged);
    }
}
