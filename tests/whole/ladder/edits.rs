//! Fallbacks that cannot be: each is refused where it is set, with what is wrong and what to do.

use super::stage::{AUTO, AUTO_FIRST, LIVE, PASSWORD, encoder, mesh, mount_command};
use crate::support::node::done;
use crate::support::tool::complaint;

#[test]
fn fallbacks_that_cannot_be_are_refused() {
    let mesh = mesh(1);
    let node = &mesh.nodes[0];
    let refused = |value: &str, words: &str| {
        let fallback = format!("fallback={value}");
        let said = complaint(&node.command("mount", &["set", AUTO, &fallback]), 1);
        assert!(said.contains(words), "{value}: {said}");
    };
    refused(LIVE, "a circle, /auto.mp3 to /live.mp3 to /auto.mp3");
    refused(AUTO, "a circle, /auto.mp3 to /auto.mp3");
    refused(
        "/lives.mp3",
        "there is no mount /lives.mp3; did you mean /live.mp3?",
    );
    let bad = |value: &str, words: &str| {
        let fallback = format!("fallback={value}");
        let said = complaint(&node.command("mount", &["set", AUTO, &fallback]), 2);
        assert!(said.contains(words), "{value}: {said}");
    };
    bad("auto.mp3", "must begin with /");
    bad("/a,/a", "/a stands twice");
    let shown = mount_command(node, &["show", LIVE]);
    assert!(shown.contains(AUTO), "nothing has changed: {shown}");
}

#[test]
fn a_new_mount_of_another_format_is_refused() {
    let mesh = mesh(1);
    let node = &mesh.nodes[0];
    let _auto = encoder(node, AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    let new = [
        "create",
        "/live.opus",
        "--transcode-from",
        LIVE,
        "--codec",
        "opus",
    ];
    let with_fallback = [&new[..], &["--fallback", AUTO]].concat();
    let said = complaint(&node.command("mount", &with_fallback), 1);
    assert!(said.contains("/auto.mp3 is MP3"), "{said}");
    // Who looks sees what would be heard.
    let shown = done(&node.command("status", &[]));
    assert!(shown.contains("offers /auto.mp3"), "{shown}");
}

#[test]
fn a_fallback_is_deleted_only_by_force() {
    let mesh = mesh(1);
    let node = &mesh.nodes[0];
    let said = complaint(&node.command("mount", &["delete", AUTO]), 1);
    assert!(said.contains("/live.mp3 falls back to /auto.mp3"), "{said}");
    mount_command(node, &["delete", AUTO, "--force"]);
    let listed = mount_command(node, &["sources", LIVE]);
    assert!(listed.contains("there is no such mount"), "{listed}");
    node.create_mount(AUTO, PASSWORD);
    let listed = mount_command(node, &["sources", LIVE]);
    assert!(!listed.contains("there is no such mount"), "{listed}");
}

#[test]
fn a_mount_to_which_another_is_switched_is_deleted_only_by_force() {
    let mesh = mesh(1);
    let node = &mesh.nodes[0];
    node.create_mount("/news.mp3", PASSWORD);
    mount_command(node, &["switch", LIVE, "/news.mp3"]);
    let said = complaint(&node.command("mount", &["delete", "/news.mp3"]), 1);
    let words = "/live.mp3 is switched to /news.mp3: switch back first";
    assert!(said.contains(words), "{said}");
    mount_command(node, &["switch", LIVE, "--back"]);
    mount_command(node, &["delete", "/news.mp3"]);
    let past = "switched_to=/auto.mp3 until Mon, 30 Nov 2015 15:20:00 GMT";
    let said = complaint(&node.command("mount", &["set", LIVE, past]), 1);
    assert!(said.contains("has passed, because it is"), "{said}");
}
