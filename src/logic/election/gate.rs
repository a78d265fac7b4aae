//! The check that every receiver of an order makes: it refuses a fence lower than one it has seen.
//!
//! At the start only an epoch is known. A restarted node knows from its disk how far the epochs had come,
//! and not which node had the last one, so it admits any node of that epoch.

use crate::model::seat::{Epoch, Fence};

/// Refuses the orders of nodes that held a seat before its present holder.
#[derive(Clone, Debug)]
pub struct Gate {
    floor: Epoch,
    highest: Option<Fence>,
}

/// The fate of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Apply it.
    Apply,
    /// A greater fence has been seen: refuse it.
    Refuse,
}

impl Gate {
    /// A gate that refuses every epoch below the one that was on disk at the start.
    pub fn new(max_epoch_from_disk: Epoch) -> Self {
        Self {
            floor: max_epoch_from_disk,
            highest: None,
        }
    }

    /// Judges an order by its fence, and remembers the fence if the order is applied.
    pub fn admit(&mut self, fence: &Fence) -> Admission {
        let passed = self.highest.as_ref().is_none_or(|highest| fence >= highest);
        if fence.epoch < self.floor || !passed {
            return Admission::Refuse;
        }
        self.highest = Some(fence.clone());
        Admission::Apply
    }

    /// The greatest fence that was admitted.
    pub fn highest(&self) -> Option<&Fence> {
        self.highest.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    fn fence(epoch: u64, node: &str) -> Fence {
        Fence {
            epoch: Epoch(epoch),
            node: NodeName::try_from(node).unwrap(),
        }
    }

    #[test]
    fn a_lower_fence_is_refused_and_an_equal_one_passes() {
        let mut gate = Gate::new(Epoch(3));
        assert_eq!(gate.admit(&fence(2, "z")), Admission::Refuse);
        assert_eq!(gate.admit(&fence(3, "b")), Admission::Apply);
        assert_eq!(gate.admit(&fence(3, "b")), Admission::Apply);
        assert_eq!(gate.admit(&fence(3, "a")), Admission::Refuse);
        assert_eq!(gate.admit(&fence(4, "a")), Admission::Apply);
        assert_eq!(gate.admit(&fence(3, "b")), Admission::Refuse);
        assert_eq!(gate.highest(), Some(&fence(4, "a")));
    }
}
