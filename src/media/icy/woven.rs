//! Titles that a source has woven into its bytes, as a relay of another server does: taken out again.

use std::num::NonZeroUsize;

use bytes::{Buf as _, BytesMut};

use super::{AFTER, TITLE, URL};
use crate::model::charset::Charset;
use crate::model::title::TitleInfo;

/// Takes the blocks out of a source's bytes.
#[derive(Clone, Debug)]
pub struct Separator {
    interval_bytes: usize,
    /// Bytes of audio before the next block.
    due_in_bytes: usize,
    /// The charset of titles that are not UTF-8.
    charset: Charset,
}

impl Separator {
    /// Separates a stream that has a block behind each `interval_bytes` of audio, from its first byte.
    pub fn new(interval_bytes: NonZeroUsize, charset: Charset) -> Self {
        Self {
            interval_bytes: interval_bytes.get(),
            due_in_bytes: interval_bytes.get(),
            charset,
        }
    }

    /// Moves the audio of the input to `audio`, and returns the last title that was in it. A block that has not come
    /// whole is left in the input: that is never more than one.
    pub fn take(&mut self, input: &mut BytesMut, audio: &mut BytesMut) -> Option<TitleInfo> {
        let mut title = None;
        loop {
            let audio_bytes = self.due_in_bytes.min(input.len());
            audio.unsplit(input.split_to(audio_bytes));
            self.due_in_bytes -= audio_bytes;
            let block_bytes = match input.first() {
                Some(units) => usize::from(*units) * 16,
                None => return title,
            };
            if input.len() <= block_bytes {
                return title;
            }
            input.advance(1);
            let block = input.split_to(block_bytes);
            title = self.title_in(&block).or(title);
            self.due_in_bytes = self.interval_bytes;
        }
    }

    /// The title that a block tells; `None` if it tells none.
    fn title_in(&self, block: &[u8]) -> Option<TitleInfo> {
        let end = block.iter().rposition(|byte| *byte != 0)?;
        let text = self.charset.read(&block[..=end]);
        let told = text.strip_prefix(TITLE)?;
        let (title, url) = match told.rsplit_once(&[AFTER, URL].concat()) {
            Some((title, url)) => (title, before_end(url)),
            None => (before_end(told), ""),
        };
        Some(TitleInfo::plain(title).with_url(url))
    }
}

/// A text without what stands behind it.
fn before_end(text: &str) -> &str {
    text.rsplit_once(AFTER).map_or(text, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block;
    use super::*;

    fn separator(interval_bytes: usize) -> Separator {
        let interval_bytes = NonZeroUsize::new(interval_bytes).unwrap();
        Separator::new(interval_bytes, Charset::default())
    }

    /// The audio of a stream that comes in such pieces, and each title.
    fn separated<'a>(
        interval_bytes: usize,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Vec<TitleInfo>) {
        let mut separator = separator(interval_bytes);
        let (mut input, mut audio) = (BytesMut::new(), BytesMut::new());
        let mut titles = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            titles.extend(separator.take(&mut input, &mut audio));
            assert!(input.len() <= 255 * 16 + 1);
        }
        (audio.to_vec(), titles)
    }

    fn told(block: &[u8]) -> Option<TitleInfo> {
        separator(1).title_in(block)
    }

    #[test]
    fn a_block_tells_the_title_and_its_address() {
        let title = TitleInfo::plain("It's a 'quote'").with_url("http://a/");
        assert_eq!(told(&block(&title)[1..]), Some(title));
        let quotes = told(b"StreamTitle='a'; b';StreamUrl='';\0\0").unwrap();
        assert_eq!((&*quotes.text, &*quotes.url), ("a'; b", ""));
        let cp1252 = told(b"StreamTitle='\xE9t\xE9 \x96';\0").unwrap();
        assert_eq!(cp1252.text, "été –");
        let cut = told(b"StreamTitle='long").unwrap();
        assert_eq!(cut.text, "long");
        assert_eq!(told(b"StreamTitle='';"), Some(TitleInfo::default()));
        for nothing in [&b""[..], b"\0\0", b"StreamUrl='x';", b"\xFF\xFB\x90"] {
            assert_eq!(told(nothing), None);
        }
    }

    proptest! {
        #[test]
        fn titles_come_out_however_the_stream_is_cut(
            interval_bytes in 1_usize..50,
            titles in prop::collection::vec(prop::option::of("[a-zé';]{0,40}"), 0..6),
            piece_bytes in 1_usize..100,
        ) {
            let audio: Vec<u8> = (0..titles.len() * interval_bytes).map(|it| it as u8).collect();
            let infos: Vec<Option<TitleInfo>> =
                titles.iter().map(|it| it.as_ref().map(|it| TitleInfo::plain(it))).collect();
            let mut stream = Vec::new();
            for (part, info) in audio.chunks(interval_bytes).zip(&infos) {
                stream.extend_from_slice(part);
                match info {
                    Some(info) => stream.extend_from_slice(&block(info)),
                    None => stream.push(0),
                }
            }
            let expected = infos.iter().flatten().map(|it| told(&block(it)[1..]).unwrap());
            let expected: Vec<TitleInfo> = expected.collect();
            let (found, last) = separated(interval_bytes, stream.chunks(piece_bytes));
            prop_assert_eq!(&found, &audio);
            prop_assert_eq!(last.last(), expected.last());
            let (found, each) = separated(interval_bytes, stream.chunks(1));
            prop_assert_eq!(&found, &audio);
            prop_assert_eq!(each, expected);
        }
    }
}
