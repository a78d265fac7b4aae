//! `antiphon source`: sends a file over and over in real time, as the encoder of a radio would; or ends a mount's source.
//!
//! A lost connection is taken up again for ever, because a node that died comes back or is replaced;
//! a refusal ends it, because asking again with the same password changes nothing.

mod connection;
mod playback;
mod target;
mod track;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use hyper::Method;
use tokio::time::{Instant, sleep};

use super::api::{Api, NodeArgs};
use super::signals::asked_to_stop;
use super::terminal;
use crate::logic::backoff::Backoff;
use crate::model::mount::MountName;
use crate::settings::Machine;
use connection::{ConnectError, Connection};
use playback::Playback;
use target::Target;

pub(super) use track::Track;

/// The largest file that is sent: it is held in memory, and this is 4½ hours at 128 kbit/s.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// The wait after the first failure; a node restarts faster than anybody could notice more.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait: a radio should be back soon after its node is.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// How long after a loss "mount in use" may mean our own lost connection.
///
/// A node takes a silent source for dead after 10 s; half as long again is surely enough.
const GHOST: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct SourceArgs {
    #[command(subcommand)]
    command: Option<SourceCommand>,
    #[command(flatten)]
    sending: Option<SendingArgs>,
}

#[derive(Debug, Args)]
struct SendingArgs {
    /// An MP3 or Ogg (Vorbis, Opus, FLAC, Speex) file
    file: PathBuf,
    /// The mount to send it to: http://source:PASSWORD@HOST:PORT/MOUNT
    url: Target,
}

#[derive(Debug, Subcommand)]
enum SourceCommand {
    /// End the source that is on air on a mount, at whichever node; its encoder may come back
    Kill {
        #[command(flatten)]
        node: NodeArgs,
        /// Path of the mount, such as /radio.mp3
        path: MountName,
    },
}

/// Sends a file until it is stopped, or a node refuses it; or ends the source of a mount.
pub(super) async fn source(args: SourceArgs) -> anyhow::Result<()> {
    match (args.command, args.sending) {
        (Some(SourceCommand::Kill { node, path }), _) => kill(node, &path).await,
        (None, Some(sending)) => send(sending).await,
        (None, None) => bail!("say which file to send, and where: antiphon source FILE URL"),
    }
}

/// Ends the source of a mount.
async fn kill(node: NodeArgs, path: &MountName) -> anyhow::Result<()> {
    let api = Api::new(node, &Machine::here())?;
    // The characters of a mount are valid in a URL's path.
    let target = format!("/api/v1/sources{path}");
    api.ask(Method::DELETE, &target, None).await?;
    Ok(terminal::print(&format!(
        "ended the source of {path}; its encoder may come back: to keep it out, change the mount's password, and end it again\n"
    ))?)
}

/// Sends a file until it is stopped, or a node refuses it.
async fn send(args: SendingArgs) -> anyhow::Result<()> {
    let track = load(&args.file)?;
    let stem = args.file.file_stem().unwrap_or_default();
    let title = terminal::printable(&stem.to_string_lossy());
    let transmission = Transmission {
        content_type: track.content_type(),
        playback: Playback::new(track),
        target: args.url,
        title,
    };
    tokio::select! {
        ended = transmission.run() => ended,
        stopped = asked_to_stop() => Ok(stopped?),
    }
}

/// Reads a file and finds its frames or pages.
pub(super) fn load(path: &Path) -> anyhow::Result<Track> {
    let shown = path.display();
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {shown}"))?;
    ensure!(metadata.is_file(), "{shown} is no file");
    let length = metadata.len();
    ensure!(
        length <= MAX_FILE_BYTES,
        "{shown} has {length} bytes; at most {MAX_FILE_BYTES} can be sent"
    );
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    Track::parse(bytes).with_context(|| format!("cannot send {shown}"))
}

/// A file on its way to a mount.
struct Transmission {
    content_type: &'static str,
    playback: Playback,
    target: Target,
    title: String,
}

impl Transmission {
    /// Connects and sends; ends only when it is refused.
    async fn run(mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut lost_at: Option<Instant> = None;
        loop {
            let trouble = match Connection::open(&self.target, self.content_type).await {
                Ok(connection) => {
                    backoff.succeed();
                    let trouble = self.send(connection).await?;
                    lost_at = Some(Instant::now());
                    format!("lost {}: {trouble}", self.target.address())
                }
                Err(ConnectError::Refused { status, text }) => {
                    let since_loss = lost_at.map(|at| at.elapsed());
                    if is_final(status, since_loss) {
                        bail!("{} refuses the source: {text}", self.target.address());
                    }
                    text
                }
                Err(error) => super::failure::reasons(&error.into()),
            };
            let wait = backoff.fail(rand::random());
            terminal::complain(&format!(
                "{trouble}; trying again in {:.1} s",
                wait.as_secs_f64()
            ));
            sleep(wait).await;
        }
    }

    /// Sends until the connection is lost, and gives the reason.
    async fn send(&mut self, connection: Connection) -> anyhow::Result<std::io::Error> {
        terminal::print(&format!(
            "on air: {} at {} ({:.0} s of {}, again and again)\n",
            self.target.mount,
            self.target.address(),
            self.playback.duration().as_secs_f64(),
            self.content_type,
        ))?;
        self.playback.begin();
        let sending = connection.send(&mut self.playback);
        let (lost, ()) = tokio::join!(sending, connection::announce(&self.target, &self.title));
        Ok(lost)
    }
}

/// Whether a refusal will be the same next time. `since_loss`: how long ago we were on air, if ever.
fn is_final(status: u16, since_loss: Option<Duration>) -> bool {
    match status {
        403 => since_loss.is_none_or(|ago| ago > GHOST),
        401 | 404 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_unless_our_connection_may_remain() {
        let s = Duration::from_secs;
        for (status, since_loss, is) in [
            (401, None, true),
            (401, Some(s(1)), true),
            (404, Some(s(1)), true),
            (403, None, true),
            (403, Some(s(1)), false),
            (403, Some(s(16)), true),
            (503, None, false),
            (500, None, false),
        ] {
            assert_eq!(is_final(status, since_loss), is, "{status} {since_loss:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_sent_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.mp3");
        let said = |path: &Path| format!("{:#}", load(path).unwrap_err());
        assert!(said(&path).contains("No such file"), "{}", said(&path));
        assert!(said(dir.path()).contains("is no file"));
        fs::write(&path, "hello").unwrap();
        assert!(
            said(&path).contains("neither MP3 nor Ogg"),
            "{}",
            said(&path)
        );
    }
}
