//! The cost of TLS: of a listener beside a plain one, and of listeners and handshakes beside nginx's.
//!
//! `make bench-tls` measures it with the optimised program and writes the table into the documentation. nginx sends a file
//! of noise as slowly as the node its stream, with the same key.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use super::{Encoder, MEASURED, PASSWORD, ROUNDS, SETTLE, STREAMS, measure, used};
use crate::support::ca::TestCa;
use crate::support::https::TlsFolder;
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::port::free_port;
use crate::support::rush::allow_files;
use crate::support::tool::have;
use crate::support::vitals::Vitals;

/// A page of the documentation, and the marks around a table in it.
#[derive(Clone, Copy)]
struct Place {
    page: &'static str,
    begin: &'static str,
    end: &'static str,
}
const COSTS: Place = Place {
    page: "docs/decisions/030-tls-at-the-door.md",
    begin: "<!-- costs of tls: begin -->\n",
    end: "<!-- costs of tls: end -->",
};
const MEMORY: Place = Place {
    page: "docs/https.md",
    begin: "<!-- memory of a listener: begin, by make bench-tls -->\n",
    end: "<!-- memory of a listener: end -->",
};
/// The most memory that a listener by TLS may take, KiB: the session with its keys, and the buffers for one record each way.
const MOST_KIB_EACH: f64 = 40.0;
/// Listeners, unless `LISTENERS` says otherwise.
const LISTENERS: usize = 1_000;
/// How many clients shake hands at the same time.
const SHAKING: usize = 8;
/// How often a listener looks whether bytes have come.
const SIP: Duration = Duration::from_millis(500);
/// How many descriptors the test needs beside those of listeners.
const OTHER_FILES: u64 = 200;
/// How much more than a plain listener one by TLS may cost.
const MOST_BESIDE_PLAIN: f64 = 1.5;
/// How much of what a listener costs nginx one may cost the node.
const MOST_BESIDE_NGINX: f64 = 1.0;
/// How many of nginx's handshakes the node does at least with the same time of a processor.
const LEAST_HANDSHAKES: f64 = 0.9;

/// An nginx in one process, which sends a file slowly.
struct Nginx {
    child: Child,
    address: String,
}

impl Nginx {
    fn start(tls: &TlsFolder) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let home = tls.path();
        let noise: Vec<u8> = (0..16_u32 << 20)
            .map(|at| (at.wrapping_mul(0x9E37_79B9) >> 24) as u8)
            .collect();
        fs::write(home.join("noise.mp3"), noise).unwrap();
        let here = home.display();
        let settings = format!(
            "master_process off; daemon off; error_log {here}/error.log; pid {here}/pid;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; client_body_temp_path {here}/t1; proxy_temp_path {here}/t2;\n\
             fastcgi_temp_path {here}/t3; uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;\n\
             server {{ listen {address} ssl backlog=4096; ssl_certificate {here}/cert.pem;\n\
             ssl_certificate_key {here}/key.pem; ssl_protocols TLSv1.2 TLSv1.3; root {here};\n\
             location / {{ limit_rate 16k; }} }} }}\n"
        );
        fs::write(home.join("nginx.conf"), settings).unwrap();
        let mut nginx = Command::new("nginx");
        nginx
            .arg("-c")
            .arg(home.join("nginx.conf"))
            .arg("-p")
            .arg(home);
        let child = nginx.stdin(Stdio::null()).spawn().unwrap();
        let nginx = Self { child, address };
        eventually(PATIENCE, "nginx listens", || {
            std::net::TcpStream::connect(&nginx.address).map(drop)
        });
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

async fn connect(address: &str, tls: Option<Arc<ClientConfig>>) -> io::Result<Box<dyn Wire>> {
    let socket = TcpStream::connect(address).await?;
    let Some(config) = tls else {
        return Ok(Box::new(socket));
    };
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    Ok(Box::new(
        TlsConnector::from(config).connect(name, socket).await?,
    ))
}

/// The doings of many clients on a thread of their own. Dropping it ends them.
struct Clients {
    runtime: Option<Runtime>,
    /// Bytes heard, or hands shaken.
    count: Arc<AtomicU64>,
    there: Arc<AtomicU64>,
}

impl Clients {
    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build();
        Self {
            runtime: Some(runtime.unwrap()),
            count: Arc::default(),
            there: Arc::default(),
        }
    }

    /// So many listeners of a path.
    fn listening(address: &str, path: &str, tls: Option<&Arc<ClientConfig>>, most: usize) -> Self {
        let clients = Self::new();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        for _ in 0..most {
            let (address, request, tls) = (address.to_owned(), request.clone(), tls.cloned());
            let (count, there) = (clients.count.clone(), clients.there.clone());
            let runtime = clients.runtime.as_ref().expect("until it is dropped");
            runtime.spawn(async move {
                let mut stream = connect(&address, tls).await.expect("a connection");
                stream
                    .write_all(request.as_bytes())
                    .await
                    .expect("a request");
                stream.flush().await.expect("a request");
                there.fetch_add(1, Ordering::Relaxed);
                let mut buffer = vec![0; 32 << 10];
                while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                    count.fetch_add(bytes as u64, Ordering::Relaxed);
                    sleep(SIP).await;
                }
                there.fetch_sub(1, Ordering::Relaxed);
            });
        }
        eventually(PATIENCE, "all listen", || {
            let there = clients.there.load(Ordering::Relaxed);
            so(there == most as u64, there)
        });
        clients
    }

    /// Clients that shake hands again and again, and never resume.
    fn shaking(address: &str, config: &Arc<ClientConfig>) -> Self {
        let clients = Self::new();
        for _ in 0..SHAKING {
            let (address, config) = (address.to_owned(), config.clone());
            let count = clients.count.clone();
            let runtime = clients.runtime.as_ref().expect("until it is dropped");
            runtime.spawn(async move {
                loop {
                    let mut stream = connect(&address, Some(config.clone()))
                        .await
                        .expect("hands");
                    count.fetch_add(1, Ordering::Relaxed);
                    let _gone = stream.shutdown().await;
                }
            });
        }
        clients
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The work of a process for clients while it is measured: how much, and by how much time of a processor.
#[derive(Clone, Copy, Debug)]
struct Work {
    done: f64,
    seconds: f64,
}

impl Work {
    fn of(pid: u32, clients: &Clients) -> Self {
        let (done, time) = (clients.count(), used(pid));
        thread::sleep(MEASURED);
        Self {
            done: (clients.count() - done) as f64,
            seconds: used(pid).saturating_sub(time).as_secs_f64(),
        }
    }

    /// Seconds for 10⁹ of what was done, without those that are used for nothing.
    fn per_billion(self, idle_s: f64) -> f64 {
        (self.seconds - idle_s).max(0.0) * 1e9 / self.done
    }
}

fn least(rounds: &[f64]) -> f64 {
    rounds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// A node on air, nginx beside it, and the clients of both.
struct TlsBench {
    mesh: TestMesh,
    nginx: Nginx,
    config: Arc<ClientConfig>,
    listeners: usize,
    _tls: TlsFolder,
    _encoder: Encoder,
}

impl TlsBench {
    fn set() -> Self {
        let tls = TlsFolder::new();
        let most = ["--max-listeners", "20000", "--max-bandwidth", "100G"];
        let mesh = TestMesh::start_with(1, |_, setup| tls.of(setup.with(&most)));
        let stream = STREAMS[0];
        mesh.create_mount(stream.mount, PASSWORD);
        let encoder = Encoder::start(&mesh.nodes[0], stream);
        mesh.wait_on_air(stream.mount);
        let mut config = ClientConfig::clone(&TestCa::get().client());
        config.resumption = Resumption::disabled();
        let named = env::var("LISTENERS").ok().and_then(|it| it.parse().ok());
        let listeners = named.unwrap_or(LISTENERS);
        allow_files(listeners as u64 + OTHER_FILES);
        Self {
            nginx: Nginx::start(&tls),
            mesh,
            config: Arc::new(config),
            listeners,
            _tls: tls,
            _encoder: encoder,
        }
    }

    fn node(&self) -> &TestNode {
        &self.mesh.nodes[0]
    }

    fn heard_from_node(&self, tls: Option<&Arc<ClientConfig>>) -> Work {
        let address = self.node().address();
        let clients = Clients::listening(&address, STREAMS[0].mount, tls, self.listeners);
        thread::sleep(SETTLE);
        let work = Work::of(self.node().pid(), &clients);
        assert_eq!(clients.there.load(Ordering::Relaxed), self.listeners as u64);
        drop(clients);
        eventually(PATIENCE, "all have left", || {
            let listeners: u32 = self
                .node()
                .status()
                .nodes
                .iter()
                .map(|it| it.listeners)
                .sum();
            so(listeners == 0, listeners)
        });
        work
    }

    fn heard_from_nginx(&self) -> Work {
        let (address, tls) = (&self.nginx.address, Some(&self.config));
        let clients = Clients::listening(address, "/noise.mp3", tls, self.listeners);
        thread::sleep(SETTLE);
        Work::of(self.nginx.child.id(), &clients)
    }

    fn shaken(&self, address: &str, pid: u32) -> Work {
        Work::of(pid, &Clients::shaking(address, &self.config))
    }
}

#[test]
#[ignore = "takes some minutes: make bench-tls"]
fn measured() {
    assert!(have("ffmpeg") && have("nginx"), "an encoder, and the rival");
    let bench = TlsBench::set();
    let idle_s = measure(bench.node()).as_secs_f64();
    let [mut plain, mut tls, mut nginx] = [const { Vec::new() }; 3];
    let [mut ours, mut theirs] = [const { Vec::new() }; 2];
    for round in 1..=ROUNDS {
        plain.push(bench.heard_from_node(None).per_billion(idle_s));
        tls.push(
            bench
                .heard_from_node(Some(&bench.config))
                .per_billion(idle_s),
        );
        nginx.push(bench.heard_from_nginx().per_billion(0.0));
        let node = bench.shaken(&bench.node().address(), bench.node().pid());
        ours.push(node.per_billion(idle_s));
        let rival = bench.shaken(&bench.nginx.address, bench.nginx.child.id());
        theirs.push(rival.per_billion(0.0));
        println!(
            "{round}/{ROUNDS}: s/GB {plain:.2?} {tls:.2?} {nginx:.2?}, handshakes {node:?} {rival:?}"
        );
    }
    let [plain, tls, nginx] = [plain, tls, nginx].map(|rounds| least(&rounds));
    let [ours, theirs] = [ours, theirs].map(|rounds| 1e9 / least(&rounds));
    let [beside_plain, beside_nginx, hands] = [tls / plain, tls / nginx, ours / theirs];
    let table = format!(
        "| {} listeners of 128 kbit/s, processor time for a GB | | beside it |\n| --- | --- | --- |\n\
         | the node, plain | {plain:.2} s | |\n\
         | the node, by TLS | {tls:.2} s | {beside_plain:.2} of plain (≤ {MOST_BESIDE_PLAIN}) |\n\
         | nginx, by TLS | {nginx:.2} s | the node takes {beside_nginx:.2} of it (≤ {MOST_BESIDE_NGINX}) |\n\n\
         | full handshakes with ECDSA in a second of a processor | | beside it |\n| --- | --- | --- |\n\
         | the node | {ours:.0} | {hands:.2} of nginx (≥ {LEAST_HANDSHAKES}) |\n| nginx | {theirs:.0} | |\n",
        bench.listeners
    );
    write_into(COSTS, &table);
    assert!(
        beside_plain <= MOST_BESIDE_PLAIN,
        "{beside_plain:.2} of plain"
    );
    assert!(
        beside_nginx <= MOST_BESIDE_NGINX,
        "{beside_nginx:.2} of nginx"
    );
    assert!(
        hands >= LEAST_HANDSHAKES,
        "{hands:.2} of nginx's handshakes"
    );
}

/// How much memory of a new node a listener takes, KiB.
fn memory_of_a_listener(bench: &TlsBench, tls: Option<&Arc<ClientConfig>>) -> f64 {
    let node = bench.node();
    let before = Vitals::of(node.pid());
    let clients = Clients::listening(&node.address(), STREAMS[0].mount, tls, bench.listeners);
    thread::sleep(SETTLE);
    let after = Vitals::of(node.pid());
    drop(clients);
    let grown = after.rss_kib.saturating_sub(before.rss_kib);
    println!("{before}, then {after}");
    grown as f64 / bench.listeners as f64
}

#[test]
#[ignore = "takes half a minute: make bench-tls"]
fn memory() {
    assert!(have("ffmpeg") && have("nginx"), "an encoder, and the rival");
    // Of nodes of their own: what listeners leave behind, others use again.
    let plain = memory_of_a_listener(&TlsBench::set(), None);
    let bench = TlsBench::set();
    let tls = memory_of_a_listener(&bench, Some(&bench.config));
    let table = format!(
        "| {} listeners of 128 kbit/s | memory of the node for each |\n| --- | --- |\n\
         | plain | {plain:.0} KiB |\n| by TLS | {tls:.0} KiB (≤ {MOST_KIB_EACH}) |\n",
        bench.listeners
    );
    write_into(MEMORY, &table);
    assert!(tls <= MOST_KIB_EACH, "{tls:.0} KiB");
}

/// Puts a table into the documentation.
fn write_into(place: Place, table: &str) {
    println!("\n{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(place.page);
    let text = fs::read_to_string(&path).expect("the documentation is there");
    let (before, rest) = text.split_once(place.begin).expect("a place for the table");
    let (_, after) = rest.split_once(place.end).expect("its end");
    let (begin, end) = (place.begin, place.end);
    fs::write(&path, format!("{before}{begin}\n{table}\n{end}{after}")).expect("it can be written");
}
