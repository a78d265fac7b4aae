//! The whole frames or pages of a file that is played by itself, and the first place where it is damaged.

use std::ops::Range;

use super::adts::AdtsHead;
use super::detect::Format;
use super::frames::{FrameHead, FrameVerdict, Stepper};
use super::loas::LoasHead;
use super::mpeg::MpegHead;
use super::ogg::page;

/// So many bytes at the end of a file may be of nothing: a frame or a page that was cut off, or a tag that is not known.
const MOST_AT_END: usize = 64 << 10;

/// The frames or pages of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeFile {
    /// Each of them, in order. Tags and tables of contents are none, and neither is what is cut off at the beginning or the end.
    pub units: Vec<Range<usize>>,
    /// The first byte that belongs to nothing and stands between them.
    pub damaged_at: Option<usize>,
}

/// Walks through a file; `None` if the format is not one of frames or pages that can be repeated.
pub fn walk(file: &[u8], format: Format) -> Option<WholeFile> {
    match format {
        Format::Mpeg => Some(frames::<MpegHead>(file)),
        Format::Adts => Some(frames::<AdtsHead>(file)),
        Format::Loas => Some(frames::<LoasHead>(file)),
        Format::Ogg => Some(pages(file)),
        Format::Flac | Format::Ebml | Format::Ts => None,
    }
}

fn frames<H: FrameHead>(file: &[u8]) -> WholeFile {
    let (mut stepper, mut whole) = (Stepper::<H>::new(), WholeFile::default());
    let (mut at, mut junk_at) = (0, None);
    while let Some(rest @ [_, ..]) = file.get(at..) {
        at += match stepper.step(rest) {
            FrameVerdict::Audio { frame_bytes, .. } => {
                let is_between = !whole.units.is_empty() || at > H::MAX_FRAME_BYTES;
                let damaged_at = junk_at.take().filter(|_| is_between);
                whole.damaged_at = whole.damaged_at.or(damaged_at);
                if frame_bytes <= rest.len() {
                    whole.units.push(at..at + frame_bytes);
                }
                frame_bytes
            }
            FrameVerdict::Info(info_bytes) => info_bytes,
            FrameVerdict::Tag(tag_bytes) => usize::try_from(tag_bytes).unwrap_or(rest.len()),
            FrameVerdict::Junk(junk_bytes) => {
                junk_at.get_or_insert(at);
                junk_bytes
            }
            FrameVerdict::Open(_) => break,
        }
        .min(rest.len());
    }
    let at_end = junk_at.filter(|at| file.len() - at > MOST_AT_END);
    whole.damaged_at = whole.damaged_at.or(at_end);
    whole
}

fn pages(file: &[u8]) -> WholeFile {
    let (mut whole, mut at) = (WholeFile::default(), 0);
    for (head, bytes) in page::consecutive(file) {
        if bytes.len() < head.page_bytes {
            return whole; // cut off at the end
        }
        if !page::is_whole(bytes) {
            whole.damaged_at = Some(at);
            return whole;
        }
        whole.units.push(at..at + bytes.len());
        at += bytes.len();
    }
    let is_cut = file.len() - at < page::MAX_HEAD_BYTES;
    whole.damaged_at = (at < file.len() && !is_cut).then_some(at);
    whole
}

#[cfg(test)]
mod tests {
    use super::super::mpeg::samples as mpeg;
    use super::super::ogg::page::samples as ogg;
    use super::*;

    fn damage(file: &[u8], format: Format) -> (usize, Option<usize>) {
        let whole = walk(file, format).unwrap();
        (whole.units.len(), whole.damaged_at)
    }

    #[test]
    fn tags_and_cut_ends_are_no_damage() {
        let frames = mpeg::frames(10);
        let mut info = mpeg::frame(7);
        info[36..40].copy_from_slice(b"Info");
        let id3 = b"ID3\x04\0\0\0\0\0\x05fLaC!".to_vec();
        let tag = [b"TAG".to_vec(), vec![b' '; 125]].concat();
        let file = [&id3, &info, &frames, &frames[..100], &tag].concat();
        assert_eq!(damage(&file, Format::Mpeg), (10, None));
        let begun_midway = &frames[100..];
        assert_eq!(damage(begun_midway, Format::Mpeg), (9, None));
        let page = ogg::opus(7, &[1, 2, 3]);
        assert_eq!(damage(&page[..page.len() - 9], Format::Ogg), (4, None));
        assert_eq!(walk(&page, Format::Ebml), None);
    }

    #[test]
    fn the_first_damage_is_told() {
        let frames = mpeg::frames(10);
        let holed = [&frames[..4 * 417], &[0x55; 700], &frames].concat();
        assert_eq!(damage(&holed, Format::Mpeg).1, Some(4 * 417));
        let long_noise = [&frames[..], &[0x55; MOST_AT_END + 1]].concat();
        assert_eq!(damage(&long_noise, Format::Mpeg).1, Some(frames.len()));
        let mut page = ogg::opus(7, &[1, 2, 3]);
        let third = ogg::opus(7, &[1]).len();
        page[third + 40] ^= 1;
        assert_eq!(damage(&page, Format::Ogg), (3, Some(third)));
        let behind = [ogg::opus(7, &[1]), vec![0x55; 400]].concat();
        assert_eq!(damage(&behind, Format::Ogg), (3, Some(third)));
    }
}
