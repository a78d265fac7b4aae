//! The claim of a node to an order: whoever has the later claim works on it, and others let it be for a while.
//!
//! Epochs of the seat are not kept on disk, so a mesh that was off as a whole begins with lower ones. A claim therefore holds
//! for some minutes only, and one whose time no clock can have noted that is right holds for nothing.

use crate::logic::records::certificates::Issuance;
use crate::model::acme::CertificateOrder;
use crate::model::https::CertificateName;
use crate::model::node::NodeName;
use crate::model::seat::Fence;

/// How long the claim to an order holds after a try began, seconds: twice as long as a try may take.
const CLAIMED_S: u64 = 600;

/// An order that is left to the node that has a later claim to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedOrder {
    /// The name by which it is kept.
    pub name: CertificateName,
    /// The node that works on it, or did before it was restarted.
    pub node: NodeName,
    /// Until when it is left alone, unix seconds.
    pub until_unix_s: u64,
}

/// Until when a node with this claim leaves an order alone, unix seconds; `None`: it may work on it.
pub fn claimed_until(order: &CertificateOrder, own: &Fence, now_unix_s: u64) -> Option<u64> {
    let until = order.began_unix_s.saturating_add(CLAIMED_S);
    let is_of_now = order.began_unix_s <= now_unix_s.saturating_add(CLAIMED_S);
    (order.fence > *own && is_of_now && now_unix_s < until).then_some(until)
}

/// The order for a name, if the holder of the seat leaves it alone.
pub fn claimed(
    issuance: &Issuance,
    holder: Option<&Fence>,
    name: &CertificateName,
    now_unix_s: u64,
) -> Option<ClaimedOrder> {
    let order = issuance.orders.get(name)?;
    Some(ClaimedOrder {
        name: name.clone(),
        node: order.fence.node.clone(),
        until_unix_s: claimed_until(order, holder?, now_unix_s)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::seat::Epoch;

    const NOW: u64 = 1_800_000_000;

    fn fence(epoch: u64) -> Fence {
        Fence {
            epoch: Epoch(epoch),
            node: "a".parse().unwrap(),
        }
    }

    #[test]
    fn a_later_claim_holds_for_minutes_by_any_clock() {
        let until = |began_unix_s: u64, epoch| {
            let order = CertificateOrder {
                names: vec!["a.example".parse().unwrap()],
                fence: fence(epoch),
                began_unix_s,
                open: None,
                failures: 0,
                next_unix_s: 0,
                wait_s: 0,
                fault: None,
            };
            claimed_until(&order, &fence(2), NOW)
        };
        assert_eq!(until(NOW - 100, 3), Some(NOW + 500));
        assert_eq!(until(NOW - 100, 2), None, "one's own");
        assert_eq!(until(NOW - 100, 1), None, "an earlier one");
        assert_eq!(until(NOW - 600, 3), None, "long ago");
        assert_eq!(until(NOW + 60, 3), Some(NOW + 660), "clocks differ");
        for ahead in [NOW + 86_400, u64::MAX] {
            assert_eq!(until(ahead, 3), None, "a wrong clock");
        }
    }
}
