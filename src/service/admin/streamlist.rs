//! `/admin/streamlist.txt`: the streams that an Icecast which is a slave of the mesh relays, one path on each line.

use hyper::StatusCode;

use super::Admin;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::reply;
use crate::io::clock;
use crate::model::mount::MountName;
use crate::proto::on_air;
use crate::service::logins::NoRight;
use crate::wire::icecast::upstream::MESH_HEADER;
use crate::wire::xml::Element;

/// Why this mesh is not told its own streams.
const OWN: &str = "this mesh asks itself for its streams: name another server in import_streamlist";

/// Refuses the list to a request that has no right to it.
pub(super) fn not_allowed(why: NoRight) -> Declined {
    match why {
        NoRight::Anonymous | NoRight::Denied => Declined::new(
            StatusCode::UNAUTHORIZED,
            "this needs the user relay with the relay password of the mesh, which `antiphon password set --relay` sets, or the \
             admin password, or the token of this node",
        ),
        NoRight::Busy => why.into(),
    }
}

/// Answers with the paths, one on each line, as Icecast 2.4 and KH read them.
pub(super) fn text(admin: &Admin, call: &Call) -> Answer {
    if call.header(MESH_HEADER) == Some(&admin.0.statuses.fingerprint()) {
        return Err(Declined::new(StatusCode::LOOP_DETECTED, OWN));
    }
    let lines = streams(admin)
        .into_iter()
        .map(|mount| format!("{mount}\r\n"));
    Ok(reply::text(StatusCode::OK, lines.collect::<String>()))
}

/// Answers with the same as XML.
pub(super) fn xml(admin: &Admin, _call: &Call) -> Answer {
    let sources = streams(admin).into_iter();
    let sources = sources.map(|mount| Element::new("source").with_attribute("mount", mount));
    let stats = Element::new("icestats").with_all(sources);
    Ok(reply::xml(StatusCode::OK, stats.document()))
}

/// The mounts that a listener who comes now hears: with a stream of their own, one that is got on demand, or a fallback.
/// Hidden ones are left out.
fn streams(admin: &Admin) -> Vec<MountName> {
    let mesh = &admin.0.mesh;
    let (mounts, view) = (mesh.documents.mounts(), mesh.cluster.view());
    let unix_s = clock::unix_s();
    let heard = mounts.values().filter(|spec| {
        let own = || on_air::is_on_air(&spec.path, &mounts, &view);
        let fallback = || on_air::fallback_on_air(unix_s, spec, &mounts, &view).is_some();
        !spec.hidden && (own() || fallback())
    });
    heard.map(|spec| spec.path.clone()).collect()
}
