//! The weather for packets that nobody cuts: loss, one by one or in bursts, delay, repetition.
//!
//! Bursts follow Gilbert and Elliott: each direction between two nodes is good or bad for a random time, and
//! while it is bad it loses nearly everything.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

/// How often a keep-alive is sent within one interval, counting QUIC's probes after a loss.
const KEEP_ALIVE_TRIES: i32 = 3;

/// The loss of a bad spell: enough to stall a stream, not always enough to end a link.
const BAD_LOSS: f64 = 0.8;

/// How long good and bad spells last on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spells {
    /// The mean length of a good one.
    pub good: Duration,
    /// The mean length of a bad one.
    pub bad: Duration,
}

/// The spell that a direction is in, and its end.
#[derive(Clone, Copy, Debug)]
struct Spell {
    is_bad: bool,
    until: Duration,
}

/// Loss, delay and repetition.
#[derive(Debug)]
pub struct Weather {
    nodes: usize,
    /// The chance that a packet is lost.
    pub loss: f64,
    /// The chance that a message arrives twice.
    pub duplicated: f64,
    /// The least and the greatest one-way delay; reordering follows from the spread.
    pub delay: (Duration, Duration),
    /// Loss in bursts, if there is any.
    pub spells: Option<Spells>,
    /// Nodes that the weather spares.
    spared: BTreeSet<usize>,
    state: Vec<Spell>,
}

impl Weather {
    /// No loss, and what two machines in neighbouring countries have for delay.
    pub fn fair(nodes: usize) -> Self {
        let begin = Spell {
            is_bad: true,
            until: Duration::ZERO,
        };
        Self {
            nodes,
            loss: 0.0,
            duplicated: 0.01,
            delay: (Duration::from_millis(10), Duration::from_millis(50)),
            spells: None,
            spared: BTreeSet::new(),
            state: vec![begin; nodes * nodes],
        }
    }

    /// From now on nothing is lost between these nodes.
    pub(super) fn clear_among(&mut self, core: &BTreeSet<usize>) {
        self.spared.clone_from(core);
    }

    /// Whether a packet is lost.
    pub(super) fn takes(
        &mut self,
        between: (usize, usize),
        now: Duration,
        rng: &mut SmallRng,
    ) -> bool {
        rng.random::<f64>() < self.loss_now(between, now, rng)
    }

    /// The chance that a keep-alive and its answer get through within one interval.
    pub(super) fn round_trip_chance(
        &mut self,
        (a, b): (usize, usize),
        now: Duration,
        rng: &mut SmallRng,
    ) -> f64 {
        let there = 1.0 - self.loss_now((a, b), now, rng);
        let back = 1.0 - self.loss_now((b, a), now, rng);
        1.0 - (1.0 - there * back).powi(KEEP_ALIVE_TRIES)
    }

    fn loss_now(&mut self, (from, to): (usize, usize), now: Duration, rng: &mut SmallRng) -> f64 {
        if self.spared.contains(&from) && self.spared.contains(&to) {
            return 0.0;
        }
        let Some(spells) = self.spells else {
            return self.loss;
        };
        let spell = &mut self.state[from * self.nodes + to];
        while spell.until <= now {
            spell.is_bad = !spell.is_bad;
            let mean = if spell.is_bad {
                spells.bad
            } else {
                spells.good
            };
            // Exponential: a spell does not know how long it has lasted.
            let chance: f64 = rng.random_range(f64::EPSILON..1.0);
            spell.until = spell.until.max(now) + mean.mul_f64(-chance.ln());
        }
        if spell.is_bad { BAD_LOSS } else { self.loss }
    }

    pub(super) fn delay(&self, rng: &mut SmallRng) -> Duration {
        rng.random_range(self.delay.0..=self.delay.1)
    }

    /// When a message comes a second time, if it does.
    pub(super) fn second_copy(&self, rng: &mut SmallRng) -> Option<Duration> {
        let comes = rng.random::<f64>() < self.duplicated;
        comes.then(|| rng.random_range(self.delay.0..=self.delay.1 * 4))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn losses_in_bursts_match_their_share_and_come_together() {
        let (mut weather, mut rng) = (Weather::fair(2), SmallRng::seed_from_u64(7));
        let (good, bad) = (Duration::from_secs(9), Duration::from_secs(1));
        weather.spells = Some(Spells { good, bad });
        let (mut lost, mut pairs, mut before) = (0, 0, false);
        for n in 0..100_000 {
            let now = Duration::from_millis(20) * n;
            let is_lost = weather.takes((0, 1), now, &mut rng);
            lost += u32::from(is_lost);
            pairs += u32::from(is_lost && before);
            before = is_lost;
        }
        let share = f64::from(lost) / 100_000.0;
        assert!((0.06..0.10).contains(&share), "{share}");
        assert!(
            f64::from(pairs) > f64::from(lost) * 0.6,
            "{pairs} of {lost}"
        );
    }
}
