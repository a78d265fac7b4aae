//! `antiphon demo`: a whole mesh on this machine, with a radio on air, to be tested by killing nodes by hand.
//!
//! Each node is a process of its own, so that one can be killed as a machine would die. In any case all of them
//! are ended and their files removed when the demo ends.

mod mesh;
mod place;
mod process;
mod words;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::time::{Instant, interval, sleep_until};

use super::signals::asked_to_stop;
use super::{source, terminal};
use crate::io::child::find_program;
use crate::model::node::NodeName;
use crate::model::transcoding::TranscodeEngine;
use crate::settings::whole_number;
use mesh::{DemoMesh, LIVE, RADIO};
use place::DemoFolder;
use process::Process;
use words::Tour;

/// The radio that is on air when no other file is given.
const SAMPLE: &[u8] = include_bytes!("../sample/sample.mp3");

/// How often the demo checks whether a node has been killed, so that it is reported at once.
const WATCH_PERIOD: Duration = Duration::from_millis(200);

/// The most nodes: more are too many for a small machine.
const MAX_NODES: u64 = 16;

/// The longest time: a year.
const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many nodes to run
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole_number::<u16>(1..=MAX_NODES, 3))]
    nodes: u16,
    /// Port of the first node; the others take the next ones
    #[arg(long, default_value_t = 8000, value_parser = whole_number::<u16>(1..=u16::MAX.into(), 8_000))]
    port: u16,
    /// End by itself after so many seconds on air; 0: when you press Ctrl-C
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = whole_number::<u64>(0..=MAX_SECONDS, 60))]
    seconds: u64,
    /// Let the nodes transcode the radio to Opus, too, with Liquidsoap or ffmpeg
    #[arg(long)]
    transcode: bool,
    /// An MP3 or Ogg file to send instead of the sample radio
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
}

/// Runs the demo until its time is over or the user stops it.
pub(super) async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    // Mistakes that can be found before anything runs are found now.
    let ports = place::free_ports(args.port, args.nodes)?;
    if let Some(file) = &args.source {
        source::load(file)?;
    }
    let tools = TranscodeEngine::ALL.map(TranscodeEngine::word);
    if args.transcode && !tools.into_iter().any(|tool| find_program(tool).is_some()) {
        bail!(
            "--transcode needs a program for it: apt install {}",
            tools.join(" or ")
        );
    }
    let place = DemoFolder::new()?;
    let file = match args.source {
        Some(file) => file,
        None => sample(&place)?,
    };
    let mut mesh = DemoMesh::new(&place, &ports, file, args.transcode)?;
    let outcome = tokio::select! {
        played = play(&mut mesh, args.transcode, args.seconds) => played,
        stopped = asked_to_stop() => stopped.context("cannot wait for signals"),
    };
    if outcome.is_err() {
        terminal::print(&mesh.last_log_lines())?;
    }
    mesh.end().await;
    outcome
}

/// Writes the sample radio where the source can read it.
fn sample(place: &DemoFolder) -> anyhow::Result<PathBuf> {
    let path = place.path().join("antiphon.mp3");
    fs::write(&path, SAMPLE).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

async fn play(mesh: &mut DemoMesh<'_>, transcode: bool, seconds: u64) -> anyhow::Result<()> {
    terminal::print("starting the nodes…\n")?;
    mesh.start_nodes().await?;
    let passwords = [mesh.create(RADIO).await?, mesh.create(LIVE).await?];
    if transcode {
        mesh.create_small().await?;
    }
    let status = mesh.settle().await?;
    mesh.start_source(&passwords[0])?;
    mesh.wait_for_air().await?;
    let small = match transcode {
        true => Some(mesh.wait_for_small().await?),
        false => None,
    };
    let tour = Tour {
        place: mesh.place(),
        nodes: mesh.nodes(),
        master: status.master.as_ref(),
        source_pid: mesh.source().map(Process::pid),
        passwords: &passwords,
        small: small.as_deref(),
    };
    terminal::print(&tour.text()?)?;
    let end = (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds));
    watch(mesh, &passwords[0], end, status.master).await
}

/// Reports every process that ends, and keeps the radio on air, until the time is over.
async fn watch(
    mesh: &mut DemoMesh<'_>,
    password: &str,
    end: Option<Instant>,
    mut master: Option<NodeName>,
) -> anyhow::Result<()> {
    let mut ticks = interval(WATCH_PERIOD);
    loop {
        let over = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => return Ok(()),
            _ = ticks.tick() => {}
        }
        for told in mesh.report_ended()? {
            terminal::print(&format!("{told}\n"))?;
        }
        if mesh.living_nodes() == 0 {
            bail!("no node is left");
        }
        let next = mesh.next_master(master.as_ref()).await;
        if let Some(next) = next {
            terminal::print(&format!("{next} is the master now\n"))?;
            master = Some(next);
        }
        if mesh.has_lost_its_source() {
            mesh.wait_for_silence().await?;
            let name = mesh.start_source(password)?;
            terminal::print(&format!("the radio goes on at {name}\n"))?;
        }
    }
}
