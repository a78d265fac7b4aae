//! The players that are run, as a table: what each is told, and by what one sees that it plays.

use super::program::Program;
use super::samples::StreamKind::{self, Aac, Flac, Mp2, Mp3, NativeFlac, Opus, Vorbis};

/// By what one sees how much a player has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A file of sound, `{here}/heard`, of which a second has so many bytes.
    Sound(u64),
    /// A file with what it was sent, `{here}/heard`, perhaps with the end of a name: it must decode.
    Received,
    /// Lines in its log, `heard SECONDS`; a line with `fault` says what went wrong.
    Said,
}

/// A player. In the texts, `{url}` and `{here}`, the folder of this run, stand for what they say.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlayerClient {
    /// The program.
    pub(super) program: Program,
    /// The formats that it is made for.
    pub(super) kinds: &'static [StreamKind],
    /// The file that it needs, its name and its text.
    pub(super) file: Option<(&'static str, &'static str)>,
    /// The line of shell that runs it.
    pub(super) line: &'static str,
    /// By what one sees that it plays.
    pub(super) proof: Proof,
    /// Whether it ends by itself, and well, when the stream does.
    pub(super) ends: bool,
}

/// A second of sound: two channels of 44,100 samples of two bytes.
const SOUND: Proof = Proof::Sound(44_100 * 2 * 2);
/// The formats of radios.
const RADIO: &[StreamKind] = &[Mp3, Aac, Vorbis, Opus, Flac, NativeFlac];
/// The formats of radios, the rare ones too, and pictures.
const ALL: &[StreamKind] = &StreamKind::ALL;

const MPD_CONF: &str = "bind_to_address \"{here}/socket\"
log_file \"{here}/mpd.log\"
audio_output {
    type \"pipe\"
    name \"heard\"
    command \"cat > {here}/heard\"
    format \"44100:16:2\"
}
";

const PAGE: &str = "<audio id=\"radio\" src=\"{url}\"></audio>
<script>
  radio.ontimeupdate = () => console.log(`heard ${radio.currentTime}`);
  radio.onerror = () => console.log(`fault ${radio.error.message}`);
  radio.play();
</script>
";

/// All of them, in the order of the table.
pub(super) const PLAYERS: [PlayerClient; 12] = [
    PlayerClient {
        program: Program {
            name: "curl `-L`",
            command: "curl",
            package: "curl",
        },
        kinds: ALL,
        file: None,
        line: "exec curl -sS -N -L -o {here}/heard {url}",
        proof: Proof::Received,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "ffmpeg",
            command: "ffmpeg",
            package: "ffmpeg",
        },
        kinds: ALL,
        file: None,
        line: "exec ffmpeg -nostdin -v error -i {url} -ac 2 -ar 44100 -f s16le -flush_packets 1 {here}/heard",
        proof: SOUND,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "mpv",
            command: "mpv",
            package: "mpv",
        },
        kinds: ALL,
        file: None,
        line: "exec mpv --no-config --really-quiet --no-video --audio-format=s16 --audio-samplerate=44100 \
               --audio-channels=stereo --ao=pcm --ao-pcm-file={here}/heard {url}",
        proof: SOUND,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "MPlayer",
            command: "mplayer",
            package: "mplayer",
        },
        kinds: RADIO,
        file: None,
        line: "exec mplayer -really-quiet -noconsolecontrols -vo null -srate 44100 -ao pcm:file={here}/heard {url}",
        proof: SOUND,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "VLC `--play-and-exit`",
            command: "cvlc",
            package: "vlc-bin",
        },
        kinds: ALL,
        file: None,
        line: "exec cvlc -q --no-video --play-and-exit --aout=afile --audiofile-file={here}/heard {url}",
        proof: SOUND,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "mpg123",
            command: "mpg123",
            package: "mpg123",
        },
        kinds: &[Mp3, Mp2],
        file: None,
        line: "exec mpg123 -q -w {here}/heard {url}",
        proof: SOUND,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "ogg123",
            command: "ogg123",
            package: "vorbis-tools",
        },
        // Debian builds it without Opus, and it takes any Ogg from the net for Vorbis.
        kinds: &[Vorbis],
        file: None,
        line: "exec ogg123 -q -d raw -f {here}/heard {url}",
        proof: SOUND,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "GStreamer `playbin`",
            command: "gst-launch-1.0",
            package: "gstreamer1.0-tools",
        },
        kinds: RADIO,
        file: None,
        line: "exec gst-launch-1.0 -q playbin uri={url} audio-sink='audioconvert ! audioresample \
               ! audio/x-raw,format=S16LE,rate=44100,channels=2 ! filesink location={here}/heard buffer-mode=unbuffered'",
        proof: SOUND,
        ends: true,
    },
    PlayerClient {
        program: Program {
            name: "liquidsoap `input.http`",
            command: "liquidsoap",
            package: "liquidsoap",
        },
        kinds: RADIO,
        file: Some((
            "play.liq",
            "output.file(%wav, \"{here}/heard\", fallible=true, input.http(\"{url}\"))\n",
        )),
        line: "exec liquidsoap {here}/play.liq",
        proof: SOUND,
        ends: false,
    },
    PlayerClient {
        program: Program {
            name: "MPD",
            command: "mpd",
            package: "mpd",
        },
        kinds: RADIO,
        file: Some(("mpd.conf", MPD_CONF)),
        line: "mpd --no-daemon {here}/mpd.conf & while [ ! -S {here}/socket ]; do sleep 0.2; done
               export MPD_HOST={here}/socket; mpc -q add {url} && mpc -q play; wait",
        proof: SOUND,
        ends: false,
    },
    PlayerClient {
        program: Program {
            name: "streamripper",
            command: "streamripper",
            package: "streamripper",
        },
        // Opus and FLAC in Ogg make it crash, whoever sends them.
        kinds: &[Mp3, Aac, Vorbis],
        file: None,
        line: "exec streamripper {url} -d {here} -s -A -a heard --quiet",
        proof: Proof::Received,
        ends: false,
    },
    PlayerClient {
        program: Program {
            name: "Chromium `<audio>`",
            command: "chromium",
            package: "chromium",
        },
        kinds: RADIO,
        file: Some(("page.html", PAGE)),
        line: "exec chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
               --user-data-dir={here}/profile --autoplay-policy=no-user-gesture-required --enable-logging=stderr \
               file://{here}/page.html",
        proof: Proof::Said,
        ends: false,
    },
];
