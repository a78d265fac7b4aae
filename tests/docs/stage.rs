//! The stage on which the commands of the pages are run: a mesh on this machine that stands for the hosts of the
//! examples.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The program.
const ANTIPHON: &str = env!("CARGO_BIN_EXE_antiphon");
/// The hosts of the examples, each with the name of its node.
const HOSTS: [(&str, &str); 3] = [
    ("a.example:8000", "a"),
    ("b.example:8000", "b"),
    ("c.example:8000", "c"),
];
/// The password of all sources.
const PASSWORD: &str = "hackme-not";
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder, ports for the hosts, and whatever was started.
pub(crate) struct Stage {
    folder: TempDir,
    ports: Vec<u16>,
    nodes: Vec<Child>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let free = HOSTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
            ports: free.map(|it| it.local_addr().unwrap().port()).into(),
            nodes: Vec::new(),
        };
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/sample/sample.mp3");
        for file in ["song.mp3", "show.mp3", "show.flac"] {
            // What is in it is found by looking, not by its name.
            fs::copy(&sample, stage.folder.path().join(file)).unwrap();
        }
        stage
    }

    fn authority(&self, index: usize) -> String {
        format!("127.0.0.1:{}", self.ports[index])
    }

    /// A word of a command with the hosts, files and passwords of this stage.
    fn here(&self, word: &str) -> String {
        let mut word = word
            .replace("HOST:PORT", HOSTS[0].0)
            .replace("PASSWORD", PASSWORD)
            .replace("/etc/antiphon/", "etc-");
        if word == "node-2" {
            word = HOSTS[1].1.to_owned();
        }
        for (index, (host, _)) in HOSTS.iter().enumerate() {
            word = word.replace(host, &self.authority(index));
        }
        word
    }

    fn program(&self, words: &[String]) -> Command {
        let program = match words[0].as_str() {
            "antiphon" => ANTIPHON,
            other => other,
        };
        let mut command = Command::new(program);
        command.args(words[1..].iter().map(|word| self.here(word)));
        command.current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Starts a node as the command says, at the port that stands for its host.
    pub(crate) fn run_node(&mut self, words: &[String]) {
        let mut names = words.iter().skip_while(|word| *word != "--name");
        let name = names.nth(1).expect("the example names its node");
        let index = HOSTS.iter().position(|(_, host)| host == name).unwrap();
        let mut command = self.program(words);
        command.args(["--listen", &self.authority(index), "--data-dir", name]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.nodes.push(command.spawn().unwrap());
        self.wait(&format!("{name} is ready"), || {
            self.get(index, "/readyz").starts_with("ok")
        });
    }

    /// Runs a command against the first node, or the master if that is the only one who can.
    pub(crate) fn run(&self, words: &[String]) -> Output {
        let mut command = self.program(words);
        let asks = [
            "cert",
            "file",
            "import",
            "listeners",
            "mount",
            "node",
            "outside",
            "password",
            "policy",
            "status",
        ];
        if asks.contains(&words[1].as_str()) {
            let index = match words[2..].iter().any(|word| word == "step-down") {
                true => self.master(),
                false => 0,
            };
            command.args(["--node", &format!("http://{}", self.authority(index))]);
            command.args(["--data-dir", HOSTS[index].1]);
        }
        command.output().unwrap()
    }

    fn master(&self) -> usize {
        let mut found = None;
        self.wait("a master", || {
            let master = self.status()["master"].clone();
            found = HOSTS.iter().position(|(_, name)| master == *name);
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// Makes a mount one that the sources of all examples can log in to.
    pub(crate) fn prepare_mount(&self, path: &str) {
        let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let password = format!("password={PASSWORD}");
        let set = self.run(&words(&["antiphon", "mount", "set", path, &password]));
        if !set.status.success() {
            let create = ["antiphon", "mount", "create", path, "--password", PASSWORD];
            assert!(self.run(&words(&create)).status.success(), "{path}");
        }
        self.wait("every node knows the mount", || {
            (0..self.nodes.len()).all(|index| self.get(index, "/status.json").contains(path))
        });
    }

    /// Lets a source send until it is on air.
    pub(crate) fn send(&self, words: &[String], mount: &str) {
        self.prepare_mount(mount);
        let mut command = self.program(words);
        let log = self.folder.path().join("source.log");
        command
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        let mut source = command.spawn().unwrap();
        let on_air = self.try_wait(|| self.is_on_air(mount));
        let _ended = source.kill().and_then(|()| source.wait());
        let log = fs::read_to_string(log).unwrap_or_default();
        assert!(on_air, "{words:?} is not on air: {log}");
        self.wait("the source has gone", || !self.is_on_air(mount));
    }

    fn is_on_air(&self, mount: &str) -> bool {
        let status = self.status();
        let mounts = status["mounts"].as_array().cloned().unwrap_or_default();
        let mut mounts = mounts.iter().filter(|it| it["path"] == mount);
        mounts.any(|it| !it["source"].is_null())
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.get(0, "/status.json")).unwrap_or_default()
    }

    /// The body of an answer; empty while there is none.
    fn get(&self, index: usize, target: &str) -> String {
        let mut answer = String::new();
        let asking = TcpStream::connect(self.authority(index)).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        asking.ok().and(body).unwrap_or_default().to_owned()
    }

    fn try_wait(&self, mut look: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if look() {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn wait(&self, what: &str, look: impl FnMut() -> bool) {
        assert!(self.try_wait(look), "not within {PATIENCE:?}: {what}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ended = node.kill().and_then(|()| node.wait());
        }
    }
}

/// Whether a program can be run; if not, that is a failure unless missing programs are to be skipped.
pub(crate) fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    if folders.any(|folder: PathBuf| folder.join(program).is_file()) {
        return true;
    }
    let skip = std::env::var("ANTIPHON_SKIP_MISSING").is_ok_and(|value| value == "1");
    assert!(
        skip,
        "{program} is not installed: run tests/install-tools.sh"
    );
    println!("skipped, because {program} is not installed");
    false
}
