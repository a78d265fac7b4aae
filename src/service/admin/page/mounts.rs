//! The table of mounts: what is on air, from where, and who holds it.

use maud::{Markup, html};

use crate::model::node::NodeName;
use crate::model::sound::SoundState;
use crate::model::status::{MountStatus, Status};

use super::text::{Foreign, bandwidth, columns, count, duration};

/// The section of the mounts.
pub(super) fn section(status: &Status) -> Markup {
    html! {
        section aria-labelledby="mounts" {
            h2 id="mounts" { "Mounts" }
            @if status.mounts.is_empty() {
                p class="hint" {
                    "No mount yet. A mount is the path of a stream; make the first one on this machine:"
                    code class="line" { "antiphon mount create /radio.mp3" }
                }
            } @else {
                table class="mounts" {
                    caption { "Listeners are those of the whole mesh." }
                    (columns(["Mount", "Source", "Listeners"]))
                    tbody { @for mount in &status.mounts { (row(mount)) } }
                }
            }
        }
    }
}

fn row(mount: &MountStatus) -> Markup {
    let class = match mount.source {
        Some(_) => "on",
        None if mount.is_lingering() || mount.can_be_heard() => "lingers",
        None => "off",
    };
    html! {
        tr class=(class) {
            th scope="row" { (station(mount)) @if mount.source.is_some() { (title(&mount.title)) } }
            td {
                (source(mount))
                (transcoder(mount))
                (outside_relay(mount))
                (closed(mount))
                (at("standby at", &mount.standby))
                (at("held by", &mount.holders))
            }
            td class="number" { (count(mount.listeners.into())) }
        }
    }
}

/// The station: its name and below it the mount's path, or the path alone if the name says no more.
fn station(mount: &MountStatus) -> Markup {
    html! {
        @if mount.name.is_empty() || mount.name == mount.path.as_str() {
            (mount.path)
        } @else {
            bdi { (Foreign(&mount.name)) }
            small { (mount.path) }
        }
    }
}

/// The title on air. `bdi` keeps a title of either writing direction from turning its surroundings.
fn title(title: &str) -> Markup {
    html! {
        @if !title.is_empty() {
            span class="title" { span class="unseen" { "on air: " } bdi { (Foreign(title)) } }
        }
    }
}

fn source(mount: &MountStatus) -> Markup {
    html! {
        @if let Some(source) = &mount.source {
            "at " strong { (source.node) } " for " (duration(source.connected_s))
            small {
                (Foreign(&mount.format_in_words()))
                @if mount.bitrate_kbps > 0 { ", " (bandwidth(u64::from(mount.bitrate_kbps) * 1_000)) }
            }
            @if let Some(stated) = &mount.stated_type {
                small { "its encoder says " (Foreign(stated)) }
            }
            @if let Some(trouble) = &mount.trouble { small { strong { (Foreign(trouble)) } } }
            (sound(mount))
            @if let Some(rung) = mount.fallback_heard() {
                small { "its listeners hear " (rung.rung) }
            }
            @for (node, why) in &mount.intro_troubles {
                small { strong { "no intro at " (node) ": " (Foreign(why)) } }
            }
        } @else if let Some(rung) = mount.fallback_heard() {
            span class="none" { "no source: its listeners hear " (rung.rung) }
        } @else if mount.is_lingering() {
            span class="none" { "source gone, its listeners are kept for a while" }
        } @else if let Some(rung) = mount.fallback_offered() {
            span class="none" { "no source: who comes hears " (rung.rung) }
        } @else {
            span class="none" { "no source" }
        }
    }
}

/// Whether the source is silent, if the mount asks for that to be noticed.
fn sound(mount: &MountStatus) -> Markup {
    html! {
        @match mount.sound {
            Some(SoundState::Silent) => {
                small { strong { "silent for " (duration(mount.silent_s.unwrap_or_default())) } }
            }
            Some(SoundState::Quiet) => small { "quiet" },
            Some(SoundState::Unknown) => small { "whether it is silent cannot be told" },
            Some(SoundState::Sounding) | None => {},
        }
    }
}

/// The transcoder that makes the stream, and why it makes none.
fn transcoder(mount: &MountStatus) -> Markup {
    html! {
        @if let Some(transcoder) = &mount.transcoder {
            small {
                "transcoded "
                @if let Some(from) = &transcoder.from { "from " (from) " " }
                (Foreign(&transcoder.in_words()))
            }
            @if let Some(why) = &transcoder.report.trouble { small { strong { (Foreign(why)) } } }
        }
    }
}

/// The outside relay that gets the stream, and the last fault of an address.
fn outside_relay(mount: &MountStatus) -> Markup {
    html! {
        @if let Some(relay) = &mount.outside_relay {
            small { "relayed " (Foreign(&relay.in_words())) }
            @if let Some(why) = &relay.report.trouble { small { strong { (Foreign(why)) } } }
        }
    }
}

/// Why the last source was closed, which its encoder was not told.
fn closed(mount: &MountStatus) -> Markup {
    html! {
        @if let Some(closed) = &mount.closed {
            small {
                strong {
                    "a source at " (closed.node) " was closed " (duration(closed.ago_s)) " ago: "
                    (Foreign(&closed.why))
                }
            }
        }
    }
}

/// The names of nodes, if there are any, and what they are.
fn at(role: &str, nodes: &[NodeName]) -> Markup {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    html! { @if !names.is_empty() { small { (role) " " (names.join(", ")) } } }
}
