//! `access.log` and `playlist.log`: what a node notes for operators' tools, beside what Icecast does.

mod access;
mod files;
mod lines;
mod titles;

use std::fs;

use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually};

use self::lines::AccessLine;

const PASSWORD: &str = "source-pw";
const RADIO: &str = "/radio.mp3";

/// The text of a log of a node; empty if it is not there.
fn log(node: &TestNode, name: &str) -> String {
    let path = node.data_dir().join("logs").join(name);
    fs::read_to_string(path).unwrap_or_default()
}

/// The lines of a log, without one that is just being written.
fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split_inclusive('\n');
    lines.filter_map(|line| line.strip_suffix('\n'))
}

/// The requests that a node has noted.
fn requests(node: &TestNode) -> Vec<AccessLine> {
    let text = log(node, "access.log");
    whole_lines(&text).map(AccessLine::read).collect()
}

/// Waits for a line of which this is true.
fn wait_for(node: &TestNode, what: &str, is_it: impl Fn(&AccessLine) -> bool) -> AccessLine {
    let look = || {
        let found = requests(node).into_iter().find(&is_it);
        found.ok_or_else(|| log(node, "access.log"))
    };
    eventually(PATIENCE, what, look).0
}
