//! The status page: the whole mesh as HTML. It works without a script; with its own small one players say why they
//! are silent.
//!
//! The page is two documents. The outer one holds the players and never reloads, so that nothing that
//! plays is interrupted; a frame in it holds the tables and reloads itself. All of them live on the
//! path `/`, told apart by the query, because every other path could be a mount.

mod certificates;
mod import;
mod mounts;
mod nodes;
mod outside;
mod players;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod text;

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::model::status::{NodeState, NodeStatus, Status};
use text::{Foreign, count, duration, plural};

/// The `Content-Security-Policy` of every part: our own style and frame, and no script but the one that has this hash:
/// none that could be loaded, because a source could be what is loaded.
///
/// Media may come from anywhere, because a mount's address answers with a redirect to another node.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'self'; frame-src 'self'; \
         img-src data:; media-src http: https:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'self'",
        BASE64.encode(Sha256::digest(SCRIPT)),
    )
});

/// Seconds between two reloads of the tables.
///
/// Nodes report each second; five keeps the page alive without making the eye restless, and one
/// open browser costs a fifth of a request per second.
pub const REFRESH_S: u32 = 5;

/// The style sheet, for light and dark and for narrow and wide.
const STYLE: &str = include_str!("page.css");

/// The script that makes players say why they are silent. The page works without it.
const SCRIPT: &str = include_str!("page.js");

/// Two choirs that answer each other; also the icon of the browser's tab.
const LOGO: &str = include_str!("logo.svg");

/// The document that a browser asks for; all of them are on the path `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagePart {
    /// The outer page with the players.
    Page,
    /// The tables, which reload themselves every [`REFRESH_S`] seconds.
    Mesh,
    /// The tables as they are now, for readers that a reload would disturb.
    StillMesh,
    /// The style sheet.
    Style,
}

impl PagePart {
    /// Reads the query of `/?part=…`; an unknown part is the page itself.
    pub fn from_query(query: &str) -> Self {
        let wanted = query.split('&').find_map(|pair| pair.strip_prefix("part="));
        match wanted {
            Some("mesh") => Self::Mesh,
            Some("still") => Self::StillMesh,
            Some("style") => Self::Style,
            _ => Self::Page,
        }
    }

    /// The media type of this part.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Style => "text/css; charset=utf-8",
            Self::Page | Self::Mesh | Self::StillMesh => "text/html; charset=utf-8",
        }
    }

    /// The time that a browser may keep a part: of the mesh nothing, of the style five minutes, to show an upgrade.
    pub fn cache_control(self) -> &'static str {
        match self {
            Self::Style => "public, max-age=300",
            Self::Page | Self::Mesh | Self::StillMesh => "no-store",
        }
    }
}

/// The contents of a page, and how it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct PageView<'a> {
    /// The mesh.
    pub status: &'a Status,
    /// The time at which it was so.
    pub now: SystemTime,
    /// Whether the page was asked for by HTTPS: then it links to nothing else.
    pub https: bool,
}

impl<'a> PageView<'a> {
    /// The address of a node's page, in the way in which this page was asked for.
    fn link(self, node: &'a NodeStatus) -> Option<&'a str> {
        let url = match self.https {
            true => node.https_url.as_deref().unwrap_or_default(),
            false => &node.url,
        };
        text::is_web_url(url, self.https).then_some(url)
    }
}

/// The body of one part.
pub fn page(part: PagePart, seen: PageView<'_>) -> String {
    match part {
        PagePart::Page => outer(seen).into_string(),
        PagePart::Mesh | PagePart::StillMesh => mesh(part, seen).into_string(),
        PagePart::Style => STYLE.to_owned(),
    }
}

/// The answering node's own entry, once it has heard of itself.
fn own(status: &Status) -> Option<&NodeStatus> {
    status.nodes.iter().find(|node| node.name == status.node)
}

/// `host:port` of the answering node, as others would type it; a placeholder while it is unknown.
fn own_authority(status: &Status) -> &str {
    let url = own(status).map_or("", |node| node.url.as_str());
    let authority = url.strip_prefix("http://").unwrap_or_default();
    if authority.is_empty() {
        "HOST:8000"
    } else {
        authority
    }
}

fn head(title: &str, more: &Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            (more)
            title { (title) }
            link rel="stylesheet" href="/?part=style";
        }
    }
}

/// The logo as the icon of the tab, in the page itself: a path of its own could be a mount.
fn icon() -> Markup {
    /// The characters that may not stand as they are in a `data:` address.
    const UNSAFE: &AsciiSet = &CONTROLS.add(b'"').add(b'#').add(b'%').add(b'<').add(b'>');
    let logo = utf8_percent_encode(LOGO.trim_end(), UNSAFE);
    html! { link rel="icon" href={ "data:image/svg+xml," (logo) }; }
}

fn outer(seen: PageView<'_>) -> Markup {
    let status = seen.status;
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("antiphon · {}", status.node), &icon()))
            body class="outer" {
                header class="brand" {
                    (PreEscaped(LOGO.trim_end()))
                    h1 { "antiphon" }
                    p { "seen from " strong { (status.node) } ", mesh " code { (Foreign(&status.cluster)) } }
                    (other_views(seen))
                }
                main {
                    (players::section(status))
                    iframe id="mesh" src="/?part=mesh"
                        title={ "Nodes and mounts, renewed every " (REFRESH_S) " seconds" } {}
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Links to the other nodes' pages. They stand outside of the frame, so that they are still there
/// when this node no longer answers the frame.
fn other_views(seen: PageView<'_>) -> Markup {
    let status = seen.status;
    let living = |node: &&NodeStatus| node.name != status.node && node.state != NodeState::Dead;
    let links = status
        .nodes
        .iter()
        .filter(living)
        .filter_map(|node| Some((seen.link(node)?, &node.name)));
    let links: Vec<_> = links.collect();
    html! {
        @if !links.is_empty() {
            nav aria-label="The same mesh seen from another node" {
                "see it from"
                @for (url, name) in links { " " a href={ (Foreign(url)) "/" } { (name) } }
            }
        }
    }
}

fn mesh(part: PagePart, seen: PageView<'_>) -> Markup {
    let status = seen.status;
    let more = html! {
        // What is clicked here opens beside the page: to leave it would end what plays.
        base target="_blank";
        @if part == PagePart::Mesh { meta http-equiv="refresh" content=(REFRESH_S); }
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("The mesh", &more))
            body class="mesh" {
                h1 class="unseen" { "The mesh" }
                (summary(status))
                @if status.master.is_none() {
                    p class="notice" role="status" {
                        strong { "No master: electing one." } " What is on air goes on meanwhile."
                    }
                }
                (nodes::section(seen))
                (mounts::section(status))
                (import::section(seen))
                (certificates::section(seen))
                (outside::section(seen))
                (foot(part, seen))
            }
        }
    }
}

fn summary(status: &Status) -> Markup {
    let living = status.nodes.iter().filter(|n| n.state != NodeState::Dead);
    let (mut alive, mut listeners, mut room) = (0_u64, 0_u64, 0_u64);
    for node in living {
        alive += 1;
        listeners += u64::from(node.listeners);
        if takes_listeners(node) {
            room += u64::from(node.max_listeners);
        }
    }
    let on_air = status.mounts.iter().filter(|m| m.can_be_heard()).count();
    let master = status.master.as_ref().map_or("none", |name| name.as_str());
    html! {
        dl class="summary" {
            (figure("Master", master, &format!("epoch {}", status.epoch.0)))
            (figure("Nodes", &alive.to_string(), &format!("of {} known", status.nodes.len())))
            (figure("On air", &on_air.to_string(), &format!("of {}", plural(status.mounts.len(), "mount"))))
            (figure("Listeners", &count(listeners), &format!("of {}", count(room))))
        }
    }
}

fn figure(term: &str, value: &str, beside: &str) -> Markup {
    html! { div { dt { (term) } dd { (value) small { (beside) } } } }
}

/// Whether new listeners are sent to a node: only then its places are places of the mesh.
fn takes_listeners(node: &NodeStatus) -> bool {
    let is_up = matches!(
        node.state,
        NodeState::Alive | NodeState::Unlinked | NodeState::Suspect
    );
    is_up && !node.traits.maintenance && node.traits.weight_percent > 0
}

fn foot(part: PagePart, seen: PageView<'_>) -> Markup {
    let day_s = seen
        .now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() % 86_400);
    let (hour, minute, second) = (day_s / 3_600, day_s / 60 % 60, day_s % 60);
    let status = seen.status;
    html! {
        footer {
            p {
                "As " (status.node) " saw it at "
                time { (format!("{hour:02}:{minute:02}:{second:02}")) } " UTC, "
                @if part == PagePart::Mesh {
                    "renewed every " (REFRESH_S) " s: " a href="/?part=still" target="_self" { "stop renewing" }
                } @else {
                    "not renewed: " a href="/?part=mesh" target="_self" { "renew again" }
                }
            }
            p {
                "antiphon " (Foreign(&status.version)) ", up " (duration(status.uptime_s)) " · "
                a href="/status.json" { "status.json" }
            }
        }
    }
}
