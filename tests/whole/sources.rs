//! A source may come to any node, in any of the ways of its kind; but only one per mount, wherever it is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::http::{Connection, basic};
use crate::support::mesh::TestMesh;
use crate::support::node::Setup;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, curl};
use crate::support::signal::{self, FRAME_BYTES, frame};
use crate::support::source::{Ffmpeg, Greeting, KnownSource, knock};
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// A mount waits ten seconds for its source to come back; less the time until that is first looked at.
const LINGER_AT_LEAST: Duration = Duration::from_secs(8);

#[test]
fn ffmpeg_is_heard_whichever_way_it_says_hello() {
    if !have("ffmpeg") || !have("curl") {
        return;
    }
    let mesh = TestMesh::start(2);
    for (greeting, way) in [(Greeting::Put, "put"), (Greeting::Legacy, "source")] {
        for node in &mesh.nodes {
            // Each has a mount of its own: one that lingers would give the end of the last source's stream first.
            let mount = format!("/{way}-{}.mp3", node.name());
            mesh.create_mount(&mount, PASSWORD);
            let mut source = Ffmpeg::greeting(greeting, node, &mount, PASSWORD);
            mesh.wait_on_air(&mount);
            let received = curl(&format!("{}{mount}", mesh.nodes[0].url()), 2);
            source.check(&received);
            assert_eq!(source.ended(), None);
        }
    }
}

#[test]
fn a_chunked_upload_arrives_without_framing() {
    if !have("curl") {
        return;
    }
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let mut command = Command::new("curl");
    command.args(["-sS", "-T", "-", "-H", "Content-Type: audio/mpeg", "-u"]);
    command.arg(format!("source:{PASSWORD}"));
    command.arg(format!("{}{RADIO}", mesh.nodes[1].url()));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&(0..20).flat_map(frame).collect::<Vec<u8>>())
        .unwrap();
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n2{RADIO}", mesh.nodes[0].url()));
    pipe.write_all(&(20..200).flat_map(frame).collect::<Vec<u8>>())
        .unwrap();
    let look = || {
        let got = player.bytes();
        let reaches_the_end = got.len() > FRAME_BYTES && signal::check(&got).next >= 199;
        so(reaches_the_end, format!("{} bytes", got.len()))
    };
    eventually(PATIENCE, "all that curl was given has arrived", look);
    drop(pipe);
    let look = || so(player.is_closed(), "it is open");
    eventually(PATIENCE, "the stream ends with its source", look);
    assert!(child.wait().is_ok());
}

#[test]
fn a_mount_has_one_source_per_mesh() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    for (index, first) in mesh.nodes.iter().enumerate() {
        let source = KnownSource::start(first, RADIO, PASSWORD);
        for second in &mesh.nodes {
            let (_, head) = knock(&second.address(), RADIO, PASSWORD).unwrap();
            assert_eq!(head.status, 403, "{index}: {head:?}");
            assert!(head.lines[0].ends_with("Mountpoint in use"), "{head:?}");
            let (_, wrong) = knock(&second.address(), RADIO, "wrong").unwrap();
            assert_eq!(wrong.status, 401, "{wrong:?}");
        }
        mesh.wait_on_air(RADIO);
        assert!(!source.is_closed());
        drop(source);
        // An encoder that starts again must not find its own former life in the way.
        let next = &mesh.nodes[(index + 1) % 3];
        let look = || {
            let (_, head) = knock(&next.address(), RADIO, PASSWORD).unwrap();
            so(head.status == 200, format!("{head:?}"))
        };
        let (_, free) = eventually(PATIENCE, "the mount is free again", look);
        println!("free for {} again after {free:?}", next.name());
        let look = || {
            let (_, head) = knock(&mesh.nodes[(index + 2) % 3].address(), RADIO, PASSWORD).unwrap();
            so(head.status == 200, format!("{head:?}"))
        };
        eventually(PATIENCE, "and again", look);
        mesh.wait_each_sees(RADIO, "no source", |mount| mount.source.is_none());
    }
}

#[test]
fn one_of_three_simultaneous_sources_is_taken() {
    let mesh = TestMesh::start(3);
    for round in 0..5 {
        let mount = format!("/round-{round}.mp3");
        mesh.create_mount(&mount, PASSWORD);
        let addresses: Vec<String> = mesh.nodes.iter().map(|node| node.address()).collect();
        let knocks = addresses.into_iter().map(|address| {
            let mount = mount.clone();
            thread::spawn(move || knock(&address, &mount, PASSWORD).unwrap())
        });
        let knocks: Vec<_> = knocks.collect();
        let answers: Vec<_> = knocks.into_iter().map(|it| it.join().unwrap()).collect();
        let mut statuses: Vec<u16> = answers.iter().map(|(_, head)| head.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403, 403], "round {round}");
    }
}

#[test]
fn icecasts_older_hellos_are_understood_on_every_node() {
    let mesh = TestMesh::start(2);
    let authorization = basic("source", PASSWORD);
    let hellos = [
        (
            format!("SOURCE {{mount}} HTTP/1.0\r\nAuthorization: {authorization}\r\n\r\n"),
            "HTTP/1.0 200 OK",
        ),
        (
            format!("SOURCE {{mount}} ICE/1.0\nAuthorization: {authorization}\n\n"),
            "HTTP/1.0 200 OK",
        ),
        (
            format!(
                "PUT {{mount}} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nExpect: 100-continue\r\n\r\n"
            ),
            "HTTP/1.1 100 Continue",
        ),
    ];
    for (index, (hello, wanted)) in hellos.into_iter().enumerate() {
        for node in &mesh.nodes {
            // A mount of its own: one that lingers would go over to the next source's stream.
            let mount = format!("/hello-{index}-{}.mp3", node.name());
            mesh.create_mount(&mount, PASSWORD);
            let request = hello.replace("{mount}", &mount);
            let look = || {
                let mut connection = node.connect();
                // The first frames come in one packet with the head, and none of them is lost.
                let mut bytes = request.clone().into_bytes();
                bytes.extend((0..60).flat_map(frame));
                connection.send(&bytes).unwrap();
                let head = connection.head().unwrap();
                so(head.lines[0] == wanted, format!("{head:?}"))?;
                Ok::<_, String>(connection)
            };
            let (_connection, _) = eventually(PATIENCE, &request, look);
            let player = Player::tune_in(&format!("{}/_stream/n1{mount}", node.url()));
            player.wait_for(50 * FRAME_BYTES);
            assert_eq!(signal::check(&player.bytes()).first, 0);
        }
    }
}

#[test]
fn listeners_end_when_the_mount_has_lingered() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&mesh.nodes[1], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n2{RADIO}", mesh.nodes[0].url()));
    player.wait_for_more(20 * FRAME_BYTES);
    drop(source);
    let look = || so(player.is_closed(), "it is open");
    let (_, ended) = eventually(PATIENCE, "the stream ends with its source", look);
    println!("the stream ended after {ended:?}");
    assert!(ended >= LINGER_AT_LEAST, "{ended:?}");
    signal::check(&player.bytes());
}

#[test]
fn an_ended_stream_is_never_resumed() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    // Sources come and go faster than gossip tells of them, on one node and the other. Each sends higher numbers.
    let begin = |round: u64| {
        let node = &mesh.nodes[(round % 2) as usize];
        let frames = 1_000 * round..1_000 * round + 60;
        let taken = || {
            let (mut source, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
            so(head.status == 200, format!("{head:?}"))?;
            source
                .send(frames.clone().flat_map(frame).collect::<Vec<u8>>())
                .unwrap();
            Ok::<_, String>(source)
        };
        eventually(PATIENCE, "the source is taken", taken).0
    };
    let mut source = begin(1);
    mesh.wait_on_air(RADIO);
    let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[0].url()));
    for round in 2..8 {
        // Counted in numbers: all bytes of a source may have come before anybody waits for more.
        let before = 1_000 * (round - 1);
        let heard = || {
            let numbers = signal::numbers(&player.bytes());
            so(numbers.last() >= Some(&before), format!("{numbers:?}"))
        };
        eventually(PATIENCE, "the source is heard", heard);
        drop(source);
        source = begin(round);
    }
    let last = || {
        let numbers = signal::numbers(&player.bytes());
        so(numbers.last() == Some(&7_059), format!("{numbers:?}"))
    };
    eventually(PATIENCE, "the last stream is heard to its end", last);
    let numbers = signal::numbers(&player.bytes());
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    drop(source);
}

#[test]
fn a_node_takes_so_many_sources_and_no_more() {
    let node = Setup::named("n1").with(&["--max-sources", "1"]).start();
    for mount in [RADIO, "/second.mp3"] {
        node.create_mount(mount, PASSWORD);
    }
    let first = KnownSource::start(&node, RADIO, PASSWORD);
    let second = || knock(&node.address(), "/second.mp3", PASSWORD).unwrap().1;
    let head = second();
    assert_eq!(
        head.lines[0], "HTTP/1.1 403 too many sources connected",
        "{head:?}"
    );
    let (_, stranger) = knock(&node.address(), "/second.mp3", "wrong").unwrap();
    assert_eq!(stranger.status, 401, "{stranger:?}");
    let mut connection = Connection::open(&node.address()).unwrap();
    connection
        .send(format!("second.mp3:{PASSWORD}\r\n"))
        .unwrap();
    let head = connection.head().unwrap();
    assert_eq!(
        head.lines[0], "HTTP/1.0 403 too many sources connected",
        "{head:?}"
    );
    assert!(!first.is_closed());
    drop(first);
    let look = || {
        let head = second();
        so(head.status == 200, format!("{head:?}"))
    };
    eventually(PATIENCE, "there is a place again", look);
}
