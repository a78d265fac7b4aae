//! A real nginx in front of a node, with the very blocks that docs/operations.md shows.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::get;
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::port::free_port;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The stream module of nginx in Debian.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A running nginx. Dropping it kills it.
struct Nginx {
    child: Child,
    folder: TempDir,
}

impl Nginx {
    /// Starts one with a block for `http` and one beside it.
    fn start(http: &str, beside: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display();
        let bodies = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let bodies = bodies.map(|kind| format!("{kind}_temp_path {home}/{kind};"));
        let config = format!(
            "load_module {STREAM_MODULE};\ndaemon off;\nmaster_process off;\npid {home}/pid;\n\
             error_log {home}/error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{}\n{http}}}\n{beside}",
            bodies.concat()
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder.path());
        command.arg("-e").arg(folder.path().join("error.log"));
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child, folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("error.log"));
            eprintln!("---- log of nginx\n{}", log.unwrap_or_default());
        }
    }
}

/// The block of the operator's page that begins with this line.
fn documented(first_line: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, block) = page
        .split_once(&format!("```nginx\n{first_line}\n"))
        .unwrap();
    let (block, _) = block.split_once("```").unwrap();
    format!("{first_line}\n{block}")
}

/// As files hold certificates and keys.
fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64);
    let lines = lines.map(|line| std::str::from_utf8(line).unwrap());
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {what}-----\n{lines}\n-----END {what}-----\n")
}

/// Asks with curl, which is content with a certificate of nobody.
fn curl(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["-sk", "--noproxy", "*"]).args(arguments);
    command.output().unwrap().stdout
}

#[test]
fn https_and_sources_pass_nginx_as_documented() {
    if !have("nginx") || !have("curl") || !Path::new(STREAM_MODULE).exists() {
        return;
    }
    let (https, bytes) = (free_port(), free_port());
    let public = format!("https://localhost:{https}");
    let mesh = TestMesh::start_with(1, |_, setup| {
        setup.with(&[
            "--trusted-proxies",
            "127.0.0.1",
            "--public-https-url",
            &public,
        ])
    });
    let node = &mesh.nodes[0];
    mesh.create_mount(RADIO, PASSWORD);
    let keys = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (keys.path().join("cert.pem"), keys.path().join("key.pem"));
    fs::write(&certificate, pem("CERTIFICATE", made.cert.der())).unwrap();
    fs::write(&key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    let address = node.address();
    let http = documented("server {")
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{https} ssl"))
        .replace(
            "/etc/letsencrypt/live/a.example/fullchain.pem",
            &certificate.display().to_string(),
        )
        .replace(
            "/etc/letsencrypt/live/a.example/privkey.pem",
            &key.display().to_string(),
        )
        .replace("127.0.0.1:8000", &address);
    let beside = documented("stream {")
        .replace("listen 8001", &format!("listen 127.0.0.1:{bytes}"))
        .replace("127.0.0.1:8000", &address);
    let _nginx = Nginx::start(&http, &beside);
    let forwarded = format!("127.0.0.1:{bytes}");
    let answers = || get(&forwarded, "/livez").map_err(|error| error.to_string());
    eventually(PATIENCE, "nginx forwards", answers);

    let _source = KnownSource::start_at(&forwarded, RADIO, PASSWORD).unwrap();
    mesh.wait_on_air(RADIO);
    let target = |path: &str| format!("{public}{path}");
    let stats: Value = serde_json::from_slice(&curl(&[&target("/status-json.xsl")])).unwrap();
    assert_eq!(
        stats["icestats"]["source"]["listenurl"],
        target(RADIO),
        "{stats}"
    );
    let m3u = String::from_utf8(curl(&[&target("/radio.mp3.m3u")])).unwrap();
    assert!(
        m3u.contains(&target(RADIO)) && !m3u.contains("http://"),
        "{m3u}"
    );
    // With or without HTTP/1.1, what a listener gets is the stream and nothing between its frames.
    for version in ["--http1.0", "--http1.1"] {
        let look = || {
            let heard = curl(&[version, "-m", "2", &target(RADIO)]);
            so(heard.len() > 20 * FRAME_BYTES, heard.len()).map(|()| heard)
        };
        let (heard, _) = eventually(PATIENCE, "a stream through nginx", look);
        signal::check(&heard);
        println!("{version}: {} bytes through nginx", heard.len());
    }
}
