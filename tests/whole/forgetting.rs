//! A dead node that was forgotten stays forgotten, whichever node is restarted, until it comes back itself.

use antiphon::model::status::NodeState;

use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};

/// The nodes of the mesh that stay.
const STAYING: [usize; 3] = [0, 1, 2];
/// The one that is forgotten, and its name.
const GONE: usize = 3;
const NAME: &str = "n4";

fn forget(node: &TestNode, name: &str) -> (u16, String) {
    let target = format!("/api/v1/nodes/{name}");
    let answer = node.api("DELETE", &target, "").unwrap();
    (answer.head.status, answer.text())
}

fn who_shows(mesh: &TestMesh) -> Vec<&str> {
    let staying = STAYING.iter().map(|index| &mesh.nodes[*index]);
    let showing = staying.filter(|node| node.opinion_of(NAME).is_some());
    showing.map(TestNode::name).collect()
}

fn wait_hidden(mesh: &TestMesh) {
    eventually(PATIENCE, "nobody shows the forgotten node", || {
        let showing = who_shows(mesh);
        so(showing.is_empty(), format!("{showing:?} show it"))
    });
}

/// Until every node that stays shows it, and as dead.
fn wait_dead(mesh: &TestMesh) {
    let look = || {
        for index in STAYING {
            let seen = mesh.nodes[index].opinion_of(NAME).map(|it| it.state);
            so(seen == Some(NodeState::Dead), format!("{seen:?}"))?;
        }
        Ok::<_, String>(())
    };
    eventually(PATIENCE, "every node shows the dead one", look);
}

#[test]
fn a_forgotten_node_stays_forgotten_until_it_returns_itself() {
    let mut mesh = TestMesh::start(4);
    mesh.nodes[GONE].kill9();
    wait_dead(&mesh);
    let (status, text) = forget(&mesh.nodes[0], NAME);
    assert_eq!(status, 204, "{text}");
    wait_hidden(&mesh);

    let mut restarts_that_show_it = 0;
    for index in STAYING {
        mesh.nodes[index].kill9();
        mesh.nodes[index].restart();
        mesh.wait_agreed_among(&STAYING);
        restarts_that_show_it += usize::from(!who_shows(&mesh).is_empty());
    }
    println!("after {restarts_that_show_it} of 3 restarts somebody shows it again");
    assert_eq!(restarts_that_show_it, 0);

    for (index, name) in [(0, NAME), (1, NAME), (2, NAME), (1, "never-heard-of")] {
        let (status, text) = forget(&mesh.nodes[index], name);
        assert_eq!(status, 204, "{name}, again: {text}");
    }
    let told = done(&mesh.nodes[2].command("node", &["forget", NAME]));
    assert_eq!(told, "forgot n4\n");

    mesh.nodes[GONE].restart();
    mesh.wait_agreed();
    let (status, text) = forget(&mesh.nodes[0], NAME);
    assert!(
        status == 409 && text.contains("not dead"),
        "{status} {text}"
    );
    mesh.nodes[GONE].kill9();
    wait_dead(&mesh); // a later life than the forgotten one is news

    for index in [1, 2] {
        mesh.nodes[index].kill9();
    }
    mesh.nodes[1].restart();
    let (status, text) = forget(&mesh.nodes[1], NAME);
    assert_eq!(
        status, 204,
        "by a node that may not have heard of it yet: {text}"
    );
    mesh.nodes[2].restart();
    mesh.wait_agreed_among(&STAYING);
    wait_hidden(&mesh);
}
