//! A mesh of nodes on this machine.

use std::time::Duration;

use antiphon::logic::policy::explain::Prediction;
use antiphon::model::status::{MountStatus, NodeState};

use super::node::{Setup, TestNode, new_secret};
use super::patience::{PATIENCE, eventually, so};

/// Nodes that share a secret; the first was there before the others, who joined it.
#[derive(Debug)]
pub(crate) struct TestMesh {
    /// The nodes in the order in which they were started: n1, n2 and so on.
    pub(crate) nodes: Vec<TestNode>,
    secret: String,
}

impl TestMesh {
    /// So many nodes, which all know each other and agree on a master.
    pub(crate) fn start(nodes: usize) -> Self {
        Self::start_with(nodes, |_, setup| setup)
    }

    /// The same, each set up further by the test: it is told the node's index.
    pub(crate) fn start_with(nodes: usize, more: impl Fn(usize, Setup) -> Setup) -> Self {
        let mut mesh = Self {
            nodes: Vec::new(),
            secret: new_secret(),
        };
        for index in 0..nodes {
            let mut setup = mesh.next_setup();
            if let Some(first) = mesh.nodes.first() {
                setup = setup.join(&first.address());
            }
            mesh.nodes.push(more(index, setup).start());
        }
        mesh.wait_agreed();
        mesh
    }

    /// A node with the next name and the mesh's secret, which joins nobody yet.
    pub(crate) fn next_setup(&self) -> Setup {
        Setup::named(&format!("n{}", self.nodes.len() + 1)).secret(&self.secret)
    }

    /// Starts one more node, which is told of one peer only.
    pub(crate) fn add_joining(&mut self, peer: usize) -> &TestNode {
        let setup = self.next_setup().join(&self.nodes[peer].address());
        self.nodes.push(setup.start());
        self.nodes.last().expect("just added")
    }

    /// Waits until all nodes see each other alive and the same master; how long it took.
    pub(crate) fn wait_agreed(&self) -> Duration {
        self.wait_agreed_without(&[])
    }

    /// Waits until all nodes but the named ones see each other alive, the named ones not, and one same living
    /// master.
    pub(crate) fn wait_agreed_without(&self, gone: &[usize]) -> Duration {
        let here = |index: &usize| !gone.contains(index);
        let indices: Vec<usize> = (0..self.nodes.len()).filter(here).collect();
        let mut names: Vec<&str> = indices.iter().map(|it| self.nodes[*it].name()).collect();
        names.sort_unstable();
        let look = || {
            let mut masters = Vec::new();
            for index in &indices {
                let node = &self.nodes[*index];
                let alive = node.alive();
                so(alive == names, format!("{} sees {alive:?}", node.name()))?;
                let status = node.try_status().map_err(|error| error.to_string())?;
                masters.push((status.master.map(|it| it.to_string()), status.epoch));
            }
            masters.dedup();
            let [(Some(master), _)] = &masters[..] else {
                return Err(format!("masters: {masters:?}"));
            };
            so(names.contains(&&**master), format!("{master} is gone"))
        };
        let what = format!("{names:?} agree on each other and a master");
        eventually(PATIENCE, &what, look).1
    }

    /// The same, of these nodes among themselves.
    pub(crate) fn wait_agreed_among(&self, here: &[usize]) -> Duration {
        let all = 0..self.nodes.len();
        let gone: Vec<usize> = all.filter(|it| !here.contains(it)).collect();
        self.wait_agreed_without(&gone)
    }

    /// The name of the node at `HOST:PORT`.
    pub(crate) fn named(&self, address: &str) -> &str {
        let mut nodes = self.nodes.iter();
        let node = nodes.find(|node| node.address() == address);
        node.expect("one of ours").name()
    }

    /// Waits until nobody who may serve listeners of a mount is new to any node: who is new takes few at first.
    pub(crate) fn wait_warm(&self, mount: &str) {
        let look = || {
            for node in &self.nodes {
                let warmth = |it: Prediction| it.warmth;
                let warmths: Vec<f64> = node.predictions(mount).into_iter().map(warmth).collect();
                let all = warmths.iter().all(|it| *it >= 1.0);
                so(all, format!("{} sees {warmths:?}", node.name()))?;
            }
            Ok::<_, String>(())
        };
        eventually(PATIENCE, "no node is new any more", look);
    }

    /// The index of the master, by the first node that answers.
    pub(crate) fn master(&self) -> usize {
        self.try_master().expect("a master")
    }

    /// The same; none while the seat is empty.
    pub(crate) fn try_master(&self) -> Option<usize> {
        let status = self.nodes.iter().find_map(|node| node.try_status().ok());
        let master = status.expect("a node answers").master?;
        let mut nodes = self.nodes.iter();
        let position = nodes.position(|node| node.name() == master.as_str());
        Some(position.expect("the master is one of ours"))
    }

    /// The indices of all that are not the master, in order.
    pub(crate) fn others(&self) -> Vec<usize> {
        let master = self.master();
        (0..self.nodes.len())
            .filter(|index| *index != master)
            .collect()
    }

    /// Creates a mount on the first node and waits until every node knows it.
    pub(crate) fn create_mount(&self, path: &str, password: &str) {
        self.nodes[0].create_mount(path, password);
        self.wait_for_mount(path);
    }

    /// Waits until every node knows a mount; how long it took.
    pub(crate) fn wait_for_mount(&self, path: &str) -> Duration {
        let known = |node: &TestNode| node.mounts().iter().any(|it| it == path);
        let look = || match self.nodes.iter().find(|node| !known(node)) {
            Some(node) => Err(format!("{} does not know it", node.name())),
            None => Ok(()),
        };
        eventually(PATIENCE, &format!("every node knows {path}"), look).1
    }

    /// Waits until every node sees a source on a mount.
    pub(crate) fn wait_on_air(&self, path: &str) {
        self.wait_each_sees(path, "a source on the mount", |mount| {
            mount.source.is_some()
        });
    }

    /// Waits until every node sees a mount as it should be; how long it took.
    pub(crate) fn wait_each_sees(
        &self,
        path: &str,
        what: &str,
        should: impl Fn(&MountStatus) -> bool,
    ) -> Duration {
        self.wait_each_sees_within(PATIENCE, path, what, should)
    }

    /// The same, for what takes longer than [`PATIENCE`] by itself.
    pub(crate) fn wait_each_sees_within(
        &self,
        limit: Duration,
        path: &str,
        what: &str,
        should: impl Fn(&MountStatus) -> bool,
    ) -> Duration {
        let look = || {
            for node in &self.nodes {
                let status = node.try_status().map_err(|error| error.to_string())?;
                let mut mounts = status.mounts.into_iter();
                let mount = mounts.find(|it| it.path.as_str() == path);
                let good = mount.as_ref().is_some_and(&should);
                so(good, format!("{} sees {mount:?}", node.name()))?;
            }
            Ok::<_, String>(())
        };
        eventually(limit, &format!("every node sees {what}: {path}"), look).1
    }

    /// Waits until each of these nodes sees another one in a state; how long it took.
    pub(crate) fn wait_state(
        &self,
        witnesses: &[usize],
        name: &str,
        states: &[NodeState],
    ) -> Duration {
        let look = || {
            for witness in witnesses {
                let node = &self.nodes[*witness];
                let state = node.opinion_of(name).map(|it| it.state);
                let good = state.is_none_or(|it| states.contains(&it));
                so(good, format!("{} sees {state:?}", node.name()))?;
            }
            Ok::<_, String>(())
        };
        eventually(PATIENCE, &format!("{name} is seen as {states:?}"), look).1
    }
}
