//! `antiphon token`: signed tokens, by which listeners are let in without an account.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::api::{Api, NodeArgs};
use super::{quantities, terminal};
use crate::model::mount::{MountName, MountSpec};
use crate::settings::Machine;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Sign a token, and print the address with it
    Mint {
        /// Path of the mount, such as /radio.mp3
        mount: MountName,
        /// For how long it holds, such as 2h or 30d
        #[arg(long = "for", value_name = "TIME", value_parser = quantities::time)]
        time: Duration,
        /// Address of the only listener for which it holds, or of one in its /64 of IPv6
        #[arg(long, value_name = "ADDRESS")]
        ip: Option<IpAddr>,
        /// Name of the listener, by which max_per_account counts
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Print JSON instead of the address
        #[arg(long)]
        json: bool,
    },
    /// Make all tokens of a mount so far void
    Revoke {
        /// Path of the mount, such as /radio.mp3
        mount: MountName,
    },
}

/// A token that was signed.
#[derive(Deserialize)]
struct MintedToken {
    url: String,
    is_open: bool,
}

/// Runs one command on tokens.
pub(super) async fn token(args: TokenArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    match args.command {
        TokenCommand::Mint {
            mount,
            time,
            ip,
            name,
            json,
        } => {
            let body = json!({ "mount": mount, "for_s": time.as_secs(), "ip": ip, "name": name });
            let answer = api.ask(Method::POST, "/api/v1/tokens", Some(&body)).await?;
            let minted: MintedToken = serde_json::from_slice(&answer)?;
            terminal::print(&match json {
                true => String::from_utf8_lossy(&answer).into_owned(),
                false => format!("{}\n", minted.url),
            })?;
            if minted.is_open {
                terminal::warn(&format!(
                    "{mount} is open to all, so nobody needs a token: antiphon mount set {mount} listener_auth=token"
                ));
            }
        }
        TokenCommand::Revoke { mount } => {
            let target = format!("/api/v1/mounts{mount}");
            let spec: MountSpec = api.ask_for(Method::GET, &target, None).await?;
            let series = spec.token_series.wrapping_add(1);
            let body = json!({ "token_series": series });
            api.ask(Method::PATCH, &target, Some(&body)).await?;
            terminal::print(&format!(
                "the tokens of {mount} so far are void; who listens with one is not ended\n"
            ))?;
        }
    }
    Ok(())
}
