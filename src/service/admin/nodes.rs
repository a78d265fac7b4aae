//! The API of nodes: any one drained, put back or described, this one relieved of its seat, a dead one forgotten.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use super::body::{self, BadBody};
use super::reply::{self, FullBody};
use super::settings::{self, BadSettings};
use super::{Admin, orders};
use crate::logic::records::steering::NODE_KIND;
use crate::model::node::{BadNodeName, NodeName};
use crate::proto::seats::Scope;
use crate::proto::view::MeshNode;
use crate::service::cluster::Event;
use crate::service::document::ChangeError;
use crate::service::drain::MAX_DEADLINE_S;
use crate::wire::frame::{Frame, Order};

/// All nodes.
pub(super) const NODES: &str = "/api/v1/nodes";
/// How long those who are here may stay, unless the operator says otherwise.
const DEADLINE_S: u64 = 60;

/// How long to wait for a successor, to be able to name it: two elections.
const SUCCESSION: Duration = Duration::from_secs(3);

/// Answers a request of somebody who has the right.
pub(super) async fn nodes(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let query = uri.query().unwrap_or_default();
    match uri.path() {
        NODES if method == Method::GET => {
            reply::json(StatusCode::OK, &admin.0.statuses.status().nodes)
        }
        "/api/v1/node/drain" if method == Method::POST => {
            drain(admin, admin.0.cluster.view().me.as_str(), query).await
        }
        "/api/v1/node/undrain" if method == Method::POST => {
            undrain(admin, admin.0.cluster.view().me.as_str()).await
        }
        "/api/v1/node/step-down" if method == Method::POST => step_down(admin).await,
        path => match path.strip_prefix("/api/v1/nodes/") {
            Some(rest) if method == Method::POST => match rest.split_once('/') {
                Some((name, "drain")) => drain(admin, name, query).await,
                Some((name, "undrain")) => undrain(admin, name).await,
                _ => reply::error(
                    StatusCode::NOT_FOUND,
                    "POST /api/v1/nodes/NAME/drain or /undrain",
                ),
            },
            Some(name) if method == Method::DELETE => forget(admin, name).await,
            Some(name) if method == Method::PATCH => {
                let set = set(admin, name, request).await;
                set.unwrap_or_else(|refusal| reply::error(refusal.status(), refusal))
            }
            _ => reply::error(
                StatusCode::NOT_FOUND,
                "there is nothing here, or not in this way",
            ),
        },
    }
}

/// Why nothing is said of a node.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Name(#[from] BadNodeName),
    #[error("there is no node {0}")]
    NoNode(NodeName),
    #[error(transparent)]
    Body(#[from] BadBody),
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Name(_) => StatusCode::BAD_REQUEST,
            Self::NoNode(_) => StatusCode::NOT_FOUND,
            Self::Body(bad) => bad.status(),
            Self::Settings(bad) => bad.status(),
            Self::Change(why) => reply::unchanged(why),
        }
    }
}

/// Says something of a node, on all nodes; what is said outlives the node's absence, and its own restart.
async fn set(
    admin: &Admin,
    name: &str,
    request: Request<Incoming>,
) -> Result<Response<FullBody>, Refusal> {
    let name = NodeName::try_from(name)?;
    let documents = &admin.0.documents;
    let is_known = admin.0.cluster.view().nodes.contains_key(&name)
        || documents.steering().nodes.contains_key(&name);
    if !is_known {
        return Err(Refusal::NoNode(name));
    }
    let fields = body::object(request).await?;
    let changes = settings::changes(admin, &NODE_KIND, fields).await?;
    documents.set_node(&name, changes).await?;
    Ok(reply::json(
        StatusCode::OK,
        &documents.steering().traits(&name),
    ))
}

async fn undrain(admin: &Admin, name: &str) -> Response<FullBody> {
    match orders::give(admin, name, Order::Undrain).await {
        Ok(()) => reply::no_content(),
        Err(error) => reply::error(error.status(), error),
    }
}

async fn drain(admin: &Admin, name: &str, query: &str) -> Response<FullBody> {
    let given = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("deadline_s="));
    let deadline_s = match given.map(str::parse::<u64>) {
        None => DEADLINE_S,
        Some(Ok(seconds)) if seconds <= MAX_DEADLINE_S => seconds,
        Some(_) => {
            let why =
                format!("the deadline is a number of seconds, at most {MAX_DEADLINE_S}: 24 hours");
            return reply::error(StatusCode::BAD_REQUEST, why);
        }
    };
    match orders::give(admin, name, Order::Drain { deadline_s }).await {
        Ok(()) => reply::json(StatusCode::ACCEPTED, &json!({ "deadline_s": deadline_s })),
        Err(error) => reply::error(error.status(), error),
    }
}

async fn step_down(admin: &Admin) -> Response<FullBody> {
    let cluster = &admin.0.cluster;
    if !cluster.view().is_master() {
        let master = cluster.view().master.clone();
        let why = match master {
            Some(claim) => format!("this node is not the master: {} is", claim.node),
            None => "there is no master".to_owned(),
        };
        return reply::error(StatusCode::CONFLICT, why);
    }
    let view = cluster.view();
    let successor = |(name, node): (&NodeName, &MeshNode)| *name != view.me && node.is_up();
    if !view.nodes.iter().any(successor) {
        let why = "there is no other node to take the seat";
        return reply::error(StatusCode::CONFLICT, why);
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
    reply::json(StatusCode::OK, &json!({ "master": master }))
}

async fn forget(admin: &Admin, name: &str) -> Response<FullBody> {
    let Ok(name) = NodeName::try_from(name) else {
        return reply::error(StatusCode::BAD_REQUEST, "that is no node's name");
    };
    let view = admin.0.cluster.view();
    let seen = view.nodes.get(&name);
    if seen.is_some_and(MeshNode::is_up) {
        let why = format!("{name} is not dead: stop it first, or it comes back by itself");
        return reply::error(StatusCode::CONFLICT, why);
    }
    // One that this node does not know may still be shown by others, and may have been forgotten before.
    let seen = seen.map(|node| node.generation);
    match admin.0.documents.forget(&name, seen).await {
        Ok(()) => {
            admin.0.links.send_to_all(&Frame::Forget(name)); // for nodes that know no records of it
            reply::no_content()
        }
        Err(error) => reply::error(reply::unchanged(&error), error),
    }
}
