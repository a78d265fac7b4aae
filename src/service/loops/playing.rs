//! The loop of one file, while somebody hears it: one task for all mounts.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tracing::{info, warn};

use super::Loops;
use super::file::ReadFile;
use crate::io::clock;
use crate::io::feed::Feed;
use crate::logic::loop_pace::{LoopPace, LoopStep};
use crate::media::looped::Looped;
use crate::media::ring::Ring;
use crate::model::file_name::PlayedFile;
use crate::model::seat::Epoch;
use crate::model::stream::{EndReason, StreamHead, StreamId};

/// How often the next piece of a loop is taken: as coarse as live sources send, and no wake-up more than they cost.
const BEAT: Duration = Duration::from_millis(250);
/// How much of a loop is there at once when it begins: more than listeners get at once when they come.
const PAST: Duration = Duration::from_secs(10);
/// How long a loop goes on when nobody hears it any more: a live source may fail again.
const UNHEARD_LIMIT: Duration = Duration::from_secs(10);

/// A loop on its way.
struct Playing<'a> {
    looped: &'a Looped,
    stream_id: StreamId,
    feed: Feed,
    next: u64,
}

/// Plays a file until nobody hears it any more, or it is another one.
pub(super) async fn play(loops: &Loops, file: &PlayedFile, read: ReadFile) {
    let streams = &loops.0.streams;
    let (now, wall) = (clock::now(), clock::since_epoch());
    let mut pace = LoopPace::new(now, wall);
    let mut playing = Playing::begin(&read, read.facts.stream_id, wall, now);
    if !streams.play_file(file, &playing.feed) {
        return;
    }
    info!("the file is played");
    let mut heard_at = now;
    loop {
        sleep_until(clock::next_beat(BEAT).into()).await;
        let now = clock::now();
        match pace.step(now, clock::since_epoch()) {
            LoopStep::Play(to) => playing.play_to(to, now),
            LoopStep::Jump(to) => {
                warn!(
                    "the clock was set, or the machine slept: the file goes on where it is by now"
                );
                // Another stream: the bytes between the two are never heard.
                let stream_id = StreamId(playing.stream_id.0.wrapping_add(1));
                let next = Playing::begin(&read, stream_id, to, now);
                streams.play_file(file, &next.feed);
                playing.feed.end(EndReason::Replaced);
                playing = next;
            }
        }
        if streams.is_file_heard(file) {
            heard_at = now;
        }
        let is_same = loops.facts(file) == Some(read.facts);
        let is_unheard = now.saturating_duration_since(heard_at) > UNHEARD_LIMIT;
        if !is_same || is_unheard {
            break;
        }
    }
    streams.end_file(file, &playing.feed);
    playing.feed.end(EndReason::Replaced);
    info!("the file is not played any more");
}

impl<'a> Playing<'a> {
    /// A feed with the last seconds of a loop before this time.
    fn begin(read: &'a ReadFile, stream_id: StreamId, time: Duration, now: Instant) -> Self {
        let looped = &read.looped;
        let first = looped.offset_at(time.saturating_sub(PAST));
        let head = StreamHead {
            content_type: looped.media_type().to_owned(),
            icy: Vec::new(),
            user_agent: String::new(),
            started_unix_ms: time.as_millis().try_into().unwrap_or(u64::MAX),
            accept_epoch: Epoch(0),
        };
        let feed = Feed::new(Ring::new(stream_id, head, first, now).hears_titles());
        feed.start(&looped.start_at(first));
        let mut playing = Self {
            looped,
            stream_id,
            feed,
            next: first,
        };
        playing.play_to(time, now);
        playing
    }

    /// Appends what is played up to a time.
    fn play_to(&mut self, time: Duration, now: Instant) {
        let end = self.looped.offset_at(time);
        if end <= self.next {
            return;
        }
        for piece in self.looped.bytes(self.next..end) {
            self.feed.append(self.next, &piece, now);
            self.next += piece.len() as u64;
        }
    }
}
