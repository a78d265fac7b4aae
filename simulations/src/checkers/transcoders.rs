//! The promises of the transcoders' seats: each is held by one node that can run it, and no node holds more than it can run
//! of those for which there is something to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon::model::node::NodeName;
use antiphon::model::seat::Seat;
use antiphon::proto::transcoder_seats::TranscoderTask;

use super::Violations;
use super::election::START_INTERVALS;
use super::seats::{AGREEMENT_INTERVALS, Sitter, groups};
use crate::tools::{Toolbox, Tools};

/// How long two nodes that hear each other may hold a seat, in gossip intervals: as long as the master's, 4 and twice the
/// greatest delay, and 2 because nothing wakes a node for what these wait for but its looks.
const DUAL_INTERVALS: u32 = 7;
/// How long after a fault everything else must hold, in gossip intervals: the agreement of other seats, 8 of patience with
/// the node that a seat is assigned to, and 4 for the election after that.
const SETTLED_INTERVALS: u32 = AGREEMENT_INTERVALS + 12;

/// The judge of the transcoders' seats.
#[derive(Debug)]
pub struct TranscoderRules {
    seats: BTreeMap<Seat, TranscoderTask>,
    interval: Duration,
    deadline: Duration,
    /// Since when each seat has had two holders in one part of the mesh.
    dual_since: BTreeMap<Seat, Duration>,
    violations: Violations,
}

impl TranscoderRules {
    /// The judge of these seats in a world that is about to start.
    pub fn new(seats: BTreeMap<Seat, TranscoderTask>, interval: Duration) -> Self {
        Self {
            seats,
            interval,
            deadline: interval * (START_INTERVALS + SETTLED_INTERVALS),
            dual_since: BTreeMap::new(),
            violations: Violations::default(),
        }
    }

    /// Something is about to happen to this world, or hides nodes from each other.
    pub fn fault(&mut self, now: Duration) {
        let bound = now + self.interval * SETTLED_INTERVALS;
        self.deadline = self.deadline.max(bound);
        self.dual_since.clear();
    }

    /// Looks at all running nodes.
    pub fn look(&mut self, now: Duration, sitters: &[Sitter]) {
        let groups = groups(sitters);
        self.look_at_duals(now, &groups);
        let has_settled = now > self.deadline;
        for sitter in sitters {
            if let Some(what) = self.unfit(sitter, has_settled) {
                self.violations.note("O3", now, || what);
            }
        }
        for group in groups.iter().filter(|_| has_settled) {
            for (seat, task) in &self.seats {
                if let Some(what) = self.wrong(group, seat, *task) {
                    self.violations.note("O4", now, || what);
                }
            }
        }
    }

    /// The rules that were broken.
    pub fn finish(self) -> Vec<String> {
        self.violations.0
    }

    fn look_at_duals(&mut self, now: Duration, groups: &[Vec<&Sitter>]) {
        let is_dual = |seat: &Seat| groups.iter().any(|group| holders(group, seat).len() > 1);
        let dual = self.seats.keys().filter(|seat| is_dual(seat)).cloned();
        let dual: BTreeSet<Seat> = dual.collect();
        self.dual_since.retain(|seat, _| dual.contains(seat));
        for seat in dual {
            let since = *self.dual_since.entry(seat.clone()).or_insert(now);
            if now - since > self.interval * DUAL_INTERVALS {
                let since_s = since.as_secs_f64();
                let what = || format!("{seat} has had two holders since {since_s:.3} s");
                self.violations.note("O2", now, what);
            }
        }
    }

    /// The reason why a node must not hold what it holds, if there is one. What it could never run it never holds; what it
    /// can run no more it leaves in time.
    fn unfit(&self, sitter: &Sitter, has_settled: bool) -> Option<String> {
        let held = self.held(sitter);
        let can_make =
            |toolbox: &Toolbox| held.values().all(|it| toolbox.codecs.contains(&it.codec));
        let is_right = held.is_empty()
            || match &sitter.tools {
                Tools::Missing => false,
                Tools::Broken(toolbox) => can_make(toolbox) && !has_settled,
                Tools::Working(toolbox) => {
                    let is_within = self.running(sitter) <= toolbox.most as usize;
                    can_make(toolbox) && (!has_settled || (is_within && !sitter.is_draining))
                }
            };
        (!is_right).then(|| {
            let Sitter { name, tools, .. } = sitter;
            format!("{name} with {tools:?} holds {held:?}")
        })
    }

    /// How many transcoders a node runs.
    fn running(&self, sitter: &Sitter) -> usize {
        self.held(sitter).values().filter(|it| it.is_needed).count()
    }

    fn held(&self, sitter: &Sitter) -> BTreeMap<&Seat, &TranscoderTask> {
        let held = self.seats.iter();
        held.filter(|(seat, _)| sitter.holds.contains(*seat))
            .collect()
    }

    /// The fault of a seat among those who hear each other, if it has one.
    fn wrong(&self, group: &[&Sitter], seat: &Seat, task: TranscoderTask) -> Option<String> {
        let followed: BTreeSet<Option<&NodeName>> =
            group.iter().map(|it| it.follows.get(seat)).collect();
        let holders = holders(group, seat);
        let has_room = |sitter: &&Sitter| match &sitter.tools {
            Tools::Working(toolbox) => {
                let is_able = toolbox.codecs.contains(&task.codec) && sitter.is_eligible();
                let running = match task.is_needed {
                    true => self.running(sitter),
                    false => 0,
                };
                is_able && running < toolbox.most as usize
            }
            _ => false,
        };
        let is_right = match holders[..] {
            [] => followed == [None].into() && !group.iter().any(has_room),
            [holder] => followed == [Some(holder)].into(),
            _ => true, // which is judged by its duration
        };
        (!is_right).then(|| format!("{seat} is held by {holders:?}, and {followed:?} are followed"))
    }
}

fn holders<'a>(group: &[&'a Sitter], seat: &Seat) -> Vec<&'a NodeName> {
    let holders = group.iter().filter(|it| it.holds.contains(seat));
    holders.map(|it| &it.name).collect()
}

#[cfg(test)]
mod tests {
    use antiphon::model::format::CodecName;

    use super::*;

    const G: Duration = Duration::from_millis(250);
    /// The seat for which there is nothing to do.
    const SILENT: u32 = 3;
    const LATE: Duration = Duration::from_secs(60);

    fn seat(number: u32) -> Seat {
        Seat::Transcoder(format!("/t{number}").parse().unwrap())
    }

    /// A node that can make Opus, two at once, holds these seats, and follows itself there.
    fn sitter(name: &str, holds: &[u32]) -> Sitter {
        let name: NodeName = name.parse().unwrap();
        let holds: BTreeSet<Seat> = holds.iter().copied().map(seat).collect();
        let follows = holds.iter().map(|seat| (seat.clone(), name.clone()));
        Sitter {
            component: 0,
            is_draining: false,
            is_young: false,
            tools: Tools::Working(Toolbox {
                codecs: vec![CodecName::Opus],
                most: 2,
            }),
            follows: follows.collect(),
            holds,
            name,
        }
    }

    fn following(mut sitter: Sitter, holder: &str, seats: &[u32]) -> Sitter {
        let holder: NodeName = holder.parse().unwrap();
        let follows = seats.iter().map(|number| (seat(*number), holder.clone()));
        sitter.follows.extend(follows);
        sitter
    }

    fn rules(seats: u32) -> TranscoderRules {
        let task = |number| TranscoderTask {
            codec: CodecName::Opus,
            is_needed: number != SILENT,
        };
        let seats = (0..seats).map(|number| (seat(number), task(number)));
        TranscoderRules::new(seats.collect(), G)
    }

    fn broken(seats: u32, sitters: &[Sitter], at: Duration) -> String {
        let mut rules = rules(seats);
        rules.look(at, sitters);
        rules.finish().join("; ")
    }

    #[test]
    fn a_seat_is_held_where_somebody_has_room() {
        let held = sitter("a", &[0]);
        let follower = following(sitter("b", &[]), "a", &[0]);
        assert_eq!(broken(1, &[held.clone(), follower], LATE), "");
        assert!(broken(1, &[held.clone(), sitter("b", &[])], LATE).starts_with("O4"));
        assert!(broken(2, std::slice::from_ref(&held), LATE).starts_with("O4"));
        assert_eq!(broken(2, &[held], G * 20), "", "it is just starting");
        assert_eq!(broken(3, &[sitter("a", &[0, 1])], LATE), "", "it is full");
        assert_eq!(broken(4, &[sitter("a", &[0, 1, SILENT])], LATE), "");
        assert!(broken(4, &[sitter("a", &[0, 1])], LATE).starts_with("O4"));
        let mut deaf = sitter("a", &[]);
        deaf.tools = Tools::Missing;
        assert_eq!(broken(1, &[deaf], LATE), "");
    }

    #[test]
    fn a_node_holds_nothing_that_it_cannot_run() {
        let mut bare = sitter("a", &[0]);
        let toolbox = Toolbox {
            codecs: vec![CodecName::Mp3],
            most: 2,
        };
        for tools in [Tools::Missing, Tools::Working(toolbox)] {
            bare.tools = tools;
            assert!(broken(1, std::slice::from_ref(&bare), G).starts_with("O3"));
        }
        let mut lost = sitter("a", &[0]);
        lost.tools.fail();
        assert_eq!(broken(1, std::slice::from_ref(&lost), G), "");
        assert!(broken(1, std::slice::from_ref(&lost), LATE).starts_with("O3"));
        lost.tools.mend();
        lost.is_draining = true;
        assert!(broken(1, &[lost], LATE).starts_with("O3"));
        assert!(broken(3, &[sitter("a", &[0, 1, 2])], LATE).starts_with("O3"));
    }

    #[test]
    fn two_holders_are_borne_for_a_while_after_each_fault() {
        let both = [sitter("a", &[0]), sitter("b", &[0])];
        let mut rules = rules(1);
        let mut now = Duration::ZERO;
        for _ in 0..3 {
            rules.fault(now);
            rules.look(now, &both);
            now += G * DUAL_INTERVALS;
            rules.look(now, &both);
        }
        assert!(rules.violations.0.is_empty());
        rules.look(now + G, &both);
        assert!(rules.finish()[0].starts_with("O2"));
    }
}
