//! Audio that is not what it should be: it is heard as far as it can be, and other mounts notice nothing.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{MOUNT, PASSWORD, wait_log, wait_status};
use crate::support::http::{Connection, basic, get};
use crate::support::junk::adts_frame;
use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::signal::{self, FRAME_BYTES, FRAME_US, frame};
use crate::support::source::{KnownSource, knock};

/// The mount that nothing happens to.
const OTHER: &str = "/other.mp3";
/// The longest silence that listeners of the other mount may hear.
const GAP: Duration = Duration::from_secs(2);

/// A node with two mounts. One of them has a source and a listener, to which nothing must happen.
pub(super) struct Stage {
    pub(super) node: TestNode,
    _other: KnownSource,
    listener: Player,
}

impl Stage {
    pub(super) fn start() -> Self {
        let node = Setup::named("n1").start();
        for path in [MOUNT, OTHER] {
            node.create_mount(path, PASSWORD);
        }
        let other = KnownSource::start(&node, OTHER, PASSWORD);
        wait_status(&node, "the other source is on air", |status| {
            status.mounts.iter().any(|mount| mount.source.is_some())
        });
        let listener = Player::tune_in(&format!("{}{OTHER}", node.url()));
        listener.wait_for(FRAME_BYTES);
        Self {
            node,
            _other: other,
            listener,
        }
    }

    /// Logs in at the first mount.
    fn source(&self) -> Connection {
        let (connection, head) = knock(&self.node.address(), MOUNT, PASSWORD).unwrap();
        assert_eq!(head.status, 200, "{head:?}");
        connection
    }

    /// A listener of the first mount, once its source is on air.
    fn listener(&self) -> Player {
        wait_status(&self.node, "both sources are on air", |status| {
            status.mounts.iter().all(|mount| mount.source.is_some())
        });
        Player::tune_in(&format!("{}{MOUNT}", self.node.url()))
    }

    /// The listener of the other mount has heard every byte.
    pub(super) fn check_other(&self) {
        self.listener.wait_for_more(FRAME_BYTES);
        signal::check(&self.listener.bytes());
        let gap = self.listener.longest_gap();
        assert!(gap < GAP, "{gap:?}");
    }
}

/// So many frames.
pub(super) fn some_frames(from: u64, count: u64) -> Vec<u8> {
    (from..from + count).flat_map(frame).collect()
}

/// An ID3v2 tag with a picture of so many bytes, in which frames seem to begin.
fn cover(bytes: usize) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (bytes >> shift) as u8 & 0x7F);
    let picture = [&frame(9)[..40], &[7; 500]].concat();
    let picture = picture.into_iter().cycle().take(bytes);
    [&b"ID3\x04\0\0"[..], &size]
        .concat()
        .into_iter()
        .chain(picture)
        .collect()
}

#[test]
fn a_cover_of_10_mb_is_taken_out() {
    let stage = Stage::start();
    let mut source = stage.source();
    let begun = Instant::now();
    source.send(cover(10 << 20)).unwrap();
    source.send(some_frames(0, 40)).unwrap();
    let listener = stage.listener();
    listener.wait_for(40 * FRAME_BYTES);
    println!("on air behind a cover after {:?}", begun.elapsed());
    source.send(cover(10 << 20)).unwrap();
    source.send(some_frames(40, 40)).unwrap();
    listener.wait_for(80 * FRAME_BYTES);
    assert_eq!(signal::check(&listener.bytes()).next, 80);
    stage.check_other();
}

#[test]
fn one_byte_at_a_time_is_audio() {
    const FRAMES: u64 = 60;
    let stage = Stage::start();
    let mut source = stage.source();
    for byte in some_frames(0, 3) {
        source.send([byte]).unwrap();
    }
    let listener = stage.listener();
    for number in 3..FRAMES {
        for byte in frame(number) {
            source.send([byte]).unwrap();
        }
        sleep(Duration::from_micros(FRAME_US / 2));
    }
    listener.wait_for(FRAMES as usize * FRAME_BYTES);
    let heard = signal::check(&listener.bytes());
    assert_eq!((heard.first, heard.next), (0, FRAMES));
    stage.check_other();
}

#[test]
fn frames_behind_junk_are_heard() {
    let stage = Stage::start();
    let mut source = stage.source();
    source.send(some_frames(0, 40)).unwrap();
    let listener = stage.listener();
    let junk: Vec<u8> = (0..5_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435) >> 9) as u8)
        .collect();
    let mut sent = 40 * FRAME_BYTES;
    for part in [&junk[..], b"TAG and ID3 and APETAGEX", &frame(3)[..100]] {
        source.send(part).unwrap();
        source.send(some_frames(40, 10)).unwrap();
        sent += part.len() + 10 * FRAME_BYTES;
    }
    listener.wait_for(sent);
    let last_frames = &listener.bytes()[sent - 2 * FRAME_BYTES..];
    assert_eq!(signal::numbers(last_frames), [48, 49]);
    let late = Player::tune_in(&format!("{}{MOUNT}", stage.node.url()));
    late.wait_for(FRAME_BYTES);
    assert!(
        signal::number(&late.bytes()).is_some(),
        "begins with a frame"
    );
    stage.check_other();
}

/// A page of Ogg without a time.
fn page(serial: u32, flags: u8, sequence: u32, body: &[u8]) -> Vec<u8> {
    page_at(0, serial, flags, sequence, body)
}

/// A page of Ogg whose stream's clock is so far at its end.
pub(super) fn page_at(
    position: u64,
    serial: u32,
    flags: u8,
    sequence: u32,
    body: &[u8],
) -> Vec<u8> {
    let mut page = [
        b"OggS\0",
        &[flags][..],
        &position.to_le_bytes(),
        &serial.to_le_bytes(),
        &sequence.to_le_bytes(),
    ]
    .concat();
    page.extend([0; 4]);
    let table: Vec<u8> = match body.len() % 255 {
        rest if flags & 4 == 0 && rest == 0 => vec![255; body.len() / 255],
        rest => [vec![255; body.len() / 255], vec![rest as u8]].concat(),
    };
    page.push(table.len() as u8);
    page.extend(table);
    page.extend(body);
    let checksum = page.iter().fold(0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            if sum >> 31 == 1 {
                sum << 1 ^ 0x04C1_1DB7
            } else {
                sum << 1
            }
        })
    });
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
    page
}

/// The first page of a stream of Vorbis.
fn vorbis_first(serial: u32) -> Vec<u8> {
    let packet = [
        &b"\x01vorbis\0\0\0\0\x02"[..],
        &44_100_u32.to_le_bytes(),
        &[0; 12],
        &[0xB8, 1],
    ]
    .concat();
    page(serial, 2, 0, &packet)
}

/// Waits until the node has closed the connection of a source, and says nothing more to it.
pub(super) fn wait_closed(source: &mut Connection) {
    let is_over = |read: io::Result<Vec<u8>>| match read {
        Ok(bytes) => bytes.is_empty(),
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    };
    let closed = || so(is_over(source.some(100)), "it is open");
    eventually(PATIENCE, "the source is closed", closed);
}

#[test]
fn a_false_type_is_found_out_on_all_nodes() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(MOUNT, PASSWORD);
    let (mut source, head) = knock(&mesh.nodes[0].address(), MOUNT, PASSWORD).unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    source.send(adts_frame().repeat(200)).unwrap();
    mesh.wait_each_sees(MOUNT, "AAC that is called MP3", |mount| {
        mount.content_type == "audio/aac" && mount.stated_type.as_deref() == Some("audio/mpeg")
    });
    for node in &mesh.nodes {
        let (_stream, head) = ask_for_stream(&format!("{}/_stream/n1{MOUNT}", node.url())).unwrap();
        assert_eq!(head.header("content-type"), Some("audio/aac"), "{head:?}");
        let page = get(&node.address(), "/?part=mesh").unwrap().text();
        assert!(page.contains("its encoder says audio/mpeg"), "{page}");
    }
    wait_log(&mesh.nodes[0], "the log says it", |log| {
        log.contains(r#"stated="audio/mpeg" found="audio/aac""#)
    });
}

#[test]
fn a_source_that_changes_its_format_has_to_connect_again() {
    let stage = Stage::start();
    let mut source = stage.source();
    source.send(some_frames(0, 40)).unwrap();
    let listener = stage.listener();
    listener.wait_for(40 * FRAME_BYTES);
    source
        .send([vorbis_first(7), page(7, 0, 1, &[7; 300])].concat())
        .unwrap();
    wait_closed(&mut source);
    wait_log(&stage.node, "the log says why", |log| {
        log.contains("changed from MP3 to Ogg within one connection")
    });
    // It has come as what it was at first: whoever listened goes on.
    let mut again = stage.source();
    again.send(some_frames(0, 40)).unwrap();
    listener.wait_for(80 * FRAME_BYTES);
    assert_eq!(signal::check_spliced(&listener.bytes()), [40, 40]);
    stage.check_other();
}

/// Logs in at a mount with these headers.
pub(super) fn log_in(node: &TestNode, mount: &str, headers: &str) -> Connection {
    let mut source = node.connect();
    let authorization = basic("source", PASSWORD);
    let login = format!(
        "PUT {mount} HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\n{headers}\r\n"
    );
    source.send(login).unwrap();
    assert_eq!(source.head().unwrap().status, 200);
    source
}

/// Sends header pages of Ogg until the node closes the connection.
fn send_endless_headers(mut source: Connection) {
    source.send(vorbis_first(7)).unwrap();
    let body = [7; 255 * 250];
    // The node may close it before all is sent.
    let _all = (1..100).try_for_each(|sequence| source.send(page(7, 0, sequence, &body)));
    wait_closed(&mut source);
}

#[test]
fn headers_that_do_not_end_are_refused() {
    let stage = Stage::start();
    let source = log_in(&stage.node, MOUNT, "Content-Type: audio/ogg\r\n");
    send_endless_headers(source);
    wait_log(&stage.node, "the log says why", |log| {
        log.contains("the source is closed; send shorter comments, or a smaller picture")
    });
    stage.check_other();
}

#[test]
fn why_a_source_was_closed_is_seen_on_all_nodes() {
    let mesh = TestMesh::start(2);
    mesh.nodes[0].create_mount_with(MOUNT, PASSWORD, r#""linger_s": 0"#);
    mesh.wait_for_mount(MOUNT);
    let is_told = |why: &str| {
        mesh.wait_each_sees(MOUNT, why, |mount| {
            let closed = mount.closed.as_ref();
            let is_told = closed.is_some_and(|it| it.node.as_str() == "n1" && it.why.contains(why));
            is_told && mount.holders.is_empty() // The stream itself is forgotten by then.
        });
        for node in &mesh.nodes {
            let page = get(&node.address(), "/?part=mesh").unwrap().text();
            assert!(page.contains(why), "{page}");
        }
    };
    let chunked = "Content-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n";
    let mut source = log_in(&mesh.nodes[0], MOUNT, chunked);
    let frames = some_frames(0, 40);
    let size = format!("{:x}\r\n", frames.len());
    source
        .send([size.as_bytes(), &frames, b"\r\n"].concat())
        .unwrap();
    mesh.wait_on_air(MOUNT);
    source.send("no size\r\n").unwrap();
    wait_closed(&mut source);
    is_told("a chunk has no size");
    wait_log(&mesh.nodes[0], "the log says it", |log| {
        log.contains("malformed body: the source is closed")
    });
    send_endless_headers(log_in(&mesh.nodes[0], MOUNT, "Content-Type: audio/ogg\r\n"));
    is_told("the headers of the stream are longer than 4096 KiB");
}
