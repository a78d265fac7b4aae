//! The elections of all seats but the master's: they come and go with the document.
//!
//! Their epochs are not kept on disk. They fence nothing that outlives a claim: two holders at once ask the same
//! server twice, and no more; and a node that has forgotten them learns them again from the first who objects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, info};

use crate::io::gossip::{GOSSIP_INTERVAL, Gossip};
use crate::io::link::Links;
use crate::logic::election::{
    Election, ElectionConfig, Input, Member, Output, Quorum, Start, rendezvous,
};
use crate::model::node::NodeName;
use crate::model::seat::{Claim, Epoch, Message, Seat};
use crate::proto::view::MeshNode;
use crate::wire::frame::Frame;
use crate::wire::gossip;

/// The most seats beside the master's: each costs a step of its election whenever the mesh is looked at.
pub(super) const MAX_SEATS: usize = 256;

/// One seat's election, and what it has been told.
struct Contest {
    election: Election,
    members: BTreeMap<NodeName, Member>,
    heard: BTreeMap<NodeName, Option<Claim>>,
}

/// The elections, and the hands that they work with.
pub(super) struct Seats {
    links: Links,
    gossip: Arc<Gossip>,
    start: Start,
    contests: BTreeMap<Seat, Contest>,
    /// Whether this node stands in elections at all.
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Willing,
    Resigned,
}

impl Seats {
    pub(super) fn new(links: Links, gossip: Arc<Gossip>, start: Start) -> Self {
        Self {
            links,
            gossip,
            start,
            contests: BTreeMap::new(),
            standing: Standing::Willing,
        }
    }

    /// Who holds what, as far as this node knows.
    pub(super) fn holders(&self) -> BTreeMap<Seat, Claim> {
        let held = self.contests.iter().filter_map(|(seat, contest)| {
            let claim = contest.election.holder()?;
            Some((seat.clone(), claim.clone()))
        });
        held.collect()
    }

    /// From now on these are the seats; the first [`MAX_SEATS`] of them.
    pub(super) async fn set(&mut self, wanted: &BTreeSet<Seat>) {
        let wanted: BTreeSet<&Seat> = wanted.iter().take(MAX_SEATS).collect();
        let gone = self.contests.keys().filter(|seat| !wanted.contains(seat));
        for seat in gone.cloned().collect::<Vec<_>>() {
            self.abolish(&seat).await;
        }
        for seat in wanted {
            if !self.contests.contains_key(seat) {
                let contest = self.found(seat);
                self.contests.insert(seat.clone(), contest);
            }
        }
    }

    fn found(&self, seat: &Seat) -> Contest {
        let node = self.links.hello().name.clone();
        let config = ElectionConfig {
            rank: rendezvous(seat, &node),
            node,
            gossip_interval: GOSSIP_INTERVAL,
            quorum: Quorum::Off,
            start: self.start,
        };
        let now = Instant::now().into_std();
        let mut election = Election::new(config, Epoch::default(), now);
        if self.standing == Standing::Resigned {
            // It has no claim yet, so there is nothing to be done about it.
            election.handle(Input::Resign, now, &mut Vec::new());
        }
        Contest {
            election,
            members: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }

    /// Nobody is to hold this seat any more; if this node does, it says so.
    async fn abolish(&mut self, seat: &Seat) {
        let contest = self.contests.remove(seat);
        let own = contest.and_then(|contest| contest.election.own_claim().cloned());
        if let Some(claim) = own {
            self.gossip.delete(&gossip::claim_key(seat)).await;
            let message = Message::Vacated(claim);
            let seat = seat.clone();
            self.links.send_to_all(&Frame::Seat { seat, message });
        }
    }

    /// Tells each election who is there and what they claim, and lets its time go on.
    pub(super) async fn observe(
        &mut self,
        members: &BTreeMap<NodeName, Member>,
        nodes: &BTreeMap<NodeName, MeshNode>,
    ) {
        for seat in self.contests.keys().cloned().collect::<Vec<_>>() {
            for input in self.news(&seat, members, nodes) {
                self.handle(&seat, input).await;
            }
        }
    }

    /// What an election has not been told yet.
    fn news(
        &mut self,
        seat: &Seat,
        members: &BTreeMap<NodeName, Member>,
        nodes: &BTreeMap<NodeName, MeshNode>,
    ) -> Vec<Input> {
        let Some(contest) = self.contests.get_mut(seat) else {
            return Vec::new();
        };
        let mut inputs = Vec::new();
        let seen = contest.members.iter().map(|(name, it)| (name, it.health));
        if !members.iter().map(|(name, it)| (name, it.health)).eq(seen) {
            let ranked = members.iter().map(|(name, member)| {
                let rank = rendezvous(seat, name);
                (name.clone(), Member { rank, ..*member })
            });
            contest.members = ranked.collect();
            inputs.push(Input::Members(contest.members.clone()));
        }
        contest.heard.retain(|name, _| members.contains_key(name));
        for name in members.keys() {
            let claim = nodes.get(name).and_then(|node| node.claims.get(seat));
            if contest.heard.get(name).map(Option::as_ref) != Some(claim) {
                contest.heard.insert(name.clone(), claim.cloned());
                inputs.push(Input::Heard {
                    from: name.clone(),
                    claim: claim.cloned(),
                });
            }
        }
        inputs.push(Input::Tick);
        inputs
    }

    /// Takes a peer's word. Of a seat that this node does not know there is nothing to say: who asks waits for no
    /// answer, and its claim is heard from gossip once the seat is known here too.
    pub(super) async fn hear(&mut self, seat: &Seat, from: NodeName, message: Message) {
        self.handle(seat, Input::Message { from, message }).await;
    }

    /// Gives all seats up and takes none again.
    pub(super) async fn resign(&mut self) {
        self.standing = Standing::Resigned;
        self.handle_all(&Input::Resign).await;
    }

    /// Stands in elections again.
    pub(super) async fn unresign(&mut self) {
        self.standing = Standing::Willing;
        self.handle_all(&Input::Unresign).await;
    }

    async fn handle_all(&mut self, input: &Input) {
        for seat in self.contests.keys().cloned().collect::<Vec<_>>() {
            self.handle(&seat, input.clone()).await;
        }
    }

    async fn handle(&mut self, seat: &Seat, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(contest) = self.contests.get_mut(seat) else {
                return debug!(%seat, "a word about a seat that is not known here");
            };
            let mut outputs = Vec::new();
            let now = Instant::now().into_std();
            contest.election.handle(input, now, &mut outputs);
            for output in outputs {
                inputs.extend(self.perform(seat, output).await);
            }
        }
    }

    async fn perform(&self, seat: &Seat, output: Output) -> Option<Input> {
        let frame = |message| Frame::Seat {
            seat: seat.clone(),
            message,
        };
        match output {
            Output::Send { to, message } => self.links.send(&to, &frame(message)),
            Output::Broadcast(message) => self.links.send_to_all(&frame(message)),
            Output::Persist(epoch) => return Some(Input::Persisted(epoch)),
            Output::Publish(claim) => publish(&self.gossip, seat, claim).await,
            Output::Changed(Some(claim)) => {
                info!(%seat, holder = %claim.node, epoch = claim.epoch.0, "a seat is held");
            }
            Output::Changed(None) => info!(%seat, "nobody holds a seat"),
        }
        None
    }
}

/// Gossips a claim to a seat, or takes it back.
pub(super) async fn publish(gossip: &Gossip, seat: &Seat, claim: Option<Claim>) {
    let key = gossip::claim_key(seat);
    match claim {
        Some(claim) => {
            let said = gossip.set(&key, &gossip::write(&claim)).await;
            said.expect("a claim is far shorter than a gossiped value may be");
        }
        None => gossip.delete(&key).await,
    }
}
