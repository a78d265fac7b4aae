//! The whole frames or pages of a file, to be sent before a stream.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::adts::AdtsHead;
use super::detect::Format;
use super::flac::{FlacScanner, is_whole_frame};
use super::frames::{FrameHead, Frames};
use super::joining::{Scanned, StreamStart};
use super::loas::LoasHead;
use super::mpeg::MpegHead;
use super::ogg::{FoundPage, Keep, PageScanner, page};
use super::walker::Walker;

/// The length of an ID3v1 tag, which stands at the end of a file.
const ID3V1_BYTES: usize = 128;

/// The parts of a file that a decoder wants whole, in order: frames or pages. Tags, and what is cut off or damaged, are no
/// part. The first part of FLAC is its headers.
///
/// `None` if there is no such part, or if the format does not let a stream follow a file.
pub fn whole_units(file: &[u8], format: Format) -> Option<Vec<Range<usize>>> {
    let units = match format {
        Format::Mpeg => frames::<MpegHead>(file),
        Format::Adts => frames::<AdtsHead>(file),
        Format::Loas => frames::<LoasHead>(file),
        Format::Ogg => pages(file),
        Format::Flac => flac(file),
        Format::Ebml | Format::Ts => Vec::new(),
    };
    (!units.is_empty()).then_some(units)
}

/// The frames of a format in which each says how long it is.
fn frames<H: FrameHead>(file: &[u8]) -> Vec<Range<usize>> {
    let (mut frames, mut units) = (Frames::<H>::new(0), Vec::new());
    frames.scan(file, Duration::ZERO, |start| {
        let begin = start.offset as usize;
        units.push(begin..begin.saturating_add(start.frame_bytes));
    });
    units.retain(|unit| unit.end <= file.len());
    units
}

/// The pages of Ogg whose checksum is right.
fn pages(file: &[u8]) -> Vec<Range<usize>> {
    let (mut scanner, mut units) = (PageScanner::new(0, Keep::All), Vec::new());
    let mut take = |page: FoundPage<'_>| {
        if page::is_whole(page.bytes) {
            let begin = page.offset as usize;
            units.push(begin..begin + page.bytes.len());
        }
        Keep::All
    };
    scanner.feed(file, &mut take);
    scanner.finish().map(&mut take);
    units
}

/// The headers of FLAC, and the frames whose checksum is right.
fn flac(file: &[u8]) -> Vec<Range<usize>> {
    let start = StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    };
    let (mut begins, mut units) = (Vec::new(), Vec::new());
    if let Some(mut scanner) = FlacScanner::in_the_middle(&start) {
        scanner.feed(file, Duration::ZERO, &mut |scanned| match scanned {
            Scanned::Mark(mark) => begins.push(mark.offset as usize),
            Scanned::Prologue(_) | Scanned::Comment(_) | Scanned::Anew(_) => {}
        });
    }
    // Where the last frame ends, only its checksum tells: a tag may follow.
    let ends = [file.len().saturating_sub(ID3V1_BYTES), file.len()];
    for (at, begin) in begins.iter().enumerate() {
        let ends = match begins.get(at + 1) {
            Some(next) => &[*next][..],
            None => &ends[..],
        };
        let is_whole = |end: &&usize| {
            let unit = file.get(*begin..**end).unwrap_or_default();
            unit.starts_with(b"fLaC") || is_whole_frame(unit)
        };
        units.extend(ends.iter().find(is_whole).map(|end| *begin..*end));
    }
    units
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::flac::samples as flac_samples;
    use super::super::mpeg::samples as mpeg_samples;
    use super::super::ogg::page::samples as ogg_samples;
    use super::super::{adts, loas};
    use super::*;

    const TAG: [u8; ID3V1_BYTES] = {
        let mut tag = [b' '; ID3V1_BYTES];
        (tag[0], tag[1], tag[2]) = (b'T', b'A', b'G');
        tag
    };

    /// The parts of a file, in order.
    fn parts(file: &[u8], format: Format) -> Vec<&[u8]> {
        let units = whole_units(file, format).expect("a part");
        units.into_iter().map(|unit| &file[unit]).collect()
    }

    #[test]
    fn tags_and_a_cut_end_are_no_part() {
        let id3 = b"ID3\x04\0\0\0\0\0\x05fLaC!";
        let frames = mpeg_samples::frames(4);
        let file = [&id3[..], &frames[..], &TAG].concat();
        assert_eq!(parts(&file, Format::Mpeg).concat(), frames);
        let cut = &file[..id3.len() + frames.len() - 1];
        assert_eq!(parts(cut, Format::Mpeg).concat(), frames[..3 * 417]);
        for (frames, format) in [
            (adts::samples::frames(4), Format::Adts),
            (loas::samples::frames(4), Format::Loas),
        ] {
            let file = [&id3[..], &frames[..], &TAG].concat();
            assert_eq!(parts(&file, format).concat(), frames);
            let cut = &file[..id3.len() + frames.len() - 1];
            assert_eq!(parts(cut, format).len(), 3);
        }
        let begun = flac_samples::beginning();
        let frames: Vec<_> = (0..4).map(flac_samples::frame).collect();
        let file = [&id3[..], &begun, &frames.concat(), &TAG].concat();
        let all = [&[begun][..], &frames].concat();
        assert_eq!(parts(&file, Format::Flac), all);
        assert_eq!(parts(&file[..file.len() - ID3V1_BYTES], Format::Flac), all);
        let cut = &file[..file.len() - ID3V1_BYTES - 1];
        assert_eq!(parts(cut, Format::Flac), all[..4]);
    }

    #[test]
    fn damaged_pages_and_frames_are_no_part() {
        let page = |number: u64| ogg_samples::page(1, 0, number, b"sound");
        let mut damaged = page(2);
        damaged[30] ^= 1;
        let file = [page(1), damaged, page(3)].concat();
        assert_eq!(parts(&file, Format::Ogg), [page(1), page(3)]);
        let frame = flac_samples::frame;
        let mut damaged = frame(1);
        damaged[100] ^= 1;
        let begun = flac_samples::beginning();
        let file = [begun.clone(), frame(0), damaged, frame(2), frame(3)].concat();
        assert_eq!(
            parts(&file, Format::Flac),
            [begun, frame(0), frame(2), frame(3)]
        );
    }

    #[test]
    fn nothing_is_found_where_nothing_may_be_sent() {
        for format in [
            Format::Mpeg,
            Format::Ogg,
            Format::Flac,
            Format::Ebml,
            Format::Ts,
        ] {
            assert_eq!(whole_units(b"", format), None);
            assert_eq!(whole_units(&[0xFF; 5_000], format), None);
        }
        let film = super::super::ts::samples::tables(&[]);
        assert_eq!(whole_units(&film.repeat(9), Format::Ts), None);
    }

    proptest! {
        #[test]
        fn parts_are_in_order_and_in_the_file(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0..2_000_usize,
        ) {
            let mut file = flac_samples::beginning();
            file.extend(flac_samples::frames(0..6));
            file.splice(cut.min(file.len()).., bytes);
            for format in [Format::Mpeg, Format::Adts, Format::Loas, Format::Ogg, Format::Flac] {
                let mut end = 0;
                for unit in whole_units(&file, format).unwrap_or_default() {
                    prop_assert!(end <= unit.start && unit.start < unit.end && unit.end <= file.len());
                    end = unit.end;
                }
            }
        }
    }
}
