//! The titles of a stream, each with the byte that it begins at.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::caption::caption;

/// A title and the first byte it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// The first byte under this title; it stays until the next title's.
    pub offset: u64,
    /// The text from the source, in one line and at most [`MAX_TITLE_BYTES`] long; empty if nothing is on air.
    pub text: Arc<str>,
}

/// The result of setting a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TitleSet {
    /// The title is new from its offset on.
    Changed,
    /// The title was known.
    Same,
}

/// The longest title: no in-band metadata block holds more.
pub const MAX_TITLE_BYTES: usize = 4_080;

/// The most titles of a ring. One every half second for 30 s: no station announces faster,
/// and one that does only loses its oldest titles.
const MAX_TITLES: usize = 64;

/// The titles of the bytes that a ring holds, by offset.
#[derive(Debug, Default)]
pub(super) struct RingTitles(VecDeque<Title>);

impl RingTitles {
    /// Sets a title; all that show one get it from here. It may come before its bytes do; a second title for the same
    /// byte replaces the first.
    pub(super) fn set(&mut self, offset: u64, text: &str) -> TitleSet {
        let text = caption(text);
        let text = &text[..text.floor_char_boundary(MAX_TITLE_BYTES)];
        if self.at(offset).as_deref().unwrap_or_default() == text {
            return TitleSet::Same;
        }
        let title = Title {
            offset,
            text: text.into(),
        };
        let place = self.0.partition_point(|other| other.offset < offset);
        match self.0.get_mut(place) {
            Some(other) if other.offset == offset => *other = title,
            _ => self.0.insert(place, title),
        }
        if self.0.len() > MAX_TITLES {
            self.0.pop_front();
        }
        TitleSet::Changed
    }

    /// The title on air at this byte.
    pub(super) fn at(&self, offset: u64) -> Option<Arc<str>> {
        let after = self.0.partition_point(|title| title.offset <= offset);
        let title = self.0.get(after.checked_sub(1)?)?;
        Some(Arc::clone(&title.text))
    }

    pub(super) fn between(&self, from: u64, to: u64) -> Vec<Title> {
        let within = |title: &&Title| (from..to).contains(&title.offset);
        self.0.iter().filter(within).cloned().collect()
    }

    /// Forgets the titles that ended before `offset`. The title that is on air there stays.
    pub(super) fn forget_before(&mut self, offset: u64) {
        while self.0.get(1).is_some_and(|second| second.offset <= offset) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(titles: &RingTitles, offset: u64) -> String {
        titles.at(offset).as_deref().unwrap_or("none").to_owned()
    }

    #[test]
    fn a_title_holds_from_its_byte_to_the_next_ones() {
        let mut titles = RingTitles::default();
        assert_eq!(titles.set(100, "one"), TitleSet::Changed);
        assert_eq!(titles.set(200, "two"), TitleSet::Changed);
        assert_eq!(titles.set(250, "two"), TitleSet::Same);
        assert_eq!(titles.set(150, "late news"), TitleSet::Changed);
        let heard = [99, 100, 149, 150, 200, 9_999].map(|offset| at(&titles, offset));
        assert_eq!(heard, ["none", "one", "one", "late news", "two", "two"]);
        let between: Vec<u64> = titles.between(100, 200).iter().map(|t| t.offset).collect();
        assert_eq!(between, [100, 150]);
    }

    #[test]
    fn the_last_title_counts_even_if_empty() {
        let mut titles = RingTitles::default();
        assert_eq!(titles.set(0, ""), TitleSet::Same);
        titles.set(5, "a");
        titles.set(5, "b");
        assert_eq!(at(&titles, 5), "b");
        assert_eq!(titles.set(9, ""), TitleSet::Changed);
        assert_eq!(at(&titles, 9), "");
    }

    #[test]
    fn the_current_title_outlives_its_byte() {
        let mut titles = RingTitles::default();
        titles.set(10, "a");
        titles.set(20, "b");
        titles.forget_before(15);
        assert_eq!(at(&titles, 15), "a");
        titles.forget_before(500);
        assert_eq!(titles.0.len(), 1);
        assert_eq!(at(&titles, 500), "b");
    }

    #[test]
    fn titles_are_bounded_in_number_and_length() {
        let mut titles = RingTitles::default();
        for offset in 0..1_000 {
            titles.set(offset, &"é".repeat(3_000 + offset as usize % 2));
            titles.set(offset, &offset.to_string());
        }
        assert_eq!(titles.0.len(), MAX_TITLES);
        titles.set(1_000, &format!("x{}", "é".repeat(3_000)));
        assert_eq!(titles.at(1_000).unwrap().len(), MAX_TITLE_BYTES - 1);
    }
}
