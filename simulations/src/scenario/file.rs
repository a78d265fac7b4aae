//! The form of a scenario's file, and what is checked about it beyond its form.

use std::collections::BTreeMap;
use std::ops::Range;

use antiphon::model::mount::Takeover;
use antiphon::model::quorum::Quorum;
use anyhow::bail;
use serde::Deserialize;
use toml::Spanned;

use crate::faults::Who;

/// How long nobody may move in the end so that all tables can be proven, and the second before, seconds.
const PLAYERS_QUIET_S: f64 = 14.0;

/// The purpose of a scenario's worlds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Whatever happens, no rule is broken; in the end all is well again.
    #[default]
    Safety,
    /// In the end a core is well and the rest stays broken: the core must get on with its work.
    Liveness,
}

/// A number, or any between two, by the dice.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Amount {
    Exactly(f64),
    Between([f64; 2]),
}

/// A story.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) summary: String,
    pub(super) share: u64,
    #[serde(default)]
    pub(super) mode: Mode,
    pub(super) core: Option<usize>,
    pub(super) nodes: Amount,
    pub(super) newer: Option<Spanned<usize>>,
    /// One of these, by the dice.
    pub(super) loss: Option<Spanned<Vec<f64>>>,
    #[serde(default)]
    pub(super) quorum: Quorum,
    /// How many outside servers there are, each a seat; judged where all is well in the end.
    #[serde(default)]
    pub(super) outside: usize,
    /// Judged where all is well in the end.
    pub(super) transcoders: Option<Spanned<Transcoders>>,
    #[serde(default)]
    pub(super) drift_percent: f64,
    #[serde(default)]
    pub(super) edits_per_minute: f64,
    /// How long the world goes on after the last step.
    pub(super) quiet_s: Option<f64>,
    pub(super) streams: Option<Streams>,
    pub(super) players: Option<Spanned<Players>>,
    #[serde(default)]
    pub(super) bounds: Bounds,
    #[serde(default, rename = "step")]
    pub(super) steps: Vec<Spanned<Step>>,
    pub(super) chaos: Option<Chaos>,
}

/// The streams of a scenario.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Streams {
    pub(super) mounts: usize,
    pub(super) encoders: usize,
    pub(super) listeners: f64,
    pub(super) takeover: Takeover,
    pub(super) standby: bool,
    pub(super) linger_s: u32,
    /// Whether the first mount falls back to the second.
    pub(super) falls_back: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            mounts: 1,
            encoders: 1,
            listeners: 0.6,
            takeover: Takeover::Refuse,
            standby: false,
            linger_s: 10,
            falls_back: false,
        }
    }
}

/// The transcoders of a scenario, each a seat.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transcoders {
    /// How many.
    pub(super) seats: usize,
    /// How many nodes have tools for them, at most all.
    pub(super) capable: Amount,
    /// The least and the most that such a node runs at once.
    pub(super) room: [u32; 2],
}

/// The players that are placed by the table.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Players {
    /// How many come in a second.
    pub(super) per_s: f64,
    /// How long they stay, on average.
    pub(super) stay_s: f64,
    /// The least and the most that a node takes.
    pub(super) room: [u32; 2],
}

/// The bounds of the checkers, where they are not the usual ones.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bounds {
    pub(super) stall_ms: Option<u64>,
    pub(super) loops_ms: Option<u64>,
    pub(super) rivals_ms: Option<u64>,
    pub(super) off_air_ms: Option<u64>,
    pub(super) holes: Option<u32>,
    pub(super) document_ms: Option<u64>,
    pub(super) rungs_ms: Option<u64>,
}

/// The kinds of faults that a scenario can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Crash,
    Restart,
    RestartLost,
    RestartStale,
    Pause,
    Resume,
    Split,
    Isolate,
    Mute,
    Deafen,
    Bridge,
    Flap,
    Heal,
    Loss,
    Bursts,
    Delay,
    Duplicates,
    Resign,
    Unresign,
    Drain,
    BreakDisk,
    FixDisks,
    Forget,
    Jump,
    FixClocks,
    Slow,
    Hasten,
    Unplug,
    LoseTools,
    MendTools,
}

/// The target of a fault: a role, or the number of a node.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Target {
    Role(Role),
    Number(usize),
}

/// A role in a world.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    Master,
    NotMaster,
    Ingest,
    Relay,
    Anyone,
}

impl From<Target> for Who {
    fn from(target: Target) -> Self {
        match target {
            Target::Number(number) => Self::Node(number),
            Target::Role(Role::Master) => Self::Master,
            Target::Role(Role::NotMaster) => Self::NotMaster,
            Target::Role(Role::Ingest) => Self::Ingest,
            Target::Role(Role::Relay) => Self::Relay,
            Target::Role(Role::Anyone) => Self::Anyone,
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// After the world has settled, seconds.
    pub(super) at_s: Amount,
    pub(super) fault: Kind,
    /// Of those that hit a node.
    pub(super) who: Option<Target>,
    /// Of `split`: how many are cut from the others.
    pub(super) nodes: Option<Amount>,
    /// Of `loss` and `duplicates`.
    pub(super) share: Option<Amount>,
    /// Of `flap`, `slow`; of `bursts` the good and the bad spells, of `delay` the least and the most.
    pub(super) ms: Option<Amount>,
    /// Of `jump`.
    pub(super) by_s: Option<Amount>,
}

/// Anything, at any time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chaos {
    /// How many things happen.
    pub(super) steps: [usize; 2],
    /// The most seconds between two of them, and, for one in five, the most seconds of a long wait.
    pub(super) gaps_s: [f64; 2],
    /// The faults, and how often each happens in proportion.
    pub(super) faults: BTreeMap<Kind, u32>,
}

impl File {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let file: Self = toml::from_str(text)?;
        let at = |span: Range<usize>| place(text, span.start);
        if let Some(loss) = file.loss.as_ref().filter(|loss| loss.get_ref().is_empty()) {
            bail!("{}: loss: at least one share is needed", at(loss.span()));
        }
        if let Some(newer) = &file.newer
            && *newer.get_ref() as f64 > file.nodes.least()
        {
            bail!("{}: newer: more than there are nodes", at(newer.span()));
        }
        if file
            .streams
            .is_some_and(|it| it.falls_back && it.mounts < 2)
        {
            bail!("streams: falls_back: there is no second mount");
        }
        if let Some(players) = &file.players {
            let too_short = file.quiet_s.unwrap_or_default() < PLAYERS_QUIET_S;
            let what = match (file.streams, players.get_ref()) {
                (None, _) => "nobody streams to them",
                _ if too_short => "quiet_s must be 14 at least, or no table can be proven",
                (_, it) if it.per_s <= 0.0 || it.stay_s <= 0.0 => {
                    "per_s and stay_s must be more than 0"
                }
                (_, it) if it.room[0] == 0 || it.room[0] > it.room[1] => {
                    "room must be two numbers, the lesser first"
                }
                _ => "",
            };
            if !what.is_empty() {
                bail!("{}: players: {what}", at(players.span()));
            }
        }
        if let Some(transcoders) = &file.transcoders {
            let [least, most] = transcoders.get_ref().room;
            if least > most {
                let place = at(transcoders.span());
                bail!("{place}: transcoders: room must be two numbers, the lesser first");
            }
        }
        for step in &file.steps {
            if let Err(what) = step.get_ref().check() {
                bail!("{}: {what}", at(step.span()));
            }
        }
        if (file.mode == Mode::Liveness) != file.core.is_some() {
            let start = text.find("mode").or(text.find("core")).unwrap_or_default();
            bail!(
                "{}: core: needed when mode = \"liveness\", and only then",
                place(text, start)
            );
        }
        Ok(file)
    }
}

impl Step {
    /// Whether it has what its fault needs, and nothing else.
    fn check(&self) -> Result<(), String> {
        let needs = self.fault.needs();
        let has = [
            ("who", self.who.is_some()),
            ("nodes", self.nodes.is_some()),
            ("share", self.share.is_some()),
            ("ms", self.ms.is_some()),
            ("by_s", self.by_s.is_some()),
        ];
        for (name, has) in has {
            match (needs.contains(&name), has) {
                (true, false) => return Err(format!("{:?} needs `{name}`", self.fault)),
                (false, true) => return Err(format!("{:?} has no `{name}`", self.fault)),
                _ => {}
            }
        }
        let is_pair = matches!(self.ms, Some(Amount::Between(_)));
        match self.fault {
            Kind::Bursts | Kind::Delay if !is_pair => Err("`ms` must be two numbers".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Kind {
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Crash | Self::Pause | Self::Isolate | Self::Mute | Self::Deafen => &["who"],
            Self::Resign | Self::Drain | Self::BreakDisk | Self::LoseTools => &["who"],
            Self::Flap | Self::Slow => &["who", "ms"],
            Self::Jump => &["who", "by_s"],
            Self::Split => &["nodes"],
            Self::Loss | Self::Duplicates => &["share"],
            Self::Bursts | Self::Delay => &["ms"],
            _ => &[],
        }
    }
}

impl Amount {
    /// The least that it can be.
    pub(super) fn least(self) -> f64 {
        match self {
            Self::Exactly(amount) => amount,
            Self::Between([least, most]) => least.min(most),
        }
    }
}

/// A place in a text, as people count.
fn place(text: &str, offset: usize) -> String {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
    format!("line {line}, column {column}")
}
