//! The streams that outside relays play, and the ways to them.

use std::io::Write as _;

use super::server::{Server, chunked, play};
use super::stage::{RADIO, SECOND_BYTES, Stage, UPSTREAM, address, icecast, relay, seen};
use crate::support::decoder::until_edge;
use crate::support::http::{ask, basic};
use crate::support::icecast::LOGIN;
use crate::support::node::done;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, decoded};

#[test]
fn a_stock_icecast_is_heard_at_every_node() {
    let icecast = icecast();
    let stage = Stage::set(3, &[address(&icecast)]);
    stage.wait_plays(1);
    for node in &stage.mesh.nodes {
        let player = Player::tune_in(&format!("{}/_stream/n1{RADIO}", node.url()));
        player.wait_for(8 * SECOND_BYTES);
        let received = player.bytes();
        let whole = until_edge(&received, "audio/mpeg").to_vec();
        let samples = decoded(node.name(), whole);
        assert!(samples.len() > 7 * 8_000, "{} samples", samples.len());
    }
    let seen = relay(&stage.mesh.nodes[1], RADIO).unwrap();
    assert_eq!(seen.report.address, address(&icecast));
    assert_eq!((seen.report.restarts, &seen.report.trouble), (0, &None));
    let public = stage.mesh.nodes[1].status().mounts.remove(0);
    let public = public.outside_relay.unwrap();
    assert_eq!(public.report.address, "", "that is for operators");
    // Exactly one node asks.
    let listeners = ask(&icecast.address(), "GET /status-json.xsl HTTP/1.0\r\n\r\n");
    let text = listeners.unwrap().text();
    assert!(text.contains("\"listeners\":1"), "{text}");
}

#[test]
fn titles_follow_the_upstream() {
    let icecast = icecast();
    let stage = Stage::set(2, &[address(&icecast)]);
    stage.wait_plays(1);
    let (user, password) = LOGIN.split_once(':').unwrap();
    for title in ["Artist - Piece", "\u{c9}t\u{e9} - \u{dc}ber"] {
        let song: String = title.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let say = format!(
            "GET /admin/metadata?mode=updinfo&charset=UTF-8&mount={UPSTREAM}&song={song} HTTP/1.0\r\nAuthorization: {}\r\n\r\n",
            basic(user, password)
        );
        let answer = ask(&icecast.address(), &say).unwrap();
        assert_eq!(answer.head.status, 200, "{}", answer.text());
        stage
            .mesh
            .wait_each_sees(RADIO, "the title", |it| it.title == title);
    }
}

#[test]
fn all_ways_to_a_stream_are_followed() {
    let icecast = icecast();
    let goal = address(&icecast);
    let redirect = Server::saying(format!(
        "HTTP/1.1 302 Found\r\nLocation: {goal}\r\nContent-Length: 0\r\n\r\n"
    ));
    let m3u = Server::saying(format!(
        "HTTP/1.0 200 OK\r\nContent-Type: audio/x-mpegurl\r\n\r\n#EXTM3U\r\n#EXTINF:-1,x\r\n{goal}\r\n"
    ));
    let pls = Server::saying(format!(
        "HTTP/1.0 200 OK\r\nContent-Type: audio/x-scpls\r\n\r\n[playlist]\nFile1=http://127.0.0.1:1/dead\nFile2={goal}\n"
    ));
    let shoutcast = Server::start(|socket| {
        socket.write_all(b"ICY 200 OK\r\nicy-name: Old\r\ncontent-type: audio/mpeg\r\n\r\n")?;
        play(socket, <[u8]>::to_vec)
    });
    let chunks = Server::start(|socket| {
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n";
        socket.write_all(head)?;
        play(socket, chunked)
    });
    // It has no titles among its bytes, whatever it says.
    let lying = Server::start(|socket| {
        let head = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-metaint: 7\r\n\r\n";
        socket.write_all(head)?;
        play(socket, <[u8]>::to_vec)
    });
    let servers = [redirect, m3u, pls, shoutcast, chunks, lying];
    let stage = Stage::set(1, &[servers[0].url()]);
    for server in &servers {
        let with_login = server.url().replace("://", "://user:secret@");
        stage.change(&format!("relay={with_login}"));
        let look = || {
            let seen = relay(&stage.mesh.nodes[0], RADIO);
            let address = seen.as_ref().map(|it| it.report.address.clone());
            let shown = server.url().replace("://", "://***@");
            so(
                address == Some(shown) && server.asked() > 0,
                format!("{seen:?}"),
            )
        };
        eventually(PATIENCE, "it is asked", look);
        stage.wait_plays(1);
        let player = Player::tune_in(&format!("{}{RADIO}", stage.mesh.nodes[0].url()));
        player.wait_for(7 * SECOND_BYTES);
        let head = server.first_head().to_lowercase();
        let login = basic("user", "secret").to_lowercase();
        assert!(head.contains(&format!("authorization: {login}")), "{head}");
        assert!(head.contains("\r\nicy-metadata: 1\r\n"), "{head}");
    }
    let log = stage.mesh.nodes[0].log();
    assert!(!log.contains("secret@"), "a password is in the log");
}

#[test]
fn a_login_is_never_shown_and_bad_addresses_are_refused() {
    let stage = Stage::set(1, &["http://u:hunter2@127.0.0.1:1/x".to_owned()]);
    let node = &stage.mesh.nodes[0];
    let shown = done(&node.command("mount", &["show", RADIO]));
    assert!(shown.contains("http://***@127.0.0.1:1/x"), "{shown}");
    let json = done(&node.command("mount", &["show", RADIO, "--json"]));
    let status = format!("{:?}", seen(node, RADIO));
    for text in [shown, json, status, node.log()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    for (bad, said) in [
        (
            "relay=radio.example/x",
            "relay: `radio.example/x` is no address",
        ),
        ("relay=http://***@a/x", "write these again"),
    ] {
        let output = node.command("mount", &["set", RADIO, bad]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(said), "{told}");
    }
    let words = [
        "create",
        "/other.mp3",
        "--transcode-from",
        RADIO,
        "--codec",
        "mp3",
    ];
    let with_relay = [&words[..], &["--relay", "http://a/x"]].concat();
    let output = node.command("mount", &with_relay);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("relay: the mount is transcoded"), "{told}");
    let words = ["create", "/second.mp3"];
    let with_relay = [&words[..], &["--relay", "http://a/x,http://b/y"]].concat();
    done(&node.command("mount", &with_relay));
}
