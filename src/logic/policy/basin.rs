//! How full a node gets when listeners are spread over many of them, like water poured into vessels.
//!
//! A node has two dimensions and is as full as the fuller one, so the common level of all has no formula: it is
//! found by search.

use crate::model::load::LoadReport;

/// A node as a vessel: how many more listeners it takes until it is filled to a level of utilisation.
///
/// In each of two dimensions that is `capacity * scale * level - load`, in listeners of the mount at hand. A vessel
/// with a small scale is filled less at each level; none is filled beyond its capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basin {
    capacity: [f64; 2],
    load: [f64; 2],
    scale: f64,
}

impl Basin {
    pub(super) fn of(load: &LoadReport, cost_bps: u64, scale: f64) -> Self {
        // A stream whose bitrate is not measured yet costs next to nothing, but not zero.
        let cost_bps = cost_bps.max(1) as f64;
        Self {
            capacity: [
                f64::from(load.max_listeners),
                load.max_bandwidth_bps as f64 / cost_bps,
            ],
            load: [f64::from(load.listeners), load.egress_bps as f64 / cost_bps],
            scale,
        }
    }

    /// The vessel without some of its listeners, each at the average cost of all.
    pub(super) fn without(mut self, ahead: u64) -> Self {
        let listeners = self.load[0];
        if listeners > 0.0 {
            let share = (1.0 - ahead as f64 / listeners).max(0.0);
            self.load = self.load.map(|load| load * share);
        }
        self
    }

    /// How many more listeners the node takes up to the level, and how many more per level there.
    fn fill(&self, level: f64) -> (f64, f64) {
        let full = (self.scale * level).min(1.0);
        let [slots, bandwidth] = [0, 1].map(|d| self.capacity[d] * full - self.load[d]);
        let slope = if full < 1.0 { self.scale } else { 0.0 };
        match slots.min(bandwidth) {
            room if room <= 0.0 => (0.0, 0.0),
            room if slots <= bandwidth => (room, self.capacity[0] * slope),
            room => (room, self.capacity[1] * slope),
        }
    }

    pub(super) fn room(&self, level: f64) -> f64 {
        self.fill(level).0
    }

    /// The level at which the node has taken so many more listeners; infinite if they are more than it takes.
    fn level(&self, listeners: f64) -> f64 {
        let [slots, bandwidth] = [0, 1].map(|d| (self.load[d] + listeners) / self.capacity[d]);
        match slots.max(bandwidth) {
            full if full <= 1.0 => full / self.scale,
            _ => f64::INFINITY,
        }
    }

    /// The level at which the node is full.
    fn full_level(&self) -> f64 {
        if self.scale > 0.0 {
            1.0 / self.scale
        } else {
            0.0
        }
    }

    /// How many listeners the node would take if it were empty.
    pub(super) fn capacity(&self) -> f64 {
        self.capacity[0].min(self.capacity[1])
    }
}

/// How much of the listeners to come a level may miss or exceed: a hundredth changes no proportion visibly.
const LEVEL_TOLERANCE: f64 = 0.01;

/// The most steps towards the level. Halving alone would reach a millionth of the interval in 20; started from the
/// last level it takes one or two.
const LEVEL_STEPS: usize = 24;

/// The level at which all basins together have taken so many more listeners, or are full; `guess` is where to begin.
///
/// Newton's method, kept within bounds by halving: the sum rises with the level but has corners.
pub(super) fn level(basins: &[Basin], listeners: f64, guess: f64) -> f64 {
    let room_at = |level: f64| {
        let fill = basins.iter().map(|it| it.fill(level));
        fill.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    };
    // One vessel alone would have to be filled higher than all together.
    let alone = basins.iter().map(|it| it.level(listeners));
    let (mut low, mut high) = (0.0, alone.fold(f64::INFINITY, f64::min));
    if high == f64::INFINITY {
        high = basins.iter().map(Basin::full_level).fold(0.0, f64::max);
        if room_at(high).0 <= listeners {
            return high;
        }
    }
    let mut level = if guess > low && guess < high {
        guess
    } else {
        high
    };
    for _ in 0..LEVEL_STEPS {
        let (room, slope) = room_at(level);
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
        let share = (1.0..10_000.0, 1.0..10_000.0, 0.0..1.2, 0.0..1.2, 0.01..1.0);
        let basin = share.prop_map(|(slots, bandwidth, taken, used, scale)| Basin {
            capacity: [slots, bandwidth],
            load: [slots * taken, bandwidth * used],
            scale,
        });
        proptest::collection::vec(basin, 1..40)
    }

    proptest! {
        #[test]
        fn the_level_takes_in_just_those_expected(
            basins in basins(), listeners in 1.0..5_000.0, guess in -1.0..3.0
        ) {
            let level = level(&basins, listeners, guess);
            let room: f64 = basins.iter().map(|it| it.room(level)).sum();
            let most: f64 = basins.iter().map(|it| it.room(f64::INFINITY)).sum();
            let listeners = listeners.min(most);
            prop_assert!((room - listeners).abs() <= listeners * LEVEL_TOLERANCE, "{} of {}", room, listeners);
        }

        #[test]
        fn a_basin_stands_where_its_room_is_used_up(basins in basins(), listeners in 1.0..5_000.0) {
            let basin = basins[0];
            let level = basin.level(listeners);
            let room = basin.room(level);
            prop_assert!(level == f64::INFINITY || (room - listeners).abs() < 1e-6 * listeners, "{}", room);
        }

        #[test]
        fn no_level_goes_over_the_brim(basins in basins(), level in 0.0..1_000.0) {
            let basin = basins[0];
            prop_assert!(basin.room(level) <= basin.capacity());
        }
    }
}
