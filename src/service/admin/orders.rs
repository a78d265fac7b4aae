//! Orders of operators to any node: carried out here, or sent to it over the link.

use std::time::Duration;

use super::Admin;
use crate::model::node::{BadNodeName, NodeName};
use crate::service::node_question::{NoAnswer, NodeQuestion, ask_node};
use crate::wire::frame::{Frame, Order};

/// How long another node may take to answer: it hands its seat over first.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why an order was not carried out, as far as is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] BadNodeName),
    /// The node has not confirmed the order.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// Has an order carried out by the node of this name.
pub(super) async fn give(admin: &Admin, name: &str, order: Order) -> Result<(), OrderError> {
    let (mesh, name) = (&admin.0.mesh, NodeName::try_from(name)?);
    if name == mesh.cluster.view().me {
        admin.0.drain.obey(order).await;
        return Ok(());
    }
    let question = NodeQuestion {
        frame: Frame::Order(order),
        limit: ANSWER_LIMIT,
        flag: |card| card.takes_orders,
        expects: |answer| matches!(answer, Frame::Done),
        confirms: "the order",
    };
    ask_node(mesh, &name, question).await?;
    Ok(())
}
