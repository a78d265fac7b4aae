//! The seats' part in a node: production's machine, its deeds, and the orders of whoever is the master.

use antiphon::logic::election::Admission;
use antiphon::model::seat::{Epoch, Fence, Seat};
use antiphon::proto::seats::{Input, Output};
use antiphon::wire::gossip;

use super::{Deed, LinkMessage, Moment, Node};

impl Node {
    /// Lets the seats take an input, and passes on what they say.
    pub(super) fn elect(&mut self, input: Input<'_>, moment: Moment, out: &mut Vec<Deed>) {
        let mut outputs = Vec::new();
        self.seats.handle(input, moment.now, &mut outputs);
        self.pass_on(outputs, out);
    }

    /// Shows the seats the mesh as it is seen now.
    pub(super) fn look(&mut self, moment: Moment, out: &mut Vec<Deed>) {
        self.mesh.apply_forgotten(self.replica.forgotten());
        let (mut outputs, nodes) = (Vec::new(), &self.mesh.view().nodes);
        self.seats
            .handle(Input::Nodes(nodes), moment.now, &mut outputs);
        self.pass_on(outputs, out);
    }

    fn pass_on(&mut self, outputs: Vec<Output>, out: &mut Vec<Deed>) {
        for output in outputs {
            match output {
                Output::Send(to, frame) => out.push(Deed::Send(to, LinkMessage::Frame(frame))),
                Output::Broadcast(frame) => out.push(Deed::Broadcast(LinkMessage::Frame(frame))),
                Output::Persist { epoch, .. } => out.push(Deed::Write(epoch)),
                Output::Publish { seat, claim } => {
                    let text = claim.as_ref().map(gossip::write);
                    out.push(Deed::Gossip(gossip::claim_key(&seat), text));
                    out.push(Deed::Claims(seat, claim));
                }
                Output::Changed { seat, holder } => out.push(Deed::Changed(seat, holder)),
            }
        }
        self.mesh.follow(&self.seats);
    }

    /// An epoch is on disk. Only the master's seat keeps them.
    pub(super) fn written(&mut self, epoch: Epoch, moment: Moment, out: &mut Vec<Deed>) {
        let seat = Seat::Master;
        self.elect(Input::Persisted { seat, epoch }, moment, out);
    }

    /// The disk has refused an epoch.
    pub(super) fn not_written(&mut self, epoch: Epoch, moment: Moment, out: &mut Vec<Deed>) {
        let seat = Seat::Master;
        self.elect(Input::PersistFailed { seat, epoch }, moment, out);
    }

    pub(super) fn obey(&mut self, fence: Fence, out: &mut Vec<Deed>) {
        match self.authority.admit(&fence) {
            Admission::Apply => out.push(Deed::Applied(fence)),
            Admission::Refuse => {}
        }
    }

    /// A master gives an order in each round, to itself too.
    pub(super) fn order(&mut self, out: &mut Vec<Deed>) {
        let Some(claim) = self.seats.own_claim(&Seat::Master) else {
            return;
        };
        let fence = claim.fence();
        self.obey(fence.clone(), out);
        out.push(Deed::Broadcast(LinkMessage::Order(fence)));
    }
}
