//! Asks other nodes at the addresses that they announce to listeners, and tells the mesh what came back.
//!
//! The master asks all others, and the first of them asks the master; so each node is asked by one. What is found is
//! gossiped, and the asked node reads it too: a node that is not reached says so in its own log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode, Uri};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, info, info_span, warn};

use super::load::Load;
use super::mesh::Mesh;
use crate::io::clock;
use crate::io::http::{Limits, Question, request_within, with_causes};
use crate::logic::forecast::reach;
use crate::model::caption::beginning;
use crate::model::finding::Finding;
use crate::model::node::{Generation, NodeName};
use crate::proto::view::{MeshNode, MeshView};
use crate::wire::gossip::{self, ReachCard};
use crate::wire::livez::{Answered, MAX_ANSWER_BYTES, Nonce, ProofKeys};

/// How long an answer may take: three times what a busy node needs. It is a few bytes.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(3),
    answer_bytes: MAX_ANSWER_BYTES,
    redirects: 0,
};
/// How often a node is asked that proves its address: a port that is closed later is noticed within this time.
const CALM_INTERVAL: Duration = Duration::from_secs(15);
/// How often a node is asked that does not prove its address.
const TROUBLED_INTERVAL: Duration = Duration::from_secs(5);
/// How soon a node is asked again that has proved its address before, and now has not: one answer may be lost.
const DOUBT_INTERVAL: Duration = Duration::from_secs(2);
/// The part of its interval by which a question may come sooner, so that those to a whole mesh drift apart.
const JITTER: f64 = 0.2;
/// The most questions under way: a silent node holds one for three seconds.
const MAX_QUESTIONS: usize = 16;
/// The longest reason in gossip.
const MAX_REASON_BYTES: usize = 200;

/// The parts that asking needs.
#[derive(Debug)]
pub struct ReachConfig {
    /// The members, and the gossip, which carries what was found.
    pub mesh: Mesh,
    /// Knows the nodes at which listeners that were sent do not arrive.
    pub load: Load,
    /// Checks the answers.
    pub proof_keys: ProofKeys,
}

/// A node that is asked again and again.
#[derive(Clone, Debug)]
struct ProbedPeer {
    generation: Generation,
    url: String,
    asked_at: Option<Instant>,
    next_at: Instant,
    is_under_way: bool,
    /// Answers without a proof in a row.
    failures: u32,
    /// The card that was told to the mesh.
    told: Option<ReachCard>,
}

impl ProbedPeer {
    fn new(node: &MeshNode) -> Self {
        Self {
            generation: node.generation,
            url: node.card.url.clone(),
            asked_at: None,
            next_at: Instant::now(),
            is_under_way: false,
            failures: 0,
            told: None,
        }
    }

    fn is_of(&self, node: &MeshNode) -> bool {
        self.generation == node.generation && self.url == node.card.url
    }

    /// Whether the node is to be asked now. Listeners that do not arrive are a reason to ask sooner, and no more often
    /// than after any doubt.
    fn is_due(&self, is_doubtful: bool) -> bool {
        let waited = self
            .asked_at
            .is_none_or(|at| at.elapsed() >= DOUBT_INTERVAL);
        !self.is_under_way && (self.next_at <= Instant::now() || (is_doubtful && waited))
    }

    /// Takes in an answer. Returns what to tell the mesh, if that is news.
    fn take(&mut self, finding: Finding) -> Option<ReachCard> {
        self.is_under_way = false;
        let proven = finding == Finding::Proven;
        self.failures = if proven {
            0
        } else {
            self.failures.saturating_add(1)
        };
        let was_proven = self
            .told
            .as_ref()
            .is_some_and(|it| it.finding == Finding::Proven);
        let is_first_doubt = was_proven && self.failures == 1;
        let wait = match proven {
            true => CALM_INTERVAL,
            false if is_first_doubt => DOUBT_INTERVAL,
            false => TROUBLED_INTERVAL,
        };
        self.next_at = Instant::now() + wait.mul_f64(1.0 - JITTER * clock::random_share());
        let card = ReachCard {
            generation: self.generation,
            url: self.url.clone(),
            finding,
        };
        if is_first_doubt || self.told.as_ref() == Some(&card) {
            return None;
        }
        self.told = Some(card.clone());
        Some(card)
    }
}

/// The reply from the address of a node.
#[derive(Debug)]
struct ProbeResult {
    name: NodeName,
    generation: Generation,
    finding: Finding,
}

/// Asks nodes at their addresses.
#[derive(Debug)]
pub struct Reaching {
    config: ReachConfig,
    asked: BTreeMap<NodeName, ProbedPeer>,
    questions: JoinSet<ProbeResult>,
    /// The findings of others about this node's own address when it last said so in its log.
    own: Option<(NodeName, ReachCard)>,
    shared: BTreeMap<String, BTreeSet<NodeName>>,
}

impl Reaching {
    /// Works with the help of these.
    pub fn new(config: ReachConfig) -> Self {
        Self {
            config,
            asked: BTreeMap::new(),
            questions: JoinSet::new(),
            own: None,
            shared: BTreeMap::new(),
        }
    }

    /// Asks the nodes that are this node's to ask. Runs until the node stops.
    pub async fn run(mut self) {
        let tasks = self.config.mesh.tasks.clone();
        let mut view = self.config.mesh.cluster.watch();
        loop {
            tokio::select! {
                () = tasks.asked_to_end() => return,
                // The view is renewed several times a second, whether there is news or not.
                changed = view.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let seen = view.borrow_and_update().clone();
                    self.tell_of_own_address(&seen);
                    self.tell_of_shared_addresses(&seen);
                    self.apply_view(&seen).await;
                }
                Some(answered) = self.questions.join_next() => {
                    if let Ok(answered) = answered {
                        self.take(answered).await;
                    }
                }
            }
        }
    }

    /// Begins with nodes that have become this node's to ask, leaves those that no longer are, and asks those that are due.
    async fn apply_view(&mut self, view: &MeshView) {
        let master = view.master.as_ref().map(|claim| &claim.node);
        let living = || {
            view.nodes
                .iter()
                .filter(|(_, node)| node.state.takes_listeners())
        };
        let is_ours = |(name, node): &(&NodeName, &MeshNode)| {
            let others = living().map(|(name, _)| name);
            let asker = reach::asker(name, master, others);
            **name != view.me && node.card.proves && asker == Some(&view.me)
        };
        let ours: BTreeMap<&NodeName, &MeshNode> = living().filter(is_ours).collect();
        let is_left = |(name, asked): &(&NodeName, &ProbedPeer)| {
            ours.get(*name).is_none_or(|node| !asked.is_of(node))
        };
        let left = self.asked.iter().filter(is_left);
        let left: Vec<NodeName> = left.map(|(name, _)| name.clone()).collect();
        for name in left {
            let told = self.asked.remove(&name).and_then(|asked| asked.told);
            if told.is_some() {
                self.config
                    .mesh
                    .gossip
                    .delete(&gossip::reach_key(&name))
                    .await;
            }
        }
        for (name, node) in ours {
            let asked = self
                .asked
                .entry(name.clone())
                .or_insert_with(|| ProbedPeer::new(node));
            let due = asked.is_due(self.config.load.is_doubtful(name));
            if due && self.questions.len() < MAX_QUESTIONS {
                asked.is_under_way = true;
                asked.asked_at = Some(Instant::now());
                let asking = ask(name.clone(), asked.clone(), self.config.proof_keys.clone());
                self.questions
                    .spawn(asking.instrument(info_span!("reach", node = %name)));
            }
        }
    }

    async fn take(&mut self, found: ProbeResult) {
        let name = found.name;
        let asked = self.asked.get_mut(&name);
        let Some(asked) = asked.filter(|it| it.generation == found.generation) else {
            return; // it is no longer ours, or lives again
        };
        if let Some(card) = asked.take(found.finding) {
            let text = gossip::write(&card);
            if let Err(error) = self
                .config
                .mesh
                .gossip
                .set(&gossip::reach_key(&name), &text)
                .await
            {
                warn!(%error, "what was found at a node's address is not gossiped");
            }
        }
    }

    /// Says in this node's own log what came back from its address, whenever that has changed.
    fn tell_of_own_address(&mut self, view: &MeshView) {
        let askers = view.nodes.iter().filter(|(_, node)| node.is_up());
        let mut found = askers.filter_map(|(by, node)| Some((by, node.reach.get(&view.me)?)));
        let generation = view.nodes.get(&view.me).map(|node| node.generation);
        let found = found.find(|(_, card)| Some(card.generation) == generation);
        let Some((by, card)) = found else {
            return;
        };
        let told = self.own.as_ref().map(|(_, card)| card);
        if told == Some(card) {
            return;
        }
        let url = &card.url;
        match &card.finding {
            Finding::Failed(why) => warn!(
                %by, url, why,
                "another node asked for this one at its public address and did not find it: listeners who are sent here \
                 are lost; check --public-url, and what forwards that address to this node"
            ),
            Finding::Proven => {
                info!(%by, url, "another node asked for this one at its public address, and found it");
            }
            Finding::Untried | Finding::Unaskable => {}
        }
        self.own = Some((by.clone(), card.clone()));
    }

    /// Says once when several living nodes announce one address.
    fn tell_of_shared_addresses(&mut self, view: &MeshView) {
        let shared = view.shared_addresses();
        for (url, nodes) in shared
            .iter()
            .filter(|(url, nodes)| self.shared.get(*url) != Some(*nodes))
        {
            let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
            let nodes = names.join(", ");
            warn!(
                url,
                nodes,
                "several nodes announce one public address: give each one of its own by --public-url"
            );
        }
        self.shared = shared;
    }
}

/// Asks a node once at its address.
async fn ask(name: NodeName, asked: ProbedPeer, keys: ProofKeys) -> ProbeResult {
    let finding = find(&name, &asked.url, &keys).await;
    let finding = finding.unwrap_or_else(|why| Finding::Failed(beginning(&why, MAX_REASON_BYTES)));
    ProbeResult {
        name,
        generation: asked.generation,
        finding,
    }
}

/// Whether the node answers there, or in words what happened instead.
async fn find(name: &NodeName, url: &str, keys: &ProofKeys) -> Result<Finding, String> {
    let nonce = Nonce::new(rand::random());
    let url: Uri = format!("{url}{}", nonce.target())
        .parse()
        .map_err(|_| "its address is no URL".to_owned())?;
    let question = Question {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let answer = request_within(question, LIMITS)
        .await
        .map_err(|error| with_causes(&error))?;
    if answer.status != StatusCode::OK {
        return Err(format!("something answers {} there", answer.status));
    }
    match keys.read(nonce, &String::from_utf8_lossy(&answer.body)) {
        Answered::By(it) if it == *name => Ok(Finding::Proven),
        Answered::By(other) => Err(format!("the node {other} answers there")),
        Answered::Unproven(begin) => Err(format!("something else answers there: {begin:?}")),
    }
}
