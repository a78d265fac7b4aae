//! `antiphon listeners`: the listeners of the whole mesh, and how to end one.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::api::{Api, NodeArgs};
use super::quantities::{duration, size};
use super::terminal::{self, Side, TextTable, shortened};
use crate::io::http::HttpError;
use crate::model::listener::{ListedListener, ListenerId, ListenerList};
use crate::model::mount::MountName;
use crate::settings::Machine;

/// The path of the list in the API.
const LISTENERS: &str = "/api/v1/listeners";
/// The longest name of a player that is shown, in characters: a row should fit a usual terminal.
const MAX_AGENT_LETTERS: usize = 48;

#[derive(Debug, Args)]
pub(super) struct ListenersArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Only the listeners of this mount, such as /radio.mp3
    mount: Option<MountName>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<ListenersCommand>,
}

#[derive(Debug, Subcommand)]
enum ListenersCommand {
    /// End listeners, at whichever node they are; their players may come back
    Kill {
        /// Id of a listener, such as 42@n1
        #[arg(required = true, value_name = "ID")]
        ids: Vec<ListenerId>,
    },
}

impl ListenersArgs {
    /// Finds a mistake that no argument alone shows.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.command.is_some() && (self.mount.is_some() || self.json) {
            true => Err("kill takes ids only: antiphon listeners kill 42@n1".to_owned()),
            false => Ok(()),
        }
    }
}

/// Lists or ends listeners.
pub(super) async fn listeners(args: ListenersArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    match args.command {
        None => list(&api, args.mount.as_ref(), args.json).await,
        Some(ListenersCommand::Kill { ids }) => kill(&api, &ids).await,
    }
}

async fn list(api: &Api, mount: Option<&MountName>, json: bool) -> anyhow::Result<()> {
    let path = match mount {
        Some(mount) => {
            let mount = utf8_percent_encode(mount.as_str(), NON_ALPHANUMERIC);
            format!("{LISTENERS}?mount={mount}")
        }
        None => LISTENERS.to_owned(),
    };
    let list: ListenerList = api.ask_for(Method::GET, &path, None).await?;
    let text = match json {
        true => serde_json::to_string_pretty(&list).context("the list has no JSON")? + "\n",
        false => table(&list.listeners),
    };
    terminal::print(&text)?;
    for node in &list.silent {
        terminal::warn(&format!(
            "the listeners of {} are missing: {}",
            node.node, node.why
        ));
    }
    if list.left_out > 0 {
        let hint = "name a mount to see only its listeners";
        terminal::warn(&format!(
            "{} more listeners are not shown: {hint}",
            list.left_out
        ));
    }
    Ok(())
}

fn table(listeners: &[ListedListener]) -> String {
    if listeners.is_empty() {
        return "no listeners\n".to_owned();
    }
    let mut table = TextTable::new(&[
        ("ID", Side::Left),
        ("MOUNT", Side::Left),
        ("ADDRESS", Side::Left),
        ("CONNECTED", Side::Right),
        ("SENT", Side::Right),
        ("AGENT", Side::Left),
    ]);
    for ListedListener { id, facts, .. } in listeners {
        table.row([
            id.to_string(),
            facts.mount.to_string(),
            facts.ip.to_string(),
            duration(facts.connected_s),
            size(facts.sent_bytes),
            shortened(&facts.user_agent, MAX_AGENT_LETTERS),
        ]);
    }
    table.render()
}

/// Ends each of these listeners; one that is not there keeps no other from being ended.
async fn kill(api: &Api, ids: &[ListenerId]) -> anyhow::Result<()> {
    let mut failed = 0;
    for id in ids {
        match api
            .ask(Method::DELETE, &format!("{LISTENERS}/{id}"), None)
            .await
        {
            Ok(_) => terminal::print(&format!("ended {id}\n"))?,
            Err(error) if ids.len() == 1 || no_node_answers(&error) => return Err(error),
            Err(error) => {
                terminal::complain(&format!("{error:#}"));
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => bail!("{failed} of {} listeners were not ended", ids.len()),
    }
}

/// Whether the asked node gave no answer, so that the next question would have none either.
fn no_node_answers(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<HttpError>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listener::ListenerFacts;

    fn listener(id: &str, user_agent: &str, sent_bytes: u64) -> ListedListener {
        let id: ListenerId = id.parse().unwrap();
        ListedListener {
            node: id.node.clone(),
            id,
            facts: ListenerFacts {
                mount: "/radio.mp3".parse().unwrap(),
                ip: [192, 0, 2, 7].into(),
                user_agent: user_agent.to_owned(),
                connected_s: 75,
                sent_bytes,
            },
        }
    }

    #[test]
    fn listeners_are_a_table_and_no_player_moves_the_cursor() {
        let listeners = [
            listener("7@n1", "VLC/3.0.20", 999),
            listener("12@n2", "a\x1b[2Jb", 1_234_567),
        ];
        let expected = "\
ID     MOUNT       ADDRESS     CONNECTED    SENT  AGENT
7@n1   /radio.mp3  192.0.2.7  1 min 15 s   999 B  VLC/3.0.20
12@n2  /radio.mp3  192.0.2.7  1 min 15 s  1.2 MB  a [2Jb
";
        assert_eq!(table(&listeners), expected);
        assert_eq!(table(&[]), "no listeners\n");
    }
}
