//! Dates as the logs of web servers have them.

use crate::model::http_date::http_date;

/// Unix seconds as they stand in Icecast's logs: `20/Nov/2026:08:22:36 +0000`. Always UTC, so that the logs of nodes in several
/// countries can be put together.
pub(super) fn log_date(unix_s: u64) -> String {
    // `Fri, 20 Nov 2026 08:22:36 GMT`: always of this length.
    let date = http_date(unix_s);
    let (day, month, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
    format!("{day}/{month}/{year}:{time} +0000")
}

/// Unix seconds as JSON has them: `2026-11-20T08:22:36Z`.
pub(super) fn json_date(unix_s: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let date = http_date(unix_s);
    let month = MONTHS.iter().position(|name| *name == &date[8..11]);
    let month = month.map_or(0, |place| place + 1);
    format!(
        "{}-{month:02}-{}T{}Z",
        &date[12..16],
        &date[5..7],
        &date[17..25]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_written_as_icecast_does_and_as_json_has_it() {
        for (unix_s, log, json) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00Z"),
            (
                1_795_162_475,
                "20/Nov/2026:08:14:35 +0000",
                "2026-11-20T08:14:35Z",
            ),
            (
                951_868_799,
                "29/Feb/2000:23:59:59 +0000",
                "2000-02-29T23:59:59Z",
            ),
            (
                u64::MAX,
                "31/Dec/9999:23:59:59 +0000",
                "9999-12-31T23:59:59Z",
            ),
        ] {
            assert_eq!(log_date(unix_s), log);
            assert_eq!(json_date(unix_s), json);
        }
    }
}
