//! By which a file is known to be the same.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

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
    /// The marks of a file.
    pub fn of(about: &Metadata) -> Self {
        Self {
            inode: about.ino(),
            bytes: about.len(),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}
