//! Stock icecast2 as a slave of the mesh: it reads the list of streams at one node, and relays all of them.

use crate::support::http::{ask, basic};
use crate::support::icecast::Icecast;
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal;
use crate::support::source::KnownSource;

const MOUNTS: [&str; 2] = ["/one.mp3", "/two.mp3"];
const PASSWORD: &str = "hackme-not";
const RELAY_PASSWORD: &str = "slaves-only";
/// Bytes of three seconds of the stream.
const HEARD_BYTES: usize = 48_000;

/// Three nodes, of which the first serves no listener, so that all are redirected; and a source for each mount.
fn mesh() -> (TestMesh, Vec<KnownSource>) {
    let mesh = TestMesh::start_with(3, |index, setup| match index {
        0 => setup.with(&["--max-listeners", "0"]),
        _ => setup,
    });
    let node = &mesh.nodes[2];
    let set = ["set", "--relay", RELAY_PASSWORD];
    done(&node.command("password", &set));
    for mount in MOUNTS {
        mesh.create_mount(mount, PASSWORD);
    }
    let sources = MOUNTS.map(|mount| KnownSource::start(&mesh.nodes[0], mount, PASSWORD));
    MOUNTS.iter().for_each(|mount| mesh.wait_on_air(mount));
    (mesh, sources.into())
}

/// Listens to a mount of a slave, and checks every byte from the first whole frame on.
fn hears(slave: &Icecast, mount: &str) {
    let look = || so(slave.is_on_air(mount), slave.status());
    eventually(PATIENCE, &format!("the slave relays {mount}"), look);
    let player = Player::tune_in(&format!("{}{mount}", slave.url()));
    player.wait_for(HEARD_BYTES);
    let bytes = player.bytes();
    let sync = &signal::frame(0)[..4];
    let first = bytes.windows(4).position(|it| it == sync).unwrap();
    signal::check(&bytes[first..]);
}

fn says_title(mesh: &TestMesh, mount: &str, title: &str) {
    let asked = format!(
        "GET /admin/metadata?mode=updinfo&mount={mount}&song={title} HTTP/1.0\r\nAuthorization: {}\r\n\r\n",
        basic("source", PASSWORD)
    );
    let answer = ask(&mesh.nodes[1].address(), &asked).unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
}

#[test]
fn a_slave_follows_redirects_and_outlives_the_node_it_was_sent_to() {
    let (mut mesh, _sources) = mesh();
    let slave = Icecast::slave_of(&mesh.nodes[0].address(), RELAY_PASSWORD, false);
    for mount in MOUNTS {
        hears(&slave, mount);
        let title = format!("On{}", mount.replace(['/', '.'], "-"));
        says_title(&mesh, mount, &title);
        let look = || so(slave.status().contains(&title), slave.status());
        eventually(PATIENCE, "the title is at the slave", look);
    }
    let look = || {
        let served = mesh.nodes.iter().position(|node| listeners(node) > 0);
        served.ok_or("nobody listens anywhere")
    };
    let (serving, _) = eventually(PATIENCE, "a node serves the slave", look);
    assert_ne!(serving, 0, "the first one redirects");
    mesh.nodes[serving].kill9();
    mesh.nodes.remove(serving);
    let look = || {
        let listeners = mesh.nodes.iter().map(listeners).sum::<u32>();
        so(listeners == 2, format!("{listeners} listeners"))
    };
    eventually(2 * PATIENCE, "both relays go on by another node", look);
    MOUNTS.iter().for_each(|mount| hears(&slave, mount));
}

/// The listeners of a node, as it reports them each second.
fn listeners(node: &TestNode) -> u32 {
    let seen = node.opinion_of(node.name());
    seen.map_or(0, |seen| seen.listeners)
}

#[test]
fn a_slave_on_demand_asks_when_somebody_listens() {
    let (mesh, _sources) = mesh();
    let slave = Icecast::slave_of(&mesh.nodes[1].address(), RELAY_PASSWORD, true);
    let look = || {
        let answer = Player::try_tune_in(&format!("{}{}", slave.url(), MOUNTS[0]));
        answer.map_err(|error| error.to_string())
    };
    let (player, _) = eventually(PATIENCE, "the slave knows the stream", look);
    player.wait_for(HEARD_BYTES);
    let look = || {
        let listeners = mesh.nodes.iter().map(listeners).sum::<u32>();
        so(listeners == 1, format!("{listeners} listeners"))
    };
    eventually(
        PATIENCE,
        "the one stream is asked for, and not the other",
        look,
    );
}

#[test]
fn the_list_is_for_relays_and_operators_only() {
    let (mesh, _sources) = mesh();
    mesh.nodes[0].create_mount_with("/hidden.mp3", PASSWORD, "\"hidden\":true");
    mesh.create_mount("/silent.mp3", PASSWORD);
    let _hidden = KnownSource::start(&mesh.nodes[0], "/hidden.mp3", PASSWORD);
    let demand = "\"relay\":\"http://127.0.0.1:1/x\",\"on_demand\":true";
    mesh.nodes[0].create_mount_with("/demand.mp3", PASSWORD, demand);
    mesh.nodes[0].create_mount_with("/falls.mp3", PASSWORD, "\"fallback\":\"/one.mp3\"");
    for node in &mesh.nodes {
        let asked = |login: &str| {
            let asked = format!("GET /admin/streamlist.txt HTTP/1.0\r\n{login}\r\n");
            ask(&node.address(), &asked).unwrap()
        };
        let login = |user, password| format!("Authorization: {}\r\n", basic(user, password));
        for stranger in [
            String::new(),
            login("relay", "wrong"),
            login("source", PASSWORD),
        ] {
            let answer = asked(&stranger);
            assert_eq!(answer.head.status, 401, "{stranger}");
            let told = answer.text();
            assert!(told.contains("antiphon password set --relay"), "{told}");
        }
        let look = || {
            let answer = asked(&login("relay", RELAY_PASSWORD));
            let expected = "/demand.mp3\r\n/falls.mp3\r\n/one.mp3\r\n/two.mp3\r\n";
            so(
                answer.head.status == 200 && answer.text() == expected,
                answer.text(),
            )
        };
        eventually(PATIENCE, "the list has what can be heard", look);
        let token = format!("Authorization: Bearer {}\r\n", node.token());
        assert_eq!(asked(&token).head.status, 200);
    }
    let log = mesh.nodes[0].log();
    assert!(log.contains("login refused"), "{log}");
}
