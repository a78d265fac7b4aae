//! The files that the listeners of mounts may hear at this node, and their loops.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{StreamMap, Streams};
use crate::io::feed::Feed;
use crate::model::file_name::PlayedFile;
use crate::model::format::StreamFormat;
use crate::model::stream::StreamId;
use crate::wire::gossip::{FileCard, short_trouble};

/// The facts of a file that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The id of its loop: the same on all nodes that have the same bytes.
    pub stream_id: StreamId,
    /// The media type with which it is served.
    pub media_type: &'static str,
    /// The format.
    pub format: StreamFormat,
    /// How long one round plays.
    pub length: Duration,
}

/// Why a file cannot be played here now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLack {
    /// The reason, in words for an operator.
    pub why: String,
    /// Whether it is about to be fetched from another node.
    pub is_coming: bool,
}

/// A file that a mount names.
#[derive(Clone, Debug)]
pub struct HeldFile {
    /// The facts, or why it cannot be played.
    pub facts: Result<FileFacts, FileLack>,
    /// The loop, while somebody hears it.
    pub feed: Option<Feed>,
}

impl Streams {
    /// Sets the files that there are, and what is known of each. Loops of files that stay go on.
    pub fn set_files(&self, found: BTreeMap<PlayedFile, Result<FileFacts, FileLack>>) {
        self.map.send_if_modified(|map| {
            let known = |(file, held): (&PlayedFile, &HeldFile)| (file.clone(), held.facts.clone());
            if map.files.iter().map(known).eq(found.clone()) {
                return false;
            }
            let mut before = std::mem::take(&mut map.files);
            let held = found.into_iter().map(|(file, facts)| {
                let feed = before.remove(&file).and_then(|held| held.feed);
                (file, HeldFile { facts, feed })
            });
            map.files = held.collect();
            true
        });
    }

    /// A file that a mount names, if this node has looked at it.
    pub fn file(&self, file: &PlayedFile) -> Option<HeldFile> {
        self.map.borrow().files.get(file).cloned()
    }

    /// Lets those who hear a file hear this feed of it from now on. Says whether the file is still there.
    pub fn play_file(&self, file: &PlayedFile, feed: &Feed) -> bool {
        self.map.send_if_modified(|map| {
            let Some(held) = map.files.get_mut(file) else {
                return false;
            };
            held.feed = Some(feed.clone());
            map.go_on_with_file(file, feed);
            true
        })
    }

    /// Whether the listeners of a mount hear this file here.
    pub fn is_file_heard(&self, file: &PlayedFile) -> bool {
        self.map.borrow().is_file_heard(file)
    }

    /// Notes that a feed of a file is over.
    pub fn end_file(&self, file: &PlayedFile, feed: &Feed) {
        self.map.send_if_modified(|map| {
            let held = map.files.get_mut(file);
            let held = held.filter(|held| held.feed.as_ref().is_some_and(|it| it.is_same(feed)));
            held.and_then(|held| held.feed.take()).is_some()
        });
    }

    /// The cards that are gossiped of the files.
    pub fn file_cards(&self) -> Vec<(PlayedFile, FileCard)> {
        let map = self.map.borrow();
        let cards = map.files.iter().map(|(file, held)| {
            let card = match &held.facts {
                Ok(facts) => FileCard {
                    format: Some(facts.format),
                    ..FileCard::default()
                },
                Err(lack) => FileCard {
                    trouble: Some(short_trouble(&lack.why)),
                    is_coming: lack.is_coming,
                    format: None,
                },
            };
            (file.clone(), card)
        });
        cards.collect()
    }
}

impl StreamMap {
    /// The loop of a file that can be played and is.
    pub(super) fn file_feed(&self, file: &PlayedFile) -> Option<&Feed> {
        let held = self.files.get(file).filter(|held| held.facts.is_ok());
        held?.feed.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::{Reader, Return};
    use super::*;
    use crate::io::channel::samples::take_all;
    use crate::media::format::mpeg::samples::frames;
    use crate::media::ring::Ring;
    use crate::media::ring::samples::ring;
    use crate::model::mount::MountName;
    use crate::wire::gossip::Origin;

    fn feed(stream_id: u128) -> Feed {
        let head = ring("audio/mpeg").head().clone();
        Feed::new(Ring::new(StreamId(stream_id), head, 0, Instant::now()))
    }

    fn facts(stream_id: u128) -> FileFacts {
        FileFacts {
            stream_id: StreamId(stream_id),
            media_type: "audio/mpeg",
            format: StreamFormat::default(),
            length: Duration::from_secs(9),
        }
    }

    #[test]
    fn listeners_of_a_file_go_on_with_its_next_feed() {
        let streams = Streams::default();
        let (mount, file): (MountName, PlayedFile) =
            ("/live".parse().unwrap(), "loop.mp3".parse().unwrap());
        let rung = format!("file:{file}").parse().unwrap();
        let [live, first, second] = [feed(1), feed(2), feed(3)];
        streams.hold(&mount, live, Origin::Source).unwrap();
        let held = streams.heard(&mount).unwrap();
        let _listener = held.read_by(Reader::Listener);
        let mut reader = held.channel.join(Duration::ZERO);
        let hear = || streams.stand_in(&mount, &rung, Return::AtOnce);
        assert!(!streams.play_file(&file, &first), "no mount names it");
        assert!(hear().is_none());
        streams.set_files([(file.clone(), Ok(facts(2)))].into());
        assert!(streams.play_file(&file, &first));
        assert!(hear().unwrap().feed.is_same(&first) && streams.is_file_heard(&file));
        for feed in [&first, &second] {
            streams.play_file(&file, feed);
            feed.append(0, &frames(3), Instant::now());
            assert_eq!(take_all(&mut reader), frames(3));
        }
        // Another file of the name, which cannot be played: the loop is there, and no rung any more.
        let why = "damaged".to_owned();
        let lack = FileLack {
            why,
            is_coming: true,
        };
        streams.set_files([(file.clone(), Err(lack))].into());
        assert!(hear().is_none());
        let [(_, card)] = &streams.file_cards()[..] else {
            panic!("one file is known");
        };
        assert_eq!(
            (card.trouble.as_deref(), card.is_coming),
            (Some("damaged"), true)
        );
        streams.end_file(&file, &first);
        assert!(
            streams.file(&file).unwrap().feed.is_some(),
            "of another feed"
        );
        streams.end_file(&file, &second);
        assert!(streams.file(&file).unwrap().feed.is_none());
    }
}
