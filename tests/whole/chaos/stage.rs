//! The mesh that is struck, its two encoders, and its listeners at each node.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use antiphon::model::seat::Epoch;
use rustix::process::Signal;

use super::blow::{Harm, Kind};
use crate::support::crowd::{Crowd, Notes};
use crate::support::encoder::{Encoder, Target};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::Ffmpeg;

/// The mount whose every byte is known.
const KNOWN: &str = "/known.mp3";
/// The mount that a real ffmpeg plays to.
const MELODY: &str = "/melody.mp3";
const PASSWORD: &str = "hackme-not";
/// How many nodes there are: after the loss of two, a majority is left.
const NODES: usize = 5;
/// How long the stage is watched before a blow, to know the delay of calm days.
const CALM: Duration = Duration::from_secs(1);
/// The time after a blow, or after its end, from which what is heard is past it.
const AFTERMATH: Duration = Duration::from_secs(3);
/// How long a frozen node is frozen: far beyond every timeout of its peers.
const FROST: Duration = Duration::from_secs(15);
/// How often a node is asked who is master while that is measured.
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// Five nodes under way.
pub(super) struct Stage {
    // First, so that they leave before the nodes are killed.
    melody: Option<Ffmpeg>,
    crowd: Crowd,
    encoder: Encoder,
    mesh: TestMesh,
}

/// The victims of a blow, and the state before it.
struct Before {
    victims: Vec<usize>,
    addresses: Vec<String>,
    places: Vec<Option<String>>,
    calm: Vec<Notes>,
    dropped: u32,
    players: Vec<Player>,
}

impl Stage {
    /// A mesh with both encoders on air and so many listeners, as many at each node.
    pub(super) fn set(listeners: usize) -> Self {
        let mesh = TestMesh::start(NODES);
        mesh.create_mount(KNOWN, PASSWORD);
        mesh.create_mount(MELODY, PASSWORD);
        let encoder = Encoder::start(Target::of(
            mesh.nodes.iter().map(|node| node.address()).collect(),
            KNOWN,
            PASSWORD,
        ));
        mesh.wait_on_air(KNOWN);
        let home = |index: usize| format!("{}/_stream/n1{KNOWN}", mesh.nodes[index % NODES].url());
        let homes: Vec<String> = (0..listeners).map(home).collect();
        let entrances = mesh
            .nodes
            .iter()
            .map(|node| format!("{}{KNOWN}", node.url()));
        let entrances: Vec<String> = entrances.collect();
        let crowd = Crowd::gather(&homes, &entrances, &encoder.diary());
        Self {
            melody: None,
            crowd,
            encoder,
            mesh,
        }
    }

    /// How many listeners there are.
    pub(super) fn listeners(&self) -> usize {
        self.crowd.len()
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.mesh.nodes.len()
    }

    /// Strikes, waits until it is over, repairs everything, and says what the blow has done.
    pub(super) fn strike(&mut self, kind: Kind) -> Harm {
        self.settle();
        let before = self.look_around(kind);
        let struck = Instant::now();
        let epoch = self.epoch();
        let master = self.hit(kind, &before);
        self.wait_aftermath(&before);
        if kind == Kind::Freeze {
            eventually(2 * FROST, "the frost is over", || {
                so(struck.elapsed() >= FROST, "not yet")
            });
            self.mesh.nodes[before.victims[0]].signal(Signal::CONT);
            self.mesh.wait_agreed();
            self.wait_aftermath(&before);
        }
        let changes = self.epoch().0 - epoch.0;
        let harm = self.assess(&before, master, changes);
        for victim in before.victims {
            if self.mesh.nodes[victim].has_ended() {
                self.mesh.nodes[victim].restart();
            }
        }
        harm
    }

    fn epoch(&self) -> Epoch {
        let seen = self
            .mesh
            .nodes
            .iter()
            .filter_map(|node| node.try_status().ok());
        let seen = seen.map(|status| status.epoch).max();
        seen.expect("a node answers")
    }

    /// Waits until each listener is at its node and hears both encoders.
    fn settle(&mut self) {
        self.mesh.wait_agreed();
        eventually(PATIENCE, "the encoder is on air", || {
            self.encoder.at().ok_or("nobody takes it")
        });
        let ingest = self.ingest();
        if self.mesh.master() == ingest {
            self.mesh.nodes[ingest].step_down();
            eventually(PATIENCE, "another node is master", || {
                let master = self.mesh.try_master().ok_or("none")?;
                so(master != ingest, "the same")
            });
            self.mesh.wait_agreed();
        }
        self.mesh.wait_on_air(KNOWN);
        eventually(PATIENCE, "ffmpeg is on air", || self.start_melody());
        self.mesh.wait_on_air(MELODY);
        self.crowd.go_home();
    }

    fn start_melody(&mut self) -> Result<(), String> {
        if let Some(ended) = self.melody.as_mut().map(Ffmpeg::ended) {
            let Some(why) = ended else { return Ok(()) };
            self.melody = None;
            return Err(why);
        }
        let node = &self.mesh.nodes[self.ingest()];
        self.melody = Some(Ffmpeg::start(node, MELODY, PASSWORD));
        let look = || {
            let melody = self.melody.as_mut().expect("just started");
            let status = node.try_status().map_err(|error| error.to_string())?;
            let mut mounts = status.mounts.iter();
            let mount = mounts.find(|mount| mount.path.as_str() == MELODY);
            let source = mount.and_then(|mount| mount.source.as_ref());
            let here = source.is_some_and(|it| it.node.as_str() == node.name());
            so(
                here || melody.ended().is_some(),
                "neither on air nor refused",
            )
        };
        eventually(PATIENCE, "ffmpeg is on air or refused", look);
        let ended = self.melody.as_mut().expect("just started").ended();
        ended.map_or(Ok(()), |why| {
            self.melody = None;
            Err(why)
        })
    }

    fn index_of(&self, address: &str) -> usize {
        let mut nodes = self.mesh.nodes.iter();
        let found = nodes.position(|node| node.address() == address);
        found.expect("one of ours")
    }

    fn ingest(&self) -> usize {
        self.index_of(&self.encoder.at().expect("the encoder is on air"))
    }

    /// Chooses the victims and watches the calm.
    fn look_around(&self, kind: Kind) -> Before {
        let (master, ingest) = (self.mesh.master(), self.ingest());
        let mut relays = (0..NODES).filter(|it| *it != master && *it != ingest);
        // Not always the same one: it goes round with the stream's frames.
        let turn = (self.encoder.next() % (NODES as u64 - 2)) as usize;
        let relay = relays.nth(turn).expect("five nodes have three relays");
        let victims = match kind {
            Kind::Master | Kind::Freeze => vec![master],
            Kind::Relay => vec![relay],
            Kind::Ingest => vec![ingest],
            Kind::MasterAndRelay => vec![master, relay],
            Kind::Restart => vec![self.oldest()],
            // It hits the network, and has a stage of its own.
            Kind::Partition => Vec::new(),
        };
        let spared = (0..NODES).filter(|it| !victims.contains(it));
        let players = spared.map(|it| {
            Player::tune_in(&format!("{}/_stream/n1{MELODY}", self.mesh.nodes[it].url()))
        });
        let players: Vec<Player> = players.collect();
        self.crowd.take_notes();
        thread::sleep(CALM);
        Before {
            addresses: victims
                .iter()
                .map(|it| self.mesh.nodes[*it].address())
                .collect(),
            calm: self.crowd.take_notes(),
            places: self.crowd.places(),
            dropped: self.encoder.dropped(),
            victims,
            players,
        }
    }

    /// The node that has run the longest: each in turn in a rolling restart.
    fn oldest(&self) -> usize {
        let uptime = |it: &usize| self.mesh.nodes[*it].status().uptime_s;
        (0..NODES).max_by_key(uptime).expect("five nodes")
    }

    /// The blow itself; how long the mesh was without a master that all others knew.
    fn hit(&mut self, kind: Kind, before: &Before) -> Option<Duration> {
        let was_master = before.victims.contains(&self.mesh.master());
        self.encoder.take_outage();
        let struck = Instant::now();
        for victim in &before.victims {
            let node = &mut self.mesh.nodes[*victim];
            match kind {
                Kind::Freeze => node.freeze(),
                Kind::Restart => node.signal(Signal::TERM),
                _ => node.kill9(),
            }
        }
        let elected = was_master.then(|| {
            self.wait_new_master(&before.victims);
            struck.elapsed()
        });
        if kind == Kind::Restart {
            self.mesh.nodes[before.victims[0]].wait_end(PATIENCE);
        }
        elected
    }

    fn wait_new_master(&self, gone: &[usize]) {
        let gone_names = gone.iter().map(|it| self.mesh.nodes[*it].name());
        let gone_names: Vec<&str> = gone_names.collect();
        for witness in (0..NODES).filter(|it| !gone.contains(it)) {
            let node = &self.mesh.nodes[witness];
            let begun = Instant::now();
            loop {
                let status = node.status();
                let master = status.master.as_ref().map(|it| it.as_str());
                if master.is_some_and(|it| !gone_names.contains(&it)) {
                    break;
                }
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{} sees no new master: {status:?}",
                    node.name()
                );
                thread::sleep(LOOK_PERIOD);
            }
        }
    }

    /// Waits until whoever was spared hears what was sent some time after the blow.
    fn wait_aftermath(&self, before: &Before) {
        eventually(PATIENCE, "the encoder is on air", || {
            self.encoder.at().ok_or("nobody takes it")
        });
        let due = Instant::now() + AFTERMATH;
        eventually(PATIENCE, "the encoder goes on", || {
            so(Instant::now() >= due, "not yet")
        });
        let frame = self.encoder.next();
        self.crowd.wait_heard(frame..u64::MAX, &before.addresses);
    }

    fn assess(&mut self, before: &Before, master: Option<Duration>, changes: u64) -> Harm {
        let notes = self.crowd.take_notes();
        let mut harm = Harm {
            new_master: master,
            claims: changes,
            outage: self.encoder.take_outage(),
            known_dropped: self.encoder.dropped() - before.dropped,
            ..Harm::default()
        };
        let ears = before.places.iter().zip(&before.calm).zip(notes);
        for ((place, calm), after) in ears {
            let at_a_victim = place
                .as_ref()
                .is_none_or(|it| before.addresses.contains(it));
            if !at_a_victim {
                harm.add(calm, &after);
            }
        }
        let melody = self.melody.as_mut().expect("it was on air");
        match melody.ended() {
            Some(_) => harm.melody_dropped = 1,
            None => {
                for player in &before.players {
                    melody.check_behind_another(&player.bytes());
                    harm.closed_elsewhere += u32::from(player.is_closed());
                }
            }
        }
        harm
    }

    /// Copies the logs of all nodes to where they can be read later, and says where.
    pub(super) fn keep_logs(&self) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos");
        fs::create_dir_all(&folder).unwrap();
        for node in &self.mesh.nodes {
            fs::write(folder.join(format!("{}.log", node.name())), node.log()).unwrap();
        }
        println!("the logs of all nodes are in {}", folder.display());
    }
}
