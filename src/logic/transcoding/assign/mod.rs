//! The seats of transcoders that a node stands for: by what all nodes gossip, so that all of them think alike.
//!
//! Only what is made takes room: any number of seats may wait for their sources at a node. A holder keeps what it holds,
//! whatever its load, as long as it has room for it, what it makes already before all else: nothing is taken from a node
//! that works. A node that leaves keeps what it makes until another one has room for that. Every other seat is assigned
//! to the node that will then be the least used. Where two nodes see the mesh differently and both stand, the election
//! decides; where neither does, everybody able stands after [`PATIENCE`].

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::logic::election::rendezvous;
use crate::model::format::CodecName;
use crate::model::node::NodeName;
use crate::model::seat::Seat;
use crate::model::transcoding::TranscoderStage;

/// How long a seat may be vacant before a node stands for it although it is assigned to another one.
///
/// An assigned node needs one gossip interval (250 ms) to see that the seat is vacant, one to challenge and one to be
/// heard; with a lost message twice that. Later, its view must be another one.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How busy the processors of a node may be so that it gets a seat while others are less busy, per mille: the encoder of a
/// stream takes up to a fifth of a small machine.
pub const BUSY_PERMILLE: u16 = 800;

/// A node that could run transcoders now. One that lacks its tool or may be dead is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The codecs that it can make.
    pub codecs: Vec<CodecName>,
    /// The most transcoders that make something at once.
    pub most: u32,
    /// The share of its processors in use; `None` if unknown.
    pub cpu_permille: Option<u16>,
    /// Whether it leaves, so that it gets no seat.
    pub is_leaving: bool,
}

/// The seat of a transcoder, as a node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscoderSeat {
    /// The codec to be made.
    pub codec: CodecName,
    /// Whether there is something to make: there is a source, and somebody wants it.
    pub is_needed: bool,
    /// The node that holds it.
    pub holder: Option<NodeName>,
    /// How far that node is with it.
    pub stage: TranscoderStage,
    /// Whether it has been vacant for [`PATIENCE`].
    pub is_overdue: bool,
}

/// The runners by name.
pub type Runners = BTreeMap<NodeName, Runner>;
/// The transcoders' seats.
pub type TranscoderSeats = BTreeMap<Seat, TranscoderSeat>;

/// The seats that a node stands for. Never more of those that take room than it can run.
pub fn stood_for(me: &NodeName, runners: &Runners, seats: &TranscoderSeats) -> BTreeSet<Seat> {
    let Some(own) = runners.get(me) else {
        return BTreeSet::new();
    };
    let assigned = assign(runners, seats);
    let ours = assigned.iter().filter(|(_, runner)| **runner == me);
    let mut ours: BTreeSet<Seat> = ours.map(|(seat, _)| (*seat).clone()).collect();
    if own.is_leaving {
        return ours;
    }
    let is_open = |seat: &Seat, it: &TranscoderSeat| {
        it.is_overdue && own.can_make(it.codec) && own.most > 0 && !ours.contains(seat)
    };
    let overdue = seats.iter().filter(|(seat, it)| is_open(seat, it));
    let mut overdue: Vec<(&Seat, &TranscoderSeat)> = overdue.collect();
    overdue.sort_by_cached_key(|(seat, _)| Reverse(rendezvous(seat, me)));
    let taking = ours.iter().filter(|seat| seats[*seat].takes_room());
    let mut room = own.most.saturating_sub(taking.count() as u32);
    for (seat, it) in overdue {
        if it.takes_room() {
            let Some(rest) = room.checked_sub(1) else {
                continue;
            };
            room = rest;
        }
        ours.insert(seat.clone());
    }
    ours
}

/// The work of a node with the seats that it is assigned.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// The seats that take room.
    active: u32,
    /// All of them.
    total: u32,
}

/// The seats that are assigned so far, and what that makes each node do.
#[derive(Default)]
struct Assignment<'a> {
    nodes: BTreeMap<&'a Seat, &'a NodeName>,
    loads: BTreeMap<&'a NodeName, Load>,
}

impl<'a> Assignment<'a> {
    fn put(&mut self, seat: &'a Seat, it: &TranscoderSeat, node: &'a NodeName) {
        self.nodes.insert(seat, node);
        let load = self.loads.entry(node).or_default();
        load.total += 1;
        load.active += u32::from(it.takes_room());
    }

    fn load(&self, node: &NodeName) -> Load {
        self.loads.get(node).copied().unwrap_or_default()
    }

    /// Gives a seat to the node that will then be the least used, if one has room.
    fn give(&mut self, seat: &'a Seat, it: &TranscoderSeat, runners: &'a Runners) {
        let has_room = |name: &NodeName, runner: &Runner| match it.takes_room() {
            true => self.load(name).active < runner.most,
            false => runner.most > 0,
        };
        let able = runners.iter().filter(|(name, runner)| {
            !runner.is_leaving && runner.can_make(it.codec) && has_room(name, runner)
        });
        let best = able.min_by_key(|(name, runner)| {
            let load = self.load(name);
            let all = runner.share_with_one_more(load.total);
            let share = match it.takes_room() {
                true => runner.share_with_one_more(load.active),
                false => all,
            };
            (
                runner.is_busy(),
                share,
                all,
                Reverse(rendezvous(seat, name)),
            )
        });
        if let Some((name, _)) = best {
            self.put(seat, it, name);
        }
    }
}

/// The node for each seat. Left out is a seat that no node with room can take.
fn assign<'a>(
    runners: &'a Runners,
    seats: &'a TranscoderSeats,
) -> BTreeMap<&'a Seat, &'a NodeName> {
    let mut assignment = Assignment::default();
    for (seat, name) in kept(runners, seats) {
        assignment.put(seat, &seats[seat], name);
    }
    // What is needed first: the others do not hinder it.
    for takes_room in [true, false] {
        let these = seats.iter().filter(|(_, it)| it.takes_room() == takes_room);
        for (seat, it) in these {
            if !assignment.nodes.contains_key(seat) {
                assignment.give(seat, it, runners);
            }
        }
    }
    for (seat, it) in seats {
        let runs = it.stage == TranscoderStage::Running;
        let holder = it.holder.as_ref().filter(|_| runs);
        let holder = holder.and_then(|name| runners.get_key_value(name));
        if let Some((name, _)) = holder.filter(|(_, runner)| runner.is_leaving) {
            assignment.nodes.entry(seat).or_insert(name);
        }
    }
    assignment.nodes
}

/// The seats whose holders keep them: of those that take room up to the most that each can run, those that it makes
/// already first, then those of its greatest ranks.
fn kept<'a>(runners: &'a Runners, seats: &'a TranscoderSeats) -> BTreeMap<&'a Seat, &'a NodeName> {
    let mut held: BTreeMap<&NodeName, Vec<&Seat>> = BTreeMap::new();
    for (seat, it) in seats {
        let holder = it.holder.as_ref();
        let able = holder.and_then(|name| runners.get_key_value(name));
        let stays = |runner: &Runner| !runner.is_leaving && runner.can_make(it.codec);
        if let Some((name, _)) = able.filter(|(_, runner)| stays(runner)) {
            held.entry(name).or_default().push(seat);
        }
    }
    let mut kept = BTreeMap::new();
    for (name, mut held) in held {
        let most = runners[name].most as usize;
        if held
            .iter()
            .filter(|seat| seats[**seat].takes_room())
            .count()
            > most
        {
            held.sort_by_cached_key(|seat| {
                let it = &seats[*seat];
                (it.stage_rank(), Reverse(rendezvous(seat, name)))
            });
            let mut room = most;
            held.retain(|seat| {
                let takes_room = seats[*seat].takes_room();
                let fits = !takes_room || room > 0;
                room = room.saturating_sub(usize::from(takes_room));
                fits
            });
        }
        kept.extend(held.into_iter().map(|seat| (seat, name)));
    }
    kept
}

impl TranscoderSeat {
    /// Whether a program runs for it, or has to.
    fn takes_room(&self) -> bool {
        self.is_needed || (self.stage.runs() && self.holder.is_some())
    }

    /// The place of its stage among those that keep their room: the lower first.
    fn stage_rank(&self) -> u8 {
        match self.stage {
            TranscoderStage::Running => 0,
            TranscoderStage::Starting => 1,
            _ => 2,
        }
    }
}

impl Runner {
    /// Whether it can make a codec. One whose name this version does not know is made by nobody.
    fn can_make(&self, codec: CodecName) -> bool {
        codec != CodecName::Unknown && self.codecs.contains(&codec)
    }

    /// Whether it may make a codec, if it has room.
    pub fn is_able(&self, codec: CodecName) -> bool {
        self.most > 0 && self.can_make(codec)
    }

    fn is_busy(&self) -> bool {
        self.cpu_permille.is_some_and(|share| share > BUSY_PERMILLE)
    }

    /// The share of its room in use once it runs one more than this, in millionths.
    fn share_with_one_more(&self, runs: u32) -> u64 {
        (u64::from(runs) + 1) * 1_000_000 / u64::from(self.most).max(1)
    }
}
