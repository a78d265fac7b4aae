//! Icecast's statistics for its admin: `/admin/stats`, `/admin/stats.json` and `/admin/listmounts`, of the whole mesh. Other
//! than the public ones they show hidden mounts.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Admin;
use super::call::{Answer, Call};
use super::icecast_status::Figures;
use super::reply;
use crate::service::status::Viewer;
use crate::wire::xml::Element;

/// Answers with all that is known: `/admin/stats`, of one mount with `?mount=…`.
pub(super) fn stats(admin: &Admin, call: &Call) -> Answer {
    let stats = element(&figures(admin, call));
    Ok(reply::xml(StatusCode::OK, stats.document()))
}

/// Answers with the same as JSON.
pub(super) fn stats_json(admin: &Admin, call: &Call) -> Answer {
    Ok(reply::json(StatusCode::OK, &figures(admin, call).json()))
}

/// Answers with the mounts that are on air: `/admin/listmounts`.
pub(super) fn list_mounts(admin: &Admin, _call: &Call) -> Answer {
    let status = admin.0.statuses.status(Viewer::Operator);
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
            .with(Element::of("Connected", source.connected_s))
            .with(Element::of("content-type", &mount.content_type));
        Some(listed)
    });
    let stats = Element::new("icestats").with_all(on_air);
    Ok(reply::xml(StatusCode::OK, stats.document()))
}

/// The public figures, and those that only an admin sees.
fn figures(admin: &Admin, call: &Call) -> Figures {
    let status = admin.0.statuses.status(Viewer::Operator);
    let mut figures = Figures::of(admin, call, &status);
    let listeners: u32 = status.mounts.iter().map(|mount| mount.listeners).sum();
    let on_air = status.mounts.iter().filter_map(|it| it.source.as_ref());
    let sources = u32::try_from(on_air.count()).unwrap_or(u32::MAX);
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
