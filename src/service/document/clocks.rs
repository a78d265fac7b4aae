//! Compares this node's clock with its peers' clocks, and renews stamps from the future once the time is certain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::commit::Unsaved;
use super::{Documents, Inner};
use crate::io::clock;
use crate::io::tasks::Tasks;
use crate::logic::election::Start;
use crate::logic::members::clocks::{ClockVerdict, Clocks};
use crate::model::node::NodeName;
use crate::proto::settle::ALONE_AFTER;
use crate::wire::gossip;

/// How often a node gossips its time.
const BEAT: Duration = Duration::from_secs(1);
/// A clock that moves by more than this against the time that has passed was set by hand or by NTP.
const SET_BY_MS: u64 = 2_000;

/// The clock of this node compared with its peers'.
#[derive(Clone, Debug, Default)]
pub(super) struct ComparedClocks {
    offsets: BTreeMap<NodeName, i64>,
    verdict: ClockVerdict,
}

/// A moment by the time of day and by the monotonic clock.
struct ClockReading {
    wall_ms: u64,
    at: Instant,
}

impl ClockReading {
    fn now() -> Self {
        Self {
            wall_ms: clock::unix_ms(),
            at: clock::now(),
        }
    }

    /// Whether the clock was set since.
    fn was_set_since(&self, now_ms: u64) -> bool {
        let passed = clock::now().saturating_duration_since(self.at);
        let passed_ms = passed.as_millis() as u64;
        now_ms.abs_diff(self.wall_ms.saturating_add(passed_ms)) > SET_BY_MS
    }
}

pub(super) async fn run(inner: Arc<Inner>, start: Start, tasks: Tasks) {
    let started = clock::now();
    let mut last = ClockReading::now();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut view = inner.cluster.watch();
    let mut clocks = Clocks::default();
    loop {
        let is_beat = tokio::select! {
            () = tasks.asked_to_end() => return,
            _ = beats.tick() => true,
            changed = view.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
        };
        let now_ms = clock::unix_ms();
        if last.was_set_since(now_ms) {
            last = ClockReading::now();
            warn!("the clock of this machine was set");
            clocks.reset();
        }
        compare(&mut clocks, &inner, now_ms);
        inner.judge(&clocks);
        if is_beat {
            let said = inner.gossip.set(gossip::CLOCK, &now_ms.to_string()).await;
            said.expect("a number is far shorter than a gossiped value may be");
            let waits = start == Start::Joining
                && clock::now().saturating_duration_since(started) < ALONE_AFTER;
            inner.renew(now_ms, waits);
        }
    }
}

fn compare(clocks: &mut Clocks, inner: &Inner, now_ms: u64) {
    let view = inner.cluster.view();
    let is_there = |name: &NodeName| {
        let node = view.nodes.get(name);
        *name != view.me && node.is_some_and(|node| node.is_up())
    };
    clocks.keep_only(is_there);
    for (name, node) in view.nodes.iter().filter(|(name, _)| is_there(name)) {
        if let Some(said_ms) = node.clock_unix_ms {
            clocks.hear(name, said_ms, now_ms);
        }
    }
}

impl Inner {
    /// Publishes the comparison, and logs a change of the verdict.
    fn judge(&self, clocks: &Clocks) {
        let now = ComparedClocks {
            offsets: clocks.offsets(),
            verdict: clocks.verdict(),
        };
        let before = self.clocks.send_replace(now).verdict;
        let verdict = self.clocks.borrow().verdict;
        let is_wrong = |verdict| matches!(verdict, ClockVerdict::Wrong { .. });
        match (is_wrong(before), wrong_clock(verdict)) {
            (false, Some(why)) => error!("edits are refused: {why}"),
            (true, None) => {
                info!("the clock of this node is as its peers' are: edits are taken again")
            }
            _ => {}
        }
    }

    /// Renews stamps from the future, if the time is certain.
    fn renew(&self, now_ms: u64, waits_for_peers: bool) {
        let verdict = self.clocks.borrow().verdict;
        if verdict == ClockVerdict::NoPeers && waits_for_peers {
            return; // this node's own clock may be wrong
        }
        let Some(certain_ms) = verdict.certain(now_ms) else {
            return;
        };
        let records = self.lock().renew(certain_ms);
        if records > 0 {
            warn!(
                records,
                "stamped in the future, while a clock was ahead: stamped anew"
            );
            self.publish();
            self.changed.notify_one();
        }
    }

    /// The corrected time, by which stamps are judged.
    pub(super) fn now_ms(&self) -> u64 {
        self.clocks.borrow().verdict.corrected(clock::unix_ms())
    }

    /// Whether the time is certain, so that expired records may be dropped.
    pub(super) fn is_time_certain(&self) -> bool {
        let verdict = self.clocks.borrow().verdict;
        verdict.certain(clock::unix_ms()).is_some()
    }

    /// Refuses edits while this node's clock is wrong: peers would refuse their stamps, or older edits would win.
    pub(super) fn check_clock(&self) -> Result<(), Unsaved> {
        match wrong_clock(self.clocks.borrow().verdict) {
            None => Ok(()),
            Some(why) => Err(Unsaved::Clock(why)),
        }
    }
}

impl Documents {
    /// How far each peer's clock is ahead of this node's, milliseconds.
    pub fn clock_offsets(&self) -> BTreeMap<NodeName, i64> {
        self.0.clocks.borrow().offsets.clone()
    }

    /// The trouble with this node's clock, if there is any.
    pub fn clock_trouble(&self) -> Option<String> {
        wrong_clock(self.0.clocks.borrow().verdict)
    }
}

/// The trouble with this node's clock, in words.
fn wrong_clock(verdict: ClockVerdict) -> Option<String> {
    let ClockVerdict::Wrong { ahead_ms, peers } = verdict else {
        return None;
    };
    let seconds = ahead_ms.unsigned_abs() / 1_000;
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    Some(match peers {
        1 => format!(
            "this node's clock is {seconds} s {side} its only peer's: set the wrong one right (NTP)"
        ),
        _ => format!(
            "this node's clock is {seconds} s {side} those of its {peers} peers: set it right (NTP)"
        ),
    })
}
