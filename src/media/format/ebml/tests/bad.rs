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
