//! How sources log in with SOURCE, and how they are refused.

use std::thread;
use std::time::{Duration, Instant};

use crate::encoder::{Encoder, eventually};
use crate::media::frames::{in_a_row, mp3, mp3_numbers};
use crate::player::Player;
use crate::row::{Level, Needs, Outcome, Row, deviates, want};
use crate::server::Login;
use crate::target::{MOMENT, Target, authorization};

/// How soon a source is answered.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How often that is tried: the machine may be busy with other tests.
const TRIES: u32 = 20;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 1,
        level: Level::Must,
        expected: "`SOURCE` with HTTP/1.0 and Basic: a status line with 200 in one segment within 100 ms; the connection stays open",
        needs: Needs::NOTHING,
        check: a_source_is_answered_at_once,
    },
    Row {
        number: 2,
        level: Level::Must,
        expected: "`SOURCE` with ICE/1.0: 200",
        needs: Needs::NOTHING,
        check: |target| is_accepted(target, "ICE/1.0", ["\r\n", "\r\n"]),
    },
    Row {
        number: 3,
        level: Level::Must,
        expected: "all line ends of the head are `\\n`: 200",
        needs: Needs::NOTHING,
        check: |target| is_accepted(target, "HTTP/1.0", ["\n", "\n"]),
    },
    Row {
        number: 4,
        level: Level::Must,
        expected: "DarkIce's mix, lines that end in `\\n` and a last one in `\\r\\n\\r\\n`: 200, and no stray byte in the audio",
        needs: Needs::NOTHING,
        check: |target| is_accepted(target, "HTTP/1.0", ["\n", "\r\n"]),
    },
    Row {
        number: 5,
        level: Level::Must,
        expected: "no login: 401 with `WWW-Authenticate: Basic realm=`",
        needs: Needs::NOTHING,
        check: a_stranger_is_asked_for_a_password,
    },
    Row {
        number: 6,
        level: Level::Must,
        expected: "a wrong password: 401, a line in the log, and the mount is not on air",
        needs: Needs::NOTHING,
        check: a_wrong_password_is_refused,
    },
    Row {
        number: 7,
        level: Level::Must,
        expected: "libshout's challenge, a `SOURCE` without login: 401 with PUT and SOURCE in `Allow`; then the login with PUT: 100 or 200",
        needs: Needs::NOTHING,
        check: libshout_finds_its_way,
    },
    Row {
        number: 12,
        level: Level::Must,
        expected: "`SOURCE` on a mount that is taken: 403 `Mountpoint in use`",
        needs: Needs::NOTHING,
        check: a_taken_mount_is_refused,
    },
    Row {
        number: 13,
        level: Level::Must,
        expected: "a mount with a user and a password of its own takes these, and not those of other mounts",
        needs: Needs::mount(&[("user", "dj"), ("password", "dj-pw")]),
        check: a_mount_has_its_own_login,
    },
    Row {
        number: 14,
        level: Level::Must,
        expected: "`SOURCE` without Content-Type: 200, and listeners get audio/mpeg",
        needs: Needs::NOTHING,
        check: a_source_without_type_is_mp3,
    },
];

fn a_source_is_answered_at_once(target: &Target<'_>) -> Outcome {
    let mut last = Duration::ZERO;
    for _ in 0..TRIES {
        let mut socket = target.open()?;
        let begun = Instant::now();
        let (mount, login) = (target.mount(), target.login());
        socket.send(format!(
            "SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n"
        ))?;
        let segment = String::from_utf8_lossy(&socket.first_segment()?).into_owned();
        last = begun.elapsed();
        let status = segment.lines().next().unwrap_or_default();
        if status.contains(" 403 ") {
            // The one before has gone, which the server may not know yet.
            thread::sleep(MOMENT);
            continue;
        }
        let whole = segment.starts_with("HTTP/1.") && segment.contains("\r\n");
        want(whole && status[8..].starts_with(" 200"), || {
            format!("the first segment is {segment:?}")
        })?;
        socket.want_open(MOMENT)?;
        if last < AT_ONCE {
            return Ok(());
        }
    }
    Err(deviates(format!("answered after {last:?}")))
}

/// Logs in with a head of these line ends, the usual and the last; the audio comes through whole.
fn is_accepted(target: &Target<'_>, protocol: &str, ends: [&str; 2]) -> Outcome {
    let (mount, login, [end, last]) = (target.mount(), target.login(), ends);
    let login = login.trim_end();
    let mut socket = target.open()?;
    let usual = format!("SOURCE {mount} {protocol}{end}{login}{end}User-Agent: x{end}");
    socket.send(format!("{usual}Content-Type: audio/mpeg{last}{last}"))?;
    socket.head()?.want(200)?;
    let _encoder = Encoder::over(socket, mp3());
    target.wait_on_air(&mount)?;
    let audio = Player::plain(target)?.audio(4_000)?;
    let first = in_a_row(&mp3_numbers(&audio)?)?;
    want(first == 0, || format!("the first frame is {first}"))
}

fn a_stranger_is_asked_for_a_password(target: &Target<'_>) -> Outcome {
    let mount = target.mount();
    let reply = target.ask(format!(
        "SOURCE {mount} HTTP/1.0\r\nContent-Type: audio/mpeg\r\n\r\n"
    ))?;
    reply.head.want(401)?;
    let asked = reply.head.header("www-authenticate").unwrap_or_default();
    want(asked.starts_with("Basic realm="), || {
        format!("WWW-Authenticate is {asked:?}")
    })
}

fn a_wrong_password_is_refused(target: &Target<'_>) -> Outcome {
    let mount = target.mount();
    let wrong = authorization(&Login::new(&target.server.source.user, "wrong"));
    let before = target.server.log();
    let reply = target.ask(format!(
        "SOURCE {mount} HTTP/1.0\r\n{wrong}Content-Type: audio/mpeg\r\n\r\n"
    ))?;
    reply.head.want(401)?;
    eventually(|| {
        let stats = target.stats(&mount)?;
        want(stats.is_none(), || "the mount is on air".to_owned())
    })?;
    let Some(before) = before else {
        return Ok(());
    };
    eventually(|| {
        let log = target.server.log().unwrap_or_default();
        let said = log.get(before.len()..).unwrap_or_default();
        want(said.contains(&mount), || {
            format!("the log says only {said:?}")
        })
    })
}

fn libshout_finds_its_way(target: &Target<'_>) -> Outcome {
    let (mount, host, login) = (target.mount(), target.host(), target.login());
    let mut socket = target.open()?;
    socket.send(format!(
        "SOURCE {mount} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: libshout/2.4.6\r\nContent-Type: audio/mpeg\r\n\
         Content-Length: 0\r\nConnection: Keep-Alive\r\nice-public: 0\r\n\r\n"
    ))?;
    let head = socket.head()?;
    head.want(401)?;
    let mut socket = target.open()?;
    socket.send(format!(
        "PUT {mount} HTTP/1.1\r\nHost: {host}\r\n{login}User-Agent: libshout/2.4.6\r\nContent-Type: audio/mpeg\r\n\
         Expect: 100-continue\r\nice-public: 0\r\n\r\n"
    ))?;
    let status = socket.head()?.status;
    want([100, 200].contains(&status), || {
        format!("the login is answered {status}")
    })?;
    let allow = head.header("allow").unwrap_or_default();
    let methods: Vec<&str> = allow.split(',').map(str::trim).collect();
    let both = methods.contains(&"PUT") && methods.contains(&"SOURCE");
    want(both, || format!("Allow is {allow:?}"))
}

fn a_taken_mount_is_refused(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let (mount, login) = (target.mount(), target.login());
    let reply = target.ask(format!(
        "SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n"
    ))?;
    reply.want(403, "Mountpoint in use")
}

fn a_mount_has_its_own_login(target: &Target<'_>) -> Outcome {
    let (mount, others) = (target.mount(), target.login());
    let own = authorization(&Login::new("dj", "dj-pw"));
    let asked =
        |login: &str| format!("SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n");
    target.ask(asked(&others))?.head.want(401)?;
    let mut socket = target.open()?;
    socket.send(asked(&own))?;
    socket.head()?.want(200)
}

fn a_source_without_type_is_mp3(target: &Target<'_>) -> Outcome {
    let (mount, login) = (target.mount(), target.login());
    let mut socket = target.open()?;
    socket.send(format!("SOURCE {mount} HTTP/1.0\r\n{login}\r\n"))?;
    socket.head()?.want(200)?;
    let _encoder = Encoder::over(socket, mp3());
    target.wait_on_air(&mount)?;
    Player::plain(target)?
        .head
        .want_header("content-type", "audio/mpeg")
}
