//! The facts in the headers of Matroska: the kind of document, the unit of time, the tracks and their codecs.

use super::element::{ChildElement, Children, number};
use super::ids;
use crate::model::format::{CodecName, Container, StreamFormat, VideoFormat};

/// The nanoseconds of a tick where a stream does not say them.
const USUAL_TICK_NANOS: u64 = 1_000_000;

/// The samples per second where a track does not say them.
const USUAL_RATE_HZ: u32 = 8_000;

/// The most samples per second that make sense; more is a mistake.
const MAX_RATE_HZ: f64 = 10_000_000.0;

/// The types of tracks.
const TYPE_VIDEO: u64 = 1;
const TYPE_AUDIO: u64 = 2;

/// The tracks of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracks {
    /// The track whose blocks decide where the stream may be joined: the first with pictures, or else the first with
    /// sound.
    pub lead: u64,
    /// The first track with sound, and the first with pictures.
    pub format: StreamFormat,
}

impl Tracks {
    /// Reads the body of the element; `None` if it is damaged or empty.
    pub(super) fn read(body: &[u8], container: Container) -> Option<Self> {
        let (mut first, mut sound, mut pictures) = (None, None, None);
        for child in Children(body) {
            let child = child?;
            if child.id != ids::TRACK_ENTRY {
                continue;
            }
            let track = Track::read(child.body)?;
            first = first.or(Some(track));
            match track.kind {
                TYPE_AUDIO => sound = sound.or(Some(track)),
                TYPE_VIDEO => pictures = pictures.or(Some(track)),
                _ => {}
            }
        }
        let heard = sound.unwrap_or_default();
        Some(Self {
            lead: pictures.or(sound).or(first)?.number,
            format: StreamFormat {
                container,
                codec: heard.codec,
                bitrate_bps: 0,
                sample_rate_hz: heard.rate_hz,
                channels: heard.channels,
                video: pictures.map(|track| VideoFormat {
                    codec: track.codec,
                    width: track.width,
                    height: track.height,
                }),
            },
        })
    }

    /// Whether there are pictures, which can be decoded from a keyframe on only.
    pub(super) fn has_pictures(&self) -> bool {
        self.format.video.is_some()
    }
}

/// One track; a figure is 0 where it is not said.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    number: u64,
    kind: u64,
    codec: CodecName,
    rate_hz: u32,
    channels: u8,
    width: u32,
    height: u32,
}

impl Track {
    fn read(body: &[u8]) -> Option<Self> {
        let mut track = Self::default();
        for child in Children(body) {
            let ChildElement { id, body } = child?;
            match id {
                ids::TRACK_NUMBER => track.number = number(body)?,
                ids::TRACK_TYPE => track.kind = number(body)?,
                ids::CODEC_ID => track.codec = codec(body),
                ids::AUDIO => track.read_audio(body)?,
                ids::VIDEO => track.read_video(body)?,
                _ => {}
            }
        }
        Some(track)
    }

    fn read_audio(&mut self, body: &[u8]) -> Option<()> {
        (self.rate_hz, self.channels) = (USUAL_RATE_HZ, 1);
        for child in Children(body) {
            let ChildElement { id, body } = child?;
            match id {
                ids::SAMPLING_FREQUENCY => self.rate_hz = rate_hz(body),
                ids::CHANNELS => self.channels = figure(body),
                _ => {}
            }
        }
        Some(())
    }

    fn read_video(&mut self, body: &[u8]) -> Option<()> {
        for child in Children(body) {
            let ChildElement { id, body } = child?;
            match id {
                ids::PIXEL_WIDTH => self.width = figure(body),
                ids::PIXEL_HEIGHT => self.height = figure(body),
                _ => {}
            }
        }
        Some(())
    }
}

/// A figure; 0 if it is too large to be one.
fn figure<T: TryFrom<u64> + Default>(body: &[u8]) -> T {
    let figure = number(body).and_then(|figure| T::try_from(figure).ok());
    figure.unwrap_or_default()
}

/// A sample rate, which is written as a float of 4 or 8 bytes; 0 if it makes no sense.
fn rate_hz(body: &[u8]) -> u32 {
    let rate = match (body.first_chunk(), body.first_chunk()) {
        (_, Some(long)) if body.len() == 8 => f64::from_be_bytes(*long),
        (Some(short), _) if body.len() == 4 => f64::from(f32::from_be_bytes(*short)),
        _ => 0.0,
    };
    match (0.0..=MAX_RATE_HZ).contains(&rate) {
        true => rate.round() as u32,
        false => 0,
    }
}

/// The codec by its name in Matroska. What follows a slash tells profiles apart.
fn codec(name: &[u8]) -> CodecName {
    let name = String::from_utf8_lossy(name);
    let name = name.trim_end_matches('\0');
    if name.starts_with("A_AAC") {
        let is_high_efficiency = name.ends_with("/SBR");
        return match is_high_efficiency {
            true => CodecName::HeAac,
            false => CodecName::Aac,
        };
    }
    match name {
        "A_OPUS" => CodecName::Opus,
        "A_VORBIS" => CodecName::Vorbis,
        "A_FLAC" => CodecName::Flac,
        "A_MPEG/L3" => CodecName::Mp3,
        "A_MPEG/L2" => CodecName::Mp2,
        "A_MPEG/L1" => CodecName::Mp1,
        "V_VP8" => CodecName::Vp8,
        "V_VP9" => CodecName::Vp9,
        "V_AV1" => CodecName::Av1,
        "V_THEORA" => CodecName::Theora,
        "V_MPEG1" | "V_MPEG2" => CodecName::Mpeg2,
        _ if name.starts_with("A_AC3") => CodecName::Ac3,
        _ if name.starts_with("A_PCM/") => CodecName::Pcm,
        _ if name.starts_with("V_MPEG4/ISO/AVC") => CodecName::H264,
        _ if name.starts_with("V_MPEGH/ISO/HEVC") => CodecName::H265,
        _ => CodecName::Unknown,
    }
}

/// The kind of document that the body of an EBML header says; `None` if it is damaged.
pub(super) fn container(header: &[u8]) -> Option<Container> {
    let mut container = Container::Matroska;
    for child in Children(header) {
        let ChildElement { id, body } = child?;
        if id == ids::DOC_TYPE && body.starts_with(b"webm") {
            container = Container::Webm;
        }
    }
    Some(container)
}

/// The nanoseconds of a tick that the body of an info says; `None` if it is damaged.
pub(super) fn tick_nanos(info: &[u8]) -> Option<u64> {
    let mut nanos = USUAL_TICK_NANOS;
    for child in Children(info) {
        let ChildElement { id, body } = child?;
        if id == ids::TIMESTAMP_SCALE {
            nanos = number(body)?;
        }
    }
    match nanos {
        0 => Some(USUAL_TICK_NANOS),
        nanos => Some(nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{audio_track, element, track, video_track};
    use super::*;

    fn read(tracks: &[Vec<u8>]) -> Option<Tracks> {
        Tracks::read(&tracks.concat(), Container::Webm)
    }

    #[test]
    fn pictures_lead_and_the_first_of_each_kind_is_named() {
        let subtitles = track(9, 0x11, "S_TEXT/UTF8", &[]);
        let other = track(5, 2, "A_VORBIS", &[]);
        let found = read(&[subtitles.clone(), audio_track(1), other, video_track(2)]).unwrap();
        assert_eq!(found.lead, 2);
        assert!(found.has_pictures());
        let expected = StreamFormat {
            container: Container::Webm,
            codec: CodecName::Opus,
            bitrate_bps: 0,
            sample_rate_hz: 48_000,
            channels: 2,
            video: Some(VideoFormat {
                codec: CodecName::Vp8,
                width: 640,
                height: 360,
            }),
        };
        assert_eq!(found.format, expected);
        let heard = read(&[subtitles.clone(), audio_track(3)]).unwrap();
        assert_eq!((heard.lead, heard.has_pictures()), (3, false));
        assert_eq!(read(&[subtitles]).unwrap().lead, 9);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn sample_rates_are_floats_of_two_widths() {
        assert_eq!(rate_hz(&44_100.0_f32.to_be_bytes()), 44_100);
        assert_eq!(rate_hz(&22_050.4_f64.to_be_bytes()), 22_050);
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 1e12] {
            assert_eq!(rate_hz(&nonsense.to_be_bytes()), 0);
        }
        assert_eq!(rate_hz(&[]), 0);
        let silent = [element(ids::AUDIO, &[])].concat();
        let mono = read(&[track(1, 2, "A_AAC/MPEG4/LC/SBR", &silent)]).unwrap();
        assert_eq!(
            (mono.format.sample_rate_hz, mono.format.channels),
            (8_000, 1)
        );
        assert_eq!(mono.format.codec, CodecName::HeAac);
    }

    #[test]
    fn codecs_are_known_by_their_names() {
        for (name, expected) in [
            ("A_MPEG/L3", CodecName::Mp3),
            ("A_AAC", CodecName::Aac),
            ("A_PCM/INT/LIT", CodecName::Pcm),
            ("V_MPEG4/ISO/AVC", CodecName::H264),
            ("V_AV1\0", CodecName::Av1),
            ("A_MS/ACM", CodecName::Unknown),
        ] {
            assert_eq!(codec(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(codec(b"\xFF\xFE"), CodecName::Unknown);
    }

    #[test]
    fn damage_is_seen_and_what_is_missing_is_usual() {
        let whole = audio_track(1);
        assert_eq!(read(&[whole[..whole.len() - 1].to_vec()]), None);
        assert_eq!(
            container(&element(ids::DOC_TYPE, b"webm")),
            Some(Container::Webm)
        );
        assert_eq!(container(&[]), Some(Container::Matroska));
        assert_eq!(container(&[0x42, 0x82, 0x84, b'w']), None);
        let scale = |nanos: &[u8]| tick_nanos(&element(ids::TIMESTAMP_SCALE, nanos));
        assert_eq!(scale(&[3, 0xE8]), Some(1_000));
        assert_eq!([scale(&[0]), tick_nanos(&[])], [Some(USUAL_TICK_NANOS); 2]);
        assert_eq!(scale(&[1; 9]), None);
    }
}
