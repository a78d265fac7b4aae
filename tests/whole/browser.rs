//! The `<audio>` of a real browser: it plays each format soon after the click, also behind a redirect to another node.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clients::page;
use crate::clients::stage::is_everything;
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

/// The lines that a page writes to the console, without what stands around them, until it has ended.
fn results(page: &str) -> Vec<String> {
    let profile: TempDir = tempfile::tempdir().unwrap();
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
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null());
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

/// The table of the page: how soon each format played, in the best try.
fn table(best: [Option<u128>; FORMATS.len()]) -> String {
    let head = FORMATS.map(|it| it.name).join(" | ");
    let times = best.map(|ms| format!("{} ms", ms.unwrap_or_default()));
    let line = FORMATS.map(|_| "---").join(" | ");
    format!("| {head} |\n| {line} |\n| {} |\n", times.join(" | "))
}

#[test]
#[ignore = "needs Chromium: make clients"]
fn a_browser_plays_each_format_within_a_second() {
    if !have("chromium") || !have("ffmpeg") {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let mounts = FORMATS.map(|it| it.mount);
    let list = format!("{mounts:?}");
    fs::write(
        site.path().join("player.html"),
        PAGE.replace("MOUNTS", &list),
    )
    .unwrap();
    let root = site.path().to_str().unwrap();
    let mesh = TestMesh::start_with(2, |index, setup| match index {
        0 => setup.with(&["--max-listeners", "0", "--web-root", root]),
        _ => setup,
    });
    let (front, back) = (&mesh.nodes[0], &mesh.nodes[1]);
    let sources: Vec<Running> = FORMATS
        .iter()
        .map(|format| {
            mesh.create_mount(format.mount, PASSWORD);
            encoder(back, format)
        })
        .collect();
    for mount in mounts {
        mesh.wait_on_air(mount);
    }
    thread::sleep(ON_AIR);
    let page = format!("{}/player.html", front.url());
    let mut best = FORMATS.map(|_| None::<u128>);
    for _ in 0..TRIES {
        let told = results(&page);
        println!("{told:?}");
        for (mount, best) in mounts.iter().zip(&mut best) {
            let took = told
                .iter()
                .find_map(|line| line.strip_prefix(mount)?.trim().parse().ok());
            *best = [*best, took].into_iter().flatten().min();
        }
        if best
            .iter()
            .all(|best| best.is_some_and(|ms| ms < SOON.as_millis()))
        {
            drop(sources);
            page::show("browser", &table(best), is_everything());
            return;
        }
    }
    panic!("{mounts:?} began to play after {best:?} ms");
}
