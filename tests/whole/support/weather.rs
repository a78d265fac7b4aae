//! Bad weather on the line to a node: what is sent to it, and what it answers, comes late or never.
//!
//! A small UDP proxy. The node says that it is reached at the proxy's address, so that nobody goes round it. Each
//! peer gets a socket of its own towards the node, and is told from the others by it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The longest datagram.
const DATAGRAM: usize = 65_536;

/// How bad it is, in each direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// How long a datagram is under way.
    pub(crate) delay: Duration,
    /// The share of datagrams that never arrive.
    pub(crate) loss: f64,
    /// Decides which.
    pub(crate) seed: u64,
}

/// The line. Dropping it cuts it.
#[derive(Debug)]
pub(crate) struct Line {
    /// The address at which the node is reached through it.
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

/// The state that all datagrams of a line share.
struct Weather {
    delay: Duration,
    loss: f64,
    dice: Mutex<StdRng>,
}

impl Weather {
    /// Whether this datagram arrives.
    fn spares(&self) -> bool {
        self.dice.lock().unwrap().random::<f64>() >= self.loss
    }
}

impl Line {
    /// A line to a node, which need not be there yet.
    pub(crate) fn to(node: SocketAddr, conditions: Conditions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let front = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        front.set_nonblocking(true).unwrap();
        let weather = Arc::new(Weather {
            delay: conditions.delay,
            loss: conditions.loss,
            dice: Mutex::new(StdRng::seed_from_u64(conditions.seed)),
        });
        let address = front.local_addr().unwrap();
        runtime.spawn(async move {
            let front = UdpSocket::from_std(front).unwrap();
            carry(Arc::new(front), node, weather).await;
        });
        Self {
            address,
            runtime: Some(runtime),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn carry(front: Arc<UdpSocket>, node: SocketAddr, weather: Arc<Weather>) {
    let mut backs: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // An error tells that a receiver was not there when a packet was sent to it: it may come yet.
        let Ok((length, peer)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        if let std::collections::btree_map::Entry::Vacant(place) = backs.entry(peer) {
            let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            back.connect(node).await.unwrap();
            let back = Arc::new(back);
            place.insert(back.clone());
            answers.spawn(answer(back, front.clone(), peer, weather.clone()));
        }
        if weather.spares() {
            let (back, delay) = (backs[&peer].clone(), weather.delay);
            let datagram = buffer[..length].to_vec();
            answers.spawn(async move {
                tokio::time::sleep(delay).await;
                let _arrived = back.send(&datagram).await;
            });
        }
        while answers.try_join_next().is_some() {}
    }
}

async fn answer(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    peer: SocketAddr,
    weather: Arc<Weather>,
) {
    let mut under_way = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok(length) = back.recv(&mut buffer).await else {
            continue;
        };
        if weather.spares() {
            let (front, delay) = (front.clone(), weather.delay);
            let datagram = buffer[..length].to_vec();
            under_way.spawn(async move {
                tokio::time::sleep(delay).await;
                let _arrived = front.send_to(&datagram, peer).await;
            });
        }
        while under_way.try_join_next().is_some() {}
    }
}
