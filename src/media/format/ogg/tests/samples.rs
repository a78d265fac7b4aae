//! Generated links with pictures, a skeleton, and comments.

use super::super::page::renumber;
use super::super::page::samples::{comments, page, vorbis_first};

/// The serial numbers of the streams of a film.
pub(super) const PICTURES: u32 = 1;
pub(super) const SOUND: u32 = 2;

/// The first bytes of pictures: one that stands for itself, and one made from those before.
pub(super) const KEYFRAME: &[u8] = &[0x30, 1, 2, 3];
pub(super) const CHANGE: &[u8] = &[0x50, 1, 2, 3];

/// A page with these packets, all of them whole.
pub(super) fn packed(serial: u32, flags: u8, position: u64, packets: &[&[u8]]) -> Vec<u8> {
    let mut packed = page(serial, flags, position, b"");
    let mut table = Vec::new();
    for packet in packets {
        table.resize(table.len() + packet.len() / 255, 255);
        table.push((packet.len() % 255) as u8);
    }
    packed.truncate(26);
    packed.push(u8::try_from(table.len()).unwrap());
    packed.extend(table);
    packed.extend(packets.concat());
    renumber(&mut packed, 0);
    packed
}

/// The same page with a number.
pub(super) fn numbered(mut page: Vec<u8>, sequence: u32) -> Vec<u8> {
    page[18..22].copy_from_slice(&sequence.to_le_bytes());
    renumber(&mut page, 0);
    page
}

/// The first page of a Theora stream: 320 × 240, 25 pictures in a second, 6 bits for those since the last keyframe.
pub(super) fn theora_first(serial: u32) -> Vec<u8> {
    let mut packet = b"\x80theora\x03\x02\x01".to_vec();
    packet.resize(42, 0);
    packet[15..17].copy_from_slice(&320u16.to_be_bytes());
    packet[18..20].copy_from_slice(&240u16.to_be_bytes());
    packet[22..30].copy_from_slice(&[0, 0, 0, 25, 0, 0, 0, 1]);
    packet[41] = 6 << 5;
    page(serial, 2, 0, &packet)
}

/// The headers of Theora behind the first one.
pub(super) fn theora_heads(serial: u32) -> Vec<u8> {
    let said = comments(b"\x81theora", &[b"TITLE=Pictures"]);
    packed(serial, 0, 0, &[&said, b"\x82theora setup"])
}

/// The headers of Vorbis behind the first one.
pub(super) fn vorbis_heads(serial: u32, said: &[&[u8]]) -> Vec<u8> {
    let said = comments(b"\x03vorbis", said);
    packed(serial, 0, 0, &[&said, b"\x05vorbis setup"])
}

/// The header pages of a film whose sound has these comments.
pub(super) fn film_heads(said: &[&[u8]]) -> Vec<u8> {
    [
        theora_first(PICTURES),
        vorbis_first(SOUND, 44_100),
        theora_heads(PICTURES),
        vorbis_heads(SOUND, said),
    ]
    .concat()
}

/// The pictures of a second, which begins with a keyframe if it is even.
pub(super) fn pictures(second: u64) -> Vec<u8> {
    let is_key = second.is_multiple_of(2);
    let first = if is_key { KEYFRAME } else { CHANGE };
    let key = (second - second % 2) * 25 + 1;
    let since = if is_key { 24 } else { 49 };
    packed(PICTURES, 0, key << 6 | since, &[first, CHANGE, CHANGE])
}

/// The sound of a second.
pub(super) fn sound(second: u64) -> Vec<u8> {
    let packet = [second as u8; 600];
    packed(SOUND, 0, (second + 1) * 44_100, &[&packet, &packet])
}

/// A film of so many seconds, whose sound has these comments.
pub(super) fn film(seconds: u64, said: &[&[u8]]) -> Vec<u8> {
    let content = (0..seconds).flat_map(|second| [pictures(second), sound(second)].concat());
    film_heads(said).into_iter().chain(content).collect()
}
