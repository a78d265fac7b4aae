//! The nodes of a demo and the source that feeds them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use hyper::Method;
use rustix::process::geteuid;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::place::DemoFolder;
use super::process::{GRACE, Process};
use crate::cli::api::{Api, NodeArgs};
use crate::cli::mount::{Created, make, source_url};
use crate::cli::node_url::NodeUrl;
use crate::cli::secret;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::source_user::SourceUser;
use crate::model::status::{NodeState, Status};
use crate::model::transcoding::{TargetCodec, TranscoderStage};
use crate::settings::Machine;

/// The mount of the sample radio.
pub(super) const RADIO: &str = "/radio.mp3";

/// The mount for the user's own stream.
pub(super) const LIVE: &str = "/live.mp3";

/// The mount that is transcoded from the radio, where the demo shows that.
pub(super) const SMALL: &str = "/radio-64.opus";

/// The user that transcoders run as where the demo is root's: every Linux has it.
const NOBODY: &str = "nobody";

/// The word that a node logs once all its ports are bound.
const READY: &str = "ready";

/// The word that a source prints when a node has accepted it: its line begins with "on air:".
const ON_AIR: &str = "air:";

/// The rank of the last node; each before it has one more, so that the first becomes master.
const LOWEST_RANK: usize = 100;

/// How long the nodes may take to find each other, elect and agree: 16 rounds of gossip of 250 ms are
/// promised, and a loaded machine may need several times that.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// How long the nodes may take to notice that one of them is gone: usually 1.5 s, more on a loaded machine.
const NOTICE_LIMIT: Duration = Duration::from_secs(8);

/// How often the nodes are asked meanwhile.
const ASK_PERIOD: Duration = Duration::from_millis(100);

/// One node of the demo.
pub(super) struct DemoNode {
    /// The URL of the node.
    pub(super) url: NodeUrl,
    /// The process of the node, running or ended.
    pub(super) process: Process,
}

/// All processes of a demo.
pub(super) struct DemoMesh<'a> {
    place: &'a DemoFolder,
    ports: &'a [u16],
    file: PathBuf,
    secret: PathBuf,
    transcodes: bool,
    nodes: Vec<DemoNode>,
    /// The source, and which node it feeds.
    source: Option<(Process, usize)>,
}

impl<'a> DemoMesh<'a> {
    /// A mesh in which nothing runs yet; the secret is made.
    pub(super) fn new(
        place: &'a DemoFolder,
        ports: &'a [u16],
        file: PathBuf,
        transcodes: bool,
    ) -> anyhow::Result<Self> {
        let secret = place.path().join("secret");
        secret::write_new(&secret, &secret::generate()?)?;
        Ok(Self {
            place,
            ports,
            file,
            secret,
            transcodes,
            nodes: Vec::new(),
            source: None,
        })
    }

    /// The directory of the demo's files.
    pub(super) fn place(&self) -> &DemoFolder {
        self.place
    }

    /// The nodes that have been started.
    pub(super) fn nodes(&self) -> &[DemoNode] {
        &self.nodes
    }

    /// Starts all nodes, the first one alone so that there is a mesh to join.
    pub(super) async fn start_nodes(&mut self) -> anyhow::Result<()> {
        for at in 0..self.ports.len() {
            let node = self.start_node(at)?;
            self.nodes.push(node);
            if at == 0 {
                self.nodes[0].process.wait_for(READY).await?;
            }
        }
        for node in &mut self.nodes {
            node.process.wait_for(READY).await?;
        }
        Ok(())
    }

    fn start_node(&self, at: usize) -> anyhow::Result<DemoNode> {
        let name = format!("demo-{}", at + 1);
        let listen = format!("127.0.0.1:{}", self.ports[at]);
        let url = format!("http://{listen}");
        let rank = (LOWEST_RANK + self.ports.len() - 1 - at).to_string();
        let data_dir = self.place.data_dir(1 + at);
        let first = format!("127.0.0.1:{}", self.ports[0]);
        let text = |path: &Path| path.as_os_str().to_owned();
        let mut arguments = vec!["run".into(), "--config".into(), "/dev/null".into()];
        for (flag, value) in [
            ("--name", name.as_str().into()),
            ("--data-dir", text(&data_dir)),
            ("--listen", listen.into()),
            ("--public-url", url.as_str().into()),
            ("--secret-file", text(&self.secret)),
            ("--rank", rank.into()),
        ] {
            arguments.extend([flag.into(), value]);
        }
        if at > 0 {
            arguments.extend(["--join".into(), first.into()]);
        }
        if self.transcodes {
            arguments.push("--transcode".into());
        }
        if self.transcodes && geteuid().is_root() {
            arguments.extend(["--transcode-user".into(), NOBODY.into()]);
        }
        Ok(DemoNode {
            url: url.parse().context("an address makes a URL")?,
            process: Process::start(&name, arguments, self.place.path())?,
        })
    }

    /// Creates a mount at the first node, and gives the password of its source.
    pub(super) async fn create(&self, path: &str) -> anyhow::Result<String> {
        let made = self.make(path, Map::new()).await?;
        made.password
            .with_context(|| format!("the node has told no password of {path}"))
    }

    /// Creates the mount that is transcoded from the radio.
    pub(super) async fn create_small(&self) -> anyhow::Result<()> {
        let settings = [
            ("transcode_from", RADIO.into()),
            ("codec", TargetCodec::Opus.word().into()),
            ("bitrate", "64k".into()),
        ];
        let settings = settings.map(|(name, value): (&str, Value)| (name.to_owned(), value));
        self.make(SMALL, settings.into_iter().collect()).await?;
        Ok(())
    }

    /// Waits until the transcoded mount is on air; a line on it.
    pub(super) async fn wait_for_small(&mut self) -> anyhow::Result<String> {
        let small = |status: &Status| {
            let mut mounts = status.mounts.iter();
            let small = mounts.find(|mount| mount.path.as_str() == SMALL)?;
            let transcoder = small.transcoder.clone()?;
            let is_made = transcoder.report.stage == TranscoderStage::Running;
            (is_made && small.source.is_some()).then_some(transcoder)
        };
        let is_on_air = |status: &Status| small(status).is_some();
        let status = self
            .wait_until("the radio was not transcoded", is_on_air)
            .await?;
        let transcoder = small(&status).context("it was on air")?;
        Ok(transcoder.in_words())
    }

    async fn make(&self, path: &str, settings: Map<String, Value>) -> anyhow::Result<Created> {
        let args = NodeArgs {
            node: self.nodes[0].url.clone(),
            data_dir: Some(self.place.data_dir(1)),
            password_file: None,
            node_ca: None,
        };
        let api = Api::new(args, &Machine::here())?;
        let path: MountName = path.parse().context("the demo's mounts are well named")?;
        let made = make(&api, &path, settings).await;
        made.with_context(|| format!("cannot create {path}"))
    }

    /// Waits until every node sees all the others alive, a master, and both mounts.
    pub(super) async fn settle(&mut self) -> anyhow::Result<Status> {
        let all = self.nodes.len();
        self.wait_until("the nodes did not find each other", move |status| {
            is_settled(status, all)
        })
        .await
    }

    /// Waits until every node knows of the radio's source.
    pub(super) async fn wait_for_air(&mut self) -> anyhow::Result<()> {
        let (source, _) = self.source.as_mut().context("the source is started")?;
        source.wait_for(ON_AIR).await?;
        self.wait_until("the radio did not reach all nodes", |status| {
            let mut mounts = status.mounts.iter();
            mounts.any(|mount| mount.path.as_str() == RADIO && mount.source.is_some())
        })
        .await?;
        Ok(())
    }

    /// Asks all nodes until each of them answers as wanted; returns the last answer.
    async fn wait_until(
        &mut self,
        else_say: &str,
        wanted: impl Fn(&Status) -> bool,
    ) -> anyhow::Result<Status> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        let mut at = 0;
        loop {
            if let Some(told) = self.report_ended()?.first() {
                bail!("{told} before the radio was on air");
            }
            let api = Api::public(self.nodes[at].url.clone(), None);
            let asked = api.ask_for(Method::GET, "/status.json", None).await;
            let status: Option<Status> = asked.ok().filter(&wanted);
            match status {
                Some(status) if at + 1 == self.nodes.len() => return Ok(status),
                Some(_) => {
                    at += 1;
                    continue;
                }
                None => {}
            }
            if Instant::now() > deadline {
                let name = self.nodes[at].process.name();
                bail!("{else_say} within {SETTLE_LIMIT:?}, as {name} sees it");
            }
            sleep(ASK_PERIOD).await;
        }
    }

    /// The node that is the master in the place of one that has ended, as a living node sees it; `None` as long as the one
    /// that is known lives, or there is no other yet.
    pub(super) async fn next_master(&self, known: Option<&NodeName>) -> Option<NodeName> {
        let lives = |name: &NodeName| {
            let mut living = self.nodes.iter().filter(|node| node.process.lives());
            living.any(|node| node.process.name() == name.as_str())
        };
        if known.is_some_and(lives) {
            return None;
        }
        let living = self.nodes.iter().rfind(|node| node.process.lives())?;
        let api = Api::public(living.url.clone(), None);
        let asked = api.ask_for(Method::GET, "/status.json", None).await;
        let status: Status = asked.ok()?;
        status.master.filter(lives)
    }

    /// Waits until the last living node has noticed that the radio's node is gone: before that, it would
    /// refuse another source, because the mount has one.
    pub(super) async fn wait_for_silence(&self) -> anyhow::Result<()> {
        let living = self.nodes.iter().rfind(|node| node.process.lives());
        let api = Api::public(living.context("no node is left")?.url.clone(), None);
        let deadline = Instant::now() + NOTICE_LIMIT;
        while Instant::now() < deadline {
            let asked = api.ask_for(Method::GET, "/status.json", None).await;
            let silent = asked.is_ok_and(|status: Status| {
                let mut mounts = status.mounts.iter();
                mounts.any(|mount| mount.path.as_str() == RADIO && mount.source.is_none())
            });
            if silent {
                break;
            }
            sleep(ASK_PERIOD).await;
        }
        Ok(())
    }

    /// Sends the radio to the last living node, and returns that node's name.
    ///
    /// The source before it, if there was one, is killed by being dropped: its node is gone already.
    pub(super) fn start_source(&mut self, password: &str) -> anyhow::Result<String> {
        let living = self.nodes.iter().rposition(|node| node.process.lives());
        let at = living.context("no node is left")?;
        let path: MountName = RADIO.parse().context("the demo's mounts are well named")?;
        let url = source_url(&self.nodes[at].url, &SourceUser::default(), &path, password);
        let arguments = [
            "source".into(),
            self.file.as_os_str().to_owned(),
            url.into(),
        ];
        let process = Process::start("source", arguments, self.place.path())?;
        self.source = Some((process, at));
        Ok(self.nodes[at].process.name().to_owned())
    }

    /// Reports every process that has ended since the last call.
    pub(super) fn report_ended(&mut self) -> anyhow::Result<Vec<String>> {
        let mut told = Vec::new();
        let source = self.source.as_mut().map(|(process, _)| process);
        let nodes = self.nodes.iter_mut().map(|node| &mut node.process);
        for process in nodes.chain(source) {
            told.extend(process.report_ended()?);
        }
        Ok(told)
    }

    /// How many nodes live.
    pub(super) fn living_nodes(&self) -> usize {
        let nodes = self.nodes.iter();
        nodes.filter(|node| node.process.lives()).count()
    }

    /// Whether the radio's node has died. A source that the user ended by hand is not replaced: the user
    /// wants to send another.
    pub(super) fn has_lost_its_source(&self) -> bool {
        let feeding = self.source.as_ref();
        feeding.is_some_and(|(source, at)| source.lives() && !self.nodes[*at].process.lives())
    }

    /// The source, once it was started.
    pub(super) fn source(&self) -> Option<&Process> {
        self.source.as_ref().map(|(process, _)| process)
    }

    /// The last lines of all logs.
    pub(super) fn last_log_lines(&self) -> String {
        let nodes = self.nodes.iter().map(|node| &node.process);
        nodes
            .chain(self.source())
            .map(Process::last_log_lines)
            .collect()
    }

    /// Ends all processes, and waits until they are gone.
    pub(super) async fn end(&mut self) {
        let source = self.source.take().map(|(process, _)| process);
        let nodes = self.nodes.drain(..).map(|node| node.process);
        let mut all: Vec<Process> = source.into_iter().chain(nodes).collect();
        // All are asked before any is waited for, so that together they take as long as the slowest.
        all.iter().for_each(Process::ask_to_end);
        let deadline = Instant::now() + GRACE;
        for process in &mut all {
            process.wait_or_kill(deadline).await;
        }
    }
}

/// Whether a node sees so many nodes alive, a master among them, and both mounts.
fn is_settled(status: &Status, nodes: usize) -> bool {
    let alive = status.nodes.iter();
    let alive = alive.filter(|node| node.state == NodeState::Alive).count();
    let has = |path: &str| status.mounts.iter().any(|it| it.path.as_str() == path);
    alive == nodes && status.master.is_some() && has(RADIO) && has(LIVE)
}
