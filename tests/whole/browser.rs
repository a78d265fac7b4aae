//! The `<audio>` of a real browser: it plays each format soon after the click, also behind a redirect to another node.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clients::page;
use crate::clients::stage::is_everything;
use crate::support::https::{TlsFolder, said};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::source::sample;
use crate::support::tool::have;

const PASSWORD: &str = "hackme-not";

/// A stream that the browser plays.
#[derive(Clone, Copy, Debug)]
struct Format {
    /// The name in the table.
    name: &'static str,
    mount: &'static str,
    media_type: &'static str,
    /// How ffmpeg makes it.
    codec: &'static str,
}

const fn format(
    name: &'static str,
    mount: &'static str,
    media_type: &'static str,
    codec: &'static str,
) -> Format {
    Format {
        name,
        mount,
        media_type,
        codec,
    }
}

const FORMATS: [Format; 5] = [
    format(
        "MP3",
        "/a.mp3",
        "audio/mpeg",
        "-c:a libmp3lame -b:a 128k -f mp3",
    ),
    format("AAC", "/a.aac", "audio/aac", "-c:a aac -b:a 96k -f adts"),
    format(
        "Opus",
        "/a.opus",
        "audio/ogg",
        "-c:a libopus -b:a 96k -f ogg",
    ),
    format(
        "Vorbis",
        "/a.ogg",
        "audio/ogg",
        "-c:a libvorbis -b:a 96k -f ogg",
    ),
    format("native FLAC", "/a.flac", "audio/flac", "-c:a flac -f flac"),
];

/// Within which a listener hears something after its click.
const SOON: Duration = Duration::from_secs(1);
/// How long a source is on air first: longer than the burst, as for nearly every listener.
const ON_AIR: Duration = Duration::from_secs(6);
/// A machine that is busy with other tests may be slow once.
const TRIES: usize = 3;
/// How long the browser may take for all of them, its own start included.
const BROWSER_LIMIT: Duration = Duration::from_secs(60);
/// The browser's number for a certificate of an authority that it does not know.
const UNKNOWN_AUTHORITY: &str = "net_error -202";
/// Plays each mount in its turn, and writes to the console how long that took, from `play()` to `playing`. The first one is
/// played before: the browser then starts its own process for sound, which takes seconds on a busy machine.
const PAGE: &str = r#"<!DOCTYPE html><meta charset="utf-8"><script>
const play = (mount, name) => new Promise(done => {
  const audio = new Audio();
  const say = what => { audio.removeAttribute("src"); audio.load(); console.log("RESULT " + name + " " + what); done(); };
  audio.crossOrigin = "anonymous";
  audio.onerror = () => audio.error && audio.src && say("failed: " + audio.error.message);
  audio.src = mount;
  const begun = performance.now();
  audio.onplaying = () => say(Math.round(performance.now() - begun));
  audio.play().catch(error => say("refused: " + error));
  setTimeout(() => say("silent"), 8000);
});
(async () => {
  await play(MOUNTS[0], "before");
  for (const mount of MOUNTS) await play(mount, mount);
  console.log("RESULT end");
})();
</script>"#;

/// A running program. Dropping it kills it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The sample in real time, in one of the formats.
fn encoder(node: &TestNode, format: &Format) -> Running {
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error -re -stream_loop -1 -i".split(' '));
    command.arg(sample()).args(["-map", "0:a"]);
    command
        .args(format.codec.split(' '))
        .args(["-content_type", format.media_type]);
    command.arg(format!(
        "icecast://source:{PASSWORD}@{}{}",
        node.address(),
        format.mount
    ));
    Running(command.stdin(Stdio::null()).spawn().unwrap())
}

/// A home in which the browser trusts the authority in a file.
fn trusting_home(authority: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join(".pki/nssdb");
    fs::create_dir_all(&store).unwrap();
    let store = format!("sql:{}", store.display());
    let add = ["-A", "-t", "C,,", "-n", "tests", "-i", authority];
    for what in [&["-N", "--empty-password"][..], &add] {
        let mut certutil = Command::new("certutil");
        let done = certutil.args(["-d", &store]).args(what).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    home
}

/// The browser, with a new profile, in this home.
fn chromium(profile: &TempDir, home: &Path) -> Command {
    let mut command = Command::new("chromium");
    command.args([
        "--no-sandbox",
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--autoplay-policy=no-user-gesture-required",
        "--no-first-run",
        "--enable-logging=stderr",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.env("HOME", home).stdin(Stdio::null());
    command
}

/// All that the browser says of a page: its HTML, and what goes wrong.
fn said_of(page: &str, home: &Path) -> String {
    let profile: TempDir = tempfile::tempdir().unwrap();
    let mut command = chromium(&profile, home);
    said(&command.arg("--dump-dom").arg(page).output().unwrap())
}

/// The lines that a page writes to the console, without what stands around them, until it has ended.
fn results(page: &str, home: &Path) -> Vec<String> {
    let profile: TempDir = tempfile::tempdir().unwrap();
    let mut command = chromium(&profile, home);
    command.arg(page).stdout(Stdio::null());
    let mut browser = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(browser.0.stderr.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    let reading = thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let result = line.split_once("\"RESULT ").map(|(_, rest)| rest);
            let result = result.and_then(|rest| rest.split_once('"'));
            if let Some((result, _)) = result {
                let _nobody_waits = tell.send(result.to_owned());
            }
        }
    });
    let begun = Instant::now();
    let mut results = Vec::new();
    while let Some(left) = BROWSER_LIMIT.checked_sub(begun.elapsed()) {
        match told.recv_timeout(left) {
            Ok(line) if line == "end" => break,
            Ok(line) => results.push(line),
            Err(_) => break,
        }
    }
    drop(browser);
    reading.join().unwrap();
    results
}

/// How soon each format played, in the best try.
type Times = [Option<u128>; FORMATS.len()];

/// The table of the page, for HTTP and HTTPS.
fn table(plain: Times, secure: Times) -> String {
    let names = FORMATS.map(|it| it.name).join(" | ");
    let rule = FORMATS.map(|_| " | ---").concat();
    let row = |by: &str, best: Times| {
        let times = best.map(|ms| format!(" | {} ms", ms.unwrap_or_default()));
        format!("| {by}{} |\n", times.concat())
    };
    let rows = row("HTTP", plain) + &row("HTTPS", secure);
    format!("| by | {names} |\n| ---{rule} |\n{rows}")
}

/// Two nodes, the first of which takes no listeners and has the page, and a source in each format at the second.
fn stage(site: &TempDir, tls: &TlsFolder) -> (TestMesh, Vec<Running>) {
    let list = format!("{:?}", FORMATS.map(|it| it.mount));
    let page = PAGE.replace("MOUNTS", &list);
    fs::write(site.path().join("player.html"), page).unwrap();
    let root = site.path().to_str().unwrap();
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => tls
            .of(setup)
            .with(&["--max-listeners", "0", "--web-root", root]),
        _ => tls.of(setup),
    });
    let source = |format: &Format| {
        mesh.create_mount(format.mount, PASSWORD);
        encoder(&mesh.nodes[1], format)
    };
    let sources = FORMATS.iter().map(source).collect();
    for format in &FORMATS {
        mesh.wait_on_air(format.mount);
    }
    thread::sleep(ON_AIR);
    (mesh, sources)
}

/// The best of a few times in which each format began to play on the page of that address.
fn best_times(page: &str, home: &Path) -> Times {
    let is_soon = |best: &Option<u128>| best.is_some_and(|ms| ms < SOON.as_millis());
    let mut best = FORMATS.map(|_| None::<u128>);
    for _ in 0..TRIES {
        let told = results(page, home);
        println!("{told:?}");
        for (format, best) in FORMATS.iter().zip(&mut best) {
            let time = |line: &String| line.strip_prefix(format.mount)?.trim().parse().ok();
            let took = told.iter().find_map(time);
            *best = [*best, took].into_iter().flatten().min();
        }
        if best.iter().all(is_soon) {
            return best;
        }
    }
    panic!("the formats began to play after {best:?} ms");
}

#[test]
#[ignore = "needs Chromium: make clients"]
fn a_browser_plays_each_format_within_a_second() {
    if !have("chromium") || !have("certutil") || !have("ffmpeg") {
        return;
    }
    let (site, tls) = (tempfile::tempdir().unwrap(), TlsFolder::new());
    let (mesh, _sources) = stage(&site, &tls);
    let port = mesh.nodes[0].address();
    let port = port.rsplit(':').next().unwrap();
    let home = trusting_home(tls.ca());
    let plain = best_times(&format!("http://localhost:{port}/player.html"), home.path());
    // Not shown where the authority is not trusted, and heard from the other node by HTTPS, too.
    let secure = format!("https://localhost:{port}/player.html");
    let stranger = tempfile::tempdir().unwrap();
    let refusal = said_of(&secure, stranger.path());
    assert!(refusal.contains(UNKNOWN_AUTHORITY), "{refusal}");
    let secure = best_times(&secure, home.path());
    page::show("browser", &table(plain, secure), is_everything());
}
