//! The situations in which a crowd comes, and what is promised for each.

/// The bitrate of the usual mount, bits per second.
pub(crate) const MP3_BPS: u64 = 128_000;

/// One situation.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// A letter to name it by, and what is special about it.
    pub(crate) title: &'static str,
    /// The nodes.
    pub(crate) nodes: Vec<Size>,
    /// Listeners that each node has before; 0 for those beyond the end.
    pub(crate) before: Vec<u32>,
    /// Listeners that come within [`SURGE_S`].
    pub(crate) arrivals: u32,
    /// The node that all listeners ask first; `None`: a random one.
    pub(crate) entrance: Option<usize>,
    /// Nodes that the others have not met before, and when they come, seconds.
    pub(crate) newcomers: Vec<(usize, f64)>,
    /// Nodes that die, and when, seconds.
    pub(crate) deaths: Vec<(usize, f64)>,
    /// How often a node publishes, seconds.
    pub(crate) publish_every_s: f64,
    /// The longest way of a bulletin, seconds; the shortest is 0.02.
    pub(crate) gossip_s: f64,
    /// The share of bulletins that do not come.
    pub(crate) lost: f64,
    /// The share of redirected listeners that do not come.
    pub(crate) vanished: f64,
    /// How long a listener stays on average, seconds; `None`: to the end.
    pub(crate) stay_s: Option<f64>,
    /// The bitrates of the mounts, and how many of a hundred listeners want each.
    pub(crate) mounts: Vec<(u64, u32)>,
    /// The promise for the usual policy.
    pub(crate) goal: Goal,
}

/// The limits of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Listeners.
    pub(crate) listeners: u32,
    /// Bits per second.
    pub(crate) bps: u64,
}

/// The promise for a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// How far the fullest node may rise.
    pub(crate) peak: Peak,
    /// The most that the fullest node may stand above the mean from a fifth of the crowd on, if that is promised.
    pub(crate) unevenness: Option<f64>,
    /// The most that it may when all have come.
    pub(crate) unevenness_at_end: f64,
}

/// How far the fullest node may rise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peak {
    /// So much above the level at which all would stand, as a share of capacity.
    AboveIdeal(f64),
    /// To this share of its capacity.
    Absolute(f64),
}

/// How long listeners keep coming, seconds.
pub(crate) const SURGE_S: f64 = 10.0;

/// Two points above the level of an ideal distribution.
const CLOSE: Goal = Goal {
    peak: Peak::AboveIdeal(0.02),
    unevenness: Some(1.05),
    unevenness_at_end: 1.05,
};

/// For scenarios in which nodes come, go or were full before: there evenness takes time.
const CLOSE_PEAK: Goal = Goal {
    unevenness: None,
    unevenness_at_end: 1.10,
    ..CLOSE
};

/// Sizes that only listeners fill: twice the bandwidth that they need.
fn sizes(listeners: impl IntoIterator<Item = u32>) -> Vec<Size> {
    let size = |listeners| Size {
        listeners,
        bps: u64::from(listeners) * MP3_BPS * 2,
    };
    listeners.into_iter().map(size).collect()
}

fn unequal() -> Scenario {
    Scenario {
        title: "B: 500, 1,000, 2,000, 4,000 and 5,000",
        nodes: sizes([500, 1_000, 2_000, 4_000, 5_000]),
        before: Vec::new(),
        arrivals: 10_000,
        entrance: None,
        newcomers: Vec::new(),
        deaths: Vec::new(),
        publish_every_s: 1.0,
        gossip_s: 1.0,
        lost: 0.0,
        vanished: 0.0,
        stay_s: None,
        mounts: vec![(MP3_BPS, 100)],
        goal: CLOSE,
    }
}

/// All of them: A to H, and what real crowds add.
pub(crate) fn all() -> Vec<Scenario> {
    let mut scenarios = classic();
    scenarios.extend(lifelike());
    scenarios
}

/// Ten thousand listeners come in ten seconds and stay.
fn classic() -> Vec<Scenario> {
    vec![
        Scenario {
            title: "A: 5 equal nodes",
            nodes: sizes([2_500; 5]),
            ..unequal()
        },
        unequal(),
        Scenario {
            title: "C: an empty node joins, the others at 60 %",
            nodes: sizes([2_500; 5]),
            before: vec![1_500; 4],
            arrivals: 4_000,
            newcomers: vec![(4, 0.0)],
            goal: Goal {
                peak: Peak::Absolute(0.82),
                ..CLOSE_PEAK
            },
            ..unequal()
        },
        Scenario {
            title: "D: as B, all enter at the smallest node",
            entrance: Some(0),
            ..unequal()
        },
        Scenario {
            title: "E: as B, gossip at half the pace",
            publish_every_s: 2.0,
            gossip_s: 2.0,
            ..unequal()
        },
        Scenario {
            title: "F: 20 nodes of 300 to 950",
            nodes: sizes((0..20).map(|index| 300 + 650 * index / 19)),
            // Twenty take turns, each by itself, and round to whole listeners: at a fifth of the crowd two are 4 % of
            // the smallest node. Turns by size alone come to 1.06.
            goal: Goal {
                unevenness: Some(1.10),
                ..CLOSE
            },
            ..unequal()
        },
        Scenario {
            title: "G: as B, a tenth of the gossip lost",
            lost: 0.1,
            ..unequal()
        },
        Scenario {
            title: "H: as B, gossip four times as often",
            publish_every_s: 0.25,
            gossip_s: 0.25,
            ..unequal()
        },
    ]
}

/// The additions that make a crowd lifelike.
fn lifelike() -> Vec<Scenario> {
    vec![
        Scenario {
            title: "I: as B, a tenth of the redirected never comes",
            vanished: 0.1,
            goal: CLOSE_PEAK,
            ..unequal()
        },
        Scenario {
            title: "J: as B, half full before, all leave after 20 s on average",
            before: vec![250, 500, 1_000, 2_000, 2_500],
            stay_s: Some(20.0),
            goal: CLOSE_PEAK,
            ..unequal()
        },
        Scenario {
            title: "K: mounts of 64 and 320 kbit/s, bandwidth is what fills most nodes",
            nodes: bandwidth_first(),
            mounts: vec![(64_000, 60), (320_000, 40)],
            goal: CLOSE_PEAK,
            ..unequal()
        },
        Scenario {
            title: "L: 10 nodes, two join and one dies meanwhile, a tenth of the gossip lost",
            nodes: sizes([
                2_000, 1_500, 1_000, 500, 2_000, 1_000, 1_500, 2_000, 1_000, 1_500,
            ]),
            newcomers: vec![(8, 1.0), (9, 2.5)],
            deaths: vec![(2, 4.0)],
            lost: 0.1,
            goal: CLOSE_PEAK,
            ..unequal()
        },
        Scenario {
            title: "M: as B, 12,400 for 12,500 places",
            arrivals: 12_400,
            goal: CLOSE_PEAK,
            ..unequal()
        },
        Scenario {
            title: "N: 60 nodes of 100 to 316, more than a bulletin has counters for",
            nodes: sizes((0..60).map(|index| 100 + 216 * index / 59)),
            // Half of the counters are heard late or not at all: the limit of one gossip value.
            goal: Goal {
                peak: Peak::AboveIdeal(0.12),
                unevenness: None,
                unevenness_at_end: 1.15,
            },
            ..unequal()
        },
    ]
}

/// Four nodes that run out of bandwidth first and one that runs out of places, 12,500 listeners of the mixture in all.
fn bandwidth_first() -> Vec<Size> {
    /// The mean bitrate of a listener: 60 at 64 and 40 at 320 kbit/s.
    const MIXED_BPS: u64 = 166_400;
    let narrow = |listeners: u32| Size {
        listeners: listeners * 3,
        bps: u64::from(listeners) * MIXED_BPS,
    };
    let mut nodes: Vec<Size> = [500, 1_000, 2_000, 4_000].into_iter().map(narrow).collect();
    nodes.push(Size {
        listeners: 5_000,
        bps: 15_000 * MIXED_BPS,
    });
    nodes
}
