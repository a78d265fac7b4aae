//! The API of nodes: takes one out of service and back, changes its settings, moves the master's seat, forgets a dead
//! node.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use tokio::time::timeout;

use super::body;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::reply;
use super::settings;
use super::{Admin, orders};
use crate::logic::records::steering::NODE_KIND;
use crate::model::node::NodeName;
use crate::proto::seats::Scope;
use crate::proto::view::MeshNode;
use crate::service::cluster::Event;
use crate::service::drain::MAX_DEADLINE_S;
use crate::service::node_question::NoAnswer;
use crate::service::status::Viewer;
use crate::wire::frame::{Frame, Order};

/// How long listeners and sources of a draining node may stay, unless the operator says otherwise.
const DEADLINE_S: u64 = 60;

/// How long to wait for a successor, to be able to name it: two elections.
const SUCCESSION: Duration = Duration::from_secs(3);

/// Lists all nodes.
pub(super) fn list(admin: &Admin, _call: &Call) -> Answer {
    Ok(reply::json(
        StatusCode::OK,
        &admin.0.statuses.status(Viewer::Operator).nodes,
    ))
}

/// Changes settings of a node, on all nodes. They outlive the node's absence, and its own restart.
pub(super) async fn edit(admin: &Admin, call: Call) -> Answer {
    let name = NodeName::try_from(call.named.as_str())?;
    let (documents, view) = (&admin.0.mesh.documents, admin.0.mesh.cluster.view());
    let is_known = view.nodes.contains_key(&name) || documents.steering().nodes.contains_key(&name);
    if !is_known {
        return Err(NoAnswer::no_node(name, &view).into());
    }
    let fields = body::object(call.request).await?;
    let changes = settings::changes(admin, &NODE_KIND, fields).await?;
    documents.set_node(&name, changes).await?;
    let shown = documents.steering().traits(&name);
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Puts the answering node back into service.
pub(super) async fn undrain_this(admin: &Admin, _call: Call) -> Answer {
    order_undrain(admin, admin.0.mesh.cluster.view().me.as_str()).await
}

/// Puts the named node back into service.
pub(super) async fn undrain(admin: &Admin, call: Call) -> Answer {
    order_undrain(admin, &call.named).await
}

async fn order_undrain(admin: &Admin, name: &str) -> Answer {
    orders::give(admin, name, Order::Undrain).await?;
    Ok(reply::no_content())
}

/// Takes the answering node out of service.
pub(super) async fn drain_this(admin: &Admin, call: Call) -> Answer {
    order_drain(admin, admin.0.mesh.cluster.view().me.as_str(), &call).await
}

/// Takes the named node out of service.
pub(super) async fn drain(admin: &Admin, call: Call) -> Answer {
    order_drain(admin, &call.named, &call).await
}

async fn order_drain(admin: &Admin, name: &str, call: &Call) -> Answer {
    let given = call.parameter("deadline_s")?;
    let deadline_s = match given.map(|text| text.parse::<u64>()) {
        None => DEADLINE_S,
        Some(Ok(seconds)) if seconds <= MAX_DEADLINE_S => seconds,
        Some(_) => {
            let why =
                format!("the deadline is a number of seconds, at most {MAX_DEADLINE_S}: 24 hours");
            return Err(Declined::bad(why));
        }
    };
    orders::give(admin, name, Order::Drain { deadline_s }).await?;
    let accepted = json!({ "deadline_s": deadline_s });
    Ok(reply::json(StatusCode::ACCEPTED, &accepted))
}

/// Relieves the answering node of the master's seat, and says which node holds it then.
pub(super) async fn step_down(admin: &Admin, _call: Call) -> Answer {
    let cluster = &admin.0.mesh.cluster;
    if !cluster.view().is_master() {
        let master = cluster.view().master.clone();
        let why = match master {
            Some(claim) => format!("this node is not the master: {} is", claim.node),
            None => "there is no master".to_owned(),
        };
        return Err(Declined::conflict(why));
    }
    let view = cluster.view();
    let mut others = view.nodes.iter().filter(|entry| *entry.0 != view.me);
    if !others.any(|(_, node)| node.is_up()) {
        let why = "there is no other node to take the seat";
        return Err(Declined::conflict(why));
    }
    cluster.resign(Scope::Master).await;
    cluster.order(Event::Unresign(Scope::Master)).await;
    let mut view = cluster.watch();
    let seated = view.wait_for(|view| view.master.is_some());
    // No answer in time is an answer too: there is no master.
    let master = match timeout(SUCCESSION, seated).await {
        Ok(Ok(view)) => view.master.clone().map(|claim| claim.node),
        Ok(Err(_)) | Err(_) => None,
    };
    let shown = json!({ "master": master });
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Forgets a dead node, on all nodes.
pub(super) async fn forget(admin: &Admin, call: Call) -> Answer {
    let name = NodeName::try_from(call.named.as_str())?;
    let view = admin.0.mesh.cluster.view();
    let seen = view.nodes.get(&name);
    if seen.is_some_and(MeshNode::is_up) {
        let why = format!("{name} is not dead: stop it first, or it comes back by itself");
        return Err(Declined::conflict(why));
    }
    // One that this node does not know may still be shown by others, and may have been forgotten before.
    let seen = seen.map(|node| node.generation);
    admin.0.mesh.documents.forget(&name, seen).await?;
    admin.0.mesh.links.send_to_all(&Frame::Forget(name)); // for nodes that know no records of it
    Ok(reply::no_content())
}
