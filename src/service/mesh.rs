//! What nearly every service needs of the mesh.

use std::sync::Arc;

use super::cluster::Cluster;
use super::document::Documents;
use crate::io::gossip::Gossip;
use crate::io::link::Links;
use crate::io::tasks::Tasks;

/// A cheap, cloneable handle to the parts of the mesh at this node.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// To speak with one peer.
    pub links: Links,
    /// To say something to all.
    pub gossip: Arc<Gossip>,
    /// Members, master, seats.
    pub cluster: Cluster,
    /// The replicated configuration.
    pub documents: Documents,
    /// Where tasks are started that end with the node.
    pub tasks: Tasks,
}
