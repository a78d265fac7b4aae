//! The listeners of a mesh of two builds, listed and ended at a newer node: older ones cannot be asked, and are named.

use antiphon::model::listener::{ListedListener, ListenerList};

use super::{Links, MIXES, PASSWORD, RADIO, mixed, passthrough};
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;
use crate::support::tool::complaint;

/// The list of one node: all listeners that it can know of, and the nodes whose listeners are missing.
struct Asked<'a> {
    node: &'a TestNode,
    older: &'a [&'a str],
    newer: &'a [&'a str],
}

impl Asked<'_> {
    /// Waits until one listener of each newer node is listed, and checks that the older ones are named.
    fn list(&self) -> Vec<ListedListener> {
        let look = || {
            let output = self.node.command("listeners", &["--json"]);
            let list: ListenerList = serde_json::from_str(&done(&output)).unwrap();
            let silent: Vec<&str> = list.silent.iter().map(|it| it.node.as_str()).collect();
            assert_eq!(silent, self.older);
            let said = String::from_utf8_lossy(&output.stderr);
            for node in &list.silent {
                assert!(node.why.contains("upgrade it"), "{node:?}");
                let missing = format!("the listeners of {} are missing: {}", node.node, node.why);
                assert!(said.contains(&missing), "{said}");
            }
            let at: Vec<&str> = list.listeners.iter().map(|it| it.node.as_str()).collect();
            so(at == self.newer, format!("{at:?}")).map(|()| list.listeners)
        };
        eventually(PATIENCE, "the listeners of newer nodes are listed", look).0
    }
}

#[test]
#[ignore = "needs the program of an older build: make rolling"]
fn listeners_of_newer_nodes_are_listed_and_ended_and_older_nodes_are_named() {
    for mix in MIXES {
        println!("older: {mix:?}");
        let mesh = mixed(&mix);
        mesh.create_mount(RADIO, PASSWORD);
        let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
        mesh.wait_on_air(RADIO);
        let links = Links::watch(&mesh);
        let tune_in = |node| Player::tune_in(&passthrough(node));
        let mut players: Vec<Player> = mesh.nodes.iter().map(tune_in).collect();
        let all = || mesh.nodes.iter().zip(mix);
        let of = |older: bool| -> Vec<&str> {
            let nodes = all().filter(|(_, it)| *it == older);
            nodes.map(|(node, _)| node.name()).collect()
        };
        let (older, newer) = (of(true), of(false));
        for (node, _) in all().filter(|(_, is_older)| !is_older) {
            let (older, newer) = (&older[..], &newer[..]);
            Asked { node, older, newer }.list();
        }
        let asked = mix.iter().position(|is_older| !is_older).unwrap();
        let ended = mix.iter().rposition(|is_older| !is_older).unwrap();
        let node = &mesh.nodes[asked];
        let rows = Asked {
            node,
            older: &older,
            newer: &newer,
        }
        .list();
        let id = rows.last().unwrap().id.to_string();
        let beyond = format!("1@{}", older[0]);
        let why = complaint(&node.command("listeners", &["kill", &beyond]), 1);
        let older_one = format!("{} runs an older version", older[0]);
        assert!(why.contains(&older_one), "{why}");
        assert!(why.ends_with("upgrade it\n"), "{why}");
        let output = node.command("listeners", &["kill", &beyond, &id]);
        let why = complaint(&output, 1);
        assert!(why.contains("1 of 2 listeners were not ended"), "{why}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("ended {id}\n")
        );
        let gone = players.remove(ended);
        let look = || so(gone.is_closed(), "it plays");
        eventually(PATIENCE, "the listener is ended", look);
        for player in &players {
            player.wait_for_more(40 * FRAME_BYTES);
            signal::check(&player.bytes());
        }
        mesh.wait_each_sees(RADIO, "two listeners", |mount| mount.listeners == 2);
        // An older node that is asked itself has no such thing, and says so.
        let (node, _) = all().find(|(_, is_older)| *is_older).unwrap();
        for arguments in [&["--json"][..], &["kill", &beyond]] {
            println!("{}", complaint(&node.command("listeners", arguments), 1));
        }
        links.check(&mesh);
    }
}
