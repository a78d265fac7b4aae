//! Opus in Ogg: silence, one packet of 20 ms on each page, so that every page is a place to join.

use std::time::Duration;

use super::Tune;
use super::ogg::{LAST, Page, header_pages};

/// How the first header begins.
pub(crate) const MAGIC: &[u8] = b"OpusHead";
/// How many header packets there are.
pub(crate) const HEADERS: usize = 2;
/// 20 ms of 48 kHz.
const SAMPLES: u64 = 960;
/// The length of a packet: 64 kbit/s.
const PACKET_BYTES: usize = 160;

/// A stream of this serial.
pub(crate) fn opus(serial: u32) -> Tune {
    let (head, unit) = (headers(serial), Duration::from_millis(20));
    Tune::new("application/ogg", head, unit, move |number| {
        page(serial, number, 0).bytes()
    })
}

/// A stream of one serial for so many packets, and then one of the next, and so on.
pub(crate) fn chained(serial: u32, packets: u64) -> Tune {
    let mut tune = opus(serial);
    tune.next = Box::new(move |number| {
        let (link, place) = (number / packets, number % packets);
        let serial = serial + u32::try_from(link).expect("few links");
        let flags = if place == packets - 1 { LAST } else { 0 };
        let audio = page(serial, place, flags).bytes();
        match place == 0 && link > 0 {
            true => [headers(serial), audio].concat(),
            false => audio,
        }
    });
    tune
}

fn headers(serial: u32) -> Vec<u8> {
    // Version 1, two channels, 312 samples to skip, 48 kHz, no gain, the usual order of channels.
    let head = [MAGIC, &[1, 2, 0x38, 1, 0x80, 0xBB, 0, 0, 0, 0, 0]].concat();
    let tags = [b"OpusTags".as_slice(), b"\x06\0\0\0known!\0\0\0\0"].concat();
    header_pages(serial, head, vec![tags])
}

fn page(serial: u32, number: u64, flags: u8) -> Page {
    // CELT, full band, 20 ms, two channels, one frame; what follows is its number.
    let mut packet = vec![0xFC];
    packet.extend(number.to_be_bytes());
    packet.resize(PACKET_BYTES, 0);
    Page {
        flags,
        granule: (number + 1) * SAMPLES,
        serial,
        sequence: u32::try_from(number).expect("a short stream") + 2,
        packets: vec![packet],
    }
}
