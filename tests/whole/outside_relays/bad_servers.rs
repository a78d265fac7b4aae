//! Servers that do not behave: each is told of with what to do, is asked ever later, and harms no other mount.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use antiphon::model::outside_relay::OutsideRelayStage;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Server, play};
use super::stage::{PASSWORD, RADIO, SECOND_BYTES, Stage, relay, wait_trouble};
use crate::support::player::Player;
use crate::support::source::KnownSource;

const GOOD: &str = "/good.mp3";

/// The stream of this address does not play, for a reason that is told so; another mount does, and so does a second address.
fn is_told_of(address: &str, words: &str) -> Stage {
    let stage = Stage::set(1, &[address.to_owned()]);
    let node = &stage.mesh.nodes[0];
    node.create_mount(GOOD, PASSWORD);
    let _encoder = KnownSource::start(node, GOOD, PASSWORD);
    let player = Player::tune_in(&format!("{}{GOOD}", node.url()));
    wait_trouble(node, RADIO, words);
    stage.wait_stage(OutsideRelayStage::Failing);
    assert_eq!(relay(node, RADIO).unwrap().report.restarts, 0);
    player.wait_for_more(SECOND_BYTES);
    assert!(!player.is_closed());
    assert!(player.longest_gap() < Duration::from_secs(3));
    let good = Server::start(|socket| {
        socket.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")?;
        play(socket, <[u8]>::to_vec)
    });
    stage.change(&format!("relay={address},{}", good.url()));
    stage.wait_plays(2);
    stage
}

#[test]
fn a_web_page_is_no_stream() {
    let server = Server::saying(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>Radio</html>",
    );
    is_told_of(
        &server.url(),
        "answers with a web page and not with a stream",
    );
}

#[test]
fn a_web_page_that_says_it_is_audio_is_none() {
    let page = "<html>Radio</html>".repeat(2_000);
    let server = Server::saying(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n{page}"
    ));
    is_told_of(&server.url(), "no audio that is known here");
}

#[test]
fn redirects_without_end_are_left() {
    let server =
        Server::saying("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
    is_told_of(&server.url(), "redirects more than 6 times");
    assert!(server.asked() >= 7, "{}", server.asked());
}

#[test]
fn one_byte_a_second_is_no_stream() {
    let server = Server::start(|socket| {
        socket.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")?;
        loop {
            socket.write_all(b"\xff")?;
            thread::sleep(Duration::from_secs(1));
        }
    });
    is_told_of(&server.url(), "sends too little");
}

#[test]
fn a_stream_that_trickles_from_then_on_is_left() {
    let server = Server::start(|socket| {
        socket.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")?;
        let sample = std::fs::read(crate::support::source::sample()).unwrap();
        socket.write_all(&sample[..32_000])?;
        loop {
            socket.write_all(b"\xff")?;
            thread::sleep(Duration::from_secs(1));
        }
    });
    let stage = Stage::set(1, &[server.url()]);
    let node = &stage.mesh.nodes[0];
    wait_trouble(node, RADIO, "less than a tenth of its audio for 5 s");
}

#[test]
fn a_wrong_certificate_is_not_trusted() {
    let own = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let _refused = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        }
    });
    let address = format!("https://127.0.0.1:{port}/x.mp3");
    is_told_of(&address, "its certificate is not valid for that name");
}

#[test]
fn a_name_that_nobody_knows_is_told_of() {
    is_told_of(
        "http://radio.invalid/x.mp3",
        "the name is not known: look whether it is written right",
    );
}

#[test]
fn a_server_that_is_off_or_wants_a_login_is_told_of() {
    is_told_of("http://127.0.0.1:1/x.mp3", "look whether the server runs");
    let server = Server::saying("HTTP/1.0 401 No\r\nContent-Length: 0\r\n\r\n");
    is_told_of(&server.url(), "as http://USER:PASSWORD@HOST/PATH");
}

#[test]
fn a_mesh_does_not_relay_itself() {
    let stage = Stage::set(2, &["http://127.0.0.1:1/x".to_owned()]);
    let node = &stage.mesh.nodes[1];
    node.create_mount(GOOD, PASSWORD);
    let _encoder = KnownSource::start(node, GOOD, PASSWORD);
    stage.mesh.wait_on_air(GOOD);
    let own = format!("relay=http://127.0.0.1:1/x,{}{GOOD}", node.url());
    let output = node.command("mount", &["set", RADIO, &own]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("leads to n2, a node of this mesh"), "{told}");
    // A redirect is not known before it is there.
    let location = format!("Location: {}{GOOD}", node.url());
    let server = Server::saying(format!("HTTP/1.1 302 Found\r\n{location}\r\n\r\n"));
    stage.change(&format!("relay={}", server.url()));
    wait_trouble(node, RADIO, "it leads to n2, a node of this mesh");
    // By another name it is not seen before the node itself says so.
    let port = node.address().rsplit_once(':').unwrap().1.to_owned();
    stage.change(&format!("relay=http://localhost:{port}{GOOD}"));
    wait_trouble(node, RADIO, "leads back to this mesh");
}

#[test]
fn a_server_that_fails_is_asked_ever_later() {
    let server = Server::saying("HTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n");
    let stage = Stage::set(1, &[server.url()]);
    wait_trouble(&stage.mesh.nodes[0], RADIO, "no such stream now (404)");
    let asked = server.asked();
    thread::sleep(Duration::from_secs(10));
    // After 1, 2, 4 and 8 seconds, or half of each.
    let more = server.asked() - asked;
    assert!((1..=5).contains(&more), "{more} times in ten seconds");
}
