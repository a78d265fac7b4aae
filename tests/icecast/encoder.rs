//! An encoder: it logs in, sends some seconds at once and then goes on in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::media::Tune;
use crate::row::{Fault, Outcome, deviates};
use crate::socket::{Arrival, PATIENCE, RawSocket};
use crate::target::Target;

/// How long a mount may stay taken after its encoder has gone.
const RELEASED: Duration = Duration::from_secs(10);
/// How often a taken mount is asked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// A source that sends until it is dropped.
#[derive(Debug)]
pub(crate) struct Encoder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Outcome>>,
}

impl Encoder {
    /// Sends to the row's mount, and waits until the mount is on air.
    pub(crate) fn start(target: &Target<'_>, tune: Tune) -> Result<Self, Fault> {
        Self::with(target, &target.mount(), tune, "")
    }

    /// Sends to a mount with more headers, and waits until it is on air.
    pub(crate) fn with(
        target: &Target<'_>,
        mount: &str,
        tune: Tune,
        headers: &str,
    ) -> Result<Self, Fault> {
        let encoder = Self::unseen(target, mount, tune, headers)?;
        target.wait_on_air(mount)?;
        Ok(encoder)
    }

    /// Sends to a mount with more headers.
    pub(crate) fn unseen(
        target: &Target<'_>,
        mount: &str,
        tune: Tune,
        headers: &str,
    ) -> Result<Self, Fault> {
        let mut socket = target.open()?;
        let (login, kind) = (target.login(), tune.content_type);
        socket.send(format!(
            "SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: {kind}\r\n{headers}\r\n"
        ))?;
        socket.head()?.want(200)?;
        Ok(Self::over(socket, tune))
    }

    /// Sends over a connection that has been accepted.
    pub(crate) fn over(socket: RawSocket, tune: Tune) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || send(socket, tune, &stop)
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Waits until the server has closed the connection; the time that took.
    pub(crate) fn wait_closed(&self, limit: Duration) -> Result<Duration, Fault> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Ok(begun.elapsed());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(deviates(format!(
            "the source is still connected after {limit:?}"
        )))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // That the server has closed the connection is no trouble here: rows ask `wait_closed`.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn send(mut socket: RawSocket, mut tune: Tune, stop: &AtomicBool) -> Outcome {
    let begun = Instant::now();
    socket.send(&tune.head)?;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        if tune.most_units.is_some_and(|most| number >= most) {
            // Silent from now on.
            match socket.wait(Duration::from_millis(50))? {
                Arrival::Closed => return Ok(()),
                Arrival::Bytes | Arrival::Late => continue,
            }
        }
        let ahead = number.saturating_sub(tune.lead);
        let due = begun + tune.unit * u32::try_from(ahead).unwrap_or(u32::MAX);
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            // A server says nothing to a source: only the end of the connection ends this wait early.
            match socket.wait(early.min(Duration::from_millis(50)))? {
                Arrival::Closed => return Ok(()),
                Arrival::Bytes | Arrival::Late => continue,
            }
        }
        socket.send((tune.next)(number))?;
        number += 1;
    }
    Ok(())
}

/// Logs in with this head, again and again while the mount is still taken by an encoder that has gone.
pub(crate) fn knock_until_free(target: &Target<'_>, head: &str) -> Result<RawSocket, Fault> {
    let begun = Instant::now();
    loop {
        let mut socket = target.open()?;
        socket.send(head)?;
        let reply = socket.head()?;
        match reply.status {
            200 => return Ok(socket),
            403 if begun.elapsed() < RELEASED => thread::sleep(AGAIN),
            _ => return Err(deviates(format!("the login is answered {reply:?}"))),
        }
    }
}

/// Waits until a condition holds, at most [`PATIENCE`]; what was seen last if it never does.
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(fault) if begun.elapsed() > PATIENCE => return Err(fault),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
