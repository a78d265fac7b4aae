//! Elements and streams of WebM for tests.

use super::ids;

/// The segment's head in [`heads`], which says a length that the prologue must not say.
const SEGMENT_HEAD: [u8; 12] = [0x18, 0x53, 0x80, 0x67, 0x01, 0, 0, 0, 0x40, 0, 0, 0];

/// An element.
pub(crate) fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let length = match body.len() as u64 {
        short @ 0..0x7F => vec![0x80 | short as u8],
        long => ((1 << 56) | long).to_be_bytes().to_vec(),
    };
    [id_bytes(id), length, body.to_vec()].concat()
}

/// The head of an element of unknown length.
pub(crate) fn open(id: u32) -> Vec<u8> {
    [id_bytes(id), vec![0xFF]].concat()
}

fn id_bytes(id: u32) -> Vec<u8> {
    let bytes = id.to_be_bytes();
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// An EBML header for a kind of document.
pub(crate) fn header(doc_type: &str) -> Vec<u8> {
    let body = [
        element(0x4286, &[1]),
        element(ids::DOC_TYPE, doc_type.as_bytes()),
    ];
    element(ids::HEADER, &body.concat())
}

/// The info of a segment, with so many nanoseconds for a tick.
pub(crate) fn info(tick_nanos: u32) -> Vec<u8> {
    let scale = element(ids::TIMESTAMP_SCALE, &tick_nanos.to_be_bytes());
    element(ids::INFO, &[scale, element(0x4D80, b"tests")].concat())
}

/// The tracks of a segment.
pub(crate) fn tracks(entries: &[Vec<u8>]) -> Vec<u8> {
    element(ids::TRACKS, &entries.concat())
}

/// A track.
pub(crate) fn track(number: u8, kind: u8, codec: &str, more: &[u8]) -> Vec<u8> {
    let body = [
        element(ids::TRACK_NUMBER, &[number]),
        element(ids::TRACK_TYPE, &[kind]),
        element(ids::CODEC_ID, codec.as_bytes()),
        more.to_vec(),
    ];
    element(ids::TRACK_ENTRY, &body.concat())
}

/// A track of Opus, 48 kHz, stereo.
pub(crate) fn audio_track(number: u8) -> Vec<u8> {
    let figures = [
        element(ids::SAMPLING_FREQUENCY, &48_000.0_f64.to_be_bytes()),
        element(ids::CHANNELS, &[2]),
    ];
    track(number, 2, "A_OPUS", &element(ids::AUDIO, &figures.concat()))
}

/// A track of VP8, 640 by 360 pixels.
pub(crate) fn video_track(number: u8) -> Vec<u8> {
    let figures = [
        element(ids::PIXEL_WIDTH, &640_u16.to_be_bytes()),
        element(ids::PIXEL_HEIGHT, &360_u16.to_be_bytes()),
    ];
    track(number, 1, "V_VP8", &element(ids::VIDEO, &figures.concat()))
}

/// All headers of a stream, with a segment of known length and with parts that no prologue has.
pub(crate) fn heads(entries: &[Vec<u8>]) -> Vec<u8> {
    let seek_head = element(ids::SEEK_HEAD, &[0; 40]);
    let void = element(ids::VOID, &[0; 300]);
    let tags = element(ids::TAGS, b"tags");
    let (info, tracks) = (info(1_000_000), tracks(entries));
    [
        header("webm"),
        SEGMENT_HEAD.to_vec(),
        seek_head,
        void,
        info,
        tracks,
        tags,
    ]
    .concat()
}

/// The prologue of a stream with [`heads`].
pub(crate) fn prologue(entries: &[Vec<u8>]) -> Vec<u8> {
    let segment = [&SEGMENT_HEAD[..5], &[0xFF; 7]].concat();
    [header("webm"), segment, info(1_000_000), tracks(entries)].concat()
}

/// A cluster at this time, in milliseconds.
pub(crate) fn cluster(time_ms: u32, blocks: &[Vec<u8>]) -> Vec<u8> {
    let timestamp = element(ids::TIMESTAMP, &time_ms.to_be_bytes());
    element(ids::CLUSTER, &[timestamp, blocks.concat()].concat())
}

/// The beginning of a cluster of unknown length.
pub(crate) fn open_cluster(time_ms: u32) -> Vec<u8> {
    let timestamp = element(ids::TIMESTAMP, &time_ms.to_be_bytes());
    [open(ids::CLUSTER), timestamp].concat()
}

/// A block of 100 bytes.
pub(crate) fn block(track: u8, ticks: i16, is_key: bool) -> Vec<u8> {
    element(ids::SIMPLE_BLOCK, &block_body(track, ticks, is_key))
}

/// A block in a group; it names another block unless it is a keyframe.
pub(crate) fn block_group(track: u8, ticks: i16, is_key: bool) -> Vec<u8> {
    let block = element(ids::BLOCK, &block_body(track, ticks, false));
    let reference = match is_key {
        true => Vec::new(),
        false => element(ids::REFERENCE_BLOCK, &[0xD8]),
    };
    let duration = element(0x9B, &[20]);
    element(ids::BLOCK_GROUP, &[duration, block, reference].concat())
}

fn block_body(track: u8, ticks: i16, is_key: bool) -> Vec<u8> {
    let [high, low] = ticks.to_be_bytes();
    let flags = if is_key { 0x80 } else { 0 };
    let head = [0x80 | track, high, low, flags];
    [&head[..], &[0x55; 96]].concat()
}
