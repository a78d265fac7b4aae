//! The meters of loudness, on streams that encoders have made, on made ones and on damaged ones.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::media::format::{adts, mpeg};

fn meter(content_type: &str) -> Option<LoudnessMeter> {
    let start = StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    };
    LoudnessMeter::new(content_type, &start)
}

fn hear<'a>(content_type: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Heard> {
    let (mut meter, mut found) = (meter(content_type).unwrap(), Vec::new());
    for piece in pieces {
        meter.feed(piece, |heard| found.push(heard));
    }
    found
}

fn levels(content_type: &str, stream: &[u8]) -> Vec<Level> {
    let heard = hear(content_type, [stream]);
    heard.iter().map(|heard| heard.level).collect()
}

/// A frame of MP3 without any side information: 128 kbit/s, 44.1 kHz, stereo.
fn silent_mp3() -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFB, 0x90, 0x64];
    frame.resize(417, 0);
    frame
}

/// The same with one line as great as table 1 tells, at this global gain, in the first granule of the first channel.
fn loud_mp3(gain: u8) -> Vec<u8> {
    let mut frame = silent_mp3();
    // 20 bits of main data begin, private and shared; then 12 of length, 9 of big values, 8 of gain.
    let fields: u64 = (60 << 52) | (1 << 43) | (u64::from(gain) << 35) | (1 << 25);
    let fields = fields >> 4;
    for (byte, field) in frame[6..].iter_mut().zip(fields.to_be_bytes()) {
        *byte |= field;
    }
    frame
}

#[test]
fn a_frame_of_mp3_is_as_loud_as_its_gain() {
    let stream = [silent_mp3(), loud_mp3(210), loud_mp3(170), silent_mp3()];
    let stream = [stream.concat(), silent_mp3(), silent_mp3()].concat();
    let found = levels("audio/mpeg", &stream);
    let expected = [
        Level::Nothing,
        Level::About(-8),
        Level::About(-68),
        Level::Nothing,
    ];
    assert_eq!(found[..4], expected);
}

/// As FFmpeg makes them from digital silence, and from a tone of -40 dBFS at 64 kbit/s, of which the end is left out.
const SILENT_AAC: &[u8] = b"\xff\xf1\x50\x80\x01\xbf\xfc\x21\x10\x04\x60\x8c\x1c";
const TONE_AAC: &[u8] = b"\xff\xf1\x50\x80\x18\x3f\xfc\x21\x19\x49\xff\xff\xfc\x00\x27\xc0\x28\x9b\x13\xbf\
    \x42\x61\xd0\x98\x74\x26\x57\xff\xff\xef\xc4\xe3\x74\xff\xe9\xfe\x3f\x7d\x4e\x7c\x93\x12\xd7\xe1\xa4\x93\xba\xaa\x90\x3f\
    \x8b\x98\x98\x6e\xdd\x23\x70\x1e\xab\xa2\xcf\xe2\xf9\xf1\xc0\x2a\xf2\xba\xba\xba\x56\xba\x8a\x64\xe5\x6c\x42\x59\xc6\xfc";

#[test]
fn a_frame_of_aac_is_as_loud_as_its_scale_factors() {
    let mut tone = TONE_AAC.to_vec();
    tone.resize(193, 0);
    let stream = [SILENT_AAC, &tone, SILENT_AAC, SILENT_AAC, SILENT_AAC].concat();
    let found = levels("audio/aac", &stream);
    assert_eq!(found[0], Level::Nothing);
    let Level::About(db) = found[1] else {
        panic!("{found:?}");
    };
    assert!((-46..=-20).contains(&db), "{db}");
    assert_eq!(found[2], Level::Nothing);
}

/// The first packet of FLAC in Ogg behind its magic words, and frames of two channels of 44.1 kHz, 16 bits, cut: of digital
/// silence, white noise of -60 dBFS, and a tone of -40 dBFS.
const STREAM_INFO: &[u8] =
    b"\0\0\0\x22\x12\0\x12\0\0\0\0\0\0\0\x0a\xc4\x42\xf0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const SILENT_FLAC: &[u8] = b"\xff\xf8\x59\x18\x08\x53\0\0\0\0\0\0\x2b\x39";
const NOISE_FLAC: &[u8] =
    b"\xff\xf8\x59\xa8\x08\x1c\x40\xff\xfe\xe7\xfb\xf9\x01\x4b\x8b\x5b\x12\x94\x2c\xb1";
const TONE_FLAC: &[u8] = b"\xff\xf8\x59\x88\x08\xb2\x4e\xff\x1d\xff\x58\xff\x97\xff\xd8\x00\x1a\x00\x5c\x00\x9b\x00\xd8\xe6\
    \xa4\x0e\x15\x9b\xf1\xbb\xde\x4f\xad\xbf\x1a\x9e\xee\xc4\x61\x80\x1c\xc9\xe6\x4c\xf9\x99\xce\x49";

#[test]
fn a_frame_of_flac_is_as_loud_as_its_first_samples() {
    let levels = super::flac::FlacLevels::new(STREAM_INFO).unwrap();
    let level = |frame: &[u8]| {
        let heard = levels.measure(frame).unwrap();
        assert_eq!(heard.lasts.as_micros(), 104_489);
        heard.level
    };
    assert_eq!(level(SILENT_FLAC), Level::Nothing);
    for (frame, expected_db) in [(NOISE_FLAC, -60), (TONE_FLAC, -43)] {
        let Level::About(db) = level(frame) else {
            panic!("{:?}", level(frame));
        };
        assert!((db - expected_db).abs() <= 9, "{db}, not {expected_db}");
    }
    let unknown = level(&TONE_FLAC[..8]);
    assert_eq!(unknown, Level::Unknown, "it is cut");
}

#[test]
fn a_difference_says_nothing_of_how_loud_both_channels_are() {
    let levels = super::flac::FlacLevels::new(STREAM_INFO).unwrap();
    let mut frame = TONE_FLAC.to_vec();
    frame[3] = 0x98;
    frame[5] = (0..=255)
        .find(|sum| {
            frame[5] = *sum;
            levels.measure(&frame).is_some()
        })
        .unwrap();
    let heard = levels.measure(&frame).unwrap();
    assert_eq!(heard.level, Level::Unknown);
}

#[test]
fn other_formats_have_no_meter() {
    for content_type in ["audio/webm", "video/mp2t", "audio/mp4a-latm", "text/plain"] {
        assert!(meter(content_type).is_none(), "{content_type}");
    }
}

#[test]
fn what_is_no_frame_for_long_is_unknown() {
    let noise = vec![0xA5; 300 << 10];
    let found = levels("audio/mpeg", &noise);
    assert!(found.contains(&Level::Unknown), "{found:?}");
}

/// A stream of frames of which some bytes are damaged.
fn damaged(content_type: &str, damage: &[(usize, u8)]) -> Vec<u8> {
    let mut stream = match content_type {
        "audio/mpeg" => mpeg::samples::frames(12),
        "audio/aac" => adts::samples::frames(12),
        _ => crate::media::format::ogg::page::samples::opus(7, &[1, 2, 3, 4]),
    };
    for (at, value) in damage {
        let at = at % stream.len();
        stream[at] = *value;
    }
    stream
}

const TYPES: [&str; 4] = ["audio/mpeg", "audio/aac", "application/ogg", "audio/flac"];

proptest! {
    #[test]
    fn any_bytes_are_borne_and_cuts_change_nothing(
        kind in 0_usize..4,
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 0..40),
        noise in prop::collection::vec(any::<u8>(), 0..300),
        cut in 1_usize..900,
    ) {
        let stream = [damaged(TYPES[kind], &damage), noise].concat();
        let whole = hear(TYPES[kind], [&stream[..]]);
        let cut = hear(TYPES[kind], stream.chunks(cut));
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn any_frame_is_borne(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut frame = SILENT_AAC[..7].to_vec();
        frame.extend(&bytes);
        super::aac::measure(&frame);
        let mut frame = vec![0xFF, 0xFB, 0x90, 0x64];
        frame.extend(&bytes);
        if let Some(head) = <mpeg::MpegHead as crate::media::format::frames::FrameHead>::parse(&frame) {
            super::mpeg::Mp3Levels::default().measure(&frame, &head);
        }
        super::opus::measure(&bytes);
        super::vorbis::measure(&bytes);
        let levels = super::flac::FlacLevels::new(STREAM_INFO).unwrap();
        let mut frame = TONE_FLAC[..6].to_vec();
        frame.extend(&bytes);
        levels.measure(&frame);
    }
}
