//! What can go wrong in a world, and what each of it excuses.

use std::time::Duration;

/// Whom a fault hits; decided when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Who holds the seat then.
    Master,
    /// Any running node that does not hold it.
    NotMaster,
    /// This one.
    Node(usize),
}

/// One thing that happens to a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// kill -9; a write that was under way may or may not be on disk.
    Crash(Who),
    /// All that are down start again, with their disks.
    Restart,
    /// SIGSTOP.
    Pause(Who),
    /// SIGCONT for all that are stopped.
    Resume,
    /// This many random nodes are cut from the others, both ways.
    Split(usize),
    /// Nobody hears this node any more; it hears the others.
    Mute(Who),
    /// This node hears nobody any more; the others hear it.
    Deafen(Who),
    /// The master and one other node do not hear each other.
    Bridge,
    /// All cuts end.
    Heal,
    /// From now on this share of messages is lost.
    Loss(f64),
    /// A planned leave.
    Resign(Who),
    /// Who had resigned stands again.
    Unresign,
    /// This node's disk refuses writes from now on.
    BreakDisk(Who),
    /// All disks work again.
    FixDisks,
}

impl Fault {
    /// Whether a master that was agreed on must still be the master afterwards.
    pub fn spares_master(self) -> bool {
        matches!(
            self,
            Self::Restart
                | Self::Loss(_)
                | Self::Bridge
                | Self::Unresign
                | Self::BreakDisk(_)
                | Self::FixDisks
                | Self::Crash(Who::NotMaster)
                | Self::Pause(Who::NotMaster)
        )
    }

    /// For how long two claims may stand in one component because of it (`g` is the gossip
    /// interval): news of one must reach the other's holder.
    pub fn excused_dual(self, g: Duration, max_delay: Duration) -> Duration {
        match self {
            Self::Heal | Self::Resume | Self::Resign(_) | Self::Split(_) => g * 4 + max_delay * 2,
            Self::Mute(_) | Self::Deafen(_) | Self::Pause(_) | Self::Crash(_) => {
                g * 4 + max_delay * 2
            }
            _ => Duration::ZERO,
        }
    }
}
