//! Compares this node's clock with those of its peers, and renews stamps from the future once the time is certain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::commit::Unsaved;
use super::{Documents, Inner};
use crate::io::clock;
use crate::logic::members::clocks::{ClockVerdict, Clocks};
use crate::model::node::NodeName;
use crate::proto::settle::ALONE_AFTER;
use crate::service::identity::Company;
use crate::wire::gossip;

/// How often a node says what time it is.
const BEAT: Duration = Duration::from_secs(1);
/// By how much the clock must move against the time that passes to have been set.
const SET_BY_MS: u64 = 2_000;

/// What is known of the clocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    offsets: BTreeMap<NodeName, i64>,
    verdict: ClockVerdict,
}

/// What the time was when the node started, by the wall and by what only goes on.
struct StartTimes {
    wall_ms: u64,
    at: Instant,
}

impl StartTimes {
    fn now() -> Self {
        Self {
            wall_ms: clock::unix_ms(),
            at: Instant::now(),
        }
    }

    /// Whether somebody has set the clock since.
    fn is_off(&self, now_ms: u64) -> bool {
        let passed_ms = self.at.elapsed().as_millis() as u64;
        now_ms.abs_diff(self.wall_ms.saturating_add(passed_ms)) > SET_BY_MS
    }
}

pub(super) async fn run(inner: Arc<Inner>, company: Company, cancel: CancellationToken) {
    let started = Instant::now();
    let mut from = StartTimes::now();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut view = inner.cluster.watch();
    let mut clocks = Clocks::default();
    loop {
        let is_beat = tokio::select! {
            () = cancel.cancelled() => return,
            _ = beats.tick() => true,
            changed = view.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
        };
        let now_ms = clock::unix_ms();
        if from.is_off(now_ms) {
            from = StartTimes::now();
            warn!("the clock of this machine was set");
            clocks.reset();
        }
        hear(&mut clocks, &inner, now_ms);
        inner.judge(&clocks);
        if is_beat {
            let said = inner.gossip.set(gossip::CLOCK, &now_ms.to_string()).await;
            said.expect("a number is far shorter than a gossiped value may be");
            let waits = company == Company::Peers && started.elapsed() < ALONE_AFTER;
            inner.renew(now_ms, waits);
        }
    }
}

fn hear(clocks: &mut Clocks, inner: &Inner, now_ms: u64) {
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
    /// Takes over what the clocks say now, and logs what that means.
    fn judge(&self, clocks: &Clocks) {
        let now = Compared {
            offsets: clocks.offsets(),
            verdict: clocks.verdict(),
        };
        let before = self.compared.send_replace(now).verdict;
        let verdict = self.compared.borrow().verdict;
        let is_wrong = |verdict| matches!(verdict, ClockVerdict::Wrong { .. });
        match (is_wrong(before), wrong_clock(verdict)) {
            (false, Some(why)) => error!("edits are refused: {why}"),
            (true, None) => {
                info!("the clock of this node is as its peers' are: edits are taken again")
            }
            _ => {}
        }
    }

    /// Renews stamps from the future, if it is certain that they are.
    fn renew(&self, now_ms: u64, waits_for_peers: bool) {
        let verdict = self.compared.borrow().verdict;
        if verdict == ClockVerdict::Alone && waits_for_peers {
            return; // its own clock may be the one that is wrong
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
            self.announce();
            self.changed.notify_one();
        }
    }

    /// The time by which stamps are judged.
    pub(super) fn now_ms(&self) -> u64 {
        self.compared.borrow().verdict.corrected(clock::unix_ms())
    }

    /// Whether old things may be dropped by the time of now.
    pub(super) fn knows_the_time(&self) -> bool {
        let verdict = self.compared.borrow().verdict;
        verdict.certain(clock::unix_ms()).is_some()
    }

    /// Refuses an edit whose stamp no peer would take, or that would lose against older ones.
    pub(super) fn check_clock(&self) -> Result<(), Unsaved> {
        match wrong_clock(self.compared.borrow().verdict) {
            None => Ok(()),
            Some(why) => Err(Unsaved::Clock(why)),
        }
    }
}

impl Documents {
    /// How far each peer's clock is ahead of this node's, milliseconds.
    pub fn clock_offsets(&self) -> BTreeMap<NodeName, i64> {
        self.0.compared.borrow().offsets.clone()
    }

    /// What is wrong with this node's clock, if anything.
    pub fn clock_trouble(&self) -> Option<String> {
        wrong_clock(self.0.compared.borrow().verdict)
    }
}

/// What is wrong with this node's clock, in words.
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
