//! No listener gets a byte beyond the edge, wherever a stream is cut.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::media::format::{adts, ebml, flac, mpeg, ogg, ts};

/// A stream in the units that a decoder takes whole, the headers first.
struct Units {
    content_type: &'static str,
    units: Vec<Vec<u8>>,
}

/// Ten seconds or so of each format. A stream that is left goes on as its units say; `turn` tells two streams apart.
fn formats(turn: u32) -> Vec<Units> {
    let numbers = 40 * turn..40 * turn + 40;
    let opus = ogg::page::samples::opus(turn, &(1..=10).collect::<Vec<u64>>());
    let begins = (1..opus.len()).filter(|at| opus[*at..].starts_with(b"OggS"));
    let pages = cut_at(&opus, begins);
    let flac = [flac::samples::beginning()];
    let flac = flac
        .into_iter()
        .chain(numbers.clone().map(|n| flac::samples::frame(n.into())));
    let cluster = |at: u32| {
        let sound = [0, 20, 40].map(|ticks| ebml::samples::block(1, ticks, true));
        ebml::samples::cluster(at * 60, &sound)
    };
    let webm = [ebml::samples::heads(&[ebml::samples::audio_track(1)])];
    let clusters = webm.into_iter().chain(numbers.clone().map(cluster));
    let picture = |at: u32| {
        // As much as there is room for: a packet that is padded is the last one of its picture.
        let body = [&b"\0\0\x01\x65"[..], &[0x5A; 158]].concat();
        let begun = ts::samples::picture(u64::from(at) * 3_600, &body);
        [begun, ts::samples::rest(ts::samples::VIDEO)].concat()
    };
    let tables = [ts::samples::tables(&[ts::samples::H264])];
    let pictures = tables.into_iter().chain(numbers.clone().map(picture));
    let aac = numbers
        .clone()
        .map(|n| adts::samples::frame(200 + n as usize));
    [
        ("audio/mpeg", numbers.map(mpeg::samples::frame).collect()),
        ("audio/aac", aac.collect()),
        ("audio/ogg", pages),
        ("audio/flac", flac.collect()),
        ("audio/webm", clusters.collect()),
        ("video/mp2t", pictures.collect()),
    ]
    .map(|(content_type, units)| Units {
        content_type,
        units,
    })
    .into()
}

fn cut_at(stream: &[u8], places: impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
    let mut from = 0;
    let mut parts: Vec<Vec<u8>> = places
        .map(|to| stream[std::mem::replace(&mut from, to)..to].to_vec())
        .collect();
    parts.push(stream[from..].to_vec());
    parts
}

impl Units {
    fn bytes(&self) -> Vec<u8> {
        self.units.concat()
    }

    /// Whether these are the first units, all of them whole.
    fn begin_with(&self, heard: &[u8]) -> bool {
        let mut ends = self.units.iter().scan(0, |end, unit| {
            *end += unit.len();
            Some(*end)
        });
        let is_whole = heard.is_empty() || ends.any(|end| end == heard.len());
        is_whole && self.bytes().starts_with(heard)
    }
}

/// Takes what there is, in reads of this length.
fn hear(reader: &mut ChannelReader, at_most: usize, heard: &mut Vec<u8>) {
    while let Read::Bytes(pieces) = reader.read(at_most) {
        let bytes = pieces.concat();
        reader.advance(bytes.len() as u64);
        heard.extend(bytes);
        assert!(reader.position() <= reader.feed().edge());
    }
}

proptest! {
    #[test]
    fn a_listener_hears_whole_units_wherever_a_stream_is_cut(
        which in 0usize..6,
        killed_at in any::<Index>(),
        pieces in prop::collection::vec(1usize..3_000, 1..20),
        at_most in 1usize..5_000,
        is_left in any::<bool>(),
    ) {
        let units = &formats(1)[which];
        let (stream, headers) = (units.bytes(), units.units[0].len());
        let killed_at = headers + killed_at.index(stream.len() - headers);
        let a = feed(1, units.content_type);
        let (channel, mut heard) = (Channel::new(a.clone()), Vec::new());
        let mut reader = channel.join(BURST);
        let (mut rest, mut pieces) = (&stream[..killed_at], pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
            rest = after;
            append(&a, piece);
            hear(&mut reader, at_most, &mut heard);
        }
        if is_left {
            let next = feed(2, units.content_type);
            append(&next, &formats(2)[which].bytes());
            channel.switch_to(&next);
            append(&a, &stream[killed_at..]);
            let left_at = channel.left().get(&StreamId(1)).copied();
            while (heard.len() as u64) < left_at.unwrap_or_default()
                && let Read::Bytes(pieces) = reader.read(1)
            {
                reader.advance(1);
                heard.extend(pieces.concat());
            }
            match units.content_type {
                "audio/webm" => prop_assert_eq!(reader.read(at_most), Read::Ended),
                _ => prop_assert_eq!(left_at, Some(heard.len() as u64)),
            }
        } else {
            a.end(EndReason::Lost);
            hear(&mut reader, at_most, &mut heard);
            prop_assert_eq!(reader.read(at_most), Read::Ended);
        }
        prop_assert!(units.begin_with(&heard), "{} of {}", heard.len(), units.content_type);
        let longest = units.units[1..].iter().map(Vec::len).max().unwrap();
        prop_assert!(killed_at - heard.len() <= 3 * longest, "no more is held back than is needed");
    }
}
