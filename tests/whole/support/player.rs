//! Players: real ones, and one that keeps every byte and can be asked while it plays.

use std::io;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::decoder::{Decoding, through_ffmpeg};
use super::http::{Connection, Head, split};
use super::patience::{PATIENCE, eventually, so};

/// How long a player waits for bytes before it looks whether it should leave.
const SLICE: Duration = Duration::from_millis(100);
/// How much it takes at once.
const READ_BYTES: usize = 16 * 1024;
/// More redirects than this are a loop; a mesh needs one.
const MAX_REDIRECTS: u32 = 5;

/// The state that a player shares with the thread that reads for it.
#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    /// When bytes came last.
    at: Option<Instant>,
    /// The longest time without any.
    gap: Duration,
    closed: bool,
    leave: bool,
}

/// A listener that reads in the background until it is dropped or the node ends it.
#[derive(Debug)]
pub(crate) struct Player {
    /// The address at which it was served in the end.
    pub(crate) url: String,
    heard: Arc<Mutex<Heard>>,
    thread: Option<JoinHandle<()>>,
}

impl Player {
    /// Begins to listen at a URL, following redirects; the answer in the end must be a stream.
    pub(crate) fn tune_in(url: &str) -> Self {
        Self::try_tune_in(url).unwrap()
    }

    /// The same where the answer may be another one, which is an error.
    pub(crate) fn try_tune_in(url: &str) -> io::Result<Self> {
        let (connection, head, url) = follow(url)?;
        if head.status != 200 {
            return Err(io::Error::other(format!("{url}: {head:?}")));
        }
        let heard = Arc::new(Mutex::new(Heard::default()));
        let thread = {
            let heard = heard.clone();
            thread::spawn(move || listen(connection, &heard))
        };
        Ok(Self {
            url,
            heard,
            thread: Some(thread),
        })
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    /// All that it has received so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.heard().bytes.clone()
    }

    /// All that it has received so far, from this byte on.
    pub(crate) fn bytes_from(&self, from: usize) -> Vec<u8> {
        self.heard().bytes[from..].to_vec()
    }

    /// How much it has received so far.
    pub(crate) fn len(&self) -> usize {
        self.heard().bytes.len()
    }

    /// Whether its connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.heard().closed
    }

    /// The longest time that it waited for the next bytes.
    pub(crate) fn longest_gap(&self) -> Duration {
        let heard = self.heard();
        let now = heard.at.map_or(Duration::ZERO, |at| at.elapsed());
        heard.gap.max(now)
    }

    /// Waits until it has received so many bytes more than now.
    pub(crate) fn wait_for_more(&self, bytes: usize) {
        self.wait_for(self.len() + bytes);
    }

    /// Waits until it has received so many bytes in all.
    pub(crate) fn wait_for(&self, wanted: usize) {
        let look = || {
            let (len, closed) = (self.len(), self.is_closed());
            so(len >= wanted, format!("{len} bytes, closed: {closed}"))
        };
        let what = format!("a player at {} has {wanted} bytes", self.url);
        eventually(PATIENCE, &what, look);
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if let Ok(mut heard) = self.heard.lock() {
            heard.leave = true;
        }
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn listen(mut connection: Connection, heard: &Mutex<Heard>) {
    let slice = connection.socket().set_read_timeout(Some(SLICE));
    slice.expect("a time above zero");
    loop {
        let read = connection.some(READ_BYTES);
        let mut heard = heard.lock().unwrap();
        match read {
            Ok(bytes) if !bytes.is_empty() => {
                let gap = heard.at.replace(Instant::now()).map(|at| at.elapsed());
                heard.gap = heard.gap.max(gap.unwrap_or_default());
                heard.bytes.extend(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => {
                heard.closed = true;
                return;
            }
        }
        if heard.leave {
            return;
        }
    }
}

/// Asks for a URL as a listener does, and once more at each redirect; what answered in the end, and where.
fn follow(url: &str) -> io::Result<(Connection, Head, String)> {
    let mut url = url.to_owned();
    for _ in 0..MAX_REDIRECTS {
        let (connection, head) = ask_for_stream(&url)?;
        if head.status != 302 {
            return Ok((connection, head, url));
        }
        head.location().clone_into(&mut url);
    }
    panic!("redirected in circles: {url}");
}

/// Asks for a URL as a listener does, and reads the head of the answer only.
pub(crate) fn ask_for_stream(url: &str) -> io::Result<(Connection, Head)> {
    let (address, target) = split(url);
    let mut connection = match url.starts_with("https://") {
        true => Connection::open_tls(address)?,
        false => Connection::open(address)?,
    };
    connection.send(format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: test\r\nConnection: close\r\n\r\n"
    ))?;
    let head = connection.head()?;
    Ok((connection, head))
}

/// The bytes that curl receives from a URL within so many seconds, following redirects.
pub(crate) fn curl(url: &str, seconds: u32) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["-sS", "-L", "--max-time", &seconds.to_string(), url]);
    let output = command.output().unwrap();
    // 28: the time is over, as it should be; a stream does not end.
    assert_eq!(output.status.code(), Some(28), "{}", complaint(&output));
    output.stdout
}

/// So many seconds of what ffmpeg plays from a URL, as the samples of one channel at 8 kHz.
pub(crate) fn ffmpeg(url: &str, seconds: u32) -> Vec<i16> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i", url]);
    command.args(["-t", &seconds.to_string()]);
    command.args("-ac 1 -ar 8000 -f s16le -".split(' '));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", complaint(&output));
    assert_eq!(complaint(&output), "", "ffmpeg hears something wrong");
    samples(&output)
}

/// All that a player plays of what it has received, as the samples of one channel at 8 kHz. The decoder must find no fault.
///
/// Without the times that stand in it, which jump where another stream begins.
pub(crate) fn decoded(what: &str, received: Vec<u8>) -> Vec<i16> {
    let arguments = "-v error -i pipe:0 -af asetpts=N/SR/TB -ac 1 -ar 8000 -f s16le -";
    let Decoding { output, taken } = through_ffmpeg(arguments, &received);
    taken.unwrap();
    assert!(output.status.success(), "{what}: {output:?}");
    let said = complaint(&output);
    assert_eq!(said, "", "{what}: the decoder finds a fault");
    samples(&output)
}

fn samples(output: &Output) -> Vec<i16> {
    let pairs = output.stdout.as_chunks::<2>().0.iter();
    pairs.map(|pair| i16::from_le_bytes(*pair)).collect()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
