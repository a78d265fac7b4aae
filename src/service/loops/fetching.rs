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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::io::link::{Inbox, LinkConfig, Links};
    use crate::io::tasks::Tasks;
    use crate::io::tls::ClusterSecret;
    use crate::proto::view::MeshNode;
    use crate::service::mesh::samples::SampleMesh;
    use crate::service::streams::Streams;
    use crate::wire::frame::Hello;
    use crate::wire::gossip::FileCard;

    /// A node that answers each question for a file with these parts.
    struct Giver {
        name: NodeName,
        _links: Links,
    }

    impl Giver {
        async fn link(sample: &SampleMesh, name: &str, parts: Vec<&'static [u8]>) -> Self {
            let config = LinkConfig {
                hello: Hello::sample(name),
                listen: "127.0.0.1:0".parse().unwrap(),
                secret: ClusterSecret::parse(&"1".repeat(64)).unwrap(),
                tasks: Tasks::default(),
            };
            let (links, Inbox { mut exchanges, .. }) = Links::start(config).unwrap();
            sample.mesh.links.dial(links.hello().mesh_address);
            let mut peers = sample.mesh.links.peers();
            let name: NodeName = name.parse().unwrap();
            peers.wait_for(|it| it.contains_key(&name)).await.unwrap();
            tokio::spawn(async move {
                while let Some((_, ask, mut exchange)) = exchanges.recv().await {
                    assert!(matches!(ask, Frame::FileAsk(_)), "{ask:?}");
                    for part in &parts {
                        let part = Frame::FilePart(part.to_vec().into());
                        exchange.send(&part).await.unwrap();
                    }
                    exchange.finish();
                }
            });
            Self {
                name,
                _links: links,
            }
        }
    }

    /// Gossip says of these nodes that they can play a file.
    fn hear_of(sample: &SampleMesh, file: &KeptFile, givers: &[&Giver]) {
        sample.view.send_modify(|view| {
            let mut seen = (**view).clone();
            for giver in givers {
                let life = Hello::sample(giver.name.as_str()).generation;
                let mut node = MeshNode::unheard(life, clock::now());
                node.card.reads_files = true;
                let played = PlayedFile::Kept(file.name.clone());
                node.files.insert(played, FileCard::default());
                seen.nodes.insert(giver.name.clone(), node);
            }
            *view = seen.into();
        });
    }

    #[tokio::test]
    async fn other_bytes_than_those_of_the_hash_are_thrown_away() {
        let (sample, folder) = (SampleMesh::start().await, TempDir::new().unwrap());
        let path = folder.path().join("files");
        let loops = Loops::new(sample.mesh.clone(), Streams::default(), path.clone());
        let file = KeptFile {
            name: "loop.mp3".parse().unwrap(),
            sha256: hash_of(b"right bytes"),
            bytes: 11,
            plays_ms: 1_000,
            format: String::new(),
        };
        let liar = Giver::link(&sample, "b", vec![b"wrong bytes"]).await;
        let longer = Giver::link(&sample, "c", vec![b"right bytes", b" and more"]).await;
        let cut_off = Giver::link(&sample, "d", vec![b"right"]).await;
        for giver in [&liar, &longer, &cut_off] {
            let refused = fetch_from(&loops, &giver.name, &file).await;
            let refused = refused.unwrap_err();
            assert!(matches!(refused, NotFetched::OtherBytes), "{refused}");
        }
        hear_of(&sample, &file, &[&liar, &longer, &cut_off]);
        assert!(!fetch(&loops, &file).await, "nobody has the right ones");
        assert!(!path.exists(), "nothing is kept");
        // Whoever of them is asked first, the one that has it is asked, too.
        let honest = Giver::link(&sample, "e", vec![b"right ", b"bytes"]).await;
        hear_of(&sample, &file, &[&liar, &longer, &cut_off, &honest]);
        assert!(fetch(&loops, &file).await);
        let kept = std::fs::read(path.join(file.sha256.to_string()));
        assert_eq!(kept.unwrap(), b"right bytes");
    }
}
