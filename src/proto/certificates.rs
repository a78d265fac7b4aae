//! The certificates that are wanted by the mesh as it is seen, and which nodes must know of an order.

use std::collections::BTreeSet;

use super::view::{MeshNode, MeshView};
use crate::logic::certificates::names::{ProofWay, WantedCertificate, wanted};
use crate::model::https::HttpsSettings;
use crate::model::node::NodeName;

/// The certificates that are wanted for the nodes that are there; none while HTTPS is off.
pub fn wanted_by(view: &MeshView, settings: &HttpsSettings) -> Vec<WantedCertificate> {
    if !settings.is_on {
        return Vec::new();
    }
    let up = || view.nodes.values().filter(|node| node.is_up());
    let zones = up().filter_map(|node| node.card.zone.clone());
    let urls = up().flat_map(|node| {
        let https = node.card.https_url.as_deref();
        [Some(&*node.card.url), https].into_iter().flatten()
    });
    wanted(&zones.collect(), urls, &settings.names)
}

/// Whether this node sees at most half of the nodes that there are: the others may be a mesh of their own.
pub fn is_minority(view: &MeshView) -> bool {
    let up = view.nodes.values().filter(|node| node.is_up()).count();
    view.nodes.len() > 1 && up * 2 <= view.nodes.len()
}

/// The nodes that the authority may ask, and whose document is not this one yet.
pub fn behind<'a>(view: &'a MeshView, way: ProofWay, digest: &str) -> BTreeSet<&'a NodeName> {
    let is_asked = |node: &MeshNode| way != ProofWay::Dns || node.card.serves_dns;
    let nodes = view.nodes.iter().filter(|(name, node)| {
        **name != view.me
            && node.is_up()
            && is_asked(node)
            && node.document.as_deref() != Some(digest)
    });
    nodes.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::node::Generation;
    use crate::model::status::NodeState;

    fn mesh(nodes: &[(&str, NodeState)]) -> MeshView {
        let mut view = MeshView::empty("a".parse().unwrap());
        for (name, state) in nodes {
            let mut node = MeshNode::unheard(Generation(1), Instant::now());
            node.state = *state;
            node.card.url = format!("http://{name}.example:8000");
            node.document = Some("old".to_owned());
            view.nodes.insert(name.parse().unwrap(), node);
        }
        view
    }

    #[test]
    fn dead_nodes_want_nothing_and_are_not_waited_for() {
        use NodeState::{Alive, Dead, Suspect};
        let mut view = mesh(&[("a", Alive), ("b", Dead), ("c", Suspect)]);
        let names = |view: &MeshView| -> Vec<String> {
            let settings = HttpsSettings {
                is_on: true,
                ..HttpsSettings::default()
            };
            let wanted = wanted_by(view, &settings);
            wanted
                .iter()
                .map(|it| it.first_name().to_string())
                .collect()
        };
        assert_eq!(names(&view), ["a.example", "c.example"]);
        let c: NodeName = "c".parse().unwrap();
        assert_eq!(behind(&view, ProofWay::Http, "new"), BTreeSet::from([&c]));
        assert!(behind(&view, ProofWay::Dns, "new").is_empty());
        assert!(behind(&view, ProofWay::Http, "old").is_empty());
        let node = view.nodes.get_mut(&c).unwrap();
        (node.card.serves_dns, node.card.zone) = (true, "radio.example".parse().ok());
        node.card.https_url = Some("https://d.example".to_owned());
        assert_eq!(behind(&view, ProofWay::Dns, "new"), BTreeSet::from([&c]));
        let expected = ["radio.example", "a.example", "c.example", "d.example"];
        assert_eq!(names(&view), expected);
    }

    #[test]
    fn half_of_the_mesh_is_a_minority() {
        use NodeState::{Alive, Dead};
        assert!(!is_minority(&mesh(&[("a", Alive)])));
        assert!(is_minority(&mesh(&[("a", Alive), ("b", Dead)])));
        assert!(!is_minority(&mesh(&[
            ("a", Alive),
            ("b", Alive),
            ("c", Dead)
        ])));
    }
}
