//! One run of a program: from its start to its end, watched.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tracing::{Instrument as _, debug, info};

use super::input::InputEnd;
use super::output::{BadOutput, Output};
use super::progress::Progress;
use super::report::Report;
use super::tools::Tool;
use super::{Inner, TranscodeJob};
use crate::io::child::{Child, ChildExit, ChildLog, ChildPipes, ChildStream, Spawned};
use crate::io::clock;
use crate::logic::transcoding::command::{arguments, ends_badly, is_chatter, media_type};
use crate::logic::transcoding::order::Amount;
use crate::model::mount::{MountName, MountSpec};
use crate::model::seat::Epoch;
use crate::model::stream::StreamHead;
use crate::model::transcoding::{TranscodeEngine, TranscoderStage};
use crate::service::ingest::{Ingest, Maker, NotTaken, OwnStream};
use crate::service::streams::Held;

/// How often a program is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// How long a program may take to end once its input has.
const END_LIMIT: Duration = Duration::from_secs(5);
/// After how long without sound a source is said to send none.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a program is kept whose source has gone: one that comes back soon is heard at once, and after that the room is
/// for others.
const GONE_LIMIT: Duration = Duration::from_secs(5);
/// After how long without audio a stream is taken off air: far later than a program that hangs is ended.
const TIMEOUT_S: u32 = 3_600;

/// How one run of a program ended.
pub(super) enum RunEnd {
    /// The input has ended.
    SourceGone,
    /// Nobody listens any more.
    Unwanted,
    /// The stream was not, or is not any more, this node's to make.
    NotTaken(NotTaken),
    /// The program has failed.
    Failed(String),
    /// The program has ended before it had made anything.
    NotBegun(String),
    /// The input has nothing in it that the program could make anything of.
    NoSound,
}

/// A program that runs.
pub(super) struct Running {
    engine: TranscodeEngine,
    /// Whether listeners are better off without the end of what it makes.
    ends_badly: bool,
    /// Ends the program with this value.
    child: Child,
    log: ChildLog,
    /// Puts on air what the program makes. A task of its own: whatever ends the transcoder ends the program, and the stream
    /// then leaves the air in order.
    airing: JoinHandle<Result<(), Unaired>>,
    pub(super) progress: Arc<Progress>,
}

/// Why and when the input of a program has ended, if it has.
type Ended = Option<(InputEnd, Instant)>;

impl Running {
    /// Starts the program; given with its standard input.
    pub(super) async fn start(
        inner: &Inner,
        job: &TranscodeJob,
        tool: &Tool,
        held: &Held,
    ) -> Result<(Self, pipe::Sender), RunEnd> {
        let spec = inner.config.mesh.documents.mount(&job.mount);
        let spec = spec.ok_or(RunEnd::NotTaken(NotTaken::NoSuchMount))?;
        let from = inner.config.mesh.documents.mount(&job.order.from);
        let from = from.unwrap_or_else(|| MountSpec::new(job.order.from.clone()));
        let container = held.feed.format().container;
        let words = arguments(tool.engine, &job.order, container);
        let program = inner.tools.program(tool, &words, ChildPipes::Stream);
        let spawned = inner.config.spawner.spawn(program).await;
        let spawned = spawned.map_err(|error| RunEnd::Failed(error.to_string()))?;
        let Spawned {
            child,
            log,
            stream: Some(ChildStream { stdin, stdout }),
        } = spawned
        else {
            return Err(RunEnd::Failed("its pipes are missing".to_owned()));
        };
        info!(engine = %tool.engine, pid = child.pid(), "the transcoder runs");
        let progress = Arc::new(Progress::begin());
        let airing = Airing {
            ingest: inner.config.ingest.clone(),
            stream: own_stream(spec, &from, job, held, tool),
            media_type: media_type(job.order.audio.codec),
            stdout,
            progress: progress.clone(),
        };
        let airing = airing.run().in_current_span();
        let running = Self {
            engine: tool.engine,
            ends_badly: ends_badly(tool.engine, job.order.audio.codec),
            child,
            log,
            airing: inner.config.mesh.tasks.spawn(airing),
            progress,
        };
        Ok((running, stdin))
    }

    /// Watches the program until it has ended, or has to: also when it is unwanted.
    pub(super) async fn run(
        mut self,
        inner: &Inner,
        from: &MountName,
        unwanted: impl Future<Output = ()>,
        input: impl Future<Output = InputEnd>,
        report: &mut Report<'_>,
    ) -> RunEnd {
        let (mut input, mut unwanted) = (pin!(input), pin!(unwanted));
        let (mut ended, mut has_exited): (Ended, bool) = (None, false);
        loop {
            tokio::select! {
                aired = &mut self.airing => return match aired {
                    Ok(aired) => self.conclude(inner, aired, ended).await,
                    Err(error) => RunEnd::Failed(error.to_string()),
                },
                end = &mut input, if ended.is_none() => {
                    debug!(why = %end, "the transcoder gets no more");
                    if self.ends_badly && matches!(end, InputEnd::Ended) {
                        return RunEnd::SourceGone;
                    }
                    ended = Some((end, clock::now()));
                }
                _end = self.child.wait(), if !has_exited => {
                    has_exited = true;
                    self.progress.beat();
                }
                () = &mut unwanted => return RunEnd::Unwanted,
                line = self.log.line() => match is_chatter(self.engine, &line) {
                    true => debug!(line),
                    false => info!(line),
                },
                () = sleep_until(clock::next_beat(LOOK_PERIOD).into()) => {}
            }
            if let Some(end) = self.fault(&ended, clock::now()) {
                return end;
            }
            let view = inner.config.mesh.cluster.view();
            let has_source = view.source(from).is_some();
            if !has_source && self.is_silent_for(GONE_LIMIT) {
                return RunEnd::SourceGone;
            }
            self.tell(has_source, report).await;
        }
    }

    /// Why the program has to be killed, if it has to.
    fn fault(&self, ended: &Ended, now: Instant) -> Option<RunEnd> {
        if self.progress.hangs(now) {
            let pid = self.child.pid();
            return Some(RunEnd::Failed(format!(
                "it makes nothing of what it hears (process {pid}), and was killed"
            )));
        }
        let (end, at) = ended.as_ref()?;
        (now >= *at + END_LIMIT).then(|| {
            debug!("killed: it does not end with its input");
            match end {
                InputEnd::Ended => RunEnd::SourceGone,
                end => RunEnd::Failed(end.to_string()),
            }
        })
    }

    /// Whether no audio has come for the program for so long.
    fn is_silent_for(&self, time: Duration) -> bool {
        let since = self.progress.silent_since();
        since.is_some_and(|since| clock::now() >= since + time)
    }

    /// Tells how it goes, of a mount that has a source or has none.
    async fn tell(&self, has_source: bool, report: &mut Report<'_>) {
        let is_silent = self.is_silent_for(SILENCE);
        match self.progress.has_output() {
            _ if is_silent && has_source => {
                report
                    .set_waiting("its source is there, and sends no sound")
                    .await;
            }
            _ if is_silent => report.set_stage(TranscoderStage::Waiting).await,
            false => report.set_stage(TranscoderStage::Starting).await,
            true => {
                report.set_stage(TranscoderStage::Running).await;
                report.tell_figures(&self.child, &self.progress).await;
            }
        }
    }

    /// The meaning of the end of its stream. The program is ended with this value.
    async fn conclude(self, inner: &Inner, aired: Result<(), Unaired>, ended: Ended) -> RunEnd {
        match (aired, ended) {
            (Err(Unaired::NotTaken(why)), _) => return RunEnd::NotTaken(why),
            (_, Some((InputEnd::Ended, _))) => return RunEnd::SourceGone,
            (Err(Unaired::Bad(BadOutput::Nothing)) | Ok(()), _) => {}
            (Err(Unaired::Bad(bad)), _) => return RunEnd::Failed(bad.to_string()),
        }
        let why = match timeout(LOOK_PERIOD, self.child.wait()).await {
            // What it said last was no reason, if somebody else has ended it.
            Ok(end) if matches!(end.exit, ChildExit::Signal(_)) => end.exit.to_string(),
            Ok(end) => end.to_string(),
            Err(_) if inner.config.ingest.is_stopping() => {
                return RunEnd::NotTaken(NotTaken::Stopping);
            }
            Err(_) => return RunEnd::NotTaken(NotTaken::InUse),
        };
        let why = format!("{} {why}", self.engine);
        match self.progress.has_output() {
            true => RunEnd::Failed(why),
            false => RunEnd::NotBegun(why),
        }
    }
}

/// Why nothing was, or is any more, on air.
enum Unaired {
    NotTaken(NotTaken),
    Bad(BadOutput),
}

/// Puts on air what a program makes, until it makes no more.
struct Airing {
    ingest: Ingest,
    stream: OwnStream,
    media_type: &'static str,
    stdout: pipe::Receiver,
    progress: Arc<Progress>,
}

impl Airing {
    async fn run(self) -> Result<(), Unaired> {
        let output = Output::open(self.stdout, self.media_type, self.progress.clone()).await;
        let output = output.map_err(Unaired::Bad)?;
        let titles = |made| self.progress.take_title(made);
        let airing = self.ingest.put_on_air(self.stream, output, titles);
        let aired = airing.await;
        aired.map(drop).map_err(Unaired::NotTaken)
    }
}

/// The stream that is made: with the words of the other mount and its source on the station.
fn own_stream(
    spec: MountSpec,
    from: &MountSpec,
    job: &TranscodeJob,
    held: &Held,
    tool: &Tool,
) -> OwnStream {
    let kbps = match job.order.amount {
        Amount::Bitrate(bitrate) => Some(bitrate.kbps()),
        Amount::Quality(_) => None,
    };
    let of_the_other = ["br", "audio-info"];
    let said = [
        ("name", &from.name),
        ("description", &from.description),
        ("genre", &from.genre),
        ("url", &from.url),
    ];
    let said = said.into_iter().filter(|(_, text)| !text.is_empty());
    let said: Vec<(String, String)> = said
        .map(|(key, text)| (key.to_owned(), text.clone()))
        .collect();
    let is_left_out = |key: &str| of_the_other.contains(&key) || said.iter().any(|it| it.0 == key);
    let station = held.feed.head().icy.iter();
    let station = station.filter(|(key, _)| !is_left_out(key)).chain(&said);
    let bitrate = kbps.map(|kbps| ("br".to_owned(), kbps.to_string()));
    let version = env!("CARGO_PKG_VERSION");
    OwnStream {
        maker: Maker::Transcoder,
        spec,
        head: StreamHead {
            content_type: media_type(job.order.audio.codec).to_owned(),
            icy: station.cloned().chain(bitrate).collect(),
            user_agent: format!("antiphon/{version} ({})", tool.engine),
            started_unix_ms: 0,
            accept_epoch: Epoch::default(),
        },
        stated_bps: kbps.map_or(0, |kbps| u64::from(kbps) * 1_000),
        timeout_s: TIMEOUT_S,
        in_line: None,
    }
}
