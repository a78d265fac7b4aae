//! Files that listeners hear when nothing better flows, played again and again.
//!
//! Where a loop is follows from the wall clock alone, so all nodes play the same second of it, and no node asks another. A file
//! that is missing or damaged is told, and harms nothing but its own rung.

mod file;
mod playing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use tracing::{Instrument as _, info_span, warn};

use self::file::{ReadFile, UnreadFile};
use super::mesh::Mesh;
use super::streams::{FileFacts, FileLack, Streams};
use crate::io::file_stamp::FileStamp;
use crate::model::file_name::{FilePath, PlayedFile};

/// How often files are looked at that each node has at a path: somebody may have changed them.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The most files that mounts may name: each is looked at again and again.
const MAX_PATHS: usize = 64;

/// A cheap, cloneable handle to the files that are played.
#[derive(Clone, Debug)]
pub struct Loops(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    mesh: Mesh,
    streams: Streams,
    /// The files whose loops have begun, or are about to.
    begun: Mutex<BTreeSet<PlayedFile>>,
    seen: Mutex<BTreeMap<FilePath, Seen>>,
}

/// A file as it was when it was read last.
#[derive(Clone, Debug)]
struct Seen {
    stamp: Option<FileStamp>,
    facts: Result<FileFacts, UnreadFile>,
}

impl Loops {
    /// The files that the mounts of this mesh name, none of them looked at yet.
    pub fn new(mesh: Mesh, streams: Streams) -> Self {
        Self(Arc::new(Inner {
            mesh,
            streams,
            begun: Mutex::default(),
            seen: Mutex::default(),
        }))
    }

    /// Keeps what is known of the files up to date. Runs until the node stops.
    pub async fn run(self) {
        let mut mounts = self.0.mesh.documents.watch_mounts();
        loop {
            mounts.mark_unchanged();
            let named = self.named();
            let found = self.look_at(&named).await;
            self.0.streams.set_files(found);
            tokio::select! {
                () = self.0.mesh.tasks.asked_to_end() => return,
                changed = mounts.changed() => if changed.is_err() { return },
                () = sleep(LOOK_EVERY), if !named.is_empty() => {}
            }
        }
    }

    /// The files that mounts name.
    fn named(&self) -> BTreeSet<PlayedFile> {
        let mounts = self.0.mesh.documents.mounts();
        let files = mounts.values().flat_map(|spec| spec.fallback.files());
        files.cloned().collect()
    }

    /// What there is to know of these files.
    async fn look_at(
        &self,
        named: &BTreeSet<PlayedFile>,
    ) -> BTreeMap<PlayedFile, Result<FileFacts, FileLack>> {
        let mut paths = 0;
        let mut found = BTreeMap::new();
        for played in named {
            let facts = match played {
                PlayedFile::Path(_) if paths == MAX_PATHS => Err(FileLack {
                    why: format!("mounts name more than {MAX_PATHS} files by their paths"),
                    is_coming: false,
                }),
                PlayedFile::Path(path) => {
                    paths += 1;
                    self.look_at_path(path).await
                }
                PlayedFile::Kept(_) => continue,
            };
            found.insert(played.clone(), facts);
        }
        let is_named = |path: &FilePath| named.contains(&PlayedFile::Path(path.clone()));
        self.0.seen.lock().retain(|path, _| is_named(path));
        found
    }

    async fn look_at_path(&self, path: &FilePath) -> Result<FileFacts, FileLack> {
        let before = self.0.seen.lock().get(path).cloned();
        let looking = {
            let (path, before) = (path.clone(), before.clone());
            move || Seen::look(&path, before)
        };
        let seen = self.0.mesh.tasks.spawn_blocking(looking).await;
        let seen = seen.unwrap_or_else(|error| Seen {
            stamp: None,
            facts: Err(UnreadFile::Unread(error.to_string())),
        });
        if let Err(why) = &seen.facts
            && before.is_none_or(|before| before.facts != seen.facts)
        {
            warn!(file = %path, %why, "this file cannot be played");
        }
        self.0.seen.lock().insert(path.clone(), seen.clone());
        seen.facts.map_err(|why| FileLack {
            why: why.to_string(),
            is_coming: false,
        })
    }

    /// Begins to play a file, unless that is under way.
    pub fn begin(&self, played: &PlayedFile) {
        if !self.0.begun.lock().insert(played.clone()) {
            return;
        }
        let (loops, played) = (self.clone(), played.clone());
        let span = info_span!(parent: None, "file", name = %played); // outlives the listener that caused it
        let playing = async move {
            let looping = async {
                if let Some(read) = loops.read(&played).await {
                    playing::play(&loops, &played, read).await;
                }
            };
            loops.0.mesh.tasks.until_end(looping).await;
            loops.0.begun.lock().remove(&played);
        };
        self.0.mesh.tasks.spawn(playing.instrument(span));
    }

    /// Reads a file that is to be played now.
    async fn read(&self, played: &PlayedFile) -> Option<ReadFile> {
        let PlayedFile::Path(path) = played.clone() else {
            return None;
        };
        let reading = move || file::read(&path);
        let read = self.0.mesh.tasks.spawn_blocking(reading).await.ok()?;
        match read {
            // One that has changed in this moment is played once its facts are known.
            Ok(read) => (self.facts(played) == Some(read.facts)).then_some(read),
            Err(why) => {
                warn!(%why, "this file cannot be played");
                None
            }
        }
    }

    /// What is known of a file that can be played.
    fn facts(&self, played: &PlayedFile) -> Option<FileFacts> {
        self.0.streams.file(played)?.facts.ok()
    }
}

impl Seen {
    /// Looks at a file, and reads it if it is another one than before. Waits for the disk.
    fn look(path: &FilePath, before: Option<Self>) -> Self {
        let stamp = match file::open(path) {
            Ok((_, stamp)) => stamp,
            Err(why) => {
                return Self {
                    stamp: None,
                    facts: Err(why),
                };
            }
        };
        match before.filter(|before| before.stamp == Some(stamp)) {
            Some(same) => same,
            None => Self {
                stamp: Some(stamp),
                facts: file::read(path).map(|read| read.facts),
            },
        }
    }
}
