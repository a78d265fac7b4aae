//! Ogg of real encoders with something between its pages that does not belong there: who comes late decodes the sound.

use std::process::Command;
use std::time::Duration;

use super::formats::{Stage, log_in, page_at};
use super::{PASSWORD, wait_status};
use crate::clients::decode::decode;
use crate::support::ogg::page_at as page_in;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::tool::have;

/// How long each stream is: no longer than a source may be ahead of its sound.
const SECONDS: u64 = 24;
/// The least that a late listener hears: it comes behind six tenths of a stream, and what is bad is in its first half.
const LEAST: Duration = Duration::from_secs(10);

/// The pages of a tone.
fn encoded(codec: &str) -> Vec<Vec<u8>> {
    let arguments = format!(
        "-nostdin -v error -f lavfi -i sine=sample_rate=16000 -t {SECONDS} -c:a {codec} \
         -fflags +bitexact -serial_offset 7 -page_duration 200000 -f ogg pipe:1"
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

/// Sends a stream to a mount of its own. A listener that comes behind what is bad decodes it without a fault.
fn play(stage: &Stage, mount: &str, begin: &[u8], rest: &[u8]) {
    stage.node.create_mount(mount, PASSWORD);
    let mut source = log_in(&stage.node, mount, "Content-Type: audio/ogg\r\n");
    source.send(begin).unwrap();
    wait_status(&stage.node, mount, |status| {
        let mut mounts = status.mounts.iter();
        let source = mounts.find_map(|it| it.source.as_ref().filter(|_| it.path.as_str() == mount));
        source.is_some_and(|it| it.offset >= begin.len() as u64)
    });
    let late = Player::tune_in(&format!("{}{mount}", stage.node.url()));
    late.wait_for(1);
    source.send(rest).unwrap();
    let look = || {
        let sound = decode(&late.bytes(), "audio/ogg")?;
        so(sound > LEAST, format!("{sound:?}"))
    };
    let ((), took) = eventually(PATIENCE, mount, look);
    println!("{mount}: decoded after {took:?}");
    wait_status(&stage.node, mount, |status| {
        let mut mounts = status.mounts.iter();
        let mount = mounts.find(|it| it.path.as_str() == mount);
        mount.is_some_and(|it| it.trouble.is_none())
    });
}

#[test]
fn late_listeners_decode_ogg_whatever_is_between_its_pages() {
    if !have("ffmpeg") {
        return;
    }
    let stage = Stage::start();
    for codec in ["libopus", "libvorbis", "flac"] {
        let pages = encoded(codec);
        let (quarter, late) = (pages.len() / 4, pages.len() * 6 / 10);
        let split = |number: usize, bad: &[u8]| {
            let (begin, rest) = (&pages[..number], &pages[number..late]);
            [&begin.concat()[..], bad, &rest.concat()].concat()
        };
        let last = pages[late..].concat();
        let first = foreign_first(&pages[0]);
        play(
            &stage,
            &format!("/{codec}-first"),
            &split(quarter, &first),
            &last,
        );
        let noise = vec![9; 200_000];
        play(
            &stage,
            &format!("/{codec}-noise"),
            &split(quarter, &noise),
            &last,
        );
        let junk = |pages: &[Vec<u8>]| -> Vec<u8> {
            pages
                .iter()
                .flat_map(|page| [&page[..], &[9; 50]].concat())
                .collect()
        };
        let (begin, rest) = (junk(&pages[..late]), junk(&pages[late..]));
        play(&stage, &format!("/{codec}-junk"), &begin, &rest);
    }
    stage.check_other();
}
