//! The logins of listeners: an account of the mount, or a login of the whole mesh.

use super::{LoginAttempt, Logins, NoRight, RequestLogin, Right};
use crate::io::password::Secret;
use crate::logic::records::relay_login::RELAY_USER;
use crate::model::account::AccountName;
use crate::model::listener_auth::ListenerAuth;
use crate::model::mount::MountSpec;
use crate::model::source_user::SourceUser;
use crate::wire::http::credentials;

/// Why most listeners are refused that log in where there are no accounts.
const NO_ACCOUNTS: &str = "only signed tokens are let in here: `antiphon token mint` makes one";

impl Logins {
    /// The account whose login lets a listener in; `None` if it is a login of the whole mesh: that of the admin, or of an
    /// Icecast that relays from it.
    pub async fn listener(
        &self,
        login: RequestLogin<'_>,
        mount: &MountSpec,
    ) -> Result<Option<AccountName>, NoRight> {
        if login.authorization.and_then(credentials::bearer).is_some() {
            return self.check(login, Right::Manage).await.map(|()| None);
        }
        let path = mount.path.as_str();
        let credentials = login.credentials(path)?;
        if [SourceUser::ADMIN, RELAY_USER].contains(&credentials.user.as_str()) {
            return self.check(login, Right::ListStreams).await.map(|()| None);
        }
        let attempt = LoginAttempt {
            caller: login.caller,
            user: &credentials.user,
            mount: path,
        };
        if mount.listener_auth != ListenerAuth::Htpasswd {
            return Err(attempt.denied(NO_ACCOUNTS));
        }
        let name: Option<AccountName> = credentials.user.parse().ok();
        let found = name.and_then(|name| {
            let hash = self.0.documents.account_hash(&mount.path, &name)?;
            Some((name, hash))
        });
        let (name, hash) = found.ok_or_else(|| attempt.denied("there is no such account"))?;
        let password = Secret::from(credentials.password.as_str());
        let passwords = &self.0.listener_passwords;
        let verdict = passwords.verify(&password, &hash, login.caller.client);
        attempt.judge(verdict.await).map(|()| Some(name))
    }
}
