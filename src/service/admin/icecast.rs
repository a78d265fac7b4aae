//! The addresses of Icecast at which encoders set titles, and operators end sources.

use hyper::{Response, StatusCode};
use serde_json::{Map, Value};
use tracing::debug;

use super::Admin;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::form::FormFields;
use super::mounts;
use super::reply;
use super::reply::Body;
use super::switches;
use super::told_title;
use super::told_title::ToldTitle;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::proto::on_air;
use crate::service::dismissal::NotDismissed;
use crate::service::logins::Right;
use crate::service::titles::NotSet;
use crate::wire::xml::Element;

/// Sets the title of a mount: `/admin/metadata?mode=updinfo&mount=…&song=…`, as a query or as a form.
pub(super) async fn metadata(admin: &Admin, call: Call) -> Answer {
    let told = ToldTitle::read(call).await?;
    let Some(mount) = told.mount() else {
        return Ok(missing("mount, the path of a mount such as /radio.mp3"));
    };
    let describer = admin.0.logins.describer(told.login(), &mount).await;
    let priority = describer.map_err(told_title::not_allowed)?;
    if admin.0.mesh.documents.mount(&mount).is_none() {
        // Only a login that may manage the mesh comes here: others are not told which mounts there are.
        let why = format!("{}: there is no mount {mount}", NotSet::NoSource);
        return Ok(message(StatusCode::BAD_REQUEST, &why, 0));
    }
    if !told.is_update() {
        return Ok(missing("mode=updinfo"));
    }
    let Some(title) = told.title(admin, &mount) else {
        return Ok(missing("song, or artist and title"));
    };
    let view = admin.0.mesh.cluster.view();
    let on_air = view.about(&mount).filter(|_| view.source(&mount).is_some());
    let client = told.login().caller.client;
    if let Some((about, priority)) = on_air.zip(priority)
        && (priority != about.priority
            || admin.0.sources.speaks_for_waiting(&mount, priority, client))
    {
        // Said by a source that waits: what is heard is not that.
        let is_kept = admin.0.sources.keep_title(&mount, priority, client, &title);
        debug!(%mount, is_kept, "a title of a source that waits");
        return Ok(message(StatusCode::OK, "Metadata update successful", 1));
    }
    let answer = match admin.0.titles.set(&mount, &title).await {
        Ok(()) => message(StatusCode::OK, "Metadata update successful", 1),
        Err(error @ NotSet::NoSource) => message(StatusCode::BAD_REQUEST, &error.to_string(), 0),
        Err(error) => message(StatusCode::BAD_GATEWAY, &error.to_string(), 0),
    };
    Ok(answer)
}

/// Ends the source of a mount: `/admin/killsource?mount=…`. As with Icecast, its own login may do that, too.
pub(super) async fn kill_source(admin: &Admin, call: Call) -> Answer {
    let Some(mount) = named_mount(&call, "mount") else {
        return Ok(missing("mount, the path of a mount such as /radio.mp3"));
    };
    let allowed = admin.0.logins.check(call.login(), Right::Describe(&mount));
    allowed.await.map_err(told_title::not_allowed)?;
    let answer = match admin.0.dismissals.dismiss(&mount).await {
        Ok(()) => message(StatusCode::OK, "Source Removed", 1),
        Err(NotDismissed::NoMount(_) | NotDismissed::NoSource(_)) => no_source(),
        Err(error) => {
            let Declined { status, why } = error.into();
            message(status, &why, 0)
        }
    };
    Ok(answer)
}

/// Lets the listeners of a mount hear another one: `/admin/moveclients?mount=…&destination=…`. Other than with Icecast, those
/// who come later hear it, too, until an operator switches the mount back, or moves the listeners of the other one here.
pub(super) async fn move_clients(admin: &Admin, call: Call) -> Answer {
    let (Some(mount), Some(destination)) = (
        named_mount(&call, "mount"),
        named_mount(&call, "destination"),
    ) else {
        return Ok(missing("mount and destination, paths such as /radio.mp3"));
    };
    let refused = |why: &str| Ok(message(StatusCode::BAD_REQUEST, why, 0));
    if mount == destination {
        return refused("supplied mountpoints are identical");
    }
    let documents = &admin.0.mesh.documents;
    if documents.mount(&mount).is_none() {
        return Ok(no_source());
    }
    let Some(other) = documents.mount(&destination) else {
        return refused("No such destination");
    };
    if switches::is_switched_to(&other, &mount) {
        switches::set_order(admin, &destination, None, false).await?;
    } else if on_air::is_on_air(
        &destination,
        &documents.mounts(),
        &admin.0.mesh.cluster.view(),
    ) {
        switches::set_order(
            admin,
            &mount,
            Some(switches::order(destination.clone().into(), None)),
            false,
        )
        .await?;
    } else {
        return refused("Destination not running");
    }
    let moved = format!("Clients moved from {mount} to {destination}");
    Ok(message(StatusCode::OK, &moved, 1))
}

/// Lets listeners of a mount hear another one while it has no source: `/admin/fallbacks?mount=…&fallback=…`; an empty fallback
/// takes it away. It stays so, other than with Icecast, where it is gone with the source.
pub(super) async fn set_fallback(admin: &Admin, call: Call) -> Answer {
    let fallback = FormFields::parse(call.query().as_bytes()).text("fallback");
    let (Some(mount), Some(fallback)) = (named_mount(&call, "mount"), fallback) else {
        return Ok(missing("mount and fallback, paths such as /radio.mp3"));
    };
    if admin.0.mesh.documents.mount(&mount).is_none() {
        return Ok(no_source());
    }
    let fields = Map::from_iter([("fallback".to_owned(), Value::from(fallback))]);
    if let Err(Declined { status, why }) = mounts::set_fields(admin, &mount, fields, false).await {
        return Ok(message(status, &why, 0));
    }
    Ok(reply::html(
        StatusCode::OK,
        "<html><head><title>Admin request successful</title></head><body><p>Fallback configured</p></body></html>",
    ))
}

/// The mount that a field of the query names, if it could be one.
pub(super) fn named_mount(call: &Call, field: &str) -> Option<MountName> {
    let name = FormFields::parse(call.query().as_bytes()).text(field)?;
    MountName::with_or_without_slash(&name).ok()
}

/// The words for a `node` that is none.
pub(super) const NO_SUCH_NODE: &str = "node, the name of a node of this mesh";

/// A node is named that this mesh does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoSuchNode;

/// The node that the query names, if it names one.
pub(super) fn named_node(admin: &Admin, call: &Call) -> Result<Option<NodeName>, NoSuchNode> {
    let Some(name) = FormFields::parse(call.query().as_bytes()).text("node") else {
        return Ok(None);
    };
    let named = NodeName::try_from(name).map_err(|_| NoSuchNode)?;
    let view = admin.0.mesh.cluster.view();
    view.nodes
        .contains_key(&named)
        .then_some(Some(named))
        .ok_or(NoSuchNode)
}

/// Answers `/admin/updatemetadata`, which is what Icecast has a form made of: the mount, if it has a source.
pub(super) fn title_form(admin: &Admin, call: &Call) -> Answer {
    let Some(mount) = named_mount(call, "mount") else {
        return Ok(missing("mount, the path of a mount such as /radio.mp3"));
    };
    if admin.0.mesh.cluster.view().source(&mount).is_none() {
        return Ok(no_source());
    }
    let source = Element::new("source").with_attribute("mount", mount);
    let form = Element::new("icestats").with(source);
    Ok(reply::xml(StatusCode::OK, form.document()))
}

/// The answer to a command that is none, to who may give commands.
pub(super) fn no_such_command() -> Response<Body> {
    message(StatusCode::BAD_REQUEST, "Unrecognised command", 0)
}

/// The answer about a mount that is not there, or has no source.
pub(super) fn no_source() -> Response<Body> {
    message(StatusCode::BAD_REQUEST, "Source does not exist", 0)
}

/// The answer to a request that lacks something: Icecast's words, and behind them what it is.
pub(super) fn missing(what: &str) -> Response<Body> {
    let text = format!("Missing parameter: {what}");
    message(StatusCode::BAD_REQUEST, &text, 0)
}

/// An answer in Icecast's words: 1 says that it was done.
pub(super) fn message(status: StatusCode, text: &str, code: u8) -> Response<Body> {
    let response = Element::new("iceresponse")
        .with(Element::of("message", text))
        .with(Element::of("return", code));
    reply::complaining(reply::xml(status, response.document()), text.to_owned())
}
