//! A mesh with a mount that has an outside relay.

use antiphon::model::outside_relay::OutsideRelayStage;
use antiphon::model::status::outside_relay::OutsideRelayStatus;
use antiphon::model::status::{MountStatus, Status};

use crate::support::icecast::Icecast;
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};

pub(super) const RADIO: &str = "/radio.mp3";
pub(super) const PASSWORD: &str = "hackme-not";
/// The mount of the Icecast servers that are relayed.
pub(super) const UPSTREAM: &str = "/up.mp3";
/// Bytes of a second of what they send.
pub(super) const SECOND_BYTES: usize = 16_000;

pub(super) struct Stage {
    pub(super) mesh: TestMesh,
}

/// An Icecast with a stream on air.
pub(super) fn icecast() -> Icecast {
    Icecast::start(20, &[(UPSTREAM, None)])
}

/// The address of its stream.
pub(super) fn address(icecast: &Icecast) -> String {
    format!("{}{UPSTREAM}", icecast.url())
}

impl Stage {
    /// So many nodes, and a mount that is relayed from these addresses.
    pub(super) fn set(nodes: usize, addresses: &[String]) -> Self {
        let stage = Self {
            mesh: TestMesh::start(nodes),
        };
        stage.mesh.create_mount(RADIO, PASSWORD);
        stage.change(&format!("relay={}", addresses.join(",")));
        stage
    }

    /// Changes a setting of the mount.
    pub(super) fn change(&self, setting: &str) {
        let words = ["set", RADIO, setting];
        done(&self.mesh.nodes[0].command("mount", &words));
    }

    /// Waits until every node hears that the stream of an address is on air: its place from 1.
    pub(super) fn wait_plays(&self, number: u32) {
        self.mesh.wait_each_sees(RADIO, "the outside relay", |it| {
            let relay = it.outside_relay.as_ref().map(|it| &it.report);
            let plays = relay
                .is_some_and(|it| it.stage == OutsideRelayStage::Running && it.number == number);
            plays && it.source.is_some()
        });
    }

    /// Waits until every node hears that the outside relay is at a stage.
    pub(super) fn wait_stage(&self, stage: OutsideRelayStage) {
        // One that nobody wants is idle after half a minute.
        self.mesh
            .wait_each_sees_within(2 * PATIENCE, RADIO, "the stage", |it| {
                let relay = it.outside_relay.as_ref();
                relay.is_some_and(|it| it.report.stage == stage)
            });
    }

    /// The node that gets the stream, and another one.
    pub(super) fn runner_and_other(&self) -> (usize, usize) {
        let look = || {
            let seen = relay(&self.mesh.nodes[0], RADIO);
            seen.and_then(|it| it.node).ok_or("nobody has it")
        };
        let (runner, _) = eventually(PATIENCE, "a node has the seat", look);
        let mut nodes = self.mesh.nodes.iter();
        let runner = nodes.position(|node| node.name() == runner.as_str());
        let runner = runner.unwrap();
        let other = (0..self.mesh.nodes.len()).find(|it| *it != runner);
        (runner, other.unwrap_or(runner))
    }
}

/// A mount as an operator sees it at a node.
pub(super) fn seen(node: &TestNode, mount: &str) -> Option<MountStatus> {
    let answer = node.api("GET", "/status.json", "").ok()?;
    let status: Status = serde_json::from_slice(&answer.body).ok()?;
    let mut mounts = status.mounts.into_iter();
    mounts.find(|it| it.path.as_str() == mount)
}

/// The outside relay of a mount as an operator sees it at a node.
pub(super) fn relay(node: &TestNode, mount: &str) -> Option<OutsideRelayStatus> {
    seen(node, mount)?.outside_relay
}

/// Waits until the trouble of a mount's outside relay has these words.
pub(super) fn wait_trouble(node: &TestNode, mount: &str, words: &str) {
    let look = || {
        let seen = relay(node, mount);
        let trouble = seen.as_ref().and_then(|it| it.report.trouble.clone());
        so(
            trouble.is_some_and(|it| it.contains(words)),
            format!("{seen:?}"),
        )
    };
    eventually(PATIENCE, &format!("{mount} says {words:?}"), look);
}
