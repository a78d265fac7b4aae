//! A server that answers one page, or never answers: an outside server of the test's own, which counts who asks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How it treats who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Manner {
    /// Answers every request with this body.
    Answering(String),
    /// Takes the connection and says nothing.
    Silent,
}

#[derive(Debug)]
struct Inner {
    manner: Mutex<Manner>,
    /// When it was asked.
    asked: Mutex<Vec<Instant>>,
    /// How many connections are open, and how many were at most.
    open: Mutex<(usize, usize)>,
}

/// Such a server; it lives as long as the test's process.
#[derive(Clone, Debug)]
pub(crate) struct RelayPage {
    address: String,
    inner: Arc<Inner>,
}

impl RelayPage {
    /// One that answers with this body.
    pub(crate) fn answering(body: &str) -> Self {
        Self::start(Manner::Answering(body.to_owned()))
    }

    /// One that never answers.
    pub(crate) fn silent() -> Self {
        Self::start(Manner::Silent)
    }

    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let page = Self {
            address: listener.local_addr().unwrap().to_string(),
            inner: Arc::new(Inner {
                manner: Mutex::new(manner),
                asked: Mutex::default(),
                open: Mutex::default(),
            }),
        };
        let inner = page.inner.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = inner.clone();
                thread::spawn(move || inner.serve(stream));
            }
        });
        page
    }

    /// The URL of the page.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers with this.
    pub(crate) fn answer_with(&self, body: &str) {
        *self.inner.manner.lock().unwrap() = Manner::Answering(body.to_owned());
    }

    /// How often it has been asked.
    pub(crate) fn questions(&self) -> usize {
        self.inner.asked.lock().unwrap().len()
    }

    /// The longest time from one question to the next.
    pub(crate) fn longest_pause(&self) -> Duration {
        let asked = self.inner.asked.lock().unwrap();
        let pauses = asked.windows(2).map(|pair| pair[1] - pair[0]);
        pauses.max().unwrap_or_default()
    }

    /// How many asked at the same time, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.inner.open.lock().unwrap().1
    }
}

impl Inner {
    fn serve(&self, mut stream: TcpStream) {
        self.asked.lock().unwrap().push(Instant::now());
        {
            let mut open = self.open.lock().unwrap();
            open.0 += 1;
            open.1 = open.1.max(open.0);
        }
        let mut head = [0; 4_096];
        let mut read = stream.read(&mut head).unwrap_or(0);
        let manner = self.manner.lock().unwrap().clone();
        if let Manner::Answering(body) = manner {
            let answer = format!(
                "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            // Whoever leaves before the end is counted all the same.
            let _left = stream.write_all(answer.as_bytes());
            let _left = stream.shutdown(std::net::Shutdown::Write);
        }
        while read > 0 {
            read = stream.read(&mut head).unwrap_or(0);
        }
        self.open.lock().unwrap().0 -= 1;
    }
}
