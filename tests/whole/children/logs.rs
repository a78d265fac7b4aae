//! The log of a child: bounded, always read, and fit to be shown.

use std::time::Instant;

use antiphon::io::child::ChildExit;

use super::{script, soon, spawn};

/// The lines that a child may say at once, and in each second.
const BURST: u64 = 50;
const PER_SECOND: f64 = 10.0;

#[tokio::test]
async fn a_flood_is_cut_and_counted() {
    let begun = Instant::now();
    let text = "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); echo flood $i; done; echo last words";
    let mut spawned = spawn(script(text)).await;
    let mut told = Vec::new();
    while let Some(line) = soon(spawned.log.next()).await {
        told.push(line);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let most = BURST + (seconds * PER_SECOND) as u64 + 1;
    let end = soon(spawned.child.wait()).await;
    assert!(told.len() as u64 <= most, "{} in {seconds} s", told.len());
    assert_eq!(told[..2], ["flood 1", "flood 2"]);
    assert_eq!(spawned.log.dropped() + told.len() as u64, 20_001);
    assert_eq!(
        end.last_line.as_deref(),
        Some("last words"),
        "known all the same"
    );
}

#[tokio::test]
async fn a_child_never_waits_for_somebody_to_read() {
    let spawned = spawn(script("yes a line of a log | head -c 3000000; exit 5")).await;
    let end = soon(spawned.child.wait()).await;
    assert_eq!(end.exit, ChildExit::Code(5));
    assert!(spawned.log.dropped() > 100_000);
}

#[tokio::test]
async fn a_line_without_end_is_cut() {
    let finished = spawn(script(
        "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo next",
    ))
    .await;
    let finished = finished.finish(super::GRACE).await;
    assert_eq!(finished.lines.len(), 2);
    let shown = "x".repeat(512);
    assert_eq!(finished.lines[0], format!("{shown}…"));
    assert_eq!(finished.lines[1], "next");
}

#[tokio::test]
async fn binary_garbage_is_cleaned() {
    let text =
        "head -c 200000 /dev/urandom >&2; echo; printf 'over\\033[2Jwrite\\r\\n'; printf 'no end'";
    let mut spawned = spawn(script(text)).await;
    let mut told = Vec::new();
    while let Some(line) = soon(spawned.log.next()).await {
        told.push(line);
    }
    assert!(told.iter().all(|line| !line.contains(char::is_control)));
    assert!(told.iter().all(|line| line.len() <= 512 * 3 + 3));
    let end = soon(spawned.child.wait()).await;
    assert_eq!(end.last_line.as_deref(), Some("no end"));
}
