//! The encoders that are run, as a table: what each is told, and what it does about titles.

use super::program::Program;
use super::samples::{StreamKind, TAGGED};

/// The one that says what is on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Titles {
    /// The stream itself, in the comments of Ogg.
    InStream,
    /// The encoder, in requests of its own.
    ByEncoder(&'static str),
    /// Nobody: the test does, at a node that has nothing to do with the source.
    ByTest,
}

/// One way to send a stream with a program. In the texts, `{address}`, `{host}`, `{port}`, `{password}`, `{mount}`, which has
/// no slash, `{samples}` and `{here}`, the folder of this run, stand for what they say.
#[derive(Clone, Debug)]
pub(super) struct SourceClient {
    /// The program.
    pub(super) program: Program,
    /// How it introduces itself.
    pub(super) hello: &'static str,
    /// The format that it sends.
    pub(super) kind: StreamKind,
    /// The one that says what is on air.
    pub(super) titles: Titles,
    /// The files that it needs, by name.
    pub(super) files: Vec<(&'static str, String)>,
    /// The line of shell that runs it.
    pub(super) line: String,
}

impl SourceClient {
    fn new(
        program: Program,
        hello: &'static str,
        kind: StreamKind,
        line: impl Into<String>,
    ) -> Self {
        let titles = match kind.has_titles() {
            true => Titles::InStream,
            false => Titles::ByTest,
        };
        Self {
            program,
            hello,
            kind,
            titles,
            files: Vec::new(),
            line: line.into(),
        }
    }

    fn titles(mut self, titles: Titles) -> Self {
        self.titles = titles;
        self
    }

    fn file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.files.push((name, text.into()));
        self
    }
}

const FFMPEG: Program = Program {
    name: "ffmpeg",
    command: "ffmpeg",
    package: "ffmpeg",
};
const CURL: Program = Program {
    name: "curl",
    command: "curl",
    package: "curl",
};
const LIQUIDSOAP: Program = Program {
    name: "liquidsoap",
    command: "liquidsoap",
    package: "liquidsoap",
};
const EZSTREAM: Program = Program {
    name: "ezstream",
    command: "ezstream",
    package: "ezstream",
};
const ICES2: Program = Program {
    name: "ices2",
    command: "ices2",
    package: "ices2",
};
const OGGFWD: Program = Program {
    name: "oggfwd",
    command: "oggfwd",
    package: "oggfwd",
};
const SHOUT2SEND: Program = Program {
    name: "GStreamer `shout2send`",
    command: "gst-launch-1.0",
    package: "gstreamer1.0-plugins-good",
};
const DARKICE: Program = Program {
    name: "DarkIce",
    command: "darkice",
    package: "darkice",
};
const BUTT: Program = Program {
    name: "butt",
    command: "butt",
    package: "butt",
};
const VLC: Program = Program {
    name: "VLC",
    command: "cvlc",
    package: "vlc-bin",
};

/// The hello of sources that begin with a password.
const SHOUTCAST: &str = "Shoutcast's password";

/// All of them, in the order of the table.
pub(super) fn all() -> Vec<SourceClient> {
    let mut all = ffmpeg();
    all.extend(liquidsoap());
    all.extend(others());
    all.extend(live());
    all.extend(by_tls());
    all
}

/// The encoder that players hear, which sends one format.
pub(super) fn usual(kind: StreamKind) -> SourceClient {
    let of_kind = |it: &SourceClient| it.kind == kind;
    ffmpeg()
        .into_iter()
        .find(of_kind)
        .expect("ffmpeg sends all")
}

fn ffmpeg() -> Vec<SourceClient> {
    use StreamKind::{Aac, Flac, Mp3, Opus, Theora, Vorbis};
    let send = |kind: StreamKind, how: &str| {
        format!(
            "exec ffmpeg -nostdin -v error -re -i {{samples}}/{} -c copy -flush_packets 1 -f {} {how}",
            kind.file(),
            kind.muxer()
        )
    };
    let icecast = |kind: StreamKind, more: &str| {
        let media_type = kind.media_type();
        let target = "icecast://source:{password}@{address}/{mount}";
        send(kind, &format!("-content_type {media_type} {more} {target}"))
    };
    let put = StreamKind::ALL
        .map(|kind| SourceClient::new(FFMPEG, "`PUT`, waits for 100", kind, icecast(kind, "")));
    let legacy = [Aac, Vorbis, Theora].map(|kind| {
        SourceClient::new(FFMPEG, "`SOURCE`", kind, icecast(kind, "-legacy_icecast 1"))
    });
    let chunked = [Mp3, Opus, Flac].map(|kind| {
        let media_type = kind.media_type();
        let target = "http://source:{password}@{address}/{mount}";
        let how = format!("-content_type {media_type} -method PUT -auth_type basic {target}");
        SourceClient::new(FFMPEG, "`PUT`, chunked", kind, send(kind, &how))
    });
    put.into_iter().chain(legacy).chain(chunked).collect()
}

fn liquidsoap() -> Vec<SourceClient> {
    use StreamKind::{Aac, Flac, Mp3, Opus, Vorbis};
    let aac = r#"%ffmpeg(format="adts", %audio(codec="aac", b="96k"))"#;
    let login = r#"port={port}, password="{password}", mount="/{mount}""#;
    let put = format!(r#"{login}, method="put""#);
    // It goes to the port behind the one that it is told.
    let icy = r#"port={port_before}, password="/{mount}:{password}", protocol="icy""#;
    let ways = [
        ("`SOURCE`", Mp3, "%mp3(bitrate=128)", login),
        (
            "`SOURCE`",
            Aac,
            aac,
            &format!(r#"{login}, format="audio/aac""#),
        ),
        ("`SOURCE`", Vorbis, "%vorbis(quality=0.3)", login),
        ("`SOURCE`", Opus, "%opus(bitrate=96)", login),
        ("`SOURCE`", Flac, "%ogg(%flac)", login),
        ("`PUT`", Mp3, "%mp3(bitrate=128)", &put),
        (SHOUTCAST, Mp3, "%mp3(bitrate=128)", icy),
    ];
    let sources = ways.map(|(hello, kind, encoder, how)| {
        let script = format!(
            "output.icecast({encoder}, host=\"{{host}}\", {how}, mksafe(single(\"{{samples}}/tone.flac\")))\n"
        );
        let titles = match kind.has_titles() {
            true => Titles::InStream,
            // What it says by Shoutcast's address names no mount.
            false if hello == SHOUTCAST => Titles::ByTest,
            false => Titles::ByEncoder(TAGGED),
        };
        SourceClient::new(LIQUIDSOAP, hello, kind, "exec liquidsoap {here}/radio.liq")
            .titles(titles)
            .file("radio.liq", script)
    });
    sources.into_iter().collect()
}

/// The XML of ezstream, which plays a file and names what is in its tags.
const EZSTREAM_XML: &str = "<ezstream>
  <servers><server><name>default</name><protocol>HTTP</protocol><hostname>{host}</hostname><port>{port}</port>
    <user>source</user><password>{password}</password><tls>None</tls></server></servers>
  <streams><stream><name>default</name><mountpoint>/{mount}</mountpoint><format>MP3</format></stream></streams>
  <intakes><intake><name>default</name><type>file</type><filename>{here}/tagged.mp3</filename></intake></intakes>
</ezstream>
";

/// The line that runs ezstream: its configuration must be its own, and nobody else's to read.
const EZSTREAM_LINE: &str = "umask 077 && cp ez.in ez.xml && ffmpeg -nostdin -v error -i {samples}/tone.flac -b:a 128k \
                             tagged.mp3 -y && exec ezstream -c ez.xml";

/// The line that runs GStreamer.
const SHOUT2SEND_LINE: &str = "exec gst-launch-1.0 -q filesrc location={samples}/Vorbis.ogg ! oggdemux ! vorbisparse ! oggmux \
                               ! shout2send ip={host} port={port} password={password} mount=/{mount}";

/// The XML of ices2, which plays what is in a list.
const ICES2_XML: &str = "<ices>
  <background>0</background><logpath>{here}</logpath><logfile>ices.log</logfile><loglevel>4</loglevel><consolelog>1</consolelog>
  <stream>
    <input><module>playlist</module><param name=\"type\">basic</param><param name=\"file\">{here}/list</param></input>
    <instance><hostname>{host}</hostname><port>{port}</port><password>{password}</password><mount>/{mount}</mount>
      <reconnectdelay>1</reconnectdelay><reconnectattempts>-1</reconnectattempts></instance>
  </stream>
</ices>
";

/// Programs that send a file, or what another program makes.
fn others() -> Vec<SourceClient> {
    use StreamKind::{Aac, Mp3, Opus, Theora, Vorbis};
    let libshout = "`OPTIONS`, `PUT` twice";
    let pipe = |kind: StreamKind, to: &str| {
        let (file, muxer) = (kind.file(), kind.muxer());
        let read = format!(
            "ffmpeg -nostdin -v error -re -i {{samples}}/{file} -c copy -flush_packets 1 -f {muxer} -"
        );
        format!("{read} | {to}")
    };
    let forward = "oggfwd {host} {port} {password} /{mount}";
    let curl = |kind: StreamKind| {
        let media_type = kind.media_type();
        let to = format!(
            "curl -sS -u source:{{password}} -H 'Content-Type: {media_type}' -T - http://{{address}}/{{mount}}"
        );
        SourceClient::new(CURL, "`PUT`, chunked", kind, pipe(kind, &to))
    };
    let vlc = "exec cvlc -q --no-video --sout '#std{access=shout,mux=ogg,dst=source:{password}@{address}/{mount}}' \
               {samples}/Vorbis.ogg";
    vec![
        curl(Mp3),
        curl(Aac),
        curl(Opus),
        SourceClient::new(EZSTREAM, libshout, Mp3, EZSTREAM_LINE)
            .titles(Titles::ByEncoder(TAGGED))
            .file("ez.in", EZSTREAM_XML),
        SourceClient::new(ICES2, libshout, Vorbis, "exec ices2 {here}/ices.xml")
            .file("ices.xml", ICES2_XML)
            .file("list", "{samples}/Vorbis.ogg\n"),
        SourceClient::new(OGGFWD, libshout, Opus, pipe(Opus, forward)),
        SourceClient::new(OGGFWD, libshout, Theora, pipe(Theora, forward)),
        SourceClient::new(SHOUT2SEND, libshout, Vorbis, SHOUT2SEND_LINE),
        SourceClient::new(VLC, libshout, Vorbis, vlc),
    ]
}

/// The beginning of a line of shell: a sound server that needs no sound card, and makes the tone by itself in real time.
const SOUND_SERVER: &str = "export XDG_RUNTIME_DIR=$(mktemp -d {here}/XXXXXX); export PULSE_SERVER=unix:$XDG_RUNTIME_DIR/sound
    pulseaudio -n --daemonize=no --exit-idle-time=-1 -L 'module-sine-source source_name=tone frequency=440 rate=44100' \
        -L \"module-native-protocol-unix socket=$XDG_RUNTIME_DIR/sound auth-anonymous=1\" 2>/dev/null &
    while [ ! -S $XDG_RUNTIME_DIR/sound ]; do sleep 0.2; done
    ";

const DARKICE_CFG: &str = "[general]
duration = 0
bufferSecs = 1
reconnect = yes
[input]
device = pulseaudio
paSourceName = tone
sampleRate = 44100
bitsPerSample = 16
channel = 2
[icecast2-0]
bitrateMode = cbr
format = {format}
bitrate = 128
server = {host}
port = {port}
password = {password}
mountPoint = {mount}
";

/// Without some of these that seem not to matter, it stops before it connects.
const BUTTRC: &str = "[main]
server = radio
icy =
num_of_srv = 1
num_of_icy = 0
srv_ent = radio
icy_ent =
song_path =
song_update = 0
gain = 1.0
check_for_update = 0
start_agent = 0
minimize_to_tray = 0
connect_at_startup = 1
force_reconnecting = 1
reconnect_delay = 1
log_file = {here}/butt.log
[audio]
device = default
device2 = -1
dev_name = default
dev_remember = 1
samplerate = {rate}
bitrate = 128
channel = 2
codec = {codec}
resample_mode = 0
buffer_ms = 50
[record]
bitrate = 192
codec = mp3
start_rec = 0
[tls]
cert_file = {samples}/ca.pem
[radio]
type = 1
tls = {tls}
address = {name}
port = {port}
password = {password}
mount = {mount}
usr = source
";

/// Programs that send what a sound card hears.
fn live() -> Vec<SourceClient> {
    use StreamKind::{Mp3, Opus, Vorbis};
    let darkice = |kind: StreamKind, format: &str| {
        let line = format!("{SOUND_SERVER}exec darkice -c {{here}}/darkice.cfg");
        SourceClient::new(DARKICE, "`SOURCE`, bare LF", kind, line)
            .titles(Titles::ByTest)
            .file("darkice.cfg", DARKICE_CFG.replace("{format}", format))
    };
    vec![
        darkice(Mp3, "mp3"),
        darkice(Vorbis, "vorbis"),
        butt(Mp3, BUTT_MP3, IN_PLAIN),
        butt(Opus, BUTT_OPUS, IN_PLAIN),
    ]
}

/// How butt encodes: its codec and sample rate.
type ButtFormat = [(&'static str, &'static str); 2];
const BUTT_MP3: ButtFormat = [("{codec}", "mp3"), ("{rate}", "44100")];
const BUTT_OPUS: ButtFormat = [("{codec}", "opus"), ("{rate}", "48000")];

/// How butt connects. The certificate of the nodes is for this name.
type ButtWay = [(&'static str, &'static str); 2];
const IN_PLAIN: ButtWay = [("{tls}", "0"), ("{name}", "{host}")];
const BY_TLS: ButtWay = [("{tls}", "1"), ("{name}", "localhost")];

/// Runs butt, whose library for sound cards gets a tone from a sound server at half its pace. Silence from nowhere comes
/// faster than in real time, and the node slows it down.
fn butt(kind: StreamKind, format: ButtFormat, way: ButtWay) -> SourceClient {
    let line = "printf '%s\n' 'pcm.!default { type file; slave.pcm null; file /dev/null; infile /dev/zero; format raw }' \
                > .asoundrc; exec xvfb-run -a butt -x -c {here}/buttrc";
    let words = format.into_iter().chain(way);
    let rc = words.fold(BUTTRC.to_owned(), |rc, (word, value)| {
        rc.replace(word, value)
    });
    let hello = match way == BY_TLS {
        true => "TLS, `PUT`, waits for 100",
        false => "`PUT`, waits for 100",
    };
    SourceClient::new(BUTT, hello, kind, line)
        .titles(Titles::ByTest)
        .file("buttrc", rc)
}

/// Programs that speak TLS at once, and those with libshout, which begin in plain and go on by TLS before they log in.
fn by_tls() -> Vec<SourceClient> {
    use StreamKind::{Mp3, Vorbis};
    let upgrade = "`OPTIONS`, TLS, `PUT` twice";
    let xml = EZSTREAM_XML.replace("{host}", "localhost");
    let xml = xml.replace("<tls>None</tls>", "<tls>Required</tls>");
    let trusting = |line: &str| format!("export SSL_CERT_FILE={{samples}}/ca.pem; {line}");
    vec![
        SourceClient::new(EZSTREAM, upgrade, Mp3, trusting(EZSTREAM_LINE))
            .titles(Titles::ByEncoder(TAGGED))
            .file("ez.in", xml),
        SourceClient::new(
            SHOUT2SEND,
            upgrade,
            Vorbis,
            trusting(&SHOUT2SEND_LINE.replace("{host}", "localhost")),
        ),
        butt(Mp3, BUTT_MP3, BY_TLS),
    ]
}
