//! The parts of the mesh that nearly every service needs.

use std::sync::Arc;

use super::cluster::Cluster;
use super::document::Documents;
use crate::io::gossip::Gossip;
use crate::io::link::Links;
use crate::io::tasks::Tasks;

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

#[cfg(test)]
pub(super) mod samples {
    use tempfile::TempDir;
    use tokio::sync::watch;

    use super::*;
    use crate::io::disk::DataDir;
    use crate::io::link::{Inbox, LinkConfig};
    use crate::io::tls::Secret;
    use crate::logic::document::Document;
    use crate::model::node::NodeName;
    use crate::proto::view::MeshView;
    use crate::service::document::DocumentConfig;
    use crate::service::identity::Company;
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
                secret: Secret::parse(&"1".repeat(64)).unwrap(),
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
                company: Company::Alone,
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
