//! Sources that speak Shoutcast: a line with the password, and then headers.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::encoder::Encoder;
use crate::media::frames::{from_first_frame, in_a_row, mp3, mp3_frame, mp3_numbers};
use crate::player::{Player, WANTS_TITLES};
use crate::row::{Fault, Level, Needs, Outcome, Prepared, Row, deviates, want};
use crate::server::SHOUTCAST_MOUNT;
use crate::socket::{PATIENCE, RawSocket};
use crate::target::{MOMENT, Target};

/// The headers of a Shoutcast source.
const HEADERS: &str = "icy-name:Known\r\nicy-genre:Jazz\r\nicy-url:http://known.example/\r\nicy-pub:0\r\n\
                       icy-br:128\r\ncontent-type:audio/mpeg\r\n\r\n";
/// The answer to the right password.
const WELCOME: &str = "OK2\r\nicy-caps:11\r\n\r\n";
/// The frames that are sent with the headers.
const WITH_HEAD: u64 = 8;
/// How long the mount may stay taken after its source has gone.
const RELEASED: Duration = Duration::from_secs(10);

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 22,
        level: Level::Must,
        expected: "Shoutcast: a line with the password on the port for it: `OK2`, `icy-caps:11` and an empty line",
        needs: Needs::NOTHING.in_server(Prepared::Shoutcast),
        check: a_password_is_welcomed,
    },
    Row {
        number: 23,
        level: Level::Must,
        expected: "Shoutcast: password, headers and audio in one packet: on air, and no audio is lost",
        needs: Needs::NOTHING.in_server(Prepared::Shoutcast),
        check: all_in_one_packet,
    },
    Row {
        number: 24,
        level: Level::Should,
        expected: "Shoutcast: a wrong password: `invalid password`, then closed",
        needs: Needs::NOTHING.in_server(Prepared::Shoutcast),
        check: a_wrong_password_is_told,
    },
    Row {
        number: 25,
        level: Level::Should,
        expected: "Shoutcast: libshout's `!POKE`: closed, or a line without OK; then the login works",
        needs: Needs::NOTHING.in_server(Prepared::Shoutcast),
        check: a_poke_does_no_harm,
    },
    Row {
        number: 26,
        level: Level::Must,
        expected: "Shoutcast: `GET /admin.cgi?mode=updinfo&pass=…&song=X`: 200, and listeners get the title",
        needs: Needs::NOTHING.in_server(Prepared::Shoutcast),
        check: a_title_comes_by_admin_cgi,
    },
    Row {
        number: 27,
        level: Level::Should,
        expected: "Shoutcast: `/mount:password`, `user:password` of a mount, `password:#1`: `OK2`",
        needs: Needs::mount(&[("user", "dj27")]).in_server(Prepared::Shoutcast),
        check: the_line_may_name_a_mount,
    },
];

/// The turn of this row: all of them use one mount.
fn turn<'a>(target: &Target<'a>) -> MutexGuard<'a, ()> {
    // Nothing is left half done by a row that has panicked.
    let turn = target.server.shoutcast_turn.lock();
    turn.unwrap_or_else(PoisonError::into_inner)
}

fn open(target: &Target<'_>) -> Result<RawSocket, Fault> {
    let missing = Fault::Skipped("it needs a port for Shoutcast sources");
    RawSocket::open(target.server.shoutcast.as_ref().ok_or(missing)?)
}

/// Logs in with this line. The mount may still be taken by a source that has gone, which is only told behind the headers.
fn log_in(target: &Target<'_>, line: &str) -> Result<RawSocket, Fault> {
    let mut socket = open(target)?;
    socket.send(format!("{line}\r\n"))?;
    let answer = socket.take(WELCOME.len())?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    want(answer == WELCOME, || {
        format!("{line:?} is answered {answer:?}")
    })?;
    Ok(socket)
}

/// Sends on the Shoutcast mount, as soon as the source before has left it.
fn on_air(
    target: &Target<'_>,
    send: impl Fn() -> Result<Encoder, Fault>,
) -> Result<Encoder, Fault> {
    let begun = Instant::now();
    while begun.elapsed() < RELEASED {
        let encoder = send()?;
        if encoder.wait_closed(MOMENT).is_err() {
            target.wait_on_air(SHOUTCAST_MOUNT)?;
            return Ok(encoder);
        }
    }
    Err(deviates("the source is closed"))
}

fn a_password_is_welcomed(target: &Target<'_>) -> Outcome {
    let _turn = turn(target);
    log_in(target, &target.server.source.password).map(drop)
}

fn all_in_one_packet(target: &Target<'_>) -> Outcome {
    let _turn = turn(target);
    let mut packet = format!("{}\r\n{HEADERS}", target.server.source.password).into_bytes();
    packet.extend((0..WITH_HEAD).flat_map(mp3_frame));
    let _encoder = on_air(target, || {
        let mut socket = open(target)?;
        socket.send(&packet)?;
        socket.take(WELCOME.len())?;
        Ok(Encoder::over(socket, mp3().beginning_at(WITH_HEAD)))
    })?;
    let audio = Player::tune_in(target, SHOUTCAST_MOUNT, "")?.audio(8_000)?;
    let first = in_a_row(&mp3_numbers(from_first_frame(&audio))?)?;
    want(first == 0, || format!("the first frame is {first}"))
}

fn a_wrong_password_is_told(target: &Target<'_>) -> Outcome {
    let _turn = turn(target);
    let mut socket = open(target)?;
    socket.send("wrong\r\n")?;
    let answer = socket.rest(PATIENCE)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    want(answer == "invalid password\r\n", || {
        format!("the answer is {answer:?}")
    })
}

fn a_poke_does_no_harm(target: &Target<'_>) -> Outcome {
    let _turn = turn(target);
    let mut socket = open(target)?;
    socket.send("!POKE\nicy-name:libshout server poke request\n\n")?;
    let answer = socket.gather(PATIENCE)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    want(!answer.contains("OK"), || {
        format!("the poke is answered {answer:?}")
    })?;
    log_in(target, &target.server.source.password).map(drop)
}

fn a_title_comes_by_admin_cgi(target: &Target<'_>) -> Outcome {
    let _turn = turn(target);
    let _encoder = on_air(target, || {
        let mut socket = log_in(target, &target.server.source.password)?;
        socket.send(HEADERS)?;
        Ok(Encoder::over(socket, mp3()))
    })?;
    let mut player = Player::tune_in(target, SHOUTCAST_MOUNT, WANTS_TITLES)?;
    player.text()?;
    let pass = &target.server.source.password;
    let asked = format!("/admin.cgi?mode=updinfo&pass={pass}&song=Shouted");
    // As the programs that speak Shoutcast do.
    target
        .get(&asked, "User-Agent: (Mozilla Compatible)\r\n")?
        .head
        .want(200)?;
    player.want_title(b"Shouted")
}

fn the_line_may_name_a_mount(target: &Target<'_>) -> Outcome {
    let _turn = turn(target);
    let (mount, password) = (target.mount(), &target.server.source.password);
    for line in [
        format!("{mount}:{password}"),
        format!("dj27:{password}"),
        format!("{password}:#1"),
    ] {
        log_in(target, &line)?;
    }
    Ok(())
}
