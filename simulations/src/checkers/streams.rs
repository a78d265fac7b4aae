//! The promises of streams: every byte in its place at every relay, listeners that keep hearing through all that leaves
//! them a node, and sources that are never closed without a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon::model::mount::MountName;
use antiphon::model::stream::{EndReason, StreamId};

use super::Violations;
use super::rungs::RungCourses;
use super::watched::{Reach, Station, WatchedMount};
use crate::encoder::{EncoderId, FRAME_BYTES, byte};
use crate::node::radio::{Continuity, RadioNews};
use crate::plan::Bounds;

/// The most that all rings of a node may hold for one mount: 30 s of the little streams, in the rings of a stream, of
/// the one before it and of the one after it.
const MAX_RING_BYTES: u64 = 3 * (40 << 10);
/// Conversations, pulls, sources and rings that a node may have: some for each peer and mount.
const MAX_THINGS: usize = 64;
/// Streams that are over and remembered: in a minute, each encoder may come and go each second.
const MAX_ENDED: usize = 256;
/// Records that a world writes, its mounts included.
const MAX_RECORDS: usize = 16;
/// Keys that a node says: its claim, its load, its document, whether it drains, one of a newer version, and a
/// stream for each mount.
const MAX_KEYS: usize = 8;
/// Words that may wait in all conversations: a second of every line, and a replay on each.
const MAX_WAITING: usize = 20_000;
/// A listener is dropped when its source was away so much less than it lingers, by the beats in between.
const LINGER_SLACK: Duration = Duration::from_millis(500);

/// The bytes that one listener has heard.
#[derive(Debug)]
struct Ear {
    life: u32,
    stream: StreamId,
    next: u64,
    /// Streams that were left, and where.
    earlier: BTreeMap<StreamId, u64>,
    heard_at: Duration,
    /// Whether it has gone over to another rung since, of which it has no byte so far.
    has_switched: bool,
}

/// A listener that has got bytes within this time hears a stream.
const HEARS: Duration = Duration::from_millis(400);

/// The history of a mount.
#[derive(Debug, Default)]
struct Course {
    loop_since: Option<Duration>,
    rivals_since: Option<Duration>,
    off_air_since: Option<Duration>,
}

/// The findings of one run about the streams.
#[derive(Debug)]
pub(crate) struct StreamFindings {
    pub(crate) stalls: Vec<Duration>,
    pub(crate) missed_bytes: u64,
    pub(crate) violations: Vec<String>,
}

/// The judge of a world's streams.
#[derive(Debug)]
pub struct StreamRules {
    bounds: Bounds,
    linger: Duration,
    now: Duration,
    /// The encoder whose bytes a stream has, and from which number of the connection on.
    truth: BTreeMap<StreamId, (EncoderId, u64)>,
    /// How far each stream has come at any node.
    furthest: BTreeMap<StreamId, u64>,
    ears: BTreeMap<(usize, MountName), Ear>,
    /// When each node got the last byte of a mount.
    took_at: BTreeMap<(usize, MountName), Duration>,
    /// Since when a listener could be served, and by which encoder.
    served_since: BTreeMap<(usize, usize), (EncoderId, Duration)>,
    courses: BTreeMap<usize, Course>,
    rungs: RungCourses,
    has_faults: bool,
    stalls: BTreeMap<(usize, usize), Duration>,
    missed_bytes: u64,
    /// How often a listener continued in the same stream after bytes that no node had any more.
    holes: u32,
    violations: Violations,
}

impl StreamRules {
    pub(crate) fn new(bounds: Bounds, linger: Duration) -> Self {
        Self {
            bounds,
            linger,
            now: Duration::ZERO,
            truth: BTreeMap::new(),
            furthest: BTreeMap::new(),
            ears: BTreeMap::new(),
            took_at: BTreeMap::new(),
            served_since: BTreeMap::new(),
            courses: BTreeMap::new(),
            rungs: RungCourses::default(),
            has_faults: false,
            stalls: BTreeMap::new(),
            missed_bytes: 0,
            holes: 0,
            violations: Violations::default(),
        }
    }

    /// Something happens to the world: what was under way may take longer.
    pub(crate) fn fault(&mut self, now: Duration) {
        self.now = now;
        self.has_faults = true;
        self.served_since.clear();
        self.courses.clear();
    }

    /// A stream begins, with a connection's bytes from this one on.
    pub(crate) fn on_air(&mut self, stream: StreamId, source: (EncoderId, u64)) {
        self.truth.insert(stream, source);
    }

    /// Something happened to the streams of a node.
    pub(crate) fn hear(&mut self, (node, life): (usize, u32), news: RadioNews, now: Duration) {
        self.now = now;
        match news {
            RadioNews::Stored {
                mount,
                stream,
                offset,
                bytes,
            } => {
                self.check_bytes(node, (stream, offset), &bytes);
                self.took_at.insert((node, mount), now);
                let end = offset + bytes.len() as u64;
                let furthest = self.furthest.entry(stream).or_default();
                *furthest = end.max(*furthest);
            }
            RadioNews::Played {
                mount,
                stream,
                offset,
                bytes,
                continuity,
            } => {
                self.check_bytes(node, (stream, offset), &bytes);
                let length = bytes.len() as u64;
                self.follow((node, life, mount), (stream, offset, length), continuity);
            }
            RadioNews::Switched(mount) => {
                let ear = self.ears.get_mut(&(node, mount));
                ear.into_iter().for_each(|ear| ear.has_switched = true);
            }
            RadioNews::Dropped(mount, why) => self.dropped(node, mount, why),
            RadioNews::Overrun(mount) => self.violations.note("S5", now, || {
                format!("a listener of {mount} at {node} fell off the ring")
            }),
            RadioNews::Closed(encoder, why) => self.closed(node, encoder, why),
            RadioNews::Accepted(_) | RadioNews::OnAir { .. } => {}
            RadioNews::OnStandby(_) | RadioNews::Refused(_) => {}
            RadioNews::Relaying(..) | RadioNews::Left(..) => {}
        }
    }

    fn check_bytes(&mut self, node: usize, (stream, offset): (StreamId, u64), bytes: &[u8]) {
        let truth = self.truth.get(&stream).copied();
        let right = truth.is_some_and(|(connection, begins_at)| {
            let mut numbered = (begins_at + offset..).zip(bytes);
            numbered.all(|(number, found)| byte(connection, number) == *found)
        });
        if !right {
            self.violations.note("S1", self.now, || {
                format!("{node} has wrong bytes at {offset} of {stream}")
            });
        }
    }

    /// A listener's bytes: the next of the same stream, or another stream's from a join point on.
    fn follow(
        &mut self,
        (node, life, mount): (usize, u32, MountName),
        (stream, offset, length): (StreamId, u64, u64),
        continuity: Continuity,
    ) {
        let fresh = Ear {
            life,
            stream,
            next: offset + length,
            earlier: BTreeMap::new(),
            heard_at: self.now,
            has_switched: false,
        };
        let begins_at = self
            .truth
            .get(&stream)
            .map_or(0, |(_, begins_at)| *begins_at);
        let joins = (begins_at + offset).is_multiple_of(FRAME_BYTES);
        let ear = self.ears.entry((node, mount)).or_insert_with(|| Ear {
            next: offset,
            ..fresh
        });
        let right = match continuity {
            Continuity::Joined => true,
            // Back from another rung of which it has heard nothing: it goes on with what is heard now.
            Continuity::Next | Continuity::Spliced
                if ear.has_switched && ear.stream == stream && ear.next < offset =>
            {
                joins
            }
            Continuity::Next => ear.stream == stream && ear.next == offset,
            // Another stream came and went before the listener had a byte of it, or nobody had the next byte any
            // more and it goes on with what there is.
            Continuity::Spliced if ear.stream == stream => {
                self.holes += u32::from(ear.next < offset);
                ear.next == offset
                    || (joins && ear.next < offset && self.holes <= self.bounds.holes)
            }
            Continuity::Spliced => {
                // One that comes back goes on behind what was heard of it.
                let is_heard = ear
                    .earlier
                    .get(&stream)
                    .is_some_and(|left_at| offset < *left_at);
                joins && !is_heard
            }
        };
        if !right {
            let before = (ear.stream, ear.next);
            self.violations.note("S2", self.now, || {
                format!("a listener at {node} gets {offset} of {stream} after {before:?}")
            });
        }
        match continuity {
            Continuity::Joined => ear.earlier.clear(),
            Continuity::Next => {}
            Continuity::Spliced => {
                let furthest = self.furthest.get(&ear.stream).copied().unwrap_or_default();
                self.missed_bytes = self.missed_bytes.max(furthest.saturating_sub(ear.next));
                ear.earlier.insert(ear.stream, ear.next);
            }
        }
        (ear.life, ear.stream, ear.next, ear.heard_at) = (life, stream, offset + length, self.now);
        ear.has_switched = false;
    }

    fn dropped(&mut self, node: usize, mount: MountName, why: Option<EndReason>) {
        let ear = self.ears.remove(&(node, mount.clone()));
        // A listener that joined late has heard what was there, of a stream that was silent already.
        let took_at = self.took_at.get(&(node, mount.clone())).copied();
        let silent = ear.map_or(self.linger, |ear| {
            self.now - took_at.unwrap_or_default().min(ear.heard_at)
        });
        if silent + LINGER_SLACK < self.linger && why != Some(EndReason::MountDeleted) {
            self.violations.note("S5", self.now, || {
                format!("a listener of {mount} at {node} was dropped after {silent:?}: {why:?}")
            });
        }
    }

    /// A node may close an encoder's connection only because another one has the mount.
    fn closed(&mut self, node: usize, encoder: EncoderId, why: EndReason) {
        if why != EndReason::Replaced {
            self.violations.note("S6", self.now, || {
                format!("{node} throws {encoder:?} off: {why:?}")
            });
        }
    }

    /// Looks at all nodes, for one mount.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        watched: &WatchedMount,
        stations: &[Station],
        reach: Reach<'_>,
    ) {
        self.now = now;
        self.look_for_loops(watched, stations);
        self.look_for_rivals(watched, stations, reach);
        if watched.fallback.is_some() {
            self.look_for_rungs(watched, stations, reach);
        }
        for node in 0..stations.len() {
            self.look_for_silence(node, watched, (stations, reach));
        }
    }

    fn look_for_loops(&mut self, watched: &WatchedMount, stations: &[Station]) {
        let upstream = |node: usize| {
            let station = &stations[node];
            station.upstreams[watched.number].filter(|_| station.runs && !station.is_slow)
        };
        let is_in_loop = |first: usize| {
            let mut at = upstream(first);
            for _ in 0..stations.len() {
                match at {
                    None => return false,
                    Some(node) if node == first => return true,
                    Some(node) => at = upstream(node),
                }
            }
            false
        };
        let found = (0..stations.len()).find(|node| is_in_loop(*node));
        let (now, bound) = (self.now, self.bounds.loops);
        let course = self.courses.entry(watched.number).or_default();
        let Some(node) = found else {
            course.loop_since = None;
            return;
        };
        let since = *course.loop_since.get_or_insert(now);
        if now - since > bound {
            self.violations.note("S4", now, || {
                format!("{node} feeds itself on {} for {bound:?}", watched.mount)
            });
        }
    }

    fn look_for_rivals(&mut self, watched: &WatchedMount, stations: &[Station], reach: Reach<'_>) {
        let sources = || {
            let nodes = stations.iter().enumerate();
            let on_air = nodes.filter(|(_, station)| station.on_air[watched.number].is_some());
            on_air
                .filter(|(_, station)| station.is_judged)
                .map(|(node, _)| reach.components[node])
        };
        let is_rival = sources().any(|one| sources().filter(|other| *other == one).count() > 1);
        let takes = |it: &Station| it.runs && it.is_judged && !it.is_draining && !it.is_slow;
        let is_off_air = sources().count() == 0 && watched.is_free && stations.iter().any(takes);
        let (now, bounds, mount) = (self.now, self.bounds, &watched.mount);
        let course = self.courses.entry(watched.number).or_default();
        let lasts = |since: &mut Option<Duration>, is_so: bool| {
            *since = since.or(Some(now)).filter(|_| is_so);
            since.map_or(Duration::ZERO, |since| now - since)
        };
        if lasts(&mut course.rivals_since, is_rival) > bounds.rivals {
            self.violations
                .note("S7", now, || format!("two sources of {mount} go on"));
        }
        if lasts(&mut course.off_air_since, is_off_air) > bounds.off_air {
            self.violations
                .note("S8", now, || format!("no source of {mount} comes on air"));
        }
    }

    /// How long listeners at nodes that hear each other are on different rungs of a ladder.
    fn look_for_rungs(&mut self, watched: &WatchedMount, stations: &[Station], reach: Reach<'_>) {
        let (now, bound) = (self.now, self.bounds.rungs);
        let rung_at = |(node, station): (usize, &Station)| {
            let ear = self.ears.get(&(node, watched.mount.clone()))?;
            let is_judged = station.runs && station.is_judged && !station.is_slow;
            let hears = is_judged && ear.life == station.life && now - ear.heard_at < HEARS;
            let (connection, _) = self.truth.get(&ear.stream).filter(|_| hears)?;
            let is_own = watched.encoders.contains(&connection.encoder);
            Some((reach.components[node], is_own))
        };
        let heard: BTreeSet<(usize, bool)> =
            stations.iter().enumerate().filter_map(rung_at).collect();
        self.rungs.note_net(now, reach.components);
        if self.rungs.apart(now, watched.number, &heard) > bound {
            self.violations.note("S10", now, || {
                format!(
                    "nodes that hear each other play different rungs of {}",
                    watched.mount
                )
            });
        }
    }

    /// How long a listener hears nothing although a node in reach has more.
    fn look_for_silence(
        &mut self,
        node: usize,
        watched: &WatchedMount,
        (stations, reach): (&[Station], Reach<'_>),
    ) {
        let place = (node, watched.number);
        let ear = self.ears.get(&(node, watched.mount.clone()));
        let ear = ear.filter(|ear| ear.life == stations[node].life);
        let fallback = watched.fallback.as_ref();
        let server = server_of(node, watched, (stations, reach)).or_else(|| {
            let fallback = fallback.filter(|_| watched.senders.is_empty())?;
            server_of(node, fallback, (stations, reach))
        });
        let (Some(ear), Some(server)) = (ear, server) else {
            self.served_since.remove(&place);
            return;
        };
        let (now, heard_at) = (self.now, ear.heard_at);
        let served = self.served_since.entry(place).or_insert((server, now));
        if served.0 != server {
            *served = (server, now);
        }
        let silent = now - heard_at.max(served.1);
        if self.has_faults {
            let longest = self.stalls.entry(place).or_default();
            *longest = silent.max(*longest);
        }
        if silent > self.bounds.stall {
            self.violations.note("S3", now, || {
                format!(
                    "a listener of {} at {node} hears nothing for {silent:?}",
                    watched.mount
                )
            });
        }
    }

    /// Checks how much memory all of it takes.
    pub(crate) fn look_at_size(&mut self, now: Duration, stations: &[Station], waiting: usize) {
        for (node, station) in stations.iter().enumerate() {
            let size = station.size;
            let max_ring_bytes = station.positions.len() as u64 * MAX_RING_BYTES;
            let is_bounded = size.ring_bytes <= max_ring_bytes
                && size.things <= MAX_THINGS
                && size.ended <= MAX_ENDED
                && size.records <= MAX_RECORDS
                && station.keys <= MAX_KEYS;
            if !is_bounded {
                self.violations.note("S9", now, || {
                    format!("node {node} holds {size:?}, {} keys", station.keys)
                });
            }
        }
        if waiting > MAX_WAITING {
            self.violations
                .note("S9", now, || format!("{waiting} words wait"));
        }
    }

    pub(crate) fn finish(self) -> StreamFindings {
        StreamFindings {
            stalls: self.stalls.into_values().collect(),
            missed_bytes: self.missed_bytes,
            violations: self.violations.0,
        }
    }
}

/// The encoder that a node could have the stream of, from its ingest node or over one more node that has it.
fn server_of(
    node: usize,
    watched: &WatchedMount,
    (stations, reach): (&[Station], Reach<'_>),
) -> Option<EncoderId> {
    let fit = |other: usize| {
        let station = &stations[other];
        station.runs && station.is_judged && !station.is_slow
    };
    let on_air = |other: &usize| fit(*other) && stations[*other].on_air[watched.number].is_some();
    let mut ingests = (0..stations.len()).filter(on_air);
    let (ingest, second) = (ingests.next()?, ingests.next());
    let encoder = stations[ingest].on_air[watched.number]?;
    if second.is_some() || !fit(node) || !watched.senders.contains(&encoder) {
        return None;
    }
    let stream = stations[ingest].positions[watched.number].map(|(stream, _)| stream);
    let has_it = |other: usize| {
        let held = stations[other].positions[watched.number];
        fit(other) && held.map(|(stream, _)| stream) == stream
    };
    let hear = |a: usize, b: usize| a == b || (reach.is_open)(a, b);
    let mut over = (0..stations.len()).filter(|other| has_it(*other));
    let reached = hear(node, ingest) || over.any(|other| hear(node, other) && hear(other, ingest));
    reached.then_some(encoder)
}
