//! Dates as HTTP writes them.

const SECONDS_PER_DAY: u64 = 86_400;

/// The days of one leap cycle of the Gregorian calendar, 400 years.
const DAYS_PER_ERA: u64 = 146_097;

/// From 1 March of the year 0, where the count of the months begins below, to 1 January 1970.
const DAYS_TO_UNIX_EPOCH: u64 = 719_468;

/// The end of the year 9999, the last one that four digits can name.
const MAX_UNIX_S: u64 = 253_402_300_799;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [&str; 12] = [
    "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb",
];

/// Unix seconds as a `Date` header, such as `Fri, 20 Nov 2026 08:14:35 GMT`.
///
/// A year is counted from March, so that the leap day is the last of it and all months before it
/// have the same lengths in every year.
pub fn http_date(unix_s: u64) -> String {
    date_in_words(unix_s) + " GMT"
}

/// Unix seconds as Icecast writes them: `Fri, 20 Nov 2026 08:14:35 +0000`.
pub fn icecast_date(unix_s: u64) -> String {
    date_in_words(unix_s) + " +0000"
}

/// Unix seconds as ISO 8601 has them: `2026-11-20T08:14:35+0000`.
pub fn iso_date(unix_s: u64) -> String {
    let words = date_in_words(unix_s);
    let (day, month, year) = (&words[5..7], &words[8..11], &words[12..16]);
    let month = MONTHS.iter().position(|name| *name == month);
    // March is the first one there.
    let month = (month.unwrap_or_default() + 2) % 12 + 1;
    format!("{year}-{month:02}-{day}T{}+0000", &words[17..])
}

fn date_in_words(unix_s: u64) -> String {
    let unix_s = unix_s.min(MAX_UNIX_S);
    let (days, second) = (unix_s / SECONDS_PER_DAY, unix_s % SECONDS_PER_DAY);
    let since_march_0 = days + DAYS_TO_UNIX_EPOCH;
    let (era, day_of_era) = (since_march_0 / DAYS_PER_ERA, since_march_0 % DAYS_PER_ERA);
    // A leap day each 4 years (1,460 days without it), none each 100, and one each 400.
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months have 153 days: 31, 30, 31, 30, 31, and so again.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    let mut text = String::with_capacity("Thu, 01 Jan 1970 00:00:00 GMT".len());
    text.push_str(WEEKDAYS[(days % 7) as usize]);
    text.push_str(", ");
    push_two(&mut text, day);
    text.push(' ');
    text.push_str(MONTHS[month as usize]);
    text.push(' ');
    push_two(&mut text, year / 100);
    push_two(&mut text, year % 100);
    for (mark, number) in [
        (' ', second / 3_600),
        (':', second / 60 % 60),
        (':', second % 60),
    ] {
        text.push(mark);
        push_two(&mut text, number);
    }
    text
}

/// Appends a number below 100 with two digits. By hand, because every answer has a date and formatters are slow.
fn push_two(text: &mut String, number: u64) {
    for digit in [number / 10, number % 10] {
        text.push(char::from(b'0' + (digit % 10) as u8));
    }
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

    proptest! {
        #[test]
        fn every_second_has_a_date(unix_s: u64) {
            prop_assert_eq!(http_date(unix_s).len(), "Thu, 01 Jan 1970 00:00:00 GMT".len());
        }
    }
}
