//! The vitals of a process: memory, descriptors and threads, as the kernel counts them.

use std::fmt;
use std::fs;

/// The vitals of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Resident memory, KiB.
    pub(crate) rss_kib: u64,
    /// Open descriptors.
    pub(crate) descriptors: u64,
    /// Threads.
    pub(crate) threads: u64,
}

impl Vitals {
    /// The vitals of a running process.
    pub(crate) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let number = |key: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        Self {
            rss_kib: number("VmRSS:"),
            descriptors: descriptors as u64,
            threads: number("Threads:"),
        }
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rss_mib = self.rss_kib as f64 / 1024.0;
        let (descriptors, threads) = (self.descriptors, self.threads);
        write!(
            f,
            "{rss_mib:.1} MiB, {descriptors} descriptors, {threads} threads"
        )
    }
}
