//! Programs that a test puts in place, to be started at once.
//!
//! Another program writes them. A file that this process holds open for writing cannot be started ("text file busy"), and
//! a child that another test starts at that moment holds it open too, until it has become its own program.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Copies a program to this path, where every user may run it.
pub(crate) fn copy_executable(from: &Path, to: &Path) {
    let mut command = Command::new("install");
    command.args(["-m", "755", "--"]).arg(from).arg(to);
    let output = command.output().expect("install is in every Linux");
    assert!(output.status.success(), "{output:?}");
}

/// Writes a program for the shell to this path, where every user may run it.
pub(crate) fn write_script(path: &Path, script: &str) {
    let text = path.with_extension("text");
    fs::write(&text, format!("#!/bin/sh\n{script}\n")).expect("a new file");
    copy_executable(&text, path);
}
