//! An order at an authority: its questions, our answers, and the certificate.

use std::fmt;
use std::time::Duration;

use instant_acme::{AuthorizationStatus, ChallengeType, Error, Order, OrderStatus, RetryPolicy};

use super::client::Notes;
use super::error::{AcmeError, words};
use super::key;
use crate::logic::certificates::names::ProofWay;
use crate::model::acme::DnsProof;
use crate::model::https::CertificateName;

/// How long an authority may take to look at its answers: from several places, some of them twice.
const PROVING_LIMIT: Duration = Duration::from_secs(90);
/// How long it may take to issue a certificate, which needs the logs of other operators.
const ISSUING_LIMIT: Duration = Duration::from_secs(120);

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStage {
    /// The authority has questions.
    Questions,
    /// Everything is proven: the certificate may be asked for.
    Proven,
    /// The certificate has been asked for, or is there.
    Issuing,
    /// The order has failed.
    Failed,
}

/// An order at an authority.
pub struct AuthorityOrder {
    order: Order,
    notes: Notes,
}

impl fmt::Debug for AuthorityOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthorityOrder")
            .field(&self.order.url())
            .finish()
    }
}

impl AuthorityOrder {
    pub(super) fn new(order: Order, notes: Notes) -> Self {
        Self { order, notes }
    }

    /// The address of the order at the authority.
    pub fn url(&self) -> &str {
        self.order.url()
    }

    /// How far it has come, as far as was asked last.
    pub fn stage(&mut self) -> OrderStage {
        match self.order.state().status {
            OrderStatus::Pending => OrderStage::Questions,
            OrderStatus::Ready => OrderStage::Proven,
            OrderStatus::Processing | OrderStatus::Valid => OrderStage::Issuing,
            OrderStatus::Invalid => OrderStage::Failed,
        }
    }

    /// The answers that have to be in DNS before [`Self::prove`]; none if the questions are answered by HTTP.
    pub async fn dns_proofs(&mut self, way: ProofWay) -> Result<Vec<DnsProof>, AcmeError> {
        let kind = challenge(way);
        let mut proofs = Vec::new();
        let mut questions = self.order.authorizations();
        while let Some(question) = questions.next().await {
            let mut question = question.map_err(|error| told(error, &self.notes))?;
            if question.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = question.identifier().to_string();
            let known = known(way);
            let challenge = question.challenge(kind.clone());
            let challenge = challenge.ok_or_else(|| AcmeError::NoWay {
                name: name.clone(),
                known,
            })?;
            let Ok(name) = name.parse::<CertificateName>() else {
                continue;
            };
            if way == ProofWay::Dns {
                proofs.push(DnsProof {
                    owner: name.challenge_name(),
                    text: challenge.key_authorization().dns_value(),
                });
            }
        }
        Ok(proofs)
    }

    /// Tells the authority that it may look, and waits until it has.
    pub async fn prove(&mut self, way: ProofWay) -> Result<(), AcmeError> {
        let kind = challenge(way);
        let mut questions = self.order.authorizations();
        while let Some(question) = questions.next().await {
            let mut question = question.map_err(|error| told(error, &self.notes))?;
            if question.status == AuthorizationStatus::Pending
                && let Some(mut challenge) = question.challenge(kind.clone())
            {
                let ready = challenge.set_ready().await;
                ready.map_err(|error| told(error, &self.notes))?;
            }
        }
        let patience = RetryPolicy::new().timeout(PROVING_LIMIT);
        let outcome = self.order.poll_ready(&patience).await;
        let has_ended = self.order.state().error.is_some();
        match outcome {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) => Err(self.why_unproven().await),
            Err(_) if has_ended => Err(self.why_unproven().await),
            Err(error) => Err(AcmeError::of(error, &self.notes, "looked at all answers")),
        }
    }

    /// The authority's findings, name by name.
    pub async fn why_unproven(&mut self) -> AcmeError {
        let mut faults = Vec::new();
        let mut questions = self.order.authorizations();
        while let Some(question) = questions.next().await {
            let Ok(mut question) = question else {
                continue;
            };
            let name = question.identifier().to_string();
            let Ok(state) = question.refresh().await else {
                continue;
            };
            let errors = state.challenges.iter();
            let errors = errors.filter_map(|it| Some((&it.r#type, it.error.as_ref()?)));
            let told = errors.map(|(kind, problem)| {
                let asked = match kind {
                    ChallengeType::Dns01 => "DNS",
                    _ => "HTTP",
                };
                format!(
                    "{name}: the authority has asked by {asked} and says: {}",
                    words(problem)
                )
            });
            faults.extend(told);
        }
        let error = self.order.state().error.as_ref().map(words);
        match (faults.is_empty(), error) {
            (false, _) => AcmeError::Unproven(faults.join("; ")),
            (true, Some(error)) => AcmeError::Unproven(format!("the authority says: {error}")),
            (true, None) => AcmeError::Unproven(
                "the authority has ended the order, and does not say why".to_owned(),
            ),
        }
    }

    /// Asks for the certificate, if that has not been done, and waits for it: its chain as PEM.
    pub async fn issue(
        &mut self,
        names: &[CertificateName],
        key: &str,
    ) -> Result<String, AcmeError> {
        if self.stage() == OrderStage::Proven {
            let request = key::request(names, key)?;
            let asked = self.order.finalize_csr(&request).await;
            asked.map_err(|error| told(error, &self.notes))?;
        }
        let patience = RetryPolicy::new().timeout(ISSUING_LIMIT);
        let chain = self.order.poll_certificate(&patience).await;
        chain.map_err(|error| AcmeError::of(error, &self.notes, "issued the certificate"))
    }
}

fn told(error: Error, notes: &Notes) -> AcmeError {
    AcmeError::of(error, notes, "answered")
}

fn challenge(way: ProofWay) -> ChallengeType {
    match way {
        ProofWay::Dns => ChallengeType::Dns01,
        ProofWay::Http | ProofWay::No => ChallengeType::Http01,
    }
}

fn known(way: ProofWay) -> &'static str {
    match way {
        ProofWay::Dns => "dns-01",
        ProofWay::Http | ProofWay::No => "http-01",
    }
}
