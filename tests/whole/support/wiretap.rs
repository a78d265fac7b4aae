//! A wire between a client and a node on which everybody could read: it notes what the client sends.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The wire. Ends with the test process.
#[derive(Debug)]
pub(crate) struct Wiretap {
    port: u16,
    /// The bytes from the client, connection by connection.
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wiretap {
    /// A wire to the node at `HOST:PORT`.
    pub(crate) fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (notes, address) = (sent.clone(), address.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut all = notes.lock().unwrap();
                let number = all.len();
                all.push(Vec::new());
                let (notes, address) = (notes.clone(), address.clone());
                // An end that closes ends the other.
                thread::spawn(move || carry(&client, &address, &notes, number));
            }
        });
        Self { port, sent }
    }

    /// The port at which the client connects.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The bytes that the client has sent, connection by connection, as text as far as they are.
    pub(crate) fn sent(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        sent.iter().map(text).collect()
    }
}

fn carry(
    client: &TcpStream,
    address: &str,
    notes: &Mutex<Vec<Vec<u8>>>,
    number: usize,
) -> io::Result<()> {
    let node = TcpStream::connect(address)?;
    let (mut back, mut to) = (node.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _end = io::copy(&mut back, &mut to);
        let _gone = to.shutdown(Shutdown::Write);
    });
    let mut buffer = [0; 4_096];
    while let Ok(length @ 1..) = { client }.read(&mut buffer) {
        notes.lock().unwrap()[number].extend(&buffer[..length]);
        { &node }.write_all(&buffer[..length])?;
    }
    node.shutdown(Shutdown::Write)
}
