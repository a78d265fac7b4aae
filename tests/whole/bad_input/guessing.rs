//! Strangers that guess passwords: they are slowed down, no other login waits for them, and the node does not grow.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::crowds::resident_bytes;
use super::wire::basic;
use super::{MOUNT, node, node_with_mount};
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};

/// How many connections guess at once.
const GUESSERS: usize = 200;
/// How long a right login may take meanwhile.
const ANSWERED: Duration = Duration::from_secs(1);
/// How long guesses are counted.
const COUNTED: Duration = Duration::from_secs(3);
/// How many passwords are checked before the node's memory is looked at.
const CHECKS: usize = 1_000;
/// The memory that the node may have then.
const MOST_RESIDENT_BYTES: usize = 64 << 20;

/// Sends one request from this address of the loopback; the status of the answer.
pub(super) fn status_from(from: Ipv4Addr, node: SocketAddr, head: &str) -> io::Result<u16> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(from.into(), 0).into())?;
    socket.connect(&node.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{head}\r\n\r\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

pub(super) fn source_login(mount: &str, password: &str) -> String {
    let login = basic("source", password);
    format!("SOURCE {mount} HTTP/1.0\r\n{login}\r\nContent-Type: audio/mpeg")
}

pub(super) fn admin_login(password: &str) -> String {
    let login = basic("admin", password);
    format!("GET /api/v1/mounts HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{login}")
}

/// Connections that try one random password after the other. They end with the node, at the latest.
struct Guessers {
    stop: Arc<AtomicBool>,
    /// When each guess was answered 401: its password was hashed.
    hashed: Arc<Mutex<Vec<Instant>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Guessers {
    fn start(node: &TestNode, addresses: &[Ipv4Addr]) -> Self {
        let mut guessers = Self {
            stop: Arc::default(),
            hashed: Arc::default(),
            threads: Vec::new(),
        };
        let address: SocketAddr = node.address().parse().expect("an address");
        for index in 0..GUESSERS {
            let from = addresses[index % addresses.len()];
            let (stop, hashed) = (guessers.stop.clone(), guessers.hashed.clone());
            let guess = move || {
                for guess in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let mount = format!("/{}.mp3", guess % MOUNTS);
                    let password = rand::random::<u64>().to_string();
                    let login = source_login(&mount, &password);
                    match status_from(from, address, &login) {
                        Ok(401) => hashed.lock().expect("no panic").push(Instant::now()),
                        Ok(_) => {}
                        Err(_) => thread::sleep(Duration::from_millis(50)),
                    }
                }
            };
            guessers.threads.push(thread::spawn(guess));
        }
        eventually(PATIENCE, "guesses are answered", || {
            so(guessers.hashed().len() >= 5, guessers.hashed().len())
        });
        guessers
    }

    fn hashed(&self) -> Vec<Instant> {
        self.hashed.lock().expect("no panic").clone()
    }

    /// The most guesses that were hashed within a second, of those answered since then.
    fn most_in_a_second(&self, since: Instant) -> usize {
        let mut at = self.hashed();
        at.retain(|it| *it >= since);
        at.sort_unstable();
        let second = Duration::from_secs(1);
        let within = |first: &Instant| {
            let last = *first + second;
            at.iter().filter(|it| (*first..last).contains(*it)).count()
        };
        at.iter().map(within).max().unwrap_or(0)
    }

    fn end(self, node: TestNode) {
        self.stop.store(true, Ordering::Relaxed);
        drop(node);
        for thread in self.threads {
            thread.join().expect("no guesser panics");
        }
    }
}

/// So many mounts, `/0.mp3` and so on; the password of each is its number.
const MOUNTS: usize = 5;

/// A node with mounts that knows no password, because it was started again; and its admin's password.
fn node_that_knows_no_password() -> (TestNode, String) {
    let mut node = node();
    for mount in 0..MOUNTS {
        node.create_mount(&format!("/{mount}.mp3"), &format!("password-{mount}"));
    }
    let password = node.wait_admin_password();
    eventually(PATIENCE, "the admin password is valid", || {
        let status = node.admin_status(&password);
        so(status == 200, status)
    });
    assert!(node.stop().success());
    node.restart();
    (node, password)
}

/// Logs in to everything from addresses that have not guessed; the longest that it took.
fn log_in_everywhere(node: &TestNode, admin_password: &str) -> Duration {
    let address: SocketAddr = node.address().parse().expect("an address");
    let mut logins = vec![admin_login(admin_password)];
    for mount in 0..MOUNTS {
        logins.push(source_login(
            &format!("/{mount}.mp3"),
            &format!("password-{mount}"),
        ));
    }
    let timed = logins.iter().enumerate().map(|(index, login)| {
        let from = Ipv4Addr::new(127, 0, 77, index as u8 + 1);
        let asked = Instant::now();
        let status = status_from(from, address, login).expect("an answer");
        assert_eq!(status, 200, "{login}");
        asked.elapsed()
    });
    timed.max().expect("there are logins")
}

#[test]
fn one_guessing_address_blocks_no_other_login() {
    let (node, admin_password) = node_that_knows_no_password();
    let guesser = Ipv4Addr::new(127, 0, 66, 1);
    let guessers = Guessers::start(&node, &[guesser]);
    let since = Instant::now();
    let longest = log_in_everywhere(&node, &admin_password);
    // From the very address, too: a password that was right today is checked at once.
    let asked = Instant::now();
    let again = admin_login(&admin_password);
    let status = status_from(guesser, node.address().parse().expect("an address"), &again);
    assert_eq!(status.expect("an answer"), 200);
    let known = asked.elapsed();
    eventually(PATIENCE, "guesses are counted", || {
        so(since.elapsed() >= COUNTED, "not long enough")
    });
    let most = guessers.most_in_a_second(since);
    println!(
        "{GUESSERS} guessing connections of one address: the slowest right login took {longest:?}, a known one from \
         the same address {known:?}; at most {most} guesses in a second were hashed"
    );
    assert!(
        longest <= ANSWERED && known <= ANSWERED,
        "{longest:?} {known:?}"
    );
    assert!((1..=5).contains(&most), "{most} in a second");
    guessers.end(node);
}

#[test]
fn many_guessing_addresses_block_no_other_login() {
    let (node, admin_password) = node_that_knows_no_password();
    let addresses: Vec<Ipv4Addr> = (1..=50).map(|it| Ipv4Addr::new(127, 0, 66, it)).collect();
    let guessers = Guessers::start(&node, &addresses);
    let longest = log_in_everywhere(&node, &admin_password);
    println!(
        "{GUESSERS} guessing connections of {} addresses: the slowest right login took {longest:?}",
        addresses.len()
    );
    assert!(longest <= ANSWERED, "{longest:?}");
    guessers.end(node);
}

#[test]
fn a_thousand_password_checks_leak_no_memory() {
    let node = node_with_mount();
    let address: SocketAddr = node.address().parse().expect("an address");
    let before = resident_bytes(&node);
    let begun = Instant::now();
    thread::scope(|scope| {
        for third in 0..4_u8 {
            let check = move || {
                for guess in 0..CHECKS / 4 {
                    // Each from an address of its own: none of them is slowed down.
                    let from = Ipv4Addr::new(127, 1 + third, (guess >> 8) as u8, guess as u8);
                    let login = source_login(MOUNT, &format!("{third}-{guess}"));
                    let status = status_from(from, address, &login);
                    assert_eq!(status.expect("an answer"), 401);
                }
            };
            scope.spawn(check);
        }
    });
    let after = resident_bytes(&node);
    println!(
        "{CHECKS} checks in {:?}: {} MiB resident before, {} MiB after",
        begun.elapsed(),
        before >> 20,
        after >> 20
    );
    assert!(after <= MOST_RESIDENT_BYTES, "{after} bytes");
}
