//! The pages of a node that need no login: its status page, the mesh as JSON, and whether it lives and is ready.

use std::time::SystemTime;

use http_body_util::{BodyExt, Full};
use hyper::{Response, StatusCode};

use super::Admin;
use super::call::{Answer, Call};
use super::page;
use super::page::{PagePart, PageView};
use super::reply::{self, text};
use crate::service::drain::Phase;
use crate::service::logins::Right;
use crate::service::status::Viewer;
use crate::wire::livez::Nonce;

/// Answers `/`, in the part that the query names.
pub(super) fn page(admin: &Admin, call: &Call) -> Answer {
    let part = PagePart::from_query(call.query());
    let seen = PageView {
        status: &admin.0.statuses.status(Viewer::Public),
        now: SystemTime::now(),
        https: call.client.https,
    };
    let body = Full::from(page::page(part, seen));
    let answer = Response::builder()
        .header("Content-Type", part.content_type())
        .header("Cache-Control", part.cache_control())
        .header(
            "Content-Security-Policy",
            page::CONTENT_SECURITY_POLICY.as_str(),
        )
        .header("X-Content-Type-Options", "nosniff")
        .body(body.boxed_unsync())
        .expect("these headers are constants");
    Ok(answer)
}

/// Answers `/status.json`. Whoever may manage the mesh sees hidden mounts too; a login that is wrong sees what anybody
/// sees, and the log says so.
pub(super) async fn status(admin: &Admin, call: Call) -> Answer {
    let login = call.login();
    let manages = match login.authorization {
        Some(_) => admin.0.logins.check(login, Right::Manage).await.is_ok(),
        None => false,
    };
    let viewer = match manages {
        true => Viewer::Operator,
        false => Viewer::Public,
    };
    let status = admin.0.statuses.status(viewer);
    Ok(reply::json(StatusCode::OK, &status))
}

/// Answers `/livez`: this node lives, and to a peer that wants it proved, with the proof.
pub(super) fn alive(admin: &Admin, call: &Call) -> Answer {
    let me = &admin.0.mesh.links.hello().name;
    let proof = Nonce::of_query(call.query()).map(|nonce| admin.0.proof_keys.answer(me, nonce));
    let told = proof.unwrap_or_else(|| "ok\n".to_owned());
    Ok(text(StatusCode::OK, told))
}

/// Answers `/readyz`. A node that takes no edits still serves listeners, so no balancer is to take it away: the answer
/// says so in words.
pub(super) fn ready(admin: &Admin, _call: &Call) -> Answer {
    if admin.0.drain.phase() == Phase::Draining {
        return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"));
    }
    let told = match admin.0.mesh.documents.trouble() {
        None => "ok\n".to_owned(),
        Some(why) => format!("ok, but edits are refused: {why}\n"),
    };
    Ok(text(StatusCode::OK, told))
}
