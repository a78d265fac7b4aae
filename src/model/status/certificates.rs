//! The certificates of the mesh, as its status shows them.

use serde::{Deserialize, Serialize};

use crate::model::node::NodeName;

/// The certificates of the mesh, and how it gets them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificatesStatus {
    /// Whether the mesh gets certificates from an authority.
    pub https: bool,
    /// The node that orders them; `None` while no node does.
    pub node: Option<NodeName>,
    /// How many keys are still sealed under an older key of the secret than its first, as the answering node has it.
    #[serde(skip_serializing_if = "is_zero")]
    pub keys_to_seal: usize,
    /// Each certificate that there is or should be.
    pub certificates: Vec<CertificateStatus>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The state of a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateState {
    /// Valid, and nothing has to be done.
    #[default]
    Valid,
    /// Not there yet.
    Missing,
    /// Valid, and should have been renewed: less than a third of its lifetime is left.
    Ending,
    /// Kept, and not valid yet.
    Upcoming,
    /// Over.
    Expired,
    /// Kept, but no key of the node's secret opens its key.
    Locked,
}

impl CertificateState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Missing => "missing",
            Self::Ending => "ending",
            Self::Upcoming => "upcoming",
            Self::Expired => "expired",
            Self::Locked => "locked",
        }
    }
}

/// One certificate that there is or should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateStatus {
    /// The names that it is for.
    pub names: Vec<String>,
    /// The state.
    pub state: CertificateState,
    /// When it begins, unix seconds, if that is yet to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_unix_s: Option<u64>,
    /// When it ends, unix seconds; `None`: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_unix_s: Option<u64>,
    /// The authority's number of it, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The name of the authority that issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The origin: `ordered`, `imported`, or `file` at the answering node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether an order for it is open at the authority.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_ordering: bool,
    /// When it is ordered or renewed next, unix seconds; `None`: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_unix_s: Option<u64>,
    /// How many tries have failed since the last success.
    pub failures: u32,
    /// Why the last try failed, and what to do; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// The seconds of a day.
const DAY_S: u64 = 86_400;

impl CertificateStatus {
    /// A line on it for people.
    pub fn in_words(&self, now_unix_s: u64) -> String {
        let mut words = self.names.join(", ");
        words += match self.state {
            CertificateState::Valid => ": valid",
            CertificateState::Missing => ": no certificate yet",
            CertificateState::Ending => ": about to end",
            CertificateState::Upcoming => ": not valid yet",
            CertificateState::Expired => ": expired",
            CertificateState::Locked => ": its key cannot be opened",
        };
        if let Some(begins) = self.begins_unix_s {
            words += &format!(", begins in {}", span(begins.saturating_sub(now_unix_s)));
        }
        if let Some(until) = self.until_unix_s {
            words += &match until.checked_sub(now_unix_s) {
                Some(left) => format!(", {} left", span(left)),
                None => format!(" {} ago", span(now_unix_s - until)),
            };
        }
        if self.is_ordering {
            words += ", being ordered";
        } else if let Some(next) = self.next_unix_s {
            words += &match next.checked_sub(now_unix_s).filter(|wait| *wait > 0) {
                Some(wait) => format!(", next order in {}", span(wait)),
                None => ", to be ordered".to_owned(),
            };
        }
        if let Some(fault) = &self.fault {
            words += &match self.failures {
                0 => format!("; {fault}"),
                1 => format!("; the last try failed: {fault}"),
                failures => format!("; the last {failures} tries failed: {fault}"),
            };
        }
        words
    }
}

/// A time span as people say it, in its greatest unit.
pub fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / DAY_S, "days"),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_of_in_one_line() {
        let mut status = CertificateStatus {
            names: vec!["a.example".to_owned()],
            state: CertificateState::Missing,
            next_unix_s: Some(160),
            failures: 2,
            fault: Some("nobody answers".to_owned()),
            ..CertificateStatus::default()
        };
        assert_eq!(
            status.in_words(100),
            "a.example: no certificate yet, next order in 60 s; the last 2 tries failed: nobody answers"
        );
        let upcoming = CertificateStatus {
            names: status.names.clone(),
            state: CertificateState::Upcoming,
            begins_unix_s: Some(160),
            until_unix_s: Some(190),
            ..CertificateStatus::default()
        };
        assert_eq!(
            upcoming.in_words(100),
            "a.example: not valid yet, begins in 60 s, 90 s left"
        );
        status.is_ordering = true;
        status.fault = None;
        status.state = CertificateState::Valid;
        status.until_unix_s = Some(100 + 3 * DAY_S);
        assert_eq!(
            status.in_words(100),
            "a.example: valid, 3 days left, being ordered"
        );
        status.state = CertificateState::Expired;
        status.is_ordering = false;
        status.next_unix_s = None;
        assert_eq!(
            status.in_words(100 + 4 * DAY_S),
            "a.example: expired 24 h ago"
        );
    }
}
