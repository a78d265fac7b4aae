//! The players: one for each mount that is on air when the page is opened.

use maud::{Markup, html};

use crate::model::status::{MountStatus, Status};

use super::text::Foreign;

/// The section of the players. It never reloads by itself.
pub(super) fn section(status: &Status) -> Markup {
    let heard = status.mounts.iter().filter(|mount| mount.can_be_heard());
    let on_air: Vec<&MountStatus> = heard.collect();
    html! {
        section class="players" aria-labelledby="listen" {
            h2 id="listen" { "Listen" }
            a class="skip" href="#mesh" { "nodes and mounts" }
            @if on_air.is_empty() {
                (silence(status))
            } @else {
                ul { @for mount in on_air { (player(mount)) } }
                p class="aside" {
                    "The tables on this page are renewed by themselves; the players are not, so that nothing is cut off. "
                    a href="/" { "Look for new streams" }
                }
            }
        }
    }
}

fn player(mount: &MountStatus) -> Markup {
    let path = &mount.path;
    let name = Foreign(match mount.name.as_str() {
        "" => path.as_str(),
        name => name,
    });
    let media_type = Foreign(&mount.content_type);
    let label = html! { "Player of " (name) };
    html! {
        li {
            h3 { bdi { (name) } }
            @if mount.format.is_some_and(|it| it.video.is_some()) {
                video controls preload="none" src=(path) data-type=(media_type) aria-label=(label) {}
            } @else {
                audio controls preload="none" src=(path) data-type=(media_type) aria-label=(label) {}
            }
            p class="say" role="status" hidden {}
            @if !mount.listener_auth.is_open() {
                p class="aside" { "Only for listeners with a login or a token." }
            }
            p { a href={ (path) ".m3u" } { "playlist (.m3u)" } " " a href=(path) { "stream" } }
        }
    }
}

/// The commands to type when nothing is on air: a mount has to be there before a source may come.
fn silence(status: &Status) -> Markup {
    let first = status.mounts.first();
    let path = first.map_or("/radio.mp3", |mount| mount.path.as_str());
    let authority = Foreign(super::own_authority(status));
    html! {
        p class="hint" {
            strong { "Nothing is on air." } " "
            @if first.is_some() {
                "Send a stream to any node:"
            } @else {
                "Create a mount:" code class="line" { "antiphon mount create " (path) }
                "Then send a stream to it, at any node:"
            }
            code class="line" { "antiphon source song.mp3 http://source:PASSWORD@" (authority) (path) }
            a href="/" { "Look again" }
        }
    }
}
