//! In-band ICY metadata: titles inserted into a listener's bytes, and taken out of a source's ([`Separator`]).
//!
//! After every [`METAINT`] bytes of audio there is a block: a length byte, counting units of 16 bytes, and
//! so much text. The socket may cut a listener's bytes anywhere, even inside a block, and a block once
//! begun must be finished although the title has changed. So [`Interleaver::weave`] only plans, and
//! [`Interleaver::advance`] is told how much of the plan was written.

mod woven;

use std::sync::Arc;

use bytes::Bytes;

pub use self::woven::Separator;
use crate::model::caption::caption;
use crate::model::title::TitleInfo;

/// Bytes of audio between two blocks, told to the listener as `icy-metaint`.
/// The same as in Icecast and at nearly every station: a second of audio at 128 kbit/s.
pub const METAINT: usize = 16_000;

/// The longest text of a block: 255 units of 16 bytes.
const MAX_TEXT_BYTES: usize = 255 * 16;
const TITLE: &str = "StreamTitle='";
const URL: &str = "StreamUrl='";
const AFTER: &str = "';";

/// The place of one listener in its interleaved stream.
#[derive(Clone, Debug)]
pub struct Interleaver {
    interval_bytes: usize,
    /// Audio bytes to send before the next block is due.
    due_in_bytes: usize,
    /// The rest of a block that was begun. Always sent first.
    unsent: Bytes,
    /// The title of the last block that was begun.
    told: Option<Arc<TitleInfo>>,
}

/// The parts to write next, in order.
#[derive(Clone, Debug, Default)]
pub struct Woven(Vec<IcyPiece>);

#[derive(Clone, Debug)]
enum IcyPiece {
    Audio(Bytes),
    /// A new block and the title in it.
    Block(Bytes, Arc<TitleInfo>),
    Rest(Bytes),
}

impl IcyPiece {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Audio(bytes) | Self::Block(bytes, _) | Self::Rest(bytes) => bytes,
        }
    }
}

impl Woven {
    /// The pieces in the order in which they are sent.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter().map(IcyPiece::bytes)
    }
}

impl Default for Interleaver {
    fn default() -> Self {
        Self::every(METAINT)
    }
}

impl Interleaver {
    fn every(interval_bytes: usize) -> Self {
        Self {
            interval_bytes,
            due_in_bytes: interval_bytes,
            unsent: Bytes::new(),
            told: None,
        }
    }

    /// Plans the writing of `audio`, which begins at `offset`; `title_at` tells the title on air at a byte.
    /// Without audio the plan is the rest of a block, or nothing.
    pub fn weave(
        &self,
        offset: u64,
        audio: Vec<Bytes>,
        title_at: impl Fn(u64) -> Option<Arc<TitleInfo>>,
    ) -> Woven {
        let mut pieces = Vec::with_capacity(audio.len() + 2);
        if !self.unsent.is_empty() {
            pieces.push(IcyPiece::Rest(self.unsent.clone()));
        }
        let (mut due_in_bytes, mut at) = (self.due_in_bytes, offset);
        let mut told = self.told.clone();
        for mut chunk in audio {
            while !chunk.is_empty() {
                if due_in_bytes == 0 {
                    let title = title_at(at).unwrap_or_default();
                    let before = told.replace(Arc::clone(&title));
                    let is_news = before.is_none_or(|before| !is_shown_alike(&before, &title));
                    let bytes = if is_news { block(&title) } else { UNCHANGED };
                    pieces.push(IcyPiece::Block(bytes, title));
                    due_in_bytes = self.interval_bytes;
                }
                let part = chunk.split_to(chunk.len().min(due_in_bytes));
                due_in_bytes -= part.len();
                at += part.len() as u64;
                pieces.push(IcyPiece::Audio(part));
            }
        }
        Woven(pieces)
    }

    /// Notes that the first `written` bytes of a plan were sent.
    /// Returns how many of them were audio.
    pub fn advance(&mut self, woven: &Woven, mut written: usize) -> usize {
        let mut audio_bytes = 0;
        for piece in &woven.0 {
            let part = written.min(piece.bytes().len());
            if part == 0 {
                break;
            }
            written -= part;
            match piece {
                IcyPiece::Audio(_) => {
                    audio_bytes += part;
                    self.due_in_bytes -= part;
                }
                IcyPiece::Rest(bytes) => self.unsent = bytes.slice(part..),
                IcyPiece::Block(bytes, title) => {
                    self.unsent = bytes.slice(part..);
                    self.told = Some(Arc::clone(title));
                    self.due_in_bytes = self.interval_bytes;
                }
            }
        }
        audio_bytes
    }
}

/// The block that says "as before".
const UNCHANGED: Bytes = Bytes::from_static(&[0]);

/// Whether two titles have the same block.
fn is_shown_alike(one: &TitleInfo, other: &TitleInfo) -> bool {
    (&one.text, &one.url) == (&other.text, &other.url)
}

/// The block that holds a title, and its address if there is room for both.
///
/// Players end a text at the first `';`, so one inside gets a space. It is one line, because players write titles
/// into logs and file names. A title that is too long is cut between characters; an address is then left out.
pub fn block(title: &TitleInfo) -> Bytes {
    let line = |text: &str| caption(text).replace(AFTER, "' ;");
    let (text, url) = (line(&title.text), line(&title.url));
    let room = MAX_TEXT_BYTES - TITLE.len() - AFTER.len();
    let text = &text[..text.floor_char_boundary(room)];
    let url_bytes = URL.len() + url.len() + AFTER.len();
    let has_url = !url.is_empty() && text.len() + url_bytes <= room;
    let url: [&str; 3] = if has_url { [URL, &url, AFTER] } else { [""; 3] };
    let told = [[TITLE, text, AFTER], url].concat().concat();
    let units = told.len().div_ceil(16);
    let mut block = Vec::with_capacity(1 + units * 16);
    block.push(u8::try_from(units).expect("the title is cut so that 255 units hold it"));
    block.extend_from_slice(told.as_bytes());
    block.resize(1 + units * 16, 0);
    block.into()
}

/// A player for the tests of all code that sends to one.
#[cfg(test)]
pub(crate) mod player {
    /// The audio of an interleaved stream, and the title of each block (`None`: as before).
    pub(crate) fn separate(mut bytes: &[u8], interval: usize) -> (Vec<u8>, Vec<Option<String>>) {
        let (mut audio, mut titles) = (Vec::new(), Vec::new());
        loop {
            let (part, rest) = bytes.split_at(bytes.len().min(interval));
            audio.extend_from_slice(part);
            let Some((units, rest)) = rest.split_first() else {
                return (audio, titles);
            };
            let (block, rest) = rest.split_at(usize::from(*units) * 16);
            let text = std::str::from_utf8(block).unwrap().trim_end_matches('\0');
            let title = text.strip_prefix("StreamTitle='");
            titles.push(title.map(|t| t.split_once("';").unwrap().0.to_owned()));
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn title(text: &str) -> impl Fn(u64) -> Option<Arc<TitleInfo>> {
        let title = Arc::new(TitleInfo::plain(text));
        move |_| Some(Arc::clone(&title))
    }

    fn block(text: &str) -> Bytes {
        super::block(&TitleInfo {
            text: text.to_owned(),
            ..TitleInfo::default()
        })
    }

    fn shown(text: &str) -> String {
        let block = block(text);
        assert_eq!(block.len(), 1 + usize::from(block[0]) * 16);
        let stream = [&[7], &block[..]].concat();
        let (_, titles) = player::separate(&stream, 1);
        titles[0].clone().unwrap()
    }

    #[test]
    fn blocks_are_those_of_icecast() {
        assert_eq!(block("")[..], *b"\x01StreamTitle='';\0");
        let hello = b"\x02StreamTitle='Hello World';\0\0\0\0\0\0";
        assert_eq!(block("Hello World")[..], *hello);
    }

    #[test]
    fn a_title_cannot_end_itself_or_the_line() {
        assert_eq!(shown("It's"), "It's");
        assert_eq!(shown("It's a 'quote'; x"), "It's a 'quote' ; x");
        assert_eq!(shown("';';"), "' ;' ;");
        assert_eq!(shown("a\r\nX\0b\u{85}c\u{7f}"), "a X b c");
        assert_eq!(shown("\u{27}\u{1}; y"), "' ; y");
    }

    #[test]
    fn a_title_is_cut_between_characters_and_not_dropped() {
        let long = "é".repeat(4_000);
        assert_eq!(shown(&long), "é".repeat(2_032));
        assert_eq!(block(&long).len(), 4_081);
        assert_eq!(shown(&"';".repeat(3_000)).len(), 4_065);
    }

    #[test]
    fn an_address_stands_behind_the_title_if_both_fit() {
        let of = |text_bytes: usize, url: &str| {
            let title = TitleInfo::plain(&"t".repeat(text_bytes)).with_url(url);
            let block = super::block(&title);
            let text = String::from_utf8(block[1..].to_vec()).unwrap();
            text.trim_end_matches('\0').to_owned()
        };
        let both = "StreamTitle='t';StreamUrl='http://a/?b=' ; c';";
        assert_eq!(of(1, "http://a/?b=';\r\nc"), both);
        let url = "u".repeat(1_000);
        assert_eq!(of(3_052, &url).len(), 4_080);
        assert!(!of(3_053, &url).contains("StreamUrl"));
        assert_eq!(of(5_000, "u").len(), 4_080);
        let (one, other) = (TitleInfo::plain("t"), TitleInfo::plain("t").with_url("u"));
        assert!(!is_shown_alike(&one, &other));
        assert!(is_shown_alike(&one, &one.clone().with_album("x")));
    }

    #[test]
    fn the_title_is_in_the_first_block_only() {
        let mut icy = Interleaver::every(4);
        let woven = icy.weave(0, vec!["abcdefghi".into()], title("T"));
        let bytes: Vec<u8> = woven.pieces().flatten().copied().collect();
        let told = [b"abcd".as_slice(), &block("T"), b"efgh", b"\0", b"i"].concat();
        assert_eq!(bytes, told);
        assert_eq!(icy.advance(&woven, bytes.len()), 9);
    }

    #[test]
    fn a_block_once_begun_is_finished_with_its_old_title() {
        let mut icy = Interleaver::every(2);
        let woven = icy.weave(0, vec!["abc".into()], title("old"));
        assert_eq!(icy.advance(&woven, 5), 2);
        let rest = icy.weave(2, Vec::new(), title("new"));
        let bytes: Vec<u8> = rest.pieces().flatten().copied().collect();
        assert_eq!(bytes, block("old")[3..]);
        assert_eq!(icy.advance(&rest, bytes.len()), 0);
        let after = icy.weave(2, vec!["cde".into()], title("new"));
        let bytes: Vec<u8> = after.pieces().flatten().copied().collect();
        assert_eq!(bytes, [b"cd".as_slice(), &block("new"), b"e"].concat());
    }

    proptest! {
        #[test]
        fn whatever_the_writes_the_player_gets_audio_and_titles(
            interval in 1usize..40,
            audio in prop::collection::vec(any::<u8>(), 0..600),
            pins in prop::collection::btree_map(0u64..600, "[a-c]{0,20}", 0..8),
            steps in prop::collection::vec((1usize..90, 0usize..60), 1..30),
        ) {
            let at = |offset: u64| -> Option<Arc<TitleInfo>> {
                let (_, text) = pins.range(..=offset).next_back()?;
                Some(Arc::new(TitleInfo::plain(text)))
            };
            let (mut icy, mut wire, mut position) = (Interleaver::every(interval), Vec::new(), 0);
            let always = [(90, 1)];
            for (offered, written) in steps.iter().cycle().take(3_000).chain(always.iter().cycle()) {
                let end = audio.len().min(position + offered);
                let chunk = audio[position..end].chunks(7).map(Bytes::copy_from_slice).collect();
                let woven = icy.weave(position as u64, chunk, at);
                let plan: Vec<u8> = woven.pieces().flatten().copied().collect();
                let written = plan.len().min(*written);
                wire.extend_from_slice(&plan[..written]);
                position += icy.advance(&woven, written);
                if plan.is_empty() {
                    break;
                }
            }
            let (heard, titles) = player::separate(&wire, interval);
            prop_assert_eq!(&heard, &audio);
            let (mut told, mut expected) = (None, Vec::new());
            let blocks = audio.len().saturating_sub(1) / interval;
            for place in (1..=blocks).map(|n| (n * interval) as u64) {
                let title = at(place).unwrap_or_default().text.clone();
                expected.push((told.as_ref() != Some(&title)).then(|| title.clone()));
                told = Some(title);
            }
            prop_assert_eq!(titles, expected);
        }
    }
}
