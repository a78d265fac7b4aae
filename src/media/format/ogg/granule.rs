//! The clocks of Ogg streams: how the position of a page is read, which each codec writes in its own way.

use std::time::Duration;

use super::page::PageHead;

/// A page holds at most 255 packets of at most 120 ms; a larger step of its clock is a hole, not sound.
const MAX_PAGE: Duration = Duration::from_secs(31);

/// The way in which a codec counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granule {
    /// Samples, of which the first ones are not heard.
    Samples {
        /// The samples in a second.
        rate_hz: u32,
        /// The samples before the sound begins.
        pre_skip: u16,
    },
    /// Pictures of Theora: those up to the last keyframe in the upper bits, those since in the lower ones.
    Theora {
        /// The rate of pictures.
        rate: FrameRate,
        /// The number of lower bits, at most 31.
        shift: u8,
    },
    /// Pictures of VP8, in the upper half.
    Vp8 {
        /// The rate of pictures.
        rate: FrameRate,
    },
}

/// Pictures in a second, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameRate {
    frames: u32,
    seconds: u32,
}

impl FrameRate {
    /// So many pictures in so many seconds; `None` if either is zero.
    pub(super) fn new(frames: u32, seconds: u32) -> Option<Self> {
        (frames > 0 && seconds > 0).then_some(Self { frames, seconds })
    }
}

impl Granule {
    /// The samples or pictures up to a position.
    fn units(self, position: u64) -> u64 {
        match self {
            Self::Samples { .. } => position,
            Self::Theora { shift, .. } => {
                let upper = position >> shift;
                upper.saturating_add(position - (upper << shift))
            }
            Self::Vp8 { .. } => position >> 32,
        }
    }

    /// The units at which the stream begins to play.
    fn first_unit(self) -> u64 {
        match self {
            Self::Samples { pre_skip, .. } => u64::from(pre_skip),
            Self::Theora { .. } | Self::Vp8 { .. } => 0,
        }
    }

    /// The time of so many units.
    fn duration(self, units: u64) -> Duration {
        let (per_second, seconds) = match self {
            Self::Samples { rate_hz, .. } => (rate_hz, 1),
            Self::Theora { rate, .. } | Self::Vp8 { rate } => (rate.frames, rate.seconds),
        };
        let nanos = u128::from(units) * u128::from(seconds) * 1_000_000_000;
        let nanos = nanos / u128::from(per_second.max(1));
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }
}

/// The clock of one stream: its pages say how much has been played when they end.
#[derive(Clone, Debug)]
pub(super) struct OggClock {
    serial: u32,
    granule: Granule,
    /// The units up to the last page; `None` in the middle of a stream, where the page before is not known.
    units: Option<u64>,
}

impl OggClock {
    /// The clock of a stream that begins.
    pub(super) fn new(serial: u32, granule: Granule) -> Self {
        Self {
            serial,
            granule,
            units: Some(granule.first_unit()),
        }
    }

    /// Whether a page belongs to the stream.
    pub(super) fn is_of(&self, head: &PageHead) -> bool {
        self.serial == head.serial
    }

    /// Goes on in the middle of the stream: the length of the page that comes next is not known, and counts as no time.
    pub(super) fn skip_ahead(&mut self) {
        self.units = None;
    }

    /// How long a page plays; nothing for the pages of other streams and those without a position.
    pub(super) fn advance(&mut self, head: &PageHead) -> Duration {
        let Some(position) = head.position.filter(|_| self.is_of(head)) else {
            return Duration::ZERO;
        };
        let units = self.granule.units(position);
        let before = self.units.replace(units).unwrap_or(units);
        let played = self.granule.duration(units.saturating_sub(before));
        if played > MAX_PAGE {
            Duration::ZERO
        } else {
            played
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::samples::page;
    use super::super::page::{consecutive, samples};
    use super::*;

    fn played_ms(granule: Granule, positions: &[u64]) -> Vec<u128> {
        let mut clock = OggClock::new(1, granule);
        let mut advance = |position: &u64| {
            let page = page(1, 0, *position, b"sound");
            let (head, _) = consecutive(&page).next().unwrap();
            clock.advance(&head).as_millis()
        };
        positions.iter().map(&mut advance).collect()
    }

    #[test]
    fn samples_before_the_sound_are_no_time() {
        let (rate_hz, pre_skip) = (48_000, 480);
        let opus = Granule::Samples { rate_hz, pre_skip };
        let positions = [48_480, 96_480, samples::NO_POSITION, 144_480];
        assert_eq!(played_ms(opus, &positions), [1_000, 1_000, 0, 1_000]);
        assert_eq!(played_ms(opus, &[100, 48_100]), [0, 1_000]);
        let hole = [48_480, 48_000 * 60, 48_000 * 61, 48_000];
        assert_eq!(played_ms(opus, &hole), [1_000, 0, 1_000, 0]);
    }

    #[test]
    fn pictures_are_counted_over_keyframes() {
        let rate = FrameRate::new(25, 1).unwrap();
        let theora = Granule::Theora { rate, shift: 6 };
        let positions = [1 << 6, 1 << 6 | 24, 26 << 6, 26 << 6 | 25];
        assert_eq!(played_ms(theora, &positions), [40, 960, 40, 1_000]);
        let rate = FrameRate::new(30_000, 1_001).unwrap();
        let vp8 = Granule::Vp8 { rate };
        let positions = [30 << 32, 60 << 32 | 9 << 3, 60 << 32 | 3 << 30];
        assert_eq!(played_ms(vp8, &positions), [1_001, 1_001, 0]);
        assert_eq!(FrameRate::new(0, 1), None);
        assert_eq!(FrameRate::new(25, 0), None);
    }

    #[test]
    fn the_greatest_numbers_are_a_hole() {
        let rate = FrameRate::new(1, u32::MAX).unwrap();
        for granule in [
            Granule::Theora { rate, shift: 0 },
            Granule::Theora { rate, shift: 31 },
            Granule::Vp8 { rate },
        ] {
            assert_eq!(played_ms(granule, &[i64::MAX as u64, 0]), [0, 0]);
        }
    }
}
