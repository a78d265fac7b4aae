//! A story with all its details: what a scenario and a seed make together, and what a world lives through.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon::model::format::CodecName;
use antiphon::model::mount::{MountName, Takeover};
use antiphon::model::node::NodeName;
use antiphon::model::quorum::Quorum;
use antiphon::model::seat::Seat;
use antiphon::proto::transcoder_seats::TranscoderTask;

use crate::faults::Fault;

/// The gossip interval of meshes up to 32 nodes.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// A story with its details.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// How many of them run a newer version.
    pub newer: usize,
    /// The gossip interval.
    pub interval: Duration,
    /// The guard of every node.
    pub quorum: Quorum,
    /// How many outside servers there are, each a seat.
    pub outside: usize,
    /// The transcoders of the world, if there are any.
    pub transcoders: Option<TranscoderPlan>,
    /// The share of lost messages at the start.
    pub loss: f64,
    /// How much too fast or too slow a clock may run, as a share.
    pub drift: f64,
    /// The streams of the world, if there are any.
    pub streams: Option<StreamPlan>,
    /// The players that come to listen, if any do.
    pub players: Option<PlayerPlan>,
    /// How often an operator changes the document, on average per minute.
    pub edits_per_minute: f64,
    /// The bounds of the checkers.
    pub bounds: Bounds,
    /// The faults, each with its time.
    pub steps: Vec<(Duration, Fault)>,
    /// When it ends.
    pub end: Duration,
}

/// The players of a world, which are placed by the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayerPlan {
    /// How many come in a second, on average.
    pub per_s: f64,
    /// How long they stay, on average.
    pub stay: Duration,
    /// The least and the most listeners that a node takes; the dice decide for each.
    pub room: (u32, u32),
    /// When the first comes.
    pub from: Duration,
    /// When nobody comes or leaves any more.
    pub until: Duration,
}

/// The transcoders of a world, each a seat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TranscoderPlan {
    /// How many.
    pub seats: usize,
    /// How many nodes have tools for them.
    pub capable: usize,
    /// The least and the most that such a node runs at once; the dice decide for each.
    pub room: (u32, u32),
}

/// The streams of a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamPlan {
    /// How many mounts.
    pub mounts: usize,
    /// How many encoders want each of them.
    pub encoders: usize,
    /// The share of nodes with a listener, of each mount for itself; one at least.
    pub listeners: f64,
    /// The treatment of a second source.
    pub takeover: Takeover,
    /// Whether a second source may wait.
    pub standby: bool,
    /// How long listeners are kept for a source to come back, seconds.
    pub linger_s: u32,
    /// Whether the first mount falls back to the second.
    pub falls_back: bool,
}

/// The bounds of the checkers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// How long a listener may hear nothing although somebody whom its node reaches has more.
    pub stall: Duration,
    /// How long two relays may believe that they feed each other.
    pub loops: Duration,
    /// How long two sources of one mount may be on air among nodes that hear each other.
    pub rivals: Duration,
    /// How long a mount may be without a source although an encoder wants it and a node runs.
    pub off_air: Duration,
    /// How often listeners may miss bytes of a stream because nobody holds them any more.
    pub holes: u32,
    /// How long documents may differ among nodes that hear each other.
    pub document: Duration,
    /// How long listeners at nodes that hear each other may be on different rungs of a ladder.
    pub rungs: Duration,
}

impl Default for Bounds {
    /// The bounds on usual lines; scenarios with worse ones say so.
    fn default() -> Self {
        Self {
            stall: Duration::from_millis(2_500),
            loops: Duration::from_millis(1_500),
            rivals: Duration::from_secs(5),
            off_air: Duration::from_secs(10),
            holes: 0,
            document: Duration::from_secs(8),
            // Two rounds of gossip, in which a source that comes or goes is heard of and its stream is fetched; and 400 ms for which a
            // listener that hears nothing counts as one that still hears the last rung. With up to 10 % of packets lost the worst
            // of some fifty changes took 600 ms. Nodes that were parted have a second more, and used up to 1.3 s in all.
            rungs: 2 * INTERVAL + Duration::from_millis(400),
        }
    }
}

impl Plan {
    /// The seats of outside servers.
    pub fn outside_seats(&self) -> BTreeSet<Seat> {
        let server = |number| NodeName::try_from(format!("o{number}"));
        let servers = (0..self.outside).map(server);
        let seats = servers.map(|name| Seat::Outside(name.expect("a letter and digits")));
        seats.collect()
    }

    /// The transcoded mounts: every third is MP3, the others are Opus; every fourth waits for its source for ever.
    pub fn transcoded(&self) -> BTreeMap<MountName, TranscoderTask> {
        let count = self.transcoders.map_or(0, |transcoders| transcoders.seats);
        let mount = |number: usize| {
            let path = MountName::try_from(format!("/t{number}")).expect("a plain path");
            let codec = match number % 3 {
                0 => CodecName::Mp3,
                _ => CodecName::Opus,
            };
            let is_needed = number % 4 != 3;
            (path, TranscoderTask { codec, is_needed })
        };
        (0..count).map(mount).collect()
    }

    /// How many seats there are beside the master's.
    pub fn other_seats(&self) -> usize {
        self.outside + self.transcoders.map_or(0, |transcoders| transcoders.seats)
    }

    /// A quiet world of this many nodes, for measurements: no faults, and nothing but election and gossip.
    pub fn quiet(nodes: usize, interval: Duration, end: Duration) -> Self {
        Self {
            nodes,
            newer: 0,
            interval,
            quorum: Quorum::Off,
            outside: 0,
            transcoders: None,
            loss: 0.0,
            drift: 0.0,
            streams: None,
            players: None,
            edits_per_minute: 0.0,
            bounds: Bounds::default(),
            steps: Vec::new(),
            end,
        }
    }
}
