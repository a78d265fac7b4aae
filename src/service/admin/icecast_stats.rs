//! Icecast's statistics: `/admin/stats`, `/admin/stats.json` and `/admin/listmounts` for its admin, of the whole mesh or of
//! one node. Other than the public ones, `/admin/publicstats`, they show hidden mounts.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Admin;
use super::call::{Answer, Call};
use super::icecast::{NO_SUCH_NODE, missing, named_node};
use super::icecast_status::Figures;
use super::reply;
use crate::model::listener_auth::ListenerAuth;
use crate::model::node::NodeName;
use crate::model::status::Status;
use crate::proto::view::MeshView;
use crate::service::status::Viewer;
use crate::wire::xml::Element;

/// The figures of a mount that nodes do not know apart: they are those of the whole mesh.
const OF_THE_MESH: [&str; 2] = ["listener_peak", "slow_listeners"];

/// Answers with all that is known: `/admin/stats`, of one mount with `?mount=…`, at one node with `?node=…`.
pub(super) fn stats(admin: &Admin, call: &Call) -> Answer {
    let Ok(node) = named_node(admin, call) else {
        return Ok(missing(NO_SUCH_NODE));
    };
    let stats = element(&operators_figures(admin, call, node.as_ref()));
    Ok(reply::xml(StatusCode::OK, stats.document()))
}

/// Answers with the same as JSON.
pub(super) fn stats_json(admin: &Admin, call: &Call) -> Answer {
    let Ok(node) = named_node(admin, call) else {
        return Ok(missing(NO_SUCH_NODE));
    };
    let stats = operators_figures(admin, call, node.as_ref()).json();
    Ok(reply::json(StatusCode::OK, &stats))
}

/// Answers with what anybody may know, as Icecast 2.5 does at `/admin/publicstats`.
pub(super) fn public_stats(admin: &Admin, call: &Call) -> Answer {
    let status = admin.0.statuses.status(Viewer::Public);
    let stats = element(&Figures::of(admin, call, &status));
    Ok(reply::xml(StatusCode::OK, stats.document()))
}

/// Answers with the mounts that are on air: `/admin/listmounts`, of one node with `?node=…`.
pub(super) fn list_mounts(admin: &Admin, call: &Call) -> Answer {
    let Ok(node) = named_node(admin, call) else {
        return Ok(missing(NO_SUCH_NODE));
    };
    let status = operators_status(admin, node.as_ref());
    let mounts = admin.0.mesh.documents.mounts();
    let on_air = status.mounts.iter().filter_map(|mount| {
        let source = mount.source.as_ref()?;
        let spec = mounts.get(&mount.path);
        let fallback = spec.and_then(|spec| spec.fallback.rungs().first());
        let fallback = fallback.map(ToString::to_string).unwrap_or_default();
        let listed = Element::new("source")
            .with_attribute("mount", &mount.path)
            .with(Element::of("fallback", fallback))
            .with(Element::of("listeners", mount.listeners))
            .with_all(authenticator(mount.listener_auth))
            .with(Element::of("Connected", source.connected_s))
            .with(Element::of("content-type", &mount.content_type));
        Some(listed)
    });
    let stats = Element::new("icestats").with_all(on_air);
    Ok(reply::xml(StatusCode::OK, stats.document()))
}

/// Icecast's word for how listeners of a mount are let in, if not all of them are.
fn authenticator(rule: ListenerAuth) -> Option<Element> {
    (!rule.is_open()).then(|| Element::of("authenticator", rule.word()))
}

/// The mesh, or one node of it, as an operator sees it.
fn operators_status(admin: &Admin, node: Option<&NodeName>) -> Status {
    let mut status = admin.0.statuses.status(Viewer::Operator);
    if let Some(node) = node {
        narrow(&mut status, node, &admin.0.mesh.cluster.view());
    }
    status
}

/// Leaves of a status the mounts that a node has something of, with the listeners that it serves.
fn narrow(status: &mut Status, node: &NodeName, view: &MeshView) {
    let node = view.nodes.get(node);
    status.mounts.retain_mut(|mount| {
        let listeners = node.and_then(|node| node.listeners_of(&mount.path));
        mount.listeners = listeners.unwrap_or_default();
        listeners.is_some()
    });
}

/// The public figures, and those that only an admin sees; of the whole mesh, or of one node.
pub(super) fn operators_figures(admin: &Admin, call: &Call, node: Option<&NodeName>) -> Figures {
    let status = operators_status(admin, node);
    let mut figures = Figures::of(admin, call, &status);
    if node.is_some() {
        for (_, of_mount) in &mut figures.sources {
            of_mount.retain(|key, _| !OF_THE_MESH.contains(&key.as_str()));
        }
    }
    let listeners: u32 = status.mounts.iter().map(|mount| mount.listeners).sum();
    let on_air = status.mounts.iter().filter_map(|it| it.source.as_ref());
    let own = on_air.filter(|source| node.is_none_or(|node| source.node == *node));
    let sources = u32::try_from(own.count()).unwrap_or(u32::MAX);
    for (key, figure) in [
        ("clients", listeners.saturating_add(sources)),
        ("listeners", listeners),
        ("sources", sources),
    ] {
        figures.server.insert(key.to_owned(), json!(figure));
    }
    figures
}

/// The figures as Icecast's XML has them.
fn element(figures: &Figures) -> Element {
    let sources = figures.sources.iter().map(|(mount, figures)| {
        let source = Element::new("source").with_attribute("mount", mount);
        source.with_all(elements(figures))
    });
    let stats = Element::new("icestats").with_all(elements(&figures.server));
    stats.with_all(sources)
}

fn elements(figures: &Map<String, Value>) -> impl Iterator<Item = Element> {
    figures.iter().map(|(key, figure)| match figure {
        Value::String(text) => Element::of(key, text),
        other => Element::of(key, other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_elements() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let figures = Figures {
            server: map(json!({"host": "a&b", "sources": 1})),
            sources: vec![(
                "/a.mp3".parse().unwrap(),
                map(json!({"listeners": 3, "title": "x<y"})),
            )],
        };
        assert_eq!(
            element(&figures).to_string(),
            "<icestats><host>a&amp;b</host><sources>1</sources><source mount=\"/a.mp3\"><listeners>3</listeners>\
             <title>x&lt;y</title></source></icestats>"
        );
    }
}
