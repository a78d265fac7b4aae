//! "Did you mean": finds the known word that a mistyped one is most like.

/// The known word most like the given one, if any is like it at all.
///
/// Alike means that about a third of the longer word must be changed at most, and always that one letter may be.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    let scored = known.iter().map(|word| (distance(&given, word), *word));
    let (changes, word) = scored.min()?;
    let longer = given.chars().count().max(word.chars().count());
    (changes <= ((longer + 1) / 3).max(1)).then_some(word)
}

/// How many letters must be put in, taken out or changed to make one word the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    // Distances from the part of `left` read so far to every beginning of `right`.
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (taken, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = taken + 1;
        for (at, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[right.len()]
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
        assert_eq!(nearest("nmae", &known), None);
        assert_eq!(nearest("lisetn", &known), Some("listen"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
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
        ] {
            assert_eq!(distance(left, right), changes, "{left} {right}");
        }
    }
}
