//! The task that writes the logs.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::io::clock;
use crate::io::logs::file::{LogFile, NotWritten, Rotation};
use crate::io::logs::{LogEntry, LogReceiver};
use crate::io::tasks::Tasks;
use crate::service::mesh::Mesh;
use crate::settings::LogsSettings;
use crate::wire::gossip;
use crate::wire::logs::client::ClientKey;
use crate::wire::logs::{access_line, playlist_line};

/// How long lines wait for others to be written with them. A disk is asked for little then, and who reads along sees a line
/// while it is new.
const GATHER: Duration = Duration::from_secs(1);

/// How often an operator is told of lines that are lost because more come than can be written.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// How long a key for addresses lives, seconds: long enough that the listeners of a day can be told apart.
const KEY_LIFETIME_S: u64 = 24 * 60 * 60;

/// How long the task waits at the end of the node for a further line: the tasks of requests end in these moments, too.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The two files, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LogKind {
    Access,
    Playlist,
}

impl LogKind {
    fn name(self) -> &'static str {
        match self {
            Self::Access => "access.log",
            Self::Playlist => "playlist.log",
        }
    }
}

/// All that the task has.
pub(super) struct LogWriter {
    receiver: LogReceiver,
    settings: watch::Receiver<LogsSettings>,
    /// The settings by which lines are written now.
    current: LogsSettings,
    mesh: Mesh,
    files: Option<LogFiles>,
    key: DailyKey,
    /// Lines that came when the queue was full, and are not told of yet.
    overrun: Overrun,
    /// Why each file cannot be written, and how many lines that has cost.
    troubles: BTreeMap<LogKind, LogTrouble>,
}

/// The open files. They are lent to a blocking thread while it writes.
struct LogFiles {
    access: LogFile,
    playlist: LogFile,
}

#[derive(Debug)]
struct LogTrouble {
    why: String,
    lines: u64,
}

#[derive(Debug, Default)]
struct Overrun {
    lines: u64,
    told: Option<std::time::Instant>,
}

/// The key of now, which is thrown away after a day. The next one begins when the first address of a day is written.
#[derive(Debug)]
struct DailyKey {
    key: ClientKey,
    day: u64,
}

impl DailyKey {
    fn of(unix_s: u64) -> Self {
        Self {
            key: ClientKey::new(rand::random()),
            day: unix_s / KEY_LIFETIME_S,
        }
    }

    fn at(&mut self, unix_s: u64) -> &ClientKey {
        if self.day != unix_s / KEY_LIFETIME_S {
            *self = Self::of(unix_s);
        }
        &self.key
    }
}

impl LogFiles {
    fn of(settings: &LogsSettings) -> Self {
        let rotation = Rotation {
            max_bytes: settings.max_bytes,
            keep: settings.keep,
        };
        let file = |log: LogKind| LogFile::new(&settings.folder, log.name(), rotation);
        Self {
            access: file(LogKind::Access),
            playlist: file(LogKind::Playlist),
        }
    }

    /// Appends lines; how that has gone at each file for which there were some.
    fn append(&mut self, lines: &Lines) -> Outcomes {
        let append =
            |file: &mut LogFile, lines: &[String]| (!lines.is_empty()).then(|| file.append(lines));
        Outcomes {
            access: append(&mut self.access, &lines.access),
            playlist: append(&mut self.playlist, &lines.playlist),
        }
    }

    /// Opens those that are written, so that the operator hears at once of one that cannot be.
    fn reopen(&mut self, settings: &LogsSettings) -> Outcomes {
        Outcomes {
            access: settings.access.then(|| self.access.reopen()),
            playlist: settings.playlist.then(|| self.playlist.reopen()),
        }
    }
}

/// How it has gone at each file at which something was done.
struct Outcomes {
    access: Option<Result<(), NotWritten>>,
    playlist: Option<Result<(), NotWritten>>,
}

/// The lines that are written at once.
#[derive(Debug, Default)]
struct Lines {
    access: Vec<String>,
    playlist: Vec<String>,
}

impl LogWriter {
    pub(super) fn new(
        receiver: LogReceiver,
        settings: watch::Receiver<LogsSettings>,
        mesh: Mesh,
    ) -> Self {
        let current = settings.borrow().clone();
        Self {
            receiver,
            settings,
            current,
            mesh,
            files: None,
            key: DailyKey::of(clock::unix_s()),
            overrun: Overrun::default(),
            troubles: BTreeMap::new(),
        }
    }

    /// Writes until the node ends, and then what is left.
    pub(super) async fn run(mut self, tasks: Tasks) {
        self.reopen().await;
        loop {
            let entries = tokio::select! {
                () = tasks.asked_to_end() => break,
                Ok(()) = self.settings.changed() => {
                    self.reload().await;
                    continue;
                }
                entries = self.receiver.take() => entries,
            };
            self.write(entries).await;
            tokio::select! {
                () = tasks.asked_to_end() => break,
                // The files are to be opened again now.
                Ok(()) = self.settings.changed() => self.reload().await,
                () = self.receiver.has_many() => {}
                () = sleep(GATHER) => {}
            }
        }
        while let Ok(last) = timeout(LAST_WORDS, self.receiver.take()).await {
            self.write(last).await;
        }
    }

    /// Writes what has come, and goes over to the files that are there now.
    async fn reload(&mut self) {
        let before = self.receiver.take_now();
        self.write(before).await;
        self.files = None;
        self.reopen().await;
    }

    async fn reopen(&mut self) {
        self.current = self.settings.borrow_and_update().clone();
        let settings = self.current.clone();
        self.with_files(move |files| files.reopen(&settings)).await;
        let is_written = |log: &LogKind| match log {
            LogKind::Access => self.current.access,
            LogKind::Playlist => self.current.playlist,
        };
        // Nobody misses the lines of a log that is not wanted any more.
        self.troubles.retain(|log, _| is_written(log));
        self.gossip_trouble().await;
    }

    /// Does something with the files on a thread that may wait for the disk, and notes how it has gone.
    async fn with_files(&mut self, work: impl FnOnce(&mut LogFiles) -> Outcomes + Send + 'static) {
        // They are gone only if a thread that had them has panicked, or new ones are to be opened.
        let files = self.files.take();
        let mut files = files.unwrap_or_else(|| LogFiles::of(&self.current));
        let working = self.mesh.tasks.spawn_blocking(move || {
            let outcomes = work(&mut files);
            (files, outcomes)
        });
        let Ok((files, outcomes)) = working.await else {
            return;
        };
        self.files = Some(files);
        let was_well = self.troubles.is_empty();
        self.note(LogKind::Access, outcomes.access);
        self.note(LogKind::Playlist, outcomes.playlist);
        if was_well != self.troubles.is_empty() {
            self.gossip_trouble().await;
        }
    }

    async fn write(&mut self, entries: Vec<LogEntry>) {
        let lost = self.receiver.lost();
        self.overrun.note(lost);
        if entries.is_empty() {
            return;
        }
        let lines = self.lines(entries);
        self.with_files(move |files| files.append(&lines)).await;
    }

    fn lines(&mut self, entries: Vec<LogEntry>) -> Lines {
        let (format, privacy) = (self.current.format, self.current.address_privacy);
        let node = &self.mesh.links.hello().name;
        let key = self.key.at(clock::unix_s());
        let mut lines = Lines::default();
        for entry in entries {
            match entry {
                LogEntry::Access(entry) => {
                    let client = key.shown(entry.request.client, privacy);
                    lines
                        .access
                        .push(access_line(&entry, &client, format, node));
                }
                LogEntry::Playlist(entry) => {
                    lines.playlist.push(playlist_line(&entry, format, node));
                }
            }
        }
        lines
    }

    /// Notes how writing to a file has gone. The operator is told when it begins to fail, and when it ends.
    fn note(&mut self, log: LogKind, written: Option<Result<(), NotWritten>>) {
        match written {
            None => {}
            Some(Ok(())) => {
                if let Some(LogTrouble { why, lines }) = self.troubles.remove(&log) {
                    info!(lines_lost = lines, "a log is written again; {why}");
                }
            }
            Some(Err(error)) => {
                let trouble = self.troubles.entry(log).or_insert_with(|| {
                    warn!("a log is not written, and its lines are lost until it is: {error}");
                    // For everybody: without the path.
                    let why = format!("{} is not written: {}", log.name(), error.error.kind());
                    LogTrouble { why, lines: 0 }
                });
                trouble.lines += error.lines;
            }
        }
    }

    /// Tells all nodes whether this one writes its logs.
    async fn gossip_trouble(&self) {
        let gossip = &self.mesh.gossip;
        match self.troubles.values().next() {
            Some(trouble) => {
                let said = gossip.set(gossip::LOGS, &trouble.why).await;
                said.expect("a few words are shorter than a gossiped value may be");
            }
            None => gossip.delete(gossip::LOGS).await,
        }
    }
}

impl Overrun {
    fn note(&mut self, lines: u64) {
        self.lines += lines;
        let now = clock::now();
        let is_due = self
            .told
            .is_none_or(|told| now.duration_since(told) >= COMPLAIN_EVERY);
        if self.lines > 0 && is_due {
            let lines_lost = std::mem::take(&mut self.lines);
            self.told = Some(now);
            warn!(
                lines_lost,
                "more came for access.log and playlist.log than could be written"
            );
        }
    }
}
