//! Dates as Icecast writes them.

use crate::model::http_date::http_date;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Unix seconds as Icecast writes them: `Fri, 20 Nov 2026 08:14:35 +0000`.
pub fn icecast_date(unix_s: u64) -> String {
    http_date(unix_s).replace("GMT", "+0000")
}

/// Unix seconds as ISO 8601 has them: `2026-11-20T08:14:35+0000`.
pub fn iso_date(unix_s: u64) -> String {
    let text = http_date(unix_s);
    let (day, month, year, time) = (&text[5..7], &text[8..11], &text[12..16], &text[17..25]);
    let month = MONTHS.iter().position(|name| *name == month);
    let month = month.map_or(0, |before| before + 1);
    format!("{year}-{month:02}-{day}T{time}+0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_icecast_writes_it() {
        for (unix_s, words, iso) in [
            (
                1_795_162_475,
                "Fri, 20 Nov 2026 08:14:35 +0000",
                "2026-11-20T08:14:35+0000",
            ),
            (
                951_782_400,
                "Tue, 29 Feb 2000 00:00:00 +0000",
                "2000-02-29T00:00:00+0000",
            ),
            (
                4_107_542_400,
                "Mon, 01 Mar 2100 00:00:00 +0000",
                "2100-03-01T00:00:00+0000",
            ),
        ] {
            assert_eq!(
                (icecast_date(unix_s).as_str(), iso_date(unix_s).as_str()),
                (words, iso)
            );
        }
    }
}
