//! The side information of an MP3 frame: how its spectrum is coded, without the spectrum.

use crate::media::format::bits::Bits;
use crate::media::format::frames::FrameHead;
use crate::media::format::mpeg::{MpegHead, MpegVersion};

/// The greatest number that each table of the spectrum codes. Tables 4 and 14 do not exist; those from 16 on code 15 and
/// as many more bits.
const GREATEST: [u32; 32] = [
    0, 1, 2, 2, 0, 3, 3, 5, 5, 5, 7, 7, 7, 15, 0, 15, 16, 18, 22, 30, 78, 270, 1038, 8206, 30, 46,
    78, 142, 270, 526, 2062, 8206,
];

/// How many scale factors there are in each of four groups, by how `scalefac_compress` of MPEG-2 says it: for long blocks and
/// for short ones.
const GROUPS_V2: [[[usize; 4]; 2]; 3] = [
    [[6, 5, 5, 5], [9, 9, 9, 9]],
    [[6, 5, 7, 3], [9, 9, 12, 6]],
    [[11, 10, 0, 0], [18, 18, 0, 0]],
];

/// The words of a frame on its spectrum.
#[derive(Clone, Debug)]
pub(super) struct SideInfo {
    /// How many bytes before this frame's own the main data begins.
    pub(super) back_bytes: usize,
    /// The end of the side information in the frame.
    pub(super) end_bytes: usize,
    /// Each granule of each channel, in the order in which they stand in the main data.
    pub(super) parts: Vec<Part>,
}

/// One granule of one channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The channel.
    pub(super) channel: usize,
    /// Whether this is the second granule of the frame.
    pub(super) is_second: bool,
    /// How many bits of main data it has: scale factors and spectrum.
    pub(super) bits: u16,
    /// How many pairs of lines are coded by the tables.
    pub(super) big_values: u16,
    /// The global gain.
    pub(super) gain: u8,
    /// How many bits the scale factors have.
    pub(super) compress: u16,
    /// Whether the block is three short ones.
    pub(super) is_short: bool,
    /// Whether the lower bands of a short block are long.
    pub(super) is_mixed: bool,
    /// The tables of its regions.
    tables: [u8; 3],
    /// The additional gain of each window of a short block.
    pub(super) window_gains: [u8; 3],
    /// The bands at which the second and the third region begin.
    regions: [usize; 2],
    /// Whether a fixed addition to the scale factors holds.
    pub(super) has_pre: bool,
    /// Whether a step of the scale factors is twice as great.
    pub(super) is_coarse: bool,
    /// The groups of scale factors that are those of the first granule.
    pub(super) shared: [bool; 4],
}

impl SideInfo {
    /// Reads the side information of a frame; `None` if it is cut.
    pub(super) fn read(frame: &[u8], head: &MpegHead) -> Option<Self> {
        let has_checksum = frame.get(1)? & 1 == 0;
        let begin = MpegHead::BYTES + if has_checksum { 2 } else { 0 };
        let mut bits = Bits::new(frame.get(begin..)?);
        let channels = if head.mono { 1 } else { 2 };
        let (granules, mut shared) = (granules(head.version), [[false; 4]; 2]);
        let back_bytes = match head.version {
            MpegVersion::V1 => {
                let back = bits.take(9)?;
                bits.skip(if head.mono { 5 } else { 3 });
                for group in shared.iter_mut().take(channels).flatten() {
                    *group = bits.take(1)? == 1;
                }
                back
            }
            MpegVersion::V2 | MpegVersion::V25 => {
                let back = bits.take(8)?;
                bits.skip(channels);
                back
            }
        };
        let mut parts = Vec::with_capacity(granules * channels);
        for granule in 0..granules {
            for (channel, shared) in shared.iter().enumerate().take(channels) {
                let part = Part::read(&mut bits, head.version)?;
                parts.push(Part {
                    channel,
                    is_second: granule == 1,
                    shared: *shared,
                    ..part
                });
            }
        }
        Some(Self {
            back_bytes: back_bytes as usize,
            end_bytes: begin + bits.position().div_ceil(8),
            parts,
        })
    }
}

/// The granules of a frame.
fn granules(version: MpegVersion) -> usize {
    match version {
        MpegVersion::V1 => 2,
        MpegVersion::V2 | MpegVersion::V25 => 1,
    }
}

impl Part {
    fn read(bits: &mut Bits<'_>, version: MpegVersion) -> Option<Self> {
        let is_v1 = version == MpegVersion::V1;
        let mut part = Self {
            channel: 0,
            is_second: false,
            bits: bits.take(12)? as u16,
            big_values: bits.take(9)? as u16,
            gain: bits.take(8)? as u8,
            compress: bits.take(if is_v1 { 4 } else { 9 })? as u16,
            is_short: false,
            is_mixed: false,
            tables: [0; 3],
            window_gains: [0; 3],
            regions: [0; 2],
            has_pre: false,
            is_coarse: false,
            shared: [false; 4],
        };
        if bits.take(1)? == 1 {
            part.is_short = bits.take(2)? == 2;
            part.is_mixed = bits.take(1)? == 1;
            for table in part.tables.iter_mut().take(2) {
                *table = bits.take(5)? as u8;
            }
            for gain in &mut part.window_gains {
                *gain = bits.take(3)? as u8;
            }
            part.regions = [8, usize::MAX];
        } else {
            for table in &mut part.tables {
                *table = bits.take(5)? as u8;
            }
            let first = bits.take(4)? as usize + 1;
            part.regions = [first, first + bits.take(3)? as usize + 1];
        }
        // Of MPEG-2, `scalefac_compress` says it too.
        part.has_pre = if is_v1 {
            bits.take(1)? == 1
        } else {
            part.compress >= 500
        };
        part.is_coarse = bits.take(1)? == 1;
        bits.skip(1);
        Some(part)
    }

    /// The greatest number in a band of a long block.
    pub(super) fn greatest_of_long(&self, band: usize) -> u32 {
        let region = self.regions.iter().filter(|from| band >= **from).count();
        GREATEST[usize::from(self.tables[region])]
    }

    /// The greatest number in a band of a short block, of which the first three are a region.
    pub(super) fn greatest_of_short(&self, band: usize) -> u32 {
        GREATEST[usize::from(self.tables[usize::from(band >= 3)])]
    }

    /// How many scale factors of MPEG-2 there are, and the bits of each, in four groups.
    pub(super) fn factor_bits_v2(&self) -> [(usize, usize); 4] {
        let compress = usize::from(self.compress);
        let (kind, bits) = match compress {
            0..400 => {
                let upper = compress >> 4;
                let lower = compress & 0b1111;
                (0, [upper / 5, upper % 5, lower >> 2, lower & 0b11])
            }
            400..500 => {
                let rest = compress - 400;
                (1, [(rest >> 2) / 5, (rest >> 2) % 5, rest & 0b11, 0])
            }
            _ => {
                let rest = compress - 500;
                (2, [rest / 3, rest % 3, 0, 0])
            }
        };
        let counts = GROUPS_V2[kind][usize::from(self.is_short)];
        std::array::from_fn(|group| (counts[group], bits[group]))
    }
}
