//! Imports: exactly one node of the mesh reads the lists of streams of other servers, and makes each of those streams a mount
//! that is relayed from there. From then on it is a mount like any other, and every node does for it what it does for those.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::sync::watch;
use tokio::time::sleep_until;
use tracing::{Span, info, info_span, warn};

use super::document::{ChangeError, Deletion};
use super::jobs::{Declaration, JobKind, Jobs};
use super::mesh::Mesh;
use super::outside_relay::{is_own, question};
use crate::io::clock;
use crate::io::http::{HttpError, Limits, Question, request_within, with_causes};
use crate::io::password::{Passwords, Secret};
use crate::logic::import::listing::{self, MAX_LIST_BYTES, NoList, USUAL_PATH};
use crate::logic::import::plan::{ImportStep, Missing, plan};
use crate::logic::records::mounts::MOUNT_KIND;
use crate::model::caption::beginning;
use crate::model::import::{ImportReport, ImportSettings, ListReport};
use crate::model::node::NodeName;
use crate::model::outside_relay::RelayAddress;
use crate::model::seat::{Seat, Stance};
use crate::proto::own_address::node_at;
use crate::wire::gossip;

/// How long a server may take for its list: it is short, and other lists wait meanwhile.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    answer_bytes: MAX_LIST_BYTES,
    redirects: 3,
};
/// The part of the interval by which a list may be read sooner, so that the questions of many meshes drift apart.
const JITTER: f64 = 0.1;
/// The longest texts in gossip: with those of eight lists they fit into one value.
const MAX_WORDS_BYTES: usize = 240;

/// The parts that imports need.
#[derive(Clone, Debug)]
pub struct Imports {
    /// The mounts, the seats and the gossip.
    pub mesh: Mesh,
    /// Hashes the password that imported mounts have, and nobody knows.
    pub passwords: Passwords,
    /// The cluster's fingerprint, by which the mesh recognises its own question.
    pub fingerprint: watch::Receiver<String>,
}

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("it {}", is_own(.0))]
    Own(NodeName),
    #[error("its address cannot be asked")]
    Address,
    #[error("{}; look whether the server runs, and the port", with_causes(.0))]
    Http(HttpError),
    #[error(
        "this is a stream ({0}) and not a list: name the address of {USUAL_PATH}, or the server alone; one stream is got by \
         `relay` of a mount"
    )]
    Stream(String),
    #[error(
        "it answers with more than {} KiB, which is no list of streams: name the address of {USUAL_PATH}, or the server alone",
        MAX_LIST_BYTES >> 10
    )]
    Long,
    #[error(
        "it answers {0}: the login is missing or wrong; write the one of relays into the address, as http://relay:PASSWORD@HOST{USUAL_PATH}"
    )]
    Login(StatusCode),
    #[error("it answers {0}: look at the address, which is that of {USUAL_PATH} at an Icecast")]
    Status(StatusCode),
    #[error(
        "the address leads back to this mesh: name the server from which the streams come in the first place"
    )]
    Loop,
    #[error(transparent)]
    NoList(#[from] NoList),
}

impl From<HttpError> for Unread {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Endless(_, media_type) => Self::Stream(shortened(&media_type)),
            HttpError::TooLarge(..) => Self::Long,
            error => Self::Http(error),
        }
    }
}

impl Imports {
    /// Follows the document, and has the lists read by one node. Runs until the node stops.
    pub async fn run(self) {
        let jobs = Jobs::start(self.clone(), &self.mesh);
        let mut settings = self.mesh.documents.watch_import();
        loop {
            let known = settings.borrow_and_update().clone();
            let declaration = Declaration {
                spec: (*known).clone(),
                stance: Stance::Stand,
            };
            let wanted = (!known.lists.is_empty()).then_some((Seat::Import, declaration));
            jobs.declare(wanted.into_iter().collect());
            tokio::select! {
                () = self.mesh.tasks.asked_to_end() => return,
                changed = settings.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Reads one list, and carries out what it changes. What is told of it is put into the report.
    async fn import(
        &self,
        settings: &ImportSettings,
        list: &RelayAddress,
        missing: &mut Missing,
        report: &mut ListReport,
    ) {
        let answer = match self.ask(list).await {
            Ok(answer) => answer,
            Err(why) => return self.note_unread(report, &why),
        };
        let mut listing = match listing::read(&answer, list, &settings.prefix) {
            Ok(listing) => listing,
            Err(why) => return self.note_unread(report, &why.into()),
        };
        self.leave_out_own(&mut listing);
        let (place, mounts) = (list.place(), self.mesh.documents.mounts());
        let mut steps = plan(&mut listing, &place, &mounts);
        let keep = Duration::from_secs(settings.keep_s.into());
        steps.extend(missing.overdue(&listing, &place, &mounts, keep, clock::now()));
        let mut failed = Vec::new();
        for step in steps {
            if let Err(why) = self.carry_out(settings, &place, &step).await {
                failed.push(why);
            }
        }
        listing.left_out.extend(failed);
        if report.trouble.take().is_some() || report.read_unix_s.is_none() {
            info!(list = %list, streams = listing.streams.len(), "a list of streams is read");
        }
        let first = listing
            .left_out
            .first()
            .map(|it| shortened(it))
            .unwrap_or_default();
        if first != report.first_left_out && !first.is_empty() {
            warn!(list = %list, lines = listing.left_out.len(), first, "streams of a list are left out");
        }
        report.first_left_out = first;
        report.left_out = u32::try_from(listing.left_out.len()).unwrap_or(u32::MAX);
        report.read_unix_s = Some(clock::unix_s());
    }

    fn note_unread(&self, report: &mut ListReport, why: &Unread) {
        let why = shortened(&why.to_string());
        if report.trouble.as_deref() != Some(&why) {
            warn!(list = %report.address, why, "a list of streams is not read; its mounts stay as they are");
        }
        report.trouble = Some(why);
    }

    /// Leaves out the streams of this mesh: they would be their own.
    fn leave_out_own(&self, listing: &mut listing::Listing) {
        let view = self.mesh.cluster.view();
        let mut own = Vec::new();
        listing.streams.retain(|mount, address| {
            let (host, port) = address.host_and_port();
            let node = node_at(&view, host, port);
            own.extend(node.map(|node| format!("{mount}: {address} {}", is_own(node))));
            node.is_none()
        });
        listing.left_out.extend(own);
    }

    async fn ask(&self, list: &RelayAddress) -> Result<Vec<u8>, Unread> {
        let (host, port) = list.host_and_port();
        if let Some(node) = node_at(&self.mesh.cluster.view(), host, port) {
            return Err(Unread::Own(node.clone()));
        }
        let answer = request_within(self.question(list)?, LIMITS).await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body.to_vec()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(Unread::Login(status))
            }
            StatusCode::LOOP_DETECTED => Err(Unread::Loop),
            status => Err(Unread::Status(status)),
        }
    }

    fn question(&self, list: &RelayAddress) -> Result<Question, Unread> {
        let usual = list.at_path(USUAL_PATH).ok().filter(|_| list.path() == "/");
        let url = usual.map_or_else(|| list.url(), |usual| usual.url());
        let fingerprint = self.fingerprint.borrow().clone();
        question(&fingerprint, &url, list.login().as_deref()).map_err(|_| Unread::Address)
    }

    /// Carries out one step; the error is for an operator.
    async fn carry_out(
        &self,
        settings: &ImportSettings,
        place: &str,
        step: &ImportStep,
    ) -> Result<(), String> {
        let documents = &self.mesh.documents;
        let outcome = match step {
            ImportStep::Create(mount, relay) => {
                let password = self.passwords.hash(&Secret::generate()).await;
                let password = password.map_err(|why| format!("{mount}: {why}"))?;
                let on_demand = if settings.on_demand { "true" } else { "false" };
                let set = [
                    ("password", &*password),
                    ("relay", relay),
                    ("on_demand", on_demand),
                    ("imported_from", place),
                ];
                let changes = MOUNT_KIND.changes(set);
                let changes = changes.map_err(|why| format!("{mount}: {why}"))?;
                documents.create_mount(mount, changes).await
            }
            ImportStep::Relay(mount, relay) => {
                let changes = MOUNT_KIND.changes([("relay", &**relay)]);
                let changes = changes.map_err(|why| format!("{mount}: {why}"))?;
                documents.set_mount(mount, changes).await
            }
            ImportStep::Delete(mount) => {
                info!(%mount, list = place, "an imported mount is listed no more");
                documents.delete_mount(mount, Deletion::IfUnused).await
            }
        };
        let (ImportStep::Create(mount, _)
        | ImportStep::Relay(mount, _)
        | ImportStep::Delete(mount)) = step;
        outcome.map_err(|why: ChangeError| format!("{mount}: {why}"))
    }

    async fn publish(&self, report: &ImportReport) {
        let text = gossip::write(report);
        if let Err(error) = self.mesh.gossip.set(gossip::IMPORT, &text).await {
            warn!(%error, "the state of the imports is not gossiped");
        }
    }
}

impl JobKind for Imports {
    type Spec = ImportSettings;

    fn name(&self) -> &'static str {
        "import"
    }

    fn span(&self, _settings: &ImportSettings) -> Span {
        info_span!("import")
    }

    async fn work(&self, settings: ImportSettings) {
        let mut missing = Missing::default();
        let lists = settings.lists.as_slice();
        let unread = lists.iter().map(|list| ListReport {
            address: shortened(&list.to_string()),
            ..ListReport::default()
        });
        let mut report = ImportReport {
            lists: unread.collect(),
        };
        loop {
            let interval = Duration::from_secs(settings.interval_s.into());
            let wait = interval.mul_f64(1.0 - JITTER * clock::random_share());
            let next_at: Instant = clock::now() + wait;
            let next_unix_s = clock::unix_s() + wait.as_secs();
            for (list, told) in lists.iter().zip(&mut report.lists) {
                self.import(&settings, list, &mut missing, told).await;
            }
            let mounts = self.mesh.documents.mounts();
            for (list, told) in lists.iter().zip(&mut report.lists) {
                let place = list.place();
                let from = mounts.values().filter(|it| it.imported_from == place);
                told.mounts = u32::try_from(from.count()).unwrap_or(u32::MAX);
                told.next_unix_s = next_unix_s;
            }
            self.publish(&report).await;
            sleep_until(next_at.into()).await;
        }
    }

    async fn withdraw(&self, _settings: ImportSettings) {
        self.mesh.gossip.delete(gossip::IMPORT).await;
    }
}

fn shortened(text: &str) -> String {
    beginning(text, MAX_WORDS_BYTES)
}
