//! The real programs: a radio's bytes go in at standard input, and another codec comes out.

use antiphon::io::child::{ChildLimits, ChildPipes, Program, Spawned, find_program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{GRACE, nobody, soon, spawn};
use crate::support::patience::PATIENCE;
use crate::support::tool::have;

/// Two dozen seconds of music.
static RADIO: &[u8] = include_bytes!("../../../src/cli/sample/sample.mp3");
/// The memory that a transcoder of one stream may hold.
const MEMORY_BYTES: u64 = 512 << 20;
/// The first bytes of a page of Ogg.
const OGG: &[u8] = b"OggS";

/// A script that takes its input and output by the names of their files, as liquidsoap needs it.
const SCRIPT: &str = r#"
settings.log.stdout.set(false)
settings.log.file.set(true)
settings.log.file.path.set("/dev/stderr")
s = input.ffmpeg(id="in", max_buffer=10., "pipe:0")
output.file(id="out", fallible=true, flush=true, %opus(bitrate=64), "/dev/stdout", s)
"#;

fn tool(name: &str, arguments: &[&str], pipes: ChildPipes) -> Program {
    Program {
        path: find_program(name).unwrap(),
        arguments: arguments.iter().map(Into::into).collect(),
        pipes,
        user: nobody(),
        limits: ChildLimits {
            memory_bytes: Some(MEMORY_BYTES),
            nice: 0,
        },
    }
}

/// Sends the radio until so much has come back that it must be a stream, and returns that.
async fn transcoded(spawned: &mut Spawned) -> Vec<u8> {
    let mut stream = spawned.stream.take().unwrap();
    let mut came = vec![0; 20_000];
    let send = async {
        // Whoever has enough hangs up.
        let _enough = stream.stdin.write_all(RADIO).await;
        std::future::pending::<()>().await;
    };
    soon(async {
        tokio::select! {
            () = send => {}
            read = stream.stdout.read_exact(&mut came) => { read.unwrap(); }
        }
    })
    .await;
    came
}

#[tokio::test]
async fn ffmpeg_transcodes_through_its_pipes() {
    if !have("ffmpeg") {
        return;
    }
    let arguments = [
        "-hide_banner",
        "-nostdin",
        "-loglevel",
        "warning",
        "-i",
        "pipe:0",
        "-vn",
        "-c:a",
        "libopus",
        "-b:a",
        "64k",
        "-f",
        "ogg",
        "pipe:1",
    ];
    let mut spawned = spawn(tool("ffmpeg", &arguments, ChildPipes::Stream)).await;
    let came = transcoded(&mut spawned).await;
    assert!(came.starts_with(OGG));
    let end = soon(spawned.child.stop(GRACE)).await;
    println!("ffmpeg {end}; {:?}", spawned.child.usage());
}

#[tokio::test]
async fn liquidsoap_transcodes_through_its_pipes() {
    if !have("liquidsoap") {
        return;
    }
    let mut spawned = spawn(tool(
        "liquidsoap",
        &["--no-stdlib", SCRIPT],
        ChildPipes::Stream,
    ))
    .await;
    let came = transcoded(&mut spawned).await;
    assert!(came.starts_with(OGG));
    let usage = spawned.child.usage();
    assert!(usage.resident_bytes < MEMORY_BYTES / 2, "{usage:?}");
    let end = soon(spawned.child.stop(GRACE)).await;
    println!("liquidsoap {end}; {usage:?}");
}

#[tokio::test]
async fn liquidsoap_checks_a_script() {
    if !have("liquidsoap") {
        return;
    }
    let check = |text| {
        tool(
            "liquidsoap",
            &["--check", "--no-stdlib", text],
            ChildPipes::Log,
        )
    };
    let finished = spawn(check(SCRIPT)).await.finish(PATIENCE).await;
    assert!(finished.end.exit.is_success(), "{finished:?}");
    let wrong = "output.file(%opus(bitrate=64), nowhere)";
    let finished = spawn(check(wrong)).await.finish(PATIENCE).await;
    assert!(
        !finished.late && !finished.end.exit.is_success(),
        "{finished:?}"
    );
    assert!(
        finished.lines.iter().any(|line| line.contains("nowhere")),
        "{finished:?}"
    );
}
