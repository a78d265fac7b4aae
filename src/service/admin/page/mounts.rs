//! The table of mounts: what is on air, from where, and who holds it.

use crate::model::node::NodeName;
use crate::model::status::{MountStatus, Status};

use super::text::{Escaped, bandwidth, count, duration};

/// The section of the mounts.
pub(super) fn section(status: &Status) -> String {
    if status.mounts.is_empty() {
        return "<section aria-labelledby=\"mounts\">\n<h2 id=\"mounts\">Mounts</h2>\n\
                <p class=\"hint\">No mount yet. A mount is the path of a stream; make the first one on \
                this machine:<code class=\"line\">antiphon mount create /radio.mp3</code></p>\n\
                </section>\n"
            .to_owned();
    }
    let rows: String = status.mounts.iter().map(row).collect();
    format!(
        "<section aria-labelledby=\"mounts\">\n<h2 id=\"mounts\">Mounts</h2>\n<table class=\"mounts\">\n\
         <caption>Listeners are those of the whole mesh.</caption>\n\
         <thead><tr><th scope=\"col\">Mount</th><th scope=\"col\">Source</th>\
         <th scope=\"col\">Listeners</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</section>\n"
    )
}

fn row(mount: &MountStatus) -> String {
    let (class, title) = match mount.source {
        Some(_) => ("on", title(&mount.title)),
        None if mount.is_lingering() => ("lingers", String::new()),
        None => ("off", String::new()),
    };
    format!(
        "<tr class=\"{class}\"><th scope=\"row\">{station}{title}</th><td>{source}{standby}{holders}</td>\
         <td class=\"number\">{listeners}</td></tr>\n",
        station = station(mount),
        source = source(mount),
        standby = at("standby at", &mount.standby),
        holders = at("held by", &mount.holders),
        listeners = count(mount.listeners.into()),
    )
}

/// The station: its name and below it the mount's path, or the path alone.
fn station(mount: &MountStatus) -> String {
    match mount.name.as_str() {
        "" => mount.path.to_string(),
        name => format!("<bdi>{}</bdi><small>{}</small>", Escaped(name), mount.path),
    }
}

/// What is on air. `bdi` keeps a title of either writing direction from turning its surroundings.
fn title(title: &str) -> String {
    if title.is_empty() {
        return String::new();
    }
    format!(
        "<span class=\"title\"><span class=\"unseen\">on air: </span><bdi>{}</bdi></span>",
        Escaped(title)
    )
}

fn source(mount: &MountStatus) -> String {
    let Some(source) = &mount.source else {
        let why = if mount.is_lingering() {
            "source gone, its listeners are kept for a while"
        } else {
            "no source"
        };
        return format!("<span class=\"none\">{why}</span>");
    };
    let pace = match u64::from(mount.bitrate_kbps) {
        0 => String::new(),
        kbps => format!(", {}", bandwidth(kbps * 1_000)),
    };
    format!(
        "at <strong>{node}</strong> for {connected}<small>{content_type}{pace}</small>",
        node = source.node,
        connected = duration(source.connected_s),
        content_type = Escaped(&mount.content_type),
    )
}

/// The names of nodes, if there are any, and what they are.
fn at(role: &str, nodes: &[NodeName]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("<small>{role} {}</small>", names.join(", "))
}
