//! A stream in Ogg in a mesh of two builds: the newer nodes alone tell each other the header pages of a stream, so that
//! late listeners decode it.

use std::thread;
use std::time::Duration;

use super::{Links, PASSWORD, at, built_by, older};
use crate::support::mesh::TestMesh;
use crate::support::ogg::{Sound, Tone};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::tool::have;

/// The nodes of five that run the older build: with a newer master, which is the first node, and with an older one.
const MIXES: [[bool; 5]; 2] = [
    [false, true, true, false, false],
    [true, false, false, true, false],
];
/// How long a stream is on air before its late listeners come: well beyond the 8 s from which a relay begins.
const LATE: Duration = Duration::from_secs(12);
/// How long they listen: it is in the bytes beside the burst.
const LISTEN: Duration = Duration::from_secs(4);

/// The beginning of what a listener received of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// The header pages of the stream, and then bytes from anywhere in it.
    Headed,
    /// Bytes from anywhere in it, as they are in the ring.
    Raw,
}

impl Begun {
    /// How a listener began, if nothing is missing or foreign in what it received since.
    fn of(received: &[u8], sent: &[u8]) -> Option<Self> {
        let is_piece = |piece: &[u8]| sent.windows(piece.len()).any(|it| it == piece);
        match received.strip_prefix(header_pages(sent)) {
            Some(rest) => is_piece(rest).then_some(Self::Headed),
            None => is_piece(received).then_some(Self::Raw),
        }
    }
}

/// The pages of a link before its first audio: those whose position in time is zero.
fn header_pages(sent: &[u8]) -> &[u8] {
    let is_audio = |page: &[u8]| page.starts_with(b"OggS\0") && page[6..14] != [0; 8];
    let audio = sent.windows(14).position(is_audio);
    &sent[..audio.expect("there is audio in it")]
}

/// A mount with a source at one of the nodes of a mesh.
struct Station<'a> {
    mesh: &'a TestMesh,
    is_older: &'a [bool],
    mount: &'static str,
    ingest: usize,
    tone: Tone,
}

impl Station<'_> {
    fn tune_in(&self) -> Vec<Player> {
        let nodes = self.mesh.nodes.iter();
        nodes
            .map(|node| Player::tune_in(&at(node, self.mount)))
            .collect()
    }

    /// How what a player received begins; it must be what was sent, byte for byte.
    fn begun(&self, player: &Player) -> Begun {
        let received = player.bytes();
        assert!(!received.is_empty(), "{} has nothing", player.url);
        let look = || Begun::of(&received, &self.tone.sent()).ok_or("not in what was sent");
        let what = format!("all {} bytes of {} are known", received.len(), player.url);
        eventually(PATIENCE, &what, look).0
    }

    /// Whether the bytes go through newer nodes only on their way to a listener of a node: by way of the master.
    fn is_newer_throughout(&self, node: usize) -> bool {
        let by_way_of = (node != self.ingest).then(|| self.mesh.master());
        let way = [Some(node), by_way_of, Some(self.ingest)];
        way.into_iter().flatten().all(|it| !self.is_older[it])
    }

    /// Checks what late listeners of all nodes have received, each in the place of its node.
    fn check_late(&self, players: &[Player]) {
        for (node, player) in players.iter().enumerate() {
            let begun = self.begun(player);
            let newer = self.is_newer_throughout(node);
            println!(
                "{} of n{} at n{}: {begun:?}",
                self.mount,
                self.ingest + 1,
                node + 1
            );
            if self.is_older[node] {
                assert_eq!(begun, Begun::Raw, "as before, from the ring");
            }
            if newer {
                assert_eq!(begun, Begun::Headed);
            }
            if begun == Begun::Headed {
                Sound::decode(&player.bytes()).check(LISTEN.as_secs_f64());
            }
        }
    }
}

#[test]
#[ignore = "needs the program of an older build: make rolling"]
fn ogg_joined_late_decodes_where_all_nodes_on_its_way_are_newer() {
    if !have("ffmpeg") {
        return;
    }
    for (is_older, codec) in MIXES.iter().zip(["libopus", "libvorbis"]) {
        println!("older: {is_older:?}; {codec}");
        let mesh = TestMesh::start_with(is_older.len(), |index, setup| {
            let setup = built_by(is_older[index], setup);
            match index {
                0 => setup.configured("rank = 1000"),
                _ => setup,
            }
        });
        assert_eq!(mesh.master(), 0, "it has the highest rank");
        let others = mesh.others();
        let ingest = |older: bool| *others.iter().find(|it| is_older[**it] == older).unwrap();
        let stations = [("/older.ogg", true), ("/newer.ogg", false)].map(|(mount, older)| {
            mesh.create_mount(mount, PASSWORD);
            let ingest = ingest(older);
            let tone = Tone::start(&mesh.nodes[ingest], mount, PASSWORD, codec);
            mesh.wait_on_air(mount);
            Station {
                mesh: &mesh,
                is_older,
                mount,
                ingest,
                tone,
            }
        });
        let links = Links::watch(&mesh);
        // They come late to nodes that do not have the stream yet, and then to those that have it.
        for _ in 0..2 {
            thread::sleep(LATE);
            let players = stations.each_ref().map(Station::tune_in);
            thread::sleep(LISTEN);
            for (station, players) in stations.iter().zip(&players) {
                station.check_late(players);
            }
        }
        links.check(&mesh);
    }
}

#[test]
#[ignore = "needs the program of an older build: make rolling"]
fn a_node_that_is_started_again_as_older_is_sent_nothing_newer() {
    if !have("ffmpeg") {
        return;
    }
    let mut mesh = TestMesh::start(2);
    let mount = "/newer.ogg";
    mesh.create_mount(mount, PASSWORD);
    let tone = Tone::start(&mesh.nodes[0], mount, PASSWORD, "libopus");
    mesh.wait_on_air(mount);
    thread::sleep(LATE);
    // It says no goodbye: the card of its newer life stays in gossip until the one of the next life has come.
    mesh.nodes[1].kill9();
    mesh.nodes[1].run_from_now_on(&older());
    mesh.nodes[1].restart();
    let url = at(&mesh.nodes[1], mount);
    let look = || {
        let (_, head) = ask_for_stream(&url).map_err(|error| error.to_string())?;
        so(head.status == 200, format!("{head:?}"))
    };
    let (_, took) = eventually(PATIENCE, "it has the stream", look);
    println!("it has the stream {took:?} after its start");
    let player = Player::tune_in(&url);
    thread::sleep(LISTEN);
    let log = mesh.nodes[1].log_of_this_life();
    assert!(!log.contains("link closed"), "it was sent a newer frame");
    mesh.wait_agreed();
    let station = Station {
        mesh: &mesh,
        is_older: &[false, true],
        mount,
        ingest: 0,
        tone,
    };
    assert_eq!(station.begun(&player), Begun::Raw);
}
