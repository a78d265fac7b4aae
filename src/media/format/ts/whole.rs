//! The end of a stream of MPEG-TS: how many of its last packets hold whole pictures and whole pieces of sound.

use super::packet::{HEAD_BYTES, PACKET_BYTES, SYNC, TsPacket};

/// The most elementary streams that are told apart. With more, nothing is known to be whole.
const MAX_STREAMS: usize = 32;

/// The bytes of a PES packet that its length does not count.
const PES_START_BYTES: usize = 6;

/// A PES packet whose end has not come.
#[derive(Clone, Copy, Debug)]
struct OpenPes {
    pid: u16,
    /// The bytes that it still lacks; `None` if it does not say how long it is, or began earlier.
    lacks: Option<usize>,
}

/// How many of these bytes, from the beginning of a packet on, hold nothing that is cut, if nothing follows them.
///
/// Pictures do not say how long they are; but the last packet of one is padded, unless it is full by chance.
pub(super) fn whole_bytes(bytes: &[u8]) -> usize {
    let (mut open, mut whole) = (Vec::new(), 0);
    for (at, bytes) in bytes.as_chunks::<PACKET_BYTES>().0.iter().enumerate() {
        let [sync, ..] = bytes;
        if *sync != SYNC || open.len() > MAX_STREAMS {
            break;
        }
        if let Some(packet) = TsPacket::read(bytes) {
            note(&mut open, &packet, is_padded(bytes));
        }
        if open.is_empty() {
            whole = (at + 1) * PACKET_BYTES;
        }
    }
    whole
}

/// Notes a packet among the PES packets that have not ended.
fn note(open: &mut Vec<OpenPes>, packet: &TsPacket<'_>, is_padded: bool) {
    if packet.payload.is_empty() {
        return;
    }
    let (pid, payload) = (packet.pid, packet.payload);
    let before = open.iter().position(|it| it.pid == pid);
    let before = before.map(|at| open.swap_remove(at));
    let lacks = match (packet.begins, before) {
        (true, _) => match payload {
            [0, 0, 1, _, 0, 0, ..] => None,
            [0, 0, 1, _, high, low, ..] => {
                let length = PES_START_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
                Some(length.saturating_sub(payload.len()))
            }
            _ => return, // a table
        },
        (false, Some(OpenPes { lacks, .. })) => {
            lacks.map(|lacks| lacks.saturating_sub(payload.len()))
        }
        (false, None) => None,
    };
    let has_ended = lacks.map_or(is_padded, |lacks| lacks == 0);
    if !has_ended {
        open.push(OpenPes { pid, lacks });
    }
}

/// Whether there are bytes in front of the payload that only fill the packet.
fn is_padded(packet: &[u8; PACKET_BYTES]) -> bool {
    let [_, _, _, flags, length, field, ..] = packet;
    if flags & 0x20 == 0 {
        return false;
    }
    if *length == 0 {
        return true;
    }
    if field & 0x03 != 0 {
        return false; // private fields, whose length is not looked at
    }
    let of = |bit: u8, bytes: usize| if field & bit == 0 { 0 } else { bytes };
    let used = 1 + of(0x10, 6) + of(0x08, 6) + of(0x04, 1);
    usize::from(*length).min(PACKET_BYTES - HEAD_BYTES - 1) > used
}

#[cfg(test)]
mod tests {
    use super::super::samples::{AUDIO, Made, NO_KEY, VIDEO, pes, picture, rest, tables};
    use super::*;

    /// A packet that goes on with a stream, with so many bytes of payload.
    fn part(pid: u16, bytes: usize) -> Vec<u8> {
        Made {
            pid,
            payload: &vec![0x5A; bytes],
            ..Made::default()
        }
        .packet()
    }

    /// The first packet of a piece of sound that has so many bytes in all behind its length.
    fn sound(length: u16) -> Vec<u8> {
        let mut payload = pes(0, &[0x5A; 170]);
        payload.truncate(PACKET_BYTES - HEAD_BYTES);
        payload[4..6].copy_from_slice(&length.to_be_bytes());
        Made {
            pid: AUDIO,
            begins: true,
            payload: &payload,
            ..Made::default()
        }
        .packet()
    }

    /// Checks how many packets are whole, and that a cut in any later one changes nothing.
    fn check(packets: &[Vec<u8>], whole: usize) {
        assert_eq!(whole_bytes(&packets.concat()), whole * PACKET_BYTES);
        let cut = [&packets.concat()[..], b"\x47\x41"].concat();
        assert_eq!(whole_bytes(&cut), whole * PACKET_BYTES);
    }

    #[test]
    fn sound_is_whole_when_it_is_as_long_as_it_says() {
        let full = 184 - 6;
        check(&[sound(full)], 1);
        check(&[sound(full + 1)], 0);
        check(&[sound(full + 1), part(AUDIO, 1)], 2);
        check(&[sound(full + 200), rest(AUDIO)], 0);
        check(&[sound(full + 200), rest(AUDIO), part(AUDIO, 16)], 3);
    }

    #[test]
    fn a_picture_is_whole_when_its_last_packet_is_padded() {
        let begin = picture(0, &[NO_KEY, &[0x5A; 150]].concat());
        let full = begin.clone();
        check(std::slice::from_ref(&full), 0);
        check(&[full.clone(), rest(VIDEO)], 0);
        check(&[full.clone(), rest(VIDEO), part(VIDEO, 100)], 3);
        check(&[full.clone(), part(VIDEO, 183), full.clone()], 2);
        check(&[full.clone(), sound(184 - 6), part(VIDEO, 3)], 3);
        check(&[part(VIDEO, 3), full, sound(184 - 6)], 1);
    }

    #[test]
    fn tables_are_whole_and_junk_is_not() {
        let tables = tables(&[]);
        assert_eq!(whole_bytes(&tables), tables.len());
        assert_eq!(
            whole_bytes(&[&tables[..], &[0; 400]].concat()),
            tables.len()
        );
        assert_eq!(whole_bytes(b""), 0);
        let many: Vec<u8> = (1..200).flat_map(rest).collect();
        assert_eq!(whole_bytes(&many), 0);
    }
}
