//! The API of where listeners are sent: the policy, the explanation of a decision, and the candidates for programs that
//! choose a node themselves.

use std::net::{IpAddr, Ipv4Addr};

use hyper::StatusCode;
use serde_json::json;

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::declined::{Declined, Declining};
use super::reply;
use super::settings;
use crate::logic::records::steering::MESH_KIND;
use crate::model::mount::{BadMountName, MountName};
use crate::wire::http::forwarded::Client;

/// How many candidates are listed, unless the client asks for another number.
const USUAL_CANDIDATES: usize = 5;
/// How long a program should wait before it asks again, seconds: loads have changed by then.
const CANDIDATES_TTL_S: u32 = 10;

/// Why a question is not answered.
#[derive(Debug, thiserror::Error)]
enum BadQuery {
    #[error("say which mount: ?mount=/radio.mp3")]
    WhichMount,
    #[error("mount: {0}")]
    Mount(BadMountName),
    #[error("from: {0:?} is no IP address")]
    From(String),
    #[error("https: true or false")]
    Https,
    #[error("most: a number from 1 to {}", crate::service::listen::MAX_CANDIDATES)]
    Most,
}

impl Declining for BadQuery {
    fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

/// Shows the policy.
pub(super) fn show_policy(admin: &Admin, _call: &Call) -> Answer {
    let steering = admin.0.mesh.documents.steering();
    Ok(reply::json(StatusCode::OK, &steering.mesh))
}

/// Sets the policy on all nodes, and shows it. An invalid one is refused, and the old one stays.
pub(super) async fn set_policy(admin: &Admin, call: Call) -> Answer {
    let fields = body::object(call.request).await?;
    let changes = settings::changes(admin, &MESH_KIND, fields).await?;
    admin.0.mesh.documents.set_mesh(changes).await?;
    let steering = admin.0.mesh.documents.steering();
    Ok(reply::json(StatusCode::OK, &steering.mesh))
}

/// Explains where the next listener of a mount would be sent, and why.
pub(super) fn explain(admin: &Admin, call: &Call) -> Answer {
    let (mount, from) = (mount(call)?, from(call.parameter("from")?)?);
    let client = Client {
        ip: from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        https: match call.parameter("https")?.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(BadQuery::Https.into()),
        },
    };
    let explanation = admin.0.listening.explain(&mount, client);
    let explanation = explanation.ok_or_else(|| no_mount(&mount))?;
    Ok(reply::json(StatusCode::OK, &explanation))
}

/// Tells any client, web pages of other sites too, where a mount is best heard, the best first.
pub(super) fn candidates(admin: &Admin, call: &Call) -> Answer {
    let (mount, most) = (mount(call)?, most(call.parameter("most")?)?);
    if admin.0.mesh.documents.mount(&mount).is_none() {
        return Err(no_mount(&mount));
    }
    let candidates = admin.0.listening.candidates(&mount, call.client, most);
    let shown = json!({
        "mount": mount,
        "ttl_s": CANDIDATES_TTL_S,
        "candidates": candidates,
    });
    Ok(reply::json(StatusCode::OK, &shown))
}

fn no_mount(mount: &MountName) -> Declined {
    Declined::not_found(format!("there is no mount {mount}"))
}

fn mount(call: &Call) -> Result<MountName, Declined> {
    let path = call.parameter("mount")?.ok_or(BadQuery::WhichMount)?;
    Ok(MountName::try_from(path).map_err(BadQuery::Mount)?)
}

fn from(text: Option<String>) -> Result<Option<IpAddr>, BadQuery> {
    let read = text.map(|text| text.parse().map_err(|_| text));
    read.transpose()
        .map_err(|text| BadQuery::From(text.chars().take(64).collect()))
}

fn most(text: Option<String>) -> Result<usize, BadQuery> {
    let Some(text) = text else {
        return Ok(USUAL_CANDIDATES);
    };
    let number = text.parse().map_err(|_| BadQuery::Most)?;
    let fits = (1..=crate::service::listen::MAX_CANDIDATES).contains(&number);
    fits.then_some(number).ok_or(BadQuery::Most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_read_or_its_mistake_is_named() {
        let some = |text: &str| Some(text.to_owned());
        let address = Some("2001:db8::1".parse().unwrap());
        assert_eq!(from(some("2001:db8::1")).unwrap(), address);
        assert_eq!(from(None).unwrap(), None);
        assert!(from(some("home")).is_err());
        assert_eq!(most(some("3")).unwrap(), 3);
        assert_eq!(most(None).unwrap(), USUAL_CANDIDATES);
        assert!(most(some("0")).is_err() && most(some("x")).is_err());
    }
}
