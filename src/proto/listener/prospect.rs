//! The part of a mount that a listener may hear at a node, now or soon: the same at every node, whether it holds the stream or not.
//!
//! A stream that is over is still to be heard when its source has sent it ahead of its time, as a file is sent. Then the
//! mount lingers: who comes meanwhile waits for the next stream, as those do that were there.

use std::time::Instant;

/// The stream of a mount as a node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The ring of this node, if it has one.
    pub ring: Option<RingLook>,
    /// Whether a source is connected somewhere, as far as is known.
    pub has_source: bool,
    /// Whether another node has the mount's stream, or what is left of it.
    pub is_held_elsewhere: bool,
}

/// The state of a ring for a listener that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingLook {
    /// More may come.
    Open,
    /// The stream is over.
    Finished {
        /// When its last audio sounds; `None` if that is not known.
        sounds_until: Option<Instant>,
    },
}

/// The offer for a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// The ring of this node: it begins at once.
    Join,
    /// The stream has to be fetched from another node.
    Fetch,
    /// The mount lingers: the next stream may come.
    Linger,
    /// Nothing that this node knows of.
    Nothing,
}

impl RingLook {
    /// Whether there is something to hear that a listener could not hear before.
    pub fn can_be_joined(self, now: Instant) -> bool {
        match self {
            Self::Open => true,
            Self::Finished { sounds_until } => sounds_until.is_some_and(|until| now < until),
        }
    }
}

/// The offer for a listener that comes now.
pub fn prospect(outlook: Outlook, now: Instant) -> Prospect {
    match outlook.ring {
        Some(ring) if ring.can_be_joined(now) => Prospect::Join,
        _ if outlook.has_source => Prospect::Fetch,
        Some(_) => Prospect::Linger,
        None if outlook.is_held_elsewhere => Prospect::Linger,
        None => Prospect::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_listener_hears_what_plays_then_waits_then_is_refused() {
        let now = Instant::now();
        let over = |sounds_until| Some(RingLook::Finished { sounds_until });
        let soon = Some(now + Duration::from_millis(1));
        for (ring, has_source, is_held_elsewhere, expected) in [
            (Some(RingLook::Open), true, true, Prospect::Join),
            // Gossip has not told of it yet, or a source is being moved.
            (Some(RingLook::Open), false, false, Prospect::Join),
            (over(soon), false, false, Prospect::Join),
            (over(Some(now)), false, true, Prospect::Linger),
            (over(None), false, false, Prospect::Linger),
            // The next source is at another node.
            (over(Some(now)), true, true, Prospect::Fetch),
            (None, true, true, Prospect::Fetch),
            (None, false, true, Prospect::Linger),
            (None, false, false, Prospect::Nothing),
        ] {
            let outlook = Outlook {
                ring,
                has_source,
                is_held_elsewhere,
            };
            assert_eq!(prospect(outlook, now), expected, "{outlook:?}");
        }
    }
}
