//! Feeding other nodes: what production's `service::relay::serve` does, one beat at a time.

use std::time::{Duration, Instant};

use antiphon::logic::relay::follow::HEARTBEAT;
use antiphon::media::ring::Read;
use antiphon::model::mount::MountName;
use antiphon::model::stream::StreamId;
use antiphon::service::streams::{Held, Reader, Reading};
use antiphon::wire::frame::{Denial, Frame};
use antiphon::wire::gossip::Origin;

use super::super::{Deed, Desk, TalkId};
use super::Radio;

/// How far behind the live edge a relay begins; as in production.
const RELAY_BURST: Duration = Duration::from_secs(8);

/// How much one frame carries: a second of the stream, as production's frames do of an ordinary one.
const MAX_DATA_BYTES: usize = 1_000;

/// A stream on its way to another node.
#[derive(Debug)]
pub(super) struct Serve {
    pub(super) mount: MountName,
    held: Held,
    /// Counts it among the readers.
    _reading: Reading,
    next: u64,
    /// When something was last said, or could have been.
    said_at: Instant,
    /// The beat of the source's node that the other node was told last.
    told_ms: u64,
}

impl Radio {
    /// Answers a SUBSCRIBE.
    pub(super) fn begin_to_serve(
        &mut self,
        talk: TalkId,
        (mount, resume): (MountName, Option<(StreamId, u64)>),
        desk: &mut Desk<'_>,
    ) {
        let (held, next) = match self.find(&mount, resume) {
            Ok(found) => found,
            Err(denial) => {
                let denied = Deed::Say(talk, Frame::Denied(denial));
                desk.out.extend([denied, Deed::Finish(talk)]);
                return;
            }
        };
        let opened = Frame::Opened {
            stream_id: held.feed.stream_id(),
            head: (**held.feed.head()).clone(),
            offset: next,
        };
        desk.out.push(Deed::Say(talk, opened));
        let serve = Serve {
            mount,
            _reading: held.read_by(Reader::Link),
            held,
            next,
            said_at: desk.moment.now,
            told_ms: 0,
        };
        self.serves.insert(talk, serve);
    }

    /// The stream that is asked for, and where to begin; or why not from here.
    fn find(
        &self,
        mount: &MountName,
        resume: Option<(StreamId, u64)>,
    ) -> Result<(Held, u64), Denial> {
        let held = self.streams.get(mount).ok_or(Denial::NotHere)?;
        let Some((stream_id, from)) = resume else {
            let from = held.feed.join_point(RELAY_BURST);
            return Ok((held, from));
        };
        if held.feed.stream_id() != stream_id || from > held.feed.next() {
            return Err(Denial::NotHere);
        }
        if from < held.feed.oldest() {
            return Err(Denial::Overrun);
        }
        Ok((held, from))
    }

    /// Sends what is new to everybody who is fed from here.
    pub(super) fn serve_all(&mut self, desk: &mut Desk<'_>) {
        let mut serves = std::mem::take(&mut self.serves);
        serves.retain(|talk, serve| {
            let goes_on = self.serve(*talk, serve, desk);
            if !goes_on {
                desk.out.push(Deed::Finish(*talk));
            }
            goes_on
        });
        self.serves = serves;
    }

    /// Whether it goes on.
    fn serve(&self, talk: TalkId, serve: &mut Serve, desk: &mut Desk<'_>) -> bool {
        let held = self.streams.get(&serve.mount);
        let source_here = held.is_some_and(|held| held.origin == Origin::Source);
        if desk.mesh.is_draining() && !source_here {
            return false; // relays move on
        }
        let feed = &serve.held.feed;
        loop {
            match feed.read(serve.next, MAX_DATA_BYTES) {
                Read::Bytes(chunks) => {
                    for bytes in chunks {
                        let offset = serve.next;
                        serve.next += bytes.len() as u64;
                        desk.out
                            .push(Deed::Say(talk, Frame::Data { offset, bytes }));
                    }
                    serve.said_at = desk.moment.now;
                }
                Read::Wait if feed.finished().is_none() => break,
                Read::Wait | Read::Ended => {
                    // Only what the source did is its stream's end; otherwise somebody else may have more.
                    let offset = serve.next;
                    let end = feed.finished().map(|reason| Frame::End { offset, reason });
                    desk.out.extend(end.map(|end| Deed::Say(talk, end)));
                    return false;
                }
                Read::Overrun { .. } => return false,
            }
        }
        if desk.moment.now.duration_since(serve.said_at) >= HEARTBEAT {
            serve.said_at = desk.moment.now;
            let beat_ms = self.beat_ms(serve, desk.moment.now);
            if beat_ms > serve.told_ms {
                serve.told_ms = beat_ms;
                desk.out.push(Deed::Say(talk, Frame::Alive { beat_ms }));
            }
        }
        true
    }

    /// The latest beat of the node of the source; it is now if this is the one.
    fn beat_ms(&self, serve: &Serve, now: Instant) -> u64 {
        let held = self.streams.get(&serve.mount);
        let feed = &serve.held.feed;
        let source =
            held.is_some_and(|held| held.origin == Origin::Source && held.feed.is_same(feed));
        if !source {
            return feed.beat_ms();
        }
        now.duration_since(feed.began()).as_millis() as u64
    }
}
