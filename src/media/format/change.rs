//! Notices that a stream goes on in another format than the one it began with.
//!
//! An encoder that is set to another format should connect anew. Some do not, and others are a script that sends one file
//! after another. Nobody can decode what comes then under the type that listeners were told.

use bytes::BytesMut;
use memchr::memmem;

use super::detect::{Format, LOOK_BYTES, within};
use super::ebml;

/// By so many bytes the beginning of a format is told from others: the first page of Ogg with its first packet, the
/// header of EBML with the kind of document, the mark of FLAC with its first block.
const BEGINNING_BYTES: usize = 64;

/// FLAC within Ogg: its word is behind these bytes, the version of the mapping and the number of headers.
const MAPPED: &[u8] = b"\x7FFLAC";
const MAPPED_HEAD_BYTES: usize = MAPPED.len() + 4;

/// The words that formats begin with.
const WORDS: [(&[u8], Format); 3] = [
    (b"OggS\0", Format::Ogg),
    (b"\x1A\x45\xDF\xA3", Format::Ebml),
    (b"fLaC", Format::Flac),
];

/// A change of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatChange {
    /// The new format.
    pub to: Format,
    /// How many of the bytes that were fed last come before the change, as far as that is known.
    pub before: usize,
}

/// Looks for another format in a stream.
#[derive(Debug)]
pub struct ChangeWatch {
    format: Format,
    /// The last bytes, in which a beginning may be cut.
    tail: Vec<u8>,
    /// The format whose beginning was seen last. It may be a part of this one: Ogg and Matroska carry FLAC.
    begun: Option<Format>,
    /// The bytes since nothing of the format is found any more, until there are enough to tell by them.
    strange: BytesMut,
}

impl ChangeWatch {
    /// Watches a stream of this format from its first byte on.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            tail: Vec::new(),
            begun: None,
            strange: BytesMut::new(),
        }
    }

    /// Takes the next bytes. The stream `is_lost` when so much came that is not of its format that it may be of another
    /// one. Frames of MPEG and AAC carry nothing else: there the beginning of another format is enough.
    pub fn feed(&mut self, bytes: &[u8], is_lost: bool) -> Option<FormatChange> {
        if let Some((to, before)) = self.beginning(bytes) {
            if matches!(self.format, Format::Mpeg | Format::Adts | Format::Loas) {
                return Some(FormatChange { to, before });
            }
            self.begun = Some(to);
        }
        if !is_lost {
            self.strange.clear();
            return None;
        }
        let to = self.begun.or_else(|| self.found_within(bytes))?;
        (to != self.format).then_some(FormatChange { to, before: 0 })
    }

    /// The format that begins in these bytes, or began in those before them, and how many of these are before it.
    fn beginning(&mut self, bytes: &[u8]) -> Option<(Format, usize)> {
        let known_bytes = self.tail.len();
        self.tail.extend_from_slice(bytes);
        let others = WORDS.iter().filter(|(_, format)| *format != self.format);
        let found = others.filter_map(|(word, format)| {
            let mut places = memmem::find_iter(&self.tail, word);
            let place = places.find(|at| {
                let was_seen = at + BEGINNING_BYTES <= known_bytes;
                let (before, rest) = self.tail.split_at(*at);
                !was_seen && begins(rest, *format) && !self.is_carried(before)
            })?;
            Some((*format, place.saturating_sub(known_bytes)))
        });
        let first = found.min_by_key(|(_, place)| *place);
        let kept = self
            .tail
            .len()
            .min(ebml::MAX_PRIVATE_HEAD_BYTES + BEGINNING_BYTES - 1);
        self.tail.drain(..self.tail.len() - kept);
        first
    }

    /// Whether what begins behind these bytes is a part of the stream.
    fn is_carried(&self, before: &[u8]) -> bool {
        match self.format {
            // The private data of FLAC is the beginning of FLAC.
            Format::Ebml => ebml::ends_with_private_head(before),
            Format::Ogg => is_mapped(before),
            _ => false,
        }
    }

    fn found_within(&mut self, bytes: &[u8]) -> Option<Format> {
        let wanted = LOOK_BYTES - self.strange.len();
        self.strange
            .extend_from_slice(&bytes[..bytes.len().min(wanted)]);
        within(&self.strange)
    }
}

/// Whether what begins behind these bytes is FLAC within Ogg.
fn is_mapped(before: &[u8]) -> bool {
    let head = before.last_chunk::<MAPPED_HEAD_BYTES>();
    head.is_some_and(|head| head.starts_with(MAPPED))
}

/// Whether a format begins here, behind its word, for certain.
fn begins(bytes: &[u8], format: Format) -> bool {
    let Some(begun) = bytes.get(..BEGINNING_BYTES) else {
        return false;
    };
    match format {
        // The first page of a stream: flags, the clock at 0, any serial number, the number 0.
        Format::Ogg => begun[5] == 2 && begun[6..14] == [0; 8] && begun[18..22] == [0; 4],
        Format::Ebml => [&b"webm"[..], b"matroska"]
            .iter()
            .any(|kind| memmem::find(begun, kind).is_some()),
        // The first block describes the stream, and has 34 bytes.
        Format::Flac => begun[4] & 0x7F == 0 && begun[5..8] == [0, 0, 34],
        Format::Mpeg | Format::Adts | Format::Loas | Format::Ts => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::pieces;
    use super::super::{adts, ebml, flac, loas, mpeg, ogg, ts};
    use super::*;

    /// Some 20 kB of a format, from its beginning on.
    fn stream(format: Format) -> Vec<u8> {
        match format {
            Format::Mpeg => mpeg::samples::frames(50),
            Format::Adts => adts::samples::frames(70),
            Format::Loas => loas::samples::frames(100),
            Format::Ogg => ogg::page::samples::opus(1, &(1..60).collect::<Vec<u64>>()),
            Format::Ebml => {
                let heads = ebml::samples::heads(&[ebml::samples::audio_track(1)]);
                let clusters = (0..900)
                    .map(|at| ebml::samples::cluster(at * 20, &[ebml::samples::block(1, 0, true)]));
                heads.into_iter().chain(clusters.flatten()).collect()
            }
            Format::Flac => [flac::samples::beginning(), flac::samples::frames(0..400)].concat(),
            Format::Ts => {
                let sounds = (0..200).flat_map(|at| ts::samples::sound(at * 2_000));
                let tables = ts::samples::tables(&[(0x0F, 0x101)]);
                tables.into_iter().chain(sounds).collect()
            }
        }
    }

    /// The change that is noticed in pieces, and how many bytes were before it.
    fn noticed(format: Format, pieces: &[&[u8]], is_lost: bool) -> Option<(Format, usize)> {
        let (mut watch, mut fed) = (ChangeWatch::new(format), 0);
        for piece in pieces {
            if let Some(change) = watch.feed(piece, is_lost) {
                return Some((change.to, fed + change.before));
            }
            fed += piece.len();
        }
        None
    }

    #[test]
    fn no_format_is_taken_for_another() {
        for format in Format::ALL {
            let stream = stream(format);
            assert!(stream.len() > LOOK_BYTES, "{format:?}");
            assert_eq!(noticed(format, &[&stream], false), None, "{format:?}");
            assert_eq!(noticed(format, &[&stream], true), None, "{format:?}");
        }
    }

    #[test]
    fn frames_end_where_another_format_begins() {
        for from in [Format::Mpeg, Format::Adts, Format::Loas] {
            for to in [Format::Ogg, Format::Ebml, Format::Flac] {
                let (before, after) = (stream(from), stream(to));
                let bytes = [&before[..], &after].concat();
                let found = noticed(from, &[&bytes], false);
                assert_eq!(found, Some((to, before.len())), "{from:?} to {to:?}");
                // Cut within the beginning, a few of its bytes have gone.
                let cut = before.len() + 10;
                let found = noticed(from, &[&bytes[..cut], &bytes[cut..]], false);
                assert_eq!(found, Some((to, cut)), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_lost_stream_is_looked_at_for_any_format() {
        for from in Format::ALL {
            for to in Format::ALL.into_iter().filter(|to| *to != from) {
                let (mut watch, strange) = (ChangeWatch::new(from), stream(to));
                // All but the containers are found from their middle on; these are found by their beginning.
                let has_word = WORDS.iter().any(|(_, format)| *format == to);
                if has_word {
                    let at_once = watch.feed(&strange[..500], false);
                    let change = at_once.or_else(|| watch.feed(&strange[500..], true));
                    assert_eq!(change.map(|it| it.to), Some(to), "{from:?} to {to:?}");
                } else {
                    assert_eq!(
                        watch.feed(&strange[..500], false),
                        None,
                        "{from:?} to {to:?}"
                    );
                    let mut found = strange[500..].chunks(1_000).map(|it| watch.feed(it, true));
                    let change = found.find_map(|it| it).map(|it| it.to);
                    assert_eq!(change, Some(to), "{from:?} to {to:?}");
                }
            }
        }
    }

    #[test]
    fn what_a_container_carries_is_no_change() {
        let carried = [stream(Format::Ogg), stream(Format::Flac)].concat();
        assert_eq!(noticed(Format::Ogg, &[&carried], false), None);
    }

    #[test]
    fn flac_in_matroska_is_no_change_though_the_stream_is_damaged() {
        let private = ebml::samples::element(0x63A2, &flac::samples::beginning());
        let track = ebml::samples::track(1, 2, "A_FLAC", &private);
        let heads = ebml::samples::heads(&[track]);
        let damaged = [&heads[..], &[0xA5; 500]].concat();
        for length in [1, 7, 60, 64, damaged.len()] {
            let mut watch = ChangeWatch::new(Format::Ebml);
            assert!(
                damaged
                    .chunks(length)
                    .all(|it| watch.feed(it, false).is_none())
            );
            assert_eq!(watch.feed(&[0xA5; 900], true), None);
            watch.feed(&flac::samples::beginning(), true);
            let change = watch.feed(&flac::samples::frames(0..9), true);
            assert_eq!(change.map(|it| it.to), Some(Format::Flac), "{length}");
        }
    }

    #[test]
    fn what_was_strange_before_the_format_was_found_again_is_forgotten() {
        let mut watch = ChangeWatch::new(Format::Ebml);
        assert_eq!(watch.feed(&vec![0xA5; LOOK_BYTES], true), None);
        assert_eq!(watch.feed(b"sound", false), None);
        let change = watch.feed(&stream(Format::Mpeg), true);
        assert_eq!(change.map(|it| it.to), Some(Format::Mpeg));
    }

    #[test]
    fn flac_within_ogg_is_no_flac_behind_it() {
        let first = [
            b"\x7FFLAC\x01\0\0\x01".as_slice(),
            &flac::samples::beginning(),
        ]
        .concat();
        let ogg = ogg::page::samples::page(1, 2, 0, &first);
        let mut watch = ChangeWatch::new(Format::Ogg);
        for cut in ogg.chunks(7) {
            assert_eq!(watch.feed(cut, false), None);
        }
        assert_eq!(watch.feed(&[0xA5; LOOK_BYTES], true), None, "noise");
        assert_eq!(watch.feed(&ogg, false), None, "it goes on");
        let found = watch.feed(&stream(Format::Mpeg), true);
        assert_eq!(found.map(|it| it.to), Some(Format::Mpeg));
    }

    proptest! {
        #[test]
        fn noise_is_no_format(noise in prop::collection::vec(any::<u8>(), 0..3_000), lengths in prop::collection::vec(1_usize..900, 1..9)) {
            for format in Format::ALL {
                let pieces = pieces(&noise, &lengths);
                prop_assert_eq!(noticed(format, &pieces, true), None);
            }
        }
    }
}
