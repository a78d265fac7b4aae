//! Ogg of real encoders with something between its pages that does not belong there: who comes late decodes the sound, and
//! who is there already, if it is no page.

use std::process::Command;
use std::time::Duration;

use antiphon::model::status::Status;

use super::formats::{Stage, log_in, page_at};
use super::{PASSWORD, wait_log, wait_status};
use crate::clients::decode::decode;
use crate::support::ogg::page_at as page_in;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::tool::have;

/// How long each stream is: no longer than a source may be ahead of its sound.
const SECONDS: u64 = 24;
/// The least that a late listener hears: it comes behind six tenths of a stream, and what is bad is in its first half.
const LEAST: Duration = Duration::from_secs(10);

/// The pages of a tone, in a stream with this serial number.
fn encoded(codec: &str, serial: u32) -> Vec<Vec<u8>> {
    let arguments = format!(
        "-nostdin -v error -f lavfi -i sine=sample_rate=16000 -t {SECONDS} -c:a {codec} \
         -fflags +bitexact -serial_offset {serial} -page_duration 200000 -f ogg pipe:1"
    );
    let mut command = Command::new("ffmpeg");
    let output = command.args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (mut rest, mut pages) = (&output.stdout[..], Vec::new());
    while let Some(page) = page_in(rest) {
        pages.push(page.to_vec());
        rest = &rest[page.len()..];
    }
    assert!(pages.len() > 60, "{codec}: {}", pages.len());
    pages
}

/// The same first page with another serial number.
fn foreign_first(first: &[u8]) -> Vec<u8> {
    page_at(0, 777, 2, 0, &first[28..])
}

/// The bytes that a source sends.
struct Sent {
    /// Before anybody listens.
    first: Vec<u8>,
    /// Before the late listener comes, with all that is bad.
    begin: Vec<u8>,
    rest: Vec<u8>,
    /// The least that is kept of the first two parts.
    kept_bytes: usize,
}

/// Sends a stream to a mount of its own. A listener that comes behind what is bad decodes it without a fault; the result is
/// a listener that came before it.
fn play(stage: &Stage, mount: &str, sent: &Sent) -> Player {
    stage.node.create_mount(mount, PASSWORD);
    let mut source = log_in(&stage.node, mount, "Content-Type: audio/ogg\r\n");
    let has_come = |bytes: usize| {
        wait_status(&stage.node, mount, |status| {
            let mut mounts = status.mounts.iter();
            let source =
                mounts.find_map(|it| it.source.as_ref().filter(|_| it.path.as_str() == mount));
            source.is_some_and(|it| it.offset >= bytes as u64)
        });
    };
    let tune_in = || {
        let player = Player::tune_in(&format!("{}{mount}", stage.node.url()));
        player.wait_for(1);
        player
    };
    source.send(&sent.first).unwrap();
    has_come(1);
    let early = tune_in();
    source.send(&sent.begin).unwrap();
    has_come(sent.kept_bytes);
    let late = tune_in();
    source.send(&sent.rest).unwrap();
    expect_sound(&late, mount, LEAST);
    wait_status(&stage.node, mount, |status| {
        let mut mounts = status.mounts.iter();
        let mount = mounts.find(|it| it.path.as_str() == mount);
        mount.is_some_and(|it| it.trouble.is_none())
    });
    early
}

fn expect_sound(player: &Player, mount: &str, least: Duration) {
    let look = || {
        let sound = decode(&player.bytes(), "audio/ogg")?;
        so(sound > least, format!("{sound:?}"))
    };
    let ((), took) = eventually(PATIENCE, mount, look);
    println!("{mount}: decoded after {took:?}");
}

#[test]
fn listeners_decode_ogg_whatever_is_between_its_pages() {
    if !have("ffmpeg") {
        return;
    }
    let stage = Stage::start();
    for codec in ["libopus", "libvorbis", "flac"] {
        let pages = encoded(codec, 7);
        let (quarter, late) = (pages.len() / 4, pages.len() * 6 / 10);
        let with = |bad: &[u8], kept_bytes: usize| Sent {
            first: pages[..quarter].concat(),
            begin: [bad, &pages[quarter..late].concat()].concat(),
            rest: pages[late..].concat(),
            kept_bytes: pages[..late].concat().len() + kept_bytes,
        };
        let first = foreign_first(&pages[0]);
        play(
            &stage,
            &format!("/{codec}-first"),
            &with(&first, first.len()),
        );
        let noise = vec![9; 200_000];
        play(
            &stage,
            &format!("/{codec}-noise"),
            &with(&noise, noise.len() / 2),
        );
        let mixed = |pages: &[Vec<u8>]| -> Vec<u8> {
            let mixed = pages.iter().map(|page| [&page[..], &[9; 50]].concat());
            mixed.collect::<Vec<_>>().concat()
        };
        let junk = Sent {
            first: mixed(&pages[..quarter]),
            begin: mixed(&pages[quarter..late]),
            rest: mixed(&pages[late..]),
            kept_bytes: pages[..late].concat().len(),
        };
        let mount = format!("/{codec}-junk");
        let early = play(&stage, &mount, &junk);
        expect_sound(&early, &mount, Duration::from_secs(SECONDS - 2));
    }
    stage.check_other();
}

#[test]
fn another_encoder_goes_on_in_the_same_connection() {
    if !have("ffmpeg") {
        return;
    }
    let stage = Stage::start();
    for codec in ["libopus", "libvorbis", "flac"] {
        let (killed, next) = (encoded(codec, 7), encoded(codec, 9));
        let (quarter, late) = (killed.len() / 4, next.len() * 6 / 10);
        let torn = killed[quarter].len() / 2;
        let begin = [&killed[quarter][..torn], &next[..late].concat()].concat();
        let mount = format!("/{codec}-killed");
        let sent = Sent {
            first: killed[..quarter].concat(),
            kept_bytes: killed[..quarter].concat().len() + begin.len() - torn,
            begin,
            rest: next[late..].concat(),
        };
        let early = play(&stage, &mount, &sent);
        expect_sound(&early, &mount, Duration::from_secs(SECONDS));
    }
    stage.check_other();
}

#[test]
fn listeners_are_ended_where_ogg_goes_on_in_another_codec() {
    const MOUNT: &str = "/mixed.ogg";
    if !have("ffmpeg") {
        return;
    }
    let stage = Stage::start();
    stage.node.create_mount(MOUNT, PASSWORD);
    let mut source = log_in(&stage.node, MOUNT, "Content-Type: audio/ogg\r\n");
    let url = format!("{}{MOUNT}", stage.node.url());
    let (opus, vorbis) = (encoded("libopus", 7), encoded("libvorbis", 9));
    let half = opus.len() / 2;
    source.send(opus[..half].concat()).unwrap();
    let has_begun = |status: &Status| status.mounts.iter().any(|it| it.source.is_some());
    wait_status(&stage.node, "it is on air", has_begun);
    let early = Player::tune_in(&url);
    early.wait_for(1);
    source.send(opus[half..].concat()).unwrap();
    source.send(vorbis.concat()).unwrap();
    eventually(PATIENCE, "its decoder is ended", || {
        so(early.is_closed(), "it is connected")
    });
    expect_sound(&early, MOUNT, Duration::from_secs(SECONDS / 2));
    wait_log(&stage.node, "the log says it", |log| {
        log.contains("goes on with a stream that decoders cannot follow")
    });
    let late = Player::tune_in(&url);
    expect_sound(&late, MOUNT, Duration::from_secs(SECONDS - 2));
    stage.check_other();
}
