//! Stock icecast2 as a master of the mesh: each stream of its list is a mount here.

use antiphon::model::import::ImportStatus;
use antiphon::model::status::{MountStatus, Status};

use crate::support::decoder::until_edge;
use crate::support::http::{ask, basic};
use crate::support::icecast::{Icecast, LOGIN, RELAY_PASSWORD};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, decoded};

const ONE: &str = "/one.mp3";
const TWO: &str = "/two.mp3";
const PASSWORD: &str = "hackme-not";
/// Bytes of a second of what its sources send.
const SECOND_BYTES: usize = 16_000;

struct Stage {
    mesh: TestMesh,
    master: Icecast,
}

impl Stage {
    /// So many nodes beside a master with two streams, whose list is read every five seconds.
    fn set(nodes: usize, more: &[&str]) -> Self {
        let master = Icecast::start(20, &[(ONE, None), (TWO, None)]);
        let stage = Self {
            mesh: TestMesh::start(nodes),
            master,
        };
        stage.import("relay", RELAY_PASSWORD, more);
        stage
    }

    fn import(&self, user: &str, password: &str, more: &[&str]) {
        let address = self.master.address();
        let list =
            format!("import_streamlist=http://{user}:{password}@{address}/admin/streamlist.txt");
        let set = ["set", &*list, "import_interval_s=5", "import_keep_s=0"];
        let set = [&set[..], more].concat();
        done(&self.mesh.nodes[0].command("import", &set));
    }

    /// Waits until an operator sees at a node what should be of the imports.
    fn wait_import(
        &self,
        node: usize,
        what: &str,
        should: impl Fn(&ImportStatus) -> bool,
    ) -> ImportStatus {
        let node = &self.mesh.nodes[node];
        let look = || {
            let seen = status(node).and_then(|it| it.import);
            let good = seen.as_ref().is_some_and(&should);
            match seen.filter(|_| good) {
                Some(seen) => Ok(seen),
                None => Err(format!("{:?}", status(node).map(|it| it.import))),
            }
        };
        eventually(2 * PATIENCE, what, look).0
    }

    fn wait_trouble(&self, words: &str) {
        self.wait_import(0, words, |import| {
            let lists = &import.report.lists;
            let troubles = lists.iter().filter_map(|it| it.trouble.as_ref());
            troubles.into_iter().any(|it| it.contains(words))
        });
    }

    /// Waits until each node has the stream of a mount.
    fn wait_plays(&self, mount: &str) {
        let plays = |it: &MountStatus| it.source.is_some();
        self.mesh
            .wait_each_sees_within(2 * PATIENCE, mount, "the import", plays);
    }

    fn wait_gone(&self, mount: &str) {
        let look = || {
            let there = self
                .mesh
                .nodes
                .iter()
                .filter(|node| node.mounts().iter().any(|it| it == mount));
            let there: Vec<&str> = there.map(TestNode::name).collect();
            so(there.is_empty(), there.join(" "))
        };
        eventually(2 * PATIENCE, "the mount is gone everywhere", look);
    }
}

/// The status as an operator sees it at a node.
fn status(node: &TestNode) -> Option<Status> {
    let answer = node.api("GET", "/status.json", "").ok()?;
    serde_json::from_slice(&answer.body).ok()
}

#[test]
fn every_stream_of_the_list_plays_at_every_node() {
    let stage = Stage::set(3, &[]);
    for mount in [ONE, TWO] {
        stage.wait_plays(mount);
        for node in &stage.mesh.nodes {
            let player = Player::tune_in(&format!("{}/_stream/n1{mount}", node.url()));
            player.wait_for(7 * SECOND_BYTES);
            let whole = until_edge(&player.bytes(), "audio/mpeg").to_vec();
            let samples = decoded(node.name(), whole);
            assert!(samples.len() > 5 * 8_000, "{} samples", samples.len());
        }
    }
    let (user, password) = LOGIN.split_once(':').unwrap();
    let say = format!(
        "GET /admin/metadata?mode=updinfo&mount={TWO}&song=Second HTTP/1.0\r\nAuthorization: {}\r\n\r\n",
        basic(user, password)
    );
    assert_eq!(ask(&stage.master.address(), &say).unwrap().head.status, 200);
    stage
        .mesh
        .wait_each_sees(TWO, "the title", |it| it.title == "Second");
    let import = stage.wait_import(1, "the list is read", |import| {
        import
            .report
            .lists
            .iter()
            .all(|list| list.mounts == 2 && list.read_unix_s.is_some())
    });
    let list = &import.report.lists[0];
    assert_eq!((list.left_out, &list.trouble), (0, &None));
    let shown = done(&stage.mesh.nodes[2].command("import", &["show"]));
    assert!(shown.contains("2 mounts from http://***@"), "{shown}");
    let all = shown + &stage.mesh.nodes[0].log() + &format!("{:?}", status(&stage.mesh.nodes[0]));
    assert!(!all.contains(RELAY_PASSWORD), "a password is shown");
    assert!(
        stage.mesh.nodes[0].status().import.is_none(),
        "that is for operators"
    );
}

#[test]
fn mounts_come_and_go_with_the_list_and_stay_without_it() {
    let mut stage = Stage::set(2, &["import_prefix=/partner"]);
    let there = |mount: &str| format!("/partner{mount}");
    stage.wait_plays(&there(ONE));
    stage.wait_plays(&there(TWO));
    stage.master.end_source(1);
    stage.wait_gone(&there(TWO));
    stage.master.begin_source(1, "/three.mp3");
    stage.wait_plays("/partner/three.mp3");
    stage.master.kill9();
    stage.wait_trouble("look whether the server runs");
    stage.master.start_again();
    stage.master.begin_source(0, ONE);
    stage.master.begin_source(1, "/three.mp3");
    stage.wait_import(0, "the list is read again", |import| {
        import
            .report
            .lists
            .iter()
            .all(|list| list.trouble.is_none() && list.mounts == 2)
    });
    stage.wait_plays(&there(ONE));
    stage.wait_plays("/partner/three.mp3");
}

#[test]
fn another_node_reads_the_list_when_one_dies() {
    let mut stage = Stage::set(3, &[]);
    stage.wait_plays(ONE);
    let reads = |import: &ImportStatus| import.node.is_some() && !import.report.lists.is_empty();
    let reader = stage.wait_import(0, "a node reads", reads).node.unwrap();
    let mut nodes = stage.mesh.nodes.iter();
    let index = nodes
        .position(|node| node.name() == reader.as_str())
        .unwrap();
    stage.mesh.nodes[index].kill9();
    stage.mesh.nodes.remove(index);
    stage.wait_import(0, "another node reads", |import| {
        import.node.as_ref().is_some_and(|it| *it != reader) && reads(import)
    });
    stage.master.end_source(1);
    stage.master.begin_source(1, "/three.mp3");
    stage.wait_gone(TWO);
    stage.wait_plays("/three.mp3");
}

#[test]
fn a_mount_of_ones_own_is_left_alone() {
    let stage = Stage {
        mesh: TestMesh::start(1),
        master: Icecast::start(20, &[(ONE, None), (TWO, None)]),
    };
    stage.mesh.create_mount(ONE, PASSWORD);
    stage.import("relay", RELAY_PASSWORD, &[]);
    stage.wait_plays(TWO);
    let import = stage.wait_import(0, "one is left out", |import| {
        import
            .report
            .lists
            .iter()
            .any(|list| list.left_out == 1 && list.mounts == 1)
    });
    let why = &import.report.lists[0].first_left_out;
    assert!(
        why.contains("/one.mp3") && why.contains("stays as it is"),
        "{why}"
    );
    let node = &stage.mesh.nodes[0];
    let own = done(&node.command("mount", &["show", ONE]));
    assert!(!own.contains(&stage.master.address()), "{own}");
    // An operator keeps an imported mount by making it an own one.
    done(&node.command("mount", &["set", TWO, "imported_from="]));
    stage.wait_import(0, "both are left out", |import| {
        import
            .report
            .lists
            .iter()
            .any(|list| list.left_out == 2 && list.mounts == 0)
    });
    assert_eq!(node.mounts(), [ONE, TWO]);
}

#[test]
fn what_is_wrong_with_a_list_is_told() {
    let stage = Stage::set(2, &[]);
    stage.wait_plays(ONE);
    stage.import("relay", "wrong", &[]);
    stage.wait_trouble("the login is missing or wrong");
    assert_eq!(stage.mesh.nodes[1].mounts(), [ONE, TWO], "they stay");
    let node = &stage.mesh.nodes[0];
    let page = format!("import_streamlist=http://{}/none", stage.master.address());
    done(&node.command("import", &["set", &page]));
    stage.wait_trouble("it answers 404 Not Found: look at the address");
    let own = format!("import_streamlist={}", stage.mesh.nodes[1].url());
    let output = node.command("import", &["set", &own]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("leads to n2, a node of this mesh"), "{told}");
    let output = node.command("import", &["set", "import_streamlist=radio"]);
    assert!(!output.status.success());
}
