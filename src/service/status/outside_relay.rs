//! The part of a mount's status about its outside relay.

use super::Viewer;
use crate::model::caption::caption;
use crate::model::mount::MountSpec;
use crate::model::outside_relay::{OutsideRelayReport, RelayAddress};
use crate::model::seat::Seat;
use crate::model::status::outside_relay::{OutsideRelayStatus, RelayRung, RelayRungState};
use crate::proto::on_air::heard_on;
use crate::proto::view::MeshView;

/// The outside relay of a mount, as a viewer may see it; `None` for a mount without one.
pub(super) fn status(
    view: &MeshView,
    spec: &MountSpec,
    viewer: Viewer,
) -> Option<OutsideRelayStatus> {
    if spec.relay.is_empty() || spec.transcode.transcode_from.is_some() {
        return None;
    }
    let holder = view.seats.get(&Seat::OutsideRelay(spec.path.clone()));
    let node = holder.and_then(|claim| view.nodes.get(&claim.node));
    let report = node.and_then(|node| node.outside_relays.get(&spec.path));
    let report = report.cloned().unwrap_or_default();
    let rungs = match viewer {
        Viewer::Operator => rungs(view, spec, &report),
        Viewer::Public => Vec::new(),
    };
    // Where a station gets its stream from is for its operators.
    let report = match viewer {
        Viewer::Operator => OutsideRelayReport {
            address: caption(&report.address),
            trouble: report.trouble.as_deref().map(caption),
            faults: Vec::new(), // the rungs say them
            ..report
        },
        Viewer::Public => OutsideRelayReport {
            address: String::new(),
            trouble: None,
            faults: Vec::new(),
            ..report
        },
    };
    Some(OutsideRelayStatus {
        node: holder.map(|claim| claim.node.clone()),
        addresses: u32::try_from(spec.relay.as_slice().len()).unwrap_or(u32::MAX),
        report,
        rungs,
    })
}

/// The addresses, by what the node that asks them says.
fn rungs(view: &MeshView, spec: &MountSpec, report: &OutsideRelayReport) -> Vec<RelayRung> {
    let mount = &spec.path;
    let is_on_air = view.yields(mount);
    let rung = |(number, address): (u32, &RelayAddress)| {
        let state = RelayRungState::of(number, report, is_on_air);
        let fault = report.faults.iter().find(|it| it.number == number);
        RelayRung {
            address: address.to_string(),
            state,
            why: fault
                .filter(|_| state == RelayRungState::Fails)
                .map(|it| caption(&it.why)),
            heard_on: match state {
                RelayRungState::Flows => heard_on(mount, &mount.clone().into(), view),
                _ => Vec::new(),
            },
        }
    };
    (1..).zip(spec.relay.as_slice()).map(rung).collect()
}
