//! Orders of operators to any node: carried out here, or sent to it over the link.

use std::time::Duration;

use tokio::time::timeout;

use super::Admin;
use crate::io::link::ExchangeError;
use crate::model::node::{BadNodeName, NodeName};
use crate::model::status::NodeState;
use crate::wire::frame::{Frame, Order};

/// How long another node may take to answer: it hands its seat over first.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why an order was not carried out, as far as is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] BadNodeName),
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
    /// The node would not understand the order.
    #[error(
        "{name} runs a version that takes no orders from other nodes: ask it itself, by --node {url}"
    )]
    TooOld {
        /// The name of the node.
        name: NodeName,
        /// The address at which it is asked.
        url: String,
    },
    /// The order did not arrive, or its answer did not.
    #[error(
        "{name} did not confirm the order ({why}): look at its state, or ask it itself by --node {url}"
    )]
    Unconfirmed {
        /// The name of the node.
        name: NodeName,
        /// The address at which it is asked.
        url: String,
        /// The fault.
        why: String,
    },
}

/// Has an order carried out by the node of this name.
pub(super) async fn give(admin: &Admin, name: &str, order: Order) -> Result<(), OrderError> {
    let name = NodeName::try_from(name)?;
    let view = admin.0.mesh.cluster.view();
    if name == view.me {
        admin.0.drain.obey(order).await;
        return Ok(());
    }
    let Some(node) = view.nodes.get(&name) else {
        let known: Vec<&str> = view.nodes.keys().map(NodeName::as_str).collect();
        let known = known.join(", ");
        return Err(OrderError::NoNode { name, known });
    };
    let url = node.card.url.clone();
    if node.state == NodeState::Dead {
        return Err(OrderError::Dead(name));
    }
    if !node.card.takes_orders {
        return Err(OrderError::TooOld { name, url });
    }
    let handed_on = timeout(ANSWER_LIMIT, hand_on(admin, &name, order)).await;
    let why = match handed_on {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {ANSWER_LIMIT:?}"),
    };
    Err(OrderError::Unconfirmed { name, url, why })
}

async fn hand_on(admin: &Admin, name: &NodeName, order: Order) -> Result<(), ExchangeError> {
    let mut exchange = admin.0.mesh.links.open(name, &Frame::Order(order)).await?;
    exchange.finish();
    match exchange.receive().await? {
        Some(Frame::Done) => Ok(()),
        _ => Err(ExchangeError::Unexpected),
    }
}
