//! The players of a world: they come to any node, follow where they are sent, listen for a while, and leave.

use std::time::Duration;

use antiphon::model::mount::MountName;
use rand::Rng;
use rand::seq::IteratorRandom;

use super::World;
use crate::happening::Happening;
use crate::node::crowd::{PlayerId, Visit, VisitResult};

/// How long a player takes to follow a redirect, milliseconds: a resolver, a handshake, a request.
const REDIRECT_MS: std::ops::RangeInclusive<u64> = 50..=350;

impl World {
    /// Gives every node its capacity, and lets the first player come once there is something to hear.
    pub(super) fn invite_players(&mut self) {
        let Some(players) = self.plan.players else {
            return;
        };
        for host in &mut self.hosts {
            let (least, most) = players.room;
            host.max_listeners = Some(self.rng.random_range(least..=most));
        }
        self.schedule(players.from, Happening::Player);
    }

    /// Somebody asks a node for a mount; by DNS it may be any that runs.
    pub(super) fn player(&mut self) {
        let Some(players) = self.plan.players else {
            return;
        };
        let next = self.now + self.exponential(Duration::from_secs(1).div_f64(players.per_s));
        if next < players.until {
            self.schedule(next, Happening::Player);
        }
        let hosts = self.hosts.iter().enumerate();
        let running = hosts.filter(|(_, host)| host.running().is_some());
        if let Some((node, _)) = running.choose(&mut self.rng) {
            self.players += 1;
            let id = PlayerId(self.players);
            let visit = Visit::Ask(self.wish(id));
            self.schedule(self.now, Happening::Visit(node, id, visit));
        }
    }

    /// The mount that a player wants, by its number: a world that has players has a mount.
    fn wish(&self, id: PlayerId) -> MountName {
        self.mounts[id.0 as usize % self.mounts.len()].clone()
    }

    /// Applies a node's reception of a player.
    pub(super) fn received(&mut self, node: usize, (id, reception): (PlayerId, VisitResult)) {
        self.checkers.table.moved(self.now);
        match reception {
            VisitResult::Served => {
                let Some(players) = self.plan.players else {
                    return;
                };
                let until = self.now + self.exponential(players.stay);
                // Towards the end of the world nobody moves, so that everybody's table can be proven.
                if until < players.until {
                    self.schedule(until, Happening::Visit(node, id, Visit::Leave));
                }
            }
            VisitResult::Redirected(to, state, tag) => {
                self.checkers.table.sent((node, &to), state, self.now);
                let wait = Duration::from_millis(self.rng.random_range(REDIRECT_MS));
                let (from, number) = (self.hosts[node].name.clone(), self.number(&to));
                let visit = Visit::Follow(self.wish(id), from, tag);
                self.schedule(self.now + wait, Happening::Visit(number, id, visit));
            }
            VisitResult::Refused => {}
        }
    }

    /// A time whose length does not depend on how much of it has gone by.
    pub(super) fn exponential(&mut self, mean: Duration) -> Duration {
        let chance: f64 = self.rng.random_range(f64::EPSILON..1.0);
        mean.mul_f64(-chance.ln())
    }
}
