//! The account of the mesh with an authority: one for all nodes, made when there is none.

use tracing::{info, warn};

use crate::io::acme::{AcmeError, Authority};
use crate::io::seal::Seal;
use crate::logic::records::certificates::account_key;
use crate::model::acme::{AcmeAccount, SealedKey};
use crate::model::https::HttpsSettings;
use crate::service::document::{ChangeError, Documents};

/// The way to the account that the document keeps.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    pub(super) documents: Documents,
    pub(super) seal: Seal,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAccount {
    #[error(transparent)]
    Authority(#[from] AcmeError),
    #[error(transparent)]
    Edit(#[from] ChangeError),
}

impl Accounts {
    /// Uses the account of the mesh at this authority; `None` if there is none, or its key cannot be opened.
    pub(super) async fn log_in(
        &self,
        settings: &HttpsSettings,
    ) -> Result<Option<Authority>, AcmeError> {
        let issuance = self.documents.issuance();
        let account = issuance.account.as_ref();
        let Some(account) = account.filter(|it| it.directory == settings.directory) else {
            return Ok(None);
        };
        match self.seal.open(account_key().as_str(), &account.key.0) {
            Ok(key) => {
                let authority = Authority::log_in(settings, &account.id, &key.text).await?;
                Ok(Some(authority))
            }
            Err(why) => {
                warn!(%why, "the key of the account cannot be opened; a new account is made");
                Ok(None)
            }
        }
    }

    /// Makes an account, and keeps it.
    pub(super) async fn sign_up(&self, settings: &HttpsSettings) -> Result<Authority, NoAccount> {
        let (authority, made) = Authority::sign_up(settings).await?;
        let account = AcmeAccount {
            directory: settings.directory.clone(),
            id: made.id,
            key: SealedKey(self.seal.seal(account_key().as_str(), &made.key)),
        };
        self.documents.keep_account(&account).await?;
        info!(
            account = account.id,
            "an account with the authority is made"
        );
        Ok(authority)
    }
}
