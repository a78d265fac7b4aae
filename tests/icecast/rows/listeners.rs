//! The answer to a listener of a stream: the head, the first bytes, and then audio in real time.

use std::time::{Duration, Instant};

use crate::encoder::{Encoder, eventually};
use crate::media::frames::{in_a_row, mp3, mp3_numbers};
use crate::player::Player;
use crate::row::{Level, Needs, Outcome, Prepared, Row, want};
use crate::server::{INTRO_FIRST, INTRO_FRAMES};
use crate::target::Target;

/// How soon the audio begins.
const AT_ONCE: Duration = Duration::from_millis(200);
/// How many listeners come.
const TRIES: u32 = 20;
/// How many of them must be served so soon: the machine may be busy with other tests.
const SOON: usize = 5;
/// How many listeners hear an intro, one after the other.
const JOINERS: u32 = 3;
/// The time in which the burst comes.
const BURST_SPAN: Duration = Duration::from_secs(1);
/// The bytes that come in that time: three to ten seconds of 128 kbit/s.
const BURST: [usize; 2] = [48_000, 160_000];
/// How long the time after the burst is watched.
const LIVE_SPAN: Duration = Duration::from_secs(4);
/// The bytes that come in that time: real time, give or take a half.
const LIVE: [usize; 2] = [32_000, 96_000];

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 29,
        level: Level::Must,
        expected: "`GET` of a mount: 200, the source's Content-Type and station in `icy-*`, no Content-Length, audio within 200 ms",
        needs: Needs::NOTHING,
        check: a_listener_is_served_at_once,
    },
    Row {
        number: 48,
        level: Level::Must,
        expected: "a listener gets a burst of some seconds, and then audio in real time",
        needs: Needs::NOTHING,
        check: a_burst_and_then_real_time,
    },
    Row {
        number: 58,
        level: Level::Must,
        expected: "an intro: its bytes first, and then the stream from the beginning of a frame",
        needs: Needs::mount(&[("intro", "intro.mp3")]).in_server(Prepared::Files),
        check: an_intro_comes_first,
    },
    Row {
        number: 59,
        level: Level::Must,
        expected: "a hidden mount: in no public status or list, and it can be listened to",
        needs: Needs::mount(&[("hidden", "true")]),
        check: a_hidden_mount_is_not_listed,
    },
];

fn a_listener_is_served_at_once(target: &Target<'_>) -> Outcome {
    let said = "ice-name: Known\r\nice-genre: Jazz\r\nice-bitrate: 128\r\nice-public: 0\r\nice-url: http://known.example/\r\n";
    let _encoder = Encoder::with(target, &target.mount(), mp3(), said)?;
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let begun = Instant::now();
        let mut player = Player::plain(target)?;
        player.audio(1)?;
        times.push(begun.elapsed());
        let head = &player.head;
        head.want_header("content-type", "audio/mpeg")?;
        for (name, value) in [
            ("icy-name", "Known"),
            ("icy-genre", "Jazz"),
            ("icy-br", "128"),
            ("icy-pub", "0"),
            ("icy-url", "http://known.example/"),
        ] {
            head.want_header(name, value)?;
        }
        want(head.header("content-length").is_none(), || {
            format!("{head:?}")
        })?;
    }
    let soon = times.iter().filter(|&&time| time < AT_ONCE).count();
    want(soon >= SOON, || format!("the audio begins after {times:?}"))
}

fn a_burst_and_then_real_time(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3().late())?;
    eventually(|| {
        let mut player = Player::plain(target)?;
        let burst = player.gather(BURST_SPAN)?.len();
        want((BURST[0]..BURST[1]).contains(&burst), || {
            format!("{burst} bytes at first")
        })?;
        let live = player.gather(LIVE_SPAN)?.len();
        want((LIVE[0]..LIVE[1]).contains(&live), || {
            format!("{live} bytes in {LIVE_SPAN:?}")
        })
    })
}

fn an_intro_comes_first(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3().late())?;
    // One alone could come to the beginning of a frame by chance.
    for _ in 0..JOINERS {
        let audio = Player::plain(target)?.audio(50_000)?;
        let numbers = mp3_numbers(&audio)?;
        let intro = usize::try_from(INTRO_FRAMES).expect("a second");
        let (first, stream) = numbers.split_at(intro.min(numbers.len() - 1));
        let whole = first
            .iter()
            .copied()
            .eq(INTRO_FIRST..INTRO_FIRST + INTRO_FRAMES);
        want(whole, || format!("the intro is {first:?}"))?;
        let begun = in_a_row(stream)?;
        want(begun < INTRO_FIRST, || "the intro is not left".to_owned())?;
    }
    Ok(())
}

fn a_hidden_mount_is_not_listed(target: &Target<'_>) -> Outcome {
    let mount = target.mount();
    let _encoder = Encoder::unseen(target, &mount, mp3(), "")?;
    eventually(|| Player::plain(target)?.audio(1_000))?;
    let stats = target.stats(&mount)?;
    want(stats.is_none(), || "the mount is in status-json".to_owned())?;
    let list = target.get("/", "")?;
    let shown = list.text().contains(&format!("{mount}\""));
    want(!shown, || "the mount is on the page".to_owned())
}
