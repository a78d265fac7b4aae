//! The one place that says which right a request has, and the one line of the log that says that it has none.
//!
//! Every entrance says it in the same form, because fail2ban reads it: what the client chose stands behind the
//! addresses, and in no span before them.

mod listener;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use subtle::ConstantTimeEq;
use tracing::{info, warn};

use super::document::Documents;
use crate::io::door::Visitor;
use crate::io::password::{PasswordHold, PasswordVerdict, Passwords, Secret};
use crate::logic::records::relay_login::RELAY_USER;
use crate::model::mount::{MountName, MountSpec};
use crate::model::source_priority::SourcePriority;
use crate::model::source_user::SourceUser;
use crate::wire::http::credentials;
use crate::wire::http::credentials::Credentials;
use crate::wire::http::forwarded::Client;
use crate::wire::icecast::shoutcast::{LoginReading, ShoutcastLogin};

/// Why most logins are refused.
const WRONG_PASSWORD: &str = "wrong password";
/// Why a login of relays is refused before it has a password.
const NO_RELAY_PASSWORD: &str =
    "there is no relay password yet: set one by `antiphon password set --relay`";
/// Why a Shoutcast login is refused that is for no mount, however it is read.
const NO_MOUNT: &str =
    "it names no mount: have the encoder log in with MOUNT:PASSWORD, or set shoutcast_mount";
/// Why a Shoutcast login is refused that names a mount which is not there. The name may be a part of the password.
const MISSING_MOUNT: &str =
    "it names no mount that exists: look at the name in front of the password";
/// The same, if the login was tried as the password of the usual mount, too.
const MISSING_OR_WRONG: &str =
    "it names no mount that exists, and is not the password of the mount in shoutcast_mount";

/// The origin of a request.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// The client behind it: another one than the address if a trusted proxy is between.
    pub client: IpAddr,
}

impl Caller {
    /// The sender of the last head of this visitor.
    pub fn of(visitor: &Visitor) -> Self {
        Self::new(visitor.peer, visitor.client)
    }

    /// A client at the other end of a connection, or behind it.
    pub fn new(address: SocketAddr, client: Client) -> Self {
        let client = client.ip;
        Self { address, client }
    }

    /// Says that a login was refused. `mount` is empty where the login was for the whole mesh.
    pub fn note_refused(&self, user: &str, mount: &str, why: &str) {
        let Self { address, client } = self;
        info!(parent: None, %client, %address, user, mount, why, "login refused");
    }

    /// Says that a login was not looked at, because too many wait for that: no reason to ban anybody.
    fn note_postponed(&self, user: &str, mount: &str) {
        let Self { address, client } = self;
        info!(parent: None, %client, %address, user, mount, "login put off: too many wait");
    }
}

/// A login as a request carries it, and its origin.
#[derive(Clone, Copy, Debug)]
pub struct RequestLogin<'a> {
    /// The value of the header `Authorization`, if there is one; empty if it is no text.
    pub authorization: Option<&'a str>,
    /// The origin of the request.
    pub caller: Caller,
}

impl RequestLogin<'_> {
    /// The user and the password. `mount` is where the login is for, as the log names it.
    pub fn credentials(&self, mount: &str) -> Result<Credentials, NoRight> {
        let authorization = self.authorization.ok_or(NoRight::Anonymous)?;
        credentials::basic(authorization).ok_or_else(|| {
            let attempt = LoginAttempt {
                mount,
                ..LoginAttempt::nowhere(self.caller)
            };
            attempt.denied("no user and password in the login")
        })
    }
}

/// A right that a request may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right<'a> {
    /// To manage the mesh: the token of this node, or the cluster's admin password.
    Manage,
    /// To say what is on air at a mount: the password of its source, or a login that may manage the mesh.
    Describe(&'a MountName),
    /// To read which streams there are, as an Icecast that relays them: the relay password, or a login that may manage the mesh.
    ListStreams,
}

/// The right of a source to send to a mount.
#[derive(Debug)]
pub struct SourceRight {
    /// Keeps the password known, so that the source can come back while others guess.
    pub hold: PasswordHold,
    /// The order of the source among those of its mount.
    pub priority: SourcePriority,
}

/// The owner of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account<'a> {
    Admin,
    Source(&'a MountName),
    Relay,
}

impl<'a> Right<'a> {
    /// The account whose password gives a user this right, or why there is none.
    fn account(&self, user: &str) -> Result<Account<'a>, &'static str> {
        match (user, self) {
            (SourceUser::ADMIN, _) => Ok(Account::Admin),
            (_, Self::Describe(mount)) => Ok(Account::Source(mount)),
            (RELAY_USER, Self::ListStreams) => Ok(Account::Relay),
            (_, Self::Manage | Self::ListStreams) => Err("unknown user"),
        }
    }

    /// The mount as the log names it; empty where the right is one to the whole mesh.
    fn mount(&self) -> &str {
        match self {
            Self::Manage | Self::ListStreams => "",
            Self::Describe(mount) => mount.as_str(),
        }
    }
}

/// Why a request has not got a right. What the log has to say of it has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRight {
    /// The request carries no login.
    #[error("this needs the token of this node or the admin password of the cluster")]
    Anonymous,
    /// The login is not accepted.
    #[error("this needs the token of this node or the admin password of the cluster")]
    Denied,
    /// Too many passwords wait to be checked: this one was not.
    #[error("too many logins at once, try again in a moment")]
    Busy,
}

#[derive(Debug)]
struct LoginsInner {
    documents: Documents,
    passwords: Passwords,
    /// Checks those of listeners' accounts.
    listener_passwords: Passwords,
    token: Secret,
}

/// A cheap, cloneable way to check logins of all kinds.
#[derive(Clone, Debug)]
pub struct Logins(Arc<LoginsInner>);

impl Logins {
    /// Checks logins against the document's passwords and the token of this node.
    pub fn new(documents: Documents, passwords: Passwords, token: Secret) -> Self {
        Self(Arc::new(LoginsInner {
            documents,
            listener_passwords: passwords.for_listeners(),
            passwords,
            token,
        }))
    }

    /// Whether a login has a right.
    pub async fn check(&self, login: RequestLogin<'_>, right: Right<'_>) -> Result<(), NoRight> {
        self.right(login, right).await.map(drop)
    }

    /// Whether a login may say what is on air at a mount; with the priority of the source that it is of, if it is one of a
    /// source.
    pub async fn describer(
        &self,
        login: RequestLogin<'_>,
        mount: &MountName,
    ) -> Result<Option<SourcePriority>, NoRight> {
        self.right(login, Right::Describe(mount)).await
    }

    async fn right(
        &self,
        login: RequestLogin<'_>,
        right: Right<'_>,
    ) -> Result<Option<SourcePriority>, NoRight> {
        let mut attempt = LoginAttempt {
            caller: login.caller,
            user: "",
            mount: right.mount(),
        };
        if let Some(token) = login.authorization.and_then(credentials::bearer) {
            return match self.is_token(token) {
                true => Ok(None),
                false => Err(attempt.denied("wrong token")),
            };
        }
        let credentials = login.credentials(attempt.mount)?;
        attempt.user = &credentials.user;
        let account = right
            .account(attempt.user)
            .map_err(|why| attempt.denied(why))?;
        let documents = &self.0.documents;
        let (hash, why_none) = match account {
            Account::Source(mount) => {
                let spec = documents.mount(mount);
                let spec = spec.ok_or_else(|| attempt.denied("there is no such mount"))?;
                let right = self.source(credentials, &spec, login.caller).await?;
                return Ok(Some(right.priority));
            }
            Account::Admin => (
                documents.admin_password_hash(),
                "there is no admin password yet",
            ),
            Account::Relay => (documents.relay_password_hash(), NO_RELAY_PASSWORD),
        };
        let hash = hash.ok_or_else(|| attempt.denied(why_none))?;
        let password = Secret::from(credentials.password.as_str());
        let verdict = self.weigh(&password, &hash, attempt.caller).await;
        attempt.judge(verdict).map(|()| None)
    }

    /// Whether the credentials are those of a mount's source, and its priority.
    pub async fn source(
        &self,
        credentials: Credentials,
        mount: &MountSpec,
        caller: Caller,
    ) -> Result<SourceRight, NoRight> {
        let attempt = LoginAttempt {
            caller,
            user: &credentials.user,
            mount: mount.path.as_str(),
        };
        let told = attempt.check_user(mount)?;
        let password = Secret::from(credentials.password.as_str());
        let right = self.weigh_source(&password, mount, caller).await;
        let right = right.or_else(|verdict| attempt.judge(verdict).and(Err(NoRight::Denied)))?;
        let priority = told.unwrap_or(right.priority);
        Ok(SourceRight { priority, ..right })
    }

    /// The mount for which a Shoutcast login is right in one of its readings. A wrong one is one refusal in the log,
    /// however many readings it has.
    pub async fn shoutcast(
        &self,
        login: &ShoutcastLogin,
        default: Option<&MountName>,
        caller: Caller,
    ) -> Result<(MountSpec, SourceRight), NoRight> {
        let mounts = self.0.documents.mounts();
        let mut refused = None;
        for LoginReading { spec, password } in &login.readings(&mounts, default) {
            let password = Secret::from(*password);
            let attempt = LoginAttempt::shoutcast(spec, caller);
            match self.weigh_source(&password, spec, caller).await {
                Ok(right) => return Ok(((*spec).clone(), right)),
                Err(PasswordVerdict::Busy) => return Err(attempt.postponed()),
                Err(verdict) => refused = refused.or(Some((attempt, verdict))),
            }
        }
        let is_missing = login.names_missing(&mounts);
        Err(match refused {
            Some((attempt, PasswordVerdict::BadHash)) => attempt.bad_hash(),
            Some((attempt, _)) if is_missing => attempt.denied(MISSING_OR_WRONG),
            Some((attempt, _)) => attempt.denied(WRONG_PASSWORD),
            None if is_missing => LoginAttempt::nowhere(caller).denied(MISSING_MOUNT),
            None => LoginAttempt::nowhere(caller).denied(NO_MOUNT),
        })
    }

    /// The mount whose title a Shoutcast login may set, right in one of its readings: with the password of the source, or of
    /// the admin. A wrong one is one refusal in the log.
    pub async fn shoutcast_title(
        &self,
        readings: &[LoginReading<'_>],
        caller: Caller,
    ) -> Result<MountName, NoRight> {
        let Some(first) = readings.first() else {
            return Err(LoginAttempt::nowhere(caller).denied(NO_MOUNT));
        };
        let own = readings
            .iter()
            .map(|it| (it, it.spec.password_hash.clone()));
        let admin = self.0.documents.admin_password_hash();
        let as_admin = first.password.strip_prefix(SourceUser::ADMIN);
        let as_admin = as_admin.and_then(|rest| rest.strip_prefix(':'));
        let as_admin = LoginReading {
            spec: first.spec,
            password: as_admin.unwrap_or(first.password),
        };
        for (reading, hash) in own.chain(admin.map(|hash| (&as_admin, hash))) {
            let password = Secret::from(reading.password);
            match self.weigh(&password, &hash, caller).await {
                PasswordVerdict::Right => return Ok(reading.spec.path.clone()),
                PasswordVerdict::Busy => {
                    return Err(LoginAttempt::shoutcast(reading.spec, caller).postponed());
                }
                PasswordVerdict::Wrong | PasswordVerdict::BadHash => {}
            }
        }
        Err(LoginAttempt::shoutcast(first.spec, caller).denied(WRONG_PASSWORD))
    }

    /// Whether a Shoutcast login for a mount that does not exist is that of the admin, whatever is in front of its password.
    pub async fn check_without_mount(&self, pass: &str, caller: Caller) -> Result<(), NoRight> {
        let attempt = LoginAttempt::nowhere(caller);
        let hash = self.0.documents.admin_password_hash();
        let hash = hash.ok_or_else(|| attempt.denied(MISSING_MOUNT))?;
        let password = pass.rsplit(':').next().unwrap_or(pass);
        match self.weigh(&Secret::from(password), &hash, caller).await {
            PasswordVerdict::Right => Ok(()),
            PasswordVerdict::Busy => Err(attempt.postponed()),
            PasswordVerdict::Wrong | PasswordVerdict::BadHash => Err(attempt.denied(MISSING_MOUNT)),
        }
    }

    /// The mounts for which a login is right. That it is wrong for the others is no refusal, and the log does not say it.
    pub async fn right_for(
        &self,
        readings: &[LoginReading<'_>],
        caller: Caller,
    ) -> Result<Vec<MountName>, NoRight> {
        let mut right = Vec::new();
        for LoginReading { spec, password } in readings {
            let password = Secret::from(*password);
            match self.weigh(&password, &spec.password_hash, caller).await {
                PasswordVerdict::Right => right.push(spec.path.clone()),
                PasswordVerdict::Busy => {
                    return Err(LoginAttempt::shoutcast(spec, caller).postponed());
                }
                PasswordVerdict::Wrong | PasswordVerdict::BadHash => {}
            }
        }
        Ok(right)
    }

    /// Whether a password is one of a mount's sources.
    async fn weigh_source(
        &self,
        password: &Secret,
        mount: &MountSpec,
        caller: Caller,
    ) -> Result<SourceRight, PasswordVerdict> {
        let second = mount.standby_password_hash.as_ref();
        let second = second.map(|hash| (hash, SourcePriority::SECOND));
        let first = [(&mount.password_hash, SourcePriority::FIRST)];
        let mut verdict = PasswordVerdict::Wrong;
        for (hash, priority) in first.into_iter().chain(second) {
            verdict = self.weigh(password, hash, caller).await;
            match verdict {
                PasswordVerdict::Right => {
                    let hold = self.0.passwords.hold(password, hash);
                    return Ok(SourceRight { hold, priority });
                }
                PasswordVerdict::Wrong => {}
                PasswordVerdict::Busy | PasswordVerdict::BadHash => break,
            }
        }
        Err(verdict)
    }

    async fn weigh(&self, password: &Secret, hash: &str, caller: Caller) -> PasswordVerdict {
        let passwords = &self.0.passwords;
        passwords.verify(password, hash, caller.client).await
    }

    fn is_token(&self, token: &str) -> bool {
        let ours = self.0.token.reveal().as_bytes();
        bool::from(ours.ct_eq(token.as_bytes()))
    }
}

/// A login that is being checked, as the log names it.
#[derive(Clone, Copy, Debug)]
struct LoginAttempt<'a> {
    caller: Caller,
    /// Empty where the login names none.
    user: &'a str,
    /// Empty where the login is for the whole mesh.
    mount: &'a str,
}

impl<'a> LoginAttempt<'a> {
    /// A login that was read as one for this mount. Its own words are not named: they may be part of the password.
    fn shoutcast(spec: &'a MountSpec, caller: Caller) -> Self {
        Self {
            caller,
            user: spec.user.as_str(),
            mount: spec.path.as_str(),
        }
    }

    /// A login that names neither a user nor a mount.
    fn nowhere(caller: Caller) -> Self {
        let (user, mount) = ("", "");
        Self {
            caller,
            user,
            mount,
        }
    }

    /// Checks that the user is the one of this mount's sources, and returns the priority that stands behind it, if one does.
    fn check_user(&self, mount: &MountSpec) -> Result<Option<SourcePriority>, NoRight> {
        let own = mount.user.as_str();
        match SourcePriority::split(self.user) {
            _ if self.user == own => Ok(None),
            (user, priority) if user == own => Ok(priority),
            _ => Err(self.denied(&format!(
                "sources of this mount log in as the user `{own}`, or with a priority of 1 to 9 as `{own}--priority=2`"
            ))),
        }
    }

    /// Says what a verdict means for the login. Whatever is not right is noted.
    fn judge(&self, verdict: PasswordVerdict) -> Result<(), NoRight> {
        match verdict {
            PasswordVerdict::Right => Ok(()),
            PasswordVerdict::Wrong => Err(self.denied(WRONG_PASSWORD)),
            PasswordVerdict::Busy => Err(self.postponed()),
            PasswordVerdict::BadHash => Err(self.bad_hash()),
        }
    }

    fn postponed(&self) -> NoRight {
        self.caller.note_postponed(self.user, self.mount);
        NoRight::Busy
    }

    fn bad_hash(&self) -> NoRight {
        let (user, mount) = (self.user, self.mount);
        warn!(
            user,
            mount, "the stored password is unusable: set another one"
        );
        self.denied("the stored password is unusable")
    }

    /// Notes why the login is refused.
    fn denied(&self, why: &str) -> NoRight {
        self.caller.note_refused(self.user, self.mount, why);
        NoRight::Denied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_asked_for_the_password_of_its_account() {
        let mount = MountName::try_from("/radio.mp3").unwrap();
        let describe = Right::Describe(&mount);
        assert_eq!(Right::Manage.account("admin"), Ok(Account::Admin));
        assert_eq!(Right::ListStreams.account("relay"), Ok(Account::Relay));
        assert_eq!(Right::ListStreams.account("admin"), Ok(Account::Admin));
        assert_eq!(Right::ListStreams.account("dj"), Err("unknown user"));
        assert_eq!(Right::Manage.account("relay"), Err("unknown user"));
        assert_eq!(describe.account("admin"), Ok(Account::Admin));
        assert_eq!(describe.account("source"), Ok(Account::Source(&mount)));
        assert_eq!(Right::Manage.account("source"), Err("unknown user"));
        assert_eq!(
            describe.account("dj"),
            Ok(Account::Source(&mount)),
            "the mount says whether it is its user"
        );
    }

    #[test]
    fn a_refusal_names_the_mount_that_the_right_is_for() {
        let mount = MountName::try_from("/radio.mp3").unwrap();
        assert_eq!(Right::Describe(&mount).mount(), "/radio.mp3");
        assert_eq!(Right::Manage.mount(), "");
    }
}
