//! Orders certificates, and looks after those that there are: the job of the one node that holds the seat.
//!
//! All that matters is in the document. When this node dies, the next holder of the seat finds the open order there, with
//! its key, and goes on with it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{Span, debug, info, info_span, warn};

use super::account::Accounts;
use super::claimed::ClaimedOrders;
use super::keeping::shown;
use super::ordering::{ORDER_LIMIT, OrderFault, Ordering};
use super::sealing::{SealedKeys, seal_again};
use super::windows::Windows;
use crate::io::clock;
use crate::io::seal::Seal;
use crate::logic::certificates::names::WantedCertificate;
use crate::logic::certificates::plan::{IssuerStep, IssuerView, all_claimed, next_step};
use crate::logic::certificates::renewal::wait_after;
use crate::model::acme::CertificateOrder;
use crate::model::https::HttpsSettings;
use crate::model::seat::{Fence, Seat};
use crate::model::status::certificates::span;
use crate::proto::certificates::{is_minority, wanted_by};
use crate::service::document::ChangeError;
use crate::service::jobs::JobKind;
use crate::service::mesh::Mesh;

/// How often the issuer looks whether something is to be done: a node with a new name has its certificate soon, and a clock
/// that is set is noticed.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// The wait after an edit that was refused: what an authority has already done is asked for again only so often.
const EDIT_AGAIN: Duration = Duration::from_secs(60);

/// The memory of one holding of the seat.
#[derive(Debug, Default)]
struct Known {
    windows: Windows,
    claimed: ClaimedOrders,
}

/// Orders certificates. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    mesh: Mesh,
    seal: Seal,
    accounts: Accounts,
}

impl Issuer {
    pub(super) fn new(mesh: Mesh, seal: Seal) -> Self {
        let accounts = Accounts {
            documents: mesh.documents.clone(),
            seal: seal.clone(),
        };
        Self {
            mesh,
            seal,
            accounts,
        }
    }

    /// The fence of this node's claim to the seat; `None` if it has lost the seat.
    fn fence(&self) -> Option<Fence> {
        let view = self.mesh.cluster.view();
        let claim = view.seats.get(&Seat::Certificates)?;
        (claim.node == view.me).then(|| claim.fence())
    }

    fn next_step(&self, fence: &Fence, known: &mut Known) -> IssuerStep {
        let view = self.mesh.cluster.view();
        let issuance = self.mesh.documents.issuance();
        let keys = SealedKeys::of(&issuance, &self.seal);
        let view = IssuerView {
            wanted: &wanted_by(&view, &issuance.settings),
            issuance: &keys.usable,
            locked: &keys.locked,
            windows: &known.windows.known,
            holder: Some(fence),
            is_minority: is_minority(&view),
            now_unix_s: clock::unix_s(),
        };
        known.claimed.tell(all_claimed(view), view.now_unix_s);
        next_step(view)
    }

    /// Orders a certificate, and notes how that went.
    async fn order(
        &self,
        settings: &HttpsSettings,
        wanted: WantedCertificate,
        fence: Fence,
    ) -> Result<(), ChangeError> {
        // A wish is heard by one try, also where it came in the same second as the one before.
        let wishes = &self.mesh.documents.issuance().wishes;
        let wish = wishes.get(wanted.first_name()).copied();
        let began_unix_s = clock::unix_s().max(wish.unwrap_or(0));
        let ordering = Ordering {
            mesh: &self.mesh,
            seal: &self.seal,
            accounts: &self.accounts,
            settings,
            wanted: &wanted,
            fence: fence.clone(),
            began_unix_s,
        };
        let outcome = timeout(ORDER_LIMIT, ordering.run()).await;
        match outcome.unwrap_or(Err(OrderFault::Late)) {
            Ok(kept) => {
                let (names, until) = (shown(&kept), kept.not_after_unix_s);
                let left = span(until.saturating_sub(clock::unix_s()));
                info!(
                    names,
                    left,
                    serial = kept.serial,
                    issuer = kept.issuer,
                    "certificate obtained"
                );
                Ok(())
            }
            Err(OrderFault::Edit(why)) => Err(why),
            Err(fault) => {
                self.note_failure(&wanted, fence, began_unix_s, &fault)
                    .await
            }
        }
    }

    async fn note_failure(
        &self,
        wanted: &WantedCertificate,
        fence: Fence,
        began_unix_s: u64,
        fault: &OrderFault,
    ) -> Result<(), ChangeError> {
        let issuance = self.mesh.documents.issuance();
        let before = issuance.orders.get(wanted.first_name());
        let before = before.filter(|order| order.names == wanted.names);
        let failures = before.map_or(0, |order| order.failures).saturating_add(1);
        let open = before.and_then(|order| order.open.clone());
        let wait = wait_after(failures, clock::random_share(), fault.retry_after());
        let why = fault.to_string();
        let names: Vec<&str> = wanted.names.iter().map(|it| it.as_str()).collect();
        warn!(
            names = names.join(","),
            why,
            failures,
            next_try = span(wait.as_secs()),
            "a certificate is not obtained"
        );
        let order = CertificateOrder {
            names: wanted.names.clone(),
            fence,
            began_unix_s,
            open: open.filter(|_| !fault.ends_order()),
            failures,
            next_unix_s: clock::unix_s() + wait.as_secs(),
            wait_s: wait.as_secs(),
            fault: Some(why),
        };
        self.mesh.documents.note_order(&order).await
    }

    /// Asks the authority when it would like one certificate to be renewed, if it is time for that.
    async fn ask_for_window(&self, settings: &HttpsSettings, windows: &mut Windows) {
        let (issuance, now) = (self.mesh.documents.issuance(), clock::unix_s());
        windows.retain(&issuance);
        if let Some(certificate) = windows.next(&issuance, now).filter(|_| settings.is_on) {
            let authority = self.accounts.log_in(settings).await.ok().flatten();
            windows.ask(authority.as_ref(), certificate, now).await;
        }
    }

    async fn work_once(
        &self,
        settings: &HttpsSettings,
        known: &mut Known,
    ) -> Result<(), ChangeError> {
        let Some(fence) = self
            .fence()
            .filter(|_| self.mesh.documents.trouble().is_none())
        else {
            sleep(LOOK_INTERVAL).await; // nothing is ordered that could not be kept
            return Ok(());
        };
        seal_again(&self.mesh.documents, &self.seal).await?;
        match self.next_step(&fence, known) {
            IssuerStep::Remove(key) => {
                debug!(%key, "a record of certificates is not needed any more");
                self.mesh.documents.remove_issuance(&key).await
            }
            IssuerStep::Order(wanted) => self.order(settings, wanted, fence).await,
            IssuerStep::Rest(_) => {
                self.ask_for_window(settings, &mut known.windows).await;
                let mut changed = self.mesh.documents.watch_issuance();
                changed.mark_unchanged();
                let _news = timeout(LOOK_INTERVAL, changed.changed()).await;
                Ok(())
            }
        }
    }
}

impl JobKind for Issuer {
    type Spec = HttpsSettings;

    fn name(&self) -> &'static str {
        "certificates"
    }

    fn span(&self, _settings: &HttpsSettings) -> Span {
        info_span!("certificates")
    }

    async fn work(&self, settings: HttpsSettings) {
        let mut known = Known::default();
        if settings.is_on {
            let directory = &settings.directory;
            info!(directory, "this node orders the certificates of the mesh");
        }
        loop {
            match self.work_once(&settings, &mut known).await {
                Ok(()) => continue,
                Err(why @ ChangeError::Superseded(_)) => {
                    info!(%why, "an order is left to another node")
                }
                Err(why) => {
                    warn!(%why, "what was done for certificates is not kept; tried again later");
                }
            }
            sleep(EDIT_AGAIN).await;
        }
    }

    /// Nothing: an open order stays in the document for the next holder.
    async fn withdraw(&self, _settings: HttpsSettings) {}
}
