//! Mounts that are not open to all: accounts and signed tokens let listeners in at every node, also where they are sent on.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::http::{Answer, Connection, Head, ask, basic, get, split};
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::tool::{complaint, have};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The second of its player that a listener surely gets: some frames.
const HEARD_BYTES: usize = 2_000;

/// A mesh of three whose mount lets in whom its rule says, with a source at the first node.
fn guarded(rule: &str) -> (TestMesh, KnownSource) {
    let mesh = TestMesh::start(3);
    mesh.nodes[0].create_mount_with(RADIO, PASSWORD, &format!(r#""listener_auth": "{rule}""#));
    mesh.wait_for_mount(RADIO);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    (mesh, source)
}

/// The head of the answer to a listener, at a node's address and with these headers; the connection keeps its stream.
fn knock(address: &str, target: &str, headers: &str) -> (Connection, Head) {
    let mut connection = Connection::open(address).unwrap();
    let asked = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    connection.send(asked).unwrap();
    let head = connection.head().unwrap();
    (connection, head)
}

fn login(user: &str, password: &str) -> String {
    format!("Authorization: {}\r\n", basic(user, password))
}

/// Checks that audio comes.
fn assert_heard(mut connection: Connection, head: &Head) {
    assert_eq!(head.status, 200, "{head:?}");
    let mut heard = 0;
    while heard < HEARD_BYTES {
        let more = connection.some(4_096).unwrap();
        assert!(!more.is_empty(), "ended after {heard} bytes");
        heard += more.len();
    }
}

/// Waits until a node answers a listener so: what is told one node, others know a moment later.
fn wait_answered(node: &TestNode, target: &str, headers: &str, status: u16) -> (Connection, Head) {
    let look = || {
        let (connection, head) = knock(&node.address(), target, headers);
        so(head.status == status, format!("{head:?}")).map(|()| (connection, head))
    };
    eventually(PATIENCE, &format!("{status} at {target}"), look).0
}

/// The status for a listener that asks a node, after the redirects that it follows without its login, as players do.
fn followed(node: &TestNode, target: &str, headers: &str) -> (Connection, Head) {
    let (connection, head) = knock(&node.address(), target, headers);
    if head.status != 302 {
        return (connection, head);
    }
    let (address, target) = split(head.location());
    knock(address, target, "")
}

fn api(node: &TestNode, method: &str, target: &str, body: &Value) -> Answer {
    node.api(method, target, &body.to_string()).unwrap()
}

#[test]
fn an_account_lets_in_at_every_node() {
    let (mesh, _source) = guarded("htpasswd");
    let added = done(&mesh.nodes[0].command("account", &["add", RADIO, "alice", "wonder land"]));
    assert!(added.contains("has the account alice"), "{added}");
    let alice = login("alice", "wonder land");
    for node in &mesh.nodes {
        let (mut connection, head) = knock(&node.address(), RADIO, "");
        assert_eq!(head.status, 401, "{head:?}");
        let asked = head.header("www-authenticate");
        assert_eq!(asked, Some("Basic realm=\"Icecast2 Server\""));
        let body = connection.body(&head).unwrap();
        assert_eq!(body, b"You need to authenticate\r\n");
        for wrong in [
            login("alice", "x"),
            login("bob", "wonder land"),
            login("source", PASSWORD),
        ] {
            assert_eq!(
                knock(&node.address(), RADIO, &wrong).1.status,
                401,
                "{wrong}"
            );
        }
        let own = format!("{RADIO}?redirect=no");
        let (connection, head) = wait_answered(node, &own, &alice, 200);
        assert_heard(connection, &head);
        let passthrough = format!("/_stream/n1{RADIO}");
        assert_eq!(knock(&node.address(), &passthrough, "").1.status, 401);
        let (connection, head) = knock(&node.address(), &passthrough, &alice);
        assert_heard(connection, &head);
    }
    let mut looking = mesh.nodes[0].connect();
    let asked = format!("HEAD {RADIO} HTTP/1.0\r\n\r\n");
    looking.send(asked).unwrap();
    assert_eq!(looking.head().unwrap().status, 401);
    let preflight = ask(
        &mesh.nodes[0].address(),
        &format!("OPTIONS {RADIO} HTTP/1.0\r\nOrigin: http://x\r\n\r\n"),
    );
    assert_eq!(preflight.unwrap().head.status, 204);
    let log = mesh.nodes[0].log();
    assert!(log.contains("login refused"), "{log}");
    assert!(!log.contains("wonder land"), "{log}");
}

#[test]
fn who_is_sent_on_need_not_log_in_again() {
    let (mesh, _source) = guarded("htpasswd");
    done(&mesh.nodes[0].command("account", &["add", RADIO, "alice", "pw"]));
    let alice = login("alice", "pw");
    for node in &mesh.nodes {
        wait_answered(node, &format!("{RADIO}?redirect=no"), &alice, 200);
    }
    mesh.wait_warm(RADIO);
    let look = || {
        let (_, head) = knock(&mesh.nodes[0].address(), &format!("{RADIO}?a=b"), &alice);
        so(head.status == 302, format!("{head:?}")).map(|()| head.location().to_owned())
    };
    let (location, _) = eventually(PATIENCE, "sent on", look);
    assert!(location.contains("?a=b&token="), "{location}");
    let (address, target) = split(&location);
    let (connection, head) = knock(address, target, "");
    assert_heard(connection, &head);
    let bare = target.split('?').next().unwrap();
    assert_eq!(knock(address, bare, "").1.status, 401);
    let forged = target.replace("token=", "token=1");
    assert_eq!(knock(address, &forged, "").1.status, 401);
    // The account is gone, and with it what its listeners have in their addresses.
    done(&mesh.nodes[1].command("account", &["remove", RADIO, "alice"]));
    for node in &mesh.nodes {
        wait_answered(node, target, "", 401);
        assert_eq!(knock(&node.address(), RADIO, &alice).1.status, 401);
    }
    let token = target.split("token=").nth(1).unwrap();
    for node in &mesh.nodes {
        assert!(!node.log().contains(token), "the log has a token");
    }
}

#[test]
fn a_signed_token_lets_in_until_it_ends_or_is_revoked() {
    let (mesh, _source) = guarded("token");
    let minted = |arguments: &[&str]| {
        let all = [&["mint", RADIO], arguments].concat();
        done(&mesh.nodes[1].command("token", &all))
            .trim()
            .to_owned()
    };
    let url = minted(&["--for", "2h"]);
    let (address, target) = split(&url);
    assert_eq!(address, mesh.nodes[1].address());
    for node in &mesh.nodes {
        assert_eq!(knock(&node.address(), RADIO, "").1.status, 401);
        let (connection, head) = followed(node, target, "");
        assert_heard(connection, &head);
        let (connection, head) = followed(node, target, &login("x", "y"));
        assert_heard(connection, &head);
    }
    let player = Player::tune_in(&url);
    player.wait_for_more(HEARD_BYTES);
    let ours = minted(&["--for", "1m", "--ip", "127.0.0.1"]);
    let (_, ours) = split(&ours);
    assert_eq!(followed(&mesh.nodes[2], ours, "").1.status, 200);
    let others = minted(&["--for", "1m", "--ip", "192.0.2.1"]);
    let (_, others) = split(&others);
    assert_eq!(knock(&mesh.nodes[2].address(), others, "").1.status, 401);
    let brief = minted(&["--for", "1s"]);
    wait_answered(&mesh.nodes[0], split(&brief).1, "", 401);
    for list in [".m3u", ".pls", ".xspf"] {
        let (path, query) = target.split_once('?').unwrap();
        let list = get(&mesh.nodes[0].address(), &format!("{path}{list}?{query}"));
        let (text, host) = (list.unwrap().text(), mesh.nodes[0].address());
        assert!(text.contains(&format!("http://{host}{target}")), "{text}");
    }
    let revoked = done(&mesh.nodes[0].command("token", &["revoke", RADIO]));
    assert!(revoked.contains("void"), "{revoked}");
    for node in &mesh.nodes {
        wait_answered(node, target, "", 401);
    }
    assert!(!player.is_closed(), "who listens is left alone");
    let token = target.split("token=").nth(1).unwrap();
    for node in &mesh.nodes {
        assert!(!node.log().contains(token), "the log has a token");
    }
}

#[test]
fn files_of_apache_and_icecast_are_taken_over_where_they_are_sound() {
    if !have("htpasswd") {
        return;
    }
    let (mesh, _source) = guarded("htpasswd");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    let path = file.to_str().unwrap();
    for (flags, user) in [("-cbB", "bcrypt"), ("-bm", "apr1"), ("-bs", "sha")] {
        let mut command = Command::new("htpasswd");
        let output = command.args([flags, path, user, "pw"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let mut lines = std::fs::read_to_string(&file).unwrap();
    // As icecast2 2.4.4 writes it for the password `pw`.
    lines += "icecast:8fe4c11451281c094a6578e6ddbf5eed\nevil/x:8fe4c11451281c094a6578e6ddbf5eed\nnonsense\n";
    std::fs::write(&file, lines).unwrap();
    let output = mesh.nodes[0].command("account", &["import", RADIO, path]);
    let told = complaint(&output, 1);
    for part in [
        "line 2: ",
        "apr1",
        "line 3: ",
        "SHA-1",
        "line 5: a username",
        "line 6: it is not USER:HASH",
        "4 of 6 accounts were not added",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let listed = done(&mesh.nodes[0].command("account", &["list", RADIO]));
    assert_eq!(listed, "bcrypt\nicecast\n");
    let second = &mesh.nodes[1];
    for user in ["bcrypt", "icecast"] {
        let own = format!("{RADIO}?redirect=no");
        wait_answered(second, &own, &login(user, "pw"), 200);
        assert_eq!(
            knock(&second.address(), &own, &login(user, "p")).1.status,
            401
        );
    }
}

#[test]
fn an_account_has_as_many_listeners_as_it_may_have() {
    let (mesh, _source) = guarded("htpasswd");
    let node = &mesh.nodes[0];
    done(&node.command("account", &["add", RADIO, "alice", "pw"]));
    done(&node.command("mount", &["set", RADIO, "max_per_account=1"]));
    let (own, alice) = (format!("{RADIO}?redirect=no"), login("alice", "pw"));
    let (first, head) = knock(&node.address(), &own, &alice);
    assert_eq!(head.status, 200);
    let look = || {
        let text = node.api("GET", "/api/v1/listeners", "").unwrap().text();
        so(text.contains("\"mount\""), &text)
    };
    eventually(PATIENCE, "it listens", look);
    assert_eq!(knock(&node.address(), &own, &alice).1.status, 401);
    drop(first);
    wait_answered(node, &own, &alice, 200);
}

#[test]
fn operators_and_slaves_are_let_in_and_mistakes_are_told() {
    let node = Setup::named("n1").start();
    node.create_mount_with(RADIO, PASSWORD, r#""listener_auth": "token""#);
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    let admin = node.wait_admin_password();
    done(&node.command("password", &["set", "--relay", "relay-pw"]));
    for allowed in [
        login("admin", &admin),
        login("relay", "relay-pw"),
        format!("Authorization: Bearer {}\r\n", node.token()),
    ] {
        let (connection, head) = wait_answered(&node, RADIO, &allowed, 200);
        assert_heard(connection, &head);
    }
    assert_eq!(
        knock(&node.address(), RADIO, &login("relay", "x")).1.status,
        401
    );
    let accounts = format!("/api/v1/accounts{RADIO}");
    for (method, target, body, status, why) in [
        ("POST", &*accounts, json!({"user": "a:b"}), 400, "no colon"),
        (
            "POST",
            &*accounts,
            json!({"user": "a\nroot"}),
            400,
            "line end",
        ),
        (
            "POST",
            &*accounts,
            json!({"user": "admin"}),
            400,
            "another username",
        ),
        (
            "POST",
            &*accounts,
            json!({"usr": "a"}),
            400,
            "`user` is missing",
        ),
        (
            "POST",
            &*accounts,
            json!({"user": "a", "x": 1}),
            400,
            "no \\\"x\\\"",
        ),
        (
            "POST",
            &*accounts,
            json!({"user": "a", "hash": "$apr1$a$b"}),
            400,
            "apr1",
        ),
        (
            "PATCH",
            &*accounts,
            json!({"user": "a"}),
            404,
            "has no account a",
        ),
        (
            "POST",
            "/api/v1/accounts/none",
            json!({"user": "a"}),
            404,
            "no mount",
        ),
        (
            "POST",
            "/api/v1/tokens",
            json!({"mount": RADIO}),
            400,
            "for_s",
        ),
        (
            "POST",
            "/api/v1/tokens",
            json!({"mount": "/x", "for_s": 1}),
            404,
            "no mount",
        ),
        (
            "POST",
            "/api/v1/tokens",
            json!({"mount": RADIO, "for_s": 1, "ip": "x"}),
            400,
            "ip: ",
        ),
    ] {
        let answer = api(&node, method, target, &body);
        assert_eq!(answer.head.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(why), "{why} in {}", answer.text());
    }
    let made = api(&node, "POST", &accounts, &json!({"user": "a"}));
    assert_eq!(made.head.status, 201);
    assert!(made.text().contains("\"password\": \""), "{}", made.text());
    let again = api(&node, "POST", &accounts, &json!({"user": "a"}));
    assert_eq!(again.head.status, 409, "{}", again.text());
    // Its accounts go with a mount: the next one of its name does not let them in.
    node.delete_mount(RADIO);
    node.create_mount_with(RADIO, PASSWORD, r#""listener_auth": "htpasswd""#);
    let none = node.api("GET", &accounts, "").unwrap().text();
    assert!(none.contains("\"accounts\": []"), "{none}");
}
