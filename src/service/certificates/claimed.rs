//! Warns of orders that are left to a node with a later claim: their names wait, and it may be that nobody works on them.

use std::collections::BTreeSet;

use tracing::warn;

use crate::logic::certificates::claim::ClaimedOrder;
use crate::model::status::certificates::span;

/// The orders of which the log was told, by their names and the ends of their claims.
#[derive(Debug, Default)]
pub(super) struct ClaimedOrders(BTreeSet<(String, u64)>);

impl ClaimedOrders {
    /// Tells the log once of each of these.
    pub(super) fn tell(&mut self, claimed: Vec<ClaimedOrder>, now_unix_s: u64) {
        let mut told = BTreeSet::new();
        for order in claimed {
            let key = (order.name.to_string(), order.until_unix_s);
            if !self.0.contains(&key) {
                warn!(
                    name = %order.name,
                    node = %order.node,
                    wait = span(order.until_unix_s.saturating_sub(now_unix_s)),
                    "an order was begun by a later claim, as after a restart of all nodes: it is gone on with after the wait"
                );
            }
            told.insert(key);
        }
        self.0 = told;
    }
}
