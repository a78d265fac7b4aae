//! The part of the status about outside servers.

use std::collections::BTreeMap;

use super::Statuses;
use crate::logic::forecast::{OutsideOutlook, Standing};
use crate::model::node::NodeName;
use crate::model::outside::{OutsideServer, Slots};
use crate::model::seat::Seat;
use crate::model::status::outside::{OutsideDetail, OutsideMount, OutsideState, OutsideStatus};

impl Statuses {
    /// Every outside server, as the public status shows it.
    pub fn outside(&self) -> Vec<OutsideStatus> {
        let details = self.outside_details().into_iter();
        details.map(|detail| detail.status).collect()
    }

    /// Every outside server, for operators.
    pub fn outside_details(&self) -> Vec<OutsideDetail> {
        let (servers, view) = (
            self.config.mesh.documents.outside(),
            self.config.mesh.cluster.view(),
        );
        let mut outlooks: BTreeMap<NodeName, OutsideOutlook> = self.config.load.outside();
        let detail = |server: &OutsideServer| {
            let outlook = outlooks.remove(&server.backend());
            let seat = Seat::Outside(server.name.clone());
            let holder = view.seats.get(&seat).map(|claim| claim.node.clone());
            OutsideDetail {
                server: server.clone(),
                has_login: server.login.is_some(),
                failure: outlook.as_ref().and_then(|it| it.bulletin.failure.clone()),
                status: status(server, outlook, holder),
            }
        };
        servers.values().map(detail).collect()
    }
}

fn status(
    server: &OutsideServer,
    outlook: Option<OutsideOutlook>,
    holder: Option<NodeName>,
) -> OutsideStatus {
    let state = match &outlook {
        _ if !server.enabled => OutsideState::Disabled,
        Some(outlook) if outlook.asked_by.is_none() => OutsideState::Unknown,
        None => OutsideState::Unknown,
        // One that is never chosen is asked all the same.
        Some(outlook) if outlook.standing == Standing::Ready || server.weight_percent == 0 => {
            match outlook.bulletin.failure {
                None => OutsideState::Ready,
                Some(_) => OutsideState::Failing,
            }
        }
        Some(_) => OutsideState::Failing,
    };
    let pending = outlook.as_ref().map_or(0, |outlook| outlook.pending);
    // The last report of a server is no longer true once it is silent.
    let report = outlook
        .filter(|_| state == OutsideState::Ready)
        .map(|outlook| outlook.bulletin.report);
    let mount = |(ours, theirs): (&_, &_)| {
        let on_air = report
            .as_ref()
            .and_then(|report| report.mounts.get(ours))
            .copied();
        let mount = OutsideMount {
            path: Clone::clone(theirs),
            on_air,
        };
        (Clone::clone(ours), mount)
    };
    OutsideStatus {
        name: server.name.clone(),
        url: server.public_url.clone(),
        state,
        asked_by: holder,
        server: report.as_ref().map_or(
            Slots {
                listeners: 0,
                max_listeners: server.max_listeners,
            },
            |report| report.server,
        ),
        pending,
        weight_percent: server.weight_percent,
        country: server.country,
        mounts: server.mounts.iter().map(mount).collect(),
    }
}
