//! One transcoder: its program is started while there is a stream for it, watched, and started again when it has failed.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::report::Report;
use super::running::{RunEnd, Running};
use super::tools::Tool;
use super::{Inner, TranscodeJob, input};
use crate::io::clock;
use crate::logic::backoff::Backoff;
use crate::logic::jobs::{FIRST_RESTART_WAIT, LONGEST_RESTART_WAIT};
use crate::model::mount::MountName;
use crate::model::stream::StreamId;
use crate::model::transcoding::TranscoderStage;
use crate::proto::view::MeshView;
use crate::service::demand::{Demand, is_on_demand};
use crate::service::ingest::NotTaken;
use crate::service::streams::Held;
use crate::service::wants::Want;

/// How long a program has run that counts as one that works: its next failure is the first one again.
const GOOD_RUN: Duration = Duration::from_secs(10);
/// How long this node waits when another one still sends to the mount.
const RETRY: Duration = Duration::from_millis(500);

/// Why nothing is made of pictures alone.
const NO_SOUND: &str = "the stream of its source has pictures and no sound";

/// Makes a mount's stream from another one, for as long as this node has its seat.
pub(super) async fn run(inner: &Inner, job: &TranscodeJob) {
    let tool = inner.tools.tool().await;
    let mut report = Report::new(inner, &job.mount, tool.engine);
    let mut backoff = Backoff::new(FIRST_RESTART_WAIT, LONGEST_RESTART_WAIT);
    loop {
        let demand = Demand {
            mesh: &inner.config.mesh,
            mount: &job.mount,
        };
        if !demand.is_there() {
            report.set_stage(TranscoderStage::Idle).await;
            demand.becomes(true).await;
        }
        let _want = want_source(inner, &job.order.from);
        report.set_stage(TranscoderStage::Waiting).await;
        let mut stream_id = None;
        let end = tokio::select! {
            biased;
            held = input::stream(inner, &job.order.from) => {
                stream_id = Some(held.feed.stream_id());
                let begun = clock::now();
                let end = run_in_turn(inner, job, &tool, &held, &mut report).await;
                if clock::now() >= begun + GOOD_RUN {
                    backoff.succeed();
                }
                end
            }
            // Nothing is made meanwhile; once there is a source, nobody waits for an answer.
            Err(why) = inner.tools.check(&tool, &job.order) => RunEnd::Failed(why),
        };
        let why = match end {
            RunEnd::SourceGone => {
                info!("the source has gone: idle until it is back");
                continue;
            }
            RunEnd::Unwanted => {
                info!("nobody listens: idle until somebody does");
                continue;
            }
            RunEnd::NotTaken(why) => {
                debug!(%why, "not put on air");
                sleep(RETRY).await;
                continue;
            }
            RunEnd::NoSound => {
                info!(why = NO_SOUND, "idle until there is another one");
                report.set_waiting(NO_SOUND).await;
                another_stream(inner, &job.order.from, stream_id).await;
                continue;
            }
            RunEnd::Failed(why) => why,
            RunEnd::NotBegun(why) => {
                let checked = inner.tools.check(&tool, &job.order).await;
                checked.err().unwrap_or(why)
            }
        };
        let wait = backoff.fail(clock::random_share());
        warn!(why, ?wait, "the transcoder has failed; it is started again");
        report.set_failed(&why).await;
        tokio::select! {
            () = sleep(wait) => {}
            // It may fit the program better.
            () = another_stream(inner, &job.order.from, stream_id) => backoff.succeed(),
        }
    }
}

/// Waits until a mount's source sends another stream than this one, or has none any more.
async fn another_stream(inner: &Inner, mount: &MountName, stream_id: Option<StreamId>) {
    let Some(failed) = stream_id else {
        return pending().await;
    };
    let mut view = inner.config.mesh.cluster.watch();
    let is_another = |view: &Arc<MeshView>| {
        let source = view.source(mount).map(|(_, card)| card.stream_id);
        source != Some(failed)
    };
    if view.wait_for(is_another).await.is_err() {
        pending::<()>().await; // the node ends
    }
}

/// Runs the program as soon as the node may run one more.
async fn run_in_turn(
    inner: &Inner,
    job: &TranscodeJob,
    tool: &Tool,
    held: &Held,
    report: &mut Report<'_>,
) -> RunEnd {
    if inner.config.ingest.is_stopping() {
        return RunEnd::NotTaken(NotTaken::Stopping);
    }
    if inner.room.available_permits() == 0 {
        let most = inner.config.settings.most;
        let why = format!("no room here: {most} are made, which is the most (max_transcoders)");
        report.set_waiting(&why).await;
    }
    // Another node takes it as soon as it sees that. The room is never closed.
    let Ok(_room) = inner.room.acquire().await else {
        return RunEnd::NotTaken(NotTaken::InUse);
    };
    report.set_stage(TranscoderStage::Starting).await;
    match Running::start(inner, job, tool, held).await {
        Ok((running, stdin)) => {
            let progress = running.progress.clone();
            let input = input::send(held, stdin, &progress);
            let from = &job.order.from;
            let demand = Demand {
                mesh: &inner.config.mesh,
                mount: &job.mount,
            };
            let end = running.run(inner, from, demand.ends(), input, report);
            match end.await {
                RunEnd::Failed(_) | RunEnd::NotBegun(_)
                    if !progress.has_output() && held.feed.format().is_silent() =>
                {
                    RunEnd::NoSound
                }
                end => end,
            }
        }
        Err(end) => end,
    }
}

/// Has the other mount's stream made, if that is made on demand, too.
fn want_source(inner: &Inner, from: &MountName) -> Option<Want> {
    let on_demand = is_on_demand(&inner.config.mesh.documents.mounts(), from);
    on_demand.then(|| inner.config.wants.want(from))
}
