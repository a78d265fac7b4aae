//! `antiphon account`: the accounts with which listeners log in to a mount.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::api::{Api, NodeArgs, read_credential};
use super::{fields, terminal};
use crate::model::account::AccountName;
use crate::model::mount::MountName;
use crate::settings::Machine;

const ACCOUNTS: &str = "/api/v1/accounts";

#[derive(Debug, Args)]
pub(super) struct AccountArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Add an account; without a password one is made and shown
    Add(AccountPassword),
    /// Change the password of an account; without one a new one is made and shown
    Set(AccountPassword),
    /// Show the accounts of a mount
    List {
        /// Path of the mount, such as /radio.mp3
        mount: MountName,
        /// Print the node's own JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Delete an account; who listens with it is not ended
    Remove {
        /// Path of the mount, such as /radio.mp3
        mount: MountName,
        /// Name of the account
        user: AccountName,
    },
    /// Add the accounts of a file that `htpasswd -B` or an Icecast wrote; what cannot be taken over is named
    Import {
        /// Path of the mount, such as /radio.mp3
        mount: MountName,
        /// The file, with lines of USER:HASH
        file: PathBuf,
    },
}

/// An account, and its password.
#[derive(Debug, Args)]
struct AccountPassword {
    /// Path of the mount, such as /radio.mp3
    mount: MountName,
    /// Name of the account: at most 64 bytes, without colons and slashes
    user: AccountName,
    /// The password; without it one is made and shown
    #[arg(value_name = "PASSWORD", value_parser = fields::password)]
    password: Option<String>,
    /// File with the password in its first line, so that no list of processes shows it
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    new_password_file: Option<PathBuf>,
}

/// An account that was added or changed.
#[derive(Deserialize)]
struct KeptAccount {
    password: String,
}

/// The accounts of a mount.
#[derive(Deserialize)]
struct AccountList {
    accounts: Vec<AccountName>,
}

/// Runs one command on accounts.
pub(super) async fn account(args: AccountArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    let text = match args.command {
        AccountCommand::Add(account) => put(&api, Method::POST, account).await?,
        AccountCommand::Set(account) => put(&api, Method::PATCH, account).await?,
        AccountCommand::List { mount, json: true } => api.ask_for_json(&path(&mount)).await?,
        AccountCommand::List { mount, json: false } => {
            let listed: AccountList = api.ask_for(Method::GET, &path(&mount), None).await?;
            list(&mount, &listed.accounts)
        }
        AccountCommand::Remove { mount, user } => {
            let name = utf8_percent_encode(user.as_str(), NON_ALPHANUMERIC);
            let target = format!("{}?user={name}", path(&mount));
            api.ask(Method::DELETE, &target, None).await?;
            format!("removed {user} from {mount}\n")
        }
        AccountCommand::Import { mount, file } => return import(&api, &mount, &file).await,
    };
    Ok(terminal::print(&text)?)
}

/// The path of a mount's accounts in the API. The characters of a mount are valid in a URL's path.
fn path(mount: &MountName) -> String {
    format!("{ACCOUNTS}{mount}")
}

async fn put(api: &Api, method: Method, account: AccountPassword) -> anyhow::Result<String> {
    let AccountPassword {
        mount,
        user,
        password,
        new_password_file,
    } = account;
    let from_file = new_password_file.map(|file| read_credential(&file));
    let given = password.or(from_file.transpose()?);
    let mut body = json!({ "user": user });
    if let Some(password) = &given {
        body["password"] = json!(password);
    }
    let kept: KeptAccount = api.ask_for(method, &path(&mount), Some(&body)).await?;
    let shown = match given {
        // An operator that gave a password knows it.
        Some(_) => String::new(),
        None => format!(", its password is: {}", kept.password),
    };
    Ok(format!("{mount} has the account {user}{shown}\n"))
}

fn list(mount: &MountName, accounts: &[AccountName]) -> String {
    if accounts.is_empty() {
        return format!("{mount} has no accounts: antiphon account add {mount} USER\n");
    }
    accounts.iter().map(|name| format!("{name}\n")).collect()
}

/// Adds each account of a file; one that cannot be added keeps no other from it.
async fn import(api: &Api, mount: &MountName, file: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let (mut added, mut left_out) = (0, 0);
    for (number, line) in lines(&text) {
        let adding = async {
            let (user, hash) = line.split_once(':').context("it is not USER:HASH")?;
            let user: AccountName = user.parse()?;
            let body = json!({ "user": user, "hash": hash.trim_end() });
            api.ask(Method::POST, &path(mount), Some(&body)).await
        };
        match adding.await {
            Ok(_) => added += 1,
            Err(error) => {
                terminal::complain(&format!("{} line {number}: {error:#}", file.display()));
                left_out += 1;
            }
        }
    }
    terminal::print(&format!("added {added} accounts to {mount}\n"))?;
    match left_out {
        0 => Ok(()),
        left_out => bail!("{left_out} of {} accounts were not added", added + left_out),
    }
}

/// The lines of such a file that name an account, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_nobody_are_passed_over() {
        let found: Vec<_> = lines("# accounts\n\nalice:x\r\n  \nbob:y").collect();
        assert_eq!(found, [(3, "alice:x"), (5, "bob:y")]);
    }
}
