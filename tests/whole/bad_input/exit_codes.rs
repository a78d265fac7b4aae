//! The exit codes of the command line against a real node.

use std::net::TcpListener;
use std::process::{Command, Output};

use antiphon::model::status::Status;

use super::{MOUNT, PASSWORD, node_with_mount};
use crate::support::node::TestNode;

/// Runs `antiphon` against a node, with its token or with another right.
fn antiphon(node: &TestNode, arguments: &[&str], right: &[(&str, &str)]) -> Output {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command
        .env_clear()
        .env("HOME", home.path())
        .envs(right.iter().copied());
    command.args(arguments).args(["--node", &node.url()]);
    if right.is_empty() {
        command.arg("--data-dir").arg(node.data_dir());
    }
    command.output().expect("the program can be run")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn exit_codes_are_0_for_success_1_failure_2_nonsense() {
    let node = node_with_mount();
    for (arguments, code) in [
        (&["mount", "list"][..], 0),
        (&["mount", "show", MOUNT], 0),
        (&["mount", "create", "/a.mp3"], 0),
        (&["mount", "create", "/a.mp3"], 1),
        (&["mount", "set", "/a.mp3", "name=A", "max_listeners=5"], 0),
        (&["mount", "set", "/a.mp3", "url=ftp://x"], 2),
        (&["mount", "set", "/a.mp3", "colour=red"], 2),
        (&["mount", "set", "/a.mp3", "max_listeners=many"], 2),
        (&["mount", "set", "/b.mp3", "name=B"], 1),
        (&["mount", "show", "/b.mp3"], 1),
        (&["mount", "delete", "/b.mp3"], 1),
        (&["mount", "delete", "/a.mp3"], 0),
        (&["mount", "create", "no-slash"], 2),
        (&["mount", "crate", "/a.mp3"], 2),
        (&["status"], 0),
        (&["status", "--json"], 0),
        (&["status", "--yaml"], 2),
    ] {
        let output = antiphon(&node, arguments, &[]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?} {}",
            said(&output)
        );
        assert_eq!(
            output.stderr.is_empty(),
            code == 0,
            "{arguments:?} {}",
            said(&output)
        );
    }
    let json = antiphon(&node, &["status", "--json"], &[]).stdout;
    let status: Status = serde_json::from_slice(&json).expect("it is JSON");
    assert_eq!(status.node.as_str(), "n1");
}

#[test]
fn a_wrong_password_is_a_failure_with_a_hint() {
    let node = node_with_mount();
    let wrong = [("ANTIPHON_PASSWORD", PASSWORD)];
    let output = antiphon(&node, &["mount", "list"], &wrong);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("--password-file"),
        "{}",
        said(&output)
    );
    let output = antiphon(&node, &["mount", "list"], &[("ANTIPHON_LOG", "info")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("wants to know who asks"),
        "{}",
        said(&output)
    );
    let output = antiphon(&node, &["status"], &wrong);
    assert_eq!(
        output.status.code(),
        Some(0),
        "that needs no right: {}",
        said(&output)
    );
}

#[test]
fn an_unreachable_node_is_3() {
    let mut node = node_with_mount();
    node.kill9();
    for arguments in [
        &["mount", "list"][..],
        &["status"],
        &["mount", "delete", MOUNT],
    ] {
        let output = antiphon(&node, arguments, &[]);
        assert_eq!(
            output.status.code(),
            Some(3),
            "{arguments:?} {}",
            said(&output)
        );
    }
    let silent = TcpListener::bind(node.address()).expect("its port is free now");
    let output = antiphon(&node, &["status"], &[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        said(&output).contains("did not answer"),
        "{}",
        said(&output)
    );
    drop(silent);
}
