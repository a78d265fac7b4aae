//! Files that listeners hear when nothing better flows, played again and again.
//!
//! Where a loop is follows from the wall clock alone, so all nodes play the same second of it, and no node asks another. A file
//! that is missing or damaged is told, and harms nothing but its own rung.

mod fetching;
mod file;
mod keeping;
mod playing;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;
use tracing::{Instrument as _, debug_span, info, info_span, warn};

use self::file::{Place, ReadFile, UnreadFile};
pub use self::keeping::{FormatCheck, NotPut, PutTurn};
use self::seen::SeenFiles;
use super::mesh::Mesh;
use super::streams::{FileFacts, FileLack, Streams};
use crate::io::disk::shelf::FileShelf;
use crate::io::link::Exchange;
use crate::model::file_name::{FileName, PlayedFile};
use crate::model::kept_file::{FileHash, KeptFile};
use crate::model::node::NodeName;

/// How often files are looked at: somebody may have changed them, or the disk.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The most files that mounts may name by their paths: each is looked at again and again.
const MAX_PATHS: usize = 64;

/// The facts of files, or why they cannot be played.
type Found = BTreeMap<PlayedFile, Result<FileFacts, FileLack>>;

/// A cheap, cloneable handle to the files that are played.
#[derive(Clone, Debug)]
pub struct Loops(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    mesh: Mesh,
    streams: Streams,
    shelf: FileShelf,
    seen: SeenFiles,
    /// The files whose loops have begun, or are about to.
    begun: Mutex<BTreeSet<PlayedFile>>,
    /// The files of the document whose bytes are not here.
    missing: Mutex<BTreeMap<FileName, KeptFile>>,
    /// The bytes of a file that is being put: the document will name them.
    coming: Mutex<Option<FileHash>>,
    /// Files are missing.
    lacks: Notify,
    /// The bytes on the shelf are others.
    changed: Notify,
    putting: Semaphore,
    serving: Semaphore,
}

impl Loops {
    /// The files that mounts and document of this mesh name, none of them looked at yet. Kept ones are in this folder.
    pub fn new(mesh: Mesh, streams: Streams, folder: PathBuf) -> Self {
        Self(Arc::new(Inner {
            mesh,
            streams,
            shelf: FileShelf::new(folder),
            seen: SeenFiles::default(),
            begun: Mutex::default(),
            missing: Mutex::default(),
            coming: Mutex::default(),
            lacks: Notify::new(),
            changed: Notify::new(),
            putting: Semaphore::new(1),
            serving: Semaphore::new(fetching::SERVED_AT_ONCE),
        }))
    }

    /// Keeps what is known of the files up to date, and fetches what is missing. Runs until the node stops.
    pub async fn run(self) {
        let tasks = &self.0.mesh.tasks;
        let fetching = fetching::run(self.clone()).instrument(debug_span!("files"));
        tasks.spawn_until_end(fetching);
        let mut mounts = self.0.mesh.documents.watch_mounts();
        let mut files = self.0.mesh.documents.watch_files();
        loop {
            mounts.mark_unchanged();
            files.mark_unchanged();
            let found = self.look().await;
            let is_idle = found.is_empty();
            self.0.streams.set_files(found);
            self.drop_orphans().await;
            tokio::select! {
                () = tasks.asked_to_end() => return,
                changed = mounts.changed() => if changed.is_err() { return },
                changed = files.changed() => if changed.is_err() { return },
                () = self.0.changed.notified() => {}
                () = sleep(LOOK_EVERY), if !is_idle => {}
            }
        }
    }

    /// Looks at the files that mounts and the document name.
    async fn look(&self) -> Found {
        let documents = &self.0.mesh.documents;
        let (mounts, kept) = (documents.mounts(), documents.files());
        let mut found = Found::new();
        for file in kept.values() {
            let played = PlayedFile::Kept(file.name.clone());
            let facts = self.look_at_kept(&played, file).await;
            found.insert(played, facts);
        }
        self.0
            .missing
            .lock()
            .retain(|name, file| kept.get(name) == Some(file));
        let mut paths: BTreeSet<PlayedFile> = BTreeSet::new();
        for played in mounts.values().flat_map(|spec| spec.played_files()) {
            let PlayedFile::Path(path) = played else {
                continue;
            };
            if !paths.insert(played.clone()) {
                continue;
            }
            let facts = match paths.len() > MAX_PATHS {
                true => Err(FileLack {
                    why: format!("mounts name more than {MAX_PATHS} files by their paths"),
                    is_coming: false,
                }),
                false => self
                    .see(played, Place::at(path))
                    .await
                    .map_err(|why| FileLack {
                        why: why.to_string(),
                        is_coming: false,
                    }),
            };
            found.insert(played.clone(), facts);
        }
        self.0.seen.keep_only(&found.keys().cloned().collect());
        found
    }

    async fn see(&self, played: &PlayedFile, place: Place) -> Result<FileFacts, UnreadFile> {
        let tasks = &self.0.mesh.tasks;
        self.0.seen.look(played, place, tasks).await
    }

    /// Looks at a file that the mesh keeps. One that is not here, or damaged, is fetched.
    async fn look_at_kept(
        &self,
        played: &PlayedFile,
        file: &KeptFile,
    ) -> Result<FileFacts, FileLack> {
        let place = Place::on(&self.0.shelf, file.sha256);
        let why = match self.see(played, place).await {
            Ok(facts) => {
                self.0.missing.lock().remove(&file.name);
                return Ok(facts);
            }
            Err(why) => why,
        };
        let is_coming = why.is_mended_by_peers();
        if is_coming {
            let mut missing = self.0.missing.lock();
            missing.insert(file.name.clone(), file.clone());
            self.0.lacks.notify_one();
        }
        let why = match is_coming {
            true => format!(
                "{why}: it is fetched as soon as a node is there that has it; if none has, put it again"
            ),
            false => why.to_string(),
        };
        Err(FileLack { why, is_coming })
    }

    /// Removes bytes that the document does not name any more.
    async fn drop_orphans(&self) {
        let loops = self.clone();
        let dropping = move || loops.0.shelf.drop_others(|| loops.wanted());
        match self.0.mesh.tasks.spawn_blocking(dropping).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(dropped)) => info!(
                dropped,
                "files removed that the mesh does not keep any more"
            ),
            Ok(Err(error)) => {
                warn!(%error, "files that the mesh does not keep any more are not removed")
            }
        }
    }

    /// The bytes that are kept here, or will be.
    fn wanted(&self) -> BTreeSet<FileHash> {
        let coming = self.0.coming.lock();
        let files = self.0.mesh.documents.files();
        let named = files.values().map(|file| file.sha256);
        named.chain(*coming).collect()
    }

    /// Answers a peer that asks for the bytes of a file.
    pub async fn serve(&self, from: &NodeName, hash: FileHash, mut exchange: Exchange) {
        let files = self.0.mesh.documents.files();
        let is_known = files.values().any(|file| file.sha256 == hash);
        let place = is_known.then(|| Place::on(&self.0.shelf, hash));
        let span = debug_span!("file asked for", %from, %hash);
        let serving = fetching::serve(self, place, &mut exchange, &self.0.serving);
        serving.instrument(span).await;
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
        let place = match played {
            PlayedFile::Path(path) => Place::at(path),
            PlayedFile::Kept(name) => {
                let hash = self.0.mesh.documents.files().get(name)?.sha256;
                Place::on(&self.0.shelf, hash)
            }
        };
        let reading = move || place.read();
        let read = self.0.mesh.tasks.spawn_blocking(reading).await.ok()?;
        match read {
            // One that has changed in this moment is played once its facts are known.
            Ok(read) => (self.facts(played) == Some(read.facts)).then_some(read),
            Err(why) => {
                warn!(%why, "this file cannot be played");
                self.0.changed.notify_one();
                None
            }
        }
    }

    /// The facts of a file that can be played.
    fn facts(&self, played: &PlayedFile) -> Option<FileFacts> {
        self.0.streams.file(played)?.facts.ok()
    }
}
