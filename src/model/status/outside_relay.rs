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
    /// The addresses, the best first; only an operator sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<RelayRung>,
}

/// One address of an outside relay: a rung below the encoder of its mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayRung {
    /// The address, without its secrets.
    pub address: String,
    /// Whether its stream is heard, or why it is not.
    pub state: RelayRungState,
    /// Why it gave no stream when it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The nodes on which the mount's listeners hear it now.
    pub heard_on: Vec<NodeName>,
}

/// Whether the stream of an address is heard, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayRungState {
    /// The stream is on air.
    Flows,
    /// The address is asked now.
    Asked,
    /// The address gave no stream, and is asked again.
    Fails,
    /// A better address plays.
    NotNeeded,
    /// An encoder has the mount, or waits for it.
    Yields,
    /// Nobody listens, and so nothing is asked for.
    Idle,
    /// None that is known here: no node has asked the address yet.
    #[serde(other)]
    NotAsked,
}

impl RelayRungState {
    /// The state in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Flows => "on air",
            Self::Asked => "is asked now",
            Self::Fails => "gives no stream, and is asked again",
            Self::NotNeeded => "not needed, a better one is on air",
            Self::Yields => "gives way to an encoder",
            Self::Idle => "asked as soon as somebody listens",
            Self::NotAsked => "not asked yet",
        }
    }

    /// The state of an address, which has this number, by the words of the node that asks it.
    pub fn of(number: u32, report: &OutsideRelayReport, is_on_air: bool) -> Self {
        let has_failed = report.faults.iter().any(|fault| fault.number == number);
        let is_meant = report.number == number;
        match report.stage {
            OutsideRelayStage::Running if is_on_air && is_meant => Self::Flows,
            OutsideRelayStage::Running if is_on_air && report.number < number => Self::NotNeeded,
            OutsideRelayStage::Standby => Self::Yields,
            OutsideRelayStage::Idle => Self::Idle,
            OutsideRelayStage::Connecting if is_meant => Self::Asked,
            _ if has_failed => Self::Fails,
            _ => Self::NotAsked,
        }
    }
}

impl OutsideRelayStatus {
    /// The address whose stream is on air.
    pub fn playing(&self) -> Option<&RelayRung> {
        let mut rungs = self.rungs.iter();
        rungs.find(|rung| rung.state == RelayRungState::Flows)
    }

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
    use crate::model::outside_relay::AddressFault;

    #[test]
    fn an_outside_relay_is_described_by_what_it_does() {
        let mut status = OutsideRelayStatus {
            node: None,
            addresses: 2,
            report: OutsideRelayReport::default(),
            rungs: Vec::new(),
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
    #[test]
    fn each_address_says_whether_it_plays_and_why_not() {
        use OutsideRelayStage::{Connecting, Failing, Idle, Running, Standby};
        use RelayRungState as State;
        let states = |stage, number, failed: &[u32], is_on_air| {
            let faults = failed.iter().map(|number| AddressFault {
                number: *number,
                why: "it answers 404".to_owned(),
            });
            let report = OutsideRelayReport {
                stage,
                number,
                faults: faults.collect(),
                ..OutsideRelayReport::default()
            };
            [1, 2, 3].map(|number| RelayRungState::of(number, &report, is_on_air))
        };
        for (stage, number, failed, is_on_air, told) in [
            (
                Running,
                2,
                &[1, 3][..],
                true,
                [State::Fails, State::Flows, State::NotNeeded],
            ),
            // The stream of the second has just ended.
            (
                Running,
                2,
                &[1, 2],
                false,
                [State::Fails, State::Fails, State::NotAsked],
            ),
            (
                Connecting,
                2,
                &[1],
                false,
                [State::Fails, State::Asked, State::NotAsked],
            ),
            (Failing, 0, &[1, 2, 3], false, [State::Fails; 3]),
            (Standby, 0, &[1], true, [State::Yields; 3]),
            (Idle, 0, &[1], false, [State::Idle; 3]),
            (
                OutsideRelayStage::Unknown,
                0,
                &[],
                false,
                [State::NotAsked; 3],
            ),
        ] {
            assert_eq!(states(stage, number, failed, is_on_air), told, "{stage:?}");
        }
    }
}
