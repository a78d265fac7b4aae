//! The ladder of one mount, rung by rung.

use super::*;

/// A rung of a mount that is there, without a stream.
const OFF_AIR: RungLook = RungLook {
    exists: true,
    ring: None,
    elsewhere: None,
    demand: DemandLook::No,
    may_go_on: true,
    is_silent: false,
};

fn ring(look: RingLook, last_fed: Instant) -> RungRing {
    RungRing {
        stream_id: StreamId(1),
        look,
        has_source_here: false,
        last_fed,
        goes_on: Some(true),
    }
}

fn elsewhere(stream_id: u128) -> RungLook {
    RungLook {
        elsewhere: Some(StreamId(stream_id)),
        ..OFF_AIR
    }
}

fn here(now: Instant) -> RungLook {
    RungLook {
        ring: Some(ring(RingLook::Open, now)),
        ..elsewhere(1)
    }
}

/// A stream that has been over for long enough.
fn over(now: Instant) -> RungLook {
    let finished = RingLook::Finished { sounds_until: None };
    RungLook {
        ring: Some(ring(finished, now - SUCCESSION)),
        ..OFF_AIR
    }
}

fn look(rungs: [RungLook; 2], rung: Option<usize>) -> LadderLook {
    LadderLook {
        rungs: rungs.into(),
        heard: rung.map(|rung| HeardLook {
            rung: Some(rung),
            has_audience: true,
            idle_since: None,
        }),
        returns: true,
        switched_to: None,
        linger: Duration::from_secs(10),
    }
}

#[test]
fn a_fallback_is_fetched_and_then_heard() {
    let now = Instant::now();
    let mut ladder = Ladder::new(now);
    for (rungs, playing, step) in [
        ([here(now), elsewhere(2)], Some(0), LadderStep::Hear(0)),
        (
            [over(now), elsewhere(2)],
            Some(0),
            LadderStep::Fetch {
                rung: 1,
                meanwhile: false,
            },
        ),
        ([over(now), here(now)], Some(0), LadderStep::Hear(1)),
        (
            [elsewhere(3), here(now)],
            Some(1),
            LadderStep::Fetch {
                rung: 0,
                meanwhile: true,
            },
        ),
        ([here(now), here(now)], Some(1), LadderStep::Hear(0)),
        ([OFF_AIR, OFF_AIR], Some(1), LadderStep::Wait),
        ([OFF_AIR, OFF_AIR], None, LadderStep::Wait),
    ] {
        assert_eq!(ladder.step(&look(rungs, playing), now), step, "{rungs:?}");
    }
}

#[test]
fn a_stream_that_was_sent_far_ahead_hides_no_fallback_for_long() {
    let begun = Instant::now();
    let ahead = RingLook::Finished {
        sounds_until: Some(begun + Duration::from_secs(15)),
    };
    let mut ladder = Ladder::new(begun);
    let ended = RungLook {
        ring: Some(ring(ahead, begun)),
        ..OFF_AIR
    };
    let mut step = |rungs, after: Duration| ladder.step(&look(rungs, Some(0)), begun + after);
    let before = IN_STORE - Duration::from_millis(1);
    assert_eq!(step([ended, here(begun)], before), LadderStep::Hear(0));
    assert_eq!(step([ended, here(begun)], IN_STORE), LadderStep::Hear(1));
    // Without another rung the listeners are kept from when it has sounded.
    for (after_s, expected) in [
        (14, LadderStep::Wait),
        (24, LadderStep::Wait),
        (25, LadderStep::Leave(LeaveReason::NothingFlows)),
    ] {
        let after = Duration::from_secs(after_s);
        assert_eq!(step([ended, OFF_AIR], after), expected, "{after_s} s");
    }
}

#[test]
fn the_end_that_this_node_has_seen_counts_before_gossip() {
    let now = Instant::now();
    let mut ladder = Ladder::new(now);
    // Gossip still shows the source of the stream that is over here.
    let stale = RungLook {
        elsewhere: Some(StreamId(1)),
        ..over(now)
    };
    let step = ladder.step(&look([stale, here(now)], Some(0)), now);
    assert_eq!(step, LadderStep::Hear(1));
    // The next stream is another one.
    let next = RungLook {
        elsewhere: Some(StreamId(7)),
        ..over(now)
    };
    let step = ladder.step(&look([next, here(now)], Some(1)), now);
    assert_eq!(
        step,
        LadderStep::Fetch {
            rung: 0,
            meanwhile: true
        }
    );
}

#[test]
fn a_stream_without_a_known_source_may_stutter() {
    let begun = Instant::now();
    let mut ladder = Ladder::new(begun);
    let cut_off = RungLook {
        ring: Some(ring(RingLook::Open, begun)),
        ..OFF_AIR
    };
    for (after_ms, step) in [(1_900, LadderStep::Hear(0)), (2_000, LadderStep::Hear(1))] {
        let now = begun + Duration::from_millis(after_ms);
        let step_now = ladder.step(&look([cut_off, here(now)], Some(0)), now);
        assert_eq!(step_now, step, "after {after_ms} ms");
    }
}

#[test]
fn the_next_stream_is_waited_for_before_a_fallback_is_heard() {
    let now = Instant::now();
    let mut ladder = Ladder::new(now);
    let mut ended = over(now);
    ended.ring.as_mut().unwrap().last_fed = now;
    let look = look([ended, here(now)], Some(0));
    let waits = LadderStep::Fetch {
        rung: 0,
        meanwhile: false,
    };
    assert_eq!(ladder.step(&look, now), waits);
    assert_eq!(ladder.step(&look, now + SUCCESSION), LadderStep::Hear(1));
}

#[test]
fn listeners_are_left_when_nothing_has_flowed_for_long() {
    let begun = Instant::now();
    let mut ladder = Ladder::new(begun);
    let nothing = look([over(begun), OFF_AIR], Some(1));
    let at = |seconds| begun + Duration::from_secs(seconds);
    assert_eq!(ladder.step(&nothing, at(10)), LadderStep::Wait);
    let leave = LadderStep::Leave(LeaveReason::NothingFlows);
    assert_eq!(ladder.step(&nothing, at(11)), leave);
    let flows = look([over(begun), here(at(12))], Some(1));
    assert_eq!(ladder.step(&flows, at(12)), LadderStep::Hear(1));
    assert_eq!(ladder.step(&nothing, at(22)), LadderStep::Wait);
}

#[test]
fn a_fallback_that_nobody_hears_is_left() {
    let begun = Instant::now();
    let mut ladder = Ladder::new(begun);
    let idle = |rung, seconds| {
        let now = begun + Duration::from_secs(seconds);
        let mut look = look([over(begun), here(now)], Some(rung));
        let heard = look.heard.as_mut().unwrap();
        heard.idle_since = Some(begun);
        (look, now)
    };
    let (kept, now) = idle(1, 30);
    assert_eq!(ladder.step(&kept, now), LadderStep::Hear(1));
    let (left, now) = idle(1, 31);
    let leave = LadderStep::Leave(LeaveReason::NobodyListens);
    assert_eq!(ladder.step(&left, now), leave);
}

#[test]
fn a_node_that_only_holds_the_stream_needs_no_fallback() {
    let now = Instant::now();
    let mut ladder = Ladder::new(now);
    let mut held = look([over(now), elsewhere(2)], Some(0));
    held.heard.as_mut().unwrap().has_audience = false;
    assert_eq!(ladder.step(&held, now), LadderStep::Wait);
    held.rungs[0] = elsewhere(3);
    let step = ladder.step(&held, now);
    assert_eq!(
        step,
        LadderStep::Fetch {
            rung: 0,
            meanwhile: false
        }
    );
}

#[test]
fn a_silent_stream_is_passed_over_where_its_mount_says_so() {
    let now = Instant::now();
    let mut ladder = Ladder::new(now);
    let silent = RungLook {
        is_silent: true,
        ..here(now)
    };
    let own = look([silent, here(now)], Some(0));
    assert_eq!(Ladder::states(&own, now)[0], RungState::Silent);
    assert_eq!(ladder.step(&own, now), LadderStep::Hear(1));
    let back = look([here(now), here(now)], Some(1));
    assert_eq!(ladder.step(&back, now), LadderStep::Hear(0));
}

#[test]
fn another_format_is_no_rung_for_those_who_listen() {
    let now = Instant::now();
    let mut misfit = here(now);
    misfit.ring.as_mut().unwrap().goes_on = Some(false);
    let mut unknown = here(now);
    unknown.ring.as_mut().unwrap().goes_on = None;
    let other_type = RungLook {
        may_go_on: false,
        ..elsewhere(4)
    };
    for (rung, state) in [
        (misfit, RungState::OtherFormat),
        (unknown, RungState::OffAir),
        (other_type, RungState::OtherFormat),
        (here(now), RungState::Flows),
    ] {
        assert_eq!(
            Ladder::states(&look([over(now), rung], Some(0)), now)[1],
            state
        );
    }
    // Their own mount's stream counts whatever it is.
    let own = Ladder::states(&look([misfit, here(now)], Some(1)), now)[0];
    assert_eq!(own, RungState::Flows);
}
#[test]
fn a_fallback_that_goes_on_in_another_format_is_heard_if_nothing_else_flows() {
    let now = Instant::now();
    let mut ladder = Ladder::new(now);
    let replaced = RungLook {
        may_go_on: false,
        demand: DemandLook::Yes,
        ..OFF_AIR
    };
    let mut look = look([over(now), replaced], Some(1));
    let fetch = LadderStep::Fetch {
        rung: 1,
        meanwhile: false,
    };
    assert_eq!(ladder.step(&look, now), fetch);
    look.rungs.push(here(now));
    assert_eq!(ladder.step(&look, now), LadderStep::Hear(2));
    // Those who have heard another stream may still get that back.
    let own = LadderLook {
        rungs: vec![over(now), replaced],
        heard: Some(HeardLook {
            rung: Some(0),
            has_audience: true,
            idle_since: None,
        }),
        ..look
    };
    assert_eq!(ladder.step(&own, now), LadderStep::Wait);
}

#[test]
fn the_next_rung_is_heard_when_the_best_does_not_come() {
    let begun = Instant::now();
    let mut ladder = Ladder::new(begun);
    let promised = RungLook {
        demand: DemandLook::Yes,
        ..OFF_AIR
    };
    // Nobody has listened so far.
    let mut look = look([OFF_AIR, promised], None);
    look.rungs.push(promised);
    let fetch = LadderStep::Fetch {
        rung: 1,
        meanwhile: false,
    };
    assert_eq!(ladder.step(&look, begun), fetch);
    assert_eq!(ladder.sought(), [1], "the others are not begun in vain");
    let late = begun + AWAITED;
    assert_eq!(ladder.step(&look, late), fetch);
    assert_eq!(ladder.sought(), [1, 2]);
    look.rungs[2] = here(late);
    assert_eq!(ladder.step(&look, late), LadderStep::Hear(2));
    assert_eq!(ladder.sought(), [1], "it is heard as soon as it comes");
    look.rungs[1] = here(late);
    assert_eq!(ladder.step(&look, late), LadderStep::Hear(1));
    assert_eq!(ladder.sought(), [0; 0]);
}

#[test]
fn a_rung_that_has_failed_is_tried_again_behind_the_one_that_is_heard() {
    let now = Instant::now();
    let mut ladder = Ladder::new(now);
    let doubtful = RungLook {
        demand: DemandLook::Doubtful,
        ..OFF_AIR
    };
    let mut look = look([OFF_AIR, doubtful], Some(2));
    look.rungs.push(here(now));
    assert_eq!(ladder.step(&look, now), LadderStep::Hear(2));
    assert_eq!(ladder.sought(), [1]);
    look.heard.as_mut().unwrap().has_audience = false;
    ladder.step(&look, now);
    assert_eq!(ladder.sought(), [0; 0], "nobody would hear it");
}
