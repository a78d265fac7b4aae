//! Dice for the selectors that draw lots: a seed makes the same throws on every machine.
//!
//! The throws are not secret: the seed tells them all. They only spread listeners.

/// A small generator (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 up to, not including, 1.
    pub(super) fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // An f64 holds 53 bits exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The index of one of the weights, drawn in proportion to them; the first one if all are 0.
    pub(super) fn draw(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        let mut rest = self.throw() * total;
        let mut last = 0;
        for (index, weight) in weights.iter().enumerate().filter(|(_, it)| **it > 0.0) {
            last = index;
            rest -= weight;
            if rest < 0.0 {
                break;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_are_spread_evenly_and_repeat_by_their_seed() {
        let (mut dice, mut twin) = (Dice::new(7), Dice::new(7));
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            let thrown = dice.throw();
            assert_eq!(thrown, twin.throw());
            tenths[(thrown * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| count.abs_diff(1_000) < 120));
    }

    #[test]
    fn each_weight_is_drawn_as_often_as_it_is_great() {
        let mut dice = Dice::new(1);
        let mut counts = [0_u32; 4];
        for _ in 0..10_000 {
            counts[dice.draw(&[1.0, 0.0, 3.0, 0.0])] += 1;
        }
        assert_eq!((counts[1], counts[3]), (0, 0));
        assert!(counts[0].abs_diff(2_500) < 150, "{counts:?}");
    }
}
