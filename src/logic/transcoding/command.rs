//! The command lines of the programs that transcode: a stream goes in at standard input, another one comes out at standard
//! output, and what they have to say goes to standard error.
//!
//! No text of an operator or of a stream gets into a command: all words in it are of this file, or numbers.

use super::codecs::TargetAudio;
use super::order::{Amount, TranscodeOrder};
use crate::model::format::Container;
use crate::model::transcoding::{TargetBitrate, TargetCodec, TranscodeEngine};

/// The media type of what is made in Ogg.
const OGG: &str = "audio/ogg";
/// How long a page of Ogg is, in time, of ffmpeg: with its usual second, listeners wait for their first one.
const OGG_PAGE_US: u32 = 200_000;
/// How much of a stream ffmpeg looks at before it begins, at most.
const PROBE_BYTES: u32 = 128 << 10;
/// The same in time.
const PROBE_US: u32 = 500_000;
/// How much audio Liquidsoap keeps decoded, seconds: more than a node hands over at once.
const BUFFER_S: u32 = 10;
/// The best MP3 quality is 0 and the worst is 9 for both programs; that of Vorbis goes from 0 to 10, and Liquidsoap's to 1.
const VORBIS_SCALE: f64 = 10.0;

/// The arguments with which a program makes what is ordered from a stream in this container. One that is unknown the
/// program has to find out.
pub fn arguments(engine: TranscodeEngine, order: &TranscodeOrder, input: Container) -> Vec<String> {
    match engine {
        TranscodeEngine::Ffmpeg => ffmpeg(order, input),
        TranscodeEngine::Liquidsoap => {
            let stream = liquidsoap_input(input);
            vec![script(order, &stream, "/dev/stdout")]
        }
    }
}

/// The arguments with which a program finds out whether it can do that, and ends.
pub fn check_arguments(engine: TranscodeEngine, order: &TranscodeOrder) -> Vec<String> {
    match engine {
        TranscodeEngine::Ffmpeg => {
            // A moment of silence, as it would be made.
            let silence = "-hide_banner -nostats -loglevel warning -f s16le -ar 44100 -ac 2 -i /dev/zero -t 0.1";
            let mut words = words(silence);
            words.extend(ffmpeg_output(order));
            words.extend(self::words("-y /dev/null"));
            words
        }
        TranscodeEngine::Liquidsoap if must_be_tried(engine, order.audio.codec) => {
            let silence = "once(blank(duration=0.1))";
            vec![script(order, silence, "/dev/null")]
        }
        TranscodeEngine::Liquidsoap => {
            let mut words = vec!["--check".to_owned()];
            words.extend(arguments(engine, order, Container::Unknown));
            words
        }
    }
}

/// The arguments with which a program finds out whether it can do all of these, and ends; `None`, if it does not know them
/// all at once. Liquidsoap needs seconds to load itself.
pub fn check_all_arguments(
    engine: TranscodeEngine,
    orders: &[TranscodeOrder],
) -> Option<Vec<String>> {
    if engine != TranscodeEngine::Liquidsoap {
        return None;
    }
    let lines = orders.iter().map(encoder);
    let lines: Vec<String> = lines.map(|encoder| format!("ignore({encoder})")).collect();
    Some(vec!["--check".to_owned(), lines.join("\n")])
}

/// Whether a program shows only by doing it that it can make a codec: those of Liquidsoap's ffmpeg it looks for when they
/// are used.
pub fn must_be_tried(engine: TranscodeEngine, codec: TargetCodec) -> bool {
    engine == TranscodeEngine::Ffmpeg || codec == TargetCodec::HeAac
}

/// The media type of what is made.
pub fn media_type(codec: TargetCodec) -> &'static str {
    match codec {
        TargetCodec::Mp3 => "audio/mpeg",
        TargetCodec::Aac | TargetCodec::HeAac => "audio/aac",
        TargetCodec::Vorbis | TargetCodec::Opus | TargetCodec::Flac => OGG,
    }
}

/// Whether a line of a program's log says nothing of a problem: Liquidsoap tells how it begins before it has read that it is
/// to be quiet, with a level behind the name of each part.
pub fn is_chatter(engine: TranscodeEngine, line: &str) -> bool {
    match engine {
        TranscodeEngine::Ffmpeg => false,
        TranscodeEngine::Liquidsoap => [":3] ", ":4] ", ":5] ", ">>> LOG"]
            .iter()
            .any(|mark| line.contains(mark)),
    }
}

/// Whether a program that comes to its end makes something that decoders stumble over: Liquidsoap ends Opus with an empty
/// packet, at which ffmpeg leaves off.
pub fn ends_badly(engine: TranscodeEngine, codec: TargetCodec) -> bool {
    engine == TranscodeEngine::Liquidsoap && codec == TargetCodec::Opus
}

fn ffmpeg_encoder(codec: TargetCodec) -> &'static str {
    match codec {
        TargetCodec::Mp3 => "libmp3lame",
        TargetCodec::Aac => "aac",
        TargetCodec::HeAac => "libfdk_aac",
        TargetCodec::Vorbis => "libvorbis",
        TargetCodec::Opus => "libopus",
        TargetCodec::Flac => "flac",
    }
}

/// The name of a container in ffmpeg, which Liquidsoap decodes with, too.
fn demuxer(container: Container) -> Option<&'static str> {
    match container {
        Container::Mpeg => Some("mp3"),
        Container::Adts => Some("aac"),
        Container::Loas => Some("loas"),
        Container::Ogg => Some("ogg"),
        Container::Webm | Container::Matroska => Some("matroska"),
        Container::Flac => Some("flac"),
        Container::Mpegts => Some("mpegts"),
        Container::Unknown => None,
    }
}

fn ffmpeg(order: &TranscodeOrder, input: Container) -> Vec<String> {
    let mut words = words("-hide_banner -nostats -nostdin -loglevel warning -threads 1");
    words.extend(options([
        ("-probesize", PROBE_BYTES.to_string()),
        ("-analyzeduration", PROBE_US.to_string()),
        ("-fflags", "nobuffer".to_owned()),
    ]));
    if let Some(format) = demuxer(input) {
        words.extend(options([("-f", format.to_owned())]));
    }
    // Its titles are told apart from the stream, and those of the other mount would be repeated in each new one.
    words.extend(self::words(
        "-i pipe:0 -map 0:a:0 -map_metadata -1 -map_chapters -1",
    ));
    words.extend(ffmpeg_output(order));
    words.extend(self::words("-flush_packets 1 pipe:1"));
    words
}

fn ffmpeg_output(order: &TranscodeOrder) -> Vec<String> {
    let TargetAudio {
        codec,
        sample_rate_hz,
        channels,
    } = order.audio;
    let mut words = options([
        ("-threads", "1".to_owned()),
        ("-c:a", ffmpeg_encoder(codec).to_owned()),
        ("-ar", sample_rate_hz.to_string()),
        ("-ac", channels.to_string()),
        ffmpeg_amount(codec, order.amount),
    ]);
    words.extend(self::words(match codec {
        TargetCodec::Mp3 => "-write_xing 0 -id3v2_version 0 -f mp3",
        TargetCodec::Aac => "-profile:a aac_low -f adts",
        TargetCodec::HeAac => "-profile:a aac_he -f adts",
        TargetCodec::Vorbis => "-f ogg",
        TargetCodec::Opus => "-vbr off -f ogg",
        TargetCodec::Flac => "-sample_fmt s16 -f ogg",
    }));
    if let (TargetCodec::Vorbis, Amount::Bitrate(rate)) = (codec, order.amount) {
        // A bitrate alone is what it makes of music in the long run; of silence it makes nearly nothing.
        words.extend(options([
            ("-minrate", rate.to_string()),
            ("-maxrate", rate.to_string()),
        ]));
    }
    if media_type(codec) == OGG {
        words.extend(options([("-page_duration", OGG_PAGE_US.to_string())]));
    }
    words
}

fn ffmpeg_amount(codec: TargetCodec, amount: Amount) -> (&'static str, String) {
    match (codec, amount) {
        (_, Amount::Bitrate(bitrate)) => ("-b:a", bitrate.to_string()),
        (TargetCodec::Flac, Amount::Quality(effort)) => ("-compression_level", effort.to_string()),
        (_, Amount::Quality(quality)) => ("-q:a", quality.to_string()),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn options<const N: usize>(options: [(&'static str, String); N]) -> Vec<String> {
    let options = options.into_iter();
    options
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
}

/// The stream that comes in at standard input. It sets the pace (`self_sync`), and nothing goes on as long as nothing comes.
fn liquidsoap_input(input: Container) -> String {
    let format = demuxer(input).map(|format| format!("format=\"{format}\", "));
    let format = format.unwrap_or_default();
    format!(
        "input.ffmpeg(id=\"input\", {format}self_sync=true, max_buffer={BUFFER_S}., poll_delay=0.2, \
         new_track_on_metadata=false, \"pipe:0\")"
    )
}

/// The script of Liquidsoap, which ends with its stream.
fn script(order: &TranscodeOrder, stream: &str, output: &str) -> String {
    let TargetAudio {
        sample_rate_hz,
        channels,
        ..
    } = order.audio;
    let encoder = encoder(order);
    format!(
        "settings.log.stdout.set(false)\n\
         settings.log.file.set(true)\n\
         settings.log.file.path.set(\"/dev/stderr\")\n\
         settings.log.level.set(2)\n\
         settings.frame.audio.samplerate.set({sample_rate_hz})\n\
         settings.frame.audio.channels.set({channels})\n\
         stream = {stream}\n\
         stream = drop_metadata(stream)\n\
         output.file(id=\"output\", fallible=true, flush=true, on_stop=shutdown, {encoder}, \"{output}\", stream)\n"
    )
}

fn encoder(order: &TranscodeOrder) -> String {
    let TargetAudio {
        codec,
        sample_rate_hz,
        channels,
    } = order.audio;
    let audio = format!("samplerate={sample_rate_hz}, channels={channels}");
    // Its encoder of MP3 knows no other word for channels.
    let mp3_audio = format!(
        "samplerate={sample_rate_hz}, stereo={}, id3v2=false",
        channels == 2
    );
    match (codec, order.amount) {
        (TargetCodec::Mp3, Amount::Bitrate(rate)) => {
            format!("%mp3(bitrate={}, {mp3_audio})", rate.kbps())
        }
        (TargetCodec::Mp3, Amount::Quality(quality)) => {
            format!("%mp3.vbr(quality={quality}, {mp3_audio})")
        }
        (TargetCodec::Vorbis, Amount::Bitrate(rate)) => {
            format!("%vorbis.cbr(bitrate={}, {audio})", rate.kbps())
        }
        (TargetCodec::Vorbis, Amount::Quality(quality)) => {
            let quality = f64::from(quality) / VORBIS_SCALE;
            format!("%vorbis(quality={quality:.1}, {audio})")
        }
        (TargetCodec::Aac, amount) => liquidsoap_adts("codec=\"aac\"", &audio, amount),
        (TargetCodec::HeAac, amount) => {
            let codec = "codec=\"libfdk_aac\", profile=\"aac_he\"";
            liquidsoap_adts(codec, &audio, amount)
        }
        (TargetCodec::Opus, amount) => {
            let bitrate = liquidsoap_bitrate(amount, |rate| format!(", bitrate={}", rate.kbps()));
            format!("%opus(vbr=\"none\", {audio}{bitrate})")
        }
        (TargetCodec::Flac, amount) => {
            let effort = match amount {
                Amount::Quality(effort) => format!(", compression={effort}"),
                Amount::Bitrate(_) => String::new(),
            };
            format!("%ogg(%flac(bits_per_sample=16, {audio}{effort}))")
        }
    }
}

/// AAC by the ffmpeg that Liquidsoap has in it.
fn liquidsoap_adts(codec: &str, audio: &str, amount: Amount) -> String {
    let bitrate = liquidsoap_bitrate(amount, |rate| format!(", b=\"{rate}\""));
    format!("%ffmpeg(format=\"adts\", %audio({codec}, {audio}{bitrate}))")
}

fn liquidsoap_bitrate(amount: Amount, parameter: impl Fn(TargetBitrate) -> String) -> String {
    match amount {
        Amount::Bitrate(rate) => parameter(rate),
        Amount::Quality(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::transcoding::codecs::qualities;

    fn orders() -> Vec<TranscodeOrder> {
        let of = |codec| {
            let audio = TargetAudio {
                codec,
                sample_rate_hz: 24_000,
                channels: 1,
            };
            let bitrate = audio.usual_bitrate().map(Amount::Bitrate);
            let quality = qualities(codec).map(|scale| Amount::Quality(*scale.end()));
            let amounts = bitrate.into_iter().chain(quality);
            amounts.map(move |amount| TranscodeOrder {
                from: "/radio.mp3".parse().unwrap(),
                audio,
                amount,
            })
        };
        TargetCodec::ALL.into_iter().flat_map(of).collect()
    }

    #[test]
    fn all_that_is_ordered_gets_into_the_command() {
        for order in orders() {
            for engine in TranscodeEngine::ALL {
                let line = arguments(engine, &order, Container::Mpegts).join(" ");
                let TranscodeOrder { audio, amount, .. } = &order;
                let Amount::Bitrate(rate) = amount else {
                    assert!(line.contains("24000") && line.contains("mpegts"), "{line}");
                    continue;
                };
                let kbps = rate.kbps().to_string();
                assert!(line.contains("24000") && line.contains(&kbps), "{line}");
                assert!(line.contains("mpegts"), "{audio} {line}");
            }
        }
    }

    #[test]
    fn a_program_may_have_to_find_the_format_out() {
        for order in orders() {
            let ffmpeg = arguments(TranscodeEngine::Ffmpeg, &order, Container::Unknown);
            let inputs = ffmpeg.iter().position(|word| word == "-i").unwrap();
            assert!(!ffmpeg[..inputs].contains(&"-f".to_owned()), "{ffmpeg:?}");
            let script =
                arguments(TranscodeEngine::Liquidsoap, &order, Container::Unknown).concat();
            assert!(script.contains("id=\"input\", self_sync"), "{script}");
        }
    }
}
