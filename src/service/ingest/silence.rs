//! Watches a source on air for silence, where its mount asks for that.
//!
//! The watch is one more reader of the ring. The way of the source's bytes is no longer for it, and a mount whose silence
//! nobody asks for pays nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, info};

use super::hearing::Hearing;
use crate::io::clock;
use crate::io::feed::Feed;
use crate::media::format::joining::StreamStart;
use crate::media::ring::Read;
use crate::model::mount::MountName;
use crate::model::sound::{SilenceSpec, SoundState, StreamSound};
use crate::service::document::Mounts;
use crate::service::sources::Sources;

/// How often new bytes are read. Silence is counted in whole seconds.
const LOOK: Duration = Duration::from_millis(500);
/// How many bytes are read with one look: at that pace, a stream of 16 Mbit/s. The rest waits for the next look.
const MAX_LOOK_BYTES: usize = 1 << 20;
/// The least time between two lines about the beginnings of silences.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Watches one stream.
#[derive(Debug)]
pub(super) struct SilenceLookout {
    mount: MountName,
    mounts: watch::Receiver<Arc<Mounts>>,
    listening: Option<Listening>,
    told: Option<StreamSound>,
    /// When the beginning of a silence was logged last.
    logged_at: Option<Instant>,
    /// Whether the beginning of this silence was logged.
    is_logged: bool,
}

/// A reader of the ring.
#[derive(Debug)]
struct Listening {
    hearing: Hearing,
    /// The next byte to read.
    next: u64,
}

impl SilenceLookout {
    /// A lookout on a mount, whose settings are those among these.
    pub(super) fn new(mount: &MountName, mounts: watch::Receiver<Arc<Mounts>>) -> Self {
        Self {
            mount: mount.clone(),
            mounts,
            listening: None,
            told: None,
            logged_at: None,
            is_logged: false,
        }
    }

    /// Listens to the stream for as long as it is polled, and notes what it hears. May be dropped at any time.
    pub(super) async fn follow(&mut self, feed: &Feed, sources: &Sources) -> Infallible {
        loop {
            let settings = self.settings();
            let sound = self.look(feed, settings);
            if sound != self.told {
                self.log(sound, settings);
                self.told = sound;
                sources.note_sound(&self.mount, feed.stream_id(), sound);
            }
            if settings.silence_s > 0 {
                tokio::time::sleep(LOOK).await;
            } else if self.mounts.changed().await.is_err() {
                std::future::pending::<()>().await; // the node stops
            }
        }
    }

    /// The settings of the mount now. A mount that is gone has none, and its source ends.
    fn settings(&mut self) -> SilenceSpec {
        let mounts = self.mounts.borrow_and_update();
        mounts
            .get(&self.mount)
            .map(|spec| spec.silence)
            .unwrap_or_default()
    }

    /// Reads what is new, and tells the sound of the stream; `None` while nobody asks for it.
    fn look(&mut self, feed: &Feed, settings: SilenceSpec) -> Option<StreamSound> {
        if settings.silence_s == 0 {
            self.listening = None;
            return None;
        }
        let listening = match self.listening.take() {
            Some(listening) if listening.hearing.settings() == settings => listening,
            _ => Listening::begin(feed, settings),
        };
        let listening = self.listening.insert(listening);
        listening.read(feed);
        let state = listening.hearing.state();
        let quiet_ms = listening.hearing.quiet_for().as_millis();
        let quiet_ms = u64::try_from(quiet_ms).unwrap_or(u64::MAX);
        let begun = || clock::unix_ms().saturating_sub(quiet_ms);
        let known = self.told.and_then(|told| told.silent_since_unix_ms);
        Some(StreamSound {
            state,
            silent_since_unix_ms: match state {
                SoundState::Silent => Some(known.unwrap_or_else(begun)),
                _ => None,
            },
        })
    }

    /// Logs the beginning of a silence, and its end if its beginning was logged.
    fn log(&mut self, sound: Option<StreamSound>, settings: SilenceSpec) {
        let is_silent = |state: Option<SoundState>| state == Some(SoundState::Silent);
        let (before, after) = (
            self.told.map(|told| told.state),
            sound.map(|sound| sound.state),
        );
        debug!(?before, ?after, "sound");
        if is_silent(after) && !is_silent(before) {
            let now = clock::now();
            let is_recent = |at: Instant| now.saturating_duration_since(at) < LOG_INTERVAL;
            self.is_logged = !self.logged_at.is_some_and(is_recent);
            if self.is_logged {
                self.logged_at = Some(now);
                let (silence_s, level_db) = (settings.silence_s, settings.silence_level.db());
                info!(silence_s, level_db, "the source sends silence");
            }
        }
        if is_silent(before) && !is_silent(after) && std::mem::take(&mut self.is_logged) {
            match after {
                Some(SoundState::Unknown) => {
                    info!("the source was silent, and whether it is now cannot be told");
                }
                Some(_) => info!("the source sounds again"),
                None => info!("nobody looks any more whether the source is silent"),
            }
        }
    }
}

impl Listening {
    /// Begins at the oldest byte if that is the stream's first one, and otherwise where a listener would.
    fn begin(feed: &Feed, settings: SilenceSpec) -> Self {
        let next = match feed.oldest() {
            0 => 0,
            _ => feed
                .join_point(Duration::ZERO)
                .unwrap_or_else(|| feed.next()),
        };
        let content_type = &feed.head().content_type;
        let start = StreamStart {
            offset: next,
            media_time: Duration::ZERO,
            prologue: feed.prologue_at(next),
        };
        let hearing = Hearing::new(content_type, &start, settings);
        if !hearing.can_tell() {
            info!(
                content_type,
                "streams of this format do not tell whether they are silent"
            );
        }
        Self { hearing, next }
    }

    /// Reads what has come since the last look.
    fn read(&mut self, feed: &Feed) {
        if !self.hearing.can_tell() {
            return;
        }
        match feed.read(self.next, MAX_LOOK_BYTES) {
            Read::Bytes(pieces) => {
                for piece in pieces {
                    self.hearing.feed(&piece);
                    self.next += piece.len() as u64;
                }
            }
            Read::Overrun { .. } => *self = Self::begin(feed, self.hearing.settings()),
            Read::Wait | Read::Ended => {}
        }
    }
}
