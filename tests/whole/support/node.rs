//! A node: a real `antiphon run`, with a data directory, a port and a log of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use antiphon::model::status::{NodeState, NodeStatus, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use super::clock;
use super::http::{self, Answer, Connection};
use super::network::Site;
use super::patience::{PATIENCE, eventually};
use super::port::free_port;
pub(crate) use super::secret::new_secret;
use super::secret::write_secret;
pub(crate) use super::setup::Setup;
use super::setup::{ANTIPHON, remove_joins};

/// The file that says how far a node's clock is off.
const CLOCK: &str = "clock";
/// How many times a node gets another port when somebody else was faster.
const PORT_TRIES: u32 = 3;

impl Setup {
    /// Starts it and waits until it serves.
    pub(crate) fn start(self) -> TestNode {
        let mut node = TestNode::new(self);
        for _ in 0..PORT_TRIES {
            node.spawn();
            match node.wait_ready() {
                Ok(()) => return node,
                Err(log) if log.contains("in use") => node.port = free_port(),
                Err(log) => panic!("{} does not start:\n{log}", node.name),
            }
        }
        panic!("{} finds no free port", node.name);
    }

    /// Starts it and waits for nothing: for a node that is not expected to serve.
    pub(crate) fn launch(self) -> TestNode {
        let mut node = TestNode::new(self);
        node.spawn();
        node
    }
}

/// A node, running or not. Dropping it kills it; if the test has failed, its log is shown.
#[derive(Debug)]
pub(crate) struct TestNode {
    name: String,
    program: String,
    ip: Ipv4Addr,
    port: u16,
    site: Option<Site>,
    open_files: Option<u32>,
    path: Option<OsString>,
    arguments: Vec<String>,
    home: TempDir,
    child: Option<Child>,
    /// The offset in the log at which the present life begins.
    life_begins: usize,
}

impl TestNode {
    fn new(setup: Setup) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut arguments = setup.arguments;
        if let Some(secret) = setup.secret {
            let file = home.path().join("cluster-secret");
            write_secret(&file, &secret);
            arguments.extend(["--secret-file".to_owned(), file.display().to_string()]);
        }
        if !setup.config.is_empty() {
            let file = home.path().join("settings.toml");
            fs::write(&file, setup.config).unwrap();
            arguments.extend(["--config".to_owned(), file.display().to_string()]);
        }
        if let Some(offset) = &setup.clock {
            fs::write(home.path().join(CLOCK), offset).unwrap();
        }
        Self {
            name: setup.name,
            program: setup.program,
            ip: setup.site.as_ref().map_or(setup.ip, |it| it.ip),
            port: setup.port.unwrap_or_else(free_port),
            site: setup.site,
            open_files: setup.open_files,
            path: setup.path,
            arguments,
            home,
            child: None,
            life_begins: 0,
        }
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        self.life_begins = self.log().len();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file());
        let log = log.unwrap();
        let mut command = match &self.site {
            Some(site) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &site.namespace, &self.program]);
                command
            }
            None => match self.open_files {
                Some(most) => {
                    let mut command = Command::new("sh");
                    let limited = "ulimit -n \"$0\" && exec \"$@\"";
                    command.args(["-c", limited, &most.to_string(), &self.program]);
                    command
                }
                None => Command::new(&self.program),
            },
        };
        let kept = std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "ANTIPHON_LOG");
        command.env_clear().envs(kept).env("HOME", self.home.path());
        command.envs(self.path.iter().map(|path| ("PATH", path)));
        let clock = self.home.path().join(CLOCK);
        if clock.exists() {
            clock::follow(&mut command, &clock);
        }
        command.args(["run", "--name", &self.name]);
        command.args(["--listen", &self.address()]);
        command.arg("--data-dir").arg(self.data_dir());
        command.args(&self.arguments);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Waits for the line that says that it serves; the log of this life if it ended instead.
    fn wait_ready(&mut self) -> Result<(), String> {
        let name = self.name.clone();
        let (ready, _) = eventually(PATIENCE, &format!("{name} is ready"), || {
            let log = self.log_of_this_life();
            if log.lines().any(|line| line.starts_with("ready")) {
                return Ok(Ok(()));
            }
            match self.ended() {
                Some(_) => Ok(Err(self.log_of_this_life())),
                None => Err(log),
            }
        });
        ready
    }

    /// The name of the node.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    /// The URL of the node; a path can be appended.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(&self.address()).unwrap()
    }

    /// Sets its clock, which was off from the beginning.
    pub(crate) fn set_clock(&self, offset: &str) {
        fs::write(self.home.path().join(CLOCK), offset).unwrap();
    }

    /// The data directory of the node.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// All that it has printed, in all its lives.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The log since the last start.
    pub(crate) fn log_of_this_life(&self) -> String {
        self.log()
            .get(self.life_begins..)
            .unwrap_or_default()
            .to_owned()
    }

    /// The token that lets somebody on this machine manage it.
    pub(crate) fn token(&self) -> String {
        let token = fs::read_to_string(self.data_dir().join("token")).unwrap();
        token.trim().to_owned()
    }

    /// The process id of the node.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).unwrap();
    }

    /// How it ended, if it has.
    fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().unwrap();
        if ended.is_some() {
            self.child = None; // its id may be another's now
        }
        ended
    }

    /// Whether it does not run.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.is_none() || self.ended().is_some()
    }

    /// Waits until it ends.
    pub(crate) fn wait_end(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} has ended", self.name);
        let look = || self.ended().ok_or("it runs");
        eventually(limit, &what, look).0
    }

    /// Asks it to stop and waits for its end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end(PATIENCE)
    }

    /// Kills it, without a word to anybody.
    pub(crate) fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// From now on this build's program runs it.
    pub(crate) fn upgrade_from_now_on(&mut self) {
        self.run_from_now_on(ANTIPHON);
    }

    /// From now on this program runs it.
    pub(crate) fn run_from_now_on(&mut self, program: &str) {
        program.clone_into(&mut self.program);
    }

    /// Starts it again as before, and waits until it serves.
    pub(crate) fn restart(&mut self) {
        self.spawn();
        if let Err(log) = self.wait_ready() {
            panic!("{} does not start again:\n{log}", self.name);
        }
    }

    /// From now on it is started without anybody to join.
    pub(crate) fn forget_whom_to_join(&mut self) {
        remove_joins(&mut self.arguments);
    }

    /// From now on it is started to join this peer.
    pub(crate) fn join_from_now_on(&mut self, peer: &str) {
        self.forget_whom_to_join();
        self.arguments.extend(["--join", peer].map(str::to_owned));
    }

    /// The whole mesh as it sees it.
    pub(crate) fn try_status(&self) -> io::Result<Status> {
        let answer = http::get(&self.address(), "/status.json")?;
        serde_json::from_slice(&answer.body).map_err(io::Error::from)
    }

    /// The whole mesh as it sees it, from a node that must answer.
    pub(crate) fn status(&self) -> Status {
        self.try_status().unwrap()
    }

    /// The node's opinion of the node of that name.
    pub(crate) fn opinion_of(&self, name: &str) -> Option<NodeStatus> {
        let mut nodes = self.status().nodes.into_iter();
        nodes.find(|node| node.name.as_str() == name)
    }

    /// The names of all that it thinks alive, in order.
    pub(crate) fn alive(&self) -> Vec<String> {
        let Ok(status) = self.try_status() else {
            return Vec::new();
        };
        let nodes = status.nodes.into_iter();
        let alive = nodes.filter(|node| node.state == NodeState::Alive);
        alive.map(|node| node.name.to_string()).collect()
    }

    /// Runs a command of `antiphon` against it, by the right of its token.
    pub(crate) fn command(&self, command: &str, arguments: &[&str]) -> Output {
        let mut program = Command::new(ANTIPHON);
        program.arg(command).args(arguments);
        program.args(["--node", &self.url()]);
        program.arg("--data-dir").arg(self.data_dir());
        program.env("HOME", self.data_dir()).output().unwrap()
    }

    /// A request to its API, by somebody who has its token.
    pub(crate) fn api(&self, method: &str, target: &str, body: &str) -> io::Result<Answer> {
        let (address, token, length) = (self.address(), self.token(), body.len());
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        http::ask(&address, &request)
    }

    /// Creates a mount on it; its sources log in with this password.
    pub(crate) fn create_mount(&self, path: &str, password: &str) {
        let mount = json!({ "path": path, "password": password }).to_string();
        self.create(&mount);
    }

    /// The same with more settings, as lines of JSON.
    pub(crate) fn create_mount_with(&self, path: &str, password: &str, more: &str) {
        let (path, password) = (json!(path), json!(password));
        self.create(&format!(
            r#"{{ "path": {path}, "password": {password}, {more} }}"#
        ));
    }

    fn create(&self, mount: &str) {
        let answer = self.api("POST", "/api/v1/mounts", mount).unwrap();
        assert_eq!(answer.head.status, 201, "{}", answer.text());
    }

    /// Deletes a mount on it.
    pub(crate) fn delete_mount(&self, path: &str) {
        let target = format!("/api/v1/mounts{path}");
        let answer = self.api("DELETE", &target, "").unwrap();
        assert_eq!(answer.head.status, 204, "{}", answer.text());
    }

    /// Asks it, the master, to hand its seat to another node.
    pub(crate) fn step_down(&self) {
        let answer = self.api("POST", "/api/v1/node/step-down", "").unwrap();
        assert_eq!(answer.head.status, 200, "{}", answer.text());
    }

    /// The paths of all mounts that it knows, in order.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let mounts = self.status().mounts.into_iter();
        mounts.map(|mount| mount.path.to_string()).collect()
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprintln!(
                "---- log of {} at {}\n{}",
                self.name,
                self.url(),
                self.log()
            );
        }
    }
}

/// The output of a command that did what it was told.
pub(crate) fn done(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
