//! The time and memory that a child uses, as the kernel counts them.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::Pid;

/// The places of a process's times and memory in its `stat`, counted from its state (proc_pid_stat(5)).
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const RESIDENT_PAGES: usize = 21;

/// The time and memory that a child uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildUsage {
    /// The time of processors that it has used since it began.
    pub cpu: Duration,
    /// The memory that it holds now.
    pub resident_bytes: u64,
}

impl ChildUsage {
    /// Looks at a process that has not been reaped; `None` where the system does not say.
    pub(super) fn of(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        Self::read(
            &String::from_utf8_lossy(&stat),
            clock_ticks_per_second(),
            page_size() as u64,
        )
    }

    fn read(stat: &str, ticks_per_s: u64, page_bytes: u64) -> Option<Self> {
        // The name in front may have blanks and parentheses in it.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let ticks = number(USER_TICKS)?.saturating_add(number(SYSTEM_TICKS)?);
        let ms = ticks.saturating_mul(1_000).checked_div(ticks_per_s)?;
        Some(Self {
            cpu: Duration::from_millis(ms),
            resident_bytes: number(RESIDENT_PAGES)?.saturating_mul(page_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_process_is_read() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 7 8 20 0 1 0 99 12345 300 18446744073709551615";
        let usage = ChildUsage::read(stat, 100, 4_096).unwrap();
        assert_eq!(usage.cpu, Duration::from_millis(1_750));
        assert_eq!(usage.resident_bytes, 300 * 4_096);
        for nonsense in ["", "42 (a) S 1", "42 a S 1 2 3", ")"] {
            assert_eq!(ChildUsage::read(nonsense, 100, 4_096), None, "{nonsense}");
        }
        assert_eq!(ChildUsage::read(stat, 0, 4_096), None);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = ChildUsage::of(rustix::process::getpid()).unwrap();
        assert!(usage.resident_bytes > 1_000_000, "{usage:?}");
    }
}
