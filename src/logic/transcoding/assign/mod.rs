//! The seats of transcoders that a node stands for: by what all nodes gossip, so that all of them think alike.
//!
//! A holder keeps what it holds, whatever its load: nothing is taken from a node that works. Only a seat without a holder
//! that may keep it is assigned, to the node that will then be the least used. Where two nodes see the mesh differently and
//! both stand, the election decides; where neither does, everybody able stands after [`PATIENCE`].

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::logic::election::rendezvous;
use crate::model::format::CodecName;
use crate::model::node::NodeName;
use crate::model::seat::Seat;

/// How long a seat may be vacant before a node stands for it although it is assigned to another one.
///
/// An assigned node needs one gossip interval (250 ms) to see that the seat is vacant, one to challenge and one to be
/// heard; with a lost message twice that. Later, its view must be another one.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How busy the processors of a node may be so that it gets a seat while others are less busy, per mille: the encoder of a
/// stream takes up to a fifth of a small machine.
pub const BUSY_PERMILLE: u16 = 800;

/// A node that could run transcoders now. One that drains, lacks its tool or may be dead is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The codecs that it can make.
    pub codecs: Vec<CodecName>,
    /// The most transcoders at once.
    pub most: u32,
    /// The share of its processors in use; `None` if unknown.
    pub cpu_permille: Option<u16>,
}

/// The seat of a transcoder, as a node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscoderSeat {
    /// The codec to be made.
    pub codec: CodecName,
    /// The node that holds it.
    pub holder: Option<NodeName>,
    /// Whether it has been vacant for [`PATIENCE`].
    pub is_overdue: bool,
}

/// The runners by name.
pub type Runners = BTreeMap<NodeName, Runner>;
/// The transcoders' seats.
pub type TranscoderSeats = BTreeMap<Seat, TranscoderSeat>;

/// The seats that a node stands for. Never more than it can run.
pub fn stood_for(me: &NodeName, runners: &Runners, seats: &TranscoderSeats) -> BTreeSet<Seat> {
    let Some(own) = runners.get(me) else {
        return BTreeSet::new();
    };
    let assigned = assign(runners, seats);
    let ours = assigned.iter().filter(|(_, runner)| **runner == me);
    let mut ours: BTreeSet<Seat> = ours.map(|(seat, _)| (*seat).clone()).collect();
    let is_open = |seat: &Seat, it: &TranscoderSeat| {
        it.is_overdue && own.can_make(it.codec) && !ours.contains(seat)
    };
    let mut overdue: Vec<&Seat> = seats
        .iter()
        .filter(|(seat, it)| is_open(seat, it))
        .map(|(seat, _)| seat)
        .collect();
    overdue.sort_by_cached_key(|seat| Reverse(rendezvous(seat, me)));
    let room = (own.most as usize).saturating_sub(ours.len());
    ours.extend(overdue.into_iter().take(room).cloned());
    ours
}

/// The node for each seat: its holder if that may keep it, else the one that will be the least used. Left out is a seat
/// that no node with room can take.
fn assign<'a>(
    runners: &'a Runners,
    seats: &'a TranscoderSeats,
) -> BTreeMap<&'a Seat, &'a NodeName> {
    let mut assigned = kept(runners, seats);
    let mut loads: BTreeMap<&NodeName, u32> = BTreeMap::new();
    for runner in assigned.values().copied() {
        *loads.entry(runner).or_default() += 1;
    }
    for (seat, it) in seats {
        if assigned.contains_key(seat) {
            continue;
        }
        let load = |name: &NodeName| loads.get(name).copied().unwrap_or_default();
        let able = runners
            .iter()
            .filter(|(name, runner)| runner.can_make(it.codec) && load(name) < runner.most);
        let best = able.min_by_key(|(name, runner)| {
            let share = runner.share_with_one_more(load(name));
            (runner.is_busy(), share, Reverse(rendezvous(seat, name)))
        });
        if let Some((name, _)) = best {
            assigned.insert(seat, name);
            *loads.entry(name).or_default() += 1;
        }
    }
    assigned
}

/// The seats whose holders keep them: up to the most that each can run, those of its greatest ranks first.
fn kept<'a>(runners: &'a Runners, seats: &'a TranscoderSeats) -> BTreeMap<&'a Seat, &'a NodeName> {
    let mut held: BTreeMap<&NodeName, Vec<&Seat>> = BTreeMap::new();
    for (seat, it) in seats {
        let holder = it.holder.as_ref();
        let able = holder.and_then(|name| runners.get_key_value(name));
        if let Some((name, _)) = able.filter(|(_, runner)| runner.can_make(it.codec)) {
            held.entry(name).or_default().push(seat);
        }
    }
    let mut kept = BTreeMap::new();
    for (name, mut seats) in held {
        let most = runners[name].most as usize;
        if seats.len() > most {
            seats.sort_by_cached_key(|seat| Reverse(rendezvous(seat, name)));
            seats.truncate(most);
        }
        kept.extend(seats.into_iter().map(|seat| (seat, name)));
    }
    kept
}

impl Runner {
    /// Whether it can make a codec. One whose name this version does not know is made by nobody.
    fn can_make(&self, codec: CodecName) -> bool {
        codec != CodecName::Unknown && self.codecs.contains(&codec)
    }

    fn is_busy(&self) -> bool {
        self.cpu_permille.is_some_and(|share| share > BUSY_PERMILLE)
    }

    /// The share of its room in use once it runs one more than this, in millionths.
    fn share_with_one_more(&self, runs: u32) -> u64 {
        (u64::from(runs) + 1) * 1_000_000 / u64::from(self.most).max(1)
    }
}
