//! How long sources stay, how they come back, and how many there may be.

use std::thread;
use std::time::{Duration, Instant};

use crate::encoder::{Encoder, eventually, knock_until_free};
use crate::media::frames::mp3;
use crate::player::{Player, WANTS_TITLES};
use crate::row::{Level, Needs, Outcome, Prepared, Row, deviates, want};
use crate::socket::Arrival;
use crate::target::Target;

/// How long a silent source may stay, at least and at most: six seconds are set.
const SILENT: [Duration; 2] = [Duration::from_millis(5_500), Duration::from_secs(9)];
/// How far from its limit a slow head may be cut, on a machine that is busy with other tests: the rule says a second.
const HEAD_SLACK: Duration = Duration::from_secs(2);
/// The limits for heads that servers have, where the server's own is not known.
const HEAD_LIMITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// The first frame of a second source.
const SECOND_FIRST: u64 = 10_000_000;
/// How long listeners may wait for audio while one source takes the place of another: the rule says a second.
const GAP: Duration = Duration::from_millis(1_500);
/// How long a source is away.
const AWAY: Duration = Duration::from_secs(2);

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 17,
        level: Level::Must,
        expected: "a source that is silent for 6 s, which is its limit: closed after 6 to 8 s, and its listeners are ended",
        needs: Needs::mount(&[("source_timeout_s", "6"), ("linger_s", "0")]),
        check: a_silent_source_is_closed,
    },
    Row {
        number: 18,
        level: Level::Must,
        expected: "a head that comes at a byte a second: closed at the limit for heads",
        needs: Needs::NOTHING,
        check: a_slow_head_is_cut,
    },
    Row {
        number: 28,
        level: Level::Must,
        expected: "one source more than the server takes: 403 `too many sources connected`",
        needs: Needs::SECOND.in_server(Prepared::OneSource),
        check: a_source_too_many_is_refused,
    },
    Row {
        number: 96,
        level: Level::Should,
        expected: "takeover: a second source with the same login ends the first, and listeners continue within a second",
        needs: Needs::mount(&[("takeover", "takeover")]),
        check: a_second_source_takes_over,
    },
    Row {
        number: 97,
        level: Level::Should,
        expected: "linger: a source drops and comes back after 2 s; listeners keep their connection, and the title is restored",
        needs: Needs::mount(&[("linger_s", "10")]),
        check: listeners_wait_for_their_source,
    },
];

fn a_silent_source_is_closed(target: &Target<'_>) -> Outcome {
    let encoder = Encoder::start(target, mp3().falling_silent())?;
    let mut player = Player::plain(target)?;
    let took = encoder.wait_closed(SILENT[1] * 2)?;
    want((SILENT[0]..SILENT[1]).contains(&took), || {
        format!("closed after {took:?}")
    })?;
    player.rest(Duration::from_secs(5)).map(drop)
}

fn a_slow_head_is_cut(target: &Target<'_>) -> Outcome {
    let limits = target.server.head_limit;
    let [least, most] = limits.map_or(HEAD_LIMITS, |it| [it - HEAD_SLACK, it + HEAD_SLACK]);
    let mut socket = target.open()?;
    let begun = Instant::now();
    let mut head = b"SOURCE /k18 HTTP/1.0\r\nUser-Agent: "
        .iter()
        .chain([b'x'].iter().cycle());
    while begun.elapsed() < most + HEAD_SLACK {
        // A server that has closed its end answers a byte by a reset.
        let sent = socket.send([*head.next().expect("it has no end")]);
        if sent.is_err() || socket.wait(Duration::from_secs(1))? == Arrival::Closed {
            let took = begun.elapsed();
            return want((least..most).contains(&took), || {
                format!("closed after {took:?}")
            });
        }
    }
    Err(deviates(format!("not closed after {:?}", begun.elapsed())))
}

fn a_source_too_many_is_refused(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let (mount, login) = (target.second(), target.login());
    let reply = target.ask(format!(
        "SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n"
    ))?;
    reply.want(403, "too many sources connected")
}

fn a_second_source_takes_over(target: &Target<'_>) -> Outcome {
    let first = Encoder::start(target, mp3())?;
    let mut player = Player::plain(target)?;
    let second = mp3().beginning_at(SECOND_FIRST);
    let _second = Encoder::unseen(target, &target.mount(), second, "")?;
    first.wait_closed(Duration::from_secs(5))?;
    let longest = player.wait_frame_from(SECOND_FIRST)?;
    want(longest < GAP, || format!("no audio for {longest:?}"))
}

fn listeners_wait_for_their_source(target: &Target<'_>) -> Outcome {
    let first = Encoder::start(target, mp3())?;
    target.set_title("song=Before")?;
    let mount = target.mount();
    target.wait_stat(&mount, "title", "Before")?;
    let mut player = Player::plain(target)?;
    drop(first);
    thread::sleep(AWAY);
    let login = target.login();
    let head = format!("SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n");
    let socket = knock_until_free(target, &head)?;
    let _second = Encoder::over(socket, mp3().beginning_at(SECOND_FIRST));
    player.wait_frame_from(SECOND_FIRST)?;
    target.wait_stat(&mount, "title", "Before")?;
    eventually(|| {
        let mut joiner = Player::tune_in(target, &mount, WANTS_TITLES)?;
        joiner.want_title(b"Before")
    })
}
