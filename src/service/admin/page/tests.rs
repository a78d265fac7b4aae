//! The contents of the parts of the page, and what they never do.

use std::time::Duration;

use super::*;
use crate::model::format::{CodecName, VideoFormat};
use crate::model::seat::Epoch;
use crate::model::status::{MountStatus, SourceStatus};
use crate::model::stream::StreamId;

fn node(name: &str, listeners: u32, predicted: f64) -> NodeStatus {
    NodeStatus {
        master: name == "north",
        listeners,
        bandwidth_bps: u64::from(listeners) * 128_000,
        utilization: f64::from(listeners) / 500.0,
        predicted_utilization: predicted,
        ..NodeStatus::sample(name)
    }
}

fn mount(path: &str, source: Option<&str>) -> MountStatus {
    let source = source.map(|at| SourceStatus {
        priority: Default::default(),
        node: at.try_into().unwrap(),
        stream_id: StreamId(7),
        offset: 1_000,
        connected_s: 8_000,
        started_unix_s: 0,
    });
    MountStatus {
        name: "Radio Known".into(),
        listeners: 437,
        listener_peak: 437,
        holders: match source {
            Some(_) => vec!["east".try_into().unwrap(), "north".try_into().unwrap()],
            None => Vec::new(),
        },
        title: "Hildegard – O vis aeternitatis".into(),
        source,
        ..MountStatus::sample(path)
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
        started_unix_s: 0,
        import: None,
        certificates: None,
        master: Some("north".try_into().unwrap()),
        epoch: Epoch(4),
        nodes,
        mounts: vec![mount("/radio.mp3", Some("east")), mount("/live.ogg", None)],
        geo: None,
        clock: None,
        outside: Vec::new(),
        unreached: Vec::new(),
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

fn shown(part: PagePart, status: &Status) -> String {
    shown_by(part, status, false)
}

fn shown_by(part: PagePart, status: &Status, https: bool) -> String {
    let now = UNIX_EPOCH + Duration::from_secs(45_296);
    page(part, PageView { status, now, https })
}

#[test]
fn visitors_by_https_stay_on_https() {
    let mut status = example();
    status.nodes[1].https_url = Some("https://north.example".into());
    for part in [PagePart::Page, PagePart::Mesh] {
        let html = shown_by(part, &status, true);
        assert!(html.contains("href=\"https://north.example/\""), "{html}");
        assert!(!html.contains("href=\"http://"), "{html}");
    }
    let plain = shown(PagePart::Page, &status);
    assert!(plain.contains("href=\"http://north.example:8000/\""));
}

#[test]
fn a_station_is_shown_with_name_and_set_bitrate() {
    let mesh = shown(PagePart::Mesh, &example());
    assert!(
        mesh.contains("<bdi>Radio Known</bdi><small>/radio.mp3</small>"),
        "{mesh}"
    );
    assert!(
        mesh.contains("MP3, 44.1 kHz, stereo, 128\u{a0}kbit/s"),
        "{mesh}"
    );
    let outer = shown(PagePart::Page, &example());
    assert!(outer.contains("<h3><bdi>Radio Known</bdi></h3>"), "{outer}");
}

#[test]
fn a_name_that_is_the_path_is_shown_once() {
    let mut status = example();
    status.mounts[0].name = status.mounts[0].path.to_string();
    let mesh = shown(PagePart::Mesh, &status);
    assert!(!mesh.contains("<small>/radio.mp3</small>"), "{mesh}");
    assert!(mesh.contains("/radio.mp3"), "{mesh}");
}

#[test]
fn only_the_tables_reload_and_only_the_page_plays() {
    let (outer, mesh) = (
        shown(PagePart::Page, &example()),
        shown(PagePart::Mesh, &example()),
    );
    assert!(outer.contains("<audio") && !outer.contains("http-equiv"));
    assert!(mesh.contains("http-equiv=\"refresh\" content=\"5\"") && !mesh.contains("<audio"));
    assert!(!shown(PagePart::StillMesh, &example()).contains("http-equiv"));
}

#[test]
fn the_query_tells_the_parts_apart() {
    assert_eq!(PagePart::from_query("part=mesh"), PagePart::Mesh);
    assert_eq!(PagePart::from_query("x=1&part=still"), PagePart::StillMesh);
    assert_eq!(PagePart::from_query("part=style"), PagePart::Style);
    assert_eq!(PagePart::from_query(""), PagePart::Page);
    assert_eq!(PagePart::from_query("part=<script>"), PagePart::Page);
}

#[test]
fn the_tables_show_who_is_master_and_how_everybody_does() {
    let mesh = shown(PagePart::Mesh, &example());
    assert!(mesh.contains("north</a><span class=\"badge\">master</span>"));
    assert_eq!(mesh.matches("class=\"badge\"").count(), 1);
    assert!(mesh.contains("<tr class=\"dead\">"));
    assert!(mesh.contains("396 of 500") && mesh.contains("79 %, soon 86 %"));
    assert!(mesh.contains("<dd>437<small>of 1,000</small></dd>"));
    assert!(mesh.contains("As east saw it at <time>12:34:56</time> UTC"));
}

#[test]
fn only_a_mount_on_air_has_a_player() {
    let outer = shown(PagePart::Page, &example());
    assert!(outer.contains("src=\"/radio.mp3\"") && outer.contains("href=\"/radio.mp3.m3u\""));
    assert!(!outer.contains("/live.ogg"));
    let mesh = shown(PagePart::Mesh, &example());
    assert!(mesh.contains("no source") && mesh.matches("Hildegard").count() == 1);
}

#[test]
fn a_film_is_shown() {
    let mut status = example();
    assert!(!shown(PagePart::Page, &status).contains("<video"));
    let format = status.mounts[0].format.as_mut().unwrap();
    format.video = Some(VideoFormat {
        codec: CodecName::Vp8,
        width: 320,
        height: 240,
    });
    let outer = shown(PagePart::Page, &status);
    assert!(
        outer.contains("<video") && !outer.contains("<audio"),
        "{outer}"
    );
}

#[test]
fn drains_lingering_mounts_and_standbys_are_told_apart() {
    let mut status = example();
    status.nodes[0].state = NodeState::Draining;
    status.mounts[0].source = None;
    status.mounts[0].standby = vec!["west".try_into().unwrap()];
    let mesh = shown(PagePart::Mesh, &status);
    assert!(mesh.contains("<tr class=\"draining\">") && mesh.contains("takes nobody new"));
    assert!(mesh.contains("<tr class=\"lingers\">") && mesh.contains("listeners are kept"));
    assert!(mesh.contains("<small>standby at west</small>"));
    assert!(mesh.contains("<tr class=\"off\">") && mesh.matches("no source").count() == 1);
    assert!(!shown(PagePart::Page, &status).contains("<audio"));
}

#[test]
fn an_empty_mesh_says_what_to_type() {
    let (outer, mesh) = (
        shown(PagePart::Page, &newborn()),
        shown(PagePart::Mesh, &newborn()),
    );
    assert!(mesh.contains("antiphon mount create /radio.mp3"));
    assert!(mesh.contains("--join east.example:8000"));
    assert!(mesh.contains("No master: electing one."));
    assert!(outer.contains("antiphon source song.mp3 http://source:PASSWORD@east.example:8000/"));
}

#[test]
fn a_node_that_does_not_know_itself_is_shown() {
    let unborn = Status {
        nodes: Vec::new(),
        ..newborn()
    };
    assert!(shown(PagePart::Mesh, &unborn).contains("just waking up"));
    assert!(shown(PagePart::Page, &unborn).contains("HOST:8000"));
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
        mount.name = HOSTILE.into();
        mount.content_type = HOSTILE.into();
        mount.format = None;
    }
    for part in [PagePart::Page, PagePart::Mesh, PagePart::StillMesh] {
        let html = shown(part, &status);
        let html = html.replace(&format!("<script>{SCRIPT}</script>"), "");
        assert!(
            !html.contains("<script") && !html.contains("'\">"),
            "{html}"
        );
    }
    status.nodes[0].url = "javascript:alert(1)".into();
    let html = shown(PagePart::Page, &status) + &shown(PagePart::Mesh, &status);
    assert!(!html.contains("href=\"javascript"));
}

#[test]
fn the_strict_policy_finds_nothing_to_forbid() {
    for status in [example(), newborn()] {
        for part in [PagePart::Page, PagePart::Mesh, PagePart::StillMesh] {
            let html = shown(part, &status);
            assert!(!html.contains(" style=") && !html.contains("<style"));
            let own = format!("<script>{SCRIPT}</script>");
            let scripts = if part == PagePart::Page { 1 } else { 0 };
            assert_eq!(html.matches(&own).count(), scripts);
            let html = html.replace(&own, "");
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
    let mesh = shown(PagePart::Mesh, &status);
    assert!(mesh.contains("bar full") && mesh.contains("aria-valuenow=\"100\""));
}

#[test]
fn only_the_pages_own_script_may_run() {
    assert!(!SCRIPT.contains("</script"), "it would end there");
    let allowed = CONTENT_SECURITY_POLICY
        .split("; ")
        .find_map(|it| it.strip_prefix("script-src "));
    let hash = BASE64.encode(Sha256::digest(SCRIPT));
    assert_eq!(allowed, Some(format!("'sha256-{hash}'").as_str()));
}

#[test]
fn a_player_knows_its_format_and_can_explain_silence() {
    let outer = shown(PagePart::Page, &example());
    assert!(outer.contains("data-type=\"audio/mpeg\""), "{outer}");
    assert!(outer.contains("<p class=\"say\" role=\"status\" hidden></p>"));
}
