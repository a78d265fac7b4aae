//! How many nodes must see each other for one of them to hold a seat.

use serde::Deserialize;

/// How many nodes a node must see, itself included, to hold a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "QuorumForm")]
pub enum Quorum {
    /// Any number: each side of a partition keeps playing.
    #[default]
    Off,
    /// More than half of the nodes that it knows. Nodes that gossip has forgotten no longer count,
    /// so an operator that expects longer partitions sets a number.
    Majority,
    /// At least so many.
    AtLeast(usize),
}

/// How people write it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a quorum is \"off\", \"majority\" or a number of nodes, such as 2"
)]
enum QuorumForm {
    Word(QuorumWord),
    Nodes(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum QuorumWord {
    Off,
    Majority,
}

impl From<QuorumForm> for Quorum {
    fn from(written: QuorumForm) -> Self {
        match written {
            QuorumForm::Word(QuorumWord::Off) => Self::Off,
            QuorumForm::Word(QuorumWord::Majority) => Self::Majority,
            QuorumForm::Nodes(nodes) => Self::AtLeast(nodes),
        }
    }
}

impl Quorum {
    /// Whether `present` nodes out of `known` are enough; both counts include this node.
    pub fn is_met(self, present: usize, known: usize) -> bool {
        match self {
            Self::Off => true,
            Self::Majority => present * 2 > known,
            Self::AtLeast(nodes) => present >= nodes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half() {
        assert!(Quorum::Majority.is_met(1, 1));
        assert!(Quorum::Majority.is_met(3, 5));
        assert!(!Quorum::Majority.is_met(2, 4));
        assert!(!Quorum::AtLeast(3).is_met(2, 2));
        assert!(Quorum::Off.is_met(1, 9));
    }

    #[test]
    fn a_quorum_is_a_word_or_a_number() {
        let read = |text: &str| serde_json::from_str::<Quorum>(text).ok();
        assert_eq!(read("\"off\""), Some(Quorum::Off));
        assert_eq!(read("\"majority\""), Some(Quorum::Majority));
        assert_eq!(read("3"), Some(Quorum::AtLeast(3)));
        for bad in ["\"most\"", "-1", "true", "[3]"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
