//! The heads that real clients send, and what we answer them.
//!
//! The rows, `K1` and so on, are those of the checklist for compatibility
//! with Icecast; what needs a socket or a running mount is tested where those are.

#![allow(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test ends here"
)]

use antiphon::wire::http::body::BodyDecoder;
use antiphon::wire::http::credentials::basic;
use antiphon::wire::http::error::HeadError;
use antiphon::wire::http::head::{AfterHead, BodyKind, Head, HttpVersion, Method};
use antiphon::wire::http::reader::{Parsed, parse};
use antiphon::wire::http::reply::{
    MOUNT_METHODS, Persistence, READ_METHODS, Reply, head_refused, source_accepted,
};
use antiphon::wire::icecast::source_head::stream_head;

/// 20 November 2026, 08:14:35.
const NOW_UNIX_S: u64 = 1_795_162_475;

/// `source:hackme`.
const AUTHORIZATION: &str = "Authorization: Basic c291cmNlOmhhY2ttZQ==";

fn read(request: &str) -> (Head, String) {
    match parse(request.as_bytes()) {
        Ok(Parsed::Complete { head, len }) => (head, request[len..].to_owned()),
        other => panic!("{other:?} for {request:?}"),
    }
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8(bytes.as_ref().to_vec()).unwrap()
}

fn reply(request: &str) -> Reply {
    Reply::to(&read(request).0, NOW_UNIX_S)
}

/// Every encoder whose first request carries its password, as lines.
const SOURCES: [(&str, &str, Method, HttpVersion); 9] = [
    (
        "ffmpeg",
        "PUT /ff.mp3 HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\n\
         Expect: 100-continue\r\nConnection: close\r\nHost: h:8000\r\nContent-Type: audio/mpeg\r\n\
         Icy-MetaData: 1\r\nIce-Name: N\r\nIce-Public: 0\r\nAUTH\r\n\r\n",
        Method::Put,
        HttpVersion::Http11,
    ),
    (
        "ffmpeg -legacy_icecast 1",
        "SOURCE /ff.mp3 HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\n\
         Connection: close\r\nHost: h:8000\r\nContent-Type: audio/mpeg\r\nIcy-MetaData: 1\r\n\
         Ice-Name: N\r\nAUTH\r\n\r\n",
        Method::Source,
        HttpVersion::Http11,
    ),
    (
        "butt",
        "PUT /b HTTP/1.1\r\nAUTH\r\nUser-Agent: butt 0.1.37\r\nContent-Type: audio/mpeg\r\n\
         ice-name: N\r\nice-public: 0\r\n\
         ice-audio-info: ice-bitrate=128;ice-channels=2;ice-samplerate=44100\r\n\
         Expect: 100-continue\r\n\r\n",
        Method::Put,
        HttpVersion::Http11,
    ),
    (
        "butt of 2017",
        "PUT /b HTTP/1.1\r\nAUTH\r\nUser-Agent: butt 0.1.16\r\nContent-Type: audio/mpeg\r\n\
         ice-name: N\r\n\r\n",
        Method::Put,
        HttpVersion::Http11,
    ),
    (
        "libshout, second request",
        "PUT /m HTTP/1.1\r\nHost: h:8000\r\nAUTH\r\nUser-Agent: libshout/2.4.6\r\n\
         Content-Type: audio/mpeg\r\nExpect: 100-continue\r\nConnection: Keep-Alive\r\n\
         ice-public: 0\r\nice-name: N\r\nice-audio-info: bitrate=128\r\n\r\n",
        Method::Put,
        HttpVersion::Http11,
    ),
    (
        "liquidsoap",
        "SOURCE /l HTTP/1.0\r\nice-name: N\r\nContent-Type: audio/mpeg\r\nAUTH\r\n\
         User-Agent: liquidsoap\r\nHost: h:8000\r\n\
         ice-audio-info: channels=2;samplerate=44100;bitrate=128\r\n\r\n",
        Method::Source,
        HttpVersion::Http10,
    ),
    (
        "darkice",
        "SOURCE /d HTTP/1.0\nAUTH\nUser-Agent: DarkIce/1.3\nContent-Type: audio/mpeg\n\
         ice-bitrate: 128\nice-name: N\nice-public: 0\r\n\r\n",
        Method::Source,
        HttpVersion::Http10,
    ),
    (
        "edcast",
        "SOURCE /e ICE/1.0\ncontent-type: audio/mpeg\nAUTH\nice-name: N\nice-url: http://u\n\
         ice-genre: G\nice-bitrate: 128\nice-private: 0\nice-public: 1\nice-description: D\n\
         ice-audio-info: ice-samplerate=44100;ice-bitrate=128;ice-channels=2\n\n",
        Method::Source,
        HttpVersion::Ice10,
    ),
    (
        "one that doubles the carriage return",
        "SOURCE /n HTTP/1.0\r\r\nAUTH\r\r\nContent-Type: audio/mpeg\r\r\nice-name: N\r\r\n\r\r\n",
        Method::Source,
        HttpVersion::Http10,
    ),
];

/// Rows K1 to K4.
#[test]
fn every_encoder_is_understood_and_its_audio_kept() {
    for (client, lines, method, version) in SOURCES {
        let request = lines.replace("AUTH", AUTHORIZATION) + "\u{1}audio";
        let (head, rest) = read(&request);
        assert_eq!(
            (head.method(), head.version()),
            (&method, version),
            "{client}"
        );
        assert_eq!(rest, "\u{1}audio", "{client}");
        assert_eq!(head.body_kind(), BodyKind::UntilClose, "{client}");
        assert_eq!(head.after(), AfterHead::Body, "{client}");
        let credentials = basic(head.header("authorization").unwrap()).unwrap();
        assert_eq!(credentials.user, "source", "{client}");
        assert_eq!(credentials.password, "hackme", "{client}");
        let stream = stream_head(
            &head,
            Default::default(),
            0,
            antiphon::model::seat::Epoch(0),
        );
        assert_eq!(stream.content_type, "audio/mpeg", "{client}");
        assert_eq!(stream.icy("name"), Some("N"), "{client}");
        assert_eq!(stream.icy("metadata"), None, "{client}");
        let answer = text(source_accepted(&head));
        let accepted = "HTTP/1.0 200 OK\r\n\r\n";
        match lines.contains("Expect") {
            true => assert_eq!(answer, format!("HTTP/1.1 100 Continue\r\n\r\n{accepted}")),
            false => assert_eq!(answer, accepted, "{client}"),
        }
    }
}

/// Rows K5 and K6.
#[test]
fn a_refused_client_is_asked_for_a_password() {
    let answer = text(reply("SOURCE /a HTTP/1.0\r\n\r\n").unauthorized());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 401 Authentication Required\r\nServer: antiphon/"));
    assert!(head.contains("\r\nWWW-Authenticate: Basic realm=\"antiphon\"\r\n"));
    assert!(head.contains("\r\nDate: Fri, 20 Nov 2026 08:14:35 GMT\r\n"));
    assert!(head.contains("\r\nConnection: close\r\n"));
    assert_eq!(body, "You need to authenticate\r\n");
}

/// Row K7.
#[test]
fn libshout_learns_the_methods_over_one_connection() {
    let challenge = "SOURCE /m HTTP/1.0\r\nHost: h:8000\r\nUser-Agent: libshout/2.4.6\r\n\
                     Content-Type: audio/mpeg\r\nContent-Length: 0\r\n\
                     Connection: Keep-Alive\r\nice-public: 0\r\n\r\n";
    let challenged = reply(challenge);
    assert_eq!(challenged.persistence(), Persistence::KeepAlive);
    let answer = text(challenged.unauthorized());
    assert!(answer.contains("\r\nConnection: keep-alive\r\n"));
    assert!(answer.contains(&format!("\r\nAllow: {MOUNT_METHODS}\r\n")));
    assert!(answer.contains("\r\nContent-Length: 26\r\n"));
    let probe = "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n";
    let probed = reply(probe);
    assert_eq!(probed.persistence(), Persistence::KeepAlive);
    let answer = text(probed.capabilities());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.contains("\r\nAllow: GET, HEAD, PUT, SOURCE, OPTIONS\r\n"));
    assert!(answer.ends_with("\r\nContent-Length: 0\r\n\r\n"));
    let poke = read("GET /admin/!POKE HTTP/1.1\r\n\r\n").0;
    assert_eq!(poke.path(), "/admin/!POKE");
}

/// Rows K8, K9 and K11.
#[test]
fn a_continue_comes_only_with_the_acceptance() {
    let put = "PUT /a HTTP/1.1\r\nExpect: 100-Continue\r\n\r\n";
    let answer = text(source_accepted(&read(put).0));
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
    assert!(answer.ends_with("HTTP/1.0 200 OK\r\n\r\n"));
    let refused = text(reply(put).unauthorized());
    assert!(refused.starts_with("HTTP/1.1 401 ") && !refused.contains("100 Continue"));
    let plain = text(source_accepted(&read("PUT /a HTTP/1.1\r\n\r\n").0));
    assert_eq!(plain, "HTTP/1.0 200 OK\r\n\r\n");
    let old = read("PUT /a HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").0;
    assert!(old.expects_continue());
}

/// Rows K10 and K12.
#[test]
fn a_busy_mount_is_named_in_reason_and_body() {
    let busy = reply("SOURCE /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert_eq!(busy.persistence(), Persistence::Close, "audio may follow");
    let answer = text(busy.mount_in_use());
    assert!(answer.starts_with("HTTP/1.0 403 Mountpoint in use\r\n"));
    assert!(answer.ends_with("\r\n\r\nMountpoint in use"));
    assert!(answer.contains("\r\nContent-Length: 17\r\n"));
}

/// Rows K14 to K16.
#[test]
fn a_body_is_read_as_its_head_says() {
    let (head, rest) = read("SOURCE /a HTTP/1.0\r\n\r\naudio in the same packet");
    assert_eq!(
        stream_head(
            &head,
            Default::default(),
            0,
            antiphon::model::seat::Epoch(0),
        )
        .content_type,
        "audio/mpeg"
    );
    assert_eq!(rest, "audio in the same packet");
    for request in [
        "SOURCE /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\naudio\r\n0\r\n\r\n",
        "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n5\r\naudio\r\n",
        "PUT /a HTTP/1.1\r\nContent-Length: 5\r\n\r\naudio",
    ] {
        let (head, rest) = read(request);
        let mut input = rest.as_bytes().into();
        let mut audio = bytes::BytesMut::new();
        let mut decoder = BodyDecoder::after(&head);
        decoder.decode(&mut input, &mut audio).unwrap();
        assert_eq!(&audio[..], b"audio", "{request:?}");
    }
}

/// Row K60.
#[test]
fn a_missing_mount_is_answered_in_icecasts_words() {
    let answer = text(reply("GET /none HTTP/1.1\r\n\r\n").not_found());
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert!(answer.ends_with("\r\n\r\nThe file you requested could not be found"));
    let head_only = text(reply("HEAD /none HTTP/1.1\r\n\r\n").not_found());
    assert!(head_only.ends_with("\r\nContent-Length: 41\r\n\r\n"));
}

/// Row K64.
#[test]
fn pages_of_other_sites_may_listen() {
    let request = "OPTIONS /a HTTP/1.1\r\nOrigin: https://x\r\n\r\n";
    let answer = text(reply(request).options(READ_METHODS));
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"));
    assert!(answer.contains("\r\nAccess-Control-Allow-Origin: *\r\n"));
    for (header, word) in [
        ("Access-Control-Allow-Headers", "Icy-MetaData"),
        ("Access-Control-Allow-Headers", "Range"),
        ("Access-Control-Expose-Headers", "Icy-MetaInt"),
        ("Access-Control-Allow-Methods", "GET"),
    ] {
        let line = answer.lines().find(|line| line.starts_with(header));
        assert!(line.unwrap().contains(word), "{header} {word}");
    }
    assert!(!answer.contains("Content-Length"));
}

/// Rows K92 to K94.
#[test]
fn nonsense_gets_a_bounded_answer() {
    let refused = |request: &str| {
        let error = parse(request.as_bytes()).unwrap_err();
        head_refused(error, request.as_bytes(), NOW_UNIX_S)
            .map(text)
            .unwrap_or_default()
    };
    let long = format!("GET /a HTTP/1.1\r\nA: {}", "a".repeat(70_000));
    let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(129));
    let lengths = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    for (request, status) in [
        (long.as_str(), "431 Request Header Fields Too Large"),
        (&many, "431 Request Header Fields Too Large"),
        ("GET /a%00.txt HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET /../etc/passwd HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET //a HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET /%2e%2e/a HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET /a\0 HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (
            &format!("POST /a HTTP/1.1\r\n{lengths}\r\n"),
            "400 Bad Request",
        ),
        (
            "PUT /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "400 Bad Request",
        ),
        ("GET / HTTP/3.0\r\n\r\n", "505 HTTP Version Not Supported"),
    ] {
        let answer = refused(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.0 {status}\r\n")),
            "{answer}"
        );
        assert!(answer.contains("\r\nConnection: close\r\n"));
    }
    for path in ["//a", "/a/../b", "/a%00"] {
        let answer = refused(&format!("HEAD {path} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.0 400 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "a body: {answer}");
    }
    assert_eq!(refused("\u{16}\u{3}\u{1}"), "");
    assert_eq!(parse(b"hackme\r\n"), Err(HeadError::NotHttp));
}

#[test]
fn a_redirect_is_absolute_and_not_remembered() {
    let request = "GET /a.mp3 HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n";
    let answer = text(reply(request).redirect("http://n2:8000/_stream/n1/a.mp3\r\nX: y"));
    assert!(answer.starts_with("HTTP/1.0 302 Found\r\n"));
    assert!(answer.contains("\r\nLocation: http://n2:8000/_stream/n1/a.mp3X: y\r\n"));
    assert!(answer.contains("\r\nCache-Control: no-cache, no-store\r\n"));
    assert!(answer.contains("\r\nAccess-Control-Allow-Origin: *\r\n"));
    assert!(answer.contains("\r\nConnection: close\r\n"));
    assert!(answer.ends_with("\r\nContent-Length: 0\r\n\r\n"));
}

#[test]
fn a_refusal_says_what_else_to_do() {
    let full = reply("GET /a HTTP/1.1\r\n\r\n");
    assert_eq!(full.persistence(), Persistence::KeepAlive);
    let answer = text(full.and_close().unavailable("every node is full", 7));
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    assert!(answer.contains("\r\nRetry-After: 7\r\n"));
    assert!(answer.contains("\r\nConnection: close\r\n"));
    let wrong = |request: &str| {
        let head = read(request).0;
        text(Reply::to(&head, NOW_UNIX_S).wrong_method(head.method(), READ_METHODS))
    };
    let known = wrong("DELETE /a HTTP/1.1\r\n\r\n");
    assert!(known.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    assert!(known.contains(&format!("\r\nAllow: {READ_METHODS}\r\n")));
    let unknown = wrong("STATS / HTTP/1.0\r\n\r\n");
    assert!(unknown.starts_with("HTTP/1.0 501 Not Implemented\r\n"));
    let playlist = text(reply("GET /a.m3u HTTP/1.0\r\n\r\n").content("audio/x-mpegurl", "x"));
    assert!(playlist.contains("\r\nContent-Type: audio/x-mpegurl\r\n"));
    assert!(playlist.ends_with("\r\nContent-Length: 1\r\n\r\nx"));
}
