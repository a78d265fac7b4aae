//! `antiphon import`: has the streams of other servers' lists relayed here, or makes what the configuration of an Icecast says.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::{Api, IMPORT, NodeArgs};
use super::fields::{self, Assignment, AssignmentParser};
use super::moving_in::MovingInArgs;
use super::terminal::{self, printable};
use crate::io::clock;
use crate::logic::records::import::IMPORT_KIND;
use crate::model::import::{ImportSettings, ImportStatus};
use crate::settings::Machine;

/// A right use of `set`, for those who get it wrong.
const SET_EXAMPLE: &str = "antiphon import set import_streamlist=http://relay:PASSWORD@master.example:8000/admin/streamlist.txt";

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    moving_in: MovingInArgs,
    #[command(subcommand)]
    command: Option<ImportCommand>,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Show what is imported, and how the last reading of each list went
    Show {
        /// Print the node's own JSON instead
        #[arg(long)]
        json: bool,
    },
    /// Change the settings of imports on all nodes
    #[command(after_help = fields::help(&IMPORT_KIND))]
    Set {
        /// New value of a field, such as import_interval_s=30
        #[arg(required = true, value_name = "FIELD=VALUE", value_parser = AssignmentParser(&IMPORT_KIND), hide_possible_values = true)]
        changes: Vec<Assignment>,
    },
}

/// The answer to `show`.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    settings: ImportSettings,
    status: Option<ImportStatus>,
}

impl ImportArgs {
    /// Finds a mistake that no argument alone shows.
    pub(super) fn check(&self) -> Result<(), String> {
        match (&self.command, &self.moving_in.file) {
            (Some(ImportCommand::Set { changes }), None) => {
                fields::check_once(changes, SET_EXAMPLE)
            }
            (Some(ImportCommand::Show { .. }), None) | (None, Some(_)) => Ok(()),
            (Some(_), Some(file)) => Err(format!(
                "{} and a command: write one of them, such as antiphon import icecast.xml",
                file.display()
            )),
            (None, None) => Err("name an icecast.xml, or write antiphon import show".to_owned()),
        }
    }
}

/// Runs one command on imports.
pub(super) async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let (node, file) = (args.node, args.moving_in.file.clone());
    let api = || Api::new(node, &Machine::here());
    let command = match (args.command, file) {
        (Some(command), _) => command,
        (None, Some(file)) => return args.moving_in.run(&file, api).await,
        (None, None) => bail!("there is nothing to do"),
    };
    let api = api()?;
    let text = match command {
        ImportCommand::Show { json: true } => {
            let body = api.ask(Method::GET, IMPORT, None).await?;
            let text = std::str::from_utf8(&body).context("the node's answer is not JSON")?;
            format!("{}\n", text.trim_end())
        }
        ImportCommand::Show { json: false } => {
            let shown: Shown = api.ask_for(Method::GET, IMPORT, None).await?;
            let status = shown.status.as_ref();
            settings(&shown.settings) + &status.map_or_else(String::new, lines)
        }
        ImportCommand::Set { changes } => {
            let changes = changes.into_iter().map(|it| (it.key.to_owned(), it.value));
            let body = Value::Object(changes.collect::<Map<_, _>>());
            let set: ImportSettings = api.ask_for(Method::PATCH, IMPORT, Some(&body)).await?;
            settings(&set)
        }
    };
    Ok(terminal::print(&text)?)
}

fn settings(settings: &ImportSettings) -> String {
    fields::lines(fields::shown(&IMPORT_KIND, settings, |_| None))
}

/// A line for each list.
pub(super) fn lines(status: &ImportStatus) -> String {
    let Some(node) = &status.node else {
        return "no node reads the lists of streams\n".to_owned();
    };
    let now_unix_s = clock::unix_s();
    let lines = status.report.lists.iter().map(|list| {
        let line = format!("{node} imports {}", list.in_words(now_unix_s));
        printable(&line).to_string() + "\n"
    });
    lines.collect()
}
