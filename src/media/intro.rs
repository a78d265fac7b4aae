//! The intro that listeners hear before a stream: the whole frames or pages of a file, if their decoders can go on with the stream.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::format::detect::{self, Format, LOOK_BYTES, Look};
use super::format::file::whole_units;
use super::format::layout::Layout;
use super::format::ogg::{PageSieve, first_serials};
use super::format::scanner::Scanner;
use super::format::tags::TagFilter;
use super::splice::{Splice, splice};

/// The least that a second of an intro takes: 4 kbit/s, less than any codec of radios. A file in Ogg whose clock jumps seems to
/// take less, and would be sent too slowly.
const LEAST_BYTES_PER_S: u64 = 500;

/// An intro in memory.
#[derive(Debug)]
pub struct Intro {
    bytes: Bytes,
    time: Duration,
    layout: Layout,
}

/// Why a file is no intro of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoIntro {
    /// The stream cannot follow anything.
    #[error("nothing can be heard before {}, only before MP3, AAC and Ogg: take the intro off the mount", .0.name())]
    StreamFormat(Format),
    /// The stream has several streams side by side, with which players do not go on.
    #[error(
        "nothing can be heard before Ogg with pictures, only before sound alone: take the intro off the mount"
    )]
    Pictures,
    /// The file has no byte, or nothing but tags.
    #[error("the file is empty")]
    Empty,
    /// The file is in another format.
    #[error("the file is {}, the stream {}: encode it anew", found.name(), wanted.name())]
    OtherFormat {
        /// The format of the file.
        found: Format,
        /// The format of the stream.
        wanted: Format,
    },
    /// Most of the file is not of the format.
    #[error("most of the file is not {}, the format of the stream: encode it anew", .0.name())]
    Unfit(Format),
    /// The file is in another codec.
    #[error("the file is in {file}, the stream in {stream}: encode it anew")]
    OtherCodec {
        /// The codecs of the file.
        file: String,
        /// The codecs of the stream.
        stream: String,
    },
}

impl Intro {
    /// Reads a file that is to be heard before streams of this format. Its tags are left out.
    ///
    /// A decoder would take a link of Ogg with the serial number of the one before for late pages of that one. So this
    /// number is added to those of the file: it has to be chosen by chance, and that of a stream is then another.
    pub fn read(file: &[u8], format: Format, serial_shift: u32) -> Result<Self, NoIntro> {
        match format {
            Format::Mpeg | Format::Adts | Format::Loas | Format::Ogg => {}
            // One header may stand in a file, at its beginning; and times only grow.
            Format::Flac | Format::Ebml | Format::Ts => return Err(NoIntro::StreamFormat(format)),
        }
        let file = without_tags(file, format);
        if file.is_empty() {
            return Err(NoIntro::Empty);
        }
        let begun = file.get(..LOOK_BYTES).unwrap_or(&file);
        match detect::look(begun, format.media_type()) {
            Look::Is(found) if found != format => {
                let wanted = format;
                return Err(NoIntro::OtherFormat { found, wanted });
            }
            Look::Is(_) | Look::More | Look::Unknown => {}
        }
        let bytes = whole_part(&file, format, serial_shift);
        let (time, layout) = about(&bytes, format).ok_or(NoIntro::Unfit(format))?;
        // Something like a frame is found in any long file.
        if bytes.len() < file.len() / 2 {
            return Err(NoIntro::Unfit(format));
        }
        Ok(Self {
            bytes,
            time,
            layout,
        })
    }

    /// Whether a decoder that has played the intro goes on with a stream of this layout.
    pub fn check_before(&self, stream: &Layout) -> Result<(), NoIntro> {
        if matches!(stream, Layout::Ogg(tracks) if tracks.len() > 1) {
            return Err(NoIntro::Pictures);
        }
        match splice(&self.layout, stream) {
            Splice::WithPrologue => Ok(()),
            Splice::Bare | Splice::Never => Err(NoIntro::OtherCodec {
                file: codecs(&self.layout),
                stream: codecs(stream),
            }),
        }
    }

    /// The bytes of the intro.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many of them play for a second; all of them if that cannot be told.
    pub fn bytes_per_s(&self) -> u64 {
        let bytes = self.bytes.len() as u64;
        let per_s =
            bytes.saturating_mul(1_000) / u64::try_from(self.time.as_millis()).unwrap_or(1).max(1);
        per_s.max(LEAST_BYTES_PER_S).min(bytes)
    }
}

/// The bytes of a file without its tags.
fn without_tags(file: &[u8], format: Format) -> BytesMut {
    let (mut input, mut out) = (BytesMut::from(file), BytesMut::new());
    // Tags at the very beginning may stand before any format.
    let mut beginning = TagFilter::new();
    beginning.take(&mut input, &mut out);
    beginning.finish(&mut input, &mut out);
    let mut filter = TagFilter::new();
    filter.walks(format);
    let mut cleaned = BytesMut::new();
    filter.take(&mut out, &mut cleaned);
    filter.finish(&mut out, &mut cleaned);
    cleaned
}

/// The frames or pages of a file that are whole.
fn whole_part(file: &[u8], format: Format, serial_shift: u32) -> Bytes {
    let units = whole_units(file, format).unwrap_or_default().into_iter();
    let units: Vec<&[u8]> = units.filter_map(|unit| file.get(unit)).collect();
    if format != Format::Ogg {
        return units.concat().into();
    }
    let (mut input, mut out) = (BytesMut::from(&units.concat()[..]), BytesMut::new());
    PageSieve::new(serial_shift).take(&mut input, &mut out);
    out.freeze()
}

/// The head of a page of Ogg: a page counts once another one is behind it.
const PAGE_HEAD: &[u8] = b"OggS\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// How long these bytes play, and what a decoder of them is set up for; `None` if it cannot begin with them.
fn about(bytes: &[u8], format: Format) -> Option<(Duration, Layout)> {
    if format == Format::Ogg && first_serials(bytes).is_empty() {
        return None; // the file was cut at its beginning
    }
    let mut scanner = Scanner::for_content_type(format.media_type(), 0);
    scanner.feed(bytes, Duration::ZERO, |_| {});
    if format == Format::Ogg {
        scanner.feed(PAGE_HEAD, Duration::ZERO, |_| {});
    }
    let layout = scanner.layout(format.media_type())?;
    Some((scanner.media_time().unwrap_or_default(), layout))
}

/// The codecs that a decoder is set up for, in words.
fn codecs(layout: &Layout) -> String {
    let titles: Vec<String> = match layout {
        Layout::Mpeg(codec) => vec![codec.title().to_owned()],
        Layout::Ogg(tracks) => tracks.iter().map(|track| track.in_words()).collect(),
        Layout::Adts | Layout::Loas => vec!["AAC".to_owned()],
        Layout::Flac(_) => vec!["FLAC".to_owned()],
        Layout::Ts(_) => vec!["MPEG-TS".to_owned()],
        Layout::Ebml => vec!["WebM".to_owned()],
        Layout::Opaque(_) => Vec::new(),
    };
    match titles.is_empty() {
        true => "an unknown codec".to_owned(),
        false => titles.join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::format::layout::{OggSetup, OggTrack};
    use crate::media::format::mpeg::samples as mpeg;
    use crate::media::format::ogg::page::samples::{opus, opus_heads};
    use crate::model::format::CodecName::{self, Flac, Mp2, Mp3, Opus, Theora, Vorbis};

    fn track(codec: CodecName) -> OggTrack {
        let setup = OggSetup::Free;
        OggTrack { codec, setup }
    }

    fn mp3(file: &[u8]) -> Result<Intro, NoIntro> {
        Intro::read(file, Format::Mpeg, 0)
    }

    #[test]
    fn only_whole_frames_of_a_file_are_heard() {
        let frames = mpeg::frames(5);
        let id3 = b"ID3\x04\0\0\0\0\0\x05fLaC!".to_vec();
        let tag = [b"TAG".to_vec(), vec![b' '; 125]].concat();
        let cut = &frames[..frames.len() / 5 / 2];
        let file = [&id3, &b"junk"[..], &frames, cut, &tag].concat();
        let intro = mp3(&file).unwrap();
        assert_eq!(intro.bytes(), &frames);
        assert_eq!(intro.check_before(&Layout::Mpeg(Mp3)), Ok(()));
        let other = intro.check_before(&Layout::Mpeg(Mp2)).unwrap_err();
        assert_eq!(
            other.to_string(),
            "the file is in MP3, the stream in MP2: encode it anew"
        );
        let film = Layout::Ogg(vec![track(Vorbis), track(Theora)]);
        assert_eq!(intro.check_before(&film), Err(NoIntro::Pictures));
    }

    #[test]
    fn an_intro_is_sent_at_the_pace_at_which_it_plays() {
        let intro = mp3(&mpeg::frames(100)).unwrap();
        assert!((15_900..16_100).contains(&intro.bytes_per_s()));
        let jumping: Vec<u64> = (1..60).map(|page| page * 30).collect();
        let slow = Intro::read(&opus(7, &jumping), Format::Ogg, 0).unwrap();
        assert_eq!(slow.bytes_per_s(), LEAST_BYTES_PER_S);
        let silent = Intro::read(&opus_heads(7), Format::Ogg, 0).unwrap_err();
        assert_eq!(silent, NoIntro::Unfit(Format::Ogg), "no page of sound");
    }

    #[test]
    fn a_file_of_another_kind_is_no_intro() {
        let ogg = opus(7, &[1, 2]);
        let [id3, noise] = [&b"ID3\x04\0\0\0\0\0\x05fLaC!"[..], &[0x55; 9_000]];
        let (found, wanted) = (Format::Ogg, Format::Mpeg);
        let other = NoIntro::OtherFormat { found, wanted };
        assert_eq!(mp3(&ogg).unwrap_err(), other);
        assert_eq!(mp3(b"").unwrap_err(), NoIntro::Empty);
        assert_eq!(mp3(id3).unwrap_err(), NoIntro::Empty);
        let unfit = NoIntro::Unfit(wanted);
        assert_eq!(mp3(noise).unwrap_err(), unfit);
        let hidden = [noise, &mpeg::frames(9), noise].concat();
        assert_eq!(mp3(&hidden).unwrap_err(), unfit);
        let headless = Intro::read(&ogg[opus_heads(7).len()..], found, 0);
        assert_eq!(headless.unwrap_err(), NoIntro::Unfit(found));
        for format in [Format::Flac, Format::Ebml, Format::Ts] {
            let film = Intro::read(&ogg, format, 0).unwrap_err();
            assert_eq!(film, NoIntro::StreamFormat(format));
        }
    }

    #[test]
    fn an_intro_in_ogg_gets_other_serial_numbers() {
        let chain = [opus(7, &[1, 2]), opus(8, &[1])].concat();
        let intro = Intro::read(&chain, Format::Ogg, 100).unwrap();
        let expected = [opus(107, &[1, 2]), opus(108, &[1])].concat();
        assert_eq!(intro.bytes(), &expected);
        assert_eq!(intro.check_before(&Layout::Ogg(vec![track(Opus)])), Ok(()));
        let other = intro.check_before(&Layout::Ogg(vec![track(Vorbis)]));
        assert!(matches!(other, Err(NoIntro::OtherCodec { .. })));
        let flac = |bits| {
            let setup = OggSetup::Flac {
                bits,
                max_samples: 4_608,
            };
            Layout::Ogg(vec![OggTrack { codec: Flac, setup }])
        };
        let intro = Intro {
            layout: flac(24),
            ..intro
        };
        assert_eq!(intro.check_before(&flac(24)), Ok(()));
        let other = intro.check_before(&flac(16)).unwrap_err().to_string();
        assert!(other.contains("FLAC with 24 bits"), "{other}");
        assert!(other.contains("FLAC with 16 bits"), "{other}");
    }
}
