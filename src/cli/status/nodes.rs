//! The nodes in tables: a row for each.

use crate::cli::quantities::{clock_offset, percent, rate};
use crate::cli::terminal::{Side, TextTable};
use crate::model::status::{NodeState, NodeStatus};

/// The table of nodes with their load.
pub(super) fn rows(nodes: &[NodeStatus]) -> String {
    let mut table = self::table(&[
        ("LISTENERS", Side::Right),
        ("SENDING", Side::Right),
        ("IN USE", Side::Right),
        ("SOON", Side::Right),
        ("CLOCK", Side::Right),
        ("URL", Side::Left),
    ]);
    for node in nodes {
        let known = |text: String| if_known(node, text);
        let more = [
            known(format!("{}/{}", node.listeners, node.max_listeners)),
            known(rate(node.bandwidth_bps)),
            known(percent(node.utilization)),
            known(percent(node.predicted_utilization)),
            known(
                node.clock_offset_ms
                    .map_or_else(|| "-".to_owned(), clock_offset),
            ),
            node.url.clone(),
        ];
        table.row(about(node).into_iter().chain(more));
    }
    table.render()
}

/// The text if the node lives: the last load report of a dead one is no longer true.
pub(in crate::cli) fn if_known(node: &NodeStatus, text: String) -> String {
    match node.state {
        NodeState::Dead => "-".to_owned(),
        _ => text,
    }
}

/// A table of nodes, without rows: what every one begins with, and these columns.
pub(in crate::cli) fn table(more: &[(&str, Side)]) -> TextTable {
    let first = [
        ("NODE", Side::Left),
        ("STATE", Side::Left),
        ("ROLE", Side::Left),
        ("RANK", Side::Right),
    ];
    TextTable::new(&[&first[..], more].concat())
}

/// The cells of a node with which its row begins.
pub(in crate::cli) fn about(node: &NodeStatus) -> [String; 4] {
    [
        node.name.to_string(),
        condition(node),
        role(node).to_owned(),
        node.rank.to_string(),
    ]
}

/// The seat that a node holds.
fn role(node: &NodeStatus) -> &'static str {
    if node.master { "master" } else { "" }
}

/// Whether a node is alive, and whether operators keep listeners away from it.
fn condition(node: &NodeStatus) -> String {
    let state = state(node.state);
    match node.traits.maintenance {
        true => format!("{state}, maintenance"),
        false => state.to_owned(),
    }
}

/// The state of a node, in a word.
fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Alive => "alive",
        NodeState::Suspect => "suspect",
        NodeState::Unlinked => "no direct link",
        NodeState::Dead => "dead",
        NodeState::Draining => "draining",
    }
}
