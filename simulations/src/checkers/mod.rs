//! The rules that must hold in every world, at every moment.
//!
//! A checker sees all nodes at once, which no node can; it judges only what nodes promise. Every
//! rule is checked where it can break: after each action, and over the time between two events.

pub mod document;
pub mod election;
pub mod members;
mod rungs;
pub mod seats;
pub mod streams;
pub mod table;
pub mod transcoders;
pub(crate) mod watched;

use std::time::Duration;

use antiphon::model::node::NodeName;
use antiphon::model::seat::{Claim, Epoch, Fence, Seat};

use self::document::DocumentRules;
use self::election::{ElectionRules, Publisher, View};
use self::members::MemberRules;
use self::seats::SeatRules;
use self::streams::StreamRules;
use self::table::{Ledger, TableRules};
use self::transcoders::TranscoderRules;
use crate::faults::Fault;
use crate::plan::Plan;

/// The findings of one run.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// From the last fault until all agreed for good.
    pub settled_after: Option<Duration>,
    /// How long two claims stood in one component.
    pub dual: Duration,
    /// How often another node became the agreed master.
    pub changes: u32,
    /// For each listener, the longest silence that another node in reach of its node could have filled.
    pub stalls: Vec<Duration>,
    /// The most bytes of a dead source that a listener missed although some node had them.
    pub missed_bytes: u64,
    /// The longest time for which documents differed.
    pub differed: Duration,
    /// How many players were sent to another node.
    pub sent: u64,
    /// How many nodes' tables were compared with the truth in the end.
    pub proven: usize,
    /// Rules that were broken.
    pub violations: Vec<String>,
}

/// Rules that were broken, each kind once: the first of a kind explains the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    fn note(&mut self, rule: &str, at: Duration, what: impl FnOnce() -> String) {
        if !self.0.iter().any(|old| old.starts_with(rule)) {
            let at_s = at.as_secs_f64();
            self.0.push(format!("{rule} at {at_s:.3} s: {}", what()));
        }
    }
}

/// The judges of one world.
#[derive(Debug)]
pub struct Checkers {
    election: ElectionRules,
    /// Judges who holds the seats of outside servers.
    pub(crate) seats: SeatRules,
    /// Judges who holds the seats of transcoders.
    pub(crate) transcoders: TranscoderRules,
    /// Judges which nodes are shown.
    pub(crate) members: MemberRules,
    /// Judges what is heard.
    pub(crate) streams: StreamRules,
    /// Judges what is configured.
    pub(crate) document: DocumentRules,
    /// Judges where listeners are sent.
    pub(crate) table: TableRules,
}

impl Checkers {
    /// The judges of a world that is about to start.
    pub(crate) fn new(plan: &Plan, max_delay: Duration) -> Self {
        let size = (plan.nodes, plan.quorum);
        let transcoders = plan.transcoded().into_iter();
        let transcoders = transcoders.map(|(mount, task)| (Seat::Transcoder(mount), task));
        let linger_s = plan.streams.map_or(0, |streams| streams.linger_s);
        Self {
            election: ElectionRules::new(plan.interval, max_delay, size),
            seats: SeatRules::new(plan.outside_seats(), plan.interval),
            transcoders: TranscoderRules::new(transcoders.collect(), plan.interval),
            members: MemberRules::new(plan.interval, plan.bounds.document),
            streams: StreamRules::new(plan.bounds, Duration::from_secs(linger_s.into())),
            document: DocumentRules::new(plan.bounds.document),
            table: TableRules::default(),
        }
    }

    /// Time goes by, and nothing has changed since the last event.
    pub(crate) fn elapse(&mut self, now: Duration) {
        self.election.elapse(now);
    }

    /// Something is about to happen to this world.
    pub(crate) fn fault(&mut self, now: Duration, fault: Fault, views: &[View]) {
        self.election.fault(fault, views);
        self.seats.fault(now);
        self.transcoders.fault(now);
        self.members.fault(now);
        self.streams.fault(now);
        self.document.fault(now, fault);
        self.table.moved(now);
    }

    /// From now on only some nodes are judged, and nothing that happens to the others excuses them.
    pub(crate) fn focus(&mut self, now: Duration) {
        self.election.focus();
        self.streams.fault(now);
        self.document.disturb(now);
    }

    /// Bursts of loss and cuts together hide nodes from each other.
    pub(crate) fn fog(&mut self, now: Duration) {
        self.election.fog();
        self.seats.fault(now);
        self.transcoders.fault(now);
    }

    /// Looks at all nodes after an event.
    pub(crate) fn look(&mut self, views: &[View]) {
        self.election.look(views);
    }

    /// A node publishes a claim.
    pub(crate) fn publishes(&mut self, claim: &Claim, publisher: &Publisher) {
        self.election.publishes(claim, publisher);
    }

    /// A node, in this life of it, does what an order says.
    pub(crate) fn applies(&mut self, of: (&NodeName, u32), fence: &Fence) {
        self.election.applies(of, fence);
    }

    /// A node's greatest epoch.
    pub(crate) fn epoch(&mut self, node: &NodeName, epoch: Epoch) {
        self.election.epoch(node, epoch);
    }

    /// A node has lost what it knew of epochs.
    pub(crate) fn forgets(&mut self, node: &NodeName) {
        self.election.forgets(node);
    }

    /// The end of the world.
    pub(crate) fn finish(self, (views, ledgers): (&[View], &[Ledger]), now: Duration) -> Findings {
        let mut findings = self.election.finish(views);
        findings.violations.extend(self.seats.finish());
        findings.violations.extend(self.transcoders.finish());
        findings.violations.extend(self.members.finish());
        let streams = self.streams.finish();
        findings.stalls = streams.stalls;
        findings.missed_bytes = streams.missed_bytes;
        findings.violations.extend(streams.violations);
        let document = self.document.finish();
        findings.differed = document.differed;
        findings.violations.extend(document.violations);
        let table = self.table.finish(ledgers, now);
        (findings.sent, findings.proven) = (table.sent, table.proven);
        findings.violations.extend(table.violations);
        findings
    }
}
