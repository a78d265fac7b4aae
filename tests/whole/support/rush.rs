//! Thousands of listeners that come within seconds, each from an address of its own and by any node.
//!
//! Unlike a [`Crowd`](super::crowd::Crowd) they check no bytes and never come back: where they were sent, when, and
//! how they were received is their whole story.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::{sleep, sleep_until, timeout};

use super::crowd::read_head;
use super::http::{Head, split};

/// How long a listener waits for its answer: longer than any player, so that a slow machine is no refusal.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a listener reads what has come: seldom enough that thousands cost little, often enough that no node
/// takes it for asleep.
const SIP: Duration = Duration::from_secs(1);
/// How much is taken at once.
const SIP_BYTES: usize = 32 << 10;
/// Of the descriptors of the process, those for everything but listeners.
const OTHER_FILES: u64 = 200;

/// The fate of one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// The node that the listener was told to listen at, and when: by a redirect, or by the stream itself.
    pub(crate) told: Option<(usize, Instant)>,
    /// How many times the listener was redirected.
    pub(crate) redirects: u32,
    /// How it came out; nothing while it is open.
    pub(crate) end: Option<End>,
    /// The bytes that the listener has heard.
    pub(crate) bytes: usize,
}

/// How a listener was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The listener gets the stream.
    Served,
    /// The listener got the stream, and was then disconnected.
    Dropped,
    /// The listener got another answer than the stream or a redirect: its status line.
    Refused(String),
    /// The listener got no answer, or an invalid one.
    Failed(String),
}

/// The listeners. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Rush {
    stories: Vec<Arc<Mutex<Story>>>,
    runtime: Option<Runtime>,
}

impl Rush {
    /// So many listeners of a mount, who come at random moments within a time, each by a random one of these doors
    /// (`HOST:PORT`).
    pub(crate) fn begin(doors: &[String], mount: &str, listeners: usize, within: Duration) -> Self {
        allow_files(listeners as u64 + OTHER_FILES);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (doors, begun): (Arc<[String]>, _) = (doors.into(), Instant::now());
        let come = |index| {
            let story = Arc::new(Mutex::default());
            let comer = Comer {
                ip: address(index),
                doors: doors.clone(),
                target: mount.to_owned(),
                story: Arc::clone(&story),
            };
            let at = begun + within.mul_f64(rand::random());
            runtime.spawn(comer.live(at));
            story
        };
        Self {
            stories: (0..listeners).map(come).collect(),
            runtime: Some(runtime),
        }
    }

    /// The stories of all listeners so far.
    pub(crate) fn stories(&self) -> Vec<Story> {
        let story = |it: &Arc<Mutex<Story>>| it.lock().unwrap().clone();
        self.stories.iter().map(story).collect()
    }

    /// How many are still on their way.
    pub(crate) fn on_the_way(&self) -> usize {
        let open = |it: &&Arc<Mutex<Story>>| it.lock().unwrap().end.is_none();
        self.stories.iter().filter(open).count()
    }
}

impl Drop for Rush {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An address of the loopback for one listener only: a node takes a few hundred from one.
fn address(index: usize) -> Ipv4Addr {
    let low = u32::try_from(index).expect("thousands") + 1;
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 77, 0, 0)) + low)
}

/// Allows this process so many open files.
pub(crate) fn allow_files(files: u64) {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum;
    let enough = most.is_none_or(|most| most >= files);
    assert!(
        enough,
        "{files} open files are needed, {most:?} are allowed"
    );
    let wide = Rlimit {
        current: most,
        ..limit
    };
    setrlimit(Resource::Nofile, wide).unwrap();
}

/// One listener.
struct Comer {
    ip: Ipv4Addr,
    doors: Arc<[String]>,
    target: String,
    story: Arc<Mutex<Story>>,
}

impl Comer {
    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap()
    }

    async fn live(self, at: Instant) {
        sleep_until(at.into()).await;
        let end = match timeout(PATIENCE, self.tune_in()).await {
            Ok(Ok(Ok(stream))) => {
                self.story().end = Some(End::Served);
                self.hear(&stream).await;
                End::Dropped
            }
            Ok(Ok(Err(refusal))) => End::Refused(refusal),
            Ok(Err(error)) => End::Failed(error.to_string()),
            Err(_) => End::Failed("no answer".to_owned()),
        };
        self.story().end = Some(end);
    }

    /// Asks, and asks again where it is redirected; returns the stream, or the status line of a refusal.
    async fn tune_in(&self) -> io::Result<Result<TcpStream, String>> {
        let mut door = rand::random_range(0..self.doors.len());
        let mut target = self.target.clone();
        loop {
            let (stream, head) = self.ask(&self.doors[door], &target).await?;
            match head.status {
                200 => {
                    self.story().told.get_or_insert((door, Instant::now()));
                    return Ok(Ok(stream));
                }
                302 => {
                    let (address, rest) = split(head.location());
                    let place = self.doors.iter().position(|it| it == address);
                    door = place.ok_or_else(|| io::Error::other(format!("sent to {address}")))?;
                    rest.clone_into(&mut target);
                    let mut story = self.story();
                    story.told = Some((door, Instant::now()));
                    story.redirects += 1;
                }
                _ => return Ok(Err(head.lines[0].clone())),
            }
        }
    }

    async fn ask(&self, address: &str, target: &str) -> io::Result<(TcpStream, Head)> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.ip, 0).into())?;
        let to: SocketAddr = address.parse().map_err(io::Error::other)?;
        let mut stream = socket.connect(to).await?;
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let (text, rest) = read_head(&mut stream).await?;
        self.story().bytes += rest.len();
        let lines: Vec<String> = text.trim_end().lines().map(str::to_owned).collect();
        let status = lines
            .first()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        Ok((stream, Head { status, lines }))
    }

    /// Listens until the stream ends.
    async fn hear(&self, stream: &TcpStream) {
        while stream.readable().await.is_ok() {
            match sip(stream) {
                Ok(bytes @ 1..) => self.story().bytes += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Ok(0) | Err(_) => return,
            }
            sleep(SIP).await;
        }
    }
}

/// Takes what is there. The buffer is not kept: thousands of them would be.
fn sip(stream: &TcpStream) -> io::Result<usize> {
    stream.try_read(&mut [0; SIP_BYTES])
}
