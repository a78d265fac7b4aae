//! Tells the mesh and the operator of a transcoder.

use std::time::{Duration, Instant};

use tracing::warn;

use super::Inner;
use super::progress::Progress;
use crate::io::child::Child;
use crate::io::clock;
use crate::model::mount::MountName;
use crate::model::transcoding::{TranscodeEngine, TranscoderReport, TranscoderStage};
use crate::wire::gossip;

/// How often the figures of one that runs are told.
const PERIOD: Duration = Duration::from_secs(5);
/// The step of a lag, in milliseconds: it changes with each page that comes out.
const LAG_STEP_MS: u64 = 100;

/// Tells of one transcoder.
pub(super) struct Report<'a> {
    inner: &'a Inner,
    mount: &'a MountName,
    /// The card that was told last; before the first one its stage is unknown.
    card: TranscoderReport,
    /// The time of processors that the program had used at the last look, and when that was.
    cpu: Option<(Duration, Instant)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(inner: &'a Inner, mount: &'a MountName, engine: TranscodeEngine) -> Self {
        let card = TranscoderReport {
            engine: engine.to_string(),
            ..TranscoderReport::default()
        };
        Self {
            inner,
            mount,
            card,
            cpu: None,
        }
    }

    /// The transcoder is at another stage.
    pub(super) async fn set_stage(&mut self, stage: TranscoderStage) {
        if self.card.stage != stage || self.card.trouble.is_some() {
            self.set(stage, None).await;
        }
    }

    /// The program waits because of this.
    pub(super) async fn set_waiting(&mut self, why: &str) {
        self.set(TranscoderStage::Waiting, Some(why)).await;
    }

    /// The transcoder has failed, and its program is going to be started again.
    pub(super) async fn set_failed(&mut self, why: &str) {
        self.card.restarts = self.card.restarts.saturating_add(1);
        self.set(TranscoderStage::Failing, Some(why)).await;
    }

    async fn set(&mut self, stage: TranscoderStage, trouble: Option<&str>) {
        self.cpu = None;
        let card = TranscoderReport {
            engine: self.card.engine.clone(),
            stage,
            trouble: trouble.map(gossip::short_trouble),
            restarts: self.card.restarts,
            ..TranscoderReport::default()
        };
        self.tell(card).await;
    }

    /// Tells the figures of one that runs, if it is time for that.
    pub(super) async fn tell_figures(&mut self, child: &Child, progress: &Progress) {
        let now = clock::now();
        let is_early = |at: Instant| now.saturating_duration_since(at) < PERIOD;
        if self.cpu.is_some_and(|(_, at)| is_early(at)) {
            return;
        }
        let used = child.usage().cpu;
        let cpu_permille = self.cpu.map(|(before, at)| {
            let passed = now.saturating_duration_since(at).as_secs_f64();
            let share = used.saturating_sub(before).as_secs_f64() / passed;
            (share * 1_000.0).round() as u32
        });
        self.cpu = Some((used, now));
        let lag_ms = progress.lag().map(|lag| {
            let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            lag_ms / LAG_STEP_MS * LAG_STEP_MS
        });
        let card = TranscoderReport {
            lag_ms,
            cpu_permille,
            ..self.card.clone()
        };
        self.tell(card).await;
    }

    async fn tell(&mut self, card: TranscoderReport) {
        if card == self.card {
            return;
        }
        self.card = card;
        let (key, text) = (
            gossip::transcoder_key(self.mount),
            gossip::write(&self.card),
        );
        if let Err(error) = self.inner.config.mesh.gossip.set(&key, &text).await {
            warn!(%error, "the state of the transcoder is not gossiped");
        }
    }
}
