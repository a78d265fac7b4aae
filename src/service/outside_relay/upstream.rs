//! The stream of a server outside the mesh, as a reader of audio: titles are taken out of it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::io::http::stream::StreamBody;
use crate::io::leftover::hand_on;
use crate::media::format::detect::{self, Format, LOOK_BYTES, Look};
use crate::media::icy::Separator;
use crate::media::overlap::{HeardEnd, Overlap, from_place, place_of_last};
use crate::model::title::TitleInfo;

/// How much is read at once: half a second of a loud stream.
const READ_BYTES: usize = 16 << 10;
/// After how many bytes with titles among them nothing is looked at any more: blocks that are no titles, as a server sends that
/// has none, leave hardly any audio. Three times what is looked at otherwise; an Icecast sends more than that at once.
const MOST_WOVEN_BYTES: usize = 48 << 10;

/// How long the last seconds may take that a server sends at once: listeners wait meanwhile, with five seconds in hand.
const BURST_LIMIT: Duration = Duration::from_secs(1);
/// After how long without a byte they are over: longer than a packet takes to a server far away and back.
const BURST_PAUSE: Duration = Duration::from_millis(300);
/// How long a server may be behind the one before.
const BEHIND_LIMIT: Duration = Duration::from_secs(4);
/// The most bytes that are read at once: a minute of 256 kbit/s.
const MOST_BURST_BYTES: usize = 2 << 20;

/// The words of a reader to those who do not read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    title: Option<TitleInfo>,
    /// Why nothing more comes.
    end: Option<String>,
}

impl Told {
    /// The title that came last, once.
    pub(super) fn take_title(&self) -> Option<TitleInfo> {
        self.0.lock().title.take()
    }

    /// Why nothing more comes, if the server is the reason.
    pub(super) fn end(&self) -> Option<String> {
        self.0.lock().end.clone()
    }
}

/// The audio of a server's answer. Ends where that does, and when it is told to stop.
pub(super) struct Upstream {
    body: StreamBody,
    separator: Option<Separator>,
    /// The bytes that were read and not separated yet.
    woven: BytesMut,
    audio: BytesMut,
    /// How much was read.
    read_bytes: usize,
    pub(super) told: Told,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Why what a server sends is not put on air.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAudio {
    #[error("it closed the connection before any audio")]
    Ended,
    #[error(
        "what it sends is no audio that is known here: open the address in a player to see what it is"
    )]
    Unknown,
    #[error("its connection broke: {0}")]
    Broken(#[from] io::Error),
}

impl Upstream {
    /// Reads a body; titles are taken out of it by the `separator`, if there are any.
    pub(super) fn new(body: StreamBody, separator: Option<Separator>) -> Self {
        let stop = CancellationToken::new();
        Self {
            body,
            separator,
            woven: BytesMut::new(),
            audio: BytesMut::new(),
            read_bytes: 0,
            told: Told::default(),
            stopped: Box::pin(stop.clone().cancelled_owned()),
            stop,
        }
    }

    /// Ends the reader.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for the first audio until it is known what it is. Nothing of it is lost.
    pub(super) async fn recognise(&mut self, stated: &str) -> Result<Format, NoAudio> {
        loop {
            match detect::look(&self.audio, stated) {
                Look::Is(format) => return Ok(format),
                Look::More
                    if self.audio.len() < LOOK_BYTES && self.read_bytes < MOST_WOVEN_BYTES => {}
                Look::More | Look::Unknown => return Err(NoAudio::Unknown),
            }
            if !poll_fn(|context| self.poll_more(context)).await? {
                return Err(NoAudio::Ended);
            }
        }
    }

    /// Reads more audio; whether there is more.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let before = self.audio.len();
            let into = match &self.separator {
                Some(_) => &mut self.woven,
                None => &mut self.audio,
            };
            into.reserve(READ_BYTES);
            let read_bytes = ready!(poll_read_buf(Pin::new(&mut self.body), context, into))?;
            if read_bytes == 0 {
                return Poll::Ready(Ok(false));
            }
            self.read_bytes = self.read_bytes.saturating_add(read_bytes);
            if let Some(separator) = &mut self.separator
                && let Some(title) = separator.take(&mut self.woven, &mut self.audio)
            {
                self.told.0.lock().title = Some(title);
            }
            if self.audio.len() > before {
                return Poll::Ready(Ok(true));
            }
        }
    }
}

impl Upstream {
    /// Leaves out what listeners have heard already of what the server sends at once: it goes on behind the `end` of that, if it
    /// is there. If not, they get of it as much as they have heard nothing since `quiet_since`. Says whether it was there.
    pub(super) async fn skip_heard(
        &mut self,
        format: Format,
        end: Option<&HeardEnd>,
        quiet_since: Instant,
    ) -> bool {
        let overlap = self.overlap(end).await;
        let place = overlap.map(|it| it.place);
        let place = place.or_else(|| place_of_last(format, &self.audio, quiet_since.elapsed()));
        if let Some(place) = place.filter(|place| *place > 0) {
            self.audio = from_place(format, &self.audio, place);
        }
        overlap.is_some()
    }

    /// Whether more audio comes in time. The end, or a broken connection, is told to whoever reads on.
    async fn gets_more(&mut self, by: Instant) -> bool {
        let more = poll_fn(|context| self.poll_more(context));
        matches!(timeout_at(by, more).await, Ok(Ok(true)))
    }

    /// Reads what the server sends at once, until the end of what listeners have heard is found in it.
    async fn overlap(&mut self, heard: Option<&HeardEnd>) -> Option<Overlap> {
        let begun = Instant::now();
        let (mut until, mut look_at_bytes, mut best) = (begun + BURST_LIMIT, 0, None);
        loop {
            let by = until.min(Instant::now() + BURST_PAUSE);
            let is_full = self.audio.len() >= MOST_BURST_BYTES;
            let is_over = is_full || !self.gets_more(by).await || Instant::now() >= until;
            if is_over || self.audio.len() >= look_at_bytes {
                best = heard.and_then(|heard| heard.find(&self.audio));
                look_at_bytes = self.audio.len() * 5 / 4;
            }
            let is_behind = || heard.is_some_and(|it| it.to_come_bytes(&self.audio).is_some());
            if best.is_some_and(Overlap::is_sure) {
                return best;
            }
            if is_over && best.is_none() && until < begun + BEHIND_LIMIT && is_behind() {
                until = begun + BEHIND_LIMIT;
            } else if is_over {
                return best;
            }
        }
    }
}

impl AsyncRead for Upstream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if this.audio.is_empty() {
            let end = match ready!(this.poll_more(context)) {
                Ok(true) => None,
                Ok(false) => Some("it closed the connection".to_owned()),
                Err(error) => Some(format!("its connection broke: {error}")),
            };
            if let Some(end) = end {
                // A broken connection is the end of the stream, and nothing to tell an encoder of.
                this.told.0.lock().end = Some(end);
                return Poll::Ready(Ok(()));
            }
        }
        hand_on(&mut this.audio, into);
        Poll::Ready(Ok(()))
    }
}
