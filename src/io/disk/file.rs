//! Files that are replaced at once or not at all, and that say when they are damaged.
//!
//! A file begins with one line, `antiphon <format> <checksum>`; the bytes that were saved follow.
//! The checksum covers the format too, so a flipped bit there is damage and not a newer format.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// The format of the files of a data directory: of this frame and of what is in it.
const FORMAT: u32 = 1;
/// The first word of every file.
const MAGIC: &str = "antiphon";
/// The longest first line: the magic, 10 digits, 64 hexadecimal digits, two spaces and the line's end.
const MAX_LINE_BYTES: usize = 96;
/// The largest file that is read: eight times the largest document, whose text form is longer.
const MAX_FILE_BYTES: u64 = 128 * 1024 * 1024;

/// The result of loading a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded {
    /// Nothing was ever saved.
    Fresh,
    /// The bytes last saved.
    Current(Vec<u8>),
    /// The bytes saved before the last; the newer file is damaged (kept as `<name>.damaged`) or
    /// missing. Worth a warning.
    Previous {
        /// The bytes.
        bytes: Vec<u8>,
        /// The damage of the newer file.
        why: Damage,
    },
    /// Neither file is usable; damaged ones are kept as `<name>.damaged`. Worth a warning.
    Lost {
        /// The damage of the newer file.
        why: Damage,
    },
}

/// The damage of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is missing although an older one is there: a save was cut short.
    #[error("the file is missing")]
    Missing,
    /// The first line is invalid.
    #[error("the first line is damaged")]
    FirstLine,
    /// The bytes are not those that were saved.
    #[error("the checksum does not match")]
    Checksum,
    /// The disk cannot read it.
    #[error("the disk reports a read error")]
    Unreadable,
    /// The file is larger than any that is saved.
    #[error("the file is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
}

/// Why nothing could be loaded. All files are where they were.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is there and cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// A newer antiphon has written it; the older one must not write over it.
    #[error("{0} has format {1}, which is newer than ours ({FORMAT}): update antiphon")]
    TooNew(PathBuf, u32),
    /// A damaged file could not be put aside, and the next save would replace a good one by it.
    #[error("cannot put the damaged file {0} aside: {1}")]
    PutAside(PathBuf, #[source] io::Error),
}

/// Why a file was not saved, or may not survive a power failure. The old bytes or the new ones are
/// there, whole.
#[derive(Debug, thiserror::Error)]
#[error("cannot save {path}: {source}")]
pub struct SaveError {
    /// The path.
    pub path: PathBuf,
    /// The error of the system.
    pub source: io::Error,
}

/// The contents of one file.
enum Content {
    Absent,
    Good(Vec<u8>),
    Newer(u32),
    Damaged(Damage),
}

/// See [`super::DataDir::save`].
pub(super) fn save(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
    let line = first_line(FORMAT, bytes);
    replace(&dir.join(name), &[line.as_bytes(), bytes], Before::Keep)
}

/// The treatment of the file that is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// The old file is kept as `<name>.previous`.
    Keep,
    /// The old file is removed.
    Drop,
}

/// Puts a file with these parts in the place of the one at `path`.
pub(super) fn replace(path: &Path, parts: &[&[u8]], before: Before) -> Result<(), SaveError> {
    let new = with_ending(path, "new");
    let replaced = write_new(&new, parts).and_then(|()| swap(path, &new, before));
    if replaced.is_err() {
        // The file may never have been made, and on a full disk its space is needed.
        drop(fs::remove_file(&new));
    }
    let path = path.to_owned();
    replaced.map_err(|source| SaveError { path, source })
}

fn write_new(new: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = owned(new)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// Renames the new file into its place. A crash between the two renames leaves the previous file
/// whole and the place empty, and [`load`] then takes the previous one.
fn swap(path: &Path, new: &Path, before: Before) -> io::Result<()> {
    let previous = with_ending(path, "previous");
    let kept = before == Before::Keep && rename_if_there(path, &previous)?;
    if let Err(error) = fs::rename(new, path) {
        if kept {
            fs::rename(&previous, path)?;
        }
        return Err(error);
    }
    sync_dir_of(path)
}

/// Renames a file, and says whether there was one.
fn rename_if_there(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes renames survive a power failure.
pub(super) fn sync_dir_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Opens a file of the node for writing, makes it for this user alone if it is not there, and
/// empties it.
pub(super) fn owned(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true);
    options.mode(0o600).open(path)
}

/// See [`super::DataDir::load`].
pub(super) fn load(dir: &Path, name: &str) -> Result<Loaded, LoadError> {
    let (current, previous) = (dir.join(name), with_ending(&dir.join(name), "previous"));
    let why = match read(&current)? {
        Content::Good(bytes) => return Ok(Loaded::Current(bytes)),
        Content::Newer(format) => return Err(LoadError::TooNew(current, format)),
        Content::Absent => None,
        Content::Damaged(damage) => Some(damage),
    };
    let older = read(&previous)?;
    if let Content::Newer(format) = older {
        return Err(LoadError::TooNew(previous, format));
    }
    if why.is_some() {
        put_aside(&current)?;
    }
    let missing = why.unwrap_or(Damage::Missing);
    match (older, why) {
        (Content::Good(bytes), _) => Ok(Loaded::Previous {
            bytes,
            why: missing,
        }),
        (Content::Damaged(damage), _) => {
            put_aside(&previous)?;
            let why = why.unwrap_or(damage);
            Ok(Loaded::Lost { why })
        }
        (_, Some(why)) => Ok(Loaded::Lost { why }),
        (_, None) => Ok(Loaded::Fresh),
    }
}

fn put_aside(path: &Path) -> Result<(), LoadError> {
    let aside = with_ending(path, "damaged");
    let put = fs::rename(path, aside);
    if put
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
    {
        return Ok(()); // Nothing can be saved over the good file either.
    }
    put.map_err(|error| LoadError::PutAside(path.to_owned(), error))
}

fn read(path: &Path) -> Result<Content, LoadError> {
    let whole = File::open(path).and_then(|file| {
        let mut whole = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut whole)?;
        Ok(whole)
    });
    judge(whole).map_err(|error| LoadError::Read(path.to_owned(), error))
}

/// Tells a file that is gone or broken from one that could be read another time.
fn judge(whole: io::Result<Vec<u8>>) -> io::Result<Content> {
    match whole {
        Ok(whole) if whole.len() as u64 > MAX_FILE_BYTES => Ok(Content::Damaged(Damage::TooLarge)),
        Ok(whole) => Ok(check(whole)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::Absent),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => {
            Ok(Content::Damaged(Damage::Unreadable))
        }
        Err(error) => Err(error),
    }
}

fn check(mut whole: Vec<u8>) -> Content {
    let Some((format, length)) = parse_first_line(&whole) else {
        return Content::Damaged(Damage::FirstLine);
    };
    // To write the line again and compare admits no second spelling of it.
    if whole[..length] != *first_line(format, &whole[length..]).as_bytes() {
        return Content::Damaged(Damage::Checksum);
    }
    if format > FORMAT {
        return Content::Newer(format);
    }
    whole.drain(..length);
    Content::Good(whole)
}

/// The format and the length of the first line.
fn parse_first_line(whole: &[u8]) -> Option<(u32, usize)> {
    let beginning = &whole[..whole.len().min(MAX_LINE_BYTES)];
    let end = beginning.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&beginning[..end]).ok()?;
    let mut words = line.split(' ');
    let magic = words.next()? == MAGIC;
    let format = words.next()?.parse().ok()?;
    magic.then_some((format, end + 1))
}

fn first_line(format: u32, bytes: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format.to_be_bytes());
    hasher.update(bytes);
    format!("{MAGIC} {format} {:x}\n", hasher.finalize())
}

/// `document` → `document.new`
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};

    use super::*;

    /// A directory where `one` and then `two` were saved as `document`.
    fn saved_twice() -> TempDir {
        let dir = tempdir().unwrap();
        save(dir.path(), "document", b"one").unwrap();
        save(dir.path(), "document", b"two").unwrap();
        dir
    }

    fn load_document(dir: &TempDir) -> Loaded {
        load(dir.path(), "document").unwrap()
    }

    #[test]
    fn the_last_saved_contents_are_loaded() {
        let dir = tempdir().unwrap();
        assert_eq!(load_document(&dir), Loaded::Fresh);
        for bytes in [&b""[..], b"one", &[0, 255, b'\n'], &[7; 100_000]] {
            save(dir.path(), "document", bytes).unwrap();
            assert_eq!(load_document(&dir), Loaded::Current(bytes.to_vec()));
        }
        assert!(!dir.path().join("document.new").exists());
    }

    /// Spoils the newer file, expects the older one, and expects the next save to keep that.
    fn expect_previous(spoiled: &[u8]) {
        let dir = saved_twice();
        let path = dir.path().join("document");
        fs::write(&path, spoiled).unwrap();
        match load_document(&dir) {
            Loaded::Previous { bytes, .. } => assert_eq!(bytes, b"one"),
            other => panic!("{other:?} from {spoiled:?}"),
        }
        let aside = fs::read(dir.path().join("document.damaged")).unwrap();
        assert_eq!(aside, spoiled, "the damaged file is kept");
        save(dir.path(), "document", b"three").unwrap();
        assert_eq!(load_document(&dir), Loaded::Current(b"three".to_vec()));
        fs::remove_file(&path).unwrap();
        let (bytes, why) = (b"one".to_vec(), Damage::Missing);
        assert_eq!(load_document(&dir), Loaded::Previous { bytes, why });
    }

    #[test]
    fn a_file_cut_at_any_length_is_noticed() {
        let dir = saved_twice();
        let whole = fs::read(dir.path().join("document")).unwrap();
        for length in 0..whole.len() {
            expect_previous(&whole[..length]);
        }
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let dir = saved_twice();
        let whole = fs::read(dir.path().join("document")).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut spoiled = whole.clone();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            expect_previous(&spoiled);
        }
    }

    #[test]
    fn two_damaged_files_are_lost_and_kept_aside() {
        let dir = saved_twice();
        fs::write(dir.path().join("document"), b"x").unwrap();
        fs::write(dir.path().join("document.previous"), b"y").unwrap();
        let why = Damage::FirstLine;
        assert_eq!(load_document(&dir), Loaded::Lost { why });
        let aside = |name: &str| fs::read(dir.path().join(name)).unwrap();
        assert_eq!(aside("document.damaged"), b"x");
        assert_eq!(aside("document.previous.damaged"), b"y");
        assert_eq!(load_document(&dir), Loaded::Fresh);
    }

    #[test]
    fn a_damaged_file_without_a_previous_one_is_lost() {
        let dir = tempdir().unwrap();
        save(dir.path(), "document", b"one").unwrap();
        let path = dir.path().join("document");
        let mut whole = fs::read(&path).unwrap();
        whole.push(b'x');
        fs::write(&path, whole).unwrap();
        let why = Damage::Checksum;
        assert_eq!(load_document(&dir), Loaded::Lost { why });
    }

    #[test]
    fn a_crash_between_the_renames_leaves_the_previous_file() {
        let dir = saved_twice();
        let path = dir.path().join("document");
        fs::rename(&path, with_ending(&path, "previous")).unwrap();
        fs::write(with_ending(&path, "new"), b"half").unwrap();
        let (bytes, why) = (b"two".to_vec(), Damage::Missing);
        assert_eq!(load_document(&dir), Loaded::Previous { bytes, why });
        save(dir.path(), "document", b"three").unwrap();
        assert_eq!(load_document(&dir), Loaded::Current(b"three".to_vec()));
    }

    #[test]
    fn a_newer_format_is_an_error_and_is_kept() {
        let dir = saved_twice();
        let path = dir.path().join("document");
        let newer = first_line(FORMAT + 1, b"two") + "two";
        fs::write(&path, &newer).unwrap();
        let error = load(dir.path(), "document").unwrap_err();
        assert!(matches!(error, LoadError::TooNew(_, 2)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), newer.as_bytes());
    }

    #[test]
    fn a_full_disk_fails_the_save_and_spares_old_files() {
        let dir = saved_twice();
        // Every write to /dev/full fails as on a full disk, for root too.
        let new = dir.path().join("document.new");
        std::os::unix::fs::symlink("/dev/full", &new).unwrap();
        let error = save(dir.path(), "document", b"three").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("document"), "{error}");
        assert!(!new.is_symlink(), "what was half written is removed");
        assert_eq!(load_document(&dir), Loaded::Current(b"two".to_vec()));
        let previous = load(dir.path(), "document.previous").unwrap();
        assert_eq!(previous, Loaded::Current(b"one".to_vec()));
        save(dir.path(), "document", b"four").unwrap();
        assert_eq!(load_document(&dir), Loaded::Current(b"four".to_vec()));
    }

    #[test]
    fn an_unreadable_disk_is_damage_and_missing_rights_are_not() {
        let judged = |errno: Errno| judge(Err(errno.into()));
        let damage = judged(Errno::IO);
        assert!(matches!(damage, Ok(Content::Damaged(Damage::Unreadable))));
        assert!(matches!(judged(Errno::NOENT), Ok(Content::Absent)));
        assert!(judged(Errno::ACCESS).is_err());
        assert!(judged(Errno::MFILE).is_err());
    }
}
