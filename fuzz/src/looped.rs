//! The loops of files that operators and peers bring.

use std::time::Duration;

use antiphon::media::looped::Looped;

use crate::memory;

/// The number that tells the serial numbers of one file from those of others.
const SERIAL_BASE: u32 = 7;
/// A time after the epoch, in the middle of some round of any loop.
const TIME: Duration = Duration::from_millis(1_800_000_000_123);
/// How much memory reading takes for each byte of a file: the file without its tags, its frames, and the places in it.
const MEMORY_PER_BYTE: usize = 64;
/// What it takes besides, whatever the file: the headers of Ogg, which are held until they are whole.
const MAX_BESIDES_BYTES: usize = 4 << 20;

/// A file is refused, or it is a loop whose bytes and times belong together, at any time and however it is cut.
pub fn file(data: &[u8]) {
    let most = memory::most_held(|| drop(Looped::read(data, SERIAL_BASE)));
    let allowed = MAX_BESIDES_BYTES + data.len() * MEMORY_PER_BYTE;
    assert!(most <= allowed, "{most} bytes were held, {allowed} may be");
    let Ok(looped) = Looped::read(data, SERIAL_BASE) else {
        return;
    };
    let length = looped.length();
    assert!(length >= Duration::from_secs(1), "{length:?}");
    let steps = (0..=8).map(|step| TIME + length * step / 4);
    let offsets: Vec<u64> = steps.map(|time| check_place(&looped, time)).collect();
    assert!(offsets.is_sorted(), "{offsets:?}");
    let [first, .., last] = offsets[..] else {
        return;
    };
    assert!(first < last, "two rounds have bytes");
    // Pieces are cut at places only.
    let whole = looped.bytes(first..last).concat();
    let pieces = offsets.windows(2);
    let pieces = pieces.flat_map(|pair| looped.bytes(pair[0]..pair[1]));
    assert_eq!(whole, pieces.collect::<Vec<_>>().concat());
    assert_eq!(whole.len() as u64, last - first);
}

/// What plays at a time has begun by then, and the ring of a listener can begin there.
fn check_place(looped: &Looped, time: Duration) -> u64 {
    let offset = looped.offset_at(time);
    let begins = looped.time_at(offset);
    assert!(begins <= time, "{begins:?} is after {time:?}");
    assert!(time - begins <= looped.length(), "{begins:?}, {time:?}");
    assert_eq!(looped.start_at(offset).offset, offset);
    offset
}
