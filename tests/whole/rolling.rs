//! A mesh of two builds: the last one and this one, side by side and one after the other.
//!
//! `make rolling` builds the older program from git and names it in `ANTIPHON_OLDER`.

mod audience;
mod ogg;

use std::env;

use crate::support::mesh::TestMesh;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// The nodes of three that run the older build in a mixed mesh; the order of names decides who is the first master.
const MIXES: [[bool; 3]; 3] = [
    [true, true, false],
    [false, false, true],
    [true, false, true],
];

fn older() -> String {
    env::var("ANTIPHON_OLDER").expect("ANTIPHON_OLDER names the older program: make rolling")
}

fn built_by(is_older: bool, setup: Setup) -> Setup {
    match is_older {
        true => setup.program(&older()),
        false => setup,
    }
}

/// A mesh of both builds.
fn mixed(is_older: &[bool]) -> TestMesh {
    TestMesh::start_with(is_older.len(), |index, setup| {
        built_by(is_older[index], setup)
    })
}

fn passthrough(node: &TestNode) -> String {
    at(node, RADIO)
}

/// The address at which a node itself serves a mount.
fn at(node: &TestNode, mount: &str) -> String {
    format!("{}/_stream/n1{mount}", node.url())
}

/// The links of a mesh, which are all to stay from now on.
struct Links {
    /// How long the log of each node is.
    logged: Vec<usize>,
}

impl Links {
    fn watch(mesh: &TestMesh) -> Self {
        let logged = mesh.nodes.iter().map(|node| node.log().len()).collect();
        Self { logged }
    }

    /// Checks that no node has lost or made a link since, or was sent what it cannot read.
    fn check(&self, mesh: &TestMesh) {
        for (node, logged) in mesh.nodes.iter().zip(&self.logged) {
            let log = node.log().split_off(*logged);
            let is_trouble = |line: &&str| line.contains(" link{") || line.contains(" WARN ");
            let trouble: Vec<&str> = log.lines().filter(is_trouble).collect();
            assert!(trouble.is_empty(), "{}: {trouble:#?}", node.name());
        }
        mesh.wait_agreed();
    }
}

#[test]
#[ignore = "needs the program of an older build: make rolling"]
fn a_mixed_mesh_plays_and_fails_over() {
    for mix in MIXES {
        println!("older: {mix:?}");
        let mut mesh = mixed(&mix);
        mesh.create_mount(RADIO, PASSWORD);
        let (master, others) = (mesh.master(), mesh.others());
        let (ingest, edge) = (others[0], others[1]);
        let source = KnownSource::start(&mesh.nodes[ingest], RADIO, PASSWORD);
        mesh.wait_on_air(RADIO);
        let urls = [ingest, edge].map(|node| passthrough(&mesh.nodes[node]));
        let players = urls.map(|url| Player::tune_in(&url));
        for player in &players {
            player.wait_for_more(40 * FRAME_BYTES);
        }
        mesh.nodes[master].kill9();
        mesh.wait_agreed_without(&[master]);
        for player in &players {
            player.wait_for_more(100 * FRAME_BYTES);
            signal::check(&player.bytes());
        }
        mesh.nodes[master].restart();
        mesh.wait_agreed();
        mesh.nodes[ingest].kill9();
        drop(source);
        let refuge = &mesh.nodes[edge];
        let knock = || KnownSource::try_start(refuge, RADIO, PASSWORD);
        let (_source, _) = eventually(PATIENCE, "the mount is free again", knock);
        let player = &players[1];
        player.wait_for_more(100 * FRAME_BYTES);
        assert_eq!(signal::check_spliced(&player.bytes()).len(), 2);
    }
}

#[test]
#[ignore = "needs the program of an older build: make rolling"]
fn nodes_of_both_builds_send_listeners_to_each_other() {
    for front_is_older in [true, false] {
        let mesh = TestMesh::start_with(2, |index, setup| {
            let setup = built_by((index == 0) == front_is_older, setup);
            match index {
                0 => setup.with(&["--max-listeners", "0"]),
                _ => setup,
            }
        });
        mesh.create_mount(RADIO, PASSWORD);
        let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
        mesh.wait_on_air(RADIO);
        let front = format!("{}{RADIO}", mesh.nodes[0].url());
        let (_, head) = ask_for_stream(&front).unwrap();
        assert!(
            head.location().starts_with(&mesh.nodes[1].url()),
            "{head:?}"
        );
        let players: Vec<Player> = (0..5).map(|_| Player::tune_in(&front)).collect();
        for player in &players {
            player.wait_for_more(20 * FRAME_BYTES);
            signal::check(&player.bytes());
        }
        mesh.wait_each_sees(RADIO, "five listeners", |mount| mount.listeners == 5);
    }
}

#[test]
#[ignore = "needs the program of an older build: make rolling"]
fn a_mesh_is_upgraded_node_by_node_and_nobody_hears_it() {
    let mut mesh = TestMesh::start_with(3, |_, setup| setup.program(&older()));
    mesh.create_mount(RADIO, PASSWORD);
    // It is shown by the first master, which need not be the first node.
    let shown = || {
        let mut shown = mesh.nodes.iter().filter_map(TestNode::shown_admin_password);
        shown.next().ok_or("not yet")
    };
    let (password, _) = eventually(PATIENCE, "a node shows the admin password", shown);
    for upgraded in 0..mesh.nodes.len() {
        let others: Vec<usize> = (0..mesh.nodes.len()).filter(|it| *it != upgraded).collect();
        let source = KnownSource::start(&mesh.nodes[others[0]], RADIO, PASSWORD);
        mesh.wait_on_air(RADIO);
        let players: Vec<Player> = others
            .iter()
            .map(|node| Player::tune_in(&passthrough(&mesh.nodes[*node])))
            .collect();
        for player in &players {
            player.wait_for_more(40 * FRAME_BYTES);
        }
        assert!(mesh.nodes[upgraded].stop().success());
        mesh.nodes[upgraded].upgrade_from_now_on();
        mesh.nodes[upgraded].restart();
        mesh.wait_agreed();
        for player in &players {
            player.wait_for_more(60 * FRAME_BYTES);
            signal::check(&player.bytes());
        }
        drop((source, players));
        let node = &mesh.nodes[upgraded];
        assert_eq!(node.mounts(), [RADIO], "it has kept the document");
        eventually(PATIENCE, "the admin's password is the same", || {
            let status = node.admin_status(&password);
            so(status == 200, status)
        });
        mesh.wait_each_sees(RADIO, "nobody is on air", |mount| mount.source.is_none());
    }
}
