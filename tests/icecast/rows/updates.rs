//! The titles that encoders send: quotes, charsets, artists, and odd ways to say it.

use crate::encoder::Encoder;
use crate::media::frames::mp3;
use crate::player::Player;
use crate::row::{Level, Needs, Outcome, Row, want};
use crate::target::Target;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 35,
        level: Level::Must,
        expected: "titles with quotes, also `It's a 'quote'; x`: whole for listeners and in the status",
        needs: Needs::NOTHING,
        check: quotes_are_kept,
    },
    Row {
        number: 36,
        level: Level::Must,
        expected: "`song=%0d%0aX`: no CR or LF for listeners, and none that splits a line of the log",
        needs: Needs::NOTHING,
        check: a_title_is_one_line,
    },
    Row {
        number: 37,
        level: Level::Must,
        expected: "a title in UTF-8 without `charset=`: the same bytes for listeners and in the status",
        needs: Needs::NOTHING,
        check: |target| is_read(target, "song=%C3%A9t%C3%A9+%E6%97%A5", "été 日"),
    },
    Row {
        number: 38,
        level: Level::Must,
        expected: "`song=%E9t%E9&charset=ISO-8859-1`: `été` in the status",
        needs: Needs::NOTHING,
        check: a_charset_is_heeded,
    },
    Row {
        number: 39,
        level: Level::Must,
        expected: "`artist=AA&title=TT`, then `song=New`: `AA - TT`, then exactly `New`",
        needs: Needs::NOTHING,
        check: a_song_replaces_the_artist,
    },
    Row {
        number: 40,
        level: Level::Must,
        expected: "an empty `song=`: the title is cleared",
        needs: Needs::NOTHING,
        check: an_empty_song_clears,
    },
    Row {
        number: 41,
        level: Level::Must,
        expected: "`song=`, `artist=` and `title=` at once, as Mixxx sends them: artist and title win",
        needs: Needs::NOTHING,
        check: artist_and_title_win,
    },
    Row {
        number: 42,
        level: Level::Must,
        expected: "an encoder that closes without reading the answer, and one that posts a form: both titles are taken",
        needs: Needs::NOTHING,
        check: odd_encoders_are_heard,
    },
    Row {
        number: 68,
        level: Level::Must,
        expected: "`/admin/metadata` answers `<iceresponse><message>Metadata update successful</message><return>1</return></iceresponse>`",
        needs: Needs::NOTHING,
        check: the_answer_is_known,
    },
];

/// On air, with a listener that has seen its first block.
fn on_air(target: &Target<'_>) -> Result<(Encoder, Player), crate::row::Fault> {
    let encoder = Encoder::start(target, mp3())?;
    let mut player = Player::with_titles(target)?;
    player.block()?;
    Ok((encoder, player))
}

/// The update is read as this title, by a listener and in the status.
fn is_read(target: &Target<'_>, query: &str, title: &str) -> Outcome {
    let (_encoder, mut player) = on_air(target)?;
    target.set_title(query)?;
    player.want_title(title.as_bytes())?;
    target.wait_stat(&target.mount(), "title", title)
}

fn quotes_are_kept(target: &Target<'_>) -> Outcome {
    let (_encoder, mut player) = on_air(target)?;
    for (query, title) in [
        ("song=It's", "It's"),
        ("song=It's+a+'quote';+x", "It's a 'quote'; x"),
    ] {
        target.set_title(query)?;
        let text = String::from_utf8_lossy(&player.text()?).into_owned();
        // A quote before a semicolon would end the title for players: a space between them does no harm.
        let heard = text
            .strip_prefix("StreamTitle='")
            .and_then(|text| text.split_once("';"));
        let heard = heard.map(|parts| parts.0.replace("' ;", "';"));
        want(heard.as_deref() == Some(title), || {
            format!("the block is {text:?}")
        })?;
        target.wait_stat(&target.mount(), "title", title)?;
    }
    Ok(())
}

fn a_title_is_one_line(target: &Target<'_>) -> Outcome {
    const FORGED: &str = "Forged line 36";
    let (_encoder, mut player) = on_air(target)?;
    target.set_title("song=Before%0d%0aForged+line+36")?;
    let text = player.text()?;
    let split = text.iter().any(|byte| b"\r\n".contains(byte));
    want(!split, || {
        format!("the block is {:?}", String::from_utf8_lossy(&text))
    })?;
    let log = target.server.log().unwrap_or_default();
    let forged = log.lines().any(|line| line.starts_with(FORGED));
    want(!forged, || {
        "a line of the log is what the title says".to_owned()
    })
}

fn a_charset_is_heeded(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    target.set_title("song=%E9t%E9&charset=ISO-8859-1")?;
    target.wait_stat(&target.mount(), "title", "été")
}

fn a_song_replaces_the_artist(target: &Target<'_>) -> Outcome {
    let (_encoder, mut player) = on_air(target)?;
    target.set_title("artist=AA&title=TT")?;
    player.want_title(b"AA - TT")?;
    target.set_title("song=New")?;
    player.want_title(b"New")
}

fn an_empty_song_clears(target: &Target<'_>) -> Outcome {
    let (_encoder, mut player) = on_air(target)?;
    target.set_title("song=Before")?;
    player.want_title(b"Before")?;
    target.set_title("song=")?;
    player.want_title(b"")?;
    target.wait_stat(&target.mount(), "title", "")
}

fn artist_and_title_win(target: &Target<'_>) -> Outcome {
    let (_encoder, mut player) = on_air(target)?;
    target.set_title("song=Stale&artist=AA&title=TT")?;
    player.want_title(b"AA - TT")
}

fn odd_encoders_are_heard(target: &Target<'_>) -> Outcome {
    let (_encoder, mut player) = on_air(target)?;
    let (mount, host, login) = (target.mount(), target.host(), target.login());
    let mut hasty = target.open()?;
    hasty.send(format!(
        "GET /admin/metadata?mode=updinfo&mount={mount}&song=Unread HTTP/1.0\r\n{login}\r\n"
    ))?;
    drop(hasty);
    player.want_title(b"Unread")?;
    let form = format!("mode=updinfo&mount={mount}&song=Posted");
    let length = form.len();
    let reply = target.ask(format!(
        "POST /admin/metadata HTTP/1.1\r\nHost: {host}\r\n{login}Connection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    ))?;
    reply.head.want(200)?;
    player.want_title(b"Posted")
}

fn the_answer_is_known(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let reply = target.update(&target.mount(), "song=X")?;
    reply.want(
        200,
        "<iceresponse><message>Metadata update successful</message><return>1</return></iceresponse>",
    )?;
    let kind = reply.head.header("content-type").unwrap_or_default();
    want(kind.starts_with("text/xml"), || {
        format!("Content-Type is {kind:?}")
    })
}
