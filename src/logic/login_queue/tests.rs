//! The promises of the queue of logins to clients that do not guess.

use super::*;

fn origin(text: &str) -> LoginOrigin {
    LoginOrigin::of(text.parse().unwrap(), false)
}

/// How long a hash takes here.
const HASH: Duration = Duration::from_millis(50);

/// A queue with a clock, in which every turn takes [`HASH`].
struct Bench {
    queue: LoginQueue,
    now: Instant,
    /// The logins that are checked, until when, and whether each will turn out wrong.
    checked: Vec<(LoginNumber, Instant)>,
    started: Vec<(LoginNumber, Instant)>,
}

impl Bench {
    fn new() -> Self {
        Self {
            queue: LoginQueue::default(),
            now: Instant::now(),
            checked: Vec::new(),
            started: Vec::new(),
        }
    }

    fn enter(&mut self, from: &str, account: &str) -> LoginNumber {
        self.queue.enter(origin(from), account, self.now).number
    }

    /// Lets time pass; all logins but `right` turn out wrong.
    fn run_for(&mut self, time: Duration, right: Option<LoginNumber>) {
        let end = self.now + time;
        while self.now < end {
            let now = self.now;
            let over = self.checked.extract_if(.., |(_, until)| *until <= now);
            for (number, _) in over.collect::<Vec<_>>() {
                let outcome = match Some(number) == right {
                    true => TurnOutcome::Other,
                    false => TurnOutcome::Wrong,
                };
                self.queue.finish(number, outcome, now);
            }
            while let Some(number) = self.queue.start_next(now) {
                self.started.push((number, now));
                self.checked.push((number, now + HASH));
            }
            assert!(self.checked.len() <= PARALLEL);
            self.now += Duration::from_millis(5);
        }
    }

    fn waited(&self, number: LoginNumber, since: Instant) -> Option<Duration> {
        let mut started = self.started.iter();
        let (_, at) = started.find(|(it, _)| *it == number)?;
        Some(at.saturating_duration_since(since))
    }
}

#[test]
fn a_guessing_address_gets_five_hashes_a_second_then_fewer() {
    let mut bench = Bench::new();
    let begun = bench.now;
    for second in 0..60 {
        for guess in 0..200 {
            bench.enter("192.0.2.1", &format!("/{}", (guess + second) % 7));
        }
        bench.run_for(Duration::from_secs(1), None);
    }
    let at: Vec<Instant> = bench.started.iter().map(|(_, at)| *at).collect();
    for (index, first) in at.iter().enumerate() {
        let within = at[index..]
            .iter()
            .take_while(|it| **it <= *first + Duration::from_secs(1));
        assert!(within.count() <= 5);
    }
    let in_minute = at.len();
    let late = at
        .iter()
        .filter(|it| **it > begun + Duration::from_secs(50));
    assert!(in_minute < 100, "{in_minute} in the first minute");
    assert!(late.count() <= 4, "the pause grows");
}

#[test]
fn a_login_from_elsewhere_passes_all_guessers() {
    let mut bench = Bench::new();
    for guesser in 0..100 {
        for _ in 0..10 {
            bench.enter(&format!("192.0.2.{guesser}"), "/radio.mp3");
        }
    }
    bench.run_for(Duration::from_secs(10), None);
    for guesser in 0..100 {
        bench.enter(&format!("192.0.2.{guesser}"), "/radio.mp3");
    }
    let since = bench.now;
    let login = bench.enter("198.51.100.1", "/radio.mp3");
    bench.run_for(Duration::from_millis(200), Some(login));
    assert!(bench.waited(login, since) <= Some(HASH));
}

#[test]
fn guessers_that_fill_every_place_leave_one_for_others() {
    let mut bench = Bench::new();
    for guess in 0..2 * MAX_WAITING {
        bench.enter(&format!("192.0.2.{}", guess % 4), "/radio.mp3");
    }
    assert_eq!(bench.queue.waiting.len(), MAX_WAITING);
    let entry = bench
        .queue
        .enter(origin("198.51.100.1"), "/radio.mp3", bench.now);
    assert_ne!(entry.displaced, Some(entry.number));
    assert_eq!(bench.queue.waiting.len(), MAX_WAITING);
    for _ in 0..2 * MAX_WAITING {
        bench.enter("192.0.2.9", "/radio.mp3");
    }
    let mut waiting = bench.queue.waiting.values();
    assert!(waiting.any(|it| it.origin == origin("198.51.100.1")));
    let origin_places = bench.queue.waiting.values();
    let of_one = origin_places.filter(|it| it.origin == origin("192.0.2.9"));
    assert!(of_one.count() <= MAX_WAITING_PER_ORIGIN);
}

#[test]
fn a_later_login_takes_no_waiting_logins_place() {
    let mut bench = Bench::new();
    let first = bench.enter("198.51.100.1", "/radio.mp3");
    for stranger in 0..2 * MAX_WAITING {
        bench.enter(&format!("2001:db8:0:{stranger:x}::1"), "/radio.mp3");
    }
    assert_eq!(bench.queue.waiting.len(), MAX_WAITING);
    assert!(bench.queue.waiting.contains_key(&first));
}

#[test]
fn guessers_of_one_mount_leave_turns_to_other_mounts() {
    let mut bench = Bench::new();
    for _ in 0..MAX_WAITING_PER_ORIGIN {
        bench.enter("192.0.2.1", "/guessed.mp3");
    }
    bench.run_for(Duration::from_secs(2), None);
    let since = bench.now;
    let login = bench.enter("192.0.2.1", "/other.mp3");
    for _ in 0..100 {
        bench.enter("192.0.2.1", "/guessed.mp3");
    }
    bench.run_for(Duration::from_secs(1), Some(login));
    assert!(bench.waited(login, since) <= Some(FIRST_PAUSE * 2));
}

#[test]
fn addresses_that_never_guessed_take_turns_by_mount() {
    let mut bench = Bench::new();
    for address in 0..200 {
        bench.enter(&format!("2001:db8:0:{address:x}::1"), "/guessed.mp3");
    }
    let since = bench.now;
    let login = bench.enter("198.51.100.1", "/other.mp3");
    bench.run_for(Duration::from_secs(1), Some(login));
    assert!(bench.waited(login, since) <= Some(HASH));
}

#[test]
fn one_login_passes_addresses_that_send_several_at_once() {
    let mut bench = Bench::new();
    for guess in 0..200 {
        bench.enter(&format!("192.0.2.{}", guess % 50), "/radio.mp3");
    }
    let since = bench.now;
    let login = bench.enter("198.51.100.1", "/radio.mp3");
    bench.run_for(Duration::from_secs(1), Some(login));
    assert!(bench.waited(login, since) <= Some(HASH));
}

#[test]
fn a_studio_behind_one_address_logs_in_without_pauses() {
    let mut bench = Bench::new();
    for encoder in 0..20 {
        let number = bench.enter("192.0.2.1", &format!("/{encoder}"));
        bench.run_for(HASH * 2, Some(number));
        assert!(bench.waited(number, bench.now).is_some());
    }
}

#[test]
fn a_shared_address_pauses_half_a_second_at_most() {
    let proxy = LoginOrigin::of("127.0.0.1".parse().unwrap(), true);
    assert_eq!(pause(proxy, 1), FIRST_PAUSE);
    assert_eq!(pause(proxy, u32::MAX), MAX_SHARED_PAUSE);
    assert_eq!(pause(origin("192.0.2.1"), u32::MAX), MAX_PAUSE);
}

#[test]
fn an_address_is_forgiven_and_the_table_is_bounded() {
    let mut bench = Bench::new();
    for address in 0..MAX_ORIGINS + 10 {
        let from = format!("2001:db8:{:x}:{:x}::1", address >> 16, address & 0xffff);
        let number = bench.enter(&from, "/a");
        assert_eq!(bench.queue.start_next(bench.now), Some(number));
        bench.queue.finish(number, TurnOutcome::Wrong, bench.now);
    }
    assert_eq!(bench.queue.guessers.len(), MAX_ORIGINS);
    bench.now += FORGIVEN_AFTER;
    bench.enter("2001:db8:0:1000::1", "/a");
    assert_eq!(bench.queue.wrong(origin("2001:db8:0:1000::")), 0);
    assert_eq!(bench.queue.guessers.len(), MAX_ORIGINS - 1);
}

#[test]
fn an_ipv4_address_or_an_ipv6_64_is_a_network() {
    assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
    assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:2"));
    assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
}
