//! The promises of the election: one master that all follow, and orders that no deposed master can give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon::model::node::NodeName;
use antiphon::model::quorum::Quorum;
use antiphon::model::seat::{Claim, Epoch, Fence};

use super::{Findings, Violations};
use crate::faults::Fault;

/// The bound of I1, in gossip intervals: 12 to detect, 1 to hold back, 3 to tell all nodes.
const AGREEMENT_INTERVALS: u32 = 16;
/// How long a start may take, and how old a node must be to be judged when it is among newcomers
/// only: it looks for its peers for 20 intervals, then elects within 8.
pub const START_INTERVALS: u32 = 28;
/// After the agreement bound, how long until all nodes must also have obeyed.
const OBEY_INTERVALS: u32 = 8;
/// After how many gossip intervals a minority holds no claim, if there is a guard.
const OUTVOTED_INTERVALS: u32 = 12;
/// The time that a planned hand-over may take beyond a round trip.
const HAND_OVER_SLACK: Duration = Duration::from_millis(100);
/// How many rounds a node stays passive after a pause.
const FROZEN_ROUNDS: u32 = 3;

/// A node that publishes a claim.
#[derive(Clone, Copy, Debug)]
pub struct Publisher {
    /// The epoch on its disk.
    pub on_disk: Epoch,
    /// How long it has run since it was paused last, by its own clock; `None` if it never was.
    pub awake: Option<Duration>,
}

/// A checker's view of a node.
#[derive(Clone, Debug)]
pub struct View {
    /// The name of the node.
    pub name: NodeName,
    /// Whether the node is up and not stopped.
    pub runs: bool,
    /// Whether the node must keep the rules.
    pub is_judged: bool,
    /// The nodes that can reach each other, over others too, have the same number.
    pub component: usize,
    /// The claim that it makes.
    pub own: Option<Claim>,
    /// The claim that it follows.
    pub holder: Option<Claim>,
    /// Whether the node may claim: it has not resigned and its disk works.
    pub eligible: bool,
    /// Whether the node started so recently that it may still look for its peers.
    pub is_young: bool,
    /// The last order that it obeyed.
    pub obeyed: Option<Fence>,
    /// The nodes that it has a link to.
    pub links: Vec<NodeName>,
}

/// The judge of a world's elections.
#[derive(Debug)]
pub struct ElectionRules {
    interval: Duration,
    max_delay: Duration,
    quorum: Quorum,
    nodes: usize,
    now: Duration,
    fault_at: Duration,
    deadline: Duration,
    agreed_since: Option<Duration>,
    is_dual: bool,
    is_headless: bool,
    is_outvoted: bool,
    dual_in_window: Duration,
    /// The time until which news may have been hidden from any node.
    fog_until: Duration,
    /// The faults whose effects may still last, with the time of two claims that they excuse.
    excuses: Vec<(Duration, Duration)>,
    /// Since a planned leave in a settled world: the time without any claim.
    leaving: Option<Duration>,
    master: Option<NodeName>,
    kept: Option<NodeName>,
    published: BTreeSet<(Epoch, NodeName)>,
    applied: BTreeMap<(NodeName, u32), Fence>,
    epochs: BTreeMap<NodeName, Epoch>,
    /// The rest of the world stays broken, and only a core is judged.
    is_focused: bool,
    findings: Findings,
    violations: Violations,
}

impl ElectionRules {
    /// The judge of a world that is about to start.
    pub fn new(interval: Duration, max_delay: Duration, (nodes, quorum): (usize, Quorum)) -> Self {
        Self {
            interval,
            max_delay,
            quorum,
            nodes,
            now: Duration::ZERO,
            fault_at: Duration::ZERO,
            deadline: interval * (START_INTERVALS + 4),
            agreed_since: None,
            is_dual: false,
            is_headless: true,
            is_outvoted: false,
            dual_in_window: Duration::ZERO,
            fog_until: Duration::ZERO,
            excuses: vec![(Duration::ZERO, interval * 4 + max_delay * 2)],
            leaving: None,
            master: None,
            kept: None,
            published: BTreeSet::new(),
            applied: BTreeMap::new(),
            epochs: BTreeMap::new(),
            is_focused: false,
            findings: Findings::default(),
            violations: Violations::default(),
        }
    }

    /// Time goes by, and nothing has changed since the last event.
    pub fn elapse(&mut self, now: Duration) {
        let passed = now - self.now;
        self.now = now;
        if self.is_dual {
            self.findings.dual += passed;
            self.dual_in_window += passed;
            let (g, excuses) = (self.interval, &self.excuses);
            let horizon = self.fault_at.saturating_sub(g * AGREEMENT_INTERVALS);
            let lasting = excuses.iter().filter(|(at, _)| *at >= horizon);
            let bound = lasting.map(|(_, bound)| *bound).max().unwrap_or_default();
            if self.dual_in_window > bound && self.now > self.fog_until {
                self.break_rule("I2", format!("two claims for more than {bound:?}"));
            }
        }
        if let Some(headless) = self.leaving.as_mut().filter(|_| self.is_headless) {
            *headless += passed;
            if *headless > self.max_delay * 2 + HAND_OVER_SLACK {
                self.break_rule("I8", "a hand-over left nobody in charge".into());
            }
        }
        let outvoted_until = self.fault_at + self.interval * OUTVOTED_INTERVALS;
        if self.is_outvoted && self.now > outvoted_until {
            self.break_rule("I7", "a minority holds the seat".into());
        }
        if self.now > self.deadline && self.agreed_since.is_none() {
            self.break_rule("I1", "no agreement in time".into());
        }
    }

    /// Something is about to happen to this world.
    pub fn fault(&mut self, fault: Fault, views: &[View]) {
        let was_quiet = self.now >= self.deadline && self.agreed_since.is_some();
        self.obeyed(views);
        let is_whole = whole(views);
        let keeps = was_quiet && is_whole && fault.spares_master();
        self.kept = running(views).find_map(followed).filter(|_| keeps);
        let resigns = matches!(fault, Fault::Resign(_));
        let heirs = running(views).filter(|view| view.eligible && view.own.is_none());
        let can_leave = was_quiet && is_whole && heirs.count() > 0;
        self.leaving = (can_leave && resigns).then_some(Duration::ZERO);
        if self.excuses.len() == 1 {
            self.findings.dual = Duration::ZERO; // What the start took is no fault's.
        }
        self.fault_at = self.now;
        self.deadline = self.now + self.interval * AGREEMENT_INTERVALS;
        self.agreed_since = None;
        self.dual_in_window = Duration::ZERO;
        // A fault that joins two sides which disagree counts as a heal, also a node that starts between them.
        let joins = if is_whole { fault } else { Fault::Heal };
        let excused = joins.excused_dual(self.interval, self.max_delay);
        self.excuses.push((self.now, excused));
    }

    /// From now on only a core is judged: it must agree, whatever the rest does, and go on agreeing.
    pub fn focus(&mut self) {
        self.is_focused = true;
        (self.kept, self.leaving) = (None, None);
        self.fault_at = self.now;
        self.deadline = self.now + self.interval * (START_INTERVALS + AGREEMENT_INTERVALS);
        self.agreed_since = None;
    }

    /// A node has lost what its disk remembered, and no longer knows its promises.
    pub fn forgets(&mut self, node: &NodeName) {
        self.epochs.remove(node);
        self.published.retain(|(_, claimer)| claimer != node);
    }

    /// Bursts of loss and cuts together may hide any node from any other: all that follows is excused.
    pub fn fog(&mut self) {
        self.kept = None;
        self.fault_at = self.now;
        self.deadline = self
            .deadline
            .max(self.now + self.interval * AGREEMENT_INTERVALS);
        self.dual_in_window = Duration::ZERO;
        self.fog_until = self.deadline;
    }

    /// Looks at all nodes after an event.
    pub fn look(&mut self, views: &[View]) {
        let components: BTreeSet<usize> = running(views).map(|view| view.component).collect();
        let groups = components.iter().map(|component| {
            let group = running(views).filter(|view| view.component == *component);
            group.collect::<Vec<_>>()
        });
        let groups: Vec<_> = groups.collect();
        let claims = |group: &Vec<&View>| group.iter().filter(|view| view.own.is_some()).count();
        self.is_dual = !self.is_focused && groups.iter().any(|group| claims(group) > 1);
        self.is_outvoted = groups
            .iter()
            .any(|group| !self.has_quorum(group) && claims(group) > 0);
        self.is_headless = groups.iter().all(|group| claims(group) == 0);
        let agreed = groups.iter().all(|group| self.agrees(group, views));
        if !agreed {
            // What stays broken may take the master of a core away, and the core must find another.
            if self.is_focused && self.agreed_since.is_some() {
                let again = self.now + self.interval * AGREEMENT_INTERVALS;
                self.deadline = self.deadline.max(again);
            }
            self.agreed_since = None;
            return;
        }
        self.agreed_since.get_or_insert(self.now);
        let master = match groups.as_slice() {
            [group] => group[0].holder.as_ref().map(|claim| claim.node.clone()),
            _ => return,
        };
        if master != self.master {
            let replaces = master.is_some() && self.master.is_some();
            if replaces && self.now > self.deadline && !self.is_focused {
                self.break_rule("I5", format!("{master:?} replaces {:?}", self.master));
            }
            self.findings.changes += u32::from(replaces);
            self.master.clone_from(&master);
        }
        if self.kept.is_some() && master.is_some() && self.kept != master {
            self.break_rule("I5", format!("{master:?} after {:?} was spared", self.kept));
        }
    }

    fn has_quorum(&self, group: &[&View]) -> bool {
        match self.quorum {
            Quorum::Off => true,
            Quorum::Majority => group.len() * 2 > self.nodes,
            Quorum::AtLeast(nodes) => group.len() >= nodes,
        }
    }

    /// Whether the nodes that hear each other follow one of them, or rightly none.
    fn agrees(&self, group: &[&View], all: &[View]) -> bool {
        let has_quorum = self.has_quorum(group);
        let first = followed(group[0]);
        let same = group.iter().all(|view| followed(view) == first);
        match first {
            _ if !same => false,
            None => {
                let nobody_can = group.iter().all(|view| !view.eligible || view.is_young);
                !has_quorum || nobody_can
            }
            Some(_) if !has_quorum => false,
            Some(master) => {
                let claims = |view: &View| view.name == master && view.own.is_some();
                // A core may follow a working node outside of it.
                let outside = self.is_focused && all.iter().any(|view| view.runs && claims(view));
                outside || group.iter().any(|view| claims(view))
            }
        }
    }

    /// In a settled world, each node with a link to the master does what it says.
    fn obeyed(&mut self, views: &[View]) {
        let quiet_at = self.deadline + self.interval * OBEY_INTERVALS;
        if self.now < quiet_at || self.agreed_since.is_none_or(|since| since > self.deadline) {
            return;
        }
        for view in running(views) {
            let Some(claim) = &view.holder else { continue };
            let fence = Some(claim.fence());
            let hears = view.links.contains(&claim.node);
            if hears && view.obeyed != fence {
                let (name, obeyed) = (&view.name, &view.obeyed);
                self.break_rule("I3", format!("{name} obeys {obeyed:?}, not {fence:?}"));
            }
        }
    }

    /// A node publishes a claim.
    pub fn publishes(&mut self, claim: &Claim, publisher: &Publisher) {
        if claim.epoch > publisher.on_disk {
            self.break_rule("I4", format!("{claim:?} is not on disk"));
        }
        if !self.published.insert((claim.epoch, claim.node.clone())) {
            self.break_rule("I4", format!("{claim:?} twice"));
        }
        let passive = self.interval * FROZEN_ROUNDS;
        if publisher.awake.is_some_and(|awake| awake < passive) {
            self.break_rule("I9", format!("{claim:?} too soon after a pause"));
        }
    }

    /// A node, in this life of it, does what an order says.
    pub fn applies(&mut self, (node, life): (&NodeName, u32), fence: &Fence) {
        let last = self.applied.insert((node.clone(), life), fence.clone());
        if last.as_ref() > Some(fence) {
            self.break_rule("I3", format!("{node} obeys {fence:?} after {last:?}"));
        }
    }

    /// A node's greatest epoch.
    pub fn epoch(&mut self, node: &NodeName, epoch: Epoch) {
        match self.epochs.get_mut(node) {
            Some(last) if *last > epoch => {
                let last = *last;
                self.break_rule("I4", format!("{node} falls from {last:?} to {epoch:?}"));
            }
            Some(last) => *last = epoch,
            None => _ = self.epochs.insert(node.clone(), epoch),
        }
    }

    /// The end of the world.
    pub fn finish(mut self, views: &[View]) -> Findings {
        self.obeyed(views);
        self.findings.settled_after = self.agreed_since.map(|at| at - self.fault_at);
        self.findings.violations = self.violations.0;
        self.findings
    }

    fn break_rule(&mut self, rule: &str, what: String) {
        self.violations.note(rule, self.now, || what);
    }
}

/// The node that a node follows: by name, as a holder may renumber its claim without any harm.
fn followed(view: &View) -> Option<NodeName> {
    view.holder.as_ref().map(|claim| claim.node.clone())
}

fn running(views: &[View]) -> impl Iterator<Item = &View> {
    views.iter().filter(|view| view.runs && view.is_judged)
}

fn whole(views: &[View]) -> bool {
    let mut components = running(views).map(|view| view.component);
    let first = components.next();
    components.all(|component| Some(component) == first)
}

#[cfg(test)]
mod tests {
    use antiphon::model::seat::Rank;

    use super::*;
    use crate::faults::{DiskFate, Who};

    const G: Duration = Duration::from_millis(250);

    fn view(number: usize, own: Option<u64>, follows: usize) -> View {
        let name = |number| NodeName::try_from(format!("n{number}")).unwrap();
        let claim = |number, epoch| Claim {
            epoch: Epoch(epoch),
            rank: Rank(0),
            node: name(number),
        };
        View {
            name: name(number),
            runs: true,
            is_judged: true,
            component: 0,
            own: own.map(|epoch| claim(number, epoch)),
            holder: Some(claim(follows, 1)),
            eligible: true,
            is_young: false,
            obeyed: Some(claim(follows, 1).fence()),
            links: vec![name(follows)],
        }
    }

    /// A judge that has seen two nodes settle on the first.
    fn settled() -> (ElectionRules, [View; 2]) {
        let mut checkers = ElectionRules::new(G, G / 5, (2, Quorum::Off));
        let views = [view(0, Some(1), 0), view(1, None, 0)];
        checkers.look(&views);
        checkers.elapse(G * 60);
        (checkers, views)
    }

    fn broken(checkers: ElectionRules, views: &[View]) -> Vec<String> {
        let rules = checkers.finish(views).violations.into_iter();
        rules.map(|rule| rule[..2].to_owned()).collect()
    }

    #[test]
    fn a_quiet_world_breaks_no_rule() {
        let (checkers, views) = settled();
        assert!(broken(checkers, &views).is_empty());
    }

    #[test]
    fn two_claims_are_excused_briefly_but_never_after_a_restart() {
        for (fault, excused) in [
            (Fault::Heal, G * 4),
            (Fault::Restart(DiskFate::Same), Duration::ZERO),
        ] {
            let (mut checkers, views) = settled();
            checkers.fault(fault, &views);
            let views = [view(0, Some(1), 0), view(1, Some(1), 1)];
            checkers.look(&views);
            checkers.elapse(G * 60 + excused);
            assert!(checkers.violations.0.is_empty());
            checkers.elapse(G * 62 + excused);
            assert_eq!(broken(checkers, &views), ["I2"]);
        }
    }

    #[test]
    fn disagreement_may_last_sixteen_intervals() {
        let (mut checkers, views) = settled();
        checkers.fault(Fault::Crash(Who::Master), &views);
        checkers.look(&[view(1, None, 0)]);
        checkers.elapse(G * 76);
        assert!(checkers.violations.0.is_empty());
        checkers.elapse(G * 77);
        assert_eq!(broken(checkers, &[]), ["I1"]);
    }

    #[test]
    fn a_working_master_is_not_replaced() {
        let (mut checkers, _) = settled();
        let views = [view(0, None, 1), view(1, Some(1), 1)];
        checkers.look(&views);
        assert_eq!(broken(checkers, &views), ["I5"]);
    }

    #[test]
    fn a_leaving_master_leaves_nobody_alone() {
        let (mut checkers, views) = settled();
        checkers.fault(Fault::Resign(Who::Master), &views);
        let views = [view(0, None, 0), view(1, None, 0)];
        checkers.look(&views);
        checkers.elapse(G * 61);
        assert_eq!(broken(checkers, &views), ["I8"]);
    }

    #[test]
    fn promises_of_one_node_are_checked_at_each_deed() {
        let (mut checkers, mut views) = settled();
        let [low, high] = [1, 2].map(|epoch| view(0, Some(epoch), 0).own.unwrap());
        checkers.applies((&low.node, 1), &high.fence());
        checkers.applies((&low.node, 1), &low.fence());
        checkers.epoch(&low.node, Epoch(2));
        checkers.epoch(&low.node, Epoch(1));
        checkers.publishes(
            &low,
            &Publisher {
                on_disk: Epoch(1),
                awake: Some(G),
            },
        );
        assert_eq!(broken(checkers, &views), ["I3", "I4", "I9"]);
        let (checkers, _) = settled();
        views[1].obeyed = None;
        assert_eq!(broken(checkers, &views), ["I3"]);
    }
}
