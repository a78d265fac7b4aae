//! Takes a filler's audio in: finds out what it is, holds up what comes too fast, notices silence.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info};

use super::filler::{Filler, Offer};
use super::lead::{LeadScanner, RingLead};
use crate::io::clock;
use crate::io::feed::Feed;
use crate::logic::pace::{Allowance, Pulse, ReceivedAudio};
use crate::media::format::detect;
use crate::media::format::detect::{Format, Look};
use crate::media::ring::Append;
use crate::model::stream::EndReason;

/// How far a source may be ahead of the clock before its bytes are left where they are: more than any encoder
/// sends at once when it connects, and less than the ring's window, out of which listeners would fall.
const MOST_AHEAD: Duration = Duration::from_secs(15);
/// How long to wait then before looking again, also for the end of its connection.
const BRAKE: Duration = Duration::from_millis(100);
/// How long a source may take to send enough of its audio that its format is recognised. Any encoder sends more than the
/// two frames that it takes.
const RECOGNITION: Duration = Duration::from_millis(500);
/// How long a source that is sent away may take to notice. One that does not look whether its connection is still there
/// would go on sending for ever.
const DISMISSAL_LIMIT: Duration = Duration::from_millis(100);
/// How much is read at once: half a second of a loud stream.
pub(super) const READ_BYTES: usize = 16 * 1024;
/// How long after it was held up a source still counts as one that sends too fast.
const HELD_UP: Duration = Duration::from_secs(5);

/// The sink of the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sink<'a> {
    /// On air.
    Ring(&'a Feed),
    /// To no listener: the source waits for its turn.
    Nothing,
}

/// The audio of one filler, on its way to a [`Sink`].
#[derive(Debug)]
pub(super) struct Intake<F> {
    filler: F,
    /// The audio that was read and has not been put anywhere yet.
    audio: BytesMut,
    audio_bytes: u64,
    /// How much was read.
    read_bytes: u64,
    /// How much of that, and of its framing, counts against the allowance already.
    counted_bytes: u64,
    /// The media type that is stated for the stream.
    stated: String,
    look: Look,
    /// Follows all that is put anywhere, if the format has prologues.
    lead: Option<LeadScanner>,
    /// By when the format has to be recognised.
    recognised_by: Option<Instant>,
    allowance: Allowance,
    pulse: Pulse,
    held_up: Option<Instant>,
    /// Nothing is held up any more.
    has_left: bool,
}

/// The result of reading on.
enum Got {
    Bytes,
    End,
    Malformed(io::Error),
    /// Nothing came in time.
    Late,
}

impl<F: Filler> Intake<F> {
    pub(super) fn new(filler: F, offer: &Offer) -> Self {
        let now = clock::now();
        Self {
            filler,
            audio: BytesMut::new(),
            audio_bytes: 0,
            read_bytes: 0,
            counted_bytes: 0,
            stated: offer.head.content_type.clone(),
            look: Look::More,
            lead: None,
            recognised_by: None,
            allowance: Allowance::new(offer.stated_bps, now),
            pulse: Pulse::new(now),
            held_up: None,
            has_left: false,
        }
    }

    /// The format that the first audio was recognised as.
    pub(super) fn format(&self) -> Option<Format> {
        match self.look {
            Look::Is(format) => Some(format),
            Look::More | Look::Unknown => None,
        }
    }

    /// The beginning of a ring that the source fills from now on.
    pub(super) fn lead(&self) -> RingLead {
        let lead = self.lead.as_ref();
        lead.map(LeadScanner::lead).unwrap_or_default()
    }

    /// Waits for audio, and at the beginning for as much of it as tells what it is. [`Self::copy`] goes on with it.
    /// May be dropped at any time, as that.
    ///
    /// A source that has sent enough without its answer gets the answer when everything is ready for its bytes.
    pub(super) async fn open(&mut self) -> Result<(), EndReason> {
        let mut is_over = false;
        loop {
            self.recognise();
            match self.audio.is_empty() {
                true if is_over => {
                    // A source whose login is right reads so, also if nothing follows.
                    let _gone_already = self.filler.accept().await;
                    return Err(EndReason::SourceLeft);
                }
                false if is_over || self.look != Look::More => return Ok(()),
                true | false => {}
            }
            let silent_at = Instant::from_std(self.pulse.deadline());
            if !self.audio.is_empty() {
                self.recognised_by
                    .get_or_insert_with(|| Instant::now() + RECOGNITION);
            }
            let until = self.recognised_by.map_or(silent_at, |by| by.min(silent_at));
            let got = self.read(until).await;
            if let Got::Malformed(error) = &got {
                info!(%error, "malformed body");
            }
            is_over = matches!(got, Got::End | Got::Malformed(_));
            if !matches!(got, Got::Bytes) && !self.audio.is_empty() {
                self.look = Look::Unknown;
            } else if Instant::now() >= silent_at {
                return Err(EndReason::SourceSilent);
            }
        }
    }

    /// Moves bytes until the stream ends. May be dropped at any time: no byte is lost.
    pub(super) async fn copy(&mut self, sink: Sink<'_>) -> EndReason {
        if self.filler.accept().await.is_err() {
            return EndReason::SourceLeft;
        }
        loop {
            let now = clock::now();
            self.count(now);
            self.recognise();
            self.append_to(sink, now);
            if now >= self.pulse.deadline() {
                return EndReason::SourceSilent;
            }
            self.hold_up(sink).await;
            match self.read(Instant::from_std(self.pulse.deadline())).await {
                Got::Bytes => {}
                Got::End => return EndReason::SourceLeft,
                Got::Malformed(error) => {
                    info!(%error, "malformed body");
                    return EndReason::SourceLeft;
                }
                Got::Late => return EndReason::SourceSilent,
            }
        }
    }

    /// Sends the source away: it is told so, and what it had sent before it heard that is taken. Closed at once, the
    /// connection would lose what is in it.
    pub(super) async fn dismiss(&mut self, sink: Sink<'_>) {
        if self.filler.dismiss().await.is_ok()
            && timeout(DISMISSAL_LIMIT, self.copy(sink)).await.is_err()
        {
            debug!("the source does not look whether it is heard");
        }
    }

    /// Whether the source is still there; if it is not, [`Self::copy`] ends soon.
    pub(super) async fn is_there(&mut self) -> bool {
        let held_up = self.held_up.is_some_and(|at| at.elapsed() < HELD_UP);
        self.has_left |= self.filler.has_left();
        if held_up && !self.has_left {
            self.has_left = !self.filler.is_behind_backlog().await;
        }
        !self.has_left
    }

    /// Reads more, for as long as that is not too late.
    async fn read(&mut self, until: Instant) -> Got {
        self.audio.reserve(READ_BYTES);
        match timeout_at(until, self.filler.read_buf(&mut self.audio)).await {
            Ok(Ok(0)) => Got::End,
            Ok(Ok(new_bytes)) => {
                self.read_bytes += new_bytes as u64;
                Got::Bytes
            }
            Ok(Err(error)) => Got::Malformed(error),
            Err(_) => Got::Late,
        }
    }

    /// Counts what has come. The framing counts too: a chunk of one byte costs more than the byte.
    fn count(&mut self, now: std::time::Instant) {
        let taken_bytes = self.read_bytes + self.filler.framing_bytes();
        let new_bytes = taken_bytes - self.counted_bytes;
        self.counted_bytes = taken_bytes;
        let new_bytes = usize::try_from(new_bytes).unwrap_or(usize::MAX);
        self.allowance.take(new_bytes, now);
    }

    fn append_to(&mut self, sink: Sink<'_>, now: std::time::Instant) {
        if self.audio_bytes == 0 {
            let stated = || Format::of_media_type(&self.stated);
            self.lead = LeadScanner::new(self.format().or_else(stated), now);
        }
        if let Some(lead) = &mut self.lead {
            lead.feed(&self.audio, now);
        }
        self.audio_bytes += self.audio.len() as u64;
        let mut heard = ReceivedAudio::Bytes(self.audio_bytes);
        if let Sink::Ring(feed) = sink {
            if !self.audio.is_empty() {
                let appended = feed.append(feed.next(), &self.audio, now);
                debug_assert_eq!(appended, Append::Appended, "a source's ring has one writer");
            }
            heard = feed.framed_time().map_or(heard, ReceivedAudio::Time);
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

    /// Holds up a source that sends faster than it sounds, by not reading on. One that has left is held up no more: its
    /// successor would be.
    async fn hold_up(&mut self, sink: Sink<'_>) {
        while !self.has_left {
            let now = clock::now();
            let ahead = match sink {
                Sink::Ring(feed) => feed.ahead(now).saturating_sub(MOST_AHEAD),
                Sink::Nothing => Duration::ZERO,
            };
            let wait = ahead.max(self.allowance.wait(now));
            if wait.is_zero() {
                return;
            }
            self.has_left = self.filler.has_left();
            if !self.has_left {
                sleep(wait.min(BRAKE)).await;
                self.held_up = Some(Instant::now());
                self.pulse.excuse(clock::now());
            }
        }
    }
}
