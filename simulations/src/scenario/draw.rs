//! From a scenario and a seed's dice to a story with all its details.

use std::time::Duration;

use rand::Rng;
use rand::distr::weighted::WeightedIndex;
use rand::prelude::Distribution;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use super::file::{Amount, Bounds, Chaos, File, Kind, Mode, Step};
use crate::faults::{DiskFate, Fault, Who};
use crate::plan::{self, INTERVAL, Plan, PlayerPlan, StreamPlan, TranscoderPlan};

/// When the first fault comes: after the longest start that the checkers allow.
const SETTLED_S: f64 = 9.0;
/// The quiet time of a world after its last fault: the 4 s of the agreement bound, and 3 s to keep it.
const QUIET_S: f64 = 7.0;
/// One in so many gaps of a chaos is a long one.
const LONG_ONE_IN: u32 = 5;

impl Amount {
    fn draw(self, rng: &mut SmallRng) -> f64 {
        match self {
            Self::Exactly(amount) => amount,
            Self::Between([a, b]) => rng.random_range(a.min(b)..=a.max(b)),
        }
    }

    fn draw_count(self, rng: &mut SmallRng) -> usize {
        match self {
            Self::Exactly(amount) => amount as usize,
            Self::Between([a, b]) => rng.random_range(a.min(b) as usize..=a.max(b) as usize),
        }
    }

    /// Both ends, where they mean two things.
    fn both_ms(self) -> (Duration, Duration) {
        let [first, second] = match self {
            Self::Exactly(amount) => [amount, amount],
            Self::Between(pair) => pair,
        };
        (ms(first), ms(second))
    }
}

/// The story of one seed.
pub(super) fn plan(file: &File, rng: &mut SmallRng) -> Plan {
    let nodes = file.nodes.draw_count(rng);
    let loss = file
        .loss
        .as_ref()
        .and_then(|loss| loss.get_ref().choose(rng));
    let start_s = SETTLED_S + rng.random::<f64>();
    let mut steps: Vec<(f64, Fault)> = file
        .steps
        .iter()
        .map(|step| (step.get_ref().at_s.draw(rng), fault(step.get_ref(), rng)))
        .collect();
    if let Some(chaos) = &file.chaos {
        steps.extend(storm(chaos, nodes, rng));
    }
    steps.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let last_s = steps.last().map_or(0.0, |(after_s, _)| *after_s);
    steps.extend(end(file, last_s));
    let at = |after_s: f64| Duration::from_secs_f64(start_s + after_s);
    Plan {
        nodes,
        newer: file.newer.as_ref().map_or(0, |newer| *newer.get_ref()),
        interval: INTERVAL,
        quorum: file.quorum,
        outside: file.outside,
        transcoders: file.transcoders.as_ref().map(|transcoders| {
            let transcoders = transcoders.get_ref();
            TranscoderPlan {
                seats: transcoders.seats,
                capable: transcoders.capable.draw_count(rng).min(nodes),
                room: transcoders.room.into(),
            }
        }),
        loss: loss.copied().unwrap_or_default(),
        drift: file.drift_percent / 100.0,
        streams: file.streams.map(|streams| StreamPlan {
            mounts: streams.mounts,
            encoders: streams.encoders,
            listeners: streams.listeners,
            takeover: streams.takeover,
            standby: streams.standby,
            linger_s: streams.linger_s,
            falls_back: streams.falls_back,
        }),
        players: file.players.as_ref().map(|players| PlayerPlan {
            per_s: players.get_ref().per_s,
            stay: Duration::from_secs_f64(players.get_ref().stay_s),
            room: players.get_ref().room.into(),
            from: Duration::from_secs_f64(SETTLED_S / 2.0),
            until: at(last_s + 1.0),
        }),
        edits_per_minute: file.edits_per_minute,
        bounds: bounds(file.bounds),
        steps: steps.iter().map(|(s, fault)| (at(*s), *fault)).collect(),
        end: at(last_s + file.quiet_s.unwrap_or(QUIET_S)),
    }
}

fn bounds(asked: Bounds) -> plan::Bounds {
    let usual = plan::Bounds::default();
    let or = |asked: Option<u64>, usual| asked.map_or(usual, Duration::from_millis);
    plan::Bounds {
        stall: or(asked.stall_ms, usual.stall),
        loops: or(asked.loops_ms, usual.loops),
        rivals: or(asked.rivals_ms, usual.rivals),
        off_air: or(asked.off_air_ms, usual.off_air),
        holes: asked.holes.unwrap_or(usual.holes),
        document: or(asked.document_ms, usual.document),
        rungs: or(asked.rungs_ms, usual.rungs),
    }
}

/// How a story ends: a chaos heals, all of it or only a core.
fn end(file: &File, last_s: f64) -> Vec<(f64, Fault)> {
    if let (Mode::Liveness, Some(core)) = (file.mode, file.core) {
        return vec![(last_s, Fault::HealCore(core))];
    }
    if file.chaos.is_none() {
        return Vec::new();
    }
    let well = [
        Fault::Heal,
        Fault::Loss(0.0),
        Fault::Hasten,
        Fault::FixDisks,
        Fault::FixClocks,
        Fault::Unresign,
        Fault::Resume,
    ];
    let mut steps = well.map(|fault| (last_s, fault)).to_vec();
    steps.push((last_s + 0.01, Fault::Restart(DiskFate::Same)));
    steps.push((last_s + 0.02, Fault::Unresign));
    if file.transcoders.is_some() {
        steps.push((last_s + 0.02, Fault::MendTools));
    }
    steps
}

fn fault(step: &Step, rng: &mut SmallRng) -> Fault {
    let draw = |amount: Option<Amount>, rng: &mut SmallRng| {
        amount.map(|amount| amount.draw(rng)).unwrap_or_default()
    };
    let who = step.who.map_or(Who::Anyone, Who::from);
    let (first, second) = step.ms.map(Amount::both_ms).unwrap_or_default();
    match step.fault {
        Kind::Split => Fault::Split(step.nodes.map_or(0, |nodes| nodes.draw_count(rng))),
        Kind::Loss => Fault::Loss(draw(step.share, rng)),
        Kind::Duplicates => Fault::Duplicates(draw(step.share, rng)),
        Kind::Bursts => Fault::Bursts(first, second),
        Kind::Delay => Fault::Delay(first, second),
        Kind::Flap => Fault::Flap(who, ms(draw(step.ms, rng))),
        Kind::Slow => Fault::Slow(who, ms(draw(step.ms, rng))),
        Kind::Jump => Fault::Jump(who, (draw(step.by_s, rng) * 1_000.0) as i64),
        kind => plain(kind, who),
    }
}

/// The faults that have nothing to choose but whom they hit.
fn plain(kind: Kind, who: Who) -> Fault {
    match kind {
        Kind::Crash => Fault::Crash(who),
        Kind::Restart => Fault::Restart(DiskFate::Same),
        Kind::RestartLost => Fault::Restart(DiskFate::Lost),
        Kind::RestartStale => Fault::Restart(DiskFate::Stale),
        Kind::Pause => Fault::Pause(who),
        Kind::Resume => Fault::Resume,
        Kind::Isolate => Fault::Isolate(who),
        Kind::Mute => Fault::Mute(who),
        Kind::Deafen => Fault::Deafen(who),
        Kind::Bridge => Fault::Bridge,
        Kind::Resign => Fault::Resign(who),
        Kind::Unresign => Fault::Unresign,
        Kind::Drain => Fault::Drain(who),
        Kind::BreakDisk => Fault::BreakDisk(who),
        Kind::FixDisks => Fault::FixDisks,
        Kind::Forget => Fault::Forget,
        Kind::FixClocks => Fault::FixClocks,
        Kind::Hasten => Fault::Hasten,
        Kind::Unplug => Fault::Unplug,
        Kind::LoseTools => Fault::LoseTools(who),
        Kind::MendTools => Fault::MendTools,
        // `Heal`; the others never come here.
        _ => Fault::Heal,
    }
}

/// Anything, at any time.
fn storm(chaos: &Chaos, nodes: usize, rng: &mut SmallRng) -> Vec<(f64, Fault)> {
    let (kinds, weights): (Vec<Kind>, Vec<u32>) = chaos
        .faults
        .iter()
        .map(|(kind, weight)| (*kind, *weight))
        .unzip();
    let Ok(choice) = WeightedIndex::new(&weights) else {
        return Vec::new(); // nothing is to happen
    };
    let (mut steps, mut at_s) = (Vec::new(), 0.0);
    let [usual_s, long_s] = chaos.gaps_s;
    for _ in 0..rng.random_range(chaos.steps[0]..=chaos.steps[1]) {
        steps.push((at_s, strike(kinds[choice.sample(rng)], nodes, rng)));
        let is_long = rng.random_range(0..LONG_ONE_IN) == 0;
        at_s += rng.random_range(0.02..if is_long { long_s } else { usual_s });
    }
    steps
}

fn strike(kind: Kind, nodes: usize, rng: &mut SmallRng) -> Fault {
    let node = Who::Node(rng.random_range(0..nodes));
    let roles = [Who::Master, Who::NotMaster, Who::Ingest, Who::Relay, node];
    let who = *roles.choose(rng).expect("five of them");
    match kind {
        Kind::Split => Fault::Split(rng.random_range(1..nodes.max(2))),
        Kind::Loss => Fault::Loss(rng.random_range(0.0..0.12)),
        Kind::Duplicates => Fault::Duplicates(rng.random_range(0.0..0.2)),
        Kind::Bursts => {
            let (good, bad) = (rng.random_range(2e3..2e4), rng.random_range(50.0..800.0));
            Fault::Bursts(ms(good), ms(bad))
        }
        Kind::Delay => Fault::Delay(ms(1.0), ms(rng.random_range(2.0..50.0))),
        Kind::Flap => Fault::Flap(who, ms(rng.random_range(100.0..4_000.0))),
        Kind::Slow => Fault::Slow(who, ms(rng.random_range(10.0..200.0))),
        Kind::Jump => Fault::Jump(who, rng.random_range(-300_000..=300_000)),
        kind => plain(kind, who),
    }
}

fn ms(amount: f64) -> Duration {
    Duration::from_secs_f64(amount / 1_000.0)
}
