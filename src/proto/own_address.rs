//! Whether an address is one of a node of this mesh: its streams are the mesh's own.

use super::view::MeshView;
use crate::model::node::NodeName;
use crate::model::outside_relay::RelayAddress;

/// The node that announces this host, in lower case, and port to listeners.
pub fn node_at<'a>(view: &'a MeshView, host: &str, port: u16) -> Option<&'a NodeName> {
    let is_at = |announced: &str| {
        let announced: Option<RelayAddress> = announced.parse().ok();
        announced.is_some_and(|it| it.host_and_port() == (host, port))
    };
    let mut nodes = view.nodes.iter();
    let found = nodes.find(|(_, node)| {
        let urls = [Some(&node.card.url), node.card.https_url.as_ref()];
        urls.into_iter().flatten().any(|url| is_at(url))
    });
    found.map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::node::Generation;
    use crate::proto::view::MeshNode;

    #[test]
    fn a_node_is_known_by_each_address_that_it_announces() {
        let mut view = MeshView::empty("a".parse().unwrap());
        let mut node = MeshNode::unheard(Generation(1), Instant::now());
        node.card.url = "http://A.example:8000".to_owned();
        node.card.https_url = Some("https://a.example".to_owned());
        view.nodes.insert("b".parse().unwrap(), node);
        for (host, port, is_ours) in [
            ("a.example", 8_000, true),
            ("a.example", 443, true),
            ("a.example", 80, false),
            ("b.example", 8_000, false),
        ] {
            assert_eq!(
                node_at(&view, host, port).is_some(),
                is_ours,
                "{host}:{port}"
            );
        }
    }
}
