//! One encoder on its way through: on air, heard early and late at other nodes, named, killed, and replaced.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use antiphon::model::status::MountStatus;
use antiphon::model::stream::StreamId;
use tempfile::TempDir;

use super::decode::{decode, decode_whole};
use super::encoders::{SourceClient, Titles};
use super::program::{Launched, open_folder};
use super::samples::{Change, NAMED, TAGGED};
use super::stage::{PASSWORD, Stage};
use crate::support::decoder::until_edge;
use crate::support::http::{self, basic};
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;

/// How long a program may need until it sends: liquidsoap reads its own library first, and a busy machine is slow.
const STARTED: Duration = Duration::from_secs(90);
/// How long a stream is on air before its late listeners come: longer than the burst that a relay begins with.
const LATE: Duration = Duration::from_secs(9);
/// How long each listener stays.
pub(super) const LISTEN: Duration = Duration::from_secs(5);
/// How much sound of that must be decoded: a page of Ogg at either end, and some time to connect, may be missing.
const HEARD: Duration = Duration::from_secs(3);

/// How long listeners are kept for the next encoder: longer than a program may need to start.
const LINGER_S: u32 = 120;

/// The same where the stream has only just begun: ffmpeg fills pages of a second before it sends them.
const HEARD_ANEW: Duration = Duration::from_secs(1);

/// The sound of a listener that was there from the beginning, and still is when the next encoder has been on air for
/// [`LISTEN`].
const ACROSS: Duration = LATE.saturating_add(LISTEN).saturating_add(HEARD_ANEW);

/// The times that an encoder has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The shortest sound that a listener decoded who came late and stayed for [`LISTEN`].
    pub(super) late: Duration,
    /// The time from the kill until another one was on air in its place, as all nodes saw it.
    pub(super) replaced: Duration,
}

/// An encoder at its mount. The program is ended with it.
pub(super) struct OnAir<'a> {
    pub(super) client: &'a SourceClient,
    stage: &'a Stage,
    /// The path of the mount.
    pub(super) mount: String,
    here: TempDir,
    /// The program.
    pub(super) program: Launched,
}

impl<'a> OnAir<'a> {
    /// Makes the mount, whose listeners are kept for so long without a source, and starts the program.
    pub(super) fn start(
        client: &'a SourceClient,
        name: &str,
        linger_s: u32,
        stage: &'a Stage,
    ) -> Self {
        let mount = format!("/{name}");
        let more = format!("\"linger_s\": {linger_s}");
        stage.ingest().create_mount_with(&mount, PASSWORD, &more);
        stage.mesh.wait_for_mount(&mount);
        let here = open_folder();
        for (file, text) in &client.files {
            let path = here.path().join(file);
            fs::write(&path, stage.fill(text, &mount, here.path())).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        }
        let line = stage.fill(&client.line, &mount, here.path());
        let program = Launched::start(&line, here.path());
        Self {
            client,
            stage,
            mount,
            here,
            program,
        }
    }

    /// The program alone, and the folder that it needs.
    pub(super) fn into_program(self) -> (Launched, TempDir) {
        (self.program, self.here)
    }

    /// Kills the program, and starts it again.
    fn replace(&mut self) {
        self.program.kill9();
        let line = self
            .stage
            .fill(&self.client.line, &self.mount, self.here.path());
        self.program = Launched::start(&line, self.here.path());
    }

    fn status_at(&self, node: &TestNode) -> Option<MountStatus> {
        let mounts = node.try_status().ok()?.mounts.into_iter();
        let mut mounts = mounts.filter(|it| it.path.as_str() == self.mount);
        mounts.next()
    }

    /// Waits until all nodes see another stream than that one, from the node of the source.
    pub(super) fn wait_on_air(&mut self, other_than: Option<StreamId>) -> StreamId {
        let what = format!("{} is on air", self.mount);
        let look = || {
            if let Some(end) = self.program.ended() {
                return Ok(Err(format!("it has ended, {end}: {}", self.program.log())));
            }
            let mut id = None;
            for node in &self.stage.mesh.nodes {
                let source = self.status_at(node).and_then(|it| it.source);
                let source = source.filter(|it| Some(it.stream_id) != other_than);
                let source = source.ok_or_else(|| format!("{} sees none", node.name()))?;
                assert_eq!(source.node.as_str(), self.stage.ingest().name());
                id = Some(source.stream_id);
            }
            Ok::<_, String>(Ok(id.expect("three nodes")))
        };
        let on_air = eventually(STARTED, &what, look).0;
        on_air.unwrap_or_else(|why| panic!("{why}"))
    }

    /// The address of the mount at a node that takes no listener itself.
    pub(super) fn redirecting_url(&self) -> String {
        format!("{}{}", self.stage.front().url(), self.mount)
    }

    fn listen(&self) -> [Player; 2] {
        let mount = &self.mount;
        let urls = self.stage.elsewhere();
        let urls = urls.map(|node| format!("{}{mount}?redirect=no", node.url()));
        urls.map(|url| Player::tune_in(&url))
    }

    /// The shortest sound of some listeners, each of whom must have heard so much.
    fn heard(&self, when: &str, players: &[Player], at_least: Duration) -> Duration {
        let sounds = players.iter().map(|player| {
            let bytes = player.bytes();
            let sound = decode(&bytes, self.client.kind.media_type());
            match sound {
                Ok(sound) if sound >= at_least => sound,
                fault => {
                    let kept = keep(&self.mount, &bytes);
                    panic!("{}, {when}: {fault:?}{kept}", player.url)
                }
            }
        });
        sounds.min().expect("there are listeners")
    }

    /// Checks a listener that came first and is still there when another encoder has been on air for [`LISTEN`], and had
    /// received so much before.
    fn check_change(&self, player: &Player, had: usize) {
        let (url, change) = (&player.url, self.client.kind.change());
        let bytes = player.bytes();
        let (sound, least) = match change {
            Change::Ends => {
                assert!(player.is_closed(), "{url} was not ended with its stream");
                (decode_whole(&bytes, None), LATE)
            }
            Change::GoesOn | Change::GoesOnWith(_) => {
                let goes_on = !player.is_closed() && bytes.len() > had;
                assert!(goes_on, "{url} went silent with its first encoder");
                let whole = until_edge(&bytes, self.client.kind.media_type());
                (decode_whole(whole, change.complaint()), ACROSS)
            }
        };
        if !sound.as_ref().is_ok_and(|sound| *sound >= least) {
            let kept = keep(&self.mount, &bytes);
            panic!("{url}, across the change of encoders: {sound:?}{kept}")
        }
    }

    /// Sees to a title, and waits until all nodes show it.
    fn name_what_plays(&self) {
        let wanted = match self.client.titles {
            Titles::InStream => TAGGED,
            Titles::ByEncoder(title) => title,
            Titles::ByTest => {
                let [third, _] = self.stage.elsewhere();
                self.send_title(third);
                NAMED
            }
        };
        let shown = |mount: &MountStatus| mount.title == wanted;
        let mesh = &self.stage.mesh;
        mesh.wait_each_sees(&self.mount, "the title", shown);
    }

    fn send_title(&self, node: &TestNode) {
        let (address, mount) = (node.address(), &self.mount);
        let login = basic("source", PASSWORD);
        let song = NAMED.replace(' ', "%20");
        let request = format!(
            "GET /admin/metadata?mode=updinfo&mount={mount}&song={song} HTTP/1.0\r\nAuthorization: {login}\r\n\r\n"
        );
        let answer = http::ask(&address, &request).unwrap();
        assert_eq!(answer.head.status, 200, "{}", answer.text());
    }
}

/// Keeps what did not decode where it can be read later, and says where.
fn keep(mount: &str, bytes: &[u8]) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let file = folder.join(mount.trim_start_matches('/'));
    let kept = fs::create_dir_all(folder).and_then(|()| fs::write(&file, bytes));
    kept.map_or(String::new(), |()| format!("; kept in {}", file.display()))
}

/// Runs the encoder of this number through everything; panics at what is wrong.
pub(super) fn run(client: &SourceClient, number: usize, stage: &Stage) -> Sent {
    let name = format!("s{number}.{}", client.kind.extension());
    let mut source = OnAir::start(client, &name, LINGER_S, stage);
    let first = source.wait_on_air(None);
    let begun = Instant::now();
    let early = source.listen();
    source.name_what_plays();
    wait_until(begun + LATE);
    let late = source.listen();
    wait_until(begun + LATE + LISTEN);
    source.heard("early", &early, LATE);
    let decoded_late = source.heard("late", &late, HEARD);
    drop(late);
    let killed = Instant::now();
    source.replace();
    source.wait_on_air(Some(first));
    let replaced = killed.elapsed();
    let again = Instant::now();
    let after = source.listen();
    let had: Vec<usize> = early.iter().map(Player::len).collect();
    wait_until(again + LISTEN);
    source.heard("after another", &after, HEARD_ANEW);
    for (player, had) in early.iter().zip(had) {
        source.check_change(player, had);
    }
    Sent {
        late: decoded_late,
        replaced,
    }
}

fn wait_until(due: Instant) {
    let look = || so(Instant::now() >= due, "not yet");
    eventually(PATIENCE, "the time comes", look);
}
