//! Edits on their way to the disk: each is answered once it is kept, here or by a peer.
//!
//! An edit is made on a copy of the document, the copy is saved, and only then do this node and its peers hear
//! of it: an edit that is refused leaves no trace. All edits that wait at one moment share one save.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

use super::{Documents, Inner};
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::document::{Document, EditError};
use crate::model::node::NodeName;
use crate::model::record::Record;
use crate::model::record::key::RecordKey;
use crate::wire::frame::{Denial, Frame};

/// Edits that may wait for the disk: more than people and scripts make during one save. Others wait in line.
pub(super) const QUEUE: usize = 256;
/// How long an edit waits for an answer: a healthy disk needs milliseconds, and a client waits for 30 s in all.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Records by key.
pub(super) type Records = BTreeMap<RecordKey, Record>;

/// Why an edit is not known to be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsaved {
    /// This node cannot write and no other was there to do it. Nothing was changed.
    #[error(
        "nothing was changed: {0} on this node, and no other node has saved it; make room, or ask another node"
    )]
    Disk(String),
    /// This node cannot write, and a peer that was asked to has not answered in time.
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
    /// The clock of this node is wrong, so its stamps are.
    #[error("nothing was changed: {0}, or ask another node")]
    Clock(String),
    /// The node stops.
    #[error("nothing was changed: this node stops; ask another one")]
    Stopping,
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The document does not take it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// It could not be kept.
    #[error(transparent)]
    Unsaved(#[from] Unsaved),
}

/// Who wants an edit kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EditOrigin {
    /// Somebody who asked this node: a peer may keep it instead.
    Here,
    /// A peer whose own disk fails: it counts on this disk.
    Peer,
    /// The node itself, which saves what it has.
    Node,
}

/// An edit that waits for its turn: makes the change on a copy of the document, and answers by itself if that is
/// refused or nobody waits any more.
pub(super) type Edit = Box<dyn FnOnce(&mut Document, u64) -> Option<Staged> + Send>;

/// An edit that was made on a copy of the document.
pub(super) struct Staged {
    /// What it wrote.
    pub(super) records: Records,
    /// Who wants it kept.
    pub(super) origin: EditOrigin,
    /// Answers who waits.
    pub(super) answer: Box<dyn FnOnce(Result<(), Unsaved>) + Send>,
}

impl Inner {
    /// Makes a change in its turn, and returns once it is kept. `change` returns what it wrote.
    pub(super) async fn commit<T, E>(
        &self,
        origin: EditOrigin,
        change: impl FnOnce(&mut Document, u64) -> Result<(Records, T), E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unsaved> + Send + 'static,
    {
        if origin == EditOrigin::Here {
            self.check_clock()?;
        }
        let (answer, answered) = oneshot::channel();
        let edit: Edit = Box::new(move |document, now_unix_ms| {
            if answer.is_closed() {
                return None; // it was told that it is late, so it has still time to be no edit at all
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

    /// Writes fields of a record, if `allowed` says so of the document as it is in this edit's turn.
    pub(super) async fn edit<E>(
        &self,
        key: RecordKey,
        fields: BTreeMap<String, crate::model::record::Value>,
        allowed: impl FnOnce(&Document) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E>
    where
        E: From<Unsaved> + From<EditError> + Send + 'static,
    {
        self.commit(EditOrigin::Here, move |document, now_unix_ms| {
            allowed(document)?;
            let record = document.edit(&key, fields, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), ()))
        })
        .await
    }

    /// Writes fields of a record that nobody has written yet.
    pub(super) async fn found(
        &self,
        key: RecordKey,
        fields: BTreeMap<String, crate::model::record::Value>,
    ) -> Result<(), ChangeError> {
        self.commit(EditOrigin::Here, move |document, now_unix_ms| {
            let record = document.found(&key, fields, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), ()))
        })
        .await
    }

    /// Deletes a record.
    pub(super) async fn delete(&self, key: RecordKey) -> Result<(), ChangeError> {
        self.commit(EditOrigin::Here, move |document, now_unix_ms| {
            let record = document.delete(&key, now_unix_ms)?;
            Ok((BTreeMap::from([(key, record)]), ()))
        })
        .await
    }
}

impl Documents {
    /// Keeps records for a peer whose own disk fails, and says so once they are on this one.
    pub async fn keep_for(&self, from: &NodeName, first: Records, mut exchange: Exchange) {
        let kept = self.keep_all(first, &mut exchange).await;
        let reply = match kept {
            Ok(()) => Frame::Done,
            Err(error) => {
                debug!(%from, %error, "not kept for a peer");
                Frame::Denied(Denial::NotHere)
            }
        };
        if let Err(error) = exchange.send(&reply).await {
            debug!(%from, %error, "the answer did not arrive");
        }
        exchange.finish();
    }

    async fn keep_all(&self, first: Records, exchange: &mut Exchange) -> Result<(), KeepError> {
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
                    return Err(KeepError::Refused(refusal.to_string()));
                }
                let written = document.bundles(&outcome.changed, usize::MAX);
                changed.extend(written.into_iter().flatten());
            }
            Ok((changed, ()))
        };
        self.0.commit(EditOrigin::Peer, take).await
    }
}

/// Why records are not kept for a peer.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Unsaved(#[from] Unsaved),
}
