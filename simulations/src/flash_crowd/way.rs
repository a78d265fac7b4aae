//! The ways to choose a node that are compared: policies, and what others do.
//!
//! The others do not ask whether there is room: that is what makes them what they are.

use antiphon::logic::forecast::{Standing, Table};
use antiphon::logic::policy::{Choice, Chooser, Facts, Policy, Request, Scene};
use antiphon::model::node::NodeName;

/// How each redirector chooses.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// By a policy.
    Policy(Policy),
    /// In turns by size, whatever the load.
    BySize,
    /// One after the other.
    RoundRobin,
    /// The least loaded by what the nodes have reported.
    LeastReported,
}

/// One redirector's state.
pub(crate) struct Steersman {
    own: NodeName,
    way: Way,
    chooser: Chooser,
    turn: usize,
    /// The turns that each node is owed, in the order of the table; for turns by size.
    owed: Vec<f64>,
}

impl Way {
    /// All that are compared, the usual policy first.
    pub(crate) fn all() -> Vec<Self> {
        let policies = [
            "weight,water",
            "listeners_score,weighted",
            "two_choices",
            "best",
            "listeners_score,best",
            "random",
        ];
        let parsed = policies.map(|text| Self::Policy(text.parse().expect("a good policy")));
        let mut ways = Vec::from(parsed);
        ways.extend([Self::BySize, Self::LeastReported, Self::RoundRobin]);
        ways
    }

    /// The name in the table.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Policy(policy) => format!("`{policy}`"),
            Self::BySize => "in turns by size".to_owned(),
            Self::RoundRobin => "round robin".to_owned(),
            Self::LeastReported => "least loaded by reports".to_owned(),
        }
    }
}

impl Steersman {
    /// A redirector that chooses in this way.
    pub(crate) fn new(own: NodeName, way: Way, seed: u64) -> Self {
        Self {
            chooser: Chooser::new(own.clone(), seed),
            own,
            way,
            turn: seed as usize,
            owed: Vec::new(),
        }
    }

    /// The node that a listener is sent to.
    pub(crate) fn choose(&mut self, table: &Table<'_>, request: &Request<'_>) -> Choice {
        let facts = Facts::default();
        let open = || {
            let outlooks = table.outlooks.iter();
            outlooks.filter(|outlook| outlook.standing != Standing::Closed)
        };
        let chosen = match &self.way {
            Way::Policy(policy) => {
                let scene = Scene {
                    table,
                    facts: &facts,
                };
                return self.chooser.choose(policy, scene, request);
            }
            Way::BySize => {
                let sizes: Vec<f64> = open()
                    .map(|outlook| f64::from(outlook.predicted.max_listeners))
                    .collect();
                open().nth(take_turn(&mut self.owed, &sizes, self.turn))
            }
            Way::RoundRobin => {
                self.turn += 1;
                open().nth(self.turn % open().count().max(1))
            }
            Way::LeastReported => open().min_by(|left, right| {
                let reported = [left, right].map(|outlook| {
                    let mut report = outlook.predicted;
                    report.listeners -= outlook.pending.listeners as u32;
                    report.egress_bps -= outlook.pending.bps;
                    report.utilization()
                });
                reported[0].total_cmp(&reported[1])
            }),
        };
        match chosen {
            Some(outlook) if *outlook.node == self.own => Choice::Here,
            Some(outlook) => Choice::Redirect(outlook.node.clone()),
            None => Choice::Full,
        }
    }
}

/// Smooth weighted round robin. Each redirector begins at another point, by its seed.
fn take_turn(owed: &mut Vec<f64>, sizes: &[f64], seed: usize) -> usize {
    let total: f64 = sizes.iter().sum();
    for node in owed.len()..sizes.len() {
        let spread = (seed * 31 + node * 17) as f64 * 0.618_034;
        owed.push(total * (spread.fract() - 0.5));
    }
    for (owed, size) in owed.iter_mut().zip(sizes) {
        *owed += size;
    }
    let most = (0..sizes.len()).max_by(|a, b| owed[*a].total_cmp(&owed[*b]));
    let most = most.unwrap_or(0);
    owed[most] -= total;
    most
}
