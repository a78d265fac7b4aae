//! The end of what a source has sent, from the last place on where its stream may be joined.
//!
//! A source that waits on standby is heard by no listener, but the headers of its stream pass meanwhile. All that a source
//! sends that may have to wait is therefore scanned, on air too, because it may have to give way.

use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::media::format::detect::Format;
use crate::media::format::joining::{MAX_PROLOGUE_BYTES, Scanned, Trouble};
use crate::media::format::scanner::Scanner;

/// The most bytes that are kept: as much as headers may have, and two pages of Ogg of 64 KiB. Pictures of 2 Mbit/s with a
/// keyframe each 10 s have 2.5 MB between two places on where they may be joined.
const MAX_LEAD_BYTES: usize = MAX_PROLOGUE_BYTES + (128 << 10);

/// The beginning of a ring: what the source has sent before it is on air.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RingLead {
    /// The headers that a decoder needs before the first byte; empty if it needs none.
    pub(super) prologue: Bytes,
    /// The first bytes.
    pub(super) audio: Bytes,
}

/// Follows a stream whose listeners need a prologue.
#[derive(Debug)]
pub(super) struct LeadScanner {
    format: Format,
    scanner: Scanner,
    began: Instant,
    /// The offset of the first byte that is kept.
    from: u64,
    /// The bytes from the last mark on.
    kept: BytesMut,
    /// The prologue that holds at the last mark.
    prologue: Bytes,
    /// The last prologue; it may hold only after that mark.
    newest: Bytes,
}

impl LeadScanner {
    /// A scanner from the stream's first byte on; `None` if the format has no prologues.
    pub(super) fn new(format: Option<Format>, now: Instant) -> Option<Self> {
        let format = format.filter(|format| format.has_prologues())?;
        Some(Self {
            format,
            scanner: Scanner::for_content_type(format.media_type(), 0),
            began: now,
            from: 0,
            kept: BytesMut::new(),
            prologue: Bytes::new(),
            newest: Bytes::new(),
        })
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Instant) {
        self.kept.extend_from_slice(bytes);
        let mut from = self.from;
        let arrived = now.saturating_duration_since(self.began);
        self.scanner.feed(bytes, arrived, |scanned| match scanned {
            Scanned::Prologue(prologue) => self.newest = prologue.bytes,
            // What it is the beginning of may have been too long to be kept.
            Scanned::Mark(mark) if mark.offset < from => {}
            Scanned::Mark(mark) => {
                from = mark.offset;
                self.prologue = self.newest.clone();
            }
            Scanned::Comment(_) | Scanned::Anew(_) => {}
        });
        let before = usize::try_from(from - self.from).unwrap_or(usize::MAX);
        self.drop_before(before.min(self.kept.len()));
        if self.kept.len() > MAX_LEAD_BYTES {
            self.prologue = self.newest.clone();
            self.drop_before(self.kept.len());
        }
    }

    /// Why listeners that come late may not decode the stream as it is now.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.scanner.trouble()
    }

    /// Forgets what has come: from now on it is this.
    pub(super) fn begin_anew(&mut self, lead: &RingLead, now: Instant) {
        if let Some(anew) = Self::new(Some(self.format), now) {
            *self = anew;
        }
        self.feed(&lead.prologue, now);
        self.feed(&lead.audio, now);
    }

    /// The beginning of a ring whose next byte is the next one to be fed.
    pub(super) fn lead(&self) -> RingLead {
        RingLead {
            prologue: self.prologue.clone(),
            audio: Bytes::copy_from_slice(&self.kept),
        }
    }

    fn drop_before(&mut self, bytes: usize) {
        self.kept.advance(bytes);
        self.from += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::format::ogg::page::samples::{opus, opus_heads, page, vorbis_first};

    fn fed(pieces: &[&[u8]]) -> LeadScanner {
        let now = Instant::now();
        let mut scanner = LeadScanner::new(Some(Format::Ogg), now).unwrap();
        for piece in pieces {
            scanner.feed(piece, now + Duration::from_secs(1));
        }
        scanner
    }

    fn lead(prologue: &[u8], audio: &[u8]) -> RingLead {
        RingLead {
            prologue: Bytes::copy_from_slice(prologue),
            audio: Bytes::copy_from_slice(audio),
        }
    }

    fn sound(serial: u32, end_s: u64) -> Vec<u8> {
        page(serial, 0, end_s * 48_000, &[end_s as u8; 300])
    }

    #[test]
    fn only_a_format_with_header_pages_is_followed() {
        let now = Instant::now();
        for (format, is_followed) in [
            (Format::Mpeg, false),
            (Format::Adts, false),
            (Format::Loas, false),
            (Format::Ogg, true),
            (Format::Ebml, true),
            (Format::Flac, true),
            (Format::Ts, true),
        ] {
            let scanner = LeadScanner::new(Some(format), now);
            assert_eq!(scanner.is_some(), is_followed, "{format:?}");
        }
        assert!(LeadScanner::new(None, now).is_none());
    }

    #[test]
    fn a_lead_begins_at_the_last_page_that_is_known_to_be_one() {
        let stream = opus(1, &[1, 2, 3]);
        let kept = [sound(1, 2), sound(1, 3)].concat();
        for piece_bytes in [1, 100, stream.len()] {
            let pieces: Vec<&[u8]> = stream.chunks(piece_bytes).collect();
            assert_eq!(fed(&pieces).lead(), lead(&opus_heads(1), &kept));
        }
        let cut = &stream[..stream.len() - 100];
        let kept = &kept[..kept.len() - 100];
        assert_eq!(fed(&[cut]).lead(), lead(&opus_heads(1), kept));
    }

    #[test]
    fn a_lead_in_the_header_pages_begins_before_the_first_one() {
        let link = opus_heads(2);
        let before = opus(1, &[1, 2]);
        // The header pages may still turn out to be a mistake.
        for begun in [&link[..], &link[..link.len() / 2]] {
            let kept = [&sound(1, 2), begun].concat();
            assert_eq!(fed(&[&before, begun]).lead(), lead(&opus_heads(1), &kept));
        }
        assert_eq!(fed(&[&link]).lead(), lead(b"", &link));
        assert_eq!(fed(&[b""]).lead(), RingLead::default());
    }

    #[test]
    fn a_new_link_has_its_own_prologue() {
        let stream = [opus(1, &[1, 2]), opus(2, &[1, 2])].concat();
        let kept = [sound(2, 1), sound(2, 2)].concat();
        assert_eq!(fed(&[&stream]).lead(), lead(&opus_heads(2), &kept));
    }

    #[test]
    fn pages_that_cannot_be_joined_do_not_pile_up() {
        let continued = page(1, 1, 96_000, &[7; 60_000]);
        let mut scanner = fed(&[&opus(1, &[1, 2])]);
        for _ in 0..2 * MAX_LEAD_BYTES / continued.len() {
            scanner.feed(&continued, Instant::now());
            assert!(scanner.kept.len() <= MAX_LEAD_BYTES);
        }
        assert_eq!(scanner.lead().prologue, opus_heads(1));
    }

    #[test]
    fn a_link_whose_beginning_is_not_kept_is_led_by_its_headers() {
        let continued = page(1, 1, 96_000, &[7; 60_000]).repeat(4);
        let mut heads = vorbis_first(2, 44_100);
        heads.extend(page(2, 0, u64::MAX, &[3; 255 * 255]));
        heads.extend(page(2, 1, u64::MAX, &[3; 255 * 255]).repeat(62));
        heads.extend([page(2, 1, 0, b"end"), page(2, 0, 0, b"\x05vorbis")].concat());
        assert!(heads.len() < MAX_PROLOGUE_BYTES && continued.len() + heads.len() > MAX_LEAD_BYTES);
        let stream = [&opus(1, &[1, 2])[..], &continued, &heads].concat();
        let pieces: Vec<&[u8]> = stream.chunks(50_000).collect();
        let kept = [sound(2, 1), sound(2, 2)].concat();
        let found = fed(&[&pieces[..], &[&kept[..]]].concat()).lead();
        assert_eq!(found.audio, kept);
        assert!(found.prologue == heads);
    }

    #[test]
    fn headers_that_are_too_long_are_trouble() {
        assert_eq!(fed(&[&opus(1, &[1, 2, 3])]).trouble(), None);
        let mut stream = vorbis_first(1, 44_100);
        let picture = page(1, 1, u64::MAX, &[7; 255 * 250]);
        stream.extend(picture.repeat(MAX_PROLOGUE_BYTES / picture.len() + 1));
        let scanner = fed(&[&stream, &sound(1, 1)]);
        assert_eq!(scanner.trouble(), Some(Trouble::HeadersTooLong));
        assert!(scanner.lead().prologue.is_empty());
    }
}
