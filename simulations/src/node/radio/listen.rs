//! A listener of one mount at one node: does what production's pacer does for a player, one beat at a time.
//!
//! The listener stays through every change of the stream. If it is dropped, it comes back after a moment, as players
//! do, and the checkers judge why.

use std::time::{Duration, Instant};

use antiphon::io::channel::ChannelReader;
use antiphon::media::ring::Read;
use antiphon::model::mount::MountName;
use antiphon::service::listen::BURST;
use antiphon::service::streams::{Reader, Reading};

use super::super::{Action, Env};
use super::{Continuity, Radio, RadioNews};

/// After how long a player that was dropped comes back.
const RETRY: Duration = Duration::from_secs(1);

/// The state of a listener.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are served, and there are few"
)]
pub(super) enum Listener {
    /// Not connected until then.
    Away(Instant),
    /// Served from this position.
    At(Position),
}

/// The next byte of a listener.
#[derive(Debug)]
pub(super) struct Position {
    reader: ChannelReader,
    /// Counts the listener among the readers.
    _reading: Reading,
    /// How the next bytes follow on those before.
    continuity: Continuity,
}

impl Listener {
    /// A listener that connects at this time.
    pub(super) fn new(now: Instant) -> Self {
        Self::Away(now)
    }
}

impl Radio {
    /// Sends every listener the new bytes, and lets the others connect again.
    pub(super) fn listen_all(&mut self, env: &mut Env<'_>) {
        let mut audience = std::mem::take(&mut self.audience);
        for (mount, listener) in &mut audience {
            match listener {
                Listener::Away(until) if env.moment.now >= *until => {
                    *listener = self.arrive(mount, env);
                }
                Listener::Away(_) => {}
                Listener::At(position) => {
                    if let Some(left) = visit(mount, position, env) {
                        env.out.push(Action::Radio(left));
                        *listener = Listener::Away(env.moment.now + RETRY);
                    }
                }
            }
        }
        self.audience = audience;
    }

    /// A player connects. If the mount's stream is not here, it is fetched and the player waits.
    fn arrive(&mut self, mount: &MountName, env: &mut Env<'_>) -> Listener {
        let held = self.streams.heard(mount);
        let now = env.moment.now;
        let Some(held) = held.filter(|held| held.feed.look().can_be_joined(now)) else {
            if env.replica.mount(mount).is_some() {
                self.pull(mount, None, env);
            }
            return Listener::Away(env.moment.now);
        };
        Listener::At(Position {
            reader: held.channel.join(BURST.max(held.feed.unheard(now))),
            _reading: held.read_by(Reader::Listener),
            continuity: Continuity::Joined,
        })
    }
}

/// Sends the new bytes; returns why the listener is dropped, if it is.
fn visit(mount: &MountName, position: &mut Position, env: &mut Env<'_>) -> Option<RadioNews> {
    loop {
        let before = position.reader.feed().clone();
        let read = position.reader.read(usize::MAX);
        let feed = position.reader.feed();
        if position.continuity == Continuity::Next && !feed.is_same(&before) {
            position.continuity = Continuity::Spliced;
        }
        match read {
            Read::Bytes(pieces) => {
                let bytes = pieces.concat();
                let length = bytes.len() as u64;
                env.out.push(Action::Radio(RadioNews::Played {
                    mount: mount.clone(),
                    stream: feed.stream_id(),
                    offset: position.reader.position(),
                    bytes,
                    continuity: std::mem::replace(&mut position.continuity, Continuity::Next),
                }));
                position.reader.advance(length);
            }
            Read::Wait => return None,
            Read::Overrun { .. } => return Some(RadioNews::Overrun(mount.clone())),
            Read::Ended => return Some(RadioNews::Dropped(mount.clone(), feed.ended())),
        }
    }
}
