//! The requests and answers of the client, and that nobody can answer without end.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Asks a server that takes one connection, reads until `until` has come, and says `reply`.
async fn ask(body: &'static str, until: &str, reply: &[u8]) -> (String, Result<Answer, HttpError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(until) {
            assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0);
        }
        // A client that has seen enough leaves in the middle, so this may fail.
        let _left = socket.write_all(reply).await;
        String::from_utf8(heard).unwrap()
    };
    tokio::join!(
        serving,
        request(question(address, Bytes::from_static(body.as_bytes())))
    )
}

fn question(address: SocketAddr, body: Bytes) -> Question {
    Question {
        method: Method::POST,
        url: format!("http://me:pw@{address}/a/b?c=d").parse().unwrap(),
        headers: HeaderMap::from_iter([(
            hyper::header::AUTHORIZATION,
            HeaderValue::from_static("Bearer x"),
        )]),
        body,
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_waited_for() {
    let stream = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n\xff\xfb";
    let (_, answer) = ask("", "\r\n\r\n", stream).await;
    let error = answer.unwrap_err();
    assert!(matches!(error, HttpError::Endless(..)), "{error}");
    let list = b"HTTP/1.0 200 OK\r\nContent-Type: audio/x-mpegurl\r\n\r\n#EXTM3U";
    let (_, answer) = ask("", "\r\n\r\n", list).await;
    assert_eq!(&answer.unwrap().body[..], b"#EXTM3U");
}

#[tokio::test]
async fn an_exchange_carries_headers_and_bodies_both_ways() {
    let reply = b"HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nin useXXX";
    let (heard, answer) = ask("hello", "hello", reply).await;
    assert!(heard.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("authorization: Bearer x\r\n"), "{heard}");
    assert!(heard.contains("host: 127.0.0.1:"), "{heard}");
    assert!(heard.contains("content-length: 5\r\n"), "{heard}");
    let answer = answer.unwrap();
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.headers["x-y"], "z");
    assert_eq!(&answer.body[..], b"in us");
}

#[tokio::test]
async fn an_answer_may_end_with_the_connection() {
    let (_, answer) = ask("", "\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    assert_eq!(&answer.unwrap().body[..], b"until the end");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort";
    for reply in [&b"nonsense\r\n\r\n"[..], b"", short] {
        let (_, answer) = ask("", "\r\n\r\n", reply).await;
        let error = answer.unwrap_err();
        assert!(matches!(error, HttpError::Protocol(..)), "{error}");
        assert!(!error.is_unreachable());
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read() {
    let mut reply = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    reply.resize(MAX_ANSWER_BYTES + 100_000, b'x');
    let (_, answer) = ask("", "\r\n\r\n", &reply).await;
    let error = answer.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge(..)), "{error}");
}

/// Asks a server that says `begin` and then `more` without end: why it was given up, and how much it had said.
async fn ask_endless(begin: &'static str, more: &'static str) -> (HttpError, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endless = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // Whoever speaks before it was asked has given no answer at all.
        assert_ne!(socket.read_buf(&mut Vec::new()).await.unwrap(), 0);
        let mut said = begin.as_bytes().to_vec();
        let mut bytes = 0;
        while socket.write_all(&said).await.is_ok() {
            bytes += said.len();
            said = more.repeat(1_000).into_bytes();
        }
        bytes
    });
    let limits = Limits {
        answer_bytes: 1_000_000,
        ..Limits::default()
    };
    let begun = Instant::now();
    let asked = request_within(question(address, Bytes::new()), limits).await;
    let (error, took) = (asked.unwrap_err(), begun.elapsed());
    let said_bytes = endless.await.unwrap();
    println!("{more:?}: {error} after {took:?}; {said_bytes} bytes were said");
    (error, said_bytes)
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const EXTENDED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
    const TRAILED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    for (begin, more) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        ("", "HTTP/1.1 200 "),
        ("HTTP/1.1 200 OK\r\n", "A: b\r\n"),
        ("HTTP/1.1 200 OK\r\nA: ", "bbbbbbbb"),
        ("HTTP/1.1 200 OK\r\n\r\n", "body"),
        (CHUNKED, "1\r\nx\r\n"),
        (EXTENDED, "extension"),
        (TRAILED, "A: b\r\n"),
    ] {
        let (error, said_bytes) = ask_endless(begin, more).await;
        let is_cut = matches!(error, HttpError::TooLarge(..) | HttpError::Protocol(..));
        assert!(is_cut, "{more:?}: {error}");
        // What was said beyond lies in the buffers of the two sockets.
        assert!(said_bytes < 32_000_000, "{more:?}: {said_bytes}");
    }
}

#[tokio::test]
async fn bytes_of_interim_answers_count_too() {
    let (error, _) = ask_endless("", "HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(matches!(error, HttpError::TooLarge(..)), "{error}");
}

#[tokio::test]
async fn nobody_at_the_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = request(question(address, Bytes::new())).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable(..)), "{error}");
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn a_node_that_says_nothing_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        time: Duration::from_millis(20),
        ..Limits::default()
    };
    let asked = request_within(question(address, Bytes::new()), limits);
    let error = asked.await.unwrap_err();
    assert!(matches!(error, HttpError::TimedOut(..)), "{error}");
    assert!(error.is_unreachable());
    // Nothing of the question is left: the connection has ended with it.
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    let ended = timeout(Duration::from_secs(5), socket.read_to_end(&mut heard));
    let _reset_or_closed = ended.await.expect("it is closed");
}

#[tokio::test]
async fn a_node_that_speaks_too_slowly_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slow = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        while socket.write_all(b"H").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let limits = Limits {
        time: Duration::from_millis(100),
        ..Limits::default()
    };
    let asked = request_within(question(address, Bytes::new()), limits);
    let error = asked.await.unwrap_err();
    assert!(!matches!(error, HttpError::TooLarge(..)), "{error}");
    slow.await.unwrap();
}

#[tokio::test]
async fn only_http_and_https_are_spoken() {
    for url in ["ftp://localhost/", "/path", "localhost:80"] {
        let mut question = question(([127, 0, 0, 1], 1).into(), Bytes::new());
        question.url = url.parse().unwrap();
        let error = request(question).await.unwrap_err();
        assert!(matches!(error, HttpError::BadUrl(_)), "{error}");
    }
}

/// Serves one connection after the other, each with the same reply.
async fn always(reply: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            assert_ne!(socket.read_buf(&mut Vec::new()).await.unwrap(), 0);
            socket.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    address
}

fn get(url: &str) -> Question {
    Question {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

#[tokio::test]
async fn redirects_are_followed_so_many_times() {
    let circle = always("HTTP/1.1 302 Found\r\nLocation: /on\r\n\r\n".to_owned()).await;
    let goal = always("HTTP/1.1 200 OK\r\n\r\nhere".to_owned()).await;
    let way = format!("HTTP/1.1 302 Found\r\nLocation: http://{goal}/\r\n\r\n");
    let way = always(way).await;
    let limits = |redirects| Limits {
        redirects,
        ..Limits::default()
    };
    for (first, redirects, status) in [
        (circle, 0, StatusCode::FOUND),
        (circle, 3, StatusCode::FOUND),
        (way, 0, StatusCode::FOUND),
        (way, 1, StatusCode::OK),
    ] {
        let asked = request_within(get(&format!("http://{first}/")), limits(redirects));
        assert_eq!(asked.await.unwrap().status, status, "{redirects}");
    }
}

/// A server of HTTPS that answers once, and the trust in it.
fn tls_server(reply: &'static [u8]) -> (u16, Trust) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let certificate = own.cert.der().clone();
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(server)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let mut heard = [0; 1_000];
        if stream.read(&mut heard).is_ok() {
            while stream.write_all(reply).is_ok() && reply.starts_with(b"HTTP/1.1 1") {}
            stream.conn.send_close_notify();
            let _gone = stream.flush();
        }
    });
    (port, Trust::of(client))
}

#[tokio::test]
async fn a_trusted_server_is_asked_over_tls() {
    let (port, trust) = tls_server(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    let url = format!("https://localhost:{port}/");
    let answer = request_trusting(get(&url), Limits::default(), &trust).await;
    assert_eq!(&answer.unwrap().body[..], b"secret");
}

#[tokio::test]
async fn a_server_that_proves_nothing_is_not_asked() {
    let (port, _) = tls_server(b"HTTP/1.1 200 OK\r\n\r\n");
    let (_, other_trust) = tls_server(b"");
    let url = format!("https://localhost:{port}/");
    let asked = request_trusting(get(&url), Limits::default(), &other_trust).await;
    let error = asked.unwrap_err();
    assert!(matches!(error, HttpError::Untrusted(..)), "{error}");
    assert!(!error.is_unreachable());
    println!("{}", with_causes(&error));
    // Nor is one that is trusted by another name.
    let (port, trust) = tls_server(b"HTTP/1.1 200 OK\r\n\r\n");
    let url = format!("https://127.0.0.1:{port}/");
    let asked = request_trusting(get(&url), Limits::default(), &trust).await;
    assert!(matches!(asked, Err(HttpError::Untrusted(..))), "{asked:?}");
}

#[tokio::test]
async fn bytes_over_tls_are_counted_too() {
    let (port, trust) = tls_server(b"HTTP/1.1 100 Continue\r\n\r\n");
    let limits = Limits {
        answer_bytes: 100_000,
        ..Limits::default()
    };
    let url = format!("https://localhost:{port}/");
    let asked = request_trusting(get(&url), limits, &trust).await;
    let error = asked.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge(..)), "{error}");
}

#[tokio::test]
async fn an_ipv6_address_is_asked_like_any_other() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return; // this machine has none
    };
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert_ne!(socket.read_buf(&mut Vec::new()).await.unwrap(), 0);
        let reply = b"HTTP/1.1 200 OK\r\n\r\nhere";
        socket.write_all(reply).await.unwrap();
    });
    let answer = request(get(&format!("http://{address}/"))).await.unwrap();
    assert_eq!(&answer.body[..], b"here");
}
