//! A stream of Matroska from element to element: first its headers, then clusters, and perhaps a new stream after them.

use std::time::Duration;

use bytes::Bytes;

use super::cluster::{BLOCK_HEAD_BYTES, BlockClock, BlockHead, JoinAt, JoinRule, OpenCluster};
use super::heads::{GatheredHeads, MAX_HEADER_BYTES, StreamHeads};
use super::ids;
use super::walk::{BodyUse, Elements, FoundElement, TakeElements};
use crate::media::format::joining::{Anew, Mark, Prologue, Scanned, StreamStart, Trouble};
use crate::model::format::StreamFormat;

/// The longest time of a cluster.
const MAX_TIMESTAMP_BYTES: u64 = 8;

/// The longest block that is passed over by its length: a keyframe of 4K pictures has some 2 MiB. One that says more is
/// damaged, and what is behind it is looked for at once.
const MAX_BLOCK_BYTES: u64 = 8 << 20;

/// The longest of all other elements in a cluster: each has a few bytes, and what fills a gap some kB.
const MAX_FACT_BYTES: u64 = 64 << 10;

/// A stream as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct EbmlStream {
    stage: EbmlStage,
    /// The cluster that comes now, and the group of a block in it.
    cluster: Option<OpenCluster>,
    group: Option<OpenGroup>,
    clock: BlockClock,
    edge: u64,
    trouble: Option<Trouble>,
}

/// The part of a stream that comes now.
#[derive(Clone, Debug)]
enum EbmlStage {
    /// No headers are known.
    Unknown,
    /// The headers.
    Heads(GatheredHeads),
    /// Clusters.
    Clusters(Clusters),
}

/// The state of a walk through the clusters of a stream.
#[derive(Clone, Debug)]
struct Clusters {
    heads: StreamHeads,
    rule: JoinRule,
    /// Whether the prologue that was found last is that of a block within a cluster.
    is_entry: bool,
}

impl Clusters {
    fn new(heads: StreamHeads, since: Duration) -> Self {
        Self {
            rule: JoinRule::new(&heads.tracks, heads.may_enter(), since),
            is_entry: false,
            heads,
        }
    }
}

/// A group of a block and what is said about it.
#[derive(Clone, Copy, Debug)]
struct OpenGroup {
    offset: u64,
    end: u64,
    block: Option<BlockHead>,
    needs_others: bool,
}

impl EbmlStream {
    /// A stream of which so much has been, and nothing is known.
    pub(super) fn new(start: u64, since: Duration) -> Self {
        Self {
            stage: EbmlStage::Unknown,
            cluster: None,
            group: None,
            clock: BlockClock::at(since),
            edge: start,
            trouble: None,
        }
    }

    /// A stream behind its prologue, which may end with the beginning of a cluster; `None` if it is no prologue.
    pub(super) fn behind(start: &StreamStart) -> Option<Self> {
        let (mut elements, mut stream) = (Elements::searched_from(0), Self::new(0, Duration::ZERO));
        let mut ignore = |_: Scanned| {};
        elements.feed(&start.prologue, &mut stream.telling(&mut ignore));
        let timestamp = stream.cluster.map(|cluster| cluster.timestamp);
        let (heads, cluster) = match (stream.stage, timestamp) {
            (EbmlStage::Heads(heads), None) => (heads.complete().ok()?, None),
            (EbmlStage::Clusters(clusters), Some(Some(timestamp))) => {
                let rest = OpenCluster::rest(start.offset, timestamp);
                (clusters.heads, Some(rest))
            }
            _ => return None,
        };
        if !elements.is_between() {
            return None;
        }
        let mut behind = Self::new(start.offset, start.media_time);
        behind.clock.restart(heads.tick_nanos);
        behind.stage = EbmlStage::Clusters(Clusters {
            is_entry: cluster.is_some(),
            ..Clusters::new(heads, start.media_time)
        });
        behind.cluster = cluster;
        Some(behind)
    }

    /// Whether the next byte is one within a cluster.
    pub(super) fn is_in_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// Whether headers have begun, so that the time is that of blocks.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self.stage, EbmlStage::Unknown)
    }

    /// The end of the last block, cluster, or other element that is whole.
    pub(super) fn edge(&self) -> u64 {
        self.edge
    }

    /// The time of the latest block.
    pub(super) fn media_time(&self) -> Duration {
        self.clock.time()
    }

    /// Moves the time on to this one, if it is not so late yet.
    pub(super) fn catch_up(&mut self, earliest: Duration) {
        self.clock.catch_up(earliest);
    }

    /// The format, if the headers are complete.
    pub(super) fn format(&self) -> Option<StreamFormat> {
        match &self.stage {
            EbmlStage::Clusters(clusters) => Some(clusters.heads.tracks.format),
            EbmlStage::Unknown | EbmlStage::Heads(_) => None,
        }
    }

    /// The format as far as the headers that have come say it.
    pub(super) fn said(&self) -> StreamFormat {
        match &self.stage {
            EbmlStage::Heads(heads) => heads.said(),
            EbmlStage::Unknown | EbmlStage::Clusters(_) => self.format().unwrap_or_default(),
        }
    }

    /// Why late listeners cannot decode the stream.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Takes elements, and tells what is found in them.
    pub(super) fn telling<'a>(&'a mut self, found: &'a mut dyn FnMut(Scanned)) -> Telling<'a> {
        Telling {
            stream: self,
            found,
        }
    }

    /// Goes on without headers: they are not what they should be.
    fn give_up(&mut self, trouble: Trouble) {
        self.stage = EbmlStage::Unknown;
        self.trouble = Some(trouble);
    }

    fn mark(&self, offset: u64) -> Scanned {
        Scanned::Mark(Mark {
            offset,
            media_time: self.clock.time(),
        })
    }

    /// Begins an element of a segment: a cluster ends before it.
    fn leave_cluster(&mut self) {
        self.cluster = None;
        self.group = None;
    }

    /// Begins an element that is neither an EBML header, nor a cluster, nor in a group.
    fn begin_other(&mut self, element: &FoundElement<'_>) -> BodyUse {
        match element.head.id {
            ids::SEGMENT => {
                self.leave_cluster();
                BodyUse::Enter
            }
            ids::INFO | ids::TRACKS => self.begin_head(element),
            ids::SEEK_HEAD | ids::CUES | ids::ATTACHMENTS | ids::CHAPTERS | ids::TAGS => {
                self.leave_cluster();
                BodyUse::Pass { kept: 0 }
            }
            ids::VOID | ids::CRC_32 if self.has_room_for(element, MAX_FACT_BYTES) => {
                BodyUse::Pass { kept: 0 }
            }
            _ if self.cluster.is_some() => self.begin_child(element),
            _ => BodyUse::Junk,
        }
    }

    fn begin_head(&mut self, element: &FoundElement<'_>) -> BodyUse {
        self.leave_cluster();
        let EbmlStage::Heads(heads) = &self.stage else {
            return BodyUse::Pass { kept: 0 };
        };
        if !heads.wants(element.head.id) {
            return BodyUse::Pass { kept: 0 };
        }
        match heads.room_for(&element.head) {
            Some(kept) => BodyUse::Pass { kept },
            None => {
                self.give_up(Trouble::HeadersTooLong);
                BodyUse::Pass { kept: 0 }
            }
        }
    }

    /// Ends an element outside of clusters, which may be one of the headers.
    fn end_head(&mut self, element: &FoundElement<'_>) {
        self.edge = self.edge.max(element.end().unwrap_or_default());
        if let EbmlStage::Heads(heads) = &mut self.stage
            && heads.wants(element.head.id)
            && !heads.take(element)
        {
            self.give_up(Trouble::Damaged);
        }
    }

    /// Whether an element fits into the cluster that comes now, if there is one, and is no longer than its kind can be.
    fn has_room_for(&self, element: &FoundElement<'_>, most_bytes: u64) -> bool {
        let Some(cluster) = self.cluster else {
            return true;
        };
        let is_within = |cluster_end| element.offset < cluster_end;
        let is_short = element.head.body_bytes.is_some_and(|it| it <= most_bytes);
        match cluster.end {
            Some(cluster_end) if is_within(cluster_end) => {
                is_short && element.end().is_some_and(|end| end <= cluster_end)
            }
            // Behind its end a cluster is over, whatever comes: an encoder may not know the length when it begins.
            _ => is_short,
        }
    }

    /// Begins an element within a cluster.
    fn begin_child(&mut self, element: &FoundElement<'_>) -> BodyUse {
        let most_bytes = match element.head.id {
            ids::SIMPLE_BLOCK | ids::BLOCK_GROUP | ids::ENCRYPTED_BLOCK => MAX_BLOCK_BYTES,
            _ => MAX_FACT_BYTES,
        };
        if !self.has_room_for(element, most_bytes) {
            return BodyUse::Junk;
        }
        match element.head.id {
            ids::TIMESTAMP => match element.head.body_bytes {
                Some(bytes) if bytes <= MAX_TIMESTAMP_BYTES => BodyUse::Pass {
                    kept: bytes as usize,
                },
                _ => BodyUse::Junk,
            },
            ids::SIMPLE_BLOCK => BodyUse::Pass {
                kept: BLOCK_HEAD_BYTES,
            },
            ids::BLOCK_GROUP => {
                let body_begin = element
                    .offset
                    .saturating_add(element.head.head_bytes as u64);
                match element.end() {
                    None => BodyUse::Junk,
                    Some(end) if end == body_begin => BodyUse::Pass { kept: 0 },
                    Some(end) => {
                        self.group = Some(OpenGroup {
                            offset: element.offset,
                            end,
                            block: None,
                            needs_others: false,
                        });
                        BodyUse::Enter
                    }
                }
            }
            ids::ENCRYPTED_BLOCK | ids::POSITION | ids::PREV_SIZE | ids::SILENT_TRACKS => {
                BodyUse::Pass { kept: 0 }
            }
            _ => BodyUse::Junk,
        }
    }

    /// Moves the edge behind a block, unless its cluster has to be whole first.
    fn pass_block(&mut self, end: u64) {
        let now = self.clock.time();
        let is_held_back = |cluster: &OpenCluster| cluster.is_held_back(now);
        if self.format().is_none() || !self.cluster.as_ref().is_some_and(is_held_back) {
            self.edge = self.edge.max(end);
        }
    }

    /// Ends an element within a cluster. The block that has come as a whole, with the offset of its element.
    fn end_child(&mut self, element: &FoundElement<'_>) -> Option<WholeBlock> {
        let end = element.end()?;
        let cluster_end = self.cluster.and_then(|cluster| cluster.end);
        if cluster_end.is_some_and(|cluster_end| end >= cluster_end) {
            self.edge = self.edge.max(end);
        }
        let Some(group) = &mut self.group else {
            if element.head.id != ids::SIMPLE_BLOCK {
                return None;
            }
            self.pass_block(end);
            return Some(WholeBlock {
                offset: element.offset,
                head: BlockHead::read(element.body())?,
            });
        };
        if element.head.id == ids::BLOCK {
            group.block = BlockHead::read(element.body());
        }
        if end < group.end {
            return None;
        }
        let group = self.group.take()?;
        self.pass_block(end);
        let head = BlockHead {
            is_key: !group.needs_others,
            ..group.block?
        };
        Some(WholeBlock {
            offset: group.offset,
            head,
        })
    }
}

impl OpenGroup {
    /// Begins an element within the group; one that does not end in it is junk.
    fn begin_child(&mut self, element: &FoundElement<'_>) -> BodyUse {
        if element.end().is_none_or(|end| end > self.end) {
            return BodyUse::Junk;
        }
        self.needs_others |= element.head.id == ids::REFERENCE_BLOCK;
        let is_block = element.head.id == ids::BLOCK;
        BodyUse::Pass {
            kept: if is_block { BLOCK_HEAD_BYTES } else { 0 },
        }
    }
}

/// A block that has come as a whole.
#[derive(Clone, Copy, Debug)]
struct WholeBlock {
    /// The offset of its element, or of the group that it stands in.
    offset: u64,
    head: BlockHead,
}

/// A stream that takes elements, and where it tells what is found.
pub(super) struct Telling<'a> {
    stream: &'a mut EbmlStream,
    found: &'a mut dyn FnMut(Scanned),
}

impl Telling<'_> {
    fn tell_prologue(&mut self, offset: u64, bytes: Bytes) {
        (self.found)(Scanned::Prologue(Prologue { offset, bytes }));
    }

    /// Begins a stream, whose first byte needs nothing before it.
    fn begin_stream(&mut self, element: &FoundElement<'_>) -> BodyUse {
        let kept = match element.head.body_bytes {
            Some(bytes) if bytes <= MAX_HEADER_BYTES => bytes as usize,
            _ => return BodyUse::Junk,
        };
        self.stream.leave_cluster();
        if self.stream.is_known() || self.stream.trouble.is_some() {
            (self.found)(Scanned::Anew(Anew {
                ends: self.stream.edge.min(element.offset),
                begins: element.offset,
            }));
        }
        self.stream.edge = self.stream.edge.max(element.offset);
        self.stream.stage = EbmlStage::Heads(GatheredHeads::default());
        self.stream.trouble = None;
        self.tell_prologue(element.offset, Bytes::new());
        (self.found)(self.stream.mark(element.offset));
        BodyUse::Pass { kept }
    }

    /// Begins a cluster; the first one ends the headers.
    fn begin_cluster(&mut self, element: &FoundElement<'_>) {
        let offset = element.offset;
        self.stream.leave_cluster();
        self.stream.edge = self.stream.edge.max(offset);
        self.stream.cluster = Some(OpenCluster::at(offset, element.end()));
        let since = self.stream.clock.time();
        match std::mem::replace(&mut self.stream.stage, EbmlStage::Unknown) {
            EbmlStage::Unknown => {
                self.stream.trouble.get_or_insert(Trouble::NoHeaders);
            }
            EbmlStage::Heads(heads) => match heads.complete() {
                Ok(heads) => {
                    self.stream.clock.restart(heads.tick_nanos);
                    self.tell_prologue(offset, heads.prologue.clone());
                    let clusters = Clusters::new(heads, since);
                    self.stream.stage = EbmlStage::Clusters(clusters);
                }
                Err(trouble) => self.stream.give_up(trouble),
            },
            EbmlStage::Clusters(mut clusters) => {
                if std::mem::take(&mut clusters.is_entry) {
                    self.tell_prologue(offset, clusters.heads.prologue.clone());
                }
                self.stream.stage = EbmlStage::Clusters(clusters);
            }
        }
    }

    fn take_block(&mut self, block: WholeBlock) -> Option<()> {
        let EbmlStage::Clusters(clusters) = &mut self.stream.stage else {
            return None;
        };
        let cluster = self.stream.cluster.as_mut()?;
        let timestamp = cluster.timestamp?;
        let clock = &mut self.stream.clock;
        clock.advance(cluster.ticks(&block.head)?);
        let place = clusters.rule.judge(cluster, &block.head, clock.time());
        let mark = match place {
            JoinAt::Neither => return None,
            JoinAt::Cluster(media_time) => Mark {
                offset: cluster.offset,
                media_time,
            },
            JoinAt::Block => Mark {
                offset: block.offset,
                media_time: clock.time(),
            },
        };
        if place == JoinAt::Block && !cluster.has_entry {
            let bytes = clusters.heads.entry(timestamp);
            (cluster.has_entry, clusters.is_entry) = (true, true);
            self.tell_prologue(block.offset, bytes);
        }
        (self.found)(Scanned::Mark(mark));
        Some(())
    }
}

impl TakeElements for Telling<'_> {
    fn begin(&mut self, element: &FoundElement<'_>) -> BodyUse {
        match element.head.id {
            ids::HEADER => self.begin_stream(element),
            ids::CLUSTER => {
                self.begin_cluster(element);
                BodyUse::Enter
            }
            _ => match &mut self.stream.group {
                Some(group) => group.begin_child(element),
                None => self.stream.begin_other(element),
            },
        }
    }

    fn end(&mut self, element: &FoundElement<'_>) {
        if self.stream.cluster.is_none() {
            self.stream.end_head(element);
            return;
        }
        if let (ids::TIMESTAMP, Some(cluster)) = (element.head.id, &mut self.stream.cluster) {
            cluster.set_timestamp(element.body());
        }
        if let Some(block) = self.stream.end_child(element) {
            self.take_block(block);
        }
    }
}
