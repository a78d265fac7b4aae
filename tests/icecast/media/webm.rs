//! WebM: a picture track in clusters, of which every eighth begins with a keyframe.

use std::time::Duration;

use super::Tune;
use crate::row::{Fault, deviates, want};

const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
const INFO: [u8; 4] = [0x15, 0x49, 0xA9, 0x66];
const TRACKS: [u8; 4] = [0x16, 0x54, 0xAE, 0x6B];
const CLUSTER: [u8; 4] = [0x1F, 0x43, 0xB6, 0x75];
/// A length that is not known, in eight bytes.
const UNKNOWN: [u8; 8] = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
/// How long a cluster is, in milliseconds: the unit of its clock.
const CLUSTER_MS: u64 = 500;
/// How many clusters there are from one keyframe to the next: four seconds, so that a cluster is none by chance only.
const KEY_CLUSTERS: u64 = 8;
/// The blocks of a cluster.
const BLOCKS: u64 = 5;
/// The bytes of a block's frame: 160 kbit/s.
const FRAME_BYTES: usize = 2_000;
/// The flag of a block that is a keyframe.
const KEY: u8 = 0x80;

/// A stream of VP8, as far as anybody looks who does not decode.
pub(crate) fn webm() -> Tune {
    Tune::new(
        "video/webm",
        head(),
        Duration::from_millis(CLUSTER_MS),
        cluster,
    )
}

fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short element") | 0x1000_0000;
    [id, &length.to_be_bytes(), body].concat()
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

fn head() -> Vec<u8> {
    let kind = [
        number(&[0x42, 0x86], 1),
        number(&[0x42, 0xF7], 1),
        number(&[0x42, 0xF2], 4),
        number(&[0x42, 0xF3], 8),
        element(&[0x42, 0x82], b"webm"),
        number(&[0x42, 0x87], 2),
        number(&[0x42, 0x85], 2),
    ];
    let info = [
        number(&[0x2A, 0xD7, 0xB1], 1_000_000),
        element(&[0x4D, 0x80], b"known"),
        element(&[0x57, 0x41], b"known"),
    ];
    let picture = [number(&[0xB0], 320), number(&[0xBA], 240)].concat();
    let track = [
        number(&[0xD7], 1),
        number(&[0x73, 0xC5], 1),
        number(&[0x83], 1),
        element(&[0x86], b"V_VP8"),
        element(&[0xE0], &picture),
    ];
    [
        element(&EBML, &kind.concat()),
        SEGMENT.to_vec(),
        UNKNOWN.to_vec(),
        element(&INFO, &info.concat()),
        element(&TRACKS, &element(&[0xAE], &track.concat())),
    ]
    .concat()
}

fn cluster(index: u64) -> Vec<u8> {
    let mut body = number(&[0xE7], index * CLUSTER_MS);
    for block in 0..BLOCKS {
        let key = block == 0 && index.is_multiple_of(KEY_CLUSTERS);
        let ms = u16::try_from(block * CLUSTER_MS / BLOCKS).expect("within a cluster");
        let mut bytes = vec![0x81];
        bytes.extend(ms.to_be_bytes());
        bytes.push(if key { KEY } else { 0 });
        bytes.extend(vp8(key, index * BLOCKS + block));
        body.extend(element(&[0xA3], &bytes));
    }
    element(&CLUSTER, &body)
}

/// The head of a frame of VP8: whether it is a key, and for a key the start code and the size.
fn vp8(key: bool, index: u64) -> Vec<u8> {
    let mut frame = match key {
        true => vec![0x10, 0, 0, 0x9D, 1, 0x2A, 0x40, 1, 0xF0, 0],
        false => vec![0x11, 0, 0],
    };
    frame.extend(index.to_be_bytes());
    frame.resize(FRAME_BYTES, 0);
    frame
}

/// Checks that these bytes are the head of the stream and then whole clusters, the first of which begins with a keyframe.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Fault> {
    let mut rest = bytes;
    let head = take(&mut rest)?;
    want(head.0 == EBML, || format!("it begins with {:02x?}", head.0))?;
    let segment = rest
        .strip_prefix(&SEGMENT)
        .ok_or_else(|| deviates("no segment"))?;
    // Its length is unknown, in any number of bytes.
    let length_bytes = segment
        .first()
        .map_or(0, |byte| byte.leading_zeros() as usize + 1);
    rest = segment
        .get(length_bytes..)
        .ok_or_else(|| deviates("no length of the segment"))?;
    let (mut tracks, mut clusters) = (false, 0);
    while let Ok(part) = take(&mut rest) {
        match part.0 {
            TRACKS => tracks = true,
            CLUSTER => {
                want(tracks, || "a cluster before the tracks".to_owned())?;
                want(clusters > 0 || begins_with_key(part.1), || {
                    "the first cluster does not begin with a keyframe".to_owned()
                })?;
                clusters += 1;
            }
            id => want(clusters == 0, || format!("{id:02x?} between clusters"))?,
        }
    }
    want(clusters > 0, || "no cluster".to_owned())
}

/// The next element: its identity, filled up with zeros, and its body.
fn take<'a>(rest: &mut &'a [u8]) -> Result<([u8; 4], &'a [u8]), Fault> {
    let short = || deviates("an element that is cut off");
    let first = *rest.first().ok_or_else(short)?;
    let id_bytes = first.leading_zeros() as usize + 1;
    let mut id = [0; 4];
    id.get_mut(..id_bytes)
        .ok_or_else(short)?
        .copy_from_slice(rest.get(..id_bytes).ok_or_else(short)?);
    let after = &rest[id_bytes..];
    let first = *after.first().ok_or_else(short)?;
    let bytes = first.leading_zeros() as usize + 1;
    let coded = after.get(..bytes).ok_or_else(short)?;
    let length = coded
        .iter()
        .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    let length = length & !(1 << (7 * bytes));
    let length = usize::try_from(length).map_err(|_| short())?;
    let body = after[bytes..].get(..length).ok_or_else(short)?;
    *rest = &after[bytes + length..];
    Ok((id, body))
}

fn begins_with_key(cluster: &[u8]) -> bool {
    let mut rest = cluster;
    while let Ok(part) = take(&mut rest) {
        if part.0[0] == 0xA3 {
            return part.1.get(3).is_some_and(|flags| flags & KEY != 0);
        }
    }
    false
}
