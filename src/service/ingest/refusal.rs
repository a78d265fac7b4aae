//! The answer to a source that is not taken.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::io::answer;
use crate::io::door_stream::DoorStream;
use crate::model::mount::MountName;
use crate::proto::source::RefusalReason;
use crate::service::logins::NoRight;
use crate::wire::http::reply::{Persistence, Reply};
use crate::wire::http::status::HttpStatus;

/// How long a refused source is still read, so that its system does not drop our answer unread.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// When a source may come back while its mount cannot be served, seconds.
const RETRY_AFTER_S: u32 = 5;

/// Why a source is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorized,
    NoSuchMount(String),
    Transcoded(String),
    InUse,
    TooManyLogins,
    TooManySources,
    Stopping,
}

impl From<NoRight> for Refusal {
    fn from(why: NoRight) -> Self {
        match why {
            NoRight::Anonymous | NoRight::Denied => Self::Unauthorized,
            NoRight::Busy => Self::TooManyLogins,
        }
    }
}

impl Refusal {
    /// The answer to a source that may not begin.
    pub(super) fn of(refused: RefusalReason, mount: &MountName) -> Self {
        match refused {
            RefusalReason::NoSuchMount => Self::no_mount(mount),
            RefusalReason::InUse => Self::InUse,
            RefusalReason::Stopping => Self::Stopping,
        }
    }

    pub(super) fn no_mount(mount: &MountName) -> Self {
        let hint =
            format!("There is no mount {mount}: make it with `antiphon mount create {mount}`");
        Self::NoSuchMount(hint)
    }
}

/// Tells a source why it is not taken. Returns whether its next request may come on the same connection.
pub(super) async fn refuse(stream: &mut DoorStream, reply: &Reply, refusal: Refusal) -> bool {
    let answer = match refusal {
        Refusal::Unauthorized => reply.unauthorized(),
        Refusal::NoSuchMount(why) => {
            info!("refused: there is no such mount");
            reply.message(HttpStatus::NotFound, &why, &[])
        }
        Refusal::Transcoded(why) => {
            info!("refused: {why}");
            reply.forbidden(&why)
        }
        Refusal::InUse => {
            info!("refused: the mount has a source");
            reply.mount_in_use()
        }
        Refusal::TooManyLogins => reply.unavailable("too many logins at once", RETRY_AFTER_S),
        Refusal::TooManySources => {
            info!("refused: as many sources are connected as max_sources allows");
            reply.forbidden("too many sources connected")
        }
        Refusal::Stopping => reply.unavailable(
            "this node is draining, please connect to another",
            RETRY_AFTER_S,
        ),
    };
    match reply.persistence() {
        Persistence::Close => {
            answer_and_drain(stream, &answer).await;
            false
        }
        Persistence::KeepAlive => {
            let sent = answer::send(stream, &answer).await;
            sent.inspect_err(|error| debug!(%error, "the refusal did not arrive"))
                .is_ok()
        }
    }
}

/// Answers a client that may still be sending, and reads on for a moment: closed with unread bytes, the connection would
/// be reset by the system, and the answer be lost on the way.
pub async fn answer_and_drain(stream: &mut DoorStream, answer: &[u8]) {
    let sent = answer::send(stream, answer).await;
    stream.end_request(); // its time does not include how long the client lingers
    if sent.is_err() || answer::end(stream).await.is_err() {
        return;
    }
    let drain = async {
        let mut waste = [0; 4_096];
        while matches!(stream.read(&mut waste).await, Ok(1..)) {}
    };
    if timeout(DRAIN_LIMIT, drain).await.is_err() {
        debug!("still sending after its refusal");
    }
}
