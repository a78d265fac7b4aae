//! The decision who may listen to a mount that is not open to all: whoever has a token that holds, or a login that is right.
//!
//! A listener that was let in by its login and is sent on carries a token to the other node: players do not tell another host their
//! password.

use tracing::{debug, info};

use super::{After, Listening, MountRequest, RETRY_AFTER_MIN_S, send};
use crate::io::clock;
use crate::io::door::Visitor;
use crate::model::account::AccountName;
use crate::model::listener_auth::ListenerAuth;
use crate::model::mount::{MountName, MountSpec};
use crate::service::logins::{Caller, NoRight, RequestLogin};
use crate::wire::http::head::Head;
use crate::wire::http::reply::Reply;
use crate::wire::icecast::token::{self, BadToken, Holder, TokenMount, TokenWords};

/// How long a listener that is sent on may come back to the address that it got: as long as somebody listens on one day. It is
/// asked for its login again sooner if its account is deleted.
const PASS_LIFE_S: u64 = 12 * 60 * 60;

/// How a listener was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LetIn {
    /// The mount is open to all.
    Anybody,
    /// By a token in its address.
    ByToken(TokenWords),
    /// By its login, which is this account's; `None`: one of the whole mesh.
    ByLogin(Option<AccountName>),
}

/// Why a listener is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotLetIn {
    /// Neither a token nor a login lets it in.
    Unknown,
    /// Too many logins wait to be checked.
    Busy,
}

impl LetIn {
    /// The name by which it was let in; empty if it has none.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::ByToken(words) => &words.name,
            Self::ByLogin(Some(name)) => name.as_str(),
            Self::Anybody | Self::ByLogin(None) => "",
        }
    }
}

impl Listening {
    /// Decides whether a client may listen to a mount. One that does not exist is open to all: there is nothing to be heard.
    pub(super) async fn let_in(
        &self,
        visitor: &Visitor,
        head: &Head,
        mount: &MountName,
    ) -> Result<LetIn, NotLetIn> {
        let mounts = self.0.config.mesh.documents.mounts();
        let Some(spec) = mounts.get(mount).filter(|it| !it.listener_auth.is_open()) else {
            return Ok(LetIn::Anybody);
        };
        let caller = Caller::of(visitor);
        let authorization = head.header("authorization");
        let query = head.query().unwrap_or_default();
        match token::of_query(query).map(|token| self.check(&token, spec, caller)) {
            Some(Ok(words)) => return Ok(LetIn::ByToken(words)),
            Some(Err(why)) if authorization.is_none() => {
                match why {
                    BadToken::Ended => debug!(%mount, client = %caller.client, "{why}"),
                    _ => caller.note_refused("", mount.as_str(), &why.to_string()),
                }
                return Err(NotLetIn::Unknown);
            }
            Some(Err(_)) | None => {}
        }
        let login = RequestLogin {
            authorization,
            caller,
        };
        match self.0.config.logins.listener(login, spec).await {
            Ok(account) => Ok(LetIn::ByLogin(account)),
            Err(NoRight::Busy) => Err(NotLetIn::Busy),
            Err(NoRight::Anonymous | NoRight::Denied) => Err(NotLetIn::Unknown),
        }
    }

    /// The words of a token that lets a client in. One that was made for an account lets nobody in once that is gone.
    fn check(&self, token: &str, spec: &MountSpec, caller: Caller) -> Result<TokenWords, BadToken> {
        let (config, of) = (&self.0.config, of(spec));
        let words = config
            .token_keys
            .check(of, token, caller.client, clock::unix_s())?;
        let needs_account = spec.listener_auth == ListenerAuth::Htpasswd
            && words.holder == Holder::SentOn
            && !words.name.is_empty();
        match !needs_account || self.has_account(spec, &words.name) {
            true => Ok(words),
            false => Err(BadToken::Code),
        }
    }

    fn has_account(&self, spec: &MountSpec, name: &str) -> bool {
        let documents = &self.0.config.mesh.documents;
        let name = name.parse::<AccountName>().ok();
        let hash = name.and_then(|name| documents.account_hash(&spec.path, &name));
        hash.is_some()
    }

    /// The query with which a listener is sent on to another node, if it has any: with a token, if it needs one there and has none
    /// that holds.
    pub(super) fn query_to_carry(&self, asking: MountRequest<'_>) -> Option<String> {
        let query = asking.head.query();
        let mounts = self.0.config.mesh.documents.mounts();
        let spec = mounts.get(asking.mount);
        let Some(spec) = spec.filter(|it| !it.listener_auth.is_open()) else {
            return query.map(str::to_owned);
        };
        let query = query.unwrap_or_default();
        let now_unix_s = clock::unix_s();
        let mut until_unix_s = now_unix_s + PASS_LIFE_S;
        if let LetIn::ByToken(words) = asking.let_in {
            let (keys, ip) = (&self.0.config.token_keys, asking.client.ip);
            let own = token::of_query(query).map(|it| keys.check(of(spec), &it, ip, now_unix_s));
            if own.is_some_and(|own| own.is_ok()) {
                return Some(query.to_owned());
            }
            until_unix_s = until_unix_s.min(words.until_unix_s);
        }
        let name = asking.let_in.name();
        let words = TokenWords {
            until_unix_s,
            holder: match asking.let_in {
                _ if self.has_account(spec, name) => Holder::SentOn,
                LetIn::ByToken(words) if words.holder != Holder::SentOn => words.holder,
                // Let in to the mount that it asked for, whose listeners hear this one while that is full.
                _ => Holder::Bearer,
            },
            name: name.to_owned(),
        };
        let pass = self.0.config.token_keys.mint(of(spec), &words);
        Some(token::with_token(query, &pass))
    }
}

fn of(spec: &MountSpec) -> TokenMount<'_> {
    TokenMount {
        mount: &spec.path,
        series: spec.token_series,
    }
}

/// Answers a listener that is not let in.
pub(super) async fn turn_away(visitor: Visitor, reply: &Reply, why: NotLetIn) -> After {
    let answer = match why {
        NotLetIn::Unknown => reply.listener_challenge(),
        NotLetIn::Busy => {
            info!(peer = %visitor.peer, "refused: too many logins of listeners wait");
            reply.unavailable(
                "too many logins at once, try again in a moment",
                RETRY_AFTER_MIN_S,
            )
        }
    };
    send(visitor, &answer, reply).await
}
