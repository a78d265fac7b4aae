//! Mounts whose streams come from other servers.

use std::thread;
use std::time::{Duration, Instant};

use crate::encoder::{Encoder, eventually};
use crate::icecast;
use crate::media::frames::{from_first_frame, in_a_row, mp3, mp3_numbers};
use crate::player::{Player, WANTS_TITLES};
use crate::row::{Fault, Level, Needs, Outcome, Prepared, Relay, Row, Upstream, want};
use crate::server::Login;
use crate::socket::RawSocket;
use crate::target::{Target, authorization};
use crate::upstreams::{CONNECTION_FRAMES, FIRST_TITLE, SPARE_FRAMES, STOCK};

/// The longest time until the first audio of a stream that is got on demand.
const FIRST_AUDIO: Duration = Duration::from_millis(1_500);
/// How long a mount on demand is watched while nobody listens.
const UNHEARD: Duration = Duration::from_secs(1);
/// How long the last listener has been away when one comes back, milliseconds.
const AWAY_MS: [u64; 5] = [0, 100, 300, 700, 1_500];
/// The longest time without audio when a server has died.
const GAP: Duration = Duration::from_secs(2);
/// The bytes that are looked at: some six seconds.
const HEARD_BYTES: usize = 100_000;

/// A relay of the row's mount from one stream.
const fn relay(letter: &'static str, from: &'static [Upstream]) -> Relay {
    Relay {
        letter,
        from,
        on_demand: false,
    }
}

const ICY: &str = "/icy/82";
const ON_DEMAND: &str = "/plain/84";
const CUT: &str = "/plain/85";
const DYING: &str = "/plain/85-dying";
const SPARE: &str = "/plain/85-spare";

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 70,
        level: Level::Must,
        expected: "`/admin/streamlist.txt` with the login of relays: text/plain with a line for each mount on air, ended by CR and LF; without that login 401",
        needs: Needs::mount(&[("hidden", "true")])
            .beside(&[("b", &[])])
            .in_server(Prepared::Alone),
        check: the_list_of_streams_has_lines,
    },
    Row {
        number: 81,
        level: Level::Must,
        expected: "a stock icecast2 2.4.4 as a slave: it relays all mounts, the audio is clean, and titles follow",
        needs: Needs::SECOND.in_server(Prepared::Alone),
        check: a_slave_relays_all_mounts,
    },
    Row {
        number: 82,
        level: Level::Must,
        expected: "relays of a stock icecast2 2.4.4, and of a server that says `ICY 200 OK` with titles every 8,192 bytes: the audio is clean, and titles follow",
        needs: Needs::relays(&[
            relay("", &[Upstream::Stock(STOCK)]),
            relay("b", &[Upstream::Own(ICY)]),
        ]),
        check: titles_follow_and_audio_is_clean,
    },
    Row {
        number: 83,
        level: Level::Should,
        expected: "relays of a server that redirects, of one that has HTTPS only, and of one that sends chunks: the audio is clean",
        needs: Needs::relays(&[
            relay("", &[Upstream::Own("/redirect")]),
            relay("b", &[Upstream::Tls("/plain/83")]),
            relay("c", &[Upstream::Own("/chunked/83")]),
        ]),
        check: all_ways_are_followed,
    },
    Row {
        number: 84,
        level: Level::Must,
        expected: "a relay on demand: not asked for while nobody listens; the first audio within 1.5 s; who comes when the last has left is served",
        needs: Needs::relays(&[Relay {
            letter: "",
            from: &[Upstream::Own(ON_DEMAND)],
            on_demand: true,
        }]),
        check: on_demand_is_on_demand,
    },
    Row {
        number: 85,
        level: Level::Must,
        expected: "the server that is relayed dies: it is asked again, or the next one is, within 2 s, and listeners are kept",
        needs: Needs::relays(&[
            relay("", &[Upstream::Own(CUT)]),
            relay("b", &[Upstream::Own(DYING), Upstream::Own(SPARE)]),
        ]),
        check: listeners_outlast_a_server,
    },
];

/// A listener of a relay that plays.
fn listener(target: &Target<'_>, mount: &str) -> Result<Player, Fault> {
    eventually(|| Player::tune_in(target, mount, ""))
}

/// Checks that a relay plays frames in a row.
fn is_clean(target: &Target<'_>, mount: &str) -> Outcome {
    let audio = listener(target, mount)?.audio(HEARD_BYTES)?;
    in_a_row(&mp3_numbers(from_first_frame(&audio))?).map(drop)
}

fn the_list_of_streams_has_lines(target: &Target<'_>) -> Outcome {
    let _hidden = Encoder::unseen(target, &target.mount(), mp3(), "")?;
    let _shown = Encoder::with(target, &target.second(), mp3(), "")?;
    let list = "/admin/streamlist.txt";
    let wrong = Login::new("relay", "wrong-pw");
    for stranger in [String::new(), authorization(&wrong), target.login()] {
        target.get(list, &stranger)?.head.want(401)?;
    }
    let reply = target.get(list, &authorization(target.relay_login()?))?;
    reply.head.want(200)?;
    let kind = reply.head.header("content-type").unwrap_or_default();
    want(kind.starts_with("text/plain"), || kind.clone())?;
    let (text, expected) = (reply.text(), format!("{}\r\n", target.second()));
    want(text == expected, || {
        format!("{text:?} and not {expected:?}")
    })
}

fn a_slave_relays_all_mounts(target: &Target<'_>) -> Outcome {
    if !crate::have_icecast2() {
        return Err(Fault::Skipped("it needs an icecast2 as the slave"));
    }
    let mounts = [target.mount(), target.second()];
    let mut encoders = Vec::new();
    for mount in &mounts {
        encoders.push(Encoder::with(target, mount, mp3(), "")?);
    }
    let slave = icecast::start_slave(target.server, target.relay_login()?);
    let slave = target.at(&slave);
    for (mount, title) in mounts.iter().zip(["One", "Two"]) {
        is_clean(&slave, mount)?;
        target
            .update(mount, &format!("song={title}"))?
            .head
            .want(200)?;
        has_title(&slave, mount, title)?;
    }
    Ok(())
}

fn titles_follow_and_audio_is_clean(target: &Target<'_>) -> Outcome {
    let upstreams = target.upstreams()?;
    let (mount, old) = (target.mount(), target.second());
    has_title(target, &old, FIRST_TITLE)?;
    upstreams.set_title(ICY, "Second");
    has_title(target, &old, "Second")?;
    is_clean(target, &old)?;
    let stock = upstreams.stock();
    let stock = stock.ok_or(Fault::Skipped("it needs an icecast2 to relay from"))?;
    is_clean(target, &mount)?;
    for title in ["One", "Two"] {
        let login = authorization(&stock.source);
        let mut socket = RawSocket::open(&stock.address)?;
        socket.send(format!(
            "GET /admin/metadata?mode=updinfo&mount={STOCK}&song={title} HTTP/1.0\r\n{login}\r\n"
        ))?;
        socket.reply()?.head.want(200)?;
        has_title(target, &mount, title)?;
    }
    Ok(())
}

/// Waits until listeners of a mount get this title.
fn has_title(target: &Target<'_>, mount: &str, title: &str) -> Outcome {
    eventually(|| {
        let mut player = Player::tune_in(target, mount, WANTS_TITLES)?;
        player.want_title(title.as_bytes())
    })
}

fn all_ways_are_followed(target: &Target<'_>) -> Outcome {
    for letter in ["", "b", "c"] {
        is_clean(target, &target.other(letter))?;
    }
    Ok(())
}

fn on_demand_is_on_demand(target: &Target<'_>) -> Outcome {
    let (upstreams, mount) = (target.upstreams()?, target.mount());
    // That nothing happens cannot be waited for.
    thread::sleep(UNHEARD);
    let asked = upstreams.asked(ON_DEMAND);
    want(asked == 0, || format!("it was asked for {asked} times"))?;
    let begun = Instant::now();
    let mut player = Player::tune_in(target, &mount, "")?;
    player.audio(1)?;
    let took = begun.elapsed();
    want(took < FIRST_AUDIO, || format!("audio after {took:?}"))?;
    drop(player);
    for away_ms in AWAY_MS {
        thread::sleep(Duration::from_millis(away_ms));
        let mut player = Player::tune_in(target, &mount, "")?;
        player.audio(1_000)?;
    }
    Ok(())
}

fn listeners_outlast_a_server(target: &Target<'_>) -> Outcome {
    let upstreams = target.upstreams()?;
    let mut player = listener(target, &target.mount())?;
    player.audio(HEARD_BYTES / 2)?;
    upstreams.cut(CUT);
    let longest = player.wait_frame_from(CONNECTION_FRAMES)?;
    want(longest < GAP, || format!("no audio for {longest:?}"))?;
    let mut player = listener(target, &target.second())?;
    player.audio(HEARD_BYTES / 2)?;
    upstreams.kill(DYING);
    let longest = player.wait_frame_from(SPARE_FRAMES)?;
    want(longest < GAP, || format!("no audio for {longest:?}"))
}
