//! Orders that succeed, also when whoever orders dies.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::gate::{Gate, Held};
use super::stage::{CONTACT, ORDERED_WITHIN, Stage, files_with, ip, status_of};
use crate::support::http;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};

/// The beginning of every key of the curve P-256 in PKCS#8, and the same in base64.
const KEY_BYTES: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04";
const KEY_TEXT: &[u8] = b"MBMGByqGSM49AgEGCCqGSM49AwEHB";

#[test]
fn names_are_proven_by_whichever_node_is_asked() {
    let Some(mut stage) = Stage::set(3, &[("PEBBLE_WFE_NONCEREJECT", "20")]) else {
        return;
    };
    let names = ["a.radio.example", "b.radio.example", "c.radio.example"];
    for (index, name) in names.iter().enumerate() {
        stage.dns.lead(name, ip(index));
    }
    stage.enable(&names.join(","));
    for name in names {
        let serial = stage.wait_valid(0, name);
        for index in 1..3 {
            let other = stage.wait_valid_within(index, name, Duration::from_secs(2));
            assert_eq!(other, serial, "{name} at n{}", index + 1);
        }
    }
    assert_eq!(stage.pebble.issued(), 3);
    let root = stage.pebble.issues_under();
    for (index, node) in stage.mesh.nodes.iter().enumerate() {
        // A player that trusts the authority, at the one port of the node.
        let port = node.address().rsplit(':').next().unwrap().to_owned();
        let leads = format!("{}:{port}:{}", names[0], ip(index));
        let url = format!("https://{}:{port}/readyz", names[0]);
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "--resolve", &leads, "--cacert"])
            .arg(&root);
        assert_eq!(done(&curl.arg(url).output().unwrap()), "ok\n");
    }

    let serial = stage.wait_valid(0, names[0]);
    stage.add();
    let joined = stage.wait_valid_within(3, names[0], Duration::from_secs(5));
    assert_eq!(joined, serial);

    // No order is open any more.
    for index in 0..4 {
        let path = "/.well-known/acme-challenge/abc";
        let answer = http::get(&stage.mesh.nodes[index].address(), path).unwrap();
        assert_eq!(answer.head.status, 404, "{}", answer.text());
    }
    for node in &stage.mesh.nodes {
        for needle in [KEY_BYTES, KEY_TEXT, b"PRIVATE KEY"] {
            let found = files_with(&node.data_dir(), needle);
            assert!(found.is_empty(), "{found:?}");
        }
        assert!(!files_with(&node.data_dir(), b"BEGIN CERTIFICATE").is_empty());
        assert!(!node.log().contains("PRIVATE"), "{}", node.log());
        let shown = node.api("GET", "/api/v1/certificates", "").unwrap().text();
        assert!(
            !shown.contains("PRIVATE") && shown.contains(CONTACT),
            "{shown}"
        );
    }
}

#[test]
fn a_zone_has_a_wildcard_by_its_own_name_server() {
    let Some(stage) = Stage::set_with_zone(3, "radio.example") else {
        return;
    };
    stage.enable("");
    let serial = stage.wait_valid(0, "radio.example");
    let status = status_of(&stage.mesh.nodes[2], "*.radio.example").unwrap();
    assert_eq!(status.serial, Some(serial));
    assert_eq!((stage.pebble.orders(), stage.pebble.issued()), (1, 1));
    let told = done(&stage.mesh.nodes[0].command("cert", &["list"]));
    for words in [
        "radio.example,*.radio.example",
        "valid",
        "ordered",
        "Pebble Intermediate CA",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
}

#[test]
fn another_node_finishes_the_order_of_one_that_dies() {
    // The authority takes its time, so that the order is under way.
    let slow = [("PEBBLE_VA_NOSLEEP", ""), ("PEBBLE_VA_SLEEPTIME", "8")];
    let Some(mut stage) = Stage::set(3, &slow) else {
        return;
    };
    let name = "a.radio.example";
    stage.enable(name);
    let issuer = stage.wait_issuer();
    let others: Vec<usize> = (0..3).filter(|it| *it != issuer).collect();
    stage.dns.lead(name, ip(others[0]));
    let log = || {
        so(
            stage.mesh.nodes[issuer]
                .log()
                .contains("certificate ordered"),
            "not yet",
        )
    };
    eventually(PATIENCE, "an order is under way", log);
    // A node that has the order can answer for it: that is how it is known that the order has arrived.
    let path = "/.well-known/acme-challenge/abc";
    let asked = |index: usize| http::get(&stage.mesh.nodes[index].address(), path);
    let (answer, _) = eventually(PATIENCE, "the order is known", || {
        let answer = asked(others[0]).map_err(|it| it.to_string())?;
        let is_answered = answer.head.status == 200;
        if is_answered {
            Ok(answer.text())
        } else {
            Err(answer.text())
        }
    });
    assert!(
        answer.starts_with("abc.") && answer.len() == 4 + 43,
        "{answer}"
    );
    stage.mesh.nodes[issuer].kill9();
    wait_finished(&stage, &others, name);
}

#[test]
fn an_order_is_finished_whose_certificate_was_not_asked_for() {
    kill_at_the_gate(Held::Request);
}

#[test]
fn an_order_is_finished_whose_certificate_was_not_heard_of() {
    kill_at_the_gate(Held::Answer);
}

/// Kills the node that orders between the proof of a name and its certificate.
fn kill_at_the_gate(held: Held) {
    let Some(mut stage) = Stage::set(3, &[]) else {
        return;
    };
    let name = "a.radio.example";
    let gate = Gate::before(&stage.pebble, held);
    stage.enable_with(0, &gate.directory(), gate.trusted_by(), name);
    let issuer = stage.wait_issuer();
    gate.wait_held();
    assert_eq!(stage.pebble.orders(), 1);
    let others: Vec<usize> = (0..3).filter(|it| *it != issuer).collect();
    stage.dns.lead(name, ip(others[0]));
    stage.mesh.nodes[issuer].kill9();
    wait_finished(&stage, &others, name);
}

#[test]
fn an_order_ends_when_an_operator_turns_https_off() {
    let Some(stage) = Stage::set(1, &[]) else {
        return;
    };
    let name = "a.radio.example";
    let gate = Gate::before(&stage.pebble, Held::Request);
    stage.enable_with(0, &gate.directory(), gate.trusted_by(), name);
    gate.wait_held();
    let node = &stage.mesh.nodes[0];
    let asked = || http::get(&node.address(), "/.well-known/acme-challenge/abc").unwrap();
    assert_eq!(asked().head.status, 200);
    done(&node.command("cert", &["disable"]));
    assert_eq!(asked().head.status, 404);
    eventually(PATIENCE, "the order is closed", || {
        let document = fs::read_to_string(node.data_dir().join("document"));
        let document = document.map_err(|it| it.to_string())?;
        so(!document.contains("thumbprint"), node.log())
    });
}

/// Waits until the nodes that are left have a certificate: by the order that there was, or one more.
fn wait_finished(stage: &Stage, others: &[usize], name: &str) {
    let serial = stage.wait_valid(others[0], name);
    let other = stage.wait_valid_within(others[1], name, Duration::from_secs(2));
    assert_eq!(other, serial);
    let orders = stage.pebble.orders();
    assert!(orders <= 2, "{orders} orders");
    let nodes = others.iter().map(|it| &stage.mesh.nodes[*it]);
    let logs: String = nodes.map(TestNode::log).collect();
    assert!(logs.contains("an open order is gone on with"), "{logs}");
    assert_eq!(stage.pebble.issued(), 1);
}

#[test]
fn a_certificate_is_renewed_before_it_ends() {
    let Some(stage) = Stage::set_for(1, 30, &[]) else {
        return;
    };
    stage.enable("a.radio.example");
    let first = stage.wait_valid(0, "a.radio.example");
    let (second, _) = eventually(ORDERED_WITHIN, "it is renewed", || {
        let status = status_of(&stage.mesh.nodes[0], "a.radio.example")?;
        assert!(status.until_unix_s.is_some_and(|it| it > 0));
        let serial = status.serial.clone().unwrap();
        if serial == first {
            Err(status.in_words(0))
        } else {
            Ok(serial)
        }
    });
    let log = stage.mesh.nodes[0].log();
    assert_eq!(log.matches("certificate obtained").count(), 2, "{second}");
}

#[test]
fn an_account_that_the_authority_has_lost_is_made_anew() {
    let Some(mut stage) = Stage::set(1, &[]) else {
        return;
    };
    stage.enable("a.radio.example");
    let first = stage.wait_valid(0, "a.radio.example");
    stage.pebble.forget_everything();
    let told = done(&stage.mesh.nodes[0].command("cert", &["renew", "a.radio.example"]));
    assert!(
        told.contains("to be ordered now: a.radio.example"),
        "{told}"
    );
    eventually(ORDERED_WITHIN, "it is renewed", || {
        let status = status_of(&stage.mesh.nodes[0], "a.radio.example")?;
        so(status.serial.as_ref() != Some(&first), status.in_words(0))
    });
    let log = stage.mesh.nodes[0].log();
    assert_eq!(
        log.matches("an account with the authority is made").count(),
        2
    );
    // That was the ration of a day.
    let refused = stage.mesh.nodes[0].command("cert", &["renew", "a.radio.example"]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && why.contains("within a day"),
        "{why}"
    );
}

#[test]
fn one_line_in_the_settings_of_a_node_turns_it_on() {
    let mesh = TestMesh::start_with(1, |_, setup: Setup| {
        setup.configured("https = 'mail@radio.example'\n")
    });
    let told = done(&mesh.nodes[0].command("cert", &["list"]));
    assert!(
        told.contains("from https://acme-v02.api.letsencrypt.org/directory"),
        "{told}"
    );
    let bad = Setup::named("bad").configured("https = 'nobody'\n");
    let mut node = bad.launch();
    assert!(!node.wait_end(PATIENCE).success());
    let log = node.log();
    let words = ["https is the mail address", "not \"nobody\""];
    assert!(words.iter().all(|it| log.contains(it)), "{log}");
}
