//! The transcoder of a mount, in the status.

use serde::{Deserialize, Serialize};

use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::transcoding::{TranscoderReport, TranscoderStage};

/// The transcoder of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscoderStatus {
    /// The mount that it hears; `None` if that is hidden, for those who may not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<MountName>,
    /// The node that runs it; `None` while no node does.
    pub node: Option<NodeName>,
    /// The words of that node.
    #[serde(flatten)]
    pub report: TranscoderReport,
}

impl TranscoderStatus {
    /// A line on it for people, such as `by ffmpeg at east, 0.4 s behind, 3 % of a processor`.
    pub fn in_words(&self) -> String {
        let TranscoderReport {
            engine,
            stage,
            restarts,
            lag_ms,
            cpu_permille,
            ..
        } = &self.report;
        let mut words = vec![match (&self.node, engine.as_str()) {
            (Some(node), "") => format!("by {node}"),
            (Some(node), engine) => format!("by {engine} at {node}"),
            (None, _) => "by no node".to_owned(),
        }];
        match stage {
            TranscoderStage::Waiting => words.push("waits for its source".to_owned()),
            TranscoderStage::Idle => words.push("idle until somebody listens".to_owned()),
            TranscoderStage::Starting => words.push("starts".to_owned()),
            TranscoderStage::Failing => words.push("fails".to_owned()),
            TranscoderStage::Running | TranscoderStage::Unknown => {}
        }
        if let Some(lag_ms) = *lag_ms {
            words.push(format!("{:.1} s behind", lag_ms as f64 / 1_000.0));
        }
        if let Some(cpu) = *cpu_permille {
            words.push(format!("{:.1} % of a processor", f64::from(cpu) / 10.0));
        }
        match *restarts {
            0 => {}
            1 => words.push("restarted once".to_owned()),
            restarts => words.push(format!("restarted {restarts} times")),
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcoder_is_described_by_what_it_does() {
        let mut status = TranscoderStatus {
            from: None,
            node: None,
            report: TranscoderReport::default(),
        };
        assert_eq!(status.in_words(), "by no node");
        status.node = Some("east".parse().unwrap());
        status.report.engine = "ffmpeg".to_owned();
        status.report.stage = TranscoderStage::Waiting;
        assert_eq!(status.in_words(), "by ffmpeg at east, waits for its source");
        status.report.stage = TranscoderStage::Running;
        (status.report.lag_ms, status.report.cpu_permille) = (Some(430), Some(31));
        status.report.restarts = 2;
        assert_eq!(
            status.in_words(),
            "by ffmpeg at east, 0.4 s behind, 3.1 % of a processor, restarted 2 times"
        );
    }
}
