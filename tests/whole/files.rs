//! Files of an operator's own: parts, questions whether they have changed, and what is never sent.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::http::{Answer, Connection, get};
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::signal::FRAME_BYTES;
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
const DIGITS: &str = "0123456789abcdefg";
/// More than the kernel holds of a download that nobody reads.
const LONG_BYTES: u64 = 20 << 20;
/// The most files that are sent at the same time.
const MAX_DOWNLOADS: usize = 64;
/// How soon a node ends although somebody downloads.
const END_LIMIT: Duration = Duration::from_secs(8);

/// A site, and a node that shows it.
fn site() -> (TempDir, TestNode) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    for inner in ["player", "admin", "api"] {
        fs::create_dir_all(root.join(inner)).unwrap();
    }
    write(&root, "digits.txt", DIGITS);
    write(&root, "radio.mp3", "a file, and no stream");
    write(&root, "list.m3u", "http://elsewhere/");
    write(&root, "data.json", "{}");
    write(&root, "player/index.html", "<h1>Play</h1>");
    write(&root, "admin/x.txt", "never");
    write(&root, ".secret", "never");
    write(folder.path(), "outside.txt", "never");
    symlink("../outside.txt", root.join("link.txt")).unwrap();
    let long = fs::File::create(root.join("long.bin")).unwrap();
    long.set_len(LONG_BYTES).unwrap();
    let node = Setup::named("n1").with(&["--web-root", root.to_str().unwrap()]);
    (folder, node.start())
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

fn ask(connection: &mut Connection, line: &str, more: &str) -> Answer {
    let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{more}\r\n");
    connection.send(request).unwrap();
    let head = connection.head().unwrap();
    let body = match line.starts_with("HEAD") || head.status == 304 {
        true => Vec::new(),
        false => connection.body(&head).unwrap(),
    };
    Answer { head, body }
}

#[test]
fn a_file_is_sent_whole_in_part_or_not_again() {
    let (_folder, node) = site();
    // All on one connection.
    let mut connection = node.connect();
    let whole = ask(&mut connection, "GET /digits.txt", "");
    assert_eq!((whole.head.status, whole.text().as_str()), (200, DIGITS));
    let told = |name: &str| whole.head.header(name).unwrap().to_owned();
    assert_eq!(told("content-type"), "text/plain; charset=utf-8");
    assert_eq!(told("access-control-allow-origin"), "*");
    for (range, status, body, place) in [
        ("6-8", 206, "678", "bytes 6-8/17"),
        ("-4", 206, "defg", "bytes 13-16/17"),
        ("4000-", 416, "", "bytes */17"),
    ] {
        let part = ask(
            &mut connection,
            "GET /digits.txt",
            &format!("Range: bytes={range}\r\n"),
        );
        assert_eq!((part.head.status, part.text().as_str()), (status, body));
        assert_eq!(part.head.header("content-range"), Some(place));
    }
    let tag = format!("If-None-Match: {}\r\n", told("etag"));
    let since = format!("If-Modified-Since: {}\r\n", told("last-modified"));
    for more in [&tag, &since] {
        assert_eq!(
            ask(&mut connection, "GET /digits.txt", more).head.status,
            304
        );
    }
    let looked_at = ask(&mut connection, "HEAD /digits.txt", "");
    assert_eq!(looked_at.head.header("content-length"), Some("17"));
    // Pages, files and errors, all asked at once.
    let lines = [
        "/digits.txt",
        "/livez",
        "/none.txt",
        "/player/",
        "/nothing.json",
        "/player",
    ];
    let requests = lines.map(|path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    connection.send(requests.concat()).unwrap();
    let statuses = lines.map(|path| {
        let head = connection.head().unwrap();
        connection.body(&head).unwrap();
        assert_ne!(head.header("connection"), Some("close"), "{path}: {head:?}");
        head.status
    });
    assert_eq!(statuses, [200, 200, 404, 200, 404, 302]);
    let folder = get(&node.address(), "/player").unwrap();
    assert_eq!(folder.head.location(), "/player/");
    let page = get(&node.address(), "/player/").unwrap();
    assert_eq!(page.text(), "<h1>Play</h1>");
    assert_eq!(
        page.head.header("content-type"),
        Some("text/html; charset=utf-8")
    );
}

#[test]
fn nothing_of_ours_is_hidden_by_a_file() {
    let (folder, node) = site();
    let status = |path: &str| get(&node.address(), path).unwrap().head.status;
    for path in ["/link.txt", "/.secret", "/outside.txt", "/none"] {
        assert_eq!(status(path), 404, "{path}");
    }
    assert_eq!(status("/%2e%2e/outside.txt"), 400);
    assert_eq!(
        status("/admin/x.txt"),
        401,
        "a command, for all that is said"
    );
    write(
        &folder.path().join("site"),
        "index.html",
        "not the page of the node",
    );
    let page = get(&node.address(), "/").unwrap();
    assert!(page.text().contains("antiphon"), "{}", page.text());
    for path in ["/data.json", "/list.m3u", RADIO] {
        assert_eq!(status(path), 200, "{path}");
    }
    // The mount goes before the file, also while nothing is on air.
    node.create_mount(RADIO, PASSWORD);
    assert_eq!(status(RADIO), 404);
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    let look = || {
        let mut listener = node.connect();
        let line = format!("GET {RADIO} HTTP/1.0\r\n\r\n");
        listener.send(line).unwrap();
        let head = listener.head().unwrap();
        so(head.status == 200, format!("{head:?}")).map(|()| (listener, head))
    };
    let ((mut listener, head), _) = eventually(PATIENCE, "the mount is on air", look);
    assert_eq!(head.header("content-type"), Some("audio/mpeg"));
    assert!(
        listener
            .some(FRAME_BYTES)
            .unwrap()
            .starts_with(&[0xFF, 0xFB])
    );
}

#[test]
fn long_files_are_sent_a_piece_at_a_time() {
    let (_folder, mut node) = site();
    let begin = || {
        let mut connection = node.connect();
        let asked = "GET /long.bin HTTP/1.1\r\nHost: h\r\n\r\n";
        connection.send(asked).unwrap();
        (connection.head().unwrap().status, connection)
    };
    // As many as may be, of which nobody reads.
    let unread: Vec<Connection> = (0..MAX_DOWNLOADS)
        .map(|_| {
            let (status, connection) = begin();
            assert_eq!(status, 200);
            connection
        })
        .collect();
    assert_eq!(begin().0, 503, "no more at the same time");
    let memory = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let resident = memory.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.unwrap().trim().trim_end_matches(" kB");
    println!("{resident} kB for {MAX_DOWNLOADS} downloads");
    assert!(resident.parse::<u64>().unwrap() < 200 << 10);
    drop(unread);
    let look = || so(begin().0 == 200, "still busy");
    eventually(PATIENCE, "others may download again", look);
    let (_, reader) = begin();
    let mut bytes = 0;
    let mut piece = vec![0; 1 << 20];
    while bytes < LONG_BYTES {
        let read = std::io::Read::read(&mut reader.socket(), &mut piece).unwrap();
        assert_ne!(read, 0, "{bytes} bytes");
        bytes += read as u64;
        if bytes > LONG_BYTES - (1 << 20) {
            break; // some were read with the head
        }
    }
    let _open = begin();
    node.signal(Signal::TERM);
    let begun = Instant::now();
    node.wait_end(PATIENCE);
    assert!(begun.elapsed() < END_LIMIT, "{:?}", begun.elapsed());
}
