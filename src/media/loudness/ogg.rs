//! The loudness of Ogg: of the first stream with sound of each link.

use std::time::Duration;

use super::flac::FlacLevels;
use super::level::{Heard, Level};
use super::{opus, vorbis};
use crate::media::format::ogg::page::{PacketPart, parts};
use crate::media::format::ogg::{FoundPage, Keep, PageScanner};

/// The most bytes of a packet that are kept. Those of sound are far shorter, and the first few bytes tell most.
const MAX_PACKET_BYTES: usize = 64 << 10;

/// The longest block of Vorbis, samples, and a usual one, which counts where the clock of pages does not tell.
const MAX_VORBIS_SAMPLES: u64 = 8_192;
const USUAL_VORBIS_SAMPLES: u64 = 1_024;

/// The bytes before the native headers in the first packet of FLAC, magic word included.
const FLAC_HEAD_BYTES: usize = 13;

/// The channel mapping family of Opus in which a packet is of one stream.
const ONE_STREAM: u8 = 0;

/// Measures each packet once the page behind it has begun. No more is held than two pages.
#[derive(Clone, Debug)]
pub(super) struct OggLevels {
    pages: PageScanner,
    track: Track,
}

/// The stream that is measured.
#[derive(Clone, Debug)]
struct Track {
    serial: u32,
    codec: OggCodec,
    /// Whether other pages than first ones have come since it began.
    has_begun: bool,
    /// The clock at the last page.
    position: Option<u64>,
    /// The packet that goes on on the next page; `None` if its beginning has not come.
    packet: Option<Vec<u8>>,
}

/// The codec of a stream.
#[derive(Clone, Copy, Debug)]
enum OggCodec {
    Opus,
    Vorbis { rate_hz: u32 },
    Flac(FlacLevels),
    Unknown,
}

impl OggCodec {
    /// The codec by the first packet of a stream.
    fn of(packet: &[u8]) -> Self {
        if packet.starts_with(b"OpusHead") {
            return match packet.get(18) {
                Some(&ONE_STREAM) => Self::Opus,
                _ => Self::Unknown,
            };
        }
        if packet.starts_with(b"\x01vorbis") {
            let rate = packet.get(12..).and_then(|rest| rest.first_chunk());
            let rate_hz = rate.map_or(0, |rate| u32::from_le_bytes(*rate));
            return match rate_hz {
                0 => Self::Unknown,
                rate_hz => Self::Vorbis { rate_hz },
            };
        }
        let flac = packet.starts_with(b"\x7FFLAC").then_some(packet);
        let info = flac.and_then(|packet| packet.get(FLAC_HEAD_BYTES..));
        info.and_then(FlacLevels::new)
            .map_or(Self::Unknown, Self::Flac)
    }

    fn is_known(self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

impl Track {
    fn none() -> Self {
        Self {
            serial: 0,
            codec: OggCodec::Unknown,
            has_begun: true,
            position: None,
            packet: None,
        }
    }

    fn take(&mut self, page: &FoundPage<'_>, heard: &mut dyn FnMut(Heard)) {
        let body = page.bytes.get(page.head.head_bytes..).unwrap_or_default();
        if page.head.is_first {
            let codec = OggCodec::of(body);
            if self.has_begun || !self.codec.is_known() {
                *self = Self {
                    serial: page.head.serial,
                    codec,
                    has_begun: false,
                    position: Some(0),
                    packet: None,
                };
            }
            return;
        }
        self.has_begun = true;
        if page.head.serial == self.serial {
            self.take_packets(page, heard);
        }
    }

    fn take_packets(&mut self, page: &FoundPage<'_>, heard: &mut dyn FnMut(Heard)) {
        let before = self.position;
        self.position = page.head.position.or(before);
        let samples = self.position.zip(before);
        let samples = samples.map(|(now, before)| now.saturating_sub(before));
        let each = samples.and_then(|all| all.checked_div(page.head.packets_ended.into()));
        for part in parts(page.bytes, &page.head) {
            if let Some(packet) = self.join(page.bytes, &part)
                && let Some(found) = self.measure(&packet, each)
            {
                heard(found);
            }
        }
    }

    /// The packet that ends with this part, if its beginning has come.
    fn join(&mut self, page: &[u8], part: &PacketPart) -> Option<Vec<u8>> {
        let bytes = page.get(part.bytes.clone())?;
        let mut packet = match part.begins {
            true => Vec::new(),
            false => self.packet.take()?,
        };
        let room = MAX_PACKET_BYTES - packet.len();
        packet.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if part.ends {
            return Some(packet);
        }
        self.packet = Some(packet);
        None
    }

    /// The loudness of a packet, on whose page one has so many samples; `None` if it is a header.
    fn measure(&self, packet: &[u8], samples: Option<u64>) -> Option<Heard> {
        match self.codec {
            OggCodec::Opus if packet.starts_with(b"OpusTags") => None,
            OggCodec::Opus => opus::measure(packet),
            OggCodec::Vorbis { rate_hz } => {
                let level = vorbis::measure(packet)?;
                let samples = samples.filter(|samples| *samples > 0);
                let samples = samples
                    .unwrap_or(USUAL_VORBIS_SAMPLES)
                    .min(MAX_VORBIS_SAMPLES);
                let nanos = samples * 1_000_000_000 / u64::from(rate_hz);
                Some(Heard {
                    level,
                    lasts: Duration::from_nanos(nanos),
                })
            }
            OggCodec::Flac(levels) => levels.measure(packet),
            OggCodec::Unknown => Some(Heard {
                level: Level::Unknown,
                lasts: UNKNOWN_PACKET,
            }),
        }
    }
}

/// How long a packet of an unknown codec counts as playing.
const UNKNOWN_PACKET: Duration = Duration::from_millis(20);

impl OggLevels {
    /// Measures a stream that goes on at this byte, behind these header pages.
    pub(super) fn new(start: u64, headers: &[u8]) -> Self {
        let mut levels = Self {
            pages: PageScanner::new(start.saturating_sub(headers.len() as u64), Keep::All),
            track: Track::none(),
        };
        levels.feed(headers, &mut |_| {});
        levels.track.position = levels.track.position.filter(|_| start == 0);
        levels
    }

    /// Takes the next bytes, and calls `heard` for each packet that is whole.
    pub(super) fn feed(&mut self, bytes: &[u8], heard: &mut dyn FnMut(Heard)) {
        let track = &mut self.track;
        self.pages.feed(bytes, |page| {
            track.take(&page, heard);
            Keep::All
        });
    }
}
