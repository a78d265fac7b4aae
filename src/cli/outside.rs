//! `antiphon outside`: sets up Icecast servers that do not run antiphon, so that listeners are sent there too.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

use super::api::{Api, NodeArgs, read_credential};
use super::fields::{self, Assignment, AssignmentParser};
use super::terminal::{self, Side, TextTable, printable};
use crate::logic::records::outside;
use crate::logic::records::outside::OUTSIDE_KIND;
use crate::model::node::NodeName;
use crate::model::outside::Slots;
use crate::model::status::outside::{OutsideDetail, OutsideState};
use crate::settings::Machine;

const OUTSIDE: &str = "/api/v1/outside";

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
    Add(AddArgs),
    /// Show all outside servers and their state
    List {
        /// Print the node's own JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Change the settings of a server
    #[command(
        after_help = fields::help(&OUTSIDE_KIND),
        override_usage = "antiphon outside set [OPTIONS] <NAME> <FIELD=VALUE... | --login-file <FILE>>"
    )]
    Set {
        /// Name of the server, such as relay-1
        #[arg(value_parser = outside::name)]
        name: NodeName,
        /// New value of a field, such as weight=50
        #[arg(required_unless_present = "login_file", value_name = "FIELD=VALUE", value_parser = AssignmentParser(&OUTSIDE_KIND), hide_possible_values = true)]
        changes: Vec<Assignment>,
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
    /// A mount that the server carries, and its name there; may be given several times
    #[arg(long = "mount", required = true, value_name = "/OURS=/THEIRS", value_parser = mounts_setting)]
    mounts: Vec<String>,
    #[command(flatten)]
    settings: NewServer,
    /// File with USER:PASSWORD for the question
    #[arg(long, value_name = "FILE")]
    login_file: Option<PathBuf>,
}

/// The settings of a new server that have no flag of their own in [`AddArgs`].
#[derive(Debug)]
struct NewServer(Vec<Assignment>);

impl Args for NewServer {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(fields::flags(&OUTSIDE_KIND, &["mounts", "login"]))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for NewServer {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(fields::given(&OUTSIDE_KIND, matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Right uses of `add` and `set`, for those who get them wrong.
pub(super) const ADD_EXAMPLE: &str =
    "antiphon outside add relay-1 --public-url http://relay.example:8000 --mount /radio.mp3=/live";
pub(super) const SET_EXAMPLE: &str = "antiphon outside set relay-1 weight=50 country=de";
pub(super) const LOGIN_EXAMPLE: &str = "antiphon outside set relay-1 --login-file FILE";

impl OutsideArgs {
    /// Finds a mistake that no argument alone shows.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.command {
            OutsideCommand::Add(args) => {
                let mounts = setting("mounts", &args.mounts.join(","));
                mounts
                    .map(|_| ())
                    .map_err(|why| format!("{why}, such as {ADD_EXAMPLE}"))
            }
            OutsideCommand::Set {
                changes,
                login_file,
                ..
            } => {
                let has_login = changes.iter().any(|change| change.key == "login");
                if has_login && login_file.is_some() {
                    return Err(format!(
                        "login is given twice: give it once, such as {LOGIN_EXAMPLE}"
                    ));
                }
                fields::check_once(changes, SET_EXAMPLE)
            }
            _ => Ok(()),
        }
    }
}

/// Runs one command on outside servers.
pub(super) async fn outside(args: OutsideArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    let text = match args.command {
        OutsideCommand::Add(args) => {
            let name = args.name.clone();
            let mut body = added(args)?;
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
            changes.extend(login_file.as_deref().map(read_login).transpose()?);
            describe(&set(&api, &name, changes).await?)
        }
        OutsideCommand::Disable { name } => {
            set(&api, &name, [enabled(false)]).await?;
            format!("{name} is disabled\n")
        }
        OutsideCommand::Enable { name } => {
            set(&api, &name, [enabled(true)]).await?;
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

fn enabled(flag: bool) -> Assignment {
    Assignment {
        key: "enabled",
        value: flag.into(),
    }
}

async fn set(
    api: &Api,
    name: &NodeName,
    changes: impl IntoIterator<Item = Assignment>,
) -> anyhow::Result<OutsideDetail> {
    let body = Value::Object(fields::object(changes));
    api.ask_for(Method::PATCH, &below(name), Some(&body)).await
}

/// The settings of a new server, by their names.
fn added(args: AddArgs) -> anyhow::Result<Map<String, Value>> {
    let mut settings = args.settings.0;
    settings.push(setting("mounts", &args.mounts.join(","))?);
    settings.extend(args.login_file.as_deref().map(read_login).transpose()?);
    Ok(fields::object(settings))
}

/// One setting, checked as the node will check it.
fn setting(key: &str, text: &str) -> anyhow::Result<Assignment> {
    fields::setting(OUTSIDE_KIND.field(key)?, text)
}

/// One mount of a server, checked.
fn mounts_setting(text: &str) -> anyhow::Result<String> {
    setting("mounts", text).map(|_| text.to_owned())
}

/// The login in the first line of a file.
fn read_login(path: &Path) -> anyhow::Result<Assignment> {
    let line = read_credential(path);
    let login = line.and_then(|line| setting("login", &line));
    login.with_context(|| format!("{} has no USER:PASSWORD in its first line", path.display()))
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
    let mounts = detail.status.mounts.iter();
    let all = mounts.map(|(ours, mount)| match mount.on_air {
        None if is_ready => format!("{ours}={} (not on air)", mount.path),
        _ => format!("{ours}={}", mount.path),
    });
    let all: Vec<String> = all.collect();
    all.join(" ")
}

fn describe(detail: &OutsideDetail) -> String {
    let login = if detail.has_login { "yes" } else { "no" };
    let settings = fields::shown(&OUTSIDE_KIND, &detail.server, |_| Some(login.to_owned()));
    fields::lines(settings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::mount::MountName;
    use crate::model::outside::{OutsideServer, Via};
    use crate::model::status::outside::{OutsideMount, OutsideStatus};

    fn detail(state: OutsideState) -> OutsideDetail {
        let mount = |path: &str| MountName::try_from(path).unwrap();
        let server = OutsideServer {
            public_url: "http://relay.example:8000".into(),
            poll_url: "http://10.0.0.1:8000".into(),
            via: Via::LoadXsl,
            weight_percent: 50,
            country: "de".parse().ok(),
            mounts: BTreeMap::from([(mount("/radio.mp3"), mount("/stream"))]),
            ..OutsideServer::new("relay".parse().unwrap())
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
    fn servers_are_listed_with_mounts_and_reasons_of_failure() {
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
}
