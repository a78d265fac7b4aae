//! Transcoded mounts: exactly one node of the mesh makes each of them from another mount, with a program of its own.
//!
//! Each such mount is a job with a seat of its own. The node that holds the seat hands the other mount's stream to a
//! program as any listener hears it, and puts what comes out on air, as a source that has no connection.

mod input;
mod output;
mod progress;
mod report;
mod run;
mod running;
mod tools;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep_until;
use tracing::{Span, info_span};

use self::tools::Tools;
use super::ingest::Ingest;
use super::jobs::{Declaration, JobKind, Jobs};
use super::mesh::Mesh;
use super::relay::Relays;
use super::wants::Wants;
use crate::io::child::Spawner;
use crate::io::clock;
use crate::logic::transcoding::lineage;
use crate::logic::transcoding::order::{TranscodeOrder, order};
use crate::model::mount::MountName;
use crate::model::seat::Seat;
use crate::proto::transcoder_seats::{TranscoderStances, TranscoderTask, is_needed};
use crate::settings::Transcoding;
use crate::wire::gossip;

/// How often the stances are taken anew although nothing has happened: a seat that stays vacant changes them.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// The parts that transcoders need.
#[derive(Debug)]
pub struct TranscodeConfig {
    /// Whether this node transcodes, and within which bounds.
    pub settings: Transcoding,
    /// The mounts, the seats and the gossip.
    pub mesh: Mesh,
    /// The streams that are transcoded.
    pub relays: Relays,
    /// Takes what is made.
    pub ingest: Ingest,
    /// Has streams made that are made on demand only.
    pub wants: Wants,
    /// Starts the programs.
    pub spawner: Spawner,
}

/// The transcoders of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Transcoders(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: TranscodeConfig,
    tools: Tools,
    /// Room for the programs that run at once.
    room: Semaphore,
}

/// The work of one transcoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodeJob {
    mount: MountName,
    order: TranscodeOrder,
}

impl Transcoders {
    /// Transcoders with these parts.
    pub fn new(config: TranscodeConfig) -> Self {
        let tools = Tools::new(&config);
        let room = usize::try_from(config.settings.most).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            room: Semaphore::new(room.min(Semaphore::MAX_PERMITS)),
            config,
            tools,
        }))
    }

    /// Follows the document and the mesh, and has each transcoded mount made by one node. A node that does not transcode
    /// follows the seats all the same. Runs until the node stops.
    pub async fn run(self) {
        let mesh = &self.0.config.mesh;
        if self.0.config.settings.is_on {
            let tools = self.clone();
            mesh.tasks.spawn(async move { tools.0.tools.run().await });
        }
        let jobs = Jobs::start(self.clone(), mesh);
        let (mut mounts, mut view) = (mesh.documents.watch_mounts(), mesh.cluster.watch());
        let mut stances = TranscoderStances::default();
        loop {
            jobs.declare(self.declarations(&mut stances));
            tokio::select! {
                () = mesh.tasks.asked_to_end() => return,
                changed = mounts.changed() => if changed.is_err() { return },
                changed = view.changed() => if changed.is_err() { return },
                () = sleep_until(clock::next_beat(LOOK_PERIOD).into()) => {}
            }
        }
    }

    /// The job of each mount that can be transcoded, and whether this node would do it.
    fn declarations(
        &self,
        stances: &mut TranscoderStances,
    ) -> BTreeMap<Seat, Declaration<TranscodeJob>> {
        let mesh = &self.0.config.mesh;
        let (mounts, view) = (mesh.documents.mounts(), mesh.cluster.view());
        let sound = (mounts.values()).filter(|spec| lineage::fault(spec, &mounts).is_none());
        let jobs = sound.filter_map(|spec| {
            let order = order(&spec.transcode).ok()??;
            let task = TranscoderTask {
                codec: order.audio.codec.into(),
                is_needed: is_needed(&view, spec),
            };
            let job = TranscodeJob {
                mount: spec.path.clone(),
                order,
            };
            Some(((spec.path.clone(), task), (spec.path.clone(), job)))
        });
        let (tasks, mut jobs): (BTreeMap<_, _>, BTreeMap<MountName, TranscodeJob>) = jobs.unzip();
        let taken = stances.take(&tasks, &view, clock::now());
        let declared = taken.into_iter().filter_map(|(seat, stance)| {
            let Seat::Transcoder(mount) = &seat else {
                return None;
            };
            let spec = jobs.remove(mount)?;
            Some((seat, Declaration { spec, stance }))
        });
        declared.collect()
    }
}

impl JobKind for Transcoders {
    type Spec = TranscodeJob;

    fn name(&self) -> &'static str {
        "transcoder"
    }

    fn span(&self, job: &TranscodeJob) -> Span {
        info_span!("transcoder", mount = %job.mount, from = %job.order.from)
    }

    async fn work(&self, job: TranscodeJob) {
        run::run(&self.0, &job).await;
    }

    async fn withdraw(&self, job: TranscodeJob) {
        let key = gossip::transcoder_key(&job.mount);
        self.0.config.mesh.gossip.delete(&key).await;
    }
}
