//! Generated packets of MPEG-TS for the tests of all code that carries them.

use super::packet::{PACKET_BYTES, SYNC};
use super::psi::checksum;

/// The numbers of the packets of a programme's map, its pictures and its sound.
pub(crate) const MAP: u16 = 0x1000;
pub(crate) const VIDEO: u16 = 0x100;
pub(crate) const AUDIO: u16 = 0x101;

/// The pictures of H.264, and sound in AAC.
pub(crate) const H264: (u8, u16) = (0x1B, VIDEO);
pub(crate) const AAC: (u8, u16) = (0x0F, AUDIO);

/// A packet to be made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made<'a> {
    pub(crate) pid: u16,
    pub(crate) begins: bool,
    pub(crate) count: u8,
    pub(crate) is_random_access: bool,
    pub(crate) clock: Option<u64>,
    pub(crate) payload: &'a [u8],
}

impl Made<'_> {
    /// The packet; a short payload stands at its end.
    pub(crate) fn packet(self) -> Vec<u8> {
        let [high, low] = self.pid.to_be_bytes();
        let begins = u8::from(self.begins) << 6;
        let room = PACKET_BYTES - 4 - self.payload.len();
        let mut packet = vec![SYNC, begins | high, low, 0x10 | self.count];
        if room > 0 {
            packet[3] |= 0x20;
            packet.push((room - 1) as u8);
        }
        if room > 1 {
            let flags = u8::from(self.is_random_access) << 6 | u8::from(self.clock.is_some()) << 4;
            packet.push(flags);
        }
        if let Some(clock) = self.clock {
            packet.extend(((clock >> 1) as u32).to_be_bytes());
            packet.extend([(clock << 7) as u8 | 0x7E, 0]);
        }
        packet.resize(PACKET_BYTES - self.payload.len(), 0xFF);
        packet.extend(self.payload);
        packet
    }
}

/// A section of a table, that holds now, with its checksum.
pub(crate) fn section(kind: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let [high, low] = (body.len() as u16 + 9).to_be_bytes();
    let mut section = vec![kind, 0xB0 | high, low];
    section.extend(number.to_be_bytes());
    section.extend([0xC1, 0, 0]);
    section.extend(body);
    section.extend(checksum(&section).to_be_bytes());
    section
}

/// Bytes of sections in as many packets as they need. The first one has this count.
pub(crate) fn table(pid: u16, count: u8, sections: &[u8]) -> Vec<Vec<u8>> {
    let payload = [&[0], sections].concat();
    let parts = payload.chunks(PACKET_BYTES - 4).enumerate();
    let packet = |(at, part): (usize, &[u8])| {
        let stuffed = [part, &[0xFF; PACKET_BYTES - 4]].concat();
        Made {
            pid,
            begins: at == 0,
            count: (usize::from(count) + at) as u8 & 0x0F,
            payload: &stuffed[..PACKET_BYTES - 4],
            ..Made::default()
        }
        .packet()
    };
    parts.map(packet).collect()
}

/// The section of a PAT with these programmes: numbers, and where their maps are.
pub(crate) fn pat(programmes: &[(u16, u16)]) -> Vec<u8> {
    let entry =
        |programme: &(u16, u16)| [programme.0.to_be_bytes(), programme.1.to_be_bytes()].concat();
    let entries: Vec<u8> = programmes.iter().flat_map(entry).collect();
    section(0, 1, &entries)
}

/// The section of the map of a programme whose clock is in the packets of its pictures: types and packets of its streams.
pub(crate) fn pmt(number: u16, streams: &[(u8, u16)]) -> Vec<u8> {
    let described: Vec<_> = streams
        .iter()
        .map(|stream| (stream.0, stream.1, &[][..]))
        .collect();
    described_pmt(number, VIDEO, &described)
}

/// The same with a clock elsewhere, and with descriptors of streams.
pub(crate) fn described_pmt(number: u16, clock: u16, streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let mut body = (0xE000 | clock).to_be_bytes().to_vec();
    body.extend([0xF0, 0]);
    for (kind, pid, descriptors) in streams {
        body.push(*kind);
        body.extend((0xE000 | pid).to_be_bytes());
        body.extend((0xF000 | descriptors.len() as u16).to_be_bytes());
        body.extend(*descriptors);
    }
    section(2, number, &body)
}

/// Both tables of one programme with these streams, as they stand in a stream and in a prologue.
pub(crate) fn tables(streams: &[(u8, u16)]) -> Vec<u8> {
    let [pat, map] = [
        table(0, 0, &pat(&[(1, MAP)])),
        table(MAP, 0, &pmt(1, streams)),
    ];
    [pat, map].concat().concat()
}

/// The beginning of a PES packet whose pictures or sound are for this time.
pub(crate) fn pes(time: u64, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5];
    packet.push(0x21 | (time >> 29) as u8 & 0x0E);
    packet.push((time >> 22) as u8);
    packet.push((time >> 14) as u8 | 1);
    packet.push((time >> 7) as u8);
    packet.push((time << 1) as u8 | 1);
    packet.extend(body);
    packet
}

/// The bytes of H.264 with which a picture begins: one that needs no other, and one that does.
pub(crate) const KEY: &[u8] = b"\0\0\0\x01\x09\xF0\0\0\0\x01\x67\x42";
pub(crate) const NO_KEY: &[u8] = b"\0\0\0\x01\x09\xF0\0\0\0\x01\x41\x9A";

/// A packet with which a picture begins, at this time of the clock.
pub(crate) fn picture(clock: u64, body: &[u8]) -> Vec<u8> {
    Made {
        pid: VIDEO,
        begins: true,
        clock: Some(clock),
        payload: &pes(clock, body),
        ..Made::default()
    }
    .packet()
}

/// A packet with which sound begins, at this time.
pub(crate) fn sound(time: u64) -> Vec<u8> {
    Made {
        pid: AUDIO,
        begins: true,
        payload: &pes(time, b"\xFF\xF1\x50\x80\x02\x1F\xFCsound"),
        ..Made::default()
    }
    .packet()
}

/// A packet that goes on with what another has begun.
pub(crate) fn rest(pid: u16) -> Vec<u8> {
    Made {
        pid,
        payload: &[0x5A; PACKET_BYTES - 4],
        ..Made::default()
    }
    .packet()
}
