//! Sources that log in with PUT, that send chunks, and that do not wait for the answer.

use std::time::{Duration, Instant};

use crate::encoder::Encoder;
use crate::media::Tune;
use crate::media::frames::{from_first_frame, in_a_row, mp3, mp3_frame, mp3_numbers};
use crate::player::Player;
use crate::row::{Fault, Level, Needs, Outcome, Row, want};
use crate::server::Login;
use crate::socket::RawSocket;
use crate::target::{Target, authorization};

/// How soon a PUT without `Expect` is answered, on a machine that is busy with other tests: the rule says a second.
const SOON: Duration = Duration::from_secs(2);
/// The frames that are sent with the head: 3,000 bytes.
const WITH_HEAD: u64 = 8;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 8,
        level: Level::Must,
        expected: "`PUT` with `Expect: 100-continue`: `HTTP/1.1 100 Continue` first; then the audio reaches listeners",
        needs: Needs::NOTHING,
        check: a_put_is_told_to_continue,
    },
    Row {
        number: 9,
        level: Level::Must,
        expected: "`PUT` with `Expect` and a wrong password: 401, and no 100",
        needs: Needs::NOTHING,
        check: a_wrong_put_is_not_told_to_continue,
    },
    Row {
        number: 10,
        level: Level::Must,
        expected: "`PUT` with `Expect` on a mount that is taken: 403, and no 100",
        needs: Needs::NOTHING,
        check: a_second_put_is_not_told_to_continue,
    },
    Row {
        number: 11,
        level: Level::Must,
        expected: "`PUT` without `Expect`: 200 before any audio is sent",
        needs: Needs::NOTHING,
        check: a_put_is_answered_before_its_body,
    },
    Row {
        number: 15,
        level: Level::Must,
        expected: "`SOURCE` with HTTP/1.1 and `PUT`, both chunked: listeners get the audio, and nothing of the chunks",
        needs: Needs::SECOND,
        check: chunks_are_taken_apart,
    },
    Row {
        number: 16,
        level: Level::Must,
        expected: "3,000 bytes of audio in the packet of the head: not lost",
        needs: Needs::NOTHING,
        check: audio_behind_the_head_is_kept,
    },
];

fn put(target: &Target<'_>, login: &str, more: &str) -> Result<RawSocket, Fault> {
    let (mount, host) = (target.mount(), target.host());
    let mut socket = target.open()?;
    socket.send(format!(
        "PUT {mount} HTTP/1.1\r\nHost: {host}\r\n{login}Content-Type: audio/mpeg\r\n{more}\r\n"
    ))?;
    Ok(socket)
}

fn a_put_is_told_to_continue(target: &Target<'_>) -> Outcome {
    let mut socket = put(target, &target.login(), "Expect: 100-continue\r\n")?;
    let line = socket.line()?;
    want(line == "HTTP/1.1 100 Continue", || {
        format!("the first line is {line:?}")
    })?;
    let _encoder = Encoder::over(socket, mp3());
    target.wait_on_air(&target.mount())?;
    let audio = Player::plain(target)?.audio(4_000)?;
    in_a_row(&mp3_numbers(from_first_frame(&audio))?).map(drop)
}

fn a_wrong_put_is_not_told_to_continue(target: &Target<'_>) -> Outcome {
    let wrong = authorization(&Login::new(&target.server.source.user, "wrong"));
    let mut socket = put(target, &wrong, "Expect: 100-continue\r\n")?;
    socket.head()?.want(401)
}

fn a_second_put_is_not_told_to_continue(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mut socket = put(target, &target.login(), "Expect: 100-continue\r\n")?;
    socket.head()?.want(403)
}

fn a_put_is_answered_before_its_body(target: &Target<'_>) -> Outcome {
    let begun = Instant::now();
    let mut socket = put(target, &target.login(), "")?;
    socket.head()?.want(200)?;
    let took = begun.elapsed();
    want(took < SOON, || format!("answered after {took:?}"))
}

fn chunks_are_taken_apart(target: &Target<'_>) -> Outcome {
    for (method, mount) in [("SOURCE", target.mount()), ("PUT", target.second())] {
        let (host, login) = (target.host(), target.login());
        let mut socket = target.open()?;
        socket.send(format!(
            "{method} {mount} HTTP/1.1\r\nHost: {host}\r\n{login}Content-Type: audio/mpeg\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        ))?;
        socket.head()?.want(200)?;
        let tune: Tune = mp3().chunked();
        let _encoder = Encoder::over(socket, tune);
        target.wait_on_air(&mount)?;
        let audio = Player::tune_in(target, &mount, "")?.audio(20_000)?;
        in_a_row(&mp3_numbers(from_first_frame(&audio))?)?;
    }
    Ok(())
}

fn audio_behind_the_head_is_kept(target: &Target<'_>) -> Outcome {
    let (mount, login) = (target.mount(), target.login());
    let head = format!("SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n");
    let mut packet = head.into_bytes();
    packet.extend((0..WITH_HEAD).flat_map(mp3_frame));
    let mut socket = target.open()?;
    socket.send(packet)?;
    socket.head()?.want(200)?;
    let _encoder = Encoder::over(socket, mp3().beginning_at(WITH_HEAD));
    target.wait_on_air(&mount)?;
    let audio = Player::plain(target)?.audio(8_000)?;
    let first = in_a_row(&mp3_numbers(&audio)?)?;
    want(first == 0, || format!("the first frame is {first}"))
}
