//! One listener on its pacer's thread: what it was sent, and what follows.

mod intro;

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::intro::IntroRest;
use super::connection::{ListenerConnection, VisitResult, advance};
use super::{Left, RingSound};
use crate::io::channel::ChannelReader;
use crate::media::icy::Interleaver;
use crate::media::ring::Read;

/// A listener between two visits. Holds no audio, only its reader.
pub(super) struct Member {
    connection: ListenerConnection,
    /// The reader begins when all of it was taken.
    intro: IntroRest,
    /// The rest of what a decoder needs before the audio. Part of the stream: titles are woven into it, too.
    prologue: Bytes,
    reader: ChannelReader,
    icy: Option<Interleaver>,
    /// The most audio that one visit writes, and the send buffer that was asked for.
    visit_bytes: usize,
}

/// The least that [`visit_bytes`] gives. The kernel allows twice as much for its own book-keeping, so a listener that
/// does not read costs at most 128 KiB; 10,000 of them 1.3 GB, where Linux would let them have 40 GB.
const LEAST_VISIT_BYTES: usize = 64 << 10;

/// The most that [`visit_bytes`] gives: a second of 8 Mbit/s. No listener delays the others by more than a copy of it.
const MOST_VISIT_BYTES: usize = 1 << 20;

/// How long a listener whose time is up may still take what it has not been sent yet, so that it ends behind a whole
/// frame. With the half second between two visits it is gone within a second.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Member {
    pub(super) fn new(connection: ListenerConnection, sound: RingSound, now: Instant) -> Self {
        Self {
            visit_bytes: visit_bytes(sound.reader.feed().bitrate_bps()),
            connection,
            intro: IntroRest::new(sound.intro.as_deref(), now),
            prologue: Bytes::new(),
            reader: sound.reader,
            icy: sound.icy,
        }
    }

    /// Makes the socket ready for visits. Fails if it is closed already.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.connection.prepare(self.visit_bytes)
    }

    /// Writes all new bytes, as far as the kernel takes them, and says whether the listener stays.
    pub(super) fn visit(&mut self, now: Instant) -> VisitResult {
        if let Some(why) = self.connection.control.ended() {
            return VisitResult::Leave(why);
        }
        if self.connection.is_resting(now) {
            return VisitResult::Stay;
        }
        let served = match self.serve(now) {
            // The rest of a stream that was left for another one: the same visit begins with the other.
            VisitResult::Stay if self.reader.is_at_cut() => self.serve(now),
            served => served,
        };
        match served {
            VisitResult::Stay if self.is_time_up(now) => VisitResult::Leave(Left::TimeIsUp),
            result => result,
        }
    }

    /// Whether the listener has heard as long as it may, and has been sent all that there is.
    fn is_time_up(&mut self, now: Instant) -> bool {
        let Some(until) = self.connection.until.filter(|until| now >= *until) else {
            return false;
        };
        let has_taken_all = self.connection.head.is_empty()
            && !self.connection.socket.has_pending()
            && self.intro.is_over()
            && self.prologue.is_empty();
        now >= until + LAST_WORDS || (has_taken_all && !self.has_more_to_read())
    }

    fn has_more_to_read(&mut self) -> bool {
        matches!(self.reader.read(1), Read::Bytes(_))
    }

    fn serve(&mut self, now: Instant) -> VisitResult {
        let audio = match self.read(now) {
            Read::Bytes(audio) => audio,
            Read::Wait => Vec::new(),
            Read::Overrun { .. } => return VisitResult::Leave(Left::TooSlow),
            Read::Ended => match self.connection.has_finished() {
                Ok(true) => return VisitResult::Leave(Left::StreamEnded),
                Ok(false) => Vec::new(),
                Err(left) => return VisitResult::Leave(left),
            },
        };
        let prologue = self.reader.take_prologue();
        if !prologue.is_empty() {
            // Nothing is left of the one before: the reader goes on to another feed behind audio that was taken.
            self.prologue = prologue;
        }
        let has_more = !self.connection.head.is_empty() || !audio.is_empty();
        match self.write(audio) {
            Ok(0) => {
                let is_over = || self.reader.has_finished() || !self.intro.is_over();
                self.connection.note_refused(has_more, is_over, now)
            }
            Ok(bytes) => {
                if bytes < self.visit_bytes {
                    self.connection.rest(now);
                }
                self.connection.note_taken(now)
            }
            Err(left) => VisitResult::Leave(left),
        }
    }

    /// The next audio. A listener that is still busy with a long prologue loses no audio that it has begun with: it joins
    /// anew, as long as it takes anything.
    fn read(&mut self, now: Instant) -> Read {
        if self.connection.socket.is_finishing() {
            return Read::Ended; // and no stream that has come since is heard
        }
        if !self.intro.is_over() {
            // The stream begins as for one that comes then; until then this tells the title on air.
            self.reader.rejoin();
            let due = self.intro.due(now, self.visit_bytes);
            return match due.is_empty() {
                true => Read::Wait,
                false => Read::Bytes(vec![due]),
            };
        }
        let read = self.reader.read(self.visit_bytes);
        if matches!(read, Read::Overrun { .. })
            && !self.connection.is_stuck(now)
            && self.reader.rejoin()
        {
            return self.reader.read(self.visit_bytes);
        }
        if let Read::Bytes(audio) = &read
            && audio.iter().map(Bytes::len).sum::<usize>() >= self.visit_bytes
        {
            self.widen();
        }
        read
    }

    /// Makes room for a stream that turns out to have a higher bitrate than was known: one visit has not taken all of it.
    fn widen(&mut self) {
        let wanted = visit_bytes(self.reader.feed().bitrate_bps());
        if wanted > self.visit_bytes {
            self.visit_bytes = wanted;
            // A connection that refuses has ended, which the next write shows.
            let _ended = self.connection.set_send_buffer(wanted);
        }
    }

    /// Reports that the listener leaves, and closes.
    pub(super) fn leave(self, why: Left) {
        self.connection.leave(why);
    }

    /// Writes the head, the prologue and the audio, as far as they are taken. Returns how many bytes those were.
    fn write(&mut self, mut audio: Vec<Bytes>) -> Result<usize, Left> {
        let prologue_bytes = self.prologue.len();
        if prologue_bytes > 0 {
            audio.insert(0, self.prologue.clone());
        }
        let Some(icy) = &mut self.icy else {
            let pieces = audio.iter().map(|piece| &piece[..]);
            let taken = self.connection.send(pieces)?;
            self.note_taken(taken.of_stream);
            return Ok(taken.all);
        };
        let (feed, position) = (self.reader.feed(), self.reader.position());
        // What is woven begins with the prologue or is an intro, which have no offset of their own in the stream.
        let lead_bytes = match self.intro.is_over() {
            true => prologue_bytes as u64,
            false => u64::MAX,
        };
        let offset_of = |place: u64| position + place.saturating_sub(lead_bytes);
        let woven = icy.weave(0, audio, |place| feed.title_at(offset_of(place)));
        let pieces = woven.pieces().map(|piece| &piece[..]);
        let taken = self.connection.send(pieces)?;
        let stream_bytes = icy.advance(&woven, taken.of_stream);
        self.note_taken(stream_bytes);
        Ok(taken.all)
    }

    /// Notes that the kernel has taken so many bytes of prologue and audio.
    fn note_taken(&mut self, stream_bytes: usize) {
        if !self.intro.is_over() {
            self.intro.advance(stream_bytes);
            return;
        }
        let audio_bytes = stream_bytes - advance(&mut self.prologue, stream_bytes);
        self.reader.advance(audio_bytes as u64);
    }
}

/// The most audio that one visit writes, and the send buffer that takes it: a second of the stream. As the next visit
/// comes within half a second, a listener that is behind catches up.
pub(super) fn visit_bytes(bitrate_bps: u64) -> usize {
    let second_bytes = usize::try_from(bitrate_bps / 8).unwrap_or(usize::MAX);
    second_bytes.clamp(LEAST_VISIT_BYTES, MOST_VISIT_BYTES)
}

#[cfg(test)]
mod tests;
