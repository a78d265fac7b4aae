//! The packets of MPEG-TS, and the heads of what begins in them: elementary streams come in packets of their own, PES.

use crate::model::format::CodecName;

/// The length of a packet.
pub(super) const PACKET_BYTES: usize = 188;

/// The first byte of each packet.
pub(super) const SYNC: u8 = 0x47;

/// The length of a packet's head, behind which its adaptation field or its payload begins.
pub(super) const HEAD_BYTES: usize = 4;

/// The clock of the stream, in units of 1/90,000 s, has 33 bits: it begins anew after 26 hours.
const CLOCK_BITS: u32 = 33;

/// A packet of which nobody said that it was damaged on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct TsPacket<'a> {
    /// The number of what it belongs to.
    pub(super) pid: u16,
    /// Whether something begins in it: a PES packet, or a section of a table.
    pub(super) begins: bool,
    /// A count of the packets with this number that have a payload, of four bits.
    pub(super) count: u8,
    /// Whether a decoder can begin here.
    pub(super) is_random_access: bool,
    /// The clock, where the packet tells it.
    pub(super) clock: Option<u64>,
    /// The payload; empty if it has none.
    pub(super) payload: &'a [u8],
}

impl<'a> TsPacket<'a> {
    /// Reads a packet; `None` if it is damaged.
    pub(super) fn read(packet: &'a [u8; PACKET_BYTES]) -> Option<Self> {
        let [sync, first, second, flags, body @ ..] = packet;
        let is_damaged = first & 0x80 != 0;
        if *sync != SYNC || is_damaged {
            return None;
        }
        let (has_adaptation, has_payload) = (flags & 0x20 != 0, flags & 0x10 != 0);
        let (adaptation, payload) = match (has_adaptation, body) {
            (true, [length, rest @ ..]) => rest.split_at_checked(usize::from(*length))?,
            _ => (&[][..], &body[..]),
        };
        let adaptation_flags = adaptation.first().copied().unwrap_or(0);
        let has_clock = adaptation_flags & 0x10 != 0;
        Some(Self {
            pid: u16::from_be_bytes([first & 0x1F, *second]),
            begins: first & 0x40 != 0,
            count: flags & 0x0F,
            is_random_access: adaptation_flags & 0x40 != 0,
            clock: adaptation
                .get(1..)
                .filter(|_| has_clock)
                .and_then(reference),
            payload: if has_payload { payload } else { &[] },
        })
    }
}

/// The base of a programme clock reference: 33 bits.
fn reference(field: &[u8]) -> Option<u64> {
    let [a, b, c, d, e, _] = *field.first_chunk()?;
    Some(u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7))
}

/// How far the clock went from one time to another; a step back is nearly all it can count.
pub(super) fn clock_step(before: u64, now: u64) -> u64 {
    now.wrapping_sub(before) & ((1 << CLOCK_BITS) - 1)
}

/// The head of a PES packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PesHead<'a> {
    /// When its first frame is decoded, in units of the clock.
    pub(super) decoded_at: Option<u64>,
    /// The bytes of the elementary stream that are in the same packet.
    pub(super) body: &'a [u8],
}

impl<'a> PesHead<'a> {
    /// Reads the head at the beginning of a packet's payload.
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        let [0, 0, 1, _, _, _, marker, flags, length, rest @ ..] = payload else {
            return None;
        };
        if marker & 0xC0 != 0x80 {
            return None;
        }
        let (times, body) = rest.split_at_checked(usize::from(*length))?;
        // The time of decoding is only there if it is not that of presentation.
        let decoded_at = match flags >> 6 {
            0b10 => times.first_chunk().map(timestamp),
            0b11 => times.get(5..).and_then(<[u8]>::first_chunk).map(timestamp),
            _ => None,
        };
        Some(Self { decoded_at, body })
    }
}

/// A timestamp: 3, 15 and 15 bits, each with a bit behind that is always set.
fn timestamp(field: &[u8; 5]) -> u64 {
    let [a, b, c, d, e] = field.map(u64::from);
    (a >> 1 & 0x07) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}

/// Whether pictures can be decoded from the beginning of a PES packet on, as far as its first bytes tell.
pub(super) fn begins_with_key(codec: CodecName, body: &[u8]) -> bool {
    let is_key = |kind: u8| match codec {
        CodecName::Mpeg2 => kind == 0xB3, // The head of a sequence.
        CodecName::H264 => matches!(kind & 0x1F, 5 | 7), // A picture without a past, or parameters.
        CodecName::H265 => matches!(kind >> 1 & 0x3F, 16..=21 | 32 | 33), // The same.
        _ => false,
    };
    body.windows(4).any(|bytes| match bytes {
        [0, 0, 1, kind] => is_key(*kind),
        _ => false,
    })
}
