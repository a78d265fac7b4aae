//! The files that the encoders play: a tone of two minutes in each format, made once by ffmpeg.

use std::fmt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::program::open_folder;

/// The artist in the tags of the samples that have some.
const ARTIST: &str = "Wächter";
/// The title in them.
const TITLE: &str = "Türme";
/// Both as a node shows them.
pub(super) const TAGGED: &str = "Wächter - Türme";
/// The title that the test sets.
pub(super) const NAMED: &str = "Günther - Für alle";
/// How long the samples are, seconds: longer than anything plays them.
const LENGTH_S: u32 = 150;
/// A picture that moves, small enough to be encoded at once.
const PICTURE: &str = "testsrc=size=160x120:rate=10";

/// A format of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamKind {
    /// MP3.
    Mp3,
    /// AAC in ADTS.
    Aac,
    /// Vorbis in Ogg.
    Vorbis,
    /// Opus in Ogg.
    Opus,
    /// FLAC in Ogg.
    Flac,
    /// Speex in Ogg.
    Speex,
    /// Theora and Vorbis in Ogg.
    Theora,
    /// VP8 and Opus in WebM.
    Webm,
    /// FLAC without a container.
    NativeFlac,
    /// MP2.
    Mp2,
    /// AAC in LOAS, as ffmpeg's LATM.
    Latm,
    /// H.264 and AAC in MPEG-TS.
    Ts,
}

/// The fate of listeners when another encoder takes the place of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Decoders go on.
    GoesOn,
    /// Decoders go on, and say so: they take a header for sound.
    GoesOnWith(&'static str),
    /// No decoder could go on: listeners are ended behind a whole frame, and ask again.
    Ends,
}

impl Change {
    /// The words of a decoder that goes on with words.
    pub(super) fn complaint(self) -> Option<&'static str> {
        match self {
            Self::GoesOnWith(words) => Some(words),
            Self::GoesOn | Self::Ends => None,
        }
    }
}

impl StreamKind {
    /// All of them, in the order of the tables.
    pub(super) const ALL: [Self; 12] = [
        Self::Mp3,
        Self::Aac,
        Self::Vorbis,
        Self::Opus,
        Self::Flac,
        Self::NativeFlac,
        Self::Speex,
        Self::Mp2,
        Self::Latm,
        Self::Theora,
        Self::Webm,
        Self::Ts,
    ];

    /// The end of a mount's name.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Vorbis | Self::Opus | Self::Flac | Self::Speex => "ogg",
            Self::Theora => "ogv",
            Self::Webm => "webm",
            Self::NativeFlac => "flac",
            Self::Mp2 => "mp2",
            Self::Latm => "latm",
            Self::Ts => "ts",
        }
    }

    /// The media type that encoders say.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Mp3 | Self::Mp2 => "audio/mpeg",
            Self::Aac => "audio/aac",
            Self::Vorbis | Self::Opus | Self::Flac | Self::Speex => "application/ogg",
            Self::Theora => "video/ogg",
            Self::Webm => "video/webm",
            Self::NativeFlac => "audio/flac",
            Self::Latm => "audio/mp4a-latm",
            Self::Ts => "video/mp2t",
        }
    }

    /// The name of ffmpeg's muxer.
    pub(super) fn muxer(self) -> &'static str {
        match self {
            Self::Aac => "adts",
            Self::Ts => "mpegts",
            Self::Theora => "ogg",
            other => other.extension(),
        }
    }

    /// The name of its sample.
    pub(super) fn file(self) -> String {
        format!("{self}.{}", self.extension()).replace([' ', '+'], "")
    }

    /// Whether the stream itself says what is on air.
    pub(super) fn has_titles(self) -> bool {
        self.muxer() == "ogg" || self == Self::NativeFlac
    }

    /// The fate of listeners when another encoder takes the place of theirs.
    pub(super) fn change(self) -> Change {
        match self {
            Self::Theora | Self::Webm => Change::Ends,
            Self::Speex => Change::GoesOnWith(
                "Error while decoding stream #0:0: Invalid data found when processing input",
            ),
            _ => Change::GoesOn,
        }
    }

    /// The words that tell ffmpeg to make the sample.
    fn recipe(self) -> &'static str {
        match self {
            Self::Mp3 => "-c:a libmp3lame -b:a 128k -write_xing 0 -id3v2_version 0",
            Self::Aac => "-c:a aac -b:a 96k",
            Self::Vorbis => "-c:a libvorbis -b:a 96k",
            Self::Opus => "-c:a libopus -b:a 96k -ar 48000",
            Self::Flac | Self::NativeFlac => "-c:a flac",
            Self::Speex => "-c:a libspeex -b:a 48k -ar 32000",
            Self::Mp2 => "-c:a mp2 -b:a 128k",
            Self::Latm => "-c:a aac -b:a 96k",
            Self::Theora => "-c:a libvorbis -b:a 96k -c:v libtheora -b:v 150k -g 20",
            Self::Webm => {
                "-c:a libopus -b:a 96k -ar 48000 -c:v libvpx -b:v 150k -g 20 -deadline realtime -cpu-used 8"
            }
            Self::Ts => {
                "-c:a aac -b:a 96k -c:v libx264 -preset ultrafast -pix_fmt yuv420p -b:v 150k -g 20"
            }
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mp3 => "MP3",
            Self::Aac => "AAC",
            Self::Vorbis => "Vorbis",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::Theora => "Theora + Vorbis",
            Self::Webm => "WebM",
            Self::NativeFlac => "native FLAC",
            Self::Speex => "Speex",
            Self::Mp2 => "MP2",
            Self::Latm => "LATM",
            Self::Ts => "MPEG-TS",
        })
    }
}

/// The files. Beside one of each format there is `tone.flac`, for encoders that encode by themselves.
#[derive(Debug)]
pub(super) struct Samples(TempDir);

impl Samples {
    /// Makes all of them.
    pub(super) fn make() -> Self {
        let folder = open_folder();
        for sound in StreamKind::ALL {
            let file = folder.path().join(sound.file());
            let pictures = matches!(
                sound,
                StreamKind::Theora | StreamKind::Webm | StreamKind::Ts
            );
            make(
                &file,
                pictures,
                &format!("{} -f {}", sound.recipe(), sound.muxer()),
            );
        }
        make(&folder.path().join("tone.flac"), false, "-c:a flac -f flac");
        Self(folder)
    }

    /// The folder in which they are.
    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }
}

fn make(file: &Path, pictures: bool, recipe: &str) {
    let tone = format!("sine=frequency=440:sample_rate=44100:duration={LENGTH_S}");
    let mut command = Command::new("ffmpeg");
    command
        .args("-nostdin -v error -f lavfi -i".split(' '))
        .arg(tone);
    if pictures {
        command.args([
            "-f",
            "lavfi",
            "-i",
            &format!("{PICTURE}:duration={LENGTH_S}"),
        ]);
    }
    for tag in [format!("artist={ARTIST}"), format!("title={TITLE}")] {
        command.args(["-metadata", &tag]);
    }
    command.args("-ac 2".split(' ')).args(recipe.split(' '));
    let output = command.arg(file).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaint.is_empty(),
        "{complaint}"
    );
}
