//! Heads, paths and lengths that no honest client sends: each gets an answer, and does no harm.

use crate::encoder::Encoder;
use crate::media::frames::mp3;
use crate::row::{Level, Needs, Outcome, Row, want};
use crate::socket::PATIENCE;
use crate::target::Target;

/// The headers of a large head that has to be accepted.
const MANY: usize = 100;
/// The bytes of each, so that all together are 16 kB.
const LONG: usize = 160;
/// A head that is beyond every limit.
const TOO_LONG: usize = 1 << 20;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 92,
        level: Level::Must,
        expected: "a head of 16 kB with 100 headers: accepted; one of 1 MB: 431, not a silent reset",
        needs: Needs::NOTHING,
        check: large_heads_are_read,
    },
    Row {
        number: 93,
        level: Level::Must,
        expected: "`%00`, `..`, `//`, `%2e%2e` and a NUL in a path: 400; never a file, never a mount",
        needs: Needs::NOTHING,
        check: odd_paths_are_refused,
    },
    Row {
        number: 94,
        level: Level::Must,
        expected: "a length beside chunks, two lengths, a chunk that is none: 400 and closed",
        needs: Needs::NOTHING,
        check: odd_lengths_are_refused,
    },
    Row {
        number: 95,
        level: Level::Must,
        expected: "`manageauth` with a user name that has `:` or a line end: 400",
        needs: Needs::mount(&[("htpasswd", "users")]),
        check: odd_user_names_are_refused,
    },
];

fn large_heads_are_read(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let (mount, host) = (target.mount(), target.host());
    let header = |number: usize| format!("X-{number:03}: {}\r\n", "x".repeat(LONG));
    let headers: String = (0..MANY).map(header).collect();
    let mut socket = target.open()?;
    socket.send(format!(
        "GET {mount} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"
    ))?;
    socket.head()?.want(200)?;
    let mut socket = target.open()?;
    let long = "x".repeat(TOO_LONG);
    // The server may answer and close before it has read all of that.
    let _sent = socket.send(format!(
        "GET {mount} HTTP/1.1\r\nHost: {host}\r\nX-Long: {long}\r\n\r\n"
    ));
    socket.head()?.want(431)
}

fn odd_paths_are_refused(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mount = target.mount();
    for path in [
        format!("{mount}%00.txt"),
        format!("{mount}\0.txt"),
        format!("/{mount}"),
        "/../../../../etc/hostname".to_owned(),
        "/%2e%2e/%2e%2e/%2e%2e/etc/hostname".to_owned(),
    ] {
        let mut socket = target.open()?;
        socket.send(format!("GET {path} HTTP/1.0\r\n\r\n"))?;
        let head = socket.head()?;
        want(head.status == 400, || {
            format!("{path:?} is answered {head:?}")
        })?;
        socket.rest(PATIENCE)?;
    }
    Ok(())
}

fn odd_lengths_are_refused(target: &Target<'_>) -> Outcome {
    let (mount, host, login) = (target.mount(), target.host(), target.login());
    for (headers, body) in [
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "4\r\nabcd\r\n",
        ),
        ("Content-Length: 4\r\nContent-Length: 5\r\n", "abcde"),
        ("Transfer-Encoding: chunked\r\n", "nonsense\r\nabcd\r\n"),
    ] {
        let mut socket = target.open()?;
        socket.send(format!(
            "PUT {mount} HTTP/1.1\r\nHost: {host}\r\n{login}Content-Type: audio/mpeg\r\n{headers}\r\n{body}"
        ))?;
        let head = socket.head()?;
        want(head.status == 400, || {
            format!("{headers:?} is answered {head:?}")
        })?;
        socket.rest(PATIENCE)?;
    }
    Ok(())
}

fn odd_user_names_are_refused(target: &Target<'_>) -> Outcome {
    let (mount, admin) = (target.mount(), target.admin()?);
    // Icecast looks at the user only where there is a source.
    let _encoder = Encoder::start(target, mp3())?;
    for name in ["evil%3Ax", "evil%0aroot", "evil%0d%0aroot"] {
        let asked =
            format!("/admin/manageauth?mount={mount}&action=add&username={name}&password=pw");
        let reply = target.get(&asked, &admin)?;
        want(reply.head.status == 400, || {
            format!("{name} is answered {:?}: {}", reply.head, reply.text())
        })?;
    }
    Ok(())
}
