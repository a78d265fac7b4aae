//! The listeners of the whole mesh, for operators: each node lists and ends its own, asked over its link.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info};

use super::Audience;
use crate::io::link::{Exchange, ExchangeError};
use crate::model::listener::{ListedListener, ListenerId, ListenerList, SilentNode};
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::proto::view::{FrameSupport, MeshNode};
use crate::service::mesh::Mesh;
use crate::service::node_question::{JUST_STARTED, NoAnswer, NodeQuestion, ask_node};
use crate::wire::audience::{AudienceQuestion, ListenerPage};
use crate::wire::frame::{Denial, Frame};

/// How long another node may take to answer: several round trips, and less than an operator waits. All are asked at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// The most listeners of one node in a list: a screen shows fifty, and a program reads that many in a second.
const MAX_OF_NODE: usize = 10_000;
/// The most listeners of all nodes together in a list: 6 MB of JSON, which the answering node holds in memory.
const MAX_IN_ALL: usize = 20_000;

/// A cheap, cloneable way to the listeners of all nodes.
#[derive(Clone, Debug)]
pub struct MeshAudience {
    audience: Audience,
    mesh: Mesh,
}

/// Why a node said nothing about its listeners.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("it is dead or cut off; its listeners may still be there")]
    Dead,
    #[error("it runs a version that does not list its listeners: upgrade it")]
    TooOld,
    #[error("{JUST_STARTED}")]
    JustStarted,
    #[error("no answer within {ANSWER_LIMIT:?}")]
    TooSlow,
    #[error("the question failed at this node: look into its log")]
    Failed,
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// Why a listener was not ended, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum NotKilled {
    /// The node has no such listener.
    #[error("there is no listener {0}: it has left, or the id is wrong")]
    NoListener(ListenerId),
    /// The node lists and ends no listeners, not even its own when it is asked itself.
    #[error("{0} runs an older version, which does not end single listeners: upgrade it")]
    TooOld(NodeName),
    /// The listener's node has not confirmed that it has ended it.
    #[error(transparent)]
    NoAnswer(NoAnswer),
}

impl MeshAudience {
    /// The listeners here are in this register, the others in those of the nodes of this mesh.
    pub fn new(audience: Audience, mesh: Mesh) -> Self {
        Self { audience, mesh }
    }

    /// Lists the listeners of a mount, or all, and says which nodes did not answer. A node that has left has none.
    pub async fn list(&self, mount: Option<&MountName>) -> ListenerList {
        let view = self.mesh.cluster.view();
        let others = view.nodes.iter();
        let others = others.filter(|(name, node)| **name != view.me && !node.has_left);
        let others: Vec<(&NodeName, &MeshNode)> = others.collect();
        let most = (MAX_IN_ALL / (1 + others.len())).min(MAX_OF_NODE);
        let mut asking = JoinSet::new();
        let mut asked = BTreeSet::new();
        for (name, node) in others {
            let (this, name, mount) = (self.clone(), name.clone(), mount.cloned());
            asked.insert(name.clone());
            let is_up = node.is_up();
            asking.spawn(async move {
                let told = match is_up {
                    true => this.ask_for_list(&name, mount, most).await,
                    false => Err(Silence::Dead),
                };
                (name, told)
            });
        }
        let mut list = ListenerList::default();
        add(&mut list, &view.me, self.audience.list(mount, most));
        gather(&mut list, asking, asked).await;
        list.listeners.sort_by(|one, other| one.id.cmp(&other.id));
        list.silent.sort_by(|one, other| one.node.cmp(&other.node));
        list
    }

    async fn ask_for_list(
        &self,
        node: &NodeName,
        mount: Option<MountName>,
        most: usize,
    ) -> Result<ListenerPage, Silence> {
        let support = self.mesh.frame_support(node, |card| card.lists_listeners);
        match support.await {
            FrameSupport::Reads => {}
            FrameSupport::TooOld => return Err(Silence::TooOld),
            FrameSupport::NoCard => return Err(Silence::JustStarted),
            FrameSupport::NoLink => return Err(ExchangeError::NoLink.into()),
        }
        let question = AudienceQuestion::List {
            mount,
            most: most as u32,
        };
        let asking = async {
            let question = Frame::Audience(question);
            let mut exchange = self.mesh.links.open(node, &question).await?;
            exchange.finish();
            let mut whole: Option<ListenerPage> = None;
            while let Some(frame) = exchange.receive().await? {
                let Frame::Listeners(page) = frame else {
                    return Err(ExchangeError::Unexpected);
                };
                whole.get_or_insert_default().append(page, most);
            }
            whole.ok_or(ExchangeError::Unexpected)
        };
        match timeout(ANSWER_LIMIT, asking).await {
            Ok(told) => Ok(told?),
            Err(_) => Err(Silence::TooSlow),
        }
    }

    /// Ends a listener, wherever it is.
    pub async fn kill(&self, id: &ListenerId) -> Result<(), NotKilled> {
        let view = self.mesh.cluster.view();
        let is_killed = if id.node == view.me {
            self.kill_here(id.number, &view.me)
        } else {
            let question = NodeQuestion {
                frame: Frame::Audience(AudienceQuestion::Kill(id.number)),
                limit: ANSWER_LIMIT,
                flag: |card| card.lists_listeners,
                expects: |answer| matches!(answer, Frame::Done | Frame::Denied(Denial::NotHere)),
                confirms: "that it has ended the listener",
            };
            match ask_node(&self.mesh, &id.node, question).await {
                Ok(answer) => matches!(answer, Frame::Done),
                Err(NoAnswer::Left(_)) => false,
                Err(NoAnswer::TooOld { name, .. }) => return Err(NotKilled::TooOld(name)),
                Err(why) => return Err(NotKilled::NoAnswer(why)),
            }
        };
        match is_killed {
            true => Ok(()),
            false => Err(NotKilled::NoListener(id.clone())),
        }
    }

    /// Ends a listener of this node, as an operator has asked at a node; whether there was one.
    fn kill_here(&self, number: u64, asked_at: &NodeName) -> bool {
        let killed = self.audience.kill(number);
        if let Some(attendee) = &killed {
            let (mount, client) = (&attendee.mount, attendee.ip);
            info!(number, %mount, %client, %asked_at, "an operator has ended a listener");
        }
        killed.is_some()
    }

    /// Answers another node.
    pub async fn answer(
        &self,
        from: &NodeName,
        question: AudienceQuestion,
        mut exchange: Exchange,
    ) {
        let answer = match question {
            AudienceQuestion::List { mount, most } => {
                let most = MAX_OF_NODE.min(most as usize);
                let pages = self.audience.list(mount.as_ref(), most).split();
                pages.into_iter().map(Frame::Listeners).collect()
            }
            AudienceQuestion::Kill(number) => match self.kill_here(number, from) {
                true => vec![Frame::Done],
                false => vec![Frame::Denied(Denial::NotHere)],
            },
        };
        for frame in answer {
            if let Err(error) = exchange.send(&frame).await {
                debug!(%from, %error, "the answer did not arrive");
                return;
            }
        }
        exchange.finish();
    }
}

/// A page of a node's listeners, or the reason why it gave none.
type NodePage = (NodeName, Result<ListenerPage, Silence>);

/// Adds what the nodes tell that are being asked. One that is not heard is named as silent, whatever the reason.
async fn gather(
    list: &mut ListenerList,
    mut asking: JoinSet<NodePage>,
    mut asked: BTreeSet<NodeName>,
) {
    while let Some(joined) = asking.join_next().await {
        let Ok((node, told)) = joined else {
            continue; // it has panicked, and its node is among those that are left
        };
        asked.remove(&node);
        match told {
            Ok(page) => add(list, &node, page),
            Err(silence) => list.silent.push(silent(node, &silence)),
        }
    }
    let unheard = asked.into_iter();
    list.silent
        .extend(unheard.map(|node| silent(node, &Silence::Failed)));
}

fn silent(node: NodeName, silence: &Silence) -> SilentNode {
    let why = silence.to_string();
    SilentNode { node, why }
}

/// Adds what a node has told to the list.
fn add(list: &mut ListenerList, node: &NodeName, page: ListenerPage) {
    let listed = page.listeners.len() as u64;
    list.left_out = list
        .left_out
        .saturating_add(page.total.saturating_sub(listed));
    let rows = page.listeners.into_iter();
    list.listeners.extend(rows.map(|(number, facts)| {
        let node = node.clone();
        let id = ListenerId {
            node: node.clone(),
            number,
        };
        ListedListener { id, node, facts }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;
    use crate::io::pacer::Left;
    use crate::model::node::Generation;
    use crate::model::status::NodeState;
    use crate::service::audience::tests::{RADIO, Stage};
    use crate::service::mesh::samples::SampleMesh;

    /// The node `a` with the listeners of a stage. It knows nodes that cannot be asked, each for another reason.
    async fn among_unreachable_nodes(stage: &Stage) -> (SampleMesh, MeshAudience) {
        let sample = SampleMesh::start().await;
        sample.view.send_modify(|view| {
            let mut seen = (**view).clone();
            for (name, state, lists_listeners) in [
                ("gone", NodeState::Dead, true),
                ("left", NodeState::Dead, true),
                ("old", NodeState::Alive, false),
                ("cut", NodeState::Unlinked, true),
            ] {
                let mut node = MeshNode::unheard(Generation(1), clock::now());
                node.state = state;
                node.has_left = name == "left";
                node.card.lists_listeners = lists_listeners;
                seen.nodes.insert(name.parse().unwrap(), node);
            }
            *view = seen.into();
        });
        let audience = MeshAudience::new(stage.audience.clone(), sample.mesh.clone());
        (sample, audience)
    }

    #[tokio::test]
    async fn nodes_that_do_not_tell_are_named_beside_the_list() {
        let stage = Stage::open();
        let _attending = [stage.enter(), stage.enter()];
        let (_sample, audience) = among_unreachable_nodes(&stage).await;
        let list = audience.list(None).await;
        let ids: Vec<String> = list.listeners.iter().map(|it| it.id.to_string()).collect();
        assert_eq!((ids.join(" "), list.left_out), ("1@a 2@a".to_owned(), 0));
        let silent: Vec<(&str, &str)> = list
            .silent
            .iter()
            .map(|it| (it.node.as_str(), it.why.as_str()))
            .collect();
        let [dead, too_old] = [Silence::Dead, Silence::TooOld].map(|it| it.to_string());
        let expected = [
            ("cut", "no link to that node"),
            ("gone", dead.as_str()),
            ("old", too_old.as_str()),
        ];
        assert_eq!(silent, expected);
        let [radio, other] = [RADIO, "/other.mp3"].map(|mount| mount.parse().unwrap());
        assert_eq!(audience.list(Some(&radio)).await.listeners.len(), 2);
        assert_eq!(audience.list(Some(&other)).await.listeners.len(), 0);
    }

    #[tokio::test]
    async fn a_listener_is_ended_once_and_each_refusal_says_why() {
        let stage = Stage::open();
        let attendance = stage.enter();
        let (_sample, audience) = among_unreachable_nodes(&stage).await;
        let kill = async |id: &str| audience.kill(&id.parse().unwrap()).await;
        kill("1@a").await.unwrap();
        let control = attendance.attendee().control();
        assert_eq!(control.ended(), Some(Left::Killed));
        for (id, why) in [
            ("1@a", "there is no listener 1@a"),
            ("2@a", "there is no listener 2@a"),
            ("1@b", "there is no node b; there are cut, gone, left, old"),
            (
                "1@gone",
                "gone is dead or cut off: there is no link to it, and it may",
            ),
            ("1@left", "there is no listener 1@left: it has left"),
            (
                "1@old",
                "old runs an older version, which does not end single listeners: upgrade it",
            ),
            (
                "1@cut",
                "did not confirm that it has ended the listener (no link",
            ),
        ] {
            let refusal = kill(id).await.unwrap_err().to_string();
            assert!(refusal.contains(why), "{id}: {refusal}");
        }
    }

    #[tokio::test]
    async fn a_question_that_panics_makes_its_node_silent() {
        let asked: BTreeSet<NodeName> = ["n1", "n2"].map(|name| name.parse().unwrap()).into();
        let mut asking = JoinSet::new();
        let broken = |node: &str| -> NodePage { panic!("{node}: as a bug would do") };
        asking.spawn(async move { broken("n1") });
        asking.spawn(async { ("n2".parse().unwrap(), Ok(ListenerPage::default())) });
        let mut list = ListenerList::default();
        gather(&mut list, asking, asked).await;
        let silent: Vec<&str> = list.silent.iter().map(|it| it.node.as_str()).collect();
        assert_eq!(silent, ["n1"]);
    }

    #[tokio::test]
    async fn the_log_names_the_listener_that_was_ended() {
        let stage = Stage::open();
        let _attending = stage.enter();
        let (_sample, audience) = among_unreachable_nodes(&stage).await;
        let paper = tempfile::NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt()
            .with_writer(std::sync::Arc::new(paper.reopen().unwrap()))
            .with_ansi(false);
        let killing = || audience.kill_here(1, &"n2".parse().unwrap());
        assert!(tracing::subscriber::with_default(lines.finish(), killing));
        let written = std::fs::read_to_string(paper.path()).unwrap();
        for field in [
            "number=1",
            "mount=/radio.mp3",
            "client=192.0.2.1",
            "asked_at=n2",
        ] {
            assert!(written.contains(field), "{field}: {written}");
        }
    }

    #[test]
    fn a_list_says_how_many_it_leaves_out() {
        let mut list = ListenerList::default();
        for (node, total) in [("n1", 7), ("n2", 0), ("n3", u64::MAX)] {
            let listeners = Vec::new();
            let page = ListenerPage { listeners, total };
            add(&mut list, &node.parse().unwrap(), page);
            assert!(list.left_out >= total);
        }
        assert_eq!(list.left_out, u64::MAX);
    }
}
