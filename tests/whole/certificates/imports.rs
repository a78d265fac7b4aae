//! Certificates from elsewhere, given to the mesh.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::stage::files_with;
use crate::support::ca::{Issued, TestCa};
use crate::support::https::{TlsFolder, said};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::tool::complaint;

/// The exit code of a command that was refused.
const REFUSED: i32 = 1;

fn write_pair(folder: &Path, name: &str) -> KeyPair {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    fs::write(folder.join("chain.pem"), chain).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    key
}

#[test]
fn an_imported_certificate_is_on_every_node_and_its_key_on_no_disk() {
    let mesh = TestMesh::start(2);
    let folder = tempfile::tempdir().unwrap();
    let key = write_pair(folder.path(), "radio.example");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (chain_file, key_file) = (file("chain.pem"), file("key.pem"));
    let told = done(&mesh.nodes[0].command("cert", &["import", &chain_file, &key_file]));
    assert!(
        told.starts_with("imported a certificate for radio.example, valid for "),
        "{told}"
    );
    eventually(Duration::from_secs(5), "the other node uses it", || {
        let log = mesh.nodes[1].log();
        so(
            log.contains("certificates of the mesh in use certificates=1"),
            log,
        )
    });
    let told = done(&mesh.nodes[1].command("cert", &["list"]));
    assert!(
        told.contains("radio.example") && told.contains("imported"),
        "{told}"
    );

    let pem = key.serialize_pem();
    let line = pem.lines().nth(1).unwrap();
    for node in &mesh.nodes {
        for needle in [key.serialize_der().as_slice(), line.as_bytes()] {
            let found = files_with(&node.data_dir(), needle);
            assert!(found.is_empty(), "{found:?}");
        }
        assert!(!node.log().contains(line));
        let shown = node.api("GET", "/api/v1/certificates", "").unwrap().text();
        assert!(!shown.contains(line), "{shown}");
    }

    let other = tempfile::tempdir().unwrap();
    write_pair(other.path(), "radio.example");
    let other_key = other.path().join("key.pem").display().to_string();
    for (words, why) in [
        (
            ["import", &chain_file, &other_key],
            "does not belong to the certificate",
        ),
        (
            ["import", &chain_file, &chain_file],
            "there is no private key in it",
        ),
        (
            ["import", &key_file, &key_file],
            "there is no certificate in it",
        ),
    ] {
        let told = complaint(&mesh.nodes[0].command("cert", &words), REFUSED);
        assert!(told.contains(why), "{words:?}: {told}");
    }
    eventually(PATIENCE, "the page shows it", || {
        let page = crate::support::http::get(&mesh.nodes[1].address(), "/?part=mesh").unwrap();
        so(page.text().contains("radio.example: valid"), page.text())
    });
}

/// Whether a node shows a client this certificate that connects so.
fn shows(tls: &TlsFolder, node: &TestNode, options: &str, issued: &Issued) -> Result<(), String> {
    let told = said(&tls.openssl(&node.address(), options, ""));
    so(issued.cert.lines().all(|line| told.contains(line)), told)
}

/// Gives a certificate to the mesh by the command.
fn import(node: &TestNode, issued: &Issued) -> String {
    let folder = tempfile::tempdir().unwrap();
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&chain, &issued.cert).unwrap();
    fs::write(&key, &issued.key).unwrap();
    let [chain, key] = [chain, key].map(|path| path.display().to_string());
    done(&node.command("cert", &["import", &chain, &key]))
}

#[test]
fn what_was_imported_last_is_used_until_it_is_taken_out() {
    let mesh = TestMesh::start(1);
    let (node, tls) = (&mesh.nodes[0], TlsFolder::new());
    let ca = TestCa::get();
    let first = ca.issue(&["radio.localhost", "127.0.0.1"], 2040);
    let told = import(node, &first);
    assert!(told.contains("for radio.localhost, 127.0.0.1,"), "{told}");
    let last = ca.issue(&["radio.localhost"], 2030);
    import(node, &last);

    let (named, unnamed) = ("-servername radio.localhost", "-noservername");
    eventually(PATIENCE, "the last one is shown", || {
        shows(&tls, node, named, &last)
    });
    eventually(PATIENCE, "the address has its own", || {
        shows(&tls, node, unnamed, &first)
    });
    eventually(PATIENCE, "listeners are sent there", || {
        let status = crate::support::http::get(&node.address(), "/status.json").unwrap();
        let url = format!("https://{}", node.address());
        so(status.text().contains(&url), status.text())
    });
    let listed = done(&node.command("cert", &["list"]));
    let both = ["radio.localhost,127.0.0.1", "radio.localhost "];
    assert!(both.iter().all(|it| listed.contains(it)), "{listed}");

    let delete = |which: &str| node.command("cert", &["delete", which]);
    let told = done(&delete("radio.localhost"));
    assert!(told.contains("others are used in its place"), "{told}");
    eventually(PATIENCE, "the first one is shown again", || {
        shows(&tls, node, named, &first)
    });
    let told = complaint(&delete("other.example"), REFUSED);
    assert!(
        told.contains("there are: radio.localhost,127.0.0.1 ("),
        "{told}"
    );
    let serial = told.rsplit_once("127.0.0.1 (").unwrap().1;
    let serial = serial.split(')').next().unwrap().to_ascii_uppercase();
    let told = done(&delete(&serial));
    assert!(
        told.contains("no other one is for radio.localhost, 127.0.0.1"),
        "{told}"
    );
    eventually(PATIENCE, "nobody is sent there", || {
        let status = crate::support::http::get(&node.address(), "/status.json").unwrap();
        so(!status.text().contains("https://127.0.0.1"), status.text())
    });
}

#[test]
fn what_was_imported_is_ordered_anew_only_by_its_name() {
    let mesh = TestMesh::start(1);
    let node = &mesh.nodes[0];
    let names = "a.radio.example,*.b.example";
    let nobody = "https://localhost:1/dir";
    done(&node.command("cert", &["enable", "--directory", nobody, "--names", names]));
    import(
        node,
        &TestCa::get().issue(&["www.radio.example", "a.radio.example"], 2040),
    );
    let told = done(&node.command("cert", &["renew"]));
    for words in [
        "nothing is ordered now",
        "left out: *.b.example cannot be proven",
        "left out: a.radio.example has a certificate that was imported",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let told = done(&node.command("cert", &["renew", "a.radio.example"]));
    assert_eq!(told, "to be ordered now: a.radio.example\n");
    eventually(PATIENCE, "it is tried", || {
        let listed = done(&node.command("cert", &["list"]));
        so(listed.contains("a.radio.example: cannot"), listed)
    });
}

#[test]
fn keys_are_sealed_again_before_an_old_secret_goes() {
    let mut mesh = TestMesh::start(1);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let names = ["a.radio.example", "b.radio.example", "c.radio.example"];
    for name in names {
        write_pair(folder.path(), name);
        done(&mesh.nodes[0].command("cert", &["import", &file("chain.pem"), &file("key.pem")]));
    }
    let node = &mut mesh.nodes[0];
    let secret_file = node.data_dir().parent().unwrap().join("cluster-secret");
    let old = fs::read_to_string(&secret_file).unwrap();
    let new = "7".repeat(64);
    fs::write(&secret_file, format!("{new}\n{old}")).unwrap();
    node.signal(rustix::process::Signal::HUP);
    eventually(PATIENCE, "the key is sealed again", || {
        let log = node.log();
        so(
            log.contains("all keys are sealed under the new secret keys=3"),
            log,
        )
    });
    fs::write(&secret_file, format!("{new}\n")).unwrap();
    node.stop();
    node.restart();
    eventually(PATIENCE, "the key is opened", || {
        let log = node.log_of_this_life();
        so(
            log.contains("certificates of the mesh in use certificates=3"),
            log,
        )
    });
    // Another secret: nothing is lost, and nothing is called valid that cannot be used.
    fs::write(&secret_file, format!("{}\n", "8".repeat(64))).unwrap();
    node.stop();
    node.restart();
    let listed = done(&node.command("cert", &["list"]));
    assert_eq!(listed.matches(" locked ").count(), 3, "{listed}");
    assert!(listed.contains("put the secret back"), "{listed}");
}
