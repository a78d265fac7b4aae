//! The sources that are connected to this node: those on air and those on standby, and how a source gives way.

mod standby;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::standby::StandbyEntry;
use self::standby::StandbySources;
use crate::io::clock;
use crate::logic::source::closed::{ClosedSources, Closing};
use crate::model::mount::{MountName, MountSpec, Takeover};
use crate::model::sound::StreamSound;
use crate::model::source::SourceOrigin;
use crate::model::source_priority::SourcePriority;
use crate::model::stream::StreamId;
use crate::proto::view::MeshView;
use crate::wire::gossip::{ClosedCard, StreamFindings};

/// How long a source may take to give way: its task only has to see the order.
const GIVE_WAY: Duration = Duration::from_secs(1);

/// How long a source's task may take to find out whether its connection is alive: see `Filler::is_behind_backlog` and
/// `Filler::is_reachable`.
const PRESENCE: Duration = Duration::from_secs(1);
/// How many checks may wait for one source. They all get the same answer; when there are more, the source counts as
/// connected.
const MAX_CHECKS: usize = 8;

/// A source whose place another one wants: is it still connected?
#[derive(Clone, Copy, Debug)]
pub struct DoubtedSource<'a> {
    /// The mount.
    pub mount: &'a MountName,
    /// The stream of the source.
    pub stream_id: StreamId,
    /// The origin of the other one, if it is known.
    pub claimant: Option<&'a SourceOrigin>,
}

/// A check of whether a source is still connected.
#[derive(Debug)]
pub(super) struct PresenceCheck {
    /// Whether the asker has the origin of the source itself: its old connection may be dead without a sign of it.
    pub(super) is_for_same_origin: bool,
    /// The source is connected if this is answered, and is not if this is dropped.
    pub(super) answer: oneshot::Sender<()>,
}

/// The protocol that a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceProtocol {
    /// That of Icecast, which is HTTP.
    Http,
    /// That of Shoutcast 1. Its titles come without the name of a mount.
    Shoutcast,
    /// None: this node makes the stream itself.
    Own,
    /// None: this node gets the stream from a server outside the mesh, and yields its place to any encoder.
    OutsideRelay,
}

/// The facts of a source on air that others ask for.
#[derive(Debug)]
pub(super) struct SourceFacts {
    /// The protocol that it speaks.
    pub(super) protocol: SourceProtocol,
    /// The sender.
    pub(super) origin: SourceOrigin,
    /// The media type that it states, if its bytes are of another format.
    pub(super) false_type: Option<String>,
    /// The order of the source among those of its mount.
    pub(super) priority: SourcePriority,
}

/// One source on air.
#[derive(Debug)]
struct OnAir {
    stream_id: StreamId,
    facts: SourceFacts,
    /// Whether it sounds, while it is watched for silence.
    sound: Option<StreamSound>,
    checks: mpsc::Sender<PresenceCheck>,
    /// Taken by the one source that may inherit its place.
    heir: Arc<Semaphore>,
    give_way: CancellationToken,
    dismissed: CancellationToken,
    over: watch::Receiver<()>,
}

#[derive(Debug, Default)]
struct SourceTable {
    on_air: BTreeMap<MountName, OnAir>,
    standby: StandbySources,
    /// The sources that were closed for what they had sent.
    closed: ClosedSources,
    /// The places that are taken: by all sources that are connected, on air or not.
    places: usize,
}

/// A cheap, cloneable handle to the sources of this node.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<Mutex<SourceTable>>);

/// Keeps a source in the table for as long as it is on air.
#[derive(Debug)]
pub(super) struct Entry {
    sources: Sources,
    mount: MountName,
    stream_id: StreamId,
    pub(super) give_way: CancellationToken,
    /// Cancelled when an operator ends it.
    pub(super) dismissed: CancellationToken,
    /// The checks of whether the source is still connected.
    pub(super) checks: mpsc::Receiver<PresenceCheck>,
    _alive: watch::Sender<()>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = self.sources.0.lock();
        let same = table
            .on_air
            .get(&self.mount)
            .is_some_and(|it| it.stream_id == self.stream_id);
        if same {
            table.on_air.remove(&self.mount);
        }
    }
}

/// The place of a source that is connected, given back when this is dropped.
#[derive(Debug)]
pub(super) struct SourcePlace {
    sources: Sources,
    /// Kept from others where this is the place of a source that is about to go.
    _heir: Option<OwnedSemaphorePermit>,
}

impl Drop for SourcePlace {
    fn drop(&mut self) {
        self.sources.0.lock().places -= 1;
    }
}

/// The source on air whose place another one may inherit.
#[derive(Debug)]
struct Predecessor {
    stream_id: StreamId,
    origin: SourceOrigin,
    heir: OwnedSemaphorePermit,
}

impl Sources {
    /// Notes a source that goes on air.
    pub(super) fn enter(
        &self,
        mount: &MountName,
        stream_id: StreamId,
        facts: SourceFacts,
    ) -> Entry {
        let (give_way, dismissed) = (CancellationToken::new(), CancellationToken::new());
        let (alive, over) = watch::channel(());
        let (asked, checks) = mpsc::channel(MAX_CHECKS);
        let on_air = OnAir {
            stream_id,
            facts,
            sound: None,
            checks: asked,
            heir: Arc::new(Semaphore::new(1)),
            give_way: give_way.clone(),
            dismissed: dismissed.clone(),
            over,
        };
        self.0.lock().on_air.insert(mount.clone(), on_air);
        Entry {
            sources: self.clone(),
            mount: mount.clone(),
            stream_id,
            give_way,
            dismissed,
            checks,
            _alive: alive,
        }
    }

    /// A place for a source of this origin: a free one if fewer than so many are taken, or that of the source on air here,
    /// if it may be taken over, or is of the same origin and its connection turns out to be dead.
    pub(super) async fn find_place(
        &self,
        most: u32,
        spec: &MountSpec,
        origin: &SourceOrigin,
    ) -> Option<SourcePlace> {
        if let Some(place) = self.take_place(most, None) {
            return Some(place);
        }
        let mount = &spec.path;
        let before = self.inherit(mount)?;
        let own = DoubtedSource {
            mount,
            stream_id: before.stream_id,
            claimant: Some(origin),
        };
        let may_replace = spec.takeover == Takeover::Takeover
            || (before.origin == *origin && !self.is_there(own).await);
        // The one before ends now and gives its place back in a moment; nobody else is to get it before.
        let place = may_replace.then(|| self.take_place(u32::MAX, Some(before.heir)));
        place.flatten()
    }

    /// A place for one more source, if there are fewer than so many.
    fn take_place(&self, most: u32, heir: Option<OwnedSemaphorePermit>) -> Option<SourcePlace> {
        let mut table = self.0.lock();
        if table.places >= most as usize {
            return None;
        }
        table.places += 1;
        Some(SourcePlace {
            sources: self.clone(),
            _heir: heir,
        })
    }

    /// The source on air on a mount here, if no other one is about to inherit its place: there are never more than two
    /// sources for one place.
    fn inherit(&self, mount: &MountName) -> Option<Predecessor> {
        let table = self.0.lock();
        let on_air = table.on_air.get(mount)?;
        Some(Predecessor {
            stream_id: on_air.stream_id,
            origin: on_air.facts.origin.clone(),
            heir: on_air.heir.clone().try_acquire_owned().ok()?,
        })
    }

    /// The mounts with a source on air at this node, and their streams.
    pub fn on_air(&self) -> Vec<(MountName, StreamId)> {
        let table = self.0.lock();
        table
            .on_air
            .iter()
            .map(|(mount, it)| (mount.clone(), it.stream_id))
            .collect()
    }

    /// The mounts with a source on air at this node that speaks this protocol.
    pub fn speaking(&self, protocol: SourceProtocol) -> Vec<MountName> {
        let table = self.0.lock();
        let speaking = table
            .on_air
            .iter()
            .filter(|(_, it)| it.facts.protocol == protocol);
        speaking.map(|(mount, _)| mount.clone()).collect()
    }

    /// The findings in the bytes of a source here, those of its ring left out.
    pub fn findings(&self, mount: &MountName, stream_id: StreamId) -> StreamFindings {
        let table = self.0.lock();
        let on_air = table.on_air.get(mount);
        let on_air = on_air.filter(|it| it.stream_id == stream_id);
        StreamFindings {
            false_type: on_air.and_then(|it| it.facts.false_type.clone()),
            sound: on_air.and_then(|it| it.sound),
            priority: on_air.map(|it| it.facts.priority).unwrap_or_default(),
            ..StreamFindings::default()
        }
    }

    /// Notes whether the source of a stream here sounds; `None`: it is not watched for silence.
    pub(super) fn note_sound(
        &self,
        mount: &MountName,
        stream_id: StreamId,
        sound: Option<StreamSound>,
    ) {
        let mut table = self.0.lock();
        let on_air = table.on_air.get_mut(mount);
        if let Some(on_air) = on_air.filter(|it| it.stream_id == stream_id) {
            on_air.sound = sound;
        }
    }

    /// Notes that a source of a mount was closed for what it had sent.
    pub(super) fn note_closed(&self, mount: &MountName, why: &str) {
        let closing = Closing {
            why: why.to_owned(),
            at: clock::now(),
            unix_s: clock::unix_s(),
        };
        self.0.lock().closed.note(mount, closing);
    }

    /// Forgets which sources were closed here where a later one, on any node, has been on air for a while.
    pub fn forget_outlived(&self, view: &MeshView) {
        let started = |mount: &MountName| view.source(mount).map(|(_, card)| card.started_unix_ms);
        let mut table = self.0.lock();
        table.closed.forget_outlived(started, clock::unix_ms());
    }

    /// The last source of each mount that was closed here for what it had sent, for some minutes.
    pub fn closed(&self) -> BTreeMap<MountName, ClosedCard> {
        let table = self.0.lock();
        let recent = table.closed.recent(clock::now());
        let card = |it: &Closing| ClosedCard::new(&it.why, it.unix_s);
        recent
            .map(|(mount, it)| (mount.clone(), card(it)))
            .collect()
    }

    /// The streams on air here that yield their places to any encoder.
    pub fn yielding(&self) -> Vec<(MountName, StreamId)> {
        let table = self.0.lock();
        let yields = |it: &OnAir| it.facts.protocol == SourceProtocol::OutsideRelay;
        let yielding = table.on_air.iter().filter(|(_, it)| yields(it));
        let streams = yielding.map(|(mount, it)| (mount.clone(), it.stream_id));
        streams.collect()
    }

    /// Whether a source is connected to this node, and its connection is alive. Only another source that wants its place asks
    /// that, so an outside relay gives it back before the answer.
    pub async fn is_there(&self, doubted: DoubtedSource<'_>) -> bool {
        let (mount, stream_id) = (doubted.mount, doubted.stream_id);
        if self.yielding().contains(&(mount.clone(), stream_id)) {
            info!(%mount, "another source wants the place of the outside relay, which yields");
            self.give_way(mount, stream_id).await;
            return false;
        }
        let (sender, answer) = oneshot::channel();
        let asked = {
            let table = self.0.lock();
            let on_air = table.on_air.get(doubted.mount);
            let on_air = on_air.filter(|it| it.stream_id == doubted.stream_id);
            on_air.map(|it| {
                it.checks.try_send(PresenceCheck {
                    is_for_same_origin: doubted.claimant == Some(&it.facts.origin),
                    answer: sender,
                })
            })
        };
        match asked {
            Some(Ok(())) => timeout(PRESENCE, answer).await.is_ok_and(|it| it.is_ok()),
            Some(Err(mpsc::error::TrySendError::Full(_))) => true,
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => false,
        }
    }

    /// Has the source of a mount give way, if there is one at this node, and waits until it has.
    pub(super) async fn displace(&self, mount: &MountName) {
        let there = self.0.lock().on_air.get(mount).map(|it| it.stream_id);
        if let Some(stream_id) = there {
            self.give_way(mount, stream_id).await;
        }
    }

    /// Has the source of this stream give way, and waits until it has. A source of another stream stays.
    pub async fn give_way(&self, mount: &MountName, stream_id: StreamId) {
        self.order(mount, stream_id, |it| &it.give_way).await;
    }

    /// Ends the source of this stream, and waits until it has ended; whether there is one.
    pub async fn dismiss(&self, mount: &MountName, stream_id: StreamId) -> bool {
        self.order(mount, stream_id, |it| &it.dismissed).await
    }

    /// Gives an order to the source of this stream, and waits until it has ended; whether there is one.
    async fn order(
        &self,
        mount: &MountName,
        stream_id: StreamId,
        order: fn(&OnAir) -> &CancellationToken,
    ) -> bool {
        let mut over = {
            let table = self.0.lock();
            let on_air = table.on_air.get(mount);
            let Some(it) = on_air.filter(|it| it.stream_id == stream_id) else {
                return false;
            };
            order(it).cancel();
            it.over.clone()
        };
        // The sender sends nothing: the end of the channel is the signal.
        if timeout(GIVE_WAY, over.changed()).await.is_err() {
            warn!(%mount, "a source does not give way in time");
        }
        true
    }
}

#[cfg(test)]
mod tests;
