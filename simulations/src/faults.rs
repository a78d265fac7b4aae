//! The faults that can strike a world, and the failures that each of them excuses.

use std::time::Duration;

/// The target of a fault; decided when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The node that holds the seat then.
    Master,
    /// Any running node that does not hold it.
    NotMaster,
    /// A node with a source on air; the master only if there is no other.
    Ingest,
    /// A running node without a source that does not hold the seat.
    Relay,
    /// Any running node.
    Anyone,
    /// The node of this number.
    Node(usize),
}

/// The state of a machine's disk when it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFate {
    /// The files that it wrote.
    Same,
    /// Nothing.
    Lost,
    /// The files that it wrote some time ago: a backup.
    Stale,
}

/// One thing that happens to a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// kill -9; a write that was under way may or may not be on disk.
    Crash(Who),
    /// All that are down start again.
    Restart(DiskFate),
    /// SIGSTOP.
    Pause(Who),
    /// SIGCONT for all that are stopped.
    Resume,
    /// So many random nodes are cut from the others, both ways.
    Split(usize),
    /// The node is cut from all others, both ways.
    Isolate(Who),
    /// No node hears this one any more; it hears the others.
    Mute(Who),
    /// The node hears no other any more; the others hear it.
    Deafen(Who),
    /// The master and one other node do not hear each other.
    Bridge,
    /// The node's cable is pulled and plugged in again, each after such a time, until all cuts end.
    Flap(Who, Duration),
    /// The next pull or plug of that node's cable.
    Flip(usize, Duration),
    /// All cuts end.
    Heal,
    /// From now on this share of messages is lost.
    Loss(f64),
    /// From now on messages are lost in bursts: good and bad spells of these mean lengths.
    Bursts(Duration, Duration),
    /// From now on a message takes a time between these.
    Delay(Duration, Duration),
    /// From now on this share of messages comes twice.
    Duplicates(f64),
    /// A planned leave.
    Resign(Who),
    /// A node that had resigned stands again, and one that drained is back in service.
    Unresign,
    /// A node is taken out of service.
    Drain(Who),
    /// The node's disk refuses writes from now on.
    BreakDisk(Who),
    /// All disks work again.
    FixDisks,
    /// A node finds out whether its disk works. `NotMaster`: no master has a reason to give way.
    NoticeDisk(Who),
    /// At one node an operator forgets all nodes that are dead there.
    Forget,
    /// The node's wall clock jumps by so many milliseconds.
    Jump(Who, i64),
    /// All wall clocks are set right.
    FixClocks,
    /// The node does everything up to so much later.
    Slow(Who, Duration),
    /// No node is slow any more.
    Hasten,
    /// An encoder loses its connection, though its node lives.
    Unplug,
    /// The node can transcode no more, and knows it.
    LoseTools(Who),
    /// All nodes that run and could once transcode can again.
    MendTools,
    /// So many random nodes and all between them work again; the rest stays as it is.
    HealCore(usize),
}

impl Fault {
    /// Whether a master that was agreed on must still be the master afterwards.
    pub fn spares_master(self) -> bool {
        matches!(
            self,
            Self::Restart(_)
                | Self::Loss(_)
                | Self::Duplicates(_)
                | Self::Bridge
                | Self::Unresign
                | Self::BreakDisk(_)
                | Self::FixDisks
                | Self::NoticeDisk(Who::NotMaster)
                | Self::Forget
                | Self::Jump(..)
                | Self::FixClocks
                | Self::Hasten
                | Self::Unplug
                | Self::LoseTools(_)
                | Self::MendTools
                | Self::Crash(Who::NotMaster | Who::Relay)
                | Self::Pause(Who::NotMaster | Who::Relay)
                | Self::Slow(Who::NotMaster | Who::Relay, _)
                | Self::Drain(Who::NotMaster | Who::Relay)
        )
    }

    /// For how long two claims may stand in one component because of it (`g` is the gossip
    /// interval): news of one must reach the other's holder.
    pub fn excused_dual(self, g: Duration, max_delay: Duration) -> Duration {
        match self {
            Self::NoticeDisk(Who::NotMaster) => Duration::ZERO,
            Self::Heal | Self::Resume | Self::Resign(_) | Self::Split(_) | Self::NoticeDisk(_) => {
                g * 4 + max_delay * 2
            }
            Self::Mute(_) | Self::Deafen(_) | Self::Pause(_) | Self::Crash(_) => {
                g * 4 + max_delay * 2
            }
            Self::Isolate(_) | Self::Flap(..) | Self::Flip(..) | Self::Drain(_) => {
                g * 4 + max_delay * 2
            }
            Self::Bursts(..) | Self::Slow(..) | Self::Delay(..) => g * 4 + max_delay * 2,
            _ => Duration::ZERO,
        }
    }
}
