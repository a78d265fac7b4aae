//! Sources that speak Shoutcast: on the port of all others, and on one of their own.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::http::{Connection, get};
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::signal::{self, FRAME_BYTES, frame};
use crate::support::source::{KnownSource, knock, sample};
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
const ACCEPTED: &[u8] = b"OK2\r\nicy-caps:11\r\n\r\n";
const REFUSED: &[u8] = b"invalid password\r\n";
const HEADERS: &str = "icy-name:Known\r\nicy-genre:Test\r\nicy-url:http://known.example/\r\n\
                       icy-pub:0\r\nicy-br:128\r\ncontent-type:audio/mpeg\r\n\r\n";

/// A node with a port for Shoutcast too, and a mount for those that name none.
fn taking(setup: Setup) -> Setup {
    setup.with(&["--shoutcast-listen", "0", "--shoutcast-mount", RADIO])
}

/// The address of a node's port for Shoutcast.
fn second_port(node: &TestNode) -> String {
    let log = node.log();
    let line = log
        .lines()
        .find(|line| line.contains("Shoutcast sources are taken here too"));
    let address = line.and_then(|line| line.split_once("address=")).unwrap().1;
    let end = |letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ':';
    address.split(end).next().unwrap().to_owned()
}

fn hear(connection: &mut Connection, bytes: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    while heard.len() < bytes {
        let more = connection.some(bytes - heard.len()).unwrap();
        assert!(!more.is_empty(), "closed after {heard:?}");
        heard.extend(more);
    }
    heard
}

/// All that comes until the node closes, which must be no reset.
fn hear_end(connection: &mut Connection) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        match connection.some(4_096).unwrap() {
            more if more.is_empty() => return heard,
            more => heard.extend(more),
        }
    }
}

/// The answer on a connection on which this is said, until the node closes it.
fn answer(address: &str, said: impl AsRef<[u8]>) -> String {
    let mut connection = Connection::open(address).unwrap();
    connection.send(said).unwrap();
    String::from_utf8_lossy(&hear_end(&mut connection)).into_owned()
}

/// A connection on which the password was accepted and the headers were sent.
fn welcome(address: &str, password: &str) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    connection.send(format!("{password}\r\n")).unwrap();
    assert_eq!(hear(&mut connection, ACCEPTED.len()), ACCEPTED);
    connection.send(HEADERS).unwrap();
    connection
}

fn wait_free(mesh: &TestMesh) {
    mesh.wait_each_sees(RADIO, "no source", |mount| mount.source.is_none());
}

#[test]
fn a_shoutcast_source_is_heard_on_every_node() {
    let mesh = TestMesh::start_with(3, |_, setup| taking(setup));
    mesh.create_mount(RADIO, PASSWORD);
    let second = &mesh.nodes[1];
    for address in [second.address(), second_port(second)] {
        let source = KnownSource::behind(welcome(&address, PASSWORD));
        mesh.wait_on_air(RADIO);
        for node in &mesh.nodes {
            let url = format!("{}/_stream/{}{RADIO}", node.url(), node.name());
            let player = Player::tune_in(&url);
            player.wait_for(20 * FRAME_BYTES);
            signal::check(&player.bytes());
            let (_, head) = ask_for_stream(&url).unwrap();
            for (name, value) in [
                ("icy-name", "Known"),
                ("icy-genre", "Test"),
                ("icy-url", "http://known.example/"),
                ("icy-br", "128"),
                ("icy-pub", "0"),
                ("content-type", "audio/mpeg"),
            ] {
                assert_eq!(head.header(name), Some(value), "{head:?}");
            }
        }
        assert!(!source.is_closed());
        drop(source);
        wait_free(&mesh);
    }
}

#[test]
fn a_shoutcast_source_may_say_everything_in_one_packet() {
    let mesh = TestMesh::start_with(2, |_, setup| taking(setup));
    mesh.create_mount(RADIO, PASSWORD);
    let audio: Vec<u8> = (0..40).flat_map(frame).collect();
    for (address, line_end) in [
        (mesh.nodes[0].address(), "\r\n"),
        (second_port(&mesh.nodes[0]), "\n"),
        (mesh.nodes[1].address(), "\r\r\n"),
    ] {
        let head = format!("{PASSWORD}\r\n{HEADERS}").replace("\r\n", line_end);
        let mut connection = Connection::open(&address).unwrap();
        connection.send([head.as_bytes(), &audio].concat()).unwrap();
        assert_eq!(hear(&mut connection, ACCEPTED.len()), ACCEPTED);
        mesh.wait_on_air(RADIO);
        let player = Player::tune_in(&format!("{}/_stream/n2{RADIO}", mesh.nodes[1].url()));
        let look = || so(player.bytes() == audio, format!("{} bytes", player.len()));
        eventually(PATIENCE, "all of its audio, from the first byte", look);
        drop(connection);
        let look = || so(player.is_closed(), "still open");
        eventually(PATIENCE, "the stream ends behind its source", look);
        wait_free(&mesh);
    }
}

#[test]
fn a_login_names_its_mount_in_every_known_way() {
    let node = taking(Setup::named("n1")).start();
    node.create_mount(RADIO, PASSWORD);
    node.create_mount("/jazz", "p:w");
    node.create_mount_with("/news/en", "own", r#""user": "desk""#);
    for (line, mount) in [
        (PASSWORD.to_owned(), RADIO),
        (format!("{PASSWORD}:#1"), RADIO),
        (format!("source:{PASSWORD}"), RADIO),
        (format!("source:{PASSWORD}:#2"), RADIO),
        (format!("{RADIO}:{PASSWORD}"), RADIO),
        (format!("source:{RADIO}:{PASSWORD}"), RADIO),
        ("/jazz:p:w".to_owned(), "/jazz"),
        ("jazz:p:w".to_owned(), "/jazz"),
        ("news/en:own".to_owned(), "/news/en"),
        ("desk:own:#1".to_owned(), "/news/en"),
    ] {
        for address in [node.address(), second_port(&node)] {
            let source = KnownSource::behind(welcome(&address, &line));
            let look = || {
                let status = node.status();
                let mut mounts = status.mounts.into_iter();
                let on_air = mounts.find(|it| it.source.is_some());
                let path = on_air.map(|it| it.path.to_string());
                so(
                    path.as_deref() == Some(mount),
                    format!("{path:?} is on air"),
                )
            };
            eventually(PATIENCE, &format!("{line} is for {mount}"), look);
            drop(source);
            let look = || {
                let status = node.status();
                let busy = status.mounts.iter().any(|it| it.source.is_some());
                so(!busy, "it is on air")
            };
            eventually(PATIENCE, "it leaves", look);
        }
    }
}

#[test]
fn a_wrong_password_is_told_and_never_written_down() {
    let node = taking(Setup::named("n1")).start();
    node.create_mount(RADIO, PASSWORD);
    let before = node.log().lines().count();
    let second = second_port(&node);
    let guesses = [
        "treasure",
        "treasure:#1",
        "source:treasure",
        "treasure:source",
        "/radio.mp3:treasure",
        "/treasure:pw",
        "treasure/treasure",
        "",
    ];
    for address in [&node.address(), &second] {
        for guess in guesses.iter().filter(|guess| !guess.is_empty()) {
            let told = answer(address, format!("{guess}\r\n{HEADERS}"));
            assert_eq!(told.as_bytes(), REFUSED, "{guess}");
        }
        assert_eq!(
            answer(address, "!POKE\nicy-name:libshout server poke request\n\n"),
            ""
        );
    }
    // On its own port a password may hold spaces; on the other one it is an invalid request.
    assert_eq!(answer(&second, "my treasure is\r\n").as_bytes(), REFUSED);
    let told = answer(&node.address(), "treasure is mine\r\n\r\n");
    assert!(told.starts_with("HTTP/1.0 400 "), "{told}");
    let log = node.log();
    assert!(!log.contains("treasure"), "{log}");
    let refused = log.lines().skip(before);
    let refused = refused
        .filter(|line| line.contains("login refused"))
        .count();
    assert_eq!(refused, 15, "one line for each: {log}");
    assert!(
        log.contains("mount=\"/radio.mp3\" why=\"wrong password\""),
        "{log}"
    );
    drop(KnownSource::behind(welcome(&second, PASSWORD)));
}

#[test]
fn a_password_alone_is_for_the_mount_that_is_set() {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    let told = answer(&node.address(), format!("{PASSWORD}\r\n"));
    assert_eq!(told.as_bytes(), REFUSED);
    let log = node.log();
    assert!(log.contains("set shoutcast_mount"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    let told = answer(&node.address(), format!("/radoi.mp3:{PASSWORD}\r\n"));
    assert_eq!(told.as_bytes(), REFUSED);
    let log = node.log();
    assert!(log.contains("it names no mount that exists"), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains("radoi"), "{log}");
    let named = format!("{RADIO}:{PASSWORD}");
    drop(KnownSource::behind(welcome(&node.address(), &named)));
}

#[test]
fn a_second_source_is_told_that_the_mount_is_in_use() {
    let mesh = TestMesh::start_with(2, |_, setup| taking(setup));
    mesh.create_mount(RADIO, PASSWORD);
    let source = KnownSource::behind(welcome(&mesh.nodes[0].address(), PASSWORD));
    mesh.wait_on_air(RADIO);
    for address in [mesh.nodes[0].address(), second_port(&mesh.nodes[1])] {
        let mut second = welcome(&address, PASSWORD);
        let told = String::from_utf8_lossy(&hear_end(&mut second)).into_owned();
        assert!(
            told.starts_with("HTTP/1.0 403 Mountpoint in use\r\n"),
            "{told}"
        );
        let (_, head) = knock(&address, RADIO, PASSWORD).unwrap();
        assert_eq!(head.status, 403, "HTTP on either port: {head:?}");
    }
    assert!(!source.is_closed());
}

#[test]
fn the_second_port_speaks_http_too() {
    let node = taking(Setup::named("n1")).start();
    node.create_mount(RADIO, PASSWORD);
    let second = second_port(&node);
    assert_eq!(get(&second, "/status.json").unwrap().head.status, 200);
    let _source = KnownSource::start_at(&second, RADIO, PASSWORD).unwrap();
    let look = || match ask_for_stream(&format!("http://{second}{RADIO}?redirect=no")) {
        Ok((_, head)) => so(head.status == 200, format!("{head:?}")),
        Err(error) => Err(error.to_string()),
    };
    eventually(PATIENCE, "it serves listeners", look);
}

#[test]
fn a_shoutcast_source_with_bad_lines_is_cut_with_a_reason() {
    let node = taking(Setup::named("n1")).start();
    node.create_mount(RADIO, PASSWORD);
    let second = second_port(&node);
    let long = "x".repeat(100_000);
    for (said, told, why) in [
        (long.clone(), "", "neither HTTP nor the login"),
        (
            "pass\0word\r\n".to_owned(),
            "",
            "neither HTTP nor the login",
        ),
        (
            format!("{PASSWORD}\r\nicy-name:{long}\r\n\r\n"),
            "HTTP/1.0 431 ",
            "the request head is too long",
        ),
        (
            format!("{PASSWORD}\r\n{}\r\n", "icy-x:y\r\n".repeat(200)),
            "HTTP/1.0 431 ",
            "too many headers",
        ),
        (
            format!("{PASSWORD}\r\nicy\0name:a\r\n\r\n"),
            "HTTP/1.0 400 ",
            "NUL",
        ),
    ] {
        let mut connection = Connection::open(&second).unwrap();
        let _cut_already = connection.send(&said);
        let mut heard = Vec::new();
        loop {
            match connection.some(4_096) {
                Ok(more) if more.is_empty() => break,
                Ok(more) => heard.extend(more),
                // What it still sends after two seconds is not read.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
        let heard = heard.strip_prefix(ACCEPTED).unwrap_or(&heard);
        let heard = String::from_utf8_lossy(heard);
        let good = heard.is_empty() == told.is_empty() && heard.starts_with(told);
        assert!(good, "{why}: {heard}");
        let look = || so(node.log().contains(why), node.log());
        eventually(PATIENCE, why, look);
    }
    assert!(node.status().mounts.iter().all(|it| it.source.is_none()));
}

/// One byte each second is no login, and are no headers.
#[test]
fn a_slow_shoutcast_source_is_cut_after_ten_seconds() {
    let node = taking(Setup::named("n1")).start();
    node.create_mount(RADIO, PASSWORD);
    let trickle = |begin: String| {
        let mut connection = Connection::open(&second_port(&node)).unwrap();
        connection.send(begin).unwrap();
        std::thread::spawn(move || {
            let begun = Instant::now();
            let socket = connection.socket();
            socket
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            loop {
                match connection.some(4_096) {
                    Ok(more) if more.is_empty() => return begun.elapsed(),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let _cut = connection.send("x");
                    }
                    Err(_) => return begun.elapsed(),
                }
                assert!(begun.elapsed() < PATIENCE, "it is still connected");
            }
        })
    };
    let slow = [
        trickle("pass".to_owned()),
        trickle(format!("{PASSWORD}\r\nicy-na")),
    ];
    for thread in slow {
        let kept_s = thread.join().unwrap().as_secs_f64();
        assert!((9.0..14.0).contains(&kept_s), "{kept_s} s");
    }
    let log = node.log();
    assert!(
        log.contains("closed: the request, or the login, took too long"),
        "{log}"
    );
    assert!(
        log.contains("closed: the headers of the Shoutcast source took too long"),
        "{log}"
    );
}

/// A program that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _end = self.0.wait();
    }
}

/// libshout asks `!POKE` first, and connects to the port behind the one that it is told.
#[test]
fn libshout_in_its_shoutcast_manner_is_heard() {
    if !have("gst-launch-1.0") {
        return;
    }
    let mesh = TestMesh::start_with(2, |_, setup| taking(setup));
    mesh.create_mount(RADIO, PASSWORD);
    let second = second_port(&mesh.nodes[1]);
    let port: u16 = second.rsplit(':').next().unwrap().parse().unwrap();
    let file: &Path = &sample();
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "multifilesrc", "loop=true"]);
    command.arg(format!("location={}", file.display()));
    command.args(["!", "mpegaudioparse", "!", "shout2send", "protocol=icy"]);
    command.args(["ip=127.0.0.1", &format!("port={}", port - 1)]);
    command.args([&format!("password={PASSWORD}"), "streamname=Poked"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null());
    let _running = Running(child.spawn().unwrap());
    mesh.wait_on_air(RADIO);
    let url = format!("{}/_stream/n1{RADIO}", mesh.nodes[0].url());
    let player = Player::tune_in(&url);
    player.wait_for(32_000);
    assert_eq!(player.bytes()[0], 0xFF, "the beginning of a frame");
    let (_, head) = ask_for_stream(&url).unwrap();
    assert_eq!(head.header("icy-name"), Some("Poked"), "{head:?}");
}
