//! `antiphon outside`: sets up Icecast servers that do not run antiphon, so that listeners are sent there too.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

use super::api::{Api, NodeArgs};
use super::terminal::{self, Side, TextTable, printable};
use crate::logic::records::outside;
use crate::logic::records::outside::{MAX_LOGIN_BYTES, OutsideEdit};
use crate::model::geo::Country;
use crate::model::node::NodeName;
use crate::model::outside::{Slots, Via};
use crate::model::status::outside::{OutsideDetail, OutsideState};
use crate::model::traits::NodeTraits;
use crate::settings::{Machine, whole_number};

const OUTSIDE: &str = "/api/v1/outside";

/// What the settings of a server do, shown below the help of `add` and `set`.
const SETTINGS_HELP: &str = "\
public_url     address for listeners; the server's own name of the mount is
               added to it
poll_url       address at which nodes ask for its load, if it is another one
via            how nodes ask: `status-json` (every Icecast from 2.4 on; tells
               no limits), `load-xsl` (a page to be put into its web root;
               tells free slots) or `admin-stats` (needs a login; tells the
               limits of mounts)
mounts         mounts that it carries: /ours=/theirs, or /same; several with
               commas
max_listeners  the most listeners to count on, where the server names no limit
               itself: <clients> of its settings
weight         share of listeners compared with its size, per cent; 0 keeps
               listeners away
country        two letters, for policies such as geo(country)
login          in `set` only empty, which removes it; give a new one with
               --login-file";

#[derive(Debug, Args)]
pub(super) struct OutsideArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: OutsideCommand,
}

#[derive(Debug, Subcommand)]
enum OutsideCommand {
    /// Send listeners to another Icecast server too, as long as it has room
    #[command(after_help = SETTINGS_HELP)]
    Add(AddArgs),
    /// Show all outside servers and their state
    List {
        /// Print the node's own JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Change a server: public_url, poll_url, via, mounts, max_listeners, weight, country, login
    #[command(
        after_help = SETTINGS_HELP,
        override_usage = "antiphon outside set [OPTIONS] <NAME> <FIELD=VALUE... | --login-file <FILE>>"
    )]
    Set {
        /// Name of the server, such as relay-1
        #[arg(value_parser = outside::name)]
        name: NodeName,
        /// New value of a field, such as weight=50
        #[arg(required_unless_present = "login_file", value_name = "FIELD=VALUE", value_parser = assignment)]
        changes: Vec<(String, String)>,
        /// File with USER:PASSWORD for the question
        #[arg(long, value_name = "FILE")]
        login_file: Option<PathBuf>,
    },
    /// Send no more listeners there, and do not ask the server; its settings are kept
    Disable {
        /// Name of the server, such as relay-1
        #[arg(value_parser = outside::name)]
        name: NodeName,
    },
    /// Ask the server again, and send listeners there
    Enable {
        /// Name of the server, such as relay-1
        #[arg(value_parser = outside::name)]
        name: NodeName,
    },
    /// Delete a server; listeners that are there stay there
    Remove {
        /// Name of the server, such as relay-1
        #[arg(value_parser = outside::name)]
        name: NodeName,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Name of the server in the mesh, such as relay-1
    #[arg(value_parser = outside::name)]
    name: NodeName,
    /// Address for listeners, such as http://relay.example:8000
    #[arg(long, value_name = "URL")]
    public_url: String,
    /// Address at which the server is asked for its load [default: the public URL]
    #[arg(long, value_name = "URL")]
    poll_url: Option<String>,
    /// How the server is asked: status-json, load-xsl or admin-stats [default: status-json]
    #[arg(long, value_name = "HOW")]
    via: Option<Via>,
    /// A mount that the server carries, and its name there; may be given several times
    #[arg(long = "mount", required = true, value_name = "/OURS=/THEIRS")]
    mounts: Vec<String>,
    /// Share of listeners compared with the server's size, per cent [default: 100]
    #[arg(long, value_name = "PERCENT", value_parser = whole_number::<u32>(0..=NodeTraits::MAX_WEIGHT_PERCENT.into(), 50))]
    weight: Option<u32>,
    /// Country of the server: two letters
    #[arg(long, value_name = "CC")]
    country: Option<Country>,
    /// The most listeners to count on, where the server names no limit itself
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(0..=u32::MAX.into(), 500))]
    max_listeners: Option<u32>,
    /// File with USER:PASSWORD for the question
    #[arg(long, value_name = "FILE")]
    login_file: Option<PathBuf>,
}

/// Runs one command on outside servers.
pub(super) async fn outside(args: OutsideArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    let text = match args.command {
        OutsideCommand::Add(args) => {
            let name = args.name.clone();
            let mut body = fields(added(args)?)?;
            body.insert("name".to_owned(), name.as_str().into());
            let body = Value::Object(body);
            let added: OutsideDetail = api.ask_for(Method::POST, OUTSIDE, Some(&body)).await?;
            format!("added {}\n{}", added.server.name, describe(&added))
        }
        OutsideCommand::List { json: true } => {
            let body = api.ask(Method::GET, OUTSIDE, None).await?;
            let text = std::str::from_utf8(&body).context("the node's answer is not JSON")?;
            format!("{}\n", text.trim_end())
        }
        OutsideCommand::List { json: false } => {
            let servers: Vec<OutsideDetail> = api.ask_for(Method::GET, OUTSIDE, None).await?;
            list(&servers)
        }
        OutsideCommand::Set {
            name,
            mut changes,
            login_file,
        } => {
            let login = login_file.as_deref().map(read_login).transpose()?;
            changes.extend(login.map(|login| ("login".to_owned(), login)));
            describe(&set(&api, &name, changes).await?)
        }
        OutsideCommand::Disable { name } => {
            set(
                &api,
                &name,
                vec![("enabled".to_owned(), "false".to_owned())],
            )
            .await?;
            format!("{name} is disabled\n")
        }
        OutsideCommand::Enable { name } => {
            set(&api, &name, vec![("enabled".to_owned(), "true".to_owned())]).await?;
            format!("{name} is enabled\n")
        }
        OutsideCommand::Remove { name } => {
            api.ask(Method::DELETE, &below(&name), None).await?;
            format!("removed {name}\n")
        }
    };
    Ok(terminal::print(&text)?)
}

/// The path of one server in the API.
fn below(name: &NodeName) -> String {
    format!("{OUTSIDE}/{name}")
}

async fn set(
    api: &Api,
    name: &NodeName,
    changes: Vec<(String, String)>,
) -> anyhow::Result<OutsideDetail> {
    let body = Value::Object(fields(changes)?);
    api.ask_for(Method::PATCH, &below(name), Some(&body)).await
}

/// The settings of a new server, by their names.
fn added(args: AddArgs) -> anyhow::Result<Vec<(String, String)>> {
    let login = args.login_file.as_deref().map(read_login).transpose()?;
    let given = [
        ("public_url", Some(args.public_url)),
        ("poll_url", args.poll_url),
        ("via", args.via.map(|via| via.word().to_owned())),
        ("mounts", Some(args.mounts.join(","))),
        ("weight", args.weight.map(|weight| weight.to_string())),
        ("country", args.country.map(String::from)),
        (
            "max_listeners",
            args.max_listeners.map(|most| most.to_string()),
        ),
        ("login", login),
    ];
    let given = given.into_iter();
    Ok(given
        .filter_map(|(field, value)| Some((field.to_owned(), value?)))
        .collect())
}

/// A body with these settings, each checked as the node will.
fn fields(settings: Vec<(String, String)>) -> anyhow::Result<Map<String, Value>> {
    let checked = settings.into_iter().map(|(field, value)| {
        OutsideEdit::of(&field, &value)?;
        Ok((field, value.into()))
    });
    checked.collect()
}

/// The first line of a file, which is a user and a password.
fn read_login(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    // Some editors put a byte order mark before a text.
    let line = text.trim_start_matches('\u{feff}').lines().next();
    let line = line.unwrap_or_default().trim_end();
    if line.is_empty() || line.len() > MAX_LOGIN_BYTES {
        bail!("{} has no USER:PASSWORD in its first line", path.display());
    }
    Ok(line.to_owned())
}

/// Reads `field=value`, and checks it as the node will.
fn assignment(text: &str) -> anyhow::Result<(String, String)> {
    let Some((field, value)) = text.split_once('=') else {
        bail!("write FIELD=VALUE, such as weight=50");
    };
    if field == "login" && !value.is_empty() {
        bail!("a password on a command line can be seen by everybody: use --login-file");
    }
    OutsideEdit::of(field, value)?;
    Ok((field.to_owned(), value.to_owned()))
}

fn list(servers: &[OutsideDetail]) -> String {
    if servers.is_empty() {
        return "no outside servers; see antiphon outside add --help\n".to_owned();
    }
    let mut table = TextTable::new(&[
        ("SERVER", Side::Left),
        ("STATE", Side::Left),
        ("LISTENERS", Side::Right),
        ("WEIGHT", Side::Right),
        ("COUNTRY", Side::Left),
        ("ASKED BY", Side::Left),
        ("MOUNTS", Side::Left),
        ("URL", Side::Left),
    ]);
    for detail in servers {
        let (server, status) = (&detail.server, &detail.status);
        table.row([
            server.name.to_string(),
            status.state.word().to_owned(),
            listeners(detail),
            server.weight_percent.to_string(),
            server.country.map_or_else(|| "-".to_owned(), String::from),
            status
                .asked_by
                .as_ref()
                .map_or("-", NodeName::as_str)
                .to_owned(),
            mounts(detail),
            server.public_url.clone(),
        ]);
    }
    let why = servers.iter().filter_map(|detail| {
        let failure = printable(detail.failure.as_ref()?);
        Some(format!("{}: {failure}\n", detail.server.name))
    });
    let why: String = why.collect();
    match why.is_empty() {
        true => table.render(),
        false => format!("{}\n{why}", table.render()),
    }
}

fn listeners(detail: &OutsideDetail) -> String {
    match detail.status.state {
        OutsideState::Ready => of(detail.status.server),
        _ => "-".to_owned(),
    }
}

/// The listeners, and the limit.
fn of(slots: Slots) -> String {
    match slots.max_listeners {
        Some(most) => format!("{}/{most}", slots.listeners),
        None => slots.listeners.to_string(),
    }
}

/// The mounts that the server carries, and which of them are not on air.
fn mounts(detail: &OutsideDetail) -> String {
    let is_ready = detail.status.state == OutsideState::Ready;
    let one = |(ours, mount): (&_, &crate::model::status::outside::OutsideMount)| match mount.on_air
    {
        None if is_ready => format!("{ours}={} (not on air)", mount.path),
        _ => format!("{ours}={}", mount.path),
    };
    let all: Vec<String> = detail.status.mounts.iter().map(one).collect();
    all.join(" ")
}

fn describe(detail: &OutsideDetail) -> String {
    let server = &detail.server;
    let limit = server.max_listeners.map(|most| most.to_string());
    let pairs = server.mounts.iter();
    let pairs: Vec<String> = pairs
        .map(|(ours, theirs)| format!("{ours}={theirs}"))
        .collect();
    let lines = [
        ("public_url", server.public_url.clone()),
        ("poll_url", server.poll_url.clone()),
        ("via", server.via.word().to_owned()),
        (
            "login",
            if detail.has_login { "yes" } else { "no" }.to_owned(),
        ),
        ("weight", server.weight_percent.to_string()),
        (
            "country",
            server.country.map_or_else(String::new, String::from),
        ),
        ("enabled", server.enabled.to_string()),
        (
            "max_listeners",
            limit.unwrap_or_else(|| "what it says".to_owned()),
        ),
        ("mounts", pairs.join(" ")),
    ];
    let shown = lines.map(|(field, value)| {
        let line = format!("{field:<13}  {}", printable(&value));
        format!("{}\n", line.trim_end())
    });
    shown.concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::mount::MountName;
    use crate::model::outside::OutsideServer;
    use crate::model::status::outside::{OutsideMount, OutsideStatus};

    fn detail(state: OutsideState) -> OutsideDetail {
        let mount = |path: &str| MountName::try_from(path).unwrap();
        let server = OutsideServer {
            name: "relay".parse().unwrap(),
            public_url: "http://relay.example:8000".into(),
            poll_url: "http://10.0.0.1:8000".into(),
            via: Via::LoadXsl,
            login: None,
            weight_percent: 50,
            country: "de".parse().ok(),
            enabled: true,
            max_listeners: None,
            mounts: BTreeMap::from([(mount("/radio.mp3"), mount("/stream"))]),
        };
        let status = OutsideStatus {
            name: server.name.clone(),
            url: server.public_url.clone(),
            state,
            asked_by: "n1".parse().ok(),
            server: Slots {
                listeners: 3,
                max_listeners: Some(90),
            },
            pending: 0,
            weight_percent: 50,
            country: server.country,
            mounts: BTreeMap::from([(
                mount("/radio.mp3"),
                OutsideMount {
                    path: mount("/stream"),
                    on_air: None,
                },
            )]),
        };
        OutsideDetail {
            server,
            has_login: true,
            failure: None,
            status,
        }
    }

    #[test]
    fn servers_are_listed_with_what_they_carry_and_why_they_fail() {
        let text = list(&[detail(OutsideState::Ready)]);
        let expected = "\
SERVER  STATE  LISTENERS  WEIGHT  COUNTRY  ASKED BY  MOUNTS                           URL
relay   ready       3/90      50  de       n1        /radio.mp3=/stream (not on air)  http://relay.example:8000
";
        assert_eq!(text, expected);
        let mut failing = detail(OutsideState::Failing);
        failing.failure = Some("cannot reach it\x1b".into());
        let text = list(&[failing]);
        assert!(text.contains("not answering          -"), "{text}");
        assert!(text.ends_with("\n\nrelay: cannot reach it \n"), "{text}");
        assert!(list(&[]).contains("outside add"));
    }

    #[test]
    fn a_server_is_described_without_its_login() {
        let text = describe(&detail(OutsideState::Ready));
        assert!(
            text.starts_with("public_url     http://relay.example:8000\n"),
            "{text}"
        );
        assert!(text.contains("\nlogin          yes\n"), "{text}");
        assert!(
            text.ends_with("mounts         /radio.mp3=/stream\n"),
            "{text}"
        );
    }

    #[test]
    fn changes_are_checked_before_they_are_sent() {
        let read = assignment("mounts=/a=/b").unwrap();
        assert_eq!(read, ("mounts".to_owned(), "/a=/b".to_owned()));
        assert!(assignment("login=").is_ok());
        for (bad, hint) in [
            ("weight", "FIELD=VALUE"),
            ("login=a:b", "--login-file"),
            ("via=ftp", "`status-json`"),
            ("wieght=1", "known are weight"),
        ] {
            let error = assignment(bad).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
