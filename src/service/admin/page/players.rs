//! The players: one for each mount that is on air when the page is opened.

use crate::model::status::{MountStatus, Status};

use super::text::Escaped;

/// The section of the players. It never reloads by itself.
pub(super) fn section(status: &Status) -> String {
    let on_air = status.mounts.iter().filter(|mount| mount.source.is_some());
    let players: String = on_air.map(player).collect();
    let body = if players.is_empty() {
        silence(status)
    } else {
        format!(
            "<ul>\n{players}</ul>\n<p class=\"aside\">Players stay as they are while the tables move. \
             <a href=\"/\">Look for new streams</a></p>\n"
        )
    };
    format!(
        "<section class=\"players\" aria-labelledby=\"listen\">\n<h2 id=\"listen\">Listen</h2>\n\
         <a class=\"skip\" href=\"#mesh\">nodes and mounts</a>\n\
         {body}</section>\n"
    )
}

fn player(mount: &MountStatus) -> String {
    let path = &mount.path;
    let name = match mount.name.as_str() {
        "" => path.as_str(),
        name => name,
    };
    format!(
        "<li><h3><bdi>{name}</bdi></h3><audio controls preload=\"none\" src=\"{path}\" \
         data-type=\"{content_type}\" aria-label=\"Player of {name}\"></audio>\
         <p class=\"say\" role=\"status\" hidden></p>\
         <p><a href=\"{path}.m3u\">playlist (.m3u)</a> <a href=\"{path}\">stream</a></p></li>\n",
        name = Escaped(name),
        content_type = Escaped(&mount.content_type),
    )
}

/// What to type when nothing is on air: a mount has to be there before a source may come.
fn silence(status: &Status) -> String {
    let (lead, path) = match status.mounts.first() {
        Some(mount) => ("Send a stream to any node:", mount.path.as_str()),
        None => (
            "Create a mount:<code class=\"line\">antiphon mount create /radio.mp3</code>\
             Then send a stream to it, at any node:",
            "/radio.mp3",
        ),
    };
    format!(
        "<p class=\"hint\"><strong>Nothing is on air.</strong> {lead}\
         <code class=\"line\">antiphon source song.mp3 http://source:PASSWORD@{authority}{path}</code>\
         <a href=\"/\">Look again</a></p>\n",
        authority = Escaped(super::own_authority(status)),
    )
}
