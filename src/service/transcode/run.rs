//! One transcoder: its program is started while there is a stream for it, watched, and started again when it fails.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, debug, info, warn};

use super::input::{self, InputEnd};
use super::output::{BadOutput, Output};
use super::progress::Progress;
use super::report::Report;
use super::tools::Tool;
use super::{Inner, TranscodeJob};
use crate::io::child::{ChildExit, ChildPipes, ChildStream, Spawned};
use crate::io::clock;
use crate::logic::transcoding::command::{arguments, is_chatter, media_type};
use crate::logic::transcoding::order::Amount;
use crate::model::mount::{MountName, MountSpec};
use crate::model::seat::Epoch;
use crate::model::stream::StreamHead;
use crate::model::transcoding::TranscoderStage;
use crate::service::ingest::{Ingest, NotTaken, OwnStream};
use crate::service::streams::Held;
use crate::service::wants::Want;

/// How often a program is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// How long a program may take to end once its input has.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How long this node waits when another one still sends to the mount.
const RETRY: Duration = Duration::from_millis(500);
/// How long a stream is made on demand without a listener: a player that reconnects finds it on air, and nothing is begun
/// and ended with each look of a directory.
const UNWANTED_LIMIT: Duration = Duration::from_secs(30);
/// After how long without audio a stream is taken off air: far later than a program that hangs is ended.
const TIMEOUT_S: u32 = 3_600;

/// How one run of a program ended.
enum RunEnd {
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
}

/// Makes a mount's stream from another one until its program fails; then it is to be called again, a little later.
pub(super) async fn run(inner: &Inner, job: &TranscodeJob) {
    let tool = inner.tools.tool().await;
    let mut report = Report::new(inner, &job.mount, tool.engine);
    loop {
        if job.on_demand {
            report.set_stage(TranscoderStage::Idle).await;
            wanted(inner, &job.mount, true).await;
        }
        let _want = want_source(inner, &job.order.from);
        report.set_stage(TranscoderStage::Waiting).await;
        let held = tokio::select! {
            biased;
            held = input::stream(inner, &job.order.from) => held,
            // Nothing is made meanwhile; once there is a source, nobody waits for an answer.
            Err(why) = inner.tools.check(&tool, &job.order) => {
                return fail(report, &why).await;
            }
        };
        report.set_stage(TranscoderStage::Starting).await;
        match run_once(inner, job, &tool, &held, &mut report).await {
            RunEnd::SourceGone => info!("the source has gone: idle until it is back"),
            RunEnd::Unwanted => info!("nobody listens: idle until somebody does"),
            RunEnd::NotTaken(why) => {
                debug!(%why, "not put on air");
                sleep(RETRY).await;
            }
            RunEnd::Failed(why) => return fail(report, &why).await,
            RunEnd::NotBegun(why) => {
                let checked = inner.tools.check(&tool, &job.order).await;
                return fail(report, &checked.err().unwrap_or(why)).await;
            }
        }
    }
}

async fn fail(mut report: Report<'_>, why: &str) {
    warn!(why, "the transcoder has failed");
    report.set_failed(why).await;
}

async fn run_once(
    inner: &Inner,
    job: &TranscodeJob,
    tool: &Tool,
    held: &Held,
    report: &mut Report<'_>,
) -> RunEnd {
    let Some(spec) = inner.config.mesh.documents.mount(&job.mount) else {
        return RunEnd::NotTaken(NotTaken::NoSuchMount);
    };
    let container = held.feed.format().container;
    let words = arguments(tool.engine, &job.order, container);
    let program = inner.tools.program(tool, &words, ChildPipes::Stream);
    let spawned = match inner.config.spawner.spawn(program).await {
        Ok(spawned) => spawned,
        Err(error) => return RunEnd::Failed(error.to_string()),
    };
    let Spawned {
        child,
        mut log,
        stream: Some(ChildStream { stdin, stdout }),
    } = spawned
    else {
        return RunEnd::Failed("its pipes are missing".to_owned());
    };
    info!(engine = %tool.engine, pid = child.pid(), "the transcoder runs");
    let progress = Arc::new(Progress::default());
    let mut sending = pin!(input::send(held, stdin, &progress));
    // A task of its own: whatever ends this one ends the program, and the stream then leaves the air in order.
    let airing = Airing {
        ingest: inner.config.ingest.clone(),
        stream: own_stream(spec, job, tool, held),
        media_type: media_type(job.order.audio.codec),
        stdout,
        progress: progress.clone(),
    };
    let airing = airing.run().in_current_span();
    let mut airing = inner.config.mesh.tasks.spawn(airing);
    let mut unwanted = pin!(unwanted(inner, job));
    let mut input_end = None;
    let aired = loop {
        tokio::select! {
            aired = &mut airing => match aired {
                Ok(aired) => break aired,
                Err(error) => return RunEnd::Failed(error.to_string()),
            },
            end = &mut sending, if input_end.is_none() => {
                debug!(why = %end, "the transcoder gets no more");
                input_end = Some((end, clock::now()));
            }
            () = &mut unwanted => return RunEnd::Unwanted,
            line = log.line() => match is_chatter(tool.engine, &line) {
                true => debug!(line),
                false => info!(line),
            },
            () = sleep(LOOK_PERIOD) => {}
        }
        let now = clock::now();
        if progress.hangs(now) {
            let pid = child.pid();
            return RunEnd::Failed(format!(
                "it makes nothing of what it hears (process {pid}), and was killed"
            ));
        }
        match &input_end {
            Some((end, at)) if now >= *at + END_LIMIT => {
                debug!("killed: it does not end with its input");
                return match end {
                    InputEnd::Ended => RunEnd::SourceGone,
                    end => RunEnd::Failed(end.to_string()),
                };
            }
            _ => {}
        }
        if progress.has_output() {
            report.begin_running().await;
            report.tell_figures(&child, &progress).await;
        }
    };
    // What it makes has ended, or is not wanted; the program is ended with its handle.
    match (aired, input_end) {
        (Err(Unaired::NotTaken(why)), _) => RunEnd::NotTaken(why),
        (_, Some((InputEnd::Ended, _))) => RunEnd::SourceGone,
        (Err(Unaired::Bad(BadOutput::Nothing)) | Ok(()), _) => {
            let why = match timeout(LOOK_PERIOD, child.wait()).await {
                // What it said last was no reason, if somebody else has ended it.
                Ok(end) if matches!(end.exit, ChildExit::Signal(_)) => end.exit.to_string(),
                Ok(end) => end.to_string(),
                Err(_) if inner.config.ingest.is_stopping() => {
                    return RunEnd::NotTaken(NotTaken::Stopping);
                }
                Err(_) => return RunEnd::NotTaken(NotTaken::InUse),
            };
            let why = format!("{} {why}", tool.engine);
            match progress.has_output() {
                true => RunEnd::Failed(why),
                false => RunEnd::NotBegun(why),
            }
        }
        (Err(Unaired::Bad(bad)), _) => RunEnd::Failed(bad.to_string()),
    }
}

/// Has the other mount's stream made, if that is made on demand, too.
fn want_source(inner: &Inner, from: &MountName) -> Option<Want> {
    let spec = inner.config.mesh.documents.mount(from)?;
    let on_demand = spec.transcode.on_demand;
    on_demand.then(|| inner.config.wants.want(from))
}

/// Waits until a mount is wanted, or is not. If the node ends, it is not told.
async fn wanted(inner: &Inner, mount: &MountName, is_wanted: bool) {
    let mut view = inner.config.mesh.cluster.watch();
    let changed = view.wait_for(|view| view.is_wanted(mount) == is_wanted);
    if changed.await.is_err() {
        pending::<()>().await;
    }
}

/// Waits until nobody has wanted what is made on demand for long enough.
async fn unwanted(inner: &Inner, job: &TranscodeJob) {
    if !job.on_demand {
        return pending().await;
    }
    loop {
        wanted(inner, &job.mount, false).await;
        let again = wanted(inner, &job.mount, true);
        if timeout(UNWANTED_LIMIT, again).await.is_err() {
            return;
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
        let output = Output::open(self.stdout, self.media_type, &self.progress).await;
        let output = output.map_err(Unaired::Bad)?;
        let titles = |made| self.progress.take_title(made);
        let airing = self.ingest.put_on_air(self.stream, output, titles);
        airing.await.map_err(Unaired::NotTaken)
    }
}

/// The stream that is made: with the words of the other mount's source on its station.
fn own_stream(spec: MountSpec, job: &TranscodeJob, tool: &Tool, held: &Held) -> OwnStream {
    let kbps = match job.order.amount {
        Amount::Bitrate(bitrate) => Some(bitrate.kbps()),
        Amount::Quality(_) => None,
    };
    let of_the_other = ["br", "audio-info"];
    let station = held.feed.head().icy.iter();
    let station = station.filter(|(name, _)| !of_the_other.contains(&name.as_str()));
    let bitrate = kbps.map(|kbps| ("br".to_owned(), kbps.to_string()));
    let version = env!("CARGO_PKG_VERSION");
    OwnStream {
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
    }
}
