//! The tables of MPEG-TS that a decoder needs first: the PAT, that says where the programme's map is, and that map, the PMT.
//!
//! Both are repeated all the time. Only the first programme counts.

use super::packet::{HEAD_BYTES, PACKET_BYTES, SYNC, TsPacket};
use crate::media::format::crc::crc32;
use crate::model::format::CodecName;

/// The number of the packets with the PAT.
const PAT_PID: u16 = 0;

/// The longest section of these tables.
const MAX_SECTION_BYTES: usize = 1_024;

/// The bytes of a section before its length ends, and those behind its table.
const LENGTH_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;

/// The byte behind the last section of a packet, up to its end.
const STUFFING: u8 = 0xFF;

/// The PID of a programme without a clock.
const NO_PID: u16 = 0x1FFF;

/// An elementary stream of the programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementaryStream {
    /// The number of its packets.
    pub(super) pid: u16,
    /// The coding.
    pub(super) codec: CodecName,
    /// The number of channels, if the map tells it; otherwise 0.
    pub(super) channels: u8,
}

/// The streams of a programme that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Programme {
    /// The number of the packets that tell the clock.
    pub(super) clock_pid: Option<u16>,
    /// The first stream of pictures.
    pub(super) video: Option<ElementaryStream>,
    /// The first stream of sound.
    pub(super) audio: Option<ElementaryStream>,
}

/// The tables as far as they have come.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pat: SectionReader,
    /// The map of the first programme, once it is known where it is.
    map: Option<ProgrammeMap>,
}

#[derive(Clone, Debug)]
struct ProgrammeMap {
    sections: SectionReader,
    /// The streams that it names, once it has come.
    programme: Option<Programme>,
}

/// The table that is wanted: others may come in packets with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TableId {
    /// The first byte of its sections.
    kind: u8,
    /// The number of the programme; `None`: it is of all.
    programme: Option<u16>,
}

/// A table of one section that comes in packets with one number.
#[derive(Clone, Debug)]
struct SectionReader {
    pid: u16,
    table: TableId,
    /// The section that comes now, and what stands behind it in the last packet.
    coming: Vec<u8>,
    /// The count of the last packet; `None` if the beginning of the section that comes now has not come.
    count: Option<u8>,
    /// The last section that was whole and valid.
    section: Vec<u8>,
}

impl Programme {
    /// The stream at whose beginnings the programme may be joined.
    pub(super) fn leading(&self) -> Option<ElementaryStream> {
        self.video.or(self.audio)
    }

    /// Reads the section of a map.
    fn read(section: &[u8]) -> Option<Self> {
        let [_, _, _, _, _, _, _, _, a, b, c, d, rest @ ..] = section else {
            return None;
        };
        let clock_pid = low_bits::<13>(*a, *b);
        let mut programme = Self {
            clock_pid: (clock_pid != NO_PID).then_some(clock_pid),
            ..Self::default()
        };
        let streams = rest.len().checked_sub(CHECKSUM_BYTES)?;
        let mut streams = rest[..streams].get(usize::from(low_bits::<12>(*c, *d))..)?;
        while let [kind, a, b, c, d, rest @ ..] = streams {
            let length = usize::from(low_bits::<12>(*c, *d)).min(rest.len());
            let (descriptors, rest) = rest.split_at(length);
            programme.add(low_bits::<13>(*a, *b), *kind, descriptors);
            streams = rest;
        }
        Some(programme)
    }

    fn add(&mut self, pid: u16, kind: u8, descriptors: &[u8]) {
        let (is_video, codec) = match kind {
            0x01 | 0x02 => (true, CodecName::Mpeg2),
            0x10 => (true, CodecName::Unknown), // MPEG-4, part 2.
            0x1B => (true, CodecName::H264),
            0x24 => (true, CodecName::H265),
            0x03 | 0x04 => (false, CodecName::Mp2),
            0x0F | 0x11 => (false, CodecName::Aac),
            0x81 => (false, CodecName::Ac3),
            0x06 => match described(descriptors) {
                Some(codec) => (false, codec),
                None => return,
            },
            _ => return,
        };
        let stream = if is_video {
            &mut self.video
        } else {
            &mut self.audio
        };
        stream.get_or_insert(ElementaryStream {
            pid,
            codec,
            channels: match codec {
                CodecName::Opus => opus_channels(descriptors),
                _ => 0,
            },
        });
    }
}

/// The codec of a private stream of sound by what describes it: the length of a descriptor stands behind its type.
fn described(mut descriptors: &[u8]) -> Option<CodecName> {
    while let [kind, length, rest @ ..] = descriptors {
        let (body, rest) = rest.split_at_checked(usize::from(*length))?;
        match (kind, body) {
            (0x6A, _) | (0x05, b"AC-3") => return Some(CodecName::Ac3),
            (0x05, b"Opus") => return Some(CodecName::Opus),
            _ => descriptors = rest,
        }
    }
    None
}

/// The channels of Opus by what describes it: a descriptor of an extended type. 0 if it does not tell them.
fn opus_channels(mut descriptors: &[u8]) -> u8 {
    while let [kind, length, rest @ ..] = descriptors {
        let Some((body, rest)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        match (kind, body) {
            (0x7F, [0x80, 0, ..]) => return 2, // two streams of mono
            (0x7F, [0x80, channels @ 1..=8, ..]) => return *channels,
            _ => descriptors = rest,
        }
    }
    0
}

impl Tables {
    /// Tables of which nothing has come.
    pub(super) fn new() -> Self {
        Self {
            pat: SectionReader::new(PAT_PID, TableId::PAT),
            map: None,
        }
    }

    /// The tables that stand in a prologue; `None` if it is not one.
    pub(super) fn read(prologue: &[u8]) -> Option<Self> {
        let (mut tables, (packets, rest)) = (Self::new(), prologue.as_chunks::<PACKET_BYTES>());
        for packet in packets {
            tables.take(&TsPacket::read(packet)?);
        }
        (rest.is_empty() && tables.programme().is_some()).then_some(tables)
    }

    /// The first programme, once its map has come.
    pub(super) fn programme(&self) -> Option<&Programme> {
        self.map.as_ref()?.programme.as_ref()
    }

    /// Takes a packet, and says whether the tables are complete now, and not what they were.
    pub(super) fn take(&mut self, packet: &TsPacket<'_>) -> bool {
        if packet.pid == PAT_PID {
            return self.pat.take(packet) && self.find_map();
        }
        match &mut self.map {
            Some(map) if map.sections.pid == packet.pid => map.take(packet),
            _ => false,
        }
    }

    /// The packets that a late listener needs first: both tables.
    pub(super) fn to_prologue(&self) -> Vec<u8> {
        let map = self.map.iter().flat_map(|map| map.sections.to_packets());
        self.pat.to_packets().into_iter().chain(map).collect()
    }

    /// Looks in a new PAT for the first programme, and says whether its map is known.
    fn find_map(&mut self) -> bool {
        // Behind its head a section holds the number of the stream, its version, and its place among the sections.
        let entries = self.pat.section.len().saturating_sub(CHECKSUM_BYTES);
        let entries = self.pat.section.get(8..entries).unwrap_or_default();
        let mut maps = entries.as_chunks::<4>().0.iter().map(|[a, b, c, d]| {
            let number = u16::from_be_bytes([*a, *b]);
            ProgrammeMap::new(number, low_bits::<13>(*c, *d))
        });
        let Some(first) = maps.find(|map| map.sections.table != ProgrammeMap::NETWORKS) else {
            return false;
        };
        if let Some(known) = &self.map
            && first.is_that_of(known)
        {
            return known.programme.is_some();
        }
        self.map = Some(first);
        false
    }
}

impl ProgrammeMap {
    /// No programme has this number: the PAT says by it where the table of networks is.
    const NETWORKS: TableId = TableId::of_programme(0);

    fn new(number: u16, pid: u16) -> Self {
        Self {
            sections: SectionReader::new(pid, TableId::of_programme(number)),
            programme: None,
        }
    }

    fn is_that_of(&self, other: &Self) -> bool {
        let of = |map: &Self| (map.sections.table, map.sections.pid);
        of(self) == of(other)
    }

    /// Takes a packet, and says whether the map has changed.
    fn take(&mut self, packet: &TsPacket<'_>) -> bool {
        if !self.sections.take(packet) {
            return false;
        }
        let programme = Programme::read(&self.sections.section);
        self.programme = programme.or(self.programme);
        programme.is_some()
    }
}

impl TableId {
    const PAT: Self = Self {
        kind: 0x00,
        programme: None,
    };

    const fn of_programme(number: u16) -> Self {
        Self {
            kind: 0x02,
            programme: Some(number),
        }
    }

    /// Whether a section is one of this table, holds now, is the first, and arrived as it was made.
    fn is_of(self, section: &[u8]) -> bool {
        let [kind, form, _, a, b, version, number, ..] = section else {
            return false;
        };
        let is_long_form = form & 0x80 != 0;
        let is_current = version & 1 == 1;
        let programme = u16::from_be_bytes([*a, *b]);
        *kind == self.kind
            && self.programme.is_none_or(|wanted| wanted == programme)
            && is_long_form
            && is_current
            && *number == 0
            && section.len() <= MAX_SECTION_BYTES
            && checksum(section) == 0
    }
}

impl SectionReader {
    fn new(pid: u16, table: TableId) -> Self {
        Self {
            pid,
            table,
            coming: Vec::new(),
            count: None,
            section: Vec::new(),
        }
    }

    /// Takes a packet, and says whether the section is whole now, and not what it was.
    fn take(&mut self, packet: &TsPacket<'_>) -> bool {
        let before = self.count;
        let is_repeated = before == Some(packet.count) && !packet.begins;
        if packet.payload.is_empty() || is_repeated {
            return false; // A packet may come twice.
        }
        let is_next = before.is_some_and(|before| (before + 1) & 0x0F == packet.count);
        if !packet.begins {
            self.count = is_next.then_some(packet.count);
            return is_next && self.add(packet.payload);
        }
        self.count = Some(packet.count);
        let [pointer, rest @ ..] = packet.payload else {
            return false;
        };
        let Some((end, beginning)) = rest.split_at_checked(usize::from(*pointer)) else {
            return false;
        };
        let has_ended = is_next && self.add(end);
        self.coming.clear();
        self.add(beginning) || has_ended
    }

    /// Adds bytes to the section that comes now. Others may follow it; says whether one of them is new.
    fn add(&mut self, bytes: &[u8]) -> bool {
        self.coming.extend_from_slice(bytes);
        let (mut rest, mut is_new) = (&self.coming[..], false);
        while let [kind, a, b, ..] = rest
            && *kind != STUFFING
        {
            let section_bytes = LENGTH_BYTES + usize::from(low_bits::<12>(*a, *b));
            let Some((section, behind)) = rest.split_at_checked(section_bytes) else {
                break;
            };
            if self.section != section && self.table.is_of(section) {
                self.section = section.to_vec();
                is_new = true;
            }
            rest = behind;
        }
        let begun = self.coming.len() - rest.len();
        self.coming.drain(..begun);
        if self.coming.len() > MAX_SECTION_BYTES {
            self.coming.clear();
            self.count = None;
        }
        is_new
    }

    /// The section in packets of its own; none if it has not come.
    fn to_packets(&self) -> Vec<u8> {
        let mut packets = Vec::new();
        if self.section.is_empty() {
            return packets;
        }
        // The first byte says how many bytes are before the section.
        let payload = [&[0], self.section.as_slice()].concat();
        for (count, part) in payload.chunks(PACKET_BYTES - HEAD_BYTES).enumerate() {
            let begins = if count == 0 { 0x40 } else { 0 };
            let [high, low] = self.pid.to_be_bytes();
            packets.extend([SYNC, begins | high, low, 0x10 | (count & 0x0F) as u8]);
            packets.extend_from_slice(part);
        }
        packets.resize(packets.len().next_multiple_of(PACKET_BYTES), STUFFING);
        packets
    }
}

/// The number in the lowest bits of two bytes.
fn low_bits<const BITS: u32>(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low]) & ((1 << BITS) - 1)
}

/// The CRC of sections, with all bits set before. With the checksum that stands behind a section it is 0.
pub(super) fn checksum(section: &[u8]) -> u32 {
    crc32(u32::MAX, section)
}
