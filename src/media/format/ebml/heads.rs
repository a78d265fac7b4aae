//! The headers of a stream: gathered as they come, and then the prologue of every place where it may be joined.

use bytes::Bytes;

use super::element::ElementHead;
use super::ids;
use super::tracks::{Tracks, container, tick_nanos};
use super::walk::FoundElement;
use crate::media::format::joining::{MAX_PROLOGUE_BYTES, Trouble};
use crate::model::format::{Container, StreamFormat};

/// The longest EBML header. Real ones have some 40 bytes; a longer one is a number in other bytes that looks like its id.
pub(super) const MAX_HEADER_BYTES: u64 = 4 << 10;

/// The longest headers that are sent again in the middle of a cluster: each such place has a copy of them.
const MAX_ENTRY_HEADS: usize = 64 << 10;

/// The length that means unknown: a segment that is joined late, and a cluster that is, are shorter than their heads say.
const UNKNOWN_LENGTH: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// Headers that are not complete.
#[derive(Clone, Debug, Default)]
pub(super) struct GatheredHeads {
    /// The EBML header, and what kind of document it says.
    header: Vec<u8>,
    container: Container,
    /// The info, and its unit of time; empty until it comes.
    info: Vec<u8>,
    tick_nanos: u64,
    /// The tracks, as bytes and as facts.
    tracks: Vec<u8>,
    facts: Option<Tracks>,
}

/// Complete headers.
#[derive(Clone, Debug)]
pub(super) struct StreamHeads {
    /// The prologue of every cluster.
    pub prologue: Bytes,
    /// The tracks.
    pub tracks: Tracks,
    /// The unit of time.
    pub tick_nanos: u64,
}

impl GatheredHeads {
    /// Whether an element that begins is one of the headers, and the first of its kind.
    pub(super) fn wants(&self, id: u32) -> bool {
        match id {
            ids::HEADER => self.header.is_empty(),
            ids::INFO => self.info.is_empty(),
            ids::TRACKS => self.tracks.is_empty(),
            _ => false,
        }
    }

    /// The length of the body of an element that is wanted; `None` if it is unknown or too long.
    pub(super) fn room_for(&self, head: &ElementHead) -> Option<usize> {
        let held = self.header.len() + self.info.len() + self.tracks.len();
        let used = held + head.head_bytes + segment_head(ids::SEGMENT).len();
        let body_bytes = usize::try_from(head.body_bytes?).ok()?;
        let room = MAX_PROLOGUE_BYTES.saturating_sub(used);
        (body_bytes <= room).then_some(body_bytes)
    }

    /// Takes a header that has come as a whole. False if it is damaged.
    pub(super) fn take(&mut self, element: &FoundElement<'_>) -> bool {
        let (whole, body) = (element.bytes.to_vec(), element.body());
        match element.head.id {
            ids::HEADER => {
                self.header = whole;
                let container = container(body);
                self.container = container.unwrap_or_default();
                container.is_some()
            }
            ids::INFO => {
                self.info = whole;
                let nanos = tick_nanos(body);
                self.tick_nanos = nanos.unwrap_or_default();
                nanos.is_some()
            }
            ids::TRACKS => {
                self.tracks = whole;
                self.facts = Tracks::read(body, self.container);
                self.facts.is_some()
            }
            _ => true,
        }
    }

    /// The format as far as the headers that have come say it.
    pub(super) fn said(&self) -> StreamFormat {
        self.facts.map_or(
            StreamFormat {
                container: self.container,
                ..StreamFormat::default()
            },
            |tracks| tracks.format,
        )
    }

    /// The headers, when the first cluster comes.
    pub(super) fn complete(self) -> Result<StreamHeads, Trouble> {
        let tracks = self.facts.ok_or(Trouble::NoHeaders)?;
        if self.info.is_empty() {
            return Err(Trouble::NoHeaders);
        }
        let segment = segment_head(ids::SEGMENT);
        let parts = [&self.header[..], &segment, &self.info, &self.tracks];
        Ok(StreamHeads {
            prologue: Bytes::from(parts.concat()),
            tracks,
            tick_nanos: self.tick_nanos,
        })
    }
}

impl StreamHeads {
    /// Whether the headers are so short that a stream may be joined within clusters too.
    pub(super) fn may_enter(&self) -> bool {
        self.prologue.len() <= MAX_ENTRY_HEADS
    }

    /// The prologue of a block within a cluster of this timestamp: the headers, and the head of a cluster that goes on
    /// with the block.
    pub(super) fn entry(&self, timestamp: u64) -> Bytes {
        let timestamp = timestamp.to_be_bytes();
        let timestamp_head = [ids::TIMESTAMP as u8, 0x80 | timestamp.len() as u8];
        let cluster = segment_head(ids::CLUSTER);
        let parts = [&self.prologue[..], &cluster, &timestamp_head, &timestamp];
        Bytes::from(parts.concat())
    }
}

/// The head of a segment or of a cluster of unknown length.
fn segment_head(id: u32) -> [u8; 12] {
    let mut head = [0; 12];
    let (id_field, length_field) = head.split_at_mut(4);
    id_field.copy_from_slice(&id.to_be_bytes());
    length_field.copy_from_slice(&UNKNOWN_LENGTH);
    head
}

#[cfg(test)]
mod tests {
    use super::super::samples::{audio_track, element, header, info, tracks};
    use super::*;

    /// An element that is all there, as the walk hands it on.
    fn found(bytes: &[u8], id: u32) -> FoundElement<'_> {
        let id_bytes = 4;
        let length_bytes = bytes[id_bytes].leading_zeros() as usize + 1;
        let head_bytes = id_bytes + length_bytes;
        FoundElement {
            offset: 0,
            head: ElementHead {
                id,
                head_bytes,
                body_bytes: Some((bytes.len() - head_bytes) as u64),
            },
            bytes,
        }
    }

    fn gathered(parts: &[(u32, Vec<u8>)]) -> GatheredHeads {
        let mut heads = GatheredHeads::default();
        for part in parts {
            assert!(heads.take(&found(&part.1, part.0)));
        }
        heads
    }

    #[test]
    fn the_prologue_is_the_headers_in_a_segment_without_end() {
        let [info, tracks] = [info(1_000_000), tracks(&[audio_track(1)])];
        let parts = [
            (ids::HEADER, header("webm")),
            (ids::TRACKS, tracks.clone()),
            (ids::INFO, info.clone()),
        ];
        let heads = gathered(&parts);
        assert!(!heads.wants(ids::INFO) && !heads.wants(ids::TRACKS));
        let heads = heads.complete().unwrap();
        let segment = b"\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
        let expected = [&header("webm")[..], segment, &info, &tracks].concat();
        assert_eq!(heads.prologue, expected);
        assert_eq!(heads.tracks.format.container, Container::Webm);
        let entry = heads.entry(0x1234);
        let cluster =
            b"\x1F\x43\xB6\x75\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xE7\x88\0\0\0\0\0\0\x12\x34";
        assert_eq!(entry, [&expected[..], cluster].concat());
    }

    #[test]
    fn headers_that_lack_a_part_or_are_damaged_are_not_complete() {
        let header = (ids::HEADER, header("matroska"));
        let info = (ids::INFO, info(1_000_000));
        let tracks = (ids::TRACKS, tracks(&[audio_track(1)]));
        for missing in [[header.clone(), info], [header.clone(), tracks]] {
            let complete = gathered(&missing).complete();
            assert_eq!(complete.err(), Some(Trouble::NoHeaders));
        }
        let damaged = element(ids::TRACKS, &[0xAE, 0x85, 1]);
        let mut heads = gathered(&[header]);
        assert!(heads.wants(ids::TRACKS));
        assert!(!heads.take(&found(&damaged, ids::TRACKS)));
    }

    #[test]
    fn headers_have_a_limit_that_the_prologue_keeps() {
        let heads = gathered(&[(ids::HEADER, header("webm"))]);
        let used = header("webm").len() + 12 + 8;
        let room = |body_bytes| {
            heads.room_for(&ElementHead {
                id: ids::TRACKS,
                head_bytes: 8,
                body_bytes,
            })
        };
        let most = MAX_PROLOGUE_BYTES - used;
        assert_eq!(room(Some(most as u64)), Some(most));
        for too_long in [Some(most as u64 + 1), Some(u64::MAX), None] {
            assert_eq!(room(too_long), None);
        }
        let long = StreamHeads {
            prologue: Bytes::from(vec![0; MAX_ENTRY_HEADS + 1]),
            tracks: gathered(&[(ids::TRACKS, tracks(&[audio_track(1)]))])
                .facts
                .unwrap(),
            tick_nanos: 1,
        };
        assert!(!long.may_enter());
    }
}
