//! How loud real encoders' streams are measured, beside how loud they are.
//!
//! Each signal is made and encoded by FFmpeg. `make loudness` writes what was measured into the page of the decision.

#![allow(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test ends here"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use antiphon::media::format::joining::StreamStart;
use antiphon::media::loudness::{Heard, Level, LoudnessMeter, SilenceWatch};
use antiphon::model::sound::{SilenceSpec, SoundState};
use bytes::Bytes;

/// Set to write the table into the page.
const WRITE: &str = "ANTIPHON_WRITE_LOUDNESS";
const PAGE: &str = "docs/decisions/027-silence.md";
/// How long each signal is.
const SECONDS: u32 = 6;
/// After so many seconds they are silent.
const SILENCE_S: u32 = 3;
/// How much of the beginning does not count: encoders begin with what was before, and blocks that are not usual.
const SETTLES: Duration = Duration::from_millis(300);

/// How a signal is coded.
struct Encoding {
    name: &'static str,
    arguments: &'static str,
    ending: &'static str,
    media_type: &'static str,
    /// Whether its bytes tell how loud it is.
    tells: Tells,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// The level, within so many decibels.
    Level(i16),
    Silence,
    Nothing,
}

const fn encoding(
    name: &'static str,
    arguments: &'static str,
    kind: [&'static str; 2],
    tells: Tells,
) -> Encoding {
    let [ending, media_type] = kind;
    Encoding {
        name,
        arguments,
        ending,
        media_type,
        tells,
    }
}

const MP3: [&str; 2] = ["mp3", "audio/mpeg"];
const AAC: [&str; 2] = ["aac", "audio/aac"];
const OGG: [&str; 2] = ["ogg", "application/ogg"];
const FLAC: [&str; 2] = ["flac", "audio/flac"];

const ENCODINGS: [Encoding; 15] = [
    encoding(
        "MP3, LAME, 128 kbit/s",
        "-c:a libmp3lame -b:a 128k",
        MP3,
        Tells::Level(15),
    ),
    encoding(
        "MP3, LAME, 320 kbit/s",
        "-c:a libmp3lame -b:a 320k",
        MP3,
        Tells::Level(15),
    ),
    encoding(
        "MP3, LAME, VBR (V2)",
        "-c:a libmp3lame -q:a 2",
        MP3,
        Tells::Level(15),
    ),
    encoding(
        "MP3 of MPEG-2, LAME, 22 kHz mono, 64 kbit/s",
        "-c:a libmp3lame -ar 22050 -ac 1 -b:a 64k",
        MP3,
        Tells::Level(18),
    ),
    encoding(
        "MP3, shine, 128 kbit/s",
        "-c:a libshine -b:a 128k",
        MP3,
        Tells::Level(22),
    ),
    encoding(
        "AAC, FFmpeg, 64 kbit/s",
        "-c:a aac -b:a 64k",
        AAC,
        Tells::Level(26),
    ),
    encoding(
        "AAC, FFmpeg, 128 kbit/s",
        "-c:a aac -b:a 128k",
        AAC,
        Tells::Level(26),
    ),
    encoding(
        "AAC, FFmpeg, mono, 48 kbit/s",
        "-c:a aac -ac 1 -b:a 48k",
        AAC,
        Tells::Level(26),
    ),
    encoding("FLAC", "-c:a flac", FLAC, Tells::Level(9)),
    encoding("FLAC in Ogg", "-c:a flac", OGG, Tells::Level(9)),
    encoding(
        "Opus, 96 kbit/s, VBR",
        "-c:a libopus -b:a 96k",
        OGG,
        Tells::Silence,
    ),
    encoding(
        "Opus, 96 kbit/s, CBR",
        "-c:a libopus -b:a 96k -vbr off",
        OGG,
        Tells::Silence,
    ),
    encoding(
        "Opus for voices (SILK), 16 kbit/s mono",
        "-c:a libopus -b:a 16k -ac 1 -application voip",
        OGG,
        Tells::Nothing,
    ),
    encoding(
        "Vorbis, quality 4",
        "-c:a libvorbis -q:a 4",
        OGG,
        Tells::Silence,
    ),
    encoding(
        "Vorbis, 96 kbit/s, CBR",
        "-c:a libvorbis -b:a 96k -minrate 96k -maxrate 96k",
        OGG,
        Tells::Silence,
    ),
];

/// A sound that is coded, and how loud it is; digital silence has no level.
struct Signal {
    name: &'static str,
    db: Option<i16>,
    source: String,
}

fn signals() -> Vec<Signal> {
    let signal = |name, db, source| Signal { name, db, source };
    let noise = |name, db: i16| {
        // White noise is even, up to its amplitude.
        let amplitude = 3_f64.sqrt() * 10_f64.powf(f64::from(db) / 20.0);
        let one = |seed: u32| format!("anoisesrc=r=44100:a={amplitude}:c=white:seed={seed}");
        let source = format!("{}[a];{}[b];[a][b]amerge", one(1), one(2));
        signal(name, Some(db), source)
    };
    let tone = |name, db: i16| {
        let amplitude = 2_f64.sqrt() * 10_f64.powf(f64::from(db) / 20.0);
        let wave = format!("{amplitude}*sin(2*PI*1000*t)");
        signal(name, Some(db), format!("aevalsrc={wave}|{wave}:s=44100"))
    };
    let music = |name, db: i16| {
        let full = 10_f64.powf(f64::from(db + 3) / 20.0);
        let side = |low: u32, high: u32, index: u32| {
            format!(
                "{full}*(0.9*sin(2*PI*{low}*t)+0.6*sin(2*PI*{low}*1.5*t)*(1+sin(2*PI*3*t))/2\
                 +0.4*sin(2*PI*{high}*t)*exp(-3*mod(t\\,0.5))+0.15*(random({index})-0.5))"
            )
        };
        let source = format!(
            "aevalsrc={}|{}:s=44100",
            side(220, 1_760, 0),
            side(221, 5_000, 1)
        );
        signal(name, Some(db), source)
    };
    vec![
        signal(
            "digital silence",
            None,
            "anullsrc=r=44100:cl=stereo".to_owned(),
        ),
        noise("noise -80", -80),
        noise("noise -70", -70),
        noise("noise -60", -60),
        noise("noise -50", -50),
        noise("noise -40", -40),
        tone("tone -70", -70),
        tone("tone -50", -50),
        tone("tone -30", -30),
        music("chords -60", -60),
        music("chords -40", -40),
        music("chords -20", -20),
    ]
}

fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Encodes a signal in all ways at once; the files are named by the number of the encoding.
fn encode(source: &str, folder: &Path) {
    let seconds = SECONDS.to_string();
    let mut arguments = vec![
        "-f".to_owned(),
        "lavfi".to_owned(),
        "-i".to_owned(),
        source.to_owned(),
    ];
    for (at, encoding) in ENCODINGS.iter().enumerate() {
        arguments.extend(["-t".to_owned(), seconds.clone()]);
        arguments.extend(["-bitexact".to_owned()]);
        arguments.extend(encoding.arguments.split(' ').map(str::to_owned));
        arguments.push(file(folder, at));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ffmpeg(&arguments);
}

fn file(folder: &Path, at: usize) -> String {
    let name = format!("{at}.{}", ENCODINGS[at].ending);
    folder.join(name).to_string_lossy().into_owned()
}

/// The pieces of a stream, and its state at the end. It comes in pieces of a usual size.
fn hear(stream: &[u8], media_type: &str) -> (Vec<Heard>, SoundState) {
    let start = StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    };
    let mut meter = LoudnessMeter::new(media_type, &start).unwrap();
    let mut watch = SilenceWatch::new(SilenceSpec {
        silence_s: SILENCE_S,
        ..SilenceSpec::default()
    });
    let (mut found, mut time) = (Vec::new(), Duration::ZERO);
    for piece in stream.chunks(1_400) {
        meter.feed(piece, |heard| {
            watch.hear(heard);
            time += heard.lasts;
            if time > SETTLES {
                found.push(heard);
            }
        });
    }
    let seconds = time.as_secs_f64();
    assert!(
        seconds > f64::from(SECONDS) - 1.5 && seconds < f64::from(SECONDS) + 0.2,
        "{seconds} s of {media_type}"
    );
    (found, watch.state())
}

/// The level that half of the pieces reach.
fn usual(found: &[Heard]) -> Level {
    let rank = |level: Level| match level {
        Level::Nothing => (0, 0),
        Level::About(db) => (1, db),
        Level::Unknown => (2, 0),
        Level::Something => (3, 0),
    };
    let mut levels: Vec<Level> = found.iter().map(|heard| heard.level).collect();
    levels.sort_by_key(|level| rank(*level));
    levels[levels.len() / 2]
}

fn in_words(level: Level, state: SoundState) -> String {
    let level = match level {
        Level::Nothing => "nothing".to_owned(),
        Level::About(db) => db.to_string().replace('-', "−"),
        Level::Something => "something".to_owned(),
        Level::Unknown => "unknown".to_owned(),
    };
    match state {
        SoundState::Silent if level != "nothing" => format!("{level}, silent"),
        SoundState::Quiet => format!("{level}, quiet"),
        _ => level,
    }
}

/// Why what was heard is not right.
fn mistake(
    encoding: &Encoding,
    signal: &Signal,
    level: Level,
    state: SoundState,
) -> Option<String> {
    let expected = match (encoding.tells, signal.db) {
        (Tells::Nothing, _) => level == Level::Unknown && state == SoundState::Unknown,
        (_, None) => level == Level::Nothing && state == SoundState::Silent,
        (Tells::Silence, Some(_)) => level == Level::Something && state == SoundState::Sounding,
        (Tells::Level(most), Some(db)) => {
            let near = matches!(level, Level::About(found) if (found - db).abs() <= most);
            // What is far above or below the usual level of -50 must not be taken for the other.
            let right = match db {
                ..-70 => state == SoundState::Silent,
                -36.. => state == SoundState::Sounding,
                _ => true,
            };
            near && right
        }
    };
    (!expected).then(|| {
        let (encoding, signal) = (encoding.name, signal.name);
        format!("{signal} in {encoding}: {level:?}, {state:?}")
    })
}

fn have_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok();
    let skip = std::env::var("ANTIPHON_SKIP_MISSING").is_ok_and(|value| value == "1");
    assert!(
        found || skip,
        "ffmpeg is not installed: run tests/install-tools.sh"
    );
    found
}

#[test]
fn real_streams_are_measured_as_loud_as_they_are() {
    if !have_ffmpeg() {
        return;
    }
    let signals = signals();
    let mut rows: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for signal in &signals {
        let folder = tempfile::tempdir().unwrap();
        encode(&signal.source, folder.path());
        for (at, encoding) in ENCODINGS.iter().enumerate() {
            let stream = fs::read(file(folder.path(), at)).unwrap();
            let (found, state) = hear(&stream, encoding.media_type);
            let level = usual(&found);
            mistakes.extend(mistake(encoding, signal, level, state));
            rows.entry(at).or_default().push(in_words(level, state));
        }
    }
    let names: Vec<&str> = signals.iter().map(|signal| signal.name).collect();
    let mut table = format!(
        "| | {} |\n| ---{} |\n",
        names.join(" | "),
        " | ---".repeat(names.len())
    );
    for (at, cells) in &rows {
        table += &format!("| {} | {} |\n", ENCODINGS[*at].name, cells.join(" | "));
    }
    table = table.replace(" -", " −").replace("−--", "---");
    println!("{table}");
    if std::env::var_os(WRITE).is_some() {
        write(&table);
    }
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

/// Puts the table between its marks in the page.
fn write(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        "<!-- loudness: begin, by `make loudness` -->\n",
        "<!-- loudness: end -->",
    );
    let (before, rest) = page.split_once(begin).expect("the mark of the table");
    let (_, after) = rest.split_once(end).expect("its end");
    fs::write(&path, format!("{before}{begin}\n{table}\n{end}{after}")).unwrap();
}

#[test]
fn a_fade_and_a_pause_are_followed_in_each_codec() {
    if !have_ffmpeg() {
        return;
    }
    // Four seconds of a tone that fades out, six of nothing, and a tone again.
    let wave = "0.2*sin(2*PI*440*t)*(if(lt(t\\,4)\\,1-t/4\\,gt(t\\,10)))";
    let source = format!("aevalsrc={wave}|{wave}:s=44100:d=14");
    for encoding in ENCODINGS.iter().filter(|it| it.tells != Tells::Nothing) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("fade.{}", encoding.ending));
        let path = path.to_string_lossy();
        let mut arguments = vec!["-f", "lavfi", "-i", &source];
        arguments.extend(encoding.arguments.split(' '));
        arguments.push(&path);
        ffmpeg(&arguments);
        let stream = fs::read(&*path).unwrap();
        let name = encoding.name;
        assert_eq!(
            states(&stream, encoding.media_type),
            [
                SoundState::Sounding,
                SoundState::Quiet,
                SoundState::Silent,
                SoundState::Sounding
            ],
            "{name}"
        );
    }
}

/// The states that a stream goes through.
fn states(stream: &[u8], media_type: &str) -> Vec<SoundState> {
    let start = StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    };
    let mut meter = LoudnessMeter::new(media_type, &start).unwrap();
    let mut watch = SilenceWatch::new(SilenceSpec {
        silence_s: SILENCE_S,
        ..SilenceSpec::default()
    });
    let mut states = Vec::new();
    for piece in stream.chunks(1_400) {
        meter.feed(piece, |heard| {
            watch.hear(heard);
            if states.last() != Some(&watch.state()) {
                states.push(watch.state());
            }
        });
    }
    states
}
