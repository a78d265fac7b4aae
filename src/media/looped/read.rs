//! How a file is read that is to be played again and again: what it must be, and what of it is played.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Looped, Place};
use crate::media::format::detect::{self, Format, LOOK_BYTES, Look};
use crate::media::format::joining::Scanned;
use crate::media::format::layout::Layout;
use crate::media::format::ogg::{first_serials, page};
use crate::media::format::scanner::Scanner;
use crate::media::format::whole;
use crate::media::loudness::mpeg;

/// The shortest loop: nobody wants to hear less again and again, and each round of Ogg begins with headers.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest loop: 16 MiB of the lowest bitrate that anybody sends.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);
/// How far apart the places at which pieces begin are at least: a live source sends in such pieces.
const PLACE_EVERY: Duration = Duration::from_millis(100);
/// At most so many of the first frames are left out because their main data was in frames that the file does not have: the
/// reservoir of MP3 has 511 bytes, which are ten of the shortest frames.
const MOST_HEADLESS: usize = 16;
/// The head of a page of Ogg: a page counts once another one is behind it.
const PAGE_HEAD: &[u8] = b"OggS\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Why a file cannot be played again and again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLoop {
    /// The file has no byte.
    #[error("the file is empty")]
    Empty,
    /// Nothing is recognised at its beginning.
    #[error(
        "not MP3, AAC (ADTS) or Ogg by its first bytes: encode it in the format of the stream, such as by \
         ffmpeg -i FILE -c:a libmp3lame -b:a 128k loop.mp3"
    )]
    Unknown,
    /// The format cannot be repeated.
    #[error("{} cannot be played again and again, only MP3, AAC (ADTS) and Ogg: encode it anew", .0.name())]
    Format(Format),
    /// A part of the file is of nothing.
    #[error("the file is damaged at byte {0}: copy it again, or encode it anew")]
    Damaged(usize),
    /// The headers of Ogg are not there.
    #[error("the file does not begin with the headers of its {}: it was cut", .0.name())]
    Headless(Format),
    /// The codec is not known.
    #[error("the codec of the file is not known")]
    UnknownCodec,
    /// Several streams stand side by side.
    #[error(
        "the file has pictures beside its sound: take the sound alone, by ffmpeg -i FILE -vn -c:a copy"
    )]
    Pictures,
    /// The loop would be shorter than a second.
    #[error("the file plays for {} ms: a loop must have 1 s at least", .0.as_millis())]
    TooShort(Duration),
    /// The loop would be longer than six hours.
    #[error("the file plays for more than {} hours", LONGEST.as_secs() / 3_600)]
    TooLong,
}

impl Looped {
    /// Reads a whole file. The number tells its serial numbers from those of other files, and must be the same on all nodes.
    pub fn read(file: &[u8], serial_base: u32) -> Result<Self, NoLoop> {
        let container = container(file)?;
        let whole = whole::walk(file, container).ok_or(NoLoop::Format(container))?;
        if let Some(at) = whole.damaged_at {
            return Err(NoLoop::Damaged(at));
        }
        let units = whole.units.into_iter().filter_map(|unit| file.get(unit));
        let mut units: Vec<&[u8]> = units.collect();
        if container == Format::Mpeg {
            drop(units.drain(..headless(&units)));
        }
        let last_bytes = units.last().map_or(0, |unit| unit.len());
        let mut round = BytesMut::from(&units.concat()[..]);
        if container == Format::Ogg {
            if first_serials(&round).is_empty() {
                return Err(NoLoop::Headless(container));
            }
            let last = round.len() - last_bytes;
            page::mark_last(&mut round[last..]);
        }
        scanned(container, round.freeze(), serial_base)
    }
}

/// The format of a file by its beginning.
fn container(file: &[u8]) -> Result<Format, NoLoop> {
    if file.is_empty() {
        return Err(NoLoop::Empty);
    }
    let audio = detect::after_tags(file).unwrap_or_default();
    if audio.is_empty() {
        return Err(NoLoop::Empty);
    }
    let begun = audio.get(..LOOK_BYTES).unwrap_or(audio);
    match detect::look(begun, Format::Mpeg.media_type()) {
        Look::Is(container) => Ok(container),
        Look::More | Look::Unknown => Err(NoLoop::Unknown),
    }
}

/// How many of the first frames of MP3 cannot be decoded, because their main data begins before the first one.
fn headless(frames: &[&[u8]]) -> usize {
    let first = frames.iter().take(MOST_HEADLESS);
    let begins = first.map(|frame| mpeg::back_bytes(frame).unwrap_or(0));
    begins.into_iter().position(|back| back == 0).unwrap_or(0)
}

/// Finds the places and the length of a round, and what it is.
fn scanned(container: Format, round: Bytes, serial_base: u32) -> Result<Looped, NoLoop> {
    let (mut marks, mut prologues) = (Vec::new(), Vec::new());
    let mut scanner = Scanner::for_content_type(container.media_type(), 0);
    let mut note = |found| match found {
        Scanned::Mark(mark) => marks.push(mark),
        Scanned::Prologue(prologue) => prologues.push((offset(prologue.offset), prologue.bytes)),
        Scanned::Comment(_) | Scanned::Anew(_) => {}
    };
    scanner.feed(&round, Duration::ZERO, &mut note);
    if container == Format::Ogg {
        scanner.feed(PAGE_HEAD, Duration::ZERO, &mut note);
    }
    match scanner.layout(container.media_type()) {
        None => return Err(NoLoop::UnknownCodec),
        Some(Layout::Ogg(tracks)) if tracks.is_empty() => return Err(NoLoop::UnknownCodec),
        Some(Layout::Ogg(tracks)) if tracks.len() > 1 => return Err(NoLoop::Pictures),
        Some(_) => {}
    }
    let length = scanner.media_time().ok_or(NoLoop::UnknownCodec)?;
    if length < SHORTEST {
        return Err(NoLoop::TooShort(length));
    }
    if length > LONGEST {
        return Err(NoLoop::TooLong);
    }
    marks.sort_unstable_by_key(|mark| mark.offset);
    let mut places = vec![Place {
        at: 0,
        time: Duration::ZERO,
    }];
    for mark in marks {
        let before = places.last().map_or(Duration::ZERO, |place| place.time);
        if mark.media_time >= before + PLACE_EVERY && mark.media_time < length {
            places.push(Place {
                at: offset(mark.offset),
                time: mark.media_time,
            });
        }
    }
    Ok(Looped {
        container,
        format: scanner.format().unwrap_or_default(),
        round,
        length,
        places,
        prologues,
        serial_base,
    })
}

/// A place in a file that is known to have less than 4 GiB.
fn offset(offset: u64) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
