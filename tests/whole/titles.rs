//! Titles: set on any node, by encoders of any manners, and heard on every other.

use crate::support::http::{Connection, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::KnownSource;

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
fn a_title_set_on_one_node_is_in_the_stream_of_another_ones_listener() {
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
    for song in ["first", "second"] {
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
fn the_list_for_encoders_has_the_title_and_the_stream() {
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
