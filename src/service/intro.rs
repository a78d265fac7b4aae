//! Intros: files of this node that the listeners of a mount hear before its stream.
//!
//! A file is read once and kept as long as it stays the same. A file that is missing, or does not fit, costs nobody the
//! stream: it begins without an intro.

use std::collections::VecDeque;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::regular_file::{FileFault, FileStamp, open_regular};
use crate::io::tasks::Tasks;
use crate::media::format::detect::Format;
use crate::media::format::layout::Layout;
use crate::media::intro::{Intro, NoIntro};

/// The longest file: ten minutes at 192 kbit/s.
pub const MAX_FILE_BYTES: u64 = 16 << 20;
/// The most files of which something is known: more than mounts that have one of their own.
const MAX_KEPT: usize = 256;
/// The most bytes in memory: a hundred greetings of half a minute. Beyond, those that were asked for first are read again.
const MAX_KEPT_BYTES: usize = 64 << 20;
/// How long a file is not looked at again, in a rush of listeners.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a listener waits for the disk, which answers in milliseconds. With one that hangs, a stream without intro is
/// better than none.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// How long a listener waits until a stream that has just begun tells what can stand before it: some pages of Ogg, of a
/// second or two. No sound of it is whole before that.
const LAYOUT_PATIENCE: Duration = Duration::from_secs(5);

/// A cheap, cloneable way to the intros.
#[derive(Clone, Debug)]
pub struct Intros {
    shelf: Arc<Shelf>,
    tasks: Tasks,
    /// One file is read at a time: a rush of listeners would otherwise read it a hundred times, and a disk that hangs would
    /// take all threads that wait for disks.
    reading: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    /// The ones that were looked at last are at the end.
    kept: Mutex<VecDeque<Kept>>,
}

/// A file as it was found.
#[derive(Clone, Debug)]
struct Kept {
    name: String,
    format: Format,
    stamp: Option<FileStamp>,
    found: Found,
    looked_at: Instant,
}

/// The result of a look at a file.
type Found = Result<Arc<Intro>, MissingIntro>;

/// Why there is no intro.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingIntro {
    /// No such file is here.
    #[error("no such file in media_dir of this node")]
    NoFile,
    /// The file is a link.
    #[error("a symbolic link, which is not followed: put the file itself there")]
    Link,
    /// A folder or the like.
    #[error("not a regular file")]
    NotAFile,
    /// The system does not let it be read.
    #[error("cannot be read: {0}")]
    Unread(String),
    /// The file has more bytes than are read.
    #[error("the file has more than {} MiB: make it shorter", MAX_FILE_BYTES >> 20)]
    TooLong,
    /// The file is of no use here.
    #[error(transparent)]
    Unfit(#[from] NoIntro),
    /// Nobody knows what could stand before the stream.
    #[error("the format of the stream is not known")]
    UnknownStream,
    /// The disk was too slow.
    #[error("not read within {} s: the disk is slow", DISK_PATIENCE.as_secs())]
    Late,
}

impl From<FileFault> for MissingIntro {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::NoFile => Self::NoFile,
            FileFault::Link => Self::Link,
            FileFault::NotAFile => Self::NotAFile,
            FileFault::Unread(why) => Self::Unread(why),
        }
    }
}

impl Intros {
    /// The files of this folder.
    pub fn new(folder: PathBuf, tasks: Tasks) -> Self {
        let shelf = Shelf {
            folder,
            kept: Mutex::default(),
        };
        Self {
            shelf: Arc::new(shelf),
            tasks,
            reading: Arc::new(Semaphore::new(1)),
        }
    }

    /// The file of this name, for a listener of this feed.
    pub async fn before(&self, name: &str, feed: &Feed) -> Result<Arc<Intro>, MissingIntro> {
        let format = Format::of_media_type(&feed.head().content_type);
        let format = format.ok_or(MissingIntro::UnknownStream)?;
        let found = match self.shelf.fresh(name, format) {
            Some(found) => found,
            None => {
                let looking = timeout(DISK_PATIENCE, self.look(name, format)).await;
                looking.unwrap_or(Err(MissingIntro::Late))
            }
        };
        let intro = found?;
        let layout = timeout(LAYOUT_PATIENCE, known_layout(feed)).await;
        let layout = layout.unwrap_or_default();
        intro.check_before(&layout.ok_or(MissingIntro::UnknownStream)?)?;
        Ok(intro)
    }

    /// Looks at the file, and reads it if it is another one than before.
    async fn look(&self, name: &str, format: Format) -> Found {
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let turn = turn.expect("the turns are never closed");
        if let Some(found) = self.shelf.fresh(name, format) {
            return found;
        }
        let (shelf, name) = (Arc::clone(&self.shelf), name.to_owned());
        let looking = move || {
            let found = shelf.look(name, format);
            drop(turn); // not before, also when nobody waits any more
            found
        };
        let looked = self.tasks.spawn_blocking(looking).await;
        looked.unwrap_or_else(|error| Err(MissingIntro::Unread(error.to_string())))
    }
}

/// The layout of a stream, as soon as its bytes tell it; `None` if they never will.
async fn known_layout(feed: &Feed) -> Option<Layout> {
    let mut news = feed.subscribe();
    loop {
        if let Some(layout) = feed.layout() {
            return Some(layout);
        }
        if feed.ended().is_some() || news.changed().await.is_err() {
            return None;
        }
    }
}

impl Shelf {
    /// The file as it was a moment ago.
    fn fresh(&self, name: &str, format: Format) -> Option<Found> {
        let kept = self.kept(name, format)?;
        let age = clock::now().saturating_duration_since(kept.looked_at);
        (age < LOOK_EVERY).then_some(kept.found)
    }

    fn kept(&self, name: &str, format: Format) -> Option<Kept> {
        let kept = self.kept.lock();
        let mut kept = kept.iter();
        kept.find(|it| it.name == name && it.format == format)
            .cloned()
    }

    /// Looks at a file, and keeps what was found. Waits for the disk.
    fn look(&self, name: String, format: Format) -> Found {
        let before = self.kept(&name, format);
        let (stamp, found) = self.read(&name, format, before);
        self.keep(Kept {
            name,
            format,
            stamp,
            found: found.clone(),
            looked_at: clock::now(),
        });
        found
    }

    fn read(&self, name: &str, format: Format, before: Option<Kept>) -> (Option<FileStamp>, Found) {
        let (file, stamp) = match open_regular(&self.folder, name) {
            Ok(opened) => opened,
            Err(fault) => return (None, Err(fault.into())),
        };
        if let Some(same) = before.filter(|before| before.stamp == Some(stamp)) {
            return (Some(stamp), same.found);
        }
        if stamp.bytes > MAX_FILE_BYTES {
            return (Some(stamp), Err(MissingIntro::TooLong));
        }
        let mut bytes = Vec::new();
        // A file that grows meanwhile has another stamp at the next look.
        if let Err(error) = file.take(MAX_FILE_BYTES).read_to_end(&mut bytes) {
            return (None, Err(FileFault::from(error).into()));
        }
        let found = Intro::read(&bytes, format, rand::random()).map(Arc::new);
        (Some(stamp), found.map_err(MissingIntro::from))
    }

    fn keep(&self, new: Kept) {
        let mut kept = self.kept.lock();
        kept.retain(|it| it.name != new.name || it.format != new.format);
        kept.push_back(new);
        let bytes = |kept: &VecDeque<Kept>| kept.iter().map(Kept::bytes).sum::<usize>();
        while kept.len() > MAX_KEPT || (kept.len() > 1 && bytes(&kept) > MAX_KEPT_BYTES) {
            kept.pop_front();
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.found.as_ref().map_or(0, |intro| intro.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use bytes::Bytes;
    use tempfile::TempDir;

    use super::*;
    use crate::media::format::mpeg::samples;
    use crate::media::format::ogg::page::samples::opus;
    use crate::media::ring::samples::ring;

    struct Bench {
        folder: TempDir,
        intros: Intros,
        feed: Feed,
    }

    /// A node with an empty folder, and a stream in MP3.
    fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let feed = Feed::new(ring("audio/mpeg"));
        feed.append(0, &samples::frames(5), Instant::now());
        Bench {
            intros: Intros::new(folder.path().join("media"), Tasks::default()),
            folder,
            feed,
        }
    }

    impl Bench {
        fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
            let folder = self.folder.path().join("media");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), bytes).unwrap();
        }

        async fn heard(&self, name: &str) -> Result<Bytes, MissingIntro> {
            let intro = self.intros.before(name, &self.feed).await;
            intro.map(|intro| intro.bytes().clone())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again_when_it_has_changed() {
        let bench = bench();
        let after_a_while = async || {
            tokio::time::advance(LOOK_EVERY).await;
            bench.heard("a.mp3").await
        };
        assert_eq!(after_a_while().await, Err(MissingIntro::NoFile));
        for frames in [3, 4] {
            let intro = samples::frames(frames);
            bench.write("a.mp3", &intro);
            assert_eq!(after_a_while().await.unwrap(), intro);
        }
        bench.write("a.mp3", "no audio at all");
        let moment = bench.heard("a.mp3").await;
        assert_eq!(moment.unwrap(), samples::frames(4), "looked at just now");
        let unfit = NoIntro::Unfit(Format::Mpeg).into();
        assert_eq!(after_a_while().await, Err(unfit));
        fs::remove_file(bench.folder.path().join("media/a.mp3")).unwrap();
        assert_eq!(after_a_while().await, Err(MissingIntro::NoFile));
    }

    #[tokio::test]
    async fn a_file_that_stays_the_same_is_read_once() {
        let bench = bench();
        bench.write("a.mp3", samples::frames(3));
        let shelf = &bench.intros.shelf;
        let looked = [(), ()].map(|()| shelf.look("a.mp3".to_owned(), Format::Mpeg).unwrap());
        assert!(Arc::ptr_eq(&looked[0], &looked[1]));
    }

    #[tokio::test]
    async fn what_is_no_intro_is_said() {
        let bench = bench();
        bench.write("empty.mp3", "");
        bench.write("ogg.mp3", opus(1, &[1, 2]));
        bench.write("long.mp3", "");
        let media = bench.folder.path().join("media");
        let long = fs::File::options().write(true).open(media.join("long.mp3"));
        long.unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        fs::create_dir(media.join("folder.mp3")).unwrap();
        fs::write(bench.folder.path().join("outside.mp3"), samples::frames(3)).unwrap();
        symlink("../outside.mp3", media.join("link.mp3")).unwrap();
        for (name, why) in [
            ("none.mp3", "no such file in media_dir of this node"),
            ("empty.mp3", "the file is empty"),
            ("ogg.mp3", "the file is Ogg, the stream MP3: encode it anew"),
            ("long.mp3", "the file has more than 16 MiB: make it shorter"),
            ("folder.mp3", "not a regular file"),
            (
                "link.mp3",
                "a symbolic link, which is not followed: put the file itself there",
            ),
        ] {
            let missing = bench.heard(name).await.unwrap_err();
            assert_eq!(missing.to_string(), why);
        }
        bench.write("a.mp3", samples::frames(3));
        for (media_type, why) in [
            ("video/nsv", "the format of the stream is not known"),
            ("audio/webm", "nothing can be heard before WebM"),
        ] {
            let feed = Feed::new(ring(media_type));
            let missing = bench.intros.before("a.mp3", &feed).await.unwrap_err();
            assert!(missing.to_string().starts_with(why), "{missing}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_tells_nothing_of_itself_is_not_waited_for_long() {
        let bench = bench();
        bench.write("a.mp3", samples::frames(3));
        let feed = Feed::new(ring("audio/mpeg"));
        let missing = bench.intros.before("a.mp3", &feed).await;
        assert_eq!(missing.unwrap_err(), MissingIntro::UnknownStream);
        let listener = tokio::spawn({
            let (intros, feed) = (bench.intros.clone(), feed.clone());
            async move { intros.before("a.mp3", &feed).await }
        });
        tokio::task::yield_now().await;
        feed.append(0, &samples::frames(5), Instant::now());
        assert!(listener.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn memory_does_not_grow_with_the_names() {
        let bench = bench();
        for number in 0..MAX_KEPT + 3 {
            bench.heard(&number.to_string()).await.unwrap_err();
        }
        let shelf = &bench.intros.shelf;
        assert_eq!(shelf.kept.lock().len(), MAX_KEPT);
        let long = Intro::read(&samples::frames(40_000), Format::Mpeg, 0).unwrap();
        let long = Arc::new(long);
        let last = shelf.kept("258", Format::Mpeg).unwrap();
        for number in 0..9 {
            let (name, found) = (format!("long {number}"), Ok(Arc::clone(&long)));
            let last = last.clone();
            shelf.keep(Kept {
                name,
                found,
                ..last
            });
        }
        let bytes: usize = shelf.kept.lock().iter().map(Kept::bytes).sum();
        assert!((MAX_KEPT_BYTES / 2..=MAX_KEPT_BYTES).contains(&bytes));
    }
}
