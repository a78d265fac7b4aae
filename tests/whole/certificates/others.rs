//! Other clients of ACME: certbot's library, by which the answers of the nodes are checked, and lego, which works beside
//! them.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::gate::{Gate, Held};
use super::stage::{CONTACT, Stage, ip};
use crate::support::dig::dig;
use crate::support::http;
use crate::support::node::done;
use crate::support::tool::have;

/// The answers of certbot for an account with this key, to the tokens of a proof by HTTP and of one by DNS.
const BY_CERTBOT: &str = "
import json, sys, josepy
from acme import challenges
asked = json.load(sys.stdin)
key = josepy.JWK.from_json(asked['jwk'])
for kind, token in ((challenges.HTTP01, asked['http']), (challenges.DNS01, asked['dns'])):
    print(kind(token=josepy.decode_b64jose(token)).validation(key))
";

/// The first JSON text in the bytes of a message.
fn json_in(message: &[u8]) -> Option<Value> {
    let begin = message.iter().position(|byte| *byte == b'{')?;
    let mut values = serde_json::Deserializer::from_slice(&message[begin..]).into_iter();
    values.next()?.ok()
}

/// The public key of the account that was made through the gate.
fn account_key(gate: &Gate) -> Value {
    let passed = gate.passed();
    let key = |(request, _): &(Vec<u8>, Vec<u8>)| {
        let signed = json_in(request)?;
        let protected = URL_SAFE_NO_PAD.decode(signed["protected"].as_str()?).ok()?;
        let jwk = json_in(&protected)?["jwk"].clone();
        jwk.is_object().then_some(jwk)
    };
    passed.iter().find_map(key).expect("an account was made")
}

/// The token of the authority's question of this kind about a name; a wildcard's is another question.
fn token(gate: &Gate, kind: &str, name: &str) -> String {
    let passed = gate.passed();
    let token = |(_, answer): &(Vec<u8>, Vec<u8>)| {
        let asked = json_in(answer)?;
        let is_for = asked["identifier"]["value"] == name && asked["wildcard"] != true;
        let questions = asked["challenges"].as_array().filter(|_| is_for)?;
        let question = questions.iter().find(|it| it["type"] == kind)?;
        Some(question["token"].as_str()?.to_owned())
    };
    passed.iter().find_map(token).expect("the authority asks")
}

/// The answers that certbot would give.
fn by_certbot(asked: &Value) -> [String; 2] {
    // The interpreter that has certbot's library, and not one of the developer's own.
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", BY_CERTBOT]).stdin(Stdio::piped());
    let mut python = python.stdout(Stdio::piped()).spawn().unwrap();
    let mut asking = python.stdin.take().unwrap();
    asking.write_all(asked.to_string().as_bytes()).unwrap();
    drop(asking);
    let told = done(&python.wait_with_output().unwrap());
    let lines: Vec<String> = told.lines().map(str::to_owned).collect();
    lines.try_into().unwrap()
}

#[test]
fn answers_are_those_that_certbot_would_give() {
    if !have("certbot") || !have("dig") {
        return;
    }
    let zone = "radio.example";
    let Some(stage) = Stage::set_with_zone(3, zone) else {
        return;
    };
    // All is proven by then, and the order still open.
    let gate = Gate::before(&stage.pebble, Held::Request);
    stage.enable_with(0, &gate.directory(), gate.trusted_by(), "");
    gate.wait_held();
    let http = token(&gate, "http-01", zone);
    let dns = token(&gate, "dns-01", zone);
    let asked = json!({ "jwk": account_key(&gate), "http": http, "dns": dns });
    let [by_http, by_dns] = by_certbot(&asked);
    for node in &stage.mesh.nodes {
        let path = format!("/.well-known/acme-challenge/{http}");
        let answer = http::get(&node.address(), &path).unwrap();
        assert_eq!((answer.head.status, answer.text()), (200, by_http.clone()));
    }
    let texts = dig(stage.own_dns, &format!("_acme-challenge.{zone} TXT"));
    let is_there = texts
        .answers()
        .iter()
        .any(|it| it.trim_matches('"') == by_dns);
    assert!(is_there, "{by_dns} in {texts}");
}

#[test]
fn another_client_proves_its_names_through_the_files_of_a_node() {
    if !have("lego") {
        return;
    }
    let Some(mut stage) = Stage::set(1, &[]) else {
        return;
    };
    let (ours, theirs) = ("a.radio.example", "b.radio.example");
    let (root, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let words = ["--web-root", root.path().to_str().unwrap()];
    stage.add_with(&words);
    stage.dns.lead(theirs, ip(1));
    stage.enable(ours);
    stage.wait_valid(1, ours);
    let mut lego = Command::new("lego");
    lego.env("LEGO_CA_CERTIFICATES", stage.pebble.trusted_by());
    lego.args(["--accept-tos", "--email", CONTACT, "--server"]);
    lego.arg(stage.pebble.directory())
        .arg("--path")
        .arg(kept.path());
    lego.args(["--domains", theirs, "--http", "--http.webroot"]);
    let told = lego.arg(root.path()).arg("run").output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let chain = kept.path().join(format!("certificates/{theirs}.crt"));
    let key = kept.path().join(format!("certificates/{theirs}.key"));
    let imported = stage.mesh.nodes[0].command(
        "cert",
        &["import", chain.to_str().unwrap(), key.to_str().unwrap()],
    );
    assert!(done(&imported).contains(theirs));
    assert_eq!(stage.pebble.issued(), 2);
}
