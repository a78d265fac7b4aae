//! The outside relay of a mount, in the status.

use serde::{Deserialize, Serialize};

use crate::model::node::NodeName;
use crate::model::outside_relay::{OutsideRelayReport, OutsideRelayStage};

/// The outside relay of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideRelayStatus {
    /// The node that runs it; `None` while no node does.
    pub node: Option<NodeName>,
    /// How many addresses the mount has.
    pub addresses: u32,
    /// The words of that node. Only an operator sees addresses and reasons.
    #[serde(flatten)]
    pub report: OutsideRelayReport,
}

impl OutsideRelayStatus {
    /// A line on it for people, such as `by east from http://a/radio.mp3 (address 1 of 2), broken off once`.
    pub fn in_words(&self) -> String {
        let OutsideRelayReport {
            stage,
            address,
            number,
            restarts,
            ..
        } = &self.report;
        let mut words = vec![match &self.node {
            Some(node) => format!("by {node}"),
            None => "by no node".to_owned(),
        }];
        let which = match (number, address.as_str()) {
            (0, _) => String::new(),
            (number, "") => format!("address {number} of {}", self.addresses),
            (number, address) => format!("{address} (address {number} of {})", self.addresses),
        };
        match stage {
            OutsideRelayStage::Running => words[0] += &format!(" from {which}"),
            OutsideRelayStage::Connecting => words.push(format!("asks {which}")),
            OutsideRelayStage::Idle => words.push("idle until somebody listens".to_owned()),
            OutsideRelayStage::Standby => words.push("gives way to an encoder".to_owned()),
            OutsideRelayStage::Failing => words.push("no address gives the stream".to_owned()),
            OutsideRelayStage::Unknown => {}
        }
        match *restarts {
            0 => {}
            1 => words.push("broken off once".to_owned()),
            restarts => words.push(format!("broken off {restarts} times")),
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outside_relay_is_described_by_what_it_does() {
        let mut status = OutsideRelayStatus {
            node: None,
            addresses: 2,
            report: OutsideRelayReport::default(),
        };
        assert_eq!(status.in_words(), "by no node");
        status.node = Some("east".parse().unwrap());
        status.report.stage = OutsideRelayStage::Standby;
        assert_eq!(status.in_words(), "by east, gives way to an encoder");
        status.report.stage = OutsideRelayStage::Running;
        (status.report.number, status.report.restarts) = (2, 1);
        let told = "by east from address 2 of 2, broken off once";
        assert_eq!(status.in_words(), told);
        status.report.address = "http://***@a/x".to_owned();
        status.report.stage = OutsideRelayStage::Connecting;
        let told = "by east, asks http://***@a/x (address 2 of 2), broken off once";
        assert_eq!(status.in_words(), told);
    }
}
