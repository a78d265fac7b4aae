//! The ladder of one mount at one node: which rung its listeners hear, and when they are left without one.
//!
//! Nobody else is asked: what a node knows by gossip, and of the rings that it has, is all that counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::logic::ladder::{self, Choice};
use crate::model::mount::{MountName, MountSpec};
use crate::model::status::rung::RungState;
use crate::model::stream::StreamId;
use crate::proto::listener::prospect::RingLook;
use crate::proto::making::{Making, making};
use crate::proto::on_air;
use crate::proto::pull::LINGER;
use crate::proto::view::MeshView;

/// How long a stream that no node is known to send may bring nothing before its listeners go on with another one. Lines over
/// which audio is sent stutter for a second now and then, and listeners have five seconds in store.
const STUTTER: Duration = Duration::from_secs(2);

/// How long a stream that is over still counts as flowing: another source takes its place, an encoder connects again at once,
/// or a transcoder moves. Gossip tells of the next stream within two rounds, and listeners have five seconds in store.
const SUCCESSION: Duration = Duration::from_secs(1);

/// How long a stream that is over and was sent ahead of its time still counts as flowing at most: who came late has five seconds of it
/// in store. Those that have more hear it to its end before they hear what follows.
const IN_STORE: Duration = Duration::from_secs(3);

/// How long the best rung that flows is waited for before who waits hears the best other one. A stream on demand begins within one
/// second, or two on a small machine, and a listener who comes waits for five in all: the others have the rest.
const AWAITED: Duration = Duration::from_secs(2);

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

/// The prospect of a rung that is made on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DemandLook {
    /// The stream is not made on demand, or cannot be.
    #[default]
    No,
    /// The stream did not come when it was wanted last, or nobody can make it now. It may come if it is wanted again.
    Doubtful,
    /// The stream begins as soon as somebody wants it.
    Yes,
}

impl From<Making> for DemandLook {
    fn from(making: Making) -> Self {
        match making {
            Making::Never => Self::No,
            Making::Impossible(_) | Making::Doubtful(_) => Self::Doubtful,
            Making::Promised => Self::Yes,
        }
    }
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
    /// The prospect of its stream, if it is made on demand.
    pub demand: DemandLook,
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
        demand: DemandLook::No,
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
            demand: making(rung, mounts, view).into(),
            may_go_on: source.is_none_or(|(_, card)| may_go_on(&card.content_type)),
            is_silent: on_air::fails_by_silence(rung, mounts, view),
        }
    }

    fn flows(&self, now: Instant) -> bool {
        let Some(ring) = self.ring else {
            return self.elsewhere.is_some() || self.demand == DemandLook::Yes;
        };
        let has_next = self.elsewhere.is_some_and(|it| it != ring.stream_id);
        let unfed = now.saturating_duration_since(ring.last_fed);
        match ring.look {
            RingLook::Open => ring.has_source_here || self.elsewhere.is_some() || unfed < STUTTER,
            finished => {
                let sounds = finished.can_be_joined(now) && unfed < IN_STORE;
                sounds || has_next || unfed < SUCCESSION
            }
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
    /// Since when the best rung that flows is awaited, because its stream is not here.
    awaited_since: Option<Instant>,
    sought: Vec<usize>,
}

impl Ladder {
    /// A ladder that is looked at from now on.
    pub fn new(now: Instant) -> Self {
        Self {
            flowed: now,
            awaited_since: None,
            sought: Vec::new(),
        }
    }

    /// When a rung flowed last.
    pub fn flowed(&self) -> Instant {
        self.flowed
    }

    /// The rungs whose streams are to be fetched, or made: each of them is heard as soon as it is here, unless a better one is.
    pub fn sought(&self) -> &[usize] {
        &self.sought
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
        let has_audience = look.heard.is_none_or(|heard| heard.has_audience);
        self.sought.clear();
        let chosen = ladder::choose(&states, choice);
        let Some(best) = chosen.or_else(|| replaced(playing, &states)) else {
            self.awaited_since = None;
            // What was sent ahead is heard to its end; only then the listeners are kept for what may come.
            if playing.is_some_and(|rung| look.rungs[rung].is_here(now)) {
                self.flowed = now;
            }
            let silent = now.saturating_duration_since(self.flowed);
            if silent > look.linger {
                return LadderStep::Leave(LeaveReason::NothingFlows);
            }
            self.seek_doubtful(look, look.rungs.len(), has_audience);
            return LadderStep::Wait;
        };
        self.flowed = now;
        let idle_since = look.heard.and_then(|heard| heard.idle_since);
        let is_idle = idle_since.is_some_and(|since| now.saturating_duration_since(since) > LINGER);
        // A stream of its own is kept by its pull.
        if is_idle && playing != Some(0) {
            return LadderStep::Leave(LeaveReason::NobodyListens);
        }
        // Nodes that only hold the mount's own stream for others need no fallback.
        if best > 0 && playing == Some(0) && !has_audience {
            return LadderStep::Wait;
        }
        self.seek_doubtful(look, best, has_audience);
        if look.rungs[best].is_here(now) {
            self.awaited_since = None;
            return LadderStep::Hear(best);
        }
        let since = *self.awaited_since.get_or_insert(now);
        if now.saturating_duration_since(since) < AWAITED {
            self.sought.push(best);
            return LadderStep::Fetch {
                rung: best,
                meanwhile: playing.is_some_and(|it| it != best && states[it] == RungState::Flows),
            };
        }
        self.do_without(best, choice, &states, look, now)
    }

    /// The best rung has not come in time: whichever is here is heard, and all that are better are fetched.
    fn do_without(
        &mut self,
        best: usize,
        choice: Choice,
        states: &[RungState],
        look: &LadderLook,
        now: Instant,
    ) -> LadderStep {
        let is_here = |rung: usize| look.rungs[rung].is_here(now);
        let here = states.iter().enumerate().map(|(rung, state)| match state {
            state if is_here(rung) => *state,
            _ => RungState::OffAir,
        });
        let heard = ladder::choose(&here.collect::<Vec<_>>(), choice);
        let better = 0..heard.unwrap_or(states.len());
        let awaited = better.filter(|rung| states[*rung] == RungState::Flows && !is_here(*rung));
        self.sought.extend(awaited);
        if !self.sought.contains(&best) {
            self.sought.push(best);
        }
        heard.map_or(
            LadderStep::Fetch {
                rung: best,
                meanwhile: false,
            },
            LadderStep::Hear,
        )
    }

    /// Has what is made on demand and has failed tried again where it would be heard rather than this rung.
    fn seek_doubtful(&mut self, look: &LadderLook, heard: usize, has_audience: bool) {
        let rungs = look.rungs.iter().enumerate();
        let better = rungs.filter(|(at, _)| *at < heard || look.switched_to == Some(*at));
        let doubtful = better.filter(|(_, it)| it.demand == DemandLook::Doubtful && has_audience);
        let doubtful = doubtful.filter(|(_, it)| it.ring.is_none() && it.elsewhere.is_none());
        self.sought.extend(doubtful.map(|(at, _)| at));
    }
}

/// The fallback that is heard, if it goes on in another format, as a file does in whose place another one was put. Nothing else
/// flows, and what they have heard never comes back: that is worth that players ask for it anew.
fn replaced(playing: Option<usize>, states: &[RungState]) -> Option<usize> {
    playing.filter(|rung| *rung > 0 && states.get(*rung) == Some(&RungState::OtherFormat))
}

#[cfg(test)]
mod tests;
