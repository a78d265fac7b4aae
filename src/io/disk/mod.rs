//! The files that a node keeps on disk, saved so that a crash loses nothing.
//!
//! All calls block, and a save waits for the disk twice: in a task, use a blocking thread.
//!
//! A directory belongs to one running node. A process that does not run one, such as the command line,
//! reads its secrets without opening it.

mod file;
pub mod handed;
pub mod private;
pub mod shelf;

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tokio::sync::watch;
use tracing::warn;

use file::owned;
pub use file::{Damage, LoadError, Loaded, SaveError};

/// The file whose lock says that a node runs on the directory.
const LOCK_NAME: &str = "lock";
/// The file that is written and removed again to see whether anything can be written.
const PROBE_NAME: &str = "probe";

/// The data directory of the running node. The lock on it ends with this value or the process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File, // the kernel gives the lock back when it is closed, a crash included
    /// Why the last write failed, in words for everybody: without paths.
    trouble: watch::Sender<Option<String>>,
}

/// Why a data directory cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory does not exist and cannot be made.
    #[error(
        "cannot make the data directory {0}: {1}; make it yourself and give it to this user, or choose another one"
    )]
    Create(PathBuf, #[source] io::Error),
    /// The path is not a directory.
    #[error("cannot make the data directory {0}: it is a file; choose another one")]
    NotADirectory(PathBuf),
    /// The directory cannot be written to.
    #[error(
        "cannot write to the data directory {0}: {1}; give it to this user (chown), or choose another one"
    )]
    NotWritable(PathBuf, #[source] io::Error),
    /// Another process uses the directory.
    #[error(
        "another antiphon runs on the data directory {0}; stop it, or give this one another directory"
    )]
    InUse(PathBuf),
    /// The file system takes no locks.
    #[error("cannot lock the data directory {0}: {1}; choose one on a local disk")]
    Lock(PathBuf, #[source] io::Error),
    /// Everybody on the machine can read or change the directory, and that cannot be changed here.
    #[error(
        "everybody on this machine can open the data directory {path} (mode {mode:04o}); type: chmod 700 '{path}', or choose a directory that holds nothing else"
    )]
    Exposed {
        /// The path.
        path: PathBuf,
        /// The mode of the directory.
        mode: u32,
    },
}

/// The owner of a directory, judged by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// Empty, or with files that a node has left there.
    Ours,
    /// With files of somebody else, who may need the mode that it has.
    Foreign,
}

impl DataDir {
    /// Opens the directory for this process alone; makes it, for this user alone, if it is not there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(path);
        made.map_err(|error| match path.exists() && !path.is_dir() {
            true => OpenError::NotADirectory(path.to_owned()),
            false => OpenError::Create(path.to_owned(), error),
        })?;
        let contents = contents(path);

        let not_writable = |error| OpenError::NotWritable(path.to_owned(), error);
        let lock = lock_file(path).map_err(not_writable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(path.to_owned()),
            TryLockError::Error(error) => OpenError::Lock(path.to_owned(), error),
        })?;
        // The lock file may be there from earlier, when the directory was still writable.
        let trouble = match probe(&path.join(PROBE_NAME)) {
            Ok(()) => None,
            Err(error) if is_disk_trouble(&error) => Some(words(&error)),
            Err(error) => return Err(not_writable(error)),
        };
        close_to_others(path, contents)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            trouble: watch::Sender::new(trouble),
        })
    }

    /// Why nothing can be written, if the last write failed. What is saved can still be read.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// The same as it changes; the state of now counts as a change.
    pub fn watch_trouble(&self) -> watch::Receiver<Option<String>> {
        let mut trouble = self.trouble.subscribe();
        trouble.mark_changed();
        trouble
    }

    fn note(&self, written: Result<(), SaveError>) -> Result<(), SaveError> {
        let now = written.as_ref().err().map(|error| words(&error.source));
        self.trouble.send_if_modified(|before| {
            let is_news = *before != now;
            *before = now;
            is_news
        });
        written
    }

    /// The path of the file `name`.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces the file `name` at once or not at all, and keeps the one before as `<name>.previous`.
    /// When it returns, the bytes survive a power failure.
    pub fn save(&self, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
        self.note(file::save(&self.path, name, bytes))
    }

    /// The bytes last saved as `name`, or those before if the file is damaged.
    pub fn load(&self, name: &str) -> Result<Loaded, LoadError> {
        file::load(&self.path, name)
    }

    /// Writes a file that only this user may read, at once or not at all, for
    /// [`private::read_secret`].
    pub fn write_private(&self, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
        self.note(private::write_private(&self.path_of(name), bytes))
    }
}

impl SaveError {
    /// Whether the disk is full, read-only or broken: a node goes on without it, and tries again.
    pub fn is_disk_trouble(&self) -> bool {
        is_disk_trouble(&self.source)
    }
}

fn is_disk_trouble(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(
        error.kind(),
        StorageFull | QuotaExceeded | ReadOnlyFilesystem
    ) || Errno::from_io_error(error) == Some(Errno::IO)
}

/// The fault of the disk, without the paths of this machine, because it is shown to everybody.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::QuotaExceeded => "the quota of the disk is used up".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        _ => format!("the disk cannot be written: {error}"),
    }
}

/// The file that is locked: one of its own, or the directory itself where no file can be made.
fn lock_file(dir: &Path) -> io::Result<File> {
    let path = dir.join(LOCK_NAME);
    owned(&path).or_else(|error| match is_disk_trouble(&error) {
        true => File::open(&path).or_else(|_| File::open(dir)),
        false => Err(error),
    })
}

/// Writes a byte and takes it back.
fn probe(path: &Path) -> io::Result<()> {
    let written = owned(path).and_then(|mut file| file.write_all(b"x"));
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => written.and(Err(error)),
        _ => written,
    }
}

/// Looks into a directory before any file of the node is in it.
fn contents(path: &Path) -> Contents {
    let is_foreign = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() != "lost+found")
    };
    let is_foreign = fs::read_dir(path).is_ok_and(|mut entries| entries.any(is_foreign));
    match is_foreign && !path.join(LOCK_NAME).exists() {
        true => Contents::Foreign,
        false => Contents::Ours,
    }
}

/// Takes the permissions of all others from a directory. One that others use, such as `/tmp`, is left unchanged and
/// refused.
fn close_to_others(path: &Path, contents: Contents) -> Result<(), OpenError> {
    let not_writable = |error| OpenError::NotWritable(path.to_owned(), error);
    let metadata = fs::metadata(path).map_err(not_writable)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & private::OTHERS == 0 {
        return Ok(());
    }
    let closed = match contents {
        Contents::Ours => fs::set_permissions(path, Permissions::from_mode(0o700)),
        Contents::Foreign => Err(io::ErrorKind::PermissionDenied.into()),
    };
    if let Err(error) = closed {
        if is_disk_trouble(&error) {
            warn!(%error, "everybody can open the data directory, and that cannot be changed now");
            return Ok(());
        }
        // At the next try the lock must not be taken for a sign that the directory belonged to a node before.
        let _left = fs::remove_file(path.join(LOCK_NAME));
        let path = path.to_owned();
        return Err(OpenError::Exposed { path, mode });
    }
    let was = format!("{mode:04o}");
    warn!(path = %path.display(), was, "everybody could open the data directory: its mode is 0700 now");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_for_this_user_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let dir = DataDir::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        dir.save("document", b"x").unwrap();
        dir.write_private("token", b"x").unwrap();
        for entry in fs::read_dir(&path).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
        assert!(!path.join(PROBE_NAME).exists());
    }

    #[test]
    fn a_directory_that_everybody_can_open_is_closed_or_refused() {
        let parent = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for open in [0o777, 0o755, 0o701, 0o1777] {
            let path = parent.path().join(format!("{open:o}"));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            drop(DataDir::open(&path).unwrap());
            assert_eq!(mode(&path), 0o700, "empty");
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            drop(DataDir::open(&path).unwrap());
            assert_eq!(mode(&path), 0o700, "used before");
        }
        let shared = parent.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("letter"), b"").unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o755)).unwrap();
        for _ in 0..2 {
            let error = DataDir::open(&shared).unwrap_err().to_string();
            assert!(
                error.contains("0755") && error.contains("chmod 700"),
                "{error}"
            );
            assert_eq!(mode(&shared), 0o755, "left as it is");
        }
        let group = parent.path().join("group");
        fs::create_dir(&group).unwrap();
        fs::set_permissions(&group, Permissions::from_mode(0o750)).unwrap();
        drop(DataDir::open(&group).unwrap());
        assert_eq!(
            mode(&group),
            0o750,
            "a group is something that somebody has arranged"
        );
    }

    #[test]
    fn a_second_node_on_a_directory_waits_for_the_first() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(parent.path()).unwrap();
        let second = DataDir::open(parent.path()).unwrap_err();
        assert!(matches!(second, OpenError::InUse(_)));
        let path = parent.path().display().to_string();
        assert!(second.to_string().contains(&path));
        drop(first);
        assert!(DataDir::open(parent.path()).is_ok());
    }

    #[test]
    fn a_path_that_is_no_directory_is_refused_by_name() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, b"").unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::NotADirectory(_)), "{error}");
        let error = DataDir::open(&path.join("below")).unwrap_err();
        assert!(matches!(error, OpenError::Create(..)), "{error}");
        assert!(error.to_string().contains("file/below"), "{error}");
    }

    #[test]
    fn a_directory_that_takes_no_files_is_refused() {
        // No user, not even root, can make files in /proc.
        let error = DataDir::open(Path::new("/proc")).unwrap_err();
        assert!(matches!(error, OpenError::NotWritable(..)), "{error}");
    }
}
