//! A fallback that is made on demand, and nobody can make it: listeners hear the next one.

use super::stage::{AUTO, AUTO_FIRST, LIVE, PASSWORD, encoder, listener, mount_command, runs};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};

const SMALL: &str = "/small.mp3";
const BACKUP: &str = "/backup.mp3";

#[test]
fn a_fallback_that_nobody_can_make_hides_none_below_it() {
    let mesh = TestMesh::start(2);
    for mount in [AUTO, BACKUP] {
        mesh.create_mount(mount, PASSWORD);
    }
    let small =
        r#""transcode_from": "/auto.mp3", "codec": "mp3", "bitrate": "64k", "on_demand": true"#;
    mesh.nodes[0].create_mount_with(SMALL, PASSWORD, small);
    mesh.wait_for_mount(SMALL);
    let fallbacks = r#""fallback": "/small.mp3,/backup.mp3""#;
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, fallbacks);
    mesh.wait_for_mount(LIVE);
    let _auto = encoder(&mesh.nodes[0], AUTO, 0);
    let _backup = encoder(&mesh.nodes[0], BACKUP, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    mesh.wait_on_air(BACKUP);
    for node in &mesh.nodes {
        let player = listener(node, LIVE);
        eventually(PATIENCE, "the rung below is heard", || {
            let (runs, _) = runs(&player);
            so(
                runs.iter().any(|it| it.first >= AUTO_FIRST),
                format!("{runs:?}"),
            )
        });
        let listed = mount_command(node, &["sources", LIVE]);
        for words in [
            "/small.mp3 does not come: no node can transcode to mp3 now",
            "the highest rung that is on air is heard: /backup.mp3",
        ] {
            assert!(listed.contains(words), "{listed}");
        }
    }
}
