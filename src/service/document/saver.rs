//! Keeps the document on disk and its digest in gossip: each edit before it is answered, each change from peers soon.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Inner;
use super::commit::{Edit, EditOrigin, QUEUE, Records, Staged, Unsaved};
use crate::io::clock;
use crate::io::link::{ExchangeError, Links};
use crate::logic::document::saved::{SAVE_AT_LEAST, Saved};
use crate::model::node::NodeName;
use crate::wire::frame::Frame;
use crate::wire::gossip;

/// The file's name in the data directory.
pub const DOCUMENT_FILE: &str = "document";
/// How long to wait after a failed save: a full disk is not emptied sooner, and nobody waits for long once it is.
const RETRY: Duration = Duration::from_secs(5);
/// How long a save may take before peers are asked to keep what it has: a healthy disk needs a tenth of it.
const SLOW_DISK: Duration = Duration::from_secs(1);
/// How long peers have to say that they have saved something: a round trip and a save of theirs that is slow.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(3);
/// How many peers are asked to keep what this disk does not: one is enough, and one or two may be dying.
const ASKED_PEERS: usize = 3;

/// How often old deletions are looked for: while some nodes have forgotten one and others have not, their
/// digests differ.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saving {
    Done,
    Failed,
}

/// What peers said when they were asked to keep records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// One of them has saved them.
    Yes,
    /// None of them has them.
    No,
    /// One may have them: it was asked, and has not answered.
    Perhaps,
}

pub(super) async fn run(
    inner: Arc<Inner>,
    mut edits: mpsc::Receiver<Edit>,
    cancel: CancellationToken,
) {
    let mut trouble = inner.data_dir.watch_trouble();
    let mut save_at = Instant::now()
        + match inner.data_dir.trouble() {
            None => SAVE_AT_LEAST,
            Some(_) => RETRY,
        };
    let mut prunes = interval(PRUNE_INTERVAL);
    prunes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            () = cancel.cancelled() => return,
            Some(edit) = edits.recv() => Some(edit),
            () = inner.changed.notified() => None,
            () = sleep_until(save_at) => None,
            Ok(()) = trouble.changed() => {
                tell_trouble(&inner).await;
                save_at = save_at.min(Instant::now() + RETRY);
                continue;
            }
            _ = prunes.tick() => {
                let forgotten = match inner.knows_the_time() {
                    true => inner.lock().prune(inner.now_ms()),
                    false => 0,
                };
                if forgotten == 0 {
                    continue;
                }
                info!(forgotten, "old deletions forgotten");
                None
            }
        };
        tell_digest(&inner).await;
        let mut batch: Vec<Edit> = first.into_iter().collect();
        while batch.len() < QUEUE
            && let Ok(edit) = edits.try_recv()
        {
            batch.push(edit);
        }
        let saved = match batch.is_empty() {
            true => {
                let saved = inner.lock().saved(clock::unix_ms());
                write(&inner, saved).await
            }
            false => keep(&inner, batch).await,
        };
        tell_digest(&inner).await;
        save_at = Instant::now()
            + match saved {
                Saving::Done => SAVE_AT_LEAST,
                Saving::Failed => RETRY,
            };
    }
}

async fn tell_digest(inner: &Inner) {
    let digest = inner.lock().digest().to_string();
    let said = inner.gossip.set(gossip::DOCUMENT, &digest).await;
    said.expect("a digest is far shorter than a gossiped value may be");
}

/// Says to everybody whether this node can write.
async fn tell_trouble(inner: &Inner) {
    match inner.data_dir.trouble() {
        Some(why) => {
            let why = gossip::short_title(&why);
            let said = inner.gossip.set(gossip::DISK, &why).await;
            said.expect("a shortened text is shorter than a gossiped value may be");
        }
        None => inner.gossip.delete(gossip::DISK).await,
    }
}

/// Makes edits on a copy of the document, saves it, and answers: once it is on this disk, or once a peer has said
/// that what was written is on its own.
async fn keep(inner: &Arc<Inner>, batch: Vec<Edit>) -> Saving {
    let now = clock::unix_ms();
    let mut copy = inner.lock().clone();
    let edits = batch.into_iter();
    let staged: Vec<Staged> = edits.filter_map(|edit| edit(&mut copy, now)).collect();
    let mut writing = pin!(write(inner, copy.saved(now)));
    let quick = tokio::select! {
        saved = &mut writing => Some(saved),
        () = sleep(SLOW_DISK) => None,
    };
    if quick == Some(Saving::Done) {
        settle(inner, staged, &Ok(()));
        return Saving::Done;
    }
    let here = staged.iter().filter(|it| it.origin == EditOrigin::Here);
    let wanted: Vec<Records> = here.map(|it| it.records.clone()).collect();
    let asking = ask_peers(inner, wanted);
    match quick {
        Some(_) => {
            let kept = asking.await;
            judge(inner, staged, kept);
            Saving::Failed
        }
        None => {
            tokio::select! {
                saved = &mut writing => {
                    match saved {
                        Saving::Done => settle(inner, staged, &Ok(())),
                        Saving::Failed => judge(inner, staged, Kept::Perhaps),
                    }
                    saved
                }
                Kept::Yes = asking => {
                    judge(inner, staged, Kept::Yes);
                    writing.await
                }
            }
        }
    }
}

/// What becomes of edits that are not on this disk.
fn judge(inner: &Inner, staged: Vec<Staged>, kept: Kept) {
    let trouble = inner.data_dir.trouble();
    let why = trouble.unwrap_or_else(|| "the disk does not answer".to_owned());
    let (here, for_peers): (Vec<Staged>, Vec<Staged>) = staged
        .into_iter()
        .partition(|it| it.origin == EditOrigin::Here);
    let refused = Err(Unsaved::Disk(why.clone()));
    settle(inner, for_peers, &refused);
    match kept {
        Kept::Yes => settle(inner, here, &Ok(())),
        Kept::No => settle(inner, here, &refused),
        Kept::Perhaps => settle(inner, here, &Err(Unsaved::Doubtful(why))),
    }
}

/// Makes what is kept known here and to the peers, and answers those who wait.
fn settle(inner: &Inner, staged: Vec<Staged>, kept: &Result<(), Unsaved>) {
    if kept.is_ok() {
        for it in &staged {
            let outcome = inner.lock().adopt(it.records.clone());
            for refusal in &outcome.refused {
                warn!(%refusal, "an edit was saved and finds no room any more");
            }
            if it.origin == EditOrigin::Here && !it.records.is_empty() {
                inner.links.send_to_all(&Frame::Records(it.records.clone()));
            }
        }
        inner.announce();
    }
    for it in staged {
        (it.answer)(kept.clone());
    }
}

/// Asks some peers to save records, and returns as soon as one has.
async fn ask_peers(inner: &Inner, wanted: Vec<Records>) -> Kept {
    let wanted: Vec<Frame> = wanted
        .into_iter()
        .filter(|records| !records.is_empty())
        .map(Frame::Records)
        .collect();
    if wanted.is_empty() {
        return Kept::Yes;
    }
    let wanted = Arc::new(wanted);
    let view = inner.cluster.view();
    let peers = view.nodes.iter();
    let peers = peers.filter(|(name, it)| **name != view.me && it.is_up() && it.disk.is_none());
    let mut asked = JoinSet::new();
    for (name, _) in peers.take(ASKED_PEERS) {
        let (links, name, wanted) = (inner.links.clone(), name.clone(), wanted.clone());
        asked.spawn(async move {
            let asking = ask_peer(&links, &name, &wanted);
            let kept = timeout(ACKNOWLEDGED_WITHIN, asking).await;
            debug!(peer = %name, ?kept, "asked to keep an edit");
            match kept {
                Ok(Ok(kept)) => kept,
                Ok(Err(ExchangeError::NoLink)) => Kept::No,
                Ok(Err(_)) | Err(_) => Kept::Perhaps,
            }
        });
    }
    let mut outcome = Kept::No;
    while let Some(kept) = asked.join_next().await {
        match kept {
            Ok(Kept::Yes) => return Kept::Yes,
            Ok(Kept::No) => {}
            Ok(Kept::Perhaps) | Err(_) => outcome = Kept::Perhaps,
        }
    }
    outcome
}

async fn ask_peer(links: &Links, peer: &NodeName, wanted: &[Frame]) -> Result<Kept, ExchangeError> {
    let [first, more @ ..] = wanted else {
        return Ok(Kept::Yes);
    };
    let mut exchange = links.open(peer, first).await?;
    for frame in more {
        exchange.send(frame).await?;
    }
    exchange.finish();
    match exchange.receive().await? {
        Some(Frame::Done) => Ok(Kept::Yes),
        Some(Frame::Denied(_)) => Ok(Kept::No),
        _ => Err(ExchangeError::Unexpected),
    }
}

async fn write(inner: &Arc<Inner>, saved: Saved) -> Saving {
    let had_trouble = inner.data_dir.trouble().is_some();
    let data_dir = inner.data_dir.clone();
    let written = spawn_blocking(move || {
        let bytes = serde_json::to_vec_pretty(&saved).expect("a document has text keys");
        data_dir.save(DOCUMENT_FILE, &bytes)
    });
    match written.await {
        Ok(Ok(())) => {
            if had_trouble {
                info!("the document is saved again");
            }
            Saving::Done
        }
        Ok(Err(error)) => {
            match had_trouble {
                false => {
                    error!(%error, "the document is not saved; the node goes on and tries again");
                }
                // It was said, and is tried every few seconds; a log of it would fill the next disk.
                true => debug!(%error, "the document is still not saved"),
            }
            Saving::Failed
        }
        Err(panic) => {
            error!(%panic, "the document could not be written down");
            Saving::Failed
        }
    }
}
