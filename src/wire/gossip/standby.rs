//! The words of a node on the sources that wait there for their turn.

use serde::{Deserialize, Serialize};

use crate::model::fitness::SourceFitness;
use crate::model::mount::MountName;
use crate::model::source_priority::SourcePriority;

const STANDBY_PREFIX: &str = "standby";

/// How many sources of one mount a node tells of beside the best one: a radio has a handful of encoders, and all that a node says is
/// gossiped whole.
const MAX_OTHERS_TOLD: usize = 7;

/// The sources that wait for their turn at a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StandbyCard {
    /// The next one. An older version tells of this one only, and reads no other.
    #[serde(flatten)]
    pub best: WaitingCard,
    /// A few of the others, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<WaitingCard>,
    /// How many wait beside these.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub untold: u32,
}

impl StandbyCard {
    /// Tells of these sources, which are in their order; `None`: there is none.
    pub fn of(waiting: &[WaitingCard]) -> Option<Self> {
        let (best, others) = waiting.split_first()?;
        let (told, untold) = others.split_at(others.len().min(MAX_OTHERS_TOLD));
        Some(Self {
            best: *best,
            others: told.to_vec(),
            untold: u32::try_from(untold.len()).unwrap_or(u32::MAX),
        })
    }

    /// All that it tells of, the next one first.
    pub fn told(&self) -> impl Iterator<Item = &WaitingCard> {
        let others = self.others.iter().take(MAX_OTHERS_TOLD);
        [&self.best].into_iter().chain(others)
    }
}

/// One source that waits for its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingCard {
    /// The order of the source among those of its mount.
    pub priority: SourcePriority,
    /// Whether the source sends audio, so that it could be heard. An older version does not say it, and says it of audio that
    /// could not.
    pub sends: bool,
    /// Whether it could be heard, and why not.
    #[serde(skip_serializing_if = "SourceFitness::is_fit")]
    pub fitness: SourceFitness,
}

/// The key that says that a source waits for its turn.
pub fn standby_key(mount: &MountName) -> String {
    format!("{STANDBY_PREFIX}{mount}")
}

/// The mount of such a key.
pub fn standby_mount(key: &str) -> Option<MountName> {
    MountName::try_from(key.strip_prefix(STANDBY_PREFIX)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::gossip;

    fn card(priority: u8) -> WaitingCard {
        WaitingCard {
            priority: priority.into(),
            sends: true,
            fitness: SourceFitness::Fit,
        }
    }

    #[test]
    fn an_older_version_reads_the_best_one_and_is_read() {
        let cards: Vec<_> = (1..=20).map(card).collect();
        let written = gossip::write(&StandbyCard::of(&cards).unwrap());
        let old: WaitingCard = gossip::read(&written).unwrap();
        assert_eq!(old, card(1));
        let read: StandbyCard = gossip::read(&gossip::write(&card(3))).unwrap();
        assert_eq!(Some(read), StandbyCard::of(&[card(3)]));
    }

    #[test]
    fn a_few_are_told_of_and_the_others_are_counted() {
        assert_eq!(StandbyCard::of(&[]), None);
        let cards: Vec<_> = (1..=20).map(card).collect();
        let told = StandbyCard::of(&cards).unwrap();
        let read: StandbyCard = gossip::read(&gossip::write(&told)).unwrap();
        assert_eq!(read, told);
        assert!(read.told().eq(&cards[..=MAX_OTHERS_TOLD]));
        assert_eq!(read.untold, 12);
    }
}
