//! Saves the document to disk and gossips its digest: an edit before it is answered, a change from peers soon after.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tracing::{debug, error, info, warn};

use super::Inner;
use super::commit::{Edit, EditOrigin, QUEUE, Records, Staged, Unsaved};
use crate::io::clock;
use crate::io::link::{ExchangeError, Links};
use crate::io::tasks::Tasks;
use crate::logic::document::saved::{SAVE_AGAIN, SAVE_AT_LEAST, Saved};
use crate::model::node::NodeName;
use crate::wire::frame::Frame;
use crate::wire::gossip;

/// The file's name in the data directory.
pub const DOCUMENT_FILE: &str = "document";
/// How long a save may take before peers are asked to save the edits: a healthy disk needs a tenth of it.
const SLOW_DISK: Duration = Duration::from_secs(1);
/// How long a peer has to confirm that it has saved an edit: a round trip and a slow save.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(3);
/// How many peers are asked to save an edit: one is enough, and one or two may be dying.
const ASKED_PEERS: usize = 3;

/// How often expired records are dropped: while only some nodes have dropped one, digests differ.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// The result of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saving {
    Done,
    Failed,
}

/// Whether a peer has saved records for this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SavedByPeer {
    /// One has confirmed it.
    Yes,
    /// All have refused, or were not reached.
    No,
    /// One may have: it was asked, and has not answered.
    Perhaps,
}

pub(super) async fn run(inner: Arc<Inner>, mut edits: mpsc::Receiver<Edit>, tasks: Tasks) {
    let mut trouble = inner.data_dir.watch_trouble();
    let mut save_at = clock::now()
        + match inner.data_dir.trouble() {
            None => SAVE_AT_LEAST,
            Some(_) => SAVE_AGAIN,
        };
    let mut prunes = interval(PRUNE_INTERVAL);
    prunes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            () = tasks.asked_to_end() => return,
            Some(edit) = edits.recv() => Some(edit),
            () = inner.changed.notified() => None,
            () = sleep_until(save_at.into()) => None,
            Ok(()) = trouble.changed() => {
                gossip_trouble(&inner).await;
                save_at = save_at.min(clock::now() + SAVE_AGAIN);
                continue;
            }
            _ = prunes.tick() => {
                let expired = match inner.is_time_certain() {
                    true => inner.lock().prune(inner.now_ms()),
                    false => 0,
                };
                if expired == 0 {
                    continue;
                }
                info!(expired, "old deletions forgotten");
                None
            }
        };
        gossip_digest(&inner).await;
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
            false => save_edits(&inner, batch).await,
        };
        gossip_digest(&inner).await;
        save_at = clock::now()
            + match saved {
                Saving::Done => SAVE_AT_LEAST,
                Saving::Failed => SAVE_AGAIN,
            };
    }
}

async fn gossip_digest(inner: &Inner) {
    let digest = inner.lock().digest().to_string();
    let said = inner.gossip.set(gossip::DOCUMENT, &digest).await;
    said.expect("a digest is far shorter than a gossiped value may be");
}

/// Gossips whether this node can write to its disk.
async fn gossip_trouble(inner: &Inner) {
    match inner.data_dir.trouble() {
        Some(why) => {
            let why = gossip::short_title(&why);
            let said = inner.gossip.set(gossip::DISK, &why).await;
            said.expect("a shortened text is shorter than a gossiped value may be");
        }
        None => inner.gossip.delete(gossip::DISK).await,
    }
}

/// Makes edits on a copy of the document, saves it, and answers once it is on this disk, or once a peer has confirmed
/// that the edits are on its disk.
async fn save_edits(inner: &Arc<Inner>, batch: Vec<Edit>) -> Saving {
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
        complete(inner, staged, &Ok(()));
        return Saving::Done;
    }
    let own = staged.iter().filter(|it| it.origin == EditOrigin::Client);
    let wanted: Vec<Records> = own.map(|it| it.records.clone()).collect();
    let asking = ask_peers(inner, wanted);
    match quick {
        Some(_) => {
            let kept = asking.await;
            answer_unsaved(inner, staged, kept);
            Saving::Failed
        }
        None => {
            tokio::select! {
                saved = &mut writing => {
                    match saved {
                        Saving::Done => complete(inner, staged, &Ok(())),
                        Saving::Failed => answer_unsaved(inner, staged, SavedByPeer::Perhaps),
                    }
                    saved
                }
                SavedByPeer::Yes = asking => {
                    answer_unsaved(inner, staged, SavedByPeer::Yes);
                    writing.await
                }
            }
        }
    }
}

/// Answers edits that are not on this disk.
fn answer_unsaved(inner: &Inner, staged: Vec<Staged>, kept: SavedByPeer) {
    let trouble = inner.data_dir.trouble();
    let why = trouble.unwrap_or_else(|| "the disk does not answer".to_owned());
    let (own, for_peers): (Vec<Staged>, Vec<Staged>) = staged
        .into_iter()
        .partition(|it| it.origin == EditOrigin::Client);
    let refused = Err(Unsaved::Disk(why.clone()));
    complete(inner, for_peers, &refused);
    match kept {
        SavedByPeer::Yes => complete(inner, own, &Ok(())),
        SavedByPeer::No => complete(inner, own, &refused),
        SavedByPeer::Perhaps => complete(inner, own, &Err(Unsaved::Doubtful(why))),
    }
}

/// Applies saved edits and pushes them to the peers, and answers the clients that wait.
fn complete(inner: &Inner, staged: Vec<Staged>, kept: &Result<(), Unsaved>) {
    if kept.is_ok() {
        for it in &staged {
            let outcome = inner.lock().adopt(it.records.clone());
            for refusal in &outcome.refused {
                warn!(%refusal, "an edit was saved but there is no room for it any more");
            }
            if it.origin == EditOrigin::Client && !it.records.is_empty() {
                inner.links.send_to_all(&Frame::Records(it.records.clone()));
            }
        }
        inner.publish();
    }
    for it in staged {
        (it.answer)(kept.clone());
    }
}

/// Asks some peers to save records, and returns as soon as one has confirmed it.
async fn ask_peers(inner: &Inner, wanted: Vec<Records>) -> SavedByPeer {
    let wanted: Vec<Frame> = wanted
        .into_iter()
        .filter(|records| !records.is_empty())
        .map(Frame::Records)
        .collect();
    if wanted.is_empty() {
        return SavedByPeer::Yes;
    }
    let wanted = Arc::new(wanted);
    let view = inner.cluster.view();
    let peers = view.nodes.iter();
    let peers = peers.filter(|(name, it)| **name != view.me && it.can_save());
    let mut asked = JoinSet::new();
    for (name, _) in peers.take(ASKED_PEERS) {
        let (links, name, wanted) = (inner.links.clone(), name.clone(), wanted.clone());
        asked.spawn(async move {
            let asking = ask_peer(&links, &name, &wanted);
            let kept = timeout(ACKNOWLEDGED_WITHIN, asking).await;
            debug!(peer = %name, ?kept, "asked to keep an edit");
            match kept {
                Ok(Ok(kept)) => kept,
                Ok(Err(ExchangeError::NoLink)) => SavedByPeer::No,
                Ok(Err(_)) | Err(_) => SavedByPeer::Perhaps,
            }
        });
    }
    let mut outcome = SavedByPeer::No;
    while let Some(kept) = asked.join_next().await {
        match kept {
            Ok(SavedByPeer::Yes) => return SavedByPeer::Yes,
            Ok(SavedByPeer::No) => {}
            Ok(SavedByPeer::Perhaps) | Err(_) => outcome = SavedByPeer::Perhaps,
        }
    }
    outcome
}

async fn ask_peer(
    links: &Links,
    peer: &NodeName,
    wanted: &[Frame],
) -> Result<SavedByPeer, ExchangeError> {
    let [first, more @ ..] = wanted else {
        return Ok(SavedByPeer::Yes);
    };
    let mut exchange = links.open(peer, first).await?;
    for frame in more {
        exchange.send(frame).await?;
    }
    exchange.finish();
    match exchange.receive().await? {
        Some(Frame::Done) => Ok(SavedByPeer::Yes),
        Some(Frame::Denied(_)) => Ok(SavedByPeer::No),
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
                // Logged once: it is tried every few seconds, and the log may be on the same disk.
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
