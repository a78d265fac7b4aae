//! A question of an operator to another node: sent over its link, and answered by one frame or not.

use std::time::Duration;

use tokio::time::timeout;

use super::mesh::Mesh;
use crate::io::link::ExchangeError;
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::proto::view::MeshNode;
use crate::wire::frame::Frame;

/// A question to another node.
#[derive(Debug)]
pub struct NodeQuestion {
    /// The question itself.
    pub frame: Frame,
    /// How long the answer may take.
    pub limit: Duration,
    /// Whether the node, by its card, can read the question. It is not sent otherwise.
    pub understands: fn(&MeshNode) -> bool,
    /// Whether a frame is an answer.
    pub expects: fn(&Frame) -> bool,
    /// What an answer confirms, for the operator.
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
    /// The node is dead.
    #[error("{0} is dead, and serves no listener: there is nothing to be done")]
    Dead(NodeName),
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
        /// What was asked.
        confirms: &'static str,
        /// What went wrong.
        why: String,
    },
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
        let known: Vec<&str> = view.nodes.keys().map(NodeName::as_str).collect();
        let known = known.join(", ");
        return Err(NoAnswer::NoNode { name, known });
    };
    let url = node.card.url.clone();
    if node.state == NodeState::Dead {
        return Err(NoAnswer::Dead(name));
    }
    if !(question.understands)(node) {
        return Err(NoAnswer::TooOld { name, url });
    }
    let why = match timeout(question.limit, exchange(mesh, &name, &question)).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {:?}", question.limit),
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
