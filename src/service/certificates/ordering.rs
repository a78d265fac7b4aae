//! One order, from its beginning or from where another node has left it, to the certificate.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::account::{Accounts, NoAccount};
use super::kept::{Obtained, kept};
use crate::io::acme::{AcmeError, Authority, AuthorityOrder, OrderStage, key};
use crate::io::clock;
use crate::io::https::certificate::{BadCertificate, Certificate};
use crate::io::seal::{CannotUnseal, Seal};
use crate::logic::certificates::names::WantedCertificate;
use crate::logic::records::certificates::{MAX_CHAIN_BYTES, order_key};
use crate::model::acme::{
    CertificateOrder, CertificateSource, KeptCertificate, OpenOrder, SealedKey,
};
use crate::model::https::HttpsSettings;
use crate::model::seat::Fence;
use crate::proto::certificates::behind;
use crate::service::document::ChangeError;
use crate::service::mesh::Mesh;

/// How long one order may take here: twice what the authority may take, so that the others have their turn.
pub(super) const ORDER_LIMIT: Duration = Duration::from_secs(300);
/// How long the nodes that the authority may ask are waited for until they know of the order: a difference of documents is
/// settled within a few seconds, and a node that takes longer may be about to be declared dead.
const KNOWN_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderFault {
    #[error("{0}")]
    Authority(#[from] AcmeError),
    #[error("the authority's certificate cannot be used: {0}")]
    Certificate(#[from] BadCertificate),
    #[error("the authority's certificate is not for {0}")]
    OtherNames(String),
    #[error("the authority's certificate is longer than {MAX_CHAIN_BYTES} bytes")]
    TooLong,
    #[error("it took longer than {} s", ORDER_LIMIT.as_secs())]
    Late,
    #[error(transparent)]
    Edit(#[from] ChangeError),
}

impl From<NoAccount> for OrderFault {
    fn from(error: NoAccount) -> Self {
        match error {
            NoAccount::Authority(error) => Self::Authority(error),
            NoAccount::Edit(error) => Self::Edit(error),
        }
    }
}

impl OrderFault {
    /// How long the authority asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Authority(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the order at the authority is over: the next try begins anew.
    pub(super) fn ends_order(&self) -> bool {
        match self {
            Self::Authority(error) => error.is_of_the_order(),
            Self::Certificate(_) | Self::OtherNames(_) | Self::TooLong => true,
            Self::Late | Self::Edit(_) => false,
        }
    }
}

/// One order, and who works on it.
pub(super) struct Ordering<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) seal: &'a Seal,
    pub(super) accounts: &'a Accounts,
    pub(super) settings: &'a HttpsSettings,
    pub(super) wanted: &'a WantedCertificate,
    pub(super) fence: Fence,
    pub(super) began_unix_s: u64,
}

/// An order at the authority with the key of its certificate.
struct KeyedOrder {
    order: AuthorityOrder,
    open: OpenOrder,
    /// As PEM.
    key: String,
}

impl Ordering<'_> {
    pub(super) async fn run(&self) -> Result<KeptCertificate, OrderFault> {
        let known = self.accounts.log_in(self.settings).await?;
        let mut order = match known {
            None => {
                self.begin(&self.accounts.sign_up(self.settings).await?)
                    .await?
            }
            Some(authority) => match self.resume(&authority).await? {
                Some(order) => order,
                None => self.begin_with_an_account(&authority).await?,
            },
        };
        loop {
            match order.order.stage() {
                OrderStage::Questions => self.prove(&mut order).await?,
                OrderStage::Proven | OrderStage::Issuing => return self.issue(order).await,
                OrderStage::Failed => return Err(order.order.why_unproven().await.into()),
            }
        }
    }

    /// Goes on with the order that the document has; `None` if there is none, or the authority does not go on with it.
    async fn resume(&self, authority: &Authority) -> Result<Option<KeyedOrder>, OrderFault> {
        let issuance = self.mesh.documents.issuance();
        let first = self.wanted.first_name();
        let order = issuance.orders.get(first);
        let order = order.filter(|order| order.names == self.wanted.names);
        let Some(open) = order.and_then(|order| order.open.clone()) else {
            return Ok(None);
        };
        let key = self.seal.open(order_key(first).as_str(), &open.key.0);
        let key = match key {
            Ok(key) if open.account == authority.id() => key,
            Ok(_) | Err(CannotUnseal::Damaged | CannotUnseal::NoKey) => return Ok(None),
        };
        let mut order = match authority.resume(&open.url).await {
            Ok(order) => order,
            Err(why) if why.is_of_the_order() => {
                debug!(%why, "the open order is over; a new one is begun");
                return Ok(None);
            }
            Err(why) => return Err(why.into()),
        };
        if order.stage() == OrderStage::Failed {
            return Ok(None);
        }
        info!(name = %first, "an open order is gone on with");
        let key = String::from_utf8_lossy(&key.text).into_owned();
        self.note(open.clone()).await?;
        Ok(Some(KeyedOrder { order, open, key }))
    }

    /// Begins an order; with a new account, if the authority does not know this one any more.
    async fn begin_with_an_account(&self, authority: &Authority) -> Result<KeyedOrder, OrderFault> {
        match self.begin(authority).await {
            Err(OrderFault::Authority(why)) if why.is_account_gone() => {
                warn!(%why, "the authority does not know the account; a new one is made");
                let authority = self.accounts.sign_up(self.settings).await?;
                self.begin(&authority).await
            }
            outcome => outcome,
        }
    }

    async fn begin(&self, authority: &Authority) -> Result<KeyedOrder, OrderFault> {
        let first = self.wanted.first_name();
        let key = key::generate().map_err(AcmeError::from)?;
        let replaced = self.replaced();
        let order = authority.begin(&self.wanted.names, replaced.as_deref());
        let order = order.await?;
        let open = OpenOrder {
            url: order.url().to_owned(),
            account: authority.id().to_owned(),
            key: SealedKey(self.seal.seal(order_key(first).as_str(), key.as_bytes())),
            thumbprint: authority.thumbprint().to_owned(),
            dns: Vec::new(),
        };
        self.note(open.clone()).await?;
        info!(name = %first, directory = self.settings.directory, "certificate ordered");
        Ok(KeyedOrder { order, open, key })
    }

    /// The chain of the certificate in whose place the new one will be, if that was ordered, too.
    fn replaced(&self) -> Option<String> {
        let issuance = self.mesh.documents.issuance();
        let certificates = issuance.certificates.values();
        let own = certificates
            .filter(|it| it.source == CertificateSource::Ordered && it.names == self.wanted.names);
        let latest = own.max_by_key(|it| it.not_after_unix_s)?;
        Some(latest.chain.clone())
    }

    /// Writes the order down: with this, any node can go on with it, and answer for it.
    async fn note(&self, open: OpenOrder) -> Result<(), ChangeError> {
        let documents = &self.mesh.documents;
        let issuance = documents.issuance();
        let before = issuance.orders.get(self.wanted.first_name());
        let order = CertificateOrder {
            names: self.wanted.names.clone(),
            fence: self.fence.clone(),
            began_unix_s: self.began_unix_s,
            open: Some(open),
            failures: before.map_or(0, |order| order.failures),
            next_unix_s: 0,
            wait_s: 0,
            fault: None,
        };
        documents.note_order(&order).await
    }

    async fn prove(&self, order: &mut KeyedOrder) -> Result<(), OrderFault> {
        let way = self.wanted.way;
        let dns = order.order.dns_proofs(way).await?;
        if dns != order.open.dns {
            order.open.dns = dns;
            self.note(order.open.clone()).await?;
        }
        self.wait_until_known().await;
        Ok(order.order.prove(way).await?)
    }

    /// Waits until all nodes that the authority may ask know of the order.
    async fn wait_until_known(&self) {
        let mesh = self.mesh;
        let mut views = mesh.cluster.watch();
        let way = self.wanted.way;
        let known = views.wait_for(|view| behind(view, way, &mesh.documents.digest()).is_empty());
        if timeout(KNOWN_LIMIT, known).await.is_err() {
            let view = mesh.cluster.view();
            let nodes = behind(&view, way, &mesh.documents.digest());
            warn!(
                ?nodes,
                "these nodes do not know of the order yet; the authority is told to look all the same"
            );
        }
    }

    async fn issue(&self, mut order: KeyedOrder) -> Result<KeptCertificate, OrderFault> {
        let chain = order.order.issue(&self.wanted.names, &order.key).await?;
        if chain.len() > MAX_CHAIN_BYTES {
            return Err(OrderFault::TooLong);
        }
        let facts = Certificate::from_pem(&chain, &order.key)?.facts;
        let missing = self.wanted.names.iter().find(|name| {
            let has = |own: &String| own.eq_ignore_ascii_case(name.as_str());
            !facts.names.iter().any(has)
        });
        if let Some(missing) = missing {
            return Err(OrderFault::OtherNames(missing.to_string()));
        }
        let issuance = self.mesh.documents.issuance();
        let now_unix_s = clock::unix_s().max(self.began_unix_s);
        let obtained = Obtained {
            names: self.wanted.names.clone(),
            directory: Some(self.settings.directory.clone()),
            // Never before the wish that it answers, nor before what it takes the place of.
            unix_s: issuance.last_unix_s(&self.wanted.names, now_unix_s),
        };
        let kept = kept(self.seal, &facts, chain, &order.key, obtained);
        let ends = vec![self.wanted.first_name().clone()];
        let documents = &self.mesh.documents;
        documents.keep_certificate(kept.clone(), ends).await?;
        Ok(kept)
    }
}
