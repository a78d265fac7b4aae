//! The sources that were closed for what they had sent, remembered for a while.
//!
//! An encoder was answered 200 long before, and cannot be told what is wrong. Its operator looks at the mesh some minutes
//! later, when the source has gone and its stream is forgotten.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::mount::MountName;

/// How long the closing of a source is shown: an operator whose encoder does not stay on air looks sooner.
const SHOWN: Duration = Duration::from_secs(900);
/// How long a later source is on air until the closing of the one before is no news: an encoder that is closed each time
/// connects again at once, and its operator must still see why.
const OUTLIVED_MS: u64 = 60_000;
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

    /// Forgets the closings of mounts whose source has come later, and has been on air for a while. `started` tells when a
    /// mount's source came, unix milliseconds.
    pub fn forget_outlived(
        &mut self,
        started: impl Fn(&MountName) -> Option<u64>,
        now_unix_ms: u64,
    ) {
        self.0.retain(|mount, it| {
            started(mount).is_none_or(|at| !is_outlived(it.unix_s, at, now_unix_ms))
        });
    }

    /// The closings that are shown now.
    pub fn recent(&self, now: Instant) -> impl Iterator<Item = (&MountName, &Closing)> {
        self.0.iter().filter(move |(_, it)| is_shown(it, now))
    }
}

/// Whether a source that came at this time has come after a closing, and has been on air for a while.
pub fn is_outlived(closed_unix_s: u64, started_unix_ms: u64, now_unix_ms: u64) -> bool {
    let stays = now_unix_ms.saturating_sub(started_unix_ms) >= OUTLIVED_MS;
    stays && started_unix_ms / 1_000 >= closed_unix_s
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
    fn a_closing_is_no_news_when_a_later_source_stays() {
        for (started_unix_ms, now_unix_ms, is_over) in [
            (90_000, 500_000, false),
            (100_500, 160_499, false),
            (100_500, 160_500, true),
            (130_000, 130_000, false),
            (130_000, 120_000, false),
        ] {
            assert_eq!(
                is_outlived(100, started_unix_ms, now_unix_ms),
                is_over,
                "{started_unix_ms} {now_unix_ms}"
            );
        }
        let (mut closed, begun) = (ClosedSources::default(), Instant::now());
        for number in [1, 2, 3] {
            closed.note(&mount(number), closing("bad", begun));
        }
        let started = |of: &MountName| match of.as_str() {
            "/1" => Some(5_000),
            "/2" => Some(60_000),
            _ => None,
        };
        closed.forget_outlived(started, 65_000);
        let left: Vec<&MountName> = closed.recent(begun).map(|(mount, _)| mount).collect();
        assert_eq!(left, [&mount(2), &mount(3)]);
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
