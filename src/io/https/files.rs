//! The certificate of an operator's files: read, checked, and known to have changed.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::certificate::{BadCertificate, Certificate, CertificateFault, CertificatePart};
use crate::io::regular_file::FileStamp;
use crate::settings::TlsFiles;

/// The longest file that is read: a chain of sixteen certificates with RSA of 4096 bits has 40 KiB.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// A certificate from files.
#[derive(Debug)]
pub struct ReadFiles {
    /// The certificate.
    pub certificate: Certificate,
    /// Whether every user of the machine can read the key.
    pub is_key_open: bool,
}

/// Why files are no certificate and its key. It repeats nothing that is in them.
#[derive(Debug, thiserror::Error)]
pub enum BadTlsFile {
    /// A file cannot be read.
    #[error("cannot read {}: {}{}", .0.display(), .1, hint(.1))]
    Unreadable(PathBuf, io::Error),
    /// A folder, or something else that has no bytes to read.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// A file is longer than any certificate.
    #[error("{} is longer than any certificate: more than {} KiB", .0.display(), MAX_FILE_BYTES >> 10)]
    TooLong(PathBuf),
    /// A file is not text.
    #[error("{} is not text: it has to be PEM, which `openssl x509 -inform DER` makes of a certificate", .0.display())]
    NotText(PathBuf),
    /// The files hold no certificate and its key.
    #[error("{}{}: {fault}", .path.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Bad {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if one is wrong.
        line: Option<usize>,
        /// The fault.
        fault: CertificateFault,
    },
}

/// The way out of an error where a file is not read; empty if none is known.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; let the node's user read it, by its group for example"
        }
        _ => "",
    }
}

/// Reads and checks a certificate and its key.
pub fn read(files: &TlsFiles) -> Result<ReadFiles, BadTlsFile> {
    let (cert, _) = read_text(&files.cert)?;
    let (key, mode) = read_text(&files.key)?;
    let certificate = Certificate::from_pem(&cert, &key).map_err(|bad| of_file(bad, files))?;
    Ok(ReadFiles {
        certificate,
        is_key_open: mode & 0o007 != 0,
    })
}

/// The stamps of both files; `None` for one that is not there.
pub fn stamps(files: &TlsFiles) -> [Option<FileStamp>; 2] {
    let stamp = |path: &Path| fs::metadata(path).ok().map(|about| FileStamp::of(&about));
    [stamp(&files.cert), stamp(&files.key)]
}

fn of_file(bad: BadCertificate, files: &TlsFiles) -> BadTlsFile {
    let path = match bad.part {
        CertificatePart::Chain => &files.cert,
        CertificatePart::Key => &files.key,
    };
    BadTlsFile::Bad {
        path: path.clone(),
        line: bad.line,
        fault: bad.fault,
    }
}

/// The text of a file, and who may read it.
fn read_text(path: &Path) -> Result<(String, u32), BadTlsFile> {
    let unreadable = |error| BadTlsFile::Unreadable(path.to_owned(), error);
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(BadTlsFile::NotAFile(path.to_owned())); // a pipe would be waited for
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(BadTlsFile::TooLong(path.to_owned()));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| BadTlsFile::NotText(path.to_owned()))?;
    Ok((text, about.permissions().mode()))
}

#[cfg(test)]
mod tests {
    use super::super::certificate::samples::pem;
    use super::*;

    /// A folder with files for these texts.
    fn files(cert: &[u8], key: &[u8]) -> (tempfile::TempDir, TlsFiles) {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| folder.path().join(name);
        let files = TlsFiles {
            cert: named("cert.pem"),
            key: named("key.pem"),
        };
        fs::write(&files.cert, cert).unwrap();
        fs::write(&files.key, key).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
        (folder, files)
    }

    fn refused(cert: &[u8], key: &[u8]) -> String {
        let (folder, files) = files(cert, key);
        let told = read(&files).unwrap_err().to_string();
        told.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn a_key_that_everybody_can_read_is_noticed() {
        let (cert, key) = pem(&["a"], 2030);
        let (_folder, files) = files(cert.as_bytes(), key.as_bytes());
        assert!(!read(&files).unwrap().is_key_open);
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&files).unwrap().is_key_open);
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let (cert, key) = pem(&["a"], 2030);
        let (other, _) = pem(&["b"], 2030);
        for (cert, key, told) in [
            (
                other.as_bytes(),
                key.as_bytes(),
                "key.pem:1: the key does not belong",
            ),
            (
                b"junk",
                key.as_bytes(),
                "cert.pem: there is no line -----BEGIN",
            ),
            (
                cert.as_bytes(),
                b"-----BEGIN PRIVATE KEY-----\n%\n",
                "key.pem:1: the section that begins here",
            ),
            (cert.as_bytes(), b"\x30\x82\xff", "key.pem is not text"),
            (
                &[b'x'; 300 << 10],
                key.as_bytes(),
                "cert.pem is longer than",
            ),
        ] {
            let refused = refused(cert, key);
            assert!(refused.starts_with(told), "{refused}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let (_folder, mut files) = files(b"", b"");
        files.cert = "/no/such/file.pem".into();
        let told = read(&files).unwrap_err().to_string();
        assert!(
            told.starts_with("cannot read /no/such/file.pem: "),
            "{told}"
        );
        files.cert = "/dev/zero".into();
        let told = read(&files).unwrap_err().to_string();
        assert_eq!(told, "/dev/zero is not a file");
    }

    #[test]
    fn a_change_of_either_file_is_seen() {
        let (_folder, files) = files(b"a", b"b");
        let before = stamps(&files);
        assert_eq!(stamps(&files), before);
        fs::write(&files.key, b"longer").unwrap();
        assert_ne!(stamps(&files), before);
        fs::remove_file(&files.cert).unwrap();
        assert_eq!(stamps(&files)[0], None);
    }
}
