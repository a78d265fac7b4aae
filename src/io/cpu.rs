//! How busy the processors of this machine are.

use std::fs;

/// The file in which Linux counts the work of its processors since the start.
const COUNTERS: &str = "/proc/stat";

/// Measures the time between one call and the next.
#[derive(Debug, Default)]
pub struct CpuMeter {
    last: Option<Ticks>,
}

/// Time of all processors since the machine started, in the system's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl CpuMeter {
    /// The share of all processors that was in use since the last question, per mille; `None` at the first one, and
    /// where the system does not say.
    pub fn sample(&mut self) -> Option<u16> {
        let now = fs::read_to_string(COUNTERS)
            .ok()
            .and_then(|text| read(&text));
        let before = std::mem::replace(&mut self.last, now)?;
        share(before, now?)
    }
}

fn share(before: Ticks, now: Ticks) -> Option<u16> {
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let busy = now.busy.saturating_sub(before.busy).min(all);
    u16::try_from(busy * 1_000 / all).ok()
}

/// Reads the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in the
/// first two already (proc_stat(5)).
fn read(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let all = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    Some(Ticks {
        busy: all - idle,
        all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_all_processors_is_read() {
        let text = "cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 2 3 4\nintr 1\n";
        let ticks = read(text).unwrap();
        assert_eq!((ticks.busy, ticks.all), (150, 1_000));
        assert_eq!(read("cpu0 1 2 3 4"), None);
        assert_eq!(read("cpu  a b"), None);
    }

    #[test]
    fn a_share_is_what_was_used_in_between() {
        let ticks = |busy, all| Ticks { busy, all };
        assert_eq!(share(ticks(100, 1_000), ticks(150, 1_200)), Some(250));
        assert_eq!(
            share(ticks(100, 1_000), ticks(100, 1_000)),
            None,
            "no time has passed"
        );
        assert_eq!(
            share(ticks(100, 1_000), ticks(50, 900)),
            None,
            "another machine"
        );
    }

    #[test]
    fn this_machine_says_it() {
        let mut meter = CpuMeter::default();
        assert_eq!(meter.sample(), None);
        assert!(meter.last.is_some());
    }
}
