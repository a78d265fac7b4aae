//! A real certificate authority for tests, Pebble, and the DNS that it asks.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use super::http;
use super::patience::{PATIENCE, eventually};
use super::port::free_port;

/// How an authority is to be started.
#[derive(Clone, Debug)]
pub(crate) struct PebbleSetup {
    /// The address at which nodes reach it.
    pub(crate) ip: Ipv4Addr,
    /// The server that it asks for names.
    pub(crate) dns: SocketAddr,
    /// The port at which it asks hosts by HTTP.
    pub(crate) http_port: u16,
    /// How long its certificates are valid, seconds.
    pub(crate) lifetime_s: u64,
    /// More of its variables.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// An authority. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Pebble {
    folder: TempDir,
    port: u16,
    management_port: u16,
    setup: PebbleSetup,
    child: Child,
}

impl Pebble {
    /// Starts an authority, and waits until it answers.
    pub(crate) fn start(setup: PebbleSetup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, management_port) = (free_port(), free_port());
        write_own_certificate(&folder, setup.ip);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let config = json!({ "pebble": {
            "listenAddress": format!("{}:{port}", setup.ip),
            "managementListenAddress": format!("{}:{management_port}", setup.ip),
            "certificate": file("own.pem"),
            "privateKey": file("own-key.pem"),
            "httpPort": setup.http_port,
            "tlsPort": 1,
            "certificateValidityPeriod": setup.lifetime_s,
        }});
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let child = spawn(&folder, &setup);
        let pebble = Self {
            folder,
            port,
            management_port,
            setup,
            child,
        };
        pebble.wait();
        pebble
    }

    fn wait(&self) {
        eventually(PATIENCE, "the authority answers", || {
            TcpStream::connect((self.setup.ip, self.port)).map(drop)
        });
    }

    /// Ends it and starts it again: it has forgotten all accounts and orders.
    pub(crate) fn forget_everything(&mut self) {
        self.end();
        self.child = spawn(&self.folder, &self.setup);
        self.wait();
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The address of its server, `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.setup.ip, self.port)
    }

    /// The address of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("https://{}/dir", self.address())
    }

    /// The file with the certificate by which its own server is trusted.
    pub(crate) fn trusted_by(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// A file with the root of the certificates that it issues in its present life.
    pub(crate) fn issues_under(&self) -> PathBuf {
        let url = format!("https://{}:{}/roots/0", self.setup.ip, self.management_port);
        let file = self.folder.path().join("issues-under.pem");
        let mut curl = Command::new("curl");
        curl.arg("-sSf").arg("--cacert").arg(self.trusted_by());
        let got = curl.arg("-o").arg(&file).arg(url).output().unwrap();
        assert!(got.status.success(), "{got:?}");
        file
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// How many orders it has taken, in all its lives.
    pub(crate) fn orders(&self) -> usize {
        self.log().matches("Added order ").count()
    }

    /// How many certificates it has issued, in all its lives.
    pub(crate) fn issued(&self) -> usize {
        self.log().matches("Issued certificate serial ").count()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("---- log of the authority\n{}", self.log());
        }
    }
}

fn spawn(folder: &TempDir, setup: &PebbleSetup) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("log"))
        .unwrap();
    let mut command = Command::new("pebble");
    command
        .args(["-strict", "-config"])
        .arg(folder.path().join("config.json"));
    command.args(["-dnsserver", &setup.dns.to_string()]);
    command
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_AUTHZREUSE", "0");
    command.envs(setup.variables.iter().map(|(name, value)| (name, value)));
    for (name, value) in &setup.variables {
        if value.is_empty() {
            command.env_remove(name);
        }
    }
    let command = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap());
    command.stderr(log).spawn().unwrap()
}

/// A root and the certificate of the authority's own server.
fn write_own_certificate(folder: &TempDir, ip: Ipv4Addr) {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than the server's: with one name for both, OpenSSL takes that one's for its own root.
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "the root of a test");
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::from_params(&params, &root_key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![ip.to_string()]);
    let own = own.unwrap().signed_by(&own_key, &issuer).unwrap();
    for (name, text) in [
        ("root.pem", root.pem()),
        ("own.pem", own.pem()),
        ("own-key.pem", own_key.serialize_pem()),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
}

/// A DNS server that answers as a test says. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct ScriptedDns {
    address: SocketAddr,
    management: String,
    child: Child,
}

impl ScriptedDns {
    /// Starts one; every name leads to this address.
    pub(crate) fn start(every_name: Ipv4Addr) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let management = format!("127.0.0.1:{}", free_port());
        let child = Command::new("pebble-challtestsrv")
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-defaultIPv6", "", "-defaultIPv4", &every_name.to_string()])
            .args(["-dns01", &address.to_string(), "-management", &management])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let dns = Self {
            address,
            management,
            child,
        };
        eventually(PATIENCE, "the scripted DNS answers", || {
            TcpStream::connect(&dns.management).map(drop)
        });
        dns
    }

    /// The address at which it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a name leads to this address.
    pub(crate) fn lead(&self, name: &str, to: Ipv4Addr) {
        let body = json!({ "host": name, "addresses": [to.to_string()] }).to_string();
        let (host, length) = (&self.management, body.len());
        for path in ["clear-a", "add-a"] {
            let request = format!(
                "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            assert_eq!(http::ask(host, &request).unwrap().head.status, 200);
        }
    }
}

impl Drop for ScriptedDns {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
