//! `antiphon mount sources`: what the listeners of a mount may hear, what they hear now, and where.

use anyhow::Context;
use hyper::Method;

use super::api::Api;
use super::terminal::{Side, TextTable};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::status::rung::RungState;
use crate::model::status::{MountStatus, Status};

/// The rungs of a mount, the best first.
pub(super) async fn list(api: &Api, path: &MountName) -> anyhow::Result<String> {
    let status: Status = api.ask_for(Method::GET, "/status.json", None).await?;
    let mut mounts = status.mounts.iter();
    let mount = mounts.find(|mount| mount.path == *path);
    let mount = mount.with_context(|| {
        format!("there is no mount {path}: `antiphon mount list` shows all of them")
    })?;
    Ok(table(mount))
}

fn table(mount: &MountStatus) -> String {
    let mut table = TextTable::new(&[
        ("RUNG", Side::Right),
        ("STREAM", Side::Left),
        ("STATE", Side::Left),
        ("HEARD ON", Side::Left),
    ]);
    let source = mount.source.as_ref();
    if mount.rungs.is_empty() {
        let state = match source {
            Some(_) => RungState::Flows,
            None => RungState::OffAir,
        };
        table.row(row(1, "its own source", state, &mount.holders));
    }
    for (rung, number) in mount.rungs.iter().zip(1..) {
        let stream = match rung.rung.is_mount(&mount.path) {
            true => "its own source".to_owned(),
            false => rung.rung.to_string(),
        };
        table.row(row(number, &stream, rung.state, &rung.heard_on));
    }
    let hint = match mount.rungs.is_empty() {
        true => format!(
            "\n{} has no fallback: antiphon mount set {} fallback=/other.mp3\n",
            mount.path, mount.path
        ),
        false => String::new(),
    };
    table.render() + &hint
}

fn row(number: u32, stream: &str, state: RungState, heard_on: &[NodeName]) -> [String; 4] {
    let nodes: Vec<&str> = heard_on.iter().map(NodeName::as_str).collect();
    let heard_on = match nodes.is_empty() {
        true => "-".to_owned(),
        false => nodes.join(" "),
    };
    [
        number.to_string(),
        stream.to_owned(),
        state.words().to_owned(),
        heard_on,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::rung::RungStatus;

    #[test]
    fn the_rungs_of_a_mount_are_listed() {
        let mut mount = MountStatus::sample("/live.mp3");
        let alone = table(&mount);
        assert!(
            alone.contains("1  its own source  not on air  -"),
            "{alone}"
        );
        assert!(alone.contains("has no fallback: antiphon mount set /live.mp3 fallback="));
        let rung = |name: &str, state, nodes: &[&str]| RungStatus {
            rung: name.parse().unwrap(),
            state,
            heard_on: nodes.iter().map(|node| node.parse().unwrap()).collect(),
        };
        mount.rungs = vec![
            rung("/live.mp3", RungState::OffAir, &[]),
            rung("/auto.mp3", RungState::Flows, &["n1", "n2"]),
            rung("file:loop.mp3", RungState::Flows, &[]),
        ];
        let listed = table(&mount);
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(
            lines,
            [
                "RUNG  STREAM          STATE       HEARD ON",
                "   1  its own source  not on air  -",
                "   2  /auto.mp3       on air      n1 n2",
                "   3  file:loop.mp3   on air      -",
            ]
        );
    }
}
