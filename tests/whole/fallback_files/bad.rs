//! Files that cannot be: each is refused with what is wrong and what to do, and nothing else is changed.

use super::stage::{LIVE, PASSWORD, numbered_file, put, wait_kept, write};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::signal::frame;
use crate::support::tool::complaint;

#[test]
fn files_that_cannot_be_played_are_not_put() {
    let folder = tempfile::tempdir().unwrap();
    let node = &TestMesh::start(1).nodes[0];
    let frames: Vec<u8> = (0..400).flat_map(frame).collect();
    let holed = [&frames[..41_700], &[0x55; 5_000], &frames].concat();
    let refused = |name: &str, bytes: &[u8], words: &str| {
        let path = write(folder.path(), name, bytes);
        let said = complaint(&node.command("file", &["put", path.to_str().unwrap()]), 1);
        assert!(said.contains(words), "{name}: {said}");
    };
    refused(
        "text.mp3",
        b"no audio, and no need for any",
        "not MP3, AAC (ADTS) or Ogg",
    );
    refused("empty.mp3", b"", "the file is empty");
    refused(
        "short.mp3",
        &frames[..417 * 10],
        "a loop must have 1 s at least",
    );
    refused("holed.mp3", &holed, "damaged at byte 41700");
    refused(
        "film.webm",
        b"\x1A\x45\xDF\xA3\x9f\x42\x86\x81\x01",
        "WebM cannot be played again",
    );
    refused("long.mp3", &vec![0; (16 << 20) + 1], "more than 16 MiB");
    let path = write(folder.path(), "my loop.mp3", &frames);
    let named = |arguments: &[&str]| {
        let put = [&["put", path.to_str().unwrap()], arguments].concat();
        node.command("file", &put)
    };
    let said = complaint(&named(&[]), 1);
    assert!(
        said.contains("--name") && said.contains("a file must have a name"),
        "{said}"
    );
    done(&named(&["--name", "loop.mp3"]));
    let missing = complaint(&node.command("file", &["put", "/nowhere/loop.mp3"]), 1);
    assert!(missing.contains("/nowhere/loop.mp3"), "{missing}");
    let listed = done(&node.command("file", &["list"]));
    assert_eq!(
        listed.matches("mp3").count(),
        1,
        "only the good one: {listed}"
    );
    let too_long = node.api("PUT", "/api/v1/files/long.mp3", &" ".repeat((16 << 20) + 1));
    let too_long = too_long.unwrap();
    assert_eq!(too_long.head.status, 413, "{}", too_long.text());
}

#[test]
fn all_files_together_have_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let node = &TestMesh::start(1).nodes[0];
    for n in 0..4 {
        // Each is another one.
        let frames: Vec<u8> = (n..n + 39_000).flat_map(frame).collect();
        put(node, folder.path(), &format!("{n}.mp3"), &frames);
    }
    let path = write(
        folder.path(),
        "more.mp3",
        &(9..39_009).flat_map(frame).collect::<Vec<_>>(),
    );
    let said = complaint(&node.command("file", &["put", path.to_str().unwrap()]), 1);
    assert!(
        said.contains("may have 65536 KiB in all: delete some"),
        "{said}"
    );
    done(&node.command("file", &["delete", "2.mp3"]));
    done(&node.command("file", &["put", path.to_str().unwrap()]));
}

#[test]
fn fallbacks_to_files_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(2);
    let node = &mesh.nodes[0];
    put(node, folder.path(), "loop.mp3", &numbered_file());
    wait_kept(&mesh.nodes, "loop.mp3");
    mesh.create_mount(LIVE, PASSWORD);
    let set = |value: &str| node.command("mount", &["set", LIVE, &format!("fallback={value}")]);
    let said = complaint(&set("file:lop.mp3"), 1);
    assert!(
        said.contains("no file lop.mp3; did you mean file:loop.mp3?"),
        "{said}"
    );
    let said = complaint(&set("file:quite-another.ogg"), 1);
    assert!(
        said.contains("put it first (antiphon file put quite-another.ogg)"),
        "{said}"
    );
    let said = complaint(&set("file:../loop.mp3"), 2);
    assert!(
        said.contains("a file must have a name of 1 to 64"),
        "{said}"
    );
    let said = complaint(&set("file:/srv/../loop.mp3"), 2);
    assert!(said.contains("a path must be absolute"), "{said}");
    done(&set("file:loop.mp3"));
    delete_while_played(&mesh, node);
}

fn delete_while_played(mesh: &TestMesh, node: &TestNode) {
    let delete = |arguments: &[&str]| {
        let delete = [&["delete", "loop.mp3"], arguments].concat();
        node.command("file", &delete)
    };
    let said = complaint(&delete(&[]), 1);
    assert!(
        said.contains("/live.mp3 plays file:loop.mp3: change that first"),
        "{said}"
    );
    done(&delete(&["--force"]));
    for node in &mesh.nodes {
        eventually(PATIENCE, "it is missing", || {
            let listed = done(&node.command("mount", &["sources", LIVE]));
            so(listed.contains("there is no such file"), listed)
        });
    }
    let said = complaint(&delete(&[]), 1);
    assert!(said.contains("there is no file loop.mp3"), "{said}");
}
