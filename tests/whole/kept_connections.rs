//! Connections that carry several requests: pages and API, then perhaps a stream or a source.

use std::net::Shutdown;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::http::{Answer, Connection, basic};
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::source::KnownSource;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// How many requests a connection carries at most.
const MAX_REQUESTS: usize = 1_000;
/// How long a node waits for the next head, in seconds, and by how much a busy machine may miss it.
const IDLE_S: std::ops::RangeInclusive<f64> = 9.0..=12.0;

fn node() -> TestNode {
    let node = Setup::named("n1").start();
    node.create_mount(RADIO, PASSWORD);
    node
}

/// Sends one request of HTTP/1.1 on a connection; `more` is headers, a blank line and a body.
fn say(connection: &mut Connection, line: &str, more: &str) {
    let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{more}");
    connection.send(request).unwrap();
}

fn answer(connection: &mut Connection) -> Answer {
    let head = connection.head().unwrap();
    let body = connection.body(&head).unwrap();
    Answer { head, body }
}

fn ask(connection: &mut Connection, line: &str) -> Answer {
    say(connection, line, "\r\n");
    answer(connection)
}

fn is_kept(answer: &Answer) -> bool {
    answer.head.header("connection") != Some("close")
}

fn wait_on_air(node: &TestNode, path: &str) {
    eventually(PATIENCE, &format!("{path} is on air"), || {
        let mut mounts = node.status().mounts.into_iter();
        let mount = mounts.find(|mount| mount.path.as_str() == path);
        so(mount.is_some_and(|mount| mount.source.is_some()), "not yet")
    });
}

/// Waits until a node closes a connection, and says after how many seconds it did. A reset is a close too.
fn closed_after(connection: &mut Connection) -> f64 {
    let limit = connection.socket().set_read_timeout(Some(PATIENCE));
    limit.unwrap();
    let begun = Instant::now();
    let rest = connection.some(1).unwrap_or_default();
    assert_eq!(rest, b"", "nothing more is said");
    begun.elapsed().as_secs_f64()
}

/// How many connections curl opens for each of these targets, in one command.
fn curl_connects(node: &TestNode, arguments: &[&str], targets: &[&str]) -> Vec<String> {
    let mut command = Command::new("curl");
    command.args(["-sS", "-w", "%{num_connects} %{http_code}\n"]);
    command.args(arguments);
    let login = format!("Authorization: Bearer {}", node.token());
    command.args(["-H", &login]);
    for target in targets {
        let url = format!("{}{target}", node.url());
        command.args(["-o", "/dev/null", &url]);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    told.lines().map(str::to_owned).collect()
}

#[test]
fn curl_asks_several_pages_on_one_connection() {
    if !have("curl") {
        return;
    }
    let node = node();
    let targets = [
        "/",
        "/status.json",
        "/radio.mp3.m3u",
        "/api/v1/mounts",
        "/nothing.json",
        "/livez",
    ];
    let kept = ["1 200", "0 200", "0 200", "0 200", "0 404", "0 200"];
    assert_eq!(curl_connects(&node, &[], &targets), kept);
    assert_eq!(
        curl_connects(&node, &["--head"], &targets),
        ["1 200", "0 200", "0 200", "0 200", "0 404", "0 200"]
    );
    let old = ["--http1.0"];
    assert_eq!(
        curl_connects(&node, &old, &targets[..3]),
        ["1 200", "1 200", "1 200"]
    );
    let old_and_keeping = ["--http1.0", "-H", "Connection: keep-alive"];
    assert_eq!(
        curl_connects(&node, &old_and_keeping, &targets[..3]),
        ["1 200", "0 200", "0 200"]
    );
}

#[test]
fn a_stream_or_a_source_may_follow_a_page() {
    let node = node();
    let source = KnownSource::start(&node, RADIO, PASSWORD);
    wait_on_air(&node, RADIO);
    let mut listener = node.connect();
    assert!(is_kept(&ask(&mut listener, "GET /status.json")));
    say(&mut listener, &format!("GET {RADIO}"), "\r\n");
    assert_eq!(listener.head().unwrap().status, 200);
    assert!(!listener.some(1_000).unwrap().is_empty());
    drop(source);
    drop(listener);
    node.create_mount("/other.mp3", PASSWORD);
    let mut encoder = node.connect();
    assert!(is_kept(&ask(&mut encoder, "GET /livez")));
    let login = basic("source", PASSWORD);
    // Its first bytes come in one piece with the page's question.
    say(
        &mut encoder,
        "GET /livez HTTP/1.1\r\n\r\nPUT /other.mp3",
        &format!("Authorization: {login}\r\nContent-Type: audio/mpeg\r\n\r\n"),
    );
    assert_eq!(answer(&mut encoder).head.status, 200);
    assert_eq!(encoder.head().unwrap().status, 200);
    for number in 0..20 {
        encoder.send(crate::support::signal::frame(number)).unwrap();
    }
    wait_on_air(&node, "/other.mp3");
}

#[test]
fn bodies_and_questions_in_one_piece_are_told_apart() {
    let node = node();
    let token = node.token();
    let edit = |genre: &str| {
        let body = format!("{{\"genre\":\"{genre}\"}}");
        format!(
            "PATCH /api/v1/mounts{RADIO} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut connection = node.connect();
    let pieces = [
        edit("one"),
        edit("two"),
        "GET /status.json HTTP/1.1\r\n\r\n".to_owned(),
    ];
    connection.send(pieces.concat()).unwrap();
    assert!(answer(&mut connection).text().contains("\"one\""));
    assert!(answer(&mut connection).text().contains("\"two\""));
    assert!(answer(&mut connection).text().contains("\"two\""));
    // The same with each byte on its own.
    for byte in pieces.concat().bytes() {
        connection.send([byte]).unwrap();
    }
    for genre in ["\"one\"", "\"two\"", "\"two\""] {
        let told = answer(&mut connection).text();
        assert!(told.contains(genre), "{told}");
    }
}

#[test]
fn a_body_that_no_handler_reads_is_no_request() {
    let node = node();
    let mut connection = node.connect();
    let smuggled = "DELETE /api/v1/mounts/radio.mp3 HTTP/1.1\r\n\r\n";
    let length = format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    for (line, status) in [
        ("POST /api/v1/mounts", 401),
        ("POST /api/v1/nothing", 404),
        ("POST /status.json", 405),
        ("GET /status.json", 200),
        ("OPTIONS /api/v1/mounts", 204),
    ] {
        say(&mut connection, line, &length);
        let answer = answer(&mut connection);
        assert_eq!(answer.head.status, status, "{line}: {answer:?}");
        assert!(is_kept(&answer), "{line}: {answer:?}");
    }
    assert_eq!(ask(&mut connection, "GET /livez").head.status, 200);
    // One that is still to come: the answer arrives, and says that nothing else will be answered.
    say(
        &mut connection,
        "POST /api/v1/mounts",
        "Content-Length: 10000000\r\n\r\n{",
    );
    let refused = answer(&mut connection);
    assert_eq!(refused.head.status, 401);
    assert!(!is_kept(&refused), "{refused:?}");
    assert_eq!(node.mounts(), [RADIO]);
}

#[test]
fn chunks_are_read_and_end_the_connection() {
    let node = node();
    let mut connection = node.connect();
    let more = format!(
        "Authorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{{\"genre\":\"rock\"}}\r\n0\r\n\r\n\
         GET /status.json HTTP/1.1\r\n\r\n",
        node.token()
    );
    say(
        &mut connection,
        &format!("PATCH /api/v1/mounts{RADIO}"),
        &more,
    );
    let edited = answer(&mut connection);
    assert_eq!(edited.head.status, 200, "{edited:?}");
    assert!(!is_kept(&edited), "{edited:?}");
    closed_after(&mut connection);
}

#[test]
fn a_connection_carries_no_more_than_a_thousand_requests() {
    let node = node();
    let mut connection = node.connect();
    let mut answered = 0;
    for _ in 0..10_000 {
        let said = connection.send("HEAD /livez HTTP/1.1\r\nHost: h\r\n\r\n");
        let Some(head) = said.and_then(|()| connection.head()).ok() else {
            break;
        };
        answered += 1;
        let is_last = head.header("connection") == Some("close");
        assert_eq!(is_last, answered == MAX_REQUESTS, "request {answered}");
    }
    assert_eq!(answered, MAX_REQUESTS);
    // All at once, as an impatient client sends them.
    let mut pipeline = node.connect();
    let requests = "OPTIONS /livez HTTP/1.1\r\nHost: h\r\n\r\n".repeat(10_000);
    let mut writer = pipeline.socket().try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        use std::io::Write as _;
        drop(writer.write_all(requests.as_bytes()));
    });
    let mut answered = 0;
    while pipeline.head().is_ok() {
        answered += 1;
    }
    writing.join().unwrap();
    assert_eq!(answered, MAX_REQUESTS);
}

#[test]
fn the_request_limit_holds_for_mounts_too() {
    let node = node();
    for (line, status) in [
        (format!("HEAD {RADIO}"), 404),
        (format!("SOURCE {RADIO}"), 401),
    ] {
        let mut connection = node.connect();
        for _ in 1..MAX_REQUESTS {
            say(&mut connection, "HEAD /livez", "\r\n");
            assert_eq!(connection.head().unwrap().status, 200);
        }
        say(&mut connection, &line, "Content-Length: 0\r\n\r\n");
        let last = connection.head().unwrap();
        assert_eq!(last.status, status, "{line}: {last:?}");
        assert_eq!(last.header("connection"), Some("close"), "{line}: {last:?}");
    }
}

#[test]
fn the_wait_for_the_next_request_is_bounded() {
    let node = node();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut silent = node.connect();
            assert!(is_kept(&ask(&mut silent, "GET /status.json")));
            let idle_s = closed_after(&mut silent);
            assert!(IDLE_S.contains(&idle_s), "no second request: {idle_s} s");
        });
        scope.spawn(|| {
            let mut slow = node.connect();
            assert!(is_kept(&ask(&mut slow, "GET /status.json")));
            let begun = Instant::now();
            for byte in b"GET /status.json HTTP/1.1\r\n" {
                if slow.send([*byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(500));
            }
            let late = slow.head().unwrap();
            let after_s = begun.elapsed().as_secs_f64();
            assert_eq!(late.status, 408, "{late:?}");
            println!("a slow second head: 408 read after {after_s:.1} s");
        });
    });
}

#[test]
fn a_missing_body_is_not_awaited_for_ever() {
    let node = node();
    let mut connection = node.connect();
    let more = format!(
        "Authorization: Bearer {}\r\nContent-Length: 20\r\n\r\n{{",
        node.token()
    );
    let limit = Duration::from_secs(90);
    connection.socket().set_read_timeout(Some(limit)).unwrap();
    say(&mut connection, "PATCH /api/v1/policy", &more);
    let begun = Instant::now();
    let refused = answer(&mut connection);
    println!("given up after {:?}", begun.elapsed());
    assert_eq!(refused.head.status, 408, "{refused:?}");
    assert!(!is_kept(&refused));
}

#[test]
fn a_title_is_set_after_its_client_left() {
    let node = node();
    let _source = KnownSource::start(&node, RADIO, PASSWORD);
    wait_on_air(&node, RADIO);
    let login = basic("source", PASSWORD);
    for (title, closes_whole) in [("first", true), ("second", false)] {
        let mut butt = node.connect();
        assert!(is_kept(&ask(&mut butt, "GET /livez")));
        say(
            &mut butt,
            &format!("GET /admin/metadata?mode=updinfo&mount={RADIO}&song={title}"),
            &format!("Authorization: {login}\r\n\r\n"),
        );
        let kept = match closes_whole {
            true => None,
            false => {
                butt.socket().shutdown(Shutdown::Write).unwrap();
                Some(butt)
            }
        };
        eventually(PATIENCE, title, || {
            let shown = node.status().mounts[0].title.clone();
            so(shown == title, shown)
        });
        if let Some(mut butt) = kept {
            assert_eq!(answer(&mut butt).head.status, 200);
            assert_eq!(closed_after(&mut butt).round(), 0.0);
        }
    }
}

#[test]
fn a_node_that_drains_or_stops_keeps_no_connection() {
    let mut node = node();
    let mut idle = node.connect();
    assert!(is_kept(&ask(&mut idle, "GET /status.json")));
    let drained = node.api("POST", "/api/v1/node/drain", "").unwrap();
    assert_eq!(drained.head.status, 202);
    let last = ask(&mut idle, "GET /status.json");
    assert_eq!(last.head.status, 200);
    assert!(!is_kept(&last), "{:?}", last.head);
    let mut late = node.connect();
    say(&mut late, &format!("HEAD {RADIO}"), "\r\n");
    let none = late.head().unwrap();
    assert_eq!(none.header("connection"), Some("close"), "{none:?}");
    let undrained = node.api("POST", "/api/v1/node/undrain", "").unwrap();
    assert_eq!(undrained.head.status, 204);
    let mut idle = node.connect();
    assert!(is_kept(&ask(&mut idle, "GET /status.json")));
    let asked = Instant::now();
    assert!(node.stop().success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    closed_after(&mut idle);
}
