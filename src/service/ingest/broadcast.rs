//! The way on air: a filler from its offer to its end. Waits for what happens to it, and does what
//! [`proto::source`](crate::proto::source) says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{info, warn};

use super::IngestConfig;
use super::air::{self, Air, Opening};
use super::filler::{Filler, Offer};
use super::intake::{Intake, Sink};
use super::standing::{Fitness, fails_by_silence, fallback_flows};
use crate::io::clock;
use crate::model::fitness::SourceFitness;
use crate::model::mount::MountName;
use crate::model::stream::{EndReason, StreamId};
use crate::model::title::TitleInfo;
use crate::proto::source::{
    Input, LocalStream, OtherSource, Output, RefusalReason, Source, SourceContext, SourceStage,
    Standing, is_outranked,
};
use crate::proto::view::MeshView;
use crate::service::drain::Phase;
use crate::service::early_titles::Unheard;
use crate::service::sources::{DoubtedSource, SourceProtocol, StandbyEntry};
use crate::wire::gossip::Origin;

/// For how long gossip may still tell that an outside relay waits which is on air: it does not yield to itself.
const OWN_WAIT_TOLD: Duration = Duration::from_secs(2);
/// How often a source on standby is looked at, whether it sends.
const SENDING_LOOK: Duration = Duration::from_millis(250);

/// Finds out a fact that decides how the source goes on.
type SourceLookup = Pin<Box<dyn Future<Output = Input> + Send>>;

/// The time of one source at a mount: on air, on standby, on air again.
pub(super) struct Broadcast<'a> {
    ingest: &'a IngestConfig,
    offer: Offer,
    source: Source,
    /// The outputs that are to be done next.
    due: VecDeque<Output>,
    /// The lookup that it waits for, if any.
    lookup: Option<SourceLookup>,
    air: Option<Air>,
    waiting: Option<StandbyEntry>,
    /// Keeps a title for it until it is on air.
    unheard: Option<Unheard>,
    /// The title that was told of it while it waited on standby.
    waiting_title: Option<TitleInfo>,
    /// Whether it could be heard, while it is not on air.
    fitness: Fitness,
    /// Why its connection is closed, once it is.
    end: Option<EndReason>,
}

impl<'a> Broadcast<'a> {
    /// Asks for the mount, where a source needs its place before its first audio. Returns once the source is taken, or
    /// why it is not.
    pub(super) async fn begin(
        ingest: &'a IngestConfig,
        offer: Offer,
    ) -> Result<Self, RefusalReason> {
        let (view, mut out) = (ingest.mesh.cluster.view(), Vec::new());
        let fitness = Fitness::new();
        let context = context(ingest, &offer.spec.path, &fitness, &view);
        let mut broadcast = Self {
            source: Source::begin(&offer.spec, offer.priority, context, &mut out),
            ingest,
            offer,
            due: out.into(),
            lookup: None,
            air: None,
            waiting: None,
            unheard: None,
            waiting_title: None,
            fitness,
            end: None,
        };
        loop {
            while let Some(output) = broadcast.due.pop_front() {
                match output {
                    Output::Refuse(refused) => return Err(refused),
                    Output::Accept | Output::StandBy => {
                        broadcast.due.push_front(output);
                        return Ok(broadcast);
                    }
                    output => broadcast.do_at_once(output),
                }
            }
            let input = broadcast.asking().await;
            broadcast.hand(input);
        }
    }

    /// Takes the filler through its turns: on air, on standby, on air again, until it ends or has to leave, and says why it
    /// has.
    pub(super) async fn run(mut self, filler: impl Filler) -> EndReason {
        let mut intake = Intake::new(filler, &self.offer);
        loop {
            while let Some(output) = self.due.pop_front() {
                self.carry_out(output, &mut intake).await;
            }
            let input = match self.source.stage() {
                SourceStage::Asking => self.asking().await,
                SourceStage::Opening => self.opening(&mut intake).await,
                SourceStage::OnAir(_) => self.on_air(&mut intake).await,
                SourceStage::Standby => self.standby(&mut intake).await,
                SourceStage::Over => break,
            };
            self.hand(input);
        }
        if let Some(why) = intake.fault() {
            self.ingest.sources.note_closed(&self.offer.spec.path, why);
        }
        self.end.unwrap_or(EndReason::SourceLeft)
    }

    /// Waits for an answer about the place. What the source sends meanwhile is not read.
    async fn asking(&mut self) -> Input {
        let wake_at = self.source.wake_at();
        tokio::select! {
            () = self.ingest.visitors.asked_to_end() => Input::NodeStops,
            input = result(&mut self.lookup) => input,
            () = sleep_until(wake_at) => Input::Tick,
        }
    }

    /// Waits for the first audio; if listeners have something else to hear, for audio that is known.
    async fn opening(&mut self, intake: &mut Intake<impl Filler>) -> Input {
        let wake_at = self.source.wake_at();
        let (ingest, offer) = (self.ingest, &self.offer);
        let (fitness, waiting) = (&mut self.fitness, &mut self.waiting);
        let first_audio = async {
            intake.open().await?;
            let mut view = ingest.mesh.cluster.watch();
            while fitness.has_to_wait(ingest, offer, intake) {
                let waiting = waiting.get_or_insert_with(|| wait(ingest, offer));
                waiting.note(fitness.now());
                tokio::select! {
                    sought = intake.seek() => sought?,
                    changed = view.changed() => if changed.is_err() {
                        std::future::pending::<()>().await; // the node stops
                    },
                }
            }
            Ok(())
        };
        tokio::select! {
            input = unwanted(ingest, offer) => input,
            input = result(&mut self.lookup) => input,
            () = sleep_until(wake_at) => Input::Tick,
            opened = first_audio => match opened {
                Ok(()) => Input::Audio,
                Err(reason) => Input::Ended(reason),
            },
        }
    }

    /// Carries what is heard.
    async fn on_air(&mut self, intake: &mut Intake<impl Filler>) -> Input {
        let Some(air) = &mut self.air else {
            return Input::Ended(EndReason::SourceLeft);
        };
        let (ingest, heeds_from) = (self.ingest, self.source.heeds_better_from());
        let (mount, priority) = (&self.offer.spec.path, self.offer.priority);
        let stream_id = air.stream_id();
        let is_silent = || fails_by_silence(ingest, mount, stream_id);
        let yields = self.offer.protocol == SourceProtocol::OutsideRelay;
        let heeds_from = match yields {
            true => heeds_from.max(air.began() + OWN_WAIT_TOLD),
            false => heeds_from,
        };
        let mut view = ingest.mesh.cluster.watch();
        let outranked = async {
            sleep_until(Some(heeds_from)).await;
            let is_outranked = |view: &Arc<MeshView>| {
                // An outside relay yields to any source that could be heard, as one that could not be heard itself.
                let fitness = match is_silent() || yields {
                    true => SourceFitness::Silent,
                    false => SourceFitness::Fit,
                };
                is_outranked(mount, Standing { priority, fitness }, view)
            };
            if view.wait_for(is_outranked).await.is_err() {
                std::future::pending::<()>().await; // the node stops
            }
        };
        tokio::select! {
            input = air.carry(self.ingest, &self.offer, intake) => input,
            () = outranked => {
                if !yields && is_silent() {
                    info!(%priority, "the source is silent, and another one waits that sends");
                    self.fitness.note_silent();
                    return Input::StepAside;
                }
                info!(%priority, "a better source waits, and sends");
                Input::GiveWay
            }
        }
    }

    /// Reads on, and lets no listener hear it, until the mount is free or the source leaves.
    async fn standby(&mut self, intake: &mut Intake<impl Filler>) -> Input {
        let (mount, wake_at) = (&self.offer.spec.path, self.source.wake_at());
        let mut view = self.ingest.mesh.cluster.watch();
        let leaves_place = self.source.leaves_place();
        let turn = async {
            let is_taken = |view: &Arc<MeshView>| view.source(mount).is_some();
            if leaves_place {
                tokio::select! { () = sleep_until(wake_at) => {}, _ = view.wait_for(is_taken) => {} }
                return;
            }
            sleep_until(wake_at).await;
            if view.wait_for(|view| !is_taken(view)).await.is_err() {
                std::future::pending::<()>().await; // the node stops
            }
        };
        tokio::pin!(turn);
        loop {
            self.fitness.look(self.ingest, &self.offer, intake);
            if let Some(waiting) = &self.waiting {
                waiting.note(self.fitness.now());
            }
            tokio::select! {
                input = unwanted(self.ingest, &self.offer) => return input,
                input = result(&mut self.lookup) => return input,
                () = &mut turn => return Input::Tick,
                reason = intake.copy(Sink::Nothing) => return Input::Ended(reason),
                () = sleep(SENDING_LOOK) => {}
            }
        }
    }

    /// Tells the source's machine what has happened.
    fn hand(&mut self, input: Input) {
        let (view, mut out) = (self.ingest.mesh.cluster.view(), Vec::new());
        let context = context(self.ingest, &self.offer.spec.path, &self.fitness, &view);
        let before = self.source.stage();
        self.source.handle(input, context, &mut out);
        match (before, out.last()) {
            (SourceStage::Opening, Some(Output::Close(reason))) => {
                info!(?reason, "the source leaves without having sent any audio");
            }
            (SourceStage::Asking, Some(Output::Close(reason))) => {
                info!(
                    ?reason,
                    "refused: the mount went to another source meanwhile"
                );
            }
            _ => {}
        }
        self.due.extend(out);
    }

    async fn carry_out(&mut self, output: Output, intake: &mut Intake<impl Filler>) {
        match output {
            Output::GoOnAir(stream_id, epoch) => {
                self.lookup = None;
                self.leave_line();
                intake.listen(None);
                let taken = air::taken_serials(self.ingest, &self.offer.spec.path);
                let (unheard, waited) = (self.unheard.take(), self.waiting_title.take());
                let lead = intake.begin(&taken);
                let opening = Opening {
                    media_type: intake.media_type(&lead),
                    format: intake.kind().1,
                    lead,
                    title: unheard.and_then(|it| it.title()).or(waited),
                };
                let begun = Air::begin(self.ingest, &self.offer, opening, stream_id, epoch);
                match begun.await {
                    Ok(air) => self.air = Some(air),
                    Err(error) => {
                        warn!(%error, "the source cannot go on air");
                        self.hand(Input::Ended(EndReason::SourceLeft));
                    }
                }
            }
            Output::FinishReading => {
                if let Some(air) = &self.air {
                    intake.dismiss(air.sink()).await;
                }
            }
            output => self.do_at_once(output),
        }
    }

    /// Does the outputs that take no time.
    fn do_at_once(&mut self, output: Output) {
        let mount = &self.offer.spec.path;
        match output {
            Output::Request(stream_id) => self.lookup = Some(self.request(stream_id)),
            Output::CheckPresence(other, until) => self.lookup = Some(self.look(other, until)),
            Output::Accept => {
                self.unheard = Some(self.ingest.streams.early_titles.expect(mount));
                self.leave_line();
            }
            Output::StandBy => {
                info!(priority = %self.offer.priority, "source on standby");
                self.waiting = Some(wait(self.ingest, &self.offer));
            }
            Output::LeaveAir(reason) => {
                if let Some(air) = self.air.take() {
                    air.leave(self.ingest, mount, reason);
                }
            }
            Output::Release(stream_id) => self.ingest.authority.give_up(mount, stream_id),
            Output::Close(reason) => self.end = Some(reason),
            // The first two are done by `carry_out`; the last is the end, which drops everything.
            Output::GoOnAir(..) | Output::FinishReading | Output::Refuse(_) => {}
        }
    }

    /// Waits for its turn no longer.
    fn leave_line(&mut self) {
        let title = self.waiting.take().and_then(|waiting| waiting.title());
        self.waiting_title = title.or(self.waiting_title.take());
    }

    fn request(&self, stream_id: StreamId) -> SourceLookup {
        let (authority, mount) = (self.ingest.authority.clone(), self.offer.spec.path.clone());
        Box::pin(
            async move { Input::Verdict(stream_id, authority.request(&mount, stream_id).await) },
        )
    }

    fn look(&self, other: OtherSource, until: Instant) -> SourceLookup {
        let (authority, sources) = (self.ingest.authority.clone(), self.ingest.sources.clone());
        let (mount, origin) = (self.offer.spec.path.clone(), self.offer.origin.clone());
        Box::pin(async move {
            let doubted = |stream_id| DoubtedSource {
                mount: &mount,
                stream_id,
                claimant: Some(&origin),
            };
            Input::Presence(match other {
                OtherSource::Local(stream_id) => sources.is_there(doubted(stream_id)).await,
                OtherSource::Remote(node, stream_id) => {
                    let doubted = doubted(stream_id);
                    authority.is_there(&node, doubted, until.into()).await
                }
            })
        })
    }
}

/// The surroundings of a source of this mount now.
fn context<'a>(
    ingest: &IngestConfig,
    mount: &MountName,
    fitness: &Fitness,
    view: &'a MeshView,
) -> SourceContext<'a> {
    let local = ingest.streams.get(mount).map(|held| LocalStream {
        stream_id: held.feed.stream_id(),
        is_source: held.origin == Origin::Source,
        fed_at: held.feed.last_fed(),
        is_finished: held.feed.finished().is_some(),
    });
    SourceContext {
        view,
        local,
        has_mount: ingest.mesh.documents.mount(mount).is_some(),
        is_draining: ingest.drain.phase() == Phase::Draining,
        fitness: fitness.now(),
        fallback_flows: fallback_flows(ingest, mount),
        new_stream_id: StreamId(rand::random()),
        now: clock::now(),
    }
}

/// Notes that a source waits for its turn.
fn wait(ingest: &IngestConfig, offer: &Offer) -> StandbyEntry {
    let (mount, client) = (&offer.spec.path, Some(offer.origin.ip));
    ingest.sources.wait(mount, offer.priority, client)
}

/// The result of a lookup. Without a lookup it never comes.
async fn result(lookup: &mut Option<SourceLookup>) -> Input {
    let Some(running) = lookup else {
        return std::future::pending().await;
    };
    let input = running.await;
    *lookup = None;
    input
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits until no source that is not on air may be here any more.
async fn unwanted(ingest: &IngestConfig, offer: &Offer) -> Input {
    let (mount, documents) = (&offer.spec.path, &ingest.mesh.documents);
    let (mut mounts, mut phase) = (documents.watch_mounts(), ingest.drain.watch());
    tokio::select! {
        () = ingest.visitors.asked_to_end() => Input::NodeStops,
        _ = phase.wait_for(|phase| *phase == Phase::Draining) => Input::Tick,
        _ = mounts.wait_for(|mounts| !mounts.contains_key(mount)) => Input::Tick,
        () = offer.is_out_of_place(documents) => Input::Ended(EndReason::SourceLeft),
    }
}
