//! The folder of an operator's own files, and the way to a file below it.
//!
//! Each part of a path is opened below the folder before it, and no symbolic link is followed: whatever the path says,
//! and whatever changes meanwhile, what is opened stands below the folder.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use percent_encoding::percent_decode_str;
use rustix::fs::{Mode, OFlags, open, openat};

/// The most parts of a path: each costs a call of the system, and a target may be 64 KiB long.
const MAX_PARTS: usize = 32;
/// The file that is shown for a folder.
const INDEX: &[u8] = b"index.html";
/// The only name with a dot in front that is not hidden: others prove by files below it who owns a host (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// A folder of which all files are public.
#[derive(Clone, Debug)]
pub struct WebRoot(PathBuf);

/// The thing that stands at a path.
#[derive(Debug)]
pub enum Opened {
    /// A regular file.
    File(WebFile),
    /// A folder with an `index.html`, whose address ends in a slash, and this one does not.
    Folder,
    /// Nothing that is shown.
    Nothing,
}

/// A file that has been opened.
#[derive(Debug)]
pub struct WebFile {
    /// The file, at its beginning.
    pub file: File,
    /// The length.
    pub bytes: u64,
    /// When the file was changed last, since 1970.
    pub modified: Duration,
    /// The last part of its path.
    pub name: String,
}

impl WebRoot {
    /// The public files of this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Opens what stands at the path of a request, percent-encoded. Waits for the disk.
    pub fn open(&self, path: &str) -> Opened {
        let path: Vec<u8> = percent_decode_str(path).collect();
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').skip(1).collect();
        let is_folder = parts.last().is_some_and(|last| last.is_empty());
        if is_folder {
            parts.pop();
        }
        if parts.len() > MAX_PARTS || !parts.iter().all(|part| is_shown(part)) {
            return Opened::Nothing;
        }
        let opened = match is_folder {
            true => self.index_of(&parts),
            false => self.file_or_folder(&parts),
        };
        opened.unwrap_or(Opened::Nothing)
    }

    fn index_of(&self, parts: &[&[u8]]) -> io::Result<Opened> {
        Ok(file_in(&self.folder_at(parts)?, INDEX)?.map_or(Opened::Nothing, Opened::File))
    }

    fn file_or_folder(&self, parts: &[&[u8]]) -> io::Result<Opened> {
        let Some((last, above)) = parts.split_last() else {
            return Ok(Opened::Nothing);
        };
        if let Some(file) = file_in(&self.folder_at(above)?, last)? {
            return Ok(Opened::File(file));
        }
        Ok(match self.index_of(parts)? {
            Opened::File(_) => Opened::Folder,
            _ => Opened::Nothing,
        })
    }

    fn folder_at(&self, parts: &[&[u8]]) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut folder = open(&self.0, flags, Mode::empty())?;
        for part in parts {
            folder = openat(&folder, *part, flags | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(folder)
    }
}

/// Opens the regular file of this name that stands in a folder itself; `None` if what is there is something else. Waits for
/// the disk.
pub fn open_in(folder: &Path, name: &str) -> io::Result<Option<WebFile>> {
    file_in(&WebRoot(folder.to_owned()).folder_at(&[])?, name.as_bytes())
}

/// Whether a part of a path may be the name of something that is shown.
fn is_shown(part: &[u8]) -> bool {
    let is_plain = !part.is_empty() && !part.contains(&0);
    is_plain && (part[0] != b'.' || part == WELL_KNOWN)
}

/// Opens a regular file of a folder; `None` if what is there is something else. A pipe is not waited for.
fn file_in(folder: &OwnedFd, name: &[u8]) -> io::Result<Option<WebFile>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    let about = file.metadata()?;
    if !about.is_file() {
        return Ok(None);
    }
    let modified = about.modified()?.duration_since(UNIX_EPOCH);
    Ok(Some(WebFile {
        bytes: about.len(),
        modified: modified.unwrap_or_default(), // before 1970
        name: String::from_utf8_lossy(name).into_owned(),
        file,
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn site() -> (TempDir, WebRoot) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("site");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join(".well-known")).unwrap();
        fs::create_dir_all(root.join("empty")).unwrap();
        for name in [
            "top.txt",
            "a/index.html",
            "a/b/deep é.mp3",
            ".secret",
            ".well-known/x",
        ] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::write(folder.path().join("outside"), "never").unwrap();
        symlink("../outside", root.join("link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("top.txt", root.join("inner")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), Mode::RUSR).unwrap();
        (folder, WebRoot::new(root))
    }

    #[test]
    fn files_below_the_folder_are_opened() {
        let (_folder, root) = site();
        for (path, name, bytes) in [
            ("/top.txt", "top.txt", 7),
            ("/%74op.txt", "top.txt", 7),
            ("/a/", "index.html", 12),
            ("/a/index.html", "index.html", 12),
            ("/a/b/deep%20%C3%A9.mp3", "deep é.mp3", 15),
            ("/.well-known/x", "x", 13),
        ] {
            match root.open(path) {
                Opened::File(file) => assert_eq!((file.name.as_str(), file.bytes), (name, bytes)),
                other => panic!("{path}: {other:?}"),
            }
        }
        assert!(matches!(root.open("/a"), Opened::Folder));
    }

    #[test]
    fn nothing_else_is_opened() {
        let (_folder, root) = site();
        let deep = "/a".repeat(MAX_PARTS + 1);
        for path in [
            "",
            "/",
            "/none",
            "/empty",
            "/empty/",
            "/a/b",
            "/a/b/",
            "/top.txt/",
            "/top.txt/x",
            "/.secret",
            "/link",
            "/inner",
            "/up/outside",
            "/up/",
            "/../outside",
            "/a/../top.txt",
            "/a//b",
            "/pipe",
            "/top.txt%00",
            "/%2e%2e/outside",
            "/a/%2e%2e%2ftop.txt",
            "//etc/passwd",
            "/%2fetc%2fpasswd",
            &deep,
        ] {
            assert!(matches!(root.open(path), Opened::Nothing), "{path}");
        }
        let gone = WebRoot::new("/nowhere/at/all".into());
        assert!(matches!(gone.open("/top.txt"), Opened::Nothing));
    }
}
