//! One outside relay: asks its addresses while no encoder has the mount, puts on air what comes, and returns to a better address.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Instrument as _, debug, info, warn};

use super::asking::{Flowing, ask};
use super::report::Report;
use super::upstream::Told;
use super::{OutsideRelayConfig, OutsideRelayJob};
use crate::io::clock;
use crate::logic::outside_relay::{AddressRota, GOOD_RUN, NextAddress};
use crate::media::format::detect::Format;
use crate::media::overlap::HeardEnd;
use crate::model::fitness::SourceFitness;
use crate::model::outside_relay::OutsideRelayStage;
use crate::model::source_priority::SourcePriority;
use crate::model::stream::EndReason;
use crate::proto::on_air::fails_by_silence;
use crate::proto::view::MeshView;
use crate::service::demand::Demand;
use crate::service::ingest::{Maker, NotTaken, OwnStream};
use crate::service::sources::StandbyEntry;
use crate::wire::gossip::StandbyCard;

/// After how many seconds with less than a tenth of its audio a stream is given up, if the mount does not say less: listeners
/// have five seconds in hand, and a connection that has lost a packet is back in three.
const STALL_S: u32 = 5;
/// How long the mount is left to an encoder that wants it: it is refused after two seconds if it does not get it.
const YIELDED: Duration = Duration::from_secs(3);
/// How long a silent source is waited for that has to leave the mount: about a second, if its node hears this one.
const STEPS_ASIDE: Duration = Duration::from_secs(3);
/// How long this node waits when it may put nothing on air now.
const RETRY: Duration = Duration::from_secs(1);

/// Gets a mount's stream from outside for as long as this node has its seat.
pub(super) async fn run(config: &OutsideRelayConfig, job: &OutsideRelayJob) {
    let mut relaying = Relaying {
        config,
        job,
        rota: AddressRota::new(job.addresses.as_slice().len()),
        report: Report::new(config, job),
        better: None,
        was_unwanted: false,
    };
    loop {
        relaying.turn().await;
    }
}

struct Relaying<'a> {
    config: &'a OutsideRelayConfig,
    job: &'a OutsideRelayJob,
    rota: AddressRota,
    report: Report<'a>,
    /// A better address than the one that played, whose stream flows.
    better: Option<(usize, Flowing)>,
    /// Whether the last stream ended because nobody listened: nobody goes on with it.
    was_unwanted: bool,
}

/// The stream of an address on its way through the air.
struct Airing {
    task: JoinHandle<Result<EndReason, NotTaken>>,
    told: Told,
    stop: CancellationToken,
    /// Ends the reader with this value, and so the stream in order, whatever ends the job.
    _guard: DropGuard,
}

/// An address that is asked beside the one that plays.
type AskedBeside<'a> = (
    usize,
    Pin<Box<dyn Future<Output = Result<Flowing, String>> + Send + 'a>>,
);

impl<'a> Relaying<'a> {
    /// Waits until there is something to do, and does it.
    async fn turn(&mut self) {
        if let Some((place, flowing)) = self.better.take() {
            return self.play(place, flowing).await;
        }
        let demand = self.demand();
        if !demand.is_there() {
            self.report.set_stage(OutsideRelayStage::Idle).await;
            demand.becomes(true).await;
        }
        if self.is_taken() {
            self.report.set_stage(OutsideRelayStage::Standby).await;
            self.becomes_free().await;
            return;
        }
        match self.rota.next(clock::now()) {
            NextAddress::Ask(place) => {
                // Until one flows, listeners should not come for it: they are told so by the stage.
                if !self.report.is_failing() {
                    self.report.set_asked(place).await;
                }
                match self.ask(place).await {
                    Ok(flowing) => self.play(place, flowing).await,
                    Err(why) => self.note_failed(place, &why).await,
                }
            }
            NextAddress::Wait(at) => {
                self.report.set_stage(OutsideRelayStage::Failing).await;
                tokio::select! {
                    () = sleep_until(at.into()) => {}
                    () = self.becomes_taken() => {}
                }
            }
            NextAddress::Nothing => sleep(RETRY).await, // nothing plays, so there is something
        }
    }

    fn demand(&self) -> Demand<'a> {
        Demand {
            mesh: &self.config.mesh,
            mount: &self.job.mount,
        }
    }

    /// Asks an address for its stream.
    async fn ask(&self, place: usize) -> Result<Flowing, String> {
        let (config, job) = (self.config, self.job);
        ask_place(config, job, place).await
    }

    /// Plays a stream to its end, or until a better one flows.
    async fn play(&mut self, place: usize, mut flowing: Flowing) {
        if !std::mem::take(&mut self.was_unwanted) {
            self.skip_heard(&mut flowing).await;
        }
        let in_line = self.wait_in_line().await;
        let Some(mut airing) = self.begin(flowing, in_line) else {
            return sleep(RETRY).await; // the mount has just been deleted
        };
        self.rota.note_playing(place, clock::now());
        self.report.set_playing(place).await;
        let demand = self.demand();
        let mut unwanted = Box::pin(demand.ends());
        let mut beside: Option<AskedBeside<'a>> = None;
        let ended = loop {
            let wake_at = self.look(&mut beside);
            tokio::select! {
                ended = &mut airing.task => break ended,
                () = &mut unwanted => {
                    info!("nobody listens: idle until somebody does");
                    self.was_unwanted = true;
                    airing.stop().await;
                    return self.rota.note_stopped(clock::now());
                }
                (better, outcome) = outcome(&mut beside) => match outcome {
                    Ok(flowing) => {
                        info!(address = better + 1, "a better address is back");
                        airing.stop().await;
                        self.rota.note_stopped(clock::now());
                        self.better = Some((better, flowing));
                        return;
                    }
                    Err(why) => self.note_failed(better, &why).await,
                },
                () = sleep_until(wake_at.into()) => {}
            }
            if self.rota.is_at_its_best(clock::now()) {
                self.report.clear_trouble().await;
            }
        };
        match ended {
            Ok(ended) => self.conclude(place, ended, &airing.told).await,
            Err(error) => self.note_failed(place, &error.to_string()).await,
        }
    }

    /// Leaves out what listeners have heard of the same stream, so that they go on where they were.
    async fn skip_heard(&self, flowing: &mut Flowing) {
        let Some(heard) = self.config.relays.heard_last(&self.job.mount).await else {
            return;
        };
        let format = flowing.format;
        let is_same = Format::of_media_type(&heard.head().content_type) == Some(format);
        let end = HeardEnd::new(format, &heard.heard_end(HeardEnd::BYTES));
        let end = end.filter(|_| is_same);
        let quiet_since = heard.last_fed().into();
        let skipping = flowing.audio.skip_heard(format, end.as_ref(), quiet_since);
        if skipping.await {
            info!("the stream goes on behind what was heard of it");
        }
    }

    /// Puts a stream on air. In a task of its own: whatever ends the job ends the reader, and the stream then leaves the air in
    /// order.
    fn begin(&self, flowing: Flowing, in_line: Option<StandbyEntry>) -> Option<Airing> {
        let config = self.config;
        let spec = config.mesh.documents.mount(&self.job.mount)?;
        let Flowing {
            audio,
            head,
            stated_bps,
            format: _,
        } = flowing;
        let stream = OwnStream {
            maker: Maker::OutsideRelay,
            timeout_s: spec.source_timeout_s.min(STALL_S),
            spec,
            head,
            stated_bps,
            in_line,
        };
        let (told, stop, ingest) = (audio.told.clone(), audio.stop(), config.ingest.clone());
        let titles = told.clone();
        let airing = async move {
            let titles = |_sounded| titles.take_title();
            ingest.put_on_air(stream, audio, titles).await
        };
        Some(Airing {
            task: config.mesh.tasks.spawn(airing.in_current_span()),
            told,
            _guard: stop.clone().drop_guard(),
            stop,
        })
    }

    /// Begins to ask a better address than the one that plays, if it is time for that. Returns when to look again.
    fn look(&self, beside: &mut Option<AskedBeside<'a>>) -> Instant {
        let now = clock::now();
        let later = now + GOOD_RUN;
        if beside.is_some() {
            return later;
        }
        match self.rota.next(now) {
            NextAddress::Ask(place) => {
                let asking = ask_place(self.config, self.job, place);
                *beside = Some((place, Box::pin(asking)));
                later
            }
            NextAddress::Wait(at) => at.min(later),
            NextAddress::Nothing => later,
        }
    }

    /// The meaning of the end of a stream.
    async fn conclude(&mut self, place: usize, ended: Result<EndReason, NotTaken>, told: &Told) {
        let why = match ended {
            Ok(EndReason::Replaced) => {
                self.rota.note_stopped(clock::now());
                info!("another source has the mount");
                self.report.set_stage(OutsideRelayStage::Standby).await;
                return sleep(YIELDED).await;
            }
            Ok(EndReason::NodeStops | EndReason::MountDeleted) => {
                self.rota.note_stopped(clock::now());
                return sleep(RETRY).await;
            }
            Err(why) => {
                debug!(%why, "not put on air");
                self.rota.note_stopped(clock::now());
                return sleep(RETRY).await;
            }
            Ok(EndReason::SourceSilent) => {
                format!("it has sent less than a tenth of its audio for {STALL_S} s")
            }
            Ok(EndReason::SourceLeft | EndReason::Lost) => {
                let closed = || "what it sends cannot be played; the log says why".to_owned();
                told.end().unwrap_or_else(closed)
            }
        };
        self.report.note_restart();
        self.note_failed(place, &why).await;
    }

    async fn note_failed(&mut self, place: usize, why: &str) {
        let wait = self
            .rota
            .note_failed(place, clock::now(), clock::random_share());
        let address = self.job.addresses.as_slice().get(place);
        let address = address.map(ToString::to_string).unwrap_or_default();
        warn!(%address, why, ?wait, "an address of the outside relay has failed; it is asked again");
        self.report.set_failed(place, &address, why).await;
    }

    /// Waits until a silent source has left the mount, as it does for any that waits and sends. It takes the place again unless the
    /// relay is still seen to wait.
    async fn wait_in_line(&self) -> Option<StandbyEntry> {
        let mount = &self.job.mount;
        let mut view = self.config.mesh.cluster.watch();
        let is_free = |view: &Arc<MeshView>| view.source(mount).is_none() || view.yields(mount);
        if is_free(&view.borrow()) {
            return None;
        }
        let in_line = self.config.sources.wait(mount, SourcePriority::FIRST, None);
        in_line.note(SourceFitness::Fit);
        if timeout(STEPS_ASIDE, view.wait_for(is_free)).await.is_err() {
            debug!("the silent source does not leave");
        }
        Some(in_line)
    }

    /// Whether an encoder has the mount, or waits for it.
    fn is_taken(&self) -> bool {
        is_taken(self.config, &self.config.mesh.cluster.view(), self.job)
    }

    async fn becomes_free(&self) {
        self.becomes(false).await;
    }

    async fn becomes_taken(&self) {
        self.becomes(true).await;
    }

    async fn becomes(&self, taken: bool) {
        let mut view = self.config.mesh.cluster.watch();
        let changed = view.wait_for(|view| is_taken(self.config, view, self.job) == taken);
        if changed.await.is_err() {
            pending::<()>().await; // the node ends
        }
    }
}

impl Airing {
    /// Takes the stream off air.
    async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            warn!(%error, "the stream did not leave the air in order");
        }
    }
}

async fn ask_place(
    config: &OutsideRelayConfig,
    job: &OutsideRelayJob,
    place: usize,
) -> Result<Flowing, String> {
    let address = job.addresses.as_slice().get(place);
    let spec = config.mesh.documents.mount(&job.mount);
    match (address, spec) {
        (Some(address), Some(spec)) => ask(config, address, &spec).await,
        _ => Err("the mount is gone".to_owned()),
    }
}

/// The outcome of the address that is asked beside another. Without one it never comes.
async fn outcome(beside: &mut Option<AskedBeside<'_>>) -> (usize, Result<Flowing, String>) {
    let Some((place, asking)) = beside else {
        return pending().await;
    };
    let outcome = (*place, asking.await);
    *beside = None;
    outcome
}

/// Whether another source than an outside relay has the mount, or waits for it to be free. One that sends no audio that is known, or
/// silence on a mount that does not play that, does not count: listeners hear the relay rather than it.
fn is_taken(config: &OutsideRelayConfig, view: &MeshView, job: &OutsideRelayJob) -> bool {
    let (mount, mounts) = (&job.mount, config.mesh.documents.mounts());
    let has_source = view.source(mount).is_some() && !view.yields(mount);
    let up = view.nodes.values().filter(|node| node.is_up());
    let cards = up.filter_map(|node| node.standby.get(mount));
    let mut waiting = cards.flat_map(StandbyCard::told);
    has_source && !fails_by_silence(mount, &mounts, view)
        || waiting
            .any(|card| !matches!(card.fitness, SourceFitness::Unknown | SourceFitness::Silent))
}
