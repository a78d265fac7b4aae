//! Nodes that transcode, the encoder of the mount that they hear, and how what they make sounds.

use std::env;
use std::f64::consts::TAU;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use antiphon::model::status::transcoder::TranscoderStatus;
use antiphon::model::transcoding::TranscoderStage;
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::support::decoder::until_edge;
use crate::support::executable::write_script;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};

pub(super) const RADIO: &str = "/radio.mp3";
pub(super) const PASSWORD: &str = "hackme-not";
/// The pitch of what the encoder sends.
pub(super) const PITCH_HZ: f64 = 1_000.0;
/// Samples of decoded sound in a second, and in a window that is looked at.
const RATE_HZ: f64 = 8_000.0;
const WINDOW_SAMPLES: usize = 800;

/// Nodes that transcode.
pub(super) struct Stage {
    pub(super) mesh: TestMesh,
}

/// A setup with which a node transcodes.
pub(crate) fn transcoding(setup: Setup, engine: &str) -> Setup {
    let setup = setup.with(&[
        "--transcode",
        "--transcode-engine",
        engine,
        "--max-transcoders",
        "2",
    ]);
    // Only root can be somebody else, and must be.
    match geteuid().is_root() {
        true => setup.with(&["--transcode-user", "nobody"]),
        false => setup,
    }
}

impl Stage {
    pub(super) fn set(nodes: usize, engine: &str) -> Self {
        Self::begin(TestMesh::start_with(nodes, |_, setup| {
            transcoding(setup, engine)
        }))
    }

    /// Three nodes, each with its own folder of programs before the usual ones.
    pub(super) fn with_programs(folders: &[&Path; 3], engine: &str) -> Self {
        let usual = env::var("PATH").unwrap();
        Self::begin(TestMesh::start_with(3, |index, setup| {
            let path = format!("{}:{usual}", folders[index].display());
            transcoding(setup, engine).path(path)
        }))
    }

    pub(super) fn begin(mesh: TestMesh) -> Self {
        mesh.create_mount(RADIO, PASSWORD);
        Self { mesh }
    }

    pub(super) fn create(&self, mount: &str, settings: &str) {
        let create = format!("create {mount} --transcode-from {RADIO} {settings}");
        let words: Vec<&str> = create.split(' ').collect();
        done(&self.mesh.nodes[0].command("mount", &words));
        self.mesh.wait_for_mount(mount);
    }

    /// Waits until all nodes hear that a mount is made.
    pub(super) fn wait_runs(&self, mount: &str) {
        // Several of Liquidsoap that start at once take long on two busy processors.
        let limit = 3 * PATIENCE;
        self.mesh
            .wait_each_sees_within(limit, mount, "a transcoder that runs", |it| {
                let stage = it.transcoder.as_ref().map(|it| it.report.stage);
                it.source.is_some() && stage == Some(TranscoderStage::Running)
            });
    }

    /// Waits until a node has the transcoder of a mount, perhaps without a source; its place in the mesh.
    pub(super) fn wait_runs_somewhere(&self, mount: &str) -> usize {
        self.mesh.wait_each_sees(mount, "a runner", |it| {
            it.transcoder
                .as_ref()
                .is_some_and(|it| !it.report.engine.is_empty())
        });
        let runner = self.runner(mount);
        let mut nodes = self.mesh.nodes.iter();
        nodes.position(|node| node.name() == runner).unwrap()
    }

    /// The node that has the transcoder of a mount, as the others see it.
    pub(super) fn runner(&self, mount: &str) -> String {
        let seen = self
            .mesh
            .nodes
            .iter()
            .find_map(|node| node.try_status().ok());
        let mounts = seen.unwrap().mounts.into_iter();
        let mut transcoders = mounts.filter(|it| it.path.as_str() == mount);
        let transcoder = transcoders.next().and_then(|it| it.transcoder);
        transcoder.and_then(|it| it.node).unwrap().to_string()
    }
}

/// The transcoder of a mount as a node sees it.
pub(super) fn transcoder(node: &TestNode, mount: &str) -> Option<TranscoderStatus> {
    let mounts = node.status().mounts.into_iter();
    mounts
        .filter(|it| it.path.as_str() == mount)
        .find_map(|it| it.transcoder)
}

/// An encoder that sends a tone of MP3 until it is dropped.
pub(super) struct ToneEncoder(Child);

impl Drop for ToneEncoder {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub(super) fn encoder(node: &TestNode, pitch_hz: f64) -> ToneEncoder {
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error -re -f lavfi -i".split(' '));
    command.arg(format!("sine=frequency={pitch_hz}:sample_rate=44100"));
    command.args(
        "-ac 2 -c:a libmp3lame -b:a 128k -write_xing 0 -id3v2_version 0 -flush_packets 1 -f mp3"
            .split(' '),
    );
    command.args(["-content_type", "audio/mpeg"]);
    command.arg(format!(
        "icecast://source:{PASSWORD}@{}{RADIO}",
        node.address()
    ));
    ToneEncoder(command.stdin(Stdio::null()).spawn().unwrap())
}

/// An encoder that sends WebM without a sound until it is dropped.
pub(super) fn encoder_of_pictures(node: &TestNode) -> ToneEncoder {
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error -re -f lavfi -i testsrc=size=64x48:rate=10".split(' '));
    command.args("-c:v libvpx -g 10 -f webm -content_type video/webm".split(' '));
    command.arg(format!(
        "icecast://source:{PASSWORD}@{}{RADIO}",
        node.address()
    ));
    ToneEncoder(command.stdin(Stdio::null()).spawn().unwrap())
}

/// A folder with a program in it, into which every user gets.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn with(program: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(program);
        write_script(&file, script);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A real ffmpeg whose output sounds as this node's own tone, whatever it hears.
pub(super) struct Tone(Folder);

impl Tone {
    pub(super) fn new(pitch_hz: f64) -> Self {
        let sine = format!("0.3*sin(2*PI*{pitch_hz}*t)");
        let script = format!(
            "n=$#\n\
             while [ $n -gt 0 ]; do\n\
             [ \"$1\" = -flush_packets ] && set -- \"$@\" -af 'aeval={sine}|{sine}'\n\
             set -- \"$@\" \"$1\"\n\
             shift\n\
             n=$((n - 1))\n\
             done\n\
             exec /usr/bin/ffmpeg \"$@\""
        );
        Self(Folder::with("ffmpeg", &script))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The processes that a node has started and that run.
pub(crate) fn programs(node: &TestNode) -> Vec<u32> {
    let node = node.pid().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let children = processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?);
        (parent == node && state != "Z").then_some(pid)
    });
    children.collect()
}

/// Whether a process is there and has not ended.
pub(super) fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|it| it.1.trim_start().to_owned());
    fields.is_some_and(|it| !it.starts_with('Z'))
}

/// Waits until a node has exactly so many programs; they.
pub(crate) fn wait_programs(node: &TestNode, count: usize) -> Vec<u32> {
    let look = || {
        let seen = programs(node);
        match seen.len() == count {
            true => Ok(seen),
            false => Err(format!("{seen:?}")),
        }
    };
    eventually(PATIENCE, "the programs of a node", look).0
}

/// The part of what was received that ends with a whole frame or page.
pub(super) fn whole<'a>(received: &'a [u8], mount: &str) -> &'a [u8] {
    let media_type = match mount.rsplit_once('.').unwrap().1 {
        "mp3" => "audio/mpeg",
        "aac" => "audio/aac",
        _ => "audio/ogg",
    };
    until_edge(received, media_type)
}

/// The share of the power of each window that is at each of these pitches, by a discrete Fourier transform.
pub(super) fn shares<const N: usize>(samples: &[i16], pitches_hz: [f64; N]) -> Vec<[f64; N]> {
    let windows = samples.chunks_exact(WINDOW_SAMPLES);
    let shares = windows.map(|window| {
        let power: f64 = window.iter().map(|it| f64::from(*it).powi(2)).sum();
        pitches_hz.map(|pitch_hz| {
            let turn = TAU * pitch_hz / RATE_HZ;
            let of = |wave: fn(f64) -> f64| -> f64 {
                let samples = window.iter().enumerate();
                samples
                    .map(|(index, it)| f64::from(*it) * wave(turn * index as f64))
                    .sum()
            };
            let (real, imaginary) = (of(f64::cos), of(f64::sin));
            let at_pitch = 2.0 * (real.powi(2) + imaginary.powi(2)) / window.len() as f64;
            at_pitch / power.max(1.0)
        })
    });
    shares.collect()
}

/// Waits until the trouble of a mount's transcoder has these words, at this node.
pub(super) fn wait_trouble(node: &TestNode, mount: &str, words: &str) {
    let look = || {
        let seen = transcoder(node, mount);
        let trouble = seen.as_ref().and_then(|it| it.report.trouble.clone());
        so(
            trouble.is_some_and(|it| it.contains(words)),
            format!("{seen:?}"),
        )
    };
    eventually(PATIENCE, &format!("{mount} says {words:?}"), look);
}
