//! A hundred switches under a hundred listeners on three nodes.

use std::time::{Duration, Instant};

use super::stage::{AUTO, AUTO_FIRST, LIVE, encoder, listener, mesh};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::tape::Tape;

const LISTENERS: usize = 100;
/// Each is a switch to the live stream and one back.
const ROUNDS: u64 = 50;
/// How many frames of a stream are heard at least before the next switch.
const HEARD: u64 = 20;
/// How far apart the first frames of two live sources are.
const LIVE_STEP: u64 = AUTO_FIRST / ROUNDS / 2;

/// A listener, and what it has heard so far.
struct Hearing {
    player: Player,
    tape: Tape,
    taken_bytes: usize,
}

impl Hearing {
    /// The numbers of the frames that it has heard last in a row.
    fn last_run(&mut self) -> Option<(u64, u64)> {
        let more = self.player.bytes_from(self.taken_bytes);
        self.taken_bytes += more.len();
        self.tape.take(&more);
        let run = self.tape.runs().last()?;
        Some((run.first, run.next))
    }
}

/// Waits until all of them hear frames from this number on.
fn wait_hear(crowd: &mut [Hearing], from: u64, to: u64) {
    for hearing in crowd {
        let look = || {
            let run = hearing.last_run();
            assert!(
                !hearing.player.is_closed(),
                "{} was ended",
                hearing.player.url
            );
            let good = run
                .is_some_and(|(first, next)| (from..to).contains(&first) && next - first >= HEARD);
            so(good, format!("{run:?}"))
        };
        eventually(PATIENCE, &format!("frames from {from} on are heard"), look);
    }
}

#[test]
#[ignore = "takes some minutes: make ladder"]
fn a_hundred_listeners_are_switched_a_hundred_times() {
    let mesh = mesh(3);
    let _auto = encoder(&mesh.nodes[1], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    let hearing = |number: usize| Hearing {
        player: listener(&mesh.nodes[number % 3], LIVE),
        tape: Tape::default(),
        taken_bytes: 0,
    };
    let mut crowd: Vec<Hearing> = (0..LISTENERS).map(hearing).collect();
    wait_hear(&mut crowd, AUTO_FIRST, u64::MAX);
    let begun = Instant::now();
    for round in 0..ROUNDS {
        let first = round * LIVE_STEP;
        let live = encoder(&mesh.nodes[round as usize % 3], LIVE, first);
        wait_hear(&mut crowd, first, first + LIVE_STEP);
        drop(live);
        wait_hear(&mut crowd, AUTO_FIRST, u64::MAX);
    }
    let took = begun.elapsed();
    let mut longest = Duration::ZERO;
    for hearing in &crowd {
        longest = longest.max(hearing.player.longest_gap());
        let flaws = hearing.tape.flaws();
        assert_eq!(flaws.foreign_bytes, 0, "{}", hearing.player.url);
        let switches = hearing.tape.runs().len() as u64 - 1;
        assert_eq!(switches, 2 * ROUNDS, "{}", hearing.player.url);
        let auto = hearing
            .tape
            .runs()
            .iter()
            .filter(|run| run.first >= AUTO_FIRST);
        let auto: Vec<_> = auto.collect();
        for pair in auto.windows(2) {
            assert!(
                pair[0].next <= pair[1].first,
                "{} hears twice",
                hearing.player.url
            );
        }
        let live = hearing
            .tape
            .runs()
            .iter()
            .filter(|run| run.first < AUTO_FIRST);
        for (run, round) in live.zip(0..) {
            assert_eq!(run.first, round * LIVE_STEP, "the first frame is heard");
        }
    }
    println!(
        "{LISTENERS} listeners, {} switches in {took:.0?}: none ended, no frame broken or heard twice; the longest time without \
         bytes was {longest:.1?}",
        2 * ROUNDS
    );
}
