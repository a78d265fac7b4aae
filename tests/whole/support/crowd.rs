//! Hundreds of listeners on one thread, each of which checks every byte and comes back when it is sent away.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::encoder::Diary;
use super::http::split;
use super::patience::{PATIENCE, eventually, so};
use super::signal::Received;
use super::tape::{Flaws, Tape};
use super::trust::Trust;

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);
/// How long a player waits before it tries another node.
const RETRY: Duration = Duration::from_millis(100);
/// The distance behind its encoder at which a listener has caught up: its burst is over.
const CAUGHT_UP: Duration = Duration::from_millis(300);
/// More redirects than this are a loop; a mesh needs one.
const MAX_REDIRECTS: u32 = 5;

/// The changes that a listener has noticed since it was asked last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Streams that were ended before the listener wanted.
    pub(crate) closed: u32,
    /// The flaws of the bytes.
    pub(crate) flaws: Flaws,
    /// How long the first byte of each piece that came was on its way from the encoder.
    pub(crate) delays: Vec<Duration>,
}

impl Notes {
    /// The longest that a byte was on its way.
    pub(crate) fn delay(&self) -> Duration {
        self.delays.iter().max().copied().unwrap_or_default()
    }

    fn add(&mut self, flaws: Flaws) {
        self.flaws.lost_bytes += flaws.lost_bytes;
        self.flaws.doubled_bytes += flaws.doubled_bytes;
        self.flaws.foreign_bytes += flaws.foreign_bytes;
    }
}

#[derive(Debug, Default)]
struct Ear {
    /// The node that serves it, `HOST:PORT`.
    at: Option<String>,
    tape: Tape,
    has_caught_up: bool,
    notes: Notes,
}

#[derive(Debug)]
struct Listener {
    /// The node at which it listens unless that node is down.
    home: String,
    trust: Trust,
    ear: Mutex<Ear>,
    recall: Notify,
}

impl Listener {
    fn ear(&self) -> MutexGuard<'_, Ear> {
        self.ear.lock().unwrap()
    }

    fn is_home(&self, ear: &Ear) -> bool {
        ear.at.as_deref() == Some(split(&self.home).0)
    }
}

/// The listeners. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Crowd {
    listeners: Vec<Arc<Listener>>,
    runtime: Option<Runtime>,
}

impl Crowd {
    /// A listener at each of these URLs. Sent away, they try the entrances in turn, and follow redirects.
    pub(crate) fn gather(homes: &[String], entrances: &[String], diary: &Diary) -> Self {
        Self::gather_trusting(&Trust::tests(), homes, entrances, diary)
    }

    /// The same of listeners with another trust.
    pub(crate) fn gather_trusting(
        trust: &Trust,
        homes: &[String],
        entrances: &[String],
        diary: &Diary,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entrances: Arc<[String]> = entrances.into();
        let mut listeners = Vec::new();
        for (index, home) in homes.iter().enumerate() {
            let listener = Arc::new(Listener {
                home: home.clone(),
                trust: trust.clone(),
                ear: Mutex::default(),
                recall: Notify::new(),
            });
            listeners.push(listener.clone());
            let (entrances, diary) = (entrances.clone(), diary.clone());
            runtime.spawn(async move { listen(&listener, &entrances, index, &diary).await });
        }
        Self {
            listeners,
            runtime: Some(runtime),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.listeners.len()
    }

    /// The node that each listener is at, `HOST:PORT`.
    pub(crate) fn places(&self) -> Vec<Option<String>> {
        let place = |it: &Arc<Listener>| it.ear().at.clone();
        self.listeners.iter().map(place).collect()
    }

    /// How many listeners are where.
    pub(crate) fn census(&self) -> BTreeMap<String, usize> {
        let mut census = BTreeMap::new();
        for place in self.places() {
            *census.entry(place.unwrap_or_default()).or_default() += 1;
        }
        census
    }

    /// Takes what each listener has noticed since the last call.
    pub(crate) fn take_notes(&self) -> Vec<Notes> {
        let take = |it: &Arc<Listener>| {
            let mut ear = it.ear();
            let mut notes = std::mem::take(&mut ear.notes);
            notes.add(ear.tape.flaws());
            ear.tape.forget();
            notes
        };
        self.listeners.iter().map(take).collect()
    }

    /// Sends the listeners that are elsewhere home, and waits until they are there and have caught up.
    pub(crate) fn go_home(&self) {
        for listener in &self.listeners {
            let ear = listener.ear();
            if !listener.is_home(&ear) {
                listener.recall.notify_one();
            }
        }
        let look = || {
            let away = self.listeners.iter().filter(|it| {
                let ear = it.ear();
                !it.is_home(&ear) || !ear.has_caught_up
            });
            let away = away.count();
            so(away == 0, format!("{away} are not: {:?}", self.census()))
        };
        eventually(PATIENCE, "all listeners are at home", look);
    }

    /// The runs of frames that each listener has heard since it was asked last, or has begun to listen.
    pub(crate) fn runs(&self) -> Vec<(Option<String>, Vec<Received>)> {
        let runs = |it: &Arc<Listener>| {
            let ear = it.ear();
            (ear.at.clone(), ear.tape.runs().to_vec())
        };
        self.listeners.iter().map(runs).collect()
    }

    /// Waits until each listener that is at none of these nodes hears one of these frames; returns how long it took.
    pub(crate) fn wait_heard(&self, frames: Range<u64>, except: &[String]) -> Duration {
        let look = || {
            let behind = self.listeners.iter().filter(|it| {
                let ear = it.ear();
                let counts = ear.at.as_ref().is_none_or(|at| !except.contains(at));
                counts
                    && ear
                        .tape
                        .next()
                        .is_none_or(|next| !frames.contains(&(next - 1)))
            });
            let seen = |it: &Arc<Listener>| {
                let ear = it.ear();
                (ear.at.clone(), ear.tape.next())
            };
            let behind: Vec<_> = behind.map(seen).collect();
            let some = &behind[..behind.len().min(4)];
            so(
                behind.is_empty(),
                format!("{} do not: {some:?}", behind.len()),
            )
        };
        let what = format!("every listener hears a frame of {frames:?}");
        eventually(PATIENCE, &what, look).1
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn listen(listener: &Listener, entrances: &[String], index: usize, diary: &Diary) {
    let mut url = &listener.home;
    for attempt in index.. {
        match timeout(ANSWER_LIMIT, tune_in(url, &listener.trust)).await {
            Ok(Ok(tuned)) => {
                let recalled = hear(listener, tuned, diary).await;
                if recalled {
                    url = &listener.home;
                    continue;
                }
            }
            Ok(Err(_)) | Err(_) => {
                if timeout(RETRY, listener.recall.notified()).await.is_ok() {
                    url = &listener.home;
                    continue;
                }
            }
        }
        url = &entrances[attempt % entrances.len()];
    }
}

/// Listens until the stream is ended, or the listener is told to go home.
async fn hear(listener: &Listener, tuned: Tuned, diary: &Diary) -> bool {
    let Tuned {
        mut stream,
        address,
        rest,
    } = tuned;
    {
        let mut ear = listener.ear();
        ear.at = Some(address);
        ear.tape = Tape::default();
        ear.has_caught_up = false;
    }
    take(listener, &rest, diary);
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            () = listener.recall.notified() => break,
            read = stream.read(&mut buffer) => read,
        };
        match read {
            Ok(length @ 1..) => take(listener, &buffer[..length], diary),
            Ok(0) | Err(_) => {
                let mut ear = listener.ear();
                let flaws = ear.tape.flaws();
                ear.tape.forget();
                ear.notes.add(flaws);
                ear.notes.closed += 1;
                ear.at = None;
                return false;
            }
        }
    }
    listener.ear().at = None;
    true
}

fn take(listener: &Listener, bytes: &[u8], diary: &Diary) {
    let mut ear = listener.ear();
    let oldest = ear.tape.next();
    ear.tape.take(bytes);
    let newest = ear.tape.next().and_then(|next| diary.sent_at(next - 1));
    if ear.has_caught_up {
        // Of what has just come, the first byte has been on its way the longest.
        let first = ear.tape.runs().last().map(|run| run.first);
        let sent = oldest.max(first).and_then(|it| diary.sent_at(it));
        let came = ear.tape.next() > oldest;
        if let Some(sent) = sent.filter(|_| came) {
            ear.notes.delays.push(sent.elapsed());
        }
    } else if newest.is_some_and(|sent| sent.elapsed() < CAUGHT_UP) {
        ear.has_caught_up = true;
    }
}

/// The bytes of a connection.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Connects to the node of a URL, by TLS if that says so.
async fn connect(url: &str, trust: &Trust) -> io::Result<Box<dyn Wire>> {
    let (address, _) = split(url);
    let socket = TcpStream::connect(address).await?;
    if !url.starts_with("https://") {
        return Ok(Box::new(socket));
    }
    let connector = TlsConnector::from(trust.config());
    let name = trust.name_at(address);
    Ok(Box::new(connector.connect(name, socket).await?))
}

/// A stream that has begun.
struct Tuned {
    stream: Box<dyn Wire>,
    /// The node that serves it.
    address: String,
    /// The bytes behind the head.
    rest: Vec<u8>,
}

async fn tune_in(url: &str, trust: &Trust) -> io::Result<Tuned> {
    let mut url = url.to_owned();
    for _ in 0..MAX_REDIRECTS {
        let (address, target) = split(&url);
        let mut stream = connect(&url, trust).await?;
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let (head, rest) = read_head(&mut stream).await?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        match status {
            Some("200") => {
                let address = address.to_owned();
                return Ok(Tuned {
                    stream,
                    address,
                    rest,
                });
            }
            Some("302") => {
                let location = lines.filter_map(|line| line.split_once(": "));
                let mut location =
                    location.filter(|(name, _)| name.eq_ignore_ascii_case("location"));
                let (_, to) = location.next().ok_or(io::ErrorKind::InvalidData)?;
                url = to.trim().to_owned();
            }
            _ => return Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

pub(crate) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(String, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = bytes.windows(END.len()).position(|it| it == END) {
            let rest = bytes.split_off(end + END.len());
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
    }
}
