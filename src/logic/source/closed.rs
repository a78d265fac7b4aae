//! The sources that were closed for what they had sent, remembered for a while.
//!
//! An encoder was answered 200 long before, and cannot be told what is wrong. Its operator looks at the mesh some minutes
//! later, when the source has gone and its stream is forgotten.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::mount::MountName;

/// How long the closing of a source is shown: an operator whose encoder does not stay on air looks sooner.
const SHOWN: Duration = Duration::from_secs(900);
/// The most mounts of which it is remembered: far more than have bad sources at once on one node. The oldest are forgotten.
const MAX_REMEMBERED: usize = 256;

/// The closing of a mount's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The fault in its bytes, in words for an operator.
    pub why: String,
    /// When it was closed.
    pub at: Instant,
    /// The same, unix seconds by the clock of this node.
    pub unix_s: u64,
}

/// The last closing of each mount's sources at one node.
#[derive(Clone, Debug, Default)]
pub struct ClosedSources(BTreeMap<MountName, Closing>);

impl ClosedSources {
    /// Notes that a source was closed.
    pub fn note(&mut self, mount: &MountName, closing: Closing) {
        self.0.retain(|_, it| is_shown(it, closing.at));
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(mount) {
            let oldest = self.0.iter().min_by_key(|(_, it)| it.at);
            if let Some(oldest) = oldest.map(|(mount, _)| mount.clone()) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(mount.clone(), closing);
    }

    /// The closings that are shown now.
    pub fn recent(&self, now: Instant) -> impl Iterator<Item = (&MountName, &Closing)> {
        self.0.iter().filter(move |(_, it)| is_shown(it, now))
    }
}

fn is_shown(closing: &Closing, now: Instant) -> bool {
    now.saturating_duration_since(closing.at) < SHOWN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(why: &str, at: Instant) -> Closing {
        Closing {
            why: why.to_owned(),
            at,
            unix_s: 0,
        }
    }

    fn mount(number: usize) -> MountName {
        MountName::try_from(&*format!("/{number}")).unwrap()
    }

    #[test]
    fn the_last_closing_of_a_mount_is_shown_for_a_while() {
        let (mut closed, begun) = (ClosedSources::default(), Instant::now());
        closed.note(&mount(1), closing("first", begun));
        let at = begun + SHOWN / 2;
        closed.note(&mount(1), closing("second", at));
        let shown = |now: Instant| closed.recent(now).map(|(_, it)| it.why.clone()).collect();
        let shown: [Vec<String>; 2] = [begun + SHOWN, at + SHOWN].map(shown);
        assert_eq!(shown, [vec!["second".to_owned()], vec![]]);
    }

    #[test]
    fn the_oldest_is_forgotten_where_there_are_too_many() {
        let (mut closed, begun) = (ClosedSources::default(), Instant::now());
        for number in 0..=MAX_REMEMBERED {
            let at = begun + Duration::from_millis(number as u64);
            closed.note(&mount(number), closing("bad", at));
        }
        let now = begun + Duration::from_secs(1);
        assert_eq!(closed.recent(now).count(), MAX_REMEMBERED);
        assert!(closed.recent(now).all(|(it, _)| *it != mount(0)));
        closed.note(&mount(5), closing("worse", now));
        assert_eq!(
            closed.recent(now).count(),
            MAX_REMEMBERED,
            "it is there already"
        );
    }
}
