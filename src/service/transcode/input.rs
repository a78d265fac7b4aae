//! The stream that a program hears: what a listener of the other mount would get.

use std::io;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::{sleep, sleep_until, timeout};

use super::Inner;
use super::progress::Progress;
use crate::io::channel::ChannelReader;
use crate::io::child::hand_over;
use crate::io::feed::Feed;
use crate::media::ring::Read;
use crate::model::mount::MountName;
use crate::service::streams::{Held, Reader};

/// The part of the stream that a program gets at once: enough for it to see what it is, and little enough that listeners
/// hear hardly anything twice when another node goes on.
const BURST: Duration = Duration::from_secs(2);
/// The most that is read at once.
const MOST_BYTES: usize = 64 << 10;
/// How long a stream is not asked for again that was to be had and was not got.
const RETRY: Duration = Duration::from_millis(500);

/// Why a program gets no more of a stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputEnd {
    #[error("its source has gone")]
    Ended,
    #[error("it does not take the stream as fast as it comes")]
    TooSlow,
    #[error("it has closed its input: {0}")]
    Closed(#[from] io::Error),
}

/// Waits for a mount's stream. One without a source is none: nodes would make each other's last seconds again and again.
pub(super) async fn stream(inner: &Inner, mount: &MountName) -> Held {
    let relays = &inner.config.relays;
    let mut view = inner.config.mesh.cluster.watch();
    loop {
        let has_source = view.borrow_and_update().source(mount).is_some();
        if has_source {
            if let Ok(held) = relays.fetch(mount).await {
                return held;
            }
            sleep(RETRY).await;
        }
        // The mesh is looked at again several times in a second. An error means that this node ends.
        let _looked = timeout(RETRY, view.changed()).await;
    }
}

/// Sends a stream to a program until one of them ends. The program's input is closed by that.
pub(super) async fn send(held: &Held, stdin: pipe::Sender, progress: &Progress) -> InputEnd {
    let _reading = held.read_by(Reader::Link);
    let reader = held.channel.join(BURST);
    let sending = Sending {
        stdin,
        progress,
        reader,
        leg: None,
        sent: Duration::ZERO,
    };
    match sending.run().await {
        Ok(end) => end,
        Err(error) => error.into(),
    }
}

struct Sending<'a> {
    stdin: pipe::Sender,
    progress: &'a Progress,
    reader: ChannelReader,
    leg: Option<Leg>,
    /// How much audio was sent.
    sent: Duration,
}

/// The part of the input that comes from one stream.
struct Leg {
    feed: Feed,
    /// The stream's time at its first byte.
    began: Option<Duration>,
    /// How much was sent before that.
    before: Duration,
    /// All titles that begin before this byte were noted.
    titled_to: u64,
}

impl Leg {
    /// How much audio is sent before a byte of it.
    fn sent_at(&self, offset: u64) -> Option<Duration> {
        let time = self.feed.time_at(offset)?;
        Some(self.before + time.saturating_sub(self.began?))
    }
}

impl Sending<'_> {
    async fn run(mut self) -> io::Result<InputEnd> {
        loop {
            let audio = match self.reader.read(MOST_BYTES) {
                Read::Bytes(audio) => audio,
                Read::Wait => {
                    self.reader.news().await;
                    continue;
                }
                Read::Overrun { .. } => return Ok(InputEnd::TooSlow),
                Read::Ended => return Ok(InputEnd::Ended),
            };
            self.progress.note_input();
            let from = self.reader.position();
            let end = from + audio.iter().map(|piece| piece.len() as u64).sum::<u64>();
            self.note_titles(from, end);
            let prologue = self.reader.take_prologue();
            hand_over(&mut self.stdin, &prologue).await?;
            for piece in audio {
                hand_over(&mut self.stdin, &piece).await?;
            }
            self.progress.note_taken();
            self.reader.advance(end - from);
            if let Some(sent) = self.leg.as_ref().and_then(|leg| leg.sent_at(end)) {
                self.sent = sent;
                self.progress.note_sent(sent);
            }
            self.progress.beat();
            sleep_until(self.progress.next_input().into()).await;
        }
    }

    /// Notes the titles of the bytes that are sent now, and those that were told late: one that the stream says itself is
    /// known only behind the byte at which it begins.
    fn note_titles(&mut self, from: u64, end: u64) {
        let feed = self.reader.feed();
        let mut leg = match self.leg.take().filter(|leg| leg.feed.is_same(feed)) {
            Some(leg) => leg,
            None => {
                if let Some(title) = feed.title_at(from) {
                    self.progress.note_title(self.sent, (*title).clone());
                }
                Leg {
                    feed: feed.clone(),
                    began: feed.time_at(from),
                    before: self.sent,
                    titled_to: from,
                }
            }
        };
        for title in feed.title_changes_between(leg.titled_to, end) {
            let at = leg.sent_at(title.offset).unwrap_or(self.sent);
            self.progress.note_title(at, (*title.info).clone());
            leg.titled_to = title.offset + 1;
        }
        self.leg = Some(leg);
    }
}
