//! A listener of one mount at one node: what production's pacer does for a player, one beat at a time.
//!
//! It stays through every change of the stream. When it is dropped nevertheless, it comes back after a moment,
//! as players do, and the checkers ask why.

use std::time::{Duration, Instant};

use antiphon::io::channel::ChannelReader;
use antiphon::media::ring::Read;
use antiphon::model::mount::MountName;
use antiphon::service::streams::{Reader, Reading};

use super::super::{Deed, Desk};
use super::{Hearing, Radio, RadioNews};

/// How much of the past a listener gets at its beginning; as in production.
const BURST: Duration = Duration::from_secs(5);
/// After how long a player that was dropped comes back.
const RETRY: Duration = Duration::from_secs(1);

/// Where a listener is.
#[derive(Debug)]
pub(super) enum Listener {
    /// It is not there, and comes back then.
    Away(Instant),
    /// It is served.
    At(Place),
}

/// What a listener gets next.
#[derive(Debug)]
pub(super) struct Place {
    reader: ChannelReader,
    /// Counts it among the readers.
    _reading: Reading,
    /// How its next bytes follow on those before.
    hearing: Hearing,
}

impl Listener {
    /// Somebody who is about to come.
    pub(super) fn new(now: Instant) -> Self {
        Self::Away(now)
    }
}

impl Radio {
    /// Hands every listener what is new, and lets those who are away come back.
    pub(super) fn listen_all(&mut self, desk: &mut Desk<'_>) {
        let mut audience = std::mem::take(&mut self.audience);
        for (mount, listener) in &mut audience {
            match listener {
                Listener::Away(until) if desk.moment.now >= *until => {
                    *listener = self.arrive(mount, desk);
                }
                Listener::Away(_) => {}
                Listener::At(place) => {
                    if let Some(left) = visit(mount, place, desk) {
                        desk.out.push(Deed::Radio(left));
                        *listener = Listener::Away(desk.moment.now + RETRY);
                    }
                }
            }
        }
        self.audience = audience;
    }

    /// A player asks for a mount. Its stream is here, or begins to be fetched and the player waits.
    fn arrive(&mut self, mount: &MountName, desk: &mut Desk<'_>) -> Listener {
        let held = self.streams.get(mount);
        let Some(held) = held.filter(|held| held.feed.finished().is_none()) else {
            if desk.replica.mount(mount).is_some() {
                self.pull(mount, None, desk);
            }
            return Listener::Away(desk.moment.now);
        };
        Listener::At(Place {
            reader: held.channel.join(BURST),
            _reading: held.read_by(Reader::Listener),
            hearing: Hearing::Joined,
        })
    }
}

/// Hands over everything new; why the listener has to leave, if it has.
fn visit(mount: &MountName, place: &mut Place, desk: &mut Desk<'_>) -> Option<RadioNews> {
    loop {
        let before = place.reader.feed().clone();
        let read = place.reader.read(usize::MAX);
        let feed = place.reader.feed();
        if place.hearing == Hearing::Next && !feed.is_same(&before) {
            place.hearing = Hearing::Spliced;
        }
        match read {
            Read::Bytes(pieces) => {
                let bytes = pieces.concat();
                let length = bytes.len() as u64;
                desk.out.push(Deed::Radio(RadioNews::Heard {
                    mount: mount.clone(),
                    stream: feed.stream_id(),
                    offset: place.reader.position(),
                    bytes,
                    hearing: std::mem::replace(&mut place.hearing, Hearing::Next),
                }));
                place.reader.advance(length);
            }
            Read::Wait => return None,
            Read::Overrun { .. } => return Some(RadioNews::FellOff(mount.clone())),
            Read::Ended => return Some(RadioNews::Dropped(mount.clone(), feed.ended())),
        }
    }
}
