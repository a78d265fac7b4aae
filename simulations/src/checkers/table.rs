//! The promises of the table: no listener is sent to a node that is known to be away, no node has more listeners than
//! it takes, and when no listener moves any more, every node's forecast is true.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon::io::gossip::MAX_VALUE_BYTES;
use antiphon::model::node::NodeName;
use antiphon::model::status::NodeState;

use super::Violations;

/// How long without a move it takes until all forecasts must be true: a reservation runs out in 5 s, a bulletin comes
/// each
/// second, and gossip takes another two when much is lost.
const KNOWN: Duration = Duration::from_secs(9);

/// A checker's view of a node's listeners.
pub(crate) struct Ledger {
    pub(crate) name: NodeName,
    /// The nodes that hear each other have the same number.
    pub(crate) component: usize,
    pub(crate) listeners: u32,
    pub(crate) max_listeners: u32,
    /// How many it foresees at each node.
    pub(crate) foreseen: BTreeMap<NodeName, u32>,
}

/// The findings of one run about the table.
#[derive(Debug)]
pub(crate) struct TableFindings {
    /// How many players were sent to another node.
    pub(crate) sent: u64,
    /// How many pairs of nodes were compared in the end.
    pub(crate) proven: usize,
    pub(crate) violations: Vec<String>,
}

/// The judge of a world's tables.
#[derive(Debug, Default)]
pub struct TableRules {
    moved_at: Duration,
    sent: u64,
    violations: Violations,
}

impl TableRules {
    /// A player came or left, or something happened to the world.
    pub(crate) fn moved(&mut self, now: Duration) {
        self.moved_at = now;
    }

    /// A node sends a player to another, which it believes to be in this state.
    pub(crate) fn sent(&mut self, (from, to): (usize, &NodeName), state: NodeState, now: Duration) {
        self.sent += 1;
        if matches!(state, NodeState::Dead | NodeState::Draining) {
            self.violations.note("T1", now, || {
                format!("{from} sends a player to {to}, which is {state:?}")
            });
        }
    }

    /// A node gossips a value: a longer one than it may have would silence it for ever.
    pub(crate) fn says(&mut self, (node, key): (usize, &str), bytes: usize, now: Duration) {
        if bytes > MAX_VALUE_BYTES {
            self.violations.note("T4", now, || {
                format!("{node} says {bytes} bytes under {key}")
            });
        }
    }

    /// Looks at how full nodes are.
    pub(crate) fn look(&mut self, ledgers: &[Ledger], now: Duration) {
        for ledger in ledgers {
            if ledger.listeners > ledger.max_listeners {
                self.violations.note("T2", now, || {
                    let (name, listeners) = (&ledger.name, ledger.listeners);
                    format!("{name} has {listeners} listeners, more than it takes")
                });
            }
        }
    }

    /// The end of the world: compares all forecasts with the truth.
    pub(crate) fn finish(mut self, ledgers: &[Ledger], now: Duration) -> TableFindings {
        let mut proven = 0;
        if now >= self.moved_at + KNOWN {
            for (one, other) in ledgers
                .iter()
                .flat_map(|one| ledgers.iter().map(move |other| (one, other)))
                .filter(|(one, other)| one.component == other.component)
            {
                proven += 1;
                let foreseen = one.foreseen.get(&other.name).copied();
                if foreseen != Some(other.listeners) {
                    self.violations.note("T3", now, || {
                        let (one, other, is) = (&one.name, &other.name, other.listeners);
                        format!("{one} foresees {foreseen:?} listeners at {other}, which has {is}")
                    });
                }
            }
        }
        TableFindings {
            sent: self.sent,
            proven,
            violations: self.violations.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(number: usize, listeners: u32, foreseen: [u32; 2]) -> Ledger {
        let name = |number| NodeName::try_from(format!("n{number}")).unwrap();
        Ledger {
            name: name(number),
            component: 0,
            listeners,
            max_listeners: 9,
            foreseen: (0..2).map(name).zip(foreseen).collect(),
        }
    }

    #[test]
    fn a_wrong_table_counts_only_after_a_long_rest() {
        for (quiet, expected) in [(KNOWN, 1), (KNOWN / 2, 0)] {
            let mut rules = TableRules::default();
            rules.moved(Duration::from_secs(1));
            let ledgers = [ledger(0, 3, [3, 4]), ledger(1, 4, [3, 5])];
            let findings = rules.finish(&ledgers, Duration::from_secs(1) + quiet);
            assert_eq!(findings.violations.len(), expected);
        }
    }

    #[test]
    fn no_listener_is_sent_to_an_absent_or_full_node() {
        let mut rules = TableRules::default();
        let (to, now) = (NodeName::try_from("n1").unwrap(), Duration::ZERO);
        rules.sent((0, &to), NodeState::Alive, now);
        rules.look(&[ledger(0, 9, [0, 0])], now);
        assert!(rules.violations.0.is_empty());
        rules.sent((0, &to), NodeState::Draining, now);
        rules.look(&[ledger(0, 10, [0, 0])], now);
        assert_eq!(rules.violations.0.len(), 2);
    }
}
