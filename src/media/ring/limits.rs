//! How much of a stream a ring keeps.

use std::time::Duration;

use crate::model::mount::MountSpec;

/// How much a ring keeps: `window`, unless that is more than `max_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// How much of the stream's time is kept at least; of its arrival if the format is not known.
    pub window: Duration,
    /// How long bytes are kept after they have arrived, however fast they came, so that readers can read them.
    pub settle: Duration,
    /// The most bytes, whatever their time. Below 32 KiB a ring keeps up to 32 KiB.
    pub max_bytes: u64,
}

/// A dying encoder may send minutes of audio at once, and a listener takes so long to read them.
const SETTLE: Duration = Duration::from_secs(5);

impl RingLimits {
    /// The limits that a mount sets.
    pub fn of(spec: &MountSpec) -> Self {
        Self::new(spec.ring_s, spec.ring_mib)
    }

    fn new(window_s: u32, mib: u32) -> Self {
        Self {
            window: Duration::from_secs(window_s.into()),
            settle: SETTLE,
            max_bytes: u64::from(mib) << 20,
        }
    }
}

impl Default for RingLimits {
    /// The limits of a mount that sets none.
    fn default() -> Self {
        Self::new(MountSpec::DEFAULT_RING_S, MountSpec::DEFAULT_RING_MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::format::mpeg;
    use crate::media::ring::Read;
    use crate::media::ring::samples::ring;

    #[test]
    fn minutes_at_once_leave_the_frame_that_readers_wait_for() {
        let (mut ring, all) = (ring("audio/mpeg"), mpeg::samples::frames(4_000));
        let begun = all.len() / 40 + 200;
        ring.append(0, &all[..begun], ring.began());
        let edge = ring.edge();
        assert!(edge < begun as u64, "the last frame is not whole");
        let later = ring.began() + 2 * SETTLE;
        for piece in all[begun..].chunks(16 << 10) {
            ring.append(ring.next(), piece, later);
        }
        assert!(ring.oldest() > 0);
        assert!(matches!(ring.read(edge, 1), Read::Bytes(_)));
    }
}
