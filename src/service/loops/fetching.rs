//! The bytes of kept files go from node to node: each fetches what it lacks from a peer that has it.
//!
//! One file at a time, in parts, behind all else that a link carries. Bytes with another hash than was asked for are thrown
//! away, and another peer is asked.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::Loops;
use super::file::{Place, hash_of};
use crate::io::clock;
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::backoff::Backoff;
use crate::model::file_name::PlayedFile;
use crate::model::kept_file::KeptFile;
use crate::model::node::NodeName;
use crate::proto::view::FrameSupport;
use crate::wire::frame::{Denial, Frame, MAX_FILE_PART_BYTES};

/// The wait after a round in which no peer had a file, and the longest one. A peer that gets it tells by gossip.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// How long a peer may take for one part: 64 KiB at 64 kbit/s.
const PART_TIMEOUT: Duration = Duration::from_secs(8);
/// How many files are read for peers at once: each takes up to 16 MiB.
pub(super) const SERVED_AT_ONCE: usize = 2;

/// Why a peer did not give a file.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("it has not got the file")]
    Denied,
    #[error("it sends nothing")]
    Silent,
    #[error("it has sent other bytes")]
    OtherBytes,
    #[error("the disk does not take it: {0}")]
    Disk(String),
}

/// Fetches what is missing. Runs until the node stops.
pub(super) async fn run(loops: Loops) {
    let mut backoff = Backoff::new(WAITS[0], WAITS[1]);
    loop {
        let missing = loops
            .0
            .missing
            .lock()
            .first_key_value()
            .map(|(_, file)| file.clone());
        let wait = match missing {
            None => None,
            Some(file) => match fetch(&loops, &file).await {
                true => {
                    backoff.succeed();
                    loops.0.missing.lock().remove(&file.name);
                    loops.0.changed.notify_one();
                    continue;
                }
                false => Some(backoff.fail(clock::random_share())),
            },
        };
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => loops.0.lacks.notified().await,
        }
    }
}

/// Asks the peers that have a file, one after the other, and says whether it is here then.
async fn fetch(loops: &Loops, file: &KeptFile) -> bool {
    let mesh = &loops.0.mesh;
    let view = mesh.cluster.view();
    let played = PlayedFile::Kept(file.name.clone());
    let has_it = |name: &NodeName| {
        let card = view
            .nodes
            .get(name)
            .and_then(|node| node.files.get(&played));
        card.is_some_and(|card| card.trouble.is_none())
    };
    let up = view.nodes.iter().filter(|(_, node)| node.is_up());
    let mut peers: Vec<NodeName> = up.map(|(name, _)| name.clone()).collect();
    peers.retain(|name| *name != view.me && has_it(name));
    // Not all nodes ask the same one first.
    let first = (clock::random_share() * peers.len() as f64) as usize;
    let first = first.min(peers.len().saturating_sub(1));
    peers.rotate_left(first);
    for peer in peers {
        if mesh.frame_support(&peer, |card| card.reads_files).await != FrameSupport::Reads {
            continue;
        }
        match fetch_from(loops, &peer, file).await {
            Ok(()) => {
                info!(file = %file.name, from = %peer, "file fetched");
                return true;
            }
            Err(why @ NotFetched::OtherBytes) => {
                warn!(file = %file.name, from = %peer, %why, "file not fetched: thrown away");
            }
            Err(why) => debug!(file = %file.name, from = %peer, %why, "file not fetched"),
        }
    }
    false
}

async fn fetch_from(loops: &Loops, peer: &NodeName, file: &KeptFile) -> Result<(), NotFetched> {
    let ask = Frame::FileAsk(file.sha256);
    let mut exchange = loops.0.mesh.links.open(peer, &ask).await?;
    exchange.finish();
    let most = file.bytes as usize;
    let mut bytes = Vec::new();
    loop {
        let part = timeout(PART_TIMEOUT, exchange.receive()).await;
        match part.map_err(|_| NotFetched::Silent)?? {
            Some(Frame::FilePart(part)) if bytes.len() + part.len() <= most => {
                bytes.extend_from_slice(&part);
            }
            Some(Frame::FilePart(_)) => return Err(NotFetched::OtherBytes),
            Some(Frame::Denied(_)) => return Err(NotFetched::Denied),
            Some(_) => return Err(ExchangeError::Unexpected.into()),
            None => break,
        }
    }
    let (shelf, hash) = (loops.0.shelf.clone(), file.sha256);
    let keeping = move || match hash_of(&bytes) == hash {
        true => shelf
            .keep(&hash, &bytes)
            .map_err(|error| NotFetched::Disk(error.to_string())),
        false => Err(NotFetched::OtherBytes),
    };
    let kept = loops.0.mesh.tasks.spawn_blocking(keeping).await;
    kept.unwrap_or_else(|error| Err(NotFetched::Disk(error.to_string())))
}

/// Sends a peer the bytes of a file that the document names.
pub(super) async fn serve(
    loops: &Loops,
    place: Option<Place>,
    exchange: &mut Exchange,
    turns: &Semaphore,
) {
    let denied = Frame::Denied(Denial::NotHere);
    let (Some(place), Ok(_turn)) = (place, turns.try_acquire()) else {
        let _unheard = exchange.send(&denied).await;
        return exchange.finish();
    };
    let read = loops
        .0
        .mesh
        .tasks
        .spawn_blocking(move || place.bytes())
        .await;
    let Ok(Ok(bytes)) = read else {
        loops.0.changed.notify_one();
        let _unheard = exchange.send(&denied).await;
        return exchange.finish();
    };
    exchange.yield_to_others();
    for part in bytes.chunks(MAX_FILE_PART_BYTES) {
        if let Err(error) = exchange.send(&Frame::FilePart(part.to_vec().into())).await {
            return debug!(%error, "a file is not taken to its end");
        }
    }
    exchange.finish();
}
