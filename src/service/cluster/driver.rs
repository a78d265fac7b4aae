//! Does what the machine of the seats decides: sends over links, gossips claims, and keeps epochs on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{error, info};

use super::ClusterConfig;
use crate::io::clock;
use crate::io::disk::DataDir;
use crate::io::gossip::{GOSSIP_INTERVAL, Gossip};
use crate::io::link::Links;
use crate::model::seat::{Claim, Epoch, Seat};
use crate::proto::seats::{Input, Output, Seats, SeatsConfig};
use crate::service::identity;
use crate::wire::gossip;

/// The machine of the seats, and what it acts on.
pub(super) struct ElectionDriver {
    seats: Seats,
    links: Links,
    gossip: Arc<Gossip>,
    data_dir: Arc<DataDir>,
}

impl ElectionDriver {
    pub(super) fn new(config: &ClusterConfig) -> Self {
        let seats = SeatsConfig {
            node: config.links.hello().name.clone(),
            rank: config.rank,
            gossip_interval: GOSSIP_INTERVAL,
            quorum: config.quorum,
            start: config.start,
            max_epoch: config.max_epoch,
        };
        Self {
            seats: Seats::new(seats, clock::now()),
            links: config.links.clone(),
            gossip: config.gossip.clone(),
            data_dir: config.data_dir.clone(),
        }
    }

    /// The machine, to be looked at.
    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    pub(super) fn wake_at(&self) -> Instant {
        Instant::from_std(self.seats.wake_at())
    }

    /// Lets the machine decide on an input, and does what it says, in its order.
    pub(super) async fn handle(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.seats.handle(input, clock::now(), &mut outputs);
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            if let Some(answer) = self.perform(output).await {
                let mut more = Vec::new();
                self.seats.handle(answer, clock::now(), &mut more);
                outputs.extend(more);
            }
        }
    }

    async fn perform(&self, output: Output) -> Option<Input<'static>> {
        match output {
            Output::Send(to, frame) => self.links.send(&to, &frame),
            Output::SendToLife { to, life, frame } => {
                let linked = self.links.peers().borrow().get(&to).map(|it| it.generation);
                if linked == Some(life) {
                    self.links.send(&to, &frame);
                }
            }
            Output::Broadcast(frame) => self.links.send_to_all(&frame),
            Output::Persist { seat, epoch } => return Some(self.persist(seat, epoch).await),
            Output::Publish { seat, claim } => self.publish(&seat, claim).await,
            Output::Changed { seat, holder } => log(&seat, holder),
        }
        None
    }

    async fn persist(&self, seat: Seat, epoch: Epoch) -> Input<'static> {
        let life = self.links.hello().generation;
        match identity::save_epoch(self.data_dir.clone(), life, epoch).await {
            Ok(()) => Input::Persisted { seat, epoch },
            Err(error) => {
                error!(%error, epoch = epoch.0, "cannot save the epoch, so this node claims no seat");
                Input::PersistFailed { seat, epoch }
            }
        }
    }

    /// Gossips a claim to a seat, or takes it back.
    async fn publish(&self, seat: &Seat, claim: Option<Claim>) {
        let key = gossip::claim_key(seat);
        match claim {
            Some(claim) => {
                let said = self.gossip.set(&key, &gossip::write(&claim)).await;
                said.expect("a claim is far shorter than a gossiped value may be");
            }
            None => self.gossip.delete(&key).await,
        }
    }
}

fn log(seat: &Seat, holder: Option<Claim>) {
    match (seat, holder) {
        (Seat::Master, Some(claim)) => {
            info!(master = %claim.node, epoch = claim.epoch.0, "the mesh has a master");
        }
        (Seat::Master, None) => info!("the mesh has no master"),
        (seat, Some(claim)) => {
            info!(%seat, holder = %claim.node, epoch = claim.epoch.0, "a seat is held");
        }
        (seat, None) => info!(%seat, "nobody holds a seat"),
    }
}
