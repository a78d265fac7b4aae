//! The bytes of one source, from its socket to wherever they go now.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info};

use crate::io::feed::Feed;
use crate::io::{answer, clock, uplink};
use crate::logic::pace::{Allowance, Heard, Pulse};
use crate::media::format::detect;
use crate::media::format::detect::{Format, Look};
use crate::media::ring::Append;
use crate::model::stream::EndReason;
use crate::wire::http::body::{BodyDecoder, BodyState};
use crate::wire::http::head::Head;
use crate::wire::http::reply;
use crate::wire::icecast::source_head;

/// How far a source may be ahead of the clock before its bytes are left in its socket: more than any encoder
/// sends at once when it connects, and less than the ring's window, out of which listeners would fall.
const MOST_AHEAD: Duration = Duration::from_secs(15);
/// How long to wait then before looking again, also for the end of its connection.
const BRAKE: Duration = Duration::from_millis(100);
/// How long a source may take to send enough of its audio that it can be recognised. Any encoder sends more than the
/// two frames that it takes.
const RECOGNITION: Duration = Duration::from_millis(500);
/// How long a source that is sent away may take to notice. One that does not look whether its connection is still there
/// would go on sending for ever.
const PARTING: Duration = Duration::from_millis(100);
/// How much is read from a source at once: half a second of a loud stream.
const READ_BYTES: usize = 16 * 1024;
/// How long after it was held up a source still counts as one that sends too fast.
const HELD_UP: Duration = Duration::from_secs(5);
/// The most that is read ahead of its time, to find the end of a connection behind it: what Linux lets a sender leave in
/// its system, as it is set up everywhere.
const READ_AHEAD_BYTES: usize = 4 << 20;
/// How long that may take, and how long the other side's system may take to answer a byte; together less than
/// whoever asks waits.
const READ_AHEAD: Duration = Duration::from_millis(500);
const BYTE_ANSWERED: Duration = Duration::from_millis(300);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);

/// The sink of the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sink<'a> {
    /// On air.
    Ring(&'a Feed),
    /// The source waits for its turn; what it says meanwhile nobody hears.
    Nothing,
}

/// The body of a source's request.
#[derive(Debug)]
pub(super) struct SourceBody {
    /// The answer to the request, as long as it is owed.
    answer: Option<Bytes>,
    decoder: BodyDecoder,
    input: BytesMut,
    /// What follows on the input and was read ahead of its time.
    ahead: BytesMut,
    audio: BytesMut,
    audio_bytes: u64,
    /// The media type that the source states.
    stated: String,
    look: Look,
    /// By when what has come must do to tell what it is.
    recognised_by: Option<Instant>,
    allowance: Allowance,
    pulse: Pulse,
    held_up: Option<Instant>,
    /// The connection has ended, or will behind what is in it: nothing is held up any more.
    hung_up: bool,
    /// There is nothing more to read.
    closed: bool,
}

impl SourceBody {
    pub(super) fn new(head: &Head, begun: BytesMut) -> Self {
        let now = clock::now();
        Self {
            answer: Some(reply::source_accepted(head)),
            decoder: BodyDecoder::after(head),
            input: begun,
            ahead: BytesMut::new(),
            audio: BytesMut::new(),
            audio_bytes: 0,
            stated: source_head::content_type(head),
            look: Look::More,
            recognised_by: None,
            allowance: Allowance::new(source_head::stated_bps(head), now),
            pulse: Pulse::new(now),
            held_up: None,
            hung_up: false,
            closed: false,
        }
    }

    /// What the first audio was recognised as.
    pub(super) fn format(&self) -> Option<Format> {
        match self.look {
            Look::Is(format) => Some(format),
            Look::More | Look::Unknown => None,
        }
    }

    /// Waits for audio, and at the beginning for as much of it as tells what it is. [`Self::copy`] goes on with it.
    /// May be dropped at any time, as that.
    ///
    /// The source gets its answer here, unless it has sent enough without one: then it gets it when everything is
    /// ready for its bytes.
    pub(super) async fn open(&mut self, stream: &mut TcpStream) -> Result<(), EndReason> {
        loop {
            let decoded = self.decoder.decode(&mut self.input, &mut self.audio);
            let is_over = self.closed || !matches!(decoded, Ok(BodyState::More));
            self.recognise();
            match self.audio.is_empty() {
                true if is_over => {
                    // Whoever has logged in rightly reads so, also if nothing follows.
                    let _gone_already = self.answer(stream).await;
                    return Err(EndReason::SourceLeft);
                }
                false if is_over || self.look != Look::More => return Ok(()),
                true | false => {}
            }
            self.answer(stream)
                .await
                .map_err(|_| EndReason::SourceLeft)?;
            let silent_at = Instant::from_std(self.pulse.deadline());
            if !self.audio.is_empty() {
                self.recognised_by
                    .get_or_insert_with(|| Instant::now() + RECOGNITION);
            }
            let until = self.recognised_by.map_or(silent_at, |by| by.min(silent_at));
            if !self.read(stream, until).await && !self.audio.is_empty() {
                self.look = Look::Unknown;
            } else if Instant::now() >= silent_at {
                return Err(EndReason::SourceSilent);
            }
        }
    }

    /// Moves bytes until the body or the connection ends. May be dropped at any time: no byte is lost.
    pub(super) async fn copy(&mut self, stream: &mut TcpStream, sink: Sink<'_>) -> EndReason {
        if self.answer(stream).await.is_err() {
            return EndReason::SourceLeft;
        }
        loop {
            if let Some(reason) = self.digest(sink) {
                return reason;
            }
            self.hold_up(stream, sink).await;
            if self.refill() {
                continue;
            }
            if self.closed {
                return EndReason::SourceLeft;
            }
            let silent_at = Instant::from_std(self.pulse.deadline());
            if !self.read(stream, silent_at).await && !self.closed {
                return EndReason::SourceSilent;
            }
        }
    }

    /// Sends the source away: it is told that nobody answers any more, and what it had sent before it heard that is
    /// taken. Closed at once, the connection would lose what is in it.
    pub(super) async fn part(&mut self, stream: &mut TcpStream, sink: Sink<'_>) {
        if stream.shutdown().await.is_ok()
            && timeout(PARTING, self.copy(stream, sink)).await.is_err()
        {
            debug!("the source does not look whether it is heard");
        }
    }

    /// Whether the source is still there; if it is not, [`Self::copy`] ends soon.
    ///
    /// The end of a connection is behind all that was sent before it, and what is sent too fast piles up in both
    /// systems. So that is read ahead, as far as it can reasonably go. If no end comes, the source's system is sent a
    /// byte of the answer's body: if nobody there can take it, it breaks the connection.
    pub(super) async fn is_there(&mut self, stream: &mut TcpStream) -> bool {
        self.hung_up |= uplink::has_hung_up(stream);
        let held_up = self.held_up.is_some_and(|at| at.elapsed() < HELD_UP);
        if held_up && !self.hung_up {
            self.read_ahead(stream).await;
            self.hung_up = self.closed || self.breaks_at_a_byte(stream).await;
        }
        !self.hung_up
    }

    async fn read_ahead(&mut self, stream: &mut TcpStream) {
        let until = Instant::now() + READ_AHEAD;
        while self.ahead.len() < READ_AHEAD_BYTES {
            self.ahead.reserve(READ_BYTES);
            match timeout_at(until, stream.read_buf(&mut self.ahead)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => {
                    self.closed = true;
                    return;
                }
                Err(_) => return,
            }
        }
    }

    async fn breaks_at_a_byte(&self, stream: &mut TcpStream) -> bool {
        let breaks = async {
            let sent = answer::send(stream, b"\n").await.is_ok();
            while sent && !uplink::has_hung_up(stream) {
                sleep(LOOK).await;
            }
        };
        timeout(BYTE_ANSWERED, breaks).await.is_ok()
    }

    async fn answer(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        match self.answer.take() {
            Some(answer) => answer::send(stream, &answer).await,
            None => Ok(()),
        }
    }

    /// Reads more. False if none comes, because there is no more or it is too late for it.
    async fn read(&mut self, stream: &mut TcpStream, until: Instant) -> bool {
        self.input.reserve(READ_BYTES);
        match timeout_at(until, stream.read_buf(&mut self.input)).await {
            Ok(Ok(1..)) => return true,
            Ok(Ok(0)) => self.closed = true,
            Ok(Err(error)) => {
                debug!(%error, "connection broken");
                self.closed = true;
            }
            Err(_) => {}
        }
        false
    }

    /// Takes the next piece of what was read ahead, if there is any.
    fn refill(&mut self) -> bool {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new(); // it may have been large
            return false;
        }
        let piece = self.ahead.split_to(READ_BYTES.min(self.ahead.len()));
        self.input.extend_from_slice(&piece);
        true
    }

    /// Pours out what audio there is in the input. A reason if the source is to leave the air.
    fn digest(&mut self, sink: Sink<'_>) -> Option<EndReason> {
        let received = self.input.len();
        let decoded = self.decoder.decode(&mut self.input, &mut self.audio);
        let now = clock::now();
        // The framing counts too: a chunk of one byte costs more than the byte.
        self.allowance.take(received - self.input.len(), now);
        self.recognise();
        self.pour(sink, now);
        match decoded {
            Ok(BodyState::More) => {}
            Ok(BodyState::End) => return Some(EndReason::SourceLeft),
            Err(error) => {
                info!(%error, "malformed body");
                return Some(EndReason::SourceLeft);
            }
        }
        (now >= self.pulse.deadline()).then_some(EndReason::SourceSilent)
    }

    fn pour(&mut self, sink: Sink<'_>, now: std::time::Instant) {
        self.audio_bytes += self.audio.len() as u64;
        let mut heard = Heard::Bytes(self.audio_bytes);
        if let Sink::Ring(feed) = sink {
            if !self.audio.is_empty() {
                let appended = feed.append(feed.next(), &self.audio, now);
                debug_assert_eq!(appended, Append::Appended, "a source's ring has one writer");
            }
            heard = feed.media_time().map_or(heard, Heard::Time);
        }
        self.audio.clear();
        self.pulse.note(heard, now);
    }

    /// Looks at the first audio of all.
    fn recognise(&mut self) {
        if self.look == Look::More && self.audio_bytes == 0 {
            self.look = detect::look(&self.audio, &self.stated);
        } else if self.look == Look::More {
            self.look = Look::Unknown; // what came first has gone
        }
    }

    /// Holds up a source that sends faster than it sounds: the network then tells it to wait. One that has hung up
    /// is held up no more: its successor would be.
    async fn hold_up(&mut self, stream: &TcpStream, sink: Sink<'_>) {
        while !self.hung_up && !self.closed {
            let now = clock::now();
            let ahead = match sink {
                Sink::Ring(feed) => feed.ahead(now).saturating_sub(MOST_AHEAD),
                Sink::Nothing => Duration::ZERO,
            };
            let wait = ahead.max(self.allowance.wait(now));
            if wait.is_zero() {
                return;
            }
            sleep(wait.min(BRAKE)).await;
            self.hung_up = uplink::has_hung_up(stream);
            self.held_up = Some(Instant::now());
            self.pulse.excuse(clock::now());
        }
    }
}
