//! A file of which every frame is known, and what is heard of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use antiphon::model::status::MountStatus;

use crate::support::encoder::{Encoder, Target};
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{Received, frame};
use crate::support::tape::Tape;

pub(super) const PASSWORD: &str = "hackme-not";
pub(super) const LIVE: &str = "/live.mp3";
/// The number of the first frame of the file: no live source of a test gets there.
pub(super) const FIRST: u64 = 1_000_000;
/// How many frames the file has: 10 s.
pub(super) const FRAMES: u64 = 383;
/// How long a frame plays, nanoseconds.
const FRAME_NANOS: u128 = 26_122_449;

/// A file with numbered frames, a table of contents and tags.
pub(super) fn numbered_file() -> Vec<u8> {
    let id3 = [&b"ID3\x04\0\0\0\0\x07\x68"[..], &[0; 1_000]].concat();
    let mut xing = frame(9);
    xing[36..40].copy_from_slice(b"Xing");
    let frames = (FIRST..FIRST + FRAMES).flat_map(frame);
    let id3v1 = [b"TAG".to_vec(), vec![b' '; 125]].concat();
    [id3, xing, frames.collect(), id3v1].concat()
}

/// Writes a file, and returns its path.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// An encoder of the live mount at this node, which numbers its frames from here on.
pub(super) fn live(node: &TestNode, first: u64) -> Encoder {
    Encoder::start(Target {
        first,
        ..Target::of(vec![node.address()], LIVE, PASSWORD)
    })
}

/// A listener of a mount at this very node.
pub(super) fn listener(node: &TestNode, mount: &str) -> Player {
    Player::tune_in(&format!("{}/_stream/n1{mount}", node.url()))
}

/// The runs of frames that a listener has heard. Panics at the first byte that is of no whole frame.
pub(super) fn runs(player: &Player) -> Vec<Received> {
    let mut tape = Tape::default();
    tape.take(&player.bytes());
    let url = &player.url;
    assert_eq!(tape.flaws().foreign_bytes, 0, "{url}: pieces of frames");
    assert!(!player.is_closed(), "{url} was ended");
    tape.runs().to_vec()
}

/// The number of the frame that plays now, by the clock.
fn frame_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let length = u128::from(FRAMES) * FRAME_NANOS;
    let within = now.as_nanos() % length / FRAME_NANOS;
    FIRST + u64::try_from(within).unwrap()
}

/// Waits until the last frame that each of them has got is that which plays now, or at most a second and a half older.
pub(super) fn wait_same_second(players: &[Player]) {
    for player in players {
        eventually(PATIENCE, "a listener hears this second of the file", || {
            let heard = runs(player).last().map_or(0, |run| run.next - 1);
            let now = frame_of_now();
            let behind = (now + FRAMES).wrapping_sub(heard) % FRAMES;
            so(
                heard >= FIRST && behind < 58,
                format!("{}: {heard}, and {now} plays", player.url),
            )
        });
    }
}

/// Waits until each of them has gone round the end of the file so many times in a row, and checks what follows what.
pub(super) fn wait_rounds(players: &[Player], rounds: usize) {
    for player in players {
        eventually(2 * PATIENCE, "a listener hears the file again", || {
            let heard = runs(player);
            let since = heard.iter().rposition(|run| run.first < FIRST);
            let file = &heard[since.map_or(0, |at| at + 1)..];
            for pair in file.windows(2) {
                let url = &player.url;
                assert_eq!(pair[0].next, FIRST + FRAMES, "{url}: the end of a round");
                assert_eq!(pair[1].first, FIRST, "{url}: the beginning of the next");
            }
            so(file.len() > rounds, format!("{}: {file:?}", player.url))
        });
    }
}

/// Waits until each of them hears so many frames of a live source behind whatever it has heard.
pub(super) fn wait_live(players: &[Player], frames: u64) {
    for player in players {
        eventually(PATIENCE, "a listener hears the live source", || {
            let last = runs(player).last().copied();
            let good = last.is_some_and(|run| run.first < FIRST && run.next - run.first >= frames);
            so(good, format!("{}: {last:?}", player.url))
        });
    }
}

/// Puts a file of this name into the mesh, by a node; what the command says.
pub(super) fn put(node: &TestNode, folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = write(folder, name, bytes);
    done(&node.command("file", &["put", path.to_str().unwrap()]))
}

/// Waits until each of these nodes lists this file, and no node lacks it.
pub(super) fn wait_kept(nodes: &[TestNode], name: &str) {
    for node in nodes {
        eventually(PATIENCE, &format!("{} lists {name}", node.name()), || {
            let listed = done(&node.command("file", &["list"]));
            let has_it = listed.lines().any(|line| line.starts_with(name));
            so(has_it && !listed.contains("cannot play"), listed)
        });
    }
}

/// The path at which a node keeps the only file of the mesh, once it is there.
pub(super) fn kept_path(node: &TestNode) -> PathBuf {
    let folder = node.data_dir().join("files");
    let look = || {
        let entries = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        match &paths[..] {
            [path] if path.extension().is_none() => Ok(path.clone()),
            paths => Err(format!("{paths:?}")),
        }
    };
    eventually(PATIENCE, "the node keeps a file", look).0
}

/// Whether the listeners of a mount hear this rung somewhere.
pub(super) fn plays(mount: &MountStatus, rung: &str) -> bool {
    let heard = mount.fallback_heard();
    heard.is_some_and(|it| it.rung.to_string() == rung)
}
