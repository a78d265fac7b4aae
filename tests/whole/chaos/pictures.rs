//! Streams in Ogg while the master dies: a real ffmpeg sends, and what listeners of other nodes received decodes without
//! a fault. A byte that is lost or doubled would be one.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon::model::stream::StreamId;
use tempfile::TempDir;

use crate::clients::decode::decode;
use crate::clients::program::{Launched, open_folder};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::times::Times;

/// The marks around the documentation's table.
const BEGIN: &str = "<!-- chaos in Ogg: begin -->\n";
const END: &str = "<!-- chaos in Ogg: end -->";
const PASSWORD: &str = "hackme-not";
/// How many nodes there are.
const NODES: usize = 5;
/// How long a listener may hear nothing: the burst with which it began.
const GAP: Duration = Duration::from_secs(5);
/// How soon there must be a new master.
const ELECTED: Duration = Duration::from_millis(2_500);
/// How long is listened before the blow, and after it.
const LISTEN: Duration = Duration::from_secs(6);
/// How much of the time that a listener was there may be missing in its sound: the pages that are not full yet.
const UNSENT: Duration = Duration::from_secs(3);

/// A stream in Ogg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programme {
    name: &'static str,
    mount: &'static str,
    media_type: &'static str,
    inputs: &'static str,
    codecs: &'static str,
}

/// The streams that are played.
pub(super) const PROGRAMMES: [Programme; 2] = [
    Programme {
        name: "Opus in Ogg",
        mount: "/opus.ogg",
        media_type: "application/ogg",
        inputs: "-re -f lavfi -i sine=frequency=440:sample_rate=48000",
        codecs: "-c:a libopus -b:a 64k",
    },
    Programme {
        name: "Theora and Vorbis in Ogg",
        mount: "/pictures.ogv",
        media_type: "video/ogg",
        inputs: "-re -f lavfi -i sine=frequency=440:sample_rate=44100 -re -f lavfi -i testsrc=size=160x120:rate=10",
        codecs: "-c:a libvorbis -b:a 64k -c:v libtheora -b:v 150k -g 10",
    },
];

/// The harm that one blow has done.
#[derive(Debug)]
struct PageHarm {
    source_drops: u32,
    closed: u32,
    faults: Vec<String>,
    gap: Duration,
    new_master: Duration,
}

/// The harm of all blows to a stream.
#[derive(Debug)]
pub(super) struct PageHarms {
    programme: Programme,
    harms: Vec<PageHarm>,
}

/// The stream on air in a mesh that is struck.
struct PageStage {
    // First, so that it leaves before the nodes are killed.
    _ffmpeg: Launched,
    _folder: TempDir,
    programme: Programme,
    mesh: TestMesh,
    ingest: usize,
}

impl PageStage {
    fn set(programme: Programme) -> Self {
        let mesh = TestMesh::start(NODES);
        mesh.create_mount(programme.mount, PASSWORD);
        let ingest = mesh.others()[0];
        let folder = open_folder();
        let target = format!(
            "icecast://source:{PASSWORD}@{}{}",
            mesh.nodes[ingest].address(),
            programme.mount
        );
        let Programme {
            inputs,
            codecs,
            media_type,
            ..
        } = programme;
        let line = format!(
            "while true; do ffmpeg -nostdin -v error {inputs} -ac 2 {codecs} -flush_packets 1 -f ogg \
             -content_type {media_type} {target}; sleep 0.2; done"
        );
        let ffmpeg = Launched::start(&line, folder.path());
        mesh.wait_on_air(programme.mount);
        Self {
            _ffmpeg: ffmpeg,
            _folder: folder,
            programme,
            mesh,
            ingest,
        }
    }

    fn stream_id(&self) -> Option<StreamId> {
        let status = self.mesh.nodes[self.ingest].status();
        let mut mounts = status.mounts.into_iter();
        let mount = mounts.find(|it| it.path.as_str() == self.programme.mount);
        Some(mount?.source?.stream_id)
    }

    /// Has another node than that of the source be master, kills the master, and says what that has done.
    fn strike(&mut self) -> PageHarm {
        self.mesh.wait_agreed();
        if self.mesh.master() == self.ingest {
            self.mesh.nodes[self.ingest].step_down();
            let look = || so(self.mesh.try_master() != Some(self.ingest), "the same");
            eventually(PATIENCE, "another node is master", look);
            self.mesh.wait_agreed();
        }
        let (master, stream_id) = (self.mesh.master(), self.stream_id());
        let elsewhere = (0..NODES).filter(|it| *it != master);
        let players = elsewhere.map(|it| {
            let url = self.mesh.nodes[it].url();
            Player::tune_in(&format!("{url}{}?redirect=no", self.programme.mount))
        });
        let players: Vec<Player> = players.collect();
        let begun = Instant::now();
        wait_until(begun + LISTEN);
        self.mesh.nodes[master].kill9();
        let new_master = self.mesh.wait_agreed_without(&[master]);
        wait_until(begun + 2 * LISTEN);
        let listened = begun.elapsed();
        let mut faults = Vec::new();
        for player in &players {
            match decode(&player.bytes(), self.programme.media_type) {
                Ok(sound) if sound + UNSENT >= listened => {}
                fault => faults.push(format!("{}: {fault:?} in {listened:?}", player.url)),
            }
        }
        let harm = PageHarm {
            source_drops: u32::from(self.stream_id() != stream_id),
            closed: players.iter().map(|it| u32::from(it.is_closed())).sum(),
            gap: players
                .iter()
                .map(Player::longest_gap)
                .max()
                .unwrap_or_default(),
            faults,
            new_master,
        };
        drop(players);
        self.mesh.nodes[master].restart();
        harm
    }
}

fn wait_until(due: Instant) {
    eventually(PATIENCE, "the time comes", || {
        so(Instant::now() >= due, "not yet")
    });
}

/// Plays a stream and kills the master so many times.
pub(super) fn strike(programme: Programme, rounds: usize) -> PageHarms {
    let mut stage = PageStage::set(programme);
    let mut harms = Vec::new();
    for round in 1..=rounds {
        let harm = stage.strike();
        println!("{} {round}/{rounds}: {harm:?}", programme.name);
        harms.push(harm);
    }
    PageHarms { programme, harms }
}

impl PageHarms {
    /// The promises that were not kept, when all times may be so many times as long.
    pub(super) fn broken(&self, patience: u32) -> Vec<String> {
        let mut broken = Vec::new();
        for harm in &self.harms {
            broken.extend(harm.faults.iter().cloned());
            let kept = harm.source_drops == 0
                && harm.closed == 0
                && harm.gap <= GAP
                && harm.new_master <= ELECTED * patience;
            if !kept {
                broken.push(format!("{}: {harm:?}", self.programme.name));
            }
        }
        broken
    }
}

impl fmt::Display for PageHarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&PageHarm) -> usize| self.harms.iter().map(of).sum::<usize>();
        let gaps = Times::of(self.harms.iter().map(|it| it.gap));
        let masters = Times::of(self.harms.iter().map(|it| it.new_master));
        write!(
            f,
            "| {} | {} | {} (0) | {} (0) | {} (0) | {gaps} (≤ {} ms) | {masters} (≤ {} ms) |",
            self.programme.name,
            self.harms.len(),
            sum(|it| it.source_drops as usize),
            sum(|it| it.closed as usize),
            sum(|it| it.faults.len()),
            GAP.as_millis(),
            ELECTED.as_millis(),
        )
    }
}

/// Puts the table into `docs/failover.md`.
pub(super) fn write_into_the_documentation(rows: &[PageHarms]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failover.md");
    let text = fs::read_to_string(&path).expect("the documentation is there");
    let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("its end");
    let mut table = "| stream | kill -9 master | source disconnects | listener disconnects elsewhere | faults that ffmpeg \
                     finds | longest gap, median / p99 | new master, median / p99 |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for row in rows {
        table += &format!("{row}\n");
    }
    println!("\n{table}");
    let text = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    fs::write(&path, text).expect("the documentation can be written");
}
