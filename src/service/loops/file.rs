//! A file on the disk of this node, read for a loop.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::io::file_stamp::FileStamp;
use crate::io::web_root::open_in;
use crate::media::looped::{Looped, NoLoop};
use crate::model::file_name::FilePath;
use crate::model::stream::StreamId;
use crate::service::streams::FileFacts;

/// The longest file: ten minutes at 192 kbit/s.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 20;

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
    /// The file cannot be played again and again.
    #[error(transparent)]
    Unfit(#[from] NoLoop),
}

impl From<io::Error> for UnreadFile {
    fn from(error: io::Error) -> Self {
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            return Self::Link;
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoFile,
            _ => Self::Unread(error.to_string()),
        }
    }
}

/// A file in memory, ready to be played.
#[derive(Debug)]
pub(super) struct ReadFile {
    /// The loop.
    pub(super) looped: Looped,
    /// What it is.
    pub(super) facts: FileFacts,
}

/// Opens the file at a path, and says how it looks. Waits for the disk.
pub(super) fn open(path: &FilePath) -> Result<(File, FileStamp), UnreadFile> {
    let (folder, name) = path.folder_and_name();
    let opened = open_in(Path::new(folder), name)?.ok_or(UnreadFile::NotAFile)?;
    let stamp = FileStamp::of(&opened.file.metadata()?);
    match stamp.bytes > MAX_FILE_BYTES {
        true => Err(UnreadFile::TooLong),
        false => Ok((opened.file, stamp)),
    }
}

/// Reads the file at a path. Waits for the disk.
pub(super) fn read(path: &FilePath) -> Result<ReadFile, UnreadFile> {
    let (file, _) = open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(prepare(&bytes)?)
}

/// Makes a loop of the bytes of a file.
pub(super) fn prepare(bytes: &[u8]) -> Result<ReadFile, NoLoop> {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let [a, b, c, d, ..] = hash;
    let looped = Looped::read(bytes, u32::from_be_bytes([a, b, c, d]))?;
    let facts = FileFacts {
        stream_id: StreamId(
            hash.iter()
                .take(16)
                .fold(0, |id, byte| id << 8 | u128::from(*byte)),
        ),
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
            read(&path).map_or_else(
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
        long.set_len(MAX_FILE_BYTES + 1).unwrap();
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
}
