//! Titles at full length, where this node holds the stream: gossip carries long ones shortened.

use crate::media::ring::Title;
use crate::model::caption::caption;
use crate::model::status::NowPlaying;
use crate::wire::gossip::short_title;

/// The title of a mount as a status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownTitle {
    /// The line that players show.
    pub(super) text: String,
    /// The parts.
    pub(super) parts: Option<NowPlaying>,
}

impl ShownTitle {
    /// The same title at full length, if it is the one on air in the ring that is held here. A ring may be a moment before
    /// or behind gossip.
    pub(super) fn lengthened(self, held: Option<&Title>) -> Self {
        let is_same = |title: &&Title| caption(&short_title(&title.info.text)) == self.text;
        let Some(info) = held.filter(is_same).map(|title| &title.info) else {
            return self;
        };
        // An upstream of an older version tells the line only.
        let parts = match info.is_plain() {
            true => self.parts,
            false => self.parts.map(|shown| NowPlaying {
                artist: info.artist.clone(),
                title: info.title.clone(),
                album: info.album.clone(),
                url: info.url.clone(),
                offset: shown.offset,
            }),
        };
        Self {
            text: info.text.clone(),
            parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::title::TitleInfo;
    use crate::wire::gossip::short_parts;

    fn held(info: TitleInfo) -> Title {
        Title {
            offset: 9,
            info: info.into(),
        }
    }

    /// A title as gossip tells it.
    fn told(info: &TitleInfo) -> ShownTitle {
        ShownTitle {
            text: short_title(&info.text),
            parts: Some(short_parts(info, 7)),
        }
    }

    #[test]
    fn the_node_that_holds_a_stream_shows_its_title_whole() {
        let (artist, title) = ("é".repeat(300), "x".repeat(900));
        let long = TitleInfo::joined(&artist, &title).with_url("http://a.example");
        let shown = told(&long).lengthened(Some(&held(long.clone())));
        assert_eq!(shown.text, format!("{artist} - {title}"));
        let parts = shown.parts.unwrap();
        assert_eq!((parts.artist, parts.title), (artist, title));
        assert_eq!((parts.url.as_str(), parts.offset), ("http://a.example", 7));
    }

    #[test]
    fn another_title_stays_as_it_was_told() {
        let info = TitleInfo::joined("A", &"x".repeat(900));
        let other = held(TitleInfo::joined("B", &"x".repeat(900)));
        assert_eq!(told(&info).lengthened(Some(&other)), told(&info));
        assert_eq!(told(&info).lengthened(None), told(&info));
        let plain = held(TitleInfo::plain(&info.text));
        let shown = told(&info).lengthened(Some(&plain));
        assert_eq!(
            (shown.text, shown.parts),
            (info.text.clone(), told(&info).parts)
        );
    }
}
