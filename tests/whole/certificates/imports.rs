//! Certificates from elsewhere, given to the mesh.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::stage::files_with;
use crate::support::mesh::TestMesh;
use crate::support::node::done;
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

#[test]
fn keys_are_sealed_again_before_an_old_secret_goes() {
    let mut mesh = TestMesh::start(1);
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "radio.example");
    let file = |name: &str| folder.path().join(name).display().to_string();
    done(&mesh.nodes[0].command("cert", &["import", &file("chain.pem"), &file("key.pem")]));
    let node = &mut mesh.nodes[0];
    let secret_file = node.data_dir().parent().unwrap().join("cluster-secret");
    let old = fs::read_to_string(&secret_file).unwrap();
    let new = "7".repeat(64);
    fs::write(&secret_file, format!("{new}\n{old}")).unwrap();
    node.signal(rustix::process::Signal::HUP);
    eventually(PATIENCE, "the key is sealed again", || {
        let log = node.log();
        so(log.contains("a key is sealed under the new secret"), log)
    });
    fs::write(&secret_file, format!("{new}\n")).unwrap();
    node.stop();
    node.restart();
    eventually(PATIENCE, "the key is opened", || {
        let log = node.log_of_this_life();
        so(
            log.contains("certificates of the mesh in use certificates=1"),
            log,
        )
    });
}
