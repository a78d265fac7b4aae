//! Files as they were when they were looked at last: each is read anew only if it looks another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::warn;

use super::file::{Place, UnreadFile};
use crate::io::clock;
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

/// A reason why a file cannot be played.
#[derive(Clone, Debug)]
struct Lack {
    place: Place,
    why: UnreadFile,
    since: Instant,
    is_logged: bool,
}

/// How long a file that was put a moment ago may be on its way to this node before the log says that it is not here: 16 MiB take
/// 13 s over a line of 10 Mbit/s, and other files may be fetched first.
const FETCHED_WITHIN: Duration = Duration::from_secs(30);

/// The files that were looked at.
#[derive(Debug, Default)]
pub(super) struct SeenFiles {
    seen: Mutex<BTreeMap<PlayedFile, Seen>>,
    lacks: Mutex<BTreeMap<PlayedFile, Lack>>,
}

impl SeenFiles {
    /// Looks at a file at its place. A new reason why it cannot be played is logged.
    pub(super) async fn look(
        &self,
        played: &PlayedFile,
        place: Place,
        tasks: &Tasks,
    ) -> Result<FileFacts, UnreadFile> {
        let before = self.seen.lock().get(played).cloned();
        let known = before.filter(|before| before.place == place);
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
        self.note(played, &seen, clock::now());
        let facts = seen.facts.clone();
        self.seen.lock().insert(played.clone(), seen);
        facts
    }

    /// Forgets all files but these.
    pub(super) fn keep_only(&self, files: &BTreeSet<PlayedFile>) {
        self.seen.lock().retain(|file, _| files.contains(file));
        self.lacks.lock().retain(|file, _| files.contains(file));
    }

    /// Notes why a file cannot be played, and logs it once: at once, unless it is being fetched for the first time. Says whether
    /// it is logged now.
    fn note(&self, played: &PlayedFile, seen: &Seen, now: Instant) -> bool {
        let mut lacks = self.lacks.lock();
        let Err(why) = &seen.facts else {
            lacks.remove(played);
            return false;
        };
        let before = lacks.remove(played);
        let is_same = |lack: &Lack| lack.place == seen.place && lack.why == *why;
        let mut lack = before.filter(is_same).unwrap_or_else(|| Lack {
            place: seen.place.clone(),
            why: why.clone(),
            since: now,
            is_logged: false,
        });
        let is_fetched = *why == UnreadFile::NoFile && seen.place.is_kept();
        let is_due = !is_fetched || now.saturating_duration_since(lack.since) >= FETCHED_WITHIN;
        let is_news = is_due && !lack.is_logged;
        if is_news {
            warn!(file = %played, %why, "this file cannot be played");
            lack.is_logged = true;
        }
        lacks.insert(played.clone(), lack);
        is_news
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::shelf::FileShelf;
    use crate::model::kept_file::FileHash;

    #[test]
    fn a_file_on_its_way_is_not_complained_of_at_once() {
        let (files, now) = (SeenFiles::default(), Instant::now());
        let folder = tempfile::tempdir().unwrap();
        let shelf = FileShelf::new(folder.path().to_owned());
        let played: PlayedFile = "loop.mp3".parse().unwrap();
        let lacking = |hash: u8, why| Seen {
            place: Place::on(&shelf, FileHash([hash; 32])),
            stamp: None,
            facts: Err(why),
        };
        let gone = |hash| lacking(hash, UnreadFile::NoFile);
        for (after_s, seen, is_news) in [
            (0, gone(1), false),
            (29, gone(1), false),
            (30, gone(1), true),
            (31, gone(1), false),
            // Another one was put under its name.
            (32, gone(2), false),
            (33, lacking(2, UnreadFile::Damaged), true),
        ] {
            let at = now + Duration::from_secs(after_s);
            assert_eq!(files.note(&played, &seen, at), is_news, "after {after_s} s");
        }
    }
}
