//! Streams of MPEG-TS in usual and unusual orders, and cut at any byte.

use proptest::prelude::*;

use super::samples::{
    AAC, AUDIO, H264, KEY, MAP, Made, NO_KEY, VIDEO, described_pmt, pat, pes, picture, pmt, rest,
    sound, table, tables,
};
use super::*;
use crate::media::format::samples::pieces;

/// The ticks of a tenth of a second.
const TICKS: u64 = 9_000;

fn at_first() -> StreamStart {
    StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    }
}

/// Everything that is found in a stream, and the scanner afterwards. Its edge never falls, and what it holds is bounded.
fn scan<'a>(
    start: &StreamStart,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (TsScanner, Vec<Scanned>) {
    let mut scanner = TsScanner::in_the_middle(start).expect("a start");
    let (mut found, mut edge) = (Vec::new(), 0);
    for piece in pieces {
        scanner.feed(piece, Duration::ZERO, &mut |scanned| found.push(scanned));
        assert!(scanner.held.len() < ROW_BYTES);
        assert!((edge..=scanner.next()).contains(&scanner.edge()));
        edge = scanner.edge();
    }
    (scanner, found)
}

/// A scanner that was fed a whole stream, and the marks that it found: offsets in packets, and times in milliseconds.
fn marks(stream: &[u8]) -> (TsScanner, Vec<(u64, u128)>) {
    let (scanner, found) = scan(&at_first(), [stream]);
    let mark = |scanned: &Scanned| match scanned {
        Scanned::Mark(mark) => {
            assert_eq!(mark.offset % PACKET_BYTES as u64, 0);
            Some((
                mark.offset / PACKET_BYTES as u64,
                mark.media_time.as_millis(),
            ))
        }
        _ => None,
    };
    let marks = found.iter().filter_map(mark).collect();
    (scanner, marks)
}

/// The prologues of a stream: where they begin to hold, in packets, and their bytes. Enough packets follow it.
fn prologues(stream: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let found = scan(&at_first(), [stream, &rest(9).repeat(PACKETS_IN_STEP)]).1;
    let prologue = |scanned: &Scanned| match scanned {
        Scanned::Prologue(prologue) => Some((
            prologue.offset / PACKET_BYTES as u64,
            prologue.bytes.to_vec(),
        )),
        _ => None,
    };
    found.iter().filter_map(prologue).collect()
}

/// A film of so many tenths of a second, after its tables: a picture and sound in each, and a key picture each second.
fn film(tenths: u64) -> Vec<u8> {
    let tenth = |at: u64| {
        let body = if at.is_multiple_of(10) { KEY } else { NO_KEY };
        [
            picture(at * TICKS, body),
            rest(VIDEO),
            sound(at * TICKS),
            rest(AUDIO),
        ]
        .concat()
    };
    (0..tenths).flat_map(tenth).collect()
}

#[test]
fn a_film_is_joined_at_its_key_pictures() {
    let stream = [tables(&[H264, AAC]), film(21)].concat();
    let (scanner, marks) = marks(&stream);
    assert_eq!(marks, [(2, 0), (42, 1_000), (82, 2_000)]);
    assert_eq!(prologues(&stream), [(2, tables(&[H264, AAC]))]);
    assert_eq!(scanner.edge(), 82 * 188);
    assert_eq!(scanner.media_time(), Some(Duration::from_secs(2)));
    let format = scanner.format().unwrap();
    assert_eq!(
        (format.container, format.codec),
        (Container::Mpegts, CodecName::Aac)
    );
    assert_eq!((format.sample_rate_hz, format.channels), (44_100, 2));
    assert_eq!(format.video.map(|video| video.codec), Some(CodecName::H264));
    assert!(scanner.trouble().is_none() && !scanner.is_lost());
}

#[test]
fn sound_alone_is_joined_wherever_a_piece_of_it_begins() {
    let sound = |at: u64| [sound(at * TICKS), rest(AUDIO)].concat();
    let sounds: Vec<u8> = (0..3).flat_map(sound).collect();
    let (scanner, marks) = marks(&[tables(&[AAC]), sounds].concat());
    assert_eq!(marks, [(2, 0), (4, 100), (6, 200)]);
    assert_eq!(scanner.edge(), 6 * 188);
    assert_eq!(scanner.format().unwrap().video, None);
}

#[test]
fn a_packet_may_say_that_it_can_be_joined() {
    let made = Made {
        pid: VIDEO,
        begins: true,
        is_random_access: true,
        payload: &pes(0, NO_KEY),
        ..Made::default()
    };
    let later = Made {
        begins: false,
        ..made
    };
    let elsewhere = Made { pid: AUDIO, ..made };
    let packets = [made, later, elsewhere].map(Made::packet).concat();
    let stream = [tables(&[H264, AAC]), packets].concat();
    assert_eq!(marks(&stream).1, [(2, 0)]);
}

#[test]
fn key_pictures_are_known_by_their_first_bytes() {
    for (kind, body, is_key) in [
        (0x01, &b"\0\0\x01\xB3\x0A\x00\x78"[..], true),
        (0x02, b"\0\0\x01\xB3", true),
        (0x02, b"\0\0\x01\x00\0\0\x01", false),
        (0x1B, b"\0\0\x01\x65", true),
        (0x1B, b"\0\0\x01\x06\x01\0\0\x01\x61", false),
        (0x24, b"\0\0\x01\x46\x01\0\0\x01\x40\x01", true),
        (0x24, b"\0\0\x01\x2A", true),
        (0x24, b"\0\0\x01\x02", false),
        (0x10, b"\0\0\x01\xB3", false),
    ] {
        let stream = [
            tables(&[(kind, VIDEO)]),
            picture(0, body),
            rest(VIDEO).repeat(2),
        ]
        .concat();
        assert_eq!(
            marks(&stream).1.len(),
            usize::from(is_key),
            "{kind:x} {body:x?}"
        );
    }
}

#[test]
fn repeated_tables_are_one_prologue_and_changed_ones_another() {
    let [one, other] = [tables(&[H264, AAC]), tables(&[AAC])];
    let again = |count: u8| {
        [
            table(0, count, &pat(&[(1, MAP)])),
            table(MAP, count, &pmt(1, &[H264, AAC])),
        ]
    };
    let again: Vec<u8> = (1..9)
        .flat_map(|count| again(count).concat().concat())
        .collect();
    let changed = table(MAP, 9, &pmt(1, &[AAC])).concat();
    let stream = [one.clone(), again, film(1), changed, sound(0)].concat();
    assert_eq!(prologues(&stream), [(2, one), (23, other)]);
    assert_eq!(marks(&stream).1, [(18, 0), (23, 0)]);
}

#[test]
fn long_sections_span_packets_and_share_them() {
    let text = [&[0x0A, 250][..], &[b'x'; 250]].concat();
    let streams = [(0x1B, VIDEO, &text[..]), (0x0F, AUDIO, &text[..])];
    let long = described_pmt(1, VIDEO, &streams);
    let [pat, map] = [
        table(0, 0, &pat(&[(0, 0x10), (1, MAP)])),
        table(MAP, 0, &long),
    ];
    assert_eq!(map.len(), 3);
    let whole = [pat.concat(), map.concat()].concat();
    assert_eq!(prologues(&whole), [(4, whole.clone())]);
    // Another section before it, and one that begins where it ends.
    let shared = [pmt(2, &[AAC]), long.clone(), pmt(3, &[AAC])].concat();
    let stream = [pat.concat(), table(MAP, 7, &shared).concat()].concat();
    assert_eq!(prologues(&stream), [(4, whole.clone())]);
    // Its end stands before the beginning of the next one.
    let mut ends = table(MAP, 15, &long);
    let end = ends.pop().unwrap();
    let left = 1 + long.len() - 2 * 184;
    let payload = [&[left as u8][..], &end[4..4 + left], &pmt(2, &[AAC])[..]].concat();
    let joint = [payload, vec![0xFF; 184]].concat();
    ends.push(
        Made {
            pid: MAP,
            begins: true,
            count: 1,
            payload: &joint[..184],
            ..Made::default()
        }
        .packet(),
    );
    assert_eq!(
        prologues(&[pat.concat(), ends.concat()].concat()),
        [(4, whole)]
    );
}

#[test]
fn sections_with_a_hole_or_an_error_are_not_believed() {
    let text = [&[0x0A, 200][..], &[b'x'; 200]].concat();
    let long = described_pmt(1, VIDEO, &[(0x1B, VIDEO, &text)]);
    let pat = table(0, 0, &pat(&[(1, MAP)])).concat();
    let map = table(MAP, 0, &long);
    let mut bad = long.clone();
    bad[30] ^= 1;
    let mut later = pmt(1, &[AAC]);
    later[5] = 0xC0; // It does not hold yet.
    later.truncate(later.len() - 4);
    later.extend(psi::checksum(&later).to_be_bytes());
    let mut damaged = map.clone();
    damaged[0][1] |= 0x80;
    for maps in [
        vec![map[1].clone()],
        table(MAP, 0, &bad),
        table(MAP, 0, &later),
        damaged,
        [map[0].clone(), table(MAP, 9, &long)[1].clone()].to_vec(),
        table(MAP, 0, &[0x02, 0xBF, 0xFF, 0, 1, 0xC1, 0, 0].repeat(200)),
    ] {
        let stream = [pat.clone(), maps.concat(), film(2)].concat();
        let (scanner, marks) = marks(&stream);
        assert_eq!(marks, []);
        assert_eq!(scanner.format(), None);
        let healed = [stream, table(MAP, 5, &long).concat(), film(1)].concat();
        assert_eq!(prologues(&healed).len(), 1);
    }
    // A packet that comes twice is no hole.
    let twice = [pat, map[0].repeat(2), map[1].repeat(2)].concat();
    assert_eq!(prologues(&twice).len(), 1);
}

#[test]
fn only_the_first_programme_counts() {
    let programmes = pat(&[(0, 0x10), (7, MAP), (8, MAP), (9, 0x1001)]);
    let maps = [
        table(MAP, 0, &pmt(8, &[AAC])),
        table(0x1001, 0, &pmt(9, &[AAC])),
        table(MAP, 1, &pmt(7, &[H264])),
        table(MAP, 2, &pmt(8, &[AAC])),
    ];
    let stream = [table(0, 0, &programmes), maps.concat()].concat().concat();
    let found = prologues(&stream);
    let expected = [table(0, 0, &programmes), table(MAP, 0, &pmt(7, &[H264]))];
    assert_eq!(found, [(4, expected.concat().concat())]);
    // The programme moves: nothing can be joined before its new map has come.
    let moved = table(0, 1, &pat(&[(7, 0x1234)])).concat();
    let map = table(0x1234, 0, &pmt(7, &[H264])).concat();
    let stream = [stream, moved, film(1), map, film(1)].concat();
    assert_eq!(prologues(&stream).len(), 2);
    assert_eq!(marks(&stream).1, [(11, 0)]);
}

#[test]
fn codecs_are_those_of_the_tables() {
    let codecs = |streams: &[(u8, u16, &[u8])]| {
        let map = table(MAP, 0, &described_pmt(1, 0x1FFF, streams)).concat();
        let stream = [table(0, 0, &pat(&[(1, MAP)])).concat(), map, film(1)].concat();
        let (scanner, _) = scan(&at_first(), [&stream[..]]);
        let format = scanner.format().expect("a programme");
        (
            format.codec,
            format.video.map(|video| video.codec),
            scanner.trouble(),
        )
    };
    let unknown = (CodecName::Unknown, None, Some(Trouble::UnknownCodec));
    assert_eq!(codecs(&[]), unknown);
    let private = |descriptors: &'static [u8]| (0x06, AUDIO, descriptors);
    assert_eq!(codecs(&[private(b"\x0A\x04eng\0")]), unknown);
    assert_eq!(
        codecs(&[private(b"\x05\x99Opus"), (0x86, 0x99, b"")]),
        unknown
    );
    let opus = private(b"\x0A\x04eng\0\x05\x04Opus");
    assert_eq!(codecs(&[opus]), (CodecName::Opus, None, None));
    let figures = |descriptors| {
        let map = table(MAP, 0, &described_pmt(1, 0x1FFF, &[private(descriptors)])).concat();
        let stream = [table(0, 0, &pat(&[(1, MAP)])).concat(), map, film(1)].concat();
        let (scanner, _) = scan(&at_first(), [&stream[..]]);
        let format = scanner.format().expect("a programme");
        (format.sample_rate_hz, format.channels, scanner.layout())
    };
    let layout = |channels| {
        let codec = CodecName::Opus;
        Some(Layout::Ts(vec![TsTrack {
            pid: AUDIO,
            codec,
            channels,
        }]))
    };
    // As ffmpeg describes stereo and 5.1.
    let of_two = b"\x05\x04Opus\x7F\x02\x80\x02";
    assert_eq!(figures(of_two), (48_000, 2, layout(0)));
    let of_six = b"\x05\x04Opus\x7F\x02\x80\x06";
    assert_eq!(figures(of_six), (48_000, 6, layout(6)));
    assert_eq!(figures(b"\x05\x04Opus"), (48_000, 0, layout(0)));
    let ac3 = [private(b"\x6A\x01\0"), (0x02, VIDEO, b"")];
    assert_eq!(codecs(&ac3), (CodecName::Ac3, Some(CodecName::Mpeg2), None));
}

#[test]
fn times_are_those_of_pictures_where_there_is_no_clock() {
    let map = table(MAP, 0, &described_pmt(1, 0x1FFF, &[(0x1B, VIDEO, b"")])).concat();
    let stream = [table(0, 0, &pat(&[(1, MAP)])).concat(), map, film(12)].concat();
    assert_eq!(marks(&stream).1, [(2, 0), (42, 1_000)]);
}

#[test]
fn lost_and_torn_packets_cost_only_themselves() {
    let film = film(50);
    let torn = [
        &film[..4_000],
        &[0; 77],
        &film[4_000..8_000],
        &film[8_150..],
    ]
    .concat();
    let stream = [tables(&[H264, AAC]), torn].concat();
    let (scanner, found) = scan(&at_first(), [&stream[..]]);
    let offsets = found.iter().filter_map(|scanned| match scanned {
        Scanned::Mark(mark) => Some(mark.offset as usize),
        _ => None,
    });
    let offsets: Vec<usize> = offsets.collect();
    assert_eq!(offsets.len(), 5);
    for offset in offsets {
        assert_eq!(&stream[offset..offset + 3], [SYNC, 0x41, 0x00]);
    }
    assert_eq!(scanner.media_time(), Some(Duration::from_millis(4_900)));
}

#[test]
fn a_row_of_packets_is_wanted() {
    let junk = [vec![SYNC; 3], vec![0; 100], rest(9), vec![0; 50]].concat();
    let stream = [junk.clone(), tables(&[AAC]), sound(0), sound(0), sound(0)].concat();
    let found = scan(&at_first(), [&stream[..]]).1;
    let first = junk.len() as u64 + 2 * 188;
    assert!(matches!(&found[1], Scanned::Mark(mark) if mark.offset == first));
    assert_eq!(found.len(), 4);
    let few = &stream[..stream.len() - 188];
    assert_eq!(scan(&at_first(), [few]).1, []);
}

#[test]
fn something_else_is_given_up() {
    let (scanner, _) = scan(&at_first(), [&[0xA5; 300_000][..]]);
    assert!(scanner.is_lost());
    assert_eq!(scanner.edge(), scanner.next());
    let (scanner, _) = scan(&at_first(), [&rest(9).repeat(6_000)[..]]);
    assert!(!scanner.is_lost());
    assert_eq!(scanner.trouble(), Some(Trouble::NoHeaders));
    assert_eq!(scanner.edge(), scanner.next());
}

#[test]
fn the_edge_does_not_wait_for_pictures_that_end_nowhere() {
    let begun = [tables(&[H264, AAC]), film(1)].concat();
    let endless = [begun.clone(), rest(VIDEO).repeat(5_000)].concat();
    assert_eq!(marks(&endless).0.edge(), 2 * 188);
    let endless = [begun.clone(), rest(VIDEO).repeat(6_000)].concat();
    assert_eq!(marks(&endless).0.edge(), endless.len() as u64);
    // The pictures have stopped, and the clock goes on.
    let clock = |at: u64| Made {
        pid: VIDEO,
        clock: Some(at * TICKS),
        ..Made::default()
    };
    let sounds = |tenths: u64| -> Vec<u8> {
        (0..tenths)
            .flat_map(|at| [clock(at).packet(), sound(at * TICKS)].concat())
            .collect()
    };
    assert_eq!(
        marks(&[begun.clone(), sounds(10)].concat()).0.edge(),
        2 * 188
    );
    let stopped = [begun, sounds(12)].concat();
    assert_eq!(marks(&stopped).0.edge(), stopped.len() as u64);
}

#[test]
fn a_scanner_goes_on_in_the_middle() {
    let start = StreamStart {
        offset: 1_000,
        media_time: Duration::from_secs(7),
        prologue: Bytes::from(tables(&[H264, AAC])),
    };
    let (scanner, found) = scan(&start, [&film(11)[..]]);
    let mark = |offset, s| {
        Scanned::Mark(Mark {
            offset,
            media_time: Duration::from_secs(s),
        })
    };
    assert_eq!(found, [mark(1_000, 7), mark(1_000 + 40 * 188, 8)]);
    assert_eq!(scanner.media_time(), Some(Duration::from_secs(8)));
    let all = tables(&[AAC]);
    for prologue in [
        &b"OggS"[..],
        &all[..188],
        &all[..300],
        &[&all[..], b"G"].concat(),
    ] {
        let start = StreamStart {
            prologue: Bytes::copy_from_slice(prologue),
            ..start.clone()
        };
        assert!(TsScanner::in_the_middle(&start).is_none());
    }
}

/// A part of a stream: usual, damaged, or anything.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..12_u64).prop_map(film),
        Just(tables(&[H264, AAC])),
        Just(tables(&[AAC])),
        prop::collection::vec(any::<u8>(), 0..300),
        (1..800_usize).prop_map(|cut| film(2)[cut..].to_vec()),
        prop::collection::vec(any::<u8>(), 187).prop_map(|rest| [vec![SYNC], rest].concat()),
        prop::collection::vec(any::<u8>(), 180)
            .prop_map(|rest| { [&[SYNC, 0x50, 0, 0x10, 0, 0x02, 0xB0, 0x20][..], &rest].concat() }),
    ]
}

proptest! {
    #[test]
    fn any_split_finds_the_same(
        parts in prop::collection::vec(part(), 0..10),
        cuts in prop::collection::vec(1usize..900, 1..40),
    ) {
        let stream = parts.concat();
        let (scanner, found) = scan(&at_first(), [&stream[..]]);
        for cut in [pieces(&stream, &cuts), stream.chunks(1).collect()] {
            let (other, others) = scan(&at_first(), cut);
            prop_assert_eq!(&others, &found);
            prop_assert_eq!(other.media_time(), scanner.media_time());
            prop_assert_eq!(other.next(), stream.len() as u64);
        }
    }
}
