//! Takes a filler's audio in: finds out what it is, holds up what comes too fast, notices silence.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info};

use super::faults::Faults;
use super::filler::{Backlog, Filler, Offer};
use super::hearing::Hearing;
use super::inlet::Inlet;
use super::lead::{LeadScanner, RingLead};
use crate::io::clock;
use crate::io::feed::Feed;
use crate::logic::pace::{Allowance, MOST_AHEAD, Pulse, ReceivedAudio};
use crate::media::format::detect::Format;
use crate::media::format::joining::StreamStart;
use crate::media::format::scanner::Scanner;
use crate::media::ring::{Append, TitleSet};
use crate::model::format::StreamFormat;
use crate::model::sound::{SilenceSpec, SoundState};
use crate::model::stream::EndReason;
use crate::service::sources::SourceProtocol;

/// How long to wait at [`MOST_AHEAD`] before looking again.
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
/// How many bytes of a tag count as one against the allowance: they are neither kept nor sent on. A cover picture of
/// 10 MB, which an encoder sends before its first audio, comes in at once so.
const TAG_BYTES_AS_ONE: u64 = 8;

/// How long a source still counts as one that sends: lines over which audio is sent stutter for a second now and then.
const FRESH: Duration = Duration::from_secs(2);

/// How long a source whose encoder seems to have come back may have sent nothing, where its format shows silence: an
/// encoder that sends fills several frames in a second.
const QUIET: Duration = Duration::from_secs(3);

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
    inlet: Inlet,
    /// How much audio was put somewhere.
    audio_bytes: u64,
    /// How much was read.
    read_bytes: u64,
    /// How much of that, and of its framing, counts against the allowance already.
    counted_bytes: u64,
    /// Whether the source may have to wait for its turn.
    may_wait: bool,
    /// Whether streams of it with the same serial numbers may have been heard before the last one.
    comes_again: bool,
    /// Follows all that is put anywhere, if the source may have to wait and the format has prologues.
    lead: Option<LeadScanner>,
    /// Watches all that goes on air.
    faults: Faults,
    /// By when the format has to be recognised.
    recognised_by: Option<Instant>,
    allowance: Allowance,
    pulse: Pulse,
    /// The format of the first audio, as far as that tells it.
    format: Option<StreamFormat>,
    /// Whether audio that is known was looked for in what nobody heard.
    has_sought: bool,
    /// Listens while the source waits, if its mount asks for that.
    hearing: Option<Hearing>,
    /// How much had been read when the source was last found not to be silent.
    sounding_bytes: u64,
    /// When bytes came last.
    heard_at: Instant,
    held_up: Option<Instant>,
    /// The source has left, and its successor waits: nothing is held up any more.
    has_left: bool,
}

/// The result of a look for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The source is there.
    There,
    /// The source has left: [`Intake::copy`] ends soon, with its last byte.
    Left,
    /// The connection is dead: nothing more is to be expected of it.
    Dead,
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
        let silence = Duration::from_secs(offer.spec.source_timeout_s.into());
        Self {
            filler,
            inlet: Inlet::new(offer),
            audio_bytes: 0,
            read_bytes: 0,
            counted_bytes: 0,
            may_wait: offer.spec.standby || offer.spec.silence_fails,
            comes_again: offer.protocol == SourceProtocol::OutsideRelay,
            lead: None,
            faults: Faults::new(),
            recognised_by: None,
            allowance: Allowance::new(offer.stated_bps, now),
            pulse: Pulse::new(now, silence),
            format: None,
            has_sought: false,
            hearing: None,
            sounding_bytes: 0,
            heard_at: now.into(),
            held_up: None,
            has_left: false,
        }
    }

    /// The media type of what a ring holds that begins so, if its format was recognised.
    pub(super) fn media_type(&self, lead: &RingLead) -> Option<&'static str> {
        let begun = [&lead.prologue[..], &lead.audio, self.inlet.audio()].concat();
        Some(self.inlet.recognised()?.media_type_of(&begun))
    }

    /// The fault in its bytes for which the source is closed, if it is for one.
    pub(super) fn fault(&self) -> Option<&str> {
        self.faults.fatal()
    }

    /// The beginning of a ring that the source fills from now on. No stream in it has a serial number that is `taken`.
    pub(super) fn begin(&mut self, taken: &[u32]) -> RingLead {
        if self.has_sought && !self.inlet.is_known() {
            self.inlet.clear(); // of what came while something else was heard nothing is
        }
        let lead = self.lead.as_ref().map(LeadScanner::lead);
        let lead = lead.unwrap_or_default();
        let renumbered = self
            .inlet
            .avoid_serials(taken, lead.clone(), self.comes_again);
        if let Some(scanner) = self.lead.as_mut().filter(|_| renumbered != lead) {
            scanner.begin_anew(&renumbered, clock::now());
        }
        renumbered
    }

    /// Waits for audio, and at the beginning for as much of it as tells what it is. [`Self::copy`] goes on with it.
    /// May be dropped at any time, as that.
    ///
    /// A source that has sent enough without its answer gets the answer when everything is ready for its bytes.
    pub(super) async fn open(&mut self) -> Result<(), EndReason> {
        while !(self.inlet.is_decided() && self.inlet.has_audio()) {
            let mut until = Instant::from_std(self.pulse.deadline());
            if self.inlet.has_audio() {
                let by = self
                    .recognised_by
                    .get_or_insert_with(|| Instant::now() + RECOGNITION);
                until = until.min(*by);
            }
            match self.read(until).await {
                Got::Bytes => self.inlet.judge(),
                Got::Late => self.inlet.stop_looking(),
                got @ (Got::End | Got::Malformed(_)) => {
                    if let Got::Malformed(error) = got {
                        self.faults.note_malformed(&error);
                    }
                    self.inlet.finish();
                    if !self.inlet.has_audio() {
                        // A source whose login is right reads so, also if nothing follows.
                        let _gone_already = self.filler.accept().await;
                        return Err(EndReason::SourceLeft);
                    }
                }
            }
            let now = clock::now();
            self.pulse.note_tags(self.inlet.removed_bytes(), now);
            if !self.inlet.has_audio() && now >= self.pulse.deadline() {
                return Err(EndReason::SourceSilent);
            }
            self.count(now);
            self.hold_up(Sink::Nothing).await;
        }
        Ok(())
    }

    /// Whether the audio that its source promises was found in what it sends.
    pub(super) fn is_known(&self) -> bool {
        self.inlet.is_known()
    }

    /// The media type of its audio, and the format as far as that is known.
    pub(super) fn kind(&self) -> (&str, Option<StreamFormat>) {
        let begun = || format_of(self.inlet.format()?, self.inlet.audio());
        (self.inlet.media_type(), self.format.or_else(begun))
    }

    /// Listens to the source from now on, while it waits, by these settings; `None`: nobody wants to know whether it is silent.
    pub(super) fn listen(&mut self, settings: Option<SilenceSpec>) {
        let before = self.hearing.take();
        self.hearing = settings.map(|settings| match before {
            Some(hearing) if hearing.settings() == settings => hearing,
            _ => {
                let prologue = self.lead.as_ref().map(|lead| lead.lead().prologue);
                let start = StreamStart {
                    offset: 0,
                    media_time: Duration::ZERO,
                    prologue: prologue.unwrap_or_default(),
                };
                Hearing::new(self.inlet.media_type(), &start, settings)
            }
        });
    }

    /// Whether the source sounds, as far as somebody listens to it while it waits.
    pub(super) fn sound(&self) -> Option<SoundState> {
        self.hearing.as_ref().map(Hearing::state)
    }

    /// Reads on until audio is found that is known, and lets nobody hear what is not. May be dropped at any time.
    pub(super) async fn seek(&mut self) -> Result<(), EndReason> {
        self.faults.expect(self.inlet.format());
        while !self.inlet.is_known() {
            self.has_sought = true;
            let got = self.read(Instant::from_std(self.pulse.deadline())).await;
            let now = clock::now();
            match got {
                Got::Bytes => self.inlet.look_again(),
                Got::Late => {}
                Got::End => return Err(EndReason::SourceLeft),
                Got::Malformed(error) => {
                    self.faults.note_malformed(&error);
                    return Err(EndReason::SourceLeft);
                }
            }
            self.pulse.note_tags(self.inlet.removed_bytes(), now);
            if now >= self.pulse.deadline() && !self.inlet.is_known() {
                self.faults.note_unheard(self.read_bytes);
                return Err(EndReason::SourceSilent);
            }
            self.count(now);
            self.hold_up(Sink::Nothing).await;
        }
        Ok(())
    }

    /// Moves bytes until the stream ends. May be dropped at any time: no byte is lost.
    pub(super) async fn copy(&mut self, sink: Sink<'_>) -> EndReason {
        if self.filler.accept().await.is_err() {
            return EndReason::SourceLeft;
        }
        if !self.inlet.is_decided()
            && let Err(reason) = self.open().await
        {
            return reason;
        }
        if matches!(sink, Sink::Nothing)
            && let Err(reason) = self.seek().await
        {
            return reason;
        }
        loop {
            let now = clock::now();
            self.count(now);
            if let Some(reason) = self.append_to(sink, now) {
                return reason;
            }
            if now >= self.pulse.deadline() {
                self.faults
                    .note_unheard(self.read_bytes - self.sounding_bytes);
                return EndReason::SourceSilent;
            }
            self.hold_up(sink).await;
            match self.read(Instant::from_std(self.pulse.deadline())).await {
                Got::Bytes => self.inlet.judge(),
                Got::Late => return EndReason::SourceSilent,
                Got::End => break,
                Got::Malformed(error) => {
                    self.faults.note_malformed(&error);
                    break;
                }
            }
        }
        self.inlet.finish();
        self.append_to(sink, clock::now());
        EndReason::SourceLeft
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

    /// Looks for the source at the other end of its connection. If it `seems_back`, because its encoder has connected
    /// anew, this connection may be dead without a sign of it, and is tried.
    pub(super) async fn find(&mut self, feed: &Feed, seems_back: bool) -> Presence {
        self.has_left |= self.filler.has_left();
        if self.has_left {
            return Presence::Left;
        }
        match (seems_back, self.is_held_up()) {
            (false, false) => {}
            // It has left behind what was not read yet, which is still heard.
            (false, true) => self.has_left = !self.filler.is_behind_backlog().await,
            (true, true) => self.has_left = !self.filler.is_reachable(Backlog::Some).await,
            (true, false) => {
                let shows_silence = feed.framed_time().is_some();
                let is_quiet = shows_silence && self.heard_at.elapsed() >= QUIET;
                if is_quiet || !self.filler.is_reachable(Backlog::None).await {
                    return Presence::Dead;
                }
            }
        }
        match self.has_left {
            true => Presence::Left,
            false => Presence::There,
        }
    }

    /// Whether audio has come in the last moments.
    pub(super) fn is_sending(&self) -> bool {
        self.audio_bytes > 0 && self.heard_at.elapsed() < FRESH
    }

    fn is_held_up(&self) -> bool {
        self.held_up.is_some_and(|at| at.elapsed() < HELD_UP)
    }

    /// Reads more, for as long as that is not too late.
    async fn read(&mut self, until: Instant) -> Got {
        self.inlet.input().reserve(READ_BYTES);
        match timeout_at(until, self.filler.read_buf(self.inlet.input())).await {
            Ok(Ok(0)) => Got::End,
            Ok(Ok(new_bytes)) => {
                self.read_bytes += new_bytes as u64;
                self.heard_at = Instant::now();
                Got::Bytes
            }
            Ok(Err(error)) => Got::Malformed(error),
            Err(_) => Got::Late,
        }
    }

    /// Counts what has come. The framing counts too: a chunk of one byte costs more than the byte.
    fn count(&mut self, now: std::time::Instant) {
        let tag_bytes = self.inlet.removed_bytes();
        let free_bytes = tag_bytes - tag_bytes / TAG_BYTES_AS_ONE;
        let taken_bytes = self.read_bytes + self.filler.framing_bytes() - free_bytes;
        let new_bytes = taken_bytes.saturating_sub(self.counted_bytes);
        self.counted_bytes += new_bytes;
        let new_bytes = usize::try_from(new_bytes).unwrap_or(usize::MAX);
        self.allowance.take(new_bytes, now);
    }

    /// Puts the audio where it belongs. Returns why the source is to be closed, if its bytes are a reason for that.
    fn append_to(&mut self, sink: Sink<'_>, now: std::time::Instant) -> Option<EndReason> {
        if self.audio_bytes == 0 {
            let format = self.inlet.format();
            self.faults.expect(format);
            self.lead = LeadScanner::new(format.filter(|_| self.may_wait), now);
            self.format = format.and_then(|format| format_of(format, self.inlet.audio()));
        }
        if let Sink::Ring(feed) = sink
            && let Some(title) = (self.inlet.take_title())
                .or_else(|| self.filler.take_title(|| feed.time_at(feed.next())))
            && feed.set_title(feed.next(), &title) == TitleSet::Changed
        {
            info!(title = title.text, "title");
        }
        let audio = self.inlet.audio();
        let changed_bytes = match sink {
            Sink::Ring(feed) => self.faults.look(audio, feed.has_lost_format()),
            Sink::Nothing => None,
        };
        let audio = &audio[..audio.len() - changed_bytes.unwrap_or_default()];
        if let Some(lead) = &mut self.lead {
            lead.feed(audio, now);
        }
        if let (Sink::Nothing, Some(hearing)) = (sink, &mut self.hearing) {
            hearing.feed(audio);
        }
        self.audio_bytes += audio.len() as u64;
        let mut heard = ReceivedAudio::Bytes(self.audio_bytes);
        let mut trouble = self.lead.as_ref().and_then(LeadScanner::trouble);
        if let Sink::Ring(feed) = sink {
            if !audio.is_empty() {
                let appended = feed.append(feed.next(), audio, now);
                debug_assert_eq!(appended, Append::Appended, "a source's ring has one writer");
            }
            heard = feed.framed_time().map_or(heard, ReceivedAudio::Time);
            trouble = feed.trouble();
            self.faults.note_anew(feed.begun_anew_at());
        }
        self.inlet.clear();
        let deadline = self.pulse.deadline();
        self.pulse.note(heard, now);
        if self.pulse.deadline() > deadline {
            self.sounding_bytes = self.read_bytes;
        }
        self.pulse.note_tags(self.inlet.removed_bytes(), now);
        let has_changed = changed_bytes.is_some();
        (self.faults.note(trouble, now) || has_changed).then_some(EndReason::SourceLeft)
    }

    /// Holds up a source that sends faster than it sounds, by not reading on. What was not read of one that has left is
    /// heard at its pace, too, until its successor waits.
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
            sleep(wait.min(BRAKE)).await;
            self.held_up = Some(Instant::now());
            self.pulse.excuse(clock::now());
        }
    }
}

/// The format of a stream that begins so, as far as its bytes tell it.
fn format_of(format: Format, begun: &[u8]) -> Option<StreamFormat> {
    let mut scanner = Scanner::for_content_type(format.media_type(), 0);
    scanner.feed(begun, Duration::ZERO, |_| {});
    scanner.format()
}
