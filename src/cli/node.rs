//! `antiphon node`: takes a node out of service and back, moves the master's seat, sets up nodes, forgets dead ones.
//!
//! `drain` and `undrain` are for the node that is named, or else for the node that is asked; `step-down` is always for
//! the node that is asked.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use super::api::{Api, NodeArgs};
use super::fields::{self, Assignment, AssignmentParser};
use super::node_url::NodeUrl;
use super::terminal::{self, Side};
use super::{quantities, status};
use crate::logic::records::steering::NODE_KIND;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::status::{NodeStatus, Status};
use crate::model::traits::{NodeTraits, Tag};
use crate::service::drain::MAX_DEADLINE_S;
use crate::settings::Machine;

/// A right use of `set`, for those who get it wrong.
pub(super) const SET_EXAMPLE: &str = "antiphon node set node-3 weight=50 tags=fast,berlin";

#[derive(Debug, Args)]
pub(super) struct NodeCommandArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: NodeCommand,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// List all nodes
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Take a node out of service: it refuses new sources, no listener is sent to it, and at the deadline it ends all
    /// that it has
    ///
    /// A listener that no other node may take is still served: one that asks it with `?redirect=no`, for a mount with
    /// `redirect=false`, or by an address under `/_stream/`.
    Drain {
        /// Name of the node, such as node-3 [default: the node that is asked]
        name: Option<NodeName>,
        /// How long listeners and sources may stay, such as 90s, 2m or 1h; at most 24h
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = deadline)]
        deadline: Duration,
    },
    /// Take a drained node back into service
    Undrain {
        /// Name of the node, such as node-3 [default: the node that is asked]
        name: Option<NodeName>,
    },
    /// Let the master that is asked hand its seat to another node, without leaving the mesh
    StepDown,
    /// Set how a node is chosen, on all nodes at once; it is kept while the node is away
    #[command(after_help = fields::help(&NODE_KIND))]
    Set {
        /// Name of the node, such as node-3
        name: NodeName,
        /// New value of a field, such as weight=50
        #[arg(required = true, value_name = "FIELD=VALUE", value_parser = AssignmentParser(&NODE_KIND), hide_possible_values = true)]
        changes: Vec<Assignment>,
    },
    /// Remove a dead node from all lists; it may come back
    Forget {
        /// Name of the node, such as node-3
        name: NodeName,
    },
}

/// The answer to a drain.
#[derive(Deserialize)]
struct Draining {
    deadline_s: u64,
}

/// The most mounts whose sources are named: more would fill the terminal.
const MAX_NAMED_SOURCES: usize = 4;

/// The answer to a step-down.
#[derive(Deserialize)]
struct SteppedDown {
    master: Option<NodeName>,
}

impl NodeCommandArgs {
    /// Finds a mistake that no argument alone shows.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.command {
            NodeCommand::Set { changes, .. } => fields::check_once(changes, SET_EXAMPLE),
            _ => Ok(()),
        }
    }
}

/// Runs one command on nodes.
pub(super) async fn node(args: NodeCommandArgs) -> anyhow::Result<()> {
    let (url, flags) = (args.node.node.clone(), args.node.flags());
    let api = || Api::new(args.node.clone(), &Machine::here());
    let text = match args.command {
        // This is public, so no token or password leaves the machine for it.
        NodeCommand::List { json } => {
            let trust = args.node.trust()?;
            list(&Api::public(url, trust), json).await?
        }
        NodeCommand::Drain { name, deadline } => {
            drain(&api()?, &url, name.as_ref(), deadline, &flags).await?
        }
        NodeCommand::Undrain { name } => {
            let path = one(name.as_ref(), "undrain");
            api()?.ask(Method::POST, &path, None).await?;
            format!("{} is in service\n", display_name(&url, name.as_ref()))
        }
        NodeCommand::StepDown => {
            match api()?
                .ask_for(Method::POST, &one(None, "step-down"), None)
                .await?
            {
                SteppedDown { master: Some(node) } => format!("{node} is the master now\n"),
                SteppedDown { master: None } => {
                    "no longer the master; the mesh elects one\n".to_owned()
                }
            }
        }
        NodeCommand::Set { name, changes } => {
            let path = format!("/api/v1/nodes/{name}");
            let body = Value::Object(fields::object(changes));
            let set: NodeTraits = api()?.ask_for(Method::PATCH, &path, Some(&body)).await?;
            format!("{name}: {}\n", NODE_KIND.line(&set))
        }
        NodeCommand::Forget { name } => {
            let path = format!("/api/v1/nodes/{name}");
            let api = api()?;
            let status: Status = api.ask_for(Method::GET, "/status.json", None).await?;
            api.ask(Method::DELETE, &path, None).await?;
            let mut known: Vec<String> =
                status.nodes.iter().map(|it| it.name.to_string()).collect();
            if !known.contains(&name.to_string()) {
                known.sort();
                eprintln!(
                    "note: no node shows {name}, only {}; should one come to know it, it is forgotten there too",
                    known.join(", ")
                );
            }
            format!("forgot {name}\n")
        }
    };
    Ok(terminal::print(&text)?)
}

/// The path in the API for an action on a node: the named one, or else the one that is asked.
fn one(name: Option<&NodeName>, action: &str) -> String {
    match name {
        Some(name) => format!("/api/v1/nodes/{name}/{action}"),
        None => format!("/api/v1/node/{action}"),
    }
}

/// The name of a node in a message.
fn display_name(url: &NodeUrl, name: Option<&NodeName>) -> String {
    name.map_or_else(|| url.to_string(), NodeName::to_string)
}

async fn drain(
    api: &Api,
    url: &NodeUrl,
    name: Option<&NodeName>,
    deadline: Duration,
    flags: &str,
) -> anyhow::Result<String> {
    // Before the order: at a short deadline they are gone at once. The node drains even if they cannot be told.
    let status = api.ask_for(Method::GET, "/status.json", None).await.ok();
    let path = one(name, "drain");
    let path = format!("{path}?deadline_s={}", deadline.as_secs());
    let Draining { deadline_s } = api.ask_for(Method::POST, &path, None).await?;
    let streams = status.as_ref().map(|status| streams(status, name));
    let transcoded = streams.as_ref().map_or(0, |streams| streams.transcoded);
    let transcoders = transcoders_fate(transcoded);
    let sources = fate(streams.as_ref().map(|streams| streams.sent.as_slice()));
    let (node, left) = (display_name(url, name), quantities::duration(deadline_s));
    let which = name.map_or_else(String::new, |name| format!(" {name}"));
    Ok(format!(
        "{node} drains: no new listener is sent there; listeners that are still there in {left} are sent elsewhere\n\
         {sources}\n\
         {transcoders}\
         back into service: antiphon node undrain{which}{flags}\n"
    ))
}

/// The streams that begin at a node.
#[derive(Debug, PartialEq, Eq)]
struct Streams<'a> {
    /// The mounts whose encoders are connected there.
    sent: Vec<&'a MountName>,
    /// How many it makes from others.
    transcoded: usize,
}

/// The streams that begin at the named node, or else at the one that has told its status.
fn streams<'a>(status: &'a Status, name: Option<&NodeName>) -> Streams<'a> {
    let node = name.unwrap_or(&status.node);
    let mounts = status.mounts.iter();
    let here = mounts.filter(|mount| mount.source.as_ref().is_some_and(|it| it.node == *node));
    let (transcoded, sent): (Vec<_>, Vec<_>) = here.partition(|mount| mount.transcoder.is_some());
    Streams {
        sent: sent.into_iter().map(|mount| &mount.path).collect(),
        transcoded: transcoded.len(),
    }
}

/// The fate of the transcoders of a draining node, as a line.
fn transcoders_fate(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "its transcoder goes on at a node that has room for it, else here until then\n"
            .to_owned(),
        _ => format!(
            "its {count} transcoders go on at nodes that have room for them, else here until then\n"
        ),
    }
}

/// The fate of the sources of a draining node, in words; `None` if they are not known.
fn fate(sources: Option<&[&MountName]>) -> String {
    let whose = match sources {
        None => "its sources are".to_owned(),
        Some([]) => return "no source is connected to it".to_owned(),
        Some([one]) => format!("the source of {one} is"),
        Some(several) if several.len() <= MAX_NAMED_SOURCES => {
            let names: Vec<&str> = several.iter().map(|it| it.as_str()).collect();
            format!("the sources of {} are", names.join(", "))
        }
        Some(many) => format!("its {} sources are", many.len()),
    };
    format!("{whose} disconnected then, and can connect to any other node")
}

async fn list(api: &Api, json: bool) -> anyhow::Result<String> {
    let status: Status = api.ask_for(Method::GET, "/status.json", None).await?;
    if json {
        let text = serde_json::to_string_pretty(&status.nodes);
        return Ok(text.context("the nodes have no JSON")? + "\n");
    }
    Ok(table(&status.nodes))
}

fn table(nodes: &[NodeStatus]) -> String {
    let mut table = status::nodes::table(&[
        ("LISTENERS", Side::Right),
        ("WEIGHT", Side::Right),
        ("TAGS", Side::Left),
        ("VERSION", Side::Left),
        ("URL", Side::Left),
    ]);
    for node in nodes {
        let more = [
            status::nodes::if_known(node, format!("{}/{}", node.listeners, node.max_listeners)),
            node.traits.weight_percent.to_string(),
            tags(&node.traits),
            node.version.clone(),
            node.url.clone(),
        ];
        table.row(status::nodes::about(node).into_iter().chain(more));
    }
    table.render()
}

fn tags(traits: &NodeTraits) -> String {
    let words: Vec<&str> = traits.tags.iter().map(Tag::as_str).collect();
    words.join(",")
}

/// Reads the deadline of a drain.
fn deadline(text: &str) -> anyhow::Result<Duration> {
    let deadline = quantities::time(text)?;
    match deadline.as_secs() <= MAX_DEADLINE_S {
        true => Ok(deadline),
        false => bail!("the deadline may be at most 24h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::geo::Whereabouts;
    use crate::model::status::NodeState;

    #[test]
    fn a_drain_says_what_becomes_of_the_sources() {
        let paths = ["/a", "/b", "/c", "/d", "/e"].map(|it| it.parse::<MountName>().unwrap());
        let all: Vec<&MountName> = paths.iter().collect();
        let then = "disconnected then, and can connect to any other node";
        for (sources, said) in [
            (None, format!("its sources are {then}")),
            (Some(&all[..0]), "no source is connected to it".to_owned()),
            (Some(&all[..1]), format!("the source of /a is {then}")),
            (Some(&all[..2]), format!("the sources of /a, /b are {then}")),
            (Some(&all[..]), format!("its 5 sources are {then}")),
        ] {
            assert_eq!(fate(sources), said);
        }
    }

    #[test]
    fn nodes_are_listed_with_what_a_rolling_restart_asks_for() {
        let node = |name: &str, state, master| NodeStatus {
            name: name.try_into().unwrap(),
            url: format!("http://{name}.example:8000"),
            https_url: None,
            state,
            master,
            rank: 100,
            listeners: 12,
            max_listeners: 500,
            bandwidth_bps: 0,
            max_bandwidth_bps: 0,
            utilization: 0.0,
            predicted_utilization: 0.0,
            version: "0.1.0".to_owned(),
            dns: false,
            address_trouble: None,
            traits: NodeTraits::default(),
            place: Whereabouts::default(),
            disk: None,
            logs: None,
            engine: None,
            clock_offset_ms: None,
        };
        let mut north = node("north", NodeState::Alive, true);
        north.traits.maintenance = true;
        north.traits.tags = ["big", "fast"].map(|tag| tag.parse().unwrap()).into();
        let dead = node("away", NodeState::Dead, false);
        let nodes = [dead, node("east", NodeState::Draining, false), north];
        let expected = "\
NODE   STATE               ROLE    RANK  LISTENERS  WEIGHT  TAGS      VERSION  URL
away   dead                         100          -     100            0.1.0    http://away.example:8000
east   draining                     100     12/500     100            0.1.0    http://east.example:8000
north  alive, maintenance  master   100     12/500     100  big,fast  0.1.0    http://north.example:8000
";
        assert_eq!(table(&nodes), expected);
    }
}
