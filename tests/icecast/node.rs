//! antiphon as a server that rows are tried at: a node alone, with a folder of its own.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::row::Prepared;
use crate::server::{
    Login, MISSING_HEADER, Mounts, Process, RELAY, SHOUTCAST_MOUNT, SOURCE, Server, files,
    free_ports,
};
use crate::upstreams::Upstreams;

/// The program.
const ANTIPHON: &str = env!("CARGO_BIN_EXE_antiphon");
/// How long a start may take on a busy machine.
const STARTED: Duration = Duration::from_secs(60);
/// How often it is started again: somebody else may have taken its port.
const STARTS: u32 = 3;
/// How long a head may take.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The file in its folder for what it says.
const LOG: &str = "log";

/// Starts a node, prepared like this.
pub(crate) fn start(prepared: Prepared, upstreams: Option<&Upstreams>) -> Server {
    let mut complaints = Vec::new();
    for _ in 0..STARTS {
        match try_start(prepared, upstreams) {
            Ok(server) => return server,
            Err(log) => complaints.push(log),
        }
    }
    panic!("no node starts: {complaints:#?}");
}

fn try_start(prepared: Prepared, upstreams: Option<&Upstreams>) -> Result<Server, String> {
    let home = tempfile::tempdir().unwrap();
    let port = free_ports(2);
    files(&home.path().join("files"));
    let address = format!("127.0.0.1:{port}");
    let shoutcast = format!("127.0.0.1:{}", port + 1);
    fs::write(
        home.path().join("settings.toml"),
        settings(&home, &shoutcast, prepared),
    )
    .unwrap();
    let log = File::create(home.path().join(LOG)).unwrap();
    let mut command = Command::new(ANTIPHON);
    let kept = std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "ANTIPHON_LOG");
    command.env_clear().envs(kept).env("HOME", home.path());
    if let Some(upstreams) = upstreams {
        command.env("SSL_CERT_FILE", upstreams.authority());
    }
    command.args(["run", "--name", "conformance", "--listen", &address]);
    command.arg("--data-dir").arg(home.path().join("data"));
    command
        .arg("--config")
        .arg(home.path().join("settings.toml"));
    command.stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let child = command.spawn().unwrap();
    let logs = vec![LOG.into()];
    let mut process = Process { child, home, logs };
    let password = wait_ready(&mut process)?;
    set_relay_password(&process, &address);
    let token = fs::read_to_string(process.home.path().join("data/token")).unwrap();
    Ok(Server {
        address,
        source: Login::new(SOURCE[0], SOURCE[1]),
        admin: Some(Login::new("admin", &password)),
        relay: Some(Login::new(RELAY[0], RELAY[1])),
        shoutcast: Some(shoutcast),
        head_limit: Some(HEAD_LIMIT),
        mounts: Mounts::Api(format!("Bearer {}", token.trim())),
        has_files: true,
        process: Some(process),
        shoutcast_turn: Mutex::new(()),
    })
}

/// Gives it the password of slaves, as an operator does.
fn set_relay_password(process: &Process, address: &str) {
    let mut command = Command::new(ANTIPHON);
    command.args(["password", "set", "--relay", RELAY[1]]);
    command.args(["--node", &format!("http://{address}")]);
    command
        .arg("--data-dir")
        .arg(process.home.path().join("data"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Waits until it serves, and returns the password of its admin, which it shows once.
fn wait_ready(process: &mut Process) -> Result<String, String> {
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(process.home.path().join(LOG)).unwrap_or_default();
        let shown = |line: &str| line.split("shown this once: ").nth(1).map(str::to_owned);
        let password = log.lines().find_map(shown);
        let ready = log.lines().any(|line| line.starts_with("ready"));
        if let (true, Some(password)) = (ready, password) {
            return Ok(password);
        }
        let ended = process.child.try_wait().unwrap().is_some();
        if ended || begun.elapsed() > STARTED {
            return Err(log);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn settings(home: &TempDir, shoutcast: &str, prepared: Prepared) -> String {
    let files = home.path().join("files").display().to_string();
    let [name, value] = MISSING_HEADER;
    let lines = [
        ("shoutcast_listen", format!("{shoutcast:?}")),
        ("shoutcast_mount", format!("{SHOUTCAST_MOUNT:?}")),
        ("web_root", format!("{files:?}")),
        ("media_dir", format!("{files:?}")),
        ("http_headers", format!("[\"404 {name}: {value}\"]")),
        ("max_sources", "1".to_owned()),
    ];
    let limited = prepared == Prepared::OneSource;
    let lines = lines
        .iter()
        .filter(|line| limited || line.0 != "max_sources");
    lines
        .map(|line| format!("{} = {}\n", line.0, line.1))
        .collect()
}
