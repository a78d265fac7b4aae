//! `/load.xsl` of our own: the room of the whole mesh, so that balancers of other networks can send listeners here.
//!
//! Outside servers do not count: two networks that named each other would otherwise count each other's room as theirs.

use hyper::StatusCode;

use super::Admin;
use super::call::{Answer, Call};
use super::reply;
use crate::model::outside::Slots;
use crate::model::status::{NodeStatus, Status};
use crate::service::document::Mounts;
use crate::service::load::ASSUMED_BITRATE_BPS;
use crate::service::status::Viewer;
use crate::wire::outside::{LoadPage, written};

/// Answers `/load.xsl`.
pub(super) fn load_page(admin: &Admin, _call: &Call) -> Answer {
    let page = page(
        &admin.0.statuses.status(Viewer::Public),
        &admin.0.mesh.documents.mounts(),
    );
    Ok(reply::xml(StatusCode::OK, written(&page)))
}

fn page(status: &Status, specs: &Mounts) -> LoadPage {
    let bitrates = status.mounts.iter().map(|mount| mount.bitrate_bps);
    let cost_bps = bitrates.filter(|bps| *bps > 0).max();
    let cost_bps = cost_bps.unwrap_or(ASSUMED_BITRATE_BPS);
    let open = |node: &&NodeStatus| {
        let is_chosen = !node.traits.maintenance && node.traits.weight_percent > 0;
        node.state.takes_listeners() && is_chosen
    };
    let mut server = Slots {
        listeners: 0,
        max_listeners: Some(0),
    };
    for node in status.nodes.iter().filter(open) {
        let most = room(node, cost_bps).saturating_add(node.listeners);
        server.listeners = server.listeners.saturating_add(node.listeners);
        server.max_listeners = server.max_listeners.map(|sum| sum.saturating_add(most));
    }
    let on_air = status.mounts.iter().filter(|mount| mount.source.is_some());
    let mounts = on_air.map(|mount| {
        let spec = specs.get(&mount.path);
        let slots = Slots {
            listeners: mount.listeners,
            max_listeners: spec.and_then(|spec| spec.max_listeners),
        };
        (mount.path.clone(), slots)
    });
    LoadPage {
        server,
        mounts: mounts.collect(),
    }
}

/// How many more a node takes: by listeners and by bandwidth, whichever is less.
fn room(node: &NodeStatus, cost_bps: u64) -> u32 {
    let slots = node.max_listeners.saturating_sub(node.listeners);
    let bandwidth_bps = node.max_bandwidth_bps.saturating_sub(node.bandwidth_bps);
    let by_bandwidth = u32::try_from(bandwidth_bps / cost_bps).unwrap_or(u32::MAX);
    slots.min(by_bandwidth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::geo::Whereabouts;
    use crate::model::seat::Epoch;
    use crate::model::status::NodeState;
    use crate::model::traits::NodeTraits;

    fn node(name: &str, listeners: u32, max_bandwidth_bps: u64) -> NodeStatus {
        NodeStatus {
            name: name.try_into().unwrap(),
            url: String::new(),
            https_url: None,
            state: NodeState::Alive,
            master: false,
            rank: 0,
            listeners,
            max_listeners: 100,
            bandwidth_bps: u64::from(listeners) * ASSUMED_BITRATE_BPS,
            max_bandwidth_bps,
            utilization: 0.0,
            predicted_utilization: 0.0,
            version: String::new(),
            dns: false,
            address_trouble: None,
            place: Whereabouts::default(),
            disk: None,
            logs: None,
            engine: None,
            clock_offset_ms: None,
            traits: NodeTraits::default(),
        }
    }

    #[test]
    fn the_room_is_that_of_the_nodes_that_take_anybody() {
        let mut nodes = vec![
            node("a", 10, u64::MAX),
            node("b", 20, 25 * ASSUMED_BITRATE_BPS),
            node("draining", 1, u64::MAX),
            node("resting", 1, u64::MAX),
        ];
        nodes[2].state = NodeState::Draining;
        nodes[3].traits.maintenance = true;
        let status = Status {
            node: "a".try_into().unwrap(),
            cluster: String::new(),
            version: String::new(),
            uptime_s: 0,
            started_unix_s: 0,
            import: None,
            certificates: None,
            master: None,
            epoch: Epoch(0),
            nodes,
            mounts: Vec::new(),
            outside: Vec::new(),
            unreached: Vec::new(),
            geo: None,
            clock: None,
        };
        let page = page(&status, &Mounts::new());
        let expected = Slots {
            listeners: 30,
            max_listeners: Some(100 + 25),
        };
        assert_eq!(page.server, expected);
        assert!(page.mounts.is_empty());
    }
}
