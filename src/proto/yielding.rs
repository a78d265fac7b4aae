//! The streams that nobody is to go over to, or that give way: those of transcoders and outside relays.

use super::view::MeshView;
use crate::model::mount::MountName;
use crate::model::outside_relay::OutsideRelayReport;
use crate::model::seat::Seat;
use crate::wire::gossip::{Origin, StreamCard};

impl MeshView {
    /// Marks the streams of transcoders and outside relays whose seat another node holds by now as streams without a source:
    /// their nodes may not have heard of that yet, and nobody is to go over to them.
    pub fn depose_beaten(&mut self) {
        for (seat, claim) in &self.seats {
            let (mount, is_outside) = match seat {
                Seat::Transcoder(mount) => (mount, false),
                Seat::OutsideRelay(mount) => (mount, true),
                Seat::Master | Seat::Outside(_) | Seat::Import | Seat::Certificates => continue,
            };
            let others = self
                .nodes
                .iter_mut()
                .filter(|(name, _)| **name != claim.node);
            for (_, node) in others {
                let yielding = node.yielding.get(mount).copied();
                let cards = node.streams.get_mut(mount).into_iter();
                // An encoder may send to a mount that has an outside relay; to a transcoded one none does.
                let is_beaten = |card: &StreamCard| !is_outside || yielding == Some(card.stream_id);
                for card in cards.filter(|card| card.origin == Origin::Source && is_beaten(card)) {
                    card.origin = Origin::Relay(None);
                }
            }
        }
    }

    /// The words on a mount's outside relay of the node that has its seat.
    pub fn outside_relay(&self, mount: &MountName) -> Option<&OutsideRelayReport> {
        let holder = self.seats.get(&Seat::OutsideRelay(mount.clone()))?;
        self.nodes.get(&holder.node)?.outside_relays.get(mount)
    }

    /// Whether a mount's source is an outside relay, which yields its place to any encoder.
    pub fn yields(&self, mount: &MountName) -> bool {
        let source = self.source(mount);
        source.is_some_and(|(name, card)| self.nodes[name].is_yielding(mount, card))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::node::{Generation, NodeName};
    use crate::model::seat::{Claim, Epoch, Rank};
    use crate::model::status::NodeState;
    use crate::model::stream::StreamId;
    use crate::proto::view::MeshNode;
    use crate::wire::gossip;

    #[test]
    fn only_the_holder_of_a_transcoders_seat_is_its_source() {
        let names = ["old", "new", "relay"].map(|name| NodeName::try_from(name).unwrap());
        let [old, new, relay] = &names;
        let mount = MountName::try_from("/a.opus").unwrap();
        let mut view = MeshView::empty(relay.clone());
        for (name, stream_id, origin) in [
            (old, 1, Origin::Source),
            (new, 2, Origin::Source),
            (relay, 2, Origin::Relay(Some(new.clone()))),
        ] {
            let mut node = MeshNode::unheard(Generation(1), Instant::now());
            let card = StreamCard {
                origin,
                ..StreamCard::sample(StreamId(stream_id))
            };
            node.streams.insert(mount.clone(), card);
            node.state = NodeState::Alive;
            view.nodes.insert(name.clone(), node);
        }
        view.depose_beaten();
        assert_eq!(view.source(&mount).unwrap().0, old, "nobody has the seat");
        let claim = Claim {
            epoch: Epoch(2),
            rank: Rank(1),
            node: new.clone(),
        };
        view.seats.insert(Seat::Transcoder(mount.clone()), claim);
        view.depose_beaten();
        assert_eq!(view.source(&mount).unwrap().0, new);
        let origin = |name| view.nodes[name].streams[&mount].origin.clone();
        assert_eq!(origin(old), Origin::Relay(None));
        assert_eq!(origin(relay), Origin::Relay(Some(new.clone())));
    }

    /// A view of a mount that has a source at each of these nodes, with the number of its stream.
    fn sourced(mount: &MountName, sources: &[(&str, u128)]) -> MeshView {
        let mut view = MeshView::empty("me".parse().unwrap());
        for (name, stream_id) in sources {
            let mut node = MeshNode::unheard(Generation(1), Instant::now());
            node.streams
                .insert(mount.clone(), StreamCard::sample(StreamId(*stream_id)));
            node.state = NodeState::Alive;
            view.nodes.insert(name.parse().unwrap(), node);
        }
        view
    }

    #[test]
    fn any_encoder_comes_before_an_outside_relay() {
        let mount = MountName::try_from("/a").unwrap();
        let mut view = sourced(&mount, &[("relay", 1), ("encoder", 2)]);
        let source = |view: &MeshView| view.source(&mount).unwrap().0.to_string();
        assert_eq!(source(&view), "relay", "it was there first");
        let relay = view.nodes.get_mut(&"relay".parse::<NodeName>().unwrap());
        let relay = relay.unwrap();
        relay.hear("yielding/a", Some(&gossip::write(&StreamId(1))));
        assert_eq!(source(&view), "encoder");
        assert!(!view.yields(&mount));
        view.nodes.remove(&"encoder".parse::<NodeName>().unwrap());
        assert!(view.yields(&mount));
    }

    #[test]
    fn only_the_relay_that_has_lost_its_seat_is_beaten() {
        let mount = MountName::try_from("/a").unwrap();
        let mut view = sourced(&mount, &[("relay", 1), ("encoder", 2)]);
        let claim = Claim {
            epoch: Epoch(2),
            rank: Rank(1),
            node: "other".parse().unwrap(),
        };
        view.seats.insert(Seat::OutsideRelay(mount.clone()), claim);
        let relay = view.nodes.get_mut(&"relay".parse::<NodeName>().unwrap());
        relay.unwrap().yielding.insert(mount.clone(), StreamId(1));
        view.depose_beaten();
        assert_eq!(view.source(&mount).unwrap().0.as_str(), "encoder");
        view.nodes.remove(&"encoder".parse::<NodeName>().unwrap());
        assert!(view.source(&mount).is_none());
    }
}
