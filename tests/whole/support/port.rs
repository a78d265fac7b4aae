//! Ports that a node can have, by TCP and UDP, and have again after a restart.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first that is given away.
const FIRST: u16 = 20_000;
/// The system gives the ports from 32768 on to outgoing connections: one of those could be taken by somebody else
/// while a node restarts.
const LAST: u16 = 32_700;

/// How many were given away, or were not free.
static TAKEN: AtomicU16 = AtomicU16::new(0);

/// A port that nobody uses now, and that no other test of this process gets.
pub(crate) fn free_port() -> u16 {
    // Each test process begins elsewhere, so that two at once seldom meet.
    let span = LAST - FIRST;
    let start = (std::process::id().wrapping_mul(2_654_435_761) >> 16) as u16 % span;
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(taken < span, "no port is free");
        let port = FIRST + start.wrapping_add(taken) % span;
        let place = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok() {
            return port;
        }
    }
}
