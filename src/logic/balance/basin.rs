//! How far a node fills when listeners are poured over many of them.
//!
//! A node has two dimensions and is as full as the fuller one, so that the level at which all stand has no formula:
//! it is sought.

use crate::logic::forecast::Outlook;

/// A node as a vessel: how many more listeners it takes until it stands at a level of utilisation.
///
/// In each of two dimensions that is `capacity * level - load`, in listeners of the mount at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basin {
    capacity: [f64; 2],
    load: [f64; 2],
}

impl Basin {
    pub(super) fn of(outlook: &Outlook<'_>, cost_bps: u64) -> Self {
        let predicted = &outlook.predicted;
        // A stream whose bitrate is not measured yet costs next to nothing, but something.
        let cost_bps = cost_bps.max(1) as f64;
        let slots = f64::from(predicted.max_listeners);
        let bandwidth = predicted.max_bandwidth_bps as f64 / cost_bps;
        Self {
            capacity: [slots * outlook.warmth, bandwidth * outlook.warmth],
            load: [
                f64::from(predicted.listeners),
                predicted.egress_bps as f64 / cost_bps,
            ],
        }
    }

    /// How many more listeners it takes to the level, and how many more per level there.
    fn fill(&self, level: f64) -> (f64, f64) {
        let [slots, bandwidth] = [0, 1].map(|d| self.capacity[d] * level - self.load[d]);
        match slots.min(bandwidth) {
            room if room <= 0.0 => (0.0, 0.0),
            room if slots <= bandwidth => (room, self.capacity[0]),
            room => (room, self.capacity[1]),
        }
    }

    pub(super) fn room(&self, level: f64) -> f64 {
        self.fill(level).0
    }

    /// The level at which it has taken so many more listeners.
    fn level(&self, listeners: f64) -> f64 {
        let [slots, bandwidth] = [0, 1].map(|d| (self.load[d] + listeners) / self.capacity[d]);
        slots.max(bandwidth)
    }

    pub(super) fn capacity(&self) -> f64 {
        self.capacity[0].min(self.capacity[1])
    }
}

/// How much of the listeners to come a level may miss or exceed: a hundredth changes no proportion visibly.
const LEVEL_TOLERANCE: f64 = 0.01;

/// The most steps towards the level. Halving alone would reach a millionth of the interval in 20; started from the
/// last level it takes one or two.
const LEVEL_STEPS: usize = 24;

/// The level at which all basins together have taken so many more listeners; `guess` is where to begin.
///
/// Newton's method, kept within bounds by halving: the sum rises with the level but has corners.
pub(super) fn level(
    basins: impl Iterator<Item = Basin> + Clone,
    listeners: f64,
    guess: f64,
) -> f64 {
    // Alone, any one of them would have to stand higher than all do together.
    let alone = basins.clone().map(|it| it.level(listeners));
    let (mut low, mut high) = (0.0, alone.fold(f64::INFINITY, f64::min));
    let mut level = if guess > low && guess < high {
        guess
    } else {
        high
    };
    for _ in 0..LEVEL_STEPS {
        let fill = basins.clone().map(|it| it.fill(level));
        let (room, slope) = fill.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        if (room - listeners).abs() <= listeners * LEVEL_TOLERANCE {
            break;
        }
        if room < listeners {
            low = level;
        } else {
            high = level;
        }
        let newton = level + (listeners - room) / slope;
        level = if newton > low && newton < high {
            newton
        } else {
            (low + high) / 2.0
        };
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn basins() -> impl Strategy<Value = Vec<Basin>> {
        let share = (1.0..10_000.0, 1.0..10_000.0, 0.0..1.5, 0.0..1.5);
        let basin = share.prop_map(|(slots, bandwidth, taken, used)| Basin {
            capacity: [slots, bandwidth],
            load: [slots * taken, bandwidth * used],
        });
        proptest::collection::vec(basin, 1..40)
    }

    proptest! {
        #[test]
        fn the_level_takes_in_just_those_expected(
            basins in basins(), listeners in 1.0..5_000.0, guess in -1.0..3.0
        ) {
            let level = level(basins.iter().copied(), listeners, guess);
            let room: f64 = basins.iter().map(|it| it.room(level)).sum();
            prop_assert!((room - listeners).abs() <= listeners * LEVEL_TOLERANCE, "{}", room);
        }

        #[test]
        fn a_basin_stands_where_its_room_is_used_up(basins in basins(), listeners in 1.0..5_000.0) {
            let basin = basins[0];
            let room = basin.room(basin.level(listeners));
            prop_assert!((room - listeners).abs() < 1e-6 * listeners, "{}", room);
        }
    }
}
