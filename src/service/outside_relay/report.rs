//! Tells the mesh and the operator of an outside relay.

use tracing::warn;

use super::{OutsideRelayConfig, OutsideRelayJob};
use crate::io::clock;
use crate::model::caption::caption;
use crate::model::outside_relay::{AddressFault, OutsideRelayReport, OutsideRelayStage};
use crate::wire::gossip;

/// Tells of one outside relay.
pub(super) struct Report<'a> {
    config: &'a OutsideRelayConfig,
    job: &'a OutsideRelayJob,
    /// The report that was told last.
    told: OutsideRelayReport,
}

impl<'a> Report<'a> {
    pub(super) fn new(config: &'a OutsideRelayConfig, job: &'a OutsideRelayJob) -> Self {
        Self {
            config,
            job,
            told: OutsideRelayReport::default(),
        }
    }

    /// Whether no address has given the stream, as it was told last.
    pub(super) fn is_failing(&self) -> bool {
        self.told.stage == OutsideRelayStage::Failing
    }

    /// No address is asked, or heard.
    pub(super) async fn set_stage(&mut self, stage: OutsideRelayStage) {
        self.set(stage, None).await;
    }

    /// An address is asked.
    pub(super) async fn set_asked(&mut self, place: usize) {
        self.set(OutsideRelayStage::Connecting, Some(place)).await;
    }

    /// An address is heard.
    pub(super) async fn set_playing(&mut self, place: usize) {
        self.told.faults.retain(|it| it.number != number(place));
        self.set(OutsideRelayStage::Running, Some(place)).await;
    }

    async fn set(&mut self, stage: OutsideRelayStage, place: Option<usize>) {
        let address = place.and_then(|place| self.job.addresses.as_slice().get(place));
        let address = address.map(ToString::to_string).unwrap_or_default();
        let number = place.map_or(0, number);
        if (self.told.stage, self.told.number) == (stage, number) {
            return;
        }
        let report = OutsideRelayReport {
            stage,
            address,
            number,
            since_unix_s: clock::unix_s(),
            ..self.told.clone()
        };
        self.tell(report).await;
    }

    /// An address has failed, whatever else is heard.
    pub(super) async fn set_failed(&mut self, place: usize, address: &str, why: &str) {
        let number = number(place);
        let mut faults = self.told.faults.clone();
        faults.retain(|it| it.number != number);
        faults.push(AddressFault {
            number,
            why: gossip::short_finding(&caption(why)),
        });
        let report = OutsideRelayReport {
            trouble: Some(gossip::short_trouble(&format!("{address}: {why}"))),
            faults,
            ..self.told.clone()
        };
        self.tell(report).await;
    }

    /// A stream that was on air has broken off.
    pub(super) fn note_restart(&mut self) {
        self.told.restarts = self.told.restarts.saturating_add(1);
    }

    /// All is as it should be.
    pub(super) async fn clear_trouble(&mut self) {
        let report = OutsideRelayReport {
            trouble: None,
            faults: Vec::new(),
            ..self.told.clone()
        };
        self.tell(report).await;
    }

    async fn tell(&mut self, report: OutsideRelayReport) {
        if report == self.told {
            return;
        }
        self.told = report;
        let key = gossip::outside_relay_key(&self.job.mount);
        let text = gossip::write(&self.told);
        if let Err(error) = self.config.mesh.gossip.set(&key, &text).await {
            warn!(%error, "the state of the outside relay is not gossiped");
        }
    }
}

/// The number of an address at a place, as operators count.
fn number(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}
