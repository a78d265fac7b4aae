//! A gate in front of an authority, at which a test holds one step of an order for as long as it wants.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use crate::support::ca::TestCa;
use crate::support::https::TlsFolder;
use crate::support::patience::PATIENCE;
use crate::support::pebble::Pebble;
use crate::support::trust::Trust;

/// The beginning of the path at which a certificate is asked for, once all is proven.
const FINALIZE: &str = "/finalize-order/";

/// The step that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The request for the certificate: the authority does not hear of it.
    Request,
    /// The answer: the authority issues the certificate, and the node does not know.
    Answer,
}

/// The gate. Ends with the test process.
pub(super) struct Gate {
    port: u16,
    folder: TlsFolder,
    holding: Arc<Holding>,
    held: Receiver<()>,
}

/// The state that the threads of the gate share.
struct Holding {
    what: Held,
    /// Tells the test of the first request for a certificate; empty afterwards: all others pass.
    first: Mutex<Option<SyncSender<()>>>,
    /// The requests that have passed, and their answers.
    passed: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
    authority: String,
    trust: Trust,
    own: Arc<ServerConfig>,
}

impl Gate {
    /// A gate before this authority, at another port of its address.
    pub(super) fn before(pebble: &Pebble, what: Held) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (first, held) = sync_channel(1);
        let root = std::fs::read_to_string(pebble.trusted_by()).unwrap();
        let holding = Arc::new(Holding {
            what,
            first: Mutex::new(Some(first)),
            passed: Mutex::default(),
            authority: pebble.address(),
            trust: Trust::named(&root, "127.0.0.1"),
            own: TestCa::get().server(),
        });
        let gate = Self {
            port,
            folder: TlsFolder::new(),
            holding: holding.clone(),
            held,
        };
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let holding = holding.clone();
                // A node that is killed leaves in the middle.
                thread::spawn(move || holding.pass(socket));
            }
        });
        gate
    }

    /// The address of the authority's directory, through the gate.
    pub(super) fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// The file with the certificate by which the gate is trusted.
    pub(super) fn trusted_by(&self) -> &str {
        self.folder.ca()
    }

    /// The requests that have passed, and their answers.
    pub(super) fn passed(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.holding.passed.lock().unwrap().clone()
    }

    /// Waits until a node has asked for a certificate. It gets no answer; whoever asks next does.
    pub(super) fn wait_held(&self) {
        let held = self.held.recv_timeout(PATIENCE);
        held.unwrap_or_else(|_| panic!("no node asks for a certificate: {:?}", self.holding.what));
    }
}

impl Holding {
    /// Passes one request on, and its answer back: nodes make a connection for each.
    fn pass(&self, socket: TcpStream) -> io::Result<()> {
        let connection = ServerConnection::new(self.own.clone()).map_err(io::Error::other)?;
        let mut node = BufReader::new(StreamOwned::new(connection, socket));
        let request = read_request(&mut node)?;
        let is_finalizing = request
            .split(|byte| *byte == b' ')
            .nth(1)
            .is_some_and(|path| path.starts_with(FINALIZE.as_bytes()));
        let first = self.first.lock().unwrap().take_if(|_| is_finalizing);
        let tell = |first: SyncSender<()>| first.send(()).map_err(io::Error::other);
        if self.what == Held::Request
            && let Some(first) = first
        {
            tell(first)?;
            return wait_gone(&mut node);
        }
        let answer = self.ask(&request)?;
        if let Some(first) = first {
            tell(first)?;
            return wait_gone(&mut node);
        }
        let noted = (request, answer.clone());
        self.passed.lock().unwrap().push(noted);
        let node = node.get_mut();
        node.write_all(&answer)?;
        node.conn.send_close_notify();
        node.flush()
    }

    fn ask(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let name = self.trust.name_at(&self.authority);
        let connection = ClientConnection::new(self.trust.config(), name);
        let socket = TcpStream::connect(&self.authority)?;
        let mut authority = StreamOwned::new(connection.map_err(io::Error::other)?, socket);
        authority.write_all(request)?;
        let mut answer = Vec::new();
        authority.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// A request, with the wish that the connection ends after the answer. Addresses that the authority tells lead through
/// the gate, because `Host` stays.
fn read_request(node: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let (mut request, mut body_bytes) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if node.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                body_bytes = value.parse().map_err(io::Error::other)?;
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
        request.extend(line.bytes());
    }
    request.extend(b"Connection: close\r\n\r\n");
    let mut body = vec![0; body_bytes];
    node.read_exact(&mut body)?;
    request.extend(body);
    Ok(request)
}

/// Waits until a node has closed its connection: until it is dead.
fn wait_gone(node: &mut impl Read) -> io::Result<()> {
    node.read(&mut [0]).map(drop)
}
