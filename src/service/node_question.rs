//! A question of an operator to another node: sent over its link, and answered by one frame or not.

use std::time::Duration;

use tokio::time::timeout;

use super::mesh::Mesh;
use crate::io::link::ExchangeError;
use crate::model::node::NodeName;
use crate::proto::view::{FrameFlag, FrameSupport, MeshNode, MeshView};
use crate::wire::frame::Frame;

/// Why a node is not asked to which there is a link already, and no card of it yet.
pub const JUST_STARTED: &str = "it has just been started: ask again in a second";

/// A question to another node.
#[derive(Debug)]
pub struct NodeQuestion {
    /// The question itself.
    pub frame: Frame,
    /// How long the answer may take.
    pub limit: Duration,
    /// The card's flag of a node that reads the question. It is not sent to others.
    pub flag: FrameFlag,
    /// Whether a frame is an answer.
    pub expects: fn(&Frame) -> bool,
    /// The deed that an answer confirms, in words for the operator.
    pub confirms: &'static str,
}

/// Why a node gave no answer, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No node has this name.
    #[error("there is no node {name}; there are {known}")]
    NoNode {
        /// The name.
        name: NodeName,
        /// The names of all nodes.
        known: String,
    },
    /// The node has said goodbye.
    #[error(
        "{0} has left the mesh and serves nobody: there is nothing to be done until it is started again"
    )]
    Left(NodeName),
    /// Nothing is heard of the node.
    #[error(
        "{name} is dead or cut off: there is no link to it, and it may still serve those that reach it; \
         look at its machine, or ask it itself, by --node {url}"
    )]
    Dead {
        /// The name of the node.
        name: NodeName,
        /// The address at which it is asked.
        url: String,
    },
    /// The node would not understand the question.
    #[error(
        "{name} runs an older version, which other nodes cannot ask for this: upgrade it, or ask it itself, by --node {url}"
    )]
    TooOld {
        /// The name of the node.
        name: NodeName,
        /// The address at which it is asked.
        url: String,
    },
    /// The question did not arrive, or its answer did not. The node may have done what was asked.
    #[error(
        "{name} did not confirm {confirms} ({why}): look at its state, or ask it itself, by --node {url}"
    )]
    Unconfirmed {
        /// The name of the node.
        name: NodeName,
        /// The address at which it is asked.
        url: String,
        /// The deed that was asked for.
        confirms: &'static str,
        /// The fault.
        why: String,
    },
}

impl NoAnswer {
    /// The error for a name that no node of the mesh has, with the names that there are.
    pub fn no_node(name: NodeName, view: &MeshView) -> Self {
        let known: Vec<&str> = view.nodes.keys().map(NodeName::as_str).collect();
        let known = known.join(", ");
        Self::NoNode { name, known }
    }
}

/// Asks another node, and waits for its answer.
pub async fn ask_node(
    mesh: &Mesh,
    name: &NodeName,
    question: NodeQuestion,
) -> Result<Frame, NoAnswer> {
    let view = mesh.cluster.view();
    let name = name.clone();
    let Some(node) = view.nodes.get(&name) else {
        return Err(NoAnswer::no_node(name, &view));
    };
    let url = node.card.url.clone();
    match node {
        MeshNode { has_left: true, .. } => return Err(NoAnswer::Left(name)),
        node if !node.is_up() => return Err(NoAnswer::Dead { name, url }),
        _ => {}
    }
    let why = match mesh.frame_support(&name, question.flag).await {
        FrameSupport::TooOld => return Err(NoAnswer::TooOld { name, url }),
        FrameSupport::NoLink => ExchangeError::NoLink.to_string(),
        FrameSupport::NoCard => JUST_STARTED.to_owned(),
        FrameSupport::Reads => {
            match timeout(question.limit, exchange(mesh, &name, &question)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {:?}", question.limit),
            }
        }
    };
    let confirms = question.confirms;
    Err(NoAnswer::Unconfirmed {
        name,
        url,
        confirms,
        why,
    })
}

async fn exchange(
    mesh: &Mesh,
    name: &NodeName,
    question: &NodeQuestion,
) -> Result<Frame, ExchangeError> {
    let mut exchange = mesh.links.open(name, &question.frame).await?;
    exchange.finish();
    let answer = exchange.receive().await?;
    let answer = answer.filter(|frame| (question.expects)(frame));
    answer.ok_or(ExchangeError::Unexpected)
}
