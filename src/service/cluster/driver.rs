//! Feeds the elections, the master's and those of other seats, and does what the master's decides.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{error, info};

use super::ClusterConfig;
use super::seats::{Seats, publish};
use crate::io::disk::DataDir;
use crate::io::gossip::{GOSSIP_INTERVAL, Gossip};
use crate::io::link::Links;
use crate::logic::election::{Election, ElectionConfig, Health, Input, Member, Output, Quorum};
use crate::model::node::NodeName;
use crate::model::seat::{Claim, Epoch, Message, Seat};
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::service::identity;
use crate::wire::frame::Frame;

/// The master's election, and the hands that it works with.
pub(super) struct Driver {
    election: Election,
    links: Links,
    gossip: Arc<Gossip>,
    data_dir: Arc<DataDir>,
    seats: Seats,
    members: BTreeMap<NodeName, Member>,
    heard: BTreeMap<NodeName, Option<Claim>>,
}

impl Driver {
    pub(super) fn new(config: ClusterConfig) -> Self {
        let election = ElectionConfig {
            node: config.links.hello().name.clone(),
            rank: config.rank,
            gossip_interval: GOSSIP_INTERVAL,
            quorum: Quorum::Off,
            start: config.start,
        };
        Self {
            election: Election::new(election, config.max_epoch, Instant::now().into_std()),
            seats: Seats::new(config.links.clone(), config.gossip.clone(), config.start),
            links: config.links,
            gossip: config.gossip,
            data_dir: config.data_dir,
            members: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }

    pub(super) fn wake_at(&self) -> Instant {
        Instant::from_std(self.election.wake_at())
    }

    pub(super) fn holder(&self) -> Option<Claim> {
        self.election.holder().cloned()
    }

    pub(super) fn max_epoch(&self) -> Epoch {
        self.election.max_epoch()
    }

    /// The seats beside the master's.
    pub(super) fn seats(&mut self) -> &mut Seats {
        &mut self.seats
    }

    /// Tells the elections who is there and what they claim, if that has changed.
    pub(super) async fn observe(&mut self, nodes: &BTreeMap<NodeName, MeshNode>) {
        let me = self.links.hello().name.clone();
        let peers = || nodes.iter().filter(|(name, _)| **name != me);
        let members: BTreeMap<_, _> = peers()
            .map(|(name, node)| (name.clone(), member(node)))
            .collect();
        if members != self.members {
            self.members.clone_from(&members);
            self.handle(Input::Members(members.clone())).await;
        }
        self.heard.retain(|name, _| nodes.contains_key(name));
        for (name, node) in peers() {
            if self.heard.get(name) != Some(&node.claim) {
                self.heard.insert(name.clone(), node.claim.clone());
                let heard = Input::Heard {
                    from: name.clone(),
                    claim: node.claim.clone(),
                };
                self.handle(heard).await;
            }
        }
        self.seats.observe(&members, nodes).await;
    }

    /// Lets the election decide on an input, and does what it says, in its order.
    pub(super) async fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.election
                .handle(input, Instant::now().into_std(), &mut outputs);
            for output in outputs {
                inputs.extend(self.perform(output).await);
            }
        }
    }

    async fn perform(&self, output: Output) -> Option<Input> {
        match output {
            Output::Send { to, message } => self.links.send(&to, &frame(message)),
            Output::Broadcast(message) => self.links.send_to_all(&frame(message)),
            Output::Persist(epoch) => return Some(self.persist(epoch).await),
            Output::Publish(claim) => publish(&self.gossip, &Seat::Master, claim).await,
            Output::Changed(Some(claim)) => {
                info!(master = %claim.node, epoch = claim.epoch.0, "the mesh has a master");
            }
            Output::Changed(None) => info!("the mesh has no master"),
        }
        None
    }

    async fn persist(&self, epoch: Epoch) -> Input {
        match identity::save_epoch(self.data_dir.clone(), self.links.hello().generation, epoch)
            .await
        {
            Ok(()) => Input::Persisted(epoch),
            Err(error) => {
                error!(%error, epoch = epoch.0, "cannot save the epoch, so this node claims no seat");
                Input::PersistFailed(epoch)
            }
        }
    }
}

fn frame(message: Message) -> Frame {
    Frame::Seat {
        seat: Seat::Master,
        message,
    }
}

fn member(node: &MeshNode) -> Member {
    Member {
        rank: node.card.rank,
        health: match node.state {
            NodeState::Alive | NodeState::Draining => Health::Alive,
            // Nothing can be asked of a node without a link.
            NodeState::Suspect | NodeState::Unlinked => Health::Doubtful,
            NodeState::Dead => Health::Dead,
        },
    }
}
