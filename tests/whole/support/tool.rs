//! The programs that some tests run, and how they fail.

use std::env;
use std::process::Output;

/// Whether a program can be run. If not, the test fails, saying what to install; with `ANTIPHON_SKIP_MISSING=1`
/// it is told to end instead.
pub(crate) fn have(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return true;
    }
    let skip = env::var("ANTIPHON_SKIP_MISSING").is_ok_and(|value| value == "1");
    assert!(
        skip,
        "{program} is not installed: run tests/install-tools.sh, or set ANTIPHON_SKIP_MISSING=1"
    );
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test").to_owned();
    println!("{test}: skipped, because {program} is not installed");
    false
}

/// The complaint of a command that failed with this exit code.
pub(crate) fn complaint(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
