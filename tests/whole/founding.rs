//! The founding of a mesh: its one admin password, made by its first node and by no other.

use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done, new_secret};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::port::free_port;

/// Waits until a node takes this admin password, and not the others.
fn wait_valid(node: &TestNode, valid: &str, invalid: &[&str]) {
    let what = format!("{} takes the right admin password", node.name());
    eventually(PATIENCE, &what, || {
        let status = node.admin_status(valid);
        so(status == 200, status)
    });
    for password in invalid {
        assert_eq!(node.admin_status(password), 401);
    }
}

#[test]
fn a_node_that_joins_itself_founds_its_mesh() {
    let port = free_port();
    let own = format!("127.0.0.1:{port}");
    let node = Setup::named("n1")
        .secret(&new_secret())
        .port(port)
        .joining_only(&own)
        .start();
    let password = node.wait_admin_password();
    wait_valid(&node, &password, &[]);
    let log = node.log();
    assert!(log.contains("is this node itself"), "{log}");
}

#[test]
fn a_node_without_peers_makes_no_password() {
    let secret = new_secret();
    let first = Setup::named("n1").secret(&secret).start();
    let password = first.wait_admin_password();
    let nowhere = format!("127.0.0.1:{}", free_port());
    let mut lost = Setup::named("n2").secret(&secret).join(&nowhere).start();
    eventually(PATIENCE, "it says that it waits", || {
        so(lost.log().contains("--found makes it now"), "not yet")
    });
    assert_eq!(
        lost.status().master.map(|it| it.to_string()),
        Some("n2".to_owned())
    );
    lost.kill9();
    lost.join_from_now_on(&first.address());
    lost.restart();
    wait_valid(&lost, &password, &[]);
    assert_eq!(lost.shown_admin_password(), None);
    assert_eq!(first.admin_status(&password), 200);
}

#[test]
fn a_founder_makes_secret_and_password_at_once() {
    let nowhere = format!("127.0.0.1:{}", free_port());
    let founder = Setup::named("n1").join(&nowhere).with(&["--found"]).start();
    // It is shown first, and valid once it is saved.
    wait_valid(&founder, &founder.wait_admin_password(), &[]);
    assert!(founder.data_dir().join("secret").exists());
}

#[test]
fn the_older_of_two_admin_passwords_stays() {
    let secret = new_secret();
    let start = |name: &str| Setup::named(name).secret(&secret).start();
    // By name and by time the younger one would win.
    let mut older = start("n1");
    let old_password = older.wait_admin_password();
    let younger = start("n2");
    let young_password = younger.wait_admin_password();
    older.kill9();
    older.join_from_now_on(&younger.address());
    older.restart();
    for node in [&older, &younger] {
        wait_valid(node, &old_password, &[&young_password]);
    }
    let said = |node: &TestNode| node.log().contains("the admin password is superseded");
    assert!(said(&younger) && !said(&older));
}

#[test]
fn the_admin_password_is_changed_on_all_nodes() {
    let mesh = TestMesh::start(2);
    let first = mesh.nodes[0].wait_admin_password();
    wait_valid(&mesh.nodes[1], &first, &[]);
    let said = done(&mesh.nodes[1].command("password", &["set", "correct horse"]));
    assert!(!said.contains("horse"), "{said}");
    for node in &mesh.nodes {
        wait_valid(node, "correct horse", &[&first]);
    }
    let said = done(&mesh.nodes[0].command("password", &["set"]));
    let made = said.trim().rsplit(' ').next().unwrap_or_default();
    for node in &mesh.nodes {
        wait_valid(node, made, &[&first, "correct horse"]);
    }
    let refused = mesh.nodes[0].command("password", &["set", ""]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    wait_valid(&mesh.nodes[0], made, &[]);
}
