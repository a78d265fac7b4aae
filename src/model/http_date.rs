//! Dates as HTTP writes them.

use std::time::{Duration, UNIX_EPOCH};

/// The end of the year 9999, the last one that four digits can name.
const MAX_UNIX_S: u64 = 253_402_300_799;

/// Unix seconds as a `Date` header, such as `Fri, 20 Nov 2026 08:14:35 GMT`.
pub fn http_date(unix_s: u64) -> String {
    let since = Duration::from_secs(unix_s.min(MAX_UNIX_S));
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

/// The unix time of such a date; `None` if it is none, or lies before 1970.
pub fn read_http_date(text: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_date_is_written_as_http_wants_it() {
        for (unix_s, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (1_795_162_475, "Fri, 20 Nov 2026 08:14:35 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(unix_s), text);
        }
    }

    proptest! {
        #[test]
        fn every_second_has_a_date(unix_s: u64) {
            prop_assert_eq!(http_date(unix_s).len(), "Thu, 01 Jan 1970 00:00:00 GMT".len());
        }
    }
}
