//! The title on air: its parts apart, as encoders and the comments of streams give them, and joined for who shows one line.

use serde::{Deserialize, Serialize};

use super::caption::caption;

/// A title. Every text is one line without invisible characters, and within its bound; empty if it is not known.
///
/// Links carry it in a coding in which no field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TitleInfo {
    /// The line that players show: artist and title joined, or the song as it was given.
    pub text: String,
    /// The artist, if it was given apart.
    pub artist: String,
    /// The title of the piece, if it was given apart.
    pub title: String,
    /// The album.
    pub album: String,
    /// The address that belongs to the title.
    pub url: String,
}

impl TitleInfo {
    /// The longest line: no in-band metadata block holds more.
    pub const MAX_TEXT_BYTES: usize = 4_080;
    /// The longest part, which is also shown in tables.
    pub const MAX_PART_BYTES: usize = 1_024;

    /// A title that was given as one line.
    pub fn plain(text: &str) -> Self {
        Self {
            text: line(text, Self::MAX_TEXT_BYTES),
            ..Self::default()
        }
    }

    /// A title that was given in parts; either may be empty.
    pub fn joined(artist: &str, title: &str) -> Self {
        let [artist, title] = [artist, title].map(|part| line(part, Self::MAX_PART_BYTES));
        let text = match (artist.is_empty(), title.is_empty()) {
            (false, false) => format!("{artist} - {title}"),
            (false, true) => artist.clone(),
            (true, _) => title.clone(),
        };
        Self {
            text,
            artist,
            title,
            ..Self::default()
        }
    }

    /// The same with an album.
    #[must_use]
    pub fn with_album(self, album: &str) -> Self {
        Self {
            album: line(album, Self::MAX_PART_BYTES),
            ..self
        }
    }

    /// The same with an address.
    #[must_use]
    pub fn with_url(self, url: &str) -> Self {
        Self {
            url: line(url, Self::MAX_PART_BYTES),
            ..self
        }
    }

    /// The same as a title of ours: another node may have sent it, and says what it likes.
    #[must_use]
    pub fn cleaned(&self) -> Self {
        let part = |text: &str| line(text, Self::MAX_PART_BYTES);
        Self {
            text: line(&self.text, Self::MAX_TEXT_BYTES),
            artist: part(&self.artist),
            title: part(&self.title),
            album: part(&self.album),
            url: part(&self.url),
        }
    }

    /// Whether it was given as one line, and says nothing else.
    pub fn is_plain(&self) -> bool {
        let parts = [&self.artist, &self.title, &self.album, &self.url];
        parts.iter().all(|part| part.is_empty())
    }

    /// Whether nothing is on air.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A text as one line of at most so many bytes, cut at a character.
fn line(text: &str, most_bytes: usize) -> String {
    let mut line = caption(text);
    line.truncate(line.floor_char_boundary(most_bytes));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_for_who_shows_one_line() {
        for (artist, title, text) in [
            ("A", "T", "A - T"),
            ("", "T", "T"),
            ("A", "", "A"),
            ("", "", ""),
            (" A\r\nB ", "T\0", "A B - T"),
        ] {
            let info = TitleInfo::joined(artist, title);
            assert_eq!(info.text, text);
            assert_eq!(info.is_empty(), text.is_empty());
        }
    }

    #[test]
    fn a_title_of_another_node_is_cleaned() {
        let sent = TitleInfo {
            text: "A\r\nB".to_owned(),
            artist: "\0A".to_owned(),
            url: "u".repeat(5_000),
            ..TitleInfo::default()
        };
        let clean = sent.cleaned();
        assert_eq!((clean.text.as_str(), clean.artist.as_str()), ("A B", "A"));
        assert_eq!(clean.url.len(), TitleInfo::MAX_PART_BYTES);
        assert_eq!(clean.cleaned(), clean);
        assert!(!clean.is_plain() && TitleInfo::plain("x").is_plain());
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let long = "é".repeat(40_000);
        let plain = TitleInfo::plain(&long).with_url(&long).with_album(&long);
        assert_eq!(plain.text.len(), TitleInfo::MAX_TEXT_BYTES);
        assert_eq!(plain.url.len(), TitleInfo::MAX_PART_BYTES);
        let joined = TitleInfo::joined(&long, &long);
        assert!(joined.text.len() <= TitleInfo::MAX_TEXT_BYTES);
        assert!(joined.title.chars().all(|letter| letter == 'é'));
    }
}
