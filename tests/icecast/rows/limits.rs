//! Listeners that are too many, too slow, or stay too long.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::encoder::Encoder;
use crate::media::Tune;
use crate::media::frames::mp3;
use crate::player::Player;
use crate::row::{Fault, Level, Needs, Outcome, Row, deviates, want};
use crate::socket::RawSocket;
use crate::target::Target;

/// How long a listener may stay, at least and at most: three seconds are set.
const STAY: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(5)];
/// How long a listener that does not read may stay.
const STALLED: Duration = Duration::from_secs(40);
/// The most bytes of a listener that does not read, which the server and its system keep for it. The stream comes at
/// 9.6 Mbit/s: a second of it, for which the kernel may take twice the memory.
const MOST_KEPT: usize = 2 << 20;
/// The receive buffer of that listener: what is kept beyond it is the server's.
const RECEIVE_BUFFER_BYTES: usize = 4 << 10;
/// The bytes of a piece of a stream that is no audio anybody knows: 1.2 MB a second.
const PIECE_BYTES: usize = 60_000;
const PIECE: Duration = Duration::from_millis(50);

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 49,
        level: Level::Must,
        expected: "a listener that reads nothing: ended, counted in `slow_listeners`, and at most 2 MiB are kept for it",
        needs: Needs::NOTHING,
        check: a_stalled_listener_is_ended,
    },
    Row {
        number: 50,
        level: Level::Must,
        expected: "a second listener where one is allowed: 403 `max listeners reached`",
        needs: Needs::mount(&[("max_listeners", "1")]),
        check: a_listener_too_many_is_refused,
    },
    Row {
        number: 57,
        level: Level::Must,
        expected: "a listener that may stay for 3 s: ended then",
        needs: Needs::mount(&[("max_listener_s", "3")]),
        check: a_listener_stays_so_long,
    },
];

fn a_stalled_listener_is_ended(target: &Target<'_>) -> Outcome {
    let piece = |number: u64| format!("{number:07};").into_bytes().repeat(PIECE_BYTES / 8);
    let tune = Tune::new("application/x-known", Vec::new(), PIECE, piece);
    let _encoder = Encoder::start(target, tune)?;
    let (mount, before) = (target.mount(), slow_listeners(target)?);
    let mut stalled = RawSocket::over(small(target.host())?.into())?;
    stalled.send(format!("GET {mount} HTTP/1.0\r\n\r\n"))?;
    let begun = Instant::now();
    loop {
        let slow = slow_listeners(target)?;
        if slow > before {
            break;
        }
        if begun.elapsed() > STALLED {
            return Err(deviates(format!(
                "slow_listeners is {slow} after {STALLED:?}"
            )));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let kept = stalled.rest(Duration::from_secs(10))?.len();
    want(kept <= MOST_KEPT, || {
        format!("{kept} bytes were kept for it")
    })
}

/// A connection whose receiving side keeps little.
fn small(host: &str) -> Result<Socket, Fault> {
    let mut addresses = host.to_socket_addrs()?;
    let address: SocketAddr = addresses.next().ok_or_else(|| deviates("no address"))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.connect(&address.into())?;
    Ok(socket)
}

/// The count of slow listeners in the public status, or in the admin's.
fn slow_listeners(target: &Target<'_>) -> Result<u64, Fault> {
    let mount = target.mount();
    let public = target.stat(&mount, "slow_listeners")?;
    if let Ok(count) = public.parse() {
        return Ok(count);
    }
    let page = target.get(&format!("/admin/stats?mount={mount}"), &target.admin()?)?;
    let text = page.text();
    let count = text.split("<slow_listeners>").nth(1);
    let count = count.and_then(|rest| rest.split('<').next()?.parse().ok());
    count.ok_or_else(|| deviates("no slow_listeners"))
}

fn a_listener_too_many_is_refused(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mut first = Player::plain(target)?;
    first.audio(1_000)?;
    target
        .get_refused(&target.mount())?
        .want(403, "max listeners reached")
}

fn a_listener_stays_so_long(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let begun = Instant::now();
    let mut player = Player::plain(target)?;
    player.rest(STAY[1])?;
    let took = begun.elapsed();
    want((STAY[0]..STAY[1]).contains(&took), || {
        format!("ended after {took:?}")
    })
}
