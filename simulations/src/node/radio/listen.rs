//! A listener of one mount at one node: what production's pacer does for a player, one beat at a time.
//!
//! It stays through every change of the stream. When it is dropped nevertheless, it comes back after a moment,
//! as players do, and the checkers ask why.

use std::time::{Duration, Instant};

use antiphon::media::ring::Read;
use antiphon::model::mount::MountName;

use super::super::{Deed, Desk};
use super::feeds::FeedId;
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
    pub(super) feed: FeedId,
    next: u64,
    /// How its next bytes follow on those before.
    hearing: Hearing,
}

impl Listener {
    /// Somebody who is about to come.
    pub(super) fn new(now: Instant) -> Self {
        Self::Away(now)
    }

    pub(super) fn feed(&self) -> Option<FeedId> {
        match self {
            Self::Away(_) => None,
            Self::At(place) => Some(place.feed),
        }
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
                    if let Some(left) = self.visit(mount, place, desk) {
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
        let held = self.feeds.held(mount).map(|held| held.feed);
        let on_air = held.filter(|feed| self.feeds.feed(*feed).finished.is_none());
        let Some(feed) = on_air else {
            if desk.replica.mount(mount).is_some() {
                self.pull(mount, None, desk);
            }
            return Listener::Away(desk.moment.now);
        };
        Listener::At(Place {
            feed,
            next: self.feeds.feed(feed).ring.join_point(BURST),
            hearing: Hearing::Joined,
        })
    }

    /// Hands over everything new; why the listener has to leave, if it has.
    fn visit(
        &self,
        mount: &MountName,
        place: &mut Place,
        desk: &mut Desk<'_>,
    ) -> Option<RadioNews> {
        loop {
            let feed = self.feeds.feed(place.feed);
            match feed.ring.read(place.next, usize::MAX) {
                Read::Bytes(pieces) => {
                    let bytes = pieces.concat();
                    let offset = place.next;
                    place.next += bytes.len() as u64;
                    desk.out.push(Deed::Radio(RadioNews::Heard {
                        mount: mount.clone(),
                        stream: feed.ring.stream_id(),
                        offset,
                        bytes,
                        hearing: std::mem::replace(&mut place.hearing, Hearing::Next),
                    }));
                }
                Read::Wait => return None,
                Read::Overrun { .. } => return Some(RadioNews::FellOff(mount.clone())),
                Read::Ended => {
                    let Some(next) = feed.successor else {
                        return Some(RadioNews::Dropped(mount.clone(), feed.ring.ended()));
                    };
                    let splice_point = self.feeds.feed(next).ring.splice_point()?;
                    *place = Place {
                        feed: next,
                        next: splice_point,
                        hearing: match place.hearing {
                            Hearing::Joined => Hearing::Joined,
                            Hearing::Next | Hearing::Spliced => Hearing::Spliced,
                        },
                    };
                }
            }
        }
    }
}
