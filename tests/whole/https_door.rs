//! HTTPS at the door: beside HTTP on one port, with the clients that there are.

use std::process::Command;

use crate::support::http::{Connection, get, get_by_tls};
use crate::support::https::{TlsFolder, further_port, said};
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::tool::have;

/// A request that ends with its answer.
const ASK: &str = "GET /livez HTTP/1.0\r\n\r\n";

fn node() -> (TlsFolder, TestNode) {
    let tls = TlsFolder::new();
    let node = tls.of(Setup::named("n1")).start();
    (tls, node)
}

#[test]
fn one_port_speaks_both_at_once() {
    let (_tls, node) = node();
    let address = node.address();
    let mut plain = Connection::open(&address).unwrap();
    let mut secure = Connection::open_tls(&address).unwrap();
    let ask = format!("GET /status.json HTTP/1.1\r\nHost: {address}\r\n\r\n");
    for _ in 0..3 {
        for connection in [&mut plain, &mut secure] {
            connection.send(&ask).unwrap();
            let head = connection.head().unwrap();
            assert_eq!(head.status, 200);
            let body = connection.body(&head).unwrap();
            assert!(body.starts_with(b"{"), "{head:?}");
        }
    }
    let page = get_by_tls(&address, "/").unwrap();
    assert!(page.text().contains("<html"), "{}", page.text());
}

#[test]
fn pages_and_the_api_are_managed_by_https_with_curl() {
    if !have("curl") {
        return;
    }
    let (tls, node) = node();
    let url = format!("https://{}/api/v1/mounts", node.address());
    let login = format!("Authorization: Bearer {}", node.token());
    let mount = r#"{ "path": "/a.mp3", "password": "hackme-not" }"#;
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--cacert", tls.ca(), "-H", &login]);
    curl.args(["-H", "Content-Type: application/json", "-d", mount, &url]);
    let created = curl.args(["-w", " %{http_code} %{http_version}"]).output();
    let told = said(&created.unwrap());
    assert!(told.ends_with(" 201 1.1"), "{told}");
    assert_eq!(node.mounts(), ["/a.mp3"]);
}

#[test]
fn a_playlist_leads_on_by_https() {
    let (_tls, node) = node();
    let address = node.address();
    node.create_mount("/a.mp3", "hackme-not");
    let playlist = get_by_tls(&address, "/a.mp3.m3u").unwrap().text();
    assert!(
        playlist.contains(&format!("https://{address}/a.mp3")),
        "{playlist}"
    );
    let playlist = get(&address, "/a.mp3.m3u").unwrap().text();
    assert!(
        playlist.contains(&format!("http://{address}/a.mp3")),
        "{playlist}"
    );
}

#[test]
fn new_versions_are_spoken_and_old_ones_refused() {
    if !have("openssl") {
        return;
    }
    let (tls, node) = node();
    let spoken = [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")];
    for (option, version) in spoken {
        let options = format!("{option} -verify_return_error -ign_eof");
        let told = said(&tls.openssl(&node.address(), &options, ASK));
        assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
        assert!(told.contains(version), "{told}");
        assert!(told.contains("HTTP/1.0 200 OK"), "{told}");
    }
    for option in ["-tls1", "-tls1_1"] {
        let options = format!("{option} -cipher DEFAULT@SECLEVEL=0");
        let output = tls.openssl(&node.address(), &options, "");
        let told = said(&output);
        assert!(!output.status.success(), "{told}");
        assert!(told.contains("SSL alert number"), "{told}");
    }
    let told = node
        .log()
        .matches("only versions of TLS before 1.2")
        .count();
    assert_eq!(told, 2, "{}", node.log());
    assert!(get(&node.address(), "/livez").is_ok());
}

#[test]
fn a_client_that_names_no_host_or_an_unknown_one_is_served() {
    if !have("openssl") {
        return;
    }
    let (tls, node) = node();
    for option in ["-noservername", "-servername unknown.example"] {
        let options = format!("{option} -verify_return_error -ign_eof");
        let told = said(&tls.openssl(&node.address(), &options, ASK));
        assert!(told.contains("HTTP/1.0 200 OK"), "{told}");
    }
}

#[test]
fn a_client_of_http_2_is_not_turned_away() {
    if !have("openssl") {
        return;
    }
    let (tls, node) = node();
    for (option, chosen) in [
        ("-alpn h2,http/1.1", "ALPN protocol: http/1.1"),
        ("-alpn h2", "No ALPN negotiated"),
        ("", "No ALPN negotiated"),
    ] {
        let told = said(&tls.openssl(&node.address(), &format!("{option} -ign_eof"), ASK));
        assert!(told.contains(chosen), "{told}");
        assert!(told.contains("HTTP/1.0 200 OK"), "{told}");
    }
}

#[test]
fn a_session_is_resumed_at_another_node() {
    if !have("openssl") {
        return;
    }
    let tls = TlsFolder::new();
    let mesh = tls.mesh(2);
    let ticket = tls.path().join("session");
    let ticket = ticket.to_str().unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let options = format!("{version} -ign_eof -sess_out {ticket}");
        let told = said(&tls.openssl(&mesh.nodes[0].address(), &options, ASK));
        assert!(told.contains("New, TLSv1"), "{told}");
        let options = format!("{version} -ign_eof -sess_in {ticket}");
        let told = said(&tls.openssl(&mesh.nodes[1].address(), &options, ASK));
        assert!(told.contains("Reused, TLSv1"), "{told}");
        assert!(told.contains("HTTP/1.0 200 OK"), "{told}");
    }
    let stranger = tls.of(Setup::named("alone")).start();
    let options = format!("-tls1_3 -ign_eof -sess_in {ticket}");
    let told = said(&tls.openssl(&stranger.address(), &options, ASK));
    assert!(told.contains("New, TLSv1.3"), "{told}");
}

#[test]
fn without_a_certificate_client_and_operator_are_told() {
    let node = Setup::named("n1").start();
    for _ in 0..5 {
        let refused = Connection::open_tls(&node.address()).unwrap_err();
        assert!(refused.to_string().contains("alert"), "{refused}");
    }
    assert!(get(&node.address(), "/livez").is_ok());
    let told = |log: &str| log.matches("this node has no certificate").count();
    assert_eq!(told(&node.log()), 1, "{}", node.log());
    assert!(node.log().contains("tls_cert"), "{}", node.log());
}

#[test]
fn a_port_of_its_own_speaks_https_only() {
    let tls = TlsFolder::new();
    let setup = Setup::named("n1").with(&["--listen-https", "0", "--listen-http", "0"]);
    let node = tls.of(setup).start();
    let secure = further_port(&node, "HTTPS is spoken here");
    let both = further_port(&node, "HTTP and HTTPS are spoken here too");
    for address in [&secure, &both] {
        assert_eq!(get_by_tls(address, "/livez").unwrap().head.status, 200);
    }
    assert_eq!(get(&both, "/livez").unwrap().head.status, 200);
    let refused = get(&secure, "/livez").unwrap();
    assert_eq!(refused.head.status, 400);
    assert!(refused.text().contains("https://"), "{}", refused.text());
    let mut silent = Connection::open(&secure).unwrap();
    silent.send("x").unwrap();
    assert_eq!(silent.head().unwrap().status, 400);
}

#[test]
fn tickets_follow_a_secret_that_changes() {
    if !have("openssl") {
        return;
    }
    let tls = TlsFolder::new();
    let file = tls.path().join("secret");
    let [old, new] = ["1", "2"].map(|digit| digit.repeat(64));
    let write = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(&old);
    let setup = Setup::named("n1").with(&["--secret-file", file.to_str().unwrap()]);
    let node = tls.of(setup).start();
    let ticket = tls.path().join("session");
    let ticket = ticket.to_str().unwrap();
    let _taken = tls.openssl(
        &node.address(),
        &format!("-ign_eof -sess_out {ticket}"),
        ASK,
    );
    let resumed = || {
        let told = said(&tls.openssl(&node.address(), &format!("-ign_eof -sess_in {ticket}"), ASK));
        told.contains("Reused, TLSv1.3")
    };
    assert!(resumed());
    let reload = |text: &str, times: usize| {
        write(text);
        node.signal(rustix::process::Signal::HUP);
        eventually(PATIENCE, "the secret was read again", || {
            let count = node.log().matches("the secret was read again").count();
            so(count == times, count)
        });
    };
    reload(&format!("{new}\n{old}\n"), 1);
    assert!(resumed(), "the old key still opens");
    reload(&format!("{new}\n"), 2);
    assert!(!resumed(), "the old key has gone");
}

#[test]
fn the_command_line_asks_by_https() {
    let (tls, node) = node();
    let url = format!("https://{}", node.address());
    let ask = |more: &[&str]| {
        let mut antiphon = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        antiphon.env_remove("ANTIPHON_NODE_CA").arg("node");
        antiphon.args(["list", "--node", &url]).args(more);
        antiphon
    };
    let trusted = ask(&["--node-ca", tls.ca()]).output().unwrap();
    assert!(said(&trusted).contains("n1"), "{}", said(&trusted));
    let by_variable = ask(&[]).env("ANTIPHON_NODE_CA", tls.ca()).output();
    assert!(by_variable.unwrap().status.success());
    let untrusted = ask(&[]).output().unwrap();
    assert_eq!(untrusted.status.code(), Some(1));
    let told = said(&untrusted);
    for words in ["no trusted TLS connection", "--node-ca FILE"] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let junk = tls.path().join("junk.pem");
    std::fs::write(&junk, "hello").unwrap();
    for (file, words) in [
        (junk.to_str().unwrap(), "junk.pem: "),
        ("/nowhere", "cannot read /nowhere"),
    ] {
        let refused = ask(&["--node-ca", file]).output().unwrap();
        assert!(
            !refused.status.success() && said(&refused).contains(words),
            "{refused:?}"
        );
    }
    // With a right: the login goes to nobody who is not trusted.
    let data = node.data_dir();
    let mut list = ask(&["--node-ca", tls.ca()]);
    list.args(["--data-dir", data.to_str().unwrap()]);
    assert!(list.output().unwrap().status.success());
}
