//! A connection that hides nothing: it sends what it is given, and shows what comes back.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::row::{Fault, Outcome, deviates};

/// How long an answer may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// More than any head here has.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// How much is read at once.
const READ_BYTES: usize = 16 << 10;

/// The head of an answer.
#[derive(Clone)]
pub(crate) struct ReplyHead {
    /// The status, such as 200.
    pub(crate) status: u16,
    lines: Vec<Vec<u8>>,
}

impl fmt::Debug for ReplyHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.iter().map(|line| String::from_utf8_lossy(line));
        f.debug_list().entries(lines).finish()
    }
}

impl ReplyHead {
    fn parse(head: &[u8]) -> Result<Self, Fault> {
        let lines: Vec<Vec<u8>> = head
            .split(|&byte| byte == b'\n')
            .map(|line| line.trim_ascii_end().to_vec())
            .filter(|line| !line.is_empty())
            .collect();
        let first = String::from_utf8_lossy(lines.first().map_or(&[], Vec::as_slice)).into_owned();
        let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| deviates(format!("no status line: {first:?}")))?;
        Ok(Self { status, lines })
    }

    /// The value of a header, without the space around it; the name is written in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let pairs = self.lines[1..].iter().filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        });
        let mut found = pairs.filter(|pair| pair.0.eq_ignore_ascii_case(name.as_bytes()));
        found
            .next()
            .map(|pair| String::from_utf8_lossy(pair.1).into_owned())
    }

    /// Checks the status.
    pub(crate) fn want(&self, status: u16) -> Outcome {
        match self.status == status {
            true => Ok(()),
            false => Err(deviates(format!("{status} is expected, not {self:?}"))),
        }
    }

    /// Checks that a header has this value.
    pub(crate) fn want_header(&self, name: &str, value: &str) -> Outcome {
        match self.header(name) {
            Some(found) if found == value => Ok(()),
            found => Err(deviates(format!("{name} is {found:?}, not {value:?}"))),
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The head of the answer.
    pub(crate) head: ReplyHead,
    /// All behind it.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks the status, and that the body has these words.
    pub(crate) fn want(&self, status: u16, words: &str) -> Outcome {
        self.head.want(status)?;
        match self.text().contains(words) {
            true => Ok(()),
            false => Err(deviates(format!("no {words:?} in {:?}", self.text()))),
        }
    }
}

/// The result of waiting for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Bytes came.
    Bytes,
    /// The server has closed the connection.
    Closed,
    /// Nothing came in time.
    Late,
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct RawSocket {
    stream: TcpStream,
    /// The bytes that came and were not taken yet.
    held: Vec<u8>,
}

impl RawSocket {
    /// Connects to `HOST:PORT`.
    pub(crate) fn open(address: &str) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address)
            .map_err(|error| deviates(format!("{address} cannot be reached: {error}")))?;
        Self::over(stream)
    }

    /// A connection that is open already.
    pub(crate) fn over(stream: TcpStream) -> Result<Self, Fault> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            held: Vec::new(),
        })
    }

    /// Sends these very bytes.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Outcome {
        Ok(self.stream.write_all(bytes.as_ref())?)
    }

    /// Waits for bytes, at most so long.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Arrival, Fault> {
        let limit = limit.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(limit))?;
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => Ok(Arrival::Closed),
            Ok(read) => {
                self.held.extend(&bytes[..read]);
                Ok(Arrival::Bytes)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(Arrival::Late),
                ErrorKind::Interrupted => Ok(Arrival::Bytes),
                // A server that closes with unread bytes resets.
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ok(Arrival::Closed),
                _ => Err(error.into()),
            },
        }
    }

    /// Waits until bytes come, which they must.
    fn more(&mut self, what: &str) -> Outcome {
        match self.wait(PATIENCE)? {
            Arrival::Bytes => Ok(()),
            Arrival::Closed => Err(deviates(format!(
                "closed before {what}, after {:?}",
                String::from_utf8_lossy(&self.held[..self.held.len().min(200)])
            ))),
            Arrival::Late => Err(deviates(format!("no {what} within {PATIENCE:?}"))),
        }
    }

    /// The first bytes, as they come: one read.
    pub(crate) fn first_segment(&mut self) -> Result<Vec<u8>, Fault> {
        if self.held.is_empty() {
            self.more("an answer")?;
        }
        Ok(std::mem::take(&mut self.held))
    }

    /// Exactly so many bytes.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Fault> {
        while self.held.len() < bytes {
            self.more(&format!("{bytes} bytes"))?;
        }
        Ok(self.held.drain(..bytes).collect())
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.held.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            self.more("the end of a line")?;
        }
    }

    /// The head of the next answer.
    pub(crate) fn head(&mut self) -> Result<ReplyHead, Fault> {
        loop {
            let end = self.held.windows(4).position(|it| it == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.held.drain(..end + 4).collect();
                return ReplyHead::parse(&head);
            }
            if self.held.len() > MAX_HEAD_BYTES {
                return Err(deviates("a head that does not end"));
            }
            self.more("the end of a head")?;
        }
    }

    /// The next answer: as long as it says, or to the end of the connection.
    pub(crate) fn reply(&mut self) -> Result<Reply, Fault> {
        let head = self.head()?;
        let length = head.header("content-length");
        let body = match length.and_then(|it| it.parse().ok()) {
            _ if head.status == 204 => Vec::new(),
            Some(length) => self.take(length)?,
            None => self.rest(PATIENCE)?,
        };
        Ok(Reply { head, body })
    }

    /// All bytes to the end of the connection, which must come in time.
    pub(crate) fn rest(&mut self, limit: Duration) -> Result<Vec<u8>, Fault> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.wait(left)? {
                Arrival::Bytes if !left.is_zero() => {}
                Arrival::Closed => return Ok(std::mem::take(&mut self.held)),
                _ => return Err(deviates(format!("still open after {limit:?}"))),
            }
        }
    }

    /// All that comes within so long.
    pub(crate) fn gather(&mut self, span: Duration) -> Result<Vec<u8>, Fault> {
        let until = Instant::now() + span;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.wait(left)? != Arrival::Bytes {
                return Ok(std::mem::take(&mut self.held));
            }
        }
    }

    /// Checks that the connection stays open for a while.
    pub(crate) fn want_open(&mut self, span: Duration) -> Outcome {
        match self.wait(span)? {
            Arrival::Closed => Err(deviates("the connection is closed")),
            Arrival::Bytes | Arrival::Late => Ok(()),
        }
    }
}
