//! The promises of the scanner of Matroska, with generated streams.

use bytes::Bytes;

use super::samples::*;
use super::*;
use crate::media::format::joining::{Anew, MAX_PROLOGUE_BYTES, Mark, Prologue};
use crate::model::format::{CodecName, Container};

mod bad;
mod laws;

/// The marks and prologues of a stream: offsets with milliseconds, offsets with bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    marks: Vec<(u64, u64)>,
    prologues: Vec<(u64, Bytes)>,
    /// The ends of streams before new ones, and the beginnings of these.
    anew: Vec<(u64, u64)>,
}

impl Findings {
    fn add(&mut self, scanned: Scanned) {
        match scanned {
            Scanned::Mark(Mark { offset, media_time }) => {
                self.marks.push((offset, media_time.as_millis() as u64));
            }
            Scanned::Prologue(Prologue { offset, bytes }) => self.prologues.push((offset, bytes)),
            Scanned::Anew(Anew { ends, begins }) => self.anew.push((ends, begins)),
            Scanned::Comment(comment) => panic!("{comment:?}"),
        }
    }

    fn offsets(&self) -> Vec<u64> {
        self.marks.iter().map(|mark| mark.0).collect()
    }

    /// The prologue that holds at an offset.
    fn prologue_at(&self, offset: u64) -> Bytes {
        let holding = self.prologues.iter().rfind(|it| it.0 <= offset);
        holding.map(|it| it.1.clone()).unwrap_or_default()
    }
}

fn start(offset: u64, media_time_ms: u64, prologue: impl Into<Bytes>) -> StreamStart {
    StreamStart {
        offset,
        media_time: Duration::from_millis(media_time_ms),
        prologue: prologue.into(),
    }
}

fn beginning() -> EbmlScanner {
    EbmlScanner::in_the_middle(&start(0, 0, Bytes::new())).unwrap()
}

/// Feeds pieces, so far apart, and checks what holds after each.
fn feed_each<'a>(
    scanner: &mut EbmlScanner,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    apart: Duration,
) -> Findings {
    let (mut found, mut arrived, mut edge) = (Findings::default(), Duration::ZERO, 0);
    for piece in pieces {
        let next = scanner.next() + piece.len() as u64;
        scanner.feed(piece, arrived, &mut |scanned| found.add(scanned));
        assert_eq!(scanner.next(), next);
        assert!(edge <= scanner.edge() && scanner.edge() <= next);
        (arrived, edge) = (arrived + apart, scanner.edge());
    }
    assert!(found.marks.is_sorted(), "{:?}", found.marks);
    assert!(
        found.marks.is_sorted_by_key(|mark| mark.1),
        "{:?}",
        found.marks
    );
    assert!(found.prologues.is_sorted_by_key(|prologue| prologue.0));
    let longest = found.prologues.iter().map(|it| it.1.len()).max();
    assert!(longest.is_none_or(|longest| longest <= MAX_PROLOGUE_BYTES));
    found
}

fn feed<'a>(scanner: &mut EbmlScanner, pieces: impl IntoIterator<Item = &'a [u8]>) -> Findings {
    feed_each(scanner, pieces, Duration::ZERO)
}

fn scan(stream: &[u8]) -> Findings {
    feed(&mut beginning(), [stream])
}

/// The offsets at which these parts begin, and the stream of them.
fn joined<const N: usize>(parts: [Vec<u8>; N]) -> ([u64; N], Vec<u8>) {
    let mut offset = 0;
    let begins = parts.each_ref().map(|part| {
        let begin = offset;
        offset += part.len() as u64;
        begin
    });
    (begins, parts.concat())
}

/// Checks that a stream goes on in the same way for a node that begins at a mark, and that behind the prologue of each
/// mark a whole stream begins.
fn check_late_starts(stream: &[u8]) {
    let whole = scan(stream);
    for (offset, time_ms) in &whole.marks {
        let prologue = whole.prologue_at(*offset);
        let rest = &stream[*offset as usize..];
        let start = start(*offset, *time_ms, prologue.clone());
        let late = feed(&mut EbmlScanner::in_the_middle(&start).unwrap(), [rest]);
        let same = whole.offsets().into_iter().filter(|mark| mark >= offset);
        assert_eq!(late.offsets(), same.collect::<Vec<_>>(), "from {offset} on");
        let later = whole.prologues.iter().filter(|it| it.0 > *offset);
        let told = late.prologues.iter().filter(|it| it.0 > *offset);
        assert!(told.eq(later), "from {offset} on");
        if !prologue.is_empty() {
            let heard = scan(&[&prologue[..], rest].concat());
            let first = heard.marks[1].0 as usize;
            assert!(first <= prologue.len(), "{first} of {}", prologue.len());
        }
    }
}

#[test]
fn sound_is_joined_at_its_clusters_behind_the_headers() {
    let parts = [
        heads(&[audio_track(1)]),
        cluster(5_000, &[block(1, 0, true), block(1, 400, true)]),
        cluster(5_800, &[block(1, 0, true), block_group(1, 400, true)]),
        cluster(6_600, &[block(1, 0, false)]),
    ];
    let ([_, first, second, third], stream) = joined(parts);
    let mut scanner = beginning();
    let found = feed(&mut scanner, [&stream[..]]);
    assert_eq!(
        found.marks,
        [(0, 0), (first, 0), (second, 800), (third, 1_600)]
    );
    let prologue = prologue(&[audio_track(1)]);
    assert_eq!(
        found.prologues,
        [(0, Bytes::new()), (first, prologue.into())]
    );
    assert_eq!(scanner.edge(), stream.len() as u64);
    assert_eq!((scanner.trouble(), scanner.is_lost()), (None, false));
    assert_eq!(scanner.media_time(), Some(Duration::from_millis(1_600)));
    let format = scanner.format().unwrap();
    assert_eq!(
        (format.container, format.codec),
        (Container::Webm, CodecName::Opus)
    );
    check_late_starts(&stream);
}

#[test]
fn pictures_are_joined_at_keyframes_also_within_clusters() {
    let tracks = [video_track(1), audio_track(2)];
    let whole = [block(2, 0, true), block(1, 10, true), block(1, 900, false)];
    let late_key = [block(1, 0, false), block(2, 500, true)];
    let parts = [
        heads(&tracks),
        cluster(0, &whole),
        [cluster(1_000, &late_key), Vec::new()].concat(),
        open_cluster(2_000),
        block(1, 0, false),
        block_group(1, 100, true),
        block_group(1, 600, true),
        block_group(1, 1_100, false),
        block(1, 1_200, true),
        cluster(4_000, &[block_group(1, 0, true)]),
    ];
    let (begins, stream) = joined(parts);
    let found = scan(&stream);
    let entries = [(begins[5], 2_100), (begins[8], 3_200)];
    let clusters = [(0, 0), (begins[1], 0), (begins[9], 4_000)];
    let expected = [&clusters[..2], &entries, &clusters[2..]].concat();
    assert_eq!(found.marks, expected);
    let plain = prologue(&tracks);
    let entered = b"\x1F\x43\xB6\x75\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xE7\x88\0\0\0\0\0\0\x07\xD0";
    let entry = [&plain[..], entered].concat();
    let prologues = [
        (0, Vec::new()),
        (begins[1], plain.clone()),
        (begins[5], entry),
        (begins[9], plain),
    ];
    assert_eq!(
        found.prologues,
        prologues.map(|(at, bytes)| (at, bytes.into()))
    );
    check_late_starts(&stream);
}

#[test]
fn a_cluster_that_never_ends_is_joined_within() {
    let long = [&[0x81, 0, 0, 0x80][..], &vec![0; (1 << 20) - 4]].concat();
    let mut scanner = beginning();
    let begin = [heads(&[audio_track(1)]), open_cluster(0)].concat();
    let mut found = feed(&mut scanner, [&begin[..]]);
    for second in 0..64_u32 {
        // The time of a block within a cluster ends at 32 s: such a source has to begin its numbers anew.
        let ticks = (second % 32 * 1_000) as i16;
        let mut body = long.clone();
        body[1..3].copy_from_slice(&ticks.to_be_bytes());
        let more = feed(&mut scanner, [&element(ids::SIMPLE_BLOCK, &body)[..]]);
        found.marks.extend(more.marks);
        found.prologues.extend(more.prologues);
    }
    assert!(scanner.next() > 64 << 20);
    assert!(found.marks.len() > 40, "{}", found.marks.len());
    assert_eq!(
        found.prologues.len(),
        3,
        "that of the cluster, and one within"
    );
}

#[test]
fn a_node_that_begins_between_marks_waits_for_the_next_cluster() {
    let tracks = [video_track(1)];
    let parts = [
        heads(&tracks),
        cluster(
            0,
            &[block(1, 0, false), block(1, 1, true), block(1, 2, false)],
        ),
        cluster(100, &[block(1, 0, true)]),
    ];
    let ([_, _, last], stream) = joined(parts);
    let whole = scan(&stream);
    let (entry, _) = whole.marks[1];
    for from in entry + 1..last {
        for prologue in [
            prologue(&tracks).into(),
            whole.prologue_at(entry),
            Bytes::new(),
        ] {
            let has_heads = !prologue.is_empty();
            let start = start(from, 50, prologue);
            let mut late = EbmlScanner::in_the_middle(&start).unwrap();
            let found = feed(&mut late, [&stream[from as usize..]]);
            match has_heads {
                true => assert_eq!(found.offsets().last(), Some(&last), "from {from} on"),
                false => {
                    assert_eq!(found.marks, [(from, 50)], "a piece");
                    assert_eq!(late.trouble(), Some(Trouble::NoHeaders));
                }
            }
        }
    }
}

#[test]
fn nonsense_is_no_prologue() {
    let heads = prologue(&[audio_track(1)]);
    let cluster = open_cluster(7);
    let part = [&heads[..], &cluster[..cluster.len() - 1]].concat();
    for nonsense in [&heads[1..], &heads[..heads.len() - 1], &part, b"OggS"] {
        let start = start(900, 0, nonsense.to_vec());
        assert!(
            EbmlScanner::in_the_middle(&start).is_none(),
            "{nonsense:x?}"
        );
    }
    let entry = [heads, cluster].concat();
    assert!(EbmlScanner::in_the_middle(&start(900, 0, entry)).is_some());
}

#[test]
fn damage_costs_no_more_than_its_cluster() {
    let sound = |time_ms| cluster(time_ms, &[block(1, 0, true), block(1, 20, true)]);
    let damaged = sound(1_000);
    for cut in 0..damaged.len() {
        for junk in [&b""[..], b"\x1F\x43\xB6", b"\0no element at all"] {
            let torn = [&damaged[..cut], junk].concat();
            let parts = [
                heads(&[audio_track(1)]),
                sound(0),
                torn,
                sound(2_000),
                sound(3_000),
            ];
            let ([.., last], stream) = joined(parts);
            let mut scanner = beginning();
            let found = feed(&mut scanner, [&stream[..]]);
            assert_eq!(found.offsets().last(), Some(&last), "cut at {cut}");
            assert_eq!(scanner.edge(), stream.len() as u64);
            assert_eq!(scanner.trouble(), None);
        }
    }
}

#[test]
fn a_second_stream_has_headers_of_its_own() {
    let parts = [
        heads(&[audio_track(1)]),
        cluster(70_000, &[block(1, 0, true), block(1, 900, true)]),
        heads(&[video_track(3)]),
        cluster(0, &[block(3, 0, true), block(3, 500, false)]),
    ];
    let ([_, first, again, second], stream) = joined(parts);
    let found = scan(&stream);
    assert_eq!(
        found.marks,
        [(0, 0), (first, 0), (again, 900), (second, 900)]
    );
    assert_eq!(found.anew, [(again, again)]);
    assert_eq!(found.prologue_at(again), Bytes::new());
    assert_eq!(found.prologue_at(second), prologue(&[video_track(3)]));
    check_late_starts(&stream);
}

#[test]
fn without_good_headers_pieces_are_joined_and_the_trouble_is_known() {
    let segment = open(ids::SEGMENT);
    let too_long = tracks(&[element(ids::VOID, &vec![0; MAX_PROLOGUE_BYTES])]);
    let damaged = tracks(&[vec![0xAE, 0xFE]]);
    for (tracks, trouble) in [
        (Vec::new(), Trouble::NoHeaders),
        (too_long, Trouble::HeadersTooLong),
        (open(ids::TRACKS), Trouble::HeadersTooLong),
        (damaged, Trouble::Damaged),
    ] {
        let begin = [header("webm"), segment.clone(), info(1_000_000), tracks].concat();
        let sound = cluster(0, &[block(1, 0, true)]);
        let mut scanner = beginning();
        let apart = Duration::from_secs(1);
        let found = feed_each(&mut scanner, [&begin[..], &sound, &sound, &sound], apart);
        assert_eq!(scanner.trouble(), Some(trouble));
        assert_eq!(found.prologues, [(0, Bytes::new())]);
        assert!(found.marks.len() >= 3, "{:?}", found.marks);
        assert_eq!((scanner.media_time(), scanner.format()), (None, None));
        let good = [heads(&[audio_track(1)]), sound].concat();
        let begin = scanner.next();
        let found = feed_each(&mut scanner, [&good[..]], apart);
        assert_eq!((found.marks[0].0, scanner.trouble()), (begin, None));
        assert_eq!(found.prologues[1].1, prologue(&[audio_track(1)]));
    }
}

#[test]
fn no_piece_is_joined_behind_the_beginning_of_a_header() {
    let no_tracks = [header("webm"), cluster(0, &[block(1, 0, true)])].concat();
    let stream = [no_tracks.clone(), heads(&[audio_track(1)]), cluster(0, &[])].concat();
    for length in 1..10 {
        let pieces = stream.chunks(length);
        let found = feed_each(&mut beginning(), pieces, Duration::from_millis(30));
        assert!(found.offsets().contains(&(no_tracks.len() as u64)));
    }
}

#[test]
fn a_stream_falsely_called_matroska_is_given_up() {
    let mut scanner = beginning();
    let junk = [&b"\x1A\x45\xDF\xA3"[..], &[0; 200_000]].concat();
    let found = feed_each(&mut scanner, [&junk[..], b"\x1F"], Duration::from_secs(1));
    assert_eq!(found.marks, [(0, 0)], "joined where pieces arrive");
    assert!(!scanner.is_lost());
    feed(&mut scanner, [&junk[..]]);
    assert!(scanner.is_lost());
    assert!(scanner.to_pieces().trouble().is_some());
    let mut known = beginning();
    feed(
        &mut known,
        [&heads(&[audio_track(1)])[..], &cluster(0, &[])[..]],
    );
    feed(&mut known, [&junk[4..], &junk[4..]]);
    assert!(!known.is_lost(), "the next cluster may be far away");
}

#[test]
fn the_edge_is_the_end_of_a_short_cluster_or_of_a_block() {
    let blocks = || {
        [
            block(1, 0, true),
            block_group(1, 1, false),
            block(1, 2, false),
        ]
    };
    let long = [0, 1_000, 2_100, 2_200, 2_300].map(|ticks| block(1, ticks, ticks == 0));
    let [first, second, third] = blocks();
    let parts = [
        heads(&[video_track(1)]),
        cluster(0, &blocks()),
        [open_cluster(9), first].concat(),
        second,
        third,
        cluster(100, &long),
        Vec::new(),
    ];
    let ([_, known, unknown, middle, last, slow, end], stream) = joined(parts);
    let late = end - long[4].len() as u64;
    let (mut scanner, mut edges) = (beginning(), Vec::new());
    for byte in stream.chunks(1) {
        feed(&mut scanner, [byte]);
        edges.push(scanner.edge());
    }
    edges.retain(|edge| *edge >= known);
    edges.dedup();
    assert_eq!(edges, [known, unknown, middle, last, slow, late, end]);
    let huge = element(ids::SIMPLE_BLOCK, &vec![0; 3 << 20]);
    feed(&mut scanner, [&open_cluster(20)[..], &huge[..2_000_000]]);
    assert_eq!(scanner.edge(), scanner.next() - MOST_HELD_BACK);
}

#[test]
fn a_clock_that_stands_still_is_overtaken_by_arrival() {
    let mut scanner = beginning();
    let sound = cluster(5, &[block(1, 0, true)]);
    let stream = [heads(&[audio_track(1)]), sound.repeat(30)].concat();
    let seconds = stream.chunks(sound.len());
    let found = feed_each(&mut scanner, seconds, Duration::from_secs(1));
    let (_, last_ms) = found.marks[found.marks.len() - 1];
    assert!((18_000..30_000).contains(&last_ms), "{last_ms} ms of 30 s");
}
