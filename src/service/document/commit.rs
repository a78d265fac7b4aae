//! Edits on their way to the disk: each is answered once it is saved, by this node or by a peer.
//!
//! An edit is made on a copy of the document, the copy is saved, and only then is the edit applied and pushed to the
//! peers: an edit that is refused leaves no trace. All edits that wait at one moment share one save.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

use super::{Documents, Inner};
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::document::Document;
use crate::model::node::NodeName;
use crate::model::record::Record;
use crate::model::record::key::RecordKey;
use crate::wire::frame::{Denial, Frame};

/// The most edits that wait for the disk: more than people and scripts make during one save. Others wait for a place.
pub(super) const QUEUE: usize = 256;
/// How long an edit waits for an answer: a healthy disk needs milliseconds, and a client waits for 30 s in all.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Records by key.
pub(super) type Records = BTreeMap<RecordKey, Record>;

/// Why an edit is not known to be saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsaved {
    /// The node cannot write, and no other node has saved the change. Nothing was changed.
    #[error(
        "nothing was changed: {0} on this node, and no other node has saved it; make room, or ask another node"
    )]
    Disk(String),
    /// The node cannot write, and a peer that was asked has not answered in time.
    #[error(
        "{0} on this node, and no other node has confirmed in time that it saved this: it may still take effect, so look before you try again"
    )]
    Doubtful(String),
    /// The disk has not answered in time.
    #[error(
        "not confirmed by the disk within {} s: it may still take effect, so look before you try again",
        ANSWER_WITHIN.as_secs()
    )]
    Late,
    /// The clock of this node is wrong, and so are its stamps.
    #[error("nothing was changed: {0}, or ask another node")]
    Clock(String),
    /// The node stops.
    #[error("nothing was changed: this node stops; ask another one")]
    Stopping,
}

/// The origin of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EditOrigin {
    /// A client of this node: a peer may save it instead.
    Client,
    /// A peer whose disk fails: it relies on this disk.
    Peer,
    /// The node itself, which saves the document as it is.
    Node,
}

/// An edit that waits for its turn: it changes a copy of the document. If that is refused, it answers itself; if its
/// client does not wait any more, it does nothing.
pub(super) type Edit = Box<dyn FnOnce(&mut Document, u64) -> Option<Staged> + Send>;

/// An edit that was made on a copy of the document.
pub(super) struct Staged {
    /// The records that were written.
    pub(super) records: Records,
    /// The origin.
    pub(super) origin: EditOrigin,
    /// Sends the answer to the client that waits.
    pub(super) answer: Box<dyn FnOnce(Result<(), Unsaved>) + Send>,
}

impl Inner {
    /// Makes a change in its turn, and returns once it is saved. `change` returns the records that it wrote.
    pub(super) async fn commit<T, E>(
        &self,
        origin: EditOrigin,
        change: impl FnOnce(&mut Document, u64) -> Result<(Records, T), E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unsaved> + Send + 'static,
    {
        if origin == EditOrigin::Client {
            self.check_clock()?;
        }
        let (answer, answered) = oneshot::channel();
        let edit: Edit = Box::new(move |document, now_unix_ms| {
            if answer.is_closed() {
                return None; // its client was told that it is late, so it is not made any more
            }
            match change(document, now_unix_ms) {
                Ok((records, value)) => Some(Staged {
                    records,
                    origin,
                    answer: Box::new(move |kept: Result<(), Unsaved>| {
                        drop(answer.send(kept.map(|()| value).map_err(E::from)));
                    }),
                }),
                Err(error) => {
                    drop(answer.send(Err(error)));
                    None
                }
            }
        });
        let kept = async {
            let stopping = || E::from(Unsaved::Stopping);
            self.edits.send(edit).await.map_err(|_| stopping())?;
            answered.await.map_err(|_| stopping())?
        };
        let kept = timeout(ANSWER_WITHIN, kept).await;
        kept.unwrap_or_else(|_| Err(Unsaved::Late.into()))
    }
}

impl Documents {
    /// Saves records for a peer whose disk fails, and confirms it.
    pub async fn save_for(&self, from: &NodeName, first: Records, mut exchange: Exchange) {
        let kept = self.save_all(first, &mut exchange).await;
        let reply = match kept {
            Ok(()) => Frame::Done,
            Err(error) => {
                debug!(%from, %error, "not saved for a peer");
                Frame::Denied(Denial::NotHere)
            }
        };
        if let Err(error) = exchange.send(&reply).await {
            debug!(%from, %error, "the answer did not arrive");
        }
        exchange.finish();
    }

    async fn save_all(
        &self,
        first: Records,
        exchange: &mut Exchange,
    ) -> Result<(), SaveForPeerError> {
        let mut bundles = vec![first];
        while let Some(frame) = exchange.receive().await? {
            match frame {
                Frame::Records(records) if bundles.len() < QUEUE => bundles.push(records),
                _ => return Err(ExchangeError::Unexpected.into()),
            }
        }
        let take = move |document: &mut Document, now_unix_ms| {
            let mut changed = Records::new();
            for records in bundles {
                let outcome = document.apply(records, now_unix_ms);
                if let Some(refusal) = outcome.refused.into_iter().next() {
                    return Err(SaveForPeerError::Refused(refusal.to_string()));
                }
                let written = document.bundles(&outcome.changed, usize::MAX);
                changed.extend(written.into_iter().flatten());
            }
            Ok((changed, ()))
        };
        self.0.commit(EditOrigin::Peer, take).await
    }
}

/// Why records are not saved for a peer.
#[derive(Debug, thiserror::Error)]
enum SaveForPeerError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Unsaved(#[from] Unsaved),
}
