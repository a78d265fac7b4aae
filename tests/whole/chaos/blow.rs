//! The ways to strike, and the harm that one blow has done to those it did not hit.

use std::fmt;
use std::time::Duration;

use super::ms;
use crate::support::crowd::Notes;

/// A way to strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The master, which is not the ingest node, is killed.
    Master,
    /// A node that is neither master nor ingest is killed.
    Relay,
    /// The node of both encoders is killed.
    Ingest,
    /// Two nodes are killed at once.
    MasterAndRelay,
    /// A node is asked to stop, and started again.
    Restart,
    /// The master is stopped for a while and goes on.
    Freeze,
    /// The network between two sides of the mesh is cut for half a minute, and heals.
    Partition,
}

impl Kind {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 7] = [
        Self::Master,
        Self::Relay,
        Self::Ingest,
        Self::MasterAndRelay,
        Self::Restart,
        Self::Freeze,
        Self::Partition,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "kill -9 master (not ingest)",
            Self::Relay => "kill -9 relay",
            Self::Ingest => "kill -9 ingest",
            Self::MasterAndRelay => "kill -9 master and a relay at once",
            Self::Restart => "SIGTERM any, one after another",
            Self::Freeze => "SIGSTOP master 15 s",
            Self::Partition => "partition 30 s, heal",
        })
    }
}

/// The harm that a blow has done. Listeners of the nodes that it hit do not count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Harm {
    /// How often the known source was disconnected.
    pub(crate) known_dropped: u32,
    /// How often ffmpeg was.
    pub(crate) melody_dropped: u32,
    /// Listeners whose stream was ended.
    pub(crate) closed_elsewhere: u32,
    /// The loss of the listener that lost most.
    pub(crate) lost_bytes: u64,
    /// The bytes heard twice by the listener that heard most twice.
    pub(crate) doubled_bytes: u64,
    /// Bytes of no frame, at all listeners.
    pub(crate) foreign_bytes: u64,
    /// How much longer than in calm times a byte was under way: the longest of each listener.
    pub(crate) stalls: Vec<Duration>,
    /// When all survivors knew a new master, if the old one was hit.
    pub(crate) new_master: Option<Duration>,
    /// How many claims to the seat there were.
    pub(crate) claims: u64,
    /// How long the known source was without a node.
    pub(crate) outage: Duration,
}

impl Harm {
    /// Adds what one listener has noticed in calm times and since.
    pub(crate) fn add(&mut self, calm: &Notes, after: &Notes) {
        self.closed_elsewhere += after.closed;
        self.lost_bytes = self.lost_bytes.max(after.flaws.lost_bytes);
        self.doubled_bytes = self.doubled_bytes.max(after.flaws.doubled_bytes);
        self.foreign_bytes += after.flaws.foreign_bytes;
        self.stalls.push(after.delay().saturating_sub(calm.delay()));
    }

    /// How often the source that suffered more was disconnected.
    pub(crate) fn source_dropped(&self) -> u32 {
        self.known_dropped.max(self.melody_dropped)
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stall = self.stalls.iter().max().copied().unwrap_or_default();
        write!(
            f,
            "sources {} closed {} lost {} doubled {} foreign {} stall {}",
            self.source_dropped(),
            self.closed_elsewhere,
            self.lost_bytes,
            self.doubled_bytes,
            self.foreign_bytes,
            ms(stall)
        )?;
        if !self.outage.is_zero() {
            write!(f, " encoder away {}", ms(self.outage))?;
        }
        match self.new_master {
            Some(time) => write!(f, " new master {} ({} claims)", ms(time), self.claims),
            None => Ok(()),
        }
    }
}
