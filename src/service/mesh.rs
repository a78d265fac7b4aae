//! The parts of the mesh that nearly every service needs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::cluster::Cluster;
use super::document::Documents;
use crate::io::gossip::Gossip;
use crate::io::link::Links;
use crate::io::tasks::Tasks;
use crate::model::node::NodeName;
use crate::proto::view::{FrameFlag, FrameSupport};

/// How long the card of a node that has just been linked is waited for: a round of gossip (250 ms) and a little. It is less
/// than a relay waits for an answer (600 ms).
const CARD_WAIT: Duration = Duration::from_millis(350);

/// A cheap, cloneable handle to the parts of the mesh at this node.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// The links, to talk to one peer.
    pub links: Links,
    /// The gossip, to publish to all peers.
    pub gossip: Arc<Gossip>,
    /// Members, master, seats.
    pub cluster: Cluster,
    /// The replicated configuration.
    pub documents: Documents,
    /// The tasks that end with the node.
    pub tasks: Tasks,
}

impl Mesh {
    /// Whether a node reads a frame that not every version reads. Nobody sends such a frame without this question. A card
    /// that has not come yet is waited for.
    pub async fn frame_support(&self, name: &NodeName, flag: FrameFlag) -> FrameSupport {
        let (mut views, peers) = (self.cluster.watch(), self.links.peers());
        let mut support = FrameSupport::NoCard;
        let known = views.wait_for(|view| {
            let linked = peers.borrow().get(name).map(|hello| hello.generation);
            support = view.frame_support(name, linked, flag);
            support != FrameSupport::NoCard
        });
        let _in_time = timeout(CARD_WAIT, known).await;
        support
    }
}

#[cfg(test)]
pub(super) mod samples {
    use tempfile::TempDir;
    use tokio::sync::watch;

    use super::*;
    use crate::io::disk::DataDir;
    use crate::io::link::{Inbox, LinkConfig};
    use crate::io::tls::ClusterSecret;
    use crate::logic::document::Document;
    use crate::logic::election::Start;
    use crate::proto::view::MeshView;
    use crate::service::document::DocumentConfig;
    use crate::wire::frame::Hello;

    /// The parts of a node `a` without peers, on loopback. The test sets its view.
    pub(crate) struct SampleMesh {
        pub(crate) mesh: Mesh,
        pub(crate) view: watch::Sender<Arc<MeshView>>,
        _messages: tokio::sync::mpsc::Receiver<(NodeName, crate::wire::frame::Frame)>,
        _dir: TempDir,
    }

    impl SampleMesh {
        pub(crate) async fn start() -> Self {
            let tasks = Tasks::default();
            let config = LinkConfig {
                hello: Hello::sample("a"),
                listen: "127.0.0.1:0".parse().unwrap(),
                secret: ClusterSecret::parse(&"1".repeat(64)).unwrap(),
                tasks: tasks.clone(),
            };
            let (links, inbox) = Links::start(config).unwrap();
            let Inbox {
                gossip, messages, ..
            } = inbox;
            let gossip = Gossip::start(links.clone(), gossip, Vec::new());
            let gossip = Arc::new(gossip.await.unwrap());
            let name = links.hello().name.clone();
            let (view, seen) = watch::channel(Arc::new(MeshView::empty(name.clone())));
            let cluster = Cluster::scripted(seen);
            let dir = TempDir::new().unwrap();
            let config = DocumentConfig {
                document: Document::new(name),
                set_aside: None,
                links: links.clone(),
                gossip: gossip.clone(),
                cluster: cluster.clone(),
                data_dir: Arc::new(DataDir::open(dir.path()).unwrap()),
                start: Start::Founding,
            };
            let documents = Documents::start(config, &tasks);
            let mesh = Mesh {
                links,
                gossip,
                cluster,
                documents,
                tasks,
            };
            Self {
                mesh,
                view,
                _messages: messages,
                _dir: dir,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::SampleMesh;
    use super::*;
    use crate::io::clock;
    use crate::io::link::{Inbox, LinkConfig};
    use crate::io::tls::ClusterSecret;
    use crate::model::node::Generation;
    use crate::proto::view::MeshNode;
    use crate::wire::frame::Hello;
    use crate::wire::gossip::NodeCard;

    fn flag(card: &NodeCard) -> bool {
        card.lists_listeners
    }

    /// The card of a node in a life, as gossip brings it.
    fn hear_card(sample: &SampleMesh, name: &NodeName, life: u64) {
        let mut node = MeshNode::unheard(Generation(life), clock::now());
        node.card.lists_listeners = true;
        sample.view.send_modify(|view| {
            let mut seen = (**view).clone();
            seen.nodes.insert(name.clone(), node);
            *view = seen.into();
        });
    }

    /// A node in its second life, with a link from the sample's.
    async fn linked_in_second_life(sample: &SampleMesh, name: &NodeName) -> (Links, Inbox) {
        let other = Links::start(LinkConfig {
            hello: Hello {
                generation: Generation(2),
                ..Hello::sample(name.as_str())
            },
            listen: "127.0.0.1:0".parse().unwrap(),
            secret: ClusterSecret::parse(&"1".repeat(64)).unwrap(),
            tasks: Tasks::default(),
        });
        let (links, inbox) = other.unwrap();
        sample.mesh.links.dial(links.hello().mesh_address);
        let mut peers = sample.mesh.links.peers();
        let linked = peers.wait_for(|peers| peers.contains_key(name));
        linked.await.unwrap();
        (links, inbox)
    }

    #[tokio::test]
    async fn the_card_of_the_linked_life_is_waited_for() {
        let sample = SampleMesh::start().await;
        let b: NodeName = "b".parse().unwrap();
        hear_card(&sample, &b, 1);
        let support = || sample.mesh.frame_support(&b, flag);
        assert_eq!(support().await, FrameSupport::NoLink);
        let _linked = linked_in_second_life(&sample, &b).await;
        assert_eq!(support().await, FrameSupport::NoCard, "of an earlier life");
        let card_comes = async { hear_card(&sample, &b, 2) };
        let (support, ()) = tokio::join!(support(), card_comes);
        assert_eq!(support, FrameSupport::Reads);
    }
}
