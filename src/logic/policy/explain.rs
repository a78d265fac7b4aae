//! Why a listener is sent to its node: the whole decision, for people and programs to read.
//!
//! The explanation is the decision that the next such request would get: made by the same code on a copy of the state.

use serde::{Deserialize, Serialize};

use super::chooser::{Choice, Chooser};
use super::facts::{NodeFacts, Request, Scene};
use super::select::Weights;
pub use super::shortlist::Reason;
use super::shortlist::{Candidate, Shortlist};
use super::{Policy, Stage};
use crate::logic::forecast::{Basis, Outlook, Standing, Tally};
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
use crate::model::node::NodeName;

/// One decision, explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The policy's canonical text.
    pub policy: Policy,
    /// The mount that was asked for.
    pub mount: MountName,
    /// The bitrate of the mount, bits per second.
    pub cost_bps: u64,
    /// The place of the listener, as far as it is known.
    pub from: Whereabouts,
    /// The listeners that are expected in the whole mesh before the effect of the choice is known.
    pub expected_listeners: f64,
    /// No node's load is known: whatever the selector, it draws by size.
    pub blind: bool,
    /// The loads that it was made by: the reports alone, if the prediction left no node.
    #[serde(default)]
    pub basis: Basis,
    /// Every node and outside server, by name.
    pub nodes: Vec<NodeExplanation>,
    /// The choice.
    pub choice: Choice,
}

/// The verdicts on one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeExplanation {
    /// The name of the node.
    pub node: NodeName,
    /// The predicted load of the node.
    pub prediction: Prediction,
    /// The verdict of each stage on the node: first whether it may be chosen at all, then the policy's stages, until
    /// one drops it.
    pub verdicts: Vec<StageVerdict>,
    /// The selector's weight for the node; 0 for those that were dropped.
    pub weight: f64,
    /// The share of such requests that the node gets as long as nothing changes.
    pub probability: f64,
    /// The turns that the node is owed: of the nodes with a weight, the one that is owed most gets the next listener.
    pub owed_turns: f64,
}

/// The parts of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Whether the node may be chosen.
    pub standing: Standing,
    /// In the last report: listeners, and what is sent to them.
    pub reported: Tally,
    /// On the way to the node.
    pub pending: Tally,
    /// The most of both that the node takes.
    pub capacity: Tally,
    /// The share of the processors in use, per mille.
    pub cpu_permille: Option<u16>,
    /// The share of the capacity that may be filled yet, while the node is new.
    pub warmth: f64,
    /// The share of the places that will be taken when all have arrived; 1 is full.
    pub listeners_utilization: f64,
    /// The same for the bandwidth.
    pub bandwidth_utilization: f64,
}

/// The verdict of one stage on one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageVerdict {
    /// The stage as it is written in the policy; [`ELIGIBLE`] for the checks before every policy.
    pub stage: String,
    /// Why the stage dropped the node; `None` if the node stayed.
    pub dropped: Option<Reason>,
    /// The score before the stage.
    pub score_before: f64,
    /// The score after the stage.
    pub score_after: f64,
}

/// The name of the checks before every policy.
pub const ELIGIBLE: &str = "eligible";

impl Chooser {
    /// Explains what the next such choice would be. Changes nothing.
    pub fn explain(&self, policy: &Policy, scene: Scene<'_>, request: &Request<'_>) -> Explanation {
        let mut shortlist = Shortlist::gather(scene, self.turns.own(), request);
        let mut nodes: Vec<NodeExplanation> = scene
            .rows()
            .map(|(outlook, facts)| self.begin(outlook, facts, request))
            .collect();
        let verdict = |node: &mut NodeExplanation, after: Option<f64>| {
            if after.is_none() && node.is_left() {
                node.verdicts[0].dropped = Some(Reason::Stale);
            }
        };
        for_each_node(&mut nodes, &shortlist, verdict);
        for stage in policy.stages() {
            shortlist.pass(stage, scene, request);
            for_each_node(&mut nodes, &shortlist, |node, after| {
                node.judge(stage, after)
            });
        }
        let choice = self.conclude(&mut nodes, policy, scene, request, &shortlist);
        Explanation {
            policy: policy.clone(),
            mount: request.mount.clone(),
            cost_bps: request.cost_bps,
            from: request.place,
            expected_listeners: scene.table.expected_listeners,
            blind: shortlist.blind,
            basis: scene.table.basis,
            nodes,
            choice,
        }
    }

    /// A node with the checks before the stages.
    fn begin(
        &self,
        outlook: &Outlook<'_>,
        facts: &NodeFacts,
        request: &Request<'_>,
    ) -> NodeExplanation {
        let candidate = Candidate::of(outlook, facts, request);
        NodeExplanation {
            node: outlook.node.clone(),
            prediction: Prediction::of(outlook, candidate.as_ref().ok()),
            verdicts: vec![StageVerdict {
                stage: ELIGIBLE.to_owned(),
                dropped: candidate.err(),
                score_before: 1.0,
                score_after: 1.0,
            }],
            weight: 0.0,
            probability: 0.0,
            owed_turns: self.turns.credit(outlook.node),
        }
    }

    /// Makes the choice on a copy of the state, and shows how it is made.
    fn conclude(
        &self,
        nodes: &mut [NodeExplanation],
        policy: &Policy,
        scene: Scene<'_>,
        request: &Request<'_>,
        shortlist: &Shortlist<'_>,
    ) -> Choice {
        if shortlist.candidates.is_empty() {
            return Choice::Full;
        }
        let weights = self.weigh(policy.selector(), scene, request, shortlist);
        show_weights(nodes, shortlist, &weights);
        self.clone().take(scene.table.basis, shortlist, &weights)
    }
}

impl NodeExplanation {
    fn is_left(&self) -> bool {
        self.verdicts.iter().all(|it| it.dropped.is_none())
    }

    /// Notes the result of a stage: the score, or `None` when the node is no longer in the shortlist.
    fn judge(&mut self, stage: &Stage, after: Option<f64>) {
        if !self.is_left() {
            return;
        }
        let score_before = self.verdicts.last().map_or(1.0, |it| it.score_after);
        self.verdicts.push(StageVerdict {
            stage: stage.to_string(),
            dropped: after.is_none().then(|| stage.reason()),
            score_before,
            score_after: after.unwrap_or(score_before),
        });
    }
}

impl Prediction {
    /// By what limits the node for the mount, if it is a candidate; otherwise by what is known of the whole node.
    fn of(outlook: &Outlook<'_>, candidate: Option<&Candidate<'_>>) -> Self {
        let load = candidate.map_or(outlook.predicted, |it| it.load);
        let share = |used: f64, all: f64| if all > 0.0 { used / all } else { 1.0 };
        let total = Tally {
            listeners: load.listeners.into(),
            bps: load.egress_bps,
        };
        Self {
            standing: outlook.standing,
            reported: total.minus(outlook.pending),
            pending: outlook.pending,
            capacity: Tally {
                listeners: load.max_listeners.into(),
                bps: load.max_bandwidth_bps,
            },
            cpu_permille: load.cpu_permille,
            warmth: outlook.warmth,
            listeners_utilization: share(load.listeners.into(), load.max_listeners.into()),
            bandwidth_utilization: share(load.egress_bps as f64, load.max_bandwidth_bps as f64),
        }
    }
}

/// Visits each node with its score in the shortlist, `None` if it is not there. Both are in the order of names.
fn for_each_node(
    nodes: &mut [NodeExplanation],
    shortlist: &Shortlist<'_>,
    mut show: impl FnMut(&mut NodeExplanation, Option<f64>),
) {
    let mut candidates = shortlist.candidates.iter().peekable();
    for node in nodes {
        let here = candidates.next_if(|it| *it.outlook.node == node.node);
        show(node, here.map(|it| it.score));
    }
}

fn show_weights(nodes: &mut [NodeExplanation], shortlist: &Shortlist<'_>, weights: &Weights) {
    let probabilities = weights.probabilities(shortlist);
    let mut next = 0;
    for_each_node(nodes, shortlist, |node, score| {
        if score.is_some() {
            node.weight = weights.shares[next];
            node.probability = probabilities[next];
            next += 1;
        }
    });
}
