//! A tiny HTTP client that hides nothing: it sends what it is given, and shows what came back.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConnection, StreamOwned};

use super::trust::Trust;

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The head of an answer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status, such as 200.
    pub(crate) status: u16,
    /// All lines as they came, without their ends; the first is the status line.
    pub(crate) lines: Vec<String>,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}", self.lines)
    }
}

impl Head {
    /// The value of a header, if there is one of that name; the name is written in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.lines[1..]
            .iter()
            .filter_map(|line| line.split_once(':'));
        let mut found = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }

    /// The address that a redirect leads to.
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 302, "{self:?}");
        self.header("location").expect("a redirect leads somewhere")
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The head of the answer.
    pub(crate) head: Head,
    /// The bytes behind the head until the connection ended, or as many as its length says.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The bytes of a connection: as they are, or by TLS.
#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(to),
            Self::Tls(tls) => tls.read(to),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A connection to a node, for requests of any shape.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<Wire>);

impl Connection {
    /// Connects to `HOST:PORT`.
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        Ok(Self(BufReader::new(Wire::Plain(dial(address)?))))
    }

    /// Connects to `HOST:PORT` by TLS, and checks the certificate: it must be of the tests' own authority.
    pub(crate) fn open_tls(address: &str) -> io::Result<Self> {
        Self::open_trusting(address, &Trust::tests())
    }

    /// The same with another trust.
    pub(crate) fn open_trusting(address: &str, trust: &Trust) -> io::Result<Self> {
        let mut socket = dial(address)?;
        let session = ClientConnection::new(trust.config(), trust.name_at(address));
        let mut session = session.map_err(io::Error::other)?;
        session.complete_io(&mut socket)?;
        let tls = Box::new(StreamOwned::new(session, socket));
        Ok(Self(BufReader::new(Wire::Tls(tls))))
    }

    /// The certificate that the node has shown, if this is by TLS.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        match self.0.get_ref() {
            Wire::Plain(_) => None,
            Wire::Tls(tls) => Some(tls.conn.peer_certificates()?[0].to_vec()),
        }
    }

    /// Sends these very bytes.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())?;
        self.0.get_mut().flush()
    }

    /// Reads the head of the next answer.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            self.0.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let status = lines
            .first()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Head { status, lines })
    }

    /// Reads the rest of an answer with this head: as long as it says, or until the connection ends. After a 204 there is
    /// none.
    pub(crate) fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        match head.header("content-length").and_then(|it| it.parse().ok()) {
            _ if head.status == 204 => {}
            Some(length) => {
                body.resize(length, 0);
                self.0.read_exact(&mut body)?;
            }
            None => drop(self.0.read_to_end(&mut body)?),
        }
        Ok(body)
    }

    /// The bytes that come next, at most so many; empty at the end.
    pub(crate) fn some(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let read = self.0.read(&mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The socket, for what only a socket can do.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self.0.get_ref() {
            Wire::Plain(socket) => socket,
            Wire::Tls(tls) => &tls.sock,
        }
    }
}

fn dial(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request, as written, to `HOST:PORT` and reads the whole answer.
pub(crate) fn ask(address: &str, request: &str) -> io::Result<Answer> {
    let mut connection = Connection::open(address)?;
    connection.send(request)?;
    let head = connection.head()?;
    let body = connection.body(&head)?;
    Ok(Answer { head, body })
}

/// Asks for a target with GET, and wants an answer that ends: no stream.
pub(crate) fn get(address: &str, target: &str) -> io::Result<Answer> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    ask(address, &request)
}

/// The same as a user with a password.
pub(crate) fn get_as(
    address: &str,
    target: &str,
    user: &str,
    password: &str,
) -> io::Result<Answer> {
    let login = basic(user, password);
    let request =
        format!("GET {target} HTTP/1.0\r\nHost: {address}\r\nAuthorization: {login}\r\n\r\n");
    ask(address, &request)
}

/// The value of an `Authorization` header for a user and a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The same by TLS.
pub(crate) fn get_by_tls(address: &str, target: &str) -> io::Result<Answer> {
    let mut connection = Connection::open_tls(address)?;
    connection.send(format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    ))?;
    let head = connection.head()?;
    let body = connection.body(&head)?;
    Ok(Answer { head, body })
}

/// Splits `http://HOST:PORT/target`, or the same with `https`, into `HOST:PORT` and `/target`.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").expect("a URL").1;
    let slash = rest.find('/').expect("a URL with a path");
    rest.split_at(slash)
}
