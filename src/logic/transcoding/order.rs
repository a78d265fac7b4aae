//! The order for a transcoder: the settings of a mount, complete, and possible together.

use super::codecs::{Bitrates, TargetAudio, listed, qualities, sample_rates, usual_rate};
use crate::model::mount::{MountName, TranscodeSpec};
use crate::model::transcoding::{TargetBitrate, TargetCodec};

/// The effort of FLAC if none is set: that of its own program. Listeners hear no difference between them.
const USUAL_FLAC_QUALITY: u32 = 5;
/// Channels if none are set.
const USUAL_CHANNELS: u32 = 2;

/// The work of a transcoder: the audio that it makes, and from which mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodeOrder {
    /// The mount that it hears.
    pub from: MountName,
    /// The audio that it makes.
    pub audio: TargetAudio,
    /// How much of a stream it makes of that.
    pub amount: Amount,
}

/// How large a stream is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many bits per second.
    Bitrate(TargetBitrate),
    /// As many as this quality needs, on the scale of the codec: for MP3, 0 is the best; for Vorbis, 10; for FLAC, 8 takes
    /// the most time, and loses nothing either way.
    Quality(u32),
}

/// Why settings do not make an order. Each text begins with the setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOrder {
    /// The setting is for transcoded mounts, and the mount is an ordinary one.
    #[error("{0}: only for a mount that is transcoded; set transcode_from, too, or leave it out")]
    NotTranscoded(&'static str),
    /// No codec is set, or one that only newer nodes know.
    #[error("codec: missing: say which one is made, mp3, aac, he-aac, vorbis, opus or flac")]
    NoCodec,
    /// The codec has no such sample rate.
    #[error("sample_rate: {codec} has {}, not {given}", rates_of(.codec))]
    SampleRate {
        /// The codec.
        codec: TargetCodec,
        /// The rate that was set.
        given: u32,
    },
    /// More channels than are made, or none.
    #[error("channels: {0} cannot be made: 1 or 2")]
    Channels(u32),
    /// The codec has no such bitrate at this rate.
    #[error("bitrate: {audio} has {}, not {given}", .audio.bitrates())]
    Bitrate {
        /// The audio of which it would be.
        audio: TargetAudio,
        /// The bitrate that was set.
        given: TargetBitrate,
    },
    /// The codec loses nothing.
    #[error("bitrate: {0} loses nothing and so has none: leave it out")]
    Lossless(TargetCodec),
    /// Both say how large the stream is.
    #[error(
        "quality: not together with bitrate; set one, and clear the other (`quality=` or `bitrate=`)"
    )]
    Both,
    /// The codec has no scale of quality.
    #[error("quality: {0} has none: leave it out, and set bitrate instead")]
    NoQuality(TargetCodec),
    /// The number is not on the scale of the codec.
    #[error("quality: {codec} has {least} to {most}, not {given}")]
    Quality {
        /// The codec.
        codec: TargetCodec,
        /// The least number of its scale.
        least: u32,
        /// The greatest one.
        most: u32,
        /// The number that was set.
        given: u32,
    },
}

fn rates_of(codec: &TargetCodec) -> String {
    listed(sample_rates(*codec).iter().map(u32::to_string))
}

/// The order that the settings of a mount make; `None` if it is an ordinary mount. What else is set there then means
/// nothing.
pub fn order(spec: &TranscodeSpec) -> Result<Option<TranscodeOrder>, BadOrder> {
    let Some(from) = spec.transcode_from.clone() else {
        return Ok(None);
    };
    let codec = spec.codec.ok_or(BadOrder::NoCodec)?;
    let sample_rate_hz = spec.sample_rate.unwrap_or(usual_rate(codec));
    if !sample_rates(codec).contains(&sample_rate_hz) {
        let given = sample_rate_hz;
        return Err(BadOrder::SampleRate { codec, given });
    }
    let channels = spec.channels.unwrap_or(USUAL_CHANNELS);
    if !(1..=2).contains(&channels) {
        return Err(BadOrder::Channels(channels));
    }
    let audio = TargetAudio {
        codec,
        sample_rate_hz,
        channels,
    };
    let amount = amount(audio, spec)?;
    Ok(Some(TranscodeOrder {
        from,
        audio,
        amount,
    }))
}

/// The same for settings that an operator has just given: those of a transcoder make no sense for an ordinary mount.
pub fn strict_order(spec: &TranscodeSpec) -> Result<Option<TranscodeOrder>, BadOrder> {
    let order = order(spec)?;
    let TranscodeSpec {
        transcode_from: _,
        codec,
        bitrate,
        sample_rate,
        channels,
        quality,
        // Outside relays have it too.
        on_demand: _,
    } = spec;
    let set = [
        ("codec", codec.is_some()),
        ("bitrate", bitrate.is_some()),
        ("sample_rate", sample_rate.is_some()),
        ("channels", channels.is_some()),
        ("quality", quality.is_some()),
    ];
    match set.into_iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) if order.is_none() => Err(BadOrder::NotTranscoded(field)),
        _ => Ok(order),
    }
}

fn amount(audio: TargetAudio, spec: &TranscodeSpec) -> Result<Amount, BadOrder> {
    let codec = audio.codec;
    match (spec.bitrate, spec.quality) {
        (Some(_), _) if audio.bitrates() == Bitrates::Lossless => Err(BadOrder::Lossless(codec)),
        (Some(_), Some(_)) => Err(BadOrder::Both),
        (Some(given), None) if audio.bitrates().have(given) => Ok(Amount::Bitrate(given)),
        (Some(given), None) => Err(BadOrder::Bitrate { audio, given }),
        (None, Some(given)) => {
            let scale = qualities(codec).ok_or(BadOrder::NoQuality(codec))?;
            let (least, most) = scale.into_inner();
            match (least..=most).contains(&given) {
                true => Ok(Amount::Quality(given)),
                false => Err(BadOrder::Quality {
                    codec,
                    least,
                    most,
                    given,
                }),
            }
        }
        (None, None) => {
            let usual = audio.usual_bitrate().map(Amount::Bitrate);
            Ok(usual.unwrap_or(Amount::Quality(USUAL_FLAC_QUALITY)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(codec: TargetCodec) -> TranscodeSpec {
        TranscodeSpec {
            transcode_from: "/radio.mp3".parse().ok(),
            codec: Some(codec),
            ..TranscodeSpec::default()
        }
    }

    fn kbps(kbps: u32) -> TargetBitrate {
        TargetBitrate::from_kbps(kbps)
    }

    /// The reason why this is no order.
    fn why(spec: &TranscodeSpec) -> String {
        strict_order(spec).unwrap_err().to_string()
    }

    #[test]
    fn a_codec_is_all_that_is_needed() {
        for (codec, hz, amount) in [
            (TargetCodec::Mp3, 44_100, Amount::Bitrate(kbps(128))),
            (TargetCodec::Aac, 44_100, Amount::Bitrate(kbps(96))),
            (TargetCodec::HeAac, 44_100, Amount::Bitrate(kbps(48))),
            (TargetCodec::Vorbis, 44_100, Amount::Bitrate(kbps(96))),
            (TargetCodec::Opus, 48_000, Amount::Bitrate(kbps(96))),
            (TargetCodec::Flac, 44_100, Amount::Quality(5)),
        ] {
            let order = strict_order(&of(codec)).unwrap().unwrap();
            assert_eq!(order.from.as_str(), "/radio.mp3");
            assert_eq!(order.audio.sample_rate_hz, hz);
            assert_eq!((order.audio.channels, order.amount), (2, amount));
        }
        assert_eq!(strict_order(&TranscodeSpec::default()), Ok(None));
    }

    #[test]
    fn what_is_set_holds() {
        let spec = TranscodeSpec {
            bitrate: Some(kbps(24)),
            sample_rate: Some(22_050),
            channels: Some(1),
            on_demand: true,
            ..of(TargetCodec::Mp3)
        };
        let order = strict_order(&spec).unwrap().unwrap();
        assert_eq!(order.amount, Amount::Bitrate(kbps(24)));
        let audio = order.audio.to_string();
        assert_eq!(audio, "mp3 of 22050 Hz, mono,");
        for (codec, quality) in [
            (TargetCodec::Mp3, 0),
            (TargetCodec::Mp3, 9),
            (TargetCodec::Vorbis, 10),
            (TargetCodec::Flac, 8),
        ] {
            let spec = TranscodeSpec {
                quality: Some(quality),
                ..of(codec)
            };
            let order = strict_order(&spec).unwrap().unwrap();
            assert_eq!(order.amount, Amount::Quality(quality), "{codec}");
        }
    }

    #[test]
    fn each_impossible_value_is_told_what_is_possible() {
        let given = |codec, bitrate: Option<u32>, quality| TranscodeSpec {
            bitrate: bitrate.map(kbps),
            quality,
            ..of(codec)
        };
        for (spec, said) in [
            (
                TranscodeSpec {
                    codec: None,
                    ..of(TargetCodec::Mp3)
                },
                "codec: missing: say which one is made, mp3, aac, he-aac, vorbis, opus or flac",
            ),
            (
                TranscodeSpec {
                    sample_rate: Some(44_100),
                    ..of(TargetCodec::Opus)
                },
                "sample_rate: opus has 48000, 24000, 16000, 12000 or 8000, not 44100",
            ),
            (
                TranscodeSpec {
                    channels: Some(6),
                    ..of(TargetCodec::Flac)
                },
                "channels: 6 cannot be made: 1 or 2",
            ),
            (
                given(TargetCodec::Mp3, Some(100), None),
                "bitrate: mp3 of 44100 Hz, stereo, has 32k, 40k, 48k, 56k, 64k, 80k, 96k, 112k, 128k, 160k, 192k, \
                 224k, 256k or 320k, not 100k",
            ),
            (
                given(TargetCodec::Opus, Some(600), None),
                "bitrate: opus of 48000 Hz, stereo, has 6k to 510k, not 600k",
            ),
            (
                given(TargetCodec::Flac, Some(64), Some(3)),
                "bitrate: flac loses nothing and so has none: leave it out",
            ),
            (
                given(TargetCodec::Mp3, Some(64), Some(3)),
                "quality: not together with bitrate; set one, and clear the other (`quality=` or `bitrate=`)",
            ),
            (
                given(TargetCodec::Aac, None, Some(3)),
                "quality: aac has none: leave it out, and set bitrate instead",
            ),
            (
                given(TargetCodec::Mp3, None, Some(10)),
                "quality: mp3 has 0 to 9, not 10",
            ),
            (
                TranscodeSpec {
                    transcode_from: None,
                    ..of(TargetCodec::Mp3)
                },
                "codec: only for a mount that is transcoded; set transcode_from, too, or leave it out",
            ),
        ] {
            assert_eq!(why(&spec), said);
        }
    }

    #[test]
    fn leftovers_make_an_ordinary_mount_no_worse() {
        let leftover = TranscodeSpec {
            transcode_from: None,
            channels: Some(1),
            ..TranscodeSpec::default()
        };
        assert_eq!(order(&leftover), Ok(None));
        assert_eq!(
            strict_order(&leftover),
            Err(BadOrder::NotTranscoded("channels"))
        );
    }
}
