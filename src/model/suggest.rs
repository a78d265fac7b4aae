//! "Did you mean": finds the known word that is most similar to a mistyped one, and lists those that there are.

/// The known word most similar to the given one, if any is similar at all: the only one of which it is the last part, as
/// `listeners` is of `max_listeners`, or one that is written almost so.
///
/// Words are similar if at most about a third of the letters of the longer one, and always one letter, must be changed.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    let is_end = |word: &&&str| {
        word.strip_suffix(&*given)
            .is_some_and(|it| it.ends_with('_'))
    };
    let mut longer = known.iter().filter(is_end);
    if let (Some(word), None) = (longer.next(), longer.next()) {
        return Some(word);
    }
    let scored = known.iter().map(|word| (distance(&given, word), *word));
    let (changes, word) = scored.min()?;
    let longer = given.chars().count().max(word.chars().count());
    (changes <= ((longer + 1) / 3).max(1)).then_some(word)
}

/// How many letters must be inserted, removed, changed, or swapped with the next one to turn one word into the other.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    // Distances from each beginning of `left` to every beginning of `right`; only the last three rows are used.
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (taken, letter) in left.iter().enumerate() {
        let above = &rows[taken];
        let mut row = vec![taken + 1];
        for (at, other) in right.iter().enumerate() {
            let changed = above[at] + usize::from(letter != other);
            let mut least = changed.min(above[at + 1] + 1).min(row[at] + 1);
            let swapped =
                taken > 0 && at > 0 && left[taken - 1] == *other && right[at - 1] == *letter;
            if swapped {
                least = least.min(rows[taken - 1][at - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

/// Names in a list, of which one with more than so many is cut.
pub fn listed(names: &[&str], most: usize) -> String {
    match names.len().checked_sub(most) {
        Some(more @ 1..) => format!("{} and {more} more", names[..most].join(", ")),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_that_was_meant() {
        let known = ["listen", "name", "max_listeners", "rank"];
        assert_eq!(nearest("lisen", &known), Some("listen"));
        assert_eq!(nearest("Max-Listeners", &known), Some("max_listeners"));
        assert_eq!(nearest("max_listener", &known), Some("max_listeners"));
        assert_eq!(nearest("nane", &known), Some("name"));
        assert_eq!(nearest("nmae", &known), Some("name"));
        assert_eq!(nearest("eman", &known), None);
        assert_eq!(nearest("lisetn", &known), Some("listen"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest("listeners", &known), Some("max_listeners"));
        let import = ["import_streamlist", "import_prefix"];
        assert_eq!(nearest("streamlist", &import), Some("import_streamlist"));
        assert_eq!(nearest("stream_list", &["other"]), None);
        let two = ["import_streamlist", "export_streamlist"];
        assert_eq!(nearest("streamlist", &two), None, "which one?");
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn the_distance_counts_single_changes() {
        for (left, right, changes) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("é", "e", 1),
            ("jion", "join", 1),
            ("passwrod", "password", 1),
        ] {
            assert_eq!(distance(left, right), changes, "{left} {right}");
        }
    }
}
