//! The sources that wait at this node for their turn.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Sources;
use crate::model::fitness::SourceFitness;
use crate::model::mount::MountName;
use crate::model::source_priority::SourcePriority;
use crate::model::title::TitleInfo;
use crate::wire::gossip::{StandbyCard, WaitingCard};

/// The number of a source that waits here: one that came later has a greater one.
type WaitingId = u64;

/// A source on standby.
#[derive(Debug)]
struct Waiter {
    card: WaitingCard,
    /// The address of its client; `None`: it has none.
    client: Option<IpAddr>,
    /// The last title that was told of it while it waited.
    title: Option<TitleInfo>,
}

/// All of them, by their mounts.
#[derive(Debug, Default)]
pub(super) struct StandbySources {
    waiting: BTreeMap<MountName, BTreeMap<WaitingId, Waiter>>,
    /// The number of the last one that came.
    last: WaitingId,
}

impl StandbySources {
    /// The sources that wait for a mount, the one that came first before the others.
    fn of(&self, mount: &MountName) -> impl Iterator<Item = &Waiter> {
        self.waiting
            .get(mount)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    fn find(&mut self, mount: &MountName, id: WaitingId) -> Option<&mut Waiter> {
        self.waiting.get_mut(mount)?.get_mut(&id)
    }

    fn enter(&mut self, mount: &MountName, waiter: Waiter) -> WaitingId {
        self.last += 1;
        let of_mount = self.waiting.entry(mount.clone()).or_default();
        of_mount.insert(self.last, waiter);
        self.last
    }

    fn leave(&mut self, mount: &MountName, id: WaitingId) {
        if let Some(of_mount) = self.waiting.get_mut(mount) {
            of_mount.remove(&id);
            if of_mount.is_empty() {
                self.waiting.remove(mount);
            }
        }
    }

    /// The word on those of a mount, in the order in which they are to be heard: those that send before the others.
    fn card(&self, mount: &MountName) -> Option<StandbyCard> {
        let mut cards: Vec<WaitingCard> = self.of(mount).map(|waiter| waiter.card).collect();
        cards.sort_by_key(|card| (!card.sends, card.priority));
        StandbyCard::of(&cards)
    }
}

/// Keeps a source on standby in the table for as long as it waits.
#[derive(Debug)]
pub struct StandbyEntry {
    sources: Sources,
    mount: MountName,
    id: WaitingId,
}

impl StandbyEntry {
    /// The last title that was told of it.
    pub(in crate::service) fn title(&self) -> Option<TitleInfo> {
        let mut table = self.sources.0.lock();
        table.standby.find(&self.mount, self.id)?.title.clone()
    }

    /// Notes whether it could be heard.
    pub(in crate::service) fn note(&self, fitness: SourceFitness) {
        let mut table = self.sources.0.lock();
        if let Some(waiter) = table.standby.find(&self.mount, self.id) {
            let card = &mut waiter.card;
            (card.sends, card.fitness) = (fitness.is_fit(), fitness);
        }
    }
}

impl Drop for StandbyEntry {
    fn drop(&mut self) {
        let mut table = self.sources.0.lock();
        table.standby.leave(&self.mount, self.id);
    }
}

impl Sources {
    /// Notes a source that waits for its turn, and has sent nothing since.
    pub(in crate::service) fn wait(
        &self,
        mount: &MountName,
        priority: SourcePriority,
        client: Option<IpAddr>,
    ) -> StandbyEntry {
        let card = WaitingCard {
            priority,
            sends: false,
            fitness: SourceFitness::Idle,
        };
        let waiter = Waiter {
            card,
            client,
            title: None,
        };
        let id = self.0.lock().standby.enter(mount, waiter);
        StandbyEntry {
            sources: self.clone(),
            mount: mount.clone(),
            id,
        }
    }

    /// The mounts for which sources wait on standby at this node, and the word on these.
    pub fn standby(&self) -> BTreeMap<MountName, StandbyCard> {
        let table = self.0.lock();
        let mounts = table.standby.waiting.keys();
        let cards = mounts.filter_map(|mount| Some((mount.clone(), table.standby.card(mount)?)));
        cards.collect()
    }

    /// Whether a client that speaks for a source of this priority at this node means one that waits here: the one on air is at
    /// another node, or has another address than the client, which has that of one that waits.
    pub fn speaks_for_waiting(
        &self,
        mount: &MountName,
        priority: SourcePriority,
        client: IpAddr,
    ) -> bool {
        let table = self.0.lock();
        let waiting = table.standby.of(mount);
        let mut waiting = waiting.filter(|it| it.card.priority == priority && it.client.is_some());
        match table.on_air.get(mount) {
            None => waiting.next().is_some(),
            Some(on_air) => {
                on_air.facts.origin.ip != client
                    && waiting.any(|waiter| waiter.client == Some(client))
            }
        }
    }

    /// Keeps a title for the source of this priority that waits here, to be shown when it is heard; whether there is one. Of several it is
    /// for the one that has the address of the client, or else, as they cannot be told apart, for all.
    pub fn keep_title(
        &self,
        mount: &MountName,
        priority: SourcePriority,
        client: IpAddr,
        title: &TitleInfo,
    ) -> bool {
        let mut table = self.0.lock();
        let of_mount = table.standby.waiting.get_mut(mount);
        let waiting = of_mount.into_iter().flat_map(BTreeMap::values_mut);
        let mut meant: Vec<&mut Waiter> = waiting
            .filter(|it| it.card.priority == priority && it.client.is_some())
            .collect();
        if meant.iter().any(|it| it.client == Some(client)) {
            meant.retain(|it| it.client == Some(client));
        }
        for waiter in &mut meant {
            waiter.title = Some(title.clone());
        }
        !meant.is_empty()
    }
}
