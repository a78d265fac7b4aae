//! The elections of a node: drives production's machine, and gives and obeys a master's orders.

use antiphon::logic::election::Admission;
use antiphon::model::seat::{Epoch, Fence, Seat};
use antiphon::proto::seats::{Input, Output};
use antiphon::wire::gossip;

use super::{Action, LinkMessage, Moment, Node};

impl Node {
    /// Gives the machine an event, and performs its outputs.
    pub(super) fn handle_seats(&mut self, input: Input<'_>, moment: Moment, out: &mut Vec<Action>) {
        let mut outputs = Vec::new();
        self.seats.handle(input, moment.now, &mut outputs);
        self.perform(outputs, out);
    }

    /// Gives the machine the view of the mesh.
    pub(super) fn show_mesh(&mut self, moment: Moment, out: &mut Vec<Action>) {
        self.mesh.apply_forgotten(self.replica.forgotten());
        self.update_stances(moment, out);
        let (mut outputs, nodes) = (Vec::new(), &self.mesh.view().nodes);
        self.seats
            .handle(Input::Nodes(nodes), moment.now, &mut outputs);
        self.perform(outputs, out);
    }

    fn perform(&mut self, outputs: Vec<Output>, out: &mut Vec<Action>) {
        for output in outputs {
            match output {
                Output::Send(to, frame) | Output::SendToLife { to, frame, .. } => {
                    out.push(Action::Send(to, LinkMessage::Frame(frame)));
                }
                Output::Broadcast(frame) => out.push(Action::Broadcast(LinkMessage::Frame(frame))),
                Output::Persist { epoch, .. } => out.push(Action::Write(epoch)),
                Output::Publish { seat, claim } => {
                    let text = claim.as_ref().map(gossip::write);
                    out.push(Action::Gossip(gossip::claim_key(&seat), text));
                    out.push(Action::Claims(seat, claim));
                }
                Output::Changed { seat, holder } => out.push(Action::Changed(seat, holder)),
            }
        }
        self.mesh.apply_seats(&self.seats);
    }

    /// An epoch is on disk. Only the master's seat keeps them.
    pub(super) fn written(&mut self, epoch: Epoch, moment: Moment, out: &mut Vec<Action>) {
        let seat = Seat::Master;
        self.handle_seats(Input::Persisted { seat, epoch }, moment, out);
    }

    /// The disk has refused an epoch.
    pub(super) fn not_written(&mut self, epoch: Epoch, moment: Moment, out: &mut Vec<Action>) {
        let seat = Seat::Master;
        self.handle_seats(Input::PersistFailed { seat, epoch }, moment, out);
    }

    pub(super) fn obey(&mut self, fence: Fence, out: &mut Vec<Action>) {
        match self.authority.admit(&fence) {
            Admission::Apply => out.push(Action::Applied(fence)),
            Admission::Refuse => {}
        }
    }

    /// Gives an order in each round if this node is the master, to itself too.
    pub(super) fn order(&mut self, out: &mut Vec<Action>) {
        let Some(claim) = self.seats.own_claim(&Seat::Master) else {
            return;
        };
        let fence = claim.fence();
        self.obey(fence.clone(), out);
        out.push(Action::Broadcast(LinkMessage::Order(fence)));
    }
}
