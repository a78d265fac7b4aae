//! `antiphon status`: the whole mesh, as one node sees it.

pub(super) mod nodes;

use anyhow::Context;
use clap::Args;
use hyper::Method;

use super::api::{Api, NodeArgs};
use super::quantities::{duration, rate};
use super::terminal::{self, Side, TextTable, printable, shortened};
use super::{cert, import};
use crate::io::clock;
use crate::model::node::NodeName;
use crate::model::sound::SoundState;
use crate::model::status::outside::OutsideStatus;
use crate::model::status::{EngineStatus, MountStatus, NodeState, Status, UnreachedPeer};
use crate::settings::Machine;

/// The longest title that is shown, in characters: a row should fit a usual terminal.
const MAX_TITLE_LETTERS: usize = 48;
/// The longest name of a station that is shown, in characters.
const MAX_NAME_LETTERS: usize = 24;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print the node's own JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Asks a node for the state of the mesh, and prints it.
pub(super) async fn status(args: StatusArgs) -> anyhow::Result<()> {
    // Whoever may manage the mesh is shown hidden mounts too.
    let api = Api::seeing(args.node, &Machine::here())?;
    let body = api.ask(Method::GET, "/status.json", None).await?;
    let text = if args.json {
        let text = std::str::from_utf8(&body).context("the node's answer is not JSON")?;
        format!("{}\n", text.trim_end())
    } else {
        let status = serde_json::from_slice(&body);
        render(&status.context("the answer is not the status of an antiphon node")?)
    };
    Ok(terminal::print(&text)?)
}

fn render(status: &Status) -> String {
    let mut parts = vec![
        headline(status),
        nodes::rows(&status.nodes) + &troubles(status),
        mounts(&status.mounts)
            + &transcoders(&status.mounts)
            + &outside_relays(&status.mounts)
            + &faults(&status.mounts),
    ];
    if !status.outside.is_empty() {
        parts.push(outside(&status.outside));
    }
    if let Some(status) = &status.import {
        parts.push(import::lines(status));
    }
    if let Some(status) = &status.certificates {
        parts.push(cert::rows(&status.certificates, clock::unix_s()));
    }
    parts.join("\n")
}

/// A line for each problem that an operator has to solve.
fn troubles(status: &Status) -> String {
    let clock = status.clock.iter();
    let clock =
        clock.map(|why| format!("{}: edits are refused: {}\n", status.node, printable(why)));
    let mut lines: String = clock.collect();
    for node in status
        .nodes
        .iter()
        .filter(|node| node.state != NodeState::Dead)
    {
        if let Some(why) = &node.disk {
            let why = printable(why);
            let name = &node.name;
            lines += &format!(
                "{name}: {why}; it serves, refuses edits that no other node saves, and gives the master's seat to whoever can write\n"
            );
        }
        if let Some(why) = &node.logs {
            lines += &format!(
                "{}: {}; it serves all the same\n",
                node.name,
                printable(why)
            );
        }
        if let Some(engine) = &node.engine {
            lines += &engine_line(&node.name, engine);
        }
        if let Some(why) = &node.address_trouble {
            let (url, why) = (printable(&node.url), printable(why));
            lines += &format!("{}: listeners do not get to {url}: {why}\n", node.name);
        }
    }
    lines
}

/// A line for a server that serves a node's listeners, if there is anything to say of it.
fn engine_line(node: &NodeName, engine: &EngineStatus) -> String {
    let why = engine.trouble.as_deref().unwrap_or("it is starting");
    let (name, why) = (printable(&engine.name), printable(why));
    match engine.serving {
        false => format!("{node}: serves no listeners, because its {name} does not: {why}\n"),
        true if engine.trouble.is_some() => format!("{node}: {name}: {why}\n"),
        true => String::new(),
    }
}

/// A line for each fault in what the sources of mounts send, or had sent until they were closed, and in files of mounts.
fn faults(mounts: &[MountStatus]) -> String {
    let mut lines = String::new();
    for mount in mounts {
        if let Some(why) = mount.trouble.as_ref().filter(|_| mount.source.is_some()) {
            lines += &format!("{}: {}\n", mount.path, printable(why));
        }
        lines += &sound(mount);
        if let Some(closed) = &mount.closed {
            let (node, ago, why) = (&closed.node, duration(closed.ago_s), printable(&closed.why));
            lines += &format!(
                "{}: a source at {node} was closed {ago} ago: {why}\n",
                mount.path
            );
        }
        for (node, why) in &mount.intro_troubles {
            let (path, why) = (&mount.path, printable(why));
            lines += &format!("{path}: listeners at {node} hear no intro: {why}\n");
        }
    }
    lines
}

/// A line for a source that is silent, or is watched for silence in vain.
fn sound(mount: &MountStatus) -> String {
    match mount.sound {
        Some(SoundState::Silent) => {
            let silent = duration(mount.silent_s.unwrap_or_default());
            format!("{}: silent for {silent}\n", mount.path)
        }
        Some(SoundState::Unknown) => {
            format!("{}: whether it is silent cannot be told\n", mount.path)
        }
        Some(SoundState::Sounding | SoundState::Quiet) | None => String::new(),
    }
}

fn headline(status: &Status) -> String {
    let master = match &status.master {
        Some(node) => format!("master {node}, epoch {}", status.epoch.0),
        None => format!("no master: electing, last epoch {}", status.epoch.0),
    };
    let mut text = format!(
        "mesh {}: {master}\nseen by {}, antiphon {}, up {}\n",
        shortened(&printable(&status.cluster), 16),
        status.node,
        printable(&status.version),
        duration(status.uptime_s)
    );
    for UnreachedPeer { peer, why } in &status.unreached {
        let line = format!("{} does not reach {peer}: {why}", status.node);
        text += &format!("{}\n", printable(&line));
    }
    text
}

fn mounts(mounts: &[MountStatus]) -> String {
    if mounts.is_empty() {
        return "no mounts yet; make one: antiphon mount create /radio.mp3\n".to_owned();
    }
    let mut table = TextTable::new(&[
        ("MOUNT", Side::Left),
        ("NAME", Side::Left),
        ("SOURCE AT", Side::Left),
        ("ON AIR", Side::Left),
        ("FORMAT", Side::Left),
        ("BITRATE", Side::Right),
        ("LISTENERS", Side::Right),
        ("HELD BY", Side::Left),
        ("TITLE", Side::Left),
    ]);
    for mount in mounts {
        let source = mount.source.as_ref();
        table.row([
            mount.path.to_string(),
            shortened(&mount.name, MAX_NAME_LETTERS),
            sources(mount),
            on_air(mount),
            source.map_or_else(String::new, |_| mount.format_in_words()),
            source.map_or_else(String::new, |_| rate(u64::from(mount.bitrate_kbps) * 1_000)),
            mount.listeners.to_string(),
            names(&mount.holders),
            shortened(&mount.title, MAX_TITLE_LETTERS),
        ]);
    }
    table.render()
}

/// A line for each mount that is transcoded.
fn transcoders(mounts: &[MountStatus]) -> String {
    let lines = mounts.iter().filter_map(|mount| {
        let transcoder = mount.transcoder.as_ref()?;
        let from = transcoder.from.as_ref();
        let from = from.map_or_else(String::new, |from| format!("from {from} "));
        let why = transcoder.report.trouble.as_ref();
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        let line = format!(
            "{} is transcoded {from}{}{why}",
            mount.path,
            transcoder.in_words()
        );
        Some(printable(&line).to_string() + "\n")
    });
    lines.collect()
}

/// A line for each mount with an outside relay.
fn outside_relays(mounts: &[MountStatus]) -> String {
    let lines = mounts.iter().filter_map(|mount| {
        let relay = mount.outside_relay.as_ref()?;
        let why = relay.report.trouble.as_ref();
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        let line = format!("{} is relayed {}{why}", mount.path, relay.in_words());
        Some(printable(&line).to_string() + "\n")
    });
    lines.collect()
}

/// The table of Icecast servers without antiphon.
fn outside(servers: &[OutsideStatus]) -> String {
    let mut table = TextTable::new(&[
        ("OUTSIDE", Side::Left),
        ("STATE", Side::Left),
        ("ASKED BY", Side::Left),
        ("LISTENERS", Side::Right),
        ("WEIGHT", Side::Right),
        ("CARRIES", Side::Left),
        ("URL", Side::Left),
    ]);
    for server in servers {
        let most = server.server.max_listeners;
        let most = most.map_or_else(|| "?".to_owned(), |most| most.to_string());
        let asked_by = server.asked_by.as_ref();
        let mounts: Vec<&str> = server.mounts.keys().map(|mount| mount.as_str()).collect();
        table.row([
            server.name.to_string(),
            server.state.word().to_owned(),
            asked_by.map_or_else(|| "-".to_owned(), ToString::to_string),
            format!("{}/{most}", server.server.listeners),
            format!("{} %", server.weight_percent),
            mounts.join(" "),
            server.url.clone(),
        ]);
    }
    table.render()
}

/// The node of the source, and the nodes at which others wait for its place.
fn sources(mount: &MountStatus) -> String {
    let source = mount.source.as_ref();
    let source = source.map_or_else(|| "-".to_owned(), |source| source.node.to_string());
    if mount.standby.is_empty() {
        return source;
    }
    format!("{source}, standby {}", names(&mount.standby))
}

/// How long the source is on air, or that it has gone and its listeners are kept for a while; and the fallback that they hear.
fn on_air(mount: &MountStatus) -> String {
    let time = mount.source.as_ref().map(|it| duration(it.connected_s));
    let lingers = mount.is_lingering().then(|| "lingers".to_owned());
    let plays = mount.fallback_heard();
    let by_hand = match mount.switched_to {
        Some(_) => " by hand",
        None => "",
    };
    let plays = plays.map(|rung| format!("plays {}{by_hand}", rung.rung));
    let offers = mount.fallback_offered().filter(|_| plays.is_none());
    let offers = offers.map(|rung| format!("offers {}", rung.rung));
    let words: Vec<String> = [time, lingers, plays, offers]
        .into_iter()
        .flatten()
        .collect();
    words.join(", ")
}

fn names(nodes: &[NodeName]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mount::MountName;
    use crate::model::outside::Slots;
    use crate::model::seat::Epoch;
    use crate::model::status::outside::{OutsideMount, OutsideState};
    use crate::model::status::{ClosedSource, NodeStatus, SourceStatus};
    use crate::model::stream::StreamId;

    fn mesh() -> Status {
        let name: NodeName = "demo-1".parse().unwrap();
        let node = NodeStatus {
            url: "http://127.0.0.1:8000".to_owned(),
            master: true,
            rank: 103,
            listeners: 12,
            max_listeners: 1_000,
            bandwidth_bps: 1_536_000,
            max_bandwidth_bps: 1_000_000_000,
            utilization: 0.012,
            predicted_utilization: 0.02,
            clock_offset_ms: Some(-1_500),
            ..NodeStatus::sample(name.as_str())
        };
        let mount = MountStatus {
            name: "Radio\x1bKnown".to_owned(),
            source: Some(SourceStatus {
                priority: Default::default(),
                node: name.clone(),
                stream_id: StreamId(1),
                offset: 5,
                connected_s: 61,
                started_unix_s: 0,
            }),
            listeners: 12,
            listener_peak: 12,
            holders: vec![name.clone(), "demo-2".parse().unwrap()],
            title: "A\x1b[31m song".to_owned(),
            ..MountStatus::sample("/radio.mp3")
        };
        Status {
            node: name.clone(),
            cluster: "0123456789abcdef0123456789abcdef".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_s: 7_500,
            started_unix_s: 0,
            import: None,
            certificates: None,
            master: Some(name),
            epoch: Epoch(4),
            nodes: vec![node],
            mounts: vec![mount],
            geo: None,
            clock: None,
            outside: Vec::new(),
            unreached: Vec::new(),
        }
    }

    #[test]
    fn a_mesh_is_shown_as_tables() {
        let expected = "\
mesh 0123456789abcde…: master demo-1, epoch 4
seen by demo-1, antiphon 0.1.0, up 2 h 05 min

NODE    STATE  ROLE    RANK  LISTENERS     SENDING  IN USE  SOON   CLOCK  URL
demo-1  alive  master   103    12/1000  1.5 Mbit/s     1 %   2 %  -1.5 s  http://127.0.0.1:8000

MOUNT       NAME         SOURCE AT  ON AIR      FORMAT                    BITRATE  LISTENERS  HELD BY        TITLE
/radio.mp3  Radio Known  demo-1     1 min 01 s  MP3, 44.1 kHz, stereo  128 kbit/s         12  demo-1 demo-2  A [31m song
";
        assert_eq!(render(&mesh()), expected);
    }

    #[test]
    fn a_mount_off_air_shows_kept_listeners_and_waiting_sources() {
        let mut status = mesh();
        status.nodes[0].state = NodeState::Draining;
        status.mounts[0].source = None;
        status.mounts[0].standby = vec!["demo-2".parse().unwrap()];
        let text = render(&status);
        assert!(text.contains("\ndemo-1  draining  master"), "{text}");
        let row = "/radio.mp3  Radio Known  -, standby demo-2  lingers                          12  demo-1 demo-2";
        assert!(text.contains(row), "{text}");
        status.mounts[0].holders.clear();
        assert!(!render(&status).contains("lingers"));
    }

    #[test]
    fn troubles_to_mend_are_said_below_the_nodes() {
        let mut status = mesh();
        status.nodes[0].disk = Some("the disk is full".to_owned());
        status.nodes[0].logs = Some("access.log is not written: no storage space".to_owned());
        status.nodes[0].clock_offset_ms = Some(3_600_000);
        status.clock = Some("set it right".to_owned());
        let text = render(&status);
        assert!(text.contains("+1 h 00 min"), "{text}");
        assert!(
            text.contains("\ndemo-1: the disk is full; it serves"),
            "{text}"
        );
        assert!(
            text.contains("\ndemo-1: access.log is not written: no storage space; it serves"),
            "{text}"
        );
        let clock = "\ndemo-1: edits are refused: set it right\n";
        assert!(text.contains(clock), "{text}");
    }

    #[test]
    fn faults_are_said_below_the_mounts() {
        let mut status = mesh();
        status.mounts[0].trouble = Some("no headers".to_owned());
        status.mounts[0].closed = Some(ClosedSource {
            node: "demo-2".parse().unwrap(),
            why: "a chunk has no size".to_owned(),
            ago_s: 61,
        });
        let intro = ("demo-2".parse().unwrap(), "not there".to_owned());
        status.mounts[0].intro_troubles = [intro].into();
        status.mounts[0].sound = Some(SoundState::Silent);
        status.mounts[0].silent_s = Some(34);
        let told = "\n/radio.mp3: no headers\n\
                    /radio.mp3: silent for 34 s\n\
                    /radio.mp3: a source at demo-2 was closed 1 min 01 s ago: a chunk has no size\n\
                    /radio.mp3: listeners at demo-2 hear no intro: not there\n";
        let text = render(&status);
        assert!(text.ends_with(told), "{text}");
    }

    #[test]
    fn unreached_nodes_are_shown_with_the_reason() {
        let mut status = mesh();
        status.nodes[0].traits.maintenance = true;
        status.unreached.push(UnreachedPeer {
            peer: "b:8000".to_owned(),
            why: "no answer".to_owned(),
        });
        status.outside.push(OutsideStatus {
            name: "outside-1".parse().unwrap(),
            url: "http://relay.example:8000".to_owned(),
            state: OutsideState::Ready,
            asked_by: Some("demo-1".parse().unwrap()),
            server: Slots {
                listeners: 7,
                max_listeners: None,
            },
            pending: 0,
            weight_percent: 50,
            country: None,
            mounts: ["/radio.mp3"].map(carried).into(),
        });
        let text = render(&status);
        assert!(
            text.contains("\ndemo-1  alive, maintenance  master"),
            "{text}"
        );
        assert!(
            text.contains("\ndemo-1 does not reach b:8000: no answer\n"),
            "{text}"
        );
        let servers = "
OUTSIDE    STATE  ASKED BY  LISTENERS  WEIGHT  CARRIES     URL
outside-1  ready  demo-1          7/?    50 %  /radio.mp3  http://relay.example:8000
";
        assert!(text.ends_with(servers), "{text}");
    }

    fn carried(path: &str) -> (MountName, OutsideMount) {
        let path: MountName = path.parse().unwrap();
        let on_air = None;
        (path.clone(), OutsideMount { path, on_air })
    }

    #[test]
    fn a_node_without_a_way_is_named_with_the_reason() {
        let mut status = mesh();
        assert!(!render(&status).contains("do not get to"));
        status.nodes[0].address_trouble = Some("cannot reach it".to_owned());
        let line = "demo-1: listeners do not get to http://127.0.0.1:8000: cannot reach it\n";
        assert!(render(&status).contains(line), "{}", render(&status));
    }

    #[test]
    fn an_empty_mesh_says_what_to_do() {
        let mut status = mesh();
        status.mounts.clear();
        status.master = None;
        let text = render(&status);
        assert!(text.contains("no master: electing"), "{text}");
        assert!(text.contains("antiphon mount create /radio.mp3"), "{text}");
    }
}
