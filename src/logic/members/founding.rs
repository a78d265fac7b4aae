//! Whether a node makes the first admin password of a mesh, or has to wait for one that others may have made.
//!
//! A node that was told of peers is a newcomer until the opposite is known: if it made a password because it hears no
//! other node, the mesh that it joins later would have two.

use std::time::Duration;

/// How long newcomers that hear each other wait for a node that knows the password of an older mesh.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The situation of a node that decides whether to make the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Whether the node was told of peers or remembers some, and was not told to found the mesh all the same.
    pub is_newcomer: bool,
    /// Whether the node is the master.
    pub is_master: bool,
    /// Whether the password is known already.
    pub has_password: bool,
    /// Other nodes that are up.
    pub peers_up: usize,
    /// Other nodes that this node knew and no longer hears.
    pub peers_gone: usize,
    /// Whether all nodes that are up have the same document as this one.
    pub is_settled: bool,
}

/// A node's next step towards the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundingStep {
    /// Nothing any more: there is a password.
    Done,
    /// Make it.
    Found,
    /// Make it if nothing changes for [`PATIENCE`].
    FoundIfSteady,
    /// Wait: another node may hold the seat.
    AwaitSeat,
    /// Wait until a peer is met.
    AwaitPeers,
    /// Wait until the nodes that are away are back, or the documents are the same.
    AwaitAgreement,
}

/// The next step in this situation.
pub fn next_step(situation: &Situation) -> FoundingStep {
    let it = situation;
    if it.has_password {
        return FoundingStep::Done;
    }
    if !it.is_master {
        return FoundingStep::AwaitSeat;
    }
    if it.is_newcomer && it.peers_up == 0 {
        return FoundingStep::AwaitPeers;
    }
    if it.is_newcomer && it.peers_gone > 0 {
        return FoundingStep::AwaitAgreement;
    }
    match (it.peers_up, it.is_settled) {
        (0, _) => FoundingStep::Found,
        (_, true) => FoundingStep::FoundIfSteady,
        (_, false) => FoundingStep::AwaitAgreement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Situation = Situation {
        is_newcomer: false,
        is_master: true,
        has_password: false,
        peers_up: 0,
        peers_gone: 0,
        is_settled: true,
    };
    const NEWCOMER: Situation = Situation {
        is_newcomer: true,
        ..ALONE
    };

    #[test]
    fn the_first_node_makes_the_password_at_once() {
        assert_eq!(next_step(&ALONE), FoundingStep::Found);
        let not_master = Situation {
            is_master: false,
            ..ALONE
        };
        assert_eq!(next_step(&not_master), FoundingStep::AwaitSeat);
        let done = Situation {
            has_password: true,
            ..ALONE
        };
        assert_eq!(next_step(&done), FoundingStep::Done);
    }

    #[test]
    fn a_node_told_of_peers_waits_to_meet_one() {
        assert_eq!(next_step(&NEWCOMER), FoundingStep::AwaitPeers);
        let lost = Situation {
            peers_gone: 3,
            ..NEWCOMER
        };
        assert_eq!(next_step(&lost), FoundingStep::AwaitPeers);
    }

    #[test]
    fn a_side_of_a_partition_makes_none() {
        let minority = Situation {
            peers_up: 1,
            peers_gone: 3,
            ..NEWCOMER
        };
        assert_eq!(next_step(&minority), FoundingStep::AwaitAgreement);
        let unsettled = Situation {
            peers_up: 4,
            is_settled: false,
            ..NEWCOMER
        };
        assert_eq!(next_step(&unsettled), FoundingStep::AwaitAgreement);
    }

    #[test]
    fn newcomers_without_older_peers_make_one_in_the_end() {
        let together = Situation {
            peers_up: 2,
            ..NEWCOMER
        };
        assert_eq!(next_step(&together), FoundingStep::FoundIfSteady);
    }
}
