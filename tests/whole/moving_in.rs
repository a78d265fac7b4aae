//! `antiphon import icecast.xml`: encoders, relays and operators of an Icecast find all as they left it.

use std::fs;

use crate::support::encoder::{Encoder, Target};
use crate::support::http::get_as;
use crate::support::icecast::Icecast;
use crate::support::mesh::TestMesh;
use crate::support::node::done;
use crate::support::player::Player;

const LIVE: &str = "/live.mp3";
const AUTO: &str = "/auto.mp3";
/// A stream of another server.
const UPSTREAM: &str = "/world.mp3";
const PARTNER: &str = "/partner.mp3";
const LIVE_PASSWORD: &str = "l1ve-secret";
const SOURCE_PASSWORD: &str = "s0urce-secret";
const RELAY_PASSWORD: &str = "r3lay-secret";
const ADMIN_PASSWORD: &str = "4dmin-secret";

/// The configuration of an Icecast that relays a stream of this address.
fn configuration(address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap();
    format!(
        "<icecast>
<authentication>
  <source-password>{SOURCE_PASSWORD}</source-password><relay-password>{RELAY_PASSWORD}</relay-password>
  <admin-user>admin</admin-user><admin-password>{ADMIN_PASSWORD}</admin-password>
</authentication>
<hostname>radio.example</hostname>
<mount><mount-name>{LIVE}</mount-name><password>{LIVE_PASSWORD}</password><fallback-mount>{AUTO}</fallback-mount>
  <fallback-override>1</fallback-override><stream-name>Radio</stream-name></mount>
<mount><mount-name>/other.ogg</mount-name><fallback-mount>{LIVE}</fallback-mount></mount>
<relay><server>{host}</server><port>{port}</port><mount>{UPSTREAM}</mount><local-mount>{PARTNER}</local-mount></relay>
</icecast>"
    )
}

#[test]
fn sources_relays_fallbacks_and_logins_are_those_of_the_icecast() {
    let upstream = Icecast::start(20, &[(UPSTREAM, None)]);
    let mesh = TestMesh::start(2);
    let folder = tempfile::tempdir().unwrap();
    let xml = folder.path().join("icecast.xml");
    fs::write(&xml, configuration(&upstream.address().to_string())).unwrap();
    let xml = xml.to_str().unwrap();
    let [first, second] = &mesh.nodes[..] else {
        panic!("two nodes")
    };
    // Players cannot go on from Ogg to MP3: that one fallback is refused, and all else is made.
    let made = first.command("import", &[xml]);
    assert_eq!(made.status.code(), Some(1));
    let said = String::from_utf8(made.stdout).unwrap();
    for line in [
        "create /auto.mp3",
        "create /live.mp3",
        "create /other.ogg",
        "create /partner.mp3",
        "set /live.mp3 fallback=/auto.mp3",
        "NOT set /other.ogg fallback=/live.mp3: ",
        "take the relay password",
        "take the admin password",
        "public_url = \"http://radio.example:8000\"",
    ] {
        assert!(
            said.lines().any(|it| it.starts_with(line)),
            "{line}: {said}"
        );
    }
    for secret in [
        LIVE_PASSWORD,
        SOURCE_PASSWORD,
        RELAY_PASSWORD,
        ADMIN_PASSWORD,
    ] {
        assert!(!said.contains(secret), "{said}");
    }

    let source =
        |mount, password| Encoder::start(Target::of(vec![second.address()], mount, password));
    let _auto = source(AUTO, SOURCE_PASSWORD);
    let heard = Player::tune_in(&format!("{}{LIVE}", first.url()));
    heard.wait_for_more(1);
    let _live = source(LIVE, LIVE_PASSWORD);
    mesh.wait_each_sees(LIVE, "the live source", |mount| {
        mount.source.is_some() && mount.name == "Radio"
    });
    mesh.wait_each_sees(PARTNER, "the relay", |mount| mount.source.is_some());
    let status = |target, user, password| {
        get_as(&second.address(), target, user, password)
            .unwrap()
            .head
            .status
    };
    assert_eq!(status("/admin/stats", "admin", ADMIN_PASSWORD), 200);
    assert_eq!(
        status("/admin/streamlist.txt", "relay", RELAY_PASSWORD),
        200
    );

    // Given again, it changes nothing that is there.
    done(&second.command("mount", &["set", LIVE, "name=Renamed"]));
    let again = done(&second.command("import", &[xml]));
    assert!(again.contains("left /live.mp3 alone"), "{again}");
    mesh.wait_each_sees(LIVE, "its own name", |mount| mount.name == "Renamed");
    assert!(!heard.is_closed());
}
