//! Regular files of an operator, opened in a known folder, and by which they are known to be the same.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;

use super::web_root::open_in;

/// The marks of a file that change when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    /// The length.
    pub bytes: u64,
    /// When the file was written or put in its place last, in seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of a file by what the system says about it.
    pub fn of(about: &Metadata) -> Self {
        Self {
            inode: about.ino(),
            bytes: about.len(),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

/// Why a file cannot be opened, or read. Whoever wants it has the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// No such file is there.
    NoFile,
    /// The file is a link, which is not followed.
    Link,
    /// A folder or the like.
    NotAFile,
    /// The system does not let it be read, for this reason.
    Unread(String),
}

impl From<io::Error> for FileFault {
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

/// Opens a regular file of a folder, without following a link. Waits for the disk.
pub fn open_regular(folder: &Path, name: &str) -> Result<(File, FileStamp), FileFault> {
    let opened = open_in(folder, name)?.ok_or(FileFault::NotAFile)?;
    let stamp = FileStamp::of(&opened.file.metadata()?);
    Ok((opened.file, stamp))
}
