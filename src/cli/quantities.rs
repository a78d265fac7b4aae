//! Times, rates, sizes and shares as a terminal shows them: few digits and a unit.

use std::time::Duration;

use anyhow::bail;

/// How far a clock is ahead.
pub(super) fn clock_offset(ahead_ms: i64) -> String {
    let sign = if ahead_ms < 0 { '-' } else { '+' };
    match ahead_ms.unsigned_abs() {
        ms @ 0..10_000 => format!("{sign}{:.1} s", ms as f64 / 1e3),
        ms => format!("{sign}{}", duration(ms / 1_000)),
    }
}

/// A share of a capacity; 1 is full.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A number of bits per second in its largest unit.
pub(super) fn rate(bps: u64) -> String {
    in_largest_unit(bps, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"])
}

/// A number of bytes in its largest unit.
pub(super) fn size(bytes: u64) -> String {
    in_largest_unit(bytes, ["B", "kB", "MB", "GB"])
}

/// A number in the largest of a unit and its thousands, millions and thousand millions.
fn in_largest_unit(number: u64, units: [&str; 4]) -> String {
    let [one, thousand, million, thousand_million] = units;
    let number_f = number as f64;
    match number {
        0..1_000 => format!("{number} {one}"),
        1_000..1_000_000 => format!("{:.0} {thousand}", number_f / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} {million}", number_f / 1e6),
        _ => format!("{:.2} {thousand_million}", number_f / 1e9),
    }
}

/// The two largest units of a time in seconds.
pub(super) fn duration(s: u64) -> String {
    let (min, h, days) = (s / 60, s / 3_600, s / 86_400);
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{min} min {:02} s", s % 60),
        3_600..86_400 => format!("{h} h {:02} min", min % 60),
        _ => format!("{days} d {:02} h", h % 24),
    }
}

/// Reads a time such as `90s`, `2m`, `1h` or `1d`.
pub(super) fn time(text: &str) -> anyhow::Result<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let read = units.into_iter().find_map(|(unit, seconds)| {
        let digits = text.strip_suffix(unit)?;
        // `u64` would accept a leading plus.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let count = plain.then(|| digits.parse::<u64>().ok()).flatten()?;
        count.checked_mul(seconds)
    });
    match read {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => bail!("a time is digits and a unit, such as 90s, 2m, 1h or 1d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_have_two_units_and_few_digits() {
        for (s, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (3_599, "59 min 59 s"),
            (86_399, "23 h 59 min"),
            (90_000, "1 d 01 h"),
        ] {
            assert_eq!(duration(s), text);
        }
        for (bps, text) in [
            (0, "0 bit/s"),
            (64_000, "64 kbit/s"),
            (2_500_000_000, "2.50 Gbit/s"),
        ] {
            assert_eq!(rate(bps), text);
        }
    }

    #[test]
    fn a_size_has_a_unit() {
        let shown = [0, 1_000, 2_500_000, 3_200_000_000].map(size);
        assert_eq!(shown, ["0 B", "1 kB", "2.5 MB", "3.20 GB"]);
    }

    #[test]
    fn a_time_has_a_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("2m", 120),
            ("24h", 86_400),
            ("1d", 86_400),
        ] {
            assert_eq!(time(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for bad in [
            "",
            "s",
            "90",
            "+1s",
            "-1s",
            "1.5m",
            "2 m",
            "2min",
            "99999999999999999999s",
        ] {
            let error = time(bad).unwrap_err().to_string();
            assert!(error.contains("90s, 2m"), "{bad}: {error}");
        }
    }
}
