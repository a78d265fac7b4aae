//! How much of a stream a ring keeps.

use std::time::Duration;

use crate::media::format::joining::MAX_PROLOGUE_BYTES;
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
    /// The most bytes beyond that for as long as they settle: a burst longer than the ring is not lost on listeners that
    /// keep up.
    pub burst_bytes: u64,
}

/// A dying encoder may send minutes of audio at once, and a listener takes so long to read them.
const SETTLE: Duration = Duration::from_secs(5);

/// As long as the longest headers, which come at once: a cover picture may be longer than the smallest ring of 1 MiB.
const BURST_BYTES: u64 = MAX_PROLOGUE_BYTES as u64;

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
            burst_bytes: BURST_BYTES,
        }
    }

    /// The most bytes that are held while the oldest of them is new, or is not.
    pub(super) fn most_bytes(&self, is_new: bool) -> u64 {
        match is_new {
            true => self.max_bytes.saturating_add(self.burst_bytes),
            false => self.max_bytes,
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
    use std::time::Instant;

    use super::*;
    use crate::media::format::mpeg::samples::frames;
    use crate::media::ring::samples::ring;
    use crate::media::ring::{Read, Ring};

    #[test]
    fn a_burst_stays_beyond_the_limit_until_it_has_settled() {
        let limits = RingLimits::new(10, 1);
        let (mut ring, began) = (ring("audio/ogg").with_limits(limits), Instant::now());
        ring.append(0, &vec![0; 3 << 20], began);
        assert_eq!(ring.oldest(), 0);
        ring.append(ring.next(), &[0], began + SETTLE / 2);
        assert_eq!(ring.oldest(), 0, "readers get round to it");
        let most = limits.max_bytes + BURST_BYTES;
        ring.append(ring.next(), &vec![0; 3 << 20], began + SETTLE / 2);
        assert!(ring.next() - ring.oldest() <= most);
        ring.append(ring.next(), &[0], began + 2 * SETTLE);
        assert!(ring.next() - ring.oldest() <= limits.max_bytes);
    }

    #[test]
    fn a_mount_says_how_much_is_kept() {
        use crate::model::mount::MountName;
        let mut spec = MountSpec::new(MountName::try_from("/a").unwrap());
        assert_eq!(RingLimits::of(&spec), RingLimits::default());
        (spec.ring_s, spec.ring_mib) = (60, 1);
        let mut ring = ring("audio/mpeg").with_limits(RingLimits::of(&spec));
        let kept_s = |ring: &Ring| (ring.next() - ring.oldest()) as f64 / 417.0 * 26.122_449 / 1e3;
        ring.append(0, &frames(2_900), ring.began()); // 76 s, 1.2 MB
        ring.append(ring.next(), &frames(2), ring.began() + 2 * SETTLE);
        assert!((60.0..62.0).contains(&kept_s(&ring)), "{}", kept_s(&ring));
        (spec.ring_s, spec.ring_mib) = (120, 1);
        let mut ring = super::super::samples::ring("audio/mpeg").with_limits(RingLimits::of(&spec));
        ring.append(0, &frames(2_900), ring.began());
        assert_eq!(ring.oldest(), 0, "readers get round to a burst");
        ring.append(ring.next(), &[0], ring.began() + 2 * SETTLE);
        let kept_bytes = ring.next() - ring.oldest();
        assert!(
            ((1 << 20) - (32 << 10)..=1 << 20).contains(&kept_bytes),
            "{kept_bytes}"
        );
    }

    #[test]
    fn minutes_at_once_leave_the_frame_that_readers_wait_for() {
        let (mut ring, all) = (ring("audio/mpeg"), frames(4_000));
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
