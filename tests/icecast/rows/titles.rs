//! Titles between the audio: when they come, and in what form.

use crate::encoder::{Encoder, eventually};
use crate::media::frames::{from_first_frame, in_a_row, mp3, mp3_numbers};
use crate::player::Player;
use crate::row::{Level, Needs, Outcome, Row, want};
use crate::target::Target;

/// The longest block, with its length byte.
const LONGEST_BLOCK: usize = 255 * 16 + 1;
/// The audio after which a title must have come: what a listener may still have to hear, and some blocks.
const MOST_BLOCKS: usize = 12;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 30,
        level: Level::Must,
        expected: "`Icy-MetaData: 1` on MP3: `icy-metaint`, after so many bytes a block, and the first says what is on air",
        needs: Needs::NOTHING,
        check: the_first_block_has_the_title,
    },
    Row {
        number: 31,
        level: Level::Must,
        expected: "without that header: no `icy-metaint`, and nothing but audio",
        needs: Needs::NOTHING,
        check: who_does_not_ask_gets_audio,
    },
    Row {
        number: 32,
        level: Level::Must,
        expected: "while the title is the same, a block is one zero byte",
        needs: Needs::NOTHING,
        check: a_title_is_said_once,
    },
    Row {
        number: 33,
        level: Level::Must,
        expected: "a new title reaches every listener within the next blocks",
        needs: Needs::NOTHING,
        check: everybody_hears_a_new_title,
    },
    Row {
        number: 34,
        level: Level::Must,
        expected: "titles of 4,000 and 5,000 characters: a block of at most 4,081 bytes; a longer title is cut, not dropped",
        needs: Needs::NOTHING,
        check: a_long_title_is_cut,
    },
];

fn the_first_block_has_the_title(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    target.set_title("song=Hello+World")?;
    eventually(|| {
        let mut player = Player::with_titles(target)?;
        let block = player.block()?;
        let text = b"StreamTitle='Hello World';";
        want(block[1..].starts_with(text), || {
            format!("the first block is {:?}", String::from_utf8_lossy(&block))
        })
    })
}

fn who_does_not_ask_gets_audio(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mut player = Player::plain(target)?;
    want(!player.has_titles(), || format!("{:?}", player.head))?;
    target.set_title("song=Hello+World")?;
    let audio = player.audio(64_000)?;
    in_a_row(&mp3_numbers(from_first_frame(&audio))?).map(drop)
}

fn a_title_is_said_once(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mut player = Player::with_titles(target)?;
    player.block()?;
    target.set_title("song=Hello+World")?;
    player.want_title(b"Hello World")?;
    for _ in 0..2 {
        let block = player.block()?;
        want(block == [0], || {
            format!("the block is {:?}", String::from_utf8_lossy(&block))
        })?;
    }
    Ok(())
}

fn everybody_hears_a_new_title(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mut players = [Player::with_titles(target)?, Player::with_titles(target)?];
    for player in &mut players {
        player.block()?;
    }
    target.set_title("song=Anew")?;
    for player in &mut players {
        let mut seen = false;
        for _ in 0..MOST_BLOCKS {
            let block = player.block()?;
            seen |= block[1..].starts_with(b"StreamTitle='Anew';");
            if seen {
                break;
            }
        }
        want(seen, || {
            format!("the title is in none of {MOST_BLOCKS} blocks")
        })?;
    }
    Ok(())
}

fn a_long_title_is_cut(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mut player = Player::with_titles(target)?;
    player.block()?;
    for (letter, length) in [("x", 4_000), ("y", 5_000)] {
        target.set_title(&format!("song={}", letter.repeat(length)))?;
        let text = player.text()?;
        let start = format!("StreamTitle='{}", letter.repeat(3_000));
        let fits = text.starts_with(start.as_bytes()) && text.len() < LONGEST_BLOCK;
        want(fits, || format!("a block of {} bytes", text.len()))?;
    }
    Ok(())
}
