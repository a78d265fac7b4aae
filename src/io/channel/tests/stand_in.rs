//! Feeds that have been going on for others before the channel goes over to them.

use super::*;

#[test]
fn listeners_begin_behind_the_edge_of_a_feed_of_others() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    // All at one moment, so that nobody lacks anything meanwhile.
    let now = Instant::now();
    live.append(0, &numbered(0..4), now);
    other.append(0, &numbered(100..1_000), now);
    let [mut fast, mut slow] = [(); 2].map(|()| channel.join(BURST));
    assert_eq!(take_all(&mut fast), numbered(0..4));
    channel.go_over(&other);
    let first = take_all(&mut fast);
    let behind = first.len() as u64 / FRAME;
    assert!(behind <= 2, "{behind} frames behind the edge");
    assert_eq!(first, numbered(1_000 - behind as u32..1_000));

    append(&other, &numbered(1_000..1_003));
    assert_eq!(take_all(&mut fast), numbered(1_000..1_003));
    let late = [numbered(0..4), first, numbered(1_000..1_003)].concat();
    assert_eq!(take_all(&mut slow), late, "all begin at the same byte");
}

#[test]
fn listeners_may_begin_further_behind() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    let later = Instant::now() + Duration::from_secs(2);
    other.append(0, &numbered(100..1_000), later);
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.go_over(&other);
    let frames = take_all(&mut reader).len() as u64 / FRAME;
    assert!((76..=79).contains(&frames), "{frames} frames of 26 ms");
}

#[test]
fn listeners_who_have_more_in_store_begin_later() {
    let begun = Instant::now();
    let time_of = |frame: u32| begun + Duration::from_micros(26_122) * frame;
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    live.append(0, &numbered(0..1), time_of(0));
    let mut early = channel.join(BURST);
    // Ten seconds are sent ahead, and the stream ends at once.
    live.append(live.next(), &numbered(1..383), time_of(0));
    let mut late = channel.join(BURST);
    for reader in [&mut early, &mut late] {
        take_all(reader);
    }
    for frame in 1_000..1_115 {
        other.append(
            other.next(),
            &numbered(frame..frame + 1),
            time_of(frame - 1_000),
        );
    }
    channel.go_over(&other);
    let first_of = |heard: &[u8]| heard.len() as u64 / FRAME;
    let frames = first_of(&take_all(&mut late));
    assert!(
        (110..=118).contains(&frames),
        "three seconds have passed: {frames}"
    );
    assert!(
        take_all(&mut early).is_empty(),
        "it has seven seconds in store"
    );
    for frame in 1_115..1_300 {
        other.append(
            other.next(),
            &numbered(frame..frame + 1),
            time_of(frame - 1_000),
        );
    }
    let heard = take_all(&mut early);
    let frames = first_of(&heard);
    assert!(
        (105..=112).contains(&frames),
        "two seconds later it is like the others: {frames}"
    );
    assert_eq!(heard, numbered(1_300 - frames as u32..1_300));
}

#[test]
fn nothing_is_heard_twice_when_a_feed_of_others_comes_again() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    append(&other, &numbered(100..200));
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.go_over(&other);
    take_all(&mut reader);
    channel.switch_to(&live);
    append(&live, &numbered(4..6));
    assert_eq!(take_all(&mut reader), numbered(4..6));

    channel.go_over(&other);
    assert!(take_all(&mut reader).is_empty(), "all of it was heard");
    append(&other, &numbered(200..202));
    assert_eq!(take_all(&mut reader), numbered(200..202));
}

#[test]
fn a_feed_of_others_may_be_empty_yet() {
    let (live, other) = (mpeg(1), mpeg(2));
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    let mut reader = channel.join(BURST);
    take_all(&mut reader);
    channel.go_over(&other);
    assert_eq!(reader.read(9), Read::Wait);
    append(&other, &numbered(7..10));
    assert_eq!(take_all(&mut reader), numbered(7..10));
}

#[test]
fn listeners_outlast_the_end_of_a_feed() {
    let (first, second) = (mpeg(1), mpeg(2));
    let channel = Channel::new(first.clone());
    append(&first, &numbered(0..4));
    let mut reader = channel.join(BURST);
    channel.set_outlasts(true);
    first.end(EndReason::SourceLeft);
    assert_eq!(take_all(&mut reader), numbered(0..4));
    assert_eq!(reader.read(9), Read::Wait);

    append(&second, &numbered(4..6));
    channel.switch_to(&second);
    assert_eq!(take_all(&mut reader), numbered(4..6));
    second.end(EndReason::SourceLeft);
    channel.set_outlasts(false);
    assert_eq!(reader.read(9), Read::Ended);
}

#[test]
fn a_channel_ends_although_its_feed_goes_on() {
    let feed = mpeg(1);
    let channel = Channel::new(feed.clone());
    append(&feed, &numbered(0..4));
    let [mut fast, mut slow] = [(); 2].map(|()| channel.join(BURST));
    take_all(&mut fast);
    channel.set_outlasts(true);
    channel.end();
    append(&feed, &numbered(4..9));
    assert_eq!(fast.read(9), Read::Ended);
    assert_eq!(take_all(&mut slow), numbered(0..4));
    assert_eq!(slow.read(9), Read::Ended);
}

#[test]
fn what_listeners_can_go_on_with_is_known_from_the_bytes() {
    let live = mpeg(1);
    let channel = Channel::new(live.clone());
    append(&live, &numbered(0..4));
    let (ogg, empty, good) = (feed(2, "application/ogg"), mpeg(3), mpeg(4));
    append(&good, &numbered(0..4));
    assert_eq!(channel.goes_on_with(&live), Some(true));
    assert_eq!(channel.goes_on_with(&ogg), Some(false));
    assert_eq!(channel.goes_on_with(&empty), None);
    assert_eq!(channel.goes_on_with(&good), Some(true));
}

#[test]
fn pages_of_a_second_do_not_add_up_over_switches() {
    for phase_ms in [0, 100, 500, 900] {
        let begun = Instant::now();
        let ogg = |serial: u128| feed(serial, "application/ogg");
        let (one, other) = (ogg(1), ogg(2));
        for (feed, serial) in [(&one, 1), (&other, 2)] {
            feed.append(0, &opus_heads(serial), begun);
        }
        // A page of each comes at its moment in every second.
        let page = |serial, second| opus(serial, &[second])[opus_heads(serial).len()..].to_vec();
        let come = |second: u64| {
            let at = begun + Duration::from_secs(second);
            one.append(one.next(), &page(1, second), at);
            let later = at + Duration::from_millis(phase_ms);
            other.append(other.next(), &page(2, second), later);
        };
        (1..=10).for_each(come);
        let channel = Channel::new(one.clone());
        let mut reader = channel.join(BURST);
        let count = |bytes: Vec<u8>| bytes.windows(4).filter(|it| it == b"OggS").count();
        take_all(&mut reader);
        let mut pages = 0;
        for (turn, next) in [&other, &one].into_iter().cycle().take(60).enumerate() {
            channel.go_over(next);
            let second = 11 + turn as u64;
            come(second);
            // Each link begins with the two pages of its headers.
            reader.take_prologue();
            pages += count(take_all(&mut reader));
        }
        assert!(
            (56..=64).contains(&pages),
            "{pages} seconds in 60, {phase_ms} ms apart"
        );
    }
}

#[test]
fn what_a_source_sends_ahead_does_not_add_up_over_switches() {
    const AHEAD: u64 = 77;
    const TURN: u64 = 400;
    let begun = Instant::now();
    // The clock of this test counts frames of 26 ms.
    let come = |feed: &Feed, at: u64| {
        let at_time = begun + Duration::from_micros(26_122) * at as u32;
        feed.append(feed.next(), &frame(at as u32), at_time);
    };
    let other = mpeg(1_000);
    (0..TURN).for_each(|at| come(&other, at));
    let channel = Channel::new(other.clone());
    let mut reader = channel.join(BURST);
    let mut heard = take_all(&mut reader).len() as u64;
    for turn in 1..=20 {
        let own = mpeg(u128::from(turn));
        (0..AHEAD).for_each(|_| come(&own, turn * TURN));
        channel.switch_to(&own);
        for at in turn * TURN..(turn + 1) * TURN {
            // All that was sent ahead has sounded when the other one is heard again.
            match at - turn * TURN {
                0..200 => come(&own, at),
                since if since == 200 + AHEAD => channel.go_over(&other),
                _ => {}
            }
            come(&other, at);
            heard += take_all(&mut reader).len() as u64;
        }
    }
    let in_store = (heard / FRAME).abs_diff(20 * TURN);
    assert!((180..210).contains(&in_store), "{in_store} frames in store");
}
