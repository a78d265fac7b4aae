//! Operators end sources and switch mounts, and listeners stay.

use super::stage::{
    AUTO, AUTO_FIRST, LIVE, PASSWORD, check, encoder, listener, mesh, mount_command, plays, runs,
    wait_hears, wait_status,
};
use crate::support::encoder::Encoder;
use crate::support::http;
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::KnownSource;
use crate::support::tool::complaint;

/// How many frames are heard of each stream before the next switch: 1.3 s.
const HEARD: u64 = 50;

/// Ends the source of a mount, by a node.
fn kill(node: &TestNode, mount: &str) -> String {
    done(&node.command("source", &["kill", mount]))
}

/// Asks one of Icecast's addresses of operators, with a login; the status and the body.
fn ask_icecast(node: &TestNode, target: &str, user: &str, password: &str) -> (u16, String) {
    let answer = http::get_as(&node.address(), target, user, password).unwrap();
    (answer.head.status, answer.text())
}

/// Gives the mesh an admin password that every node knows.
fn set_admin_password(mesh: &TestMesh) -> String {
    let password = "hackme-admin".to_owned();
    let body = format!(r#"{{"password": "{password}"}}"#);
    let answer = mesh.nodes[0].api("PATCH", "/api/v1/admin", &body).unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    for node in &mesh.nodes {
        let look = || {
            let status = node.admin_status(&password);
            so(status == 200, status)
        };
        eventually(PATIENCE, "the admin password is known", look);
    }
    password
}

fn wait_closed(source: &KnownSource) {
    let look = || so(source.is_closed(), "it is connected");
    eventually(PATIENCE, "the source is ended", look);
}

#[test]
fn an_operator_ends_a_source_at_any_node_and_listeners_stay() {
    let mesh = mesh(3);
    let _auto = encoder(&mesh.nodes[1], AUTO, AUTO_FIRST);
    mesh.wait_on_air(AUTO);
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    for asked in &mesh.nodes {
        let live = KnownSource::start(&mesh.nodes[2], LIVE, PASSWORD);
        mesh.wait_on_air(LIVE);
        wait_hears(&players, false, HEARD);
        let said = kill(asked, LIVE);
        assert!(said.contains("ended the source of /live.mp3"), "{said}");
        wait_closed(&live);
        wait_hears(&players, true, HEARD);
    }
    for player in &players {
        assert_eq!(check(player), 6, "{}", player.url);
    }
    let log = mesh.nodes[2].log();
    let told = log.matches("an operator has ended the source").count();
    assert_eq!(told, 3, "{log}");
}

#[test]
fn a_source_that_waits_takes_the_place_of_one_that_is_ended() {
    let mesh = TestMesh::start(2);
    mesh.nodes[0].create_mount_with(LIVE, PASSWORD, r#""standby": true"#);
    mesh.wait_for_mount(LIVE);
    let first = KnownSource::start(&mesh.nodes[0], LIVE, PASSWORD);
    mesh.wait_on_air(LIVE);
    let second = KnownSource::start(&mesh.nodes[1], LIVE, PASSWORD);
    wait_status(&mesh, "a source on standby", |mount| {
        !mount.standby.is_empty()
    });
    kill(&mesh.nodes[1], LIVE);
    wait_closed(&first);
    wait_status(&mesh, "the other source on air", |mount| {
        mount.standby.is_empty()
            && mount
                .source
                .as_ref()
                .is_some_and(|it| it.node.as_str() == "n2")
    });
    assert!(!second.is_closed());
}

#[test]
fn what_cannot_be_ended_is_said() {
    let mesh = mesh(2);
    let refused = |mount: &str, words: &str| {
        let said = complaint(&mesh.nodes[1].command("source", &["kill", mount]), 1);
        assert!(said.contains(words), "{mount}: {said}");
    };
    refused(LIVE, "/live.mp3 has no source: there is nothing to end");
    refused("/gone.mp3", "there is no mount /gone.mp3");
    let more = r#""transcode_from": "/auto.mp3", "codec": "opus""#;
    mesh.nodes[0].create_mount_with("/auto.opus", PASSWORD, more);
    mesh.wait_for_mount("/auto.opus");
    refused("/auto.opus", "/auto.opus is transcoded from /auto.mp3");
    let said = complaint(&mesh.nodes[0].command("source", &["kill"]), 2);
    assert!(said.contains("<PATH>"), "{said}");
}

/// A stream that is no rung of the live mount, with the number of its first frame.
const NEWS: &str = "/news.mp3";
const NEWS_FIRST: u64 = 2 * AUTO_FIRST;

/// Waits until each of them hears a stream whose first frame has at least this number, and at most another.
fn wait_hears_from(players: &[Player], frames: std::ops::Range<u64>) {
    for player in players {
        let look = || {
            assert!(!player.is_closed(), "{} was ended", player.url);
            let last = runs(player).0.last().copied();
            let hears =
                last.is_some_and(|run| frames.contains(&run.next) && run.next - run.first >= HEARD);
            so(hears, format!("{last:?}"))
        };
        eventually(PATIENCE, &format!("{} hears {frames:?}", player.url), look);
    }
}

/// Waits until every node lists the rungs of the live mount with this reason.
fn wait_listed(mesh: &TestMesh, reason: &str) {
    for node in &mesh.nodes {
        let look = || {
            let listed = mount_command(node, &["sources", LIVE]);
            so(listed.contains(reason), listed)
        };
        eventually(PATIENCE, reason, look);
    }
}

/// Three nodes with a live mount on air, its fallback on air, and a stream beside.
fn switched_mesh() -> (TestMesh, [Encoder; 3]) {
    let mesh = mesh(3);
    mesh.create_mount(NEWS, PASSWORD);
    let encoders = [
        encoder(&mesh.nodes[0], LIVE, 0),
        encoder(&mesh.nodes[1], AUTO, AUTO_FIRST),
        encoder(&mesh.nodes[2], NEWS, NEWS_FIRST),
    ];
    for mount in [LIVE, AUTO, NEWS] {
        mesh.wait_on_air(mount);
    }
    (mesh, encoders)
}

#[test]
fn an_operator_switches_a_mount_and_back() {
    let (mesh, [live, auto, _news]) = switched_mesh();
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    let (hears_live, hears_auto, hears_news) =
        (0..AUTO_FIRST, AUTO_FIRST..NEWS_FIRST, NEWS_FIRST..u64::MAX);
    wait_hears_from(&players, hears_live.clone());
    let said = mount_command(&mesh.nodes[1], &["switch", LIVE, "2"]);
    assert_eq!(
        said,
        "/live.mp3 plays /auto.mp3 while that is on air, until antiphon mount switch /live.mp3 --back\n"
    );
    wait_hears_from(&players, hears_auto.clone());
    wait_status(&mesh, "the fallback", |mount| {
        plays(mount, AUTO) && mount.source.is_some()
    });
    wait_listed(&mesh, "an operator has switched it to /auto.mp3; back:");
    // Who comes later hears the same, by every node.
    let late = [
        listener(&mesh.nodes[0], LIVE),
        Player::tune_in(&format!("{}{LIVE}", mesh.nodes[2].url())),
    ];
    wait_hears_from(&late, hears_auto.clone());

    mount_command(&mesh.nodes[0], &["switch", LIVE, NEWS, "--for", "1h"]);
    wait_hears_from(&players, hears_news);
    let listed = mount_command(&mesh.nodes[0], &["sources", LIVE]);
    assert!(listed.contains("   3  /news.mp3"), "{listed}");
    mount_command(&mesh.nodes[2], &["switch", LIVE, "own"]);
    wait_hears_from(&players, hears_live.clone());
    mount_command(&mesh.nodes[2], &["switch", LIVE, AUTO]);
    wait_hears_from(&players, hears_auto);
    // What does not flow is passed over.
    drop(auto);
    wait_hears_from(&players, hears_live.clone());
    let said = mount_command(&mesh.nodes[2], &["switch", LIVE, "--back"]);
    assert_eq!(said, "/live.mp3 plays the highest rung that is on air\n");
    wait_listed(
        &mesh,
        "the highest rung that is on air is heard: its own source",
    );
    wait_hears_from(&players, hears_live);
    for player in players.iter().chain(&late) {
        let (_, foreign_bytes) = runs(player);
        assert_eq!(foreign_bytes, 0, "{}: pieces of frames", player.url);
        assert!(!player.is_closed());
    }
    assert!(live.next() > 0);
}

#[test]
fn an_order_ends_by_itself_on_every_node() {
    let (mesh, _encoders) = switched_mesh();
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_hears(&players, false, HEARD);
    let said = mount_command(&mesh.nodes[1], &["switch", LIVE, AUTO, "--for", "10s"]);
    assert!(
        said.contains("/live.mp3 plays /auto.mp3 while that is on air, until "),
        "{said}"
    );
    wait_hears(&players, true, 1);
    wait_hears(&players, false, HEARD);
    for player in &players {
        assert_eq!(check(player), 2, "{}", player.url);
    }
    wait_listed(
        &mesh,
        "the highest rung that is on air is heard: its own source",
    );
    let shown = mount_command(&mesh.nodes[1], &["show", LIVE]);
    let order = shown.lines().find(|line| line.starts_with("switched_to"));
    assert_eq!(order.unwrap().trim_end(), "switched_to", "it has ended");
}

#[test]
fn a_mount_without_fallbacks_is_switched_too() {
    let (mesh, [_, auto, _news]) = switched_mesh();
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, AUTO)).collect();
    wait_hears(&players, true, HEARD);
    mount_command(&mesh.nodes[0], &["switch", AUTO, NEWS]);
    wait_hears_from(&players, NEWS_FIRST..u64::MAX);
    // Its own source may go meanwhile: who comes then hears what the others hear.
    drop(auto);
    mesh.wait_each_sees(AUTO, "no source", |mount| mount.source.is_none());
    let late = [listener(&mesh.nodes[1], AUTO)];
    wait_hears_from(&late, NEWS_FIRST..u64::MAX);
    let _auto = encoder(&mesh.nodes[0], AUTO, AUTO_FIRST + AUTO_FIRST / 2);
    mesh.wait_on_air(AUTO);
    mount_command(&mesh.nodes[1], &["switch", AUTO, "--back"]);
    wait_hears_from(&players, AUTO_FIRST..NEWS_FIRST);
    wait_hears_from(&late, AUTO_FIRST..NEWS_FIRST);
}

#[test]
fn icecasts_moveclients_switches_and_moves_back() {
    let (mesh, _encoders) = switched_mesh();
    let admin = set_admin_password(&mesh);
    let ask = |from: &str, to: &str| {
        let target = format!("/admin/moveclients?mount={from}&destination={to}");
        ask_icecast(&mesh.nodes[1], &target, "admin", &admin)
    };
    let players: Vec<Player> = mesh.nodes.iter().map(|node| listener(node, LIVE)).collect();
    wait_hears_from(&players, 0..AUTO_FIRST);
    let (status, body) = ask(LIVE, NEWS);
    assert_eq!(status, 200, "{body}");
    let words = "<message>Clients moved from /live.mp3 to /news.mp3</message><return>1</return>";
    assert!(body.contains(words), "{body}");
    wait_hears_from(&players, NEWS_FIRST..u64::MAX);
    assert_eq!(ask(NEWS, LIVE).0, 200);
    wait_hears_from(&players, 0..AUTO_FIRST);
    for (from, to, words) in [
        (LIVE, LIVE, "supplied mountpoints are identical"),
        (LIVE, "/gone.mp3", "No such destination"),
        ("/gone.mp3", LIVE, "Source does not exist"),
        (LIVE, "", "Missing parameter"),
    ] {
        let (status, body) = ask(from, to);
        assert_eq!(status, 400, "{body}");
        assert!(body.contains(words), "{from} to {to}: {body}");
    }
    let idle = "/idle.mp3";
    mesh.create_mount(idle, PASSWORD);
    let (_, body) = ask(LIVE, idle);
    assert!(body.contains("Destination not running"), "{body}");
    let as_source = ask_icecast(
        &mesh.nodes[1],
        &format!("/admin/moveclients?mount={LIVE}&destination={NEWS}"),
        "source",
        PASSWORD,
    );
    assert_eq!(as_source.0, 401);
}

#[test]
fn orders_that_cannot_be_are_refused() {
    let mesh = mesh(1);
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let said = complaint(
            &mesh.nodes[0].command("mount", &[&["switch"], arguments].concat()),
            code,
        );
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    refused(
        &[LIVE, "3"],
        1,
        "there is no rung 3, only 1 to 2: antiphon mount sources /live.mp3 lists them",
    );
    refused(&[LIVE, "0"], 1, "there is no rung 0");
    refused(
        &[LIVE, "/autos.mp3"],
        1,
        "there is no mount /autos.mp3; did you mean /auto.mp3?",
    );
    refused(&[LIVE, "auto.mp3"], 1, "must begin with /");
    refused(&["/gone.mp3", AUTO], 1, "there is no mount /gone.mp3");
    refused(&[LIVE, AUTO, "--for", "10"], 2, "90s, 2m, 1h or 1d");
    refused(&[LIVE, AUTO, "--for", "0s"], 2, "1s to 366d");
    refused(&[LIVE, AUTO, "--back"], 2, "cannot be used with");
    refused(&[LIVE], 2, "<RUNG");
    refused(
        &[LIVE, "back"],
        1,
        "write antiphon mount switch /live.mp3 --back",
    );
    let more = r#""transcode_from": "/auto.mp3", "codec": "opus""#;
    mesh.nodes[0].create_mount_with("/auto.opus", PASSWORD, more);
    let _live = encoder(&mesh.nodes[0], LIVE, 0);
    mesh.wait_on_air(LIVE);
    refused(
        &[LIVE, "/auto.opus"],
        1,
        "players cannot go on with another format",
    );
}

#[test]
fn icecasts_killsource_ends_a_source() {
    let mesh = mesh(2);
    let admin = set_admin_password(&mesh);
    let target = format!("/admin/killsource?mount={LIVE}");
    for (user, password) in [("admin", admin.as_str()), ("source", PASSWORD)] {
        let live = KnownSource::start(&mesh.nodes[0], LIVE, PASSWORD);
        mesh.wait_on_air(LIVE);
        let (status, body) = ask_icecast(&mesh.nodes[1], &target, user, password);
        assert_eq!(status, 200, "{body}");
        assert!(
            body.contains("<message>Source Removed</message><return>1</return>"),
            "{body}"
        );
        wait_closed(&live);
        wait_status(&mesh, "no source", |mount| mount.source.is_none());
    }
    let ask = |target: &str, password| ask_icecast(&mesh.nodes[1], target, "admin", password);
    let (status, body) = ask(&target, &admin);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("Source does not exist"), "{body}");
    assert_eq!(ask(&target, "wrong").0, 401);
    let (status, body) = ask("/admin/killsource", &admin);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("Missing parameter: mount"), "{body}");
    assert_eq!(ask("/admin/killsource?mount=/gone.mp3", &admin).0, 400);
}
