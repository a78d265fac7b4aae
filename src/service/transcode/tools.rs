//! The programs that transcode: which one this node has, what it can make, and why it can make nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::geteuid;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::TranscodeConfig;
use crate::io::child::{
    ChildLimits, ChildPipes, Finished, Program, SpawnError, Spawner, find_program,
};
use crate::logic::transcoding::command::{check_all_arguments, check_arguments, must_be_tried};
use crate::logic::transcoding::order::{TranscodeOrder, order};
use crate::model::mount::TranscodeSpec;
use crate::model::transcoding::{TargetCodec, TranscodeEngine};
use crate::service::mesh::Mesh;
use crate::settings::Transcoding;
use crate::wire::gossip::{self, TranscodingCard};

/// How often a node that can make nothing looks again: an operator who has installed a program sees it at work soon.
const LOOK_PERIOD: Duration = Duration::from_secs(30);
/// How long a program may take to say what it can make; Liquidsoap loads all that it has for that.
const QUESTION_LIMIT: Duration = Duration::from_secs(30);
/// How much a program stands back behind the node for the processors: what listeners hear already goes first.
const NICE: u8 = 5;
/// The most orders that are known to be right.
const MAX_CHECKED: usize = 256;
const MIB: u64 = 1 << 20;

/// A program that transcodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) engine: TranscodeEngine,
    path: PathBuf,
    codecs: Vec<TargetCodec>,
}

/// The programs of this node.
#[derive(Debug)]
pub(super) struct Tools {
    settings: Transcoding,
    mesh: Mesh,
    spawner: Spawner,
    found: watch::Sender<Option<Tool>>,
    /// The commands that their program has found right.
    checked: Mutex<BTreeSet<Vec<String>>>,
}

impl Tools {
    pub(super) fn new(config: &TranscodeConfig) -> Self {
        Self {
            settings: config.settings.clone(),
            mesh: config.mesh.clone(),
            spawner: config.spawner.clone(),
            found: watch::Sender::new(None),
            checked: Mutex::default(),
        }
    }

    /// Looks for a program, and tells the mesh what this node can make. Runs until one is found or the node stops.
    pub(super) async fn run(&self) {
        let mut told = self.card(&Err("it still finds out what it can make".to_owned()));
        self.tell(&told).await;
        info!("finding out what this node can make");
        loop {
            let found = tokio::select! {
                () = self.mesh.tasks.asked_to_end() => return,
                found = self.find() => found,
            };
            let card = self.card(&found);
            if told != card {
                match &card.trouble {
                    Some(why) => warn!(why, "this node cannot transcode"),
                    None => {
                        info!(engine = card.engine, codecs = ?card.codecs, "this node can transcode");
                    }
                }
                self.tell(&card).await;
                told = card;
            }
            if let Ok(tool) = found {
                self.found.send_replace(Some(tool));
                return;
            }
            tokio::select! {
                () = self.mesh.tasks.asked_to_end() => return,
                () = sleep(LOOK_PERIOD) => {}
            }
        }
    }

    async fn tell(&self, card: &TranscodingCard) {
        let text = gossip::write(card);
        if let Err(error) = self.mesh.gossip.set(gossip::TRANSCODING, &text).await {
            warn!(%error, "not gossiped");
        }
    }

    /// Waits until there is a program.
    pub(super) async fn tool(&self) -> Tool {
        let mut found = self.found.subscribe();
        // Fails only if the sender is gone, which this value keeps.
        let tool = found.wait_for(Option::is_some).await;
        match tool.ok().and_then(|tool| tool.clone()) {
            Some(tool) => tool,
            None => std::future::pending().await,
        }
    }

    /// The program with these arguments, connected so, within the bounds of the settings.
    pub(super) fn program(&self, tool: &Tool, arguments: &[String], pipes: ChildPipes) -> Program {
        Program {
            path: tool.path.clone(),
            arguments: arguments.iter().map(Into::into).collect(),
            pipes,
            user: self.settings.user.clone(),
            limits: ChildLimits {
                memory_bytes: Some(u64::from(self.settings.memory_mib) * MIB),
                nice: NICE,
            },
        }
    }

    /// Asks a program whether it can do what is ordered, unless it was asked before.
    pub(super) async fn check(&self, tool: &Tool, order: &TranscodeOrder) -> Result<(), String> {
        let arguments = check_arguments(tool.engine, order);
        if self.checked.lock().contains(&arguments) {
            return Ok(());
        }
        self.try_out(tool, &arguments).await?;
        self.note_checked(arguments);
        Ok(())
    }

    async fn try_out(&self, tool: &Tool, arguments: &[String]) -> Result<(), String> {
        let program = self.program(tool, arguments, ChildPipes::Log);
        let finished = self.ask(program).await.map_err(|error| error.to_string())?;
        refused(&finished).map_or(Ok(()), Err)
    }

    fn note_checked(&self, arguments: Vec<String>) {
        let mut checked = self.checked.lock();
        if checked.len() == MAX_CHECKED {
            checked.clear();
        }
        checked.insert(arguments);
    }

    async fn find(&self) -> Result<Tool, String> {
        if self.settings.user.is_none() && geteuid().is_root() {
            return Err(
                "this node is root's, and no program that decodes strangers' bytes runs as root: set transcode_user, such as \
                 nobody"
                    .to_owned(),
            );
        }
        let engines = match self.settings.engine {
            Some(engine) => vec![engine],
            None => TranscodeEngine::ALL.to_vec(),
        };
        let mut why = format!(
            "there is no {}: install it (apt install {})",
            engines
                .iter()
                .map(|it| it.word())
                .collect::<Vec<_>>()
                .join(" or "),
            engines.first().map_or("ffmpeg", |it| it.word()),
        );
        for engine in engines {
            let Some(path) = find_program(engine.word()) else {
                continue;
            };
            let tool = Tool {
                engine,
                path,
                codecs: Vec::new(),
            };
            match self.with_codecs(tool).await {
                Ok(tool) => return Ok(tool),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// The program with the codecs that it can make: at least one.
    async fn with_codecs(&self, mut tool: Tool) -> Result<Tool, String> {
        self.check_all(&tool).await;
        let mut why_not = String::new();
        for codec in TargetCodec::ALL {
            let Some(order) = usual_order(codec) else {
                continue;
            };
            match self.check(&tool, &order).await {
                Ok(()) => tool.codecs.push(codec),
                Err(why) => why_not = why,
            }
        }
        match tool.codecs.is_empty() {
            true => Err(format!("{}: {why_not}", tool.path.display())),
            false => Ok(tool),
        }
    }

    /// Checks what can be checked at once. If that fails, each is to be checked alone.
    async fn check_all(&self, tool: &Tool) {
        let known = TargetCodec::ALL.into_iter();
        let known = known.filter(|codec| !must_be_tried(tool.engine, *codec));
        let orders: Vec<TranscodeOrder> = known.filter_map(usual_order).collect();
        let Some(arguments) = check_all_arguments(tool.engine, &orders) else {
            return;
        };
        if self.try_out(tool, &arguments).await.is_ok() {
            for order in &orders {
                self.note_checked(check_arguments(tool.engine, order));
            }
        }
    }

    async fn ask(&self, program: Program) -> Result<Finished, SpawnError> {
        Ok(self
            .spawner
            .spawn(program)
            .await?
            .finish(QUESTION_LIMIT)
            .await)
    }

    fn card(&self, found: &Result<Tool, String>) -> TranscodingCard {
        let tool = found.as_ref().ok();
        let codecs = tool.map(|tool| tool.codecs.iter().copied().map(Into::into));
        TranscodingCard {
            engine: tool.map_or_else(String::new, |tool| tool.engine.to_string()),
            codecs: codecs.into_iter().flatten().collect(),
            most: self.settings.most,
            trouble: found.as_ref().err().map(|why| gossip::short_trouble(why)),
        }
    }
}

/// Why a program has not done what it was asked; `None` if it has.
fn refused(finished: &Finished) -> Option<String> {
    match (finished.late, finished.end.exit.is_success()) {
        (true, _) => Some(format!("it has not answered within {QUESTION_LIMIT:?}")),
        (false, true) => None,
        (false, false) => Some(finished.end.to_string()),
    }
}

/// An order for a codec as it is usually made.
fn usual_order(codec: TargetCodec) -> Option<TranscodeOrder> {
    let spec = TranscodeSpec {
        transcode_from: "/any".parse().ok(),
        codec: Some(codec),
        ..TranscodeSpec::default()
    };
    order(&spec).ok()?
}
