//! Keeps the Icecast: does what the machine of a daemon says, asks it each second how it is, and tells the mesh.

use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::folder::IcecastFolder;
use super::{IcecastEngine, local, reloading};
use crate::io::child::{
    Child, ChildLimits, ChildLog, ChildPipes, Program, Spawned, Spawner, find_program,
};
use crate::io::clock;
use crate::io::http::{Limits, request_within, with_causes};
use crate::logic::daemon::{Daemon, DaemonInput, DaemonOutput, Keeper};
use crate::model::status::EngineStatus;
use crate::service::load::Load;
use crate::settings::IcecastSettings;
use crate::wire::gossip;
use crate::wire::icecast::server_config::{ServerConfig, number_in_stats};

/// The names of the program, the one of Debian first.
const PROGRAMS: [&str; 2] = ["icecast2", "icecast"];
/// How often it is asked while it serves.
const ASK_PERIOD: Duration = Duration::from_secs(1);
/// How often until then, so that it is in service soon after its start.
const WATCH_PERIOD: Duration = Duration::from_millis(200);
/// How long it may take to answer, and the most that is read: a hundred mounts with all their texts take a tenth of it.
const ASK_LIMITS: Limits = Limits {
    time: Duration::from_secs(1),
    answer_bytes: 1 << 20,
    redirects: 0,
};
/// How long it may take to end in order when the node stops; its listeners have been ended before.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The parts that the keeper needs besides the engine.
#[derive(Debug)]
pub struct KeeperConfig {
    /// The operator's settings.
    pub settings: IcecastSettings,
    /// The folder of `icecast.xml`, unless a setting names one.
    pub usual_folder: PathBuf,
    /// The most listeners.
    pub max_listeners: u32,
    /// Starts the program.
    pub spawner: Spawner,
    /// Is told whether listeners can be served.
    pub load: Load,
}

struct IcecastKeeper {
    engine: IcecastEngine,
    config: KeeperConfig,
    folder: IcecastFolder,
    /// The port that is in the file that was written last.
    port: Option<u16>,
    /// The number of that file.
    number: u64,
    running: Option<Spawned>,
    told: Option<EngineStatus>,
}

/// Keeps it until the node stops.
pub(super) async fn keep(engine: IcecastEngine, config: KeeperConfig) {
    let folder = config.settings.folder.clone();
    let keeper = IcecastKeeper {
        folder: IcecastFolder {
            path: folder.unwrap_or_else(|| config.usual_folder.clone()),
            user: config.settings.user.clone().map(|line| line.0),
        },
        port: config.settings.port,
        number: 0,
        running: None,
        told: None,
        engine,
        config,
    };
    keeper.run().await;
}

impl IcecastKeeper {
    async fn run(mut self) {
        let keeper = match self.config.settings.adopt {
            true => Keeper::Other,
            false => Keeper::Node,
        };
        // Greater than in any earlier life, unless the clock was set back by more than the node was down.
        let mut daemon = Daemon::new(keeper, clock::unix_ms(), clock::now());
        let tasks = self.engine.0.mesh.tasks.clone();
        let mut mounts = self.engine.0.mesh.documents.watch_mounts();
        self.tell(&daemon).await;
        let mut input = DaemonInput::Tick;
        loop {
            self.give(&mut daemon, input).await;
            self.tell(&daemon).await;
            let pause = match daemon.is_serving(clock::now()) {
                true => ASK_PERIOD,
                false => WATCH_PERIOD,
            };
            let (child, log) = match &mut self.running {
                Some(running) => (Some(&running.child), Some(&mut running.log)),
                None => (None, None),
            };
            input = tokio::select! {
                () = tasks.asked_to_end() => break,
                changed = mounts.changed() => match changed {
                    Ok(()) => DaemonInput::Changed,
                    Err(_) => break,
                },
                why = end_of(child) => {
                    self.running = None;
                    DaemonInput::Ended(why)
                }
                line = next_line(log) => {
                    tell_line(&line);
                    DaemonInput::Tick
                }
                () = sleep(pause) => self.ask().await,
            };
        }
        self.engine.0.serving.send_replace(None);
        if let Some(running) = self.running {
            running.child.stop(STOP_GRACE).await;
        }
    }

    /// Gives the machine news, and carries out what it says until nothing is left to do.
    async fn give(&mut self, daemon: &mut Daemon, input: DaemonInput) {
        let mut news = vec![input];
        while let Some(input) = news.pop() {
            let mut out = Vec::new();
            daemon.handle(input, clock::now(), clock::random_share(), &mut out);
            for output in out {
                news.extend(self.carry_out(output).await);
            }
        }
    }

    async fn carry_out(&mut self, output: DaemonOutput) -> Option<DaemonInput> {
        match output {
            DaemonOutput::Write(number) => {
                self.number = number;
                Some(match self.write().await {
                    Ok(()) => DaemonInput::Written(number),
                    Err(why) => DaemonInput::NotWritten(why),
                })
            }
            DaemonOutput::Start => Some(match self.start().await {
                Ok(()) => DaemonInput::Started,
                Err(why) => DaemonInput::NotStarted(why),
            }),
            DaemonOutput::Reload => self.reload().await.err().map(DaemonInput::NotReloaded),
            DaemonOutput::Kill => {
                warn!("it does not answer, and is started again");
                if let Some(running) = &self.running {
                    running.child.kill();
                }
                None
            }
        }
    }

    async fn write(&mut self) -> Result<(), String> {
        let port = match self.port {
            Some(port) => port,
            None => free_port().map_err(|error| format!("there is no free port: {error}"))?,
        };
        self.port = Some(port);
        let (inner, folder) = (&self.engine.0, self.folder.clone());
        let path = folder
            .path
            .to_str()
            .ok_or("the folder's name is not UTF-8: set another folder in [icecast]")?;
        let text = ServerConfig {
            number: self.number,
            port,
            max_listeners: self.config.max_listeners,
            source_password: inner.passwords.source.reveal(),
            admin_password: inner.passwords.admin.reveal(),
            folder: path,
            mounts: &inner.mesh.documents.mounts(),
        };
        let text = text.write().map_err(|error| error.to_string())?;
        let writing = inner.mesh.tasks.spawn_blocking(move || folder.write(&text));
        let written = writing.await.map_err(|error| error.to_string())?;
        written.map_err(|error| error.to_string())
    }

    async fn start(&mut self) -> Result<(), String> {
        self.find_port().await?;
        let path = match &self.config.settings.program {
            Some(path) => path.clone(),
            None => PROGRAMS.into_iter().find_map(find_program).ok_or(
                "there is no program icecast2 or icecast: install it (apt install icecast2), or set program in [icecast]",
            )?,
        };
        let program = Program {
            path,
            arguments: vec!["-c".into(), self.folder.file().into()],
            pipes: ChildPipes::Log,
            user: self.folder.owner().map_err(|error| error.to_string())?,
            limits: ChildLimits::default(),
        };
        let spawned = self.config.spawner.spawn(program).await;
        let spawned =
            spawned.map_err(|error| format!("{error} (see [icecast] in the settings file)"))?;
        debug!(pid = spawned.child.pid(), "started");
        self.running = Some(spawned);
        Ok(())
    }

    /// Sees that its port is free. One that the operator has not set is replaced by another.
    async fn find_port(&mut self) -> Result<(), String> {
        let taken = self
            .port
            .filter(|port| TcpListener::bind(local(*port)).is_err());
        match (taken, self.config.settings.port) {
            (None, _) => Ok(()),
            (Some(port), Some(_)) => Err(format!(
                "port {port} of 127.0.0.1 is taken: stop the program that has it (ss -ltnp shows it), or set another port in \
                 [icecast]"
            )),
            (Some(_), None) => {
                self.port = None;
                self.write().await
            }
        }
    }

    async fn reload(&self) -> Result<(), String> {
        if self.config.settings.adopt {
            return reloading::run(&self.config.settings.reload_command).await;
        }
        let Some(running) = &self.running else {
            return Ok(());
        };
        debug!("has to read its configuration again");
        running
            .child
            .reload()
            .map_err(|error| format!("SIGHUP does not reach it: {error}"))
    }

    /// Asks for its statistics.
    async fn ask(&self) -> DaemonInput {
        let is_there = self.running.is_some() || self.config.settings.adopt;
        let Some(port) = self.port.filter(|_| is_there) else {
            return DaemonInput::Tick;
        };
        let address = local(port);
        let Some(question) = self.engine.admin_question(address, "/admin/stats") else {
            return DaemonInput::Tick;
        };
        match request_within(question, ASK_LIMITS).await {
            Ok(answer) if answer.status.is_success() => {
                DaemonInput::Answered(number_in_stats(&answer.body))
            }
            Ok(answer) => DaemonInput::Silent(format!(
                "what answers at {address} does not know this node's password (status {}): it has not read icecast.xml, or \
                 is another server",
                answer.status.as_u16()
            )),
            Err(error) => DaemonInput::Silent(with_causes(&error)),
        }
    }

    /// Tells the load, the feeds, the mesh and the log what has changed.
    async fn tell(&mut self, daemon: &Daemon) {
        let now = clock::now();
        let status = EngineStatus {
            name: "icecast".to_owned(),
            serving: daemon.is_serving(now),
            trouble: daemon.trouble(now),
        };
        if self.told.as_ref() == Some(&status) {
            return;
        }
        let before = self.told.replace(status.clone());
        let was_serving = before.as_ref().is_some_and(|it| it.serving);
        set(&self.engine.0.serving, self.port.filter(|_| status.serving));
        if before.is_none() || was_serving != status.serving {
            self.config.load.set_open(status.serving);
        }
        match &status.trouble {
            Some(why) if before.is_none_or(|it| it.trouble.as_ref() != Some(why)) => {
                warn!(why, "Icecast has a problem")
            }
            _ if status.serving && !was_serving => {
                info!(port = self.port, "Icecast serves the listeners")
            }
            _ => {}
        }
        let text = gossip::write(&EngineStatus {
            trouble: status.trouble.as_deref().map(gossip::short_trouble),
            ..status
        });
        if let Err(error) = self.engine.0.mesh.gossip.set(gossip::ENGINE, &text).await {
            warn!(%error, "the state of Icecast is not gossiped");
        }
    }
}

fn set(serving: &watch::Sender<Option<u16>>, port: Option<u16>) {
    serving.send_if_modified(|before| std::mem::replace(before, port) != port);
}

/// A port of the loopback that is free now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(local(0))?.local_addr()?.port())
}

/// Waits for the end of the program, if it runs; says how it ended.
async fn end_of(child: Option<&Child>) -> String {
    match child {
        Some(child) => format!("{}; its lines are in this node's log", child.wait().await),
        None => pending().await,
    }
}

/// Waits for the next line of its log, if it runs and says anything.
async fn next_line(log: Option<&mut ChildLog>) -> String {
    match log {
        Some(log) => log.line().await,
        None => pending().await,
    }
}

/// Passes on a line of its log.
fn tell_line(line: &str) {
    match line.contains("EROR") || line.contains("WARN") {
        true => info!(line),
        false => debug!(line),
    }
}
