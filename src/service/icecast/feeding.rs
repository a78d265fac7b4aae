//! A mount as the Icecast gets it: the node logs in as its source and sends what a listener of the ring would hear.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::IcecastEngine;
use crate::io::channel::ChannelReader;
use crate::io::clock;
use crate::io::http::{Limits, request_within};
use crate::io::icecast;
use crate::logic::backoff::Backoff;
use crate::media::format::detect::Format;
use crate::media::ring::Read;
use crate::model::mount::MountName;
use crate::model::title::TitleInfo;
use crate::service::streams::{Held, Reader};
use crate::wire::icecast::local::{source_head, title_path};
use crate::wire::icecast::server_config::SOURCE;

/// How long a mount is fed without a listener: a player that reconnects finds it on air, and nothing is begun and ended
/// with each look of a directory.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The part of the stream that Icecast gets at once, as a listener of the ring does: it is the burst of its first listener.
const BURST: Duration = Duration::from_secs(5);
/// How often new bytes are sent on: each waking of Icecast costs it a write per listener.
const PACE: Duration = Duration::from_millis(100);
/// The most that is read at once: some seconds of any stream.
const MOST_BYTES: usize = 1 << 20;
/// How long Icecast may take for a login, a title, or to read what it is sent: on one machine that is a matter of
/// milliseconds, and it reads always.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after its login a source is told no title: in these first moments Icecast says yes to a title and forgets it.
const TITLE_SETTLE: Duration = Duration::from_millis(500);
/// How often a title is told again to which Icecast has said no: on a slow machine those moments last longer.
const TITLE_TRIES: u32 = 20;
/// The wait after the first failure, and the longest one.
const WAITS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// A mount that is fed to the Icecast.
#[derive(Debug, Default)]
pub(super) struct IcecastFeed {
    holders: watch::Sender<usize>,
    on_air: watch::Sender<bool>,
}

/// Has a mount fed to the Icecast for as long as this is kept.
#[derive(Debug)]
pub struct FeedHold(Arc<IcecastFeed>);

impl Drop for FeedHold {
    fn drop(&mut self) {
        self.0.holders.send_modify(|holders| *holders -= 1);
    }
}

impl FeedHold {
    /// Waits until the Icecast has the stream.
    pub(super) async fn on_air(&self) {
        let mut on_air = self.0.on_air.subscribe();
        // Fails only if the sender is gone, which this value keeps.
        let _on_air = on_air.wait_for(|it| *it).await;
    }
}

impl IcecastFeed {
    pub(super) fn hold(self: &Arc<Self>) -> FeedHold {
        self.holders.send_modify(|holders| *holders += 1);
        FeedHold(self.clone())
    }

    pub(super) fn is_idle(&self) -> bool {
        *self.holders.borrow() == 0
    }

    /// Returns once nobody has held the feed for long enough.
    async fn idle(&self) {
        let mut holders = self.holders.subscribe();
        loop {
            if holders.wait_for(|it| *it == 0).await.is_err() {
                return;
            }
            let held_again = holders.wait_for(|it| *it > 0);
            if timeout(IDLE_LIMIT, held_again).await.is_err() {
                return;
            }
        }
    }
}

/// Why the Icecast gets no more of a stream.
#[derive(Debug, thiserror::Error)]
enum FeedEnd {
    #[error("no node sends this stream")]
    NoStream,
    #[error("the stream has ended")]
    Ended,
    #[error("it does not take the stream as fast as it comes")]
    TooSlow,
    #[error("it refuses the stream: status {0}")]
    Refused(u16),
    #[error("it does not answer")]
    Silent,
    #[error("it has closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Connection(#[from] std::io::Error),
}

/// Feeds a mount until nobody wants it any more.
pub(super) async fn feed(engine: IcecastEngine, mount: MountName, feed: Arc<IcecastFeed>) {
    let mut waits = Backoff::new(WAITS[0], WAITS[1]);
    loop {
        let round = async {
            let end = feed_once(&engine, &mount, &feed, &mut waits).await;
            let (wait, failures) = (waits.fail(clock::random_share()), waits.failures());
            match end {
                FeedEnd::NoStream | FeedEnd::Ended => debug!(why = %end, "not fed"),
                end if failures == 1 => warn!(why = %end, "not fed to Icecast, trying again"),
                end => debug!(why = %end, "not fed"),
            }
            sleep(wait).await;
        };
        let is_over = tokio::select! {
            () = feed.idle() => true,
            () = round => false,
        };
        feed.on_air.send_replace(false);
        if is_over && engine.forget_idle_feed(&mount) {
            debug!("not fed any more: nobody listens");
            return;
        }
    }
}

/// Feeds one source connection, from its login to its end.
async fn feed_once(
    engine: &IcecastEngine,
    mount: &MountName,
    feed: &IcecastFeed,
    waits: &mut Backoff,
) -> FeedEnd {
    let mut serving = engine.0.serving.subscribe();
    if serving.wait_for(Option::is_some).await.is_err() {
        return FeedEnd::Silent;
    }
    let Ok(held) = engine.0.ladders.fetch(mount).await else {
        return FeedEnd::NoStream;
    };
    let _reading = held.read_by(Reader::Engine);
    let mut socket = match log_in(engine, mount, &held).await {
        Ok(socket) => socket,
        Err(end) => return end,
    };
    info!("fed to Icecast");
    waits.succeed();
    let sending = Sending {
        engine,
        mount,
        socket: &mut socket,
        title: None,
        tries_left: 0,
        titles_from: clock::now() + TITLE_SETTLE,
    };
    let reader = held.channel.join(BURST);
    sending
        .run(reader, || _ = feed.on_air.send_replace(true))
        .await
}

async fn log_in(
    engine: &IcecastEngine,
    mount: &MountName,
    held: &Held,
) -> Result<TcpStream, FeedEnd> {
    let address = engine.address().ok_or(FeedEnd::Silent)?;
    let login = format!("{SOURCE}:{}", engine.0.passwords.source.reveal());
    let head = source_head(mount, held.feed.head(), &login);
    let asking = icecast::ask(address, &head);
    let answered = timeout(PATIENCE, asking)
        .await
        .map_err(|_| FeedEnd::Silent)??;
    match answered.answer.status {
        200 => Ok(answered.socket),
        status => Err(FeedEnd::Refused(status)),
    }
}

/// A source connection.
struct Sending<'a> {
    engine: &'a IcecastEngine,
    mount: &'a MountName,
    socket: &'a mut TcpStream,
    /// The title that Icecast was told last.
    title: Option<Arc<TitleInfo>>,
    /// How often it may still be told; none once it has been taken.
    tries_left: u32,
    /// When it is told the first one.
    titles_from: Instant,
}

impl Sending<'_> {
    /// Sends the stream until it ends or Icecast does not take it; `begun` is called when the first bytes are there.
    async fn run(mut self, mut reader: ChannelReader, begun: impl FnOnce()) -> FeedEnd {
        let mut begun = Some(begun);
        loop {
            let sent = match reader.read(MOST_BYTES) {
                Read::Bytes(audio) => self.send(&mut reader, audio).await,
                Read::Wait => {
                    if let Err(end) = self.wait(&reader).await {
                        return end;
                    }
                    continue;
                }
                Read::Overrun { .. } => return FeedEnd::TooSlow,
                Read::Ended => return FeedEnd::Ended,
            };
            if let Err(end) = sent {
                return end;
            }
            if let Some(begun) = begun.take() {
                begun();
            }
            sleep(PACE).await;
        }
    }

    /// Waits for news of the stream; an error if Icecast has hung up.
    async fn wait(&mut self, reader: &ChannelReader) -> Result<(), FeedEnd> {
        let mut unexpected = [0; 64];
        tokio::select! {
            () = reader.news() => Ok(()),
            read = self.socket.read(&mut unexpected) => match read {
                Ok(0) | Err(_) => Err(FeedEnd::Closed),
                Ok(_) => Ok(()),
            },
        }
    }

    /// Sends audio, and each title before the first byte that it belongs to.
    async fn send(&mut self, reader: &mut ChannelReader, audio: Vec<Bytes>) -> Result<(), FeedEnd> {
        let (feed, mut at) = (reader.feed().clone(), reader.position());
        let prologue = reader.take_prologue();
        self.write(&prologue).await?;
        let end = at + audio.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let format = Format::of_media_type(&feed.head().content_type);
        let wants_titles = !format.is_some_and(Format::has_own_titles);
        let mut titles = Vec::new();
        if wants_titles && clock::now() >= self.titles_from {
            titles = feed.title_changes_between(at + 1, end);
            if let Some(title) = feed.title_at(at) {
                self.tell_title(title).await;
            }
        }
        let mut titles = titles.into_iter().peekable();
        for mut piece in audio {
            while let Some(title) = titles.next_if(|it| it.offset < at + piece.len() as u64) {
                let before = usize::try_from(title.offset.saturating_sub(at)).unwrap_or(usize::MAX);
                let before = piece.split_to(before.min(piece.len()));
                self.write(&before).await?;
                at += before.len() as u64;
                self.tell_title(title.info).await;
            }
            self.write(&piece).await?;
            at += piece.len() as u64;
        }
        reader.advance(end - reader.position());
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), FeedEnd> {
        match icecast::send(self.socket, bytes, PATIENCE).await {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(FeedEnd::TooSlow),
            sent => Ok(sent?),
        }
    }

    /// Sets the title, if it is another one or has not been taken. The stream goes on if that fails.
    async fn tell_title(&mut self, title: Arc<TitleInfo>) {
        if self.title.as_ref() != Some(&title) {
            self.tries_left = TITLE_TRIES;
        }
        if self.tries_left == 0 {
            return;
        }
        self.tries_left -= 1;
        let Some(address) = self.engine.address() else {
            return;
        };
        let path = title_path(self.mount, &title);
        self.title = Some(title);
        let Some(question) = self.engine.admin_question(address, &path) else {
            return;
        };
        let limits = Limits {
            time: PATIENCE,
            answer_bytes: 64 << 10,
            redirects: 0,
        };
        match request_within(question, limits).await {
            Ok(answer) if answer.status.is_success() => self.tries_left = 0,
            Ok(answer) => debug!(status = %answer.status, "Icecast has not taken the title"),
            Err(error) => debug!(%error, "Icecast has not taken the title"),
        }
    }
}
