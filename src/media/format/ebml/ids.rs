//! The ids of the elements of Matroska, and of WebM, which is a part of it.

/// The EBML header, which begins a stream.
pub(super) const HEADER: u32 = 0x1A45_DFA3;
/// The kind of document, in the EBML header.
pub(super) const DOC_TYPE: u32 = 0x4282;
/// The segment: all the rest.
pub(super) const SEGMENT: u32 = 0x1853_8067;

/// The index of the parts of a segment.
pub(super) const SEEK_HEAD: u32 = 0x114D_9B74;
/// The facts of the whole segment.
pub(super) const INFO: u32 = 0x1549_A966;
/// The tracks.
pub(super) const TRACKS: u32 = 0x1654_AE6B;
/// A cluster: blocks that follow each other in time.
pub(super) const CLUSTER: u32 = 0x1F43_B675;
/// The index of times.
pub(super) const CUES: u32 = 0x1C53_BB6B;
/// Files, such as a cover.
pub(super) const ATTACHMENTS: u32 = 0x1941_A469;
/// The chapters.
pub(super) const CHAPTERS: u32 = 0x1043_A770;
/// The tags.
pub(super) const TAGS: u32 = 0x1254_C367;

/// Bytes without a meaning, at any place.
pub(super) const VOID: u32 = 0xEC;
/// The checksum of the element that it stands in, at any place.
pub(super) const CRC_32: u32 = 0xBF;

/// How many nanoseconds a tick has, in the info.
pub(super) const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;

/// One track.
pub(super) const TRACK_ENTRY: u32 = 0xAE;
/// The number by which blocks name their track.
pub(super) const TRACK_NUMBER: u32 = 0xD7;
/// Whether a track has sound or pictures.
pub(super) const TRACK_TYPE: u32 = 0x83;
/// The name of a codec.
pub(super) const CODEC_ID: u32 = 0x86;
/// The data that a codec needs before the first block.
pub(super) const CODEC_PRIVATE: u32 = 0x63A2;
/// The figures of sound.
pub(super) const AUDIO: u32 = 0xE1;
/// Samples per second.
pub(super) const SAMPLING_FREQUENCY: u32 = 0xB5;
/// The number of channels.
pub(super) const CHANNELS: u32 = 0x9F;
/// The figures of pictures.
pub(super) const VIDEO: u32 = 0xE0;
/// Pixels from left to right.
pub(super) const PIXEL_WIDTH: u32 = 0xB0;
/// Pixels from top to bottom.
pub(super) const PIXEL_HEIGHT: u32 = 0xBA;

/// The time of a cluster, in ticks.
pub(super) const TIMESTAMP: u32 = 0xE7;
/// A block that says itself whether it is a keyframe.
pub(super) const SIMPLE_BLOCK: u32 = 0xA3;
/// A block with more about it.
pub(super) const BLOCK_GROUP: u32 = 0xA0;
/// The block in a group.
pub(super) const BLOCK: u32 = 0xA1;
/// The time of a block that is needed to decode the one in the same group.
pub(super) const REFERENCE_BLOCK: u32 = 0xFB;
/// An encrypted block.
pub(super) const ENCRYPTED_BLOCK: u32 = 0xAF;
/// The place of a cluster in a file.
pub(super) const POSITION: u32 = 0xA7;
/// The length of the cluster before.
pub(super) const PREV_SIZE: u32 = 0xAB;
/// The tracks that are silent in a cluster.
pub(super) const SILENT_TRACKS: u32 = 0x5854;
