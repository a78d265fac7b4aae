//! The part of a file that a client asks for (RFC 9110, section 14).

use std::ops::Range;

/// The part of a file that a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileRange {
    /// All of it: no part is asked for, or in a way that this server does not know.
    Whole,
    /// A part, of at least one byte.
    Part(Range<u64>),
    /// A part that begins behind the end.
    Unsatisfiable,
}

impl FileRange {
    /// Reads the header for a file of so many bytes. Several parts in one request are answered with the whole file, which
    /// every client has to understand.
    pub fn of(header: Option<&str>, bytes: u64) -> Self {
        match header.and_then(read) {
            None => Self::Whole,
            Some(Asked::Last(0)) => Self::Unsatisfiable,
            Some(Asked::Last(_) | Asked::From(_, _)) if bytes == 0 => Self::Unsatisfiable,
            Some(Asked::Last(count)) => Self::Part(bytes.saturating_sub(count)..bytes),
            Some(Asked::From(first, _)) if first >= bytes => Self::Unsatisfiable,
            Some(Asked::From(first, last)) => {
                let end = last.map_or(bytes, |last| last.saturating_add(1).min(bytes));
                Self::Part(first..end)
            }
        }
    }
}

/// One range of bytes, as it is written.
enum Asked {
    /// `bytes=6-8`, or `bytes=6-`.
    From(u64, Option<u64>),
    /// `bytes=-4`: so many at the end.
    Last(u64),
}

fn read(header: &str) -> Option<Asked> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", count) => number(count).map(Asked::Last),
        (first, "") => Some(Asked::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Asked::From(first, Some(last)))
        }
    }
}

/// A number without a sign. One that is too great for us is behind the end of every file.
fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_part_is_counted_from_either_end() {
        let of = |header: &str| FileRange::of(Some(header), 17);
        for (header, part) in [
            ("bytes=6-8", 6..9),
            ("bytes=0-", 0..17),
            ("bytes=0-0", 0..1),
            ("bytes=16-99", 16..17),
            ("bytes=-4", 13..17),
            ("bytes=-99", 0..17),
            ("Bytes = 6 - 8", 6..9),
            ("bytes=3-99999999999999999999999", 3..17),
        ] {
            assert_eq!(of(header), FileRange::Part(part), "{header}");
        }
        for behind in [
            "bytes=17-",
            "bytes=4000-",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(of(behind), FileRange::Unsatisfiable, "{behind}");
        }
        assert_eq!(FileRange::of(Some("bytes=0-"), 0), FileRange::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_part_is_all_of_it() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=8-6",
            "bytes=a-b",
            "bytes=+1-2",
            "lines=0-1",
            "bytes=0-1,3-4",
            "bytes=0-1, ",
            "bytes=1--2",
        ] {
            assert_eq!(
                FileRange::of(Some(header), 17),
                FileRange::Whole,
                "{header}"
            );
        }
        assert_eq!(FileRange::of(None, 17), FileRange::Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_within_the_file(header in "(bytes=)?[0-9 ,-]{0,24}", bytes: u64) {
            if let FileRange::Part(part) = FileRange::of(Some(&header), bytes) {
                prop_assert!(part.start < part.end && part.end <= bytes, "{part:?}");
            }
        }
    }
}
