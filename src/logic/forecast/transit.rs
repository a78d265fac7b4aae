//! The listeners on their way from one redirector to one node.
//!
//! Single listeners are not known. What was sent and what arrived are two counters that only rise, heard late and from
//! different nodes; the listeners on their way are the difference, less those that are taken to have gone elsewhere.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long a listener may take from the redirect until this node hears of its arrival at the target.
///
/// A player follows a redirect within a second; the target publishes each second and gossip needs another. Five
/// seconds leave room for a slow player, and a listener that has not come by then has most likely gone elsewhere.
pub const RESERVATION: Duration = Duration::from_secs(5);

/// How far ahead the arrivals are predicted: from a choice until all nodes know its effect. As many are expected as
/// came in the same time before.
///
/// A publication each second, up to another one for gossip, and the redirect: 1.2 s on average, 2.4 s at worst.
/// Halved, the fullness of nodes swings in the first seconds of a surge; doubled, a node that joins empty fills so
/// slowly that the others stand 3 points higher than they had to.
pub(super) const FORESIGHT: Duration = Duration::from_secs(2);

/// Steps of a [`CounterHistory`] closer than this are one: at most 21 of them lie within a [`RESERVATION`].
///
/// The window is shorter by as much; that is 5 %, less than what gossip's delay changes anyway.
const GRAIN: Duration = Duration::from_millis(250);

/// Listeners and their bitrates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub listeners: u64,
    /// The sum of their mounts' bitrates, bits per second.
    pub bps: u64,
}

impl Tally {
    /// The tally with another one added.
    pub fn plus(self, more: Self) -> Self {
        Self {
            listeners: self.listeners.saturating_add(more.listeners),
            bps: self.bps.saturating_add(more.bps),
        }
    }

    /// The tally without one that was added before.
    pub fn minus(self, less: Self) -> Self {
        Self {
            listeners: self.listeners.saturating_sub(less.listeners),
            bps: self.bps.saturating_sub(less.bps),
        }
    }

    /// A counter never goes back: of an old and a new value, in whatever order they come, the greater counts.
    fn greater(self, other: Self) -> Self {
        Self {
            listeners: self.listeners.max(other.listeners),
            bps: self.bps.max(other.bps),
        }
    }
}

/// Whether a node was followed since its counters were zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum History {
    /// A first value counts what happened since this node last heard of the other.
    Followed,
    /// A first value is old history: none of its listeners is on the way any more.
    Joined,
}

impl History {
    /// The history of one counter, given when it last changed.
    ///
    /// A counter that was never heard may have been left out of full bulletins for a long time.
    pub(super) fn of_counter(self, full: bool, moved_at: Option<Instant>) -> Self {
        if full && moved_at.is_none() {
            Self::Joined
        } else {
            self
        }
    }
}

/// The listeners that a redirector has sent to a node, those that arrived there, and what follows from that.
#[derive(Clone, Debug)]
pub(super) struct Transit {
    /// How long a listener that was sent is waited for.
    patience: Duration,
    sent: CounterHistory<Tally>,
    arrived: CounterHistory<u64>,
    /// Sent and never arrived, less arrived and never sent: players that gave up, and players that came back by
    /// an old address. Wide, because a difference of two counters needs one bit more than they do.
    missing: i128,
    /// Whether the lists in which these counters came had no room for all. Then the two are of different times, and
    /// arrivals that exceed what was sent mean nothing.
    truncated: bool,
    flow: Flow,
}

/// The part of the prediction that comes from a [`Transit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// Listeners on their way.
    pub(super) pending: Tally,
    /// Listeners that have arrived before this node heard that they were sent.
    pub(super) ahead: u64,
    /// Listeners sent within the last [`FORESIGHT`], arrived or not.
    pub(super) recent_listeners: u64,
}

impl Default for Transit {
    fn default() -> Self {
        Self::lasting(RESERVATION)
    }
}

impl Transit {
    /// No listener was sent yet; each is waited for so long.
    pub(super) fn lasting(patience: Duration) -> Self {
        Self {
            patience,
            sent: CounterHistory::default(),
            arrived: CounterHistory::default(),
            missing: 0,
            truncated: false,
            flow: Flow::default(),
        }
    }

    /// All that had been sent so long ago; at most as long as a listener is waited for.
    pub(super) fn sent_before(&self, age: Duration, now: Instant) -> Tally {
        self.sent.before(age, now)
    }

    /// The flow as of the last [`Transit::settle`].
    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    /// All that was ever sent, and when that last rose.
    pub(super) fn sent(&self) -> (Tally, Option<Instant>) {
        (self.sent.latest(), self.sent.moved_at())
    }

    /// All listeners that ever arrived, and when that last rose.
    pub(super) fn arrived(&self) -> (u64, Option<Instant>) {
        (self.arrived.latest(), self.arrived.moved_at())
    }

    /// Notes whether the list from which the next counter comes had room for all.
    pub(super) fn note_list(&mut self, full: bool) {
        self.truncated = full;
    }

    /// Takes in the redirector's counter.
    pub(super) fn hear_sent(&mut self, total: Tally, history: History, now: Instant) {
        let total = total.greater(self.sent.latest());
        match history {
            History::Followed => self.sent.step(total, self.patience, now),
            History::Joined => {
                self.sent = CounterHistory::starting(total, now);
                self.clear_pending();
            }
        }
    }

    /// Takes in the target's counter.
    pub(super) fn hear_arrived(&mut self, total: u64, history: History, now: Instant) {
        let total = total.max(self.arrived.latest());
        match history {
            History::Followed => self.arrived.step(total, self.patience, now),
            History::Joined => {
                self.arrived = CounterHistory::starting(total, now);
                self.clear_pending();
            }
        }
    }

    /// The target has just published: a listener that was sent a [`RESERVATION`] before and is not in it will not come.
    ///
    /// Without a publication nothing is learnt: listeners that were not heard of may have arrived all the same.
    pub(super) fn give_up(&mut self, now: Instant) {
        self.sent.forget(self.patience, now);
        let overdue = difference(self.sent.base.listeners, self.arrived.latest());
        self.missing = self.missing.max(overdue);
    }

    /// Brings the flow up to date.
    ///
    /// `pending = clamp(sent - arrived - missing, 0, sent in the last RESERVATION)`, each at the average cost of those
    /// sent in that time. The cost comes from the redirector's counters alone: were `arrived` counted in bits too,
    /// each disagreement of two nodes about a mount's bitrate would stay in the difference.
    pub(super) fn settle(&mut self, now: Instant) {
        self.sent.forget(self.patience, now);
        self.arrived.forget(self.patience, now);
        let sent = self.sent.latest();
        // A listener that had arrived a reservation ago was sent before that, and that is known by now: one that was
        // not sent by now came uninvited. Compared with today's arrivals, gossip's delay would look the same.
        self.missing = self
            .missing
            .min(difference(sent.listeners, self.arrived.base));
        let recent = sent.minus(self.sent.base);
        let out = difference(sent.listeners, self.arrived.latest()) - self.missing;
        let listeners = u64::try_from(out.max(0)).unwrap_or(u64::MAX);
        let listeners = listeners.min(recent.listeners);
        let ahead = if self.truncated { 0 } else { (-out).max(0) };
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        let cost_bps = recent.bps.checked_div(recent.listeners).unwrap_or(0);
        self.flow = Flow {
            pending: Tally {
                listeners,
                bps: listeners.saturating_mul(cost_bps),
            },
            ahead: ahead.min(self.arrived.latest() - self.arrived.base),
            recent_listeners: sent.minus(self.sent.before(FORESIGHT, now)).listeners,
        };
    }

    /// Declares that no listener is on the way, whatever the counters say.
    fn clear_pending(&mut self) {
        self.missing = difference(self.sent.latest().listeners, self.arrived.latest());
    }
}

fn difference(left: u64, right: u64) -> i128 {
    i128::from(left) - i128::from(right)
}

/// A counter's value now, and in the past for as long as a listener is waited for.
#[derive(Clone, Debug, Default)]
struct CounterHistory<T> {
    /// The value at the beginning of that time, and until the first step.
    base: T,
    /// When each later value was heard; oldest first, never more than fit at a [`GRAIN`]'s distance.
    steps: VecDeque<(Instant, T)>,
    moved_at: Option<Instant>,
}

impl<T: Copy + PartialEq> CounterHistory<T> {
    fn starting(base: T, now: Instant) -> Self {
        Self {
            base,
            steps: VecDeque::new(),
            moved_at: Some(now),
        }
    }

    fn latest(&self) -> T {
        self.steps.back().map_or(self.base, |(_, value)| *value)
    }

    fn moved_at(&self) -> Option<Instant> {
        self.moved_at
    }

    /// The value so long ago; at most as long as a listener is waited for.
    fn before(&self, age: Duration, now: Instant) -> T {
        let is_old = |(at, _): &&(Instant, T)| now.saturating_duration_since(*at) >= age;
        let step = self.steps.iter().rev().find(is_old);
        step.map_or(self.base, |(_, value)| *value)
    }

    fn step(&mut self, value: T, patience: Duration, now: Instant) {
        if value == self.latest() {
            return;
        }
        self.moved_at = Some(now);
        match self.steps.back_mut() {
            Some((at, last)) if now.saturating_duration_since(*at) < GRAIN => *last = value,
            _ => self.steps.push_back((now, value)),
        }
        self.forget(patience, now);
    }

    fn forget(&mut self, patience: Duration, now: Instant) {
        while let Some((at, value)) = self.steps.front().copied()
            && now.saturating_duration_since(at) >= patience
        {
            self.base = value;
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(listeners: u64) -> Tally {
        Tally {
            listeners,
            bps: listeners * 128_000,
        }
    }

    fn pending(transit: &mut Transit, now: Instant) -> u64 {
        transit.settle(now);
        transit.flow().pending.listeners
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_listener_is_on_the_way_until_it_arrives() {
        let (mut transit, now) = (Transit::default(), Instant::now());
        transit.hear_sent(tally(3), History::Followed, now);
        assert_eq!(pending(&mut transit, now), 3);
        assert_eq!(transit.flow().pending, tally(3));
        transit.hear_arrived(2, History::Followed, now + SECOND);
        assert_eq!(pending(&mut transit, now + SECOND), 1);
        transit.hear_arrived(1, History::Followed, now + SECOND);
        transit.hear_sent(tally(2), History::Followed, now + SECOND);
        assert_eq!(
            pending(&mut transit, now + SECOND),
            1,
            "old news is no news"
        );
    }

    #[test]
    fn a_listener_that_never_arrives_is_forgotten() {
        let (mut transit, now) = (Transit::default(), Instant::now());
        transit.hear_sent(tally(10), History::Followed, now);
        assert_eq!(pending(&mut transit, now + 4 * SECOND), 10);
        assert_eq!(pending(&mut transit, now + 5 * SECOND), 0, "even unheard");
        transit.give_up(now + 5 * SECOND);
        transit.hear_sent(tally(12), History::Followed, now + 6 * SECOND);
        assert_eq!(
            pending(&mut transit, now + 6 * SECOND),
            2,
            "the ten are gone"
        );
        transit.hear_arrived(2, History::Followed, now + 7 * SECOND);
        assert_eq!(pending(&mut transit, now + 7 * SECOND), 0);
    }

    #[test]
    fn a_late_arrival_is_made_good_in_the_next_lull() {
        let (mut transit, now) = (Transit::default(), Instant::now());
        transit.hear_sent(tally(10), History::Followed, now);
        transit.give_up(now + 5 * SECOND);
        transit.hear_arrived(10, History::Followed, now + 6 * SECOND);
        assert_eq!(pending(&mut transit, now + 11 * SECOND), 0);
        transit.hear_sent(tally(14), History::Followed, now + 12 * SECOND);
        assert_eq!(pending(&mut transit, now + 12 * SECOND), 4);
    }

    #[test]
    fn an_arrival_before_its_redirectors_report_is_briefly_ahead() {
        let (mut transit, now) = (Transit::default(), Instant::now());
        transit.hear_sent(tally(3), History::Followed, now);
        transit.hear_arrived(5, History::Followed, now + SECOND);
        assert_eq!(pending(&mut transit, now + SECOND), 0);
        assert_eq!(transit.flow().ahead, 2);
        transit.hear_sent(tally(6), History::Followed, now + 2 * SECOND);
        assert_eq!(pending(&mut transit, now + 2 * SECOND), 1);
        assert_eq!(transit.flow().ahead, 0);
        transit.hear_arrived(9, History::Followed, now + 3 * SECOND);
        transit.note_list(true);
        transit.settle(now + 3 * SECOND);
        assert_eq!(transit.flow().ahead, 0, "counters of different times");
        transit.note_list(false);
        transit.settle(now + 3 * SECOND);
        assert_eq!(transit.flow().ahead, 3);
        transit.settle(now + 9 * SECOND);
        assert_eq!(transit.flow().ahead, 0, "nobody sent them");
    }

    #[test]
    fn uninvited_listeners_do_not_hide_those_that_were_sent() {
        let (mut transit, now) = (Transit::default(), Instant::now());
        transit.hear_arrived(50, History::Followed, now);
        assert_eq!(pending(&mut transit, now + 5 * SECOND), 0);
        transit.hear_sent(tally(7), History::Followed, now + 6 * SECOND);
        assert_eq!(pending(&mut transit, now + 6 * SECOND), 7);
    }

    #[test]
    fn counters_of_a_node_that_we_join_late_are_history() {
        let (mut transit, now) = (Transit::default(), Instant::now());
        transit.hear_sent(tally(9_000), History::Joined, now);
        assert_eq!(pending(&mut transit, now), 0);
        transit.hear_arrived(8_500, History::Joined, now);
        assert_eq!(pending(&mut transit, now), 0);
        transit.hear_sent(tally(9_003), History::Followed, now + SECOND);
        assert_eq!(pending(&mut transit, now + SECOND), 3);
    }

    #[test]
    fn listeners_on_the_way_cost_as_the_recent_ones() {
        let (mut transit, now) = (Transit::default(), Instant::now());
        let (listeners, bps) = (100, 100 * 64_000);
        transit.hear_sent(Tally { listeners, bps }, History::Followed, now);
        transit.hear_arrived(100, History::Followed, now + SECOND);
        let bps = bps + 4 * 320_000;
        let listeners = 104;
        transit.hear_sent(
            Tally { listeners, bps },
            History::Followed,
            now + 6 * SECOND,
        );
        transit.settle(now + 6 * SECOND);
        assert_eq!(transit.flow().pending.bps, 4 * 320_000);
    }

    proptest! {
        #[test]
        fn no_more_are_on_the_way_than_were_sent_lately(
            events in proptest::collection::vec((0u64..2_000, 0u64..50, 0u64..60), 1..80)
        ) {
            let (mut transit, start) = (Transit::default(), Instant::now());
            let (mut at, mut sent, mut arrived) = (start, 0, 0);
            for (later_ms, more_sent, more_arrived) in events {
                at += Duration::from_millis(later_ms);
                sent += more_sent;
                arrived += more_arrived;
                transit.hear_sent(tally(sent), History::Followed, at);
                transit.hear_arrived(arrived, History::Followed, at);
                transit.give_up(at);
                transit.settle(at);
                let flow = transit.flow();
                let recent = transit.sent.latest().minus(transit.sent.base);
                prop_assert!(flow.pending.listeners <= recent.listeners);
                prop_assert!(flow.recent_listeners <= recent.listeners);
                prop_assert_eq!(flow.pending.bps, flow.pending.listeners * 128_000);
                prop_assert!(transit.sent.steps.len() <= 21 && transit.arrived.steps.len() <= 21);
            }
            prop_assert_eq!(pending(&mut transit, at + RESERVATION), 0);
        }
    }
}
