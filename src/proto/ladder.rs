//! The ladder of one mount at one node: which rung its listeners hear, and when they are left without one.
//!
//! Nobody else is asked: what a node knows by gossip, and of the rings that it has, is all that counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::listener::prospect::RingLook;
use super::on_air;
use super::pull::LINGER;
use super::view::MeshView;
use crate::logic::ladder::{self, Choice};
use crate::model::mount::{MountName, MountSpec};
use crate::model::status::rung::RungState;
use crate::model::stream::StreamId;

/// How long a stream that no node is known to send may bring nothing before its listeners go on with another one. Lines over
/// which audio is sent stutter for a second now and then, and listeners have five seconds in store.
const STUTTER: Duration = Duration::from_secs(2);

/// How long a stream that is over still counts as flowing: another source takes its place, an encoder connects again at once,
/// or a transcoder moves. Gossip tells of the next stream within two rounds, and listeners have five seconds in store.
const SUCCESSION: Duration = Duration::from_secs(1);

/// The stream of a rung that this node holds.
#[derive(Clone, Copy, Debug)]
pub struct RungRing {
    /// The stream.
    pub stream_id: StreamId,
    /// The state of the ring for a listener that comes.
    pub look: RingLook,
    /// Whether its source is connected here.
    pub has_source_here: bool,
    /// When its source was heard last.
    pub last_fed: Instant,
    /// Whether those who listen now can go on with it; `None`: not known yet.
    pub goes_on: Option<bool>,
}

/// A rung as this node knows it.
#[derive(Clone, Copy, Debug)]
pub struct RungLook {
    /// Whether there is such a mount.
    pub exists: bool,
    /// The stream that this node holds.
    pub ring: Option<RungRing>,
    /// The stream whose source is connected to another node.
    pub elsewhere: Option<StreamId>,
    /// Whether a stream is made as soon as somebody wants it.
    pub is_made_on_demand: bool,
    /// Whether those who listen may go on with that, by its media type.
    pub may_go_on: bool,
    /// Whether it is silent, and its mount does not play that.
    pub is_silent: bool,
}

impl RungLook {
    /// A rung that is not there.
    pub const MISSING: Self = Self {
        exists: false,
        ring: None,
        elsewhere: None,
        is_made_on_demand: false,
        may_go_on: true,
        is_silent: false,
    };

    /// A rung, by what gossip tells; this node holds no stream of it.
    pub fn by_gossip(
        rung: &MountName,
        mounts: &BTreeMap<MountName, MountSpec>,
        view: &MeshView,
        may_go_on: impl FnOnce(&str) -> bool,
    ) -> Self {
        // What this node says of itself may be a moment old.
        let source = view.source(rung).filter(|(name, _)| **name != view.me);
        Self {
            exists: mounts.contains_key(rung),
            ring: None,
            elsewhere: source.map(|(_, card)| card.stream_id),
            is_made_on_demand: on_air::is_made_on_demand(rung, mounts, view),
            may_go_on: source.is_none_or(|(_, card)| may_go_on(&card.content_type)),
            is_silent: on_air::fails_by_silence(rung, mounts, view),
        }
    }

    fn flows(&self, now: Instant) -> bool {
        let Some(ring) = self.ring else {
            return self.elsewhere.is_some() || self.is_made_on_demand;
        };
        let has_next = self.elsewhere.is_some_and(|it| it != ring.stream_id);
        let unfed = now.saturating_duration_since(ring.last_fed);
        match ring.look {
            RingLook::Open => ring.has_source_here || self.elsewhere.is_some() || unfed < STUTTER,
            finished => finished.can_be_joined(now) || has_next || unfed < SUCCESSION,
        }
    }

    /// Whether it is here, so that it can be heard at once.
    fn is_here(&self, now: Instant) -> bool {
        self.ring.is_some_and(|ring| ring.look.can_be_joined(now))
    }

    fn state(&self, is_own: bool, now: Instant) -> RungState {
        let goes_on = match self.ring {
            // Their own mount's stream is worth that players ask for it anew.
            _ if is_own => Some(true),
            Some(ring) => ring.goes_on,
            None => Some(self.may_go_on),
        };
        match goes_on {
            _ if !self.exists => RungState::Missing,
            _ if !self.flows(now) => RungState::OffAir,
            _ if self.is_silent => RungState::Silent,
            Some(true) => RungState::Flows,
            Some(false) => RungState::OtherFormat,
            None => RungState::OffAir,
        }
    }
}

/// The rung that the listeners of a mount hear at a node.
#[derive(Clone, Copy, Debug)]
pub struct HeardLook {
    /// The rung; `None`: one that is no longer on the ladder.
    pub rung: Option<usize>,
    /// Whether somebody hears it here, or is about to.
    pub has_audience: bool,
    /// Since when it has no reader at all.
    pub idle_since: Option<Instant>,
}

/// All that a step goes by.
#[derive(Clone, Debug)]
pub struct LadderLook {
    /// The rungs, the mount itself first.
    pub rungs: Vec<RungLook>,
    /// The rung that is heard; `None`: nobody has listened so far.
    pub heard: Option<HeardLook>,
    /// Whether listeners return to a better rung.
    pub returns: bool,
    /// The rung to which an operator has switched the mount.
    pub switched_to: Option<usize>,
    /// How long listeners are kept without a rung that flows.
    pub linger: Duration,
}

/// The task of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LadderStep {
    /// Let listeners hear this rung, whose stream is here.
    Hear(usize),
    /// Fetch the stream of this rung. What is heard goes on meanwhile, if it flows.
    Fetch {
        /// The rung.
        rung: usize,
        /// Whether what is heard flows.
        meanwhile: bool,
    },
    /// Nothing flows, or nobody would hear it: keep the listeners, if there are any.
    Wait,
    /// End those who hear a fallback, or wait.
    Leave(LeaveReason),
}

/// Why the listeners of a mount are left without a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// No rung has flowed for as long as the mount lingers.
    NothingFlows,
    /// Nobody has listened for a while.
    NobodyListens,
    /// The mount was deleted.
    NoMount,
}

/// The machine of one ladder.
#[derive(Clone, Debug)]
pub struct Ladder {
    flowed: Instant,
}

impl Ladder {
    /// A ladder that is looked at from now on.
    pub fn new(now: Instant) -> Self {
        Self { flowed: now }
    }

    /// When a rung flowed last.
    pub fn flowed(&self) -> Instant {
        self.flowed
    }

    /// The states of the rungs.
    pub fn states(look: &LadderLook, now: Instant) -> Vec<RungState> {
        let rungs = look.rungs.iter().enumerate();
        rungs.map(|(at, rung)| rung.state(at == 0, now)).collect()
    }

    /// Decides what listeners hear. It may be asked at any time, and says the same until something has changed.
    pub fn step(&mut self, look: &LadderLook, now: Instant) -> LadderStep {
        let states = Self::states(look, now);
        let playing = look.heard.and_then(|heard| heard.rung);
        let choice = Choice {
            playing,
            returns: look.returns,
            switched_to: look.switched_to,
        };
        let chosen = ladder::choose(&states, choice);
        let Some(rung) = chosen.or_else(|| replaced(playing, &states)) else {
            let silent = now.saturating_duration_since(self.flowed);
            return match silent > look.linger {
                true => LadderStep::Leave(LeaveReason::NothingFlows),
                false => LadderStep::Wait,
            };
        };
        self.flowed = now;
        let idle_since = look.heard.and_then(|heard| heard.idle_since);
        let is_idle = idle_since.is_some_and(|since| now.saturating_duration_since(since) > LINGER);
        // A stream of its own is kept by its pull.
        if is_idle && playing != Some(0) {
            return LadderStep::Leave(LeaveReason::NobodyListens);
        }
        // Nodes that only hold the mount's own stream for others need no fallback.
        let has_audience = look.heard.is_none_or(|heard| heard.has_audience);
        if rung > 0 && playing == Some(0) && !has_audience {
            return LadderStep::Wait;
        }
        match look.rungs[rung].is_here(now) {
            true => LadderStep::Hear(rung),
            false => LadderStep::Fetch {
                rung,
                meanwhile: playing.is_some_and(|it| it != rung && states[it] == RungState::Flows),
            },
        }
    }
}

/// The fallback that is heard, if it goes on in another format, as a file does in whose place another one was put. Nothing else
/// flows, and what they have heard never comes back: that is worth that players ask for it anew.
fn replaced(playing: Option<usize>, states: &[RungState]) -> Option<usize> {
    playing.filter(|rung| *rung > 0 && states.get(*rung) == Some(&RungState::OtherFormat))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rung of a mount that is there, without a stream.
    const OFF_AIR: RungLook = RungLook {
        exists: true,
        ring: None,
        elsewhere: None,
        is_made_on_demand: false,
        may_go_on: true,
        is_silent: false,
    };

    fn ring(look: RingLook, last_fed: Instant) -> RungRing {
        RungRing {
            stream_id: StreamId(1),
            look,
            has_source_here: false,
            last_fed,
            goes_on: Some(true),
        }
    }

    fn elsewhere(stream_id: u128) -> RungLook {
        RungLook {
            elsewhere: Some(StreamId(stream_id)),
            ..OFF_AIR
        }
    }

    fn here(now: Instant) -> RungLook {
        RungLook {
            ring: Some(ring(RingLook::Open, now)),
            ..elsewhere(1)
        }
    }

    /// A stream that has been over for long enough.
    fn over(now: Instant) -> RungLook {
        let finished = RingLook::Finished { sounds_until: None };
        RungLook {
            ring: Some(ring(finished, now - SUCCESSION)),
            ..OFF_AIR
        }
    }

    fn look(rungs: [RungLook; 2], rung: Option<usize>) -> LadderLook {
        LadderLook {
            rungs: rungs.into(),
            heard: rung.map(|rung| HeardLook {
                rung: Some(rung),
                has_audience: true,
                idle_since: None,
            }),
            returns: true,
            switched_to: None,
            linger: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_fallback_is_fetched_and_then_heard() {
        let now = Instant::now();
        let mut ladder = Ladder::new(now);
        for (rungs, playing, step) in [
            ([here(now), elsewhere(2)], Some(0), LadderStep::Hear(0)),
            (
                [over(now), elsewhere(2)],
                Some(0),
                LadderStep::Fetch {
                    rung: 1,
                    meanwhile: false,
                },
            ),
            ([over(now), here(now)], Some(0), LadderStep::Hear(1)),
            (
                [elsewhere(3), here(now)],
                Some(1),
                LadderStep::Fetch {
                    rung: 0,
                    meanwhile: true,
                },
            ),
            ([here(now), here(now)], Some(1), LadderStep::Hear(0)),
            ([OFF_AIR, OFF_AIR], Some(1), LadderStep::Wait),
            ([OFF_AIR, OFF_AIR], None, LadderStep::Wait),
        ] {
            assert_eq!(ladder.step(&look(rungs, playing), now), step, "{rungs:?}");
        }
    }

    #[test]
    fn the_end_that_this_node_has_seen_counts_before_gossip() {
        let now = Instant::now();
        let mut ladder = Ladder::new(now);
        // Gossip still shows the source of the stream that is over here.
        let stale = RungLook {
            elsewhere: Some(StreamId(1)),
            ..over(now)
        };
        let step = ladder.step(&look([stale, here(now)], Some(0)), now);
        assert_eq!(step, LadderStep::Hear(1));
        // The next stream is another one.
        let next = RungLook {
            elsewhere: Some(StreamId(7)),
            ..over(now)
        };
        let step = ladder.step(&look([next, here(now)], Some(1)), now);
        assert_eq!(
            step,
            LadderStep::Fetch {
                rung: 0,
                meanwhile: true
            }
        );
    }

    #[test]
    fn a_stream_without_a_known_source_may_stutter() {
        let begun = Instant::now();
        let mut ladder = Ladder::new(begun);
        let cut_off = RungLook {
            ring: Some(ring(RingLook::Open, begun)),
            ..OFF_AIR
        };
        for (after_ms, step) in [(1_900, LadderStep::Hear(0)), (2_000, LadderStep::Hear(1))] {
            let now = begun + Duration::from_millis(after_ms);
            let step_now = ladder.step(&look([cut_off, here(now)], Some(0)), now);
            assert_eq!(step_now, step, "after {after_ms} ms");
        }
    }

    #[test]
    fn the_next_stream_is_waited_for_before_a_fallback_is_heard() {
        let now = Instant::now();
        let mut ladder = Ladder::new(now);
        let mut ended = over(now);
        ended.ring.as_mut().unwrap().last_fed = now;
        let look = look([ended, here(now)], Some(0));
        let waits = LadderStep::Fetch {
            rung: 0,
            meanwhile: false,
        };
        assert_eq!(ladder.step(&look, now), waits);
        assert_eq!(ladder.step(&look, now + SUCCESSION), LadderStep::Hear(1));
    }

    #[test]
    fn listeners_are_left_when_nothing_has_flowed_for_long() {
        let begun = Instant::now();
        let mut ladder = Ladder::new(begun);
        let nothing = look([over(begun), OFF_AIR], Some(1));
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(ladder.step(&nothing, at(10)), LadderStep::Wait);
        let leave = LadderStep::Leave(LeaveReason::NothingFlows);
        assert_eq!(ladder.step(&nothing, at(11)), leave);
        let flows = look([over(begun), here(at(12))], Some(1));
        assert_eq!(ladder.step(&flows, at(12)), LadderStep::Hear(1));
        assert_eq!(ladder.step(&nothing, at(22)), LadderStep::Wait);
    }

    #[test]
    fn a_fallback_that_nobody_hears_is_left() {
        let begun = Instant::now();
        let mut ladder = Ladder::new(begun);
        let idle = |rung, seconds| {
            let now = begun + Duration::from_secs(seconds);
            let mut look = look([over(begun), here(now)], Some(rung));
            let heard = look.heard.as_mut().unwrap();
            heard.idle_since = Some(begun);
            (look, now)
        };
        let (kept, now) = idle(1, 30);
        assert_eq!(ladder.step(&kept, now), LadderStep::Hear(1));
        let (left, now) = idle(1, 31);
        let leave = LadderStep::Leave(LeaveReason::NobodyListens);
        assert_eq!(ladder.step(&left, now), leave);
    }

    #[test]
    fn a_node_that_only_holds_the_stream_needs_no_fallback() {
        let now = Instant::now();
        let mut ladder = Ladder::new(now);
        let mut held = look([over(now), elsewhere(2)], Some(0));
        held.heard.as_mut().unwrap().has_audience = false;
        assert_eq!(ladder.step(&held, now), LadderStep::Wait);
        held.rungs[0] = elsewhere(3);
        let step = ladder.step(&held, now);
        assert_eq!(
            step,
            LadderStep::Fetch {
                rung: 0,
                meanwhile: false
            }
        );
    }

    #[test]
    fn a_silent_stream_is_passed_over_where_its_mount_says_so() {
        let now = Instant::now();
        let mut ladder = Ladder::new(now);
        let silent = RungLook {
            is_silent: true,
            ..here(now)
        };
        let own = look([silent, here(now)], Some(0));
        assert_eq!(Ladder::states(&own, now)[0], RungState::Silent);
        assert_eq!(ladder.step(&own, now), LadderStep::Hear(1));
        let back = look([here(now), here(now)], Some(1));
        assert_eq!(ladder.step(&back, now), LadderStep::Hear(0));
    }

    #[test]
    fn another_format_is_no_rung_for_those_who_listen() {
        let now = Instant::now();
        let mut misfit = here(now);
        misfit.ring.as_mut().unwrap().goes_on = Some(false);
        let mut unknown = here(now);
        unknown.ring.as_mut().unwrap().goes_on = None;
        let other_type = RungLook {
            may_go_on: false,
            ..elsewhere(4)
        };
        for (rung, state) in [
            (misfit, RungState::OtherFormat),
            (unknown, RungState::OffAir),
            (other_type, RungState::OtherFormat),
            (here(now), RungState::Flows),
        ] {
            assert_eq!(
                Ladder::states(&look([over(now), rung], Some(0)), now)[1],
                state
            );
        }
        // Their own mount's stream counts whatever it is.
        let own = Ladder::states(&look([misfit, here(now)], Some(1)), now)[0];
        assert_eq!(own, RungState::Flows);
    }
    #[test]
    fn a_fallback_that_goes_on_in_another_format_is_heard_if_nothing_else_flows() {
        let now = Instant::now();
        let mut ladder = Ladder::new(now);
        let replaced = RungLook {
            may_go_on: false,
            is_made_on_demand: true,
            ..OFF_AIR
        };
        let mut look = look([over(now), replaced], Some(1));
        let fetch = LadderStep::Fetch {
            rung: 1,
            meanwhile: false,
        };
        assert_eq!(ladder.step(&look, now), fetch);
        look.rungs.push(here(now));
        assert_eq!(ladder.step(&look, now), LadderStep::Hear(2));
        // Those who have heard another stream may still get that back.
        let own = LadderLook {
            rungs: vec![over(now), replaced],
            heard: Some(HeardLook {
                rung: Some(0),
                has_audience: true,
                idle_since: None,
            }),
            ..look
        };
        assert_eq!(ladder.step(&own, now), LadderStep::Wait);
    }
}
