//! Finds the pages of an Ogg file, and how long each of them plays.
//!
//! A stream that begins again must have another serial number than before, or decoders take its pages
//! for late ones of the old stream; therefore each round is renumbered, which changes every checksum.

use std::ops::Range;
use std::time::Duration;

use super::piece::Piece;

/// The bytes of a page before its segment table.
const HEAD_BYTES: usize = 27;

/// A page holds at most 255 packets of at most 120 ms; a larger step of its clock is a hole, not sound.
const MAX_PAGE: Duration = Duration::from_secs(31);

/// Where the fields of a page are.
const FLAGS: usize = 5;
const POSITION: Range<usize> = 6..14;
const SERIAL: Range<usize> = 14..18;
const CHECKSUM: Range<usize> = 22..26;

/// Set on the first page of a stream.
const FLAG_FIRST: u8 = 2;

/// A page on which no packet ends has no position.
const NO_POSITION: u64 = u64::MAX;

/// The pieces of an Ogg file, one for each page; `None` without a codec whose clock we know.
pub(super) fn walk(file: &[u8]) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut clock: Option<SampleClock> = None;
    let mut at = 0;
    while let Some(page) = next_page(file, &mut at) {
        let bytes = &file[page.clone()];
        if bytes[FLAGS] & FLAG_FIRST != 0
            && let Some(hz) = sample_rate(bytes)
        {
            // In a chain of streams each has its own clock.
            clock = Some(SampleClock::new(serial(bytes), hz));
        }
        let played = clock.as_mut().map(|clock| clock.advance(bytes));
        pieces.push(Piece {
            bytes: page,
            duration: played.unwrap_or_default(),
        });
    }
    clock.map(|_| pieces)
}

/// Gives the page another serial number than in other rounds, and the checksum that goes with it.
pub(super) fn renumber(page: &mut [u8], round: u32) {
    let renumbered = serial(page).wrapping_add(round);
    page[SERIAL].copy_from_slice(&renumbered.to_le_bytes());
    page[CHECKSUM].fill(0);
    let sum = checksum(page);
    page[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
}

/// The clock of one stream: its pages say how many samples have been heard when they end.
struct SampleClock {
    serial: u32,
    hz: u32,
    samples: u64,
}

impl SampleClock {
    fn new(serial: u32, hz: u32) -> Self {
        Self {
            serial,
            hz,
            samples: 0,
        }
    }

    /// How long a page plays; nothing for the pages of other streams and those without a position.
    fn advance(&mut self, page: &[u8]) -> Duration {
        let position = page[POSITION].try_into().map(u64::from_le_bytes);
        let position = position.expect("the range has eight bytes");
        if serial(page) != self.serial || position == NO_POSITION {
            return Duration::ZERO;
        }
        let samples = position.saturating_sub(self.samples);
        self.samples = position;
        let micros = u128::from(samples) * 1_000_000 / u128::from(self.hz);
        let played = u64::try_from(micros).map_or(Duration::MAX, Duration::from_micros);
        if played > MAX_PAGE {
            Duration::ZERO
        } else {
            played
        }
    }
}

fn serial(page: &[u8]) -> u32 {
    let bytes = page[SERIAL].try_into().expect("the range has four bytes");
    u32::from_le_bytes(bytes)
}

/// Samples per second by which the stream with this first page counts, if we know its codec.
fn sample_rate(page: &[u8]) -> Option<u32> {
    let packet = &page[HEAD_BYTES + usize::from(page[HEAD_BYTES - 1])..];
    if packet.starts_with(b"OpusHead") {
        // Whatever went in, Opus counts by 48 kHz.
        return Some(48_000);
    }
    let rate = packet.strip_prefix(b"\x01vorbis")?.get(5..9)?;
    let hz = rate.try_into().map(u32::from_le_bytes).ok()?;
    (hz > 0).then_some(hz)
}

/// The next whole page with a right checksum from `at` on; moves `at` behind it.
fn next_page(file: &[u8], at: &mut usize) -> Option<Range<usize>> {
    loop {
        let found = file.get(*at..)?.windows(4).position(|it| it == b"OggS")?;
        let start = *at + found;
        let length = page_length(&file[start..]);
        let page = length.and_then(|length| file.get(start..start + length));
        if let Some(page) = page.filter(|page| is_whole(page)) {
            *at = start + page.len();
            return Some(start..*at);
        }
        *at = start + 1;
    }
}

fn page_length(rest: &[u8]) -> Option<usize> {
    let segments = usize::from(*rest.get(HEAD_BYTES - 1)?);
    let table = rest.get(HEAD_BYTES..HEAD_BYTES + segments)?;
    let body: usize = table.iter().copied().map(usize::from).sum();
    Some(HEAD_BYTES + segments + body)
}

fn is_whole(page: &[u8]) -> bool {
    let mut blank = page.to_vec();
    blank[CHECKSUM].fill(0);
    page[4] == 0 && page[CHECKSUM] == checksum(&blank).to_le_bytes()
}

/// The CRC of Ogg: polynomial 04c11db7, no reflection, nothing added before or after.
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum, &byte| {
        let index = (sum >> 24) as u8 ^ byte;
        (sum << 8) ^ CHECKSUMS[usize::from(index)]
    })
}

/// The checksum of each single byte.
static CHECKSUMS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            let carry = sum >> 31;
            sum = (sum << 1) ^ (carry * 0x04c1_1db7);
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(serial: u32, flags: u8, position: u64, body: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend(position.to_le_bytes());
        page.extend(serial.to_le_bytes());
        page.extend([0; 8]);
        page.extend([1, u8::try_from(body.len()).unwrap()]);
        page.extend(body);
        let sum = checksum(&page);
        page[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        page
    }

    /// An Opus file with a page of sound that ends at each of the given seconds.
    pub(in crate::cli::source) fn opus(serial: u32, ends_s: &[u64]) -> Vec<u8> {
        let sound = ends_s.iter().map(|s| page(serial, 0, s * 48_000, b"sound"));
        let heads = [
            page(serial, FLAG_FIRST, 0, b"OpusHead\x01\x02"),
            page(serial, 0, 0, b"OpusTags"),
        ];
        heads.into_iter().chain(sound).flatten().collect()
    }

    fn vorbis_head(serial: u32, hz: u32) -> Vec<u8> {
        let body = [b"\x01vorbis\0\0\0\0\x02".as_slice(), &hz.to_le_bytes()].concat();
        page(serial, FLAG_FIRST, 0, &body)
    }

    fn times_ms(file: &[u8]) -> Vec<u128> {
        let pieces = walk(file).unwrap();
        pieces.iter().map(|it| it.duration.as_millis()).collect()
    }

    #[test]
    fn the_checksum_is_that_of_ogg() {
        // The first page of a file that ffmpeg made: `ffmpeg -f lavfi -i sine -t 1 -c:a libopus x.ogg`.
        let made = b"\x4f\x67\x67\x53\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\
            \x28\xb5\x72\x01\x13\x4f\x70\x75\x73\x48\x65\x61\x64\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        assert!(is_whole(made));
        assert_eq!(page_length(made), Some(made.len()));
    }

    #[test]
    fn pages_play_as_long_as_their_positions_say() {
        assert_eq!(times_ms(&opus(7, &[1, 3, 4])), [0, 0, 1_000, 2_000, 1_000]);
        let file = [
            vorbis_head(1, 44_100),
            page(1, 0, NO_POSITION, b"a"),
            page(1, 0, 22_050, b"b"),
            page(2, 0, 99_999, b"another stream"),
            page(1, 4, 44_100, b"c"),
        ];
        assert_eq!(times_ms(&file.concat()), [0, 0, 500, 0, 500]);
    }

    #[test]
    fn each_link_of_a_chain_has_its_own_clock() {
        let file = [opus(1, &[1, 2]), opus(2, &[1, 2])].concat();
        assert_eq!(times_ms(&file), [0, 0, 1_000, 1_000, 0, 0, 1_000, 1_000]);
    }

    #[test]
    fn a_hole_in_the_clock_is_not_waited_for() {
        // As a recording of a live stream begins.
        assert_eq!(
            times_ms(&opus(7, &[5_000, 5_001, 2, 3])),
            [0, 0, 0, 1_000, 0, 1_000]
        );
        let far = [vorbis_head(1, 1), page(1, 0, u64::MAX - 1, b"x")].concat();
        assert_eq!(times_ms(&far), [0, 0]);
    }

    #[test]
    fn damaged_pages_and_garbage_are_left_out() {
        let mut file = opus(7, &[1, 2, 3]);
        let last = file.len() - 1;
        file[last] ^= 1;
        file.splice(0..0, *b"OggS garbage");
        file.extend(b"TAG");
        assert_eq!(times_ms(&file), [0, 0, 1_000, 1_000]);
        assert_eq!(walk(b"OggS"), None);
        assert_eq!(walk(&page(1, FLAG_FIRST, 0, b"theora")), None);
    }

    #[test]
    fn every_round_is_another_stream() {
        let file = opus(u32::MAX, &[1]);
        let mut again = file.clone();
        for piece in walk(&file).unwrap() {
            renumber(&mut again[piece.bytes], 2);
        }
        let pieces = walk(&again).unwrap();
        assert_eq!(pieces, walk(&file).unwrap());
        assert!(
            pieces
                .iter()
                .all(|it| serial(&again[it.bytes.clone()]) == 1)
        );
        for piece in walk(&file).unwrap() {
            renumber(&mut again[piece.bytes], u32::MAX - 1);
        }
        assert_eq!(again, file);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_the_pieces_lie_in_order_within_them(
            cut in 0_usize..200,
            junk in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let whole = opus(3, &[1, 2]);
            let file = [&whole[..cut.min(whole.len())], &junk, &whole].concat();
            let mut end = 0;
            for piece in walk(&file).unwrap_or_default() {
                prop_assert!(piece.bytes.start >= end && piece.bytes.end <= file.len());
                end = piece.bytes.end;
            }
        }
    }
}
