//! The words of a source about its station: to listeners, and in the public status.

use crate::encoder::Encoder;
use crate::media::frames::mp3;
use crate::player::Player;
use crate::row::{Level, Needs, Outcome, Row, want};
use crate::target::Target;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 20,
        level: Level::Must,
        expected: "`ice-name`, `-genre`, `-url`, `-description`, `-bitrate`, `-public` and `-audio-info` reach listeners as `icy-*`, and the status",
        needs: Needs::NOTHING,
        check: the_station_is_shown,
    },
    Row {
        number: 21,
        level: Level::Must,
        expected: "the same in the words of `icy-*` and `x-audiocast-*`: the same status",
        needs: Needs::SECOND,
        check: other_words_say_the_same,
    },
];

fn the_station_is_shown(target: &Target<'_>) -> Outcome {
    let said = "ice-name: Known\r\nice-genre: Jazz\r\nice-url: http://known.example/\r\n\
                ice-description: Every byte\r\nice-bitrate: 128\r\nice-public: 1\r\n\
                ice-audio-info: ice-samplerate=44100;ice-bitrate=128;ice-channels=1\r\n";
    let mount = target.mount();
    let _encoder = Encoder::with(target, &mount, mp3(), said)?;
    is_shown(target, &mount)?;
    let info = "ice-samplerate=44100;ice-bitrate=128;ice-channels=1";
    let head = Player::tune_in(target, &mount, "")?.head;
    head.want_header("ice-audio-info", info)?;
    target.wait_stat(&mount, "audio_info", info)
}

fn other_words_say_the_same(target: &Target<'_>) -> Outcome {
    let family = |prefix: &str| {
        format!(
            "{prefix}name: Known\r\n{prefix}genre: Jazz\r\n{prefix}url: http://known.example/\r\n\
             {prefix}description: Every byte\r\n{prefix}public: 1\r\n"
        )
    };
    let mount = target.mount();
    let said = family("icy-") + "icy-br: 128\r\n";
    let _icy = Encoder::with(target, &mount, mp3(), &said)?;
    is_in_status(target, &mount)?;
    let mount = target.second();
    let said = family("x-audiocast-") + "x-audiocast-bitrate: 128\r\n";
    let _audiocast = Encoder::with(target, &mount, mp3(), &said)?;
    is_in_status(target, &mount)
}

fn is_shown(target: &Target<'_>, mount: &str) -> Outcome {
    let head = Player::tune_in(target, mount, "")?.head;
    head.want_header("icy-name", "Known")?;
    head.want_header("icy-genre", "Jazz")?;
    head.want_header("icy-url", "http://known.example/")?;
    head.want_header("icy-description", "Every byte")?;
    head.want_header("icy-pub", "1")?;
    let rate = head.header("icy-br").unwrap_or_default();
    want(rate == "128", || format!("icy-br is {rate:?}"))?;
    is_in_status(target, mount)
}

fn is_in_status(target: &Target<'_>, mount: &str) -> Outcome {
    for (field, value) in [
        ("server_name", "Known"),
        ("genre", "Jazz"),
        ("server_url", "http://known.example/"),
        ("server_description", "Every byte"),
        ("bitrate", "128"),
    ] {
        target.wait_stat(mount, field, value)?;
    }
    Ok(())
}
