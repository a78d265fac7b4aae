//! Lets the listeners of a mount hear the highest rung of its ladder that flows: its own stream, or that of a fallback.
//!
//! Each node does that for its own listeners, by what gossip and its own rings tell. Nobody is asked, and nothing is agreed on.

pub mod climb;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tracing::warn;

use self::climb::Climb;
use super::demand::is_on_demand;
use super::document::Mounts;
use super::loops::Loops;
use super::mesh::Mesh;
use super::relay::{FETCH_TIMEOUT, NoStream, Relays};
use super::streams::{Held, Streams};
use super::wants::{Want, Wants};
use crate::io::clock;
use crate::logic::ladder;
use crate::logic::mount_names::in_a_row;
use crate::model::mount::{MountName, MountSpec};
use crate::model::rung_name::RungName;
use crate::model::status::rung::RungState;
use crate::proto::ladder::{Ladder, LadderStep, LeaveReason};

/// How often the ladders of mounts with listeners are looked at while nothing is heard of a change: a source that dies
/// without a word is noticed by the time that passes. A twentieth of what a listener has in store.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The services that ladders need.
#[derive(Debug)]
pub struct LadderConfig {
    /// The mounts, and the nodes that hold their streams.
    pub mesh: Mesh,
    /// The streams that are here, and what listeners hear.
    pub streams: Streams,
    /// Fetches streams.
    pub relays: Relays,
    /// Plays files.
    pub loops: Loops,
    /// Has streams made that are made on demand only.
    pub wants: Wants,
}

#[derive(Debug)]
struct Inner {
    config: LadderConfig,
    states: Mutex<BTreeMap<MountName, LadderState>>,
}

/// The memory of a mount's ladder.
#[derive(Debug)]
struct LadderState {
    ladder: Ladder,
    /// The rungs that are made because they are wanted here.
    wanted: BTreeMap<MountName, Want>,
    /// The rungs with which the players of those who listen could not go on.
    misfits: BTreeSet<RungName>,
}

/// The offer for a listener.
enum Offer {
    /// A stream that is heard now.
    Hear(Held),
    /// The stream that will be heard is being fetched.
    Coming,
    /// No rung flows.
    Nothing,
}

/// The patience of a listener while no rung flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfNothing {
    Leave,
    Wait,
}

/// A cheap, cloneable handle to the ladders of all mounts.
#[derive(Clone, Debug)]
pub struct Ladders(Arc<Inner>);

impl Ladders {
    /// Ladders that nobody has climbed yet.
    pub fn new(config: LadderConfig) -> Self {
        Self(Arc::new(Inner {
            config,
            states: Mutex::default(),
        }))
    }

    /// The stream that a listener of a mount hears who comes now: fetched, if it is not here.
    pub async fn fetch(&self, mount: &MountName) -> Result<Held, NoStream> {
        let relays = &self.0.config.relays;
        if !self.has_ladder(mount) {
            return relays.fetch(mount).await;
        }
        match timeout(FETCH_TIMEOUT, self.heard(mount, IfNothing::Leave)).await {
            Ok(Some(held)) => Ok(held),
            // While the mount lingers, its next stream is waited for, and that of any other rung.
            Ok(None) => tokio::select! {
                own = relays.fetch(mount) => own,
                Some(held) = self.heard(mount, IfNothing::Wait) => Ok(held),
            },
            Err(_) => Err(NoStream),
        }
    }

    /// The stream that listeners of a mount hear, once it is here.
    async fn heard(&self, mount: &MountName, if_nothing: IfNothing) -> Option<Held> {
        let mut streams = self.0.config.streams.watch();
        let mut view = self.0.config.mesh.cluster.watch();
        loop {
            match (self.offer(mount, true), if_nothing) {
                (Offer::Hear(held), _) => return Some(held),
                (Offer::Nothing, IfNothing::Leave) => return None,
                (Offer::Nothing, IfNothing::Wait) | (Offer::Coming, _) => {}
            }
            tokio::select! {
                _ = streams.changed() => {}
                _ = view.changed() => {}
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Whether the listeners of a mount may hear the stream of another one, or do so still.
    pub fn has_ladder(&self, mount: &MountName) -> bool {
        let mounts = self.0.config.mesh.documents.mounts();
        mounts.get(mount).is_some_and(|spec| self.is_climbed(spec))
    }

    fn is_climbed(&self, spec: &MountSpec) -> bool {
        spec.has_ladder() || self.0.config.streams.has_stand_in(&spec.path)
    }

    /// The rungs of a mount that its listeners here could not go on with.
    pub fn misfits(&self, mount: &MountName) -> BTreeSet<RungName> {
        let states = self.0.states.lock();
        let state = states.get(mount);
        state.map(|state| state.misfits.clone()).unwrap_or_default()
    }

    /// Keeps the listeners of all mounts on the right rung. Runs until the node stops.
    pub async fn run(self) {
        let mesh = &self.0.config.mesh;
        let mut view = mesh.cluster.watch();
        let mut streams = self.0.config.streams.watch();
        let mut mounts = mesh.documents.watch_mounts();
        let mut circles = Circles::default();
        loop {
            // What changes from now on is looked at in the next round.
            view.mark_unchanged();
            streams.mark_unchanged();
            circles.look(&mounts.borrow_and_update());
            let has_listeners = self.look_at_all();
            let changed = async {
                tokio::select! {
                    changed = view.changed() => changed,
                    changed = streams.changed() => changed,
                    changed = mounts.changed() => changed,
                }
            };
            tokio::select! {
                () = mesh.tasks.asked_to_end() => return,
                changed = changed => if changed.is_err() { return },
                () = sleep(LOOK_INTERVAL), if has_listeners => {}
            }
        }
    }

    /// Looks at all ladders on which somebody listens, and says whether there are any.
    fn look_at_all(&self) -> bool {
        let Inner { config, states } = &*self.0;
        let mounts = config.mesh.documents.mounts();
        for mount in config.streams.mounts_with_stand_in() {
            if !mounts.contains_key(&mount) {
                climb::leave(&config.streams, &mount, LeaveReason::NoMount);
            }
        }
        let with_ladder = mounts.values().filter(|spec| self.is_climbed(spec));
        let listened = with_ladder.filter(|spec| config.streams.heard(&spec.path).is_some());
        let listened: Vec<&MountSpec> = listened.collect();
        let is_recent = |state: &LadderState| {
            clock::now().saturating_duration_since(state.ladder.flowed()) < FETCH_TIMEOUT
        };
        states.lock().retain(|mount, state| {
            listened.iter().any(|spec| spec.path == *mount) || is_recent(state)
        });
        for spec in &listened {
            self.offer(&spec.path, false);
        }
        !listened.is_empty()
    }

    /// Looks at the ladder of a mount, perhaps because a listener asks for it, and lets its listeners hear the right rung.
    fn offer(&self, mount: &MountName, is_asked: bool) -> Offer {
        let Inner { config, states } = &*self.0;
        let (mounts, view) = (config.mesh.documents.mounts(), config.mesh.cluster.view());
        let Some(spec) = mounts.get(mount) else {
            return Offer::Nothing;
        };
        let climb = Climb {
            spec,
            mounts: &mounts,
            view: &view,
            streams: &config.streams,
            is_asked,
            now: clock::now(),
            unix_s: clock::unix_s(),
        };
        // One look at a time: two of them would switch back and forth.
        let mut states = states.lock();
        let state = states.entry(mount.clone()).or_insert_with(|| LadderState {
            ladder: Ladder::new(climb.now),
            wanted: BTreeMap::new(),
            misfits: BTreeSet::new(),
        });
        self.step(&climb, state)
    }

    fn step(&self, climb: &Climb<'_>, state: &mut LadderState) -> Offer {
        let mount = &climb.spec.path;
        let rungs = climb.rungs();
        let look = climb.look(&rungs);
        note_misfits(mount, &rungs, &Ladder::states(&look, climb.now), state);
        let step = state.ladder.step(&look, climb.now);
        let sought: Vec<&RungName> = state.ladder.sought().iter().map(|it| &rungs[*it]).collect();
        let heard = match step {
            LadderStep::Hear(rung) => Some(&rungs[rung]),
            LadderStep::Fetch { .. } | LadderStep::Wait | LadderStep::Leave(_) => None,
        };
        let wanted = sought.iter().copied().chain(heard);
        state.wanted = self.want(wanted, climb, &mut state.wanted);
        for rung in sought {
            match rung {
                RungName::Mount(mount) => self.0.config.relays.begin(mount),
                RungName::File(file) => self.0.config.loops.begin(file),
            }
        }
        climb.carry_out(step, &rungs);
        let heard = || self.0.config.streams.heard(mount);
        match step {
            LadderStep::Hear(_) => heard().map_or(Offer::Coming, Offer::Hear),
            LadderStep::Fetch { meanwhile, .. } => {
                let meanwhile = heard().filter(|_| meanwhile);
                meanwhile.map_or(Offer::Coming, Offer::Hear)
            }
            // Until its bytes are here it is no rung, but a listener that comes need not leave for that.
            LadderStep::Wait if climb.has_file_on_its_way(&rungs) => Offer::Coming,
            LadderStep::Wait | LadderStep::Leave(_) => Offer::Nothing,
        }
    }

    /// Has the streams of these rungs made that are made on demand only.
    fn want<'a>(
        &self,
        rungs: impl Iterator<Item = &'a RungName>,
        climb: &Climb<'_>,
        before: &mut BTreeMap<MountName, Want>,
    ) -> BTreeMap<MountName, Want> {
        let mounts = rungs.filter_map(RungName::mount);
        let on_demand = mounts.filter(|mount| is_on_demand(climb.mounts, mount));
        let wanted: BTreeSet<&MountName> = on_demand.collect();
        let mut want = |mount: &MountName| {
            let kept = before.remove(mount);
            kept.unwrap_or_else(|| self.0.config.wants.want(mount))
        };
        wanted
            .into_iter()
            .map(|mount| (mount.clone(), want(mount)))
            .collect()
    }
}

/// Notes the rungs of another format, and says so once.
fn note_misfits(
    mount: &MountName,
    rungs: &[RungName],
    states: &[RungState],
    state: &mut LadderState,
) {
    let pairs = rungs.iter().zip(states);
    let misfits = pairs.filter(|(_, state)| **state == RungState::OtherFormat);
    let misfits: BTreeSet<RungName> = misfits.map(|(rung, _)| rung.clone()).collect();
    for fallback in misfits.difference(&state.misfits) {
        warn!(
            %mount, %fallback,
            "the fallback has another format, with which listeners could not go on: it is left out"
        );
    }
    state.misfits = misfits;
}

/// The circles of fallbacks that the log has told of.
#[derive(Debug, Default)]
struct Circles {
    seen: Arc<Mounts>,
    told: BTreeSet<Vec<MountName>>,
}

impl Circles {
    /// Looks for circles if the mounts have changed: edits of several nodes at once may make one together.
    fn look(&mut self, mounts: &Arc<Mounts>) {
        if Arc::ptr_eq(&self.seen, mounts) {
            return;
        }
        self.seen = mounts.clone();
        let circles = mounts
            .keys()
            .filter_map(|mount| ladder::circle(mount, mounts));
        // Each of its mounts is at the ends of one of these.
        let circles = circles.filter(|circle| circle.iter().min() == circle.first());
        let circles: BTreeSet<Vec<MountName>> = circles.collect();
        for circle in circles.difference(&self.told) {
            let circle = in_a_row(circle, "to");
            warn!(
                circle,
                "mounts fall back to each other in a circle, which ends where it begins: leave one of them out (antiphon mount set \
                 MOUNT fallback=…)"
            );
        }
        self.told = circles;
    }
}
