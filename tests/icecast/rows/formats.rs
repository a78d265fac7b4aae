//! Listeners that come late: what they get first must be what their decoder needs first.

use std::thread;
use std::time::Duration;

use crate::encoder::{Encoder, eventually};
use crate::media::ogg::{chain, pages};
use crate::media::{Tune, flac, frames, opus, vorbis, webm};
use crate::player::{Player, WANTS_TITLES};
use crate::row::{Fault, Level, Needs, Outcome, Row, want};
use crate::target::Target;

/// How many listeners come, one after the other: one alone could begin at a frame by chance.
const JOINERS: u32 = 3;
/// The time between two of them.
const BETWEEN: Duration = Duration::from_millis(700);
/// How much each of them reads.
const JOINED_BYTES: usize = 20_000;
/// The packets of a stream of a chain: a second.
const LINK: u64 = 50;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 19,
        level: Level::Must,
        expected: "`Content-Type: audio/ogg; codecs=opus`: a late listener gets the header pages first",
        needs: Needs::NOTHING,
        check: a_type_with_parameters_is_ogg,
    },
    Row {
        number: 43,
        level: Level::Must,
        expected: "late listeners of MP3 and AAC: the first byte begins a frame",
        needs: Needs::SECOND,
        check: late_listeners_get_frames,
    },
    Row {
        number: 44,
        level: Level::Must,
        expected: "late listeners of Vorbis, Opus and FLAC in Ogg: the header pages, and then pages from the beginning of a packet",
        needs: Needs::SECOND,
        check: late_listeners_get_headers,
    },
    Row {
        number: 45,
        level: Level::Must,
        expected: "late listeners of WebM: the head of the file, and then a cluster that begins with a keyframe",
        needs: Needs::NOTHING,
        check: late_listeners_get_a_keyframe,
    },
    Row {
        number: 46,
        level: Level::Must,
        expected: "chained Ogg: each stream ends before the next begins, and who joins later gets the headers of the later one",
        needs: Needs::NOTHING,
        check: chains_are_kept,
    },
    Row {
        number: 47,
        level: Level::Should,
        expected: "Ogg with `?icy=1` and `Icy-MetaData: 1`: titles between the audio; who does not ask gets clean Ogg",
        needs: Needs::NOTHING,
        check: titles_in_ogg_are_asked_for,
    },
];

/// Calls the check with the beginning of what late listeners get.
fn late(target: &Target<'_>, mount: &str, tune: Tune, check: impl Fn(&[u8]) -> Outcome) -> Outcome {
    let _encoder = Encoder::with(target, mount, tune.late(), "")?;
    // Until the whole lead has come.
    thread::sleep(Duration::from_secs(1));
    for _ in 0..JOINERS {
        let bytes = Player::tune_in(target, mount, "")?.audio(JOINED_BYTES)?;
        check(&bytes)?;
        thread::sleep(BETWEEN);
    }
    Ok(())
}

fn is_ogg(bytes: &[u8], magic: &[u8], headers: usize) -> Outcome {
    chain(&pages(bytes)?, magic, headers).map(drop)
}

fn a_type_with_parameters_is_ogg(target: &Target<'_>) -> Outcome {
    let tune = opus::opus(19).called("audio/ogg; codecs=opus");
    late(target, &target.mount(), tune, |bytes| {
        is_ogg(bytes, opus::MAGIC, opus::HEADERS)
    })
}

fn late_listeners_get_frames(target: &Target<'_>) -> Outcome {
    late(target, &target.mount(), frames::mp3(), |bytes| {
        let first = frames::in_a_row(&frames::mp3_numbers(bytes)?)?;
        want(first > 0, || "the listener was not late".to_owned())
    })?;
    late(target, &target.second(), frames::adts(), |bytes| {
        let first = frames::in_a_row(&frames::adts_numbers(bytes)?)?;
        want(first > 0, || "the listener was not late".to_owned())
    })
}

fn late_listeners_get_headers(target: &Target<'_>) -> Outcome {
    late(target, &target.mount(), vorbis::vorbis(1), |bytes| {
        is_ogg(bytes, vorbis::MAGIC, vorbis::HEADERS)
    })?;
    late(target, &target.second(), opus::opus(2), |bytes| {
        is_ogg(bytes, opus::MAGIC, opus::HEADERS)
    })?;
    // The first mount again, as soon as the source before has left it.
    eventually(|| {
        late(target, &target.mount(), flac::flac(3), |bytes| {
            is_ogg(bytes, flac::MAGIC, flac::HEADERS)
        })
    })
}

fn late_listeners_get_a_keyframe(target: &Target<'_>) -> Outcome {
    late(target, &target.mount(), webm::webm(), webm::check)
}

fn chains_are_kept(target: &Target<'_>) -> Outcome {
    let tune = opus::chained(46, LINK);
    let _encoder = Encoder::start(target, tune)?;
    let serials = |bytes: &[u8]| -> Result<Vec<u32>, Fault> {
        chain(&pages(bytes)?, opus::MAGIC, opus::HEADERS)
    };
    let early = Player::plain(target)?.audio(80_000)?;
    let heard = serials(&early)?;
    want(heard.len() >= 3, || {
        format!("the early listener hears the streams {heard:?}")
    })?;
    // By now there is more than a burst holds.
    let late = Player::plain(target)?.audio(30_000)?;
    let heard_late = serials(&late)?;
    want(heard_late[0] > heard[0], || {
        format!("{heard_late:?} after {heard:?}")
    })
}

fn titles_in_ogg_are_asked_for(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, opus::opus(47))?;
    let mount = target.mount();
    let mut plain = Player::tune_in(target, &mount, "")?;
    want(!plain.has_titles(), || format!("{:?}", plain.head))?;
    is_ogg(&plain.audio(JOINED_BYTES)?, opus::MAGIC, opus::HEADERS)?;
    let mut player = Player::tune_in(target, &format!("{mount}?icy=1"), WANTS_TITLES)?;
    want(player.has_titles(), || {
        format!("no icy-metaint in {:?}", player.head)
    })?;
    // The audio is the same, once the blocks are taken out.
    is_ogg(&player.audio(JOINED_BYTES)?, opus::MAGIC, opus::HEADERS)
}
