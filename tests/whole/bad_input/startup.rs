//! Settings, secrets, ports and directories with which a node does not begin.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::node;
use crate::support::executable::copy_executable;
use crate::support::http;
use crate::support::node::Setup;
use crate::support::patience::{PATIENCE, eventually};

/// The user `nobody` of every Linux, which owns nothing. Root may read and write whatever the permissions say.
const NOBODY: u32 = 65_534;
/// Somewhere to listen where it does not matter, because the node ends before.
const ANY_PORT: &str = "127.0.0.1:0";

/// A node that did not begin.
#[derive(Debug)]
struct Refused {
    code: Option<i32>,
    said: String,
    printed: String,
}

/// A place in which a node may try to start: a folder, and a program that a user without rights can run.
struct Place {
    folder: TempDir,
    program: PathBuf,
    user: Option<u32>,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            program: env!("CARGO_BIN_EXE_antiphon").into(),
            user: None,
        }
    }

    /// For a node that runs without the rights of root, whoever runs the test.
    fn without_rights() -> Self {
        let mut place = Self::new();
        if rustix::process::geteuid().is_root() {
            let program = place.path("antiphon");
            copy_executable(&place.program, &program);
            let open = Permissions::from_mode(0o755);
            fs::set_permissions(place.folder.path(), open).expect("our own folder");
            place.program = program;
            place.user = Some(NOBODY);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file with these permissions, owned by the user that the node runs as.
    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a new file");
        self.give(&path, mode);
        path
    }

    fn give(&self, path: &Path, mode: u32) {
        chown(path, self.user, self.user).expect("our own file");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own file");
    }

    /// Runs a node that must end by itself; gives what it said.
    fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Refused {
        let log = |name: &str| File::create(self.path(name)).expect("a new file");
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.path("home"));
        command
            .arg("run")
            .args(arguments)
            .current_dir(self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(log("printed"))
            .stderr(log("said"));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().expect("the program can be run");
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        let id = child.id();
        let (status, _) = eventually(PATIENCE, &format!("the node {id} gives up"), || {
            child
                .try_wait()
                .expect("a child can be asked")
                .ok_or_else(|| read("said"))
        });
        Refused {
            code: status.code(),
            said: read("said"),
            printed: read("printed"),
        }
    }
}

impl Refused {
    /// Checks that it failed, and said all of this.
    fn expect(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        for word in words {
            assert!(self.said.contains(word), "no {word:?} in {self:?}");
        }
        assert_eq!(self.printed, "", "it was never ready");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our paths are UTF-8")
}

#[test]
fn an_unknown_setting_is_named_with_place_and_neighbour() {
    let place = Place::new();
    let data = place.path("data");
    let settings = format!(
        "# mine\nname = 'n1'\n  max_listners = 5\ndata_dir = '{}'\n",
        data.display()
    );
    let file = place.file("antiphon.toml", &settings, 0o600);
    let refused = place.run(&["--config", text(&file)]);
    let at = format!("{}:3:3: ", file.display());
    refused.expect(&[&at, "\"max_listners\"", "did you mean \"max_listeners\"?"]);
    assert!(!data.exists(), "nothing was begun");
}

#[test]
fn an_unreadable_secret_is_named_with_the_reason() {
    let place = Place::without_rights();
    let key = "5".repeat(64);
    let missing = place.path("missing");
    let closed = place.file("closed", &key, 0o000);
    let folder = place.path("folder");
    fs::create_dir(&folder).expect("a new folder");
    place.give(&folder, 0o700);
    let noise = place.file("noise", "hunter2\n", 0o600);
    let empty = place.file("empty", "# nothing\n", 0o600);
    let data = place.path("data");
    fs::create_dir(&data).expect("a new folder");
    place.give(&data, 0o700);
    for (path, word) in [
        (&missing, "`antiphon secret generate --out"),
        (&closed, "Permission denied"),
        (&folder, "is a folder"),
        (&noise, "line 1 is not a key"),
        (&empty, "there is no key in it"),
    ] {
        let refused = place.run(&[
            "--secret-file",
            text(path),
            "--data-dir",
            text(&data),
            "--listen",
            ANY_PORT,
        ]);
        refused.expect(&[text(path), word]);
        assert!(
            !refused.said.contains("hunter2"),
            "it is never repeated: {refused:?}"
        );
    }
}

#[test]
fn a_secret_readable_by_all_is_refused() {
    let place = Place::new();
    let secret = place.file("secret", &"5".repeat(64), 0o644);
    let data = place.path("data");
    let (path, data) = (text(&secret), text(&data));
    let arguments = [
        "--secret-file",
        path,
        "--data-dir",
        data,
        "--listen",
        ANY_PORT,
    ];
    let typed = format!("chmod 600 '{path}'");
    place
        .run(&arguments)
        .expect(&["everybody on this machine", "0644", &typed]);
}

#[test]
fn a_port_in_use_is_named_with_its_protocol() {
    let place = Place::new();
    let data = place.path("data");
    let begin = |port: u16| {
        let listen = format!("127.0.0.1:{port}");
        place.run(&["--listen", &listen, "--data-dir", text(&data)])
    };
    let door = TcpListener::bind(ANY_PORT).expect("a free port");
    let port = door.local_addr().expect("it is bound").port();
    begin(port).expect(&[&format!("cannot listen on TCP 127.0.0.1:{port}"), "in use"]);
    // The same number must be free for TCP, or the node would not come to the mesh's port.
    let (mesh, port) = loop {
        let mesh = UdpSocket::bind(ANY_PORT).expect("a free port");
        let port = mesh.local_addr().expect("it is bound").port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            break (mesh, port);
        }
    };
    begin(port).expect(&[&format!("cannot listen on UDP 127.0.0.1:{port}"), "in use"]);
    drop((door, mesh));
}

#[test]
fn an_unwritable_data_directory_is_named_with_a_remedy() {
    let place = Place::without_rights();
    let file = place.file("file", "", 0o600);
    let closed = place.path("closed");
    fs::create_dir(&closed).expect("a new folder");
    place.give(&closed, 0o500);
    let inside = closed.join("data");
    for (path, words) in [
        (
            &file,
            ["cannot make the data directory", "choose another one"],
        ),
        (&closed, ["cannot write to the data directory", "chown"]),
        (
            &inside,
            ["cannot make the data directory", "choose another one"],
        ),
    ] {
        let refused = place.run(&["--data-dir", text(path), "--listen", ANY_PORT]);
        refused.expect(&[text(path)]);
        refused.expect(&words);
    }
}

#[test]
fn a_data_directory_belongs_to_one_node() {
    let node = node();
    let place = Place::new();
    let data = node.data_dir();
    let refused = place.run(&["--data-dir", text(&data), "--listen", ANY_PORT]);
    refused.expect(&["another antiphon runs on the data directory", text(&data)]);
    assert_eq!(node.alive(), ["n1"], "the first one is not disturbed");
}

#[test]
fn a_joining_node_is_told_where_its_secret_goes() {
    let place = Place::new();
    let data = place.path("data");
    let refused = place.run(&[
        "--join",
        "127.0.0.1:9",
        "--data-dir",
        text(&data),
        "--listen",
        ANY_PORT,
    ]);
    refused.expect(&["--secret-file", text(&data.join("secret"))]);
    assert!(
        !data.join("secret").exists(),
        "it does not make one of its own"
    );
}

#[test]
fn a_damaged_token_is_replaced_with_a_warning() {
    let mut node = node();
    let file = node.data_dir().join("token");
    let first = node.token();
    for damaged in [&b"a"[..], b"\xff\xfe token", b""] {
        node.kill9();
        fs::write(&file, damaged).expect("our own file");
        node.restart();
        let log = node.log_of_this_life();
        assert!(log.contains("the token was damaged"), "{log}");
        let token = node.token();
        assert!(token.len() == 64 && token != first, "{token}");
        let answer = node.api("GET", "/api/v1/mounts", "").expect("an answer");
        assert_eq!(answer.head.status, 200);
        let wrong = "GET /api/v1/mounts HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer a\r\n\r\n";
        let answer = http::ask(&node.address(), wrong).expect("an answer");
        assert_eq!(answer.head.status, 401);
    }
}

#[test]
fn a_data_directory_open_to_all_is_closed() {
    let mut node = node();
    node.kill9();
    let data = node.data_dir();
    fs::set_permissions(&data, Permissions::from_mode(0o777)).expect("our own folder");
    node.restart();
    let mode = fs::metadata(&data)
        .expect("our own folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(node.log_of_this_life().contains("its mode is 0700 now"));
}

#[test]
fn a_secret_with_a_byte_order_mark_is_read() {
    let secret = format!("\u{feff}{}", "5".repeat(64));
    let node = Setup::named("n1").secret(&secret).start();
    assert_eq!(node.alive(), ["n1"]);
}

#[test]
fn no_message_stands_twice_in_one_line() {
    let place = Place::new();
    let noise = place.file("noise", "hunter2\n", 0o600);
    let file = place.file("file", "", 0o600);
    let data = place.path("data");
    for (arguments, message) in [
        (
            ["--secret-file", text(&noise), "--data-dir", text(&data)],
            "line 1 is not a key",
        ),
        (["--data-dir", text(&file), "--rank", "1"], "it is a file"),
        (["--config", "/no/such/file", "--rank", "1"], "No such file"),
    ] {
        let refused = place.run(&arguments);
        assert_eq!(refused.said.matches(message).count(), 1, "{refused:?}");
    }
}
