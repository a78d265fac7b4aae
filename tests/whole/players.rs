//! Real players follow the redirect and play: what a mock never shows.
//!
//! Each writes what it hears into a file, as sound. Whether it plays is read there, not from what it was sent: a socket
//! takes seconds of a stream that nobody ever reads.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::Ffmpeg;
use crate::support::tool::have;
use crate::support::unprivileged::{as_nobody, open_folder};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// How much each player is to hear: more than the five seconds that it gets at once.
const HEARD_S: u64 = 9;
/// The size of a second of sound, bytes: two channels of 44,100 samples of two bytes.
const SOUND_BYTES: u64 = 44_100 * 2 * 2;
/// The size of a second as it is sent, bytes: 128 kbit/s.
const STREAM_BYTES: u64 = 16_000;
/// How long the number of listeners must stay the same: all players have connected as often as they do by then.
const STEADY: Duration = Duration::from_secs(2);

/// A player that writes what it hears into a file.
struct Kind {
    /// The program.
    program: &'static str,
    /// The beginning of its `User-Agent`.
    agent: &'static str,
    /// The arguments; `URL` and `FILE` stand for the address and the file.
    arguments: &'static str,
    /// How many bytes it writes for a second of the stream.
    bytes_per_s: u64,
}

const KINDS: [Kind; 7] = [
    Kind {
        program: "cvlc",
        agent: "VLC/",
        arguments: "-q --no-video --play-and-exit --aout=afile --audiofile-file=FILE URL",
        bytes_per_s: SOUND_BYTES,
    },
    Kind {
        program: "mpv",
        agent: "libmpv",
        arguments: "--no-config --really-quiet --no-video --audio-format=s16 --ao=pcm --ao-pcm-file=FILE URL",
        bytes_per_s: SOUND_BYTES,
    },
    Kind {
        program: "mplayer",
        agent: "MPlayer",
        arguments: "-really-quiet -noconsolecontrols -vo null -ao pcm:file=FILE URL",
        bytes_per_s: SOUND_BYTES,
    },
    Kind {
        program: "ffmpeg",
        agent: "Lavf/",
        arguments: "-nostdin -v error -i URL -f s16le -flush_packets 1 FILE",
        bytes_per_s: SOUND_BYTES,
    },
    Kind {
        program: "gst-launch-1.0",
        agent: "GStreamer",
        arguments: "-q playbin uri=URL audio-sink=filesink\\ location=FILE\\ buffer-mode=unbuffered",
        bytes_per_s: SOUND_BYTES,
    },
    Kind {
        program: "mpg123",
        agent: "mpg123/",
        arguments: "-q -w FILE URL",
        bytes_per_s: SOUND_BYTES,
    },
    Kind {
        program: "curl",
        agent: "curl/",
        arguments: "-sS -N -L -o FILE URL",
        bytes_per_s: STREAM_BYTES,
    },
];

/// A running player, perhaps of several processes: MPlayer reads ahead in one of its own. Dropping it kills all; if the test has failed, what it said is shown.
struct Running {
    kind: &'static Kind,
    child: Child,
    file: PathBuf,
    log: PathBuf,
}

impl Running {
    fn start(kind: &'static Kind, url: &str, folder: &Path) -> Self {
        let file = folder.join(format!("{}.sound", kind.program));
        let log = folder.join(format!("{}.log", kind.program));
        let mut command = as_nobody();
        command.env("HOME", folder).arg(kind.program);
        let words = kind.arguments.replace("\\ ", "\0");
        for word in words.split(' ') {
            let word = word.replace('\0', " ").replace("URL", url);
            command.arg(word.replace("FILE", &file.display().to_string()));
        }
        let said = File::create(&log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap());
        let child = command.stderr(said).process_group(0).spawn().unwrap();
        Self {
            kind,
            child,
            file,
            log,
        }
    }

    /// How many seconds it has heard, at least.
    fn heard_s(&self) -> u64 {
        let bytes = fs::metadata(&self.file).map_or(0, |it| it.len());
        bytes / self.kind.bytes_per_s
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        let _gone = kill_process_group(group, Signal::KILL);
        let _end = self.child.wait();
        if thread::panicking() {
            let log = fs::read(&self.log).unwrap_or_default();
            let (heard_s, program) = (self.heard_s(), self.kind.program);
            eprintln!(
                "---- {program}, after {heard_s} s\n{}",
                String::from_utf8_lossy(&log)
            );
        }
    }
}

fn listeners(node: &TestNode) -> u32 {
    let own = node.opinion_of(node.name());
    own.expect("it knows itself").listeners
}

#[test]
fn real_players_follow_the_redirect_and_play() {
    let there: Vec<&'static Kind> = KINDS.iter().filter(|kind| have(kind.program)).collect();
    if there.is_empty() || !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&["--max-listeners", "0"]),
        _ => setup,
    });
    let (front, back) = (&mesh.nodes[0], &mesh.nodes[1]);
    // A stream with a name is one that VLC asks for twice.
    front.create_mount_with(RADIO, PASSWORD, r#""name": "Known""#);
    mesh.wait_for_mount(RADIO);
    let mut source = Ffmpeg::start(front, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let folder = open_folder();
    let url = format!("{}{RADIO}", front.url());
    let start = |kind: &&'static Kind| Running::start(kind, &url, folder.path());
    let players: Vec<Running> = there.iter().map(start).collect();
    for player in &players {
        let look = || {
            let heard_s = player.heard_s();
            so(heard_s >= HEARD_S, format!("{heard_s} s"))
        };
        let what = format!("{} has heard {HEARD_S} s", player.kind.program);
        eventually(PATIENCE, &what, look);
    }
    let count = u32::try_from(players.len()).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < STEADY {
        assert_eq!(listeners(back), count, "each player is one listener");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(listeners(front), 0);
    drop(players);
    let look = || so(listeners(back) == 0, "some are still there");
    eventually(PATIENCE, "all players have gone", look);
    for kind in there {
        let log = back.log();
        let gone = log.lines().filter(|line| line.contains("listener gone"));
        let own = gone.filter(|line| line.contains(&format!("agent=\"{}", kind.agent)));
        let times = own.count();
        println!("{} connected {times} times", kind.program);
        assert_ne!(times, 0, "{}: {log}", kind.program);
    }
    assert_eq!(source.ended(), None);
}
