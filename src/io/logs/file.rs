//! A log on disk: whole lines are appended, and it is begun anew at a size, with so many old ones kept.
//!
//! All calls wait for the disk. After an error the file holds whole lines only, and the next call tries everything again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Whoever may read a log: its owner and its group, as is usual for logs.
const FILE_MODE: u32 = 0o640;
/// The same for the folder, if it has to be made.
const FOLDER_MODE: u32 = 0o750;

/// The size and number of the files of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The size at which a file is begun anew.
    pub max_bytes: u64,
    /// How many old files are kept.
    pub keep: u32,
}

/// One log, which is opened when something is to be written.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    open: Option<File>,
}

/// Why lines are not written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", .path.display())]
pub struct NotWritten {
    /// The file.
    pub path: PathBuf,
    /// The error of the system.
    #[source]
    pub error: io::Error,
    /// How many lines are lost.
    pub lines: u64,
}

impl LogFile {
    /// A log of this name in this folder.
    pub fn new(folder: &Path, name: &str, rotation: Rotation) -> Self {
        Self {
            path: folder.join(name),
            rotation,
            open: None,
        }
    }

    /// Opens the file that has its name now, and appends lines from now on there.
    pub fn reopen(&mut self) -> Result<(), NotWritten> {
        self.open = None;
        let opened = self.opened().map(|_file| ());
        opened.map_err(|error| self.failed(error, 0))
    }

    /// Appends lines. A file that would get too long is begun anew between two of them.
    pub fn append(&mut self, lines: &[String]) -> Result<(), NotWritten> {
        let mut rest = lines;
        while !rest.is_empty() {
            match self.append_some(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(error) => return Err(self.failed(error, rest.len() as u64)),
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: io::Error, lines: u64) -> NotWritten {
        self.open = None;
        NotWritten {
            path: self.path.clone(),
            error,
            lines,
        }
    }

    /// Appends as many lines as have room in the file; how many these were.
    fn append_some(&mut self, lines: &[String]) -> io::Result<usize> {
        let (max_bytes, file) = (self.rotation.max_bytes, self.opened()?);
        // Asked each time: somebody may have emptied the file, as logrotate does by `copytruncate`.
        let length = file.metadata()?.len();
        let mut text = String::new();
        let mut taken = 0;
        for line in lines {
            let after = length + (text.len() + line.len() + 1) as u64;
            // A line that is too long by itself has a file of its own.
            if after > max_bytes && length + text.len() as u64 > 0 {
                break;
            }
            text += line;
            text.push('\n');
            taken += 1;
        }
        if taken == 0 {
            self.rotate()?;
            return Ok(0);
        }
        if let Err(error) = file.write_all(text.as_bytes()) {
            // A part of them may be there: of a full disk the last line is a half one.
            let _as_it_is = file.set_len(length);
            return Err(error);
        }
        Ok(taken)
    }

    fn opened(&mut self) -> io::Result<&mut File> {
        if self.open.is_none() {
            if let Some(folder) = self.path.parent() {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(FOLDER_MODE).create(folder)?;
            }
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(FILE_MODE)
                // A pipe without a reader would be waited for.
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(&self.path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("this is not a file: remove it"));
            }
            self.open = Some(file);
        }
        Ok(self.open.as_mut().expect("it was just opened"))
    }

    /// Gives each old file the next number, and the file the first one. What is too old is removed.
    fn rotate(&mut self) -> io::Result<()> {
        let old = |number: u32| {
            let mut path = self.path.clone().into_os_string();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        };
        let keep = self.rotation.keep;
        if keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            for number in (1..keep).rev() {
                if_there(fs::rename(old(number), old(number + 1)))?;
            }
            fs::rename(&self.path, old(1))?;
        }
        // More were kept before the setting was changed.
        let mut beyond = keep + 1;
        while fs::remove_file(old(beyond)).is_ok() {
            beyond += 1;
        }
        self.open = None;
        Ok(())
    }
}

fn if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|number| format!("line {number:04}")).collect()
    }

    fn read(folder: &Path, name: &str) -> Vec<String> {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        text.lines().map(str::to_owned).collect()
    }

    fn log(folder: &Path, max_bytes: u64, keep: u32) -> LogFile {
        LogFile::new(folder, "access.log", Rotation { max_bytes, keep })
    }

    #[test]
    fn lines_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("made/for/it");
        for numbers in [0..3, 3..5] {
            log(&below, 1_000, 1).append(&lines(numbers)).unwrap();
        }
        assert_eq!(read(&below, "access.log"), lines(0..5));
    }

    #[test]
    fn a_file_that_is_full_gets_a_number_and_no_line_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 100, 3);
        // Ten bytes each: ten in a file.
        for begin in (0..38).step_by(2) {
            log.append(&lines(begin..begin + 2)).unwrap();
        }
        let names = ["access.log.3", "access.log.2", "access.log.1", "access.log"];
        let all: Vec<String> = names
            .iter()
            .flat_map(|name| read(folder.path(), name))
            .collect();
        assert_eq!(all, lines(0..38));
        log.append(&lines(38..42)).unwrap();
        assert_eq!(read(folder.path(), "access.log.3"), lines(10..20));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        let mut fewer = super::LogFile::new(
            folder.path(),
            "access.log",
            Rotation {
                max_bytes: 20,
                keep: 1,
            },
        );
        fewer.append(&lines(42..43)).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn without_old_files_a_full_one_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 30, 0);
        log.append(&lines(0..4)).unwrap();
        assert_eq!(read(folder.path(), "access.log"), lines(3..4));
        let long = vec!["x".repeat(100)];
        log.append(&long).unwrap();
        assert_eq!(
            read(folder.path(), "access.log"),
            long,
            "longer than a file"
        );
    }

    #[test]
    fn a_file_that_was_renamed_or_emptied_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = log(folder.path(), 1_000, 1);
        log.append(&lines(0..1)).unwrap();
        fs::rename(&path, folder.path().join("old")).unwrap();
        log.append(&lines(1..2)).unwrap();
        log.reopen().unwrap();
        assert_eq!(
            read(folder.path(), "access.log"),
            [""; 0],
            "it is there already"
        );
        log.append(&lines(2..3)).unwrap();
        assert_eq!(read(folder.path(), "old"), lines(0..2));
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        log.append(&lines(3..4)).unwrap();
        assert_eq!(read(folder.path(), "access.log"), lines(3..4));
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 1_000, 1);
        let path = folder.path().join("access.log");
        fs::create_dir(&path).unwrap();
        assert_eq!(log.reopen().unwrap_err().lines, 0);
        let error = log.append(&lines(0..3)).unwrap_err();
        assert_eq!((error.lines, &error.path), (3, &path));
        assert!(error.to_string().contains("access.log: "), "{error}");
        fs::remove_dir(&path).unwrap();
        log.append(&lines(3..4)).unwrap();
        assert_eq!(read(folder.path(), "access.log"), lines(3..4));
    }

    #[test]
    fn of_a_line_that_does_not_fit_the_disk_nothing_stays() {
        // A file system that is always full: nothing is left to take back, and the error is the system's own.
        let mut log = LogFile::new(
            Path::new("/dev"),
            "full",
            Rotation {
                max_bytes: 99,
                keep: 1,
            },
        );
        let error = log.append(&lines(0..1)).unwrap_err();
        assert!(error.to_string().contains("not a file"), "{error}");
    }
}
