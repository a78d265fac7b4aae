//! All players of one format at once, through a redirect: each plays, and ends well when the stream does.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::decode::decode;
use super::encoders::SourceClient;
use super::players::{PlayerClient, Proof};
use super::program::{Launched, open_folder};
use super::samples::StreamKind;
use super::sending::OnAir;
use super::stage::Stage;

/// How long listeners are kept when the source has gone: a node that is short of time may take it for gone.
const LINGER_S: u32 = 5;
/// How much each player is to hear: more than the five seconds that it gets at once.
pub(super) const HEARD: Duration = Duration::from_secs(8);
/// How long that may take: some programs need a minute to start when all of them do.
const PLAYED: Duration = Duration::from_secs(90);
/// How often is looked how much a player has heard: what it received is decoded each time.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// How long a player may take to end after its stream.
const ENDED: Duration = Duration::from_secs(30);

/// A player that runs.
struct Playing<'a> {
    client: &'a PlayerClient,
    kind: StreamKind,
    here: TempDir,
    program: Launched,
}

impl<'a> Playing<'a> {
    fn start(client: &'a PlayerClient, kind: StreamKind, url: &str) -> Self {
        let here = open_folder();
        let fill = |text: &str| {
            let text = text.replace("{url}", url);
            text.replace("{here}", &here.path().display().to_string())
        };
        if let Some((name, text)) = client.file {
            let path = here.path().join(name);
            fs::write(&path, fill(text)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        }
        let program = Launched::start(&fill(client.line), here.path());
        Self {
            client,
            kind,
            here,
            program,
        }
    }

    /// The bytes that it has written, whatever it has put behind the name of the file. A list of its titles is none of them.
    fn file(&self) -> Vec<u8> {
        let files = fs::read_dir(self.here.path()).unwrap();
        let paths = files.filter_map(Result::ok).map(|it| it.path());
        let mut heard = paths.filter(|it| {
            it.file_stem().is_some_and(|stem| stem == "heard")
                && it.extension().is_none_or(|extension| extension != "cue")
        });
        heard
            .next()
            .and_then(|it| fs::read(it).ok())
            .unwrap_or_default()
    }

    /// How much it has heard.
    fn heard(&self) -> Result<Duration, String> {
        match self.client.proof {
            Proof::Sound(bytes_per_s) => {
                Ok(Duration::from_secs(self.file().len() as u64 / bytes_per_s))
            }
            Proof::Received => match self.file() {
                bytes if bytes.is_empty() => Ok(Duration::ZERO),
                bytes => decode(&bytes, self.kind.media_type()),
            },
            Proof::Said => {
                let log = self.program.log();
                if let Some(fault) = log.lines().find(|line| line.contains("fault ")) {
                    return Err(fault.to_owned());
                }
                let said = log.lines().rev().find_map(|line| {
                    let (_, rest) = line.split_once("heard ")?;
                    rest.split('"').next()?.parse().ok()
                });
                Ok(Duration::from_secs_f64(said.unwrap_or_default()))
            }
        }
    }

    /// Waits until it has heard enough, or says what is wrong.
    fn wait_heard(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            // The very beginning of a stream, without any audio, does not decode.
            let heard = self.heard();
            if heard.as_ref().is_ok_and(|heard| *heard >= HEARD) {
                return Ok(());
            }
            if let Some(end) = self.program.ended() {
                return Err(format!("{end} after {heard:?}: {}", self.program.log()));
            }
            if begun.elapsed() > PLAYED {
                return Err(format!("only {heard:?}: {}", self.program.log()));
            }
            thread::sleep(LOOK_PERIOD);
        }
    }

    /// Waits until it has ended, if it is one that does.
    fn wait_end(&mut self) -> Result<(), String> {
        if !self.client.ends {
            return Ok(());
        }
        let begun = Instant::now();
        while begun.elapsed() < ENDED {
            match self.program.ended() {
                Some(end) if end.success() => return Ok(()),
                Some(end) => return Err(format!("{end}: {}", self.program.log())),
                None => thread::sleep(Duration::from_millis(100)),
            }
        }
        Err(format!(
            "it does not end with the stream: {}",
            self.program.log()
        ))
    }
}

/// The fate of each player of a format, by its place in the list; `None` if it is not made for it.
pub(super) fn run(
    kind: StreamKind,
    source: &SourceClient,
    players: &[PlayerClient],
    stage: &Stage,
) -> Vec<Option<Result<(), String>>> {
    let mut source = OnAir::start(source, &format!("p-{}", kind.file()), LINGER_S, stage);
    source.wait_on_air(None);
    let url = source.redirecting_url();
    let start = |client| Playing::start(client, kind, &url);
    let made_for_it = |it: &&PlayerClient| it.kinds.contains(&kind);
    let playing = players
        .iter()
        .map(|it| Some(it).filter(made_for_it).map(start));
    let mut playing: Vec<Option<Playing>> = playing.collect();
    let heard = playing
        .iter_mut()
        .map(|it| it.as_mut().map(Playing::wait_heard));
    let heard: Vec<Option<Result<(), String>>> = heard.collect();
    source.program.kill9();
    let ends = playing.iter_mut().zip(heard);
    ends.map(|(playing, heard)| {
        let (playing, heard) = (playing.as_mut()?, heard?);
        Some(heard.and_then(|()| playing.wait_end()))
    })
    .collect()
}
