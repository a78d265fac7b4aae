//! A machine of a world: its disk, its clocks, and the process that may run on it.

use std::collections::VecDeque;
use std::time::Duration;

use antiphon::logic::document::saved::Saved;
use antiphon::logic::election::Start;
use antiphon::model::mount::MountName;
use antiphon::model::node::NodeName;
use antiphon::model::quorum::Quorum;
use antiphon::model::seat::{Epoch, Rank};
use antiphon::model::status::NodeState;
use antiphon::proto::seats::{self, SeatsConfig};

use crate::checkers::election::START_INTERVALS;
use crate::clock::Clock;
use crate::gossip::Gossip;
use crate::happening::Happening;
use crate::node::{Moment, Node, NodeConfig};
use crate::tools::Tools;

/// How many packets a stopped process finds waiting, as in its sockets' buffers; later ones are lost.
const MAX_STASHED: usize = 64;
/// How many earlier states of a disk may come back from a backup.
const BACKUPS: usize = 12;

/// Whether a machine's process runs.
#[derive(Debug)]
pub enum State {
    /// No process runs.
    Down,
    /// The process runs.
    Running(Box<Process>),
    /// The process is stopped, since then; these events wait for it.
    Paused(Box<Process>, Duration, Vec<Happening>),
}

/// One life of a node.
#[derive(Debug)]
pub struct Process {
    /// The decisions of the process.
    pub node: Node,
    /// The gossip of the node.
    pub gossip: Gossip,
    /// The view of its peers that it was last told.
    pub told: Vec<Option<NodeState>>,
    /// When it wants to be woken.
    pub wake_at: Option<Duration>,
    /// When it went on after a pause that was long enough to notice.
    pub resumed_at: Option<Duration>,
    /// The write that its disk is busy with.
    pub writing: Option<Epoch>,
    /// Whether its disk works, as far as it knows.
    pub disk: seats::Disk,
    /// The document that its disk is busy with.
    pub saving: Option<Box<Saved>>,
    /// When it started.
    pub started_at: Duration,
}

/// The memory that a machine keeps when it is switched off.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The greatest epoch.
    pub epoch: Epoch,
    /// The document.
    pub document: Option<Saved>,
}

/// A machine's disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// The contents of the disk.
    pub memory: Memory,
    backups: VecDeque<Memory>,
    /// Whether it refuses writes.
    pub is_broken: bool,
}

impl Disk {
    /// Writes an epoch.
    pub fn write_epoch(&mut self, epoch: Epoch) {
        self.back_up();
        self.memory.epoch = self.memory.epoch.max(epoch);
    }

    /// Writes the document.
    pub fn write_document(&mut self, document: Saved) {
        self.back_up();
        self.memory.document = Some(document);
    }

    fn back_up(&mut self) {
        if self.backups.len() == BACKUPS {
            self.backups.pop_front();
        }
        self.backups.push_back(self.memory.clone());
    }

    /// Everything on it is lost.
    pub fn lose(&mut self) {
        self.memory = Memory::default();
    }

    /// Brings back the contents of some time ago.
    pub fn go_back(&mut self) {
        if let Some(backup) = self.backups.front() {
            self.memory = backup.clone();
        }
    }
}

/// One machine.
#[derive(Debug)]
pub struct Host {
    /// The name of the node.
    pub name: NodeName,
    /// The rank of the node.
    pub rank: Rank,
    /// How often its node has started; messages to an earlier life are lost.
    pub life: u32,
    /// The disk of the machine.
    pub disk: Disk,
    /// The clocks of the machine.
    pub clock: Clock,
    /// Whether its operator asked it to step down.
    pub has_resigned: bool,
    /// How late it may be with everything that it does.
    pub slow_by: Duration,
    /// Whether it runs a newer version, which says more than the others understand.
    pub is_newer: bool,
    /// The mounts that have listeners at its node.
    pub audience: Vec<MountName>,
    /// How many listeners its node takes, if players come to its world.
    pub max_listeners: Option<u32>,
    /// The tools of the machine for transcoding.
    pub tools: Tools,
    /// The state of the process on it.
    pub state: State,
}

/// The parts of its world that a machine needs to start a node.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// The number of the machine.
    pub number: usize,
    /// How many machines there are.
    pub of: usize,
    /// The guard of every election.
    pub quorum: Quorum,
    /// The gossip interval.
    pub interval: Duration,
    /// The dice of the node.
    pub dice: u64,
}

impl Host {
    /// A machine with an empty disk.
    pub fn new(number: usize, rank: Rank, clock: Clock) -> Self {
        Self {
            name: NodeName::try_from(format!("n{number}")).expect("a letter and digits"),
            rank,
            life: 0,
            disk: Disk::default(),
            clock,
            has_resigned: false,
            slow_by: Duration::ZERO,
            is_newer: false,
            audience: Vec::new(),
            max_listeners: None,
            tools: Tools::Missing,
            state: State::Down,
        }
    }

    /// The time on its clocks.
    pub fn moment(&self, now: Duration) -> Moment {
        Moment {
            now: self.clock.at(now),
            wall_ms: self.clock.wall_ms(now),
        }
    }

    /// Starts its process.
    pub fn start(&mut self, start: Surroundings, now: Duration) {
        let first_of_all = start.number == 0 && self.life == 0;
        self.life += 1;
        self.has_resigned = false;
        let seats = SeatsConfig {
            node: self.name.clone(),
            rank: self.rank,
            gossip_interval: start.interval,
            quorum: start.quorum,
            start: if first_of_all {
                Start::Founding
            } else {
                Start::Joining
            },
            max_epoch: self.disk.memory.epoch,
        };
        let config = NodeConfig {
            seats,
            number: start.number,
            life: self.life,
            document: self.disk.memory.document.clone(),
            audience: self.audience.clone(),
            max_listeners: self.max_listeners,
            dice: start.dice,
        };
        self.state = State::Running(Box::new(Process {
            node: Node::new(config, self.moment(now)),
            gossip: Gossip::new(start.number, self.life, start.of, start.interval),
            told: vec![None; start.of],
            wake_at: None,
            resumed_at: None,
            writing: None,
            disk: seats::Disk::Works,
            saving: None,
            started_at: now,
        }));
    }

    /// The process, if it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        match &mut self.state {
            State::Running(process) => Some(process),
            _ => None,
        }
    }

    /// The process, to look at.
    pub fn running(&self) -> Option<&Process> {
        match &self.state {
            State::Running(process) => Some(process),
            _ => None,
        }
    }

    /// Keeps an event until a stopped process continues; returns it if there is none.
    pub fn stash(&mut self, happening: Happening) -> Option<Happening> {
        match &mut self.state {
            State::Paused(_, _, stashed) => {
                let is_packet = matches!(happening, Happening::Arrive(..));
                if !is_packet || stashed.len() < MAX_STASHED {
                    stashed.push(happening);
                }
                None
            }
            _ => Some(happening),
        }
    }

    /// Whether its node may be the master: it has not resigned, its disk works, and its node knows that.
    pub fn may_claim(&self) -> bool {
        let fails = |process: &Process| process.disk == seats::Disk::Fails;
        let has_disk = !self.disk.is_broken && !self.running().is_some_and(fails);
        has_disk && !self.has_resigned
    }

    /// Whether it may still be looking for its peers.
    pub fn is_young(&self, now: Duration, interval: Duration) -> bool {
        let process = self.running();
        process.is_some_and(|process| now < process.started_at + interval * START_INTERVALS)
    }
}
