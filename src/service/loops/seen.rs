//! Files as they were when they were looked at last: each is read anew only if it looks another.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tracing::warn;

use super::file::{Place, UnreadFile};
use crate::io::regular_file::FileStamp;
use crate::io::tasks::Tasks;
use crate::model::file_name::PlayedFile;
use crate::service::streams::FileFacts;

/// A file as it was seen.
#[derive(Clone, Debug)]
struct Seen {
    place: Place,
    stamp: Option<FileStamp>,
    facts: Result<FileFacts, UnreadFile>,
}

/// The files that were looked at.
#[derive(Debug, Default)]
pub(super) struct SeenFiles(Mutex<BTreeMap<PlayedFile, Seen>>);

impl SeenFiles {
    /// Looks at a file at its place. A new reason why it cannot be played is logged.
    pub(super) async fn look(
        &self,
        played: &PlayedFile,
        place: Place,
        tasks: &Tasks,
    ) -> Result<FileFacts, UnreadFile> {
        let before = self.0.lock().get(played).cloned();
        let known = before.clone().filter(|before| before.place == place);
        let looking = {
            let place = place.clone();
            move || Seen::look(place, known)
        };
        let seen = tasks.spawn_blocking(looking).await;
        let seen = seen.unwrap_or_else(|error| Seen {
            place,
            stamp: None,
            facts: Err(UnreadFile::Unread(error.to_string())),
        });
        if let Err(why) = &seen.facts
            && before.is_none_or(|before| before.facts != seen.facts)
        {
            warn!(file = %played, %why, "this file cannot be played");
        }
        let facts = seen.facts.clone();
        self.0.lock().insert(played.clone(), seen);
        facts
    }

    /// Forgets all files but these.
    pub(super) fn keep_only(&self, files: &BTreeSet<PlayedFile>) {
        self.0.lock().retain(|file, _| files.contains(file));
    }
}

impl Seen {
    /// Looks at a file, and reads it if it is another one than before. Waits for the disk.
    fn look(place: Place, before: Option<Self>) -> Self {
        let stamp = match place.stamp() {
            Ok(stamp) => stamp,
            Err(why) => {
                return Self {
                    place,
                    stamp: None,
                    facts: Err(why),
                };
            }
        };
        match before.filter(|before| before.stamp == Some(stamp)) {
            Some(same) => same,
            None => Self {
                facts: place.read().map(|read| read.facts),
                place,
                stamp: Some(stamp),
            },
        }
    }
}
