//! Keeps the document on disk and its digest in gossip, each time it has changed.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Inner;
use crate::io::clock;
use crate::logic::document::saved::SAVE_AT_LEAST;
use crate::wire::gossip;

/// The file's name in the data directory.
pub const DOCUMENT_FILE: &str = "document";
/// How long to wait after a failed save: a full disk is not emptied sooner.
const RETRY: Duration = Duration::from_secs(10);

/// How often old deletions are looked for: while some nodes have forgotten one and others have not, their
/// digests differ.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saving {
    Done,
    Failed,
}

pub(super) async fn run(inner: Arc<Inner>, cancel: CancellationToken) {
    let mut last = Saving::Done;
    let mut save_at = Instant::now() + SAVE_AT_LEAST;
    let mut prunes = interval(PRUNE_INTERVAL);
    prunes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = inner.changed.notified() => {}
            () = sleep_until(save_at) => {}
            _ = prunes.tick() => {
                let forgotten = inner.lock().prune(clock::unix_ms());
                if forgotten == 0 {
                    continue;
                }
                info!(forgotten, "old deletions forgotten");
            }
        }
        let digest = inner.lock().digest().to_string();
        let said = inner.gossip.set(gossip::DOCUMENT, &digest).await;
        said.expect("a digest is far shorter than a gossiped value may be");
        let before = std::mem::replace(&mut last, write(&inner).await);
        if before == Saving::Failed && last == Saving::Done {
            info!("the document is saved again");
        }
        save_at = Instant::now()
            + match last {
                Saving::Done => SAVE_AT_LEAST,
                Saving::Failed => RETRY,
            };
    }
}

/// Saves once, whatever has changed.
pub(super) async fn save(inner: &Arc<Inner>) {
    write(inner).await;
}

async fn write(inner: &Arc<Inner>) -> Saving {
    let inner = inner.clone();
    let written = spawn_blocking(move || {
        // It guards nothing but the order, which a panic does not change.
        let _in_order = inner.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = inner.lock().saved(clock::unix_ms());
        let bytes = serde_json::to_vec_pretty(&saved).expect("a document has text keys");
        inner.data_dir.save(DOCUMENT_FILE, &bytes)
    });
    match written.await {
        Ok(Ok(())) => Saving::Done,
        Ok(Err(error)) => {
            error!(%error, "the document is not saved; the node goes on and tries again");
            Saving::Failed
        }
        Err(panic) => {
            error!(%panic, "the document could not be written down");
            Saving::Failed
        }
    }
}
