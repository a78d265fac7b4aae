//! A raw connection to a node's door, for tests in which everything that is said must be taken or answered.

use std::io;
use std::time::Duration;

use crate::support::http::{self, Answer, Connection, Head};
use crate::support::node::TestNode;
use crate::support::patience::PATIENCE;

/// One connection to a node.
pub(super) struct Wire(Connection);

impl Wire {
    /// Connects to the door of a node.
    pub(super) fn to(node: &TestNode) -> Self {
        let wire = Self(Connection::open(&node.address()).expect("the node listens"));
        wire.wait_at_most(PATIENCE);
        wire
    }

    fn wait_at_most(&self, time: Duration) {
        let limited = self.0.socket().set_read_timeout(Some(time));
        limited.expect("a timeout can be set");
    }

    /// Says all of these bytes.
    pub(super) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_say(bytes).expect("the node takes what is said");
    }

    /// Says these bytes to a node that may have hung up.
    pub(super) fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.send(bytes)
    }

    /// Reads one answer and nothing of what follows it.
    pub(super) fn answer(&mut self) -> Answer {
        let head = self.head();
        let body = self.0.body(&head).expect("a whole answer");
        Answer { head, body }
    }

    /// Reads the head of an answer that has no body, or one without end.
    pub(super) fn head(&mut self) -> Head {
        self.0.head().expect("an answer")
    }

    /// Whether the node says something or closes within this time, of a connection that has heard nothing yet.
    pub(super) fn stirs_within(&mut self, time: Duration) -> bool {
        self.wait_at_most(time);
        let stirred = self.0.socket().peek(&mut [0]);
        self.wait_at_most(PATIENCE);
        let silent = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        !stirred.is_err_and(|error| silent.contains(&error.kind()))
    }

    /// Reads until the node closes. A reset is as good as a close: what came before it is kept.
    pub(super) fn hear_end(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        loop {
            match self.0.some(64 << 10) {
                Ok(bytes) if bytes.is_empty() => return heard,
                Ok(bytes) => heard.extend(bytes),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return heard,
                Err(error) => panic!("{error}, {} bytes so far", heard.len()),
            }
        }
    }

    /// Reads exactly so many bytes.
    pub(super) fn hear(&mut self, length: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < length {
            let more = self.0.some(length - heard.len());
            let more = more.unwrap_or_else(|error| panic!("{error} after {} bytes", heard.len()));
            assert!(!more.is_empty(), "closed after {} bytes", heard.len());
            heard.extend(more);
        }
        heard
    }
}

/// Asks on a connection of its own, with `head` as the whole head but for its end.
pub(super) fn ask(node: &TestNode, head: &str) -> Answer {
    let mut wire = Wire::to(node);
    wire.say(format!("{head}\r\n\r\n"));
    wire.answer()
}

/// The header that logs in by name and password.
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Authorization: {}", http::basic(user, password))
}

/// A connection with a source on `mount` that has been accepted, and has sent nothing yet.
pub(super) fn source(node: &TestNode, mount: &str, password: &str, content_type: &str) -> Wire {
    let mut wire = Wire::to(node);
    let login = basic("source", password);
    wire.say(format!(
        "SOURCE {mount} HTTP/1.0\r\n{login}\r\nContent-Type: {content_type}\r\n\r\n"
    ));
    let head = wire.head();
    assert_eq!(head.status, 200, "{head:?}");
    wire
}

/// A connection with a listener that this node serves itself, and that has read the head of its answer.
pub(super) fn listener(node: &TestNode, mount: &str) -> Wire {
    let mut wire = Wire::to(node);
    let name = node.name();
    wire.say(format!(
        "GET /_stream/{name}{mount} HTTP/1.1\r\nHost: h\r\n\r\n"
    ));
    let head = wire.head();
    assert_eq!(head.status, 200, "{head:?}");
    wire
}
