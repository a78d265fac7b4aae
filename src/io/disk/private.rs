//! Small files with secrets: written for this user alone, and not read if everybody can.
//!
//! A secret that a group may read is accepted: systemd and Kubernetes give secrets in that way, and a group
//! is set up on purpose. "Everybody" is what a careless `>` leaves.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::file::{self, Before, SaveError};
use crate::io::password::Secret;

/// The largest secret that is read; several keys with comments are far smaller.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// A mark that some editors put before a text; not part of it.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// The permissions of users that are neither the owner nor in the group.
pub(super) const OTHERS: u32 = 0o007;

/// Why a secret is not read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No file has that name.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// The path is a folder; most likely the one in which the file is.
    #[error("{0} is a folder: name the file in it")]
    Folder(PathBuf),
    /// The path is a pipe, a socket or a device, where a file of this node should be.
    #[error("{0} is not a file that a node has written: remove it")]
    NotAFile(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// The bytes of the file are not UTF-8.
    #[error("{0} is not a text, so it is not the secret")]
    NotText(PathBuf),
    /// Everybody on the machine can read or change it.
    #[error(
        "everybody on this machine can open {path} (mode {mode:04o}); type: chmod 600 '{path}'"
    )]
    Exposed {
        /// The path.
        path: PathBuf,
        /// The mode of the file.
        mode: u32,
    },
    /// The file is larger than any secret.
    #[error("{0} is larger than {MAX_SECRET_BYTES} bytes, so it is not the secret")]
    TooLarge(PathBuf),
}

/// Writes a file that only this user may read, at once or not at all. The file before it is not kept.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    file::replace(path, &[bytes], Before::Drop)
}

/// Reads a text file that not everybody can open.
pub fn read_secret(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SecretError::Missing(path.to_owned()),
        _ => SecretError::Read(path.to_owned(), error),
    };
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file: the path may lead to another one by now.
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(SecretError::Folder(path.to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        let path = path.to_owned();
        return Err(SecretError::Exposed { path, mode });
    }
    let (mut bytes, mut limited) = (Vec::new(), file.take(MAX_SECRET_BYTES + 1));
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(SecretError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(path.to_owned()))?;
    Ok(Secret::from(text.trim_start_matches(BYTE_ORDER_MARK)))
}

/// Reads a text that this node itself has written, so it must be a plain file: to open a pipe means to wait for its
/// other end.
///
/// A secret from elsewhere may well be a pipe: `--secret-file <(…)`.
pub fn read_own_secret(path: &Path) -> Result<Secret, SecretError> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
            Err(SecretError::NotAFile(path.to_owned()))
        }
        Ok(_) | Err(_) => read_secret(path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_secret_is_written_for_its_user_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for text in ["one", "two # with a comment\n"] {
            write_private(&path, text.as_bytes()).unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(read_secret(&path).unwrap().reveal(), text);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_open_to_all_is_refused_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_private(&path, b"x").unwrap();
        for mode in [0o644, 0o604, 0o602, 0o601] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read_secret(&path).unwrap_err().to_string();
            let typed = format!("chmod 600 '{}'", path.display());
            assert!(error.ends_with(&typed), "{error}");
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        }
        for mode in [0o400, 0o440, 0o640] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(read_secret(&path).is_ok());
        }
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_private(&path, b"\xef\xbb\xbfone\n").unwrap();
        assert_eq!(read_secret(&path).unwrap().reveal(), "one\n");
    }

    #[test]
    fn a_file_that_is_no_secret_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let missing = read_secret(&path);
        assert!(matches!(missing, Err(SecretError::Missing(_))));
        let folder = read_secret(dir.path()).unwrap_err().to_string();
        assert!(
            folder.ends_with("is a folder: name the file in it"),
            "{folder}"
        );
        write_private(&path, &vec![b'x'; MAX_SECRET_BYTES as usize + 1]).unwrap();
        let large = read_secret(&path);
        assert!(matches!(large, Err(SecretError::TooLarge(_))));
        write_private(&path, &[0xff]).unwrap();
        let noise = read_secret(&path);
        assert!(matches!(noise, Err(SecretError::NotText(_))));
    }
}
