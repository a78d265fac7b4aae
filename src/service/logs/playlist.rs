//! Notes each title that comes on air on a mount whose source is connected to this node, so that the logs of all nodes together
//! have each one once.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep_until;

use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::logs::{LogEntry, LogQueue};
use crate::media::ring::Title;
use crate::model::access_log::TitleEntry;
use crate::model::mount::MountName;
use crate::service::mesh::Mesh;
use crate::service::streams::Streams;
use crate::wire::gossip::Origin;

/// How often titles are looked for: a log tells seconds. A ring keeps its last 64 titles, so that none is missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A stream of a source here, and the last of its titles that was noted.
#[derive(Debug)]
struct NotedStream {
    feed: Feed,
    last: Option<Title>,
}

impl NotedStream {
    fn new(feed: Feed) -> Self {
        Self { feed, last: None }
    }

    /// The titles that are new since this was asked last, but not that nothing is on air.
    fn new_titles(&mut self) -> Vec<Title> {
        // One title can take another's place at the same byte, while the source sends nothing.
        let from = self.last.as_ref().map_or(0, |last| last.offset);
        let mut titles = self.feed.title_changes_between(from, u64::MAX);
        titles.retain(|title| self.last.as_ref() != Some(title));
        if let Some(last) = titles.last() {
            self.last = Some(last.clone());
        }
        titles.retain(|title| !title.info.text.is_empty());
        titles
    }
}

/// Looks for titles until it is dropped.
pub(super) async fn run(queue: LogQueue, streams: Streams, mesh: Mesh) {
    let mut heard: BTreeMap<MountName, NotedStream> = BTreeMap::new();
    loop {
        sleep_until(clock::next_beat(LOOK_EVERY).into()).await;
        let mut before = std::mem::take(&mut heard);
        for (mount, held) in streams.all() {
            if held.origin != Origin::Source {
                continue;
            }
            let same = before
                .remove(&mount)
                .filter(|it| it.feed.is_same(&held.feed));
            heard.insert(mount, same.unwrap_or_else(|| NotedStream::new(held.feed)));
        }
        // What has ended since may have had a last title.
        let ended = before.iter_mut();
        for (mount, it) in ended.chain(&mut heard) {
            note(&queue, &mesh, mount, it.new_titles());
        }
    }
}

fn note(queue: &LogQueue, mesh: &Mesh, mount: &MountName, titles: Vec<Title>) {
    if titles.is_empty() || !queue.has_playlist() {
        return;
    }
    let view = mesh.cluster.view();
    let listeners = view.listeners(mount).map(|(_, here)| here).sum();
    for title in titles {
        queue.note(LogEntry::Playlist(TitleEntry {
            unix_s: clock::unix_s(),
            mount: mount.clone(),
            listeners,
            title: (*title.info).clone(),
        }));
    }
}
