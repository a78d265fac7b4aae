//! Speaks ACME (RFC 8555) with a certificate authority.

mod client;
mod error;
pub mod key;
mod order;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountBuilder, CertificateIdentifier, Identifier, NewAccount, NewOrder,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tracing::info;

use self::client::{Client, Notes};
pub use self::error::AcmeError;
pub use self::order::{AuthorityOrder, OrderStage};
use crate::io::http::Trust;
use crate::logic::certificates::renewal::{DAY_S, RenewalWindow};
use crate::model::https::{CertificateName, HttpsSettings};
use crate::wire::pem;

/// An account at an authority, which certificates are ordered with.
pub struct Authority {
    account: Account,
    notes: Notes,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authority")
            .field(&self.account.id())
            .finish()
    }
}

/// An account that has just been made.
pub struct MadeAccount {
    /// The address by which the authority knows it.
    pub id: String,
    /// The key (PKCS#8).
    pub key: Vec<u8>,
}

impl fmt::Debug for MadeAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MadeAccount").field(&self.id).finish() // never the key
    }
}

impl Authority {
    /// Uses an account that was made before.
    pub async fn log_in(settings: &HttpsSettings, id: &str, key: &[u8]) -> Result<Self, AcmeError> {
        let notes = Notes::default();
        let key = PrivatePkcs8KeyDer::from(key);
        let account = builder(settings, &notes)?
            .from_parts(id.to_owned(), key, settings.directory.clone())
            .await;
        let account = account.map_err(|error| AcmeError::of(error, &notes, "answered"))?;
        Self { account, notes }.with_right_clock()
    }

    /// Looks whether there is an authority at its address, without an account.
    pub async fn look(settings: &HttpsSettings) -> Result<(), AcmeError> {
        let key = key::throwaway()?;
        Self::log_in(settings, "", &key).await.map(drop)
    }

    /// Makes an account. To do so is to agree to the authority's terms.
    pub async fn sign_up(settings: &HttpsSettings) -> Result<(Self, MadeAccount), AcmeError> {
        let notes = Notes::default();
        let contact = settings.contact.as_ref().map(|it| it.url());
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let account = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let builder = builder(settings, &notes)?;
        let made = builder
            .create(&account, settings.directory.clone(), None)
            .await;
        let made = made.map_err(|error| AcmeError::of(error, &notes, "answered"));
        let (account, credentials) = made?;
        let made = MadeAccount {
            id: account.id().to_owned(),
            key: credentials.private_key().secret_pkcs8_der().to_vec(),
        };
        let authority = Self { account, notes }.with_right_clock()?;
        Ok((authority, made))
    }

    fn with_right_clock(self) -> Result<Self, AcmeError> {
        match self.notes.last().clock_ahead_s {
            Some(ahead_s) if ahead_s.unsigned_abs() >= DAY_S => Err(AcmeError::Clock(ahead_s)),
            _ => Ok(self),
        }
    }

    /// The address by which the authority knows the account.
    pub fn id(&self) -> &str {
        self.account.id()
    }

    /// The fingerprint of the account's key.
    pub fn thumbprint(&self) -> &str {
        self.account.key_thumbprint()
    }

    /// Orders a certificate, in the place of one whose chain is `replaced`, if there is one: an authority that says when it
    /// would like renewals (RFC 9773) does not count such an order.
    pub async fn begin(
        &self,
        names: &[CertificateName],
        replaced: Option<&str>,
    ) -> Result<AuthorityOrder, AcmeError> {
        let identifiers = names.iter().map(|name| Identifier::Dns(name.to_string()));
        let identifiers: Vec<Identifier> = identifiers.collect();
        let order = NewOrder::new(&identifiers);
        let begun = match replaced.and_then(identifier_of) {
            None => self.account.new_order(&order).await,
            Some(replaced) => match self.account.new_order(&order.replaces(replaced)).await {
                Err(why) if error::is_of_replacing(&why) => {
                    let why = error::shortened(&why.to_string());
                    info!(
                        ?names,
                        why, "a renewal is ordered anew, as if it replaced no certificate"
                    );
                    self.account.new_order(&NewOrder::new(&identifiers)).await
                }
                begun => begun,
            },
        };
        let begun = begun.map_err(|error| AcmeError::of(error, &self.notes, "answered"))?;
        Ok(AuthorityOrder::new(begun, self.notes.clone()))
    }

    /// Goes on with an order.
    pub async fn resume(&self, url: &str) -> Result<AuthorityOrder, AcmeError> {
        let order = self.account.order(url.to_owned()).await;
        let order = order.map_err(|error| AcmeError::of(error, &self.notes, "answered"))?;
        Ok(AuthorityOrder::new(order, self.notes.clone()))
    }

    /// When the authority would like a certificate to be renewed (RFC 9773), and after which time it may be asked again;
    /// `None` if it does not say that.
    pub async fn renewal_window(&self, chain: &str) -> Option<(RenewalWindow, Duration)> {
        let identifier = identifier_of(chain)?;
        let (info, again) = self.account.renewal_info(&identifier).await.ok()?;
        let unix_s = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
        let window = RenewalWindow {
            start_unix_s: unix_s(info.suggested_window.start.unix_timestamp()),
            end_unix_s: unix_s(info.suggested_window.end.unix_timestamp()),
        };
        Some((window, again))
    }
}

/// The name by which authorities know the first certificate of a chain (PEM).
fn identifier_of(chain: &str) -> Option<CertificateIdentifier<'static>> {
    let der = pem::sections(chain).ok()?.into_iter().next()?.der;
    let identifier = CertificateIdentifier::try_from(&CertificateDer::from(der)).ok()?;
    Some(identifier.into_owned())
}

fn builder(settings: &HttpsSettings, notes: &Notes) -> Result<AccountBuilder, AcmeError> {
    let trust = match &*settings.directory_ca {
        "" => None,
        authorities => Some(Arc::new(Trust::only(authorities)?)),
    };
    let client = Client {
        trust,
        notes: notes.clone(),
    };
    Ok(Account::builder_with_http(Box::new(client)))
}
