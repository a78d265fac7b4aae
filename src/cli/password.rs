//! `antiphon password`: changes the cluster's admin password, or that of Icecast servers which relay from it.

use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::api::{Api, NodeArgs, read_credential};
use super::{fields, terminal};
use crate::settings::Machine;

/// The admin password in the API.
pub(super) const ADMIN: &str = "/api/v1/admin";
/// The relay password in the API.
pub(super) const RELAY: &str = "/api/v1/relay-login";

#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: PasswordCommand,
}

#[derive(Debug, Subcommand)]
enum PasswordCommand {
    /// Change the admin password of the whole cluster, or the relay password; the old one is no longer valid
    Set {
        /// The new password; without it one is made and shown
        #[arg(value_name = "PASSWORD", value_parser = new_password)]
        password: Option<String>,
        /// File with the new password in its first line, so that no list of processes shows it
        #[arg(long, value_name = "FILE", conflicts_with = "password")]
        new_password_file: Option<PathBuf>,
        /// Change the relay password instead: with it, and as the user `relay`, Icecast servers ask which streams there are
        #[arg(long)]
        relay: bool,
    },
}

/// Reads a new password. The word `relay` is a flag without its dashes.
fn new_password(text: &str) -> anyhow::Result<String> {
    ensure!(text != "relay", "did you mean --relay?");
    Ok(fields::password(text)?)
}

/// The answer of a node that has changed the password.
#[derive(Deserialize)]
struct Changed {
    password: String,
}

/// Runs one command on the password.
pub(super) async fn password(args: PasswordArgs) -> anyhow::Result<()> {
    let PasswordCommand::Set {
        password,
        new_password_file,
        relay,
    } = args.command;
    let (path, owner) = match relay {
        true => (RELAY, "relay"),
        false => (ADMIN, "admin"),
    };
    let api = Api::new(args.node, &Machine::here())?;
    let from_file = new_password_file.map(|file| read_credential(&file));
    let given = password.or(from_file.transpose()?);
    let body = given
        .as_ref()
        .map_or_else(|| json!({}), |it| json!({ "password": it }));
    let changed: Changed = api.ask_for(Method::PATCH, path, Some(&body)).await?;
    let text = match given {
        // An operator that gave a password knows it; it need not be in the scrollback too.
        Some(_) => format!("the {owner} password is changed on all nodes\n"),
        None => format!("the {owner} password is now: {}\n", changed.password),
    };
    Ok(terminal::print(&text)?)
}
