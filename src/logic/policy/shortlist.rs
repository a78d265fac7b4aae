//! The nodes that are left for one listener, and what the stages of a policy do to them.
//!
//! A stage sees only what the stages before it have left: `tag(fast),geo(country)` prefers the near ones of the fast
//! nodes.

use serde::{Deserialize, Serialize};

use super::facts::{NodeFacts, Request, Scene};
use super::{Nearness, Spill, Stage};
use crate::logic::forecast::{Outlook, Standing};
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::{Slots, is_backend};
use crate::model::traits::Tag;

/// Nodes that are at most so much farther than the nearest one count as equally near, kilometres.
///
/// A database knows a listener's town at best and often only the place of its provider, some 50 km off; and 100 km
/// of fibre are a millisecond.
const NEARBY_KM: f64 = 100.0;

/// A node that may still be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) outlook: &'a Outlook<'a>,
    pub(super) facts: &'a NodeFacts,
    /// The predicted load, as far as it concerns the mount.
    pub(super) load: LoadReport,
    pub(super) score: f64,
}

/// The nodes that are left.
#[derive(Clone, Debug)]
pub(super) struct Shortlist<'a> {
    pub(super) candidates: Vec<Candidate<'a>>,
    /// Whether no node's load is known: then no score and no selector can mean anything.
    pub(super) blind: bool,
}

/// Why a node is not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The node is draining, suspect or dead, or has never said how much it can take.
    Closed,
    /// The node was not heard for so long that its load is unknown.
    Stale,
    /// The node was in doubt a short time ago.
    Unsteady,
    /// Listeners that are sent to the node do not get there.
    Unreached,
    /// The operator has taken the node out for maintenance.
    Maintenance,
    /// The weight of the node is 0.
    Weightless,
    /// The outside server does not have the mount.
    MountAbsent,
    /// All places for listeners are taken.
    NoListenerPlace,
    /// The bandwidth left is less than the mount needs.
    NoBandwidth,
    /// The node lacks the tag that is asked for.
    TagAbsent,
    /// The node has the tag that is not wanted.
    TagPresent,
    /// Other nodes are nearer.
    Far,
    /// Other nodes carry the mount already.
    NotHolding,
}

/// How a preference judges a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Preference {
    Preferred,
    /// Too little is known of the node: it stays, whichever nodes are preferred.
    Neutral,
    Other,
}

impl<'a> Candidate<'a> {
    /// The node as a candidate for this request, or the reason why it is not one.
    pub(super) fn of(
        outlook: &'a Outlook<'a>,
        facts: &'a NodeFacts,
        request: &Request<'_>,
    ) -> Result<Self, Reason> {
        match outlook.standing {
            Standing::Closed => return Err(Reason::Closed),
            Standing::Unsteady => return Err(Reason::Unsteady),
            Standing::Unreached => return Err(Reason::Unreached),
            Standing::Ready | Standing::Stale => {}
        }
        if facts.traits.maintenance {
            return Err(Reason::Maintenance);
        }
        if facts.traits.weight_percent == 0 {
            return Err(Reason::Weightless);
        }
        let load = load_of(outlook, facts, request.mount).ok_or(Reason::MountAbsent)?;
        if load.listeners >= load.max_listeners {
            return Err(Reason::NoListenerPlace);
        }
        if load.egress_bps.saturating_add(request.cost_bps) > load.max_bandwidth_bps {
            return Err(Reason::NoBandwidth);
        }
        Ok(Self {
            outlook,
            facts,
            load,
            score: 1.0,
        })
    }

    /// The score, reduced while the node is new.
    pub(super) fn warm_score(&self) -> f64 {
        self.score * self.outlook.warmth
    }

    fn has_tag(&self, tag: &Tag) -> bool {
        self.outlook.node.as_str() == tag.as_str() || self.facts.traits.tags.contains(tag)
    }

    fn free_listeners(&self) -> f64 {
        1.0 - f64::from(self.load.listeners) / f64::from(self.load.max_listeners)
    }

    fn free_bandwidth(&self) -> f64 {
        match self.load.max_bandwidth_bps {
            0 => 0.0,
            max_bps => 1.0 - self.load.egress_bps as f64 / max_bps as f64,
        }
    }

    fn idle(&self) -> Option<f64> {
        let busy_permille = self.load.cpu_permille?.min(1_000);
        Some(1.0 - f64::from(busy_permille) / 1_000.0)
    }
}

/// The load and limits of the node for this mount; `None` if it does not have the mount.
fn load_of(outlook: &Outlook<'_>, facts: &NodeFacts, mount: &MountName) -> Option<LoadReport> {
    match &facts.mounts {
        Some(mounts) => Some(narrowed(outlook, mounts.get(mount)?)),
        // No facts are known yet of an outside server that is in the table already: so it has no mount.
        None => (!is_backend(outlook.node)).then_some(outlook.predicted),
    }
}

/// The lesser room of the server's and the mount's. A listener on the way may have come for this mount.
fn narrowed(outlook: &Outlook<'_>, slots: &Slots) -> LoadReport {
    let server = outlook.predicted;
    let Some(max_listeners) = slots.max_listeners else {
        return server;
    };
    let pending = u32::try_from(outlook.pending.listeners).unwrap_or(u32::MAX);
    let listeners = slots.listeners.saturating_add(pending);
    let server_room = server.max_listeners.saturating_sub(server.listeners);
    if max_listeners.saturating_sub(listeners) >= server_room {
        return server;
    }
    LoadReport {
        listeners,
        max_listeners,
        ..server
    }
}

impl<'a> Shortlist<'a> {
    /// All nodes that may be chosen at all: with room, and not known to be in trouble.
    ///
    /// A node that was not heard recently is a last resort. But when no peer was heard, this node is the one
    /// that is cut off: then all living nodes count alike.
    pub(super) fn gather(scene: Scene<'a>, own: &NodeName, request: &Request<'_>) -> Self {
        let mut candidates = Vec::with_capacity(scene.table.outlooks.len());
        let mut sees = false;
        let (mut any_ready, mut any_stale) = (false, false);
        for (outlook, facts) in scene.rows() {
            let ready = outlook.standing == Standing::Ready;
            sees |= ready && outlook.node != own && !is_backend(outlook.node);
            if let Ok(candidate) = Candidate::of(outlook, facts, request) {
                any_ready |= ready;
                any_stale |= !ready;
                candidates.push(candidate);
            }
        }
        let blind = any_stale && (!sees || !any_ready);
        if any_stale && !blind {
            candidates.retain(|it| it.outlook.standing == Standing::Ready);
        }
        Self { candidates, blind }
    }

    /// Lets the shortlist through a stage.
    pub(super) fn pass(&mut self, stage: &Stage, scene: Scene<'_>, request: &Request<'_>) {
        match stage {
            Stage::IcecastActive => self.keep(|it| it.outlook.standing != Standing::Closed),
            Stage::ListenersAvailable => self.keep(|it| it.free_listeners() > 0.0),
            Stage::BandwidthAvailable => self.keep(|it| it.free_bandwidth() > 0.0),
            Stage::Tag(tag) => self.keep(|it| it.has_tag(tag)),
            Stage::NotTag(tag) => self.keep(|it| !it.has_tag(tag)),
            Stage::Geo(Nearness::Country, spill) => self.prefer_country(*spill, request),
            Stage::Geo(Nearness::Distance, spill) => self.prefer_nearest(*spill, request),
            Stage::HoldsMount(spill) => {
                let Some(holders) = scene.facts.holders.get(request.mount) else {
                    return;
                };
                self.prefer(*spill, |it| match holders.contains(it.outlook.node) {
                    true => Preference::Preferred,
                    false => Preference::Other,
                });
            }
            Stage::ListenersScore => self.score_load(|it| it.free_listeners()),
            Stage::BandwidthScore => self.score_load(|it| it.free_bandwidth()),
            Stage::CpuScore => {
                let known = self.candidates.iter().filter_map(Candidate::idle);
                let (sum, count) =
                    known.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
                // A node of unknown load counts as an average one: silence must not attract listeners.
                let usual = if count > 0.0 { sum / count } else { 1.0 };
                self.score_load(|it| it.idle().unwrap_or(usual));
            }
            Stage::Weight => {
                self.score(|it| f64::from(it.facts.traits.weight_percent) / 100.0);
            }
        }
    }

    fn keep(&mut self, wanted: impl Fn(&Candidate<'_>) -> bool) {
        self.candidates.retain(wanted);
    }

    fn score(&mut self, factor: impl Fn(&Candidate<'_>) -> f64) {
        for candidate in &mut self.candidates {
            candidate.score *= factor(candidate).max(0.0);
        }
    }

    /// Scores by load, unless no load is known.
    fn score_load(&mut self, factor: impl Fn(&Candidate<'_>) -> f64) {
        if !self.blind {
            self.score(factor);
        }
    }

    /// Keeps the preferred nodes if one of them is below the spill level; otherwise all.
    fn prefer(&mut self, spill: Spill, preference: impl Fn(&Candidate<'_>) -> Preference) {
        let open = |it: &Candidate<'_>| {
            preference(it) == Preference::Preferred && it.load.utilization() < spill.level()
        };
        if self.candidates.iter().any(open) {
            self.keep(|it| preference(it) != Preference::Other);
        }
    }

    fn prefer_country(&mut self, spill: Spill, request: &Request<'_>) {
        let Some(country) = request.place.country else {
            return;
        };
        self.prefer(spill, |it| match it.facts.place.country {
            Some(its) if its == country => Preference::Preferred,
            Some(_) => Preference::Other,
            None => Preference::Neutral,
        });
    }

    fn prefer_nearest(&mut self, spill: Spill, request: &Request<'_>) {
        let Some(listener) = request.place.position else {
            return;
        };
        let distance_km = |it: &Candidate<'_>| {
            let position = it.facts.place.position?;
            Some(position.distance_km(&listener))
        };
        let open = self.candidates.iter();
        let open = open.filter(|it| it.load.utilization() < spill.level());
        let nearest_km = open.filter_map(distance_km).fold(f64::INFINITY, f64::min);
        if nearest_km < f64::INFINITY {
            self.keep(|it| distance_km(it).is_none_or(|km| km <= nearest_km + NEARBY_KM));
        }
    }
}

impl Stage {
    /// Why this stage drops a node.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::ListenersAvailable | Self::ListenersScore => Reason::NoListenerPlace,
            Self::BandwidthAvailable | Self::BandwidthScore => Reason::NoBandwidth,
            Self::Tag(_) => Reason::TagAbsent,
            Self::NotTag(_) => Reason::TagPresent,
            Self::Geo(..) => Reason::Far,
            Self::HoldsMount(_) => Reason::NotHolding,
            Self::IcecastActive | Self::CpuScore | Self::Weight => Reason::Closed,
        }
    }
}
