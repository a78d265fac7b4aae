//! The settings of HTTPS in the document, the account with the authority, the orders, and the certificates.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::info;

use super::commit::{EditOrigin, Records};
use super::edit::Existence;
use super::refusal::ChangeError;
use super::{Documents, Inner};
use crate::io::clock;
use crate::logic::certificates::claim::claimed_until;
use crate::logic::document::{Document, EditError};
use crate::logic::records::certificates::{
    Issuance, MAX_CERTIFICATES, account_fields, account_key, certificate_fields, certificate_key,
    list, order_fields, order_key, wish_fields,
};
use crate::logic::records::https;
use crate::logic::records::kind::Changes;
use crate::model::acme::{AcmeAccount, CertificateOrder, KeptCertificate};
use crate::model::https::{CertificateName, ContactAddress, HttpsSettings};
use crate::model::record::Value;
use crate::model::record::key::RecordKey;

impl Documents {
    /// All that the document says of certificates, as it is now.
    pub fn issuance(&self) -> Arc<Issuance> {
        self.0.issuance.borrow().clone()
    }

    /// The same as it changes.
    pub fn watch_issuance(&self) -> watch::Receiver<Arc<Issuance>> {
        self.0.issuance.subscribe()
    }

    /// Changes the settings of HTTPS on all nodes.
    pub async fn set_https(&self, changes: Changes<HttpsSettings>) -> Result<(), ChangeError> {
        self.0
            .edit_record(https::key(), Existence::Any, changes)
            .await?;
        let now = self.issuance().settings.clone();
        let names = now.names.to_string();
        info!(https = now.is_on, directory = %now.directory, %names, "HTTPS set");
        Ok(())
    }

    /// Turns HTTPS on for the mesh. Settings that another node has set before stay.
    pub async fn found_https(&self, contact: &ContactAddress) -> Result<(), ChangeError> {
        let fields = https::founding(contact).into_fields();
        self.0.found(https::key(), fields).await?;
        let settings = &self.issuance().settings;
        if settings.is_on && settings.contact.as_ref() == Some(contact) {
            info!(%contact, "HTTPS is on for the mesh");
        }
        Ok(())
    }

    /// Has a certificate ordered anew, as soon as the ration allows it.
    pub async fn wish_certificate(
        &self,
        first: &CertificateName,
        now_unix_s: u64,
    ) -> Result<(), ChangeError> {
        let (key, name) = (order_key(first), first.clone());
        let change = move |document: &mut Document, now_unix_ms| {
            let known = list(document).0;
            // Neither a try that has begun in this very second counts as an answer, nor what it has brought.
            let tried = known.orders.get(&name).map(|order| order.began_unix_s + 1);
            let answered = known.last_unix_s(slice::from_ref(&name), now_unix_s);
            let fields = wish_fields(tried.map_or(answered, |tried| tried.max(answered)));
            let record = document.edit(&key, fields, now_unix_ms)?;
            Ok::<_, ChangeError>((BTreeMap::from([(key, record)]), ()))
        };
        self.0.commit(EditOrigin::Client, change).await?;
        info!(name = %first, "a new certificate is asked for");
        Ok(())
    }

    /// Keeps the account with the authority.
    pub async fn keep_account(&self, account: &AcmeAccount) -> Result<(), ChangeError> {
        let fields = account_fields(account);
        self.write(account_key(), fields, |_| Ok(())).await
    }

    /// Keeps the state of an order, unless a node with a later claim works on it.
    pub async fn note_order(&self, order: &CertificateOrder) -> Result<(), ChangeError> {
        let (key, fields) = (order_key(order.first_name()), order_fields(order));
        let (order, now_unix_s) = (order.clone(), clock::unix_s());
        self.write(key, fields, move |document| {
            let issuance = list(document).0;
            let known = issuance.orders.get(order.first_name());
            let is_claimed =
                |it: &&CertificateOrder| claimed_until(it, &order.fence, now_unix_s).is_some();
            match known.filter(is_claimed) {
                Some(later) => Err(ChangeError::Superseded(later.fence.clone())),
                None => Ok(()),
            }
        })
        .await
    }

    /// Keeps a certificate. The orders of these names have come to their end by it.
    pub async fn keep_certificate(
        &self,
        certificate: KeptCertificate,
        ends: Vec<CertificateName>,
    ) -> Result<(), ChangeError> {
        let change = move |document: &mut Document, now_unix_ms| {
            let key = certificate_key(&certificate.chain);
            let certificates = list(document).0.certificates;
            if certificates.len() >= MAX_CERTIFICATES && !certificates.contains_key(&key) {
                return Err(ChangeError::TooManyCertificates);
            }
            let mut records = Records::new();
            let record = document.edit(&key, certificate_fields(&certificate), now_unix_ms)?;
            records.insert(key, record);
            for order in ends.iter().map(order_key) {
                let tombstone = gone(document.delete(&order, now_unix_ms))?;
                records.extend(tombstone.map(|record| (order, record)));
            }
            Ok((records, ()))
        };
        self.0.commit(EditOrigin::Client, change).await
    }

    /// Deletes an order or a certificate that is not needed any more.
    pub async fn remove_issuance(&self, key: &RecordKey) -> Result<(), ChangeError> {
        let key = key.clone();
        let change = move |document: &mut Document, now_unix_ms| {
            let tombstone = gone(document.delete(&key, now_unix_ms))?;
            let records = tombstone.into_iter().map(|record| (key.clone(), record));
            Ok::<_, ChangeError>((records.collect(), ()))
        };
        self.0.commit(EditOrigin::Client, change).await
    }

    /// Writes fields of a record, if that is allowed when it is the edit's turn.
    async fn write(
        &self,
        key: RecordKey,
        fields: BTreeMap<String, Value>,
        allows: impl FnOnce(&Document) -> Result<(), ChangeError> + Send + 'static,
    ) -> Result<(), ChangeError> {
        let change = move |document: &mut Document, now_unix_ms| {
            allows(document)?;
            let record = document.edit(&key, fields, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), ()))
        };
        self.0.commit(EditOrigin::Client, change).await
    }
}

/// The result of a deletion; to delete what is not there is no fault.
fn gone<T>(deleted: Result<T, EditError>) -> Result<Option<T>, EditError> {
    match deleted {
        Err(EditError::NotThere(_)) => Ok(None),
        deleted => deleted.map(Some),
    }
}

impl Inner {
    /// Publishes what is said of certificates, if it has changed.
    pub(super) fn publish_issuance(&self, found: Issuance) {
        self.issuance.send_if_modified(|known| {
            let has_changed = **known != found;
            if has_changed {
                *known = Arc::new(found);
            }
            has_changed
        });
    }
}
