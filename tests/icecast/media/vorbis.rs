//! Vorbis in Ogg: the smallest headers that its library reads, and packets of silence.

use std::time::Duration;

use super::Tune;
use super::bits::LowFirst;
use super::ogg::{Page, header_pages};

/// How the first header begins.
pub(crate) const MAGIC: &[u8] = b"\x01vorbis";
/// How many header packets there are.
pub(crate) const HEADERS: usize = 3;
/// The samples of a packet: half of a block.
const SAMPLES: u64 = 1_024;
/// The packets of a page.
const PACKETS: u64 = 4;
/// The length of a packet, most of which no decoder reads: 100 kbit/s.
const PACKET_BYTES: usize = 290;

/// A stream of this serial.
pub(crate) fn vorbis(serial: u32) -> Tune {
    let unit = Duration::from_micros(PACKETS * SAMPLES * 1_000_000 / 44_100);
    Tune::new("application/ogg", headers(serial), unit, move |number| {
        page(serial, number)
    })
}

fn headers(serial: u32) -> Vec<u8> {
    // Version 0, one channel, 44.1 kHz, no bitrates, blocks of 2,048 samples, the end mark.
    let mut identity = [MAGIC, &[0, 0, 0, 0, 1, 0x44, 0xAC, 0, 0]].concat();
    identity.extend([0; 12]);
    identity.extend([0xBB, 1]);
    let comments = [b"\x03vorbis".as_slice(), b"\x05\0\0\0known\0\0\0\0\x01"].concat();
    header_pages(serial, identity, vec![comments, setup()])
}

/// One codebook of two words, one floor without partitions, one residue, one mapping, one mode.
fn setup() -> Vec<u8> {
    let codebook = |bits: LowFirst| {
        let bits = bits.put(8, 0).put(24, 0x56_4342).put(16, 1).put(24, 2);
        bits.put(1, 0).put(1, 0).put(5, 0).put(5, 0).put(4, 0)
    };
    let times = |bits: LowFirst| bits.put(6, 0).put(16, 0);
    let floors = |bits: LowFirst| bits.put(6, 0).put(16, 1).put(5, 0).put(2, 0).put(4, 10);
    let residues = |bits: LowFirst| {
        let bits = bits.put(6, 0).put(16, 0).put(24, 0).put(24, 0).put(24, 0);
        bits.put(6, 0).put(8, 0).put(3, 0).put(1, 0)
    };
    let mappings = |bits: LowFirst| {
        let bits = bits.put(6, 0).put(16, 0).put(1, 0).put(1, 0).put(2, 0);
        bits.put(8, 0).put(8, 0).put(8, 0)
    };
    let modes = |bits: LowFirst| bits.put(6, 0).put(1, 0).put(16, 0).put(16, 0).put(8, 0);
    let bits = modes(mappings(residues(floors(times(codebook(
        LowFirst::default(),
    ))))));
    [b"\x05vorbis".to_vec(), bits.put(1, 1).done()].concat()
}

fn page(serial: u32, number: u64) -> Vec<u8> {
    // The first bit says audio, the second that there is no floor: silence.
    let packet = vec![0; PACKET_BYTES];
    let packets = vec![packet; usize::try_from(PACKETS).expect("a few")];
    Page {
        flags: 0,
        // The first packet of a stream has no samples.
        granule: ((number + 1) * PACKETS - 1) * SAMPLES,
        serial,
        sequence: u32::try_from(number).expect("a short stream") + 2,
        packets,
    }
    .bytes()
}
