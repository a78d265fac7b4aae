//! Sources that may not come in, and how they are told.

use super::wire::{Wire, ask, basic};
use super::{MOUNT, PASSWORD, is_on_air, node_with_mount, wait_status};

#[test]
fn a_source_with_a_wrong_login_is_answered_401() {
    let node = node_with_mount();
    let wrong = [
        basic("source", "wrong"),
        basic("source", ""),
        basic("admin", PASSWORD),
        basic("", PASSWORD),
        "Authorization: Basic !!!".to_owned(),
        "Authorization: Bearer x".to_owned(),
        format!("Authorization: Bearer {PASSWORD}"),
        "X: y".to_owned(),
    ];
    for line in [
        format!("PUT {MOUNT} HTTP/1.1"),
        format!("SOURCE {MOUNT} HTTP/1.0"),
        format!("SOURCE {MOUNT} ICE/1.0"),
    ] {
        for login in &wrong {
            let answer = ask(&node, &format!("{line}\r\nHost: h\r\n{login}"));
            assert_eq!(answer.head.status, 401, "{line} {login}: {answer:?}");
            let challenge = answer.head.header("WWW-Authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Basic realm="), "{answer:?}");
        }
    }
    assert!(!is_on_air(&node.status()));
}

#[test]
fn a_source_without_a_body_is_answered_too() {
    let node = node_with_mount();
    let login = basic("source", PASSWORD);
    let head = format!("SOURCE {MOUNT} HTTP/1.0\r\n{login}\r\nContent-Type: audio/mpeg");
    let answer = ask(&node, &format!("{head}\r\nContent-Length: 0"));
    assert_eq!(answer.head.status, 200, "{answer:?}");
}

#[test]
fn a_refusal_comes_instead_of_the_continue() {
    let node = node_with_mount();
    let (good, bad) = (basic("source", PASSWORD), basic("source", "wrong"));
    for (mount, login, status) in [(MOUNT, &bad, 401), ("/other.mp3", &good, 404)] {
        let mut wire = Wire::to(&node);
        wire.say(format!(
            "PUT {mount} HTTP/1.1\r\nHost: h\r\n{login}\r\nExpect: 100-continue\r\n\
             Content-Type: audio/mpeg\r\n\r\n"
        ));
        let answer = wire.answer();
        assert_eq!(answer.head.status, status, "{answer:?}");
        assert_eq!(wire.hear_end(), b"", "and nothing after it");
    }
}

#[test]
fn an_unknown_mount_is_404_with_a_remedy() {
    let node = node_with_mount();
    let login = basic("source", PASSWORD);
    for method in ["PUT", "SOURCE"] {
        let answer = ask(&node, &format!("{method} /other.mp3 HTTP/1.1\r\n{login}"));
        assert_eq!(answer.head.status, 404, "{answer:?}");
        let hint = "antiphon mount create /other.mp3";
        assert!(answer.text().contains(hint), "{answer:?}");
    }
    let odd = ask(&node, &format!("PUT /a%20b HTTP/1.1\r\n{login}"));
    assert_eq!(odd.head.status, 404, "{odd:?}");
    assert!(odd.text().contains("cannot have a space in it"), "{odd:?}");
    let listener = ask(&node, "GET /other.mp3 HTTP/1.1\r\nHost: h");
    assert_eq!(listener.head.status, 404, "{listener:?}");
    assert!(!listener.text().is_empty(), "{listener:?}");
    let idle = ask(&node, &format!("GET {MOUNT} HTTP/1.1\r\nHost: h"));
    assert_eq!(idle.head.status, 404, "{idle:?}");
    assert!(idle.text().contains("not on air"), "{idle:?}");
}

/// libshout logs in by two requests: the first without a password, to see what the server can do.
#[test]
fn a_source_may_ask_without_a_password_first() {
    let node = node_with_mount();
    let mut wire = Wire::to(&node);
    wire.say(format!(
        "SOURCE {MOUNT} HTTP/1.0\r\nHost: h\r\nUser-Agent: libshout/2.4.6\r\n\
         Content-Type: audio/mpeg\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\
         ice-public: 0\r\nice-name: no name\r\n\r\n"
    ));
    let challenge = wire.answer();
    assert_eq!(challenge.head.status, 401, "{challenge:?}");
    let allowed = challenge.head.header("Allow").unwrap_or_default();
    assert!(
        allowed.split(", ").any(|method| method == "PUT"),
        "{allowed}"
    );
    let kept = challenge.head.header("Connection");
    assert_eq!(
        kept,
        Some("keep-alive"),
        "it may log in on the same connection"
    );
    let login = basic("source", PASSWORD);
    wire.say(format!(
        "PUT {MOUNT} HTTP/1.1\r\nHost: h\r\n{login}\r\nUser-Agent: libshout/2.4.6\r\n\
         Content-Type: audio/mpeg\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert_eq!(wire.head().status, 100);
    assert_eq!(wire.head().status, 200);
    wire.say("audio");
    wait_status(&node, "the source is on air", is_on_air);
}

#[test]
fn the_sources_of_a_mount_may_have_a_name_of_their_own() {
    let node = super::node();
    node.create_mount_with(MOUNT, PASSWORD, r#""user": "dj""#);
    let (usual, own) = (basic("source", PASSWORD), basic("dj", PASSWORD));
    for line in ["PUT", "SOURCE"].map(|method| format!("{method} {MOUNT} HTTP/1.1\r\nHost: h")) {
        let refused = ask(&node, &format!("{line}\r\n{usual}"));
        assert_eq!(refused.head.status, 401, "{refused:?}");
        let taken = ask(&node, &format!("{line}\r\n{own}\r\nContent-Length: 0"));
        assert_eq!(taken.head.status, 200, "{taken:?}");
    }
    let title =
        format!("GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=x HTTP/1.1\r\nHost: h");
    let refused = ask(&node, &format!("{title}\r\n{usual}"));
    assert_eq!(refused.head.status, 401, "{refused:?}");
    let log = node.log();
    let why = "sources of this mount log in as the user `dj`";
    assert_eq!(log.matches(why).count(), 3, "{log}");
    let known = ask(&node, &format!("{title}\r\n{own}"));
    assert_ne!(known.head.status, 401, "{known:?}");
    let bad = node.command("mount", &["set", MOUNT, "user=a:b"]);
    assert!(!bad.status.success(), "{bad:?}");
}

/// A source that begins with nonsense is told so, and was never on air.
#[test]
fn a_bad_chunk_in_the_first_packet_is_answered_400() {
    let node = node_with_mount();
    let login = basic("source", PASSWORD);
    for method in ["PUT", "SOURCE"] {
        for chunk in [
            "xyz\r\n",
            "3\r\nabcd\r\n",
            "-1\r\n",
            "10000000000000000\r\n",
        ] {
            let mut wire = Wire::to(&node);
            wire.say(format!(
                "{method} {MOUNT} HTTP/1.1\r\nHost: h\r\n{login}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{chunk}"
            ));
            let answer = wire.answer();
            assert_eq!(answer.head.status, 400, "{chunk:?}: {answer:?}");
            assert!(answer.text().contains("chunk"), "{answer:?}");
            assert_eq!(wire.hear_end(), b"", "and the end");
        }
    }
    assert!(!node.log().contains("source on air"), "{}", node.log());
}
