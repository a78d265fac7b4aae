//! The command line keeps its promises: its exit codes, and what its smaller commands leave behind.

#![allow(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test ends here"
)]

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};

/// Runs `antiphon` with these arguments in a home of its own.
fn antiphon(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    let kept = std::env::vars_os().filter(|(name, _)| name == "PATH");
    command.env_clear().envs(kept).env("HOME", home);
    command.args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The URL of a port of this machine at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn help_and_version_are_no_failure() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["--version"], &["mount", "set", "--help"]] {
        let output = antiphon(home.path(), arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_mistyped_flag_is_an_error_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let output = antiphon(home.path(), &["run", "--lisen", "127.0.0.1:0"]);
    assert_eq!(code(&output), 2);
    assert!(said(&output).contains("--listen"), "{}", said(&output));
    assert_eq!(code(&antiphon(home.path(), &[])), 2);
    let output = antiphon(home.path(), &["run", "--max-bandwidth", "fast"]);
    assert_eq!(code(&output), 2);
    assert!(said(&output).contains("100M"), "{}", said(&output));
}

#[test]
fn a_guard_is_not_for_operators() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["__guard"][..], &["__guard", "1", "-", "x", "/bin/sh"]] {
        let output = antiphon(home.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(said(&output).contains("not a command"), "{}", said(&output));
    }
    // An order that can be read, and nobody who gave it.
    let output = antiphon(home.path(), &["__guard", "1", "-", "0", "/bin/sh"]);
    assert_eq!(code(&output), 2);
    let help = antiphon(home.path(), &["--help"]);
    assert!(!String::from_utf8_lossy(&help.stdout).contains("__guard"));
}

#[test]
fn a_node_does_not_start_with_a_transcoder_that_cannot_run() {
    let home = tempfile::tempdir().unwrap();
    let listen = ["run", "--listen", "127.0.0.1:0", "--transcode"];
    for (arguments, expected, hint) in [
        (["--transcode-user", "no-such-user"], 1, "no such user"),
        (["--transcode-user", "root"], 1, "which is root"),
        (
            ["--transcode-engine", "sox"],
            2,
            "auto, liquidsoap or ffmpeg",
        ),
        (["--transcode-memory-mib", "512M"], 2, "such as 512"),
        (["--max-transcoders", "all"], 2, "such as 4"),
    ] {
        let output = antiphon(home.path(), &[&listen[..], &arguments].concat());
        let said = said(&output);
        assert_eq!(code(&output), expected, "{arguments:?} {said}");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn a_mistyped_setting_is_named_with_its_place() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("antiphon.toml");
    fs::write(&file, "name = 'n1'\nlisen = '127.0.0.1:0'\n").unwrap();
    let path = file.to_str().unwrap();
    let output = antiphon(home.path(), &["run", "--config", path]);
    assert_eq!(code(&output), 1);
    let place = format!("{path}:2:1: ");
    let said = said(&output);
    assert!(said.contains(&place), "{said}");
    assert!(said.contains("did you mean \"listen\""), "{said}");
}

#[test]
fn an_unreachable_node_has_its_own_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let node = nobody();
    for arguments in [
        &["status", "--node", &node][..],
        &["status", "--json", "--node", &node],
        &["mount", "list", "--node", &node],
        &["mount", "create", "/radio.mp3", "--node", &node],
    ] {
        let output = antiphon(home.path(), arguments);
        assert_eq!(code(&output), 3, "{arguments:?} {}", said(&output));
        assert!(said(&output).contains("cannot reach 127.0.0.1:"));
    }
}

#[test]
fn nonsense_is_refused_before_anything_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let (node, long) = (nobody(), "x".repeat(2_000));
    for (arguments, hint) in [
        (&["listeners", "/a", "kill", "1@n1"][..], "ids only"),
        (&["mount", "set", "/a", "name=a", "name=b"], "given twice"),
        (&["mount", "set", "/a", "password="], "1 to 1024 bytes"),
        (&["mount", "create", "/a", "--password", &long], "1024"),
        (&["password", "set", ""], "1 to 1024 bytes"),
        (&["node", "drain", "--deadline", "25h"], "at most 24h"),
        (
            &["mount", "create", "/a", "--transcode-from", "/b"],
            "codec: missing",
        ),
        (
            &["mount", "create", "/a", "--bitrate", "64k"],
            "bitrate: only for a mount that is transcoded",
        ),
        (&["mount", "set", "/a", "bitrate=64"], "write 64k"),
        (&["mount", "set", "/a", "codec=ogg"], "`opus` or `flac`"),
    ] {
        let arguments = [arguments, &["--node", &node]].concat();
        let output = antiphon(home.path(), &arguments);
        assert_eq!(code(&output), 2, "{arguments:?} {}", said(&output));
        assert!(said(&output).contains(hint), "{}", said(&output));
    }
}

#[test]
fn a_secret_is_written_once() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("secret");
    let generate = ["secret", "generate", "--out", file.to_str().unwrap()];
    let output = antiphon(home.path(), &generate);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let secret = fs::read_to_string(&file).unwrap();
    assert_eq!(secret.len(), 65);
    let output = antiphon(home.path(), &generate);
    assert_eq!(code(&output), 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
    let printed = antiphon(home.path(), &["secret", "generate"]).stdout;
    assert_eq!(printed.len(), 65);
    assert_ne!(printed, secret.as_bytes());
}

#[test]
fn a_file_without_sound_is_not_sent() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("x.mp3");
    fs::write(&file, "no sound").unwrap();
    let url = "http://source:pw@127.0.0.1:9/radio.mp3";
    let output = antiphon(home.path(), &["source", file.to_str().unwrap(), url]);
    assert_eq!(code(&output), 1);
    let said = said(&output);
    assert!(said.contains("neither MP3 nor Ogg"), "{said}");
}

#[test]
fn a_demo_does_not_start_on_a_taken_port() {
    let home = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = antiphon(home.path(), &["demo", "--port", &port, "--nodes", "1"]);
    assert_eq!(code(&output), 1);
    let said = said(&output);
    assert!(said.contains(&format!("port {port} ")), "{said}");
}

/// Runs `antiphon` with a variable more.
fn antiphon_with(home: &Path, name: &str, value: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.env_clear().env("HOME", home).env(name, value);
    command.args(arguments).output().unwrap()
}

#[test]
fn a_word_that_is_no_level_is_refused_everywhere() {
    let home = tempfile::tempdir().unwrap();
    for command in [&["run"][..], &["status"], &["mount", "list"]] {
        let output = antiphon_with(home.path(), "ANTIPHON_LOG", "warm", command);
        assert_eq!(code(&output), 1, "{command:?}");
        let said = said(&output);
        assert!(said.contains("ANTIPHON_LOG is \"warm\""), "{said}");
        assert!(said.contains("did you mean \"warn\"?"), "{said}");
    }
    let output = antiphon(home.path(), &["run", "--log", "warm"]);
    assert_eq!(code(&output), 2);
    assert!(said(&output).contains("did you mean \"warn\"?"));
}

#[test]
fn an_unknown_variable_is_a_warning_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let node = nobody();
    let status = ["status", "--node", &node];
    let output = antiphon_with(home.path(), "ANTIPHON_JION", "a:1", &status);
    assert_eq!(code(&output), 3, "it is a warning only");
    let said = said(&output);
    assert!(said.contains("did you mean ANTIPHON_JOIN?"), "{said}");
}

#[test]
fn a_number_is_asked_for_with_an_example() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["run", "--max-listeners", "many"][..],
        &["run", "--max-listeners=-1"],
        &["run", "--max-listeners", "5000000000"],
        &["run", "--rank", "1.5"],
        &["mount", "create", "/a.mp3", "--max-listeners", "many"],
        &["mount", "create", "/a.mp3", "--linger-s", "10s"],
        &[
            "outside",
            "add",
            "r",
            "--weight",
            "x",
            "--public-url",
            "http://h",
            "--mount",
            "/a",
        ],
        &["demo", "--nodes", "three"],
        &["demo", "--port", "http"],
        &["demo", "--seconds", "1m"],
    ] {
        let output = antiphon(home.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        let said = said(&output);
        assert!(said.contains("a number, such as "), "{arguments:?}: {said}");
        assert!(!said.contains("digit"), "{arguments:?}: {said}");
    }
}

#[test]
fn an_unreachable_node_is_answered_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let output = antiphon(home.path(), &["status", "--node", &nobody()]);
    assert_eq!(code(&output), 3);
    assert!(said(&output).contains("by --node http://HOST:PORT"));
}

#[test]
fn a_ring_that_is_too_short_is_refused_with_its_bounds() {
    let home = tempfile::tempdir().unwrap();
    let node = nobody();
    for (arguments, key) in [
        (
            &["mount", "create", "/a.mp3", "--ring-s", "5"][..],
            "--ring-s",
        ),
        (&["mount", "set", "/a.mp3", "ring_s=5"], "ring_s"),
    ] {
        let output = antiphon(home.path(), &[arguments, &["--node", &node]].concat());
        assert_eq!(code(&output), 2, "{arguments:?}: nothing was sent");
        let said = said(&output);
        assert!(said.contains(key), "{said}");
        assert!(said.contains("from 10 to 120"), "{said}");
    }
}
