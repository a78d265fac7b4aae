//! MPEG-TS: packets of 188 bytes, each with a piece of a table, of pictures or of sound.
//!
//! A late listener needs both tables first, PAT and PMT, and then a packet with which a picture begins that needs no other,
//! or any sound if there are no pictures. The time is that of the programme's clock.

mod clock;
mod facts;
mod packet;
mod psi;
#[cfg(test)]
pub(crate) mod samples;
mod sequence;
mod whole;

use std::time::Duration;

use bytes::Bytes;

use self::clock::TsClock;
use self::facts::{picture_facts, sound_facts};
use self::packet::{PACKET_BYTES, PesHead, SYNC, TsPacket, begins_with_key};
use self::psi::{ElementaryStream, Programme, Tables};
use super::joining::{Mark, Prologue, Scanned, StreamStart, Trouble};
use super::layout::{Layout, TsTrack};
use super::opaque::Pieces;
use super::walker::Walker;
use crate::model::format::{CodecName, Container, StreamFormat, VideoFormat};

/// So many packets in a row are wanted before the first of them is believed.
const PACKETS_IN_STEP: usize = 5;

/// The bytes that such a row takes, up to the first of the last packet.
const ROW_BYTES: usize = (PACKETS_IN_STEP - 1) * PACKET_BYTES + 1;

/// The bytes that are held while a row is searched for: some more, so that few of them are moved often.
const HELD_BYTES: usize = 4 << 10;

/// After so many bytes without a packet, the stream is no longer taken for MPEG-TS.
const UNPACKED_BYTES: u64 = 256 << 10;

/// After so many bytes without tables they are missed. They come at least each half second, of some 10 Mbit/s at most.
const UNMAPPED_BYTES: u64 = 1 << 20;

/// A picture that is longer is not waited for: the edge goes on in its middle. No encoder of a stream that fits into a
/// ring makes such a one.
const MAX_PICTURE_BYTES: u64 = 1 << 20;

/// A picture or piece of sound that lasts longer is not waited for either: no more may come of the stream that leads.
const MAX_PICTURE_TIME: Duration = Duration::from_secs(1);

/// Finds where a stream of MPEG-TS may be joined, and its prologue.
#[derive(Clone, Debug)]
pub struct TsScanner {
    /// The beginning of a packet; of a row of them while there is no step.
    held: Vec<u8>,
    /// The offset of the first byte that is held, or else of the next one.
    offset: u64,
    is_in_step: bool,
    /// How many bytes came since the last packet, or since the beginning.
    junk_bytes: u64,
    /// How many bytes of packets came without a programme.
    unmapped_bytes: u64,
    tables: Tables,
    clock: TsClock,
    /// The format of the sound alone.
    sound: Option<StreamFormat>,
    video: Option<VideoFormat>,
    /// The beginning of the last picture, or of the last piece of sound if there are no pictures.
    boundary: Mark,
    edge: u64,
    /// Whether any packet has come.
    has_begun: bool,
    /// When a piece arrived last.
    arrived: Duration,
}

impl TsScanner {
    /// A scanner that begins in the middle of a stream, or at its beginning; `None` if its prologue is not one.
    pub(super) fn in_the_middle(start: &StreamStart) -> Option<Self> {
        let tables = match start.prologue.is_empty() {
            true => Tables::new(),
            false => Tables::read(&start.prologue)?,
        };
        Some(Self {
            held: Vec::with_capacity(HELD_BYTES),
            offset: start.offset,
            is_in_step: false,
            junk_bytes: 0,
            unmapped_bytes: 0,
            tables,
            clock: TsClock::new(start.media_time),
            sound: None,
            video: None,
            boundary: Mark {
                offset: start.offset,
                media_time: start.media_time,
            },
            edge: start.offset,
            has_begun: false,
            arrived: Duration::ZERO,
        })
    }

    /// Judges the bytes that are held, and returns how many: all but a packet's beginning, or that of a row of packets.
    fn judge(&mut self, held: &[u8], found: &mut dyn FnMut(Scanned)) -> usize {
        let mut judged = 0;
        while let Some(rest @ [first, ..]) = held.get(judged..) {
            judged += if !self.is_in_step {
                let (junk, is_found) = search(rest);
                self.is_in_step = is_found;
                self.junk_bytes += junk as u64;
                self.offset += junk as u64;
                if junk == 0 && !is_found {
                    break;
                }
                junk
            } else if *first != SYNC {
                self.is_in_step = false;
                0
            } else if let Some(packet) = rest.first_chunk() {
                self.take(packet, found);
                PACKET_BYTES
            } else {
                break;
            };
        }
        judged
    }

    /// Takes the packet that begins at the offset.
    fn take(&mut self, packet: &[u8; PACKET_BYTES], found: &mut dyn FnMut(Scanned)) {
        let offset = self.offset;
        self.offset += PACKET_BYTES as u64;
        self.junk_bytes = 0;
        self.has_begun = true;
        if let Some(packet) = TsPacket::read(packet) {
            if self.tables.take(&packet) {
                self.begin_programme(found);
            }
            self.take_piece(&packet, offset, found);
        }
        self.move_edge();
    }

    /// Begins a programme, whose tables end at the offset.
    fn begin_programme(&mut self, found: &mut dyn FnMut(Scanned)) {
        self.clock.restart();
        (self.sound, self.video) = (None, None);
        found(Scanned::Prologue(Prologue {
            offset: self.offset,
            bytes: Bytes::from(self.tables.to_prologue()),
        }));
    }

    /// Takes a packet that may be of the programme.
    fn take_piece(&mut self, packet: &TsPacket<'_>, offset: u64, found: &mut dyn FnMut(Scanned)) {
        let Some(programme) = self.tables.programme().copied() else {
            self.unmapped_bytes += PACKET_BYTES as u64;
            return;
        };
        if let Some(clock) = packet.clock
            && programme.clock_pid == Some(packet.pid)
        {
            self.clock.take_reference(clock);
        }
        if !packet.begins {
            return;
        }
        let is_this = |stream: &ElementaryStream| stream.pid == packet.pid;
        let Some(pes) = PesHead::read(packet.payload) else {
            return;
        };
        if let Some(audio) = programme.audio.filter(is_this) {
            self.sound = self.sound.or_else(|| sound_facts(audio.codec, pes.body));
        }
        if let Some(leading) = programme.leading().filter(is_this) {
            if let Some(time) = pes.decoded_at {
                self.clock.take_timestamp(time);
            }
            self.boundary = Mark {
                offset,
                media_time: self.clock.time(),
            };
            let is_picture = programme.video == Some(leading);
            if !is_picture || self.is_key(packet, leading.codec, pes.body) {
                found(Scanned::Mark(self.boundary));
            }
        }
    }

    /// Whether the pictures can be decoded from this packet on.
    fn is_key(&mut self, packet: &TsPacket<'_>, codec: CodecName, body: &[u8]) -> bool {
        self.video = self.video.or_else(|| picture_facts(codec, body));
        packet.is_random_access || begins_with_key(codec, body)
    }

    fn move_edge(&mut self) {
        let leads = |programme: &Programme| programme.leading().is_some();
        let is_waiting = self.tables.programme().is_some_and(leads)
            && self.offset.saturating_sub(self.boundary.offset) <= MAX_PICTURE_BYTES
            && self.clock.time().saturating_sub(self.boundary.media_time) <= MAX_PICTURE_TIME;
        let whole = if is_waiting {
            self.boundary.offset
        } else {
            self.offset
        };
        self.edge = self.edge.max(whole);
    }
}

/// Searches for a row of packets: how many bytes are before the first one that may be, and whether all of it is there.
fn search(bytes: &[u8]) -> (usize, bool) {
    let is_row = |row: &[u8]| {
        row.iter()
            .step_by(PACKET_BYTES)
            .take(PACKETS_IN_STEP)
            .all(|it| *it == SYNC)
    };
    let begins = (0..bytes.len()).find(|at| bytes.get(*at..).is_some_and(is_row));
    let junk = begins.unwrap_or(bytes.len());
    (junk, bytes.len() - junk >= ROW_BYTES)
}

impl Walker for TsScanner {
    fn feed(&mut self, mut bytes: &[u8], arrived: Duration, found: &mut dyn FnMut(Scanned)) {
        self.arrived = self.arrived.max(arrived);
        while let [first, ..] = bytes {
            if self.is_in_step
                && self.held.is_empty()
                && *first == SYNC
                && let Some((packet, rest)) = bytes.split_first_chunk()
            {
                self.take(packet, found);
                bytes = rest;
                continue;
            }
            let wanted = if self.is_in_step {
                PACKET_BYTES
            } else {
                HELD_BYTES
            };
            let taken = bytes.len().min(wanted.saturating_sub(self.held.len()));
            let (these, rest) = bytes.split_at(taken);
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(these);
            let judged = self.judge(&held, found);
            held.drain(..judged);
            self.held = held;
            bytes = rest;
        }
        if !self.has_begun {
            self.edge = self.edge.max(self.offset); // a row of packets may have begun there
        }
    }

    fn next(&self) -> u64 {
        self.offset + self.held.len() as u64
    }

    fn edge(&self) -> u64 {
        self.edge
    }

    fn whole_at_end(&self, beyond: &[u8]) -> usize {
        whole::whole_bytes(beyond)
    }

    fn media_time(&self) -> Option<Duration> {
        Some(self.clock.time())
    }

    fn format(&self) -> Option<StreamFormat> {
        let programme = self.tables.programme()?;
        let of_audio = |audio: ElementaryStream| StreamFormat {
            codec: audio.codec,
            // Whatever went in, Opus is heard at 48 kHz.
            sample_rate_hz: match audio.codec {
                CodecName::Opus => 48_000,
                _ => 0,
            },
            channels: audio.channels,
            ..StreamFormat::default()
        };
        let stated = || programme.audio.map(of_audio).unwrap_or_default();
        let unsized_video = |video: ElementaryStream| VideoFormat {
            codec: video.codec,
            width: 0,
            height: 0,
        };
        Some(StreamFormat {
            container: Container::Mpegts,
            video: self.video.or_else(|| programme.video.map(unsized_video)),
            ..self.sound.unwrap_or_else(stated)
        })
    }

    fn layout(&self) -> Option<Layout> {
        let programme = self.tables.programme()?;
        let tracks = [programme.video, programme.audio].into_iter().flatten();
        let track = |it: ElementaryStream| TsTrack {
            pid: it.pid,
            codec: it.codec,
            channels: match it.codec {
                CodecName::Opus if it.channels > 2 => it.channels,
                _ => 0,
            },
        };
        Some(Layout::Ts(tracks.map(track).collect()))
    }

    fn trouble(&self) -> Option<Trouble> {
        match self.tables.programme() {
            None if self.unmapped_bytes > UNMAPPED_BYTES => Some(Trouble::NoHeaders),
            Some(programme) if programme.leading().is_none() => Some(Trouble::UnknownCodec),
            _ => None,
        }
    }

    fn is_lost(&self) -> bool {
        self.junk_bytes > UNPACKED_BYTES
    }

    fn to_pieces(&self) -> Pieces {
        let trouble = self.trouble().or(Some(Trouble::NoHeaders));
        let mut pieces = Pieces::new(self.next(), self.clock.time()).with_trouble(trouble);
        pieces.pass(&[], self.arrived, self.clock.time());
        pieces
    }
}

#[cfg(test)]
mod tests;
