//! The encoders of a world: each sends a live programme to some node, and goes to another when that fails.
//!
//! What an encoder sends tells itself: every byte follows from the connection and the byte's number in it, so
//! a checker knows what each byte of each stream must be without having kept any.

use std::time::Duration;

use antiphon::model::mount::MountName;
use rand::Rng;
use rand::rngs::SmallRng;

/// MPEG 2.5, layer III, 8 kbit/s at 8 kHz: the smallest frames that there are, and real ones, so that
/// production's scanner finds the join points.
const FRAME_HEADER: [u8; 4] = [0xFF, 0xE3, 0x18, 0xC0];
/// The length of such a frame.
pub const FRAME_BYTES: u64 = 72;
/// How long a frame sounds.
pub const FRAME: Duration = Duration::from_millis(72);
/// How long an encoder sends to a node that takes nothing, until it gives up. Longer than a pause of 15 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much waits for a node that takes nothing, in the buffers of two sockets; the encoder then waits too.
const BUFFER_BYTES: u64 = 128 << 10;
/// How long an encoder takes to notice that its connection is gone and to come back, milliseconds.
const RETURN_MS: std::ops::RangeInclusive<u64> = 300..=1_500;
/// How long one that was refused waits, milliseconds.
const REFUSED_MS: std::ops::RangeInclusive<u64> = 700..=2_000;

/// One connection of one encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EncoderId {
    /// The number of the encoder.
    pub encoder: usize,
    /// The number of the connection.
    pub connection: u32,
}

/// An encoder's actions towards a node.
#[derive(Clone, Debug)]
pub enum Spoken {
    /// The encoder connects, with the right password, and wants this mount.
    Connects(MountName),
    /// The encoder sends.
    Bytes(Vec<u8>),
    /// The encoder closes its connection, or that has broken.
    Leaves,
}

/// The state of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The encoder connects to some node then.
    Away(Duration),
    /// The encoder is connected to this life of this node and has no answer yet.
    Asking(usize, u32),
    /// The encoder sends to this life of this node, since then.
    Sending(usize, u32, Duration),
}

/// One encoder.
#[derive(Debug)]
pub struct Encoder {
    number: usize,
    /// The mount that it wants.
    pub mount: MountName,
    connection: u32,
    /// The state of the encoder.
    pub standing: Standing,
    /// How many bytes of this connection its node has taken.
    taken: u64,
    taken_at: Duration,
}

impl Encoder {
    /// An encoder that connects for the first time at some moment.
    pub fn new(number: usize, mount: MountName, first_at: Duration) -> Self {
        Self {
            number,
            mount,
            connection: 0,
            standing: Standing::Away(first_at),
            taken: 0,
            taken_at: Duration::ZERO,
        }
    }

    /// The present connection.
    pub fn id(&self) -> EncoderId {
        EncoderId {
            encoder: self.number,
            connection: self.connection,
        }
    }

    /// The node that it is connected to.
    pub fn node(&self) -> Option<usize> {
        match self.standing {
            Standing::Away(_) => None,
            Standing::Asking(node, _) | Standing::Sending(node, ..) => Some(node),
        }
    }

    /// Begins a new connection.
    pub fn connect(&mut self, (node, life): (usize, u32), now: Duration) {
        self.connection += 1;
        self.taken = 0;
        self.taken_at = now;
        self.standing = Standing::Asking(node, life);
    }

    /// The node has answered: the encoder sends from now on. A second answer changes nothing.
    pub fn accepted(&mut self, now: Duration) {
        if let Standing::Asking(node, life) = self.standing {
            self.standing = Standing::Sending(node, life, now);
        }
    }

    /// The connection is gone: the encoder comes back after a moment.
    pub fn lost(&mut self, now: Duration, rng: &mut SmallRng) {
        let wait_ms = rng.random_range(RETURN_MS);
        self.standing = Standing::Away(now + Duration::from_millis(wait_ms));
    }

    /// The encoder was refused: it tries again a little later.
    pub fn refused(&mut self, now: Duration, rng: &mut SmallRng) {
        let wait_ms = rng.random_range(REFUSED_MS);
        self.standing = Standing::Away(now + Duration::from_millis(wait_ms));
    }

    /// Whether its node has taken nothing for so long that it gives up.
    pub fn gives_up(&self, now: Duration) -> bool {
        let is_connected = !matches!(self.standing, Standing::Away(_));
        is_connected && now - self.taken_at > PATIENCE
    }

    /// Takes the sound for its node since the last time: whole frames, as they sound.
    pub fn take(&mut self, now: Duration) -> Vec<u8> {
        let Standing::Sending(_, _, since) = self.standing else {
            return Vec::new();
        };
        let frames = (now - since).as_millis() / FRAME.as_millis();
        let due = frames as u64 * FRAME_BYTES;
        // What the buffers did not take was never sent, and is sent now: so much later is the rest.
        let due = due.min(self.taken + BUFFER_BYTES);
        let id = self.id();
        let bytes = (self.taken..due).map(|offset| byte(id, offset)).collect();
        self.taken = due;
        self.taken_at = now;
        bytes
    }
}

/// The byte of this number in a connection.
pub fn byte(connection: EncoderId, offset: u64) -> u8 {
    let within = (offset % FRAME_BYTES) as usize;
    if let Some(header) = FRAME_HEADER.get(within) {
        return *header;
    }
    let seed = ((connection.encoder as u64) << 32) | u64::from(connection.connection);
    let mut mixed = (offset / 8 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 29)).wrapping_add(seed.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    mixed ^= mixed >> 32;
    // Seven bits: no byte of the content looks like the beginning of a frame.
    (mixed >> (offset % 8 * 8)) as u8 & 0x7F
}

#[cfg(test)]
mod tests {
    use antiphon::media::format::frames::FrameHead as _;
    use antiphon::media::format::mpeg::MpegHead;

    use super::*;

    fn id(connection: u32) -> EncoderId {
        EncoderId {
            encoder: 0,
            connection,
        }
    }

    #[test]
    fn frames_are_real_ones_and_no_two_connections_are_alike() {
        let header = MpegHead::parse(&FRAME_HEADER).unwrap();
        assert_eq!(header.frame_bytes(), Some(FRAME_BYTES as usize));
        assert_eq!(header.duration(), Some(FRAME));
        let frame = |connection, first| -> Vec<u8> {
            (first..first + FRAME_BYTES)
                .map(|offset| byte(id(connection), offset))
                .collect()
        };
        assert_eq!(frame(1, 0)[..4], FRAME_HEADER);
        assert_ne!(frame(1, 0), frame(2, 0));
        assert_ne!(frame(1, 0), frame(1, FRAME_BYTES));
        assert_eq!(frame(1, FRAME_BYTES), frame(1, FRAME_BYTES));
    }

    #[test]
    fn an_encoder_sends_in_real_time_and_backlogs_at_once() {
        let mut encoder = Encoder::new(0, "/a".parse().unwrap(), Duration::ZERO);
        encoder.connect((0, 1), Duration::ZERO);
        assert!(encoder.take(FRAME * 9).is_empty(), "no answer yet");
        encoder.accepted(FRAME * 9);
        assert_eq!(encoder.take(FRAME * 10).len() as u64, FRAME_BYTES);
        assert!(encoder.take(FRAME * 10).is_empty());
        assert_eq!(encoder.take(FRAME * 30).len() as u64, 20 * FRAME_BYTES);
        assert!(!encoder.gives_up(FRAME * 30 + PATIENCE));
        assert!(encoder.gives_up(FRAME * 31 + PATIENCE));
    }
}
