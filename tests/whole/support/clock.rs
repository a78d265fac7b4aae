//! A clock that is wrong, for one process only: libfaketime, which answers in the kernel's place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool::have;

/// The folder of Debian's libraries, with a folder below it for each kind of machine.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The library, if it is there; a word about it if it is not.
pub(crate) fn library() -> Option<PathBuf> {
    if !have("faketime") {
        return None;
    }
    let folders = fs::read_dir(LIBRARIES).ok()?.filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join(LIBRARY));
    let found = found.find(|file| file.exists());
    assert!(found.is_some(), "faketime is installed without {LIBRARY}");
    found
}

/// Lets a process see the time that a file says, such as `+1h`; it looks again each second.
pub(crate) fn follow(command: &mut Command, file: &Path) {
    let Some(library) = library() else { return };
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_CACHE_DURATION", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
}
