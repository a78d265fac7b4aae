//! Streams as no encoder should send them, and as some do.

use super::*;

/// The same block, with this kind of lacing in its flags.
fn laced(mut block: Vec<u8>, lacing: u8) -> Vec<u8> {
    // An id, a length, a track and a time stand before the flags, each in one byte but for the time.
    block[5] |= lacing << 1;
    block
}

#[test]
fn lacing_makes_no_difference() {
    let clusters = |lacing| {
        let sound = |time_ms| {
            let blocks = [block(1, 0, true), block(1, 20, false)];
            cluster(time_ms, &blocks.map(|block| laced(block, lacing)))
        };
        [heads(&[audio_track(1)]), sound(0), sound(40)].concat()
    };
    let plain = scan(&clusters(0));
    assert_eq!(plain.marks.len(), 3);
    for lacing in 1..4 {
        assert_eq!(scan(&clusters(lacing)), plain);
        check_late_starts(&clusters(lacing));
    }
}

#[test]
fn a_cluster_of_64_mib_is_joined_within() {
    let (blocks, second) = (64_i16, 1 << 20);
    let long = |number: i16| {
        let mut body = vec![0; second];
        body[..4].copy_from_slice(&[0x81, 0, 0, 0x80]);
        body[1..3].copy_from_slice(&(number * 500).to_be_bytes());
        element(ids::SIMPLE_BLOCK, &body)
    };
    let block_bytes = long(0).len() as u64;
    let timestamp = element(ids::TIMESTAMP, &[0]);
    let body_bytes = timestamp.len() as u64 + blocks as u64 * block_bytes;
    let length = (1 << 56 | body_bytes).to_be_bytes();
    let head = [&ids::CLUSTER.to_be_bytes()[..], &length, &timestamp].concat();
    let mut scanner = beginning();
    let mut found = feed(&mut scanner, [&heads(&[audio_track(1)])[..], &head]);
    for number in 0..blocks {
        found
            .marks
            .extend(feed(&mut scanner, long(number).chunks(16 << 10)).marks);
        let unsent = scanner.next() - scanner.edge();
        assert!(unsent <= MOST_HELD_BACK, "{unsent} bytes wait");
    }
    assert!(scanner.next() > 64 << 20);
    assert_eq!(scanner.edge(), scanner.next());
    assert!(
        found.marks.len() > 30,
        "one each second: {}",
        found.marks.len()
    );
    let sound = |time_ms| cluster(time_ms, &[block(1, 0, true)]);
    let next = feed(&mut scanner, [&sound(32_000)[..], &sound(33_000)]);
    assert!(!next.marks.is_empty(), "the next cluster is found");
}

/// The head of a block with this length, in four bytes.
fn block_head(body_bytes: u32) -> Vec<u8> {
    let length = (0x1000_0000 | body_bytes).to_be_bytes();
    [&[ids::SIMPLE_BLOCK as u8], &length[..], &[0x81, 0, 5, 0x80]].concat()
}

#[test]
fn a_damaged_length_hides_no_cluster() {
    let sound = |time_ms| cluster(time_ms, &[block(1, 0, true), block(1, 20, true)]);
    let open_sound =
        |time_ms| [open_cluster(time_ms), block(1, 0, true), block(1, 20, true)].concat();
    // Longer than a block can be; than the cluster; and as long as one of pictures may be.
    for body_bytes in [50 << 20, 4 << 20, 1_000] {
        let known = cluster(
            1_000,
            &[block(1, 0, true), block_head(body_bytes), vec![7; 96]],
        );
        let end = known.len();
        let open = [open_sound(1_000), block_head(body_bytes), vec![7; 96]].concat();
        for (torn, next) in [(known, sound(2_000)), (open, open_sound(2_000))] {
            let parts = [heads(&[audio_track(1)]), sound(0), torn, next, sound(3_000)];
            let ([_, _, _, next, last], stream) = joined(parts);
            let mut scanner = beginning();
            let found = feed(&mut scanner, [&stream[..]]);
            let marks = found.offsets();
            assert!(
                marks.ends_with(&[next, last]),
                "{body_bytes} of {end}: {marks:?}"
            );
            assert_eq!(scanner.edge(), stream.len() as u64);
            assert_eq!(scanner.media_time(), Some(Duration::from_millis(3_020)));
            for length in [1, 9, 100] {
                assert_eq!(feed(&mut beginning(), stream.chunks(length)), found);
            }
        }
    }
}

#[test]
fn a_block_that_does_not_end_in_seconds_is_not_waited_for() {
    let begin = [
        heads(&[audio_track(1)]),
        open_cluster(0),
        block(1, 0, true),
        block_head(4 << 20),
    ];
    let mut scanner = beginning();
    feed(&mut scanner, [&begin.concat()[..]]);
    let begun = scanner.edge();
    assert_eq!(scanner.next() - begun, 9, "a block is held back");
    let mut feed_at = |tenths: u32| {
        scanner.feed(&[7; 400], MOST_PAUSE * tenths / 5, &mut |_| {});
        scanner.next() - scanner.edge()
    };
    let unsent: Vec<u64> = (1..40).map(&mut feed_at).collect();
    let waits = unsent.iter().take_while(|unsent| **unsent > 0).count();
    assert!((28..=31).contains(&waits), "{waits} tenths of a second");
    assert!(unsent[waits..].iter().all(|unsent| *unsent == 0));
    // A pause says nothing of the length.
    let mut silent = beginning();
    feed(&mut silent, [&begin.concat()[..]]);
    silent.feed(&[7; 400], MOST_AWAITED * 9, &mut |_| {});
    assert_eq!(silent.edge(), begun);
}

#[test]
fn another_format_behind_the_last_cluster_is_strange() {
    use crate::media::format::mpeg::samples::frames;
    let sound = cluster(0, &[block(1, 0, true)]);
    let stream = [heads(&[audio_track(1)]), sound.clone()].concat();
    let mut scanner = beginning();
    feed(&mut scanner, [&stream[..]]);
    for frames in frames(200).chunks(5_000) {
        feed(&mut scanner, [frames]);
        assert_eq!(scanner.edge(), scanner.next());
    }
    assert!(scanner.is_strange() && !scanner.is_lost());
    feed(&mut scanner, [&sound[..]]);
    assert!(!scanner.is_strange(), "the next cluster has come");
}

#[test]
fn a_torn_stream_ends_behind_what_is_whole() {
    let sound = |time_ms| cluster(time_ms, &[block(1, 0, true), block(1, 20, true)]);
    let second = || [heads(&[audio_track(1)]), sound(0)].concat();
    let torn = sound(500)[..90].to_vec();
    let torn_open = [
        open_cluster(500),
        block(1, 0, true),
        block(1, 20, true)[..50].to_vec(),
    ];
    for (torn, whole_bytes) in [
        (Vec::new(), 0),
        (torn, 0),
        (torn_open.concat(), torn_open[..2].concat().len()),
        (b"ID3 junk".to_vec(), 0),
    ] {
        let parts = [second(), torn, second(), Vec::new()];
        let ([_, end, again, _], stream) = joined(parts);
        let found = scan(&stream);
        assert_eq!(found.anew, [(end + whole_bytes as u64, again)]);
        assert_eq!(found.prologue_at(again), Bytes::new());
        for length in [1, 13, 100] {
            assert_eq!(feed(&mut beginning(), stream.chunks(length)), found);
        }
    }
    let junk_first = [b"junk".to_vec(), second()].concat();
    assert_eq!(scan(&junk_first).anew, [], "nothing was there before");
}
