//! A file at a path: each node has its own, or has none.

use std::fs;

use super::stage::{LIVE, PASSWORD, listener, numbered_file, wait_same_second, write};
use crate::support::executable::write_script;
use crate::support::mesh::TestMesh;
use crate::support::node::done;
use crate::support::patience::{PATIENCE, eventually, so};

/// The folder that a node was started in: another one for each node of the test.
const OWN_FOLDER: &str = "/proc/self/cwd";

#[test]
fn a_file_that_one_node_lacks_costs_only_its_own_rung() {
    let homes = tempfile::tempdir().unwrap();
    let home = |index: usize| homes.path().join(format!("home{index}"));
    let program = env!("CARGO_BIN_EXE_antiphon");
    for index in 0..2 {
        fs::create_dir(home(index)).unwrap();
        let script = format!("cd '{}' && exec '{program}' \"$@\"", home(index).display());
        write_script(&home(index).join("antiphon"), &script);
        write(&home(index), "second.mp3", &numbered_file());
    }
    write(&home(0), "first.mp3", &numbered_file());
    let mesh = TestMesh::start_with(2, |index, setup| {
        setup.program(home(index).join("antiphon").to_str().unwrap())
    });
    let rungs = ["first", "second"].map(|name| format!("file:{OWN_FOLDER}/{name}.mp3"));
    let fallback = format!(r#""fallback": "{}""#, rungs.join(","));
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, &fallback);
    mesh.wait_for_mount(LIVE);
    let players = [0, 1].map(|index| {
        eventually(PATIENCE, "the files are looked at", || {
            let listed = done(&mesh.nodes[index].command("mount", &["sources", LIVE]));
            so(
                listed.matches(" on air  ").count() == 3 && listed.contains("n2 cannot play"),
                listed,
            )
        });
        listener(&mesh.nodes[index], LIVE)
    });
    wait_same_second(&players);
    let said = format!("n2 cannot play {}: no such file on this node", rungs[0]);
    for node in &mesh.nodes {
        eventually(PATIENCE, "each hears its own rung", || {
            let listed = done(&node.command("mount", &["sources", LIVE]));
            let on = |rung: &str, name: &str| {
                let mut lines = listed.lines();
                lines.any(|line| line.contains(rung) && line.ends_with(name))
            };
            let good = on(&rungs[0], "n1") && on(&rungs[1], "n2") && listed.contains(&said);
            so(good, &listed)
        });
    }
    // Once it is there, it is heard.
    write(&home(1), "first.mp3", &numbered_file());
    mesh.wait_each_sees(LIVE, "the first file at both", |mount| {
        mount.rungs[1].heard_on.len() == 2 && mount.rungs[1].troubles.is_empty()
    });
    wait_same_second(&players);
}
