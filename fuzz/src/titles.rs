//! Titles in the bytes of a stream.

use std::sync::Arc;

use antiphon::media::icy::{Interleaver, METAINT, block};
use antiphon::model::title::TitleInfo;
use bytes::Bytes;

/// A length byte and so many units of 16 bytes.
const UNIT: usize = 16;

/// A title of any letters makes a whole block of one line, and audio comes out as it went in, with blocks in between.
pub fn icy(data: &[u8]) {
    let (text, url) = data.split_at(data.len() / 2);
    let title = TitleInfo::plain(&String::from_utf8_lossy(text));
    let title = Arc::new(title.with_url(&String::from_utf8_lossy(url)));
    let told = block(&title);
    assert_eq!(told.len(), 1 + usize::from(told[0]) * UNIT);
    assert!(!told[1..].contains(&b'\r') && !told[1..].contains(&b'\n'));
    let audio = Bytes::from(vec![7; 2 * METAINT + data.len()]);
    let woven = Interleaver::default().weave(0, vec![audio.clone()], |_| Some(Arc::clone(&title)));
    let bytes: Vec<u8> = woven.pieces().flat_map(|it| it.iter().copied()).collect();
    let blocks = (audio.len() - 1) / METAINT;
    assert!(bytes.len() >= audio.len() + blocks);
    assert_eq!(bytes[METAINT..METAINT + told.len()], told[..]);
}
