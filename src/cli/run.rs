//! `antiphon run`: a node, until it is asked to stop.
//!
//! Scripts wait for the one line on stdout that begins with `ready`. A user at a terminal is told on stderr
//! what to do next; a log collector is not.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use tokio::runtime::Builder;

use super::{logging, terminal};
use crate::node;
use crate::settings::{Machine, RunArgs, Settings};
use crate::wire::frame::Hello;

/// The node that `antiphon mount` asks unless another is named.
const USUAL_NODE: &str = "http://127.0.0.1:8000";

/// Reads and checks the settings, then runs the node on all cores.
pub(super) fn run(args: RunArgs, machine: &Machine) -> anyhow::Result<()> {
    let settings = Settings::load(args.clone(), machine)?;
    let log = logging::start(&settings.log);
    let usual = Settings::load(RunArgs::default(), machine).ok();
    let steps = NextSteps::new(&settings, usual.as_ref());
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the node")?;
    let read_again = || {
        let settings = Settings::load(args.clone(), machine)?;
        log.set(&settings.log);
        Ok(settings)
    };
    runtime.block_on(node::run(
        settings,
        |hello| announce(hello, &steps),
        read_again,
    ))
}

/// Runs one of the small commands, for which this thread is enough.
pub(super) fn wait_for(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start")?.block_on(command)
}

fn announce(hello: &Hello, steps: &NextSteps) -> anyhow::Result<()> {
    let (name, url, mesh) = (&hello.name, &hello.public_url, hello.mesh_address);
    let alone = steps.alone();
    terminal::print(&format!("ready {name} at {url} (mesh {mesh}){alone}\n"))?;
    if io::stderr().is_terminal() {
        // If the terminal was closed meanwhile, the text is lost, which is fine.
        let _unread = io::stderr().write_all(steps.text(hello).as_bytes());
    }
    Ok(())
}

/// The next steps for a user who has just started a node by hand.
#[derive(Debug)]
struct NextSteps {
    /// The flags by which `antiphon mount` on this machine finds this node and its token.
    flags: String,
    /// The file from which the secret can be copied.
    secret: String,
    /// The peers that the node was told to join, as they were named.
    join: Vec<String>,
}

impl NextSteps {
    /// `usual` are the settings of a node that is started without any flag.
    fn new(settings: &Settings, usual: Option<&Settings>) -> Self {
        let ip = match settings.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let node = format!("http://{}", SocketAddr::new(ip, settings.listen.port()));
        let mut flags = String::new();
        if node != USUAL_NODE {
            flags += &format!(" --node {node}");
        }
        if usual.is_none_or(|usual| usual.data_dir != settings.data_dir) {
            flags += &format!(" --data-dir {}", settings.data_dir.display());
        }
        let in_data_dir = || settings.data_dir.join("secret");
        let secret = settings.secret_file.clone().unwrap_or_else(in_data_dir);
        Self {
            flags,
            secret: secret.display().to_string(),
            join: settings.join.clone(),
        }
    }

    /// The message of a node that was told to join others: it does not wait for them.
    fn alone(&self) -> String {
        match &self.join[..] {
            [] => String::new(),
            peers => format!(", serving alone until a peer answers: {}", peers.join(", ")),
        }
    }

    fn text(&self, hello: &Hello) -> String {
        let Self { flags, secret, .. } = self;
        let (url, mesh) = (&hello.public_url, hello.mesh_address);
        format!(
            "\n  status page    {url}/\n  \
             make a mount   antiphon mount create /radio.mp3{flags}\n  \
             add a node     copy {secret} to it, then there:\n                 \
             antiphon run --secret-file secret --join {mesh}\n  \
             stop           Ctrl-C\n\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(data_dir: &str, listen: &str) -> Settings {
        let args = RunArgs {
            data_dir: Some(data_dir.into()),
            listen: Some(listen.parse().unwrap()),
            ..RunArgs::default()
        };
        Settings::load(args, &Machine::new(&[], "h")).unwrap()
    }

    #[test]
    fn the_command_that_is_shown_finds_this_node() {
        let usual = settings("/d", "0.0.0.0:8000");
        assert_eq!(NextSteps::new(&usual, Some(&usual)).flags, "");
        let other = settings("/e", "[::]:8001");
        let steps = NextSteps::new(&other, Some(&usual));
        assert_eq!(steps.flags, " --node http://[::1]:8001 --data-dir /e");
        assert_eq!(steps.secret, "/e/secret");
        assert_eq!(steps.alone(), "");
    }

    #[test]
    fn a_node_that_joins_others_says_that_it_serves_already() {
        let mut joining = settings("/d", "0.0.0.0:8000");
        joining.join = vec!["a:1".to_owned(), "b:2".to_owned()];
        let said = NextSteps::new(&joining, None).alone();
        assert_eq!(said, ", serving alone until a peer answers: a:1, b:2");
    }
}
