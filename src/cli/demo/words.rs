//! The messages of a demo to its user once the radio is on air.

use super::mesh::{DemoNode, LIVE, RADIO, SMALL};
use super::place::DemoFolder;
use crate::cli::mount::source_url;
use crate::cli::terminal::{Side, TextTable};
use crate::model::mount::{BadMountName, MountName};
use crate::model::node::NodeName;
use crate::model::source_user::SourceUser;

/// The facts about a running demo.
pub(super) struct Tour<'a> {
    /// The directory of its files.
    pub(super) place: &'a DemoFolder,
    /// All nodes; at least one.
    pub(super) nodes: &'a [DemoNode],
    /// The master.
    pub(super) master: Option<&'a NodeName>,
    /// The process that sends the radio.
    pub(super) source_pid: Option<u32>,
    /// The passwords of the radio and of the user's own mount.
    pub(super) passwords: &'a [String; 2],
    /// A line on the mount that is transcoded from the radio, if there is one.
    pub(super) small: Option<&'a str>,
}

impl Tour<'_> {
    /// Everything that can be tried, ready to be copied.
    pub(super) fn text(&self) -> Result<String, BadMountName> {
        let last = &self.nodes[self.nodes.len() - 1];
        let [radio, live] = self.passwords;
        let user = SourceUser::default();
        let radio_url = source_url(&last.url, &user, &RADIO.parse::<MountName>()?, radio);
        let live_url = source_url(&last.url, &user, &LIVE.parse::<MountName>()?, live);
        let source = self.source_pid.map(|pid| format!(" (pid {pid})"));
        let small = self.small.map(|small| {
            let url = &last.url;
            format!("transcoded:    {url}{SMALL}, {small}\n")
        });
        Ok(format!(
            "\n{}\n\
             listen:        {}{RADIO}\n\
             {}\
             send your own: {live_url}\n\
             \u{20}              and hear it at {}{LIVE}\n\
             the radio's:   {radio_url}\n\
             \u{20}              once its source{} is stopped\n\
             manage mounts: {} mount list --node {} --data-dir {}\n\
             logs:          {}\n\
             \n{}\n",
            self.table(),
            last.url,
            small.unwrap_or_default(),
            last.url,
            source.unwrap_or_default(),
            program(),
            last.url,
            self.place.data_dir(self.nodes.len()).display(),
            self.place.path().join("*.log").display(),
            self.invitation(),
        ))
    }

    fn table(&self) -> String {
        let mut table = TextTable::new(&[
            ("NODE", Side::Left),
            ("PID", Side::Right),
            ("STATUS PAGE", Side::Left),
            ("", Side::Left),
        ]);
        for node in self.nodes {
            let role = if self.is_master(node) { "master" } else { "" };
            table.row([
                node.process.name().to_owned(),
                node.process.pid().to_string(),
                format!("{}/", node.url),
                role.to_owned(),
            ]);
        }
        table.render()
    }

    fn invitation(&self) -> String {
        let master = self.nodes.iter().find(|node| self.is_master(node));
        match master {
            Some(node) if self.nodes.len() > 1 => format!(
                "Now kill the master and keep listening: kill -9 {}   (Ctrl-C ends the demo)\n\
                 Only a player that the master itself serves has to connect again, anywhere.",
                node.process.pid()
            ),
            _ => "Ctrl-C ends the demo.".to_owned(),
        }
    }

    fn is_master(&self, node: &DemoNode) -> bool {
        self.master
            .is_some_and(|master| master.as_str() == node.process.name())
    }
}

/// The word that starts this program in a shell: its name, if the shell finds it by that, or else its path.
fn program() -> String {
    const NAME: &str = "antiphon";
    let Ok(own) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&folders)
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file());
    // A link in one of these folders leads to the same file.
    let first = first.and_then(|path| path.canonicalize().ok());
    match first == own.canonicalize().ok() {
        true => NAME.to_owned(),
        false => own.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::process::Process;
    use tokio::process::Command;

    fn node(name: &str, port: u16, logs: &std::path::Path) -> DemoNode {
        let process = Process::spawn(name, Command::new("/bin/true"), logs).unwrap();
        let url = format!("http://127.0.0.1:{port}").parse().unwrap();
        DemoNode { url, process }
    }

    #[tokio::test]
    async fn a_visitor_learns_to_hear_to_send_and_to_kill() {
        let dir = tempfile::tempdir().unwrap();
        let nodes = [
            node("demo-1", 8000, dir.path()),
            node("demo-2", 8001, dir.path()),
        ];
        let master: NodeName = "demo-1".parse().unwrap();
        let passwords = ["abc".to_owned(), "def".to_owned()];
        let place = DemoFolder::new().unwrap();
        let tour = Tour {
            place: &place,
            nodes: &nodes,
            master: Some(&master),
            source_pid: Some(77),
            passwords: &passwords,
            small: Some("by ffmpeg at demo-2"),
        };
        let text = tour.text().unwrap();
        let pid = nodes[0].process.pid();
        for part in [
            "http://127.0.0.1:8000/  master",
            "http://127.0.0.1:8001/\n",
            "listen:        http://127.0.0.1:8001/radio.mp3",
            "transcoded:    http://127.0.0.1:8001/radio-64.opus, by ffmpeg at demo-2\n",
            "http://source:def@127.0.0.1:8001/live.mp3",
            "http://source:abc@127.0.0.1:8001/radio.mp3",
            "(pid 77)",
            "mount list --node http://127.0.0.1:8001 --data-dir ",
            "/data-2\n",
            "/*.log\n",
            &format!("kill -9 {pid} "),
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
