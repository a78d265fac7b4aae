//! Thousands of clients that shake hands at one moment, with the costly signatures of RSA: the node answers others
//! meanwhile, and its peers hear it as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use antiphon::model::status::NodeState;
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::support::ca::TestCa;
use crate::support::https::TlsFolder;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::rush::allow_files;
use crate::support::tool::have;
use crate::support::trust::Trust;

/// Clients that come at one moment.
const CROWD: usize = 2_000;
/// How many descriptors the test needs beside theirs.
const OTHER_FILES: u64 = 200;
/// Within how long it answers others meanwhile. It takes some 50 ms, and took 2 s while signatures went before all else.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// Within how long news of the node are known to the others meanwhile: some rounds of gossip, on a busy machine.
const NEWS_WITHIN: Duration = Duration::from_secs(2);

/// Clients that shake hands once, all at the same time. Dropping it ends them.
struct Crowd {
    runtime: Option<Runtime>,
    shaken: Arc<AtomicUsize>,
}

impl Crowd {
    fn start(address: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let mut config = ClientConfig::clone(&TestCa::get().client());
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        let shaken = Arc::new(AtomicUsize::new(0));
        for _ in 0..CROWD {
            let (address, connector) = (address.to_owned(), connector.clone());
            let (shaken, name) = (shaken.clone(), Trust::tests().name_at(&address));
            runtime.spawn(async move {
                let socket = TcpStream::connect(&address).await.expect("a place");
                let _shaken = connector.connect(name, socket).await.expect("hands");
                shaken.fetch_add(1, Ordering::Relaxed);
            });
        }
        Self {
            runtime: Some(runtime),
            shaken,
        }
    }

    fn shaken(&self) -> usize {
        self.shaken.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[test]
fn thousands_of_handshakes_keep_a_node_from_nobody() {
    if !have("openssl") {
        return;
    }
    allow_files(CROWD as u64 + OTHER_FILES);
    let tls = TlsFolder::with(&TestCa::get().issue_rsa_for_loopback());
    let mesh = tls.mesh(3);
    let (master, others) = (mesh.master(), mesh.others());
    let (crowded, witness) = (&mesh.nodes[others[0]], &mesh.nodes[others[1]]);
    let seen = || witness.opinion_of(crowded.name()).expect("a member");
    let crowd = Crowd::start(&crowded.address());
    let begun = Instant::now();
    let (mut waits, mut latencies) = (Vec::new(), Vec::new());
    while crowd.shaken() < CROWD && begun.elapsed() < PATIENCE {
        let weight = 100 + latencies.len() % 100;
        let asked = Instant::now();
        let path = format!("/api/v1/nodes/{}", crowded.name());
        let change = format!(r#"{{"weight":{weight}}}"#);
        let changed = crowded.api("PATCH", &path, &change).unwrap();
        assert_eq!(changed.head.status, 200, "{}", changed.text());
        waits.push(asked.elapsed());
        let (_, latency) = eventually(NEWS_WITHIN, "the others know its news", || {
            let seen = seen();
            assert_eq!(seen.state, NodeState::Alive);
            let known = seen.traits.weight_percent as usize;
            so(known == weight, known)
        });
        latencies.push(latency);
    }
    let took = begun.elapsed();
    assert_eq!(crowd.shaken(), CROWD, "not within {took:?}");
    let [wait, latency] = [waits, latencies].map(|it| it.into_iter().max().unwrap_or_default());
    println!(
        "{CROWD} handshakes in {took:?}; an answer within {wait:?}, known elsewhere within {latency:?}"
    );
    assert!(wait < ANSWERED_WITHIN, "{wait:?}");
    assert_eq!(mesh.master(), master);
}
