//! The part of a mount's status about its outside relay.

use super::Viewer;
use crate::model::caption::caption;
use crate::model::mount::MountSpec;
use crate::model::outside_relay::OutsideRelayReport;
use crate::model::seat::Seat;
use crate::model::status::outside_relay::OutsideRelayStatus;
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
    // Where a station gets its stream from is for its operators.
    let report = match viewer {
        Viewer::Operator => OutsideRelayReport {
            address: caption(&report.address),
            trouble: report.trouble.as_deref().map(caption),
            ..report
        },
        Viewer::Public => OutsideRelayReport {
            address: String::new(),
            trouble: None,
            ..report
        },
    };
    Some(OutsideRelayStatus {
        node: holder.map(|claim| claim.node.clone()),
        addresses: u32::try_from(spec.relay.as_slice().len()).unwrap_or(u32::MAX),
        report,
    })
}
