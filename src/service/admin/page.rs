//! The status page: the whole mesh as HTML, without a script.
//!
//! It is two documents. The outer one holds the players and never reloads, so that nothing that
//! plays is interrupted; a frame in it holds the tables and reloads itself. All of them live on the
//! path `/`, told apart by the query, because every other path could be a mount.

mod mounts;
mod nodes;
mod outside;
mod players;
mod text;

use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::model::status::{NodeState, NodeStatus, Status};
use text::{Escaped, count, duration, plural};

/// The `Content-Security-Policy` of every part: our own style and frame, no script at all.
///
/// Media may come from anywhere, because a mount's address answers with a redirect to another node.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; frame-src 'self'; \
     img-src data:; media-src http: https:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'";

/// Seconds between two reloads of the tables.
///
/// Nodes report each second; five keeps the page alive without making the eye restless, and one
/// open browser costs a fifth of a request per second.
pub const REFRESH_S: u32 = 5;

/// The style sheet, for light and dark and for narrow and wide.
const STYLE: &str = include_str!("page.css");

/// Two choirs that answer each other; also the icon of the browser's tab.
const LOGO: &str = include_str!("page/logo.svg");

/// Which document a browser asks for, all of them on the path `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The outer page with the players.
    Page,
    /// The tables, which reload themselves every [`REFRESH_S`] seconds.
    Mesh,
    /// The tables as they are now, for readers whom a reload would disturb.
    StillMesh,
    /// The style sheet.
    Style,
}

impl Part {
    /// Reads the query of `/?part=…`; whatever is unknown is the page itself.
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

    /// What a browser may keep: of the mesh nothing, of the style five minutes, so that an upgrade shows.
    pub fn cache_control(self) -> &'static str {
        match self {
            Self::Style => "public, max-age=300",
            Self::Page | Self::Mesh | Self::StillMesh => "no-store",
        }
    }
}

/// The body of one part; `now` is what the tables say that they show.
pub fn page(part: Part, status: &Status, now: SystemTime) -> String {
    match part {
        Part::Page => outer(status),
        Part::Mesh | Part::StillMesh => mesh(part, status, now),
        Part::Style => STYLE.to_owned(),
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

fn head(title: &str, more: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n{more}\
         <title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/?part=style\">\n</head>\n",
        title = Escaped(title),
    )
}

/// The logo as the icon of the tab, in the page itself: a path of its own could be a mount.
fn icon() -> String {
    /// What may not stand as it is in a `data:` address within a quoted attribute.
    const UNSAFE: &AsciiSet = &CONTROLS.add(b'"').add(b'#').add(b'%').add(b'<').add(b'>');
    let logo = utf8_percent_encode(LOGO.trim_end(), UNSAFE);
    format!("<link rel=\"icon\" href=\"data:image/svg+xml,{logo}\">\n")
}

fn outer(status: &Status) -> String {
    let head = head(&format!("antiphon · {}", status.node), &icon());
    format!(
        "{head}<body class=\"outer\">\n\
         <header class=\"brand\">{logo}<h1>antiphon</h1>\
         <p>seen from <strong>{node}</strong>, mesh <code>{cluster}</code></p>{others}</header>\n\
         <main>\n{players}\
         <iframe src=\"/?part=mesh\" title=\"Nodes and mounts, renewed every {REFRESH_S} seconds\">\
         </iframe>\n</main>\n</body>\n</html>\n",
        logo = LOGO.trim_end(),
        node = status.node,
        cluster = Escaped(&status.cluster),
        others = other_views(status),
        players = players::section(status),
    )
}

/// Links to the other nodes' pages. They stand outside of the frame, so that they are still there
/// when this node no longer answers the frame.
fn other_views(status: &Status) -> String {
    let living = |node: &&NodeStatus| node.name != status.node && node.state != NodeState::Dead;
    let links: Vec<String> = status
        .nodes
        .iter()
        .filter(living)
        .filter(|node| text::is_web_url(&node.url))
        .map(|node| format!("<a href=\"{}/\">{}</a>", Escaped(&node.url), node.name))
        .collect();
    if links.is_empty() {
        return String::new();
    }
    format!(
        "<nav aria-label=\"The same mesh seen from another node\">see it from {}</nav>",
        links.join(" ")
    )
}

fn mesh(part: Part, status: &Status, now: SystemTime) -> String {
    let reload = format!("<meta http-equiv=\"refresh\" content=\"{REFRESH_S}\">\n");
    // What is clicked here opens beside the page: to leave it would end what plays.
    let opens_beside = "<base target=\"_blank\">\n";
    let head = match part {
        Part::Mesh => head("The mesh", &format!("{opens_beside}{reload}")),
        _ => head("The mesh", opens_beside),
    };
    format!(
        "{head}<body class=\"mesh\">\n<h1 class=\"unseen\">The mesh</h1>\n{summary}{notice}\
         {nodes}{mounts}{outside}{foot}</body>\n</html>\n",
        summary = summary(status),
        notice = notice(status),
        nodes = nodes::section(status),
        mounts = mounts::section(status),
        outside = outside::section(status),
        foot = foot(part, status, now),
    )
}

fn summary(status: &Status) -> String {
    let living = status.nodes.iter().filter(|n| n.state != NodeState::Dead);
    let (mut alive, mut listeners, mut room) = (0_u64, 0_u64, 0_u64);
    for node in living {
        alive += 1;
        listeners += u64::from(node.listeners);
        room += u64::from(node.max_listeners);
    }
    let on_air = status.mounts.iter().filter(|m| m.source.is_some()).count();
    let master = status.master.as_ref().map_or("none", |name| name.as_str());
    format!(
        "<dl class=\"summary\">\
         <div><dt>Master</dt><dd>{master}<small>epoch {epoch}</small></dd></div>\
         <div><dt>Nodes</dt><dd>{alive}<small>of {nodes} known</small></dd></div>\
         <div><dt>On air</dt><dd>{on_air}<small>of {mounts}</small></dd></div>\
         <div><dt>Listeners</dt><dd>{listeners}<small>of {room}</small></dd></div>\
         </dl>\n",
        epoch = status.epoch.0,
        nodes = status.nodes.len(),
        mounts = plural(status.mounts.len(), "mount"),
        listeners = count(listeners),
        room = count(room),
    )
}

fn notice(status: &Status) -> &'static str {
    match status.master {
        Some(_) => "",
        None => {
            "<p class=\"notice\" role=\"status\"><strong>No master: electing one.</strong> \
             What is on air goes on meanwhile.</p>\n"
        }
    }
}

fn foot(part: Part, status: &Status, now: SystemTime) -> String {
    let day_s = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() % 86_400);
    let (hour, minute, second) = (day_s / 3_600, day_s / 60 % 60, day_s % 60);
    let motion = match part {
        Part::Mesh => format!(
            "renewed every {REFRESH_S} s: <a href=\"/?part=still\" target=\"_self\">hold still</a>"
        ),
        _ => "held still: <a href=\"/?part=mesh\" target=\"_self\">renew again</a>".to_owned(),
    };
    format!(
        "<footer><p>As {node} saw it at <time>{hour:02}:{minute:02}:{second:02}</time> UTC, {motion}</p>\
         <p>antiphon {version}, up {uptime} · <a href=\"/status.json\">status.json</a></p></footer>\n",
        node = status.node,
        version = Escaped(&status.version),
        uptime = duration(status.uptime_s),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::geo::Whereabouts;
    use crate::model::seat::Epoch;
    use crate::model::status::{MountStatus, SourceStatus};
    use crate::model::stream::StreamId;

    fn node(name: &str, listeners: u32, predicted: f64) -> NodeStatus {
        NodeStatus {
            name: name.try_into().unwrap(),
            url: format!("http://{name}.example:8000"),
            state: NodeState::Alive,
            master: name == "north",
            rank: 100,
            listeners,
            max_listeners: 500,
            bandwidth_bps: u64::from(listeners) * 128_000,
            max_bandwidth_bps: 100_000_000,
            utilization: f64::from(listeners) / 500.0,
            predicted_utilization: predicted,
            version: "0.1.0".into(),
            dns: false,
            traits: crate::model::traits::NodeTraits::default(),
            place: Whereabouts::default(),
            disk: None,
        }
    }

    fn mount(path: &str, source: Option<&str>) -> MountStatus {
        let source = source.map(|at| SourceStatus {
            node: at.try_into().unwrap(),
            stream_id: StreamId(7),
            offset: 1_000,
            connected_s: 8_000,
        });
        MountStatus {
            path: path.try_into().unwrap(),
            content_type: "audio/mpeg".into(),
            bitrate_bps: 128_000,
            listeners: 437,
            holders: match source {
                Some(_) => vec!["east".try_into().unwrap(), "north".try_into().unwrap()],
                None => Vec::new(),
            },
            title: "Hildegard – O vis aeternitatis".into(),
            standby: Vec::new(),
            source,
        }
    }

    /// Three nodes in three states, one mount on air and one silent.
    fn example() -> Status {
        let mut nodes = vec![
            node("east", 396, 0.86),
            node("north", 41, 0.082),
            node("west", 0, 0.0),
        ];
        nodes[2].state = NodeState::Dead;
        Status {
            node: "east".try_into().unwrap(),
            cluster: "9f2c41d0".into(),
            version: "0.1.0".into(),
            uptime_s: 93_784,
            master: Some("north".try_into().unwrap()),
            epoch: Epoch(4),
            nodes,
            mounts: vec![mount("/radio.mp3", Some("east")), mount("/live.ogg", None)],
            geo: None,
            outside: Vec::new(),
        }
    }

    /// One node that has just begun to live.
    fn newborn() -> Status {
        let mut alone = node("east", 0, 0.0);
        alone.version = "0.1.0".into();
        Status {
            master: None,
            nodes: vec![alone],
            mounts: Vec::new(),
            ..example()
        }
    }

    fn shown(part: Part, status: &Status) -> String {
        page(part, status, UNIX_EPOCH + Duration::from_secs(45_296))
    }

    #[test]
    fn only_the_tables_reload_and_only_the_page_plays() {
        let (outer, mesh) = (shown(Part::Page, &example()), shown(Part::Mesh, &example()));
        assert!(outer.contains("<audio") && !outer.contains("http-equiv"));
        assert!(mesh.contains("http-equiv=\"refresh\" content=\"5\"") && !mesh.contains("<audio"));
        assert!(!shown(Part::StillMesh, &example()).contains("http-equiv"));
    }

    #[test]
    fn the_query_tells_the_parts_apart() {
        assert_eq!(Part::from_query("part=mesh"), Part::Mesh);
        assert_eq!(Part::from_query("x=1&part=still"), Part::StillMesh);
        assert_eq!(Part::from_query("part=style"), Part::Style);
        assert_eq!(Part::from_query(""), Part::Page);
        assert_eq!(Part::from_query("part=<script>"), Part::Page);
    }

    #[test]
    fn the_tables_show_who_is_master_and_how_everybody_does() {
        let mesh = shown(Part::Mesh, &example());
        assert!(mesh.contains("north</a><span class=\"badge\">master</span>"));
        assert_eq!(mesh.matches("class=\"badge\"").count(), 1);
        assert!(mesh.contains("<tr class=\"dead\">"));
        assert!(mesh.contains("396 of 500") && mesh.contains("79 %, soon 86 %"));
        assert!(mesh.contains("<dd>437<small>of 1,000</small></dd>"));
        assert!(mesh.contains("As east saw it at <time>12:34:56</time> UTC"));
    }

    #[test]
    fn a_mount_on_air_has_a_player_and_a_silent_one_has_none() {
        let outer = shown(Part::Page, &example());
        assert!(outer.contains("src=\"/radio.mp3\"") && outer.contains("href=\"/radio.mp3.m3u\""));
        assert!(!outer.contains("/live.ogg"));
        let mesh = shown(Part::Mesh, &example());
        assert!(mesh.contains("no source") && mesh.matches("Hildegard").count() == 1);
    }

    #[test]
    fn a_drain_a_lingering_mount_and_a_standby_are_told_apart() {
        let mut status = example();
        status.nodes[0].state = NodeState::Draining;
        status.mounts[0].source = None;
        status.mounts[0].standby = vec!["west".try_into().unwrap()];
        let mesh = shown(Part::Mesh, &status);
        assert!(mesh.contains("<tr class=\"draining\">") && mesh.contains("takes nobody new"));
        assert!(mesh.contains("<tr class=\"lingers\">") && mesh.contains("listeners are kept"));
        assert!(mesh.contains("<small>standby at west</small>"));
        assert!(mesh.contains("<tr class=\"off\">") && mesh.matches("no source").count() == 1);
        assert!(!shown(Part::Page, &status).contains("<audio"));
    }

    #[test]
    fn an_empty_mesh_says_what_to_type() {
        let (outer, mesh) = (shown(Part::Page, &newborn()), shown(Part::Mesh, &newborn()));
        assert!(mesh.contains("antiphon mount create /radio.mp3"));
        assert!(mesh.contains("--join east.example:8000"));
        assert!(mesh.contains("No master: electing one."));
        assert!(
            outer.contains("antiphon source song.mp3 http://source:PASSWORD@east.example:8000/")
        );
    }

    #[test]
    fn a_node_that_does_not_know_itself_yet_is_shown_all_the_same() {
        let unborn = Status {
            nodes: Vec::new(),
            ..newborn()
        };
        assert!(shown(Part::Mesh, &unborn).contains("just waking up"));
        assert!(shown(Part::Page, &unborn).contains("HOST:8000"));
    }

    #[test]
    fn nothing_that_others_wrote_is_markup() {
        const HOSTILE: &str = "'\"><script>alert(1)</script>";
        let mut status = example();
        status.cluster = HOSTILE.into();
        status.version = HOSTILE.into();
        for node in &mut status.nodes {
            node.version = HOSTILE.into();
            node.url = format!("http://{HOSTILE}");
        }
        for mount in &mut status.mounts {
            mount.title = HOSTILE.into();
            mount.content_type = HOSTILE.into();
        }
        for part in [Part::Page, Part::Mesh, Part::StillMesh] {
            let html = shown(part, &status);
            assert!(
                !html.contains("<script") && !html.contains("'\">"),
                "{html}"
            );
        }
        status.nodes[0].url = "javascript:alert(1)".into();
        let html = shown(Part::Page, &status) + &shown(Part::Mesh, &status);
        assert!(!html.contains("href=\"javascript"));
    }

    #[test]
    fn the_strict_policy_finds_nothing_to_forbid() {
        for status in [example(), newborn()] {
            for part in [Part::Page, Part::Mesh, Part::StillMesh] {
                let html = shown(part, &status);
                assert!(!html.contains(" style=") && !html.contains("<style"));
                let mut words = html.split_whitespace();
                let handler = words.find(|w| w.starts_with("on") && w.contains('='));
                assert!(!html.contains("<script") && handler.is_none(), "{html}");
            }
        }
    }

    #[test]
    fn a_report_of_nonsense_draws_a_full_bar() {
        let mut status = example();
        status.nodes[0].max_listeners = 0;
        status.nodes[0].predicted_utilization = f64::NAN;
        let mesh = shown(Part::Mesh, &status);
        assert!(mesh.contains("bar full") && mesh.contains("aria-valuenow=\"100\""));
    }
}
