//! The servers from which mounts are relayed: a stock icecast2, and one of the suite's own for what no stock server does
//! when it is asked to.
//!
//! The own one behaves by the path: below `/icy` it is an old Shoutcast server, `/redirect` leads to `/plain`, `/chunked`
//! comes in chunks; all others are plain streams. Each connection of a path begins with other frames than the one before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::encoder::Encoder;
use crate::icecast;
use crate::media::frames::{mp3, mp3_frame};
use crate::row::{Prepared, Upstream};
use crate::server::Server;
use crate::socket::RawSocket;
use crate::target::authorization;

/// The mount of the stock server, and its title at first.
pub(crate) const STOCK: &str = "/up";
/// The title of each own stream at first.
pub(crate) const FIRST_TITLE: &str = "First";
/// The number of frames after which those of the next connection begin.
pub(crate) const CONNECTION_FRAMES: u64 = 10_000_000;
/// The first frame of paths that end in `-spare`.
pub(crate) const SPARE_FRAMES: u64 = 90_000_000;
/// The bytes between two titles of the old Shoutcast server.
const METAINT: usize = 8_192;
/// How long a frame plays, and how many are sent at once before it goes on in real time.
const FRAME: Duration = Duration::from_micros(26_122);
const LEAD: u64 = 77;

/// The state of one path.
#[derive(Debug, Default)]
struct Path {
    /// How often it was asked for.
    asked: u64,
    title: String,
    /// All connections up to this one are closed.
    cut: u64,
    /// Whether it answers nobody any more.
    is_dead: bool,
}

type Paths = Arc<Mutex<BTreeMap<String, Path>>>;

/// The servers. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    paths: Paths,
    stop: Arc<AtomicBool>,
    port: u16,
    tls_port: u16,
    /// The stock server with its source.
    stock: Option<(Server, Encoder)>,
    home: TempDir,
}

impl Upstreams {
    /// All of them; without the stock one where there is no icecast2.
    pub(crate) fn start(has_stock: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (paths, stop) = (Paths::default(), Arc::<AtomicBool>::default());
        let [plain, tls] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, tls_port] = [&plain, &tls].map(|it| it.local_addr().unwrap().port());
        let config = tls_config(&home);
        let serving = (paths.clone(), stop.clone());
        let serve_plain = move |socket: TcpStream| serve(socket, &serving.0, &serving.1);
        listen(plain, stop.clone(), serve_plain);
        let serving = (paths.clone(), stop.clone());
        listen(tls, stop.clone(), move |socket| {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            serve(StreamOwned::new(connection, socket), &serving.0, &serving.1)
        });
        Self {
            paths,
            stop,
            port,
            tls_port,
            stock: has_stock.then(stock),
            home,
        }
    }

    /// The address of a stream, if there is that server.
    pub(crate) fn url(&self, upstream: Upstream) -> Option<String> {
        Some(match upstream {
            Upstream::Stock(path) => format!("http://{}{path}", self.stock.as_ref()?.0.address),
            Upstream::Own(path) => format!("http://127.0.0.1:{}{path}", self.port),
            Upstream::Tls(path) => format!("https://localhost:{}{path}", self.tls_port),
        })
    }

    /// The file with the authority of the server over TLS.
    pub(crate) fn authority(&self) -> std::path::PathBuf {
        self.home.path().join("authority.pem")
    }

    /// The stock server, if there is one.
    pub(crate) fn stock(&self) -> Option<&Server> {
        self.stock.as_ref().map(|it| &it.0)
    }

    /// How often an own path was asked for.
    pub(crate) fn asked(&self, path: &str) -> u64 {
        self.paths.lock().get(path).map_or(0, |it| it.asked)
    }

    /// Gives an own stream another title.
    pub(crate) fn set_title(&self, path: &str, title: &str) {
        self.paths.lock().entry(path.to_owned()).or_default().title = title.to_owned();
    }

    /// Closes the connections of an own path without a word; later ones are served.
    pub(crate) fn cut(&self, path: &str) {
        let mut paths = self.paths.lock();
        let path = paths.entry(path.to_owned()).or_default();
        path.cut = path.asked;
    }

    /// The same, and nobody is served any more.
    pub(crate) fn kill(&self, path: &str) {
        self.cut(path);
        self.paths
            .lock()
            .entry(path.to_owned())
            .or_default()
            .is_dead = true;
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for port in [self.port, self.tls_port] {
            let _woken = TcpStream::connect(("127.0.0.1", port));
        }
    }
}

/// A stock icecast2 with a stream on air.
fn stock() -> (Server, Encoder) {
    let server = icecast::start(Prepared::Nothing, None);
    let mut socket = RawSocket::open(&server.address).unwrap();
    let login = authorization(&server.source);
    let head = format!("SOURCE {STOCK} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n");
    socket.send(head).unwrap();
    socket.head().and_then(|head| head.want(200)).unwrap();
    (server, Encoder::over(socket, mp3()))
}

fn tls_config(home: &TempDir) -> Arc<ServerConfig> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let text = STANDARD.encode(own.cert.der());
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.collect::<Vec<_>>().join("\n")
    );
    fs::write(home.path().join("authority.pem"), pem).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into());
    Arc::new(config.unwrap())
}

fn listen(
    listener: TcpListener,
    stop: Arc<AtomicBool>,
    serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) {
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let serve = serve.clone();
            // That the other side has left is no trouble here.
            thread::spawn(move || drop(serve(socket)));
        }
    });
}

fn serve(mut socket: impl Read + Write, paths: &Paths, stop: &AtomicBool) -> io::Result<()> {
    let (path, host) = asked(&mut socket)?;
    let number = {
        let mut paths = paths.lock();
        let known = paths.entry(path.clone()).or_default();
        if known.is_dead {
            return Ok(());
        }
        known.asked += 1;
        known.asked
    };
    if path == "/redirect" {
        let goal = format!("http://{host}/plain/redirected");
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {goal}\r\nContent-Length: 0\r\n\r\n");
        return socket.write_all(head.as_bytes());
    }
    let (is_icy, is_chunked) = (path.starts_with("/icy"), path.starts_with("/chunked"));
    let head = match (is_icy, is_chunked) {
        (true, _) => {
            format!(
                "ICY 200 OK\r\nicy-name:Old\r\nicy-metaint:{METAINT}\r\ncontent-type:audio/mpeg\r\n\r\n"
            )
        }
        (_, true) => {
            "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned()
        }
        _ => "HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n".to_owned(),
    };
    socket.write_all(head.as_bytes())?;
    let first = match path.ends_with("-spare") {
        true => SPARE_FRAMES,
        false => (number - 1) % 9 * CONNECTION_FRAMES,
    };
    let (begun, mut until_title, mut told) = (Instant::now(), METAINT, None);
    for frame in 0.. {
        let ahead = u32::try_from(frame - LEAD.min(frame)).unwrap_or(u32::MAX);
        let due = begun + FRAME * ahead;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let title = {
            let paths = paths.lock();
            let known = &paths[&path];
            if known.cut >= number || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            known.title.clone()
        };
        let bytes = mp3_frame(first + frame);
        let sent = match (is_icy, is_chunked) {
            (true, _) => with_titles(&bytes, &mut until_title, &title, &mut told),
            (_, true) => [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat(),
            _ => bytes,
        };
        socket.write_all(&sent)?;
    }
    Ok(())
}

/// The path and the host of a request, whose head is read to its end.
fn asked(socket: &mut impl Read) -> io::Result<(String, String)> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let host = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then_some(value.trim())
    });
    Ok((path, host.unwrap_or_default().to_owned()))
}

/// Audio with a block at each place for one: the title where it has changed, a zero byte elsewhere.
fn with_titles(
    audio: &[u8],
    until_title: &mut usize,
    title: &str,
    told: &mut Option<String>,
) -> Vec<u8> {
    let mut sent = Vec::new();
    for &byte in audio {
        if *until_title == 0 {
            let title = if title.is_empty() { FIRST_TITLE } else { title };
            *until_title = METAINT;
            if told.as_deref() == Some(title) {
                sent.push(0);
            } else {
                let text = format!("StreamTitle='{title}';");
                let blocks = text.len().div_ceil(16);
                sent.push(u8::try_from(blocks).expect("a short title"));
                sent.extend(text.as_bytes());
                sent.resize(sent.len() + blocks * 16 - text.len(), 0);
                *told = Some(title.to_owned());
            }
        }
        sent.push(byte);
        *until_title -= 1;
    }
    sent
}
