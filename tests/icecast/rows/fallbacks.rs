//! Mounts that name another one: what their listeners hear while they have no stream, or no room.

use std::time::{Duration, Instant};

use crate::encoder::{Encoder, eventually, knock_until_free};
use crate::media::frames::{MP3_BYTES, frames_among, mp3};
use crate::player::Player;
use crate::row::{Fault, Level, Needs, Outcome, Row, Settings, deviates, want};
use crate::server::FILLER_FRAMES;
use crate::target::Target;

/// The longest time without audio, from one stream to the other.
const GAP: Duration = Duration::from_secs(2);
/// The first frames of the fallback, of a source that comes back, and of another mount's source.
const FALLBACK: u64 = 10_000_000;
const BACK: u64 = 20_000_000;
const OTHER: u64 = 30_000_000;
/// A mount whose listeners return as soon as it has a source again.
const RETURNS: [(&str, &str); 1] = [("fallback_override", "true")];
/// How long what comes at once may take, and how much is measured then: half a minute, of which pieces that come each half second
/// are a sixtieth.
const SETTLES: Duration = Duration::from_secs(2);
const MEASURED_FRAMES: usize = 1_150;
/// The bytes of some seconds, by which a listener has heard what it hears.
const HEARD_BYTES: usize = 40_000;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 51,
        level: Level::Must,
        expected: "a mount that is full, with `fallback_when_full`: a listener more gets 200 and hears the fallback",
        needs: Needs::mount(&[
            ("max_listeners", "1"),
            ("fallback", "/k51b"),
            ("fallback_when_full", "true"),
        ])
        .beside(&[("b", &[])]),
        check: a_full_mount_hands_on,
    },
    Row {
        number: 52,
        level: Level::Must,
        expected: "a source goes while the fallback is on air: its listeners hear that over the same connection, after 2 s at most",
        needs: Needs::mount(&[("fallback", "/k52b"), RETURNS[0]]).beside(&[("b", &[])]),
        check: listeners_hear_the_fallback,
    },
    Row {
        number: 53,
        level: Level::Must,
        expected: "the source comes back, with `fallback_override`: its listeners hear it again over the same connection, after 2 s at most",
        needs: Needs::mount(&[("fallback", "/k53b"), RETURNS[0]]).beside(&[("b", &[])]),
        check: listeners_are_moved_back,
    },
    Row {
        number: 54,
        level: Level::Must,
        expected: "a source goes, and the fallback is a file: it is heard again and again at its bit rate (± 5 %), without its tags",
        needs: Needs::mount(&[("fallback", "file:filler.mp3"), RETURNS[0]]),
        check: a_file_is_looped,
    },
    Row {
        number: 55,
        level: Level::Must,
        expected: "a mount without a source, whose fallback is on air: a new listener gets 200 and hears the fallback",
        needs: Needs::mount(&[("fallback", "/k55b"), RETURNS[0]]).beside(&[("b", &[])]),
        check: a_newcomer_hears_the_fallback,
    },
    Row {
        number: 56,
        level: Level::Should,
        expected: "two mounts with the same fallback: when their sources come, each listener hears that of its own mount",
        needs: Needs::mount(&[("fallback", "/k56b"), RETURNS[0]])
            .beside(&[("b", &[]), ("c", SHARING)]),
        check: each_returns_to_its_own,
    },
];

/// The settings of the second mount that has the same fallback.
const SHARING: Settings = &[("fallback", "/k56b"), RETURNS[0]];

/// Has the row's fallback on air.
fn fallback(target: &Target<'_>) -> Result<Encoder, Fault> {
    let tune = mp3().beginning_at(FALLBACK);
    Encoder::with(target, &target.second(), tune, "")
}

/// A listener of this mount, which hears the fallback.
fn hears_fallback(target: &Target<'_>, mount: &str) -> Result<Player, Fault> {
    let mut player = eventually(|| Player::tune_in(target, mount, ""))?;
    player.wait_frame_from(FALLBACK)?;
    Ok(player)
}

fn a_full_mount_hands_on(target: &Target<'_>) -> Outcome {
    let _fallback = fallback(target)?;
    let _encoder = Encoder::start(target, mp3())?;
    let mut first = Player::plain(target)?;
    let heard = first.audio(HEARD_BYTES)?;
    want(frames_among(&heard).all(|number| number < FALLBACK), || {
        "the first listener hears the fallback".to_owned()
    })?;
    hears_fallback(target, &target.mount()).map(drop)
}

fn listeners_hear_the_fallback(target: &Target<'_>) -> Outcome {
    let _fallback = fallback(target)?;
    let encoder = Encoder::start(target, mp3().in_time())?;
    let mut player = Player::plain(target)?;
    player.audio(HEARD_BYTES)?;
    drop(encoder);
    let longest = player.wait_frame_from(FALLBACK)?;
    want(longest < GAP, || format!("no audio for {longest:?}"))
}

fn listeners_are_moved_back(target: &Target<'_>) -> Outcome {
    let _fallback = fallback(target)?;
    let encoder = Encoder::start(target, mp3().in_time())?;
    let mut player = Player::plain(target)?;
    drop(encoder);
    player.wait_frame_from(FALLBACK)?;
    let _back = on_air(target, &target.mount(), BACK)?;
    let longest = player.wait_frame_from(BACK)?;
    want(longest < GAP, || format!("no audio for {longest:?}"))
}

fn a_file_is_looped(target: &Target<'_>) -> Outcome {
    let encoder = Encoder::start(target, mp3().in_time())?;
    let mut player = Player::plain(target)?;
    player.audio(HEARD_BYTES)?;
    drop(encoder);
    let [first, end] = FILLER_FRAMES;
    player.wait_frame_from(first)?;
    // Some of it may come at once.
    player.gather(SETTLES)?;
    player.wait()?;
    player.taken()?;
    let begun = Instant::now();
    let heard = player.audio(MEASURED_FRAMES * MP3_BYTES)?;
    let share = begun.elapsed().as_secs_f64() / (MEASURED_FRAMES as f64 * 0.026_122_449);
    want((0.95..1.05).contains(&share), || {
        format!("the file takes {share:.2} of its time")
    })?;
    let numbers: Vec<u64> = frames_among(&heard).collect();
    let follows = |pair: &[u64]| pair[1] == pair[0] + 1 || (pair[0] + 1, pair[1]) == (end, first);
    match numbers.windows(2).find(|pair| !follows(pair)) {
        Some(pair) => return Err(deviates(format!("frame {} follows {}", pair[1], pair[0]))),
        None if numbers.len() + 2 < MEASURED_FRAMES => {
            return Err(deviates(format!("{} frames only", numbers.len())));
        }
        None => {}
    }
    let mut words = [&b"ID3"[..], b"Xing"].into_iter();
    let repeated = words.find(|word| heard.windows(word.len()).any(|piece| piece == *word));
    want(repeated.is_none(), || "its tags are heard".to_owned())
}

fn a_newcomer_hears_the_fallback(target: &Target<'_>) -> Outcome {
    let _fallback = fallback(target)?;
    hears_fallback(target, &target.mount()).map(drop)
}

fn each_returns_to_its_own(target: &Target<'_>) -> Outcome {
    let _fallback = fallback(target)?;
    let (mount, other) = (target.mount(), target.other("c"));
    let mut listener = hears_fallback(target, &mount)?;
    let mut neighbour = hears_fallback(target, &other)?;
    let _encoder = on_air(target, &mount, BACK)?;
    listener.wait_frame_from(BACK)?;
    let _second = on_air(target, &other, OTHER)?;
    neighbour.wait_frame_from(OTHER)?;
    let heard = listener.audio(HEARD_BYTES)?;
    let stays = frames_among(&heard).all(|number| (BACK..OTHER).contains(&number));
    want(stays, || {
        "the first listener hears the second mount".to_owned()
    })?;
    let heard = neighbour.audio(HEARD_BYTES)?;
    match frames_among(&heard).find(|&number| number < OTHER) {
        Some(number) => Err(deviates(format!("frame {number} in the second mount"))),
        None => Ok(()),
    }
}

/// Has a source on air that begins at this frame.
fn on_air(target: &Target<'_>, mount: &str, first: u64) -> Result<Encoder, Fault> {
    let login = target.login();
    let head = format!("SOURCE {mount} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n");
    let socket = knock_until_free(target, &head)?;
    Ok(Encoder::over(socket, mp3().beginning_at(first)))
}
