//! A listener of a pacer's thread, of either kind.

use std::io;
use std::time::Instant;

use super::connection::{ListenerConnection, VisitResult};
use super::member::Member;
use super::relayed::Relayed;
use super::{Left, Listener, Sound};

/// Whoever is visited in a round.
#[expect(
    clippy::large_enum_variant,
    reason = "a node's listeners are all of one kind, so no room is wasted"
)]
pub(super) enum Occupant {
    /// Hears a ring of this node.
    Member(Member),
    /// Hears another server.
    Relayed(Relayed),
}

impl Occupant {
    pub(super) fn new(listener: Listener, now: Instant) -> Self {
        let connection = ListenerConnection {
            socket: listener.socket,
            head: listener.head,
            until: listener.until,
            control: listener.control,
            leave: listener.leave,
            checked_at: now,
            stuck_since: None,
            half_closed: false,
            rests_until: None,
        };
        match listener.sound {
            Sound::Ring(ring) => Self::Member(Member::new(connection, ring, now)),
            Sound::Upstream(upstream) => Self::Relayed(Relayed::new(connection, upstream)),
        }
    }

    /// Makes the listener ready for visits. Fails if it has gone already.
    pub(super) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Member(member) => member.prepare(),
            Self::Relayed(relayed) => relayed.prepare(),
        }
    }

    /// Writes all new bytes, as far as the kernel takes them, and says whether the listener stays. `buffer` is for those
    /// that have to be read first.
    pub(super) fn visit(&mut self, now: Instant, buffer: &mut [u8]) -> VisitResult {
        match self {
            Self::Member(member) => member.visit(now),
            Self::Relayed(relayed) => relayed.visit(now, buffer),
        }
    }

    /// Reports that the listener leaves, and closes.
    pub(super) fn leave(self, why: Left) {
        match self {
            Self::Member(member) => member.leave(why),
            Self::Relayed(relayed) => relayed.leave(why),
        }
    }
}
