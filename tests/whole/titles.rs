//! Titles: set on any node, by encoders of any manners, and heard on every other.

use crate::support::http::{Connection, ask, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::signal::frame;
use crate::support::source::{KnownSource, knock};

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// Asks a node to set a title, and closes without reading the answer, as butt does.
fn tell_and_leave(address: &str, song: &str) {
    let credentials = basic("source", PASSWORD);
    let mut connection = Connection::open(address).unwrap();
    connection
        .send(format!(
            "GET /admin/metadata?mode=updinfo&mount={RADIO}&song={song} HTTP/1.0\r\n\
             Authorization: {credentials}\r\n\r\n"
        ))
        .unwrap();
}

#[test]
fn a_title_reaches_the_listeners_of_other_nodes() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let (master, others) = (mesh.master(), mesh.others());
    let (ingest, edge) = (&mesh.nodes[others[0]], &mesh.nodes[others[1]]);
    let _source = KnownSource::start(ingest, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);

    let mut player = edge.connect();
    player
        .send(format!(
            "GET /_stream/n1{RADIO} HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n"
        ))
        .unwrap();
    let head = player.head().unwrap();
    assert_eq!(head.header("icy-metaint"), Some("16000"));
    let mut heard = Vec::new();
    // All of them hold the stream: none shows a long title shortened.
    let long = "x".repeat(3_000);
    for song in ["first", "second", &long] {
        tell_and_leave(&mesh.nodes[master].address(), song);
        mesh.wait_each_sees(RADIO, "the title", |mount| mount.title == song);
        let block = format!("StreamTitle='{song}';").into_bytes();
        eventually(PATIENCE, "the title in the stream", || {
            heard.extend(player.some(4_096).unwrap());
            let is_in = heard.windows(block.len()).any(|part| part == block);
            so(is_in, format!("{} bytes without {song}", heard.len()))
        });
    }
}

#[test]
fn the_list_for_encoders_has_title_and_stream() {
    let mesh = TestMesh::start(1);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    tell_and_leave(&node.address(), "artist%20%E9t%E9");
    mesh.wait_each_sees(RADIO, "the title", |mount| mount.title == "artist été");
    let list = get(&node.address(), "/status-json.xsl").unwrap().text();
    assert!(list.contains("\"title\": \"artist été\""), "{list}");
    assert!(
        list.contains(&format!("\"listenurl\": \"{}{RADIO}\"", node.url())),
        "{list}"
    );
}

/// The title that this query sets, on a mesh of one node.
fn told(mesh: &TestMesh, query: &str) -> String {
    let credentials = basic("source", PASSWORD);
    let address = mesh.nodes[0].address();
    let mut connection = Connection::open(&address).unwrap();
    let line = format!("GET /admin/metadata?mode=updinfo&mount={RADIO}&").into_bytes();
    let rest = format!(" HTTP/1.0\r\nAuthorization: {credentials}\r\n\r\n").into_bytes();
    // Each letter of the query below U+0100 is one raw byte.
    let query: Vec<u8> = query
        .chars()
        .map(|letter| u8::try_from(letter).unwrap())
        .collect();
    connection.send([line, query, rest].concat()).unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    mesh.nodes[0].status().mounts[0].title.clone()
}

/// Encoders send the title as soon as they are accepted, and the source is on air a little later.
#[test]
fn a_title_waits_for_its_source_to_be_on_air() {
    for source_node in 0..2 {
        let mesh = TestMesh::start(2);
        mesh.create_mount(RADIO, PASSWORD);
        let _source = KnownSource::start(&mesh.nodes[source_node], RADIO, PASSWORD);
        let _not_seen_there_yet = told(&mesh, "song=at%20once");
        mesh.wait_each_sees(RADIO, "the title", |mount| mount.title == "at once");
    }
}

#[test]
fn titles_are_understood_in_every_charset() {
    let mesh = TestMesh::start(1);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let check = |query: &str, title: &str| {
        eventually(PATIENCE, query, || {
            let shown = told(&mesh, query);
            so(shown == title, format!("{shown:?} and not {title:?}"))
        });
        println!("{query}: {title}");
    };
    check("song=%CF%F0%E8%E2%E5%F2&charset=windows-1251", "Привет");
    check("charset=KOI8-R&song=%F0%D2%C9%D7%C5%D4", "Привет");
    check("charset=iso-8859-2&song=%B3%F3d%BC", "łódź");
    check("charset=Shift_JIS&song=%93%FA%96%7B", "日本");
    check("song=%93caf%E9%94", "“café”");
    check("song=%C5%82%C3%B3d%C5%BA", "łódź");
    check("song=A%0d%0aB", "A B");
    check("song=A%0dB%0aC%09D%00E", "A B C D E");
    check("song=<b>\"|^{x}`\\#1", "<b>\"|^{x}`\\#1");
    check("song=caf\u{e9}", "café");
    check("song=\u{cf}\u{f0}\u{e8}&charset=cp1251", "При");
    check("song=A%E2%80%AEB%E2%81%A6C%E2%80%A8D", "ABC D");
    check("song=unknown&charset=klingon", "unknown");
    assert!(node.log().contains("charset=\"klingon\""), "{}", node.log());

    let bad = node.command("mount", &["set", RADIO, "charset=klingon"]);
    assert!(!bad.status.success(), "{bad:?}");
    let set = |charset: &str| node.api("PATCH", &format!("/api/v1/mounts{RADIO}"), charset);
    let refused = set(r#"{"charset":"klingon"}"#).unwrap();
    assert_eq!(refused.head.status, 400, "{refused:?}");
    let taken = set(r#"{"charset":"cp1251"}"#).unwrap();
    assert!(
        taken.text().contains("\"charset\": \"windows-1251\""),
        "{taken:?}"
    );
    check("song=%CF%F0%E8%E2%E5%F2", "Привет");
    check("song=\u{cf}\u{f0}\u{e8}", "При");
    check("song=%C5%82%C3%B3d%C5%BA", "łódź");
}

#[test]
fn a_title_may_come_before_the_first_audio() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[1];
    let (mut source, head) = knock(&node.address(), RADIO, PASSWORD).unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    // Such an encoder sends nothing before the title is answered.
    let credentials = basic("source", PASSWORD);
    let request = format!(
        "GET /admin/metadata?mode=updinfo&mount={RADIO}&song=early HTTP/1.0\r\n\
         Authorization: {credentials}\r\n\r\n"
    );
    let answer = ask(&node.address(), &request).unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    for number in 0..100 {
        source.send(frame(number)).unwrap();
    }
    mesh.wait_each_sees(RADIO, "the title", |mount| mount.title == "early");
}
