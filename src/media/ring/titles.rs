//! The titles of a stream, each with the byte that it begins at.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::media::format::joining::Comment;
use crate::model::title::TitleInfo;

/// A title and the first byte it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// The first byte under this title; it stays until the next title's.
    pub offset: u64,
    /// The title; empty if nothing is on air.
    pub info: Arc<TitleInfo>,
}

/// The result of setting a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TitleSet {
    /// The title is new from its offset on.
    Changed,
    /// The title was known.
    Same,
}

/// The most titles of a ring. One every half second for 30 s: no station announces faster,
/// and one that does only loses its oldest titles.
const MAX_TITLES: usize = 64;

/// The titles of the bytes that a ring holds, by offset.
#[derive(Debug, Default)]
pub(super) struct RingTitles {
    held: VecDeque<Title>,
    /// The last title that the stream itself has said.
    heard: Option<Arc<TitleInfo>>,
    /// How often a title was new.
    changes: u64,
}

impl RingTitles {
    /// Sets a title; all that show one get it from here. It may come before its bytes do; a second title for the same
    /// byte replaces the first.
    pub(super) fn set(&mut self, offset: u64, info: &TitleInfo) -> TitleSet {
        let info = info.cleaned();
        if is_same(self.at(offset).as_deref(), &info) {
            return TitleSet::Same;
        }
        let info = Arc::new(info);
        let title = Title { offset, info };
        let place = self.held.partition_point(|other| other.offset < offset);
        match self.held.get_mut(place) {
            Some(other) if other.offset == offset => *other = title,
            _ => self.held.insert(place, title),
        }
        if self.held.len() > MAX_TITLES {
            self.held.pop_front();
        }
        self.changes += 1;
        TitleSet::Changed
    }

    /// Sets a title that the stream itself says. If it says that there is none, a title that came otherwise stays.
    pub(super) fn hear(&mut self, comment: &Comment) {
        let is_heard = self.heard.is_some() && self.at(comment.offset) == self.heard;
        if comment.title.is_empty() && !is_heard {
            return;
        }
        self.set(comment.offset, &comment.title);
        self.heard = self.at(comment.offset);
    }

    /// How often a title was new.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The title on air at this byte.
    pub(super) fn at(&self, offset: u64) -> Option<Arc<TitleInfo>> {
        Some(Arc::clone(&self.get(offset)?.info))
    }

    /// The title on air at this byte, with the byte that it begins at.
    pub(super) fn get(&self, offset: u64) -> Option<&Title> {
        let after = self.held.partition_point(|title| title.offset <= offset);
        self.held.get(after.checked_sub(1)?)
    }

    pub(super) fn between(&self, from: u64, to: u64) -> Vec<Title> {
        let within = |title: &&Title| (from..to).contains(&title.offset);
        self.held.iter().filter(within).cloned().collect()
    }

    /// Forgets the titles that ended before `offset`. The title that is on air there stays.
    pub(super) fn forget_before(&mut self, offset: u64) {
        while self
            .held
            .get(1)
            .is_some_and(|second| second.offset <= offset)
        {
            self.held.pop_front();
        }
    }
}

/// Whether a title says nothing new. A plain line does not if it is the text of the one that is known: an older node sends no
/// more of a title than that.
fn is_same(known: Option<&TitleInfo>, info: &TitleInfo) -> bool {
    match known {
        None => info.is_empty(),
        Some(known) if info.is_plain() && !info.text.is_empty() => known.text == info.text,
        Some(known) => known == info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(titles: &RingTitles, offset: u64) -> String {
        let title = titles.at(offset);
        title.map_or_else(|| "none".to_owned(), |title| title.text.clone())
    }

    fn set(titles: &mut RingTitles, offset: u64, text: &str) -> TitleSet {
        titles.set(offset, &TitleInfo::plain(text))
    }

    fn hear(titles: &mut RingTitles, offset: u64, title: TitleInfo) {
        titles.hear(&Comment { offset, title });
    }

    #[test]
    fn a_title_holds_from_its_byte_to_the_next_ones() {
        let mut titles = RingTitles::default();
        assert_eq!(set(&mut titles, 100, "one"), TitleSet::Changed);
        assert_eq!(set(&mut titles, 200, "two"), TitleSet::Changed);
        assert_eq!(set(&mut titles, 250, "two"), TitleSet::Same);
        assert_eq!(set(&mut titles, 150, "late news"), TitleSet::Changed);
        let heard = [99, 100, 149, 150, 200, 9_999].map(|offset| at(&titles, offset));
        assert_eq!(heard, ["none", "one", "one", "late news", "two", "two"]);
        let between: Vec<u64> = titles.between(100, 200).iter().map(|t| t.offset).collect();
        assert_eq!((between.as_slice(), titles.changes()), (&[100, 150][..], 3));
    }

    #[test]
    fn the_last_title_counts_even_if_empty() {
        let mut titles = RingTitles::default();
        assert_eq!(set(&mut titles, 0, ""), TitleSet::Same);
        set(&mut titles, 5, "a");
        set(&mut titles, 5, "b");
        assert_eq!(at(&titles, 5), "b");
        assert_eq!(set(&mut titles, 9, ""), TitleSet::Changed);
        assert_eq!(at(&titles, 9), "");
    }

    #[test]
    fn the_parts_of_a_title_outlive_its_plain_line() {
        let mut titles = RingTitles::default();
        let parts = TitleInfo::joined("A", "T").with_url("http://a");
        assert_eq!(titles.set(0, &parts), TitleSet::Changed);
        assert_eq!(set(&mut titles, 0, "A - T"), TitleSet::Same);
        assert_eq!(titles.at(0).as_deref(), Some(&parts));
        assert_eq!(set(&mut titles, 9, ""), TitleSet::Changed);
        let plain = TitleInfo::plain("A - T");
        assert_eq!(titles.set(20, &plain), TitleSet::Changed);
        assert_eq!(
            titles.set(30, &parts),
            TitleSet::Changed,
            "it has parts now"
        );
    }

    #[test]
    fn a_stream_without_a_title_ends_only_its_own() {
        let mut titles = RingTitles::default();
        hear(&mut titles, 0, TitleInfo::default());
        assert_eq!(titles.changes(), 0);
        hear(&mut titles, 10, TitleInfo::joined("A", "T"));
        hear(&mut titles, 12, TitleInfo::joined("A", "T"));
        assert_eq!(titles.changes(), 1, "said again");
        hear(&mut titles, 20, TitleInfo::default());
        assert_eq!(
            (at(&titles, 19), at(&titles, 20)),
            ("A - T".into(), String::new())
        );
        hear(&mut titles, 30, TitleInfo::joined("B", "U"));
        set(&mut titles, 40, "told by an encoder");
        hear(&mut titles, 50, TitleInfo::default());
        assert_eq!(at(&titles, 50), "told by an encoder");
        hear(&mut titles, 60, TitleInfo::joined("B", "U"));
        assert_eq!(at(&titles, 60), "B - U");
    }

    #[test]
    fn the_current_title_outlives_its_byte() {
        let mut titles = RingTitles::default();
        set(&mut titles, 10, "a");
        set(&mut titles, 20, "b");
        titles.forget_before(15);
        assert_eq!(at(&titles, 15), "a");
        titles.forget_before(500);
        assert_eq!(titles.held.len(), 1);
        assert_eq!(at(&titles, 500), "b");
    }

    #[test]
    fn titles_are_bounded_in_number_and_length() {
        let mut titles = RingTitles::default();
        for offset in 0..1_000 {
            set(
                &mut titles,
                offset,
                &"é".repeat(3_000 + offset as usize % 2),
            );
            set(&mut titles, offset, &offset.to_string());
        }
        assert_eq!(titles.held.len(), MAX_TITLES);
        let long = TitleInfo {
            text: format!("x{}", "é".repeat(3_000)),
            ..TitleInfo::default()
        };
        titles.set(1_000, &long);
        assert_eq!(at(&titles, 1_000).len(), TitleInfo::MAX_TEXT_BYTES - 1);
    }
}
