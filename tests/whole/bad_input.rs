//! Invalid input of all kinds: the node says what is wrong, and continues or does not start.

mod api;
mod containers;
mod crowds;
mod exit_codes;
mod formats;
mod full_disk;
mod guessing;
mod heads;
mod joining;
mod logged;
mod logins;
mod members;
mod odd_heads;
mod ogg;
mod pages;
mod saving;
mod slow_readers;
mod startup;
mod strangers;
mod wire;

use antiphon::model::status::Status;

use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};

/// The mount that most of these tests use.
const MOUNT: &str = "/radio.mp3";
/// The password of its source.
const PASSWORD: &str = "hackme";

/// A node on its own, without mounts.
fn node() -> TestNode {
    Setup::named("n1").start()
}

/// A node on its own, with one mount.
fn node_with_mount() -> TestNode {
    let node = node();
    node.create_mount(MOUNT, PASSWORD);
    node
}

/// Waits until a node sees the mesh as it should be.
fn wait_status(node: &TestNode, what: &str, should: impl Fn(&Status) -> bool) {
    eventually(PATIENCE, &format!("{}: {what}", node.name()), || {
        let status = node.try_status().map_err(|error| error.to_string())?;
        so(should(&status), format!("{status:?}"))
    });
}

/// Waits until a node's log is as it should be.
fn wait_log(node: &TestNode, what: &str, should: impl Fn(&str) -> bool) {
    eventually(PATIENCE, &format!("{}: {what}", node.name()), || {
        so(should(&node.log()), "the log below")
    });
}

/// Whether the one mount of a node has a source.
fn is_on_air(status: &Status) -> bool {
    status
        .mounts
        .first()
        .is_some_and(|mount| mount.source.is_some())
}
