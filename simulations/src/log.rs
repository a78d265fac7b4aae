//! The log of a world: a hash for comparison, and lines for people.

use std::fmt;
use std::time::Duration;

/// Whether to print what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Only hash it.
    Silent,
    /// Print each line too.
    Printed,
}

/// The log of one world.
#[derive(Debug)]
pub struct Log {
    hash: u64,
    trace: Trace,
}

impl Log {
    /// An empty log.
    pub fn new(trace: Trace) -> Self {
        // The offset basis of FNV-1a, which is stable over platforms and versions, as a seed needs.
        let hash = 0xcbf2_9ce4_8422_2325;
        Self { hash, trace }
    }

    /// Something happened that is only counted.
    pub fn count(&mut self, now: Duration, node: usize) {
        self.add(&now.as_nanos().to_le_bytes());
        self.add(&node.to_le_bytes());
    }

    /// Something worth a line.
    pub fn tell(&mut self, now: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:10.4} {what}", now.as_secs_f64());
        self.add(line.as_bytes());
        if self.trace == Trace::Printed {
            println!("{line}");
        }
    }

    /// The hash of all of it.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
