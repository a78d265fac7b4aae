//! A machine of a world: its disk, and the process that may run on it.

use std::time::{Duration, Instant};

use antiphon::logic::election::{ElectionConfig, Health, Quorum, Start};
use antiphon::model::node::NodeName;
use antiphon::model::seat::{Epoch, Rank};

use crate::checkers::START_INTERVALS;
use crate::gossip::Gossip;
use crate::node::Node;
use crate::world::Happening;

/// The gossip interval of every world: the profile of up to 32 nodes.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// How many packets a stopped process finds waiting, as in its sockets' buffers; later ones are lost.
const MAX_STASHED: usize = 64;

/// Whether a machine's process runs.
#[derive(Debug)]
pub enum State {
    /// There is none.
    Down,
    /// It does.
    Running(Process),
    /// It is stopped, since then; these events wait for it.
    Paused(Process, Duration, Vec<Happening>),
}

/// One life of a node.
#[derive(Debug)]
pub struct Process {
    /// What it decides.
    pub node: Node,
    /// Its gossip.
    pub gossip: Gossip,
    /// The view of its peers that it was last told.
    pub told: Vec<Option<Health>>,
    /// When it wants to be woken.
    pub wake_at: Option<Duration>,
    /// When it went on after a pause that was long enough to notice.
    pub resumed_at: Option<Duration>,
    /// The write that its disk is busy with.
    pub writing: Option<Epoch>,
    /// When it started.
    pub started_at: Duration,
}

/// One machine.
#[derive(Debug)]
pub struct Host {
    /// Its node's name.
    pub name: NodeName,
    /// Its node's rank.
    pub rank: Rank,
    /// How often its node has started; messages to an earlier life are lost.
    pub life: u32,
    /// What is on its disk.
    pub on_disk: Epoch,
    /// Whether the disk refuses writes.
    pub disk_is_broken: bool,
    /// Whether its operator asked it to step down.
    pub has_resigned: bool,
    /// What runs on it.
    pub state: State,
}

impl Host {
    /// A machine with an empty disk.
    pub fn new(number: usize, rank: Rank) -> Self {
        Self {
            name: NodeName::try_from(format!("n{number}")).expect("a letter and digits"),
            rank,
            life: 0,
            on_disk: Epoch(0),
            disk_is_broken: false,
            has_resigned: false,
            state: State::Down,
        }
    }

    /// Starts its process, as the one of `(number, of)`.
    pub fn start(
        &mut self,
        (number, of): (usize, usize),
        quorum: Quorum,
        times: (Duration, Instant),
    ) {
        let first_of_all = number == 0 && self.life == 0;
        self.life += 1;
        self.has_resigned = false;
        let config = ElectionConfig {
            node: self.name.clone(),
            rank: self.rank,
            gossip_interval: INTERVAL,
            quorum,
            start: if first_of_all {
                Start::Founding
            } else {
                Start::Joining
            },
        };
        self.state = State::Running(Process {
            node: Node::new(config, self.on_disk, times.1),
            gossip: Gossip::new(number, self.life, of, INTERVAL),
            told: vec![None; of],
            wake_at: None,
            resumed_at: None,
            writing: None,
            started_at: times.0,
        });
    }

    /// Its process, if it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        match &mut self.state {
            State::Running(process) => Some(process),
            _ => None,
        }
    }

    /// Its process, to look at.
    pub fn running(&self) -> Option<&Process> {
        match &self.state {
            State::Running(process) => Some(process),
            _ => None,
        }
    }

    /// Keeps an event for when a stopped process goes on; gives it back if there is none.
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

    /// Whether it may still be looking for its peers.
    pub fn is_young(&self, now: Duration) -> bool {
        let process = self.running();
        process.is_some_and(|process| now < process.started_at + INTERVAL * START_INTERVALS)
    }
}
