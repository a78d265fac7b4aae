//! A client that asks and never follows a redirect takes no listener's place.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::support::crowd::read_head;
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::rush::{End, Rush};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// The nodes, and the places of each.
const NODES: usize = 4;
const PLACES: u32 = 250;
/// Clients that ask and never follow: so many addresses, each so often.
const STRANGERS: usize = 80;
const PAUSE: Duration = Duration::from_millis(45);
/// Clients that ask and follow.
const LISTENERS: usize = 100;

/// The strangers at work. Dropping it ends them.
struct Strangers {
    asked: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

impl Strangers {
    fn begin(doors: &[String]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        for index in 0..STRANGERS {
            // Each in a network of its own, so that none of the bounds for addresses and networks holds them.
            let ip = Ipv4Addr::new(127, 88, u8::try_from(index).expect("few"), 1);
            let door: SocketAddr = doors[index % doors.len()].parse().unwrap();
            let asked = Arc::clone(&asked);
            runtime.spawn(async move {
                loop {
                    // A place that was given instead of a redirect is left at once, and the next one asked for.
                    let _left = ask_on(ip, door, &asked).await;
                    sleep(PAUSE).await;
                }
            });
        }
        Self {
            asked,
            runtime: Some(runtime),
        }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Asks again and again on one connection, as long as nothing but redirects comes.
async fn ask_on(ip: Ipv4Addr, door: SocketAddr, asked: &AtomicU64) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((ip, 0).into())?;
    let mut stream: TcpStream = socket.connect(door).await?;
    let request = format!("GET {RADIO} HTTP/1.1\r\nHost: {door}\r\n\r\n");
    loop {
        stream.write_all(request.as_bytes()).await?;
        let (head, _) = read_head(&mut stream).await?;
        asked.fetch_add(1, Ordering::Relaxed);
        if !head.starts_with("HTTP/1.1 302") {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

#[test]
fn redirects_that_nobody_follows_refuse_no_listener() {
    let places = PLACES.to_string();
    let more = ["--max-listeners", &places];
    let mesh = TestMesh::start_with(NODES, |_, setup| setup.with(&more));
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let doors: Vec<String> = mesh.nodes.iter().map(|it| it.address()).collect();
    let strangers = Strangers::begin(&doors);
    let looks_full = || {
        for node in &mesh.nodes {
            let seen = node.predictions(RADIO);
            let pending: u64 = seen.iter().map(|it| it.pending.listeners).sum();
            so(pending > u64::from(PLACES), format!("{pending} on the way"))?;
        }
        Ok::<_, String>(())
    };
    eventually(PATIENCE, "the strangers are foreseen", looks_full);

    let (begun, before) = (Instant::now(), strangers.asked());
    let rush = Rush::begin(&doors, RADIO, LISTENERS, Duration::from_secs(3));
    let come = || so(rush.on_the_way() == 0, rush.on_the_way());
    eventually(PATIENCE, "all listeners have an answer", come);
    let rate = (strangers.asked() - before) as f64 / begun.elapsed().as_secs_f64();
    let taken: u32 = mesh.nodes[0]
        .status()
        .nodes
        .iter()
        .map(|it| it.listeners)
        .sum();
    let ends: Vec<Option<End>> = rush.stories().into_iter().map(|it| it.end).collect();
    let lost: Vec<&Option<End>> = ends.iter().filter(|it| **it != Some(End::Served)).collect();
    println!(
        "{STRANGERS} addresses asked {rate:.0} times a second and never followed: of {LISTENERS} listeners {} were \
         refused, with {taken} of {} places taken",
        lost.len(),
        NODES as u32 * PLACES
    );
    assert!(lost.is_empty(), "{lost:?}");
}
