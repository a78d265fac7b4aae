//! The keys of the document as the secret of this node opens them, and sealing them anew when the secret is rotated.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{debug, info};

use crate::io::seal::Seal;
use crate::logic::records::certificates::{Issuance, account_key, order_key};
use crate::model::acme::{KeptCertificate, SealedKey};
use crate::model::record::key::RecordKey;
use crate::service::document::{ChangeError, Documents};

/// The keys of the document, by whether the secret of this node opens them.
#[derive(Clone, Debug)]
pub struct SealedKeys {
    /// The document's part, without the certificates whose keys it does not open.
    pub usable: Arc<Issuance>,
    /// The certificates that are left out.
    pub locked: BTreeMap<RecordKey, KeptCertificate>,
    /// How many keys are sealed under one that is not the first of the secret.
    pub outdated: usize,
}

impl SealedKeys {
    /// Tries each key.
    pub fn of(issuance: &Arc<Issuance>, seal: &Seal) -> Self {
        let mut found = Self {
            usable: issuance.clone(),
            locked: BTreeMap::new(),
            outdated: 0,
        };
        for (key, certificate) in &issuance.certificates {
            match seal.open(key.as_str(), &certificate.key.0) {
                Ok(opened) => found.outdated += usize::from(!opened.is_current),
                Err(_) => drop(found.locked.insert(key.clone(), certificate.clone())),
            }
        }
        if !found.locked.is_empty() {
            let is_usable = |key: &RecordKey| !found.locked.contains_key(key);
            let usable = Arc::make_mut(&mut found.usable);
            usable.certificates.retain(|key, _| is_usable(key));
        }
        let account = issuance.account.as_ref();
        let account = account.map(|it| (account_key(), &it.key));
        let orders = issuance.orders.values();
        let orders =
            orders.filter_map(|it| Some((order_key(it.first_name()), &it.open.as_ref()?.key)));
        let others = account.into_iter().chain(orders);
        let is_outdated = |(place, key): &(RecordKey, &SealedKey)| {
            let opened = seal.open(place.as_str(), &key.0);
            opened.is_ok_and(|opened| !opened.is_current)
        };
        found.outdated += others.filter(is_outdated).count();
        found
    }
}

/// Seals all keys again that were sealed under a key of the secret which is about to go, one after the other.
///
/// The document bounds their number. Each is looked up when it is its turn, because it may be gone by then.
pub(super) async fn seal_again(documents: &Documents, seal: &Seal) -> Result<(), ChangeError> {
    if SealedKeys::of(&documents.issuance(), seal).outdated == 0 {
        return Ok(());
    }
    let mut keys = 0;
    if let Some(mut account) = documents.issuance().account.clone()
        && let Some(key) = sealed_anew(seal, &account_key(), &account.key)
    {
        account.key = key;
        documents.keep_account(&account).await?;
        keys += 1;
    }
    let certificates = documents.issuance().certificates.clone();
    for (place, certificate) in certificates {
        if let Some(key) = sealed_anew(seal, &place, &certificate.key)
            && documents.issuance().certificates.contains_key(&place)
        {
            let again = KeptCertificate { key, ..certificate };
            documents.keep_certificate(again, Vec::new()).await?;
            keys += 1;
        }
    }
    for order in documents.issuance().orders.values() {
        let mut order = order.clone();
        let place = order_key(order.first_name());
        if let Some(open) = &mut order.open
            && let Some(key) = sealed_anew(seal, &place, &open.key)
        {
            open.key = key;
            match documents.note_order(&order).await {
                Err(ChangeError::Superseded(_)) => {} // its own node does it
                noted => noted.map(|()| keys += 1)?,
            }
        }
    }
    let left = SealedKeys::of(&documents.issuance(), seal).outdated;
    match left {
        0 => info!(keys, "all keys are sealed under the new secret"),
        _ => info!(
            keys,
            left, "some keys are not sealed under the new secret yet"
        ),
    }
    Ok(())
}

/// The same key under the first key of the secret; `None` if it is sealed so, or cannot be opened.
fn sealed_anew(seal: &Seal, place: &RecordKey, sealed: &SealedKey) -> Option<SealedKey> {
    let opened = seal.open(place.as_str(), &sealed.0).ok()?;
    if opened.is_current {
        return None;
    }
    debug!(%place, "a key is sealed under the new secret");
    Some(SealedKey(seal.seal(place.as_str(), &opened.text)))
}
