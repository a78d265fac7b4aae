//! Nodes whose listeners are served by an Icecast: beside others in one mesh, and when something is wrong with it.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use antiphon::model::status::EngineStatus;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::support::http::{ask, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{self, Player, ask_for_stream};
use crate::support::port::free_port;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The node with the Icecast, and its place in the mesh.
const NAME: &str = "n3";
const PLACE: usize = 2;
/// How long a listener may hear nothing before it is ended, when its Icecast has died.
const ENDED_LIMIT: Duration = Duration::from_secs(3);
/// The user `nobody` of every Linux.
const NOBODY: u32 = 65_534;

/// A folder for `icecast.xml`, into which the program's user gets.
pub(crate) struct EngineHome(TempDir);

impl EngineHome {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
        Self(home)
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("icecast")
    }

    /// The settings of a node whose engine this is, and more lines of `[icecast]`.
    pub(crate) fn settings(&self, more: &str) -> String {
        let user = match geteuid().is_root() {
            true => "user = \"nobody\"\n",
            false => "",
        };
        let user = if more.contains("user =") { "" } else { user };
        let folder = self.folder();
        let folder = folder.display();
        format!("engine = \"icecast\"\n[icecast]\n{user}folder = \"{folder}\"\n{more}\n")
    }

    fn config(&self) -> String {
        fs::read_to_string(self.folder().join("icecast.xml")).unwrap_or_default()
    }

    /// The process that runs by this folder's configuration.
    fn pid(&self) -> Option<i32> {
        let file = self.folder().join("icecast.xml");
        let processes = fs::read_dir("/proc").unwrap();
        processes.filter_map(Result::ok).find_map(|process| {
            let words = fs::read(process.path().join("cmdline")).ok()?;
            let words = String::from_utf8(words).ok()?;
            let is_it = words.starts_with("/usr/bin/icecast2") && words.contains(file.to_str()?);
            let pid = process.file_name().to_str()?.parse().ok();
            pid.filter(|_| is_it)
        })
    }

    fn kill(&self, signal: Signal) -> i32 {
        let pid = self.pid().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        pid
    }
}

/// The engine of a node, as another one sees it.
fn engine_of(witness: &TestNode, name: &str) -> Option<EngineStatus> {
    witness.opinion_of(name)?.engine
}

/// Waits until a node's Icecast serves, and this node knows that.
pub(crate) fn wait_serving(witness: &TestNode, name: &str) {
    let look = || {
        let engine = engine_of(witness, name);
        let is_open = witness
            .opinion_of(name)
            .is_some_and(|it| it.max_listeners > 0);
        let good = engine
            .as_ref()
            .is_some_and(|it| it.serving && it.trouble.is_none());
        so(good && is_open, format!("{engine:?}"))
    };
    eventually(PATIENCE, "Icecast serves", look);
}

/// The received bytes from the first whole frame on: Icecast begins anywhere in one.
pub(crate) fn from_a_frame(received: &[u8]) -> &[u8] {
    let begins = |at: &usize| signal::number(&received[*at..]).is_some() && received[*at] == 0xFF;
    let at = (0..received.len().min(2 * FRAME_BYTES)).find(begins);
    &received[at.expect("there is a frame")..]
}

fn passthrough(node: &TestNode) -> String {
    format!("{}/_stream/n1{RADIO}", node.url())
}

#[test]
fn one_node_with_icecast_beside_two_others() {
    let home = EngineHome::new();
    let mut mesh = TestMesh::start_with(3, |index, setup| match index {
        PLACE => setup.configured(&home.settings("")),
        _ => setup,
    });
    mesh.create_mount(RADIO, PASSWORD);
    let master = mesh.master();
    assert_ne!(master, PLACE, "the first node founds the mesh");
    let ingest = 1 - master;
    let source = KnownSource::start(&mesh.nodes[ingest], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    wait_serving(&mesh.nodes[ingest], NAME);

    let players: Vec<Player> = [ingest, PLACE]
        .map(|node| Player::tune_in(&passthrough(&mesh.nodes[node])))
        .into();
    for player in &players {
        player.wait_for_more(40 * FRAME_BYTES);
    }
    let counted = || mesh.nodes[ingest].opinion_of(NAME).unwrap().listeners;
    eventually(PATIENCE, "the listener is counted", || {
        so(counted() == 1, counted())
    });
    let served = player::ffmpeg(&passthrough(&mesh.nodes[PLACE]), 1);
    assert!(!served.is_empty());
    assert!(
        home.config()
            .contains(&format!("<mount-name>{RADIO}</mount-name>"))
    );

    // A mount is changed: Icecast takes it without dropping anybody.
    let body = r#"{"name":"Tom & Jerry"}"#;
    let answer = mesh.nodes[ingest].api("PATCH", "/api/v1/mounts/radio.mp3", body);
    assert!(answer.unwrap().head.status < 300);
    let written = || so(home.config().contains("Tom &amp; Jerry"), "not yet");
    eventually(PATIENCE, "the configuration is written", written);
    for player in &players {
        player.wait_for_more(300 * FRAME_BYTES); // longer than a reload may take before it is a trouble
        signal::check(from_a_frame(&player.bytes()));
    }
    wait_serving(&mesh.nodes[ingest], NAME);

    mesh.nodes[master].kill9();
    mesh.wait_agreed_without(&[master]);
    for player in &players {
        player.wait_for_more(100 * FRAME_BYTES);
        signal::check(from_a_frame(&player.bytes()));
        assert!(!player.is_closed());
    }

    // It dies: its listeners go elsewhere, no new one is sent to it, and it comes back by itself.
    let died = home.kill(Signal::KILL);
    let closed = || so(players[1].is_closed(), "its listener hears on");
    let (_, ended) = eventually(PATIENCE, "its listener is told", closed);
    let noticed = || {
        let log = mesh.nodes[PLACE].log();
        so(log.contains("was ended by signal 9"), "not yet")
    };
    eventually(PATIENCE, "the node has noticed", noticed);
    println!("its listener was told after {ended:?}");
    assert!(ended < ENDED_LIMIT, "{ended:?}");
    let elsewhere = Player::tune_in(&format!("{}{RADIO}", mesh.nodes[PLACE].url()));
    elsewhere.wait_for_more(40 * FRAME_BYTES);
    let replaced = || so(home.pid().is_some_and(|pid| pid != died), "not yet");
    eventually(PATIENCE, "it is started again", replaced);
    wait_serving(&mesh.nodes[PLACE], NAME);
    let again = Player::tune_in(&passthrough(&mesh.nodes[PLACE]));
    again.wait_for_more(100 * FRAME_BYTES);
    signal::check(from_a_frame(&again.bytes()));
    assert!(!players[0].is_closed() && !source.is_closed());

    // It never outlives its node.
    mesh.nodes[PLACE].kill9();
    let gone = || so(home.pid().is_none(), "it lives on");
    eventually(PATIENCE, "Icecast dies with its node", gone);
}

#[test]
fn titles_and_our_own_head_reach_its_listeners() {
    let home = EngineHome::new();
    let node = Setup::named("n1").configured(&home.settings("")).start();
    node.create_mount_with(RADIO, PASSWORD, r#""name": "Ours""#);
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    wait_serving(&node, "n1");
    let mut listener = node.connect();
    listener
        .send(format!("GET {RADIO} HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n"))
        .unwrap();
    let head = listener.head().unwrap();
    assert_eq!(head.header("icy-name"), Some("Ours"));
    let server = head.header("server");
    assert!(
        server.is_some_and(|it| it.starts_with("antiphon/")),
        "{server:?}"
    );
    assert_eq!(head.header("icy-metaint"), Some("16000"));
    let mut heard = Vec::new();
    heard.extend(listener.some(1 << 16).unwrap());
    let login = basic("source", PASSWORD);
    let target = format!("/admin/metadata?mode=updinfo&mount={RADIO}&song=H%C3%A9%20%26%20B");
    let set = ask(
        &node.address(),
        &format!("GET {target} HTTP/1.0\r\nAuthorization: {login}\r\n\r\n"),
    );
    assert_eq!(set.unwrap().head.status, 200);
    let titled = |heard: &[u8]| String::from_utf8_lossy(heard).contains("StreamTitle='Hé & B'");
    while !titled(&heard) {
        assert!(heard.len() < 1 << 20, "no title");
        heard.extend(listener.some(1 << 16).unwrap());
    }
    let (_, plain) = ask_for_stream(&format!("{}{RADIO}", node.url())).unwrap();
    assert_eq!(plain.header("icy-metaint"), None);
}

/// Starts a lone node by these settings, and waits until it tells of this trouble. Everything else works.
fn tells_trouble(settings: &str, words: &[&str]) {
    let node = Setup::named("n1").configured(settings).start();
    node.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    let look = || {
        let engine = engine_of(&node, "n1");
        let told = engine.filter(|it| !it.serving);
        let told = told.and_then(|it| it.trouble).unwrap_or_default();
        so(words.iter().all(|word| told.contains(word)), told)
    };
    eventually(PATIENCE, "the trouble is told", look);
    let refused = get(&node.address(), RADIO).unwrap().head;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(get(&node.address(), "/").unwrap().head.status, 200);
    assert_eq!(get(&node.address(), "/readyz").unwrap().head.status, 200);
    let log = node.log();
    assert!(log.lines().count() < 100, "{log}");
}

#[test]
fn what_keeps_icecast_from_serving_is_told_with_the_next_step() {
    let home = EngineHome::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = home.settings(&format!("port = {port}"));
    tells_trouble(
        &settings,
        &[
            format!("port {port} ").as_str(),
            "is taken",
            "set another port",
        ],
    );
    let settings = home.settings("program = \"/no/such/icecast\"");
    tells_trouble(&settings, &["no program /no/such/icecast", "install it"]);
    let settings = home.settings("user = \"no-such-user\"");
    tells_trouble(&settings, &["no user no-such-user", "user in [icecast]"]);
    let settings = home.settings("program = \"/bin/false\"");
    tells_trouble(&settings, &["ended with exit code 1"]);
    let settings = home.settings("program = \"/bin/cat\"");
    tells_trouble(&settings, &["ended with exit code 1", "in this node's log"]);
}

#[test]
fn nobody_is_sent_to_one_that_hangs_and_it_is_started_again() {
    let home = EngineHome::new();
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup,
        _ => setup.configured(&home.settings("")),
    });
    mesh.create_mount(RADIO, PASSWORD);
    let [witness, node] = [&mesh.nodes[0], &mesh.nodes[1]];
    let _source = KnownSource::start(witness, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    wait_serving(witness, "n2");
    let hung = home.kill(Signal::STOP);
    let shut = || {
        let opinion = witness.opinion_of("n2").unwrap();
        let engine = opinion.engine.unwrap();
        so(
            opinion.max_listeners == 0 && !engine.serving,
            format!("{engine:?}"),
        )
    };
    eventually(PATIENCE, "no room is announced", shut);
    for url in [witness.url(), node.url()] {
        let player = Player::tune_in(&format!("{url}{RADIO}"));
        player.wait_for_more(10 * FRAME_BYTES);
        assert!(player.url.starts_with(&witness.url()), "{}", player.url);
    }
    let replaced = || so(home.pid().is_some_and(|pid| pid != hung), "not yet");
    eventually(PATIENCE, "it is started again", replaced);
    wait_serving(witness, "n2");
}

/// An Icecast that the test runs, as systemd would.
struct Adopted(Child);

impl Adopted {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new("icecast2");
        command.arg("-c").arg(folder.join("icecast.xml"));
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn an_icecast_that_somebody_else_runs_is_adopted() {
    let home = EngineHome::new();
    let (port, pid_file) = (free_port(), home.0.path().join("pid"));
    let reload = format!("kill -HUP $(cat {})", pid_file.display());
    let lines =
        format!("port = {port}\nadopt = true\nreload_command = [\"sh\", \"-c\", \"{reload}\"]");
    let mut node = Setup::named("n1")
        .configured(&home.settings(&lines))
        .start();
    let written = || so(!home.config().is_empty(), "not yet");
    eventually(PATIENCE, "the configuration is written", written);
    let adopted = Adopted::start(&home.folder());
    // A signal that comes before Icecast handles it would end it.
    let listens = || TcpStream::connect(("127.0.0.1", port)).map(drop);
    eventually(PATIENCE, "Icecast listens", listens);
    fs::write(&pid_file, adopted.0.id().to_string()).unwrap();
    wait_serving(&node, "n1");
    node.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&node, RADIO, PASSWORD);
    let player = Player::tune_in(&passthrough(&node));
    player.wait_for_more(100 * FRAME_BYTES);
    signal::check(from_a_frame(&player.bytes()));
    wait_serving(&node, "n1");
    drop(source);
    // The node comes back with other passwords, of which Icecast learns by a reload.
    assert!(node.stop().success());
    node.restart();
    wait_serving(&node, "n1");
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    let player = Player::tune_in(&passthrough(&node));
    player.wait_for_more(40 * FRAME_BYTES);
}
