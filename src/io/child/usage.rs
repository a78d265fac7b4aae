//! The time and memory that a child uses, as the kernel counts them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::Pid;

/// More than a line of `stat` has.
const MOST_BYTES: usize = 1_024;
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

/// Looks at what a process uses. A look is one call of the kernel.
#[derive(Debug)]
pub(super) struct UsageMeter {
    stat: File,
}

impl UsageMeter {
    /// Looks at a process that has not been reaped.
    pub(super) fn new(pid: Pid) -> io::Result<Self> {
        let stat = File::open(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
        Ok(Self { stat })
    }

    /// The time and memory that it uses; `None` where the system does not say, or the process is gone.
    pub(super) fn look(&self) -> Option<ChildUsage> {
        let mut stat = [0; MOST_BYTES];
        let length = self.stat.read_at(&mut stat, 0).ok()?;
        ChildUsage::read(
            &String::from_utf8_lossy(stat.get(..length)?),
            clock_ticks_per_second(),
            page_size() as u64,
        )
    }
}

impl ChildUsage {
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
        let meter = UsageMeter::new(rustix::process::getpid()).unwrap();
        let before = meter.look().unwrap();
        assert!(before.resident_bytes > 1_000_000, "{before:?}");
        let filled = vec![1_u8; 64 << 20];
        let after = meter.look().unwrap();
        assert!(after.resident_bytes > before.resident_bytes + filled.len() as u64 / 2);
    }
}
