//! Values as text. A text that a stranger may have written passes [`Foreign`]; the markup in all text is made harmless by
//! `maud`.

use std::fmt::{self, Write};

use maud::{Markup, html};

use crate::model::caption::is_unseen;

/// Text that came from outside, without invisible letters.
///
/// A control character becomes U+FFFD: it has no meaning in HTML, and some are parse errors.
pub(super) struct Foreign<'a>(pub(super) &'a str);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars().filter(|letter| !is_unseen(*letter)) {
            f.write_char(match letter.is_control() {
                true => char::REPLACEMENT_CHARACTER,
                false => letter,
            })?;
        }
        Ok(())
    }
}

/// Whether a text may stand in `href`: escaping alone would let `javascript:` through. A page that came by HTTPS
/// links to nothing else.
pub(super) fn is_web_url(url: &str, only_https: bool) -> bool {
    url.starts_with("https://") || (url.starts_with("http://") && !only_https)
}

/// A whole number with a comma between each three digits.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The head of a table.
pub(super) fn columns(names: [&str; 3]) -> Markup {
    html! {
        thead { tr { @for name in names { th scope="col" { (name) } } } }
    }
}

/// A count with its noun.
pub(super) fn plural(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

/// Bits per second in the unit that gives one to three digits before the point. No line breaks between number and unit.
pub(super) fn bandwidth(bps: u64) -> String {
    let (unit, name) = match bps {
        0..1_000 => (1.0, "bit/s"),
        1_000..1_000_000 => (1e3, "kbit/s"),
        1_000_000..1_000_000_000 => (1e6, "Mbit/s"),
        _ => (1e9, "Gbit/s"),
    };
    let number = format!("{:.1}", bps as f64 / unit);
    format!("{}\u{a0}{name}", number.trim_end_matches(".0"))
}

/// Seconds in the two greatest units that say something.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A share in percent, rounded. A peer's report may hold any number: one that is invalid counts as full,
/// and more than 999 is shown as 999.
pub(super) fn percent(share: f64) -> u32 {
    if share.is_nan() {
        return 100;
    }
    (share * 100.0).round().clamp(0.0, 999.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_from_outside_is_only_text() {
        let hostile = "</td><script>alert('x')</script>&\"\u{202e}\u{0}\u{1b}";
        assert_eq!(
            maud::html! { (Foreign(hostile)) }.into_string(),
            "&lt;/td&gt;&lt;script&gt;alert('x')&lt;/script&gt;&amp;&quot;\u{fffd}\u{fffd}"
        );
        assert_eq!(Foreign("Ŕadio – 日本").to_string(), "Ŕadio – 日本");
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert!(is_web_url("http://a:8000", false) && is_web_url("https://a", false));
        assert!(is_web_url("https://a", true) && !is_web_url("http://a:8000", true));
        for bad in ["javascript:alert(1)", "//a", ""] {
            assert!(!is_web_url(bad, false) && !is_web_url(bad, true), "{bad}");
        }
    }

    #[test]
    fn quantities_are_read_at_a_glance() {
        assert_eq!(["0", "999", "1,000", "1,234,567"].map(String::from), {
            [0, 999, 1_000, 1_234_567].map(count)
        });
        assert_eq!(bandwidth(0), "0\u{a0}bit/s");
        assert_eq!(bandwidth(128_000), "128\u{a0}kbit/s");
        assert_eq!(bandwidth(52_740_000), "52.7\u{a0}Mbit/s");
        assert_eq!(bandwidth(1_000_000_000), "1\u{a0}Gbit/s");
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3_599), "59 min");
        assert_eq!(duration(7_260), "2 h 1 min");
        assert_eq!(duration(90_000), "1 d 1 h");
        assert_eq!(
            (plural(1, "mount"), plural(0, "mount")),
            ("1 mount".into(), "0 mounts".into())
        );
    }

    #[test]
    fn a_share_that_is_no_number_counts_as_full() {
        assert_eq!(
            [f64::NAN, f64::INFINITY, -1.0, 0.625].map(percent),
            [100, 999, 0, 63]
        );
    }
}
